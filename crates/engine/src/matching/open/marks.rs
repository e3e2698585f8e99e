//! What is said of an open order in single bits, beside its fields in the book.

/// A set of bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Marks(u8);

impl Marks {
    /// Some of it has traded.
    pub(super) const TRADED: Self = Self(1);
    /// It is an iceberg order, and has an entry among these if it works.
    pub(super) const ICEBERG: Self = Self(2);
    /// It waits, and is more than a plain order.
    pub(super) const SPECIAL: Self = Self(4);
    /// It belongs to an order list.
    pub(super) const LISTED: Self = Self(8);
    /// It works, and is of an account in a trade group.
    pub(super) const GROUPED: Self = Self(16);
    /// It waits for no price: it trails it, or is about to.
    pub(super) const PARKED: Self = Self(32);
    /// It is in a trail.
    pub(super) const TRAILS: Self = Self(64);
    /// Something is held for its fees.
    pub(super) const DISCOUNTED: Self = Self(128);

    /// The marks of an order of which some has traded, or not.
    #[inline]
    pub(super) fn of(traded: bool) -> Self {
        Self(u8::from(traded))
    }

    #[inline]
    pub(super) fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    /// Whether it has one of two marks.
    #[inline]
    pub(super) fn has_either(self, one: Self, other: Self) -> bool {
        self.0 & (one.0 | other.0) != 0
    }

    #[inline]
    pub(super) fn set(&mut self, mark: Self) {
        self.0 |= mark.0;
    }
}
