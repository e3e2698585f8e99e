//! Candles: for each interval, the trades of one period as open, high, low, close and volume. Only candles with trades
//! are stored; the ones between repeat the previous price and are generated on request.
//!
//! Candles are stored by UTC. For a time zone that shifts an interval's grid they are assembled from shorter ones, as
//! far back as those are retained: a day in +08:00 from eight hours, in +05:30 from half hours.

use std::collections::VecDeque;

use crossbook_protocol::event::Trade;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{Amount, Price, Side, Timestamp, TradeId};

use crate::error::Error;
use crate::interval::{Interval, Offset};
use crate::limits::{Limits, Window, partition_point};

/// The trades of one stretch of time. Without trades all four prices are the close before, and the rest is zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candle {
    /// When it begins.
    pub open_time: Timestamp,
    /// When it ends: the microsecond before the next begins.
    pub close_time: Timestamp,
    /// The first price.
    pub open: Price,
    /// The highest price.
    pub high: Price,
    /// The lowest price.
    pub low: Price,
    /// The last price.
    pub close: Price,
    /// What traded, in the base asset's smallest unit. This and the other volumes stop at the largest number there is.
    pub volume: Amount,
    /// What traded, in the quote asset's smallest unit.
    pub quote_volume: Amount,
    /// Of `volume`, what the incoming order bought.
    pub taker_buy_volume: Amount,
    /// Of `quote_volume`, what the incoming order paid as a buyer.
    pub taker_buy_quote_volume: Amount,
    /// How many trades.
    pub trades: u64,
    /// The first trade; 0 if there was none.
    pub first_trade: TradeId,
    /// The last trade; 0 if there was none.
    pub last_trade: TradeId,
}

impl Candle {
    /// A candle in which nothing traded.
    pub(crate) fn empty(open_time: Timestamp, next_open: Timestamp, price: Price) -> Self {
        Self {
            open_time,
            close_time: Timestamp(next_open.0 - 1),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Amount::ZERO,
            quote_volume: Amount::ZERO,
            taker_buy_volume: Amount::ZERO,
            taker_buy_quote_volume: Amount::ZERO,
            trades: 0,
            first_trade: TradeId(0),
            last_trade: TradeId(0),
        }
    }

    #[inline]
    fn record(&mut self, trade: &Trade, base: Amount) {
        if self.trades == 0 {
            (self.open, self.high, self.low) = (trade.price, trade.price, trade.price);
            self.first_trade = trade.trade;
        }
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.close = trade.price;
        self.volume = self.volume.saturating_add(base);
        self.quote_volume = self.quote_volume.saturating_add(trade.quote);
        if trade.taker_side == Side::Buy {
            self.taker_buy_volume = self.taker_buy_volume.saturating_add(base);
            self.taker_buy_quote_volume = self.taker_buy_quote_volume.saturating_add(trade.quote);
        }
        self.trades += 1;
        self.last_trade = trade.trade;
    }

    /// Adds what traded in a later candle.
    pub(crate) fn append(&mut self, later: &Self) {
        if later.trades == 0 {
            return;
        }
        if self.trades == 0 {
            (self.open, self.high, self.low) = (later.open, later.high, later.low);
            self.first_trade = later.first_trade;
        }
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume = self.volume.saturating_add(later.volume);
        self.quote_volume = self.quote_volume.saturating_add(later.quote_volume);
        self.taker_buy_volume = self.taker_buy_volume.saturating_add(later.taker_buy_volume);
        self.taker_buy_quote_volume = self.taker_buy_quote_volume.saturating_add(later.taker_buy_quote_volume);
        self.trades += later.trades;
        self.last_trade = later.last_trade;
    }
}

/// Which candles to list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CandleQuery {
    /// How long each is.
    pub interval: Interval,
    /// The time zone by which hours, days, weeks and months begin.
    pub offset: Offset,
    /// Which, by the time at which they begin. Without an end, up to the one that contains `now`.
    pub window: Window,
    /// The present time.
    pub now: Timestamp,
}

impl CandleQuery {
    /// The interval, by UTC, of the stored candles that the answer is made of.
    #[must_use]
    pub fn unit(&self) -> Interval {
        self.interval.unit(self.offset)
    }

    /// When the first candle of the answer begins, and up to when the last one may. The first candle that there is
    /// begins at `earliest`, the newest stored one at `newest`. If the first is after the last, the answer is empty.
    #[must_use]
    pub fn span(&self, earliest: Timestamp, newest: Timestamp) -> (Timestamp, Timestamp) {
        let &Self { interval, offset, window, now } = self;
        let last = interval.open_time(now.max(newest), offset).min(window.end.unwrap_or(Timestamp(u64::MAX)));
        let first = match window.start {
            Some(start) if start > earliest => match interval.open_time(start, offset) {
                open if open < start => interval.next_open(start, offset),
                open => open,
            },
            Some(_) => earliest,
            None => {
                let mut open = interval.open_time(last, offset);
                for _ in 1..window.limit {
                    if open <= earliest {
                        break;
                    }
                    open = interval.open_time(Timestamp(open.0 - 1), offset);
                }
                open.max(earliest)
            }
        };
        (first, last)
    }

    /// The candles of a span, put together from the stored ones of the [unit](CandleQuery::unit) that begin in it, the
    /// oldest first. `price` is the last one before the span; it stands where nothing has traded.
    #[must_use]
    pub fn fold<'a>(
        &self,
        (first, last): (Timestamp, Timestamp),
        mut price: Price,
        stored: impl IntoIterator<Item = &'a Candle>,
    ) -> Vec<Candle> {
        let mut stored = stored.into_iter().peekable();
        let mut open = first;
        let mut found = Vec::new();
        while open <= last && found.len() < self.window.limit {
            let next = self.interval.next_open(open, self.offset);
            let mut candle = Candle::empty(open, next, price);
            while let Some(part) = stored.next_if(|part| part.open_time < next) {
                candle.append(part);
            }
            price = candle.close;
            found.push(candle);
            open = next;
        }
        found
    }
}

/// The stored candles of one interval, by time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Series {
    candles: VecDeque<Candle>,
    forgotten: Option<Timestamp>,
}

impl Series {
    fn shorten(&mut self, limit: usize) {
        while self.candles.len() > limit {
            self.forgotten = self.candles.pop_front().map(|candle| candle.open_time);
        }
    }

    /// The place of the first candle that begins at `time` or later.
    fn place(&self, time: Timestamp) -> usize {
        // Nearly every query is for the end of the list.
        match self.candles.back() {
            Some(last) if last.open_time < time => self.candles.len(),
            _ => partition_point(self.candles.len(), |at| self.candles[at].open_time < time),
        }
    }

    /// When the first candle of a query begins of which nothing is gone.
    fn earliest(&self, query: &CandleQuery) -> Option<Timestamp> {
        let earliest = query.interval.open_time(self.candles.front()?.open_time, query.offset);
        let part_is_gone = self.forgotten.is_some_and(|forgotten| forgotten >= earliest);
        Some(if part_is_gone { query.interval.next_open(earliest, query.offset) } else { earliest })
    }
}

/// The candles of a market, in all intervals.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candles {
    series: Vec<Series>,
}

impl Default for Candles {
    fn default() -> Self {
        Self { series: vec![Series::default(); Interval::ALL.len()] }
    }
}

impl Candles {
    /// Begins with the price of a trade that took place elsewhere: a candle in which nothing traded, at its time.
    pub(crate) fn move_in(&mut self, price: Price, time: Timestamp) {
        for (series, interval) in self.series.iter_mut().zip(Interval::ALL) {
            let open = interval.open_time(time, Offset::UTC);
            series.candles.push_back(Candle::empty(open, interval.next_open(open, Offset::UTC), price));
        }
    }

    /// The candles that the query asks for, the oldest first. There are none before the first trade, nor before
    /// [`Candles::forgotten`].
    #[must_use]
    pub fn query(&self, query: &CandleQuery) -> Vec<Candle> {
        let series = self.series(query.unit());
        let Some((earliest, newest)) = series.earliest(query).zip(series.candles.back()) else { return Vec::new() };
        let span = query.span(earliest, newest.open_time);
        let place = series.place(span.0);
        let price = if place > 0 { series.candles[place - 1].close } else { series.candles[0].open };
        query.fold(span, price, series.candles.range(place..))
    }

    /// Whether [`Candles::query`] gives all that there ever was, and no part of the answer is forgotten.
    #[must_use]
    pub fn is_complete(&self, query: &CandleQuery) -> bool {
        let series = self.series(query.unit());
        let Some((earliest, newest)) = series.earliest(query).zip(series.candles.back()) else { return true };
        if series.forgotten.is_none() {
            return true;
        }
        let (first, last) = query.span(Timestamp(0), newest.open_time);
        first >= earliest || first > last
    }

    /// The candle, by UTC, that contains `time`; an empty one if nothing traded in it. `None` before the first trade
    /// that is kept.
    #[must_use]
    pub fn at(&self, interval: Interval, time: Timestamp) -> Option<Candle> {
        let series = self.series(interval);
        let open = interval.open_time(time, Offset::UTC);
        let place = series.place(open);
        match series.candles.get(place) {
            Some(candle) if candle.open_time == open => Some(*candle),
            _ => {
                let before = series.candles.get(place.checked_sub(1)?)?;
                Some(Candle::empty(open, interval.next_open(open, Offset::UTC), before.close))
            }
        }
    }

    /// When the newest candle of an interval began that memory no longer holds, if any.
    #[must_use]
    pub fn forgotten(&self, interval: Interval) -> Option<Timestamp> {
        self.series(interval).forgotten
    }

    /// The newest stored candle of an interval.
    #[must_use]
    pub fn newest(&self, interval: Interval) -> Option<&Candle> {
        self.series(interval).candles.back()
    }

    fn series(&self, interval: Interval) -> &Series {
        &self.series[interval as usize]
    }

    /// The stored candles of an interval that begin at `from` or later and before `to`.
    pub fn stored(&self, interval: Interval, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Candle> {
        let series = self.series(interval);
        let (from, to) = (series.place(from), series.place(to));
        series.candles.range(from..to.max(from))
    }

    /// The last stored candle of an interval that begins before `time`.
    pub(crate) fn before(&self, interval: Interval, time: Timestamp) -> Option<&Candle> {
        let series = self.series(interval);
        series.candles.get(series.place(time).checked_sub(1)?)
    }

    /// Folds a trade, whose quantity is worth `base`, into all intervals.
    pub(crate) fn record(&mut self, trade: &Trade, base: Amount, time: Timestamp, limit: usize) {
        for (series, &interval) in self.series.iter_mut().zip(Interval::ALL) {
            match series.candles.back_mut() {
                Some(last) if time <= last.close_time => last.record(trade, base),
                _ => {
                    let open = interval.open_time(time, Offset::UTC);
                    let mut candle = Candle::empty(open, interval.next_open(time, Offset::UTC), trade.price);
                    candle.record(trade, base);
                    series.candles.push_back(candle);
                    series.shorten(limit.max(Limits::CANDLES_MIN));
                }
            }
        }
    }

    pub(crate) fn restored(mut self, limit: usize) -> Result<Self, Error> {
        if self.series.len() != Interval::ALL.len() {
            return Err(Error("not sixteen intervals"));
        }
        for (series, &interval) in self.series.iter_mut().zip(Interval::ALL) {
            let mut last = series.forgotten;
            for candle in &series.candles {
                let aligned = interval.open_time(candle.open_time, Offset::UTC) == candle.open_time
                    && candle.close_time.0.checked_add(1) == Some(interval.next_open(candle.open_time, Offset::UTC).0);
                // The first one of an imported market.
                let only_a_price = candle.trades == 0 && last.is_some();
                if !aligned || only_a_price || last.is_some_and(|last| last >= candle.open_time) {
                    return Err(Error("candles out of order"));
                }
                last = Some(candle.open_time);
            }
            series.shorten(limit.max(Limits::CANDLES_MIN));
        }
        Ok(self)
    }
}

wire_struct! {
    plain Candle { 0: open_time, 1: close_time, 2: open, 3: high, 4: low, 5: close, 6: volume, 7: quote_volume, 8: taker_buy_volume, 9: taker_buy_quote_volume, 10: trades, 11: first_trade, 12: last_trade }
    Series { 0: candles, 1: forgotten }
    Candles { 0: series }
}

#[cfg(test)]
mod tests {
    use crossbook_protocol::event::Party;
    use crossbook_types::{AccountId, OrderId, Quantity, SymbolId};

    use super::*;

    /// Two accounts can trade the same money back and forth as often as they like.
    #[test]
    fn volumes_stop_at_the_largest_number() {
        let party = Party { order: OrderId(1), account: AccountId(1001), fee: Amount::ZERO };
        let trade = Trade {
            symbol: SymbolId(0),
            trade: TradeId(1),
            price: Price(7),
            quantity: Quantity(1),
            quote: Amount::MAX,
            taker_side: Side::Buy,
            taker: party,
            maker: party,
            discount: None,
        };
        let mut candle = Candle::empty(Timestamp(0), Timestamp(60), Price(1));
        let mut day = candle;
        for _ in 0..1 << 15 {
            candle.record(&trade, Amount::MAX);
        }
        for _ in 0..3 {
            day.append(&candle);
        }
        let largest = Amount(i128::MAX);
        for candle in [candle, day] {
            assert_eq!((candle.volume, candle.quote_volume), (largest, largest));
            assert_eq!((candle.taker_buy_volume, candle.taker_buy_quote_volume), (largest, largest));
        }
        assert_eq!(day.trades, 3 << 15);
    }
}
