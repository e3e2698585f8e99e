//! The way of a gateway into a cluster and back: requests are appended to the logs of the partitions, and what the partitions tell is
//! followed.
//!
//! Each partition has a *lane*: a thread that appends what is queued for it, many requests at a time, and a thread that reads its
//! `out` and hands the events to an outlet. A lane remembers each request until the partition has taken it. The store may lose what it
//! has not replicated, so a request that is no longer where it was appended is appended again, under the same number; the partition takes
//! it once. Once a partition has taken it, it is durable and its answer follows by itself, from this partition or another.
//!
//! A lane whose partition does not answer *opens* after a while: requests for it are refused at once, and the lanes of others do not
//! notice. It closes by itself when the partition is heard again.
//!
//! # Reading what was told elsewhere
//! A client may be told something by one gateway and ask another. So before a question about an account is answered, its gateway asks
//! every partition's log where it ends, and waits until it has folded that much, and until the account's partition has heard what the
//! others had sent it by then ([`Gate::caught_up`]). The questions of the same moment share one round trip with each other and with the
//! requests under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use crossbook_engine::{Body, Event, Events, Routing};
use crossbook_log::streams::{Entry, Error as StreamError, Link, Servers};
use crossbook_types::{AccountId, Market, PartitionId, RequestNumber, Sequence, SourceId, SymbolId};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot};

use crate::embedded::{SystemClock, guarded};
use crate::node::Clock as _;
use crate::outlet::Outlet;
use crate::request::{NotTaken, Request};

/// How a gateway speaks with the partitions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Requests that may wait for one partition's lane; more are refused as busy.
    pub queue_requests_max: usize,
    /// Requests appended in one round trip.
    pub batch_requests_max: usize,
    /// Commands that may wait in one partition's log to be executed; more are refused as busy.
    pub backlog_max: u64,
    /// After how long without progress a lane looks whether its requests are still where it appended them, in milliseconds.
    pub retry_ms: u64,
    /// After how long without an answer a lane is open, and requests for its partition are refused at once, in milliseconds.
    pub breaker_ms: u64,
    /// How long a request of a partition that does not answer is kept, to be appended again when it does; nobody waits for it any longer than
    /// that. In milliseconds.
    pub keep_ms: u64,
    /// How long a question about an account waits for what was told elsewhere, in milliseconds.
    pub fence_ms: u64,
    /// Commands whose events are read in one round trip.
    pub follow_commands_max: usize,
    /// The longest pause between two tries to connect, in milliseconds.
    pub retry_delay_max_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue_requests_max: 8_192,
            batch_requests_max: 1_024,
            backlog_max: 20_000,
            retry_ms: 500,
            breaker_ms: 2_000,
            keep_ms: 10_000,
            fence_ms: 1_000,
            follow_commands_max: 1_024,
            retry_delay_max_ms: 250,
        }
    }
}

/// How often a lane looks after its requests.
const TICK: Duration = Duration::from_millis(50);
/// How long a reading of `out` waits for an entry.
const FOLLOW_WAIT: Duration = Duration::from_secs(1);

/// Why a gateway cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store says something that trying again does not mend.
    #[error("partition {partition}: {source}")]
    Stream {
        /// Which.
        partition: PartitionId,
        /// Why.
        source: StreamError,
    },
    /// An entry cannot be read.
    #[error("what partition {partition} tells of command {sequence} cannot be understood: {source}")]
    Entry {
        /// Which.
        partition: PartitionId,
        /// Where.
        sequence: Sequence,
        /// Why.
        source: crossbook_wire::Error,
    },
}

/// A question about an account waited too long for what was told elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not every partition answers; try again shortly")]
pub struct Behind;

/// Tells a request's sender that it was not taken.
pub type Refuse = Arc<dyn Fn(RequestNumber, NotTaken) + Send + Sync>;

/// A request on its way into a log.
#[derive(Debug)]
struct Flight {
    bytes: Arc<[u8]>,
    begun: Instant,
    /// Where it was appended, as far as is known.
    at: Option<Sequence>,
}

enum Inbound {
    Request(Request),
    /// Wants to know where the log ends.
    End(oneshot::Sender<Sequence>),
}

/// What the threads and the users of a lane share.
#[derive(Debug)]
struct Lane {
    partition: PartitionId,
    queue: Sender<Inbound>,
    flights: Mutex<BTreeMap<RequestNumber, Flight>>,
    /// The last command whose events are folded here.
    told: AtomicU64,
    /// Where the log ends, as last heard.
    tail: AtomicU64,
    open: AtomicBool,
    /// By partition, the last message that it has sent to this one, and that this one has heard of it, as folded here.
    sent_by: Vec<AtomicU64>,
    heard_of: Vec<AtomicU64>,
}

/// The way into a cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    source: SourceId,
    routing: Routing,
    options: Options,
    lanes: Vec<Lane>,
    /// By number, the partition of each market.
    markets: RwLock<Vec<PartitionId>>,
    folded: Notify,
    stopping: AtomicBool,
}

/// A running gate.
#[derive(Debug)]
pub struct Running {
    gate: Gate,
    threads: Vec<JoinHandle<Option<()>>>,
}

impl Gate {
    /// The source under which this gateway's requests are logged.
    #[must_use]
    pub fn source(&self) -> SourceId {
        self.0.source
    }

    /// Sends a request to the partition that owns what it is about. Never waits.
    ///
    /// # Errors
    /// When the partition's lane is full or open, or the gateway is stopping; the request has no effect then.
    pub fn submit(&self, request: Request) -> Result<(), NotTaken> {
        let shared = &*self.0;
        if shared.stopping.load(Ordering::Acquire) {
            return Err(NotTaken::Stopping);
        }
        let (to, market) = shared.owners(&request.body);
        let open = |partition: PartitionId| shared.lane(partition).open.load(Ordering::Relaxed);
        if open(to) || market.is_some_and(open) {
            metrics::counter!("crossbook_breaker_refusals_total").increment(1);
            return Err(NotTaken::Silent);
        }
        shared.lane(to).queue.try_send(Inbound::Request(request)).map_err(|error| match error {
            TrySendError::Full(_) => NotTaken::Busy,
            TrySendError::Disconnected(_) => NotTaken::Stopping,
        })
    }

    /// Waits until what is read here about an account includes everything that anybody was told before this was called.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn caught_up(&self, account: AccountId) -> Result<(), Behind> {
        let patience = Duration::from_millis(self.0.options.fence_ms);
        tokio::time::timeout(patience, self.fence(account)).await.unwrap_or(Err(Behind))
    }

    async fn fence(&self, account: AccountId) -> Result<(), Behind> {
        let shared = &*self.0;
        let asked: Vec<_> = shared
            .lanes
            .iter()
            .map(|lane| {
                let (sender, end) = oneshot::channel();
                lane.queue.try_send(Inbound::End(sender)).map(|()| end).map_err(|_| Behind)
            })
            .collect::<Result<_, _>>()?;
        let own = shared.lane(shared.routing.of_account(account));
        for (lane, end) in shared.lanes.iter().zip(asked) {
            let end = end.await.map_err(|_| Behind)?;
            self.until(|| lane.told.load(Ordering::Acquire) >= end.0).await;
        }
        // What the others have sent to the account's partition by now includes all that they had sent then.
        for (sent, heard) in own.sent_by.iter().zip(&own.heard_of) {
            let sent = sent.load(Ordering::Acquire);
            self.until(|| heard.load(Ordering::Acquire) >= sent).await;
        }
        Ok(())
    }

    /// Waits until every partition knows what the registry's partition has told up to now.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn registry_known(&self) -> Result<(), Behind> {
        let patience = Duration::from_millis(self.0.options.fence_ms);
        let registry = usize::from(Routing::REGISTRY.0);
        let all = async {
            for lane in &self.0.lanes {
                let sent = lane.sent_by[registry].load(Ordering::Acquire);
                self.until(|| lane.heard_of[registry].load(Ordering::Acquire) >= sent).await;
            }
        };
        tokio::time::timeout(patience, all).await.map_err(|_| Behind)
    }

    async fn until(&self, holds: impl Fn() -> bool) {
        loop {
            let folded = self.0.folded.notified();
            if holds() {
                return;
            }
            folded.await;
        }
    }

    /// Requests that wait to be appended.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.0.lanes.iter().map(|lane| lane.queue.len()).sum()
    }

    /// Whether a partition's lane is open: it has not answered for too long.
    #[must_use]
    pub fn is_open(&self, partition: PartitionId) -> bool {
        self.0.lane(partition).open.load(Ordering::Relaxed)
    }

    /// Where the views of a partition stand, and where its log ends as last heard.
    #[must_use]
    pub fn progress(&self, partition: PartitionId) -> (Sequence, Sequence) {
        let lane = self.0.lane(partition);
        (Sequence(lane.told.load(Ordering::Acquire)), Sequence(lane.tail.load(Ordering::Acquire)))
    }

    /// Whether the gateway is stopping.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }
}

impl Shared {
    fn lane(&self, partition: PartitionId) -> &Lane {
        &self.lanes[usize::from(partition.0)]
    }

    /// The partition that takes a request, and the one of the market that it is about, if it is about one.
    fn owners(&self, body: &Body) -> (PartitionId, Option<PartitionId>) {
        let market = match body {
            Body::Place(order) => Some(order.symbol),
            Body::Cancel(cancel) => Some(cancel.symbol),
            Body::CancelAll(cancel) => Some(cancel.symbol),
            _ => None,
        };
        let owner = market.and_then(|symbol: SymbolId| self.markets.read().get(symbol.0 as usize).copied());
        (self.routing.home(body), owner)
    }

    fn learn(&self, market: &Market) {
        let mut markets = self.markets.write();
        let at = market.id.0 as usize;
        if markets.len() <= at {
            markets.resize(at + 1, Routing::REGISTRY);
        }
        markets[at] = self.routing.of_market(market);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits before the next try, a little longer each time.
    fn pause(&self, tries: &mut u32) {
        let longest = Duration::from_millis(self.options.retry_delay_max_ms.max(1));
        std::thread::sleep((Duration::from_millis(5) * 2_u32.saturating_pow(*tries)).min(longest));
        *tries = (*tries + 1).min(16);
    }
}

/// What a gate is started with, for each partition by number.
pub struct Start<O> {
    /// Where its events go.
    pub outlet: O,
    /// The last command that the outlet knows.
    pub from: Sequence,
    /// By partition, the last message that it had sent to each other one by then.
    pub sent: Vec<RequestNumber>,
    /// By partition, the last message that it had heard of each other one by then.
    pub heard: Vec<RequestNumber>,
}

/// The venue that a gateway belongs to.
#[derive(Debug)]
pub struct Venue {
    /// Where the logs are.
    pub servers: Servers,
    /// Which partition owns what.
    pub routing: Routing,
    /// The source under which this run of the gateway sends; nobody has had it before.
    pub source: SourceId,
    /// The markets that are listed already.
    pub markets: Vec<Market>,
}

/// Starts the threads of a gateway. `fatal` is called with the reason when one cannot go on; it should end the process.
///
/// # Errors
/// When the system gives no thread.
///
/// # Panics
/// When there are not as many starts as partitions.
pub fn start<O: Outlet>(
    venue: Venue,
    options: Options,
    starts: Vec<Start<O>>,
    refuse: Refuse,
    fatal: impl Fn(String) + Send + Sync + 'static,
) -> std::io::Result<Running> {
    let Venue { servers, routing, source, markets } = venue;
    assert_eq!(starts.len(), usize::from(routing.partitions()), "a start for each partition");
    let mut queues = Vec::new();
    let mut lanes = Vec::new();
    for partition in routing.all() {
        let at = usize::from(partition.0);
        let (queue, requests) = bounded(options.queue_requests_max.max(1));
        let from = AtomicU64::new(starts[at].from.0);
        let number = |number: Option<&RequestNumber>| AtomicU64::new(number.map_or(0, |number| number.0));
        lanes.push(Lane {
            partition,
            queue,
            flights: Mutex::default(),
            tail: AtomicU64::new(starts[at].from.0),
            told: from,
            open: AtomicBool::new(false),
            sent_by: starts.iter().map(|start| number(start.sent.get(at))).collect(),
            heard_of: (0..starts.len()).map(|of| number(starts[at].heard.get(of))).collect(),
        });
        queues.push(requests);
    }
    let shared = Arc::new(Shared {
        source,
        routing,
        options,
        lanes,
        markets: RwLock::default(),
        folded: Notify::new(),
        stopping: AtomicBool::new(false),
    });
    markets.iter().for_each(|market| shared.learn(market));
    let fatal = Arc::new(fatal);
    let mut threads = Vec::new();
    for (at, (requests, start)) in queues.into_iter().zip(starts).enumerate() {
        let (these, of, refuse) = (Arc::clone(&shared), Arc::clone(&fatal), Arc::clone(&refuse));
        let servers_of = servers.clone();
        threads.push(std::thread::Builder::new().name(format!("append-{at}")).spawn(move || {
            let appender = Appender::new(&these, &these.lanes[at], servers_of, requests, refuse);
            guarded("the thread that sends requests", &*of, move || appender.run())
        })?);
        let (these, of, servers) = (Arc::clone(&shared), Arc::clone(&fatal), servers.clone());
        threads.push(std::thread::Builder::new().name(format!("follow-{at}")).spawn(move || {
            let Start { outlet, from, .. } = start;
            let lane = &these.lanes[at];
            let follower = Follower { shared: &these, lane, outlet, after: from, events: Events::new() };
            guarded("the thread that reads events", &*of, move || follower.run(&servers))
        })?);
    }
    Ok(Running { gate: Gate(shared), threads })
}

impl Running {
    /// The way in.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// From now on requests are refused.
    pub fn refuse(&self) {
        self.gate.0.stopping.store(true, Ordering::Release);
    }

    /// Ends the threads. Requests that were appended take effect; nobody hears of it here.
    pub fn stop(self) {
        self.refuse();
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// The thread that appends.
struct Appender<'a> {
    shared: &'a Shared,
    lane: &'a Lane,
    servers: Servers,
    requests: Receiver<Inbound>,
    refuse: Refuse,
    link: Option<Link>,
    ends: Vec<oneshot::Sender<Sequence>>,
    /// Since when nothing has moved though something waits.
    stuck_since: Option<Instant>,
    seen: u64,
    checked: Instant,
}

impl<'a> Appender<'a> {
    fn new(shared: &'a Shared, lane: &'a Lane, servers: Servers, requests: Receiver<Inbound>, refuse: Refuse) -> Self {
        let (seen, checked) = (lane.told.load(Ordering::Acquire), Instant::now());
        Self { shared, lane, servers, requests, refuse, link: None, ends: Vec::new(), stuck_since: None, seen, checked }
    }

    fn run(mut self) -> Result<(), Error> {
        let mut tries = 0;
        while !self.shared.is_stopping() {
            let fresh = self.gather();
            match self.round(&fresh) {
                Ok(()) => tries = 0,
                Err(source) if source.is_passing() => {
                    tracing::warn!(partition = self.lane.partition.0, error = %source, "requests wait for the log");
                    metrics::counter!("crossbook_append_failures_total").increment(1);
                    self.link = None;
                    // What was sent may have arrived or not; it is sent again, and taken once.
                    self.lane.flights.lock().values_mut().for_each(|flight| flight.at = None);
                    self.ends.clear();
                    self.watch();
                    self.shared.pause(&mut tries);
                }
                Err(source) => return Err(Error::Stream { partition: self.lane.partition, source }),
            }
            self.watch();
        }
        Ok(())
    }

    /// Takes requests from the queue, and gives the numbers of those that are new.
    fn gather(&mut self) -> Vec<RequestNumber> {
        let mut fresh = Vec::new();
        let first = self.requests.recv_timeout(TICK).ok();
        let now = SystemClock.now();
        let most = self.shared.options.batch_requests_max;
        let mut flights = self.lane.flights.lock();
        for inbound in first.into_iter().chain(self.requests.try_iter()) {
            match inbound {
                Inbound::End(sender) => self.ends.push(sender),
                Inbound::Request(Request { number, body, deadline }) => {
                    if deadline.is_some_and(|deadline| now > deadline) {
                        (self.refuse)(number, NotTaken::Late);
                        continue;
                    }
                    let mut bytes = Vec::new();
                    crossbook_wire::encode_command(self.shared.source, number, &body, &mut bytes);
                    flights.insert(number, Flight { bytes: bytes.into(), begun: Instant::now(), at: None });
                    fresh.push(number);
                }
            }
            if fresh.len() >= most {
                break;
            }
        }
        fresh
    }

    /// One round trip, if there is a reason for one.
    fn round(&mut self, fresh: &[RequestNumber]) -> Result<(), StreamError> {
        let due: Vec<(RequestNumber, Arc<[u8]>)> = {
            let flights = self.lane.flights.lock();
            let lost = flights.iter().filter(|(_, flight)| flight.at.is_none());
            let most = self.shared.options.batch_requests_max;
            lost.take(most).map(|(&number, flight)| (number, Arc::clone(&flight.bytes))).collect()
        };
        let stuck = self.stuck_since.is_some_and(|since| since.elapsed() >= self.retry());
        let check = stuck && self.checked.elapsed() >= self.retry();
        if due.is_empty() && self.ends.is_empty() && !check && self.link.is_some() {
            return Ok(());
        }
        let link = match &mut self.link {
            Some(link) => link,
            none => none.insert(Link::connect(&self.servers, self.lane.partition)?),
        };
        let payloads: Vec<&[u8]> = due.iter().map(|(_, bytes)| &**bytes).collect();
        let appended = match link.append(&payloads, self.shared.options.backlog_max) {
            Ok(appended) => appended,
            Err(StreamError::Full { .. }) => {
                metrics::counter!("crossbook_busy_total", "at" => "log").increment(1);
                give_back(self.lane, &self.refuse, fresh, NotTaken::Busy);
                link.append(&[], self.shared.options.backlog_max)?
            }
            Err(error) => return Err(error),
        };
        metrics::histogram!("crossbook_append_batch_requests").record(due.len() as f64);
        self.lane.tail.store(appended.last.0, Ordering::Release);
        let mut flights = self.lane.flights.lock();
        if appended.last.0 >= appended.first.0 {
            for (sequence, (number, _)) in (appended.first.0..=appended.last.0).zip(&due) {
                // The partition may have been quicker than the answer.
                if let Some(flight) = flights.get_mut(number) {
                    flight.at = Some(Sequence(sequence));
                }
            }
        }
        if check {
            self.checked = Instant::now();
            flights.values_mut().filter(|flight| flight.at > Some(appended.last)).for_each(|flight| flight.at = None);
        }
        drop(flights);
        for end in self.ends.drain(..) {
            let _ = end.send(appended.last);
        }
        Ok(())
    }

    fn retry(&self) -> Duration {
        Duration::from_millis(self.shared.options.retry_ms)
    }

    /// Looks after the requests under way, and opens or closes the lane.
    fn watch(&mut self) {
        let told = self.lane.told.load(Ordering::Acquire);
        let waiting = {
            let mut flights = self.lane.flights.lock();
            // The partition has come past the place, and it was not this request that it took there.
            for flight in flights.values_mut().filter(|flight| flight.at.is_some_and(|at| at.0 <= told)) {
                metrics::counter!("crossbook_requests_repeated_total").increment(1);
                flight.at = None;
            }
            !flights.is_empty() || self.lane.tail.load(Ordering::Acquire) > told || self.link.is_none()
        };
        if told > self.seen || !waiting {
            (self.seen, self.stuck_since) = (told, None);
        } else if self.stuck_since.is_none() {
            self.stuck_since = Some(Instant::now());
        }
        let patience = Duration::from_millis(self.shared.options.breaker_ms);
        let open = self.stuck_since.is_some_and(|since| since.elapsed() >= patience);
        if self.lane.open.swap(open, Ordering::Relaxed) != open {
            tracing::warn!(partition = self.lane.partition.0, open, "the partition's lane has changed");
            metrics::gauge!("crossbook_lane_open", "partition" => self.lane.partition.0.to_string())
                .set(f64::from(u8::from(open)));
        }
        if open {
            // Whoever waited for the others was told that it is not known what becomes of them.
            let keep = Duration::from_millis(self.shared.options.keep_ms);
            self.lane.flights.lock().retain(|_, flight| flight.begun.elapsed() < keep);
        }
    }
}

/// Tells the senders of requests that were not appended so.
fn give_back(lane: &Lane, refuse: &Refuse, numbers: &[RequestNumber], why: NotTaken) {
    let mut flights = lane.flights.lock();
    for &number in numbers {
        if flights.remove(&number).is_some() {
            refuse(number, why);
        }
    }
}

/// The thread that reads what a partition tells, and hands it on.
struct Follower<'a, O> {
    shared: &'a Shared,
    lane: &'a Lane,
    outlet: O,
    after: Sequence,
    events: Events,
}

impl<O: Outlet> Follower<'_, O> {
    fn run(mut self, servers: &Servers) -> Result<(), Error> {
        let mut tries = 0;
        while !self.shared.is_stopping() {
            match self.session(servers, &mut tries) {
                Err(Error::Stream { partition, source }) if source.is_passing() => {
                    tracing::warn!(partition = partition.0, error = %source, "what the partition tells cannot be read now");
                    self.shared.pause(&mut tries);
                }
                ended => ended?,
            }
        }
        Ok(())
    }

    /// Reads on one connection for as long as it lasts.
    fn session(&mut self, servers: &Servers, tries: &mut u32) -> Result<(), Error> {
        let partition = self.lane.partition;
        let stream = |source| Error::Stream { partition, source };
        let mut link = Link::connect(servers, partition).map_err(stream)?;
        let mut entries: Vec<Entry> = Vec::new();
        while !self.shared.is_stopping() {
            let most = self.shared.options.follow_commands_max;
            link.follow(self.after, most, FOLLOW_WAIT, &mut entries).map_err(stream)?;
            *tries = 0;
            if !entries.is_empty() {
                self.fold(&entries)?;
            }
        }
        Ok(())
    }

    fn fold(&mut self, entries: &[Entry]) -> Result<(), Error> {
        let partition = self.lane.partition;
        self.events.clear();
        let (mut sent, mut heard, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        for Entry { sequence, payload } in entries {
            let told = crossbook_wire::decode_told(payload).map_err(|source| Error::Entry {
                partition,
                sequence: *sequence,
                source,
            })?;
            if partition == Routing::REGISTRY {
                for event in &told.events {
                    if let Event::MarketListed(market) = event {
                        self.shared.learn(market);
                    }
                }
            }
            if told.source == self.shared.source {
                taken.push(told.number);
            } else if told.source < SourceId::FIRST_GATEWAY {
                heard.push((told.source, told.number));
            }
            sent.extend(told.sent);
            self.events.tell(told.cause, told.events);
            self.after = *sequence;
        }
        {
            let mut flights = self.lane.flights.lock();
            taken.iter().for_each(|number| drop(flights.remove(number)));
        }
        self.outlet.publish(&mut self.events);
        let lanes = &self.shared.lanes;
        for (source, number) in heard {
            let of = usize::try_from(source.0).unwrap_or(usize::MAX);
            if let Some(heard) = self.lane.heard_of.get(of) {
                heard.fetch_max(number.0, Ordering::AcqRel);
            }
        }
        for (to, number) in sent {
            if let Some(lane) = lanes.get(usize::from(to.0)) {
                lane.sent_by[usize::from(partition.0)].fetch_max(number.0, Ordering::AcqRel);
            }
        }
        // Last: whoever finds the position finds everything else.
        self.lane.told.store(self.after.0, Ordering::Release);
        self.shared.folded.notify_waiters();
        Ok(())
    }
}
