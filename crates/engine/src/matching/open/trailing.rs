//! Waiting orders that trail the price: they are in no price level, but in a [`Trail`] of their side.

use crossbook_book::Slot;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{OrderId, Price, Quantity, Side};

use super::marks::Marks;
use super::trail::Trail;
use super::{Applicant, BySlot, Handle, OpenOrders, Special, Waiting, trigger_side};

/// An order that trails without waiting for a stop price, where nothing has ever traded, waits for any price.
pub(crate) const ANY_PRICE: Price = Price(0);

/// The trailing orders of a market.
#[derive(Clone, Debug)]
pub(super) struct Trails {
    buys: Trail,
    sells: Trail,
    /// By slot, of orders that are in a trail: the position there.
    positions: BySlot<u32>,
    /// How many orders trail, or will once what happened before was seen.
    count: usize,
}

impl Default for Trails {
    fn default() -> Self {
        Self { buys: Trail::new(Side::Buy), sells: Trail::new(Side::Sell), positions: BySlot::default(), count: 0 }
    }
}

impl Trails {
    /// The next order of all: of those that buy, those that sell, each who began last.
    pub(super) fn any(&self) -> Option<Slot> {
        self.buys.last().or_else(|| self.sells.last())
    }

    fn of(&mut self, side: Side) -> &mut Trail {
        match side {
            Side::Buy => &mut self.buys,
            Side::Sell => &mut self.sells,
        }
    }
}

/// A waiting order that trails the price, in canonical form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Trailing {
    pub(crate) quantity: Quantity,
    pub(crate) waiting: Waiting,
    pub(crate) special: Special,
    /// The farthest price that it has seen; none yet, if what happened before it is still to be seen.
    pub(crate) extreme: Option<Price>,
}

impl OpenOrders {
    /// Whether any order trails, or will.
    #[inline]
    pub(crate) fn trails_any(&self) -> bool {
        self.trails.count > 0
    }

    /// Lets an order wait without a price. It trails from [`OpenOrders::begin_trailing`] on.
    pub(crate) fn park(
        &mut self,
        quantity: Quantity,
        waiting: Waiting,
        special: Special,
        applicant: Applicant,
    ) -> Slot {
        let mut known = self.known(&waiting.order, applicant, false);
        self.mark_special(&mut known, special);
        known.marks.set(Marks::PARKED);
        let slot = self.waiting.park(quantity, known);
        self.waiting_orders.put(slot, waiting);
        self.waiting_specials.put_anywhere(slot, special);
        self.remember(Handle::waiting(slot), known);
        self.trails.count += 1;
        slot
    }

    /// The next waiting order of that direction, if it is one that begins to trail when its price is reached. It is in
    /// no price level any more.
    pub(crate) fn unhook_trailing(&mut self, on_rise: bool) -> Option<Slot> {
        let slot = self.waiting.top(trigger_side(on_rise))?.slot;
        self.special(slot).trailing?;
        self.waiting.detach(slot);
        self.waiting.data_mut(slot).marks.set(Marks::PARKED);
        self.trails.count += 1;
        Some(slot)
    }

    /// A parked order begins to trail at a price.
    pub(crate) fn begin_trailing(&mut self, slot: Slot, price: Price) {
        let Some(delta) = self.special(slot).trailing else { return };
        let side = self.waiting_orders.get(slot).order.side;
        let (at, moved) = self.trails.of(side).begin(slot, delta, price);
        if moved {
            let positions: Vec<_> = self.trails.of(side).positions().collect();
            for (slot, at) in positions {
                self.trails.positions.put_anywhere(slot, at);
            }
        }
        self.trails.positions.put_anywhere(slot, at);
        self.waiting.data_mut(slot).marks.set(Marks::TRAILS);
    }

    /// The slot of a parked order that does not trail yet.
    pub(crate) fn parked(&self, id: OrderId) -> Option<Slot> {
        let handle = self.handle_of(id).filter(|handle| !handle.is_working())?;
        let marks = self.known_at(handle).marks;
        (marks.has(Marks::PARKED) && !marks.has(Marks::TRAILS)).then(|| handle.slot())
    }

    /// A price was traded at: whose extreme it is sees it.
    pub(crate) fn show_price(&mut self, price: Price) {
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::ExtremeStays) {
            return;
        }
        self.trails.buys.observe(price);
        self.trails.sells.observe(price);
    }

    /// Takes out the next order that a price triggers, those that buy first; as [`OpenOrders::pop_waiting`].
    pub(crate) fn pop_trailing(&mut self, price: Price) -> Option<(Quantity, Waiting, Special, Applicant, bool)> {
        let (slot, _) = self.trails.buys.next_due(price).or_else(|| self.trails.sells.next_due(price))?;
        let (quantity, special, waiting) =
            (self.waiting.quantity(slot), self.special(slot), *self.waiting_orders.get(slot));
        let known = self.waiting.data(slot);
        let (applicant, listed) =
            (Applicant { trader: Some(known.trader), name: known.name }, known.marks.has(Marks::LISTED));
        self.remove(Handle::waiting(slot));
        Some((quantity, waiting, special, applicant, listed))
    }

    /// A parked order is about to leave.
    #[cold]
    pub(super) fn forget_trailing(&mut self, slot: Slot) {
        self.trails.count -= 1;
        if self.waiting.data(slot).marks.has(Marks::TRAILS) {
            let side = self.waiting_orders.get(slot).order.side;
            let at = *self.trails.positions.get(slot);
            self.trails.of(side).remove(at);
        }
    }

    /// An order that is parked, in canonical form.
    pub(crate) fn trailing_at(&self, slot: Slot, extreme: Option<Price>) -> Trailing {
        let (quantity, waiting, special) =
            (self.waiting.quantity(slot), *self.waiting_orders.get(slot), self.special(slot));
        Trailing { quantity, waiting, special, extreme }
    }

    /// The orders that trail, those that buy first, in the order in which they began.
    pub(crate) fn trailing(&self) -> impl Iterator<Item = Trailing> {
        let all = self.trails.buys.iter().chain(self.trails.sells.iter());
        all.map(|(slot, extreme)| self.trailing_at(slot, Some(extreme)))
    }
}

wire_struct! {
    Trailing { 0: quantity, 1: waiting, 2: special, 3: extreme }
}
