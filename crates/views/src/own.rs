//! Orders and trades of one market, for queries of their owners: by id, by client order id, open orders, by time. Open
//! orders stay; ended orders and trades are evicted by age, first within their account, then in the market.

mod by_number;
mod numbers;

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::hint::black_box;

use crossbook_protocol::event::{CloseReason, OrderAmended, OrderImported, OrderPlaced, Party, PreventedMatch, Trade};
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{
    AccountId, Amount, AssetId, ClientOrderId, OrderId, OrderListId, Price, Quantity, Side, SymbolId, Timestamp,
    TradeId,
};
use hashbrown::{HashMap, HashTable};

use crate::aging_slab::AgingSlab;
use crate::error::Error;
use crate::hash::CountingHash;
use crate::limits::{Forgotten, Limits, Window, partition_point};
use crate::order::{Order, OwnTrade};
use by_number::ByNumber;
use numbers::Numbers;

/// What one account has in the market: places in the lists of all.
#[derive(Clone, Debug, Default)]
struct Own {
    open: Numbers,
    /// Open and ended.
    orders: Numbers,
    /// Where the newest order of each name is. It stands here under the hash that is kept with the order.
    named: HashTable<u32>,
    /// In the order in which they ended.
    closed: VecDeque<u32>,
    trades: VecDeque<u32>,
    forgotten_orders: Option<Forgotten<OrderId>>,
    forgotten_trades: Option<Forgotten<TradeId>>,
}

/// An order, and what is needed to find it in the lists of its account. It fills lines of memory whole, as each is one
/// to wait for.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Known {
    order: Order,
    /// The hash of its name.
    name: u64,
}

impl Own {
    /// Lets the order at a place be found by its name, unless a newer one is.
    fn name(&mut self, orders: &AgingSlab<Known>, name: ClientOrderId, at: u32) {
        let Known { order, name: hash } = orders.get(at);
        match self.named.find_mut(*hash, |&at| orders.get(at).order.terms.client_order_id == name) {
            Some(before) if orders.get(*before).order.order > order.order => {}
            Some(before) => *before = at,
            None => _ = self.named.insert_unique(*hash, at, |&at| orders.get(at).name),
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owned {
    orders: AgingSlab<Known>,
    by_number: ByNumber,
    trades: AgingSlab<(AccountId, OwnTrade)>,
    accounts: HashMap<AccountId, Own, CountingHash>,
    /// Clients choose the names of orders, so that the hash is a keyed one.
    names: RandomState,
}

/// What a snapshot keeps of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OwnedState {
    /// By number.
    open: Vec<Order>,
    /// In the order in which they ended.
    closed: Vec<Order>,
    /// In the order in which they took place, the taker's before the maker's.
    trades: Vec<(AccountId, TradeWritten)>,
    /// What was dropped, by account; those of which nothing was are left out.
    forgotten: Vec<ForgottenOf>,
    /// The lists of those trades whose orders belong to one, by their place among them.
    lists: Vec<(u32, OrderListId)>,
}

/// A trade but for its list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct TradeWritten {
    symbol: SymbolId,
    trade: TradeId,
    order: OrderId,
    price: Price,
    quantity: Quantity,
    quote: Amount,
    fee: Amount,
    fee_asset: AssetId,
    side: Side,
    maker: bool,
    time: Timestamp,
}

impl TradeWritten {
    fn of(trade: &OwnTrade) -> Self {
        let &OwnTrade { symbol, trade, order, price, quantity, quote, fee, fee_asset, side, maker, time, list: _ } =
            trade;
        Self { symbol, trade, order, price, quantity, quote, fee, fee_asset, side, maker, time }
    }

    fn in_list(self, list: Option<OrderListId>) -> OwnTrade {
        let Self { symbol, trade, order, price, quantity, quote, fee, fee_asset, side, maker, time } = self;
        OwnTrade { symbol, trade, order, list, price, quantity, quote, fee, fee_asset, side, maker, time }
    }
}

/// What was dropped of one account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct ForgottenOf {
    account: AccountId,
    orders: Option<Forgotten<OrderId>>,
    trades: Option<Forgotten<TradeId>>,
}

impl OwnedState {
    pub(crate) fn orders(&self) -> impl Iterator<Item = &Order> {
        self.open.iter().chain(&self.closed)
    }
}

impl Owned {
    pub(crate) fn order(&self, order: OrderId) -> Option<&Order> {
        self.place_of(order).map(|at| &self.orders.get(at).order)
    }

    /// An order that has not ended.
    pub(crate) fn open_order(&self, order: OrderId) -> Option<&Order> {
        self.by_number.get_open(order).map(|at| &self.orders.get(at).order)
    }

    /// Where an order is kept.
    pub(crate) fn place_of(&self, order: OrderId) -> Option<u32> {
        self.by_number.get(order)
    }

    /// Reads what an order's end will touch.
    pub(crate) fn warm_open(&self, at: u32) {
        let order = &self.orders.get(at).order;
        black_box((order.updated, self.accounts.get(&order.account).map(|own| own.closed.back())));
    }

    /// Reads what forgetting an order will touch.
    pub(crate) fn warm_ended(&self, at: u32) {
        let Known { order, name, .. } = self.orders.get(at);
        let own = self.accounts.get(&order.account);
        black_box((self.by_number.get(order.order), own.and_then(|own| own.named.find(*name, |&named| named == at))));
    }

    /// Where the orders are kept that are forgotten when so many more end, as far as it is because of the market's
    /// bound.
    pub(crate) fn forgotten_next(&self, ending: usize, limits: &Limits) -> impl Iterator<Item = u32> {
        let above = (self.orders.ageing() + ending).saturating_sub(limits.closed_orders_per_market);
        self.orders.places_by_age().take(above.min(ending))
    }

    pub(crate) fn all_orders(&self) -> impl Iterator<Item = &Order> {
        self.by_number.places().map(|at| &self.orders.get(at).order)
    }

    pub(crate) fn order_named(&self, account: AccountId, name: &ClientOrderId) -> Option<&Order> {
        let order = |&at: &u32| &self.orders.get(at).order;
        let named = &self.accounts.get(&account)?.named;
        named.find(self.names.hash_one(name), |at| order(at).terms.client_order_id == *name).map(order)
    }

    pub(crate) fn open_orders(&self, account: AccountId) -> impl Iterator<Item = &Order> {
        let numbers = self.accounts.get(&account).into_iter().flat_map(|own| own.open.iter());
        numbers.filter_map(|number| self.by_number.get_open(number)).map(|at| &self.orders.get(at).order)
    }

    pub(crate) fn orders_from(&self, account: AccountId, from: OrderId, limit: usize) -> Vec<&Order> {
        let Some(own) = self.accounts.get(&account) else { return Vec::new() };
        own.orders.iter_from(from).filter_map(|number| self.order(number)).take(limit).collect()
    }

    pub(crate) fn orders(&self, account: AccountId, window: Window) -> Vec<&Order> {
        let Some(own) = self.accounts.get(&account) else { return Vec::new() };
        let (earliest, latest) = (window.start.unwrap_or_default(), window.end.unwrap_or(Timestamp(u64::MAX)));
        let within = |order: &&Order| (earliest..=latest).contains(&order.updated);
        // Those that have ended stand in the order in which they did, which is that of their last updates.
        let ended_at = |at: u32| self.orders.get(at).order.updated;
        let from = partition_point(own.closed.len(), |at| ended_at(own.closed[at]) < earliest);
        let to = partition_point(own.closed.len(), |at| ended_at(own.closed[at]) <= latest).max(from);
        let (from, to) = match window.start {
            Some(_) => (from, first_of_next(from, to, window.limit, |at| ended_at(own.closed[at]))),
            None => (last_of_before(from, to, window.limit, |at| ended_at(own.closed[at])), to),
        };
        let ended = own.closed.range(from..to).map(|&at| &self.orders.get(at).order);
        let mut found: Vec<&Order> = ended.chain(self.open_orders(account).filter(within)).collect();
        found.sort_unstable_by_key(|order| (order.updated, order.order));
        match window.start {
            Some(_) => found.truncate(window.limit),
            None => drop(found.drain(..found.len().saturating_sub(window.limit))),
        }
        found
    }

    pub(crate) fn forgotten_orders(&self, account: AccountId) -> Option<Forgotten<OrderId>> {
        self.accounts.get(&account)?.forgotten_orders
    }

    fn trades_of(&self, account: AccountId, range: impl FnOnce(&VecDeque<u32>) -> (usize, usize)) -> Vec<&OwnTrade> {
        let Some(own) = self.accounts.get(&account) else { return Vec::new() };
        let (start, end) = range(&own.trades);
        own.trades.range(start..end).map(|&at| &self.trades.get(at).1).collect()
    }

    pub(crate) fn trades_from(&self, account: AccountId, from: TradeId, limit: usize) -> Vec<&OwnTrade> {
        self.trades_of(account, |trades| {
            let number = |at: usize| self.trades.get(trades[at]).1.trade;
            let start = partition_point(trades.len(), |at| number(at) < from);
            (start, self.end_of_trade(trades, start, trades.len().min(start.saturating_add(limit))))
        })
    }

    pub(crate) fn trades(&self, account: AccountId, window: Window) -> Vec<&OwnTrade> {
        self.trades_of(account, |trades| {
            let number = |at: usize| self.trades.get(trades[at]).1.trade;
            let mut range = window.select(trades.len(), |at| self.trades.get(trades[at]).1.time);
            if window.start.is_some() {
                return (range.start, self.end_of_trade(trades, range.start, range.end));
            }
            while 0 < range.start && range.start < range.end && number(range.start - 1) == number(range.start) {
                range.start -= 1;
            }
            (range.start, range.end)
        })
    }

    /// Where a page of `start..end` ends if both sides of a trade of the account with itself are to be on it.
    fn end_of_trade(&self, trades: &VecDeque<u32>, start: usize, mut end: usize) -> usize {
        let number = |at: usize| self.trades.get(trades[at]).1.trade;
        while start < end && end < trades.len() && number(end - 1) == number(end) {
            end += 1;
        }
        end
    }

    pub(crate) fn trades_of_order(
        &self,
        account: AccountId,
        order: OrderId,
        from: Option<TradeId>,
        limit: usize,
    ) -> Vec<&OwnTrade> {
        let Some(own) = self.accounts.get(&account) else { return Vec::new() };
        let from = from.unwrap_or_default();
        let start = partition_point(own.trades.len(), |at| self.trades.get(own.trades[at]).1.trade < from);
        let trades = own.trades.range(start..).map(|&at| &self.trades.get(at).1);
        trades.filter(|trade| trade.order == order).take(limit).collect()
    }

    pub(crate) fn forgotten_trades(&self, account: AccountId) -> Option<Forgotten<TradeId>> {
        self.accounts.get(&account)?.forgotten_trades
    }

    pub(crate) fn place(&mut self, placed: &OrderPlaced, time: Timestamp) {
        self.take_in_open(Order::placed(placed, time));
    }

    /// Enters an order that was placed elsewhere.
    pub(crate) fn move_in(&mut self, moved: &OrderImported) {
        self.take_in_open(Order::moved_in(moved));
    }

    fn take_in_open(&mut self, order: Order) {
        let (account, number) = (order.account, order.order);
        self.take_in(order, true);
        self.accounts.entry(account).or_default().open.insert(number);
    }

    /// Enters an order where all are found, open or ended; the caller enters it among the open ones, or by its age
    /// among the others.
    fn take_in(&mut self, order: Order, is_open: bool) -> u32 {
        let (number, account, client_order_id) = (order.order, order.account, order.terms.client_order_id);
        let name = self.names.hash_one(client_order_id);
        let at = self.orders.insert(Known { order, name });
        self.by_number.insert(number, at, is_open);
        let own = self.accounts.entry(account).or_default();
        own.orders.insert(number);
        own.name(&self.orders, client_order_id, at);
        at
    }

    /// Folds that an order was amended.
    pub(crate) fn amend(&mut self, amended: &OrderAmended, time: Timestamp) {
        let at = self.place_of(amended.order).expect("an order that is amended is known");
        let known = self.orders.get_mut(at);
        known.order.amend(amended, time);
        if amended.client_order_id == amended.client_order_id_before {
            return;
        }
        let before = std::mem::replace(&mut known.name, self.names.hash_one(amended.client_order_id));
        let own = self.accounts.get_mut(&amended.account).expect("the owner of an order is known");
        if let Ok(named) = own.named.find_entry(before, |&named| named == at) {
            named.remove();
            // An older one may have had the name, too.
            let by_number = &self.by_number;
            let older = {
                let mut places = own.orders.iter().filter_map(|number| by_number.get(number));
                let old = |&at: &u32| self.orders.get(at).order.terms.client_order_id == amended.client_order_id_before;
                places.rfind(old)
            };
            if let Some(older) = older {
                own.name(&self.orders, amended.client_order_id_before, older);
            }
        }
        own.name(&self.orders, amended.client_order_id, at);
    }

    pub(crate) fn trigger(&mut self, order: OrderId, time: Timestamp) {
        let at = self.place_of(order).expect("an order that is triggered is known");
        self.orders.get_mut(at).order.trigger(time);
    }

    pub(crate) fn release(&mut self, order: OrderId, quantity: Quantity, time: Timestamp) {
        let at = self.place_of(order).expect("an order that is placed is known");
        self.orders.get_mut(at).order.release(quantity, time);
    }

    pub(crate) fn begin_trailing(&mut self, order: OrderId, time: Timestamp) {
        let at = self.place_of(order).expect("an order that trails is known");
        self.orders.get_mut(at).order.begin_trailing(time);
    }

    pub(crate) fn peg(&mut self, order: OrderId, price: Price, time: Timestamp) {
        let at = self.place_of(order).expect("a pegged order is known");
        self.orders.get_mut(at).order.peg(price, time);
    }

    /// Folds what a prevented match does to its orders.
    pub(crate) fn prevent(&mut self, prevented: &PreventedMatch, time: Timestamp) {
        let &PreventedMatch { id, taker, maker, taker_prevented, maker_prevented, .. } = prevented;
        for (order, quantity) in [(taker, taker_prevented), (maker, maker_prevented)] {
            let at = self.place_of(order).expect("an order that would trade is known");
            if !quantity.is_zero() {
                self.orders.get_mut(at).order.prevent(id, quantity, time);
            }
        }
    }

    pub(crate) fn close(&mut self, order: OrderId, reason: CloseReason, time: Timestamp, limits: &Limits) {
        let at = self.by_number.close(order);
        let known = &mut self.orders.get_mut(at).order;
        known.close(reason, time);
        let own = self.accounts.get_mut(&known.account).expect("the owner of an order is known");
        let by_number = &self.by_number;
        own.open.strike(|number| by_number.get_open(number).is_some());
        own.closed.push_back(at);
        self.orders.age(at);
        if own.closed.len() > limits.closed_orders_per_account {
            let first = own.closed[0];
            self.forget_order(first);
        }
        self.shorten(limits);
    }

    /// Drops what exceeds the bounds of the market.
    fn shorten(&mut self, limits: &Limits) {
        while self.orders.ageing() > limits.closed_orders_per_market
            && let Some(at) = self.orders.oldest()
        {
            self.forget_order(at);
        }
        while self.trades.ageing() > limits.own_trades_per_market
            && let Some(at) = self.trades.oldest()
        {
            self.forget_trade(at);
        }
    }

    fn forget_order(&mut self, at: u32) {
        let Known { order, name, .. } = self.orders.get(at);
        let own = self.accounts.get_mut(&order.account).expect("the owner of an order is known");
        let first = own.closed.pop_front();
        assert_eq!(first, Some(at), "orders are forgotten in the order in which they ended");
        // A newer one may have taken the name over.
        if let Ok(named) = own.named.find_entry(*name, |&named| named == at) {
            named.remove();
        }
        // It has ended, and nothing happens to it any more.
        Forgotten::note(&mut own.forgotten_orders, order.order, order.placed, order.updated);
        self.by_number.remove(order.order);
        let by_number = &self.by_number;
        own.orders.strike(|number| by_number.get(number).is_some());
        self.orders.drop_aged(at);
    }

    fn forget_trade(&mut self, at: u32) {
        let (account, trade) = self.trades.get(at);
        let own = self.accounts.get_mut(account).expect("the owner of a trade is known");
        let first = own.trades.pop_front();
        assert_eq!(first, Some(at), "trades are forgotten in the order in which they took place");
        Forgotten::note(&mut own.forgotten_trades, trade.trade, trade.time, trade.time);
        self.trades.drop_aged(at);
    }

    /// Folds a trade into both orders and both accounts' lists. `received` gives the asset that a side receives.
    pub(crate) fn trade(
        &mut self,
        trade: &Trade,
        time: Timestamp,
        received: impl Fn(Side) -> AssetId,
        limits: &Limits,
    ) {
        let maker_side = trade.taker_side.opposite();
        for (Party { order, account, fee }, side, maker) in
            [(trade.taker, trade.taker_side, false), (trade.maker, maker_side, true)]
        {
            let at = self.place_of(order).expect("an order that trades is known");
            let known = &mut self.orders.get_mut(at).order;
            assert!(
                known.account == account && known.terms.side == side,
                "trade {} is not order {order}'s",
                trade.trade
            );
            known.trade(trade, time);
            let fee_asset = trade.other_fee_asset(!maker).unwrap_or_else(|| received(side));
            let list = known.terms.list().map(|membership| membership.list);
            let &Trade { symbol, trade, price, quantity, quote, .. } = trade;
            let own =
                OwnTrade { symbol, trade, order, list, price, quantity, quote, fee, fee_asset, side, maker, time };
            self.take_in_trade(account, own);
            let trades = &self.accounts[&account].trades;
            if trades.len() > limits.own_trades_per_account {
                self.forget_trade(trades[0]);
            }
        }
        self.shorten(limits);
    }

    fn take_in_trade(&mut self, account: AccountId, trade: OwnTrade) {
        let at = self.trades.insert((account, trade));
        self.trades.age(at);
        self.accounts.entry(account).or_default().trades.push_back(at);
    }

    pub(crate) fn state(&self) -> OwnedState {
        let open = self.accounts.keys().flat_map(|&account| self.open_orders(account));
        // There may be millions: they are sorted before they are copied, and copied to where there is room for all.
        let mut open: Vec<_> = open.map(|order| (order.order, order)).collect();
        open.sort_unstable_by_key(|&(number, _)| number);
        let open = open.into_iter().map(|(_, order)| order.clone()).collect();
        let forgotten = self.accounts.iter().map(|(&account, own)| ForgottenOf {
            account,
            orders: own.forgotten_orders,
            trades: own.forgotten_trades,
        });
        let mut forgotten: Vec<_> = forgotten.filter(|of| of.orders.is_some() || of.trades.is_some()).collect();
        forgotten.sort_unstable_by_key(|of| of.account);
        OwnedState {
            open,
            closed: self.orders.by_age().map(|known| known.order.clone()).collect(),
            trades: self.trades.by_age().map(|(account, trade)| (*account, TradeWritten::of(trade))).collect(),
            forgotten,
            lists: (0..).zip(self.trades.by_age()).filter_map(|(at, (_, trade))| Some((at, trade.list?))).collect(),
        }
    }

    pub(crate) fn restore(state: OwnedState, limits: &Limits) -> Result<Self, Error> {
        let mut owned = Self::default();
        for ForgottenOf { account, orders, trades } in state.forgotten {
            let own = owned.accounts.entry(account).or_default();
            (own.forgotten_orders, own.forgotten_trades) = (orders, trades);
        }
        let numbers = state.open.iter().chain(&state.closed).map(|order| order.order);
        let mut seen: Vec<_> = numbers.collect();
        seen.sort_unstable();
        if !seen.is_sorted_by(|a, b| a < b) {
            return Err(Error("an order twice"));
        }
        if state.open.iter().any(|order| !order.status.is_open())
            || state.closed.iter().any(|order| order.status.is_open())
        {
            return Err(Error("an order's status does not go with its place"));
        }
        // By number, so that of several orders of one name the newest is found by it. What is closed is named by its
        // age.
        let closed = state.closed.iter().enumerate().map(|(age, order)| (Some(age), order));
        let mut orders: Vec<_> = closed.chain(state.open.iter().map(|order| (None, order))).collect();
        orders.sort_unstable_by_key(|(_, order)| order.order);
        let mut places = vec![0; state.closed.len()];
        for (age, order) in orders {
            match age {
                Some(age) => places[age] = owned.take_in(order.clone(), false),
                None => owned.take_in_open(order.clone()),
            }
        }
        for at in places {
            let account = owned.orders.get(at).order.account;
            owned.accounts.entry(account).or_default().closed.push_back(at);
            owned.orders.age(at);
        }
        let mut lists = state.lists.into_iter().peekable();
        for (at, (account, trade)) in (0..).zip(state.trades) {
            let trade = trade.in_list(lists.next_if(|&(of, _)| of == at).map(|(_, list)| list));
            let last = owned.accounts.get(&account).and_then(|own| own.trades.back());
            if last.is_some_and(|&last| owned.trades.get(last).1.trade > trade.trade) {
                return Err(Error("an account's trades out of order"));
            }
            owned.take_in_trade(account, trade);
        }
        if lists.next().is_some() {
            return Err(Error("a list of a trade that is not there"));
        }
        owned.shorten_accounts(limits);
        owned.shorten(limits);
        Ok(owned)
    }

    /// Drops what exceeds the bounds of each account; needed only when a snapshot was made under wider ones.
    fn shorten_accounts(&mut self, limits: &Limits) {
        let accounts: Vec<AccountId> = self.accounts.keys().copied().collect();
        for account in accounts {
            while self.accounts[&account].closed.len() > limits.closed_orders_per_account {
                self.forget_order(self.accounts[&account].closed[0]);
            }
            while self.accounts[&account].trades.len() > limits.own_trades_per_account {
                self.forget_trade(self.accounts[&account].trades[0]);
            }
        }
    }
}

/// Of the places `from..to`, sorted by time, where the first `limit` end, and with them all of the time of the last of
/// these.
fn first_of_next(from: usize, to: usize, limit: usize, time: impl Fn(usize) -> Timestamp) -> usize {
    let end = from.saturating_add(limit).min(to);
    let more = (end..to).take_while(|&at| end > from && time(at) == time(end - 1)).count();
    end + more
}

/// Of the places `from..to`, sorted by time, where the last `limit` begin, and with them all of the time of the first
/// of these.
fn last_of_before(from: usize, to: usize, limit: usize, time: impl Fn(usize) -> Timestamp) -> usize {
    let start = to.saturating_sub(limit).max(from);
    let more = (from..start).rev().take_while(|&at| start < to && time(at) == time(start)).count();
    start - more
}

wire_struct! {
    OwnedState { 0: open, 1: closed, 2: trades, 3: forgotten; optional 50: lists }
    plain TradeWritten {
        0: symbol, 1: trade, 2: order, 3: price, 4: quantity, 5: quote, 6: fee, 7: fee_asset, 8: side, 9: maker,
        10: time,
    }
    ForgottenOf { 0: account, 1: orders, 2: trades }
}
