//! Iceberg orders: only a part of them is in the book, and the rest is here.
//!
//! The book knows what shows, so depth, priority and trades need nothing from here. When what shows has traded, the
//! order goes to the end of its queue with the next part. What is hidden at each price is summed up for those who ask
//! how much there is to be had: fill-or-kill orders, and market orders that must be able to pay.

use std::collections::BTreeMap;

use crossbook_book::Slot;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{FeeCredit, OrderId, Price, Quantity, Side};

use super::marks::Marks;
use super::{Applicant, BySlot, Filled, OpenOrders, Order};

/// The iceberg orders of a market.
#[derive(Clone, Debug, Default)]
pub(super) struct Icebergs {
    /// Those that work, by slot.
    parts: BySlot<Iceberg>,
    /// What is hidden at a price. No entry is zero.
    hidden: BTreeMap<(Side, Price), Quantity>,
    /// How many are open of each trader who has some.
    counts: BTreeMap<u32, u32>,
}

/// What a working iceberg order has besides what shows of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Iceberg {
    /// How much of it shows at a time, at most.
    pub(crate) part: Quantity,
    /// How much is hidden.
    pub(crate) reserve: Quantity,
}

impl Iceberg {
    /// Whether an order of which so much shows can have it.
    pub(crate) fn is_sound(self, shown: Quantity) -> bool {
        let all = shown.0.checked_add(self.reserve.0);
        shown <= self.part && all.is_some_and(|all| all <= Quantity::MAX.0)
    }
}

impl Icebergs {
    fn hide(&mut self, side: Side, price: Price, quantity: Quantity) {
        if !quantity.is_zero() {
            let hidden = self.hidden.entry((side, price)).or_default();
            *hidden = hidden.plus(quantity);
        }
    }

    fn unhide(&mut self, side: Side, price: Price, quantity: Quantity) {
        if quantity.is_zero() {
            return;
        }
        let hidden = self.hidden.get_mut(&(side, price)).expect("what is hidden is counted");
        *hidden = hidden.minus(quantity);
        if hidden.is_zero() {
            self.hidden.remove(&(side, price));
        }
    }

    /// Counts one more of a trader.
    pub(super) fn count(&mut self, trader: u32) {
        *self.counts.entry(trader).or_default() += 1;
    }

    /// Counts one less of a trader.
    #[cold]
    pub(super) fn discount(&mut self, trader: u32) {
        let count = self.counts.get_mut(&trader).expect("an open iceberg order is counted");
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&trader);
        }
    }
}

impl OpenOrders {
    /// How many iceberg orders an applicant has open.
    pub(crate) fn icebergs_of(&self, applicant: Applicant) -> u32 {
        applicant.trader.and_then(|trader| self.icebergs.counts.get(&trader)).copied().unwrap_or(0)
    }

    /// Whether something is hidden anywhere.
    #[inline]
    fn hides_any(&self) -> bool {
        !self.icebergs.hidden.is_empty()
    }

    /// What shows at the price of a working order, if something is hidden anywhere.
    #[inline]
    pub(crate) fn shown_before(&self, slot: Slot) -> Option<Quantity> {
        self.hides_any().then(|| self.working.depth_around(slot))
    }

    /// Lets an iceberg order work at a price, of which `shown` shows. What shows there now.
    pub(crate) fn rest_iceberg(
        &mut self,
        price: Price,
        shown: Quantity,
        iceberg: Iceberg,
        order: &Order,
        applicant: Applicant,
        traded: Option<FeeCredit>,
    ) -> Quantity {
        let slot = self.insert(price, shown, order, applicant, traded);
        self.working.data_mut(slot).marks.set(Marks::ICEBERG);
        self.icebergs.parts.put_anywhere(slot, iceberg);
        self.icebergs.hide(order.side, price, iceberg.reserve);
        let trader = self.working.data(slot).trader;
        self.icebergs.count(trader);
        self.working.depth_around(slot)
    }

    /// Lets an iceberg order whose visible part has traded, or was kept from it, go on with the next part, behind the
    /// others at its price; `None` if nothing is left of it. `left` is what shows there without it, `credit` its fee
    /// credit if the part has traded.
    #[cold]
    pub(super) fn refill(&mut self, slot: Slot, left: Quantity, credit: Option<FeeCredit>) -> Option<Filled> {
        let Iceberg { part, reserve } = *self.icebergs.parts.get(slot);
        if reserve.is_zero() {
            return None;
        }
        let shown = part.min(reserve);
        #[cfg(crossbook_bugs)]
        let shown = match crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::RefillShowsAll) {
            true => reserve,
            false => shown,
        };
        let entry = self.working.get(slot);
        self.icebergs.unhide(entry.side, entry.price, shown);
        self.icebergs.parts.put(slot, Iceberg { part, reserve: reserve.minus(shown) });
        self.working.renew(slot, shown);
        if let Some(credit) = credit {
            self.working.data_mut(slot).marks.set(Marks::TRADED);
            self.fee_credits.put(slot, credit);
        }
        Some(Filled { gone: false, left: left.plus(shown) })
    }

    /// How much of a working order is hidden.
    #[inline]
    pub(crate) fn reserve(&self, slot: Slot) -> Quantity {
        if self.working.data(slot).marks.has(Marks::ICEBERG) {
            self.icebergs.parts.get(slot).reserve
        } else {
            Quantity::ZERO
        }
    }

    /// Takes `quantity` from what is hidden of a working order, as far as that goes; the rest of it.
    pub(super) fn reduce_reserve(&mut self, slot: Slot, quantity: Quantity) -> Quantity {
        let hidden = quantity.min(self.reserve(slot));
        if hidden.is_zero() {
            return quantity;
        }
        let entry = self.working.get(slot);
        let Iceberg { part, reserve } = *self.icebergs.parts.get(slot);
        self.icebergs.unhide(entry.side, entry.price, hidden);
        self.icebergs.parts.put(slot, Iceberg { part, reserve: reserve.minus(hidden) });
        quantity.minus(hidden)
    }

    /// Forgets what is hidden of an iceberg order that is about to leave the book.
    #[cold]
    pub(super) fn forget_reserve(&mut self, slot: Slot) {
        let entry = self.working.get(slot);
        let reserve = self.icebergs.parts.get(slot).reserve;
        self.icebergs.unhide(entry.side, entry.price, reserve);
    }

    /// The working iceberg orders of a side in the order in which they trade.
    pub(crate) fn icebergs(&self, side: Side) -> impl Iterator<Item = (OrderId, Iceberg)> {
        let orders = self.working.orders(side).filter(|entry| entry.data.marks.has(Marks::ICEBERG));
        orders.map(|entry| (entry.data.id, *self.icebergs.parts.get(entry.slot)))
    }

    /// The price levels of a side, the best first, with all that is to be had there: what shows, and what is hidden.
    pub(crate) fn liquidity(&self, side: Side) -> impl Iterator<Item = (Price, Quantity)> {
        let hides = self.hides_any();
        self.working.depth(side).map(move |level| self.with_hidden(hides, side, level))
    }

    /// The same of the price levels behind a price; `None`: of all.
    pub(crate) fn liquidity_behind(&self, side: Side, price: Option<Price>) -> impl Iterator<Item = (Price, Quantity)> {
        let hides = self.hides_any();
        let best = match side {
            Side::Buy => Price::MAX,
            Side::Sell => Price(0),
        };
        let levels = self.working.depth_from(side, price.unwrap_or(best));
        let behind = levels.skip_while(move |&(level, _)| price == Some(level));
        behind.map(move |level| self.with_hidden(hides, side, level))
    }

    fn with_hidden(&self, hides: bool, side: Side, (price, shown): (Price, Quantity)) -> (Price, Quantity) {
        let hidden = if hides { self.icebergs.hidden.get(&(side, price)).copied() } else { None };
        (price, shown.plus(hidden.unwrap_or_default()))
    }
}

wire_struct! {
    plain Iceberg { 0: part, 1: reserve }
}
