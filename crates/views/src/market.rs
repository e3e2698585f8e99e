//! One market: its public data, and the orders and trades of the accounts in it.

use crossbook_protocol::Cause;
use crossbook_protocol::event::{
    CloseReason, DepthChanged, LastTrade, MarketImported, OrderAmended, OrderImported, OrderPlaced, PreventedMatch,
    Trade,
};
use crossbook_protocol::order_list::{ListImported, ListPlaced};
use crossbook_protocol::session::Session;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{
    AccountId, ClientOrderId, ListStatus, Market, MarketStatus, OrderId, OrderListId, Price, Quantity, Timestamp,
    TradeBucket, TradeId,
};

use crate::amendments::Amendments;
use crate::candles::Candles;
use crate::collected::Collected;
use crate::depth::{Depth, DepthState};
use crate::error::Error;
use crate::limits::{Forgotten, Limits, Window};
use crate::order::{Order, OwnTrade};
use crate::order_list::{OrderList, OrderLists, OrderListsState};
use crate::own::{Owned, OwnedState};
use crate::period::{Counted, Period};
use crate::prevented::PreventedMatches;
use crate::reference::{ReferenceAt, Referred};
use crate::ticker::{AveragePrice, BookTicker, Ticker};
use crate::trades::{AggregateTradeId, AggregateTrades, PublicTrade, Trades};
use crate::warming::Coming;

/// All that is known of one market.
#[derive(Clone, Debug)]
pub struct MarketData {
    /// With the status of its operator and of its session together.
    market: Market,
    /// That of its operator.
    status: MarketStatus,
    session: Session,
    referred: Referred,
    depth: Depth,
    trades: Trades,
    aggregate_trades: AggregateTrades,
    candles: Candles,
    collected: Collected,
    last: Option<PublicTrade>,
    owned: Owned,
    prevented: PreventedMatches,
    amendments: Amendments,
    lists: OrderLists,
    coming: Coming,
}

/// What a snapshot keeps of a market; its description stands in the registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MarketState {
    depth: DepthState,
    trades: Trades,
    aggregate_trades: AggregateTrades,
    candles: Candles,
    last: Option<PublicTrade>,
    owned: OwnedState,
    prevented: PreventedMatches,
    amendments: Amendments,
    lists: OrderListsState,
    /// `None`: it is open, and has nothing else.
    session: Option<Session>,
    /// The trades of which its reference price is the mean.
    referred: Vec<TradeBucket>,
    collected: Collected,
}

impl MarketData {
    /// What the market is: assets, tick, step, filters, fees, and the status that operator and session give it.
    #[must_use]
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// What rests in its book.
    #[must_use]
    pub fn depth(&self) -> &Depth {
        &self.depth
    }

    /// Its recent trades.
    #[must_use]
    pub fn trades(&self) -> &Trades {
        &self.trades
    }

    /// Its recent aggregate trades.
    #[must_use]
    pub fn aggregate_trades(&self) -> &AggregateTrades {
        &self.aggregate_trades
    }

    /// Its candles.
    #[must_use]
    pub fn candles(&self) -> &Candles {
        &self.candles
    }

    /// The fees of the day of its last trade.
    #[must_use]
    pub fn collected(&self) -> &Collected {
        &self.collected
    }

    /// The price of the last trade, if there was one.
    #[must_use]
    pub fn last_price(&self) -> Option<Price> {
        self.last.map(|last| last.price)
    }

    /// The 24 hours before `now`.
    #[must_use]
    pub fn ticker(&self, now: Timestamp) -> Ticker {
        Ticker::at(&self.market, &self.candles, self.last.as_ref(), now)
    }

    /// The best prices of its book.
    #[must_use]
    pub fn book_ticker(&self) -> BookTicker {
        let depth = &self.depth;
        BookTicker { bid: depth.best_bid(), ask: depth.best_ask(), update: depth.last_update() }
    }

    /// The average price of the five minutes before `now`.
    #[must_use]
    pub fn average_price(&self, now: Timestamp) -> AveragePrice {
        AveragePrice::at(&self.market, &self.candles, self.last.as_ref(), now)
    }

    /// Its reference price. `None` if it never had one.
    #[must_use]
    pub fn reference_price(&self, now: Timestamp) -> Option<ReferenceAt> {
        // The clock of the log may be ahead of who asks.
        let now = self.last.map_or(now, |last| now.max(last.time));
        self.referred.at(self.session.reference.as_ref()?, now)
    }

    /// What memory has counted of a period that ends, or contains, `now`.
    #[must_use]
    pub fn count(&self, period: Period, now: Timestamp) -> Counted {
        Counted::at(&self.candles, self.last.as_ref(), period, now)
    }

    /// An order of any account, open or recently ended.
    #[must_use]
    pub fn order(&self, order: OrderId) -> Option<&Order> {
        self.owned.order(order)
    }

    /// An order that has not ended; it may have traded whole already.
    pub(crate) fn open_order(&self, order: OrderId) -> Option<&Order> {
        self.owned.open_order(order)
    }

    /// Its recent prevented matches.
    #[must_use]
    pub fn prevented_matches(&self) -> &PreventedMatches {
        &self.prevented
    }

    /// Its recent amendments of orders.
    #[must_use]
    pub fn amendments(&self) -> &Amendments {
        &self.amendments
    }

    /// An order list of any account, open or recently done.
    #[must_use]
    pub fn order_list(&self, list: OrderListId) -> Option<&OrderList> {
        self.lists.get(list)
    }

    /// The newest order list to which its owner gave that name.
    #[must_use]
    pub fn order_list_named(&self, account: AccountId, name: ClientOrderId) -> Option<&OrderList> {
        self.lists.named(account, name)
    }

    /// The order lists of an account, open and done, by number.
    pub fn order_lists(&self, account: AccountId) -> impl DoubleEndedIterator<Item = &OrderList> {
        self.lists.of_account(account)
    }

    /// All order lists that are remembered, open and done, by number.
    pub fn all_order_lists(&self) -> impl Iterator<Item = &OrderList> {
        self.lists.iter()
    }

    /// The newest order list that memory no longer holds, if there is one.
    #[must_use]
    pub fn forgotten_order_lists(&self) -> Option<Forgotten<OrderListId>> {
        self.lists.forgotten()
    }

    /// All orders that are remembered, open and ended, in no order that means anything.
    pub fn all_orders(&self) -> impl Iterator<Item = &Order> {
        self.owned.all_orders()
    }

    /// The newest order to which its owner gave that name.
    #[must_use]
    pub fn order_named(&self, account: AccountId, name: &ClientOrderId) -> Option<&Order> {
        self.owned.order_named(account, name)
    }

    /// The open orders of an account, by number.
    pub fn open_orders(&self, account: AccountId) -> impl Iterator<Item = &Order> {
        self.owned.open_orders(account)
    }

    /// The first `limit` orders of an account from number `from` on, open and ended.
    #[must_use]
    pub fn orders_from(&self, account: AccountId, from: OrderId, limit: usize) -> Vec<&Order> {
        self.owned.orders_from(account, from, limit)
    }

    /// The orders of an account that were last updated in a stretch of time, open and ended, by that time and their
    /// number.
    #[must_use]
    pub fn orders(&self, account: AccountId, window: Window) -> Vec<&Order> {
        self.owned.orders(account, window)
    }

    /// The highest number, and the latest time of placing, of the account's orders that memory no longer holds, if any.
    /// Orders are dropped in the order in which they ended: some with lower numbers may still be here, but none that
    /// ended before those that were dropped.
    #[must_use]
    pub fn forgotten_orders(&self, account: AccountId) -> Option<Forgotten<OrderId>> {
        self.owned.forgotten_orders(account)
    }

    /// The first `limit` trades of an account from number `from` on. A trade of the account with itself is there twice,
    /// and both are given even if only one would fit.
    #[must_use]
    pub fn own_trades_from(&self, account: AccountId, from: TradeId, limit: usize) -> Vec<&OwnTrade> {
        self.owned.trades_from(account, from, limit)
    }

    /// The trades of an account in a stretch of time. Both sides of a trade of the account with itself are given even
    /// if only one would fit.
    #[must_use]
    pub fn own_trades(&self, account: AccountId, window: Window) -> Vec<&OwnTrade> {
        self.owned.trades(account, window)
    }

    /// The first `limit` trades of one order of an account, from number `from` on if given.
    #[must_use]
    pub fn own_trades_of_order(
        &self,
        account: AccountId,
        order: OrderId,
        from: Option<TradeId>,
        limit: usize,
    ) -> Vec<&OwnTrade> {
        self.owned.trades_of_order(account, order, from, limit)
    }

    /// The newest trade of the account that memory no longer holds, if any.
    #[must_use]
    pub fn forgotten_own_trades(&self, account: AccountId) -> Option<Forgotten<TradeId>> {
        self.owned.forgotten_trades(account)
    }

    /// Its trading session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The status that its operator has given it.
    #[must_use]
    pub fn status_of_operator(&self) -> MarketStatus {
        self.status
    }

    pub(crate) fn new(market: Market) -> Self {
        Self {
            market,
            status: market.status,
            session: Session::plain(market.id),
            referred: Referred::default(),
            depth: Depth::default(),
            trades: Trades::default(),
            aggregate_trades: AggregateTrades::default(),
            candles: Candles::default(),
            collected: Collected::default(),
            last: None,
            owned: Owned::default(),
            prevented: PreventedMatches::default(),
            amendments: Amendments::default(),
            lists: OrderLists::default(),
            coming: Coming::default(),
        }
    }

    pub(crate) fn change(&mut self, market: Market) {
        self.status = market.status;
        self.market = market.with_status(self.session.phase.status(market.status));
    }

    pub(crate) fn change_session(&mut self, session: Session) {
        let calculation = |session: &Session| session.reference.map(|reference| reference.calculation);
        if calculation(&session) != calculation(&self.session) {
            self.referred.forget();
        }
        self.session = session;
        self.market.status = session.phase.status(self.status);
    }

    pub(crate) fn move_reference_in(&mut self, buckets: &[TradeBucket]) {
        self.referred.move_in(buckets);
    }

    /// Goes on where the market stood elsewhere.
    ///
    /// # Panics
    /// When anything has happened here already.
    pub(crate) fn move_in(&mut self, moved: &MarketImported) {
        self.depth.count_on(self.market.id, moved.depth_update);
        self.aggregate_trades.count_on(AggregateTradeId(moved.aggregate_trades));
        assert!(self.last.is_none(), "market {} has traded before it moved in", self.market.id);
        let Some(last) = moved.last else { return };
        let LastTrade { trade, price, quantity, quote, taker_side, time } = last;
        self.candles.move_in(price, time);
        self.last = Some(PublicTrade { trade, price, quantity, quote, taker_side, time });
    }

    pub(crate) fn move_order_in(&mut self, moved: &OrderImported) {
        self.owned.move_in(moved);
    }

    pub(crate) fn move_list_in(&mut self, moved: &ListImported) {
        self.lists.move_in(moved);
    }

    /// The last trade, wherever it took place.
    pub(crate) fn last_trade(&self) -> Option<PublicTrade> {
        self.last
    }

    /// What is to come in this market, to be filled before [`MarketData::warm`].
    pub(crate) fn coming(&mut self) -> &mut Coming {
        &mut self.coming
    }

    /// Has what is to come brought near.
    pub(crate) fn warm(&mut self, limits: &Limits) {
        self.owned.warm(&mut self.coming, limits);
    }

    pub(crate) fn place(&mut self, placed: &OrderPlaced, time: Timestamp) {
        self.owned.place(placed, time);
    }

    pub(crate) fn amend(&mut self, amended: &OrderAmended, cause: Cause, limits: &Limits) {
        self.owned.amend(amended, cause.time);
        if amended.client_order_id != amended.client_order_id_before
            && let Some(list) = self.owned.order(amended.order).and_then(Order::list)
        {
            self.lists.rename(list, amended.order, amended.client_order_id, cause.time);
        }
        self.amendments.record(*amended, cause, limits.amendments_per_market);
    }

    pub(crate) fn place_list(&mut self, placed: &ListPlaced, time: Timestamp) {
        let name = |&id: &OrderId| {
            let order = self.owned.order(id).expect("the orders of a list are placed before it");
            (id, order.terms.client_order_id)
        };
        self.lists.place(placed, placed.orders.iter().map(name).collect(), time);
    }

    pub(crate) fn release(&mut self, order: OrderId, quantity: Quantity, time: Timestamp) {
        self.owned.release(order, quantity, time);
    }

    pub(crate) fn change_list(&mut self, list: OrderListId, status: ListStatus, time: Timestamp, limits: &Limits) {
        self.lists.change(list, status, time, done_lists_max(limits));
    }

    pub(crate) fn trigger(&mut self, order: OrderId, time: Timestamp) {
        self.owned.trigger(order, time);
    }

    pub(crate) fn begin_trailing(&mut self, order: OrderId, time: Timestamp) {
        self.owned.begin_trailing(order, time);
    }

    pub(crate) fn peg(&mut self, order: OrderId, price: Price, time: Timestamp) {
        self.owned.peg(order, price, time);
    }

    pub(crate) fn close(&mut self, order: OrderId, reason: CloseReason, time: Timestamp, limits: &Limits) {
        self.owned.close(order, reason, time, limits);
    }

    pub(crate) fn trade(&mut self, trade: &Trade, cause: Cause, limits: &Limits) {
        let Cause { sequence, time } = cause;
        let before = self.last.map_or(TradeId(0), |last| last.trade);
        assert_eq!(trade.trade, before.next(), "trades of market {} have a gap", self.market.id);
        let market = &self.market;
        self.owned.trade(trade, time, |side| market.receives(side), limits);
        self.trades.record(trade, time, limits.trades_per_market);
        self.aggregate_trades.record(trade, sequence, time, limits.aggregate_trades_per_market);
        self.candles.record(trade, market.base_amount(trade.quantity), time, limits.candles_per_interval);
        let taker = market.receives(trade.taker_side);
        let maker = market.receives(trade.taker_side.opposite());
        self.collected.record(trade, [taker, maker], time);
        self.last = Some(PublicTrade::of(trade, time));
        if let Some(reference) = &self.session.reference {
            self.referred.count(reference, trade.price, time);
        }
    }

    pub(crate) fn prevent(&mut self, prevented: &PreventedMatch, time: Timestamp, limits: &Limits) {
        self.owned.prevent(prevented, time);
        self.prevented.record(*prevented, time, limits.prevented_matches_per_market);
    }

    pub(crate) fn change_depth(&mut self, change: &DepthChanged) {
        self.depth.apply(change);
    }

    /// Panics when the book is crossed, which no command may leave behind but while an auction collects orders.
    pub(crate) fn check(&self) {
        let may = self.session.phase.is_auction();
        assert!(may || !self.depth.is_crossed(), "the book of market {} is crossed after a command", self.market.id);
    }

    pub(crate) fn state(&self) -> MarketState {
        MarketState {
            depth: self.depth.state(),
            trades: self.trades.clone(),
            aggregate_trades: self.aggregate_trades.clone(),
            candles: self.candles.clone(),
            last: self.last,
            owned: self.owned.state(),
            prevented: self.prevented.clone(),
            amendments: self.amendments.clone(),
            lists: self.lists.state(),
            session: Some(self.session).filter(|session| *session != Session::plain(self.market.id)),
            referred: self.referred.state(),
            collected: self.collected.clone(),
        }
    }

    pub(crate) fn restore(market: Market, state: MarketState, limits: &Limits) -> Result<Self, Error> {
        let MarketState {
            depth,
            trades,
            aggregate_trades,
            candles,
            last,
            owned,
            prevented,
            amendments,
            lists,
            session,
            referred,
            collected,
        } = state;
        let session = session.unwrap_or(Session::plain(market.id));
        if session.symbol != market.id {
            return Err(Error("a session of another market"));
        }
        if owned.orders().any(|order| order.terms.symbol != market.id) {
            return Err(Error("an order of another market"));
        }
        Ok(Self {
            status: market.status,
            market: market.with_status(session.phase.status(market.status)),
            session,
            referred: Referred::restore(referred, session.reference.as_ref())
                .ok_or(Error("trades that no reference price is made of"))?,
            depth: Depth::restore(depth, session.phase.is_auction())?,
            trades: trades.restored(limits.trades_per_market)?,
            aggregate_trades: aggregate_trades.restored(limits.aggregate_trades_per_market)?,
            candles: candles.restored(limits.candles_per_interval)?,
            collected,
            last,
            owned: Owned::restore(owned, limits)?,
            prevented: prevented.restored(limits.prevented_matches_per_market)?,
            amendments: amendments.restored(limits.amendments_per_market)?,
            lists: OrderLists::restore(lists, done_lists_max(limits))?,
            coming: Coming::default(),
        })
    }
}

/// How many lists that are done are kept: as many as ended orders, but at least those that a command may end, so that
/// whoever is told of their end can read them.
fn done_lists_max(limits: &Limits) -> usize {
    limits.closed_orders_per_market.max(1_024)
}

wire_struct! {
    MarketState {
        0: depth, 1: trades, 2: aggregate_trades, 3: candles, 4: last, 5: owned, 6: prevented;
        optional 7: amendments, 8: lists, 47: session, 48: referred, 60: collected
    }
}
