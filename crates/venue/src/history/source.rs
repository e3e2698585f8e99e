//! Events for the history, from the log: its commands, applied to a partition of the history's own.

use std::path::{Path, PathBuf};

use crossbook_engine::Partition;
use crossbook_log::{FileReader, Reader, Record, Until};
use crossbook_node::recovery::{self, Recovered, Which};
use crossbook_node::snapshot::{Folder, Saved as _, UpTo};
use crossbook_projection::Projection;
use crossbook_protocol::Events;
use crossbook_store::{Contradiction, Position, Source, SourceError};
use crossbook_types::{Sequence, Timestamp};
use crossbook_views::{Limits, Views};

use super::note::Note;
use super::{PARTITION, everything};

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

/// The events of a log in segment files, which another thread may be writing.
#[derive(Debug)]
pub struct LogSource {
    log: PathBuf,
    snapshots: Folder,
    /// How far the log may be read.
    durable: Sequence,
    hash_seed: u64,
    partition: Partition,
    reader: FileReader,
    events: Events,
    /// Where it is noted how far the history is, if it is.
    note: Option<Note>,
}

impl LogSource {
    /// The events of the log in `log`, which is durable up to `durable`, with the snapshots that were made from it.
    #[must_use]
    pub fn new(log: &Path, snapshots: Folder, durable: Sequence, hash_seed: u64) -> Self {
        Self {
            log: log.to_owned(),
            snapshots,
            durable,
            hash_seed,
            partition: Partition::new(PARTITION, crossbook_protocol::Routing::single(), hash_seed),
            reader: FileReader::open(log, Sequence(1)),
            events: Events::new(),
            note: None,
        }
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
    pub fn is_whole(&self) -> Result<bool, recovery::Error> {
        if self.durable == Sequence(0) {
            return Ok(true);
        }
        let mut first = FileReader::open(&self.log, Sequence(1));
        match first.next(Until::Durable(Sequence(1))) {
            Ok(_) => Ok(true),
            Err(crossbook_log::Error::Trimmed { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves the partition to a position, and returns the views of that position.
    fn go_to(&mut self, position: Sequence, limits: Limits, interrupted: &dyn Fn() -> bool) -> Result<Views, Error> {
        let log = &self.log;
        let recovered = recovery::recover(
            &Which::single(self.hash_seed),
            &UpTo(&self.snapshots, position),
            |from| Interruptible { reader: FileReader::open(log, from), interrupted },
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
        self.reader = FileReader::open(log, position.next());
        Ok(follower)
    }

    /// A projection for empty tables.
    fn begin(&mut self, interrupted: &dyn Fn() -> bool) -> Result<Projection, Error> {
        if self.is_whole()? {
            let views = self.go_to(Sequence(0), Projection::limits(), interrupted)?;
            return Ok(Projection::resume(PARTITION, views, Sequence(0)));
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
            return Ok(Projection::open(&self.partition, PARTITION, &views));
        }
        Err(Error::NoBeginning)
    }
}

impl Source for LogSource {
    fn time_after(&mut self, position: Sequence) -> Result<Option<Timestamp>, SourceError> {
        let mut next = position.next();
        loop {
            match FileReader::open(&self.log, next).next(Until::Durable(next)) {
                Ok(record) => return Ok(record.map(|record| record.time)),
                Err(crossbook_log::Error::Trimmed { first, .. }) if first > next => next = first,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn noted(&mut self) -> Result<Sequence, SourceError> {
        Ok(self.note.as_ref().map_or(Ok(Sequence(0)), Note::read)?)
    }

    fn note(&mut self, position: Sequence, now: bool) {
        if let Some(note) = &mut self.note {
            note.write(position, now);
        }
    }

    fn seek(&mut self, position: Position, interrupted: &dyn Fn() -> bool) -> Result<Projection, SourceError> {
        if position.sequence == Sequence(0) {
            return Ok(self.begin(interrupted)?);
        }
        if position.sequence > self.durable {
            let error = Error::Ahead { history: position.sequence, log: self.durable };
            return Err(Contradiction(error.to_string()).into());
        }
        let views = self.go_to(position.sequence, Projection::limits(), interrupted)?;
        if self.partition.time() != position.time {
            return Err(Contradiction(Error::Diverged { position: position.sequence }.to_string()).into());
        }
        Ok(Projection::resume(PARTITION, views, position.complete_from))
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
struct Interruptible<'a> {
    reader: FileReader,
    interrupted: &'a dyn Fn() -> bool,
}

impl Reader for Interruptible<'_> {
    fn next(&mut self, until: Until) -> Result<Option<Record<'_>>, crossbook_log::Error> {
        if (self.interrupted)() { Ok(None) } else { self.reader.next(until) }
    }
}
