//! The thread that writes the history of a partition to SQL, and the sources that it reads.
//!
//! In a venue of one process the thread reads the log ([`source`]). It applies the same commands to a partition of its
//! own, which costs a second copy of the state; in return trading never waits for a database, since the two share only
//! the log on disk. The thread runs at the lowest priority: on a machine that is short of CPUs the history falls behind
//! first.
//!
//! In a cluster the threads of all partitions read the logs in the store, in a process of their own.

pub mod note;
pub mod source;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use crossbook_node::{EventSink, NotAccepted};
use crossbook_protocol::Events;
use crossbook_store::{Database, History, HistoryWriter, Live, Progress, Refusal, Source};
use crossbook_types::{PartitionId, RequestNumber};
use crossbook_views::Limits;
use tokio::sync::watch;

use source::LogSource;

use crate::config::Config;
use crate::data_folder::{self, DataFolder};
use crate::priority::Background;

/// The one partition of a venue in one process.
pub const PARTITION: PartitionId = PartitionId(0);

/// Why there is no database for the history.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address names no database.
    #[error(transparent)]
    Database(#[from] crossbook_store::Error),
    /// A file would be in the wrong place.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
}

/// The database of the history, if there is one.
///
/// # Errors
/// When the address names no database, or a file that would be among those of the log or the snapshots.
pub fn database(config: &Config, data: &DataFolder) -> Result<Option<Database>, Error> {
    let database = Database::new(&config.history, data.path())?;
    if let Some(file) = database.as_ref().and_then(Database::file) {
        data.check_history_file(file)?;
    }
    Ok(database)
}

/// Limits of views that keep everything, for a history that begins with a snapshot of them.
fn everything() -> Limits {
    Limits {
        closed_orders_per_account: usize::MAX,
        closed_orders_per_market: usize::MAX,
        own_trades_per_account: usize::MAX,
        own_trades_per_market: usize::MAX,
        prevented_matches_per_market: usize::MAX,
        amendments_per_market: usize::MAX,
        operator_log: usize::MAX,
        trades_per_market: usize::MAX,
        aggregate_trades_per_market: usize::MAX,
        candles_per_interval: usize::MAX,
    }
}

/// An event sink that reports the last durable command to the history, and hands all events on to another event sink.
#[derive(Debug)]
pub struct ProgressSink<O> {
    inner: O,
    live: Live,
}

impl<O> ProgressSink<O> {
    /// Reports to `live`, and hands on to `inner`.
    pub fn new(inner: O, live: Live) -> Self {
        Self { inner, live }
    }
}

impl<O: EventSink> EventSink for ProgressSink<O> {
    fn publish(&mut self, events: &mut Events) {
        let last = events.last();
        self.inner.publish(events);
        if let Some(last) = last {
            self.live.reach(last.sequence);
        }
    }

    fn not_accepted(&mut self, number: RequestNumber, why: NotAccepted) {
        self.inner.not_accepted(number, why);
    }
}

/// A thread that writes the rows of a partition, until it is stopped.
#[derive(Debug)]
pub struct Recording {
    progress: Arc<Progress>,
    stop: watch::Sender<bool>,
    ended: Receiver<()>,
}

impl Recording {
    /// Starts the thread. It calls `first` before anything else; `failed` at its end, if it has panicked because its
    /// source contradicts itself; and `refused` at its end, if the tables refuse it or contradict the source.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn start<S: Source + Send + 'static>(
        (database, partition): (&Database, PartitionId),
        source: S,
        live: Live,
        first: impl FnOnce() + Send + 'static,
        failed: impl FnOnce(&Progress) + Send + 'static,
        refused: impl FnOnce(Refusal) + Send + 'static,
    ) -> std::io::Result<Self> {
        let progress = Arc::new(Progress::default());
        let (stop, stopped) = watch::channel(false);
        let recorder = HistoryWriter::new(database.clone(), partition, source, live, stopped, Arc::clone(&progress));
        let recorder = recorder.on_refusal(refused);
        let (end, ended) = bounded(1);
        let shared = Arc::clone(&progress);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name(format!("history-{partition}")).spawn(move || {
            first();
            let work = AssertUnwindSafe(|| runtime.block_on(recorder.run()));
            if catch_unwind(work).is_err() {
                metrics::counter!("crossbook_history_failures_total").increment(1);
                failed(&shared);
            }
            let _ = end.send(());
        })?;
        Ok(Self { progress, stop, ended })
    }

    /// The position of the tables, and what the thread is doing.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Asks the thread to write the rest, and then to end.
    pub fn ask_to_stop(&self) {
        let _ = self.stop.send(true);
    }

    /// Lets the thread write the rest, for at most `patience`. What remains is written after the next start.
    pub fn stop(&self, patience: Duration) {
        self.ask_to_stop();
        match self.ended.recv_timeout(patience) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("the history was not completed in time; the next start continues it");
            }
            Err(RecvTimeoutError::Disconnected) => {
                tracing::error!("the thread that writes the history had failed; the next start continues it");
            }
        }
    }
}

/// The thread that writes the history of a venue in one process.
#[derive(Debug)]
pub struct Keeper {
    history: History,
    recording: Recording,
}

impl Keeper {
    /// Starts the thread. `contradicted` is called with the reason if a database that could not be asked before proves
    /// that the log is not what it was.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn start(
        database: &Database,
        source: LogSource,
        live: Live,
        contradicted: impl FnOnce(String) + Send + 'static,
    ) -> std::io::Result<Self> {
        let failed = |progress: &Progress| {
            // What is folded can no longer be trusted, so nothing more is written until the next start.
            tracing::error!("the history has stopped, because what it read is impossible; trading continues");
            progress.fail("the thread that writes had to end; see the log lines, and start the venue again".to_owned());
        };
        let refused = |refusal| match refusal {
            // Its message is in the log and on the admin address; trading continues.
            Refusal::Newer(_) => {}
            Refusal::Contradicted(reason) => contradicted(reason),
        };
        let first = || Background::History.step_back();
        let recording = Recording::start((database, PARTITION), source, live, first, failed, refused)?;
        let history = History::new(database, Arc::clone(recording.progress()));
        Ok(Self { history, recording })
    }

    /// Answers queries.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The position of the tables, and what the thread is doing.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        self.recording.progress()
    }

    /// See [`Recording::stop`].
    pub fn stop(&self, patience: Duration) {
        self.recording.stop(patience);
    }
}
