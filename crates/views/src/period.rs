//! Statistics over any period that begins with a whole minute: the last minutes, hours or days, or the day in a time
//! zone. They are summed up from the candles: minutes up to the next hour, hours up to the next day, and then days. So
//! they are exact, and few candles are read however long the period is.

use crossbook_types::{Amount, Decimal, Market, Price, Timestamp, TradeId};

use crate::candles::{Candle, Candles};
use crate::interval::{Interval, Offset};
use crate::ticker::{average, change_percent};
use crate::trades::PublicTrade;

const MINUTE: u64 = 60 * 1_000_000;
/// Minutes of an hour and of a day.
const HOUR_MINUTES: u64 = 60;
const DAY_MINUTES: u64 = 24 * HOUR_MINUTES;

/// The period of some statistics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Period {
    /// The last so many minutes, and the whole minute in which they begin.
    Minutes(u64),
    /// The day in a time zone.
    Day(Offset),
}

impl Period {
    /// The last hour.
    pub const HOUR: Self = Self::Minutes(HOUR_MINUTES);
    /// The last four hours.
    pub const FOUR_HOURS: Self = Self::Minutes(4 * HOUR_MINUTES);
    /// The last 24 hours.
    pub const DAY: Self = Self::Minutes(DAY_MINUTES);

    /// Reads `15m`, `4h` or `7d`; `None` unless from 1 to 59 minutes, 23 hours or 7 days.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (at, unit) = text.char_indices().next_back()?;
        let (minutes, max) = match unit {
            'm' => (1, 59),
            'h' => (HOUR_MINUTES, 23),
            'd' => (DAY_MINUTES, 7),
            _ => return None,
        };
        let digits = &text[..at];
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        let count = digits.parse::<u64>().ok().filter(|count| plain && (1..=max).contains(count))?;
        Some(Self::Minutes(count * minutes))
    }

    /// When it begins and ends, at `now`.
    #[must_use]
    pub fn bounds(self, now: Timestamp) -> (Timestamp, Timestamp) {
        match self {
            Self::Minutes(minutes) => {
                let begin = Timestamp(now.0.saturating_sub(minutes.saturating_mul(MINUTE)));
                (Interval::Minute1.open_time(begin, Offset::UTC), now)
            }
            Self::Day(offset) => {
                let next = Interval::Day1.next_open(now, offset);
                (Interval::Day1.open_time(now, offset), Timestamp(next.0.saturating_sub(1)))
            }
        }
    }
}

/// What memory has counted of a period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    open_time: Timestamp,
    close_time: Timestamp,
    /// Everything that memory has, as one candle.
    known: Candle,
    missing: Option<(Timestamp, Timestamp)>,
}

impl Counted {
    pub(crate) fn at(candles: &Candles, last: Option<&PublicTrade>, period: Period, now: Timestamp) -> Self {
        // The clock that asks may lag behind the one that traded.
        let now = last.map_or(now, |last| now.max(last.time));
        let (open_time, close_time) = period.bounds(now);
        let mut known = Candle::empty(open_time, Timestamp(close_time.0.saturating_add(1)), Price(0));
        let hour = next_or_same(Interval::Hour1, open_time);
        candles.since(open_time).for_each(|part| known.append(part));
        // There are always more hours and days than a period can have.
        let forgotten = candles.forgotten(Interval::Minute1).filter(|forgotten| *forgotten >= open_time);
        let missing = forgotten.map(|forgotten| (open_time, hour.min(Timestamp(forgotten.0 + 1))));
        Self { open_time, close_time, known, missing: missing.filter(|(from, to)| from < to) }
    }

    /// The range in which the minutes begin that memory no longer holds: from the first time up to, and without, the
    /// second. Nothing is added to them any more.
    #[must_use]
    pub fn missing(&self) -> Option<(Timestamp, Timestamp)> {
        self.missing
    }

    /// The statistics, with the missing minutes, the oldest first.
    #[must_use]
    pub fn ticker(&self, market: &Market, missing: &[Candle]) -> PeriodTicker {
        let &Self { open_time, close_time, known, .. } = self;
        let mut whole = Candle::empty(open_time, Timestamp(close_time.0.saturating_add(1)), Price(0));
        missing.iter().chain([&known]).for_each(|part| whole.append(part));
        PeriodTicker {
            open_time,
            close_time,
            open: whole.open,
            high: whole.high,
            low: whole.low,
            last: whole.close,
            volume: whole.volume,
            quote_volume: whole.quote_volume,
            weighted_average: average(market, whole.quote_volume, whole.volume),
            first_trade: whole.first_trade,
            last_trade: whole.last_trade,
            trades: whole.trades,
        }
    }
}

impl Candles {
    /// The stored candles that make up the time from a whole minute on.
    pub(crate) fn since(&self, from: Timestamp) -> impl Iterator<Item = &Candle> {
        let hour = next_or_same(Interval::Hour1, from);
        let day = next_or_same(Interval::Day1, hour);
        let (minutes, hours) = (self.stored(Interval::Minute1, from, hour), self.stored(Interval::Hour1, hour, day));
        minutes.chain(hours).chain(self.stored(Interval::Day1, day, Timestamp(u64::MAX)))
    }
}

/// The first time, from `time` on, at which a candle of that interval begins.
fn next_or_same(interval: Interval, time: Timestamp) -> Timestamp {
    match interval.open_time(time, Offset::UTC) {
        open if open == time => open,
        open => interval.next_open(open, Offset::UTC),
    }
}

/// What traded in a period. Where nothing did, all is zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeriodTicker {
    /// When the period begins.
    pub open_time: Timestamp,
    /// When it ends.
    pub close_time: Timestamp,
    /// The first price.
    pub open: Price,
    /// The highest price.
    pub high: Price,
    /// The lowest price.
    pub low: Price,
    /// The last price.
    pub last: Price,
    /// What traded, in the base asset's smallest unit.
    pub volume: Amount,
    /// What traded, in the quote asset's smallest unit.
    pub quote_volume: Amount,
    /// Quote volume by base volume, rounded to the nearest of [`AVERAGE_SCALE`](crate::ticker::AVERAGE_SCALE) digits;
    /// `None` if nothing traded.
    pub weighted_average: Option<Decimal>,
    /// The first trade; 0 if there was none.
    pub first_trade: TradeId,
    /// The last trade; 0 if there was none.
    pub last_trade: TradeId,
    /// How many trades.
    pub trades: u64,
}

impl PeriodTicker {
    /// The last price less the first, in ticks.
    #[must_use]
    pub fn change(&self) -> i64 {
        // A price has 42 bits.
        self.last.0 as i64 - self.open.0 as i64
    }

    /// The change in percent of the first price, rounded to the nearest of
    /// [`PERCENT_SCALE`](crate::ticker::PERCENT_SCALE) digits, halves away from zero; zero if nothing traded.
    #[must_use]
    pub fn change_percent(&self) -> Decimal {
        change_percent(self.open, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_strictly() {
        for (text, minutes) in [("1m", 1), ("59m", 59), ("1h", 60), ("23h", 1_380), ("1d", 1_440), ("7d", 10_080)] {
            assert_eq!(Period::parse(text), Some(Period::Minutes(minutes)), "{text}");
        }
        for text in [
            "",
            "m",
            "0m",
            "60m",
            "24h",
            "8d",
            "01m",
            "+1m",
            "1",
            "1w",
            "1M",
            "1.5h",
            "1h30m",
            "99999999999999999999d",
            "1д",
        ] {
            assert_eq!(Period::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn periods_begin_with_a_minute_or_a_day_of_a_time_zone() {
        let millis = Timestamp::from_millis;
        let now = millis(1_641_287_867_099);
        assert_eq!(Period::DAY.bounds(now), (millis(1_641_201_420_000), now));
        assert_eq!(Period::Minutes(1).bounds(now), (millis(1_641_287_760_000), now));
        assert_eq!(Period::Minutes(1).bounds(Timestamp(1)), (Timestamp(0), Timestamp(1)));
        let end = |open: u64| (millis(open), Timestamp(millis(open + 86_400_000).0 - 1));
        assert_eq!(Period::Day(Offset::UTC).bounds(now), end(1_641_254_400_000));
        // At 09:17:47 by UTC, 18:17:47 in Tokyo, 21:17:47 of the day before in the west, and 15:02:47 in Kathmandu.
        assert_eq!(Period::Day(Offset::parse("9").unwrap()).bounds(now), end(1_641_254_400_000 - 9 * 3_600_000));
        assert_eq!(Period::Day(Offset::parse("-12").unwrap()).bounds(now), end(1_641_254_400_000 - 12 * 3_600_000));
        assert_eq!(Period::Day(Offset::parse("05:45").unwrap()).bounds(now), end(1_641_254_400_000 - 20_700_000));
    }
}
