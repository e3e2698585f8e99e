//! Snapshots of a cluster's partitions, taken by whichever worker is active for them, beside trading: from the last
//! snapshot and the log, on a thread of its own.
//!
//! A snapshot is only kept once every other partition has heard what this one had sent by then. So a worker that starts
//! from it need not send anything again that is older. What two snapshots stand for, and the history has, is trimmed
//! from the logs.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use crossbook_cluster::Worker;
use crossbook_cluster::moment::{self, Kept as _};
use crossbook_node::embedded::guarded;
use crossbook_node::recovery::{self, Recovered};
use crossbook_node::snapshot::{Saved as _, Snapshots as _};
use crossbook_redis_store::Link;
use crossbook_types::{PartitionId, Sequence};

use super::{Error, Site};
use crate::priority::Background;

/// How often the thread looks whether it is time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often, and how many times, it looks whether the others have heard what the state had sent.
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
    every_commands: u64,
    /// Whether a history is written, which the logs are kept for.
    history: bool,
    last: BTreeMap<PartitionId, Sequence>,
}

impl Snapshotter {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    /// `fatal` is called with the reason should the thread end before it is told to.
    pub fn start(
        site: Site,
        worker: Arc<Worker>,
        every_commands: u64,
        history: bool,
        fatal: impl Fn(String) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = bounded(1);
        let mut work = Work { site, worker, every_commands, history, last: BTreeMap::new() };
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
        let active: Vec<(PartitionId, Sequence)> = self
            .worker
            .partitions()
            .filter(|(_, status)| status.is_active())
            .map(|(partition, status)| (partition, status.told()))
            .collect();
        for (partition, told) in active {
            let last = self.last.get(&partition).copied();
            if last.is_some_and(|last| told.0 < last.0.saturating_add(self.every_commands)) {
                continue;
            }
            match self.take(partition) {
                Ok(at) => {
                    self.last.insert(partition, at);
                }
                Err(error) => {
                    metrics::counter!("crossbook_snapshot_failures_total").increment(1);
                    tracing::error!(partition = partition.0, %error, "no snapshot could be taken; trading goes on");
                    self.last.insert(partition, told);
                }
            }
        }
    }

    /// Takes a snapshot, if it is time for one. Where the last one stands.
    fn take(&self, partition: PartitionId) -> Result<Sequence, Error> {
        let mut snapshots = self.site.snapshots(partition)?;
        let last = snapshots.list()?.first().copied().unwrap_or_default();
        let told = self.site.told(partition)?;
        if told.0 < last.0.saturating_add(self.every_commands) {
            return Ok(last);
        }
        let started = Instant::now();
        let written = self.written(partition)?;
        if let Some(written) = written {
            snapshots.keep_for(Some(written));
        }
        let Recovered { partition: state, follower, .. } = self.site.at(partition, told)?;
        let mut tries = 0;
        while !self.site.is_heard(&state)? {
            tries += 1;
            if tries == HEARD_TRIES {
                tracing::warn!(partition = partition.0, "messages are not heard; the snapshot has to wait");
                return Ok(last);
            }
            std::thread::sleep(HEARD_EVERY);
        }
        recovery::save(&mut snapshots, state.state(), recovery::Follower::save(&follower))
            .map_err(|source| moment::Error::Recovery { partition, source })?;
        let label = partition.0.to_string();
        metrics::gauge!("crossbook_snapshot_sequence", "partition" => label.clone()).set(told.0 as f64);
        metrics::gauge!("crossbook_snapshot_timestamp_seconds", "partition" => label)
            .set(crate::metrics::unix_seconds());
        tracing::info!(
            partition = partition.0,
            command = told.0,
            seconds = started.elapsed().as_secs_f64(),
            "snapshot taken"
        );
        self.trim(partition, &snapshots, written)?;
        Ok(told)
    }

    /// Up to where the history has what the partition told; `None` if none is kept.
    fn written(&self, partition: PartitionId) -> Result<Option<Sequence>, Error> {
        if !self.history {
            return Ok(None);
        }
        Ok(Some(Link::connect(&self.site.servers, partition)?.written()?))
    }

    /// Lets go what all kept snapshots stand for: should the newest be damaged, the one before it still leads on.
    fn trim(
        &self,
        partition: PartitionId,
        snapshots: &crossbook_object_store::Objects,
        written: Option<Sequence>,
    ) -> Result<(), Error> {
        let kept = snapshots.list()?;
        let [_, .., oldest] = kept[..] else { return Ok(()) };
        if snapshots.load(oldest)?.is_none() {
            tracing::error!(
                partition = partition.0,
                command = oldest.0,
                "the oldest snapshot is damaged; nothing is trimmed"
            );
            return Ok(());
        }
        let out = written.map_or(oldest, |written| written.min(oldest));
        Link::connect(&self.site.servers, partition)?.trim(oldest, out)?;
        Ok(())
    }
}
