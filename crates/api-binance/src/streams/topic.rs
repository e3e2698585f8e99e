//! The streams that a client can subscribe to, and their names. A name such as `btcusdt@depth5@100ms` is parsed once,
//! when the client subscribes; from then on the stream is a [`Topic`], which is cheap to compare and to look up.

use crossbook_types::SymbolName;
use crossbook_views::{Interval, Offset, Period};

/// One stream of public market data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Topic {
    /// A stream of one market. The market need not exist yet.
    Market(SymbolName, Kind),
    /// The short tickers of all markets that changed.
    AllMiniTickers,
    /// The tickers of all markets that changed.
    AllTickers,
    /// The statistics over a rolling window of all markets that changed.
    AllRollingTickers(Rolling),
}

/// The content of a stream of one market.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Every trade.
    Trade,
    /// The trades of one taker order at one price, as one.
    AggregateTrade,
    /// The best bid and ask, whenever they change.
    BookTicker,
    /// The price levels that changed.
    DepthChanges(Pace),
    /// The best levels of both sides, whenever the book changed.
    DepthTop(Levels, Pace),
    /// The current candle.
    Candle(Interval, Offset),
    /// The rolling statistics of 24 hours, in short.
    MiniTicker,
    /// The rolling statistics of 24 hours.
    Ticker,
    /// The statistics over a rolling window.
    RollingTicker(Rolling),
    /// The average price over five minutes.
    AveragePrice,
    /// The reference price.
    ReferencePrice,
    /// The status, whenever it changes.
    Status,
}

/// The windows that have a stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rolling {
    /// The last hour.
    Hour,
    /// The last four hours.
    FourHours,
    /// The last 24 hours.
    Day,
}

impl Rolling {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hour, Self::FourHours, Self::Day];

    /// The name in that of a stream.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::FourHours => "4h",
            Self::Day => "1d",
        }
    }

    /// The period of the statistics.
    #[must_use]
    pub fn period(self) -> Period {
        match self {
            Self::Hour => Period::HOUR,
            Self::FourHours => Period::FOUR_HOURS,
            Self::Day => Period::DAY,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.as_str() == name)
    }
}

/// How often a stream of depth speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pace {
    /// Every 100 milliseconds.
    Fast,
    /// Every second.
    Slow,
}

/// How many price levels of a side a stream of depth shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Levels {
    /// The best five levels.
    Five,
    /// The best ten levels.
    Ten,
    /// The best twenty levels.
    Twenty,
}

impl Levels {
    /// The number of levels.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Five => 5,
            Self::Ten => 10,
            Self::Twenty => 20,
        }
    }
}

impl Topic {
    /// The stream of that name, or `None` if no stream is called so. Whether the market exists is not asked.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "!miniTicker@arr" => return Some(Self::AllMiniTickers),
            "!ticker@arr" => return Some(Self::AllTickers),
            _ => {}
        }
        if let Some(window) = name.strip_prefix("!ticker_").and_then(|rest| rest.strip_suffix("@arr")) {
            return Rolling::from_name(window).map(Self::AllRollingTickers);
        }
        let (symbol, kind) = name.split_once('@')?;
        if symbol.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        // Some clients put all letters into lower case, others only those of ASCII. No name of a market has both, so
        // either finds it.
        let symbol = SymbolName::new_checked(&symbol.to_uppercase()).ok()?;
        Some(Self::Market(symbol, Kind::parse(kind)?))
    }
}

impl Kind {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "trade" => return Some(Self::Trade),
            "aggTrade" => return Some(Self::AggregateTrade),
            "bookTicker" => return Some(Self::BookTicker),
            "miniTicker" => return Some(Self::MiniTicker),
            "ticker" => return Some(Self::Ticker),
            "avgPrice" => return Some(Self::AveragePrice),
            "referencePrice" => return Some(Self::ReferencePrice),
            "symbolStatus" => return Some(Self::Status),
            _ => {}
        }
        if let Some(window) = text.strip_prefix("ticker_") {
            return Rolling::from_name(window).map(Self::RollingTicker);
        }
        if let Some(rest) = text.strip_prefix("kline_") {
            let (interval, offset) = match rest.split_once('@') {
                Some((interval, offset)) => (interval, Offset::parse(offset.strip_prefix('+').unwrap_or(offset))?),
                None => (rest, Offset::UTC),
            };
            return Some(Self::Candle(Interval::from_name(interval)?, offset));
        }
        let rest = text.strip_prefix("depth")?;
        let (levels, pace) = match rest.split_once('@') {
            Some((levels, "100ms")) => (levels, Pace::Fast),
            Some((levels, "1000ms")) => (levels, Pace::Slow),
            Some(_) => return None,
            None => (rest, Pace::Slow),
        };
        match levels {
            "" => Some(Self::DepthChanges(pace)),
            "5" => Some(Self::DepthTop(Levels::Five, pace)),
            "10" => Some(Self::DepthTop(Levels::Ten, pace)),
            "20" => Some(Self::DepthTop(Levels::Twenty, pace)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_btcusdt(kind: Kind) -> Option<Topic> {
        Some(Topic::Market(SymbolName::new_checked("BTCUSDT").unwrap(), kind))
    }

    #[test]
    fn names_are_read() {
        for (name, kind) in [
            ("btcusdt@trade", Kind::Trade),
            ("btcusdt@aggTrade", Kind::AggregateTrade),
            ("btcusdt@bookTicker", Kind::BookTicker),
            ("btcusdt@depth", Kind::DepthChanges(Pace::Slow)),
            ("btcusdt@depth@100ms", Kind::DepthChanges(Pace::Fast)),
            ("btcusdt@depth@1000ms", Kind::DepthChanges(Pace::Slow)),
            ("btcusdt@depth5", Kind::DepthTop(Levels::Five, Pace::Slow)),
            ("btcusdt@depth20@100ms", Kind::DepthTop(Levels::Twenty, Pace::Fast)),
            ("btcusdt@kline_1M", Kind::Candle(Interval::Month1, Offset::UTC)),
            ("btcusdt@kline_1m", Kind::Candle(Interval::Minute1, Offset::UTC)),
            ("btcusdt@kline_1d@+08:00", Kind::Candle(Interval::Day1, Offset::from_minutes(480).unwrap())),
            ("btcusdt@miniTicker", Kind::MiniTicker),
            ("btcusdt@ticker", Kind::Ticker),
            ("btcusdt@ticker_1h", Kind::RollingTicker(Rolling::Hour)),
            ("btcusdt@ticker_4h", Kind::RollingTicker(Rolling::FourHours)),
            ("btcusdt@ticker_1d", Kind::RollingTicker(Rolling::Day)),
            ("btcusdt@avgPrice", Kind::AveragePrice),
            ("btcusdt@referencePrice", Kind::ReferencePrice),
            ("btcusdt@symbolStatus", Kind::Status),
        ] {
            assert_eq!(Topic::parse(name), of_btcusdt(kind), "{name}");
        }
        for (name, symbol) in [("币安人生usdt", "币安人生USDT"), ("１２３４５６", "１２３４５６"), ("åÄ-x", "ÅÄ-X")]
        {
            let market = SymbolName::new_checked(symbol).unwrap();
            assert_eq!(Topic::parse(&format!("{name}@trade")), Some(Topic::Market(market, Kind::Trade)));
        }
        assert_eq!(Topic::parse("!miniTicker@arr"), Some(Topic::AllMiniTickers));
        assert_eq!(Topic::parse("!ticker@arr"), Some(Topic::AllTickers));
        assert_eq!(Topic::parse("!ticker_4h@arr"), Some(Topic::AllRollingTickers(Rolling::FourHours)));
    }

    #[test]
    fn other_names_are_no_streams() {
        for name in [
            "",
            "0",
            "btcusdt",
            "BTCUSDT@trade",
            "btcusdt@trades",
            "btcusdt@depth7",
            "btcusdt@depth@1ms",
            "btcusdt@kline_7m",
            "btcusdt@kline_1m@x",
            "@trade",
            "!depth@arr",
            "btcusdt@ticker_2h",
            "btcusdt@ticker_1h@arr",
            "!ticker_1w@arr",
            "!ticker_1h",
        ] {
            assert_eq!(Topic::parse(name), None, "{name:?}");
        }
    }
}
