//! Backups of a venue in one process, taken while it runs, and their restoration.
//!
//! A backup is a prefix of an object store, or a folder:
//!
//! ```text
//!   manifest.json                                    what belongs to the backup, written last
//!   segments/00000000000000000001-5f0c9a1e.log       a segment of the log, without the zeros at its end
//!   segments/00000000000000120345-8be2d7f3.log       the last one, up to the last complete record
//!   states/00000000000000100000-8be2d7f3.bin         the newest snapshot
//! ```
//!
//! Only what the manifest names belongs to the backup. The manifest is replaced as a whole, after everything that it
//! names was written and read back, so an interrupted run leaves the previous backup intact. A finished segment is
//! copied once, by the first run that finds it; the last one is copied by each run, because it grows. Objects that a
//! new manifest no longer names stay until the next run, for readers, and are removed then.
//!
//! A finished segment changes all the same when the operator skips a record (`crossbook skip`). The log lists skipped
//! records, and the manifest those that are marked in the backup. A run copies the first segment in which they differ,
//! and all that follow, again.
//!
//! One run at a time: a folder is locked during a run, and everywhere a run gives up if it finds another manifest than
//! the one that it began with. A backup never becomes shorter or diverges: the log must have the last record of the
//! previous backup, with the same time.
//!
//! The log is read as by any reader beside its writer ([`Until::End`](crossbook_log::Until::End)): each record is
//! verified, and the copy ends with the last complete one. Everything acknowledged before the run began is in it. A
//! record that is written but not yet synced may be too; it may still be acknowledged, so the copy is a prefix of the
//! log like any other. A segment counts as finished only when the next one has begun, which happens only once all of it
//! is durable.
//!
//! The snapshot is read before the log, so the log reaches at least as far. It lets a restored venue start quickly and,
//! if the log was trimmed, replaces the missing beginning.

mod manifest;
mod repository;
mod restore;
mod take;
mod target;

use std::path::PathBuf;

use crossbook_types::Sequence;

pub use manifest::{Manifest, Segment, Stored};
pub use repository::Repository;
pub use restore::{Restored, restore};
pub use take::{Began, Options, Source, Taken, take};
pub use target::{Target, UNFINISHED};

/// How far a backup or its restoration is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The last record copied.
    pub at: Sequence,
    /// Number of segments copied.
    pub segments: usize,
    /// Segments that there are to copy, as far as is known.
    pub segments_of: usize,
    /// Number of bytes copied.
    pub bytes: u64,
}

/// Why a backup cannot be taken or restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read, or what was restored does not open.
    #[error(transparent)]
    Log(#[from] crossbook_log::Error),
    /// The snapshots cannot be read.
    #[error(transparent)]
    Snapshots(#[from] crossbook_node::snapshot::Error),
    /// The repository cannot be used.
    #[error("cannot {action} {address}: {source}")]
    Repository {
        /// The operation that failed.
        action: &'static str,
        /// The folder or the object-store URL.
        address: String,
        /// The error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file of the target cannot be written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// The operation that failed.
        action: &'static str,
        /// Path of the file.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// There is no backup.
    #[error(
        "there is no backup in {0}: it has no manifest.json; give the target that `crossbook backup --out` was given"
    )]
    Absent(String),
    /// There is the beginning of one.
    #[error(
        "the backup in {address} was never finished: there are {objects} objects of one, but no manifest.json; run \
         `crossbook backup` to its end there, or use another backup"
    )]
    Unfinished {
        /// The folder or the object-store URL.
        address: String,
        /// The number of entries.
        objects: usize,
    },
    /// The manifest is not what was written.
    #[error("the manifest of the backup in {address} cannot be used: {reason}; use another backup")]
    Manifest {
        /// The folder or the object-store URL.
        address: String,
        /// A description of the error.
        reason: String,
    },
    /// A part of the backup is not what was written.
    #[error(
        "the backup in {address} is damaged: {object} {reason}; use another backup, and take a new one in another target"
    )]
    Damaged {
        /// The folder or the object-store URL.
        address: String,
        /// Name of the object.
        object: String,
        /// The reason.
        reason: String,
    },
    /// What was just written cannot be read back.
    #[error(
        "{object} in {address} does not read back as it was written ({reason}); the previous backup is unchanged. Do not \
         trust this target"
    )]
    NotReadBack {
        /// The folder or the object-store URL.
        address: String,
        /// Name of the object.
        object: String,
        /// The reason.
        reason: String,
    },
    /// The backup is of another log.
    #[error("{address} has a backup of another venue (log {found}, not {expected}); give another target")]
    Foreign {
        /// The folder or the object-store URL.
        address: String,
        /// The log that is to be copied.
        expected: String,
        /// The log that the backup is of.
        found: String,
    },
    /// The backup is of the same log, which has since gone another way.
    #[error(
        "{address} has a backup of this log up to record {last}, but the log does not continue it: the data folder was \
         restored from an older copy, or has lost its end. Keep that backup, and give another target"
    )]
    Diverged {
        /// The folder or the object-store URL.
        address: String,
        /// The last record of the backup that is to be there for good.
        last: Sequence,
    },
    /// Another run is at work in the same repository.
    #[error("another `crossbook backup` is running in {0}; wait for its end, or give another target")]
    Busy(String),
    /// Another run has replaced the backup meanwhile.
    #[error(
        "another `crossbook backup` has replaced the backup in {0} while this one ran; that backup is valid, and this \
         run has changed nothing. Run one at a time"
    )]
    Overtaken(String),
    /// The log has lost its beginning, and nothing stands for it.
    #[error(
        "the log begins at record {first}, and no valid snapshot reaches it, so a backup of it could not be restored; \
         check the snapshots"
    )]
    NoSnapshot {
        /// Where the log begins.
        first: Sequence,
    },
    /// A snapshot proves that there were more records.
    #[error(
        "the log ends at record {end}, before the snapshot at {snapshot}: records are missing, so the previous backup \
         is not replaced"
    )]
    LogBehind {
        /// The end of the log.
        end: Sequence,
        /// Where the snapshot stands.
        snapshot: Sequence,
    },
    /// It is not known where the log began.
    #[error("cannot tell where the log began: {0}")]
    Began(Box<dyn std::error::Error + Send + Sync>),
    /// The log is trimmed faster than it is copied.
    #[error("the log was trimmed {0} times while it was copied; take backups more often, or snapshots less often")]
    Trimmed(usize),
    /// The target has something in it.
    #[error(
        "{} is not empty; restore into a folder that does not exist yet, or is empty. Nothing was changed",
        .0.display()
    )]
    Occupied(PathBuf),
    /// What was restored is not what was backed up.
    #[error(
        "the restored log ends at record {found} of log {found_log}, not at {expected} of log {expected_log}: the \
         backup is damaged; use another one"
    )]
    Other {
        /// Where it should end.
        expected: Sequence,
        /// Which log it should be.
        expected_log: String,
        /// Where it ends.
        found: Sequence,
        /// Which log it is.
        found_log: String,
    },
}
