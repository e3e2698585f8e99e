//! The storage position of an open order.

use crossbook_book::Slot;

/// The position of an open order: a slot of the book of resting orders or, with the top bit set, of pending stop
/// orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Handle(u32);

impl Handle {
    const WAITING: u32 = 1 << 31;

    pub(super) fn working(slot: Slot) -> Self {
        Self(slot.index())
    }

    pub(super) fn waiting(slot: Slot) -> Self {
        Self(slot.index() | Self::WAITING)
    }

    pub(crate) fn is_waiting(self) -> bool {
        self.0 & Self::WAITING != 0
    }

    pub(super) fn slot(self) -> Slot {
        Slot::from_index(self.0 & !Self::WAITING)
    }
}
