//! What an amendment reads and changes of an open order.

use crossbook_book::Slot;
use crossbook_types::{Amount, ClientOrderId, OrderType, Price, Quantity, Side};

use super::marks::Marks;
use super::{ANY_PRICE, Handle, Level, NameHash, OpenOrders, Owner, Waiting, known_at};

/// An open order, as an amendment sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amendable {
    pub(crate) owner: Owner,
    pub(crate) side: Side,
    pub(crate) order_type: OrderType,
    pub(crate) limit: Option<Price>,
    /// Its stop price, if it waits for it.
    pub(crate) stop: Option<Price>,
    /// If it waits: what is held for it.
    pub(crate) held: Option<Amount>,
    /// Whether it trails the price, or will.
    pub(crate) trails: bool,
    /// What is left of it.
    pub(crate) left: Quantity,
    pub(crate) client_order_id: ClientOrderId,
}

impl OpenOrders {
    /// The order at a handle, which is not pending in a list.
    pub(crate) fn amendable(&self, handle: Handle) -> Amendable {
        let slot = handle.slot();
        if !handle.is_working() {
            return self.waiting_amendable(slot);
        }
        let entry = self.working.get(slot);
        Amendable {
            owner: self.owner(entry.data),
            side: entry.side,
            order_type: entry.data.order_type,
            limit: Some(entry.price),
            stop: None,
            held: None,
            trails: false,
            left: entry.quantity.plus(self.reserve(slot)),
            client_order_id: *self.name_at(handle),
        }
    }

    fn waiting_amendable(&self, slot: Slot) -> Amendable {
        let (known, waiting) = (self.waiting.data(slot), self.waiting_orders.get(slot));
        // One that is parked is at no price.
        let stop = (!known.marks.has(Marks::PARKED)).then(|| self.waiting.get(slot).price);
        Amendable {
            owner: self.owner(known),
            side: waiting.order.side,
            order_type: known.order_type,
            limit: waiting.limit,
            stop: stop.filter(|&stop| stop != ANY_PRICE),
            held: Some(waiting.budget),
            trails: self.special(slot).trailing.is_some(),
            left: self.waiting.quantity(slot),
            client_order_id: waiting.order.client_order_id,
        }
    }

    /// Takes `quantity`, of which more is left, from an order, and `freed` from what is held for it. It keeps its place
    /// in its queue. What an iceberg order hides goes first. For a working order, where the depth has changed; nowhere,
    /// if nothing but what is hidden has.
    pub(crate) fn reduce(&mut self, handle: Handle, quantity: Quantity, freed: Amount) -> Option<Level> {
        let slot = handle.slot();
        if !handle.is_working() {
            assert!(self.waiting.reduce(slot, quantity).is_none(), "something is left of an amended order");
            let waiting: Waiting = *self.waiting_orders.get(slot);
            self.waiting_orders.put(slot, Waiting { budget: waiting.budget.minus(freed), ..waiting });
            return None;
        }
        let quantity = self.reduce_reserve(slot, quantity);
        if quantity.is_zero() {
            return None;
        }
        assert!(self.working.reduce(slot, quantity).is_none(), "something is left of an amended order");
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::AmendedGoesLast) {
            let entry = self.working.get(slot);
            let (side, price, left) = (entry.side, entry.price, entry.quantity);
            let known = self.working.remove(slot);
            assert_eq!(self.working.rest(side, price, left, known), slot, "the free slot is used next");
        }
        let entry = self.working.get(slot);
        Some(Level { side: entry.side, price: entry.price, left: self.working.depth_around(slot) })
    }

    /// Gives an order another name, which no other open order of its account has.
    pub(crate) fn rename(&mut self, handle: Handle, name: ClientOrderId) {
        if *self.name_at(handle) == name {
            return;
        }
        let (account, old) = (self.owner(self.known_at(handle)).account, self.known_at(handle).name);
        let named = self.by_client.find_entry(old.spread(), |&other| other == handle);
        named.expect("an open order is found by its client's name").remove();
        let hash = NameHash::of(&self.hash, account, name);
        let slot = handle.slot();
        if handle.is_working() {
            self.working_names.put(slot, name);
        } else if handle.is_pending() {
            self.pending_names.put(slot, name);
        } else {
            let mut waiting = *self.waiting_orders.get(slot);
            waiting.order.client_order_id = name;
            self.waiting_orders.put(slot, waiting);
        }
        self.book_mut(handle).data_mut(slot).name = hash;
        let books = [&self.working, &self.waiting, &self.pending];
        self.by_client.insert_unique(hash.spread(), handle, |&other| known_at(books, other).name.spread());
    }
}
