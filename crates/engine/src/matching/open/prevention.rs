//! What self-trade prevention takes from a resting order.

use crossbook_book::Slot;
use crossbook_types::Quantity;

use super::marks::Marks;
use super::{Filled, Handle, OpenOrders};

impl OpenOrders {
    /// Takes `quantity` of what shows of a working order, which does not count as traded.
    #[cold]
    pub(crate) fn decrement(&mut self, slot: Slot, quantity: Quantity) -> Filled {
        let left = self.working.depth_around(slot).minus(quantity);
        let entry = self.working.get(slot);
        if entry.quantity == quantity {
            if entry.data.marks.has(Marks::ICEBERG)
                && let Some(refilled) = self.refill(slot, left, None)
            {
                return refilled;
            }
            self.forget(Handle::working(slot));
        }
        Filled { gone: self.working.reduce(slot, quantity).is_some(), left }
    }
}
