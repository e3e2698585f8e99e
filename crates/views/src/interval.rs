//! The sixteen candle intervals and their grids. Most are aligned to the epoch; weeks begin on Monday, months by the
//! calendar. A time zone shifts the grid.

use crossbook_types::Timestamp;
use serde::{Deserialize, Serialize};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// The epoch was a Thursday; the first Monday came four days later.
const FIRST_MONDAY: i64 = 4 * DAY;

macro_rules! intervals {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// How long a candle lasts.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum Interval { $($(#[$doc])* $variant),+ }

        impl Interval {
            /// Every interval, the shortest first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the client API.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The interval of that name on the client API.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

intervals! {
    /// A second.
    Second1 = "1s",
    /// A minute.
    Minute1 = "1m",
    /// Three minutes.
    Minute3 = "3m",
    /// Five minutes.
    Minute5 = "5m",
    /// A quarter of an hour.
    Minute15 = "15m",
    /// Half an hour.
    Minute30 = "30m",
    /// An hour.
    Hour1 = "1h",
    /// Two hours.
    Hour2 = "2h",
    /// Four hours.
    Hour4 = "4h",
    /// Six hours.
    Hour6 = "6h",
    /// Eight hours.
    Hour8 = "8h",
    /// Half a day.
    Hour12 = "12h",
    /// A day.
    Day1 = "1d",
    /// Three days, counted from the epoch.
    Day3 = "3d",
    /// A week, from Monday.
    Week1 = "1w",
    /// A calendar month.
    Month1 = "1M",
}

/// A time zone, as minutes ahead of UTC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Offset(i16);

impl Offset {
    /// The time zone of UTC.
    pub const UTC: Self = Self(0);

    /// From minutes ahead of UTC; `None` unless from -12 to +14 hours.
    #[must_use]
    pub fn from_minutes(minutes: i32) -> Option<Self> {
        if (-12 * 60..=14 * 60).contains(&minutes) { i16::try_from(minutes).ok().map(Self) } else { None }
    }

    /// Reads `8`, `-1:00`, `+05:45`; `None` unless from -12:00 to +14:00.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
        let number = |text: &str| {
            let plain = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            if plain { text.parse::<i32>().ok() } else { None }
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        if minutes >= 60 {
            return None;
        }
        let total = hours * 60 + minutes;
        Self::from_minutes(if negative { -total } else { total })
    }

    /// Minutes ahead of UTC.
    #[must_use]
    pub fn minutes(self) -> i32 {
        i32::from(self.0)
    }

    fn micros(self) -> i64 {
        i64::from(self.0) * MINUTE
    }
}

impl Interval {
    /// Its length, unless it depends on the calendar.
    fn length(self) -> Option<i64> {
        Some(match self {
            Self::Second1 => SECOND,
            Self::Minute1 => MINUTE,
            Self::Minute3 => 3 * MINUTE,
            Self::Minute5 => 5 * MINUTE,
            Self::Minute15 => 15 * MINUTE,
            Self::Minute30 => 30 * MINUTE,
            Self::Hour1 => HOUR,
            Self::Hour2 => 2 * HOUR,
            Self::Hour4 => 4 * HOUR,
            Self::Hour6 => 6 * HOUR,
            Self::Hour8 => 8 * HOUR,
            Self::Hour12 => 12 * HOUR,
            Self::Day1 => DAY,
            Self::Day3 => 3 * DAY,
            Self::Week1 => WEEK,
            Self::Month1 => return None,
        })
    }

    /// When the candle that contains `time` begins. A candle that would begin before the epoch begins with it.
    #[must_use]
    pub fn open_time(self, time: Timestamp, offset: Offset) -> Timestamp {
        let local = local(time, offset);
        let open = match self.length() {
            Some(length) => local - (local - self.anchor()).rem_euclid(length),
            None => {
                let (year, month) = month_of(local.div_euclid(DAY));
                first_of(year, month) * DAY
            }
        };
        utc(open, offset)
    }

    /// When the candle after the one that contains `time` begins.
    #[must_use]
    pub fn next_open(self, time: Timestamp, offset: Offset) -> Timestamp {
        let local = local(time, offset);
        let next = match self.length() {
            Some(length) => local - (local - self.anchor()).rem_euclid(length) + length,
            None => {
                let (year, month) = month_of(local.div_euclid(DAY));
                let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                first_of(year, month) * DAY
            }
        };
        utc(next, offset)
    }

    fn anchor(self) -> i64 {
        if self == Self::Week1 { FIRST_MONDAY } else { 0 }
    }

    /// The longest interval whose UTC candles, put together, make this one's candles in the time zone. The interval
    /// itself where the time zone does not move its grid.
    pub(crate) fn unit(self, offset: Offset) -> Self {
        let shift = offset.micros();
        if self.length().map_or(shift == 0, |length| shift % length == 0) {
            return self;
        }
        // Days, weeks and months are whole numbers of days; the grids of the shorter intervals all pass through the
        // epoch.
        let span = self.length().map_or(DAY, |length| if length > DAY { DAY } else { length });
        let fits = |unit: &&Self| {
            unit.length().is_some_and(|length| length <= DAY && span % length == 0 && shift % length == 0)
        };
        Self::ALL.iter().rev().find(fits).copied().unwrap_or(Self::Second1)
    }
}

fn local(time: Timestamp, offset: Offset) -> i64 {
    // Times this far off come only from a caller's query; the end of time serves it as well.
    i64::try_from(time.0).unwrap_or(i64::MAX).min(i64::MAX / 2) + offset.micros()
}

fn utc(local: i64, offset: Offset) -> Timestamp {
    Timestamp(u64::try_from(local - offset.micros()).unwrap_or(0))
}

/// Year and month (1 to 12) of a day counted from the epoch, in the Gregorian calendar. Counts in eras of 400 years and
/// in years that begin in March, so that the leap day comes last.
fn month_of(day: i64) -> (i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month)
}

/// The first day of a month, counted from the epoch; the inverse of [`month_of`].
fn first_of(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    #[test]
    fn candles_begin_where_the_calendar_says() {
        // Sunday, 22 November 2026, 21:18:54 UTC.
        let time = seconds(1_795_382_334);
        let open = |interval: Interval| interval.open_time(time, Offset::UTC);
        assert_eq!(open(Interval::Second1), time);
        assert_eq!(open(Interval::Minute15), seconds(1_795_382_100)); // 21:15
        assert_eq!(open(Interval::Hour8), seconds(1_795_363_200)); // 16:00
        assert_eq!(open(Interval::Day1), seconds(1_795_305_600));
        assert_eq!(open(Interval::Week1), seconds(1_794_787_200)); // Monday, the 16th
        assert_eq!(open(Interval::Month1), seconds(1_793_491_200)); // the 1st
        assert_eq!(Interval::Month1.next_open(time, Offset::UTC), seconds(1_796_083_200)); // 1 December
        assert_eq!(open(Interval::Day3).0 % (3 * DAY as u64), 0);
        let tokyo = Offset::parse("9").unwrap();
        // There it is already Monday, the 23rd, 06:18:54.
        assert_eq!(Interval::Day1.open_time(time, tokyo), seconds(1_795_359_600));
        assert_eq!(Interval::Week1.open_time(time, tokyo), seconds(1_795_359_600));
    }

    #[test]
    fn months_cover_all_days_once() {
        let mut day = 0;
        for year in 1970..2110 {
            for month in 1..=12 {
                let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
                let length = match month {
                    2 => 28 + i64::from(leap),
                    4 | 6 | 9 | 11 => 30,
                    _ => 31,
                };
                assert_eq!(first_of(year, month), day);
                assert!((day..day + length).all(|day| month_of(day) == (year, month)));
                day += length;
            }
        }
    }

    #[test]
    fn the_end_of_one_candle_is_the_start_of_the_next() {
        for &interval in Interval::ALL {
            for minutes in [-720, -61, -60, 0, 1, 30, 345, 480, 840] {
                let offset = Offset::from_minutes(minutes).unwrap();
                let mut open = interval.open_time(seconds(1_795_382_334), offset);
                for _ in 0..40 {
                    let next = interval.next_open(open, offset);
                    assert!(next > open);
                    assert_eq!(interval.open_time(next, offset), next);
                    assert_eq!(interval.open_time(Timestamp(next.0 - 1), offset), open);
                    open = next;
                }
            }
        }
    }

    #[test]
    fn shifted_candles_are_made_of_the_longest_that_fit() {
        let unit = |interval: Interval, text: &str| interval.unit(Offset::parse(text).unwrap());
        assert_eq!(unit(Interval::Day1, "0"), Interval::Day1);
        assert_eq!(unit(Interval::Month1, "0"), Interval::Month1);
        assert_eq!(unit(Interval::Day1, "8"), Interval::Hour8);
        assert_eq!(unit(Interval::Week1, "-12"), Interval::Hour12);
        assert_eq!(unit(Interval::Month1, "5:30"), Interval::Minute30);
        assert_eq!(unit(Interval::Hour1, "5:45"), Interval::Minute15);
        assert_eq!(unit(Interval::Hour1, "-7"), Interval::Hour1);
        assert_eq!(unit(Interval::Minute15, "0:01"), Interval::Minute1);
        assert_eq!(unit(Interval::Second1, "0:01"), Interval::Second1);
    }

    #[test]
    fn offsets_are_read_strictly() {
        assert_eq!(Offset::parse("-1:00").map(Offset::minutes), Some(-60));
        assert_eq!(Offset::parse("05:45").map(Offset::minutes), Some(345));
        assert_eq!(Offset::parse("+14").map(Offset::minutes), Some(840));
        for text in ["", "15", "-12:01", "14:01", "1:60", "1:", ":1", "a", "1:2:3", "--1", "001"] {
            assert_eq!(Offset::parse(text), None, "{text:?}");
        }
    }
}
