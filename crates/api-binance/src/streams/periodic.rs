//! The streams with an interval: best prices, candles, tickers, average and reference prices. Their content is read
//! from the views when it is due, and sent only if it has changed. The views are locked for one market at a time (for
//! the tickers of all markets: for those of one partition), and nothing is formatted under the lock.

use std::collections::HashMap;
use std::sync::Arc;

use crossbook_types::{Market, ReferencePrice, SymbolName, Timestamp};
use crossbook_views::{
    BookTicker, Candle, CandleQuery, Interval, Level, MarketData, Offset, PeriodTicker, ReferenceAt, Ticker, Window,
};

use super::hub::Hub;
use super::payload;
use super::topic::{Kind, Pace, Rolling, Topic};
use crate::time_unit::TimeUnit;
use crossbook_gateway::ReadModel;
use crossbook_gateway::read_model::Standing;

/// How long after its end a candle is closed at the latest. Trades reach the views shortly after they are made, so a
/// candle is closed when a later command has been seen, or when this has passed without any.
const CLOSING_GRACE_MICROS: u64 = 1_000_000;
/// Candles that are made up for at once, after a stall.
const CANDLES_MAX: usize = 60;
/// Seconds between two messages about a candle longer than a second.
const CANDLE_SECONDS: u64 = 2;

/// The last messages of the streams with an interval.
pub struct Periodic {
    hub: Arc<Hub>,
    read_model: Arc<ReadModel>,
    shown: HashMap<(Topic, SymbolName), Shown>,
}

/// The last message on a stream of a market, in as few numbers as suffice to detect a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shown {
    Update(u64),
    Statistics { first: u64, last: u64, update: u64 },
    Average { last_trade: Timestamp, units: Option<i128> },
    Reference { price: Option<ReferencePrice> },
    Candle { open: Timestamp, close: Timestamp, trades: u64, closed: bool },
}

impl Periodic {
    /// Nothing sent yet.
    pub fn new(hub: Arc<Hub>, read_model: Arc<ReadModel>) -> Self {
        Self { hub, read_model, shown: HashMap::new() }
    }

    /// Tells what is due; `second` is a count of the seconds if a whole one is over. Returns how many messages were
    /// made.
    pub fn tick(&mut self, now: Timestamp, second: Option<u64>) -> usize {
        for topic in self.hub.take_fresh() {
            // A new subscriber gets a message at the next interval, whether or not anything has changed since the last
            // one.
            self.shown.retain(|(known, _), shown| *known != topic || matches!(shown, Shown::Candle { .. }));
            if let Topic::Market(name, _) = topic
                && let Some(Shown::Candle { trades, .. }) = self.shown.get_mut(&(topic, name))
            {
                *trades = u64::MAX;
            }
        }
        let topics = self.hub.topics(is_periodic);
        if second.is_some() {
            let subscribed: std::collections::HashSet<_> = topics.iter().copied().collect();
            self.shown.retain(|(topic, _), _| subscribed.contains(topic));
        }
        topics.into_iter().map(|topic| self.publish(topic, now, second)).sum()
    }

    fn publish(&mut self, topic: Topic, now: Timestamp, second: Option<u64>) -> usize {
        match topic {
            Topic::AllMiniTickers | Topic::AllTickers if second.is_some() => self.publish_all(topic, now),
            Topic::AllRollingTickers(window) if second.is_some() => self.publish_all_rolling(topic, window, now),
            Topic::AllMiniTickers | Topic::AllTickers | Topic::AllRollingTickers(_) => 0,
            Topic::Market(name, kind) => match kind {
                Kind::DepthTop(levels, pace) if pace == Pace::Fast || second.is_some() => {
                    self.publish_depth(topic, name, levels.count())
                }
                Kind::Candle(interval, offset) => self.publish_candles(topic, name, interval, offset, now, second),
                Kind::MiniTicker | Kind::Ticker if second.is_some() => self.publish_ticker(topic, name, now),
                Kind::RollingTicker(window) if second.is_some() => self.publish_rolling(topic, name, window, now),
                Kind::AveragePrice if second.is_some() => self.publish_average(topic, name, now),
                Kind::ReferencePrice if second.is_some() => self.publish_reference(topic, name, now),
                _ => 0,
            },
        }
    }

    /// Reads from a market's views; `None` if there is no such market.
    fn read<T>(&self, name: SymbolName, read: impl FnOnce(&MarketData, Standing) -> T) -> Option<T> {
        self.read_model.market(name.as_str(), read)
    }

    /// Stores what is sent now. Returns whether it has changed.
    fn is_new(&mut self, topic: Topic, name: SymbolName, shown: Shown) -> bool {
        self.shown.insert((topic, name), shown) != Some(shown)
    }

    fn publish_depth(&mut self, topic: Topic, name: SymbolName, count: usize) -> usize {
        let known = self.shown.get(&(topic, name)).copied();
        let top = self.read(name, |data, _| {
            let depth = data.depth();
            let update = depth.last_update();
            (known != Some(Shown::Update(update))).then(|| {
                let bids: Vec<Level> = depth.bids().take(count).collect();
                let asks: Vec<Level> = depth.asks().take(count).collect();
                (*data.market(), update, bids, asks)
            })
        });
        let Some(Some((market, update, bids, asks))) = top else { return 0 };
        self.is_new(topic, name, Shown::Update(update));
        self.hub.publish(&topic, |_| payload::depth_top(&market, update, &bids, &asks))
    }

    fn publish_ticker(&mut self, topic: Topic, name: SymbolName, now: Timestamp) -> usize {
        let Some((market, ticker, best)) = self.read(name, |data, _| statistics(data, now)) else { return 0 };
        if !self.is_new(topic, name, shown_statistics(topic, &ticker, &best)) {
            return 0;
        }
        self.hub.publish(&topic, |unit| write_ticker(topic, &market, unit, now, &ticker, &best))
    }

    fn publish_all(&mut self, topic: Topic, now: Timestamp) -> usize {
        let all = self.read_model.markets(|data, _| statistics(data, now));
        let is_new = |(market, ticker, best): &&(Market, Ticker, BookTicker)| {
            self.is_new(topic, market.symbol, shown_statistics(topic, ticker, best))
        };
        let new: Vec<_> = all.iter().filter(is_new).collect();
        if new.is_empty() {
            return 0;
        }
        self.hub.publish(&topic, |unit| {
            let tickers = new.iter().map(|(market, ticker, best)| write_ticker(topic, market, unit, now, ticker, best));
            format!("[{}]", tickers.collect::<Vec<_>>().join(","))
        })
    }

    fn publish_rolling(&mut self, topic: Topic, name: SymbolName, window: Rolling, now: Timestamp) -> usize {
        let Some((market, ticker)) = self.read(name, |data, _| rolling(data, window, now)) else { return 0 };
        if !self.is_new(topic, name, shown_rolling(&ticker)) {
            return 0;
        }
        self.hub.publish(&topic, |unit| payload::rolling_ticker(&market, unit, now, window, &ticker))
    }

    fn publish_all_rolling(&mut self, topic: Topic, window: Rolling, now: Timestamp) -> usize {
        let all = self.read_model.markets(|data, _| rolling(data, window, now));
        let new: Vec<_> =
            all.iter().filter(|(market, ticker)| self.is_new(topic, market.symbol, shown_rolling(ticker))).collect();
        if new.is_empty() {
            return 0;
        }
        self.hub.publish(&topic, |unit| {
            let tickers = new.iter().map(|(market, ticker)| payload::rolling_ticker(market, unit, now, window, ticker));
            format!("[{}]", tickers.collect::<Vec<_>>().join(","))
        })
    }

    fn publish_average(&mut self, topic: Topic, name: SymbolName, now: Timestamp) -> usize {
        let Some((market, average)) = self.read(name, |data, _| (*data.market(), data.average_price(now))) else {
            return 0;
        };
        let units = average.price.map(|price| price.units());
        if !self.is_new(topic, name, Shown::Average { last_trade: average.last_trade_time, units }) {
            return 0;
        }
        self.hub.publish(&topic, |unit| payload::average_price(&market, unit, now, &average))
    }

    /// Nothing, as long as the market has never had a reference price.
    fn publish_reference(&mut self, topic: Topic, name: SymbolName, now: Timestamp) -> usize {
        let read = self.read(name, |data, _| (*data.market(), data.reference_price(now)));
        let Some((market, at)) = read else { return 0 };
        let at = match at {
            Some(at) => at,
            // The calculation was removed or replaced: whoever was told a price is told that there is none.
            None if matches!(self.shown.get(&(topic, name)), Some(Shown::Reference { price: Some(_) })) => {
                ReferenceAt { price: None, time: now }
            }
            None => return 0,
        };
        if !self.is_new(topic, name, Shown::Reference { price: at.price }) {
            return 0;
        }
        self.hub.publish(&topic, |unit| payload::reference_price(&market, unit, &at))
    }

    fn publish_candles(
        &mut self,
        topic: Topic,
        name: SymbolName,
        interval: Interval,
        offset: Offset,
        now: Timestamp,
        second: Option<u64>,
    ) -> usize {
        let known = match self.shown.get(&(topic, name)) {
            Some(&Shown::Candle { open, close, trades, closed }) => Some((open, close, trades, closed)),
            _ => None,
        };
        let is_turn = second.is_some_and(|count| interval == Interval::Second1 || count % CANDLE_SECONDS == 0);
        let is_over = known.is_some_and(|(_, close, ..)| close < now);
        if !is_turn && !is_over {
            return 0;
        }
        let window = match known {
            Some((open, ..)) => Window { start: Some(open), end: None, limit: CANDLES_MAX },
            None => Window::last(1),
        };
        let read = self.read(name, |data, standing| {
            let candles = data.candles().query(&CandleQuery { interval, offset, window, now });
            (*data.market(), candles, standing.position.map_or(Timestamp(0), |cause| cause.time))
        });
        let Some((market, candles, seen)) = read else { return 0 };
        let mut sent = 0;
        for candle in candles {
            let Candle { open_time, close_time, trades, .. } = candle;
            let past = close_time < now;
            let closed = past && (seen > close_time || now.0 - close_time.0 > CLOSING_GRACE_MICROS);
            let shown = Shown::Candle { open: open_time, close: close_time, trades, closed };
            let said = match known {
                Some((open, _, known_trades, known_closed)) if open == open_time => {
                    known_closed || (known_trades == trades && !closed)
                }
                _ => false,
            };
            if !said && (closed || is_turn) {
                self.shown.insert((topic, name), shown);
                sent += self.hub.publish(&topic, |unit| payload::candle(&market, unit, now, interval, &candle, closed));
            }
            if past && !closed {
                // The next one is not spoken of before this one is closed.
                break;
            }
        }
        sent
    }
}

fn is_periodic(topic: &Topic) -> bool {
    match topic {
        Topic::AllMiniTickers | Topic::AllTickers | Topic::AllRollingTickers(_) => true,
        Topic::Market(_, kind) => match kind {
            Kind::Trade | Kind::AggregateTrade | Kind::BookTicker | Kind::DepthChanges(_) | Kind::Status => false,
            Kind::DepthTop(..)
            | Kind::Candle(..)
            | Kind::MiniTicker
            | Kind::Ticker
            | Kind::RollingTicker(_)
            | Kind::AveragePrice
            | Kind::ReferencePrice => true,
        },
    }
}

fn is_mini(topic: Topic) -> bool {
    matches!(topic, Topic::AllMiniTickers | Topic::Market(_, Kind::MiniTicker))
}

fn statistics(data: &MarketData, now: Timestamp) -> (Market, Ticker, BookTicker) {
    (*data.market(), data.ticker(now), data.book_ticker())
}

fn rolling(data: &MarketData, window: Rolling, now: Timestamp) -> (Market, PeriodTicker) {
    // Memory has all of the windows that have a stream.
    (*data.market(), data.count(window.period(), now).ticker(data.market(), &[]))
}

fn shown_rolling(ticker: &PeriodTicker) -> Shown {
    Shown::Statistics { first: ticker.first_trade.0, last: ticker.last_trade.0, update: 0 }
}

fn shown_statistics(topic: Topic, ticker: &Ticker, best: &BookTicker) -> Shown {
    // The short ticker has no fields of the book.
    let update = if is_mini(topic) { 0 } else { best.update };
    Shown::Statistics { first: ticker.first_trade.0, last: ticker.last_trade.0, update }
}

fn write_ticker(
    topic: Topic,
    market: &Market,
    unit: TimeUnit,
    now: Timestamp,
    ticker: &Ticker,
    best: &BookTicker,
) -> String {
    if is_mini(topic) {
        payload::mini_ticker(market, unit, now, ticker)
    } else {
        payload::ticker(market, unit, now, ticker, best)
    }
}
