//! The calls of processes to a shard.

use crossbook_cluster::store::Appended;
use crossbook_types::{PartitionId, RequestNumber, Sequence, Timestamp};

/// A process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Process {
    Worker(usize),
    Gateway(usize),
}

/// A thread of a process that has a connection of its own to one shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Actor {
    /// Runs a partition.
    Seat { worker: usize, partition: usize },
    /// Carries messages to a partition.
    Forwarder { worker: usize, to: usize },
    /// Appends requests to a partition's log.
    Appender { gateway: usize, partition: usize },
    /// Follows a partition's outputs.
    Follower { gateway: usize, partition: usize },
}

impl Actor {
    pub(super) fn process(self) -> Process {
        match self {
            Self::Seat { worker, .. } | Self::Forwarder { worker, .. } => Process::Worker(worker),
            Self::Appender { gateway, .. } | Self::Follower { gateway, .. } => Process::Gateway(gateway),
        }
    }

    pub(super) fn shard(self) -> usize {
        match self {
            Self::Seat { partition, .. } | Self::Appender { partition, .. } | Self::Follower { partition, .. } => {
                partition
            }
            Self::Forwarder { to, .. } => to,
        }
    }
}

/// A connection, seen from its owner.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    /// Which master it is to; none while it is not connected.
    pub(super) epoch: Option<u64>,
    /// The call in flight.
    pub(super) waiting: Option<u64>,
    /// How often it broke in a row.
    pub(super) tries: u32,
}

/// A message from one partition to another: from whom, the first one's number, and the bytes of each.
pub(super) type Letter = (PartitionId, RequestNumber, Vec<Vec<u8>>);

/// A question or an order.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// Connects. Does the log still hold this record? And is the shard sound?
    Hello { holds: Option<(Sequence, Timestamp, Vec<u8>)>, durable: bool },
    /// A worker's round trip.
    Turn {
        publish_after: Sequence,
        entries: Vec<Vec<u8>>,
        read_after: Sequence,
        records_max: usize,
        wait_us: u64,
        barrier: bool,
        /// Outputs to read: after which, and how many at most.
        compare: Option<(Sequence, usize)>,
    },
    /// A gateway's requests; without any it asks where the log ends.
    Append { payloads: Vec<Vec<u8>>, backlog_max: u64 },
    /// Messages of partitions.
    Deliver { letters: Vec<Letter>, barrier: bool },
    /// Waits for the next output.
    Follow { after: Sequence, records_max: usize, wait_us: u64 },
}

impl Request {
    /// How long the store itself may wait before it answers.
    pub(super) fn wait_us(&self) -> u64 {
        match self {
            Self::Turn { wait_us, .. } | Self::Follow { wait_us, .. } => *wait_us,
            _ => 0,
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Hello {
        epoch: u64,
        published: Sequence,
        held: bool,
    },
    Turned {
        published: Sequence,
        records: Vec<(Sequence, Timestamp, Vec<u8>)>,
        durable: bool,
        outputs: Vec<(Sequence, Vec<u8>)>,
    },
    Appended(Appended),
    Full,
    Delivered {
        received: Vec<RequestNumber>,
    },
    Followed {
        entries: Vec<(Sequence, Vec<u8>)>,
    },
    /// What was to be read next is trimmed.
    Trimmed,
    /// Outputs of commands that are not there were to be published.
    Forked,
    /// A barrier did not hold.
    NotDurable,
    /// The connection is no more.
    Broken,
}
