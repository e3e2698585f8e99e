//! What processes tell of the commands that they apply. Whoever applies one first advances the partition without
//! faults.

use crossbook_types::{PartitionId, Sequence};

use super::World;
use super::call::Process;
use super::unit::COMPARE_EVERY;
use crate::violation::{Check, Violation, ensure};

/// After so many commands the views of gateways are compared with what they must be.
const COMPARE_VIEWS_EVERY: u64 = 64;
/// So many of these are remembered.
const VIEWS_MAX: usize = 48;
/// After so many commands the money in all partitions is added up.
const SUM_EVERY: u64 = 8;

impl World {
    /// A process has applied a command, and tells what it causes.
    pub(super) fn hear(
        &mut self,
        process: Process,
        partition: PartitionId,
        sequence: Sequence,
        bytes: &[u8],
    ) -> Result<(), Violation> {
        if sequence > self.observer.position(partition) {
            let next = self.observer.position(partition).next();
            ensure!(sequence == next, Published, "{process:?} tells of {sequence} of partition {partition} too soon");
            self.observe(process, partition)?;
        }
        let due = &self.observer.published(partition)[sequence.0 as usize - 1];
        ensure!(
            due.bytes == bytes,
            Published,
            "{process:?} tells of command {sequence} of partition {partition} in other words"
        );
        Ok(())
    }

    /// Applies the next command of a partition to the one without faults; a process has applied it.
    pub(super) fn observe(&mut self, process: Process, partition: PartitionId) -> Result<(), Violation> {
        let sequence = self.observer.position(partition).next();
        let shard = self.shard(partition);
        let is_confirmed = shard.is_confirmed(partition, sequence);
        let found = shard.stream(partition).get(sequence).cloned();
        ensure!(
            is_confirmed,
            Durable,
            "{process:?} applies {sequence} of partition {partition}, which is not confirmed"
        );
        let Some((time, payload)) = found else {
            let lost = format!("command {sequence} of partition {partition} was applied, and is not in the log");
            return Err(Violation::new(Check::Durable, lost));
        };
        let command = crossbook_protocol::wire::decode_command(sequence, time, &payload)
            .map_err(|error| Violation::new(Check::Durable, format!("record {sequence}: {error}")))?;
        self.observer.take(partition, &command)?;
        if self.commands().is_multiple_of(SUM_EVERY) {
            self.observer.check_together()?;
        }
        if sequence.0.is_multiple_of(COMPARE_EVERY) {
            let hash = crossbook_engine::state_hash(&self.observer.reference(partition).state());
            self.hashes.insert((partition, sequence), hash);
        }
        if sequence.0.is_multiple_of(COMPARE_VIEWS_EVERY) {
            self.views.insert((partition, sequence), self.observer.views(partition).state());
            if self.views.len() > VIEWS_MAX {
                let oldest = self.views.keys().min_by_key(|(_, sequence)| *sequence).copied();
                oldest.and_then(|oldest| self.views.remove(&oldest));
            }
        }
        Ok(())
    }
}
