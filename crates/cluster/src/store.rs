//! The store of a cluster's logs, as a trait that providers implement.
//!
//! Each partition has one stream of *commands*, numbered from 1 without gaps. Gateways append to it, and so do those
//! who deliver the messages of other partitions. What commands cause is stored nowhere: every process that wants to
//! know applies them to a partition of its own.
//!
//! Partitions are placed in *shards*, which fail and are confirmed as a whole. A [`PartitionStore`] is one conversation
//! with one shard; [`Connect`] opens it. Its unit is a [`Turn`]: for each partition of the shard what to deliver,
//! append and read, all in one round trip that one confirmation can end. [`Link`] is the same for one partition.
//!
//! # The contract
//! 1. Commands are in the order in which they were appended, with times that never go back.
//! 2. Nothing is certain to survive before a turn has *confirmed* it. A failover removes an unconfirmed end of the
//!    streams, and whatever else was written after it in that shard, but nothing in between.
//! 3. A partition's messages to another are accepted once and in order: the receiver's shard counts them, as durably as
//!    the messages themselves.
//! 4. A command that is marked as skipped is read with the mark in every conversation that begins later, and a
//!    conversation that has read it without the mark is refused its next turn.
//! 5. Reading a trimmed position returns an error.
//! 6. A closed partition appends nothing that its [`Closing`] refuses, in whichever conversation.
//!
//! Notifications ([`Connect::subscribe`]) are hints: any of them may be lost, late, or without a reason.
//!
//! `conformance` (a feature) is the suite that every provider passes. `docs/internals/partition-store.md` describes how
//! providers implement each of these, and how one without conditional appends could.

mod closing;
#[cfg(feature = "conformance")]
pub mod conformance;
mod depth;
mod error;
mod link;
mod reader;

use std::time::Duration;

use crossbook_types::{PartitionId, RequestNumber, Sequence, Timestamp};

pub use closing::{Closing, Refuses};
pub use depth::{BookDepth, DepthChange, DepthLevel};
pub use error::{ErrorKind, Failure, StoreError};
pub use link::Link;
pub use reader::StoreReader;

/// Opens conversations with the shards of a store.
pub trait Connect {
    /// A conversation with one shard.
    type Store: PartitionStore;
    /// Notifications of one shard.
    type Subscription: Subscription;

    /// Opens a conversation with the shard of `partition`.
    ///
    /// # Errors
    /// A transient failure when no server answers for that shard now, another when the store refuses for good.
    fn connect(&self, partition: PartitionId) -> Result<Self::Store, ErrorOf<Self>>;

    /// Subscribes to notifications about these partitions, which are all in one shard. Those that have moved elsewhere
    /// are left out, if one has not. After a notification the subscription rests, so that those that come soon after it
    /// cost little.
    ///
    /// # Errors
    /// As for [`Connect::connect`].
    fn subscribe(&self, partitions: &[PartitionId], rest: Duration) -> Result<Self::Subscription, ErrorOf<Self>>;

    /// Groups partitions by their shard, as far as the store knows now. Where a partition is may change later; a turn
    /// is then refused for it as [`ErrorKind::Elsewhere`], and asking again after that gives the new groups.
    ///
    /// # Errors
    /// As for [`Connect::connect`].
    fn shards(&self, partitions: &[PartitionId]) -> Result<Vec<Vec<PartitionId>>, ErrorOf<Self>>;

    /// The most that one append or delivery takes, and a whole turn.
    fn bounds(&self) -> Bounds;
}

/// Notifications that a shard has new commands.
pub trait Subscription {
    /// Waits for a notification. Returns whether one came in time.
    ///
    /// # Errors
    /// When the connection is lost; another subscription is needed then.
    fn wait(&mut self, timeout: Duration) -> Result<bool, Failure>;
}

/// How the store of a [`Connect`] fails.
pub type ErrorOf<C> = <<C as Connect>::Store as PartitionStore>::Error;

/// The most that one append takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// How many commands.
    pub records_max: usize,
    /// How many bytes they have together.
    pub bytes_max: usize,
    /// How many commands a turn appends and delivers, for all its partitions together; and how many it reads.
    pub turn_records_max: usize,
    /// How many bytes those have that it appends and delivers.
    pub turn_bytes_max: usize,
}

/// One conversation with one shard of the store. It blocks, for a time that its provider bounds, and belongs to one
/// thread. After an error it must be dropped and another opened, except where the error states that nothing happened.
pub trait PartitionStore {
    /// How it fails.
    type Error: StoreError;

    /// The address of the server at the other end, for log lines.
    fn address(&self) -> &str;

    /// Executes a turn in one round trip: first all writes, partition by partition in the order of the fields of
    /// [`PartitionTurn`], then the reads, then the confirmation, then the notification.
    ///
    /// # Errors
    /// When the turn may not have arrived, or was refused as a whole. Errors of one partition are in the [`Outcome`].
    fn turn(&mut self, turn: &Turn<'_>) -> Result<Outcome<Self::Error>, Self::Error>;

    /// Why the last confirmation did not hold, as an error.
    fn not_confirmed(&self) -> Self::Error;

    /// Where the stream of a partition begins and ends, confirmed or not.
    ///
    /// # Errors
    /// Failures of the store.
    fn ends(&mut self, partition: PartitionId) -> Result<Ends, Self::Error>;

    /// Reads commands from a place on, confirmed or not, without waiting; none when the stream ends before it.
    ///
    /// # Errors
    /// [`ErrorKind::Trimmed`] when the command at `from` is gone, and failures of the store.
    fn read(
        &mut self,
        partition: PartitionId,
        from: Sequence,
        records_max: usize,
    ) -> Result<Vec<StoredCommand>, Self::Error>;

    /// Gives up the beginning of the stream up to and including this place. What is not cheap to drop may stay.
    ///
    /// # Errors
    /// Failures of the store.
    fn trim(&mut self, partition: PartitionId, up_to: Sequence) -> Result<(), Self::Error>;

    /// Marks a command as skipped, for every conversation that begins from now on; later turns of the others that
    /// concern the partition are refused as [`ErrorKind::Marked`]. The mark is confirmed when this returns. If a
    /// checkpoint shows that the command was applied, nothing is marked, and the checkpoint's place is returned.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] or [`ErrorKind::Trimmed`] when there is no such command, [`ErrorKind::NotConfirmed`], and
    /// failures of the store.
    fn mark_skipped(&mut self, partition: PartitionId, sequence: Sequence) -> Result<Option<Sequence>, Self::Error>;

    /// Closes a partition in every conversation, or opens it again with `None`. From then on a turn that would append
    /// what the closing refuses writes nothing to the partition, and is refused as [`ErrorKind::Closed`]; a delivery of
    /// nothing but what was received before appends nothing. Reading goes on. It is confirmed when this returns.
    ///
    /// # Errors
    /// [`ErrorKind::NotConfirmed`], and failures of the store.
    fn close(&mut self, partition: PartitionId, closing: Option<&Closing>) -> Result<(), Self::Error>;

    /// Whether a partition is closed.
    ///
    /// # Errors
    /// Failures of the store, and a closing that this program does not understand.
    fn closing(&mut self, partition: PartitionId) -> Result<Option<Closing>, Self::Error>;

    /// Takes the lease of a partition for a while, or renews it: of the processes that ask under different names one
    /// gets it. Nothing that must be right may depend on it, because a failover can lose it.
    ///
    /// # Errors
    /// Failures of the store.
    fn lease(&mut self, partition: PartitionId, name: &str, duration: Duration) -> Result<bool, Self::Error>;

    /// Writes changes of the depth of some books. Returns for each whether the stored depth is at least as recent now;
    /// if not, changes in between are missing, and the whole book must be written.
    ///
    /// # Errors
    /// Failures of the store.
    fn write_depth(&mut self, partition: PartitionId, changes: &[DepthChange<'_>]) -> Result<Vec<bool>, Self::Error>;

    /// The depth of a market's book, if this partition has it.
    ///
    /// # Errors
    /// Failures of the store, and a value that is no depth.
    fn read_depth(&mut self, partition: PartitionId, symbol: &str) -> Result<Option<BookDepth>, Self::Error>;

    /// Sets a note beside the streams of a partition; a text without blanks. It is as durable as an append.
    ///
    /// # Errors
    /// Failures of the store.
    fn set_note(&mut self, partition: PartitionId, note: Note, value: &str) -> Result<(), Self::Error>;

    /// A note as it was last set.
    ///
    /// # Errors
    /// Failures of the store.
    fn note(&mut self, partition: PartitionId, note: Note) -> Result<Option<String>, Self::Error>;
}

/// What is noted beside the streams of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// The position of a history that another process writes: what it needs must not be trimmed.
    HistoryWritten,
    /// The name of the export that is imported into the partition.
    Import,
}

/// What one round trip asks of a shard.
#[derive(Clone, Default, Debug)]
pub struct Turn<'a> {
    /// The parts of the turn by partition; all are in the shard.
    pub partitions: Vec<PartitionTurn<'a>>,
    /// Whether to wait until everything that is in the shard by then is on all replicas that count.
    pub confirm: Confirm,
}

/// The confirmation that ends a turn.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Confirm {
    /// It ends with none.
    #[default]
    No,
    /// Only if the replicas are known to have everything already, without a write and without waiting for them.
    IfKnown,
    /// It waits for the replicas.
    Wait,
}

/// The part of a turn for one partition. The fields are executed in their order.
#[derive(Clone, Default, Debug)]
pub struct PartitionTurn<'a> {
    /// The partition.
    pub partition: PartitionId,
    /// Messages of other partitions.
    pub deliver: &'a [Deliver<'a>],
    /// Commands to append, wherever the stream ends. With no commands it only asks for the end.
    pub append: Option<&'a [&'a [u8]]>,
    /// A checkpoint to compare with those of other processes.
    pub checkpoint: Option<Checkpoint>,
    /// Commands to read.
    pub commands: Option<ReadAfter>,
    /// Whether to notify those who have subscribed to the partition, once the turn is confirmed.
    pub notify: bool,
}

/// What a process has computed from the commands up to a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The last of these commands.
    pub sequence: Sequence,
    /// A hash of what some of the commands caused.
    pub hash: u64,
}

/// Messages of one partition to another.
#[derive(Clone, Debug)]
pub struct Deliver<'a> {
    /// The partition that sends.
    pub from: PartitionId,
    /// The number of the first message. If earlier ones are missing at the receiver, nothing is appended; those that it
    /// has received are left out.
    pub first: RequestNumber,
    /// The messages. Without any, the turn only asks for the last message that the receiver has.
    pub messages: Vec<&'a [u8]>,
}

/// A reading of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadAfter {
    /// What follows this place is wanted.
    pub after: Sequence,
    /// So many at most; 0 counts as 1.
    pub records_max: usize,
}

/// The result of a turn.
#[derive(Debug)]
pub struct Outcome<E> {
    /// For each partition of the turn its result, in the order of the turn.
    pub partitions: Vec<Result<PartitionOutcome, E>>,
    /// What is confirmed.
    pub confirmed: Confirmed,
}

/// What the replicas are known to have after a turn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Confirmed {
    /// Nothing is known.
    Nothing,
    /// Everything that the conversation's turn before has written and read.
    Before,
    /// Everything that this turn has written and read.
    All,
}

/// The result of a turn for one partition.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PartitionOutcome {
    /// For each delivery what the receiver had and has of its sender.
    pub delivered: Vec<Delivered>,
    /// Where the commands were appended, if there were any to append, or where they end.
    pub appended: Option<Appended>,
    /// The hash of the checkpoint at the same place that was stored first; `None` if none is stored there any more.
    pub checkpoint: Option<u64>,
    /// The commands read, in order, without gaps. There may be fewer than asked for although there are more.
    pub commands: Vec<StoredCommand>,
    /// Whether there may be more commands to read.
    pub has_more: bool,
}

/// The last message of a sender that the receiver has, before and after a delivery. If `last` is smaller than the first
/// of the delivery minus one, messages are missing in between, and nothing was appended.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Delivered {
    /// Before: the delivery has appended the messages after it.
    pub before: RequestNumber,
    /// After it.
    pub last: RequestNumber,
}

/// Where commands were appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The place of the first.
    pub first: Sequence,
    /// The place of the last; one before `first` when there were none.
    pub last: Sequence,
    /// The time that all of them have; when there were none, the time that a command appended now would have.
    pub time: Timestamp,
}

/// Where the stream of a partition begins and ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    /// The first command that is still there; one past `tail` when there is none.
    pub first: Sequence,
    /// The last command.
    pub tail: Sequence,
    /// The last command's time.
    pub time: Timestamp,
}

/// A command with its position in its stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredCommand {
    /// Its place.
    pub sequence: Sequence,
    /// When it was appended.
    pub time: Timestamp,
    /// Its bytes, with [`crossbook_log::skip::SKIPPED`] set in the first if it is marked as skipped.
    pub payload: Vec<u8>,
}
