//! Orders of order lists among the open orders: which belong to one, and those that are pending in it.

use crossbook_types::{OrderId, Price, Quantity, Side};

use super::marks::Marks;
use super::{Applicant, Known, OpenOrders, Order, Owner};
use crate::matching::handle::Handle;

impl OpenOrders {
    /// Lets an order of a list be pending; `iceberg`: whether it counts as an iceberg order.
    pub(crate) fn hold_back(&mut self, order: &Order, iceberg: bool, applicant: Applicant) {
        let mut known = self.known(order, applicant, false);
        known.marks.set(Marks::LISTED);
        if iceberg {
            known.marks.set(Marks::ICEBERG);
            self.icebergs.count(known.trader);
        }
        let slot = self.pending.rest(Side::Buy, Price(0), Quantity(1), known);
        self.pending_names.put(slot, order.client_order_id);
        self.remember(Handle::pending(slot), known);
    }

    /// Ends that an order is pending, and gives who placed it; `None` if it is not.
    pub(crate) fn pop_pending(&mut self, order: OrderId) -> Option<Applicant> {
        let handle = self.find_id(order).filter(|handle| handle.is_pending())?;
        self.forget(handle);
        let Known { trader, name, .. } = self.pending.remove(handle.slot());
        Some(Applicant { trader: Some(trader), name })
    }

    /// Says of an order that it belongs to a list, as a state does.
    pub(crate) fn mark_listed(&mut self, handle: Handle) {
        self.book_mut(handle).data_mut(handle.slot()).marks.set(Marks::LISTED);
    }

    /// Says of an order that something is held for its fees.
    pub(crate) fn mark_discounted(&mut self, order: OrderId) {
        if let Some(handle) = self.find_id(order) {
            self.book_mut(handle).data_mut(handle.slot()).marks.set(Marks::DISCOUNTED);
        }
    }

    /// Whose order it is.
    pub(crate) fn owner_at(&self, handle: Handle) -> Owner {
        self.owner(self.known_at(handle))
    }

    /// Whether an open order belongs to a list.
    #[inline]
    pub(crate) fn is_listed(&self, handle: Handle) -> bool {
        self.known_at(handle).marks.has(Marks::LISTED)
    }
}
