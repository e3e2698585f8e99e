//! The JSON of the public streams. Each function formats finished facts; none of them reads a clock or shared state.

use crossbook_gateway::facts::Status;
use crossbook_types::{Decimal, Market, Price, Quantity, Side, Timestamp};
use crossbook_views::{
    AggregateTrade, AveragePrice, BookTicker, Candle, Interval, Level, PeriodTicker, PublicTrade, ReferenceAt, Ticker,
};

use super::topic::Rolling;
use crate::json::{Object, levels};
use crate::time_unit::TimeUnit;

/// Room for a typical message.
const TYPICAL_BYTES: usize = 256;

fn object(write: impl FnOnce(&mut Object<'_>)) -> String {
    let mut text = String::with_capacity(TYPICAL_BYTES);
    let mut object = Object::open(&mut text);
    write(&mut object);
    object.close();
    text
}

/// A trade.
#[must_use]
pub fn trade(market: &Market, unit: TimeUnit, trade: &PublicTrade) -> String {
    object(|o| {
        o.name("e", "trade").number("E", unit.of(trade.time)).name("s", market.symbol.as_str());
        o.number("t", trade.trade.0).price("p", market, trade.price).quantity("q", market, trade.quantity);
        o.number("T", unit.of(trade.time)).flag("m", trade.taker_side == Side::Sell).flag("M", true);
    })
}

/// The trades of one taker order at one price.
#[must_use]
pub fn aggregate_trade(market: &Market, unit: TimeUnit, trade: &AggregateTrade) -> String {
    object(|o| {
        o.name("e", "aggTrade").number("E", unit.of(trade.time)).name("s", market.symbol.as_str());
        o.number("a", trade.id.0).price("p", market, trade.price).quantity("q", market, trade.quantity);
        o.number("f", trade.first.0).number("l", trade.last.0).number("T", unit.of(trade.time));
        o.flag("m", trade.taker_side == Side::Sell).flag("M", true);
    })
}

/// The status of a market, and when its session gives it another; 0 where nobody knows.
#[must_use]
pub fn status(market: &Market, unit: TimeUnit, status: &Status) -> String {
    object(|o| {
        o.name("e", "symbolStatus").number("E", unit.of(status.time)).name("s", market.symbol.as_str());
        o.name("S", status.status.as_str()).number("u", status.until.map_or(0, |until| unit.of(until)));
    })
}

/// The best bid and ask; zeros where there is none.
#[must_use]
pub fn book_ticker(market: &Market, best: &BookTicker) -> String {
    object(|o| {
        o.number("u", best.update).name("s", market.symbol.as_str());
        level(o, market, ("b", "B"), best.bid);
        level(o, market, ("a", "A"), best.ask);
    })
}

fn level(o: &mut Object<'_>, market: &Market, keys: (&'static str, &'static str), level: Option<Level>) {
    let (price, quantity) = level.map_or((Price(0), Quantity::ZERO), |level| (level.price, level.quantity));
    o.price(keys.0, market, price).quantity(keys.1, market, quantity);
}

/// The price levels that changed with the updates `first` to `last`.
#[must_use]
pub fn depth_changes(
    market: &Market,
    unit: TimeUnit,
    now: Timestamp,
    (first, last): (u64, u64),
    bids: impl Iterator<Item = (Price, Quantity)>,
    asks: impl Iterator<Item = (Price, Quantity)>,
) -> String {
    object(|o| {
        o.name("e", "depthUpdate").number("E", unit.of(now)).name("s", market.symbol.as_str());
        o.number("U", first).number("u", last);
        levels(market, bids, o.key("b"));
        levels(market, asks, o.key("a"));
    })
}

/// The best levels of both sides.
#[must_use]
pub fn depth_top(market: &Market, last_update: u64, bids: &[Level], asks: &[Level]) -> String {
    let pairs = |side: &[Level]| side.iter().map(|level| (level.price, level.quantity)).collect::<Vec<_>>();
    object(|o| {
        o.number("lastUpdateId", last_update);
        levels(market, pairs(bids).into_iter(), o.key("bids"));
        levels(market, pairs(asks).into_iter(), o.key("asks"));
    })
}

/// A candle.
#[must_use]
pub fn candle(
    market: &Market,
    unit: TimeUnit,
    now: Timestamp,
    interval: Interval,
    candle: &Candle,
    closed: bool,
) -> String {
    object(|o| {
        o.name("e", "kline").number("E", unit.of(now)).name("s", market.symbol.as_str());
        let mut k = Object::open(o.key("k"));
        k.number("t", unit.of(candle.open_time)).number("T", unit.of(candle.close_time));
        k.name("s", market.symbol.as_str()).name("i", interval.as_str());
        if candle.trades == 0 {
            k.minus_one("f").minus_one("L");
        } else {
            k.number("f", candle.first_trade.0).number("L", candle.last_trade.0);
        }
        k.price("o", market, candle.open).price("c", market, candle.close);
        k.price("h", market, candle.high).price("l", market, candle.low);
        k.amount("v", &market.base, candle.volume).number("n", candle.trades).flag("x", closed);
        k.amount("q", &market.quote, candle.quote_volume);
        k.amount("V", &market.base, candle.taker_buy_volume);
        k.amount("Q", &market.quote, candle.taker_buy_quote_volume);
        k.name("B", "0");
        k.close();
    })
}

/// The statistics of 24 hours, in short.
#[must_use]
pub fn mini_ticker(market: &Market, unit: TimeUnit, now: Timestamp, ticker: &Ticker) -> String {
    object(|o| {
        o.name("e", "24hrMiniTicker").number("E", unit.of(now)).name("s", market.symbol.as_str());
        o.price("c", market, ticker.last).price("o", market, ticker.open);
        o.price("h", market, ticker.high).price("l", market, ticker.low);
        o.amount("v", &market.base, ticker.volume).amount("q", &market.quote, ticker.quote_volume);
    })
}

/// The statistics of 24 hours.
#[must_use]
pub fn ticker(market: &Market, unit: TimeUnit, now: Timestamp, ticker: &Ticker, best: &BookTicker) -> String {
    object(|o| {
        o.name("e", "24hrTicker").number("E", unit.of(now)).name("s", market.symbol.as_str());
        o.price_change("p", market, ticker.change()).decimal("P", ticker.change_percent(), 3);
        average(o, market, ticker.weighted_average);
        o.price("x", market, ticker.previous_close);
        o.price("c", market, ticker.last).quantity("Q", market, ticker.last_quantity);
        level(o, market, ("b", "B"), best.bid);
        level(o, market, ("a", "A"), best.ask);
        o.price("o", market, ticker.open).price("h", market, ticker.high).price("l", market, ticker.low);
        o.amount("v", &market.base, ticker.volume).amount("q", &market.quote, ticker.quote_volume);
        o.number("O", unit.of(ticker.open_time)).number("C", unit.of(ticker.close_time));
        if ticker.trades == 0 {
            o.minus_one("F").minus_one("L");
        } else {
            o.number("F", ticker.first_trade.0).number("L", ticker.last_trade.0);
        }
        o.number("n", ticker.trades);
    })
}

/// The statistics over a rolling window.
#[must_use]
pub fn rolling_ticker(
    market: &Market,
    unit: TimeUnit,
    now: Timestamp,
    window: Rolling,
    ticker: &PeriodTicker,
) -> String {
    let kind = match window {
        Rolling::Hour => "1hTicker",
        Rolling::FourHours => "4hTicker",
        Rolling::Day => "1dTicker",
    };
    object(|o| {
        o.name("e", kind).number("E", unit.of(now)).name("s", market.symbol.as_str());
        o.price_change("p", market, ticker.change()).decimal("P", ticker.change_percent(), 3);
        o.price("o", market, ticker.open).price("h", market, ticker.high).price("l", market, ticker.low);
        o.price("c", market, ticker.last);
        average(o, market, ticker.weighted_average);
        o.amount("v", &market.base, ticker.volume).amount("q", &market.quote, ticker.quote_volume);
        o.number("O", unit.of(ticker.open_time)).number("C", unit.of(ticker.close_time));
        if ticker.trades == 0 {
            o.minus_one("F").minus_one("L");
        } else {
            o.number("F", ticker.first_trade.0).number("L", ticker.last_trade.0);
        }
        o.number("n", ticker.trades);
    })
}

/// The average price over the last minutes.
#[must_use]
pub fn average_price(market: &Market, unit: TimeUnit, now: Timestamp, over: &AveragePrice) -> String {
    object(|o| {
        o.name("e", "avgPrice").number("E", unit.of(now)).name("s", market.symbol.as_str());
        o.name("i", &format!("{}m", over.minutes));
        average(o, market, over.price);
        o.number("T", unit.of(over.last_trade_time));
    })
}

/// The reference price, and when it was that.
#[must_use]
pub fn reference_price(market: &Market, unit: TimeUnit, at: &ReferenceAt) -> String {
    object(|o| {
        o.name("e", "referencePrice").name("s", market.symbol.as_str());
        o.reference_price("r", market, at.price).number("t", unit.of(at.time));
    })
}

/// An average price; zero where nothing traded.
fn average(o: &mut Object<'_>, market: &Market, average: Option<Decimal>) {
    match average {
        Some(price) => o.decimal("w", price, 8),
        None => o.price("w", market, Price(0)),
    };
}

/// The venue is stopping.
#[must_use]
pub fn server_shutdown(unit: TimeUnit, now: Timestamp) -> String {
    object(|o| {
        o.name("e", "serverShutdown").number("E", unit.of(now));
    })
}

/// `payload` under the name of its stream. The name comes from a client but was understood, so it needs no escaping.
#[must_use]
pub fn combined(stream: &str, payload: &str) -> String {
    let mut text = String::with_capacity(stream.len() + payload.len() + 24);
    text.push_str("{\"stream\":\"");
    text.push_str(stream);
    text.push_str("\",\"data\":");
    text.push_str(payload);
    text.push('}');
    text
}

#[cfg(test)]
pub(crate) mod tests;
