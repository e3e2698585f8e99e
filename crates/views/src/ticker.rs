//! Statistics over a sliding window: the last 24 hours, in steps of a minute, and the average price of the last five
//! minutes, in steps of a second. Both are computed from the candles.

use crossbook_types::{Amount, Decimal, Market, Price, Quantity, Timestamp, TradeId};

use crate::candles::{Candle, Candles};
use crate::depth::Level;
use crate::interval::{Interval, Offset};
use crate::trades::PublicTrade;

/// Digits after the point of an average price.
pub const AVERAGE_SCALE: u8 = 8;
/// Digits after the point of a change in percent.
pub const PERCENT_SCALE: u8 = 3;
/// The minutes that [`AveragePrice`] covers.
pub const AVERAGE_MINUTES: u64 = 5;

const SECOND: u64 = 1_000_000;
const DAY: u64 = 24 * 60 * 60 * SECOND;

/// A market's last 24 hours, which are 86,400,000 milliseconds. What traded is counted in steps of a minute: the one in
/// which the 24 hours begin counts whole. Where nothing traded in them, the prices are the last one and the rest is
/// zero; where nothing ever traded, the prices are zero too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticker {
    /// 24 hours before now.
    pub open_time: Timestamp,
    /// End of the window: the time of the query.
    pub close_time: Timestamp,
    /// The last price before; zero if there was no trade.
    pub previous_close: Price,
    /// The first price.
    pub open: Price,
    /// The highest price.
    pub high: Price,
    /// The lowest price.
    pub low: Price,
    /// The last price.
    pub last: Price,
    /// The quantity of the last trade.
    pub last_quantity: Quantity,
    /// What traded, in the base asset's smallest unit.
    pub volume: Amount,
    /// What traded, in the quote asset's smallest unit.
    pub quote_volume: Amount,
    /// Quote volume by base volume, rounded to the nearest of [`AVERAGE_SCALE`] digits; `None` if nothing traded.
    pub weighted_average: Option<Decimal>,
    /// The first trade; 0 if there was none.
    pub first_trade: TradeId,
    /// The last trade; 0 if there was none.
    pub last_trade: TradeId,
    /// How many trades.
    pub trades: u64,
}

impl Ticker {
    pub(crate) fn at(market: &Market, candles: &Candles, last: Option<&PublicTrade>, now: Timestamp) -> Self {
        // The clock that asks may lag behind the one that traded.
        let now = last.map_or(now, |last| now.max(last.time));
        let begin = Timestamp(now.0.saturating_sub(DAY));
        let from = Interval::Minute1.open_time(begin, Offset::UTC);
        // A market that was imported less than a day after its last trade begins with a candle without trades.
        let first =
            || candles.stored(Interval::Minute1, from, Timestamp(u64::MAX)).next().filter(|first| first.trades == 0);
        let before = candles.before(Interval::Minute1, from).or_else(first).map_or(Price(0), |candle| candle.close);
        let mut window = Candle::empty(from, Timestamp(now.0.saturating_add(1)), before);
        candles.since(from).for_each(|part| window.append(part));
        Self {
            open_time: begin,
            close_time: now,
            previous_close: before,
            open: window.open,
            high: window.high,
            low: window.low,
            last: window.close,
            last_quantity: last.map_or(Quantity::ZERO, |last| last.quantity),
            volume: window.volume,
            quote_volume: window.quote_volume,
            weighted_average: average(market, window.quote_volume, window.volume),
            first_trade: window.first_trade,
            last_trade: window.last_trade,
            trades: window.trades,
        }
    }

    /// The last price less the first, in ticks.
    #[must_use]
    pub fn change(&self) -> i64 {
        // A price has 42 bits.
        self.last.0 as i64 - self.open.0 as i64
    }

    /// The change in percent of the first price, rounded to the nearest of [`PERCENT_SCALE`] digits, halves away from
    /// zero; zero if nothing ever traded.
    #[must_use]
    pub fn change_percent(&self) -> Decimal {
        change_percent(self.open, self.last)
    }
}

/// The change from one price to another in percent of the first, rounded to the nearest of [`PERCENT_SCALE`] digits,
/// halves away from zero; zero if there is no first.
pub(crate) fn change_percent(open: Price, last: Price) -> Decimal {
    let change = i128::from(last.0) - i128::from(open.0);
    let thousandths = match i128::from(open.0) {
        0 => 0,
        open => (change * 200_000 + open * change.signum()) / (2 * open),
    };
    Decimal::new_checked(thousandths, PERCENT_SCALE).expect("a scale of three is allowed")
}

/// The best prices of a book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BookTicker {
    /// The highest price that buyers offer.
    pub bid: Option<Level>,
    /// The lowest price that sellers offer.
    pub ask: Option<Level>,
    /// The number of the last change of the depth.
    pub update: u64,
}

/// The average price of the last minutes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AveragePrice {
    /// How many minutes: [`AVERAGE_MINUTES`].
    pub minutes: u64,
    /// Quote volume by base volume, rounded to the nearest of [`AVERAGE_SCALE`] digits. Where nothing traded in these
    /// minutes, the last price; `None` if nothing ever did.
    pub price: Option<Decimal>,
    /// When the last trade was; 0 if there never was one.
    pub last_trade_time: Timestamp,
}

impl AveragePrice {
    pub(crate) fn at(market: &Market, candles: &Candles, last: Option<&PublicTrade>, now: Timestamp) -> Self {
        let now = last.map_or(now, |last| now.max(last.time));
        let second = Interval::Second1.open_time(now, Offset::UTC);
        let from = Timestamp(second.0.saturating_sub((AVERAGE_MINUTES * 60 - 1) * SECOND));
        let (mut quote, mut base) = (Amount::ZERO, Amount::ZERO);
        for part in candles.stored(Interval::Second1, from, Timestamp(u64::MAX)) {
            quote = quote.saturating_add(part.quote_volume);
            base = base.saturating_add(part.volume);
        }
        let of_last = || {
            let (units, scale) = market.price_decimal(last?.price);
            Decimal::new_checked(units, scale)
        };
        Self {
            minutes: AVERAGE_MINUTES,
            price: average(market, quote, base).or_else(of_last),
            last_trade_time: last.map_or(Timestamp(0), |last| last.time),
        }
    }
}

/// Quote by base as a price, rounded to the nearest of [`AVERAGE_SCALE`] digits, halves up; `None` if there is nothing
/// to divide by, or the price has more digits than a decimal holds.
pub(crate) fn average(market: &Market, quote: Amount, base: Amount) -> Option<Decimal> {
    let (quote, base) = (u128::try_from(quote.0).ok()?, u128::try_from(base.0).ok()?);
    if base == 0 {
        return None;
    }
    let up = market.base.decimals + AVERAGE_SCALE;
    let down = market.quote.decimals;
    let (mut units, mut rest) = (quote / base, quote % base);
    for _ in down..up {
        units = units.checked_mul(10)?;
        // The next digit is how often `base` goes into ten times the rest. Below 2^127 the sum of two always fits, ten
        // times one may not.
        if let Some(tenfold) = rest.checked_mul(10) {
            units = units.checked_add(tenfold / base)?;
            rest = tenfold % base;
            continue;
        }
        let mut sum = 0;
        for _ in 0..10 {
            sum += rest;
            if sum >= base {
                sum -= base;
                units = units.checked_add(1)?;
            }
        }
        rest = sum;
    }
    if up < down {
        // The last digits are left out. Half of what they count is a whole number, so what is behind the point makes no
        // difference.
        let divisor = 10_u128.checked_pow(u32::from(down - up))?;
        (units, rest) = (units / divisor, units % divisor);
        units = units.checked_add(u128::from(rest >= divisor / 2))?;
    } else {
        units = units.checked_add(u128::from(rest >= base - rest))?;
    }
    Decimal::new_checked(i128::try_from(units).ok()?, AVERAGE_SCALE)
}

#[cfg(test)]
mod tests {
    use crossbook_oracle::sample;
    use crossbook_types::Filters;
    use crossbook_types::market::Description;

    use super::*;

    fn market(base_decimals: u8, quote_decimals: u8) -> Market {
        let (mut base, mut quote) = (sample::asset(0, "A"), sample::asset(1, "B"));
        (base.decimals, quote.decimals) = (base_decimals, quote_decimals);
        let btcusdt = sample::btcusdt();
        let filters = Filters { quantity_max: Quantity(100), market_quantity_max: Quantity(100), ..btcusdt.filters };
        let one = Decimal::parse("1").unwrap();
        let description = Description { base, quote, tick_size: one, step_size: one, filters, ..btcusdt };
        Market::new_checked(description).unwrap()
    }

    #[test]
    fn averages_are_rounded_to_the_nearest_at_any_size() {
        let average = |base_decimals, quote_decimals, quote, base| {
            let market = market(base_decimals, quote_decimals);
            super::average(&market, Amount(quote), Amount(base)).map(|price| price.to_string())
        };
        assert_eq!(average(8, 8, 200, 300).as_deref(), Some("0.66666667"));
        assert_eq!(average(0, 2, 100, 3).as_deref(), Some("0.33333333"));
        assert_eq!(average(0, 18, 2 * 10_i128.pow(18), 3).as_deref(), Some("0.66666667"));
        assert_eq!(average(0, 18, 14_999_999_999, 1).as_deref(), Some("0.00000001"));
        assert_eq!(average(0, 18, 29_999_999_999, 2).as_deref(), Some("0.00000001"));
        assert_eq!(average(0, 18, 15_000_000_000, 1).as_deref(), Some("0.00000002"));
        assert_eq!(average(18, 0, 2, 3 * 10_i128.pow(18)).as_deref(), Some("0.66666667"));
        assert_eq!(average(8, 8, 1, 200_000_000).as_deref(), Some("0.00000001"), "a half goes up");
        assert_eq!(average(8, 8, 1, 200_000_001).as_deref(), Some("0.00000000"));
        assert_eq!(average(18, 18, i128::MAX - 1, i128::MAX).as_deref(), Some("1.00000000"));
        assert_eq!(average(18, 18, i128::MAX, i128::MAX).as_deref(), Some("1.00000000"));
        assert_eq!(average(8, 8, 200, 0), None);
        assert_eq!(average(18, 0, i128::MAX, 1), None);
    }

    #[test]
    fn changes_are_rounded_to_three_digits_of_a_percent() {
        let candles = Candles::default();
        let ticker = Ticker::at(&market(8, 8), &candles, None, Timestamp(1 << 50));
        let change =
            |open, last| Ticker { open: Price(open), last: Price(last), ..ticker }.change_percent().to_string();
        assert_eq!(change(300, 301), "0.333");
        assert_eq!(change(300, 299), "-0.333");
        assert_eq!(change(300, 302), "0.667");
        assert_eq!(change(300, 298), "-0.667");
        assert_eq!((change(200_000, 200_001), change(200_000, 199_999)), ("0.001".into(), "-0.001".into()));
        assert_eq!(change(1, 3), "200.000");
        assert_eq!(change(0, 0), "0.000");
    }
}
