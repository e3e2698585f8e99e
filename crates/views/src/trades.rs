//! The public trades of a market, single and aggregated. The consecutive trades of one taker at one price form one
//! aggregate trade.

use std::collections::VecDeque;

use crossbook_protocol::event::Trade;
use crossbook_protocol::wire;
use crossbook_protocol::wire::codec::{Reader, Sink, Wire, wire_struct};
use crossbook_types::{Amount, OrderId, Price, Quantity, Sequence, Side, Timestamp, TradeId};

use crate::error::Error;
use crate::limits::{Forgotten, Window, partition_point};

/// A trade as everyone may see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublicTrade {
    /// Its number in the market.
    pub trade: TradeId,
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: Quantity,
    /// Price x quantity in the quote asset's smallest unit.
    pub quote: Amount,
    /// Which side the incoming order was on. If it sold, the buyer was the maker.
    pub taker_side: Side,
    /// Time of the trade.
    pub time: Timestamp,
}

impl PublicTrade {
    pub(crate) fn of(trade: &Trade, time: Timestamp) -> Self {
        let &Trade { trade, price, quantity, quote, taker_side, .. } = trade;
        Self { trade, price, quantity, quote, taker_side, time }
    }
}

/// The number of an aggregate trade; counts from 1 in each market.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct AggregateTradeId(pub u64);

impl AggregateTradeId {
    /// The number after this one.
    ///
    /// # Panics
    /// When the numbers are used up, which no venue lives to see.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("AggregateTradeId exhausted"))
    }
}

/// Consecutive trades of one incoming order at one price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AggregateTrade {
    /// Its number in the market.
    pub id: AggregateTradeId,
    /// At which price.
    pub price: Price,
    /// How much, of all of them.
    pub quantity: Quantity,
    /// Price x quantity in the quote asset's smallest unit, of all of them.
    pub quote: Amount,
    /// The first of them.
    pub first: TradeId,
    /// The last of them.
    pub last: TradeId,
    /// Which side the incoming order was on.
    pub taker_side: Side,
    /// Time of the trade.
    pub time: Timestamp,
}

/// Something that is listed by number and by time, both of which only grow.
trait Listed: Copy {
    type Id: Copy + Ord;
    fn id(&self) -> Self::Id;
    fn time(&self) -> Timestamp;
}

impl Listed for PublicTrade {
    type Id = TradeId;
    fn id(&self) -> TradeId {
        self.trade
    }
    fn time(&self) -> Timestamp {
        self.time
    }
}

impl Listed for AggregateTrade {
    type Id = AggregateTradeId;
    fn id(&self) -> AggregateTradeId {
        self.id
    }
    fn time(&self) -> Timestamp {
        self.time
    }
}

/// The last so many of a kind.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Tail<T, I> {
    entries: VecDeque<T>,
    forgotten: Option<Forgotten<I>>,
}

impl<T, I> Default for Tail<T, I> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), forgotten: None }
    }
}

impl<T: Listed> Tail<T, T::Id> {
    fn push(&mut self, entry: T, limit: usize) {
        self.entries.push_back(entry);
        self.shorten(limit);
    }

    fn shorten(&mut self, limit: usize) {
        while self.entries.len() > limit {
            if let Some(dropped) = self.entries.pop_front() {
                Forgotten::note(&mut self.forgotten, dropped.id(), dropped.time(), dropped.time());
            }
        }
    }

    fn from(&self, first: T::Id, limit: usize) -> impl Iterator<Item = &T> {
        let start = partition_point(self.entries.len(), |at| self.entries[at].id() < first);
        self.entries.range(start..).take(limit)
    }

    fn within(&self, window: Window) -> impl Iterator<Item = &T> {
        self.entries.range(window.select(self.entries.len(), |at| self.entries[at].time()))
    }

    fn is_sorted(&self) -> bool {
        let growing = |a: &T, b: &T| a.id() < b.id() && a.time() <= b.time();
        self.entries.iter().zip(self.entries.iter().skip(1)).all(|(a, b)| growing(a, b))
    }
}

macro_rules! tail {
    ($name:ident, $entry:ident, $id:ident) => {
        impl $name {
            /// The last one.
            #[must_use]
            pub fn newest(&self) -> Option<&$entry> {
                self.tail.entries.back()
            }

            /// The first `limit` from number `first` on, the oldest first.
            pub fn from(&self, first: $id, limit: usize) -> impl Iterator<Item = &$entry> {
                self.tail.from(first, limit)
            }

            /// The last `limit`, the oldest first.
            pub fn last(&self, limit: usize) -> impl Iterator<Item = &$entry> {
                self.tail.within(Window::last(limit))
            }

            /// Those of a stretch of time, the oldest first.
            pub fn within(&self, window: Window) -> impl Iterator<Item = &$entry> {
                self.tail.within(window)
            }

            /// The newest that memory no longer holds, if any.
            #[must_use]
            pub fn forgotten(&self) -> Option<Forgotten<$id>> {
                self.tail.forgotten
            }
        }
    };
}

/// The recent trades of a market.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trades {
    tail: Tail<PublicTrade, TradeId>,
}
tail!(Trades, PublicTrade, TradeId);

/// The recent aggregate trades of a market.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AggregateTrades {
    tail: Tail<AggregateTrade, AggregateTradeId>,
    /// How many there have been.
    count: AggregateTradeId,
    /// Which command and order the last of them came from; only more of the same extends it.
    origin: Option<(Sequence, OrderId)>,
}
tail!(AggregateTrades, AggregateTrade, AggregateTradeId);

impl Trades {
    pub(crate) fn record(&mut self, trade: &Trade, time: Timestamp, limit: usize) {
        self.tail.push(PublicTrade::of(trade, time), limit);
    }

    pub(crate) fn restored(mut self, limit: usize) -> Result<Self, Error> {
        self.tail.shorten(limit);
        if self.tail.is_sorted() { Ok(self) } else { Err(Error("trades out of order")) }
    }
}

impl AggregateTrades {
    /// How many there have been.
    pub(crate) fn count(&self) -> AggregateTradeId {
        self.count
    }

    /// Counts on from the number of the last one elsewhere.
    pub(crate) fn count_on(&mut self, count: AggregateTradeId) {
        self.count = count;
    }

    pub(crate) fn record(&mut self, trade: &Trade, sequence: Sequence, time: Timestamp, limit: usize) {
        let origin = Some((sequence, trade.taker.order));
        if self.origin == origin
            && let Some(last) = self.tail.entries.back_mut()
            && last.price == trade.price
        {
            last.quantity = last.quantity.plus(trade.quantity);
            last.quote = last.quote.plus(trade.quote);
            last.last = trade.trade;
            return;
        }
        self.origin = origin;
        self.count = self.count.next();
        let aggregate = AggregateTrade {
            id: self.count,
            price: trade.price,
            quantity: trade.quantity,
            quote: trade.quote,
            first: trade.trade,
            last: trade.trade,
            taker_side: trade.taker_side,
            time,
        };
        self.tail.push(aggregate, limit.max(1));
    }

    pub(crate) fn restored(mut self, limit: usize) -> Result<Self, Error> {
        self.tail.shorten(limit.max(1));
        let ahead = self.tail.entries.back().is_some_and(|last| last.id > self.count);
        if self.tail.is_sorted() && !ahead { Ok(self) } else { Err(Error("aggregate trades out of order")) }
    }
}

wire_struct! {
    plain PublicTrade { 0: trade, 1: price, 2: quantity, 3: quote, 4: taker_side, 5: time }
    plain AggregateTrade { 0: id, 1: price, 2: quantity, 3: quote, 4: first, 5: last, 6: taker_side, 7: time }
    Trades { 0: tail }
    AggregateTrades { 0: tail, 1: count, 2: origin }
}

impl Wire for AggregateTradeId {
    fn write<S: Sink>(&self, out: &mut S) {
        self.0.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, wire::Error> {
        Wire::read(from).map(Self)
    }
}

impl<T: Wire, I: Wire> Wire for Tail<T, I> {
    fn write<S: Sink>(&self, out: &mut S) {
        self.entries.write(out);
        self.forgotten.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, wire::Error> {
        Ok(Self { entries: Wire::read(from)?, forgotten: Wire::read(from)? })
    }
}
