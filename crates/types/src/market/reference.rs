//! The reference price of a market, and how far from it orders may trade.
//!
//! A reference price is the mean of recent trades, or comes from elsewhere. A mean counts every trade once, whatever
//! its quantity. Its window is divided into buckets, which open at multiples of their width; of the oldest, into which
//! the window reaches only in part, that part of its trades counts, to four digits after the point, and the same part
//! of the sum of their prices. All divisions are cut off.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::decimal::power_of_ten;
use crate::{Decimal, Market, Price, Side, Timestamp};

/// A reference price, in millionths of a tick.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ReferencePrice(pub u64);

impl ReferencePrice {
    /// The digits after the tick.
    const DIGITS: u8 = 6;
    /// How many are a tick.
    pub const PER_TICK: u64 = 1_000_000;
    /// The highest.
    pub const MAX: Self = Self(Price::MAX.0 * Self::PER_TICK);

    /// Whether somebody may set it: from a tick to the highest price.
    #[must_use]
    pub fn is_sound(self) -> bool {
        self.0 >= Self::PER_TICK && self <= Self::MAX
    }

    /// Whether it may be that of a market with this highest price. What the largest order costs at the highest price is
    /// an amount, and filters value orders at the reference price.
    #[must_use]
    pub fn is_possible(self, highest: Price) -> bool {
        self.is_sound() && self.nearest() <= highest
    }

    /// The nearest tick; of two the higher one.
    #[must_use]
    pub fn nearest(self) -> Price {
        Price((self.0 + Self::PER_TICK / 2) / Self::PER_TICK)
    }
}

/// The execution rule PRICE_RANGE: at which prices an order that comes in may trade, as multiples of the reference
/// price in ten-thousandths. Where one is missing, prices are not bounded there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PriceRange {
    /// The highest price of a buy order.
    pub bid_up: Option<u32>,
    /// The lowest price of a buy order.
    pub bid_down: Option<u32>,
    /// The highest price of a sell order.
    pub ask_up: Option<u32>,
    /// The lowest price of a sell order.
    pub ask_down: Option<u32>,
}

impl PriceRange {
    /// The multiplier of the reference price itself.
    pub const WHOLE: u32 = 10_000;
    /// The largest multiplier: a thousandfold price.
    pub const MULTIPLIER_MAX: u32 = 10_000_000;

    /// Whether it bounds anything, and does not exclude the reference price.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let up =
            |multiplier: Option<u32>| multiplier.is_none_or(|up| (Self::WHOLE..=Self::MULTIPLIER_MAX).contains(&up));
        let down = |multiplier: Option<u32>| multiplier.is_none_or(|down| (1..=Self::WHOLE).contains(&down));
        *self != Self::default() && up(self.bid_up) && up(self.ask_up) && down(self.bid_down) && down(self.ask_down)
    }

    /// The lowest and the highest price at which an order of `side` may trade. Whole ticks: what is left over is not
    /// allowed, but for the ticks next to the reference price. Else close multiples of a price between two ticks would
    /// allow no price at all, and the market would stand still.
    #[must_use]
    pub fn limits(&self, side: Side, reference: ReferencePrice) -> (Price, Price) {
        let (up, down) = match side {
            Side::Buy => (self.bid_up, self.bid_down),
            Side::Sell => (self.ask_up, self.ask_down),
        };
        let whole = u128::from(Self::WHOLE) * u128::from(ReferencePrice::PER_TICK);
        let times = |multiplier: u32| u128::from(reference.0) * u128::from(multiplier);
        let price = |ticks| u64::try_from(ticks).map_or(Price::MAX, |ticks| Price(ticks).min(Price::MAX));
        let below = Price(reference.0 / ReferencePrice::PER_TICK);
        let above = price(u128::from(reference.0.div_ceil(ReferencePrice::PER_TICK)));
        (
            down.map_or(Price(0), |down| price(times(down).div_ceil(whole)).min(below)),
            up.map_or(Price::MAX, |up| price(times(up) / whole).max(above)),
        )
    }
}

/// The window of a mean of trades.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mean {
    /// How many buckets the window has; from 1 to [`Mean::BUCKETS_MAX`].
    pub buckets: u32,
    /// How long one is, in milliseconds; from 1 to [`Mean::WIDTH_MAX_MS`].
    pub width_ms: u32,
}

impl Mean {
    /// The most buckets of a window: a market keeps a sum for each, and adds them up for each order.
    pub const BUCKETS_MAX: u32 = 1_000;
    /// The longest bucket: an hour.
    pub const WIDTH_MAX_MS: u32 = 3_600_000;

    /// In which bucket a time is, and how far in it, in milliseconds.
    fn place(self, time: Timestamp) -> (u64, u64) {
        let (time, width) = (time.millis(), u64::from(self.width_ms));
        (time / width, time % width)
    }
}

/// How the reference price of a market is calculated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReferenceCalculation {
    /// As the mean of the market's own trades.
    ArithmeticMean(Mean),
    /// Elsewhere: the operator sends it.
    External {
        /// In which of the ways that the operator has published.
        id: u32,
    },
}

impl ReferenceCalculation {
    /// Whether each value is one that it may have.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        match *self {
            Self::ArithmeticMean(Mean { buckets, width_ms }) => {
                (1..=Mean::BUCKETS_MAX).contains(&buckets) && (1..=Mean::WIDTH_MAX_MS).contains(&width_ms)
            }
            Self::External { .. } => true,
        }
    }
}

/// The trades of a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TradeBucket {
    /// Which since the beginning of time.
    pub number: u64,
    /// How many trades there were.
    pub trades: u64,
    /// The sum of their prices, in ticks.
    pub sum: u128,
}

/// The trades of a window, the oldest bucket first. Buckets without a trade are left out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TradeBuckets(pub VecDeque<TradeBucket>);

impl TradeBuckets {
    /// More trades than a bucket comes to have: at ten million a second, an hour has fewer. What
    /// [`price`](Self::price) multiplies stays within its numbers.
    const TRADES_MAX: u64 = 1 << 48;

    /// Counts a trade, and forgets what no window contains any more.
    pub fn add(&mut self, mean: Mean, time: Timestamp, price: Price) {
        let (number, _) = mean.place(time);
        while self.0.front().is_some_and(|oldest| oldest.number.saturating_add(u64::from(mean.buckets)) < number) {
            self.0.pop_front();
        }
        let sum = u128::from(price.0);
        match self.0.back_mut().filter(|last| last.number >= number) {
            Some(last) => {
                last.trades = last.trades.saturating_add(1);
                last.sum = last.sum.saturating_add(sum);
            }
            None => self.0.push_back(TradeBucket { number, trades: 1, sum }),
        }
    }

    /// The mean price of the window that ends at `time`; `None` if it has no trade.
    #[must_use]
    pub fn price(&self, mean: Mean, time: Timestamp) -> Option<ReferencePrice> {
        // What is counted has four digits after the point, and its sum as many more than a reference price.
        const COUNT: u128 = 10_000;
        const SUM: u128 = COUNT * ReferencePrice::PER_TICK as u128;
        let ((number, elapsed), width) = (mean.place(time), u128::from(mean.width_ms));
        #[cfg(crossbook_bugs)]
        let elapsed = if crate::bugs::is_planted(crate::bugs::Bug::MeanKeepsOldest) { 0 } else { elapsed };
        let left = width - u128::from(elapsed);
        let end = |bucket: &TradeBucket| bucket.number.saturating_add(u64::from(mean.buckets));
        let (mut trades, mut sum, mut oldest) = (0_u128, 0_u128, None);
        for bucket in self.0.iter().rev() {
            if end(bucket) <= number {
                oldest = Some(bucket).filter(|bucket| end(bucket) == number);
                break;
            }
            (trades, sum) = (trades + u128::from(bucket.trades), sum.saturating_add(bucket.sum));
        }
        let (mut trades, mut sum) = (trades * COUNT, sum.saturating_mul(SUM));
        if let Some(bucket) = oldest {
            // Of the oldest the part that the window still contains.
            let (of_trades, of_sum) = (u128::from(bucket.trades) * COUNT, bucket.sum.saturating_mul(SUM));
            let kept = of_trades * left / width;
            trades += kept;
            sum = sum.saturating_add(of_sum / of_trades * kept + of_sum % of_trades * kept / of_trades);
        }
        let price = sum.checked_div(trades)?;
        Some(u64::try_from(price).map_or(ReferencePrice::MAX, |price| ReferencePrice(price).min(ReferencePrice::MAX)))
    }

    /// Whether they can be those of a window.
    #[must_use]
    pub fn is_sound(&self, mean: Mean) -> bool {
        let sane = |bucket: &TradeBucket| {
            let trades = u128::from(bucket.trades);
            (1..=Self::TRADES_MAX).contains(&bucket.trades)
                && (trades..=trades * u128::from(Price::MAX.0)).contains(&bucket.sum)
        };
        self.0.len() as u64 <= u64::from(mean.buckets) + 1
            && self.0.iter().is_sorted_by(|one, next| one.number < next.number)
            && self.0.iter().all(sane)
    }
}

impl Market {
    /// `price` as a decimal in quote per base, units and scale: with as many digits as the quote asset or the tick has.
    #[must_use]
    pub fn reference_decimal(&self, price: ReferencePrice) -> (i128, u8) {
        let (tick, digits) = (self.tick_size, self.quote.decimals.max(self.tick_size.scale()));
        let scale = tick.scale() + ReferencePrice::DIGITS;
        let exact = i128::from(price.0).checked_mul(tick.units());
        match (exact, scale.checked_sub(digits).and_then(power_of_ten)) {
            (Some(units), Some(by)) => (units / by, digits),
            (Some(units), None) => (units, scale),
            // So long a tick that nobody sees what is left over of it.
            (None, _) => self.price_decimal(price.nearest()),
        }
    }

    /// A decimal in quote per base as a reference price; what is less than a millionth of a tick is cut off. `None` if
    /// nobody may set it.
    #[must_use]
    pub fn reference_price(&self, price: Decimal) -> Option<ReferencePrice> {
        let tick = self.tick_size;
        let (mut units, mut per_tick) =
            (price.units().checked_mul(i128::from(ReferencePrice::PER_TICK))?, tick.units());
        match price.scale().checked_sub(tick.scale()) {
            Some(finer) => per_tick = per_tick.checked_mul(power_of_ten(finer)?)?,
            None => units = units.checked_mul(power_of_ten(tick.scale() - price.scale())?)?,
        }
        let price = ReferencePrice(u64::try_from(units / per_tick).ok()?);
        price.is_sound().then_some(price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::tests::btcusdt;

    fn at(millis: u64) -> Timestamp {
        Timestamp(millis * 1_000 + 999)
    }

    #[test]
    fn a_mean_counts_each_trade_once_and_the_part_of_the_oldest_bucket_that_is_left() {
        let mean = Mean { buckets: 2, width_ms: 1_000 };
        let mut buckets = TradeBuckets::default();
        assert_eq!(buckets.price(mean, at(0)), None);
        for (millis, price) in [(5_100, 10), (5_900, 20), (6_000, 40)] {
            buckets.add(mean, at(millis), Price(price));
        }
        let price = |millis| buckets.price(mean, at(millis)).map(|price| price.0);
        assert_eq!(price(6_000), Some(23_333_333), "70 by 3, cut off");
        // The window begins where the bucket of second 5 does.
        assert_eq!(price(7_000), Some(23_333_333));
        // A quarter of it has left: (30 x 0.75 + 40) by (2 x 0.75 + 1).
        assert_eq!(price(7_250), Some(25_000_000));
        assert_eq!(price(7_999), Some(39_950_099), "(0.03 + 40) by 1.002");
        assert_eq!(price(8_000), Some(40_000_000));
        assert_eq!(price(8_999), Some(40_000_000));
        assert_eq!(price(9_000), None);
        // As little as is left of a trade, its price is what it was; and what is less than a ten-thousandth is nothing.
        let long = Mean { buckets: 1, width_ms: 3_600_000 };
        let mut buckets = TradeBuckets::default();
        buckets.add(long, at(0), Price(7));
        assert_eq!(buckets.price(long, at(7_199_000)), Some(ReferencePrice(7_000_000)));
        assert_eq!(buckets.price(long, at(7_199_999)), None);
    }

    #[test]
    fn no_more_buckets_are_kept_than_a_window_may_reach_into() {
        let mean = Mean { buckets: 3, width_ms: 10 };
        let mut buckets = TradeBuckets::default();
        for millis in 0..1_000 {
            buckets.add(mean, at(millis), Price::MAX);
            assert!(buckets.is_sound(mean), "{buckets:?}");
        }
        assert_eq!(buckets.0.len(), 4);
        assert_eq!(buckets.price(mean, at(1_000)), Some(ReferencePrice::MAX));
        buckets.0[0].sum += 10 * u128::from(Price::MAX.0);
        assert!(!buckets.is_sound(mean));
        for (trades, is_sound) in [(1 << 48, true), ((1 << 48) + 1, false)] {
            let bucket = TradeBucket { number: 1, trades, sum: u128::from(trades) * u128::from(Price::MAX.0) - 1 };
            let buckets = TradeBuckets([bucket].into());
            assert_eq!(buckets.is_sound(mean), is_sound);
            if is_sound {
                // The window still contains a part of it.
                assert_eq!(buckets.price(mean, at(41)), Some(ReferencePrice(ReferencePrice::MAX.0 - 1)));
            }
        }
    }

    proptest::proptest! {
        /// However many trades the buckets have: as if the price of each were multiplied by itself.
        #[test]
        fn a_mean_is_that_of_its_trades(
            parts in proptest::collection::vec((0u64..3, 1u64..1 << 48, 1u64..=Price::MAX.0), 1..6),
            millis in 0u64..40,
        ) {
            let mean = Mean { buckets: 3, width_ms: 4 };
            let mut buckets = TradeBuckets::default();
            let mut number = 0;
            for (gap, trades, price) in parts {
                number += 1 + gap;
                let sum = u128::from(trades) * u128::from(price);
                buckets.0.push_back(TradeBucket { number, trades, sum });
            }
            let (now, elapsed) = mean.place(at(millis));
            let mut whole = (0_u128, 0_u128);
            for bucket in buckets.0.iter().filter(|bucket| bucket.number + 3 >= now) {
                let (mut trades, mut sum) = (u128::from(bucket.trades) * 10_000, bucket.sum * 10_000 * 1_000_000);
                if bucket.number + 3 == now {
                    let kept = trades * u128::from(4 - elapsed) / 4;
                    sum = sum / trades * kept + sum % trades * kept / trades;
                    trades = kept;
                }
                whole = (whole.0 + trades, whole.1 + sum);
            }
            let expected = whole.1.checked_div(whole.0).map(|price| u64::try_from(price).unwrap());
            proptest::prop_assert_eq!(buckets.price(mean, at(millis)).map(|price| price.0), expected);
        }
    }

    #[test]
    fn a_range_is_the_whole_ticks_within_the_multiples() {
        let range = PriceRange { bid_up: Some(11_000), bid_down: Some(9_000), ask_up: None, ask_down: Some(9_999) };
        let limits = |side, reference| range.limits(side, ReferencePrice(reference));
        assert_eq!(limits(Side::Buy, 100_000_000), (Price(90), Price(110)));
        assert_eq!(limits(Side::Buy, 100_000_001), (Price(91), Price(110)));
        assert_eq!(limits(Side::Buy, 109_999_999), (Price(99), Price(120)));
        assert_eq!(limits(Side::Sell, 100_000_000), (Price(100), Price::MAX));
        assert!(range.is_sound() && !PriceRange::default().is_sound());
        for bad in [9_999, PriceRange::MULTIPLIER_MAX + 1] {
            assert!(!PriceRange { ask_up: Some(bad), ..range }.is_sound(), "{bad}");
        }
        for bad in [0, 10_001] {
            assert!(!PriceRange { bid_down: Some(bad), ..range }.is_sound(), "{bad}");
        }
        let close =
            PriceRange { bid_up: Some(10_001), bid_down: Some(9_999), ask_up: Some(10_001), ask_down: Some(9_999) };
        for side in [Side::Buy, Side::Sell] {
            assert_eq!(close.limits(side, ReferencePrice(100_500_000)), (Price(100), Price(101)), "{side:?}");
            assert_eq!(close.limits(side, ReferencePrice(100_000_000)), (Price(100), Price(100)), "{side:?}");
        }
        let widest = PriceRange { bid_up: Some(PriceRange::MULTIPLIER_MAX), ..range };
        assert_eq!(widest.limits(Side::Buy, ReferencePrice::MAX).1, Price::MAX);
    }

    #[test]
    fn calculations_have_bounds() {
        let mean = |buckets, width_ms| ReferenceCalculation::ArithmeticMean(Mean { buckets, width_ms }).is_sound();
        assert!(mean(1, 1) && mean(Mean::BUCKETS_MAX, Mean::WIDTH_MAX_MS));
        assert!(!mean(0, 1) && !mean(1, 0) && !mean(Mean::BUCKETS_MAX + 1, 1) && !mean(1, Mean::WIDTH_MAX_MS + 1));
    }

    #[test]
    fn reference_prices_are_decimals_of_the_quote_asset() {
        let market = Market::new_checked(btcusdt()).unwrap();
        let read = |text: &str| market.reference_price(Decimal::parse(text).unwrap());
        let price = read("50000.123456789").unwrap();
        assert_eq!(price, ReferencePrice(5_000_012_345_678));
        assert_eq!(market.reference_decimal(price), (5_000_012_345_678, 8));
        assert_eq!(read("0.01"), Some(ReferencePrice(1_000_000)));
        assert_eq!((read("0.00999"), read("0"), read("-1"), read("99999999999")), (None, None, None, None));
        let mut whole = btcusdt();
        (whole.tick_size, whole.step_size) = (Decimal::parse("5").unwrap(), Decimal::parse("1").unwrap());
        whole.quote.decimals = 2;
        let market = Market::new_checked(whole).unwrap();
        let price = market.reference_price(Decimal::parse("12.345").unwrap()).unwrap();
        assert_eq!((price, market.reference_decimal(price)), (ReferencePrice(2_469_000), (1_234, 2)));
    }
}
