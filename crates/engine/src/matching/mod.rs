//! The market's side of an order: matching, resting, stop orders, cancelling.
//!
//! A [`Matcher`] is one market. It receives orders whose funds are held, matches them by price-time priority, and
//! returns what is to be paid. It never reads a balance. Stop orders trigger within the command whose trades reached
//! their stop price, nearest stop first, those that trigger on a rise before those that trigger on a fall. Their trades
//! can trigger others; each triggers once, so that ends. A command does a bounded part of this work, and of a cancel of
//! all orders of an account; the rest is [`deferred`].

mod account_orders;
mod amend;
mod auction;
mod average;
mod by_slot;
mod checks;
mod counting;
mod deferred;
mod discount;
pub(crate) mod handle;
mod import;
mod inconsistent;
mod instructions;
mod list_fees;
mod list_funds;
mod list_orders;
mod list_prices;
mod list_state;
pub(crate) mod open;
pub(crate) mod order_lists;
mod pegs;
mod prevention;
mod reference;
mod released;
mod replace;
mod session;
mod state;
mod taker;
mod trailing;

pub(crate) use discount::Reserve;
pub(crate) use import::next_trade;
pub use inconsistent::Inconsistent;
pub(crate) use state::MatcherState;

use crossbook_protocol::event::{Answer, CloseReason, DepthChanged, Event, Events, OrderClosed, OrderPlaced};
use crossbook_protocol::order::{CancelAll, CancelOrder, NewOrder, Size};
use crossbook_protocol::peer::{Funding, Origin};
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::rules::Rules;
use std::collections::VecDeque;

use crossbook_types::{
    AccountId, Amount, ClientOrderId, FeeCredit, HoldId, Market, MarketStatus, OrderId, PreventedMatchId, Price,
    Quantity, Side, TradeId,
};

use crate::outbox::Accounts;
use crate::refusal::refuse_order;
use amend::Amendments;
use average::Averages;
use deferred::Pending;
use discount::Reserves;
use handle::Handle;
use open::{Applicant, Level, OpenOrders, Order, Owner, Removed, Special, Waiting};
use order_lists::OrderLists;
use session::Session;
use taker::Taker;
use trailing::Sight;

/// One market's orders.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    market: Market,
    /// What of its status and its session together holds now.
    status: MarketStatus,
    /// Its session, if that is more than open.
    session: Option<Box<Session>>,
    open: OpenOrders,
    next_order: OrderId,
    next_trade: TradeId,
    next_prevented: PreventedMatchId,
    last_price: Option<Price>,
    /// Number of the last depth update.
    depth_update: u64,
    amendments: Amendments,
    /// What pays the fees of orders in the asset of the discount.
    reserves: Reserves,
    /// For markets whose filters look at an average price, or that have a reference price.
    averages: Option<Box<Averages>>,
    /// Scratch for [`Matcher::cancel_all`].
    cancelling: Vec<(OrderId, Handle)>,
    /// The open order lists.
    lists: OrderLists,
    /// Deferred work of commands.
    pending: Pending,
    /// What those that trail the price are yet to see.
    unseen: VecDeque<Sight>,
    /// Steps that the present command has taken; see [`crate::work_budget::WorkBudget`].
    steps: u32,
}

/// The prices at which one command traded so far.
#[derive(Clone, Copy, Debug)]
struct Traded {
    low: Price,
    high: Price,
}

impl Traded {
    fn with(range: Option<Self>, price: Price) -> Self {
        match range {
            None => Self { low: price, high: price },
            Some(Self { low, high }) => Self { low: low.min(price), high: high.max(price) },
        }
    }

    fn and(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}

impl Matcher {
    pub(crate) fn new(market: Market, hash_seed: u64) -> Self {
        let mut matcher = Self {
            status: market.status,
            session: None,
            market,
            open: OpenOrders::new(hash_seed),
            next_order: OrderId(1),
            next_trade: TradeId(1),
            next_prevented: PreventedMatchId::FIRST,
            last_price: None,
            depth_update: 0,
            amendments: Amendments::default(),
            reserves: Reserves::default(),
            averages: None,
            cancelling: Vec::new(),
            lists: OrderLists::default(),
            pending: Pending::default(),
            unseen: VecDeque::new(),
            steps: 0,
        };
        matcher.follow_prices();
        matcher
    }

    pub(crate) fn change(&mut self, market: Market) {
        assert_eq!(self.market.id, market.id, "a market's rules are its own");
        self.pending.ending |= market.status == MarketStatus::Delisted && !self.open.is_empty();
        self.market = market;
        self.follow_prices();
        self.renew_status();
    }

    pub(crate) fn open(&self) -> &OpenOrders {
        &self.open
    }

    pub(crate) fn depth_update(&self) -> u64 {
        self.depth_update
    }

    pub(crate) fn market(&self) -> &Market {
        &self.market
    }

    /// Takes an order in and answers its sender.
    #[inline]
    pub(crate) fn admit(
        &mut self,
        order: &NewOrder,
        funding: Funding,
        origin: Origin,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        if self.status != MarketStatus::Trading {
            self.pass_time(accounts, events);
        }
        let applicant = self.open.applicant(order.account, order.terms.client_order_id);
        if let Err(refusal) = self.check(order, funding.budget, applicant, accounts) {
            accounts.release_order(order, funding.hold);
            return refuse_order(events, order, origin, refusal, accounts.rules);
        }
        let id = self.place(order, funding, applicant, accounts, events);
        events.answer(origin, || Answer::Placed { symbol: order.terms.symbol, order: id });
    }

    /// [`Matcher::place`] out of line, for orders that replace others.
    #[inline(never)]
    fn place_replacing(
        &mut self,
        new: &NewOrder,
        funding: Funding,
        applicant: Applicant,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> OrderId {
        self.place(new, funding, applicant, accounts, events)
    }

    /// Assigns an id to a checked order and makes it pending, or matches and rests it.
    // What a plain order passes through is inlined here, whoever else calls it: split into functions, an order took 5 %
    // more instructions, most of them to pass arguments, and missed the instruction cache three times as often.
    #[inline(always)]
    fn place(
        &mut self,
        new: &NewOrder,
        funding: Funding,
        applicant: Applicant,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> OrderId {
        let id = self.next_order;
        self.next_order = id.next();
        self.tell_placed(id, new, events);
        let order = Order {
            id,
            account: new.account,
            hold: funding.hold,
            client_order_id: new.terms.client_order_id,
            fees: funding.fees,
            side: new.terms.side,
            order_type: new.terms.order_type,
            time_in_force: new.terms.time_in_force,
            self_trade_prevention: new.terms.self_trade_prevention,
        };
        let special = Special::of(new.terms.instructions.as_deref());
        match (new.terms.stop_price.get(), new.terms.size) {
            (Some(stop), Size::Base(quantity)) => {
                let waiting = Waiting { order, limit: new.terms.limit(), budget: funding.budget };
                self.open.wait(stop, quantity, waiting, special, applicant, false);
            }
            (None, Size::Base(quantity)) if special.trailing.is_some() => {
                let budget = self.fit_hold(&order, &new.terms, funding.budget, accounts);
                let waiting = Waiting { order, limit: new.terms.limit(), budget };
                if special.discounted {
                    self.trail_discounted(&order, (waiting.limit, quantity, budget), accounts);
                }
                self.trail_from_now(quantity, waiting, special, applicant, false, events);
            }
            (_, size) => {
                let (limit, budget) = match (special.peg, size) {
                    (Some(peg), Size::Base(quantity)) => {
                        let pegged = self.peg(&order, peg, quantity, funding.budget, accounts, events);
                        let (price, budget) = pegged.expect("a pegged order that was checked has a price");
                        (Some(price), budget)
                    }
                    _ => (new.terms.price, funding.budget),
                };
                let taker = Taker {
                    order,
                    applicant,
                    limit,
                    left: new.terms.size,
                    budget,
                    credit: FeeCredit::NONE,
                    special,
                    most: match new.terms.size {
                        Size::Quote(_) if accounts.rules >= Rules::V2 => self.market.market_lots_max(),
                        _ => Quantity::MAX,
                    },
                    listed: false,
                };
                self.steps = 0;
                let (side, busy) = (taker.order.side, self.has_triggers());
                let traded = self.execute(taker, accounts, events);
                self.note_prices(traded, side);
                if accounts.rules >= Rules::V2 {
                    self.trigger(traded, busy, accounts, events);
                } else {
                    self.trigger_all(traded, accounts, events);
                }
            }
        }
        id
    }

    /// Publishes that an order is accepted.
    #[inline(always)]
    fn tell_placed(&mut self, id: OrderId, new: &NewOrder, events: &mut Events) {
        let account = new.account;
        let Some(discount) = new.terms.discount() else {
            return events.add(|| Event::OrderPlaced(OrderPlaced { order: id, account, terms: new.terms.clone() }));
        };
        // What pays its fees is told by itself.
        let terms = new.terms.with_discount(None);
        events.push(Event::OrderPlaced(OrderPlaced { order: id, account, terms }));
        self.take_reserve(id, account, discount, events);
    }

    /// Under version 1 of the rules: triggers every pending stop order whose stop price a trade of this command has
    /// reached.
    fn trigger_all(&mut self, mut traded: Option<Traded>, accounts: &mut Accounts<'_>, events: &mut Events) {
        while let Some(range) = traded
            && let Some(on_rise) = self.next_reached(range)
        {
            if let Some(more) = self.trigger_next(on_rise, accounts, events) {
                traded = Some(range.and(more));
            }
        }
        // A command under newer rules may have left a range here that no pending order waits for any more.
        self.canceled();
    }

    /// Cancels one order and answers.
    #[inline]
    pub(crate) fn cancel(
        &mut self,
        request: &CancelOrder,
        origin: Origin,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        if self.status != MarketStatus::Trading && self.is_matching() {
            return events.refuse(origin, Refusal::AuctionMatching);
        }
        let Some(handle) = self.open.find(request.account, request.target) else {
            return events.refuse(origin, Refusal::UnknownOrder);
        };
        if request.restriction.is_some_and(|only| !only.allows(self.open.has_traded(handle))) {
            return events.refuse(origin, Refusal::CancelRestricted);
        }
        let reason = CloseReason::Canceled { cancel_id: request.cancel_id };
        let order = self.close_open(handle, reason, accounts, events);
        self.canceled();
        events.answer(origin, || Answer::Canceled { symbol: self.market.id, order });
    }

    /// Cancels all orders of an account, oldest first, and answers; or begins to, if there are more than one command
    /// cancels.
    pub(crate) fn cancel_all(
        &mut self,
        request: &CancelAll,
        origin: Origin,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        if self.is_matching() {
            return events.refuse(origin, Refusal::AuctionMatching);
        }
        if accounts.rules >= Rules::V2 && self.open.count_of(request.account) > accounts.work.cancels as usize {
            return self.begin_canceling(request, origin, accounts, events);
        }
        match self.cancel_open(request.account, request.cancel_id, accounts, events) {
            0 => events.refuse(origin, Refusal::UnknownOrder),
            count => events.answer(origin, || Answer::CanceledAll { symbol: self.market.id, count }),
        }
    }

    /// Cancels all orders of an account, oldest first; how many there were.
    fn cancel_open(
        &mut self,
        account: AccountId,
        cancel_id: ClientOrderId,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> u32 {
        let mut list = std::mem::take(&mut self.cancelling);
        self.open.of_account(account, &mut list);
        let has_lists = !self.lists.is_empty();
        for &(order, handle) in &list {
            // It may have ended with another order of its list.
            if has_lists && self.open.handle_of(order) != Some(handle) {
                continue;
            }
            self.close_open(handle, CloseReason::Canceled { cancel_id }, accounts, events);
        }
        let count = u32::try_from(list.len()).expect("a book holds fewer than 2^32 orders");
        self.cancelling = list;
        self.canceled();
        count
    }

    /// Removes an open order and publishes its end.
    #[inline(always)]
    fn close_open(
        &mut self,
        handle: Handle,
        reason: CloseReason,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> OrderId {
        let Removed { owner, level } = self.open.remove(handle);
        self.close(owner, reason, accounts, events);
        if let Some(Level { side, price, left }) = level {
            self.depth_changed(side, price, left, events);
        }
        owner.order
    }

    /// Ends an order that is in no book any more.
    #[inline]
    fn close(&mut self, owner: Owner, reason: CloseReason, accounts: &mut Accounts<'_>, events: &mut Events) {
        let Owner { order, account, hold, listed, discounted } = owner;
        events.add(|| Event::OrderClosed(OrderClosed { symbol: self.market.id, order, account, reason }));
        self.amendments.forget(order);
        if listed {
            return self.close_listed(owner, reason, accounts, events);
        }
        accounts.release(account, hold);
        if discounted {
            self.release_reserve(order, account, accounts);
        }
    }

    /// Looks up what now rests at a price, and publishes it.
    pub(crate) fn publish_depth(&mut self, side: Side, price: Price, events: &mut Events) {
        let quantity = self.open.depth_at(side, price);
        self.depth_changed(side, price, quantity, events);
    }

    /// Tells what now rests at a price.
    #[inline(always)]
    fn depth_changed(&mut self, side: Side, price: Price, quantity: Quantity, events: &mut Events) {
        self.depth_update += 1;
        let (symbol, update) = (self.market.id, self.depth_update);
        events.add(|| Event::DepthChanged(DepthChanged { symbol, side, price, quantity, update }));
    }

    /// What is wrong with the market's orders; given what each hold of this partition's accounts has left.
    pub(crate) fn audit(&self, held: impl Fn(AccountId, HoldId) -> Option<Amount>, violations: &mut Vec<String>) {
        let symbol = self.market.symbol;
        if let (Some(bid), Some(ask)) = (self.open.best(Side::Buy), self.open.best(Side::Sell))
            && bid >= ask
            && !self.phase().is_auction()
        {
            violations.push(format!("{symbol}: the book is crossed, bid {} and ask {} ticks", bid.0, ask.0));
        }
        for side in [Side::Buy, Side::Sell] {
            for (price, quantity, owner) in self.open.owners(side) {
                let pair = self.lists.of(owner.order).map(|(_, list)| list).filter(|list| list.is_open_pair());
                let needed = match (pair, side) {
                    (Some(list), _) => list.held,
                    (None, Side::Buy) => self.market.quote_amount(price, quantity),
                    (None, Side::Sell) => self.market.base_amount(quantity),
                };
                let held = held(owner.account, owner.hold);
                if let Some(held) = held.filter(|&held| held != needed) {
                    violations.push(format!("{symbol}: order {} needs {} held, {} is", owner.order, needed.0, held.0));
                }
            }
        }
        self.audit_reserves(&held, violations);
        self.audit_lists(held, violations);
    }

    /// Every hold that an open order of this market relies on; one that several orders rely on several times.
    pub(crate) fn holds(&self) -> impl Iterator<Item = (AccountId, HoldId)> {
        let working = [Side::Buy, Side::Sell].into_iter().flat_map(|side| self.open.owners(side));
        let waiting = [true, false].into_iter().flat_map(|rise| self.open.waiting(rise));
        let working = working.map(|(_, _, owner)| (owner.account, owner.hold));
        let of = |waiting: &Waiting| (waiting.order.account, waiting.order.hold);
        let trailing = self.trailing_state().0.into_iter().map(move |trailing| of(&trailing.waiting));
        let waiting = waiting.map(move |(_, _, waiting, _)| of(waiting));
        let reserves = self.reserve_holds().map(|(account, reserve)| (account, reserve.hold));
        working.chain(waiting).chain(trailing).chain(self.list_holds()).chain(reserves)
    }
}

/// Whether an order with that limit trades against a resting price.
#[inline]
fn crosses(side: Side, limit: Price, resting: Price) -> bool {
    match side {
        Side::Buy => limit >= resting,
        Side::Sell => limit <= resting,
    }
}

/// The part of `left` that is a quantity, for a kind of order that has one.
#[inline]
pub(crate) fn base(left: Size) -> Quantity {
    match left {
        Size::Base(quantity) => quantity,
        Size::Quote(_) => Quantity::ZERO,
    }
}
