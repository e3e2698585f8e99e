//! Whole numbers with a unit: ticks, lots, and an asset's smallest units.

use serde::{Deserialize, Serialize};

use crate::id::Timestamp;

/// A price as a whole number of its market's ticks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct Price(pub u64);

/// A quantity as a whole number of its market's lots.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct Quantity(pub u64);

/// An amount of money as a whole number of its asset's smallest unit; negative only in postings and in the venue's
/// external account. 128 bits hold any amount of an asset with 18 decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct Amount(pub i128);

impl Price {
    /// The highest price a book can hold, in ticks.
    pub const MAX: Self = Self((1 << 42) - 1);
}

/// A price that an order may lack, in the eight bytes of a price: an order in a command or an event has no room for an
/// `Option<Price>` of sixteen. Written to a log it has the same bytes as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct OptionalPrice(u64);

impl OptionalPrice {
    /// No price.
    pub const NONE: Self = Self(u64::MAX);

    /// The price.
    #[must_use]
    #[inline]
    pub fn get(self) -> Option<Price> {
        self.is_some().then_some(Price(self.0))
    }

    /// Whether there is one.
    #[must_use]
    #[inline]
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }
}

/// # Panics
/// For a price of 2^64 - 1 ticks, which is far above [`Price::MAX`].
impl From<Option<Price>> for OptionalPrice {
    #[inline]
    fn from(price: Option<Price>) -> Self {
        match price {
            Some(price) => price.into(),
            None => Self::NONE,
        }
    }
}

/// # Panics
/// For a price of 2^64 - 1 ticks, which is far above [`Price::MAX`].
impl From<Price> for OptionalPrice {
    #[inline]
    fn from(price: Price) -> Self {
        let optional = Self(price.0);
        assert!(optional.is_some(), "the number of no price");
        optional
    }
}

/// A time that there may not be, in the eight bytes of a time. Written to a log it has the same bytes as an
/// `Option<Timestamp>`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct OptionalTimestamp(u64);

impl OptionalTimestamp {
    /// No time.
    pub const NONE: Self = Self(u64::MAX);

    /// The time.
    #[must_use]
    #[inline]
    pub fn get(self) -> Option<Timestamp> {
        self.is_some().then_some(Timestamp(self.0))
    }

    /// Whether there is one.
    #[must_use]
    #[inline]
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }
}

/// The last of all times counts as none.
impl From<Option<Timestamp>> for OptionalTimestamp {
    #[inline]
    fn from(time: Option<Timestamp>) -> Self {
        time.map_or(Self::NONE, |time| Self(time.0))
    }
}

impl From<Timestamp> for OptionalTimestamp {
    #[inline]
    fn from(time: Timestamp) -> Self {
        Self(time.0)
    }
}

impl Quantity {
    /// The quantity zero.
    pub const ZERO: Self = Self(0);
    /// The largest quantity of one order, in lots. With at most 2^21 orders in a book, the total of a price level
    /// always fits in 64 bits.
    pub const MAX: Self = Self((1 << 42) - 1);

    /// The sum.
    ///
    /// # Panics
    /// On overflow, which the bounds on orders rule out.
    #[must_use]
    #[inline]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.checked_add(other.0).expect("quantity overflow"))
    }

    /// The difference.
    ///
    /// # Panics
    /// When `other` is more than there is.
    #[must_use]
    #[inline]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.checked_sub(other.0).expect("quantity underflow"))
    }

    /// Whether there is nothing.
    #[must_use]
    #[inline]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl Amount {
    /// The amount zero.
    pub const ZERO: Self = Self(0);
    /// The largest amount one transfer can move or one order can be worth: 2^112, some 5 x 10^15 units of an asset with
    /// 18 decimals. Sums of very many such amounts still fit in 128 bits.
    pub const MAX: Self = Self(1 << 112);

    /// The sum, or `None` on overflow.
    #[must_use]
    #[inline]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` on overflow.
    #[must_use]
    #[inline]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The sum.
    ///
    /// # Panics
    /// On overflow.
    #[must_use]
    #[inline]
    pub fn plus(self, other: Self) -> Self {
        self.checked_add(other).expect("amount overflow")
    }

    /// The sum, or the largest number there is. For statistics such as volumes: unlike balances they add up the same
    /// money again and again, and 2^15 trades of the largest amount already do not fit.
    #[must_use]
    #[inline]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference; may be negative.
    ///
    /// # Panics
    /// On overflow.
    #[must_use]
    #[inline]
    pub fn minus(self, other: Self) -> Self {
        self.checked_sub(other).expect("amount overflow")
    }

    /// The same amount the other way.
    ///
    /// # Panics
    /// On overflow.
    #[must_use]
    #[inline]
    pub fn negated(self) -> Self {
        Self(self.0.checked_neg().expect("amount overflow"))
    }

    /// Whether there is nothing.
    #[must_use]
    #[inline]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether it is below zero.
    #[must_use]
    #[inline]
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }
}
