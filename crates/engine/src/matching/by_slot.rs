//! Tables beside a book, by the slots of its orders.

use crossbook_book::Slot;

/// The fields of orders that a book does not have, by slot. A free slot keeps its last entry.
///
/// An order in the book is one cache line, which every trade and cancel reads. What only some orders carry, or few
/// commands read, goes into a table like this instead: the client order id, the fee credit of a partly traded order,
/// the reserve of an iceberg order, the delta of one that trails the price, and what comes later (a trade group). A
/// table is as long as its highest slot in use, so one for a feature that a market does not use costs nothing. `Marks`
/// of an order say whether it has an entry, so that others never touch the table.
#[derive(Clone, Debug)]
pub(super) struct BySlot<T>(Vec<T>);

impl<T> BySlot<T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    #[inline(always)]
    pub(super) fn put(&mut self, slot: Slot, value: T) {
        let at = slot.index() as usize;
        if at < self.0.len() {
            self.0[at] = value;
        } else {
            assert_eq!(at, self.0.len(), "a book takes its slots one after the other");
            self.0.push(value);
        }
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> &T {
        &self.0[slot.index() as usize]
    }
}

impl<T> Default for BySlot<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Default> BySlot<T> {
    /// The same as [`BySlot::put`] for a table that has entries of few slots.
    pub(super) fn put_anywhere(&mut self, slot: Slot, value: T) {
        let at = slot.index() as usize;
        if at >= self.0.len() {
            self.0.resize_with(at + 1, T::default);
        }
        self.0[at] = value;
    }

    /// Makes an entry for the slot, if it has none. An existing entry is not read.
    #[inline]
    pub(super) fn cover(&mut self, slot: Slot) {
        if slot.index() as usize >= self.0.len() {
            self.put(slot, T::default());
        }
    }
}
