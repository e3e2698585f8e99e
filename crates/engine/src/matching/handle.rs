//! The storage position of an open order.

use crossbook_book::Slot;

/// The position of an open order: a slot of the book of resting orders; with the top bit set, of waiting stop orders;
/// with the bit below it as well, of orders that are pending in a list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Handle(u32);

impl Handle {
    /// Set of all orders that do not work yet.
    const HELD_BACK: u32 = 1 << 31;
    const PENDING: u32 = 1 << 30 | Self::HELD_BACK;

    pub(super) fn working(slot: Slot) -> Self {
        Self(slot.index())
    }

    pub(super) fn waiting(slot: Slot) -> Self {
        Self(slot.index() | Self::HELD_BACK)
    }

    pub(super) fn pending(slot: Slot) -> Self {
        Self(slot.index() | Self::PENDING)
    }

    /// Whether it is in the book of resting orders.
    #[inline]
    pub(crate) fn is_working(self) -> bool {
        self.0 & Self::HELD_BACK == 0
    }

    /// Of an order that does not work yet: whether it is pending in a list, and waits for no stop price.
    #[inline]
    pub(super) fn is_pending(self) -> bool {
        self.0 & Self::PENDING == Self::PENDING
    }

    pub(super) fn slot(self) -> Slot {
        Slot::from_index(self.0 & !Self::PENDING)
    }
}
