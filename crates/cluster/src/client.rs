//! The log client of a gateway: appends requests to the logs of the partitions, and applies these logs.
//!
//! A gateway is a replica of every partition. Its requests are appended in the turns of its
//! [`session`](crate::session)s, which also read what others have appended; what is confirmed is applied here, and the
//! events are handed to an event sink. So the answer to a request needs no other process: it follows from the log.
//!
//! Each request is retained until the partition has accepted it. The store may lose what it has not replicated, so a
//! request that is no longer where it was appended is appended again, under the same request id; the partition
//! deduplicates it. Once a partition has accepted a request, it is durable, and its answer follows from the log of this
//! partition or another.
//!
//! A partition whose log does not progress for a while counts as *silent*: requests for it are refused at once, and
//! requests for others are not affected. It stops being silent when its log progresses.
//!
//! # Read-your-writes across gateways
//! A client may read something at one gateway and then query another. So before a gateway answers a query about an
//! account, it asks every partition's log for its end, and waits until it has applied that much and until the account's
//! partition has received what the others had sent to it by then ([`LogClient::caught_up`]). Silent partitions are left
//! out, because an account must not suffer from the failure of a partition that it does not use. Concurrent queries
//! share one turn with each other and with the requests in flight.

mod host;
mod options;
pub mod read_barrier;
mod sojourn;
mod throughput;
mod way;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use crossbook_engine::Partition;
use crossbook_node::Hops;
use crossbook_node::event_sink::EventSink;
use crossbook_node::request::{NotAccepted, Request};
use crossbook_protocol::{Body, Routing};
use crossbook_types::{AccountId, Market, PartitionId, RequestNumber, Sequence, SourceId, SymbolId};
use parking_lot::RwLock;
use tokio::sync::{Notify, oneshot};

use crate::requests::appends::Appends;
use host::GatewayHost;
use read_barrier::{Folded, ReadBarrier};
use sojourn::Limit;
use throughput::Throughput;

use crate::replica::{Proof, Replica};
use crate::runtime::{Runtime, Seat, Wakers};
use crate::session::Member;
use crate::store::Connect;

pub use crate::runtime::Error;
pub use options::Options;

/// A question about an account waited too long for what other gateways have answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not every partition answers; try again shortly")]
pub struct Behind;

/// Tells a request's sender that it was not taken.
pub type Refuse = Arc<dyn Fn(RequestNumber, NotAccepted) + Send + Sync>;

#[expect(clippy::large_enum_variant, reason = "nearly all are requests")]
enum Inbound {
    /// A request, and when it came.
    Request(Request, Instant),
    /// Wants to know where the log ends.
    End(oneshot::Sender<Sequence>),
}

/// The state of one partition's client, shared by its threads and its users.
#[derive(Debug)]
struct PartitionClient {
    partition: PartitionId,
    queue: Sender<Inbound>,
    /// [`Appends::offset_micros`], for the hosts of other partitions.
    offset_micros: AtomicI64,
    /// Requests that are appended, or are to be, and that the partition has not accepted.
    in_flight: AtomicU64,
    /// The last command that is applied here.
    folded: AtomicU64,
    /// The last known end of the log.
    tail: AtomicU64,
    throughput: Throughput,
    limit: Limit,
    is_silent: AtomicBool,
    /// By partition, the last message that it has sent to this one, and the last of its messages that this one has
    /// received, as folded here.
    sent_by: Vec<AtomicU64>,
    received_from: Vec<AtomicU64>,
}

impl PartitionClient {
    /// Commands in front of a request that is sent now, by whomever, as far as is known: those in the log, and those on
    /// their way there.
    fn waiting(&self) -> u64 {
        let folded = self.folded.load(Ordering::Acquire);
        let logged = self.tail.load(Ordering::Acquire).saturating_sub(folded);
        logged + self.queue.len() as u64
    }

    /// Requests of this gateway that the partition has not accepted.
    fn under_way(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire) + self.queue.len() as u64
    }

    /// Whether a new order would wait too long here, because there have been too many for a while.
    fn is_overloaded(&self) -> bool {
        self.limit.refuses(self.under_way())
    }

    /// Whether something is known to wait behind the command `folded`, for the partition or for the way to it.
    fn is_busy_behind(&self, folded: Sequence) -> bool {
        self.tail.load(Ordering::Acquire) > folded.0 || !self.queue.is_empty()
    }
}

/// The state of a partition, as seen from a gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionState {
    /// The partition that it happened in.
    pub partition: PartitionId,
    /// Whether it has not answered for so long that requests for it are refused at once.
    pub silent: bool,
    /// Requests that wait to be appended to its log.
    pub queued: usize,
    /// Requests that were appended, and that it has not taken yet.
    pub under_way: usize,
    /// The last command that is applied here.
    pub folded: Sequence,
    /// The last known end of its log; never before `folded`.
    pub log_end: Sequence,
}

/// The way into a cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogClient(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    source: SourceId,
    routing: Routing,
    options: Options,
    hops: Arc<Hops>,
    clients: Vec<PartitionClient>,
    wakers: Wakers,
    /// By number, the partition of each market.
    markets: RwLock<Vec<PartitionId>>,
    folded: Notify,
    stopping: AtomicBool,
    /// Held while a request is sent to a partition.
    sending: RwLock<()>,
    /// Why no partition accepts requests, if that is so.
    closed: RwLock<Option<Arc<str>>>,
}

/// A running client.
#[derive(Debug)]
pub struct Running {
    client: LogClient,
    runtime: Runtime,
}

impl LogClient {
    /// The source under which this gateway's requests are logged.
    #[must_use]
    pub fn source(&self) -> SourceId {
        self.0.source
    }

    /// Sends a request to its owning partition. Never waits.
    ///
    /// # Errors
    /// When the partition's queue is full or too slow, its circuit breaker is open, the venue is closed, or the gateway
    /// is stopping; the request has no effect then.
    pub fn submit(&self, request: Request) -> Result<(), NotAccepted> {
        let shared = &*self.0;
        let _sending = shared.sending.read();
        if shared.stopping.load(Ordering::Acquire) {
            return Err(NotAccepted::Stopping);
        }
        if shared.closed.read().is_some() {
            return Err(NotAccepted::Closed);
        }
        let (to, market) = shared.owners(&request.body);
        let is_silent = |partition: PartitionId| shared.client(partition).is_silent.load(Ordering::Relaxed);
        if is_silent(to) || market.is_some_and(is_silent) {
            metrics::counter!("crossbook_circuit_breaker_rejections_total").increment(1);
            return Err(NotAccepted::Silent);
        }
        let client = shared.client(to);
        let waiting = client.waiting();
        if waiting >= shared.options.backlog_max || client.throughput.is_too_long(waiting) {
            metrics::counter!("crossbook_overload_rejections_total", "stage" => "log").increment(1);
            return Err(NotAccepted::Busy);
        }
        // Cancels reduce risk, and are what everybody sends when something is wrong.
        if matches!(request.body, Body::Place(_)) && shared.refuses_order(to, market) {
            metrics::counter!("crossbook_overload_rejections_total", "stage" => "log").increment(1);
            return Err(NotAccepted::Busy);
        }
        client.queue.try_send(Inbound::Request(request, Instant::now())).map_err(|error| match error {
            TrySendError::Full(_) => NotAccepted::Busy,
            TrySendError::Disconnected(_) => NotAccepted::Stopping,
        })?;
        shared.wakers.wake(to);
        Ok(())
    }

    /// Whether any new order would be refused as overload now, whichever partition it is for.
    #[must_use]
    pub fn refuses_orders(&self) -> bool {
        self.0.clients.iter().all(PartitionClient::is_overloaded)
    }

    /// Takes note of an order that was refused for this reason only.
    pub fn refused_order(&self) {
        self.0.clients.iter().for_each(|client| client.limit.refused());
    }

    /// Waits until what is read here about an account includes everything that any gateway had answered before this was
    /// called.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn caught_up(&self, account: AccountId) -> Result<(), Behind> {
        let patience = Duration::from_millis(self.0.options.read_barrier_timeout_ms);
        tokio::time::timeout(patience, self.barrier(account)).await.unwrap_or(Err(Behind))
    }

    async fn barrier(&self, account: AccountId) -> Result<(), Behind> {
        let shared = &*self.0;
        let own = shared.client(shared.routing.of_account(account));
        if own.is_silent.load(Ordering::Relaxed) {
            return Err(Behind);
        }
        // Everything that another partition sent before it became silent was folded long before its circuit breaker
        // opened.
        let asked: Vec<_> = shared
            .clients
            .iter()
            .filter(|client| !client.is_silent.load(Ordering::Relaxed))
            .map(|client| Ok((client, self.ask_end(client)?)))
            .collect::<Result<_, _>>()?;
        let mut ends = BTreeMap::new();
        for (client, end) in asked {
            ends.insert(client.partition, end.await.map_err(|_| Behind)?);
        }
        let mut barrier = ReadBarrier::at(ends);
        self.until(|| barrier.is_passed(&Around { shared, own })).await;
        Ok(())
    }

    /// Waits until this gateway and every partition know of assets, markets, accounts and keys what anybody had been
    /// answered of them before this was called.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn registry_known(&self) -> Result<(), Behind> {
        let patience = Duration::from_millis(self.0.options.read_barrier_timeout_ms);
        let registry = usize::from(Routing::REGISTRY.0);
        let all = async {
            let own = self.0.client(Routing::REGISTRY);
            if own.is_silent.load(Ordering::Relaxed) {
                return Err(Behind);
            }
            let end = self.ask_end(own)?.await.map_err(|_| Behind)?;
            self.until(|| own.folded.load(Ordering::Acquire) >= end.0).await;
            // A silent partition must not keep the operator from working on the others.
            for client in &self.0.clients {
                let sent = client.sent_by[registry].load(Ordering::Acquire);
                let is_silent = || client.is_silent.load(Ordering::Relaxed);
                self.until(|| client.received_from[registry].load(Ordering::Acquire) >= sent || is_silent()).await;
            }
            Ok(())
        };
        tokio::time::timeout(patience, all).await.unwrap_or(Err(Behind))
    }

    /// Has the next turn say where a partition's log ends.
    fn ask_end(&self, client: &PartitionClient) -> Result<oneshot::Receiver<Sequence>, Behind> {
        let (sender, end) = oneshot::channel();
        client.queue.try_send(Inbound::End(sender)).map_err(|_| Behind)?;
        self.0.wakers.wake(client.partition);
        Ok(end)
    }

    async fn until(&self, mut holds: impl FnMut() -> bool) {
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
        self.0.clients.iter().map(|client| client.queue.len()).sum()
    }

    /// Whether a partition has not answered for too long.
    #[must_use]
    pub fn is_silent(&self, partition: PartitionId) -> bool {
        self.0.client(partition).is_silent.load(Ordering::Relaxed)
    }

    /// The state of each partition, by number.
    #[must_use]
    pub fn partitions(&self) -> Vec<PartitionState> {
        let of = |client: &PartitionClient| {
            let folded = client.folded.load(Ordering::Acquire);
            PartitionState {
                partition: client.partition,
                silent: client.is_silent.load(Ordering::Relaxed),
                queued: client.queue.len(),
                under_way: client.in_flight.load(Ordering::Acquire) as usize,
                folded: Sequence(folded),
                log_end: Sequence(client.tail.load(Ordering::Acquire).max(folded)),
            }
        };
        self.0.clients.iter().map(of).collect()
    }

    /// Whether every partition that can be applied has been, up to these commands.
    #[must_use]
    pub fn has_reached(&self, ends: &BTreeMap<PartitionId, Sequence>) -> bool {
        let has = |(&partition, &end): (&PartitionId, &Sequence)| {
            let client = self.0.client(partition);
            client.folded.load(Ordering::Acquire) >= end.0 || client.is_silent.load(Ordering::Relaxed)
        };
        ends.iter().all(has)
    }

    /// From now on requests are refused for this reason, or accepted again. What the partitions of the venue say of
    /// themselves may come later.
    pub fn close(&self, why: Option<Arc<str>>) {
        self.0.close(why);
    }

    /// Why requests are refused, if they are because the venue is closed.
    #[must_use]
    pub fn closed(&self) -> Option<Arc<str>> {
        self.0.closed.read().clone()
    }

    /// Whether the gateway is stopping.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }

    /// By how many microseconds the store's time was behind this gateway's clock at the last answer, for the partition
    /// of which it was most.
    #[must_use]
    pub fn store_behind_micros(&self) -> u64 {
        let offsets = self.0.clients.iter().map(|client| client.offset_micros.load(Ordering::Relaxed));
        offsets.min().filter(|&offset| offset < 0).map_or(0, i64::unsigned_abs)
    }
}

/// What is folded here, around an account's partition.
struct Around<'a> {
    shared: &'a Shared,
    own: &'a PartitionClient,
}

fn numbers(of: &[AtomicU64]) -> Vec<RequestNumber> {
    of.iter().map(|number| RequestNumber(number.load(Ordering::Acquire))).collect()
}

impl Folded for Around<'_> {
    fn position(&self, partition: PartitionId) -> Sequence {
        Sequence(self.shared.client(partition).folded.load(Ordering::Acquire))
    }

    fn sent(&self) -> Vec<RequestNumber> {
        numbers(&self.own.sent_by)
    }

    fn received(&self) -> Vec<RequestNumber> {
        numbers(&self.own.received_from)
    }
}

/// The market that a request is about, if its partition has a part in it.
fn market_of(body: &Body) -> Option<SymbolId> {
    match body {
        Body::Place(order) => Some(order.terms.symbol),
        Body::Cancel(cancel) => Some(cancel.symbol),
        Body::CancelAll(cancel) => Some(cancel.symbol),
        Body::Amend(amend) => Some(amend.symbol),
        Body::Replace(replace) => Some(replace.order.terms.symbol),
        Body::Operated(operated) => market_of(&operated.body),
        _ => None,
    }
}

impl Shared {
    fn client(&self, partition: PartitionId) -> &PartitionClient {
        &self.clients[usize::from(partition.0)]
    }

    /// The partition that executes a request, and the partition of its market, if it has one.
    fn owners(&self, body: &Body) -> (PartitionId, Option<PartitionId>) {
        let owner = market_of(body).and_then(|symbol| self.markets.read().get(symbol.0 as usize).copied());
        (self.routing.home(body), owner)
    }

    /// Whether a new order is to be refused because its account's partition, or its market's, has too many. If so, it
    /// counts as refused there.
    fn refuses_order(&self, to: PartitionId, market: Option<PartitionId>) -> bool {
        let mut partitions = [Some(to), market.filter(|&market| market != to)].into_iter().flatten();
        let overloaded = partitions.find(|&partition| self.client(partition).is_overloaded());
        overloaded.inspect(|&partition| self.client(partition).limit.refused()).is_some()
    }

    fn close(&self, why: Option<Arc<str>>) {
        let mut closed = self.closed.write();
        if *closed != why {
            match &why {
                Some(why) => tracing::warn!(%why, "the venue is closed; requests are refused"),
                None => tracing::info!("the venue is open again"),
            }
            *closed = why;
        }
    }

    fn learn(&self, market: &Market) {
        let mut markets = self.markets.write();
        let at = market.id.0 as usize;
        if markets.len() <= at {
            markets.resize(at + 1, Routing::REGISTRY);
        }
        markets[at] = self.routing.of_market(market);
    }
}

/// What a client is started with, for each partition by number.
pub struct Start<O> {
    /// Where its events go.
    pub sink: O,
    /// The partition, at the last command that the event sink knows, as a snapshot has left it. Not as of the end of
    /// the log: the messages that it has sent since the snapshot are retained only by those who apply the commands.
    pub partition: Partition,
}

/// The venue that a gateway belongs to.
#[derive(Debug)]
pub struct Venue<C> {
    /// Where the logs are.
    pub stores: C,
    /// Which partition owns what.
    pub routing: Routing,
    /// The source under which this run of the gateway sends; never used before.
    pub source: SourceId,
    /// The markets that are listed already.
    pub markets: Vec<Market>,
    /// What the partitions must have sent before they accept anything new; see [`crate::runtime::ask_proofs`].
    pub proofs: BTreeMap<PartitionId, Proof>,
    /// The requests whose way is noted.
    pub hops: Arc<Hops>,
}

/// Starts the threads of a gateway. `fatal` is called with the reason when one cannot continue; it should end the
/// process.
///
/// # Errors
/// When the system cannot start a thread.
///
/// # Panics
/// When the number of starts is not the number of partitions.
pub fn start<O: EventSink, C: Connect + Clone + Send + Sync + 'static>(
    venue: Venue<C>,
    options: Options,
    starts: Vec<Start<O>>,
    refuse: Refuse,
    fatal: impl Fn(String) + Send + Sync + 'static,
) -> std::io::Result<Running> {
    let Venue { stores, routing, source, markets, mut proofs, hops } = venue;
    assert_eq!(starts.len(), usize::from(routing.partitions()), "a start for each partition");
    let all: Vec<PartitionId> = routing.all().collect();
    let runtime = options.runtime(source, stores.bounds());
    let limits = options.limits();
    let (clients, queues): (Vec<_>, Vec<_>) =
        all.iter().map(|&partition| PartitionClient::new(partition, &starts, &options)).unzip();
    let mut shared = None;
    let seats = |wakers: &Wakers| {
        let these = shared.insert(Arc::new(Shared {
            source,
            routing,
            options,
            hops,
            clients,
            wakers: wakers.clone(),
            markets: RwLock::default(),
            folded: Notify::new(),
            stopping: AtomicBool::new(false),
            sending: RwLock::default(),
            closed: RwLock::default(),
        }));
        markets.iter().for_each(|market| these.learn(market));
        let mut seats = Vec::with_capacity(starts.len());
        for ((at, start), requests) in starts.into_iter().enumerate().zip(queues) {
            let Start { sink, partition } = start;
            let appends = Appends::new(partition.sequence());
            let proof = proofs.remove(&partition.id());
            let mut replica = Replica::new(partition, limits);
            if let Some(proof) = proof {
                replica = replica.must_prove(proof);
            }
            let host = GatewayHost::new(Arc::clone(these), at, requests, sink, Arc::clone(&refuse));
            seats.push(Seat { member: Member::new(replica, Some(appends)), host });
        }
        seats
    };
    let runtime = Runtime::start(stores, &all, runtime, Arc::new(fatal), seats)?;
    let shared = shared.expect("the runtime has asked for the seats");
    Ok(Running { client: LogClient(shared), runtime })
}

impl PartitionClient {
    fn new<O>(partition: PartitionId, starts: &[Start<O>], options: &Options) -> (Self, Receiver<Inbound>) {
        let (queue, requests) = bounded(options.queue_requests_max.max(1));
        let own = &starts[usize::from(partition.0)].partition;
        let client = Self {
            partition,
            queue,
            offset_micros: AtomicI64::new(0),
            in_flight: AtomicU64::new(0),
            tail: AtomicU64::new(own.sequence().0),
            folded: AtomicU64::new(own.sequence().0),
            throughput: Throughput::new(Duration::from_millis(options.queue_wait_max_ms), options.batch_requests_max),
            limit: Limit::default(),
            is_silent: AtomicBool::new(false),
            sent_by: starts.iter().map(|start| AtomicU64::new(start.partition.sent(partition).0)).collect(),
            received_from: starts.iter().map(|start| AtomicU64::new(own.received(start.partition.id()).0)).collect(),
        };
        (client, requests)
    }
}

impl Running {
    /// The way in.
    #[must_use]
    pub fn client(&self) -> &LogClient {
        &self.client
    }

    /// From now on requests are refused.
    pub fn refuse(&self) {
        self.client.0.stopping.store(true, Ordering::Release);
        // Whoever had not seen it yet has sent by the time that this is done.
        drop(self.client.0.sending.write());
    }

    /// Ends the threads. Requests that were appended take effect, but their outcomes are not received here.
    pub fn stop(self) {
        self.refuse();
        self.runtime.stop();
    }
}

#[cfg(test)]
mod tests {
    use crossbook_protocol::command::Operated;
    use crossbook_protocol::operator::Note;
    use crossbook_protocol::order::CancelAll;
    use crossbook_types::ClientOrderId;

    use super::*;

    #[test]
    fn what_an_operator_asks_is_about_a_market_too() {
        let cancel_id = ClientOrderId::new_checked("c").unwrap();
        let body = Body::CancelAll(CancelAll { account: AccountId(1001), symbol: SymbolId(2), cancel_id });
        assert_eq!(market_of(&body), Some(SymbolId(2)));
        let operated = Operated { note: Note::new("ann", "POST", "why"), body };
        assert_eq!(market_of(&Body::Operated(Box::new(operated))), Some(SymbolId(2)));
    }
}
