//! The durable log, from which all state of a venue derives.
//!
//! Every change to a partition is a command in its log. [`Log`] is the writing end and its contract, [`Reader`] the
//! reading end; [`files`] implements both with segment files in a folder. `conformance` (a feature) is the suite that
//! every provider must pass, with an in-memory storage that loses power, fills up and rots on request.
//!
//! ```text
//!            first                       durable          tail
//!              |                            |               |
//!   - - - -+---v---+-------+-------+----+---v---+-------+---v---+
//!    1 2 3 |   4   |   5   |   6   | .. |   9   |  10   |  11   |   12: the next append
//!   - - - -+-------+-------+-------+----+-------+-------+-------+
//!    trimmed          safe: survives            buffered: a crash may
//!    away             any crash, and may        keep none of it, all of it,
//!                     be published             or its beginning
//! ```
//!
//! - `append` moves `tail` to the right. Nothing is promised about the record yet.
//! - `sync` moves `durable` to `tail`. Records at or left of `durable` survive any crash.
//! - `trim` moves `first` to the right, by whole segments, never past `durable`.
//! - A crash moves `tail` to the left, never past `durable`. Recovery then makes the rest durable: a record that was
//!   read once after a restart is never lost later.
//!
//! An empty log has `first` 1, `durable` 0 and `tail` 0.

mod batch;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod files;
#[cfg(feature = "conformance")]
pub mod memory;
mod reader;
mod record;
mod recovery;
mod segment;
pub mod skip;
pub mod storage;
mod verifier;

use crossbook_types::{Sequence, Timestamp};

pub use batch::BatchStats;
pub use error::{Damage, Error};
pub use files::{Files, Trimmer};
pub use reader::FileReader;
pub use record::PAYLOAD_BYTES_MAX;
pub use recovery::{Recovery, Torn};
pub use segment::VERSION as SEGMENT_VERSION;
pub use verifier::{Verified, Verifier};

/// One command's bytes at its place in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Its place: 1 for the first record, then without gaps.
    pub sequence: Sequence,
    /// When the command was accepted, in microseconds since the Unix epoch. The log keeps it and does not interpret it.
    pub time: Timestamp,
    /// The command, in whatever form the caller gave it.
    pub payload: &'a [u8],
}

/// The writing end of a log. There is one per log.
///
/// # The contract
/// 1. After `sync` returned `n`, the records up to `n` survive any crash of the process or the machine, bit for bit.
/// 2. After a crash the log holds a prefix of what was appended: no gaps, no reordering, no record that was never
///    appended. The prefix reaches at least to the last `durable` that was returned.
/// 3. Once `append`, `sync` or `trim` fails on storage, every later call fails with [`Error::Poisoned`]: after a failed
///    sync the operating system may show bytes that the disk does not have. The caller ends the process; the next start
///    recovers from what the disk really holds. Records of the failed batch may or may not be there then.
/// 4. [`Error::RecordTooLarge`] and [`Error::BatchFull`] change nothing and leave the log usable.
pub trait Log {
    /// Buffers a record after the last one. It is not durable yet, and no reader may see it.
    ///
    /// # Errors
    /// [`Error::RecordTooLarge`], [`Error::BatchFull`] (sync, then try again), [`Error::Poisoned`], or a failure of the
    /// storage.
    ///
    /// # Panics
    /// When the record's sequence is not the one after [`Log::tail`]: the caller has miscounted, and continuing would
    /// order the venue's history wrongly.
    fn append(&mut self, record: Record<'_>) -> Result<(), Error>;

    /// Makes everything appended durable, in one write and one sync, and returns the last durable sequence. With
    /// nothing buffered it touches nothing and returns what is durable.
    ///
    /// # Errors
    /// A failure of the storage; the log is then poisoned. Nothing of the batch may be acknowledged.
    fn sync(&mut self) -> Result<Sequence, Error>;

    /// The last record appended.
    fn tail(&self) -> Sequence;

    /// The last record known to be durable.
    fn durable(&self) -> Sequence;

    /// The first record still kept; one past [`Log::durable`] when there is none.
    fn first(&self) -> Sequence;

    /// Gives up records up to and including `up_to`, once a snapshot stands for them. The log drops what is cheap to
    /// drop (whole segments) and may keep the rest; it never drops a record after `up_to`.
    ///
    /// # Errors
    /// A failure of the storage; the log is then poisoned.
    ///
    /// # Panics
    /// When `up_to` is not durable: no snapshot may stand for what can still be lost.
    fn trim(&mut self, up_to: Sequence) -> Result<(), Error>;

    /// How much the last [`Log::sync`] that had something to do made durable. For metrics.
    fn last_batch(&self) -> BatchStats;
}

/// How far a [`Reader`] may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// Up to this record, which is durable. The only choice while the log is being written. A record up to here that is
    /// missing or bad is damage.
    Durable(Sequence),
    /// To the end of a log that no process is writing. A torn tail ends the reading as the end of the log does.
    End,
}

/// The reading end of a log: streams records in order from a given one, and checks each. It shares nothing with the
/// writer but the storage, so it may live in another thread, or in an audit of a stopped venue.
pub trait Reader {
    /// The next record, or `None` when there is none up to `until`; after `None` the reader can be asked again with a
    /// later bound. The record borrows the reader's buffer, which is reused.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the record is damaged, [`Error::Trimmed`] when it has been dropped, or a failure of the
    /// storage.
    fn next(&mut self, until: Until) -> Result<Option<Record<'_>>, Error>;
}
