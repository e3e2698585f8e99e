//! A market's orders in canonical form: in the order in which they trade or trigger.

use crossbook_protocol::import::Minute;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{
    FeeCredit, Market, OrderId, OrderListId, PreventedMatchId, Price, Quantity, Side, TradeGroupId, TradeId,
};

use super::Matcher;
use super::amend::Amended;
use super::deferred::PendingState;
use super::discount::Reserve;
use super::inconsistent::Inconsistent;
use super::open::{Applicant, Iceberg, Order, Special, Trailing, Waiting};
use super::order_lists::OrderList;
use super::session::Session;
use super::trailing::Sight;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MatcherState {
    pub next_order: OrderId,
    pub next_trade: TradeId,
    pub next_prevented: PreventedMatchId,
    pub(crate) last_price: Option<Price>,
    pub depth_update: u64,
    /// Of an iceberg order the quantity is what shows. The last value: the fee credit of an order of which some has
    /// traded.
    pub(crate) working: Vec<(Price, Quantity, Order, Option<FeeCredit>)>,
    pub(crate) waiting: Vec<(Price, Quantity, Waiting)>,
    pub(crate) pending: PendingState,
    /// The orders that were amended, by number.
    pub(crate) amended: Vec<(OrderId, Amended)>,
    /// The rest of the working iceberg orders, in the same order.
    pub(crate) icebergs: Vec<(OrderId, Iceberg)>,
    /// What is special about waiting orders, in the same order.
    pub(crate) specials: Vec<(OrderId, Special)>,
    /// The orders that trail the price: those that buy first, then those that sell, each in the order in which they
    /// began; and those that are about to begin.
    pub(crate) trailing: Vec<Trailing>,
    /// What they are yet to see.
    pub(crate) unseen: Vec<Sight>,
    /// What the market traded in the last minutes, if its filters look at that.
    pub(crate) minutes: Vec<Minute>,
    /// The trade groups of working orders that are in one, in the same order.
    pub(crate) groups: Vec<(OrderId, TradeGroupId)>,
    /// The open order lists.
    pub(crate) lists: Vec<(OrderListId, OrderList)>,
    /// Its session, if that is more than open.
    pub(crate) session: Option<Session>,
    /// What pays the fees of open orders in the asset of the discount, by order.
    pub(crate) reserves: Vec<(OrderId, Reserve)>,
}

impl Matcher {
    pub(crate) fn state(&self) -> MatcherState {
        let sides = [Side::Buy, Side::Sell].into_iter();
        let ways = [true, false].into_iter();
        // There may be millions, so their place is made at once.
        let mut working = Vec::with_capacity(self.open.working_count());
        working.extend(sides.flat_map(|side| self.open.working(side)));
        let (trailing, unseen) = self.trailing_state();
        MatcherState {
            next_order: self.next_order,
            next_trade: self.next_trade,
            next_prevented: self.next_prevented,
            last_price: self.last_price,
            depth_update: self.depth_update,
            working,
            waiting: ways
                .flat_map(|rise| self.open.waiting(rise))
                .map(|(stop, quantity, waiting, _)| (stop, quantity, *waiting))
                .collect(),
            pending: self.pending_state(),
            amended: self.amendments.state(),
            icebergs: [Side::Buy, Side::Sell].into_iter().flat_map(|side| self.open.icebergs(side)).collect(),
            specials: [true, false]
                .into_iter()
                .flat_map(|rise| self.open.waiting(rise))
                .filter(|(.., special)| *special != Special::default())
                .map(|(.., waiting, special)| (waiting.order.id, special))
                .collect(),
            trailing,
            unseen,
            minutes: self.minutes(),
            groups: [Side::Buy, Side::Sell].into_iter().flat_map(|side| self.open.grouped(side)).collect(),
            lists: self.lists.state(),
            session: self.session_state(),
            reserves: self.reserves.state(),
        }
    }

    pub(crate) fn restore(state: MatcherState, market: Market, hash_seed: u64) -> Result<Self, Inconsistent> {
        let mut matcher = Self::new(market, hash_seed);
        matcher.next_order = state.next_order;
        matcher.next_trade = state.next_trade;
        matcher.next_prevented = state.next_prevented;
        matcher.last_price = state.last_price;
        matcher.depth_update = state.depth_update;
        let sane = |price: Price, quantity: Quantity, order: &Order| {
            price <= Price::MAX && !quantity.is_zero() && quantity <= Quantity::MAX && order.id < state.next_order
        };
        let mut icebergs = state.icebergs.into_iter().peekable();
        let mut groups = state.groups.into_iter().peekable();
        for (price, quantity, order, traded) in state.working {
            let applicant = matcher.open.applicant(order.account, order.client_order_id);
            if !sane(price, quantity, &order) || matcher.open.is_full() || matcher.is_taken(&order, applicant) {
                return Err(Inconsistent);
            }
            match icebergs.next_if(|&(id, _)| id == order.id) {
                None => {
                    matcher.open.rest(price, quantity, &order, applicant, traded, false);
                }
                Some((_, iceberg)) if iceberg.is_sound(quantity) => {
                    matcher.open.rest_iceberg(price, quantity, iceberg, &order, applicant, traded);
                }
                Some(_) => return Err(Inconsistent),
            }
            if let Some((_, group)) = groups.next_if(|&(id, _)| id == order.id) {
                matcher.open.put_in_group(order.id, group);
            }
        }
        let mut specials = state.specials.into_iter().peekable();
        for (stop, quantity, waiting) in state.waiting {
            let order = &waiting.order;
            let applicant = matcher.open.applicant(order.account, order.client_order_id);
            if !sane(stop, quantity, order) || matcher.open.is_full() || matcher.is_taken(order, applicant) {
                return Err(Inconsistent);
            }
            let special = specials.next_if(|&(id, _)| id == order.id).map(|(_, special)| special).unwrap_or_default();
            matcher.open.wait(stop, quantity, waiting, special, applicant, false);
        }
        if icebergs.next().is_some() || specials.next().is_some() || groups.next().is_some() {
            return Err(Inconsistent);
        }
        matcher.restore_trailing(state.trailing, state.unseen)?;
        matcher.restore_lists(state.lists)?;
        matcher.restore_amendments(state.amended)?;
        matcher.restore_reserves(state.reserves)?;
        matcher.restore_minutes(state.minutes)?;
        matcher.restore_session(state.session)?;
        matcher.restore_pending(state.pending)?;
        Ok(matcher)
    }

    /// Whether the number or the client's name of an order is that of another.
    pub(super) fn is_taken(&self, order: &Order, applicant: Applicant) -> bool {
        self.open.has(order.id) || self.open.has_named(applicant, order.client_order_id)
    }
}

wire_struct! {
    MatcherState {
        0: next_order, 1: next_trade, 2: next_prevented, 3: last_price, 4: depth_update, 5: working, 6: waiting,
        7: pending;
        optional 8: amended, 9: icebergs, 10: specials, 11: lists, 20: trailing, 21: unseen, 31: groups, 40: minutes,
        51: session, 60: reserves,
    }
}
