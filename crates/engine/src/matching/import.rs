//! Imports a market with its open orders.

use crossbook_protocol::event::{LastTrade, MarketImported, OrderPlaced};
use crossbook_protocol::import::Placed;
use crossbook_protocol::order::{OrderTerms, Size};
use crossbook_protocol::rules::Rules;
use crossbook_types::{OrderId, Price, Quantity, Side, TradeId};

use super::Inconsistent;
use super::Matcher;
use super::open::{ANY_PRICE, Applicant, Iceberg, Order, Special, Trailing, Waiting};
use crate::limits::NUMBERS_END;

/// The number of the trade after the last one.
pub(crate) fn next_trade(last: Option<&LastTrade>) -> TradeId {
    last.map_or(TradeId(1), |last| last.trade.next())
}

impl Matcher {
    /// Continues the counters of the imported market. False if anything has happened here already; nothing changes
    /// then.
    pub(crate) fn move_in(&mut self, market: &MarketImported, rules: Rules) -> bool {
        let untouched = self.next_order == OrderId(1) && self.next_trade == TradeId(1) && self.depth_update == 0;
        let sane = market.next_order >= OrderId(1)
            && market.last.is_none_or(|last| last.price <= Price::MAX && last.trade.0 < u64::MAX);
        // Each aggregate trade is one trade or several.
        let numbers = market.next_order.0 | market.next_prevented.number() | market.depth_update;
        let counted = numbers | next_trade(market.last.as_ref()).0 < NUMBERS_END
            && market.aggregate_trades <= market.last.map_or(0, |last| last.trade.0);
        if !untouched || !sane || (rules >= Rules::V2 && !counted) {
            return false;
        }
        self.next_order = market.next_order;
        self.next_trade = next_trade(market.last.as_ref());
        self.last_price = market.last.map(|last| last.price);
        self.depth_update = market.depth_update;
        self.next_prevented = market.next_prevented;
        true
    }

    /// Takes an open order in, behind those that are here already, and gives where it rests; nowhere, if it waits for
    /// its stop price.
    ///
    /// # Errors
    /// When there cannot be such an order; it is not taken then.
    pub(crate) fn move_order_in(&mut self, moved: &Placed) -> Result<Option<(Side, Price)>, Inconsistent> {
        let &OrderPlaced { order: id, account, terms: ref asked } = &moved.order.placed;
        let &OrderTerms { side, stop_price, order_type, .. } = asked;
        let price = if asked.peg().is_some() { moved.order.pegged } else { asked.price };
        let order = Order {
            id,
            account,
            hold: moved.hold,
            client_order_id: asked.client_order_id,
            fees: moved.fees,
            side,
            order_type,
            time_in_force: asked.time_in_force,
            self_trade_prevention: asked.self_trade_prevention,
        };
        let left = moved.order.left().filter(|left| !left.is_zero() && *left <= Quantity::MAX).ok_or(Inconsistent)?;
        let waits = moved.order.working_since.is_none();
        let special = Special { discounted: moved.reserve.is_some(), ..Special::of(asked.instructions.as_deref()) };
        let anywhere = special.trailing.map(|_| ANY_PRICE);
        let at = if waits { stop_price.get().or(anywhere).filter(|_| order_type.is_conditional()) } else { price };
        let at = at.filter(|&at| at <= Price::MAX).ok_or(Inconsistent)?;
        let applicant = self.open.applicant(order.account, order.client_order_id);
        if order.id >= self.next_order || self.open.is_full() || self.is_taken(&order, applicant) {
            return Err(Inconsistent);
        }
        if let Some((hold, reserve)) = moved.reserve {
            self.move_reserve_in(order.id, hold, reserve)?;
        }
        if let Size::Base(quantity) = asked.size {
            self.move_amended_in(order.id, moved.order.amendments, quantity);
        }
        if waits {
            let waiting = Waiting { order, limit: price, budget: moved.budget };
            if moved.order.extreme.is_some() {
                let trailing = Trailing { quantity: left, waiting, special, extreme: moved.order.extreme };
                return self.restore_trailing_one(trailing).map(|()| None);
            }
            self.open.wait(at, left, waiting, special, applicant, false);
            return Ok(None);
        }
        self.rest_as_it_stood(moved, at, left, &order, applicant)?;
        if let Some(group) = special.group {
            self.open.put_in_group(order.id, group);
        }
        if special.discounted {
            self.open.mark_discounted(order.id);
        }
        Ok(Some((side, at)))
    }

    fn rest_as_it_stood(
        &mut self,
        moved: &Placed,
        at: Price,
        left: Quantity,
        order: &Order,
        applicant: Applicant,
    ) -> Result<(), Inconsistent> {
        let credit = (!moved.order.executed.is_zero()).then_some(moved.fee_credit);
        match moved.order.placed.terms.iceberg() {
            None => {
                self.open.rest(at, left, order, applicant, credit, false);
            }
            Some(part) => {
                let shown = moved.order.shown.unwrap_or(part.min(left));
                let reserve = left.0.checked_sub(shown.0).map(Quantity).ok_or(Inconsistent)?;
                let iceberg = Iceberg { part, reserve };
                if shown.is_zero() || !iceberg.is_sound(shown) {
                    return Err(Inconsistent);
                }
                self.open.rest_iceberg(at, shown, iceberg, order, applicant, credit);
            }
        }
        Ok(())
    }
}
