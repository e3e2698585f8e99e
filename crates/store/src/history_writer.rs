//! The loop that writes the history: read events, wait for more, write, repeat.
//!
//! Trading never waits for it. It reads durable events from a [`Source`] at its own pace, and holds at most one batch.
//! When the database fails, the batch is retained and the connection closed; after a delay that grows to a bound, the
//! next connection is asked for the tables' position: at the end of the batch (the commit succeeded), at its beginning
//! (it did not, and the batch is written again), or elsewhere (the tables were restored or emptied, and the source goes
//! back to there).
//!
//! With several partitions, each has a history writer that knows nothing of the others. Several processes may have one
//! for the same partition: the database admits one writer, and the next one takes over when it is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbook_projection::batch::Step;
use crossbook_projection::{Batch, Projection};
use crossbook_types::{PartitionId, Sequence, Timestamp};
use metrics::Label;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::database::{Database, Error};
use crate::options::Dialect;
use crate::progress::{Activity, Progress};
use crate::writer::{Position, Writer};

/// How often an idle venue checks whether the tables are still at their position, which also shows the server that it
/// is alive.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// So many commands behind the venue, SQLite does not rest any more.
const UNRESTING_BEHIND: u64 = 100_000;

/// How far a venue is durable: the last command whose events may be written. Telling it costs the venue one store; who
/// reads it looks again and again, so that the two never wait for each other.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<AtomicU64>);

impl Live {
    /// A venue at that position.
    #[must_use]
    pub fn new(stands: Sequence) -> Self {
        Self(Arc::new(AtomicU64::new(stands.0)))
    }

    /// Tells that the venue is durable up to there.
    pub fn reach(&self, sequence: Sequence) {
        self.0.store(sequence.0, Ordering::Release);
    }

    /// How far the venue is durable.
    #[must_use]
    pub fn position(&self) -> Sequence {
        Sequence(self.0.load(Ordering::Acquire))
    }
}

/// Why events cannot be had.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// The tables know of commands that the log they were made from does not have, or has others for. Nothing that is
/// written now would be right, and nothing that is traded now either.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Contradiction(pub String);

/// Why a history writer ends by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The tables are a newer program's. Nothing else is wrong.
    Newer(String),
    /// The first that was seen of the tables proves that the log is not what it was; see [`Contradiction`].
    Contradicted(String),
}

/// Where the events of a partition come from.
pub trait Source {
    /// The time of the first command after `position`, if it is known without reading the source.
    ///
    /// # Errors
    /// When it cannot be read.
    fn time_after(&mut self, position: Sequence) -> Result<Option<Timestamp>, SourceError> {
        let _ = position;
        Ok(None)
    }

    /// The last command that is known to be in the tables, by the last note of this process or an earlier one; 0 if
    /// there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn noted(&mut self) -> Result<Sequence, SourceError> {
        Ok(Sequence(0))
    }

    /// Notes beside the log that the tables have everything up to `position`; at leisure, or `now`. A note that is lost
    /// makes the lag look longer as long as the tables do not answer, and nothing else.
    fn note(&mut self, position: Sequence, now: bool) {
        let _ = (position, now);
    }

    /// Moves right behind the command at the position of the tables, and returns a projection that continues there. May
    /// take as long as a replay of the log; `interrupted` returns whether to stop.
    ///
    /// # Errors
    /// When that is impossible, because the log has been trimmed beyond it. A [`Contradiction`] when the log never had
    /// that command.
    fn seek(&mut self, position: Position, interrupted: &dyn Fn() -> bool) -> Result<Projection, SourceError>;

    /// Folds durable commands up to `until` into the projection, as long as it is not full with `rows_max` rows.
    ///
    /// # Errors
    /// When the events cannot be read.
    fn pull(&mut self, projection: &mut Projection, until: Sequence, rows_max: usize) -> Result<(), SourceError>;
}

/// Why the tables are not being written. All of it is tried again.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Database(#[from] Error),
    #[error("events cannot be read: {0}")]
    Source(SourceError),
}

/// Keeps the tables of a partition up with the venue.
pub struct HistoryWriter<S> {
    database: Database,
    partition: PartitionId,
    source: S,
    live: Live,
    /// Becomes true when the venue stops.
    stop: watch::Receiver<bool>,
    progress: Arc<Progress>,
    projection: Option<Projection>,
    /// What is being written.
    batch: Option<Batch>,
    /// Which partition its metrics are of, if there are several.
    labels: Vec<Label>,
    /// Whether it has been where the tables stand.
    was_there: bool,
    /// Told why it ends, if it does by itself.
    refused: Option<Box<dyn FnOnce(Refusal) + Send>>,
}

impl<S: Source> HistoryWriter<S> {
    /// A history writer of the events of `source`. `live` is the last command that may be read; `progress` gets the
    /// position.
    #[must_use]
    pub fn new(
        database: Database,
        partition: PartitionId,
        source: S,
        live: Live,
        stop: watch::Receiver<bool>,
        progress: Arc<Progress>,
    ) -> Self {
        let labels = match database.is_of_one() {
            true => Vec::new(),
            false => vec![Label::new("partition", partition.to_string())],
        };
        let (projection, batch, was_there, refused) = (None, None, false, None);
        Self { database, partition, source, live, stop, progress, projection, batch, labels, was_there, refused }
    }

    /// Calls `refused` if what it first sees of the tables proves that the log is not what it was, or they are a newer
    /// program's, and ends then. Without this, only the latter ends it.
    #[must_use]
    pub fn on_refusal(self, refused: impl FnOnce(Refusal) + Send + 'static) -> Self {
        Self { refused: Some(Box::new(refused)), ..self }
    }

    /// Runs until the venue stops, and then until everything is written or the database fails. Needs a runtime of its
    /// own, since reading the source may block for long.
    pub async fn run(mut self) {
        let longest = Duration::from_millis(self.database.options().retry_delay_max_ms.max(1));
        let shortest = (longest / 100).max(Duration::from_millis(1));
        let mut delay = shortest;
        loop {
            let before = self.progress.position();
            let Err(failure) = self.session().await else { break };
            if self.is_another_at_work(&failure) {
                // The server has waited for the other one already.
                delay = shortest;
                tokio::select! {
                    () = tokio::time::sleep(delay) => {}
                    () = stopped(&mut self.stop) => break,
                }
                continue;
            }
            metrics::counter!("crossbook_history_failures_total", self.labels.clone()).increment(1);
            metrics::gauge!("crossbook_history_connected", self.labels.clone()).set(0.0);
            match failure {
                Failure::Database(Error::Moved { .. } | Error::Foreign { .. }) => {
                    self.progress.lose();
                    self.source.note(Sequence(0), true);
                }
                Failure::Database(Error::FileLost { .. }) => {
                    self.progress.lose_file();
                    self.source.note(Sequence(0), true);
                    metrics::counter!("crossbook_history_files_lost_total", self.labels.clone()).increment(1);
                    delay = shortest;
                }
                _ => self.note(true),
            }
            self.progress.set(Activity::Failing(failure.to_string()));
            if let Some(refusal) = self.refusal(&failure) {
                tracing::error!(%failure, "the history is no longer written; the failure states what to do");
                if let Some(refused) = self.refused.take() {
                    refused(refusal);
                }
                return;
            }
            if *self.stop.borrow() {
                tracing::warn!(%failure, "the history is incomplete; the next start continues it");
                break;
            }
            if self.progress.position() != before {
                delay = shortest;
            }
            self.look_ahead();
            tracing::warn!(%failure, retry_ms = delay.as_millis(), "the history is not being written; trading continues");
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = stopped(&mut self.stop) => {}
            }
            delay = (delay * 2).min(longest);
        }
        self.note(true);
        metrics::gauge!("crossbook_history_connected", self.labels.clone()).set(0.0);
        self.progress.set(Activity::Stopped);
    }

    /// Notes where the tables stand, if that is known.
    fn note(&mut self, now: bool) {
        if let Some(position) = self.progress.status().position {
            self.source.note(position.sequence, now);
        }
    }

    /// Whether that is no use trying again.
    fn refusal(&self, failure: &Failure) -> Option<Refusal> {
        match failure {
            Failure::Database(Error::Newer { .. }) => Some(Refusal::Newer(failure.to_string())),
            // If the tables were at another position before, they have been exchanged meanwhile, which proves nothing
            // about the log.
            _ if self.was_there || self.refused.is_none() => None,
            Failure::Database(Error::Foreign { .. }) => Some(Refusal::Contradicted(failure.to_string())),
            Failure::Source(error) => {
                error.downcast_ref().map(|Contradiction(reason)| Refusal::Contradicted(reason.clone()))
            }
            Failure::Database(_) => None,
        }
    }

    /// Tells of what time the oldest command is that is not known to be in the tables, if there is one and that is not
    /// known yet.
    fn look_ahead(&mut self) {
        if self.progress.status().position.is_none() {
            match self.source.noted() {
                Ok(noted) => self.progress.assume(noted),
                Err(error) => tracing::debug!(%error, "it cannot be read where the history stood"),
            }
        }
        if self.progress.knows_what_lacks() {
            return;
        }
        let (position, live) = (self.progress.known(), self.live.position());
        // Where events are read from streams it is not known where they end before the first was read.
        if live <= position && live > Sequence(0) {
            return;
        }
        match self.source.time_after(position) {
            Ok(Some(time)) => self.progress.lacks_from(time),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the lag of the history cannot be measured"),
        }
    }

    /// Whether that is no failure: where a venue has several partitions, any number of processes may offer to write,
    /// and one does.
    fn is_another_at_work(&mut self, failure: &Failure) -> bool {
        if self.database.is_of_one() || !matches!(failure, Failure::Database(Error::Claimed)) {
            return false;
        }
        if self.progress.status().activity != Activity::Waiting {
            tracing::info!(partition = %self.partition, "another process writes the partition's history; this one is a standby");
            metrics::gauge!("crossbook_history_connected", self.labels.clone()).set(0.0);
            self.progress.lose();
            self.progress.set(Activity::Waiting);
        }
        // When it continues, the other one has written the next rows.
        (self.batch, self.projection) = (None, None);
        true
    }

    /// Writes on one connection for as long as it lasts.
    async fn session(&mut self) -> Result<(), Failure> {
        if self.progress.status().activity != Activity::Waiting {
            self.progress.set(Activity::Connecting);
        }
        let mut writer = Writer::open(&self.database, self.partition).await?;
        let result = self.follow(&mut writer).await;
        writer.close().await;
        result
    }

    async fn follow(&mut self, writer: &mut Writer) -> Result<(), Failure> {
        let position = writer.position().await?;
        if position.sequence == Sequence(0) {
            writer.clear_leftovers().await?;
        }
        self.progress.reach(position);
        self.note(true);
        self.look_ahead();
        metrics::gauge!("crossbook_history_connected", self.labels.clone()).set(1.0);
        self.find_place(position)?;
        if self.projection.is_none() {
            return Ok(());
        }
        self.was_there = true;
        self.progress.set(Activity::Following);
        loop {
            if self.batch.is_none() && !self.gather(writer).await? {
                return Ok(());
            }
            if let Some(batch) = &self.batch {
                let started = Instant::now();
                writer.write(batch).await?;
                let took = started.elapsed();
                metrics::histogram!("crossbook_history_write_seconds", self.labels.clone()).record(took.as_secs_f64());
                metrics::histogram!("crossbook_history_batch_rows", self.labels.clone()).record(batch.rows() as f64);
                metrics::counter!("crossbook_history_rows_total", self.labels.clone()).increment(batch.rows() as u64);
                self.progress.wrote(batch.rows() as u64);
                let Step { until, complete_from, .. } = batch.step();
                self.progress.reach(Position { sequence: until.sequence, time: until.time, complete_from });
                metrics::gauge!("crossbook_history_sequence", self.labels.clone()).set(until.sequence.0 as f64);
                self.batch = None;
                self.note(false);
                self.tell_begun();
                if self.database.dialect() == Dialect::Sqlite {
                    let behind = self.live.position().0.saturating_sub(until.sequence.0);
                    tokio::select! {
                        () = tokio::time::sleep(rest(took, behind)) => {}
                        () = stopped(&mut self.stop) => {}
                    }
                }
            }
        }
    }

    /// Tells of what time the oldest command is that is folded and not written.
    fn tell_begun(&self) {
        if let Some(begun) = self.projection.as_ref().and_then(Projection::begun) {
            self.progress.lacks_from(begun);
        }
    }

    /// Moves batch and projection to the position of the tables.
    fn find_place(&mut self, position: Position) -> Result<(), Failure> {
        let next = match &self.batch {
            Some(batch) if batch.until().sequence == position.sequence => {
                let until = batch.until().sequence;
                self.batch = None;
                Some(until)
            }
            Some(batch) => Some(batch.step().after),
            None => self.projection.as_ref().map(Projection::written),
        };
        if next == Some(position.sequence) {
            return Ok(());
        }
        (self.batch, self.projection) = (None, None);
        self.progress.set(Activity::Replaying);
        let stop = self.stop.clone();
        let found = self.source.seek(position, &move || *stop.borrow());
        match found {
            Ok(projection) => self.projection = Some(projection),
            // Interrupted; there is nothing to finish.
            Err(_) if *self.stop.borrow() => {}
            Err(error) => return Err(Failure::Source(error)),
        }
        Ok(())
    }

    /// Folds until there is a batch to write. False when the venue has stopped and nothing is left.
    async fn gather(&mut self, writer: &mut Writer) -> Result<bool, Failure> {
        let options = self.database.options();
        let (rows, rows_max, delay) =
            (options.batch_rows_max, options.transaction_rows_max.max(1), options.batch_delay());
        // Between two looks at the venue; no row waits longer for others than it may anyway.
        let pause = delay.clamp(Duration::from_millis(1), HEARTBEAT);
        let Some(projection) = &mut self.projection else { return Ok(false) };
        let (mut deadline, mut heard) = (None, Instant::now());
        loop {
            // A sender that is gone is a venue that is gone.
            let stopping = self.stop.has_changed().is_err() || *self.stop.borrow_and_update();
            let live = self.live.position();
            self.source.pull(projection, live, rows_max).map_err(Failure::Source)?;
            if let Some(begun) = projection.begun() {
                self.progress.lacks_from(begun);
            }
            let ended = projection.position() >= live;
            if projection.is_empty() && ended && stopping {
                return Ok(false);
            }
            if !projection.is_empty() && deadline.is_none() {
                deadline = Some(Instant::now() + delay);
            }
            let due = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if !projection.is_empty() && (due || !ended || stopping || projection.waiting_rows() >= rows) {
                self.batch = Some(projection.take());
                return Ok(true);
            }
            if heard.elapsed() >= HEARTBEAT {
                let (expected, found) = (projection.written(), writer.position().await?.sequence);
                if found != expected {
                    return Err(Error::Moved { expected: expected.0, found: found.0 }.into());
                }
                heard = Instant::now();
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopped(&mut self.stop) => {}
            }
        }
    }
}

/// How long SQLite rests after a batch. It works on the venue's own processors and disk, so it rests for as long as it
/// has worked, and half of the time belongs to trading alone. The further it is behind, the less it rests: a venue that
/// trades day and night must not leave its history ever further behind.
fn rest(worked: Duration, behind: u64) -> Duration {
    let share = UNRESTING_BEHIND.saturating_sub(behind) as f64 / UNRESTING_BEHIND as f64;
    worked.mul_f64(share)
}

/// Ends when the venue stops.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Or when nobody is left to report it.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_further_behind_the_shorter_the_rest() {
        let worked = Duration::from_millis(10);
        assert_eq!(rest(worked, 0), worked);
        assert_eq!(rest(worked, UNRESTING_BEHIND / 2), worked / 2);
        assert_eq!(rest(worked, UNRESTING_BEHIND), Duration::ZERO);
        assert_eq!(rest(worked, u64::MAX), Duration::ZERO);
    }
}
