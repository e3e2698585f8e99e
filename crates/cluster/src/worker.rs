//! A worker: follows partitions, and does for the cluster what no gateway should be needed for. It delivers the
//! messages between partitions that no gateway has delivered, because it failed; it writes the depth of the books to
//! the store; and its process takes the snapshots and trims the logs.
//!
//! Any number of workers may run a partition, and all of them apply its commands. For each partition one has the
//! *lease* ([`Link::lease`](crate::store::Link::lease)): it takes the snapshots and writes the depth. Nothing that must
//! be right depends on there being only one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use crossbook_engine::Partition;
use crossbook_node::embedded::{AuditReport, audit};
use crossbook_protocol::Events;
use crossbook_types::{PartitionId, Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::depth::Write;
use crate::replica::{Applied, Limits, Proof, Replica};
use crate::requests::appends::Timeouts;
use crate::runtime::{self, Host, Reload, Reloaded, Runtime, Seat, Wakers};
use crate::session::{Member, Pace, Settings, Step};
use crate::store::{Bounds, Connect, DepthChange, PartitionStore};

pub use crate::runtime::Error;

/// How a worker runs its partitions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The partitions that run here; empty: all.
    pub partitions: Vec<u16>,
    /// Commands of one partition read in one turn.
    pub batch_commands_max: usize,
    /// Commands of one partition that may be read and not yet confirmed.
    pub read_ahead_commands_max: usize,
    /// The least time from the beginning of one turn with a shard to that of the next, in milliseconds. Nobody waits
    /// for a worker, as long as gateways deliver the messages between partitions.
    pub turn_interval_ms: u64,
    /// How long a turn waits for a notification, in milliseconds.
    pub poll_timeout_ms: u64,
    /// How long a message between partitions may wait for the process that is responsible for it before a worker
    /// delivers it, in milliseconds; each worker waits up to half as long again.
    pub failover_ms: u64,
    /// How long what was read may wait for a confirmation that gateways cause, in milliseconds.
    pub confirm_wait_ms: u64,
    /// Messages between partitions that may wait to be received; with more, no commands are read.
    pub forward_retained_max: usize,
    /// Messages of one partition delivered to another in one turn.
    pub forward_batch_max: usize,
    /// How long the lease of a partition lasts without being renewed, in milliseconds.
    pub lease_ms: u64,
    /// Time between two writes to the cached depth of books in the store, in milliseconds; 0 disables it.
    pub depth_interval_ms: u64,
    /// The longest pause between two tries to connect, in milliseconds.
    pub retry_delay_max_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partitions: Vec::new(),
            batch_commands_max: 4_096,
            read_ahead_commands_max: 16_384,
            turn_interval_ms: 50,
            poll_timeout_ms: 1_000,
            failover_ms: 200,
            confirm_wait_ms: 200,
            forward_retained_max: 1_000_000,
            forward_batch_max: 1_024,
            lease_ms: 3_000,
            depth_interval_ms: 100,
            retry_delay_max_ms: 250,
        }
    }
}

impl Options {
    /// How much a replica reads at a time.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let records_max = self.batch_commands_max.max(1);
        Limits { records_max, held_max: self.read_ahead_commands_max.max(records_max) }
    }

    /// The settings of the sessions of the worker with this name, which no other has.
    #[must_use]
    pub fn session(&self, name: &str, bounds: Bounds) -> Settings {
        let interval = Duration::from_millis(self.turn_interval_ms);
        let patience = Duration::from_millis(self.failover_ms);
        // Workers that were all equally patient would deliver all at once.
        let patience = patience + patience * (spread_of(name) % 64) / 128;
        let never = Duration::MAX;
        Settings {
            source: None,
            bounds,
            deliver_max: self.forward_batch_max.clamp(1, bounds.records_max.max(1)),
            patience,
            pace: Pace {
                write: interval.min(Duration::from_millis(5)),
                read: interval,
                poll: Duration::from_millis(self.poll_timeout_ms).max(interval),
                confirm: Duration::from_millis(self.confirm_wait_ms),
                notify: Duration::ZERO,
                phase: Duration::ZERO,
            },
            timeouts: Timeouts { retry: never, breaker: never, keep: never },
        }
    }

    /// The partitions that run here, of `all` that the venue has.
    #[must_use]
    pub fn own(&self, all: u16) -> Vec<PartitionId> {
        let runs = |partition: &PartitionId| self.partitions.is_empty() || self.partitions.contains(&partition.0);
        (0..all).map(PartitionId).filter(runs).collect()
    }
}

/// Where a partition of a worker is, readable at any time.
#[derive(Debug, Default)]
pub struct Status {
    active: AtomicBool,
    applied: AtomicU64,
    log_end: AtomicU64,
    /// The end that the log had when the connection to the shard was made.
    must_reach: AtomicU64,
    connected: AtomicBool,
}

impl Status {
    /// Whether this worker has the lease of the partition.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Records whether this worker has the lease of the partition.
    pub fn set_active(&self, active: bool) {
        self.active.store(active, Ordering::Relaxed);
    }

    /// Whether it is connected to its shard.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Whether everything is applied here that the log had when the connection to its shard was made, or before that,
    /// when the worker began.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.applied() >= self.must_reach()
    }

    /// The last command that must be applied here for that.
    #[must_use]
    pub fn must_reach(&self) -> Sequence {
        Sequence(self.must_reach.load(Ordering::Relaxed))
    }

    /// The last command applied here.
    #[must_use]
    pub fn applied(&self) -> Sequence {
        Sequence(self.applied.load(Ordering::Relaxed))
    }

    /// The last command that was read here, confirmed or not.
    #[must_use]
    pub fn log_end(&self) -> Sequence {
        Sequence(self.log_end.load(Ordering::Relaxed))
    }
}

/// Receives an audit of a partition.
pub type AuditReply = Box<dyn FnOnce(AuditReport) + Send>;

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    runtime: Runtime,
    partitions: BTreeMap<PartitionId, (Arc<Status>, Sender<AuditReply>)>,
}

impl Worker {
    /// Starts the threads. `name` distinguishes this worker from others; `begin` are the partitions that run here, each
    /// from a snapshot or empty, with what they must have sent (see [`runtime::ask_proofs`]). `reload` gives the
    /// same again when a log does not reach back any more to what comes next here.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn start<C: Connect + Clone + Send + Sync + 'static>(
        stores: &C,
        name: &str,
        options: &Options,
        begin: Vec<(Partition, Option<Proof>)>,
        reload: impl Fn(PartitionId) -> Reloaded + Send + Sync + 'static,
        fatal: impl Fn(String) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let settings = options.session(name, stores.bounds());
        let own: Vec<PartitionId> = begin.iter().map(|(partition, _)| partition.id()).collect();
        let mut partitions = BTreeMap::new();
        let seats = |_: &Wakers| {
            let mut seats = Vec::with_capacity(begin.len());
            for (partition, proof) in begin {
                let (status, (ask, asked)) = (Arc::new(Status::default()), bounded(16));
                partitions.insert(partition.id(), (Arc::clone(&status), ask));
                let mut replica = Replica::new(partition, options.limits());
                if let Some(proof) = proof {
                    status.must_reach.store(proof.end.0, Ordering::Relaxed);
                    replica = replica.must_prove(proof);
                }
                let depth_interval = Duration::from_millis(options.depth_interval_ms);
                let host = WorkerHost {
                    status,
                    asked,
                    is_active: false,
                    depth_interval,
                    wrote: Duration::ZERO,
                    now: Duration::ZERO,
                };
                seats.push(Seat { member: Member::new(replica, None), host });
            }
            seats
        };
        let retry_delay_max = Duration::from_millis(options.retry_delay_max_ms.max(1));
        let retained_max = options.forward_retained_max;
        let running =
            runtime::Options { settings, retained_max, retry_delay_max, reload: Some(Reload(Arc::new(reload))) };
        let runtime = Runtime::start(stores.clone(), &own, running, Arc::new(fatal), seats)?;
        Ok(Self { runtime, partitions })
    }

    /// The partitions that run here, and where they are.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionId, &Status)> {
        self.partitions.iter().map(|(&partition, (status, _))| (partition, &**status))
    }

    /// Has a partition added up between two turns. False if it does not run here, or too many ask.
    pub fn audit(&self, partition: PartitionId, reply: AuditReply) -> bool {
        let asked = self.partitions.get(&partition).is_some_and(|(_, ask)| ask.try_send(reply).is_ok());
        self.runtime.wakers().wake(partition);
        asked
    }

    /// Stops: nothing more is read.
    pub fn stop(self) {
        self.runtime.stop();
    }
}

/// Spreads names over numbers.
fn spread_of(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// One partition at a worker.
struct WorkerHost {
    status: Arc<Status>,
    asked: Receiver<AuditReply>,
    /// Whether the depth of its books is written.
    is_active: bool,
    depth_interval: Duration,
    /// When it was last written.
    wrote: Duration,
    now: Duration,
}

impl Host for WorkerHost {
    fn prepare(&mut self, member: &mut Member, _: (Timestamp, Duration)) {
        while let Ok(reply) = self.asked.try_recv() {
            reply(audit(member.replica.partition()));
        }
        let is_active = self.status.is_active() && !self.depth_interval.is_zero();
        if is_active != self.is_active {
            member.replica.write_depths(is_active);
            self.is_active = is_active;
        }
    }

    fn applied(&mut self, _: &Applied<'_>) {}

    fn turned(&mut self, member: &mut Member, _: &mut Events, step: &Step, now: Duration) {
        self.now = now;
        self.status.connected.store(true, Ordering::Relaxed);
        self.status.applied.store(member.replica.partition().sequence().0, Ordering::Relaxed);
        self.status.log_end.store(member.replica.read_up_to().0, Ordering::Relaxed);
        if step.applied > 0 {
            metrics::counter!("crossbook_commands_total").increment(step.applied as u64);
        }
    }

    fn resumed(&mut self, end: Sequence) {
        self.status.must_reach.store(end.0, Ordering::Relaxed);
    }

    /// The new replica does not write depth yet.
    fn reloaded(&mut self) {
        self.is_active = false;
    }

    fn disconnected(&mut self, _: &mut Member, _: Duration) {
        self.status.connected.store(false, Ordering::Relaxed);
    }

    fn refused(&mut self, member: &mut Member, now: Duration) {
        self.disconnected(member, now);
    }

    /// Updates the cached depth of books in the store to the position of the partition.
    fn write<S: PartitionStore>(&mut self, member: &mut Member, store: &mut S) -> Result<bool, S::Error> {
        let is_due = self.now.saturating_sub(self.wrote) >= self.depth_interval;
        if !self.is_active || !is_due || !member.replica.has_depths() {
            return Ok(self.is_active && member.replica.has_depths());
        }
        self.wrote = self.now;
        let writes = member.replica.depths();
        if writes.is_empty() {
            return Ok(false);
        }
        let changes: Vec<_> = writes
            .iter()
            .map(|Write { symbol, since, last, levels, .. }| DepthChange {
                symbol: symbol.as_str(),
                since: *since,
                last: *last,
                levels,
            })
            .collect();
        let kept = store.write_depth(member.replica.partition().id(), &changes)?;
        member.replica.depths_written(&writes, &kept);
        Ok(member.replica.has_depths())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crossbook_protocol::Routing;

    use super::*;

    #[test]
    fn a_worker_that_is_connected_again_has_to_catch_up_again() {
        let routing = Routing::new_checked(1, BTreeMap::new()).unwrap();
        let replica = Replica::new(Partition::new(PartitionId(0), routing, 1), Options::default().limits());
        let mut member = Member::new(replica, None);
        let (status, (_ask, asked)) = (Arc::new(Status::default()), bounded(1));
        let zero = Duration::ZERO;
        let mut host = WorkerHost {
            status: Arc::clone(&status),
            asked,
            is_active: false,
            depth_interval: zero,
            wrote: zero,
            now: zero,
        };
        host.resumed(Sequence(0));
        host.turned(&mut member, &mut Events::new(), &Step::default(), zero);
        assert!(status.is_connected() && status.is_caught_up());
        // Meanwhile the log has grown; a turn that has not read all of it changes nothing.
        host.disconnected(&mut member, zero);
        host.resumed(Sequence(3));
        host.turned(&mut member, &mut Events::new(), &Step::default(), zero);
        assert!(status.is_connected() && !status.is_caught_up(), "{status:?}");
        status.applied.store(3, Ordering::Relaxed);
        assert!(status.is_caught_up());
        // What was not confirmed is lost with a master; the next one has less.
        host.resumed(Sequence(2));
        assert_eq!((status.must_reach(), status.is_caught_up()), (Sequence(2), true));
    }
}
