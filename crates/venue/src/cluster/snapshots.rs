//! Snapshots of a cluster's partitions, taken beside trading by the worker that has the lease: from the last snapshot
//! and the log, on a thread of its own, which also renews the leases. [`crossbook_cluster::snapshots`] decides when one
//! is due, when it may be stored and what is trimmed after it; this module has the thread, the waiting and the metrics.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use crossbook_cluster::snapshots::{self, Due, Taken, Trim};
use crossbook_cluster::{Worker, cut};
use crossbook_node::embedded::guarded;
use crossbook_types::{PartitionId, Sequence};
use crossbook_views::Views;

use super::provider::Link;
use super::{Error, Site};
use crate::priority::Background;

/// How often the thread checks whether a snapshot is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often, and how many times, it checks whether the others have received what the state had sent.
const HEARD_EVERY: Duration = Duration::from_millis(100);
const HEARD_TRIES: u32 = 50;

/// The thread, until it is stopped.
#[derive(Debug)]
pub struct Snapshotter {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

struct Work {
    site: Site,
    worker: Arc<Worker>,
    name: String,
    lease: Duration,
    every_commands: u64,
    /// Whether a history is written, for which the logs are retained.
    history: bool,
    last: BTreeMap<PartitionId, Sequence>,
    links: BTreeMap<PartitionId, Link>,
}

impl Snapshotter {
    /// Starts the thread. `name` is the worker's, which no other has; a lease lasts for `lease`. `fatal` is called with
    /// the reason should it end before it is asked to.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn start(
        site: Site,
        worker: Arc<Worker>,
        name: String,
        (every_commands, lease): (u64, Duration),
        history: bool,
        fatal: impl Fn(String) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = bounded(1);
        let mut work =
            Work { site, worker, name, lease, every_commands, history, last: BTreeMap::new(), links: BTreeMap::new() };
        let thread = std::thread::Builder::new().name("snapshots".to_owned()).spawn(move || {
            guarded("the snapshot thread", &fatal, || {
                Background::Snapshots.step_back();
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK_EVERY) {
                    work.look();
                }
                Ok::<_, Infallible>(())
            });
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends the thread, after the snapshot that it may be at.
    pub fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

impl Work {
    fn look(&mut self) {
        let worker = Arc::clone(&self.worker);
        for (partition, status) in worker.partitions() {
            let active = self.renew(partition);
            if active != status.is_active() {
                tracing::info!(partition = partition.0, active, "this worker's role has changed");
                metrics::counter!("crossbook_partition_role_changes_total").increment(1);
                status.set_active(active);
            }
        }
        let active = worker.partitions().filter(|(_, status)| status.is_active());
        let active: Vec<_> = active.map(|(partition, status)| (partition, status.applied())).collect();
        for (partition, applied) in active {
            let last = self.last.get(&partition).copied();
            if last.is_some_and(|last| applied.0 < last.0.saturating_add(self.every_commands)) {
                continue;
            }
            match self.take(partition) {
                Ok(at) => {
                    self.last.insert(partition, at);
                }
                Err(error) => {
                    metrics::counter!("crossbook_snapshot_failures_total").increment(1);
                    tracing::error!(partition = partition.0, %error, "no snapshot could be taken; trading continues");
                    // Again after a tenth of the interval.
                    let again = self.every_commands - self.every_commands / 10;
                    self.last.insert(partition, Sequence(applied.0.saturating_sub(again)));
                }
            }
        }
    }

    /// Takes or renews the lease of a partition. Without an answer the lease is not held.
    fn renew(&mut self, partition: PartitionId) -> bool {
        let link = match self.links.remove(&partition) {
            Some(link) => Ok(link),
            None => Link::connect(&self.site.servers, partition),
        };
        let leased = link.and_then(|mut link| {
            let leased = link.lease(&self.name, self.lease)?;
            self.links.insert(partition, link);
            Ok(leased)
        });
        leased.unwrap_or_else(|error| {
            tracing::debug!(partition = partition.0, %error, "the lease cannot be renewed now");
            false
        })
    }

    /// Takes a snapshot, if one is due, and trims the log after it. Returns the position of the last one.
    fn take(&self, partition: PartitionId) -> Result<Sequence, Error> {
        let started = Instant::now();
        let recorded = || self.recorded(partition);
        let empty = Views::new(self.site.limits.clone());
        let candidate = match snapshots::begin(&self.site, partition, self.every_commands, recorded, empty)? {
            Due::NotYet(last) => return Ok(last),
            Due::Now(candidate) => candidate,
        };
        let mut tries = 0;
        while !candidate.is_received(|to| self.site.received(to, partition))? {
            tries += 1;
            if tries == HEARD_TRIES {
                tracing::warn!(partition = partition.0, "messages are not received yet; the snapshot has to wait");
                return Ok(candidate.last());
            }
            std::thread::sleep(HEARD_EVERY);
        }
        let (Taken { at, trim }, _) = candidate.keep()?;
        let label = partition.0.to_string();
        metrics::gauge!("crossbook_snapshot_sequence", "partition" => label.clone()).set(at.0 as f64);
        metrics::gauge!("crossbook_snapshot_timestamp_seconds", "partition" => label)
            .set(crate::metrics::unix_seconds());
        tracing::info!(
            partition = partition.0,
            command = at.0,
            seconds = started.elapsed().as_secs_f64(),
            "snapshot taken"
        );
        match trim {
            Trim::Nothing => {}
            Trim::UpTo(command) => Link::connect(&self.site.servers, partition)?.trim(command)?,
            Trim::OldestDamaged(oldest) => tracing::error!(
                partition = partition.0,
                command = oldest.0,
                "the oldest snapshot is damaged; nothing is trimmed"
            ),
        }
        Ok(at)
    }

    /// The position of the history; `None` if there is none.
    fn recorded(&self, partition: PartitionId) -> Result<Option<Sequence>, cut::Error> {
        if !self.history {
            return Ok(None);
        }
        Ok(Some(Link::connect(&self.site.servers, partition)?.written()?))
    }
}
