//! A worker: some partitions of a cluster, each on a thread of its own, and the threads that carry their messages to
//! other partitions.
//!
//! ```text
//!   in(p) --(blocking read)--> thread of p: apply --> out(p)
//!                                   |
//!                                   +--(queue for q)--> courier to q --> in(q)
//! ```
//!
//! A partition has messages for itself too, while commands have left something to go on with
//! ([`crossbook_engine::work`]).
//!
//! A thread owns its connections. When one breaks, the thread connects to whoever is the master now, makes sure that
//! the log is still the one it knows, and goes on; everything it says may be said twice. What cannot be healed by
//! trying again (a log that has forked, a command that cannot be read) ends the worker: `fatal` is called with the
//! reason, and should end the process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use crossbook_engine::Partition;
use crossbook_log::Record;
use crossbook_protocol::Body;
use crossbook_protocol::peer::Outgoing;
use crossbook_redis_store::{DepthChange, Error as StreamError, Link, Pulled, Servers, Turn};
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::mailbox::{Forgotten, Mailbox};
use crate::replica::{self, Limits, Replica, Standing};
use crossbook_node::embedded::{AuditReport, SystemClock, audit, guarded};
use crossbook_node::node::Clock as _;

/// How a worker runs its partitions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The partitions it runs; none named: all of them.
    pub partitions: Vec<u16>,
    /// Commands read in one round trip, and outputs published in one.
    pub batch_commands_max: usize,
    /// Commands read and not yet applied.
    pub held_commands_max: usize,
    /// Outputs that no barrier has confirmed yet; with more, nothing is read.
    pub outputs_max: usize,
    /// How long a partition must be silent before a worker that stands by goes on for it, in milliseconds.
    pub takeover_ms: u64,
    /// How long a round trip waits for a command, in milliseconds.
    pub idle_ms: u64,
    /// Messages to one partition that wait for their courier; with more, their partition waits.
    pub courier_queue_max: usize,
    /// Messages to one partition that are kept until it has heard them; with more, none is taken from the queue.
    pub courier_messages_max: usize,
    /// Messages delivered in one round trip.
    pub courier_batch_max: usize,
    /// Time between two writes to the depth of books that is kept in the store, in milliseconds; 0 keeps none there.
    pub depth_every_ms: u64,
    /// The longest pause between two tries to connect, in milliseconds.
    pub retry_delay_max_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partitions: Vec::new(),
            batch_commands_max: 1_024,
            held_commands_max: 8_192,
            outputs_max: 65_536,
            takeover_ms: 300,
            idle_ms: 1_000,
            courier_queue_max: 65_536,
            courier_messages_max: 1_000_000,
            courier_batch_max: 1_024,
            depth_every_ms: 100,
            retry_delay_max_ms: 250,
        }
    }
}

/// How often a standby has its outputs confirmed, in microseconds.
const CONFIRM_EVERY_US: u64 = 200_000;
/// How often a courier asks, for the partitions that stand by, what was heard.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long what was delivered may wait for its barrier while there is more to deliver.
const CONFIRM_DELIVERY_EVERY: Duration = Duration::from_millis(50);
/// A partition that stands by rests so long after it has read something, so that it reads more at a time: nobody waits
/// for it.
const STANDBY_REST: Duration = Duration::from_millis(10);
/// For how long after a partition had to go on for another worker its other partitions are suspected too, in
/// microseconds.
const SUSPECT_FOR_US: u64 = 2_000_000;
/// How many times in a row an active partition finds its outputs published by another, before it may give way.
const CONTESTED_MIN: u32 = 4;
/// Workers differ in their patience by up to so many times.
const CONTESTED_SPREAD: u32 = 29;

/// Why a worker cannot go on with a partition.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state to start from cannot be had.
    #[error("partition {partition} has no state to start from: {reason}")]
    Start {
        /// The partition that it happened in.
        partition: PartitionId,
        /// What went wrong, in words.
        reason: String,
    },
    /// The log is not what it was.
    #[error("partition {partition}: {source}")]
    Replica {
        /// The partition that it happened in.
        partition: PartitionId,
        /// What went wrong below.
        source: replica::Error,
    },
    /// The store says something that trying again does not mend.
    #[error("partition {partition}: {source}")]
    Stream {
        /// The partition that it happened in.
        partition: PartitionId,
        /// What went wrong below.
        source: StreamError,
    },
    /// The log has another command where the last one applied was.
    #[error(
        "partition {partition}: the log has forked at command {sequence}: what a barrier had confirmed there is gone, which takes two \
         failures at once; restore the store, or make the node that has the command the master, and start the workers anew"
    )]
    Forked {
        /// The partition that it happened in.
        partition: PartitionId,
        /// The command's place in the log.
        sequence: Sequence,
    },
    /// The log has lost commands whose messages another partition has heard.
    #[error(
        "partition {partition}: partition {to} has heard {heard} messages from it, but all of its log, up to command {end}, makes only {sent}: \
         commands are missing at its end. Restore the store from a backup or a replica that has them; there is no way to go on without them, \
         for what they moved has arrived"
    )]
    Behind {
        /// The partition that it happened in.
        partition: PartitionId,
        /// Where its log ends.
        end: Sequence,
        /// Who has heard more.
        to: PartitionId,
        /// How much.
        heard: RequestNumber,
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
    told: AtomicU64,
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
    pub fn told(&self) -> Sequence {
        Sequence(self.told.load(Ordering::Relaxed))
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
struct Shared {
    servers: Servers,
    options: Options,
    stop: Arc<AtomicBool>,
    limits: Limits,
    /// Until when workers that are active elsewhere are suspected to be gone, in microseconds of the clock.
    suspected_until: AtomicU64,
}

impl Shared {
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
    /// Starts the threads. `all` is how many partitions the venue has; `name` tells this worker from others; `begin`
    /// gives the state that a partition goes on from, which `out` must have come to: a snapshot, or an empty partition.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        servers: &Servers,
        all: u16,
        name: &str,
        options: &Options,
        begin: impl Fn(PartitionId, Sequence) -> Result<Partition, String> + Send + Sync + 'static,
        fatal: impl Fn(String) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (begin, fatal) = (Arc::new(begin), Arc::new(fatal));
        // Workers that were all equally patient would step forward, and back, all at once.
        let spread = spread_of(name);
        let takeover_us = options.takeover_ms.saturating_mul(1_000);
        let limits = Limits {
            records_max: options.batch_commands_max,
            held_max: options.held_commands_max.max(options.batch_commands_max),
            entries_max: options.batch_commands_max,
            outputs_max: options.outputs_max,
            takeover_us: takeover_us + takeover_us * u64::from(spread % 64) / 128,
            contested_max: CONTESTED_MIN + spread % CONTESTED_SPREAD,
            idle_us: options.idle_ms.saturating_mul(1_000),
            confirm_every_us: CONFIRM_EVERY_US,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            servers: servers.clone(),
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
        let mut couriers = BTreeMap::new();
        for to in (0..all).map(PartitionId) {
            let (sender, mail) = bounded(options.courier_queue_max);
            couriers.insert(to, sender);
            let (shared, fatal) = (Arc::clone(&shared), Arc::clone(&fatal));
            worker.threads.push(
                std::thread::Builder::new()
                    .name(format!("courier-{}", to.0))
                    .spawn(move || guarded("a courier", &*fatal, move || Courier::new(&shared, to).run(&mail)))?,
            );
        }
        for partition in own {
            let status = Arc::new(Status::default());
            let (ask, asked) = bounded(16);
            worker.partitions.insert(partition, (Arc::clone(&status), ask));
            let couriers = couriers.clone();
            let (shared, fatal, begin) = (Arc::clone(&shared), Arc::clone(&fatal), Arc::clone(&begin));
            worker.threads.push(std::thread::Builder::new().name(format!("partition-{}", partition.0)).spawn(
                move || {
                    let run = Run { shared: &shared, partition, status: &status, couriers, asked };
                    guarded("a partition", &*fatal, move || run.run(&*begin))
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

/// What a partition's thread tells a courier.
enum Mail {
    Message { from: PartitionId, number: RequestNumber, bytes: Vec<u8> },
    Standing { from: PartitionId, active: bool },
}

/// What others had heard from a partition when its worker started.
struct Heard {
    /// Where the log ended when that was known: all of it comes from commands up to here.
    end: Sequence,
    by: Vec<(PartitionId, RequestNumber)>,
}

/// The thread of one partition.
struct Run<'a> {
    shared: &'a Shared,
    partition: PartitionId,
    status: &'a Status,
    couriers: BTreeMap<PartitionId, Sender<Mail>>,
    asked: Receiver<AuditReply>,
}

impl Run<'_> {
    fn run(self, begin: &dyn Fn(PartitionId, Sequence) -> Result<Partition, String>) -> Result<(), Error> {
        let (mut replica, mut unproved) = (None, None);
        let mut tries = 0;
        while !self.shared.is_stopping() {
            let ended = self.session(&mut replica, &mut unproved, begin, &mut tries);
            self.status.connected.store(false, Ordering::Relaxed);
            match ended {
                Ok(()) => {}
                Err(Error::Stream { source, .. }) if source.is_passing() => {
                    tracing::warn!(partition = self.partition.0, error = %source, "the log is not at hand; trying again");
                    metrics::counter!("crossbook_partition_disconnects_total").increment(1);
                    self.shared.pause(&mut tries);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Runs on one connection for as long as it lasts.
    fn session(
        &self,
        replica: &mut Option<Replica>,
        unproved: &mut Option<Heard>,
        begin: &dyn Fn(PartitionId, Sequence) -> Result<Partition, String>,
        tries: &mut u32,
    ) -> Result<(), Error> {
        let partition = self.partition;
        let stream = |source| Error::Stream { partition, source };
        let mut link = Link::connect(&self.shared.servers, partition).map_err(stream)?;
        let replica = match replica {
            Some(replica) => {
                replica.disconnected();
                if let Some(Record { sequence, time, payload }) = replica.last()
                    && !link.holds(sequence, time, payload).map_err(stream)?
                {
                    return Err(Error::Forked { partition, sequence });
                }
                replica
            }
            none => {
                link.make_durable().map_err(stream)?;
                let told = link.ends().map_err(stream)?.told;
                let state = begin(partition, told).map_err(|reason| Error::Start { partition, reason })?;
                *unproved = Some(self.heard(&mut link).map_err(stream)?);
                tracing::info!(
                    partition = partition.0,
                    from = state.sequence().0,
                    told = told.0,
                    server = link.server(),
                    "standing by"
                );
                none.insert(Replica::new(state, told, self.shared.limits).map_err(|s| self.broken(s))?)
            }
        };
        let mut pulled = Pulled::default();
        let clock = SystemClock;
        let depth_every = Duration::from_millis(self.shared.options.depth_every_ms);
        let mut depths_at = Instant::now();
        while !self.shared.is_stopping() {
            replica.suspect(Timestamp(self.shared.suspected_until.load(Ordering::Relaxed)));
            let mut plan = replica.plan(clock.now());
            if !depth_every.is_zero() && replica.has_depths() {
                plan.wait = plan.wait.min(depth_every.saturating_sub(depths_at.elapsed()));
            }
            let entries: Vec<&[u8]> = replica.entries().collect();
            let turn = Turn {
                publish_after: plan.publish_after,
                entries: &entries,
                read_after: plan.read_after,
                records_max: plan.records_max,
                wait: plan.wait,
                barrier: plan.barrier,
            };
            link.turn(&turn, &mut pulled).map_err(stream)?;
            self.status.connected.store(true, Ordering::Relaxed);
            *tries = 0;
            // Nothing new is taken before the log is known to have made all that others have heard; it is read again
            // then.
            let end = unproved.as_ref().map_or(Sequence(u64::MAX), |heard| heard.end);
            let records = pulled.records.iter().take_while(|record| record.sequence <= end).map(|record| Record {
                sequence: record.sequence,
                time: record.time,
                payload: &record.payload,
            });
            let post = |message: Outgoing| self.post(message);
            let step = replica
                .take(pulled.told, records, pulled.durable, clock.now(), post)
                .map_err(|source| self.broken(source))?;
            if let Some(standing) = step.turned {
                self.turned(standing);
            }
            if replica.partition().sequence() >= end
                && let Some(heard) = unproved.take()
            {
                self.prove(&heard, replica.partition())?;
            }
            self.status.applied.store(replica.partition().sequence().0, Ordering::Relaxed);
            self.status.told.store(pulled.told.0, Ordering::Relaxed);
            metrics::counter!("crossbook_commands_total").increment(step.applied as u64);
            if !depth_every.is_zero() && replica.has_depths() && depths_at.elapsed() >= depth_every {
                self.keep_depths(replica, &mut link).map_err(stream)?;
                depths_at = Instant::now();
            }
            while let Ok(reply) = self.asked.try_recv() {
                reply(audit(replica.partition()));
            }
            if replica.standing() == Standing::Standby && !pulled.records.is_empty() {
                std::thread::sleep(STANDBY_REST);
            }
        }
        Ok(())
    }

    /// What the other partitions have heard from this one. One that cannot be asked now is left out: this one must not
    /// depend on it.
    fn heard(&self, link: &mut Link) -> Result<Heard, StreamError> {
        let mut by = Vec::new();
        for &to in self.couriers.keys().filter(|&&to| to != self.partition) {
            let ask = |mut link: Link| link.deliver(self.partition, RequestNumber(1), &[]);
            match Link::connect(&self.shared.servers, to).and_then(ask) {
                Ok(heard) => by.push((to, heard)),
                Err(error) if error.is_passing() => {
                    tracing::warn!(partition = self.partition.0, to = to.0, %error, "it cannot be asked now what it has heard");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Heard { end: link.ends()?.tail, by })
    }

    /// Holds a partition that has come to where its log ended against what others had heard from it.
    fn prove(&self, heard: &Heard, state: &Partition) -> Result<(), Error> {
        for &(to, heard_there) in &heard.by {
            let sent = state.sent(to);
            if sent < heard_there {
                let (partition, end) = (self.partition, heard.end);
                return Err(Error::Behind { partition, end, to, heard: heard_there, sent });
            }
        }
        Ok(())
    }

    /// Brings the depth of books that is kept in the store up to where the partition stands.
    fn keep_depths(&self, replica: &mut Replica, link: &mut Link) -> Result<(), StreamError> {
        let writes = replica.depths();
        if writes.is_empty() {
            return Ok(());
        }
        let changes: Vec<_> = writes
            .iter()
            .map(|write| DepthChange {
                symbol: write.symbol.as_str(),
                since: write.since,
                last: write.last,
                levels: &write.levels,
            })
            .collect();
        let kept = link.keep_depth(&changes)?;
        replica.depths_written(&writes, &kept);
        Ok(())
    }

    fn broken(&self, source: replica::Error) -> Error {
        Error::Replica { partition: self.partition, source }
    }

    fn turned(&self, standing: Standing) {
        let active = standing == Standing::Active;
        tracing::info!(partition = self.partition.0, active, "this worker's part has changed");
        self.status.active.store(active, Ordering::Relaxed);
        metrics::counter!("crossbook_partition_role_changes_total").increment(1);
        if active {
            let until = SystemClock.now().0.saturating_add(SUSPECT_FOR_US);
            self.shared.suspected_until.fetch_max(until, Ordering::Relaxed);
        }
        for courier in self.couriers.values() {
            // A courier that is gone has called `fatal`.
            let _ = courier.send(Mail::Standing { from: self.partition, active });
        }
    }

    fn post(&self, message: Outgoing) {
        let Outgoing { to, number, message } = message;
        let from = self.partition;
        let mut bytes = Vec::new();
        crossbook_protocol::wire::encode_command(
            SourceId::partition(from),
            number,
            None,
            &Body::Peer(message),
            &mut bytes,
        );
        if let Some(courier) = self.couriers.get(&to) {
            let _ = courier.send(Mail::Message { from, number, bytes });
        }
    }
}

/// The thread that carries messages to one partition.
struct Courier<'a> {
    shared: &'a Shared,
    to: PartitionId,
    boxes: BTreeMap<PartitionId, Mailbox>,
    kept: usize,
    asked: Instant,
    confirmed: Instant,
}

impl<'a> Courier<'a> {
    fn new(shared: &'a Shared, to: PartitionId) -> Self {
        Self { shared, to, boxes: BTreeMap::new(), kept: 0, asked: Instant::now(), confirmed: Instant::now() }
    }

    fn run(mut self, mail: &Receiver<Mail>) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            match self.session(mail, &mut tries) {
                Ok(()) => return Ok(()),
                Err(Error::Stream { source, .. }) if source.is_passing() => {
                    tracing::warn!(to = self.to.0, error = %source, "messages to this partition wait");
                    self.boxes.values_mut().for_each(Mailbox::lost);
                    if !self.shared.pause(&mut tries) {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Carries on one connection for as long as it lasts. Ends well when there are no partitions left to carry for.
    fn session(&mut self, mail: &Receiver<Mail>, tries: &mut u32) -> Result<(), Error> {
        let to = self.to;
        let stream = |source| Error::Stream { partition: to, source };
        let mut link = None;
        loop {
            if !self.gather(mail) {
                return Ok(());
            }
            let due = self.asked.elapsed() >= ASK_EVERY;
            let asks = |mailbox: &Mailbox| mailbox.must_ask() || (due && !mailbox.is_empty());
            let sends = self.boxes.values().any(|mailbox| mailbox.next(1).is_some());
            // What was sent is confirmed when there is nothing else to send, or it has been on its way for long.
            let unconfirmed = self.boxes.values().any(Mailbox::is_unconfirmed);
            let confirms = self.boxes.values().any(asks)
                || (unconfirmed && (!sends || self.confirmed.elapsed() >= CONFIRM_DELIVERY_EVERY));
            if !sends && !confirms {
                continue;
            }
            let link = match &mut link {
                Some(link) => link,
                none => none.insert(Link::connect(&self.shared.servers, to).map_err(stream)?),
            };
            let batch = self.shared.options.courier_batch_max.min(self.shared.servers.options().batch_records_max);
            let mut letters = Vec::new();
            for (&from, mailbox) in &self.boxes {
                if let Some((first, messages)) = mailbox.next(batch) {
                    letters.push((from, first, messages.collect::<Vec<_>>()));
                } else if confirms && (asks(mailbox) || mailbox.is_unconfirmed()) {
                    // With nothing to deliver it only asks.
                    letters.push((from, RequestNumber(1), Vec::new()));
                }
            }
            let taken = link.deliver_all(&letters, confirms).map_err(stream)?;
            let sent: Vec<(PartitionId, u64)> =
                letters.iter().map(|(from, first, messages)| (*from, first.0 + messages.len() as u64 - 1)).collect();
            for ((from, last), taken) in sent.into_iter().zip(taken) {
                let Some(mailbox) = self.boxes.get_mut(&from) else { continue };
                if confirms {
                    mailbox.heard(taken).map_err(|source| Error::Forgotten { from, to, source })?;
                } else {
                    mailbox.taken(RequestNumber(last), taken);
                }
            }
            if confirms {
                self.confirmed = Instant::now();
            }
            *tries = 0;
            if due {
                self.asked = Instant::now();
            }
            self.kept = self.boxes.values().map(Mailbox::len).sum();
            metrics::gauge!("crossbook_messages_unacknowledged", "to" => to.0.to_string()).set(self.kept as f64);
        }
    }

    /// Takes what there is to carry, waiting for it if there is nothing. False when all partitions here have ended.
    fn gather(&mut self, mail: &Receiver<Mail>) -> bool {
        if self.kept >= self.shared.options.courier_messages_max {
            return !self.shared.is_stopping();
        }
        let waits = |mailbox: &Mailbox| mailbox.must_ask() || mailbox.is_unconfirmed() || mailbox.next(1).is_some();
        let ready = self.boxes.values().any(waits);
        let first = if ready {
            mail.try_recv().ok()
        } else {
            match mail.recv_timeout(ASK_EVERY) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        };
        let room = self.shared.options.courier_messages_max.saturating_sub(self.kept);
        for letter in first.into_iter().chain(mail.try_iter()).take(room.max(1)) {
            match letter {
                Mail::Message { from, number, bytes } => {
                    self.boxes.entry(from).or_default().post(number, bytes);
                    self.kept += 1;
                }
                Mail::Standing { from, active } => self.boxes.entry(from).or_default().set_sends(active),
            }
        }
        !self.shared.is_stopping()
    }
}
