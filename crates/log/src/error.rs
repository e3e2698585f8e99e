//! The errors of a log, and what to do about each. A message names the file and the byte wherever there is one, because
//! an operator may have no other information.

use std::io;

use crossbook_types::Sequence;

/// Why a log refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An earlier write, sync or removal failed. What the operating system then holds in memory may differ from what
    /// is on the disk, so nothing more can be promised by this process.
    #[error(
        "the log stopped after an earlier failure; end this process and start it again, so that it recovers from what \
         the disk really holds"
    )]
    Poisoned,

    /// The disk or the quota is full.
    #[error("no space left to {action} {file}; free space on that volume, then start again: {source}")]
    Full {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file it was done to.
        file: String,
        /// The error of the operating system.
        source: io::Error,
    },

    /// Any other failure of the operating system.
    #[error("cannot {action} {file}: {source}")]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file it was done to.
        file: String,
        /// The error of the operating system.
        source: io::Error,
    },

    /// Another process, or another log in this one, has the folder open.
    #[error("{folder} is in use by {holder}; stop it, or choose another data folder")]
    Locked {
        /// The data folder.
        folder: String,
        /// Who holds it, as far as is known.
        holder: String,
    },

    /// What the log writes to is no longer where it should be. Nothing of the batch was acknowledged.
    #[error(
        "{file} is no longer the file that this process has locked and writes to: it was moved, removed or replaced \
         meanwhile. What was acknowledged before is in the file that was moved; put it back, see that nothing else \
         uses the folder, and start again"
    )]
    Displaced {
        /// The file or the folder.
        file: String,
    },

    /// The segment to write to can be reached from another folder as well.
    #[error(
        "{file} has {names} names (hard links), so a user of the other folder writes to the same file; make it a file \
         of its own (cp -p {file} {file}.own && mv {file}.own {file}), then start again"
    )]
    Linked {
        /// Path of the segment.
        file: String,
        /// How many names it has.
        names: u64,
    },

    /// Bytes that were durable are no longer what was written. Nothing has been changed.
    #[error(
        "{file} is damaged at byte {offset}: {damage}. Nothing was changed. Keep this folder for inspection and \
         restore from a backup; do not edit or delete the file"
    )]
    Corrupt {
        /// The damaged file.
        file: String,
        /// Where in it the damage begins: the first byte of the bad record, header or filling.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
    },

    /// The segment is of a format this program does not know.
    #[error("{file} has log format {found}, this program reads format {known}; start the version that wrote it")]
    Version {
        /// Path of the segment.
        file: String,
        /// The version in its header.
        found: u32,
        /// The version this program reads and writes.
        known: u32,
    },

    /// The payload is larger than this log takes. Nothing was appended; the log can still be used.
    #[error("a record of {bytes} bytes is larger than the log's limit of {limit}")]
    RecordTooLarge {
        /// Bytes in the payload.
        bytes: usize,
        /// The most a payload may have.
        limit: usize,
    },

    /// What is buffered leaves no room for this record. Nothing was appended; sync, then append it again.
    #[error("the batch is full at {limit} bytes; sync, then append again")]
    BatchFull {
        /// The most bytes a batch may have.
        limit: usize,
    },

    /// The record asked for has been trimmed away.
    #[error("record {asked} is no longer in the log, which begins at {first}; start from a snapshot at or after it")]
    Trimmed {
        /// The requested value.
        asked: Sequence,
        /// The first record still there.
        first: Sequence,
    },

    /// The options contradict each other or the format.
    #[error("log options: {0}")]
    Options(&'static str),

    /// The store that keeps the log elsewhere refused, or could not be reached.
    #[error(transparent)]
    Store(Box<dyn std::error::Error + Send + Sync>),
}

/// What is wrong with bytes that should be good.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Damage {
    /// A segment's header fails its checksum though the segment was in use.
    #[error("the segment's header fails its checksum, yet the segment was in use")]
    Header,
    /// The header is good but names another first sequence than the file's name does.
    #[error("the header says the segment begins at {header}, the file's name says {name}")]
    Renamed {
        /// First sequence according to the header.
        header: Sequence,
        /// First sequence according to the file's name.
        name: Sequence,
    },
    /// The segment was written by another log.
    #[error("the segment belongs to another log")]
    Foreign,
    /// A record that had been durable is unreadable.
    #[error("record {expected} is unreadable, though it was durable by the time something after it was written")]
    Record {
        /// The record that should be here.
        expected: Sequence,
    },
    /// A record is whole, but not the one that belongs here.
    #[error("record {expected} belongs here, but this is record {found}, written when {durable} was durable")]
    Order {
        /// The record that should be here.
        expected: Sequence,
        /// The record that is here.
        found: Sequence,
        /// Its note of what was durable when it was written.
        durable: Sequence,
    },
    /// A segment does not continue the one before it.
    #[error("the segment should begin at record {expected}, the end of the one before it, but begins at {found}")]
    Gap {
        /// The record that should be first.
        expected: Sequence,
        /// The record that is first.
        found: Sequence,
    },
    /// A finished segment has something after its last record.
    #[error("after the segment's last record there should be nothing but zeros")]
    Filling,
    /// The log ends before a record that was durable for certain.
    #[error("the log ends before record {expected}, which is known to have been durable")]
    Missing {
        /// The record that should be here.
        expected: Sequence,
    },
}

impl Error {
    /// Wraps a failure to lock a file or folder, and distinguishes a lock held by another process from other failures.
    pub(crate) fn lock(what: &str) -> impl FnOnce(io::Error) -> Self {
        let folder = what.to_owned();
        move |error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                let holder =
                    if error.raw_os_error().is_some() { "another process".to_owned() } else { error.to_string() };
                Self::Locked { folder, holder }
            }
            _ => Self::io("lock", &folder)(error),
        }
    }

    /// Wraps a failure of the operating system, telling a full disk from the rest.
    pub(crate) fn io(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { action, file, source },
            _ => Self::Io { action, file, source },
        }
    }
}
