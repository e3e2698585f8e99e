//! The storage position of an open order.

use crossbook_book::Slot;

/// Where an open order stands: a slot of the working or, with the top bit set, of the waiting book.
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
