//! A command that cannot be applied: naming it, and skipping it.
//!
//! A panic while a command is applied ends the process, and because the command is in the log, every later start and,
//! in a cluster, every worker. [`naming`](crate::panic::naming) makes the panic name the command. An operator who
//! decides that the venue continues without it marks it in the log ([`of_files`]; in a cluster
//! `crossbook_cluster::skip`). From then on every reader of the log finds the mark, and the command is applied as a
//! refusal ([`crossbook_protocol::Refusal::Skipped`]), so its sender gets an answer and every copy of the venue the
//! same state.

use std::path::Path;

use crossbook_log::storage::Disk;
use crossbook_log::{FileReader, Reader as _, Record, Until, skip};
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::{Body, Command};
use crossbook_types::{PartitionId, Sequence};

use crate::snapshot::{self, Saved};

// The log's mark and the decoder's mark are the same bit.
const _: () = assert!(skip::SKIPPED == crossbook_protocol::wire::SKIPPED);

/// Why a command is not skipped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read or marked.
    #[error(transparent)]
    Log(#[from] crossbook_log::Error),
    /// Snapshots cannot be listed.
    #[error(transparent)]
    Snapshots(#[from] snapshot::Error),
    /// There is no such command.
    #[error(
        "the log of partition {partition} has no command {sequence}; the number is in the log lines of the process \
         that ended"
    )]
    NoCommand {
        /// Of which partition.
        partition: PartitionId,
        /// The command's place in the log.
        sequence: Sequence,
    },
    /// The record is no command.
    #[error("record {sequence} is not a command that this program can read: {source}")]
    Command {
        /// The command's place in the log.
        sequence: Sequence,
        /// The underlying error.
        source: crossbook_protocol::wire::Error,
    },
    /// It was applied.
    #[error(
        "command {sequence} was applied: {proof} contains its effects. Only a command that no process could apply can \
         be skipped"
    )]
    Applied {
        /// The command's place in the log.
        sequence: Sequence,
        /// What proves it.
        proof: String,
    },
    /// Other partitions rely on it.
    #[error(
        "command {sequence} is {kind}, by which another partition settles what it has done already: without it money \
         or an account is missing here, which every audit will report, or orders stay open that a countdown was to \
         cancel. Find a version that applies it; if there is none, --force skips it"
    )]
    ReliedOn {
        /// The command's place in the log.
        sequence: Sequence,
        /// What it is.
        kind: &'static str,
    },
}

/// A command that is skipped from now on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// The skipped command.
    pub command: Command,
    /// Whether it was before.
    pub before: bool,
}

/// Marks a command of an embedded venue that does not run. `force` also where another partition relies on it.
///
/// # Errors
/// [`Error`]; nothing has changed then.
pub fn of_files(log: &Path, snapshots: &impl Saved, sequence: Sequence, force: bool) -> Result<Skipped, Error> {
    let partition = PartitionId(0);
    let mut reader = FileReader::open(log, sequence.max(Sequence(1)));
    let Some(record) = reader.next(Until::End)?.filter(|record| record.sequence == sequence) else {
        return Err(Error::NoCommand { partition, sequence });
    };
    let skipped = look_at(record, force)?;
    if let Some(last) = snapshots.list()?.first().filter(|last| **last >= sequence) {
        return Err(Error::Applied { sequence, proof: format!("the snapshot at command {last}") });
    }
    skip::mark(&Disk::at(log), sequence)?;
    Ok(skipped)
}

/// Which command a record to be skipped is, and whether it may be skipped; with `force` also if another partition
/// relies on it.
///
/// # Errors
/// [`Error::Command`], and [`Error::ReliedOn`] without `force`.
pub fn look_at(record: Record<'_>, force: bool) -> Result<Skipped, Error> {
    let sequence = record.sequence;
    let before = skip::is_marked(record.payload);
    let command = crossbook_protocol::wire::decode_command(sequence, record.time, record.payload)
        .map_err(|source| Error::Command { sequence, source })?;
    let kind = match &command.body {
        Body::Peer(message) => relied_on(message),
        _ => None,
    };
    match kind.filter(|_| !force) {
        Some(kind) => Err(Error::ReliedOn { sequence, kind }),
        None => Ok(Skipped { command, before }),
    }
}

/// What a message is whose effect nothing makes up for.
fn relied_on(message: &PeerMessage) -> Option<&'static str> {
    match message {
        PeerMessage::Settle(_) | PeerMessage::SettleInto { .. } => Some("the settlement of a trade"),
        PeerMessage::Release { .. } | PeerMessage::Reduce { .. } => Some("the release of an order's funds"),
        PeerMessage::Shift { .. } => Some("the transfer of an order's funds to the one that replaces it"),
        PeerMessage::PayFee { .. } => Some("the payment of a trade's fee"),
        PeerMessage::CancelOrders { .. } => Some("the cancels of a countdown that has passed"),
        PeerMessage::CancelFrozen { .. } => Some("the cancels of an account that was frozen"),
        PeerMessage::Registry(_) => Some("news of an asset, a market or an account"),
        PeerMessage::CountOrders { .. } | PeerMessage::OrdersCounted { .. } => Some("the count of an account's orders"),
        PeerMessage::Admit(_)
        | PeerMessage::Cancel { .. }
        | PeerMessage::CancelAll { .. }
        | PeerMessage::Amend { .. }
        | PeerMessage::Replace(_)
        | PeerMessage::AdmitList(_)
        | PeerMessage::CancelList { .. }
        | PeerMessage::Session { .. }
        | PeerMessage::Continue => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbook_protocol::wire::encode_command;
    use crossbook_types::{AccountId, Amount, HoldId, RequestNumber, SourceId, Timestamp};

    #[test]
    fn what_another_partition_relies_on_is_skipped_with_force_only() {
        let (account, hold, amount) = (AccountId(1_001), HoldId(7), Amount(5));
        let relied = [
            PeerMessage::CancelOrders { account, symbol: None },
            PeerMessage::CancelFrozen { account },
            PeerMessage::Release { account, hold },
            PeerMessage::Reduce { account, hold, amount },
            PeerMessage::PayFee { account, hold, amount },
            PeerMessage::Shift { account, from: hold, to: HoldId(8), amount },
        ];
        for (message, free) in relied.into_iter().map(|message| (message, false)).chain([(PeerMessage::Continue, true)])
        {
            let mut payload = Vec::new();
            let body = Body::Peer(message);
            encode_command(SourceId(1 << 40), RequestNumber(1), None, &body, &mut payload);
            let record = || Record { sequence: Sequence(3), time: Timestamp(9), payload: &payload };
            match look_at(record(), false) {
                Ok(skipped) => assert!(free && skipped.command.body == body),
                Err(refused) => assert!(!free && matches!(refused, Error::ReliedOn { .. }), "{refused}"),
            }
            assert_eq!(look_at(record(), true).unwrap().command.body, body);
        }
    }
}
