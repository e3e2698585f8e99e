//! The last step of a command, where its effects become visible. A publisher takes each durable batch of its partition,
//! folds it into the partition's views, and publishes: first fills, new markets, answers to those who wait, and facts
//! to the streams. In this order: so whoever has an answer or a message can read at once what it is about, and
//! subscribe to it.
//!
//! In a venue of several partitions each has a publisher, and they share the subscribers and the requests that wait.
//! What one publisher publishes is in order; between two of them there is no order. Of an order whose market is in
//! another partition than its account, the market's partition publishes the steps and the account's the balances, each
//! as soon as it knows. So a client may see the funds of a new order held before or after it sees the order accepted,
//! and as a rule sees a trade before the balances that it brings. Every such message bears the time of its own
//! partition's command. Where both are one partition, and always in the embedded venue, the balances follow the steps
//! of the same command.
//!
//! The views are locked for a few commands at a time, and under the lock nothing is written or sent; facts are only
//! collected.

use std::sync::Arc;

use crossbook_node::{EventSink, NotAccepted};
use crossbook_protocol::event::{CloseReason, DepthChanged, OrderClosed, Party, PreventedMatch, Trade};
use crossbook_protocol::{Cause, Event, Events, Routing};
use crossbook_types::{
    MarketStatus, OrderId, OrderListId, OrderStatus, PartitionId, RequestNumber, Sequence, SymbolId, SymbolName,
    Timestamp,
};
use crossbook_views::{AggregateTrade, Balance, BookTicker, Order, PublicTrade, Views};
use parking_lot::RwLock;

use crate::account_events::{AccountEvents, Fill, ListReport, Prevention, Step, execution_of};
use crate::clock::now;
use crate::facts::{Batch, Fact, FirstFill, Status, Subscribers};
use crate::pending::{Pending, Reply};
use crate::read_model::ReadModel;
use crate::subscription_filter::{SubscriptionFilter, Wanted};

/// Commands folded under one lock of the views.
const COMMANDS_PER_LOCK: usize = 64;

/// Folds the durable events of one partition into its views and publishes the resulting facts.
#[derive(Debug)]
pub struct Publisher {
    partition: PartitionId,
    read_model: Arc<ReadModel>,
    views: Arc<RwLock<Views>>,
    pending: Arc<Pending>,
    subscribers: Subscribers,
    batch: Batch,
    account_events: AccountEvents,
    first_fills: Vec<FirstFill>,
    touched: Vec<Touched>,
    listed: Vec<(SymbolName, SymbolId)>,
    /// The match of the running command that self-trade prevention prevented last.
    prevented: Option<PreventedMatch>,
    replies: Vec<(RequestNumber, Reply)>,
}

/// A market as it was before the command being folded changed it; only what has subscribers.
#[derive(Debug)]
struct Touched {
    symbol: SymbolId,
    best: Option<BookTicker>,
    /// Whether aggregate trades have subscribers.
    aggregates: bool,
    /// The one that the command's last trade is part of. The next trade may be, too.
    growing: Option<AggregateTrade>,
}

impl Publisher {
    /// A publisher for that partition of the read model. It answers what waits in `pending`; that and the subscribers
    /// are shared by the publishers of all partitions.
    ///
    /// # Panics
    /// When the read model has no such partition.
    #[must_use]
    pub fn new(
        partition: PartitionId,
        read_model: &Arc<ReadModel>,
        pending: Arc<Pending>,
        subscribers: Subscribers,
    ) -> Self {
        Self {
            partition,
            read_model: Arc::clone(read_model),
            views: Arc::clone(read_model.of(partition)),
            pending,
            subscribers,
            batch: Batch::default(),
            account_events: AccountEvents::default(),
            first_fills: Vec::new(),
            touched: Vec::new(),
            listed: Vec::new(),
            prevented: None,
            replies: Vec::new(),
        }
    }

    /// Folds one command.
    fn fold(&mut self, views: &mut Views, interest: &SubscriptionFilter, cause: Cause, events: &[Event]) {
        let mut reply = self.reply_to(cause, events);
        for (at, event) in events.iter().enumerate() {
            let mut ended = None;
            match event {
                Event::Traded(Trade { symbol, .. }) | Event::DepthChanged(DepthChanged { symbol, .. }) => {
                    self.touch(views, interest.market(*symbol), *symbol);
                }
                // Each partition publishes this, since its trades may be folded before the registry's partition has
                // listed the market here.
                Event::MarketListed(market) => self.listed.push((market.symbol, market.id)),
                Event::OrderClosed(closed) => {
                    let reply = reply.as_mut().map(|(_, reply)| reply);
                    ended = self.end(views, interest, cause, closed, reply);
                }
                Event::MatchPrevented(prevented) => self.prevented = Some(*prevented),
                // Work that several commands have left may come to its end in one: each of them is answered.
                Event::Answered { source, number, answer }
                    if Some(*source) == self.pending.source()
                        && reply.as_ref().is_none_or(|(last, _)| last != number) =>
                {
                    self.replies.push((*number, Reply::to(cause.time, answer.clone())));
                }
                _ => {}
            }
            let standing = self.standing_before(views, event);
            views.apply(cause, event);
            if self.partition == Routing::REGISTRY {
                self.read_model.apply(event);
            }
            if let Event::SessionChanged(session) = event {
                self.read_model.apply_session(session);
            }
            if let Some((symbol, before)) = standing {
                self.note_standing(views, interest, cause, symbol, before);
            }
            if let Event::Traded(trade) = event {
                self.note_aggregate(views, trade.symbol);
                if is_first_fill(views, trade, &trade.maker) {
                    self.first_fills.push(FirstFill { account: trade.maker.account, maker: true });
                }
                if was_triggered(views, trade) && is_first_fill(views, trade, &trade.taker) {
                    self.first_fills.push(FirstFill { account: trade.taker.account, maker: false });
                }
            }
            self.note_public(interest, cause, event);
            match ended {
                Some(order) => self.note_end(cause, event, order),
                None => self.note_private(views, interest, cause, event, &events[at + 1..]),
            }
            if let Some((_, reply)) = &mut reply {
                reply.take_in(event);
            }
        }
        views.end_of_command(cause);
        self.prevented = None;
        self.note_changes(views);
        self.account_events.finish(cause.time, &mut self.batch.private);
        if let Some((number, mut reply)) = reply {
            reply.complete(views);
            let (sequence, partition, partitions) = self.place(cause);
            reply.execution = execution_of(sequence, partition, partitions);
            self.replies.push((number, reply));
        }
    }

    /// A reply to the command, if it was sent from here and is answered now. It is filled in while the command's events
    /// are folded.
    fn reply_to(&self, cause: Cause, events: &[Event]) -> Option<(RequestNumber, Reply)> {
        let source = self.pending.source()?;
        // Behind the answer only changed balances follow, so it is soon found from the end.
        let answered = events.iter().rev().find_map(|event| match event {
            Event::Answered { source, number, answer } => Some((*source, *number, answer)),
            _ => None,
        });
        let (_, number, answer) = answered.filter(|&(by, ..)| by == source)?;
        Some((number, Reply::to(cause.time, answer.clone())))
    }

    /// The order that `closed` is about to end, as it will be then, for its recipients: its owner, the sender of the
    /// command, or a request that waits for the end of a cancel of all orders. The views may store no ended orders, so
    /// it is created before they fold its end.
    fn end(
        &self,
        views: &Views,
        interest: &SubscriptionFilter,
        cause: Cause,
        closed: &OrderClosed,
        reply: Option<&mut Reply>,
    ) -> Option<Order> {
        let heard = interest.account(closed.account);
        let reply = reply.filter(|reply| reply.is_about(closed));
        let gathered = match closed.reason {
            CloseReason::Canceled { cancel_id } => Some(cancel_id).filter(|cancel_id| self.pending.gathers(cancel_id)),
            _ => None,
        };
        if !heard && reply.is_none() && gathered.is_none() {
            return None;
        }
        let order = views.closing(cause, closed)?;
        if let Some(reply) = reply {
            reply.ended(&order);
        }
        if let Some(cancel_id) = gathered {
            self.pending.gather_one(&cancel_id, &order);
        }
        heard.then_some(order)
    }

    /// Collects what the owner of an order receives about its end.
    fn note_end(&mut self, cause: Cause, event: &Event, order: Order) {
        let Event::OrderClosed(closed) = event else { return };
        let prevented = self.prevented.filter(|prevented| prevented.symbol == closed.symbol);
        if let Some(step) = Step::of_close(closed, prevented.as_ref()) {
            self.account_events.report(self.place(cause), cause.time, order, step);
        }
    }

    /// Stores how a market was before the command, as far as the difference has subscribers.
    fn touch(&mut self, views: &Views, wanted: Wanted, symbol: SymbolId) {
        if !wanted.any(Wanted::BOOK_TICKER.and(Wanted::AGGREGATES))
            || self.touched.iter().any(|touched| touched.symbol == symbol)
        {
            return;
        }
        let Some(market) = views.market(symbol) else { return };
        self.touched.push(Touched {
            symbol,
            best: wanted.any(Wanted::BOOK_TICKER).then(|| market.book_ticker()),
            aggregates: wanted.any(Wanted::AGGREGATES),
            growing: None,
        });
    }

    /// Collects the aggregate trade that a trade has ended, if it has subscribers. The views may evict it before the
    /// command is over.
    fn note_aggregate(&mut self, views: &Views, symbol: SymbolId) {
        let touched = self.touched.iter_mut().find(|touched| touched.symbol == symbol && touched.aggregates);
        let (Some(touched), Some(market)) = (touched, views.market(symbol)) else { return };
        let newest = market.aggregate_trades().newest().copied();
        let ended = std::mem::replace(&mut touched.growing, newest);
        if let Some(ended) = ended.filter(|ended| newest.is_none_or(|newest| newest.id != ended.id)) {
            self.batch.public.push(Fact::Aggregate(symbol, ended));
        }
    }

    /// The market whose status an event may change, if it is this partition's, and how it stands before that.
    #[inline]
    fn standing_before(&self, views: &Views, event: &Event) -> Option<(SymbolId, Standing)> {
        let symbol = match event {
            Event::SessionChanged(session) => session.symbol,
            Event::MarketChanged(market) if self.read_model.routing().of_market(market) == self.partition => market.id,
            _ => return None,
        };
        Some((symbol, standing(views, symbol)?))
    }

    /// Collects that a market has another status, or has it for another time.
    #[cold]
    fn note_standing(
        &mut self,
        views: &Views,
        interest: &SubscriptionFilter,
        cause: Cause,
        symbol: SymbolId,
        before: Standing,
    ) {
        let Some((status, until)) = standing(views, symbol).filter(|now| *now != before) else { return };
        if interest.market(symbol).any(Wanted::STATUS) {
            self.batch.public.push(Fact::Status(symbol, Status { status, until, time: cause.time }));
        }
    }

    fn note_public(&mut self, interest: &SubscriptionFilter, cause: Cause, event: &Event) {
        let fact = match event {
            Event::AssetListed(asset) => Fact::Asset(*asset),
            Event::MarketListed(market) | Event::MarketChanged(market) if self.partition == Routing::REGISTRY => {
                Fact::Market(market.clone())
            }
            Event::MarketListed(market) => Fact::MarketFollowed(market.clone()),
            Event::ApiKeyRevoked { account, key } => Fact::KeyRevoked(*account, *key),
            Event::Traded(trade) if interest.market(trade.symbol).any(Wanted::TRADES) => {
                let &Trade { symbol, trade, price, quantity, quote, taker_side, .. } = trade;
                Fact::Trade(symbol, PublicTrade { trade, price, quantity, quote, taker_side, time: cause.time })
            }
            Event::DepthChanged(change) if interest.market(change.symbol).any(Wanted::DEPTH) => Fact::Depth(*change),
            _ => return,
        };
        self.batch.public.push(fact);
    }

    /// Collects what owners receive about an event, with their orders as they are right after it. `later` is the rest
    /// of the command's events.
    fn note_private(
        &mut self,
        views: &Views,
        interest: &SubscriptionFilter,
        cause: Cause,
        event: &Event,
        later: &[Event],
    ) {
        match event {
            Event::OrderPlaced(placed) if interest.account(placed.account) => {
                self.report_new(views, cause, (placed.terms.symbol, placed.order), later);
            }
            Event::OrderReleased { symbol, order, account, .. } if interest.account(*account) => {
                self.report(views, cause, *symbol, *order, Step::New);
            }
            Event::ListPlaced(placed) if interest.account(placed.account) => {
                self.report_list(views, cause, placed.symbol, placed.list, false);
            }
            Event::ListChanged { symbol, list, account, .. } if interest.account(*account) => {
                self.report_list(views, cause, *symbol, *list, false);
            }
            Event::OrderTriggered { symbol, order, account } if interest.account(*account) => {
                self.report_new(views, cause, (*symbol, *order), later);
            }
            Event::OrderAmended(amended) if interest.account(amended.account) => {
                let step = Step::Amended(amended.client_order_id_before);
                self.report(views, cause, amended.symbol, amended.order, step);
                if amended.client_order_id != amended.client_order_id_before
                    && let Some(list) = order(views, amended.symbol, amended.order).and_then(|order| order.list())
                {
                    self.report_list(views, cause, amended.symbol, list, true);
                }
            }
            Event::Traded(trade) => {
                for (party, maker) in [(trade.taker, false), (trade.maker, true)] {
                    if interest.account(party.account)
                        && let Some(order) = order(views, trade.symbol, party.order)
                    {
                        let order = with_final_status(order, later);
                        self.account_events.report(
                            self.place(cause),
                            cause.time,
                            order,
                            Step::Trade(Fill::of(trade, maker, |asset| views.registry().asset(asset).copied())),
                        );
                    }
                }
            }
            Event::MatchPrevented(prevented) if prevented.mode.decrements() => {
                for (order, account) in
                    [(prevented.taker, prevented.account), (prevented.maker, prevented.maker_account())]
                {
                    // One that ends because of it is reported with its end.
                    if interest.account(account) && !ends_next(prevented.symbol, order, later) {
                        let step = Step::Prevented(Prevention::of(prevented, order));
                        self.report(views, cause, prevented.symbol, order, step);
                    }
                }
            }
            Event::OrderRefused { order, reason } if interest.account(order.account) => {
                let refused = Order::refused(order, cause.time);
                self.account_events.report(self.place(cause), cause.time, refused, Step::Refused(*reason));
            }
            Event::BalanceChanged { account, asset, free, held } if interest.account(*account) => {
                self.account_events.balance(*account, Balance { asset: *asset, free: *free, held: *held });
            }
            Event::Transferred(transfer) if interest.account(transfer.account) => {
                if let Some(asset) = views.registry().asset(transfer.asset) {
                    self.account_events.transfer(transfer.account, cause.time, *asset, transfer.amount);
                }
            }
            _ => {}
        }
    }

    /// Reports that an order waits, or works, from now on.
    fn report_new(&mut self, views: &Views, cause: Cause, (symbol, id): (SymbolId, OrderId), later: &[Event]) {
        if let Some(order) = order(views, symbol, id) {
            let order = with_progress(order, cause, later);
            self.account_events.report(self.place(cause), cause.time, order, Step::New);
        }
    }

    fn report(&mut self, views: &Views, cause: Cause, symbol: SymbolId, id: OrderId, step: Step) {
        if let Some(order) = order(views, symbol, id) {
            self.account_events.report(self.place(cause), cause.time, order, step);
        }
    }

    fn report_list(&mut self, views: &Views, cause: Cause, symbol: SymbolId, id: OrderListId, renamed: bool) {
        if let Some(list) = views.market(symbol).and_then(|market| market.order_list(id)) {
            self.account_events.list(ListReport { list: list.clone(), symbol, renamed, time: cause.time });
        }
    }

    /// The position of a command: its sequence in the log, its partition, the number of partitions.
    fn place(&self, cause: Cause) -> (Sequence, PartitionId, u16) {
        (cause.sequence, self.partition, self.read_model.routing().partitions())
    }

    /// Publishes the first fills of the last commands, once the views are unlocked.
    fn publish_first_fills(&mut self) {
        if self.first_fills.is_empty() {
            return;
        }
        let now = now();
        for fill in self.first_fills.drain(..) {
            self.subscribers.fills.iter().for_each(|subscriber| subscriber.first_fill(fill, now));
        }
    }

    /// Collects what only shows when the command is over.
    fn note_changes(&mut self, views: &Views) {
        for Touched { symbol, best, growing, .. } in self.touched.drain(..) {
            let Some(market) = views.market(symbol) else { continue };
            self.batch.public.extend(growing.map(|trade| Fact::Aggregate(symbol, trade)));
            if let Some(before) = best {
                let after = market.book_ticker();
                if (before.bid, before.ask) != (after.bid, after.ask) {
                    self.batch.public.push(Fact::BookTicker(symbol, after));
                }
            }
        }
    }
}

impl EventSink for Publisher {
    fn publish(&mut self, events: &mut Events) {
        let (streams, views) = (Arc::clone(&self.subscribers.streams), Arc::clone(&self.views));
        let mut commands = events.iter().peekable();
        while commands.peek().is_some() {
            {
                let interest = streams.interest();
                let mut views = views.write();
                for (cause, events) in commands.by_ref().take(COMMANDS_PER_LOCK) {
                    self.fold(&mut views, &interest, cause, events);
                    self.batch.time = cause.time;
                }
            }
            self.publish_first_fills();
            // Not left to the streams' thread: streams that are subscribed to right after the listing must be collected
            // from the next command on.
            for (name, symbol) in self.listed.drain(..) {
                streams.market_listed(name, symbol);
            }
            for (number, reply) in self.replies.drain(..) {
                self.pending.complete(number, reply);
            }
            if !self.batch.is_empty() {
                // Streams that have ended mean that the venue is stopping; there are no subscribers any more.
                let _ = self.subscribers.facts.send(std::mem::take(&mut self.batch));
            }
        }
    }

    fn not_accepted(&mut self, number: RequestNumber, why: NotAccepted) {
        self.pending.complete(number, Reply::not_accepted(why));
    }
}

fn order(views: &Views, symbol: SymbolId, order: OrderId) -> Option<Order> {
    views.market(symbol)?.order(order).cloned()
}

/// The status of a market, and when its session gives it another.
type Standing = (MarketStatus, Option<Timestamp>);

fn standing(views: &Views, symbol: SymbolId) -> Option<Standing> {
    views.market(symbol).map(|market| (market.market().status, market.session().until))
}

/// Whether an order of a trade that was just folded had not traded before.
fn is_first_fill(views: &Views, trade: &Trade, party: &Party) -> bool {
    let order = views.market(trade.symbol).and_then(|market| market.order(party.order));
    order.is_some_and(|order| order.executed == trade.quantity)
}

/// Whether the taker of a trade is a triggered stop order. Other takers' trades are counted with the answers to their
/// senders.
fn was_triggered(views: &Views, trade: &Trade) -> bool {
    let taker = views.market(trade.symbol).and_then(|market| market.order(trade.taker.order));
    taker.is_some_and(|taker| taker.terms.waits())
}

/// A new order with what the next event says of it: the book gives a pegged order its price, or it begins to trail.
fn with_progress(mut order: Order, cause: Cause, later: &[Event]) -> Order {
    match later.first() {
        Some(&Event::OrderPegged { symbol, order: id, price, .. })
            if (symbol, id) == (order.terms.symbol, order.order) =>
        {
            order.progress.get_or_insert_default().pegged_price = Some(price);
        }
        Some(&Event::TrailingBegun { symbol, order: id, .. }) if (symbol, id) == (order.terms.symbol, order.order) => {
            order.progress.get_or_insert_default().trailing_since = Some(cause.time);
        }
        _ => {}
    }
    order
}

/// Whether the next thing that happens to an order within the command is that self-trade prevention ends it.
fn ends_next(symbol: SymbolId, order: OrderId, later: &[Event]) -> bool {
    let next = later.iter().find_map(|event| match event {
        Event::OrderClosed(closed) if (closed.symbol, closed.order) == (symbol, order) => {
            Some(closed.reason == CloseReason::SelfTradePrevented)
        }
        Event::Traded(trade) if trade.symbol == symbol && [trade.taker.order, trade.maker.order].contains(&order) => {
            Some(false)
        }
        Event::MatchPrevented(other) if other.symbol == symbol && [other.taker, other.maker].contains(&order) => {
            Some(false)
        }
        _ => None,
    });
    next == Some(true)
}

/// The order with the status that its last trade gives it. An order by quote amount is known to be filled only when it
/// ends, right after its last trade; the report of that trade already has the final status.
fn with_final_status(mut order: Order, later: &[Event]) -> Order {
    if order.status != OrderStatus::PartiallyFilled || order.original_quote().is_zero() {
        return order;
    }
    let next = later.iter().find_map(|event| match event {
        Event::Traded(trade) if trade.symbol == order.terms.symbol && trade.taker.order == order.order => Some(false),
        Event::OrderClosed(closed) if closed.symbol == order.terms.symbol && closed.order == order.order => {
            Some(closed.reason == CloseReason::Filled)
        }
        _ => None,
    });
    if next == Some(true) {
        order.status = OrderStatus::Filled;
    }
    order
}

#[cfg(test)]
mod tests;
