//! The history of a venue in one process: a thread that reads the log behind the venue's back and keeps the tables up with it.
//!
//! The thread has a partition of its own, which it takes through the same commands. That costs a second copy of the state, and
//! buys that trading never waits for a database: between the two there is only the log, which is on disk anyway. The thread runs at
//! the lowest priority, so on a machine that is short of processors it is the history that falls behind.

pub mod source;
#[allow(dead_code, reason = "for partitions whose events are kept in a stream, which no command runs yet")]
pub mod told;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use crossbook_engine::Events;
use crossbook_node::{NotTaken, Outlet};
use crossbook_store::{Database, History, Live, Progress, Recorder};
use crossbook_types::{PartitionId, RequestNumber};
use crossbook_views::Limits;
use tokio::sync::watch;

use source::LogSource;

/// The one partition of a venue in one process.
pub const PARTITION: PartitionId = PartitionId(0);
/// The nice value of the thread that writes: 19 is the lowest priority there is.
const NICE: i32 = 19;

/// Limits of views that forget nothing, for a history that begins with all that they have.
fn everything() -> Limits {
    Limits {
        closed_orders_per_account: usize::MAX,
        closed_orders_per_market: usize::MAX,
        own_trades_per_account: usize::MAX,
        own_trades_per_market: usize::MAX,
        trades_per_market: usize::MAX,
        aggregate_trades_per_market: usize::MAX,
        candles_per_interval: usize::MAX,
    }
}

/// An outlet that tells how far the venue is durable, on the way to another one.
#[derive(Debug)]
pub struct Announcing<O> {
    inner: O,
    live: Live,
}

impl<O> Announcing<O> {
    /// Tells `live` of what goes to `inner`.
    pub fn new(inner: O, live: Live) -> Self {
        Self { inner, live }
    }
}

impl<O: Outlet> Outlet for Announcing<O> {
    fn publish(&mut self, events: &mut Events) {
        let last = events.last();
        self.inner.publish(events);
        if let Some(last) = last {
            self.live.reach(last.sequence);
        }
    }

    fn not_taken(&mut self, number: RequestNumber, why: NotTaken) {
        self.inner.not_taken(number, why);
    }
}

/// The thread that writes, until it is stopped.
#[derive(Debug)]
pub struct Keeper {
    history: History,
    progress: Arc<Progress>,
    stop: watch::Sender<bool>,
    ended: Receiver<()>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(database: &Database, source: LogSource, live: Live) -> std::io::Result<Self> {
        let progress = Arc::new(Progress::default());
        let history = History::new(database, Arc::clone(&progress));
        let (stop, stopped) = watch::channel(false);
        let recorder = Recorder::new(database.clone(), PARTITION, source, live, stopped, Arc::clone(&progress));
        let (end, ended) = sync_channel(1);
        let told = Arc::clone(&progress);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("history".into()).spawn(move || {
            // Linux counts priority by thread, and threads that are started from here, such as SQLite's, inherit it. Where it cannot be
            // had, the history competes with trading like any other thread.
            if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                tracing::warn!(%error, "the history runs at normal priority");
            }
            let work = AssertUnwindSafe(|| runtime.block_on(recorder.run()));
            if catch_unwind(work).is_err() {
                // What is folded can no longer be trusted, so nothing more is written until the next start.
                tracing::error!("the history has stopped, because what it read cannot be; trading goes on");
                metrics::counter!("crossbook_history_failures_total").increment(1);
                told.fail("the thread that writes had to end; see the log lines, and start the venue anew".to_owned());
            }
            let _ = end.send(());
        })?;
        Ok(Self { history, progress, stop, ended })
    }

    /// Answers queries.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Has it write what is left, for at most `patience`. What is then still missing is written after the next start.
    pub fn stop(self, patience: Duration) {
        let _ = self.stop.send(true);
        match self.ended.recv_timeout(patience) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("the history is not written to its end in time; the next start goes on with it");
            }
            Err(RecvTimeoutError::Disconnected) => {
                tracing::error!("the thread that writes the history had failed; the next start goes on with it");
            }
        }
    }
}
