//! The node of a venue in one process: a partition thread and a publisher thread around a [`Node`].
//!
//! ```text
//!   gateway threads --(queue)--> partition thread: log, apply, sync --(queue)--> publisher thread: the event sink
//! ```
//!
//! Both queues are bounded, the first also by the time that its last request would wait. If the publisher falls behind,
//! the partition waits for it; if the partition falls behind, its queue fills, and gateways are told that the venue is
//! overloaded. If either thread fails, the process must end: the caller's `fatal` is called once, with the reason.
//!
//! Work that would delay trading is done elsewhere: an audit is requested through the [`Handle`] and answered by the
//! owner of a second copy of the partition ([`Running::take_audits`]), and log segments are trimmed by a
//! [`Trimmer`](crossbook_log::Trimmer).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use crossbook_engine::Partition;
use crossbook_log::Log;
use crossbook_protocol::{Event, Events};
use crossbook_types::{Amount, AssetId, PartitionId, RequestNumber, Sequence, SourceId, Timestamp};
use metrics::{counter, gauge, histogram};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::admission::{Patience, QueueWait};
use crate::event_sink::EventSink;
use crate::hops::{self, Hop, Hops};
use crate::node::{Clock, Limits, Node, Stage};
use crate::request::{NotAccepted, Request};

/// How an embedded node runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Requests that may wait for the partition; more are refused as overload.
    pub queue_requests_max: usize,
    /// Milliseconds that a request may have to wait in the queue; one that would wait longer is refused as overload. 0:
    /// no bound, nor the next one.
    pub queue_wait_max_ms: u64,
    /// The same for new orders while the queue persists: once it has not been empty for `queue_wait_max_ms`, until for
    /// that long hardly any request was refused, or all demand was clearly below capacity. 0: no such bound.
    pub queue_wait_sustained_max_ms: u64,
    /// Requests in one batch, which share one sync of the disk.
    pub batch_requests_max: usize,
    /// Minimum time from the beginning of one batch to that of the next, in microseconds; requests that arrive
    /// meanwhile share the next sync. For disks whose operations are limited or paid for. 0: as soon as the disk is
    /// done.
    pub batch_interval_us: u64,
    /// Batches that may wait for the publisher; the partition waits when there are more.
    pub publish_queue_batches_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue_requests_max: 8_192,
            queue_wait_max_ms: 100,
            queue_wait_sustained_max_ms: 10,
            batch_requests_max: 1_024,
            batch_interval_us: 0,
            publish_queue_batches_max: 64,
        }
    }
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

/// What an audit of a partition found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditReport {
    /// The last command applied.
    pub sequence: Sequence,
    /// See [`crossbook_engine::state_hash`].
    pub state_hash: [u8; 32],
    /// Per asset, the sum over all accounts: zero, or something is wrong.
    pub sums: BTreeMap<AssetId, Amount>,
    /// What is wrong; empty if nothing is.
    pub violations: Vec<String>,
}

/// Receives an [`AuditReport`].
pub type AuditReply = Box<dyn FnOnce(AuditReport) + Send>;

/// Audits that may wait to be answered; more are refused as overload.
pub const AUDITS_WAITING_MAX: usize = 16;

#[expect(clippy::large_enum_variant, reason = "all but one are requests")]
enum Inbound {
    Request(Request),
    Stop,
}

enum Published {
    Events(Events),
    NotAccepted(RequestNumber, NotAccepted),
}

/// The way to a running partition. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    inbound: Sender<Inbound>,
    audits: Sender<AuditReply>,
    /// The last command that is durable and was handed to the publisher.
    durable: Arc<AtomicU64>,
    /// Held while something is sent, so that nothing follows the message to stop.
    stopping: Arc<RwLock<bool>>,
    source: SourceId,
    queue_wait: QueueWait,
}

impl Handle {
    /// The source under which requests sent here are logged: this run of the venue.
    #[must_use]
    pub fn source(&self) -> SourceId {
        self.source
    }

    /// Sends a request. Never waits.
    ///
    /// # Errors
    /// When the partition's queue is full or too slow, or the venue is stopping; the request has no effect then.
    pub fn submit(&self, request: Request) -> Result<(), NotAccepted> {
        if self.queue_wait.is_too_long_for(&request.body, self.inbound.len()) {
            return Err(NotAccepted::Busy);
        }
        self.send(&self.inbound, Inbound::Request(request))
    }

    /// Whether a new order would be refused now, whatever its content. This check costs less than parsing an order. A
    /// caller that then refuses one reports so, by [`Handle::refused_order`].
    #[must_use]
    pub fn refuses_orders(&self) -> bool {
        // A queue that is full is asked about its time, too: it may stand, and then those that it refuses count.
        let is_too_long = self.queue_wait.is_too_long_for_orders(self.inbound.len());
        is_too_long || self.inbound.is_full()
    }

    /// Records that an order was refused because of [`Handle::refuses_orders`], and would have been sent otherwise:
    /// while there are many of these, orders continue to be refused.
    pub fn refused_order(&self) {
        self.queue_wait.refused_order();
    }

    /// Audits the venue at its present position, or later, on a second copy of it: trading does not wait. The owner of
    /// the copy answers; see [`Running::take_audits`].
    ///
    /// # Errors
    /// When too many audits wait, or the venue is stopping.
    pub fn audit(&self, reply: AuditReply) -> Result<(), NotAccepted> {
        self.send(&self.audits, reply)
    }

    /// The last durable command. Everything that was answered is at or before it.
    #[must_use]
    pub fn durable(&self) -> Sequence {
        Sequence(self.durable.load(Ordering::Acquire))
    }

    /// Requests that wait for the partition.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.inbound.len()
    }

    /// Whether the venue is stopping.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.read()
    }

    fn send<T>(&self, queue: &Sender<T>, message: T) -> Result<(), NotAccepted> {
        let stopping = self.stopping.read();
        if *stopping {
            return Err(NotAccepted::Stopping);
        }
        queue.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => NotAccepted::Busy,
            TrySendError::Disconnected(_) => NotAccepted::Stopping,
        })
    }
}

/// A running node.
#[derive(Debug)]
pub struct Running<L, O> {
    handle: Handle,
    audits: Option<Receiver<AuditReply>>,
    partition: JoinHandle<Option<(Partition, L)>>,
    publisher: JoinHandle<Option<O>>,
}

/// What a node was made of, after it stopped.
#[derive(Debug)]
pub struct Stopped<L, O> {
    /// The partition, at the end of the log.
    pub partition: Partition,
    /// The log, all of it durable.
    pub log: L,
    /// The sink, which has received everything.
    pub sink: O,
}

impl<L: Log, O> Running<L, O> {
    /// The way to it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The requested audits, for the owner of a second copy of the partition, who answers them. That copy must have
    /// followed the log to [`Handle::durable`]. `None` if they have been taken already; if nobody takes them, audits
    /// get no answer.
    #[must_use]
    pub fn take_audits(&mut self) -> Option<Receiver<AuditReply>> {
        self.audits.take()
    }

    /// Takes no more requests, finishes what was taken, and stops. `None` if it had failed before.
    #[must_use]
    pub fn stop(self) -> Option<Stopped<L, O>> {
        *self.handle.stopping.write() = true;
        // Behind everything that was accepted before, and nothing follows it.
        let _ = self.handle.inbound.send(Inbound::Stop);
        let (partition, log) = self.partition.join().ok()??;
        let sink = self.publisher.join().ok()??;
        Some(Stopped { partition, log, sink })
    }
}

/// The source for a run that starts where the log ends. No two runs that log anything start at the same place.
#[must_use]
pub fn source_of_run(end: Sequence) -> SourceId {
    SourceId(SourceId::FIRST_GATEWAY.0.saturating_add(end.0))
}

/// Starts a node at the position of `partition`, which must be the end of `log`. `fatal` is called with the reason when
/// it cannot continue; it should end the process.
pub fn start<L, O>(
    partition: Partition,
    log: L,
    sink: O,
    options: Options,
    fatal: impl Fn(String) + Send + Sync + 'static,
) -> std::io::Result<Running<L, O>>
where
    L: Log + Send + 'static,
    O: EventSink,
{
    start_traced(partition, log, sink, options, &Arc::default(), fatal)
}

/// As [`start`], with the way of the requests noted that are wanted in `hops`.
pub fn start_traced<L, O>(
    partition: Partition,
    log: L,
    sink: O,
    options: Options,
    hops: &Arc<Hops>,
    fatal: impl Fn(String) + Send + Sync + 'static,
) -> std::io::Result<Running<L, O>>
where
    L: Log + Send + 'static,
    O: EventSink,
{
    let (inbound, requests) = bounded(options.queue_requests_max);
    // Woken once for each batch. The other kind of channel first yields the processor a few times, in the hope that
    // there is more, and on a machine that is short of processors that costs the gateway a twentieth of its time.
    let (publish, published) = mpsc::channel(options.publish_queue_batches_max);
    let (recycle, recycled) = bounded(options.publish_queue_batches_max);
    let (audits, audits_asked) = bounded(AUDITS_WAITING_MAX);
    let durable = Arc::new(AtomicU64::new(partition.sequence().0));
    let source = source_of_run(partition.sequence());
    let fatal = Arc::new(fatal);
    let limits =
        Limits { queue_requests_max: options.batch_requests_max, batch_requests_max: options.batch_requests_max };
    let way = BatchWay { hops: Arc::clone(hops), source, partition: partition.id(), times: Arc::default() };
    let relay = Relay { publish, recycled, durable: Arc::clone(&durable), way: way.clone() };
    let mut node = Node::new(partition, log, SystemClock, relay, source, limits);
    node.observe(stage_metrics(way));
    let patience = Patience {
        wait_max: Duration::from_millis(options.queue_wait_max_ms),
        standing_max: Duration::from_millis(options.queue_wait_sustained_max_ms),
    };
    let queue_wait = QueueWait::new(options.batch_requests_max, patience);

    let ended = Arc::clone(&fatal);
    let told = queue_wait.clone();
    let partition = thread::Builder::new().name("partition".to_owned()).spawn(move || {
        guarded("the partition thread", &*ended, move || run_partition(node, &requests, options, &told))
    })?;
    let publisher = thread::Builder::new().name("publisher".to_owned()).spawn(move || {
        guarded("the publisher thread", &*fatal, move || Ok::<_, Infallible>(run_publisher(sink, published, &recycle)))
    })?;
    let handle = Handle { inbound, audits, durable, stopping: Arc::default(), source, queue_wait };
    Ok(Running { handle, audits: Some(audits_asked), partition, publisher })
}

/// Runs the work of a thread without which the venue must not continue; a failure or a panic is fatal.
pub fn guarded<T, E: Display>(name: &str, fatal: &impl Fn(String), work: impl FnOnce() -> Result<T, E>) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            fatal(format!("{name} cannot continue: {error}"));
            None
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown reason");
            fatal(format!("{name} panicked: {text}"));
            None
        }
    }
}

fn run_partition<L: Log>(
    mut node: Node<L, SystemClock, Relay>,
    requests: &Receiver<Inbound>,
    options: Options,
    queue_wait: &QueueWait,
) -> Result<(Partition, L), crate::node::Error> {
    let mut stopping = false;
    let mut pace = Pace { interval: Duration::from_micros(options.batch_interval_us), last: None };
    while !stopping {
        let was_empty = requests.is_empty();
        // It waits for one message; others that have arrived by then go into the same batch. While the partition has
        // deferred work, it does not wait.
        if was_empty && node.has_work() {
            thread::sleep(pace.pause(Instant::now()));
            pace.last = Some(Instant::now());
            run_batch(&mut node, queue_wait, pace.interval)?;
            continue;
        }
        let Ok(mut message) = requests.recv() else { break };
        if was_empty {
            queue_wait.emptied();
        }
        // Requests that arrive meanwhile stay in the queue, where they count as waiting.
        thread::sleep(pace.pause(Instant::now()));
        pace.last = Some(Instant::now());
        loop {
            match message {
                Inbound::Request(request) => {
                    let number = request.number;
                    if let Err(why) = node.offer(request) {
                        node.outlet_mut().not_accepted(number, why);
                    }
                }
                Inbound::Stop => {
                    stopping = true;
                    break;
                }
            }
            if node.queued() >= options.batch_requests_max {
                break;
            }
            match requests.try_recv() {
                Ok(next) => message = next,
                Err(_) => break,
            }
        }
        gauge!("crossbook_queue_depth", "stage" => "partition").set(requests.len() as f64);
        run_batches(&mut node, queue_wait, pace.interval)?;
    }
    let (partition, log, _) = node.finish();
    Ok((partition, log))
}

/// Batches no sooner after one another than they may come.
struct Pace {
    interval: Duration,
    /// When the last one began.
    last: Option<Instant>,
}

impl Pace {
    /// How long it is until the next batch may begin.
    fn pause(&self, now: Instant) -> Duration {
        self.last.map_or(Duration::ZERO, |last| self.interval.saturating_sub(now.saturating_duration_since(last)))
    }
}

/// Runs batches as long as something waits in the node. `at_least`: the minimum time of a batch for the requests that
/// wait behind it, even if it is done sooner.
fn run_batches<L: Log>(
    node: &mut Node<L, SystemClock, Relay>,
    queue_wait: &QueueWait,
    at_least: Duration,
) -> Result<(), crate::node::Error> {
    while node.queued() > 0 {
        run_batch(node, queue_wait, at_least)?;
    }
    Ok(())
}

/// Runs one batch, and measures it.
fn run_batch<L: Log>(
    node: &mut Node<L, SystemClock, Relay>,
    queue_wait: &QueueWait,
    at_least: Duration,
) -> Result<(), crate::node::Error> {
    let began = Instant::now();
    let result = node.run_batch()?;
    queue_wait.record_batch(began.elapsed().max(at_least), result.commands as u64);
    let (records, bytes) = {
        let batch = node.log().last_batch();
        (batch.records, batch.bytes)
    };
    histogram!("crossbook_log_batch_commands").record(records as f64);
    counter!("crossbook_log_bytes_total").increment(bytes);
    Ok(())
}

/// Adds a partition up.
#[must_use]
pub fn audit(partition: &Partition) -> AuditReport {
    let found = partition.audit();
    AuditReport {
        sequence: partition.sequence(),
        state_hash: crossbook_engine::state_hash(&partition.state()),
        sums: found.sums,
        violations: found.violations,
    }
}

/// When the stages of a batch have ended.
#[derive(Clone, Copy, Debug)]
struct StageTimes {
    taken: Instant,
    appended: Instant,
    applied: Instant,
    synced: Instant,
}

/// The way of the traced requests of a batch. One half of it hears of the stages, the other of the events; both are on
/// the partition's thread.
#[derive(Clone, Debug)]
struct BatchWay {
    hops: Arc<Hops>,
    source: SourceId,
    partition: PartitionId,
    times: Arc<Mutex<Option<StageTimes>>>,
}

impl BatchWay {
    /// A request is wanted before it is sent, so each stage of its batch comes here.
    fn ended(&self, stage: Stage, now: Instant) {
        let mut times = self.times.lock();
        match (stage, times.as_mut()) {
            (Stage::Taken(_), _) => *times = Some(StageTimes { taken: now, appended: now, applied: now, synced: now }),
            (Stage::Appended, Some(times)) => times.appended = now,
            (Stage::Applied, Some(times)) => times.applied = now,
            (Stage::Synced, Some(times)) => times.synced = now,
            _ => {}
        }
    }

    /// Notes the way of those whose answers are among the events of the batch.
    fn note(&self, events: &Events) {
        let Some(StageTimes { taken, appended, applied, synced }) = *self.times.lock() else { return };
        for (cause, events) in events.iter() {
            for event in events {
                let Event::Answered { source, number, .. } = event else { continue };
                if *source != self.source {
                    continue;
                }
                let hop = |stage, began, ended| {
                    Some(Hop { stage, partition: self.partition, sequence: cause.sequence, began, ended })
                };
                self.hops.note(*number, |sent| {
                    [
                        hop(hops::Stage::Queue, sent, taken.max(sent)),
                        hop(hops::Stage::Append, taken, appended),
                        hop(hops::Stage::Apply, appended, applied),
                        hop(hops::Stage::Sync, applied, synced),
                    ]
                });
            }
        }
    }
}

/// Measures the stages of a batch.
fn stage_metrics(way: BatchWay) -> impl FnMut(Stage) + Send {
    let append = histogram!("crossbook_log_append_seconds");
    let apply = histogram!("crossbook_matching_seconds");
    let apply_batch = histogram!("crossbook_matching_batch_seconds");
    let sync = histogram!("crossbook_log_sync_seconds");
    let publish = histogram!("crossbook_publish_wait_seconds");
    let commands = counter!("crossbook_commands_total");
    let mut last = Instant::now();
    let mut taken = 0usize;
    move |stage| {
        let now = Instant::now();
        let elapsed = now.duration_since(last).as_secs_f64();
        last = now;
        if way.hops.are_wanted() {
            way.ended(stage, now);
        }
        match stage {
            Stage::Taken(requests) => {
                taken = requests;
                commands.increment(requests as u64);
            }
            Stage::Appended => append.record(elapsed),
            // A batch is matched without reading the clock in between. One command's share is a mean and says nothing
            // of the slowest; the whole is an upper bound of each.
            Stage::Applied if taken > 0 => {
                apply.record(elapsed / taken as f64);
                apply_batch.record(elapsed);
            }
            Stage::Applied => {}
            Stage::Synced => sync.record(elapsed),
            Stage::Published => publish.record(elapsed),
        }
    }
}

/// Hands events from the partition thread to the publisher thread.
struct Relay {
    publish: mpsc::Sender<Published>,
    recycled: Receiver<Events>,
    durable: Arc<AtomicU64>,
    way: BatchWay,
}

impl EventSink for Relay {
    fn publish(&mut self, events: &mut Events) {
        if self.way.hops.are_wanted() {
            self.way.note(events);
        }
        if let Some(last) = events.last() {
            self.durable.store(last.sequence.0, Ordering::Release);
        }
        let empty = self.recycled.try_recv().unwrap_or_default();
        let full = std::mem::replace(events, empty);
        // A publisher that has ended has called `fatal`; nobody is left to receive this.
        let _ = self.publish.blocking_send(Published::Events(full));
    }

    fn not_accepted(&mut self, number: RequestNumber, why: NotAccepted) {
        let _ = self.publish.blocking_send(Published::NotAccepted(number, why));
    }
}

fn run_publisher<O: EventSink>(mut sink: O, mut published: mpsc::Receiver<Published>, recycle: &Sender<Events>) -> O {
    while let Some(message) = published.blocking_recv() {
        gauge!("crossbook_queue_depth", "stage" => "publisher").set(published.len() as f64);
        match message {
            Published::Events(mut events) => {
                sink.publish(&mut events);
                events.clear();
                let _ = recycle.try_send(events);
            }
            Published::NotAccepted(number, why) => sink.not_accepted(number, why),
        }
    }
    sink
}
