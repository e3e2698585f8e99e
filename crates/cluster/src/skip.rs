//! Skips a command of a cluster that cannot be applied; see [`crossbook_node::skip`] for the meaning.

use crossbook_log::Record;
use crossbook_node::skip::{Error as Refused, Skipped, look_at};
use crossbook_types::{PartitionId, Sequence};

use crate::store::{Connect, Failure, Link, StoreError};

/// Why a command is not skipped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It must not be.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store of the logs cannot be read or marked.
    #[error("the store of the logs: {0}")]
    Store(Failure),
}

impl<E: StoreError> From<E> for Error {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

/// Marks a command of a partition of a cluster. Processes find the mark when they start; those that run end, or stand
/// still at the command. A checkpoint that shows that a process has applied the command prevents the mark.
///
/// # Errors
/// [`Error`]; nothing has changed then.
pub fn mark(stores: &impl Connect, partition: PartitionId, sequence: Sequence, force: bool) -> Result<Skipped, Error> {
    let mut link = Link::connect(stores, partition)?;
    let found = if sequence == Sequence(0) { None } else { link.read(sequence, 1)?.into_iter().next() };
    let Some(found) = found else { return Err(Refused::NoCommand { partition, sequence }.into()) };
    let skipped = look_at(Record { sequence, time: found.time, payload: &found.payload }, force)?;
    match link.mark_skipped(sequence)? {
        None => Ok(skipped),
        Some(applied) => {
            let proof = format!("a checkpoint of the partition, at command {applied},");
            Err(Refused::Applied { sequence, proof }.into())
        }
    }
}
