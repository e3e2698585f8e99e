//! Self-trade prevention: what happens when an order meets another one that it must not trade with.

use crossbook_protocol::event::{CloseReason, Event, Events, PreventedMatch};
use crossbook_protocol::peer::Settlement;
use crossbook_protocol::rules::Rules;
use crossbook_types::{Amount, Price, Quantity, SelfTradePrevention, Side, TradeGroupId};

use super::Matcher;
use super::handle::Handle;
use super::open::{Filled, Removed, Top};
use super::taker::{Stop, Taker};
use crate::admission::exact_need;
use crate::outbox::Accounts;

impl Matcher {
    /// Whether the next resting order is of that trade group, if it is one.
    #[inline]
    pub(super) fn is_of_group(&self, group: Option<TradeGroupId>, top: &Top) -> bool {
        group.is_some() && self.open.group_at(top.slot) == group
    }

    /// Keeps a taker, with that much left, from trading with the next resting order: by its mode either ends, or both
    /// are decremented. Why the taker stops then, if it does. `level` is where the depth has changed, if it has.
    #[cold]
    pub(super) fn prevent(
        &mut self,
        taker: &mut Taker,
        wanted: Quantity,
        top: &Top,
        level: &mut Option<(Price, Quantity)>,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> Option<Stop> {
        let mode = taker.order.self_trade_prevention;
        if mode.decrements() {
            let Some((left, is_done)) = self.decrement(taker, wanted, top, accounts, events) else {
                return Some(Stop::Unaffordable);
            };
            *level = Some((top.price, left));
            return is_done.then_some(Stop::Prevented);
        }
        if accounts.rules >= Rules::V2 {
            self.publish_prevented(taker, wanted, top, events);
        }
        if mode.expires_maker() {
            let Removed { owner, level: at } = self.open.remove(Handle::working(top.slot));
            *level = at.map(|at| (at.price, at.left));
            self.steps = self.steps.saturating_add(1);
            self.close(owner, CloseReason::SelfTradePrevented, accounts, events);
        }
        mode.expires_taker().then_some(Stop::Prevented)
    }

    /// Publishes that a taker, with that much left, does not trade with the next resting order, and that it ends or the
    /// other does.
    fn publish_prevented(&mut self, taker: &Taker, wanted: Quantity, top: &Top, events: &mut Events) {
        let mode = taker.order.self_trade_prevention;
        let rest = top.quantity.plus(self.open.reserve(top.slot));
        let taker_prevented = if mode.expires_taker() { wanted } else { Quantity::ZERO };
        let maker_prevented = if mode.expires_maker() { rest } else { Quantity::ZERO };
        let quantity = wanted.min(top.quantity);
        self.publish_match(taker, top, mode, quantity, [taker_prevented, maker_prevented], events);
    }

    fn publish_match(
        &mut self,
        taker: &Taker,
        top: &Top,
        mode: SelfTradePrevention,
        quantity: Quantity,
        [taker_prevented, maker_prevented]: [Quantity; 2],
        events: &mut Events,
    ) {
        let (order, price) = (&taker.order, top.price);
        let id = self.next_prevented;
        self.next_prevented = id.next();
        events.push(Event::MatchPrevented(PreventedMatch {
            symbol: self.market.id,
            id,
            account: order.account,
            taker_side: order.side,
            taker: order.id,
            maker: top.owner.order,
            mode,
            price,
            quantity,
            quote: self.market.quote_amount(price, quantity),
            taker_prevented,
            maker_prevented,
            counterparty: Some(top.owner.account).filter(|&maker| maker != order.account),
            group: taker.special.group,
        }));
    }

    /// Takes what a taker and the next resting order would have traded from both. What was held for that is free, or,
    /// if both want it so and are of two accounts, changes hands. What shows at that price then, and whether nothing is
    /// left of what the taker wanted at it, so that it ends; `None` if it cannot pay for a lot of what is to change
    /// hands.
    fn decrement(
        &mut self,
        taker: &mut Taker,
        wanted: Quantity,
        top: &Top,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> Option<(Quantity, bool)> {
        let maker = top.owner;
        let mut mode = taker.order.self_trade_prevention;
        if mode == SelfTradePrevention::Transfer && self.open.mode_at(top.slot) != SelfTradePrevention::Transfer {
            mode = SelfTradePrevention::Decrement;
        }
        let transfers = mode == SelfTradePrevention::Transfer && maker.account != taker.order.account;
        let payable = if transfers { self.affordable(taker, top.price) } else { Quantity::MAX };
        let quantity = wanted.min(top.quantity).min(payable);
        if quantity.is_zero() {
            return None;
        }
        self.publish_match(taker, top, mode, quantity, [quantity; 2], events);
        self.steps = self.steps.saturating_add(1);
        if transfers {
            self.transfer(taker, quantity, top, accounts);
        } else {
            self.free_of_taker(taker, quantity, top, accounts);
        }
        let rest = top.quantity.plus(self.open.reserve(top.slot)).minus(quantity);
        let Filled { gone, left } = self.open.decrement(top.slot, quantity);
        if gone {
            self.close(maker, CloseReason::SelfTradePrevented, accounts, events);
        } else {
            // Of a pair it goes on alone, as if it had traded.
            if maker.listed {
                self.leg_runs(maker.order, accounts, events);
            }
            if !transfers {
                let side = taker.order.side.opposite();
                let freed = exact_need(&self.market, side, Some(top.price), None, quantity).unwrap_or_default();
                accounts.reduce_prevented(maker.account, maker.hold, freed);
            }
            if maker.discounted {
                self.rest_goes_on(maker.order, maker.account, (top.price, rest), accounts);
            }
        }
        Some((left, quantity == wanted))
    }

    /// Takes what it would have traded from a taker. What was held for that is free at once if the order has a limit
    /// price, for then it may rest, and holds just what its rest needs. Any other ends within the command, and what is
    /// left of its hold is free then.
    fn free_of_taker(&self, taker: &mut Taker, quantity: Quantity, top: &Top, accounts: &mut Accounts<'_>) {
        let order = taker.order;
        let freed = match (order.side, taker.limit) {
            (_, None) => None,
            (side, limit) => exact_need(&self.market, side, limit, None, quantity),
        };
        taker.take(quantity, self.market.quote_amount(top.price, quantity), freed.unwrap_or_default());
        if let Some(freed) = freed {
            accounts.reduce(order.account, order.hold, freed);
        }
    }

    /// Moves the money between two accounts of a trade group as a trade would, without fees.
    fn transfer(&mut self, taker: &mut Taker, quantity: Quantity, top: &Top, accounts: &mut Accounts<'_>) {
        let market = &self.market;
        let (side, maker) = (taker.order.side, top.owner);
        let (quote, amount) = (market.quote_amount(top.price, quantity), market.base_amount(quantity));
        let (pays, gets) = match side {
            Side::Buy => (quote, amount),
            Side::Sell => (amount, quote),
        };
        // What was held for a buy with a limit was held at the limit.
        let improvement = match (side, taker.limit) {
            (Side::Buy, Some(limit)) => market.quote_amount(limit, quantity).minus(quote),
            _ => Amount::ZERO,
        };
        taker.take(quantity, quote, pays.plus(improvement));
        let of_taker = Settlement {
            account: taker.order.account,
            hold: taker.order.hold,
            symbol: market.id,
            pay_asset: market.pays(side),
            pay: pays,
            improvement,
            receive_asset: market.receives(side),
            receive: gets,
            fee: Amount::ZERO,
            transfer: true,
        };
        self.lists.settle(taker.listed.then_some(taker.order.id), &of_taker, accounts);
        let of_maker = Settlement {
            account: maker.account,
            hold: maker.hold,
            pay_asset: of_taker.receive_asset,
            pay: gets,
            improvement: Amount::ZERO,
            receive_asset: of_taker.pay_asset,
            receive: pays,
            ..of_taker
        };
        match maker.listed {
            true => self.lists.settle(Some(maker.order), &of_maker, accounts),
            false => accounts.settle_transfer(&of_maker),
        }
    }
}
