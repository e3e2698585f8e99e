//! Fees of trades: rates, and rounding to whole smallest units.
//!
//! A fee is rounded up, once for all trades of an order: what an order has been charged beyond its exact fee is its
//! [`FeeCredit`], which its next trade uses up.

mod account;
mod discount;
mod tiers;

pub use account::{AccountFees, FeeParts};
pub use discount::{DiscountCredit, DiscountRates, FeeDiscount};
use serde::{Deserialize, Serialize};
pub use tiers::{FeeTier, FeeTiers};

use crate::{Amount, Decimal};

/// A fee rate in hundred-millionths: 100,000 is 0.001, a tenth of a percent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeeRate(u32);

impl FeeRate {
    /// Digits after the point.
    pub const SCALE: u8 = 8;
    const ONE: u32 = 100_000_000;

    /// From a decimal fraction; `None` unless it is a whole number of hundred-millionths from 0 to below 1.
    #[must_use]
    pub fn from_decimal(rate: Decimal) -> Option<Self> {
        let units = u32::try_from(rate.rescale(Self::SCALE)?).ok()?;
        (units < Self::ONE).then_some(Self(units))
    }

    /// From hundred-millionths; `None` unless it is below 1.
    #[must_use]
    pub fn from_units(units: u32) -> Option<Self> {
        (units < Self::ONE).then_some(Self(units))
    }

    /// The rate in hundred-millionths.
    #[must_use]
    pub fn units(self) -> u32 {
        self.0
    }

    /// The sum of two rates; the highest rate, if they add up to 1 or more.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0).min(Self::ONE - 1))
    }

    /// The fee on `amount`, rounded up to the next smallest unit: rounding never favours the trader.
    ///
    /// # Panics
    /// When `amount` is negative.
    #[must_use]
    #[inline]
    pub fn fee_on(self, amount: Amount) -> Amount {
        self.charge(amount, FeeCredit::NONE).0
    }

    /// The fee on `amount` for an order that was charged `credit` more than its exact fee before, and what it is
    /// charged more than that with this fee. So an order is charged its exact fee, rounded up once, however many trades
    /// it has.
    ///
    /// # Panics
    /// When `amount` is negative.
    #[must_use]
    #[inline]
    pub fn charge(self, amount: Amount, credit: FeeCredit) -> (Amount, FeeCredit) {
        if self.0 == 0 {
            return (Amount::ZERO, credit);
        }
        let amount = u128::try_from(amount.0).expect("fee on a negative amount");
        #[cfg(crossbook_bugs)]
        if crate::bugs::is_planted(crate::bugs::Bug::FeeRoundedDown) {
            let fee = amount * u128::from(self.0) / u128::from(Self::ONE);
            return (Amount(i128::try_from(fee).unwrap_or(0)), credit);
        }
        let (rate, one) = (u64::from(self.0), u64::from(Self::ONE));
        if let Ok(small) = u64::try_from(amount)
            && let Some(exact) = small.checked_mul(rate)
        {
            let (fee, credit) = round_up(exact, credit);
            return (Amount(i128::from(fee)), credit);
        }
        // amount = q * one + r, so the exact fee is q * rate whole units and r * rate hundred-millionths; no
        // intermediate exceeds the amount.
        let (whole, rest) = (amount / u128::from(one), (amount % u128::from(one)) as u64);
        let (fee, credit) = round_up(rest * rate, credit);
        let fee = whole * u128::from(rate) + u128::from(fee);
        (Amount(i128::try_from(fee).expect("a fee is less than its amount")), credit)
    }
}

/// Of an exact fee in hundred-millionths of a smallest unit, the whole units that are still due, and what they are too
/// much.
#[inline]
fn round_up(exact: u64, credit: FeeCredit) -> (u64, FeeCredit) {
    let one = u64::from(FeeRate::ONE);
    let Some(due) = exact.checked_sub(u64::from(credit.0)) else {
        return (0, FeeCredit(credit.0 - exact as u32)); // less than the credit
    };
    let (whole, rest) = (due / one, (due % one) as u32);
    if rest == 0 { (whole, FeeCredit::NONE) } else { (whole + 1, FeeCredit(FeeRate::ONE - rest)) }
}

/// What an order was charged beyond its exact fee, because fees are whole smallest units: in hundred-millionths of one,
/// less than a whole one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct FeeCredit(u32);

impl FeeCredit {
    /// No credit.
    pub const NONE: Self = Self(0);

    /// The credit in hundred-millionths of a smallest unit.
    #[must_use]
    pub fn units(self) -> u32 {
        self.0
    }
}

impl From<FeeCredit> for u32 {
    fn from(credit: FeeCredit) -> Self {
        credit.0
    }
}

/// A credit of a whole smallest unit or more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a fee credit is less than a smallest unit")]
pub struct WholeUnit;

impl TryFrom<u32> for FeeCredit {
    type Error = WholeUnit;

    fn try_from(units: u32) -> Result<Self, WholeUnit> {
        if units < FeeRate::ONE { Ok(Self(units)) } else { Err(WholeUnit) }
    }
}

/// What each side of a trade pays, in the asset that it receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Fees {
    /// Of the order that was resting.
    pub maker: FeeRate,
    /// Of the order that came in.
    pub taker: FeeRate,
}

impl Fees {
    /// The higher of each two rates.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { maker: self.maker.max(other.maker), taker: self.taker.max(other.taker) }
    }

    /// The sums of both rates; see [`FeeRate::and`].
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { maker: self.maker.and(other.maker), taker: self.taker.and(other.taker) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_round_up_and_are_exact_at_any_size() {
        let rate = FeeRate::from_decimal(Decimal::parse("0.001").unwrap()).unwrap();
        assert_eq!(rate.fee_on(Amount(1)), Amount(1));
        assert_eq!(rate.fee_on(Amount(1_000)), Amount(1));
        assert_eq!(rate.fee_on(Amount(1_001)), Amount(2));
        assert_eq!(rate.fee_on(Amount::ZERO), Amount::ZERO);
        let huge = Amount::MAX;
        assert_eq!(rate.fee_on(huge).0, (huge.0 + 999) / 1_000);
        assert_eq!(FeeRate::default().fee_on(huge), Amount::ZERO);
        assert!(FeeRate::from_decimal(Decimal::parse("1").unwrap()).is_none());
        assert!(FeeRate::from_decimal(Decimal::parse("0.000000001").unwrap()).is_none());
    }

    proptest::proptest! {
        /// However an order's trades are cut, at whatever rates, it is charged its exact fee, rounded up once.
        #[test]
        fn an_order_s_fee_is_rounded_once(
            trades in proptest::collection::vec(
                (0u32..3, 0i128..1 << 90, proptest::bool::ANY, 0u32..100_000_000),
                1..50,
            ),
        ) {
            let (mut credit, mut charged, mut exact) = (FeeCredit::NONE, 0i128, 0u128);
            for (kind, amount, maker, rate) in trades {
                let amount = match kind {
                    0 => amount % 3,
                    1 => amount % 1_000_000,
                    _ => amount,
                };
                let rate = if maker { FeeRate(75_000) } else { FeeRate(rate) };
                let (fee, after) = rate.charge(Amount(amount), credit);
                proptest::prop_assert!(!fee.is_negative() && fee.0 <= amount);
                credit = after;
                charged += fee.0;
                // As hundred-millionths: 2^90 x 10^8 x 50 is below 2^128.
                exact += amount as u128 * u128::from(rate.0);
                proptest::prop_assert_eq!(charged as u128, exact.div_ceil(100_000_000));
                proptest::prop_assert_eq!(u128::from(credit.units()), charged as u128 * 100_000_000 - exact);
            }
        }
    }
}
