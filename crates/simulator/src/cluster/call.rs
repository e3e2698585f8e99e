//! The calls of processes to a shard.

use crossbook_cluster::store::{
    Checkpoint, Confirm, Confirmed, Deliver, ErrorKind, PartitionOutcome, PartitionTurn, ReadAfter, Turn,
};
use crossbook_types::{PartitionId, RequestNumber, Sequence, Timestamp};

/// A process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Process {
    Worker(usize),
    Gateway(usize),
}

/// A thread of a process: it has the conversation with one shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Actor {
    pub(super) process: Process,
    pub(super) shard: usize,
}

/// A connection, seen from its owner.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    /// Which master it is to, and the number of the conversation; none while it is not connected.
    pub(super) with: Option<Peer>,
    /// The call in flight.
    pub(super) waiting: Option<u64>,
    /// How often it broke in a row.
    pub(super) tries: u32,
}

/// The other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Peer {
    /// Which master of the shard.
    pub(super) epoch: u64,
    /// The number of the call that has opened the conversation.
    pub(super) conversation: u64,
}

/// What the process has applied last of a partition, if anything since its start.
pub(super) type Last = (PartitionId, Option<(Sequence, Timestamp, Vec<u8>)>);

/// The part of a turn for one partition; see [`PartitionTurn`].
#[derive(Clone, Default, Debug)]
pub(super) struct Part {
    pub(super) partition: PartitionId,
    /// From whom, the first one's number, and the bytes of each.
    pub(super) deliver: Vec<(PartitionId, RequestNumber, Vec<Vec<u8>>)>,
    pub(super) append: Option<Vec<Vec<u8>>>,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) commands: Option<ReadAfter>,
    pub(super) notify: bool,
}

/// A turn on its way.
#[derive(Clone, Debug)]
pub(super) struct OwnedTurn {
    pub(super) parts: Vec<Part>,
    pub(super) confirm: Confirm,
}

fn owned(payloads: &[&[u8]]) -> Vec<Vec<u8>> {
    payloads.iter().map(|bytes| bytes.to_vec()).collect()
}

impl From<&PartitionTurn<'_>> for Part {
    fn from(turn: &PartitionTurn<'_>) -> Self {
        let letters = |of: &Deliver<'_>| (of.from, of.first, owned(&of.messages));
        Self {
            partition: turn.partition,
            deliver: turn.deliver.iter().map(letters).collect(),
            append: turn.append.map(owned),
            checkpoint: turn.checkpoint,
            commands: turn.commands,
            notify: turn.notify,
        }
    }
}

impl From<&Turn<'_>> for OwnedTurn {
    fn from(turn: &Turn<'_>) -> Self {
        let parts = turn.partitions.iter().map(Part::from).collect();
        Self { parts, confirm: turn.confirm }
    }
}

impl OwnedTurn {
    /// Whether it appends requests.
    pub(super) fn appends(&self) -> bool {
        self.parts.iter().any(|part| part.append.as_ref().is_some_and(|append| !append.is_empty()))
    }
}

/// A question or an order.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// Opens a conversation. Do the logs still hold these commands?
    Hello(Vec<Last>),
    /// Partitions join a conversation. Do their logs still hold these commands?
    Resume(Vec<Last>),
    /// A turn.
    Turn(OwnedTurn),
}

/// Whether a log holds what a process has applied last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Held {
    Yes,
    /// It holds another command there, or none.
    Forked,
    /// That command is trimmed.
    Trimmed,
    /// The partition is moving to another shard, or has moved.
    Elsewhere,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// To a greeting, and, in the same conversation, to partitions that join.
    Hello {
        with: Peer,
        /// By partition, how its log holds what it should.
        logs: Vec<(PartitionId, Held)>,
    },
    Turned {
        partitions: Vec<Result<PartitionOutcome, ErrorKind>>,
        confirmed: Confirmed,
    },
    /// The connection is no more.
    Broken,
}
