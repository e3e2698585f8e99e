//! Events for the history, from the log: its commands, applied to a partition of the history's own.

use std::path::{Path, PathBuf};

use crossbook_engine::Partition;
use crossbook_log::{FileReader, Reader, Record, Until};
use crossbook_node::recovery::{self, Recovered, Which};
use crossbook_node::snapshot::{Folder, Saved, UpTo};
use crossbook_projection::Projection;
use crossbook_protocol::Events;
use crossbook_store::{Contradiction, Position, Source, SourceError};
use crossbook_types::{Sequence, Timestamp};
use crossbook_views::{Limits, Views};

use super::everything;
use super::note::Note;

/// Why the history cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tables have commands that the log does not have.
    #[error(
        "the history is at command {history}, but the log ends at {log}: commands are missing in the log; restore it \
         from a backup that has them, or discard them with --discard-newer"
    )]
    Ahead {
        /// The position of the tables.
        history: Sequence,
        /// The end of the log.
        log: Sequence,
    },
    /// The tables have other commands than the log.
    #[error(
        "command {position} of the history is not the one in the log: the log was restored, or copied, and has \
         diverged since; restore the one that the history was made from, give this venue a database of its own, or \
         give up what only the history has with --discard-newer"
    )]
    Diverged {
        /// The position of the tables.
        position: Sequence,
    },
    /// The log no longer has the next command.
    #[error(
        "the log begins after command {position}, the position of the history, and there is no earlier snapshot; \
         rebuild the history with `crossbook store rebuild`"
    )]
    Trimmed {
        /// The position of the tables.
        position: Sequence,
    },
    /// The log has lost its first commands, and no snapshot replaces them.
    #[error("the log has lost its beginning, and no snapshot is valid; restore the data folder from a backup")]
    NoBeginning,
    /// The log or a snapshot cannot be read.
    #[error(transparent)]
    Recovery(#[from] recovery::Error),
    /// The venue stops.
    #[error("the venue stops")]
    Interrupted,
}

/// A partition's log, as the history reads it while others write it.
pub trait HistoryLog {
    /// Reads it.
    type Reader: Reader;

    /// A reader of the commands from a place on.
    fn open(&self, from: Sequence) -> Self::Reader;

    /// The last command that no failure can take back.
    ///
    /// # Errors
    /// When that cannot be found out now.
    fn durable(&self) -> Result<Sequence, SourceError>;

    /// Up to where the history has everything, as it was last noted beside the log; 0 if it never was.
    ///
    /// # Errors
    /// When it cannot be read.
    fn noted(&self) -> Result<Sequence, SourceError> {
        Ok(Sequence(0))
    }
}

/// A log in segment files.
#[derive(Debug)]
pub struct LogFolder {
    path: PathBuf,
    durable: Sequence,
}

impl HistoryLog for LogFolder {
    type Reader = FileReader;

    fn open(&self, from: Sequence) -> FileReader {
        FileReader::open(&self.path, from)
    }

    fn durable(&self) -> Result<Sequence, SourceError> {
        Ok(self.durable)
    }
}

/// The events of a partition's log, which others may be writing.
#[derive(Debug)]
pub struct LogSource<L: HistoryLog = LogFolder, S = Folder> {
    which: Which,
    log: L,
    snapshots: S,
    /// How far the log may be read, as far as is known.
    durable: Sequence,
    partition: Partition,
    reader: L::Reader,
    events: Events,
    /// Where it is noted how far the history is, if it is.
    note: Option<Note>,
}

impl LogSource {
    /// The events of the log in the folder `log`, which is durable up to `durable`, with the snapshots that were made
    /// from it.
    #[must_use]
    pub fn new(log: &Path, snapshots: Folder, durable: Sequence, hash_seed: u64) -> Self {
        Self::of(Which::single(hash_seed), LogFolder { path: log.to_owned(), durable }, snapshots)
    }
}

impl<L: HistoryLog, S: Saved> LogSource<L, S> {
    /// The events of a partition's log, with the snapshots that were made from it.
    #[must_use]
    pub fn of(which: Which, log: L, snapshots: S) -> Self {
        let partition = Partition::new(which.partition, which.routing.clone(), which.hash_seed);
        let reader = log.open(Sequence(1));
        Self { which, log, snapshots, durable: Sequence(0), partition, reader, events: Events::new(), note: None }
    }

    /// The same, which notes how far the history is.
    #[must_use]
    pub fn noting(self, note: Note) -> Self {
        Self { note: Some(note), ..self }
    }

    /// Whether the log still has its first command.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_whole(&self) -> Result<bool, SourceError> {
        if self.durable.max(self.log.durable()?) == Sequence(0) {
            return Ok(true);
        }
        match self.log.open(Sequence(1)).next(Until::Durable(Sequence(1))) {
            Ok(_) => Ok(true),
            Err(crossbook_log::Error::Trimmed { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves the partition to a position, and returns the views of that position.
    fn go_to(&mut self, position: Sequence, limits: Limits, interrupted: &dyn Fn() -> bool) -> Result<Views, Error> {
        let log = &self.log;
        let recovered = recovery::recover(
            &self.which,
            &UpTo(&self.snapshots, position),
            |from| Interruptible { reader: log.open(from), interrupted },
            Until::Durable(position),
            Views::new(limits),
            |_| (),
        );
        let Recovered { partition, follower, .. } = match recovered {
            Err(recovery::Error::Log(crossbook_log::Error::Trimmed { .. })) => return Err(Error::Trimmed { position }),
            recovered => recovered?,
        };
        if partition.sequence() != position {
            return Err(Error::Interrupted);
        }
        self.partition = partition;
        self.reader = self.log.open(position.next());
        Ok(follower)
    }

    /// A projection for empty tables.
    fn begin(&mut self, interrupted: &dyn Fn() -> bool) -> Result<Projection, SourceError> {
        if self.is_whole()? {
            let views = self.go_to(Sequence(0), Projection::limits(), interrupted)?;
            return Ok(Projection::resume(self.which.partition, views, Sequence(0)));
        }
        let snapshots = self.snapshots.list().map_err(recovery::Error::from)?;
        // The oldest one that is good: the more of the past, the better.
        for &snapshot in snapshots.iter().rev() {
            match self.snapshots.load(snapshot) {
                Ok(Some(_)) => {}
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(command = snapshot.0, %error, "snapshot cannot be read; skipping it");
                    continue;
                }
            }
            tracing::warn!(command = snapshot.0, "the log has lost its beginning; the history begins with a snapshot");
            let views = self.go_to(snapshot, everything(), interrupted)?;
            return Ok(Projection::open(&self.partition, self.which.partition, &views));
        }
        Err(Error::NoBeginning.into())
    }
}

impl<L: HistoryLog, S: Saved> Source for LogSource<L, S> {
    fn time_after(&mut self, position: Sequence) -> Result<Option<Timestamp>, SourceError> {
        let mut next = position.next();
        loop {
            match self.log.open(next).next(Until::Durable(next)) {
                Ok(record) => return Ok(record.map(|record| record.time)),
                Err(crossbook_log::Error::Trimmed { first, .. }) if first > next => next = first,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn noted(&mut self) -> Result<Sequence, SourceError> {
        match &self.note {
            Some(note) => Ok(note.read()?),
            None => self.log.noted(),
        }
    }

    fn note(&mut self, position: Sequence, now: bool) {
        if let Some(note) = &mut self.note {
            note.write(position, now);
        }
    }

    fn seek(&mut self, position: Position, interrupted: &dyn Fn() -> bool) -> Result<Projection, SourceError> {
        if position.sequence == Sequence(0) {
            return self.begin(interrupted);
        }
        self.durable = self.durable.max(self.log.durable()?);
        if position.sequence > self.durable {
            let error = Error::Ahead { history: position.sequence, log: self.durable };
            return Err(Contradiction(error.to_string()).into());
        }
        let views = self.go_to(position.sequence, Projection::limits(), interrupted)?;
        if self.partition.time() != position.time {
            return Err(Contradiction(Error::Diverged { position: position.sequence }.to_string()).into());
        }
        Ok(Projection::resume(self.which.partition, views, position.complete_from))
    }

    fn pull(&mut self, projection: &mut Projection, until: Sequence, rows_max: usize) -> Result<(), SourceError> {
        self.durable = self.durable.max(until);
        while projection.position() < until && !projection.is_full(rows_max) {
            // Whatever is behind `until` may be half written.
            let Some(record) = self.reader.next(Until::Durable(until))? else { break };
            let sequence = record.sequence;
            let command = crossbook_protocol::wire::decode_command(sequence, record.time, record.payload)
                .map_err(|source| recovery::Error::Command { sequence, source })?;
            crossbook_node::panic::naming(&mut self.partition, |partition| partition.apply(&command, &mut self.events));
            self.partition.drain_outgoing().for_each(drop);
            for (cause, events) in self.events.iter() {
                projection.follow(cause, events);
            }
            self.events.clear();
        }
        Ok(())
    }
}

/// A reader that ends early when it is to.
struct Interruptible<'a, R> {
    reader: R,
    interrupted: &'a dyn Fn() -> bool,
}

impl<R: Reader> Reader for Interruptible<'_, R> {
    fn next(&mut self, until: Until) -> Result<Option<Record<'_>>, crossbook_log::Error> {
        if (self.interrupted)() { Ok(None) } else { self.reader.next(until) }
    }
}
