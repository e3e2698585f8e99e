//! Events for the history, from the events that a partition has published. Nothing is applied a second time.
//!
//! The published events need not reach back to the first command. A snapshot has the views that follow from all earlier
//! events, so the source starts from the last snapshot at or before the position of the tables.

use std::collections::VecDeque;

use crossbook_engine::Partition;
use crossbook_node::recovery::Which;
use crossbook_node::snapshot::{self, Image, Saved, UpTo};
use crossbook_projection::Projection;
use crossbook_protocol::{Cause, Event};
use crossbook_store::{Contradiction, Live, Position, Source, SourceError};
use crossbook_types::{PartitionId, Sequence, Timestamp};
use crossbook_views::{Limits, State, Views};

use super::everything;

/// How many commands' events are read at a time.
const COMMANDS_AT_ONCE: usize = 512;

/// A command's cause and events.
pub type Entry = (Cause, Vec<Event>);

/// The events that a partition has published, in order, once they are durable.
pub trait PublishedEvents {
    /// The events of the next commands after `after`, of at most `max` commands; empty if there are none yet, `None` if
    /// they have been trimmed.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read(&mut self, after: Sequence, max: usize) -> Result<Option<Vec<Entry>>, SourceError>;

    /// Up to where the history has everything, as it was last noted beside them.
    ///
    /// # Errors
    /// When it cannot be read.
    fn noted(&mut self) -> Result<Sequence, SourceError>;
}

/// Why the history cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tables are ahead of the published events.
    #[error(
        "the history is at command {history} of partition {partition}, but the partition's stream ends at {published}: \
         commands are missing in it; restore the store from a backup or a replica that has them, or give them up with \
         `crossbook store rebuild --cluster --discard-newer`"
    )]
    Ahead {
        /// Of which partition.
        partition: PartitionId,
        /// The position of the tables.
        history: Sequence,
        /// Where the published events end.
        published: Sequence,
    },
    /// The tables have other commands.
    #[error(
        "command {position} of the history is not the one that partition {partition} published, whose log has \
         diverged: restore the store that the history was made from, give this venue a database of its own, or give up \
         what only the history has with `crossbook store rebuild --cluster --discard-newer`"
    )]
    Diverged {
        /// Of which partition.
        partition: PartitionId,
        /// The position of the tables.
        position: Sequence,
    },
    /// The next events have been trimmed.
    #[error(
        "the events of partition {partition} after command {after} have been trimmed, and no snapshot replaces them; \
         rebuild the history"
    )]
    Trimmed {
        /// Of which partition.
        partition: PartitionId,
        /// The last command before them.
        after: Sequence,
    },
    /// Events are missing in between.
    #[error(
        "partition {partition} published command {found} right after {after}: those in between are lost; restore them \
         from a replica"
    )]
    Gap {
        /// Of which partition.
        partition: PartitionId,
        /// The last command before.
        after: Sequence,
        /// The next one found.
        found: Sequence,
    },
    /// A snapshot cannot be used.
    #[error("snapshot {sequence} of partition {partition} {reason}; remove it, or correct the snapshot address")]
    Snapshot {
        /// Of which partition it should be.
        partition: PartitionId,
        /// The command's place in the log.
        sequence: Sequence,
        /// The error.
        reason: String,
    },
    /// The first events have been trimmed, and no snapshot replaces them.
    #[error(
        "the first events of partition {0} have been trimmed, and no valid snapshot replaces them; restore a snapshot \
         from a backup"
    )]
    NoBeginning(PartitionId),
    /// The venue stops.
    #[error("the venue stops")]
    Interrupted,
}

/// The published events of one partition, as a source of the history.
#[derive(Debug)]
pub struct PublishedSource<T, S> {
    which: Which,
    events: T,
    snapshots: S,
    live: Live,
    /// Read, and not yet folded.
    ahead: VecDeque<Entry>,
}

impl<T: PublishedEvents, S: Saved> PublishedSource<T, S> {
    /// The published `events` of a partition, with the snapshots of it and its views. Reports to `live` how far the
    /// events reach; give the same to the recorder.
    #[must_use]
    pub fn new(which: Which, events: T, snapshots: S, live: Live) -> Self {
        Self { which, events, snapshots, live, ahead: VecDeque::new() }
    }

    /// The next events; `None` if they have been trimmed.
    fn read(&mut self, after: Sequence, max: usize) -> Result<Option<Vec<Entry>>, SourceError> {
        let Some(found) = self.events.read(after, max)? else { return Ok(None) };
        let partition = self.which.partition;
        let mut last = after;
        for (cause, _) in &found {
            if cause.sequence != last.next() {
                return Err(Error::Gap { partition, after: last, found: cause.sequence }.into());
            }
            last = cause.sequence;
        }
        if last > self.live.position() {
            self.live.reach(last);
        }
        Ok(Some(found))
    }

    /// The next events; an error if they have been trimmed.
    fn read_on(&mut self, after: Sequence, max: usize) -> Result<Vec<Entry>, SourceError> {
        let trimmed = Error::Trimmed { partition: self.which.partition, after };
        self.read(after, max)?.ok_or_else(|| trimmed.into())
    }

    /// A snapshot; `None` if it is damaged or cannot be read. Why it cannot be read is put into `unread`.
    fn image(
        &self,
        sequence: Sequence,
        unread: &mut Option<snapshot::Error>,
    ) -> Result<Option<Image<State>>, SourceError> {
        let partition = self.which.partition;
        let bytes = match self.snapshots.load(sequence) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                tracing::warn!(%partition, %sequence, "snapshot is damaged or of another version; using another");
                return Ok(None);
            }
            Err(error) => {
                tracing::warn!(%partition, %sequence, %error, "snapshot cannot be read; using another");
                *unread = Some(error);
                return Ok(None);
            }
        };
        let image: Image<State> = snapshot::decode(&bytes).map_err(|error| self.unusable(sequence, error))?;
        if self.which.is_of(&image.partition) {
            Ok(Some(image))
        } else {
            Err(self.unusable(sequence, "is of another partition, or of a venue that is routed in another way").into())
        }
    }

    fn unusable(&self, sequence: Sequence, reason: impl ToString) -> Error {
        Error::Snapshot { partition: self.which.partition, sequence, reason: reason.to_string() }
    }

    /// The views as they were at a position.
    fn views_at(
        &mut self,
        position: Sequence,
        limits: &Limits,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Views, SourceError> {
        let (mut views, mut unread) = (Views::new(limits.clone()), None);
        for sequence in UpTo(&self.snapshots, position).list()? {
            if let Some(image) = self.image(sequence, &mut unread)? {
                let restored = Views::restore(image.follower, limits.clone());
                views = restored.map_err(|error| self.unusable(sequence, error))?;
                break;
            }
        }
        loop {
            let at = views.position().map_or(Sequence(0), |cause| cause.sequence);
            if at == position {
                return Ok(views);
            }
            if interrupted() {
                return Err(Error::Interrupted.into());
            }
            let left = usize::try_from(position.0 - at.0).unwrap_or(usize::MAX);
            let Some(found) = self.read(at, left.min(COMMANDS_AT_ONCE))? else {
                // A snapshot that cannot be read now may lead there.
                return match unread {
                    Some(error) => Err(error.into()),
                    None => Err(Error::Trimmed { partition: self.which.partition, after: at }.into()),
                };
            };
            if found.is_empty() {
                let partition = self.which.partition;
                let error = Error::Ahead { partition, history: position, published: at };
                return Err(Contradiction(error.to_string()).into());
            }
            for (cause, events) in &found {
                views.apply_all(*cause, events);
            }
        }
    }

    /// A projection for empty tables.
    fn begin(&mut self) -> Result<Projection, SourceError> {
        let partition = self.which.partition;
        if self.read(Sequence(0), 1)?.is_some() {
            return Ok(Projection::resume(partition, Views::new(Projection::limits()), Sequence(0)));
        }
        let mut unread = None;
        // The oldest intact one from which the events continue: the more of the past, the better.
        for sequence in self.snapshots.list()?.into_iter().rev() {
            if self.read(sequence, 1)?.is_none() {
                continue;
            }
            let Some(Image { partition: state, follower }) = self.image(sequence, &mut unread)? else { continue };
            tracing::warn!(%partition, %sequence, "the partition's first events are gone; the history begins with a snapshot");
            let views = Views::restore(follower, everything()).map_err(|error| self.unusable(sequence, error))?;
            let state = Partition::restore(state, self.which.hash_seed);
            let state = state.map_err(|error| self.unusable(sequence, error))?;
            return Ok(Projection::open(&state, partition, &views));
        }
        unread.map_or_else(|| Err(Error::NoBeginning(partition).into()), |error| Err(error.into()))
    }
}

impl<T: PublishedEvents, S: Saved> Source for PublishedSource<T, S> {
    fn time_after(&mut self, position: Sequence) -> Result<Option<Timestamp>, SourceError> {
        let found = self.read(position, 1)?.unwrap_or_default();
        Ok(found.first().map(|(cause, _)| cause.time))
    }

    fn noted(&mut self) -> Result<Sequence, SourceError> {
        self.events.noted()
    }

    fn seek(&mut self, position: Position, interrupted: &dyn Fn() -> bool) -> Result<Projection, SourceError> {
        self.ahead.clear();
        if position.sequence == Sequence(0) {
            return self.begin();
        }
        let partition = self.which.partition;
        let views = self.views_at(position.sequence, &Projection::limits(), interrupted)?;
        if views.position().is_some_and(|cause| cause.time != position.time) {
            let error = Error::Diverged { partition, position: position.sequence };
            return Err(Contradiction(error.to_string()).into());
        }
        Ok(Projection::resume(partition, views, position.complete_from))
    }

    /// Folds all published events, also those after `until`: they are durable.
    fn pull(&mut self, projection: &mut Projection, _: Sequence, rows_max: usize) -> Result<(), SourceError> {
        while !projection.is_full(rows_max) {
            if self.ahead.is_empty() {
                self.ahead = self.read_on(projection.position(), COMMANDS_AT_ONCE)?.into();
            }
            let Some((cause, events)) = self.ahead.pop_front() else { break };
            projection.follow(cause, &events);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "published_tests.rs"]
mod tests;
