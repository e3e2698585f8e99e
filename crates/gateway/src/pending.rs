//! Requests that wait for their outcome.
//!
//! A request that changes something goes to its partition under a number of its own. Its outcome comes back with the
//! durable events of the partition that answers, on the thread of that one's publisher, which first folds them into the
//! views and then completes the request in [`Pending`]. So whoever has an answer finds in the read model what this
//! partition has done.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbook_node::NotAccepted;
use crossbook_protocol::Event;
use crossbook_protocol::event::{Answer, Half, OrderAmended, OrderClosed, PreventedMatch, Trade};
use crossbook_types::{
    Asset, ClientOrderId, Market, OrderId, OrderListId, RequestNumber, SourceId, SymbolId, Timestamp,
};
use crossbook_views::{Order, OrderList, Views};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::clock::now;

/// The outcome of a request, as its sender sees it: made of the events of its command, since the views may not keep
/// what has ended.
#[derive(Debug)]
pub struct Reply {
    /// When the command was taken.
    pub time: Timestamp,
    /// What the partition answered, or why the request never reached its log.
    pub outcome: Result<Answer, NotAccepted>,
    /// The order that was placed, cancelled or amended, as it is after the command.
    pub order: Option<Order>,
    /// The order that the placed one replaces, as it is after the command.
    pub canceled: Option<Order>,
    /// The trades in which the placed order was the taker, in order.
    pub fills: Vec<Trade>,
    /// The asset in which fees of these were paid, if it is not always the one received.
    pub discount_asset: Option<Asset>,
    /// The matches of the placed order that self-trade prevention prevented, in order.
    pub prevented: Vec<PreventedMatch>,
    /// What the amendment that was asked for changed.
    pub amended: Option<OrderAmended>,
    /// The number of the first report of the command; see [`crate::account_events::execution_of`].
    pub execution: u64,
    /// The market that was listed or changed, as it is after the command.
    pub market: Option<Box<Market>>,
    /// The order list that was placed or cancelled, or that the cancelled or amended order belongs to.
    pub list: Option<Box<ListReply>>,
}

/// The part of a [`Reply`] about an order list.
#[derive(Debug)]
pub struct ListReply {
    /// Its number.
    pub id: OrderListId,
    /// The list as it is after the command.
    pub list: Option<OrderList>,
    /// Of its orders those that are open after the command, or ended by it.
    pub orders: Vec<Order>,
}

impl ListReply {
    fn new(id: OrderListId) -> Box<Self> {
        Box::new(Self { id, list: None, orders: Vec::new() })
    }
}

impl Reply {
    /// An answer at that time, of which nothing else is known yet.
    pub(crate) fn to(time: Timestamp, answer: Answer) -> Self {
        let list = match &answer {
            Answer::ListPlaced { list, .. } | Answer::ListCanceled { list, .. } => Some(ListReply::new(*list)),
            _ => None,
        };
        Self { list, ..Self::new(time, Ok(answer)) }
    }

    /// To a request that was not taken.
    #[must_use]
    pub fn not_accepted(why: NotAccepted) -> Self {
        Self::new(now(), Err(why))
    }

    fn new(time: Timestamp, outcome: Result<Answer, NotAccepted>) -> Self {
        let (fills, prevented) = (Vec::new(), Vec::new());
        Self {
            time,
            outcome,
            order: None,
            canceled: None,
            fills,
            discount_asset: None,
            prevented,
            amended: None,
            execution: 0,
            market: None,
            list: None,
        }
    }

    /// The order that was placed, cancelled or amended.
    fn subject(&self) -> Option<(SymbolId, OrderId)> {
        match &self.outcome {
            Ok(
                Answer::Placed { symbol, order }
                | Answer::Canceled { symbol, order }
                | Answer::Amended { symbol, order },
            ) => Some((*symbol, *order)),
            Ok(Answer::Replaced { symbol, placed: Half::Done(order), .. }) => Some((*symbol, *order)),
            _ => None,
        }
    }

    /// The order that was replaced.
    fn replaced(&self) -> Option<(SymbolId, OrderId)> {
        match &self.outcome {
            Ok(Answer::Replaced { symbol, canceled: Half::Done(order), .. }) => Some((*symbol, *order)),
            _ => None,
        }
    }

    /// Whether it may be the reply about the order that has ended.
    pub(crate) fn is_about(&self, closed: &OrderClosed) -> bool {
        self.list.is_some() || [self.subject(), self.replaced()].contains(&Some((closed.symbol, closed.order)))
    }

    /// Takes note of an order that it may be about, and that has ended. Who cancels an order of a list cancels the
    /// list.
    pub(crate) fn ended(&mut self, order: &Order) {
        let key = Some((order.terms.symbol, order.order));
        if self.replaced() == key {
            self.canceled = Some(order.clone());
        } else if self.subject() == key {
            self.order = Some(order.clone());
            if matches!(self.outcome, Ok(Answer::Canceled { .. })) {
                self.list = order.list().map(ListReply::new);
            }
        }
        if let Some(reply) = self.list.as_mut().filter(|reply| Some(reply.id) == order.list()) {
            reply.orders.push(order.clone());
        }
    }

    /// Whether an order is the one that was placed, or one of the list that was.
    fn has_placed(&self, symbol: SymbolId, order: OrderId) -> bool {
        let in_list = |reply: &ListReply| {
            let first = reply.id.first().0;
            reply.id.symbol() == symbol && (first..first + LIST_ORDERS_MAX).contains(&order.0)
        };
        self.subject() == Some((symbol, order)) || self.list.as_deref().is_some_and(in_list)
    }

    /// Adds what an event of the command means for its sender.
    pub(crate) fn take_in(&mut self, event: &Event) {
        match event {
            Event::Traded(trade) if self.has_placed(trade.symbol, trade.taker.order) => {
                self.fills.push(*trade);
            }
            Event::MatchPrevented(prevented) if self.has_placed(prevented.symbol, prevented.taker) => {
                self.prevented.push(*prevented);
            }
            Event::OrderAmended(amended) if self.subject() == Some((amended.symbol, amended.order)) => {
                self.amended = Some(*amended);
            }
            Event::MarketListed(market) | Event::MarketChanged(market) => self.market = Some(market.clone()),
            _ => {}
        }
    }

    /// Reads the order that is still open after the command; the views always keep open orders.
    pub(crate) fn complete(&mut self, views: &Views) {
        let other = self.fills.iter().find_map(|fill| fill.other_fee_asset(true));
        self.discount_asset = other.and_then(|asset| views.registry().asset(asset)).copied();
        if self.order.is_none()
            && let Some((symbol, order)) = self.subject()
        {
            self.order = views.market(symbol).and_then(|market| market.order(order)).cloned();
        }
        if matches!(self.outcome, Ok(Answer::Amended { .. })) {
            self.list = self.order.as_ref().and_then(Order::list).map(ListReply::new);
        }
        if let Some(reply) = &mut self.list
            && let Some(market) = views.market(reply.id.symbol())
        {
            reply.list = market.order_list(reply.id).cloned();
            let known: Vec<OrderId> = reply.orders.iter().map(|order| order.order).collect();
            let all = reply.list.iter().flat_map(|list| &list.orders).map(|&(order, _)| order);
            let open = all.filter(|order| !known.contains(order)).filter_map(|order| market.order(order));
            reply.orders.extend(open.filter(|order| order.status.is_open()).cloned());
            reply.orders.sort_unstable_by_key(|order| order.order);
        }
    }
}

/// The most orders of a list.
const LIST_ORDERS_MAX: u64 = 3;

/// Requests that wait for their outcome, by number.
#[derive(Debug)]
pub struct Pending {
    source: OnceLock<SourceId>,
    last: AtomicU64,
    waiting: Mutex<HashMap<RequestNumber, oneshot::Sender<Reply>>>,
    capacity: usize,
    /// Orders that cancels of all orders have ended, by the name of the cancel, while a request waits for them.
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
            last: AtomicU64::new(0),
            waiting: Mutex::default(),
            capacity,
            gathered: Mutex::default(),
            gathering: AtomicUsize::new(0),
        }
    }

    /// The source under which this gateway sends; `None` before it has a command port. Answers to other sources are for
    /// other gateways.
    #[must_use]
    pub fn source(&self) -> Option<SourceId> {
        self.source.get().copied()
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
            // The receiver may have timed out at the same time; then the outcome is in the views.
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

    /// Whether a request waits for the orders that a cancel of this name ends.
    pub(crate) fn gathers(&self, cancel_id: &ClientOrderId) -> bool {
        self.gathering.load(Ordering::Relaxed) != 0 && self.gathered.lock().contains_key(cancel_id)
    }

    /// Adds an order that a cancel of this name has ended.
    pub(crate) fn gather_one(&self, cancel_id: &ClientOrderId, order: &Order) {
        if let Some(orders) = self.gathered.lock().get_mut(cancel_id) {
            orders.push(order.clone());
        }
    }

    /// Sets the source under which this gateway sends. A second one changes nothing.
    pub(crate) fn set_source(&self, source: SourceId) {
        let _ = self.source.set(source);
    }

    /// A new number, and where its reply will arrive; `None` if too many wait already.
    pub(crate) fn open(&self) -> Option<Ticket<'_>> {
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
pub(crate) struct Ticket<'a> {
    pending: &'a Pending,
    pub(crate) number: RequestNumber,
    pub(crate) receiver: oneshot::Receiver<Reply>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.pending.waiting.lock().remove(&self.number);
    }
}
