//! A worker: runs some partitions of a cluster, each on a thread of its own, and the threads that deliver their
//! messages to other partitions. [`Replica`](crate::replica::Replica) and [`Forwarder`] decide, without I/O, what a
//! thread does next; the threads here carry it out.
//!
//! ```text
//!   in(p) --(blocking read)--> thread of p: apply --> out(p)
//!                                   |
//!                                   +--(queue for q)--> forwarder to q --> in(q)
//! ```
//!
//! A partition also sends messages to itself, while commands have left deferred work
//! ([`crossbook_engine::work_budget`]).
//!
//! Each thread owns its conversation with the store. When the conversation breaks, the thread opens another, verifies
//! that the log is still the same, and continues; everything it writes may be written twice. An error that a retry
//! cannot fix (a forked log, a command that cannot be read) ends the worker: it calls `fatal` with the reason, which
//! should end the process.

mod forwarding;
mod partition;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use crossbook_engine::Partition;
use crossbook_node::embedded::{AuditReport, guarded};
use crossbook_types::{PartitionId, RequestNumber, Sequence};
use serde::{Deserialize, Serialize};

use self::forwarding::Forwarding;
use self::partition::PartitionThread;
use crate::mailbox::Forgotten;
use crate::replica::{self, Limits};
use crate::store::{Connect, Failure};

/// How a worker runs its partitions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The partitions it runs; none named: all of them.
    pub partitions: Vec<u16>,
    /// Commands read in one round trip, and outputs published in one.
    pub batch_commands_max: usize,
    /// Commands read and not yet applied.
    pub read_ahead_commands_max: usize,
    /// Outputs that no barrier has confirmed yet; with more, nothing is read.
    pub unconfirmed_outputs_max: usize,
    /// How long a partition's active worker must publish nothing before a standby takes over, in milliseconds.
    pub failover_ms: u64,
    /// How long a round trip waits for a command, in milliseconds.
    pub poll_timeout_ms: u64,
    /// Messages to one partition that wait for their forwarder; with more, their partition waits.
    pub forward_queue_max: usize,
    /// Messages to one partition that are retained until it has received them; with more, none is taken from the queue.
    pub forward_retained_max: usize,
    /// Messages delivered in one round trip.
    pub forward_batch_max: usize,
    /// Time between two writes to the cached depth of books in the store, in milliseconds; 0 disables it.
    pub depth_interval_ms: u64,
    /// The longest pause between two tries to connect, in milliseconds.
    pub retry_delay_max_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partitions: Vec::new(),
            batch_commands_max: 1_024,
            read_ahead_commands_max: 8_192,
            unconfirmed_outputs_max: 65_536,
            failover_ms: 300,
            poll_timeout_ms: 1_000,
            forward_queue_max: 65_536,
            forward_retained_max: 1_000_000,
            forward_batch_max: 1_024,
            depth_interval_ms: 100,
            retry_delay_max_ms: 250,
        }
    }
}

/// How often a standby has its outputs confirmed, in microseconds.
const CONFIRM_EVERY_US: u64 = 200_000;
/// How many times in a row an active partition finds its outputs published by another, before it may give way.
const CONTESTED_MIN: u32 = 4;
/// Workers differ in their patience by up to so many times.
const CONTESTED_SPREAD: u32 = 29;

/// Why a worker cannot continue with a partition.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state to start from cannot be had.
    #[error("partition {partition} has no state to start from: {reason}")]
    Start {
        /// The partition that it happened in.
        partition: PartitionId,
        /// A description of the error.
        reason: String,
    },
    /// The log is not what it was.
    #[error("partition {partition}: {source}")]
    Replica {
        /// The partition that it happened in.
        partition: PartitionId,
        /// The underlying error.
        source: replica::Error,
    },
    /// The store returned an error that a retry cannot fix.
    #[error("partition {partition}: {source}")]
    Store {
        /// The partition that it happened in.
        partition: PartitionId,
        /// The underlying error.
        source: Failure,
    },
    /// The log has another command where the last one applied was.
    #[error(
        "partition {partition}: the log has forked at command {sequence}: a command that a barrier had confirmed is gone, which takes two \
         failures at once; restore the store, or make the node that has the command the master, and start the workers again"
    )]
    Forked {
        /// The partition that it happened in.
        partition: PartitionId,
        /// The command's place in the log.
        sequence: Sequence,
    },
    /// The log has lost commands whose messages another partition has received.
    #[error(
        "partition {partition}: partition {to} has received {received} messages from it, but its whole log, up to command {end}, produces only {sent}: \
         commands are missing at its end. Restore the store from a backup or a replica that has them; there is no way to go on without them, \
         for what they moved has arrived"
    )]
    Behind {
        /// The partition that it happened in.
        partition: PartitionId,
        /// Where its log ends.
        end: Sequence,
        /// The partition that has received more.
        to: PartitionId,
        /// How much.
        received: RequestNumber,
        /// How much there is.
        sent: RequestNumber,
    },
    /// Another partition has lost messages.
    #[error("messages from partition {from} to {to}: {source}")]
    Forgotten {
        /// Who sent.
        from: PartitionId,
        /// Who has lost.
        to: PartitionId,
        /// The reason.
        source: Forgotten,
    },
}

/// Where a partition of a worker is, readable at any time.
#[derive(Debug, Default)]
pub struct Status {
    active: AtomicBool,
    applied: AtomicU64,
    published: AtomicU64,
    connected: AtomicBool,
}

impl Status {
    /// Whether this worker publishes for it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Whether it is connected to its shard.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// The last command applied here.
    #[must_use]
    pub fn applied(&self) -> Sequence {
        Sequence(self.applied.load(Ordering::Relaxed))
    }

    /// The last command whose events were published, by whomever.
    #[must_use]
    pub fn published(&self) -> Sequence {
        Sequence(self.published.load(Ordering::Relaxed))
    }
}

/// Receives an audit of a partition.
pub type AuditReply = Box<dyn FnOnce(AuditReport) + Send>;

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Option<()>>>,
    partitions: BTreeMap<PartitionId, (Arc<Status>, Sender<AuditReply>)>,
}

/// What all threads of a worker share.
struct Shared<C> {
    stores: C,
    options: Options,
    stop: Arc<AtomicBool>,
    limits: Limits,
    /// Until when workers that are active elsewhere are suspected to be gone, in microseconds of the clock.
    suspected_until: AtomicU64,
}

impl<C> Shared<C> {
    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits before the next try, a little longer each time. False if the worker stops.
    fn pause(&self, tries: &mut u32) -> bool {
        let longest = Duration::from_millis(self.options.retry_delay_max_ms.max(1));
        std::thread::sleep((Duration::from_millis(5) * 2_u32.saturating_pow(*tries)).min(longest));
        *tries = (*tries + 1).min(16);
        !self.is_stopping()
    }
}

impl Worker {
    /// Starts the threads. `all` is the number of partitions of the venue; `name` distinguishes this worker from
    /// others; `begin` returns the state that a partition starts from, which `out` must have reached: a snapshot, or an
    /// empty partition.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn start<C: Connect + Clone + Send + Sync + 'static>(
        stores: &C,
        all: u16,
        name: &str,
        options: &Options,
        begin: impl Fn(PartitionId, Sequence) -> Result<Partition, String> + Send + Sync + 'static,
        fatal: impl Fn(String) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (begin, fatal) = (Arc::new(begin), Arc::new(fatal));
        // Workers that were all equally patient would step forward, and back, all at once.
        let spread = spread_of(name);
        let takeover_us = options.failover_ms.saturating_mul(1_000);
        let limits = Limits {
            records_max: options.batch_commands_max,
            held_max: options.read_ahead_commands_max.max(options.batch_commands_max),
            entries_max: options.batch_commands_max,
            unconfirmed_outputs_max: options.unconfirmed_outputs_max,
            takeover_us: takeover_us + takeover_us * u64::from(spread % 64) / 128,
            contested_max: CONTESTED_MIN + spread % CONTESTED_SPREAD,
            idle_us: options.poll_timeout_ms.saturating_mul(1_000),
            confirm_every_us: CONFIRM_EVERY_US,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            stores: stores.clone(),
            options: options.clone(),
            stop: Arc::clone(&stop),
            limits,
            suspected_until: AtomicU64::new(0),
        });
        let mut worker = Self { stop, threads: Vec::new(), partitions: BTreeMap::new() };
        let own: Vec<PartitionId> = (0..all)
            .map(PartitionId)
            .filter(|partition| options.partitions.is_empty() || options.partitions.contains(&partition.0))
            .collect();
        let mut forwarders = BTreeMap::new();
        for to in (0..all).map(PartitionId) {
            let (sender, mail) = bounded(options.forward_queue_max);
            forwarders.insert(to, sender);
            let (shared, fatal) = (Arc::clone(&shared), Arc::clone(&fatal));
            worker.threads.push(
                std::thread::Builder::new()
                    .name(format!("forwarder-{}", to.0))
                    .spawn(move || guarded("a forwarder", &*fatal, move || Forwarding::new(&shared, to).run(&mail)))?,
            );
        }
        for partition in own {
            let status = Arc::new(Status::default());
            let (ask, asked) = bounded(16);
            worker.partitions.insert(partition, (Arc::clone(&status), ask));
            let forwarders = forwarders.clone();
            let (shared, fatal, begin) = (Arc::clone(&shared), Arc::clone(&fatal), Arc::clone(&begin));
            worker.threads.push(std::thread::Builder::new().name(format!("partition-{}", partition.0)).spawn(
                move || {
                    let thread = PartitionThread { shared: &shared, partition, status: &status, forwarders, asked };
                    guarded("a partition", &*fatal, move || thread.run(&*begin))
                },
            )?);
        }
        Ok(worker)
    }

    /// The partitions that run here, and where they are.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionId, &Status)> {
        self.partitions.iter().map(|(&partition, (status, _))| (partition, &**status))
    }

    /// Has a partition added up between two round trips. False if it does not run here, or too many ask.
    pub fn audit(&self, partition: PartitionId, reply: AuditReply) -> bool {
        self.partitions.get(&partition).is_some_and(|(_, ask)| ask.try_send(reply).is_ok())
    }

    /// Stops: nothing more is read, and what was applied is left to others, or to the next start, to publish.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// Spreads names over numbers.
fn spread_of(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// What the thread of a partition hands to the one that carries messages.
enum Mail {
    Message { from: PartitionId, number: RequestNumber, bytes: Vec<u8> },
    Standing { from: PartitionId, active: bool },
}
