//! The store of a cluster's logs, as a trait that providers implement.
//!
//! Each partition has two streams. Gateways and other partitions append *commands* (`in`); workers publish *outputs*
//! (`out`), which contain the effects of each command. Output n belongs to command n, and both are numbered from 1
//! without gaps.
//!
//! Partitions are placed in *shards*, which fail and are confirmed as a whole. A [`PartitionStore`] is one conversation
//! with one shard; [`Connect`] opens it. Its unit is a [`Turn`]: for each partition of the shard what to publish,
//! deliver, append and read, all in one round trip that one confirmation can end. [`Link`] is the same for one
//! partition.
//!
//! # The contract
//! 1. Commands are in the order in which they were appended, with times that never go back.
//! 2. Nothing is certain to survive before a turn has *confirmed* it. A failover removes an unconfirmed end of the
//!    streams, and whatever else was written after it in that shard, but nothing in between.
//! 3. Outputs are published only at the end of `out` that the publisher states, so a second publisher of the same
//!    outputs has no effect and no gap can arise. Outputs of commands that are not in the stream are refused as a fork.
//! 4. A partition's messages to another are accepted once and in order: the receiver's shard counts them, as durably as
//!    the messages themselves.
//! 5. A command that is marked as skipped is read with the mark in every conversation that begins later, and a
//!    conversation that has read it without the mark cannot publish any more.
//! 6. Trimming removes no command whose output is not published, and reading a trimmed position returns an error.
//!
//! `conformance` (a feature) is the suite that every provider passes. `docs/internals/partition-store.md` describes how
//! providers implement each of these, and how one without conditional appends could.

#[cfg(feature = "conformance")]
pub mod conformance;
mod depth;
mod error;
mod link;
mod reader;

use std::time::Duration;

use crossbook_types::{PartitionId, RequestNumber, Sequence, Timestamp};

pub use depth::{BookDepth, DepthChange, DepthLevel};
pub use error::{ErrorKind, Failure, Full, StoreError};
pub use link::Link;
pub use reader::StoreReader;

/// Opens conversations with the shards of a store.
pub trait Connect {
    /// A conversation with one shard.
    type Store: PartitionStore;

    /// Opens a conversation with the shard of `partition`.
    ///
    /// # Errors
    /// A transient failure when no server answers for that shard now, another when the store refuses for good.
    fn connect(&self, partition: PartitionId) -> Result<Self::Store, ErrorOf<Self>>;

    /// The most that one append takes.
    fn bounds(&self) -> Bounds;
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
}

/// One conversation with one shard of the store. It blocks, for a time that its provider bounds, and belongs to one
/// thread. After an error it must be dropped and another opened, except where the error states that nothing happened.
pub trait PartitionStore {
    /// How it fails.
    type Error: StoreError;

    /// The address of the server at the other end, for log lines.
    fn address(&self) -> &str;

    /// Executes a turn in one round trip: first all writes, partition by partition in the order of the fields of
    /// [`PartitionTurn`], then the reads, then the confirmation.
    ///
    /// # Errors
    /// When the turn may not have arrived, or was refused as a whole. Errors of one partition are in the [`Outcome`].
    fn turn(&mut self, turn: &Turn<'_>) -> Result<Outcome<Self::Error>, Self::Error>;

    /// Why the last confirmation did not hold, as an error.
    fn not_confirmed(&self) -> Self::Error;

    /// Where the streams of a partition begin and end, confirmed or not.
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

    /// Gives up the beginnings of both streams up to and including these places, but no command of which no output is
    /// published. What is not cheap to drop may stay.
    ///
    /// # Errors
    /// Failures of the store.
    fn trim(
        &mut self,
        partition: PartitionId,
        commands_up_to: Sequence,
        outputs_up_to: Sequence,
    ) -> Result<(), Self::Error>;

    /// Marks a command as skipped, for every conversation that begins from now on; turns of the others that publish are
    /// refused as [`ErrorKind::Marked`]. The mark is confirmed when this returns. If the command's output is published
    /// already, nothing is marked, and the last published command is returned.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] or [`ErrorKind::Trimmed`] when there is no such command, [`ErrorKind::NotConfirmed`], and
    /// failures of the store.
    fn mark_skipped(&mut self, partition: PartitionId, sequence: Sequence) -> Result<Option<Sequence>, Self::Error>;

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
    /// The position of a history that another process writes: later outputs must not be trimmed.
    HistoryWritten,
    /// The name of the export that is imported into the partition.
    Import,
}

/// What one round trip asks of a shard.
#[derive(Clone, Default, Debug)]
pub struct Turn<'a> {
    /// The parts of the turn by partition; all are in the shard.
    pub partitions: Vec<PartitionTurn<'a>>,
    /// How long the store may wait for something to read when there is nothing. It may return sooner all the same.
    pub wait: Duration,
    /// Whether to wait until everything that is in the shard by then is on all replicas that count.
    pub confirm: bool,
}

/// The part of a turn for one partition. The fields are executed in their order.
#[derive(Clone, Default, Debug)]
pub struct PartitionTurn<'a> {
    /// The partition.
    pub partition: PartitionId,
    /// Outputs to publish. With no outputs it only asks where they end.
    pub publish: Option<Publish<'a>>,
    /// Messages of other partitions.
    pub deliver: &'a [Deliver<'a>],
    /// Commands of a gateway. With no commands it only asks where they end.
    pub append: Option<Append<'a>>,
    /// Commands to read.
    pub commands: Option<ReadAfter>,
    /// Outputs to read.
    pub outputs: Option<ReadAfter>,
}

/// Outputs to publish.
#[derive(Clone, Copy, Debug)]
pub struct Publish<'a> {
    /// Where the outputs must end now; otherwise nothing is published.
    pub after: Sequence,
    /// What the commands after that caused, one output each. Their size is not checked: what a confirmed command caused
    /// must be published.
    pub outputs: &'a [&'a [u8]],
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

/// Commands to append, wherever the stream ends.
#[derive(Clone, Copy, Debug)]
pub struct Append<'a> {
    /// The commands.
    pub payloads: &'a [&'a [u8]],
    /// How many commands may wait for their outputs then; with more, none of these is appended.
    pub backlog_max: u64,
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
    /// Whether everything that was in the shard at the end of the turn is confirmed. Always false unless
    /// [`Turn::confirm`].
    pub confirmed: bool,
}

/// The result of a turn for one partition.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PartitionOutcome {
    /// The end of the outputs now, if the turn published or asked.
    pub published: Option<Sequence>,
    /// For each delivery the number of the last message of its sender that the receiver has. If it is smaller than the
    /// first of the delivery minus one, messages are missing in between, and nothing was appended.
    pub received: Vec<RequestNumber>,
    /// Where the commands were appended, if there were any to append, or where they end.
    pub appended: Option<Result<Appended, Full>>,
    /// The commands read, in order, without gaps.
    pub commands: Vec<StoredCommand>,
    /// The outputs read, in order, without gaps.
    pub outputs: Vec<StoredOutput>,
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
    /// Where the outputs ended: `last` minus this many commands wait to be executed.
    pub published: Sequence,
}

/// Where both streams of a partition begin and end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    /// The first command that is still there; one past `tail` when there is none.
    pub first: Sequence,
    /// The last command.
    pub tail: Sequence,
    /// The last command's time.
    pub time: Timestamp,
    /// The last command whose output is published.
    pub published: Sequence,
    /// The first output that is still there; one past `published` when there is none.
    pub outputs_first: Sequence,
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

/// An output with its position in its stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredOutput {
    /// The place of the command that caused it.
    pub sequence: Sequence,
    /// Its bytes.
    pub payload: Vec<u8>,
}
