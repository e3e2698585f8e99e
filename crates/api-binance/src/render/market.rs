//! Public data of markets.

use crossbook_gateway::queries::BookDepth;
use crossbook_types::{
    Amount, Decimal, Market, Mean, Price, PriceRange, Quantity, ReferenceCalculation, Side, Timestamp, TradeId,
};
use crossbook_views::{
    AggregateTrade, AveragePrice, BookTicker, Candle, Level, PeriodTicker, PublicTrade, ReferenceAt, Ticker,
};

use super::json::{self, Object};
use crate::time_unit::TimeUnit;

/// The best levels of each side.
#[must_use]
pub fn depth(depth: &BookDepth) -> String {
    let BookDepth { market, last_update, bids, asks } = depth;
    let pair = |level: &Level| (level.price, level.quantity);
    let mut out = String::with_capacity(bids.len().max(asks.len()) * 64 + 64);
    json::object(&mut out, |o| {
        o.number("lastUpdateId", *last_update);
        json::levels(market, bids.iter().map(pair), o.key("bids"));
        json::levels(market, asks.iter().map(pair), o.key("asks"));
    });
    out
}

/// A trade.
pub fn trade(market: &Market, unit: TimeUnit, trade: &PublicTrade, out: &mut String) {
    json::object(out, |o| {
        o.number("id", trade.trade.0).price("price", market, trade.price).quantity("qty", market, trade.quantity);
        o.amount("quoteQty", &market.quote, trade.quote).number("time", unit.of(trade.time));
        o.flag("isBuyerMaker", trade.taker_side == Side::Sell).flag("isBestMatch", true);
    });
}

/// Trades of one taker order at one price.
pub fn aggregate_trade(market: &Market, unit: TimeUnit, trade: &AggregateTrade, out: &mut String) {
    json::object(out, |o| {
        o.number("a", trade.id.0).price("p", market, trade.price).quantity("q", market, trade.quantity);
        o.number("f", trade.first.0).number("l", trade.last.0).number("T", unit.of(trade.time));
        o.flag("m", trade.taker_side == Side::Sell).flag("M", true);
    });
}

/// A candle: an array of twelve.
pub fn candle(market: &Market, unit: TimeUnit, candle: &Candle, out: &mut String) {
    // Written as an object would be, without its keys.
    let mut buffer = itoa::Buffer::new();
    out.push('[');
    out.push_str(buffer.format(unit.of(candle.open_time)));
    for price in [candle.open, candle.high, candle.low, candle.close] {
        out.push(',');
        crate::json::price(market, price, out);
    }
    out.push(',');
    json::amount(out, &market.base, candle.volume);
    out.push(',');
    out.push_str(buffer.format(unit.of(candle.close_time)));
    out.push(',');
    json::amount(out, &market.quote, candle.quote_volume);
    out.push(',');
    out.push_str(buffer.format(candle.trades));
    out.push(',');
    json::amount(out, &market.base, candle.taker_buy_volume);
    out.push(',');
    json::amount(out, &market.quote, candle.taker_buy_quote_volume);
    out.push_str(",\"0\"]");
}

/// The average price of the last minutes.
#[must_use]
pub fn average_price(unit: TimeUnit, average: &AveragePrice) -> String {
    let mut out = String::with_capacity(80);
    json::object(&mut out, |o| {
        o.number("mins", average.minutes);
        json::decimal_or_zero(o, "price", average.price);
        o.number("closeTime", unit.of(average.last_trade_time));
    });
    out
}

/// The execution rules of markets, by name.
#[must_use]
pub fn execution_rules(rules: &[(&str, PriceRange)]) -> String {
    let markets = json::array(rules.iter(), |(symbol, range), out| {
        json::object(out, |o| {
            o.name("symbol", symbol);
            o.key("rules").push_str(&json::array([range].into_iter(), price_range));
        });
    });
    let mut out = String::with_capacity(32 + markets.len());
    json::object(&mut out, |o| o.key("symbolRules").push_str(&markets));
    out
}

fn price_range(range: &PriceRange, out: &mut String) {
    json::object(out, |o| {
        o.name("ruleType", "PRICE_RANGE");
        let multipliers = [
            ("bidLimitMultUp", range.bid_up),
            ("bidLimitMultDown", range.bid_down),
            ("askLimitMultUp", range.ask_up),
            ("askLimitMultDown", range.ask_down),
        ];
        for (key, multiplier) in multipliers {
            // Those of a side that is not bounded there are left out.
            if let Some(multiplier) = multiplier.and_then(|units| Decimal::new_checked(units.into(), 4)) {
                o.decimal(key, multiplier, 4);
            }
        }
    });
}

/// The reference price of a market.
#[must_use]
pub fn reference_price(market: &Market, unit: TimeUnit, at: &ReferenceAt) -> String {
    let mut out = String::with_capacity(96);
    json::object(&mut out, |o| {
        o.name("symbol", market.symbol.as_str()).reference_price("referencePrice", market, at.price);
        o.number("timestamp", unit.of(at.time));
    });
    out
}

/// How it is calculated.
#[must_use]
pub fn reference_calculation(market: &Market, calculation: ReferenceCalculation) -> String {
    let mut out = String::with_capacity(128);
    json::object(&mut out, |o| {
        o.name("symbol", market.symbol.as_str());
        match calculation {
            ReferenceCalculation::ArithmeticMean(Mean { buckets, width_ms }) => {
                o.name("calculationType", "ARITHMETIC_MEAN");
                o.number("bucketCount", buckets.into()).number("bucketWidthMs", width_ms.into());
            }
            ReferenceCalculation::External { id } => {
                o.name("calculationType", "EXTERNAL").number("externalCalculationId", id.into());
            }
        }
    });
    out
}

/// The statistics of 24 hours.
pub fn ticker(market: &Market, unit: TimeUnit, ticker: &Ticker, book: &BookTicker, out: &mut String) {
    json::object(out, |o| {
        o.name("symbol", market.symbol.as_str());
        o.price_change("priceChange", market, ticker.change());
        o.decimal("priceChangePercent", ticker.change_percent(), 3);
        json::decimal_or_zero(o, "weightedAvgPrice", ticker.weighted_average);
        o.price("prevClosePrice", market, ticker.previous_close).price("lastPrice", market, ticker.last);
        o.quantity("lastQty", market, ticker.last_quantity);
        best(o, market, book);
        o.price("openPrice", market, ticker.open);
        o.price("highPrice", market, ticker.high).price("lowPrice", market, ticker.low);
        totals(o, market, unit, &Totals::of(ticker));
    });
}

/// The statistics of 24 hours, in short.
pub fn mini_ticker(market: &Market, unit: TimeUnit, ticker: &Ticker, out: &mut String) {
    json::object(out, |o| {
        o.name("symbol", market.symbol.as_str()).price("openPrice", market, ticker.open);
        o.price("highPrice", market, ticker.high).price("lowPrice", market, ticker.low);
        o.price("lastPrice", market, ticker.last);
        totals(o, market, unit, &Totals::of(ticker));
    });
}

/// The statistics of a period.
pub fn period_ticker(market: &Market, unit: TimeUnit, ticker: &PeriodTicker, out: &mut String) {
    json::object(out, |o| {
        o.name("symbol", market.symbol.as_str());
        o.price_change("priceChange", market, ticker.change());
        o.decimal("priceChangePercent", ticker.change_percent(), 3);
        json::decimal_or_zero(o, "weightedAvgPrice", ticker.weighted_average);
        period_prices(o, market, ticker);
        totals(o, market, unit, &Totals::of_period(ticker));
    });
}

/// The statistics of a period, in short.
pub fn mini_period_ticker(market: &Market, unit: TimeUnit, ticker: &PeriodTicker, out: &mut String) {
    json::object(out, |o| {
        o.name("symbol", market.symbol.as_str());
        period_prices(o, market, ticker);
        totals(o, market, unit, &Totals::of_period(ticker));
    });
}

fn period_prices(o: &mut Object<'_>, market: &Market, ticker: &PeriodTicker) {
    o.price("openPrice", market, ticker.open).price("highPrice", market, ticker.high);
    o.price("lowPrice", market, ticker.low).price("lastPrice", market, ticker.last);
}

/// What all statistics end with.
struct Totals {
    volume: Amount,
    quote_volume: Amount,
    times: (Timestamp, Timestamp),
    ids: (TradeId, TradeId),
    trades: u64,
}

impl Totals {
    fn of(ticker: &Ticker) -> Self {
        let &Ticker { volume, quote_volume, open_time, close_time, first_trade, last_trade, trades, .. } = ticker;
        Self { volume, quote_volume, times: (open_time, close_time), ids: (first_trade, last_trade), trades }
    }

    fn of_period(ticker: &PeriodTicker) -> Self {
        let &PeriodTicker { volume, quote_volume, open_time, close_time, first_trade, last_trade, trades, .. } = ticker;
        Self { volume, quote_volume, times: (open_time, close_time), ids: (first_trade, last_trade), trades }
    }
}

fn totals(o: &mut Object<'_>, market: &Market, unit: TimeUnit, totals: &Totals) {
    o.amount("volume", &market.base, totals.volume).amount("quoteVolume", &market.quote, totals.quote_volume);
    o.number("openTime", unit.of(totals.times.0)).number("closeTime", unit.of(totals.times.1));
    if totals.trades == 0 {
        o.minus_one("firstId").minus_one("lastId");
    } else {
        o.number("firstId", totals.ids.0.0).number("lastId", totals.ids.1.0);
    }
    o.number("count", totals.trades);
}

/// The price of the last trade; zero if there was none.
pub fn price_ticker(market: &Market, last: Option<Price>, out: &mut String) {
    json::object(out, |o| {
        o.name("symbol", market.symbol.as_str()).price("price", market, last.unwrap_or_default());
    });
}

/// The best bid and ask; zeros where there is none.
pub fn book_ticker(market: &Market, book: &BookTicker, out: &mut String) {
    json::object(out, |o| {
        o.name("symbol", market.symbol.as_str());
        best(o, market, book);
    });
}

fn best(o: &mut Object<'_>, market: &Market, book: &BookTicker) {
    let none = Level { price: Price::default(), quantity: Quantity::ZERO };
    let (bid, ask) = (book.bid.unwrap_or(none), book.ask.unwrap_or(none));
    o.price("bidPrice", market, bid.price).quantity("bidQty", market, bid.quantity);
    o.price("askPrice", market, ask.price).quantity("askQty", market, ask.quantity);
}
