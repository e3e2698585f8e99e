//! Matches an order against the book.

use crossbook_book::Slot;
use crossbook_protocol::event::{CloseReason, Event, Events, Party, Trade};
use crossbook_protocol::order::Size;
use crossbook_protocol::peer::Settlement;
use crossbook_protocol::rules::Rules;
use crossbook_types::{
    Amount, FeeCredit, FeeRate, OrderType, Price, Quantity, SelfTradePrevention, Side, TimeInForce, Timestamp,
};

use super::discount::Charges;
use super::open::{Applicant, Filled, Iceberg, Order, Owner, Special, Top};
use super::{Matcher, Traded, base, crosses};
use crate::admission::prevents;
use crate::outbox::Accounts;

/// How many orders of a price level a fill-or-kill order may have to pass before it meets one of its own account, to be
/// filled all the same.
pub(super) const AHEAD_MAX: usize = 1_024;

/// An order that works now.
#[derive(Debug)]
pub(super) struct Taker {
    pub(super) order: Order,
    pub(super) applicant: Applicant,
    /// The worst price it takes; `None`: any.
    pub(super) limit: Option<Price>,
    /// What it still wants.
    pub(super) left: Size,
    /// What it can still pay.
    pub(super) budget: Amount,
    /// What it was charged beyond its exact fee.
    pub(super) credit: FeeCredit,
    pub(super) special: Special,
    /// The most that it may still trade, whatever its quote amount buys.
    pub(super) most: Quantity,
    /// Whether it belongs to an order list.
    pub(super) listed: bool,
}

impl Taker {
    /// Subtracts a trade from what the order still wants, and `spent` from what it can still pay.
    #[inline]
    pub(super) fn take(&mut self, quantity: Quantity, quote: Amount, spent: Amount) {
        self.left = match self.left {
            Size::Base(left) => Size::Base(left.minus(quantity)),
            Size::Quote(left) => {
                self.most = self.most.minus(quantity);
                Size::Quote(left.minus(quote))
            }
        };
        self.budget = self.budget.minus(spent);
        assert!(!self.budget.is_negative(), "an order spends no more than is held for it");
    }
}

/// Why a taker stops taking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// It is filled, or the rest of its quote amount buys no lot.
    Satisfied,
    /// Nothing more in the book at its price.
    NoneLeft,
    /// What it can pay is used up.
    Unaffordable,
    /// It has traded as much as a market order may.
    Largest,
    /// It met another order of its account, and self-trade prevention has taken what was left of it.
    Prevented,
    /// The next order that it would trade with is at a price that this does not allow.
    OutOf(Bound),
}

/// What bounds the prices at which an order may trade, besides its limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bound {
    /// The circuit breaker: the market pauses.
    Band,
    /// The execution rule: the order ends.
    Range,
}

/// What keeps an order from taking all that is within its limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// It trades up to this price; `None`: at any. If that is not its limit, it is this that keeps it back.
    UpTo(Option<Price>, Bound),
    /// The first order that it would trade with is out of this.
    Nothing(Bound),
    /// It is collected for an auction, and comes to rest.
    Collected,
}

impl Matcher {
    /// [`Matcher::execute`] out of line, for orders that a client did not place just now.
    #[inline(never)]
    pub(super) fn execute_later(
        &mut self,
        taker: Taker,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> Option<Traded> {
        self.execute(taker, accounts, events)
    }

    /// Matches an order; its rest becomes a resting order, if it is of that kind, or expires. Returns the prices at
    /// which it traded.
    // Inlined where a new order is placed, which is most of what a venue does: a call would write the taker to memory.
    #[inline(always)]
    pub(super) fn execute(
        &mut self,
        mut taker: Taker,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> Option<Traded> {
        let mut traded = None;
        let fill_or_kill = taker.order.time_in_force == TimeInForce::Fok;
        let reach = match self.session.is_some() {
            true => self.reach(&taker, accounts),
            false => Reach::UpTo(taker.limit, Bound::Band),
        };
        let mut stop = match reach {
            Reach::UpTo(reach, _) if !fill_or_kill || self.may_fill(&taker, reach, accounts) => {
                self.take(&mut taker, reach, &mut traded, accounts, events)
            }
            _ => Stop::NoneLeft,
        };
        if self.session.is_some() {
            stop = self.stopped(stop, &taker, reach, traded, accounts);
        }
        let Taker { ref order, applicant, limit, left, credit, special, listed, .. } = taker;
        let may_rest = order.time_in_force == TimeInForce::Gtc
            && matches!(
                order.order_type,
                OrderType::Limit | OrderType::LimitMaker | OrderType::StopLossLimit | OrderType::TakeProfitLimit
            );
        let reason = match (stop, limit) {
            (Stop::NoneLeft, Some(limit)) if may_rest => {
                let side = order.side;
                let (left, credit) = (base(left), traded.map(|_| credit));
                let there = match special.iceberg {
                    None => self.open.rest(limit, left, order, applicant, credit, listed),
                    Some(part) => {
                        let shown = part.min(left);
                        let iceberg = Iceberg { part, reserve: left.minus(shown) };
                        let there = self.open.rest_iceberg(limit, shown, iceberg, order, applicant, credit);
                        if listed && let Some(handle) = self.open.handle_of(order.id) {
                            self.open.mark_listed(handle);
                        }
                        there
                    }
                };
                if let Some(group) = special.group {
                    self.open.put_in_group(order.id, group);
                }
                if special.discounted {
                    self.rest_discounted(order.id, order.account, (limit, left), accounts);
                }
                self.depth_changed(side, limit, there, events);
                return traded;
            }
            (Stop::Satisfied, _) if traded.is_some() => CloseReason::Filled,
            (Stop::Prevented, _) => CloseReason::SelfTradePrevented,
            (Stop::Unaffordable, _) if (order.order_type.is_conditional() && accounts.rules >= Rules::V2) || listed => {
                CloseReason::Unaffordable
            }
            (Stop::OutOf(Bound::Band), _) => CloseReason::ByVenue,
            (Stop::OutOf(Bound::Range), _) => CloseReason::OutOfRange,
            _ => CloseReason::Expired,
        };
        let (account, hold, discounted) = (order.account, order.hold, special.discounted);
        let owner = Owner { order: order.id, account, hold, listed, discounted };
        self.close(owner, reason, accounts, events);
        if stop == Stop::OutOf(Bound::Band) {
            self.trip(accounts, events);
        }
        traded
    }

    /// Takes from the other side, at prices within `reach`, until there is a reason to stop.
    #[inline(always)]
    fn take(
        &mut self,
        taker: &mut Taker,
        reach: Option<Price>,
        traded: &mut Option<Traded>,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> Stop {
        let opposite = taker.order.side.opposite();
        // The last level that the taker traded at and its remaining quantity, which is still to be published.
        let mut level: Option<(Price, Quantity)> = None;
        // What showed at that level before, where an iceberg order may show as much again.
        let mut before: Option<Quantity> = None;
        let stop = loop {
            if matches!(taker.left, Size::Base(Quantity::ZERO) | Size::Quote(Amount::ZERO)) {
                break Stop::Satisfied;
            }
            let Some(top) = self.open.top(opposite) else {
                break if self.is_small_change(taker.left, *traded) { Stop::Satisfied } else { Stop::NoneLeft };
            };
            let price = top.price;
            if reach.is_some_and(|limit| !crosses(taker.order.side, limit, price)) {
                break Stop::NoneLeft;
            }
            if let Some((at, left)) = level.take_if(|&mut (at, _)| at != price)
                && before != Some(left)
            {
                self.depth_changed(opposite, at, left, events);
            }
            if level.is_none() {
                before = self.open.shown_before(top.slot);
            }
            let wanted = match taker.left {
                Size::Base(quantity) => quantity,
                Size::Quote(amount) => self.market.affordable(price, amount),
            };
            // An order that buys no further lot would not have traded. The first rules did not see that.
            if wanted.is_zero() && accounts.rules >= Rules::V2 {
                break Stop::Satisfied;
            }
            if taker.most.is_zero() {
                break Stop::Largest;
            }
            let wanted = wanted.min(taker.most);
            let mode = taker.order.self_trade_prevention;
            let same_owner = top.owner.account == taker.order.account || self.is_of_group(taker.special.group, &top);
            if prevents(mode, same_owner) {
                match self.prevent(taker, wanted, &top, &mut level, accounts, events) {
                    Some(stop) => break stop,
                    None => continue,
                }
            }
            if wanted.is_zero() {
                break Stop::Satisfied;
            }
            let affordable = self.affordable(taker, price);
            if affordable.is_zero() {
                break Stop::Unaffordable;
            }
            let quantity = wanted.min(affordable).min(top.quantity);
            *traded = Some(Traded::with(*traded, price));
            level = Some((price, self.trade(taker, &top, quantity, accounts, events)));
        };
        if let Some((price, left)) = level
            && before != Some(left)
        {
            self.depth_changed(opposite, price, left, events);
        }
        stop
    }

    /// Whether the rest of a quote amount, after it traded until the book was empty, is worth less than a lot. (While
    /// the book is not empty, its next price decides that.)
    fn is_small_change(&self, left: Size, traded: Option<Traded>) -> bool {
        match (left, traded.and(self.last_price)) {
            (Size::Quote(amount), Some(last)) => self.market.affordable(last, amount).is_zero(),
            _ => false,
        }
    }

    /// How many lots a taker can pay at a price. An order whose full cost is held can pay all it wants.
    #[inline]
    pub(super) fn affordable(&self, taker: &Taker, price: Price) -> Quantity {
        match (taker.order.side, taker.limit, taker.left) {
            (_, Some(_), _) | (Side::Sell, None, Size::Base(_)) => Quantity::MAX,
            (Side::Buy, None, _) => self.market.affordable(price, taker.budget),
            (Side::Sell, None, Size::Quote(_)) => self.market.lots_in(taker.budget),
        }
    }

    /// One trade: publishes it, and settles both accounts. Returns the remaining quantity at its price.
    #[inline]
    fn trade(
        &mut self,
        taker: &mut Taker,
        top: &Top,
        quantity: Quantity,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> Quantity {
        let (market, price) = (&self.market, top.price);
        let (quote, amount) = (market.quote_amount(price, quantity), market.base_amount(quantity));
        let (taker_pays, taker_gets) = match taker.order.side {
            Side::Buy => (quote, amount),
            Side::Sell => (amount, quote),
        };
        // What was held for a buy with a limit was held at the limit.
        let improvement = match (taker.order.side, taker.limit) {
            (Side::Buy, Some(limit)) => market.quote_amount(limit, quantity).minus(quote),
            _ => Amount::ZERO,
        };
        let charges = self.charges(accounts.rules, taker, top, quote, [taker_gets, taker_pays]);
        taker.credit = charges.taker_credit;
        taker.take(quantity, quote, taker_pays.plus(improvement));
        let (maker, market) = (top.owner, &self.market);
        let trade = self.next_trade;
        events.add(|| {
            Event::Traded(Trade {
                symbol: market.id,
                trade,
                price,
                quantity,
                quote,
                taker_side: taker.order.side,
                taker: Party { order: taker.order.id, account: taker.order.account, fee: charges.taker },
                maker: Party { order: maker.order, account: maker.account, fee: charges.maker },
                discount: charges.discount,
            })
        });
        self.traded_at(price, quantity, accounts.now);
        let market = &self.market;
        let (pays, gets) = (market.pays(taker.order.side), market.receives(taker.order.side));
        let [taker_fee, maker_fee] = charges.of_received();
        let of_taker = Settlement {
            account: taker.order.account,
            hold: taker.order.hold,
            symbol: market.id,
            pay_asset: pays,
            pay: taker_pays,
            improvement,
            receive_asset: gets,
            receive: taker_gets,
            fee: taker_fee,
            transfer: false,
        };
        let of_maker = Settlement {
            account: maker.account,
            hold: maker.hold,
            symbol: market.id,
            pay_asset: gets,
            pay: taker_gets,
            improvement: Amount::ZERO,
            receive_asset: pays,
            receive: taker_pays,
            fee: maker_fee,
            transfer: false,
        };
        self.settle_sides(taker, maker, [&of_taker, &of_maker], &charges, accounts);
        let Filled { gone, left } = self.open.fill(top.slot, quantity, charges.maker_credit);
        if gone {
            self.close(maker, CloseReason::Filled, accounts, events);
        } else if maker.listed && !top.traded {
            self.leg_runs(maker.order, accounts, events);
        }
        left
    }

    /// What both sides of a trade are charged, of which each receives that much.
    #[inline]
    fn charges(
        &mut self,
        rules: Rules,
        taker: &Taker,
        top: &Top,
        quote: Amount,
        [taker_gets, maker_gets]: [Amount; 2],
    ) -> Charges {
        let (of_taker, taker_credit) = charge(rules, taker.order.fees.taker, taker_gets, taker.credit);
        let before = if top.traded { self.open.fee_credit(top.slot) } else { FeeCredit::NONE };
        let (of_maker, maker_credit) = charge(rules, top.fees.maker, maker_gets, before);
        let mut charges = Charges { taker: of_taker, taker_credit, maker: of_maker, maker_credit, discount: None };
        if taker.special.discounted || top.owner.discounted {
            let of = |discounted: bool, order| discounted.then_some(order);
            let sides = [of(taker.special.discounted, taker.order.id), of(top.owner.discounted, top.owner.order)];
            self.charge_discounted(sides, quote, [taker.credit, before], &mut charges);
        }
        charges
    }

    /// Moves the money of both sides of a trade.
    #[inline]
    fn settle_sides(
        &mut self,
        taker: &Taker,
        maker: Owner,
        [of_taker, of_maker]: [&Settlement; 2],
        charges: &Charges,
        accounts: &mut Accounts<'_>,
    ) {
        self.lists.settle(taker.listed.then_some(taker.order.id), of_taker, accounts);
        if let Some(fee) = charges.elsewhere(true) {
            self.pay_discounted(taker.order.id, taker.order.account, fee, accounts);
        }
        self.lists.settle(maker.listed.then_some(maker.order), of_maker, accounts);
        if let Some(fee) = charges.elsewhere(false) {
            self.pay_discounted(maker.order, maker.account, fee, accounts);
        }
    }

    /// Counts a trade, and notes its price.
    #[inline]
    pub(super) fn traded_at(&mut self, price: Price, quantity: Quantity, now: Timestamp) {
        self.next_trade = self.next_trade.next();
        self.steps = self.steps.saturating_add(1);
        self.last_price = Some(price);
        if self.averages.is_some() {
            self.count_for_average(now, price, quantity);
        }
    }

    /// Whether a fill-or-kill order would be filled whole. What it walks to find that out counts as steps of the
    /// command.
    fn may_fill(&mut self, taker: &Taker, reach: Option<Price>, accounts: &Accounts<'_>) -> bool {
        if accounts.rules < Rules::V2 {
            return self.can_fill_by_orders(taker);
        }
        let mut looks = 0;
        let can_fill = self.can_fill(taker, reach, &mut looks);
        self.steps = self.steps.saturating_add(looks / accounts.work.looks_per_step);
        can_fill
    }

    /// Whether an order would be filled whole. It walks the price levels within `reach`, not the orders there; where
    /// it must not meet those of its own account, it walks these, and of the level with the first of them the orders
    /// before it, at most [`AHEAD_MAX`]: an order that would have to pass more of them is not filled. `looks` counts
    /// the levels and orders that it walked: of its own account all that are open in this market, and of its trade
    /// group all that rest in it.
    fn can_fill(&self, taker: &Taker, reach: Option<Price>, looks: &mut u32) -> bool {
        let wanted = base(taker.left);
        let (side, account, group) = (taker.order.side.opposite(), taker.order.account, taker.special.group);
        let within = |price| reach.is_none_or(|limit| crosses(taker.order.side, limit, price));
        let own = || self.open.own(account, group, side).filter(|&(price, _)| within(price));
        let mode = taker.order.self_trade_prevention;
        if mode != SelfTradePrevention::None {
            let count = self.open.count_of_owner(account, group);
            *looks = u32::try_from(count).expect("a book holds fewer than 2^32 orders");
        }
        match mode {
            SelfTradePrevention::None => self.rests(side, within, wanted, looks),
            // Its own orders make way.
            SelfTradePrevention::ExpireMaker => {
                let own = own().fold(Quantity::ZERO, |sum, (_, quantity)| sum.plus(quantity));
                self.rests(side, within, wanted.plus(own), looks)
            }
            // Of what it meets of its own nothing fills it.
            SelfTradePrevention::ExpireTaker
            | SelfTradePrevention::ExpireBoth
            | SelfTradePrevention::Decrement
            | SelfTradePrevention::Transfer => {
                let prices = own().map(|(price, _)| price);
                let first = match side {
                    Side::Sell => prices.min(),
                    Side::Buy => prices.max(),
                };
                let Some(first) = first else { return self.rests(side, within, wanted, looks) };
                let mut left = wanted;
                for (_, quantity) in self.open.liquidity(side).take_while(|&(price, _)| price != first) {
                    *looks += 1;
                    left = left.minus(quantity.min(left));
                    if left.is_zero() {
                        return true;
                    }
                }
                if self.open.depth_at(side, first) < left {
                    return false;
                }
                let is_others = |&(_, slot): &(Quantity, Slot)| !self.open.is_own(slot, account, group);
                let ahead = self.open.slots_at(side, first).take(AHEAD_MAX).take_while(is_others);
                for (quantity, _) in ahead {
                    *looks += 1;
                    left = left.minus(quantity.min(left));
                    if left.is_zero() {
                        return true;
                    }
                }
                false
            }
        }
    }

    /// Whether so much rests on a side at prices that are within a limit; `looks` counts the levels walked.
    fn rests(&self, side: Side, within: impl Fn(Price) -> bool, wanted: Quantity, looks: &mut u32) -> bool {
        let mut left = wanted;
        for (_, quantity) in self.open.liquidity(side).take_while(|&(price, _)| within(price)) {
            *looks += 1;
            left = left.minus(quantity.min(left));
            if left.is_zero() {
                return true;
            }
        }
        false
    }

    /// The same as version 1 of the rules has it, order by order.
    fn can_fill_by_orders(&self, taker: &Taker) -> bool {
        let wanted = base(taker.left);
        let within = |price| taker.limit.is_none_or(|limit| crosses(taker.order.side, limit, price));
        let opposite = taker.order.side.opposite();
        let mut found = Quantity::ZERO;
        if taker.order.self_trade_prevention == SelfTradePrevention::None {
            for (_, quantity) in self.open.depth(opposite).take_while(|&(price, _)| within(price)) {
                found = found.plus(quantity.min(wanted));
                if found >= wanted {
                    return true;
                }
            }
            return false;
        }
        for (_, quantity, maker) in self.open.owners(opposite).take_while(|&(price, ..)| within(price)) {
            if maker.account == taker.order.account {
                match taker.order.self_trade_prevention {
                    SelfTradePrevention::ExpireMaker => continue,
                    _ => return false,
                }
            }
            found = found.plus(quantity.min(wanted));
            if found >= wanted {
                return true;
            }
        }
        false
    }
}

/// The fee on what an order receives in a trade, and its credit afterwards. Under the first rules each trade's fee was
/// rounded up by itself.
#[inline]
pub(super) fn charge(rules: Rules, rate: FeeRate, receives: Amount, credit: FeeCredit) -> (Amount, FeeCredit) {
    if rules >= Rules::V2 { rate.charge(receives, credit) } else { (rate.fee_on(receives), credit) }
}
