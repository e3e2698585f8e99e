//! Watches how far the logs of the partitions are confirmed, for the writer of the history.
//!
//! One thread asks one shard after the other for the ends of all its logs, in one turn each. It asks less often while
//! nothing is traded. It writes nothing to the store: what is at the end of a log is confirmed by those who append it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbook_cluster::store::{
    Confirm, Confirmed, Connect as _, Outcome, PartitionStore as _, PartitionTurn, StoreError as _, Turn,
};
use crossbook_protocol::Cause;
use crossbook_store::Live;
use crossbook_types::{PartitionId, Sequence, Timestamp};
use parking_lot::Mutex;

use super::provider::{self, Servers, Store};
use crate::config::WriterOptions;
use crate::process;

/// How long an end may be unconfirmed before the thread has it confirmed itself.
const CONFIRM_AFTER: Duration = Duration::from_millis(200);
/// While nothing is traded, the pause between two questions grows up to so many times the configured interval.
const IDLE_INTERVALS: u32 = 10;

/// The end of one partition's log.
#[derive(Clone, Debug)]
pub struct LogEnd {
    partition: PartitionId,
    live: Live,
    /// The last confirmed command, and about when it was appended; `None` before anything is known.
    last: Arc<Mutex<Option<Cause>>>,
}

impl LogEnd {
    /// Not known yet.
    #[must_use]
    pub fn new(partition: PartitionId, live: Live) -> Self {
        Self { partition, live, last: Arc::default() }
    }

    /// The last confirmed command, and about when it was appended; `None` before anything is known.
    #[must_use]
    pub fn last(&self) -> Option<Cause> {
        *self.last.lock()
    }

    fn reach(&self, sequence: Sequence, time: Timestamp) {
        let mut last = self.last.lock();
        if last.is_none_or(|last| last.sequence < sequence) {
            *last = Some(Cause { sequence, time });
            self.live.reach(sequence);
        }
    }
}

/// The thread, until it is stopped.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// One shard: a conversation with it, and what it said last.
struct Shard {
    partitions: Vec<PartitionId>,
    store: Option<Store>,
    /// By partition, the end that the last turn found, and the time.
    found: Vec<(Sequence, Timestamp)>,
    unconfirmed_since: Option<Instant>,
}

impl Watch {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn start(servers: Servers, ends: Vec<LogEnd>, options: &WriterOptions) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let interval = Duration::from_millis(options.poll_interval_ms.max(1));
        let thread = std::thread::Builder::new().name("log-ends".to_owned()).spawn(move || {
            let watching = || Watcher { servers, ends, shards: Vec::new() }.run(interval, &stopping);
            let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(watching));
            match watched {
                Ok(Ok(())) => {}
                Ok(Err(error)) => process::fatal(format!("the ends of the logs cannot be read: {error}")),
                Err(_) => process::fatal("the thread that reads the ends of the logs panicked".to_owned()),
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// From now on the ends stay where they are.
    pub fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Waits until the thread has ended.
    pub fn join(self) {
        self.ask_to_stop();
        let _ = self.thread.join();
    }
}

struct Watcher {
    servers: Servers,
    ends: Vec<LogEnd>,
    shards: Vec<Shard>,
}

impl Watcher {
    fn run(mut self, interval: Duration, stop: &AtomicBool) -> Result<(), provider::Error> {
        let mut intervals = 1;
        while !stop.load(Ordering::Acquire) {
            match self.ask_all() {
                Ok(true) => intervals = 1,
                Ok(false) => intervals = (intervals * 2).min(IDLE_INTERVALS),
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "the ends of the logs cannot be read now");
                    self.shards.clear();
                }
                Err(error) => return Err(error),
            }
            std::thread::sleep(interval * intervals);
        }
        Ok(())
    }

    /// Asks all shards. Whether a log has grown.
    fn ask_all(&mut self) -> Result<bool, provider::Error> {
        if self.shards.is_empty() {
            let partitions: Vec<PartitionId> = self.ends.iter().map(|end| end.partition).collect();
            let new = |partitions: Vec<PartitionId>| {
                let found = vec![(Sequence(0), Timestamp(0)); partitions.len()];
                Shard { partitions, store: None, found, unconfirmed_since: None }
            };
            self.shards = self.servers.shards(&partitions)?.into_iter().map(new).collect();
        }
        let mut grown = false;
        let mut failed = None;
        for shard in &mut self.shards {
            match shard.ask(&self.servers, &self.ends) {
                Ok(has_grown) => grown |= has_grown,
                // The others are asked all the same.
                Err(error) if error.is_transient() => {
                    shard.store = None;
                    failed = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        failed.map_or(Ok(grown), Err)
    }
}

impl Shard {
    fn ask(&mut self, servers: &Servers, ends: &[LogEnd]) -> Result<bool, provider::Error> {
        let Some(&first) = self.partitions.first() else { return Ok(false) };
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert(servers.connect(first)?),
        };
        let waits = self.unconfirmed_since.is_some_and(|since| since.elapsed() >= CONFIRM_AFTER);
        let confirm = if waits { Confirm::Wait } else { Confirm::IfKnown };
        let ask = |&partition: &PartitionId| PartitionTurn { partition, append: Some(&[]), ..PartitionTurn::default() };
        let turn = Turn { partitions: self.partitions.iter().map(ask).collect(), confirm };
        let Outcome { partitions, confirmed } = store.turn(&turn)?;
        let before = self.found.clone();
        // Nothing is said of those that fail: what was found before may not be confirmed where the partition is now.
        let mut failed = BTreeMap::new();
        for ((outcome, found), &partition) in partitions.into_iter().zip(&mut self.found).zip(&self.partitions) {
            match outcome {
                Ok(outcome) => *found = outcome.appended.map_or(*found, |end| (end.last, end.time)),
                Err(error) => drop(failed.insert(partition, error)),
            }
        }
        let sure = match confirmed {
            Confirmed::Nothing => None,
            Confirmed::Before => Some(&before),
            Confirmed::All => Some(&self.found),
        };
        for (&partition, &(sequence, time)) in self.partitions.iter().zip(sure.into_iter().flatten()) {
            if let Some(end) = ends.iter().find(|end| end.partition == partition)
                && !failed.contains_key(&partition)
            {
                end.reach(sequence, time);
            }
        }
        if let Some((_, error)) = failed.pop_first() {
            return Err(error);
        }
        // While others cause confirmations, each question confirms what the one before has found.
        let is_open = confirmed != Confirmed::All;
        let stands_still = confirmed == Confirmed::Nothing;
        self.unconfirmed_since = stands_still.then(|| self.unconfirmed_since.unwrap_or_else(Instant::now));
        Ok(is_open || before.iter().zip(&self.found).any(|(before, found)| before.0 != found.0))
    }
}
