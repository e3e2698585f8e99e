//! Pegged orders: they take their price from the book when they enter it, and keep it.

use crossbook_protocol::event::{Event, Events};
use crossbook_protocol::order::{OrderTerms, Size};
use crossbook_protocol::refusal::Refusal;
use crossbook_types::{Amount, Filter, Peg, PegPrice, Price, Quantity, Side, Timestamp};

use super::Matcher;
use super::open::Order;
use crate::outbox::Accounts;

impl Matcher {
    /// The price that the book gives an order of that side now. It looks at [`Peg::LEVEL_MAX`] price levels at most.
    fn peg_price(&self, side: Side, peg: Peg) -> Option<Price> {
        let of = match peg.price {
            PegPrice::Primary => side,
            PegPrice::Market => side.opposite(),
        };
        let level = usize::from(peg.level);
        #[cfg(crossbook_bugs)]
        let level = level + usize::from(crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::PegOneFurther));
        self.open.depth(of).nth(level).map(|(price, _)| price)
    }

    /// The price that the book gives an order now, if the order may have it and can pay for it out of `budget`.
    pub(super) fn checked_peg(
        &self,
        side: Side,
        peg: Peg,
        quantity: Quantity,
        budget: Amount,
        now: Timestamp,
    ) -> Result<Price, Refusal> {
        let price = self.peg_price(side, peg).ok_or(Refusal::ThinForPeg)?;
        if !self.market.allows_price(price) {
            return Err(Refusal::Filter(Filter::Price));
        }
        self.market.check_band(side, price, self.reference_price(now)).map_err(Refusal::Filter)?;
        let worth = self.market.quote_amount(price, quantity);
        self.market.check_notional(worth).map_err(Refusal::Filter)?;
        if side == Side::Buy && worth > budget { Err(Refusal::InsufficientBalance) } else { Ok(price) }
    }

    /// Whether a pegged order that works at once can have its price.
    pub(super) fn check_peg(
        &self,
        asked: &OrderTerms,
        peg: Peg,
        budget: Amount,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Size::Base(quantity) = asked.size else { return Err(Refusal::MalformedOrder) };
        self.checked_peg(asked.side, peg, quantity, budget, now).map(|_| ())
    }

    /// Gives an order that enters the book its price, tells it, and frees what is held beyond that. The price, and what
    /// it can pay; `None` if it cannot have one.
    pub(super) fn peg(
        &self,
        order: &Order,
        peg: Peg,
        quantity: Quantity,
        budget: Amount,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> Option<(Price, Amount)> {
        let price = self.checked_peg(order.side, peg, quantity, budget, accounts.now).ok()?;
        let (symbol, order_id, account) = (self.market.id, order.id, order.account);
        events.push(Event::OrderPegged { symbol, order: order_id, account, price });
        if order.side == Side::Sell {
            return Some((price, budget));
        }
        let needed = self.market.quote_amount(price, quantity);
        accounts.hold_only(order, needed, budget);
        Some((price, needed))
    }
}

impl Accounts<'_> {
    /// Frees what is held for an order beyond what it needs.
    pub(super) fn hold_only(&mut self, order: &Order, needed: Amount, held: Amount) {
        if held > needed {
            self.reduce(order.account, order.hold, held.minus(needed));
        }
    }
}
