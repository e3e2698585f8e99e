//! Self-trade prevention: what happens when an order meets another one that it must not trade with.

use crossbook_protocol::event::{CloseReason, Event, Events, PreventedMatch};
use crossbook_protocol::rules::Rules;
use crossbook_types::{Price, Quantity};

use super::Matcher;
use super::handle::Handle;
use super::open::{Filled, Order, Removed, Top};
use super::taker::{Stop, Taker};
use crate::admission::exact_need;
use crate::outbox::Accounts;

impl Matcher {
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
        if accounts.rules >= Rules::V2 {
            self.publish_prevented(&taker.order, wanted, top, events);
        }
        if mode.decrements() {
            let (left, is_done) = self.decrement(taker, wanted, top, accounts, events);
            *level = Some((top.price, left));
            return is_done.then_some(Stop::Prevented);
        }
        if mode.expires_maker() {
            let Removed { owner, level: at } = self.open.remove(Handle::working(top.slot));
            *level = at.map(|at| (at.price, at.left));
            self.steps = self.steps.saturating_add(1);
            self.close(owner, CloseReason::SelfTradePrevented, accounts, events);
        }
        mode.expires_taker().then_some(Stop::Prevented)
    }

    /// Publishes that a taker, with that much left, does not trade with the next resting order.
    fn publish_prevented(&mut self, order: &Order, wanted: Quantity, top: &Top, events: &mut Events) {
        let price = top.price;
        let quantity = wanted.min(top.quantity);
        let rest = top.quantity.plus(self.open.reserve(top.slot));
        let mode = order.self_trade_prevention;
        let lost = |expires: bool, all: Quantity| match mode.decrements() {
            true => quantity,
            false if expires => all,
            false => Quantity::ZERO,
        };
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
            taker_prevented: lost(mode.expires_taker(), wanted),
            maker_prevented: lost(mode.expires_maker(), rest),
        }));
    }

    /// Takes what a taker and the next resting order would have traded from both, and frees what was held for it. What
    /// shows at that price then, and whether nothing is left of what the taker wanted at it, so that it ends.
    fn decrement(
        &mut self,
        taker: &mut Taker,
        wanted: Quantity,
        top: &Top,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> (Quantity, bool) {
        let (price, quantity) = (top.price, wanted.min(top.quantity));
        let is_done = quantity == wanted;
        self.steps = self.steps.saturating_add(1);
        self.decrement_taker(taker, quantity, top, accounts);
        let maker = top.owner;
        let Filled { gone, left } = self.open.decrement(top.slot, quantity);
        if gone {
            self.close(maker, CloseReason::SelfTradePrevented, accounts, events);
        } else {
            // Of a pair it goes on alone, as if it had traded.
            if maker.listed {
                self.leg_runs(maker.order, accounts, events);
            }
            let freed = exact_need(&self.market, taker.order.side.opposite(), Some(price), None, quantity);
            accounts.reduce_prevented(maker.account, maker.hold, freed.unwrap_or_default());
        }
        (left, is_done)
    }

    /// Takes what it would have traded from a taker. What was held for that is free at once if the order has a limit
    /// price, for then it may rest, and holds just what its rest needs. Any other ends within the command, and what is
    /// left of its hold is free then.
    fn decrement_taker(&self, taker: &mut Taker, quantity: Quantity, top: &Top, accounts: &mut Accounts<'_>) {
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
}
