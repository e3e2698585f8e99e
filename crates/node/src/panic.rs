//! A panic while a command is applied names the command.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crossbook_engine::Partition;

/// Applies commands to a partition. If it panics, the log names the command; the panic propagates.
pub fn naming<T>(partition: &mut Partition, apply: impl FnOnce(&mut Partition) -> T) -> T {
    match catch_unwind(AssertUnwindSafe(|| apply(partition))) {
        Ok(applied) => applied,
        Err(panic) => {
            let (id, sequence) = (partition.id(), partition.sequence());
            tracing::error!(
                partition = id.0,
                sequence = sequence.0,
                "command {sequence} of partition {id} cannot be applied: the program found that it must not go on. \
                 Every start will end here. Report it; a newer program may apply it. To pass it over: `crossbook skip \
                 --sequence {sequence}`, see \"A command that cannot be applied\" in docs/operations.md"
            );
            resume_unwind(panic)
        }
    }
}
