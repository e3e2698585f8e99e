//! Fees that are paid in another asset than the one received, and are lower then.

use serde::{Deserialize, Serialize};

use super::{FeeParts, FeeRate, Fees};
use crate::{Amount, AssetId, SymbolId};

/// What the operator has set: accounts that want to pay their fees in this asset, and pay less then.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FeeDiscount {
    /// The asset in which the fees are paid.
    pub asset: AssetId,
    /// By how many hundredths of a percent the standard part of a fee is lower; below 10,000.
    pub basis_points: u32,
    /// By quote asset, ascending: how many whole units of `asset` one whole unit of it is worth, in
    /// hundred-millionths. In markets of other quote assets there is no discount; without any rate there is none at
    /// all.
    pub rates: Vec<(AssetId, u64)>,
    /// Markets without a discount, ascending.
    pub except: Vec<SymbolId>,
}

impl FeeDiscount {
    /// The most rates, and the most exceptions.
    pub const ENTRIES_MAX: usize = 4_096;
    /// What is taken off is below this.
    pub const WHOLE: u32 = 10_000;

    /// Whether something is taken off, every rate is above zero, and all are in their order.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.basis_points < Self::WHOLE
            && self.rates.len() <= Self::ENTRIES_MAX
            && self.except.len() <= Self::ENTRIES_MAX
            && self.rates.iter().all(|&(_, rate)| rate > 0)
            && self.rates.is_sorted_by(|one, other| one.0 < other.0)
            && self.except.is_sorted_by(|one, other| one < other)
    }

    /// Whether there is none anywhere.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.rates.is_empty()
    }

    /// What one whole unit of the quote asset of a market is worth; `None` if there is no discount in it.
    #[must_use]
    pub fn rate_in(&self, symbol: SymbolId, quote: AssetId) -> Option<u64> {
        let at = self.rates.binary_search_by_key(&quote, |&(asset, _)| asset).ok()?;
        if self.except.binary_search(&symbol).is_ok() { None } else { Some(self.rates[at].1) }
    }

    /// The rates of an order that pays in the asset: its standard part is lower, rounded up.
    #[must_use]
    pub fn lowered(&self, parts: FeeParts) -> Fees {
        let lower = |rate: FeeRate| {
            let left = u64::from(Self::WHOLE.saturating_sub(self.basis_points));
            let units = (u64::from(rate.0) * left).div_ceil(u64::from(Self::WHOLE));
            // Less than the rate.
            FeeRate(u32::try_from(units).unwrap_or(rate.0))
        };
        let standard = Fees { maker: lower(parts.standard.maker), taker: lower(parts.standard.taker) };
        FeeParts { standard, ..parts }.total()
    }
}

/// What an order is charged in another asset, for each smallest unit of what it trades in the quote asset: whole
/// numbers of that asset's smallest unit over a power of ten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiscountRates {
    /// While it rests.
    pub maker: u64,
    /// When it comes in.
    pub taker: u64,
    /// What the trade itself is worth, rounded down: as much as is charged stays below it.
    pub worth: u64,
    /// The power of ten; at most [`DiscountRates::SCALE_MAX`].
    pub scale: u8,
}

impl DiscountRates {
    /// The largest power of ten.
    pub const SCALE_MAX: u8 = 34;
    /// Rates have no more digits than those below it, so that a product with an amount fits.
    const DIGITS_END: u128 = 1_000_000_000;

    /// The rates of an order with those fees; `rate` is what a whole unit of the quote asset is worth in whole units
    /// of the other, in hundred-millionths. Rounded up to nine digits. `None` if they are too high to be told.
    #[must_use]
    pub fn new(fees: Fees, rate: u64, quote_decimals: u8, decimals: u8) -> Option<Self> {
        let exact = |fee: FeeRate| u128::from(fee.0) * u128::from(rate);
        let (mut maker, mut taker) = (exact(fees.maker), exact(fees.taker));
        let mut worth = u128::from(FeeRate::ONE) * u128::from(rate);
        // Both factors are in hundred-millionths.
        let mut scale = i32::from(2 * FeeRate::SCALE) + i32::from(quote_decimals) - i32::from(decimals);
        while scale < 0 {
            (maker, taker, scale) = (maker.checked_mul(10)?, taker.checked_mul(10)?, scale + 1);
            worth = worth.saturating_mul(10);
        }
        while scale > 0 && maker.max(taker) >= Self::DIGITS_END {
            (maker, taker, scale) = (maker.div_ceil(10), taker.div_ceil(10), scale - 1);
            worth /= 10;
        }
        // What is so high is above whatever a fee may be.
        let worth = u64::try_from(worth).unwrap_or(u64::MAX);
        let scale = u8::try_from(scale).ok().filter(|&scale| scale <= Self::SCALE_MAX)?;
        Some(Self { maker: u64::try_from(maker).ok()?, taker: u64::try_from(taker).ok()?, worth, scale })
    }

    /// Whether there are such rates for all fees.
    #[must_use]
    pub fn can_be_told(rate: u64, quote_decimals: u8, decimals: u8) -> bool {
        let highest = FeeRate(FeeRate::ONE - 1);
        Self::new(Fees { maker: highest, taker: highest }, rate, quote_decimals, decimals).is_some()
    }

    /// The higher of both.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.maker.max(self.taker)
    }

    /// At one of the rates, the fee for a trade that is worth `quote`, where `credit` was charged beyond the exact fee
    /// before; and what is charged beyond it then. So an order is charged its exact fee, rounded up once. `None` if
    /// that is more than can be counted, or not less than what the trade is worth: the smallest unit of the asset may
    /// be worth more.
    #[must_use]
    pub fn charge(&self, rate: u64, quote: Amount, credit: DiscountCredit) -> Option<(Amount, DiscountCredit)> {
        let (fee, credit) = self.due(rate, quote, credit)?;
        (fee.is_zero() || self.is_below(fee, quote)).then_some((fee, credit))
    }

    /// Whether a fee is less than what a trade is worth.
    fn is_below(&self, fee: Amount, quote: Amount) -> bool {
        let product = |amount: Amount, factor| u128::try_from(amount.0).ok()?.checked_mul(factor);
        let one = 10_u128.pow(self.scale.into());
        match (product(fee, one), product(quote, self.worth.into())) {
            (Some(fee), Some(worth)) => fee < worth,
            (fee, _) => fee.is_some(),
        }
    }

    fn due(&self, rate: u64, quote: Amount, credit: DiscountCredit) -> Option<(Amount, DiscountCredit)> {
        let exact = u128::try_from(quote.0).ok()?.checked_mul(u128::from(rate))?;
        let one = 10_u128.checked_pow(self.scale.into())?;
        let Some(due) = exact.checked_sub(credit.0) else {
            return Some((Amount::ZERO, DiscountCredit(credit.0 - exact)));
        };
        let fee = due.div_ceil(one);
        let credit = fee.checked_mul(one)? - due;
        #[cfg(crossbook_bugs)]
        let credit = match crate::bugs::is_planted(crate::bugs::Bug::DiscountRoundedByTrade) {
            true => 0,
            false => credit,
        };
        Some((Amount(i128::try_from(fee).ok()?), DiscountCredit(credit)))
    }

    /// The most that is charged for trades that are worth `quote` together; `None` if that is more than can be counted.
    #[must_use]
    pub fn most(&self, quote: Amount) -> Option<Amount> {
        self.due(self.highest(), quote, DiscountCredit::NONE).map(|(fee, _)| fee)
    }
}

/// What an order was charged beyond its exact fee in the other asset: less than a smallest unit of it, over the power
/// of ten of its [`DiscountRates`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DiscountCredit(pub u128);

impl DiscountCredit {
    /// No credit.
    pub const NONE: Self = Self(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(units: u32) -> FeeRate {
        FeeRate::from_units(units).unwrap()
    }

    #[test]
    fn only_the_standard_part_is_lower() {
        let both = |units| Fees { maker: rate(units), taker: rate(units) };
        let parts = FeeParts { standard: both(100_001), special: both(7), tax: both(50) };
        let discount = FeeDiscount { basis_points: 2_500, ..FeeDiscount::default() };
        assert_eq!(discount.lowered(parts), both(75_001 + 57));
        assert_eq!(FeeDiscount { basis_points: 0, ..discount }.lowered(parts), parts.total());
    }

    #[test]
    fn an_order_is_charged_its_exact_fee_rounded_up_once() {
        // 0.075 % of an amount in cents, at 0.00166 whole units of eight decimals for a whole unit of two.
        let fees = Fees { maker: rate(75_000), taker: rate(75_000) };
        let rates = DiscountRates::new(fees, 166_000, 2, 8).unwrap();
        // A cent is worth 1,660 smallest units, so its fee is 1.245 of them.
        let (mut credit, mut charged) = (DiscountCredit::NONE, 0);
        for trades in 1..=2_000_i128 {
            let (fee, rest) = rates.charge(rates.taker, Amount(1), credit).unwrap();
            (credit, charged) = (rest, charged + fee.0);
            assert_eq!(charged, (trades * 1_245 + 999) / 1_000);
        }
        assert_eq!(rates.most(Amount(2_000)), Some(Amount(2_490)));
    }

    #[test]
    fn whatever_the_decimals_there_is_a_rate_or_none_at_all() {
        let fees = Fees { maker: rate(1), taker: rate(99_999_999) };
        for (quote, other) in [(0, 18), (18, 0), (18, 18), (2, 8), (8, 2)] {
            for worth in [1, 166_000, 100_000_000, u64::MAX] {
                let Some(rates) = DiscountRates::new(fees, worth, quote, other) else { continue };
                assert!(rates.maker >= 1 && rates.scale <= DiscountRates::SCALE_MAX);
                assert!(rates.worth >= rates.taker || rates.worth == 0, "{rates:?}");
                if let Some((fee, credit)) = rates.charge(rates.taker, Amount::MAX, DiscountCredit::NONE) {
                    assert!(!fee.is_zero() && credit.0 < 10_u128.pow(rates.scale.into()));
                }
            }
        }
        assert!(DiscountRates::new(fees, u64::MAX, 0, 18).is_none() && !DiscountRates::can_be_told(u64::MAX, 0, 18));
        assert!(DiscountRates::can_be_told(u64::MAX, 18, 0) && DiscountRates::can_be_told(166_000, 2, 18));
    }

    #[test]
    fn a_fee_is_less_than_what_it_is_paid_for() {
        // Whole units of no decimals, of which each is worth 60 whole units of eight; 0.1 %.
        let fees = Fees { maker: rate(100_000), taker: rate(100_000) };
        let rates = DiscountRates::new(fees, 100_000_000 / 60, 8, 0).unwrap();
        let charged = |whole: i128| rates.charge(rates.taker, Amount(whole * 100_000_000), DiscountCredit::NONE);
        // Its fee is one of them, which is worth as much or more.
        assert_eq!((charged(5), charged(60)), (None, None));
        assert_eq!(charged(61).map(|(fee, _)| fee), Some(Amount(1)));
        assert_eq!(charged(120_000).map(|(fee, _)| fee), Some(Amount(2)));
        // What an order was charged too much pays for the next trades, however small.
        let (_, credit) = charged(61).unwrap();
        assert_eq!(rates.charge(rates.taker, Amount(500_000_000), credit).map(|(fee, _)| fee), Some(Amount::ZERO));
        assert_eq!(rates.most(Amount(500_000_000)), Some(Amount(1)));
    }

    #[test]
    fn a_discount_is_sound_or_not() {
        let sound = FeeDiscount {
            asset: AssetId(2),
            basis_points: 2_500,
            rates: vec![(AssetId(0), 5), (AssetId(1), 7)],
            except: vec![SymbolId(3)],
        };
        assert!(sound.is_sound() && FeeDiscount::default().is_sound());
        assert_eq!(sound.rate_in(SymbolId(1), AssetId(1)), Some(7));
        assert_eq!(sound.rate_in(SymbolId(3), AssetId(1)), None);
        assert_eq!(sound.rate_in(SymbolId(1), AssetId(2)), None);
        assert!(!FeeDiscount { basis_points: 10_000, ..sound.clone() }.is_sound());
        assert!(!FeeDiscount { rates: vec![(AssetId(1), 7), (AssetId(0), 5)], ..sound.clone() }.is_sound());
        assert!(!FeeDiscount { rates: vec![(AssetId(1), 0)], ..sound.clone() }.is_sound());
        assert!(!FeeDiscount { except: vec![SymbolId(1); 2], ..sound }.is_sound());
    }
}
