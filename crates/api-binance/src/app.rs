//! What every part of the gateway works with: the views, the way into the venue, and the requests that wait for their
//! answers.
//!
//! A request that changes something goes to its partition under a number of its own. Its outcome comes back with the
//! durable events of the partition that answers, on the thread of that one's publisher, which first folds them into the
//! views and then completes the request in [`Pending`]. So whoever has got an answer finds there what this partition
//! has done.
//!
//! What others do because of it shows a moment later in theirs: the market's partition answers an order, the account's
//! settles its trades. Whoever asks about an account therefore first waits until all of that shows
//! ([`App::caught_up`]); in a venue of one partition there is nothing to wait for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbook_node::{NotTaken, Request};
use crossbook_protocol::Event;
use crossbook_protocol::command::Body;
use crossbook_protocol::event::{Answer, OrderClosed, PreventedMatch, Trade};
use crossbook_store::History;
use crossbook_types::{AccountId, ClientOrderId, Market, OrderId, RequestNumber, SourceId, SymbolId, Timestamp};
use crossbook_views::{Order, Views};
use metrics::Counter;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use crate::auth::Keyring;
use crate::board::Board;
use crate::config::Config;
use crate::entrance::{Entrance, Subject};
use crate::error::ApiError;
use crate::limits::Limits;
use crate::operations::{Latencies, Operation, Rejections};
use crate::secret::MasterKey;
use crate::streams::Hub;

/// Orders that an account gets back from its count when one of them trades for the first time while it rests.
const ORDERS_BACK_FOR_MAKERS: u64 = 5;
/// And when one trades for the first time as a taker.
pub(crate) const ORDERS_BACK_FOR_TAKERS: u64 = 1;

/// The outcome of a request, as its sender sees it: made of the events of its command, since the views may not keep
/// what has ended.
#[derive(Debug)]
pub struct Reply {
    /// When the command was taken.
    pub time: Timestamp,
    /// What the partition answered, or why the request never reached its log.
    pub outcome: Result<Answer, NotTaken>,
    /// The order that was placed or cancelled, as it is after the command.
    pub order: Option<Order>,
    /// The trades in which the placed order was the taker, in order.
    pub fills: Vec<Trade>,
    /// The matches of the placed order that self-trade prevention prevented, in order.
    pub prevented: Vec<PreventedMatch>,
    /// The market that was listed or changed, as it is after the command.
    pub market: Option<Box<Market>>,
}

impl Reply {
    /// An answer at that time, of which nothing else is known yet.
    pub(crate) fn to(time: Timestamp, answer: Answer) -> Self {
        Self { time, outcome: Ok(answer), order: None, fills: Vec::new(), prevented: Vec::new(), market: None }
    }

    /// To a request that was not taken.
    #[must_use]
    pub fn not_taken(why: NotTaken) -> Self {
        Self { time: now(), outcome: Err(why), order: None, fills: Vec::new(), prevented: Vec::new(), market: None }
    }

    /// The order that was placed or cancelled.
    fn subject(&self) -> Option<(SymbolId, OrderId)> {
        match &self.outcome {
            Ok(Answer::Placed { symbol, order } | Answer::Canceled { symbol, order }) => Some((*symbol, *order)),
            _ => None,
        }
    }

    /// Whether it tells of the order that has ended.
    pub(crate) fn is_about(&self, closed: &OrderClosed) -> bool {
        self.subject() == Some((closed.symbol, closed.order))
    }

    /// Takes down what an event of the command means for it.
    pub(crate) fn take_in(&mut self, event: &Event) {
        match event {
            Event::Traded(trade) if self.subject() == Some((trade.symbol, trade.taker.order)) => {
                self.fills.push(*trade);
            }
            Event::MatchPrevented(prevented) if self.subject() == Some((prevented.symbol, prevented.taker)) => {
                self.prevented.push(*prevented);
            }
            Event::MarketListed(market) | Event::MarketChanged(market) => self.market = Some(market.clone()),
            _ => {}
        }
    }

    /// Reads the order that is still open after the command; the views always keep open orders.
    pub(crate) fn complete(&mut self, views: &Views) {
        if self.order.is_none()
            && let Some((symbol, order)) = self.subject()
        {
            self.order = views.market(symbol).and_then(|market| market.order(order)).cloned();
        }
    }
}

/// Requests that wait for their outcome, by number.
#[derive(Debug)]
pub struct Pending {
    source: OnceLock<SourceId>,
    limits: OnceLock<Arc<Limits>>,
    last: AtomicU64,
    waiting: Mutex<HashMap<RequestNumber, oneshot::Sender<Reply>>>,
    capacity: usize,
    /// Orders that cancels of all orders have ended, by the name of the cancel, while somebody waits for them.
    gathered: Mutex<HashMap<ClientOrderId, Vec<Order>>>,
    /// How many cancels are gathered for.
    gathering: AtomicUsize,
}

impl Pending {
    /// None yet, and room for `capacity`.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            source: OnceLock::new(),
            limits: OnceLock::new(),
            last: AtomicU64::new(0),
            waiting: Mutex::default(),
            capacity,
            gathered: Mutex::default(),
            gathering: AtomicUsize::new(0),
        }
    }

    /// The source under which this gateway sends; none before it has a way into the venue. Answers to others are not
    /// ours.
    #[must_use]
    pub fn source(&self) -> Option<SourceId> {
        self.source.get().copied()
    }

    /// Tells that an order that rested has traded for the first time: whoever provides liquidity may place more.
    pub fn made_a_market(&self, account: AccountId) {
        self.give_back(account, ORDERS_BACK_FOR_MAKERS);
    }

    /// Tells that an order that was triggered, by a later command than the one that placed it, has traded for the first
    /// time, as a taker.
    pub fn took_when_triggered(&self, account: AccountId) {
        self.give_back(account, ORDERS_BACK_FOR_TAKERS);
    }

    /// By the gateway's own clock: fills count when they are heard of, and the clock of whoever made them may be
    /// another one.
    fn give_back(&self, account: AccountId, orders: u64) {
        if let Some(limits) = self.limits.get() {
            limits.order_traded(account, orders, now());
        }
    }

    /// Whether that request still waits, so that its reply is worth making.
    #[must_use]
    pub fn awaits(&self, number: RequestNumber) -> bool {
        self.waiting.lock().contains_key(&number)
    }

    /// Gives a request its outcome. Nothing happens if nobody waits any more.
    pub fn complete(&self, number: RequestNumber, reply: Reply) {
        let waiting = self.waiting.lock().remove(&number);
        if let Some(sender) = waiting {
            // The receiver may have given up in the same moment; then the outcome is in the views.
            let _ = sender.send(reply);
        }
    }

    /// How many requests wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Whether no request waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From now on, and until the result is dropped, the orders are gathered that a cancel of this name ends: one
    /// command may end them, or several, one after the other. They are as many as the account has open in a market.
    pub(crate) fn gather(&self, cancel_id: ClientOrderId) -> Gathering<'_> {
        if self.gathered.lock().insert(cancel_id, Vec::new()).is_none() {
            self.gathering.fetch_add(1, Ordering::Relaxed);
        }
        Gathering { pending: self, cancel_id }
    }

    /// Whether somebody waits for the orders that a cancel of this name ends.
    pub(crate) fn gathers(&self, cancel_id: &ClientOrderId) -> bool {
        self.gathering.load(Ordering::Relaxed) != 0 && self.gathered.lock().contains_key(cancel_id)
    }

    /// Adds an order that a cancel of this name has ended.
    pub(crate) fn gather_one(&self, cancel_id: &ClientOrderId, order: &Order) {
        if let Some(orders) = self.gathered.lock().get_mut(cancel_id) {
            orders.push(order.clone());
        }
    }

    /// A new number, and where its reply will arrive; `None` if too many wait already.
    fn open(&self) -> Option<Ticket<'_>> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        if waiting.len() >= self.capacity {
            return None;
        }
        let number = RequestNumber(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        waiting.insert(number, sender);
        Some(Ticket { pending: self, number, receiver })
    }
}

/// Orders that a cancel of all orders has ended so far. See [`Pending::gather`].
pub(crate) struct Gathering<'a> {
    pending: &'a Pending,
    cancel_id: ClientOrderId,
}

impl Gathering<'_> {
    /// The orders, in the order in which they ended.
    pub(crate) fn take(&self) -> Vec<Order> {
        self.pending.gathered.lock().get_mut(&self.cancel_id).map(std::mem::take).unwrap_or_default()
    }
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        if self.pending.gathered.lock().remove(&self.cancel_id).is_some() {
            self.pending.gathering.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A place in [`Pending`], left when dropped: also when the client hangs up while it waits.
struct Ticket<'a> {
    pending: &'a Pending,
    number: RequestNumber,
    receiver: oneshot::Receiver<Reply>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.pending.waiting.lock().remove(&self.number);
    }
}

/// The time on this machine's clock.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}

/// The gateway, shared by all its connections.
pub struct App {
    /// The options it was started with.
    pub config: Config,
    /// What clients read.
    pub board: Arc<Board>,
    /// The requests that wait.
    pub pending: Arc<Pending>,
    /// Who listens to what.
    pub hub: Arc<Hub>,
    /// Where requests go.
    pub entrance: Box<dyn Entrance>,
    /// Request weights, order counts and bans.
    pub limits: Arc<Limits>,
    /// What is older than memory, if that is kept.
    pub history: Option<History>,
    /// Places for those who ask the history at the same time.
    pub recalls: Semaphore,
    /// Secrets of API keys, ready to check signatures with.
    pub keyring: Keyring,
    /// How long requests to the WebSocket API took.
    pub ws_api_latencies: Latencies,
    /// Orders that were taken.
    pub orders_accepted: Counter,
    /// Requests that were refused.
    pub rejections: Rejections,
    busy_at_node: Counter,
    stage: AtomicU8,
}

/// How far a gateway is with its end. It only goes on from one to the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
enum Stage {
    /// Open to all.
    Open,
    /// Whoever watches is told that no new clients are wanted; those that come are served.
    Draining,
    /// Clients are asked to leave, and served until they do.
    Leaving,
    /// What would change something is refused.
    Stopping,
}

impl App {
    /// Connects the parts. `board`, `pending` and `hub` are those of the publishers that the partitions report to.
    /// Metrics go to the recorder that is installed now.
    #[must_use]
    pub fn new(
        config: Config,
        board: Arc<Board>,
        pending: Arc<Pending>,
        hub: Arc<Hub>,
        entrance: Box<dyn Entrance>,
        master_key: MasterKey,
        history: Option<History>,
    ) -> Self {
        let _ = pending.source.set(entrance.source());
        let limits = Arc::new(Limits::new(config.limits.clone()));
        let _ = pending.limits.set(Arc::clone(&limits));
        hub.budget.limit_to(config.streams.unread_bytes_total_max);
        let connections = Arc::clone(&hub);
        limits.on_ban(move |client| connections.disconnect(client));
        let keyring = Keyring::new(master_key, config.cached_keys_max);
        let recalls = Semaphore::new(config.history_queries_max.min(Semaphore::MAX_PERMITS));
        let stage = AtomicU8::new(Stage::Open as u8);
        let ws_api_latencies = Latencies::over("ws_api");
        let orders_accepted = metrics::counter!("crossbook_orders_accepted_total");
        let busy_at_node = metrics::counter!("crossbook_overload_rejections_total", "stage" => "node");
        Self {
            config,
            board,
            pending,
            hub,
            entrance,
            limits,
            history,
            recalls,
            keyring,
            ws_api_latencies,
            orders_accepted,
            rejections: Rejections::default(),
            busy_at_node,
            stage,
        }
    }

    /// The time on the venue's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        now()
    }

    /// Sends a request to its partition and waits for its durable outcome. Past `deadline` it is not taken. A change of
    /// the registry has reached every partition when this returns.
    ///
    /// # Errors
    /// -1008 if too much is under way or the partition is known not to answer, -1016 if the venue is stopping, -1021 if
    /// the deadline passed first, and -1007 if no outcome came in time: only then the request may still take effect.
    pub async fn submit(&self, body: Body, deadline: Option<Timestamp>) -> Result<Reply, ApiError> {
        if self.is_stopping() {
            return Err(ApiError::shutting_down());
        }
        let Some(mut ticket) = self.pending.open() else {
            metrics::counter!("crossbook_overload_rejections_total", "stage" => "gateway").increment(1);
            return Err(ApiError::busy());
        };
        self.entrance.submit(Request { number: ticket.number, body, deadline }).map_err(not_taken)?;
        let patience = Duration::from_millis(self.config.reply_timeout_ms);
        match tokio::time::timeout(patience, &mut ticket.receiver).await {
            Ok(Ok(reply)) => match &reply.outcome {
                Err(why) => Err(not_taken(*why)),
                Ok(answer) => {
                    if is_spread(answer) {
                        // It is done whether or not the others have heard of it in time.
                        let _ = self.caught_up(Subject::Registry).await;
                    }
                    Ok(reply)
                }
            },
            Ok(Err(_)) | Err(_) => Err(ApiError::timeout()),
        }
    }

    /// Refuses what can be refused before it is read: new orders when there are too many. Whoever sends more than can
    /// be done then costs little, and those that are admitted do not wait for it. It counts all the same: whoever goes
    /// on for long enough is banned.
    ///
    /// # Errors
    /// If this operation is to be refused now: -1003 if the sender is at its limit, else -1016 if the venue is
    /// stopping, else -1008.
    pub(crate) fn admit(&self, operation: &Operation, ip: IpAddr, now: Timestamp) -> Result<(), ApiError> {
        if !operation.is_order() || !self.entrance.refuses_orders() {
            return Ok(());
        }
        self.limits.charge(ip, 1, now)?;
        if self.is_stopping() {
            return Err(ApiError::shutting_down());
        }
        self.entrance.refused_order();
        self.busy_at_node.increment(1);
        Err(ApiError::busy())
    }

    /// Waits until the views show everything of `subject` that anyone was told before.
    ///
    /// # Errors
    /// -1008 if a partition that has to be heard does not answer in time.
    pub async fn caught_up(&self, subject: Subject) -> Result<(), ApiError> {
        let Some(soon) = self.entrance.caught_up(subject) else { return Ok(()) };
        let patience = Duration::from_millis(self.config.reply_timeout_ms);
        match tokio::time::timeout(patience, soon).await {
            Ok(caught_up) => caught_up.map_err(not_taken),
            Err(_) => Err(not_taken(NotTaken::Silent)),
        }
    }

    /// From now on the gateway is not ready for new clients, and serves all.
    pub fn drain(&self) {
        self.enter(Stage::Draining);
    }

    /// From now on each answer over HTTP ends its connection, so that clients go elsewhere.
    pub fn ask_to_leave(&self) {
        self.enter(Stage::Leaving);
    }

    /// From now on requests that would change something are refused; those under way are finished.
    pub fn stop(&self) {
        self.enter(Stage::Stopping);
    }

    /// Whether the gateway is on its way to its end, and not ready for new clients.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.has_come_to(Stage::Draining)
    }

    /// Whether clients are asked to leave.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.has_come_to(Stage::Leaving)
    }

    /// Whether the gateway is stopping.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.has_come_to(Stage::Stopping)
    }

    fn enter(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::Relaxed);
    }

    fn has_come_to(&self, stage: Stage) -> bool {
        self.stage.load(Ordering::Relaxed) >= stage as u8
    }
}

/// Whether an answer tells of a change that every partition follows.
fn is_spread(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::AssetListed(_) | Answer::MarketListed(_) | Answer::MarketChanged(_) | Answer::AccountOpened(_)
    )
}

/// What a client is told about a request that was not taken.
#[must_use]
pub fn not_taken(why: NotTaken) -> ApiError {
    match why {
        NotTaken::Busy => {
            metrics::counter!("crossbook_overload_rejections_total", "stage" => "node").increment(1);
            ApiError::busy()
        }
        NotTaken::Silent => {
            metrics::counter!("crossbook_overload_rejections_total", "stage" => "partition").increment(1);
            ApiError::busy()
        }
        NotTaken::Stopping => ApiError::shutting_down(),
        NotTaken::Late => ApiError::outside_recv_window(),
    }
}
