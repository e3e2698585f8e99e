//! The depth of a book: how much rests at each price.

use std::collections::BTreeMap;

use crossbook_protocol::event::DepthChanged;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{Price, Quantity, Side, SymbolId};

use crate::error::Error;

/// What rests at one price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Level {
    /// The price.
    pub price: Price,
    /// How much; above zero.
    pub quantity: Quantity,
}

/// Both sides of a book.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Depth {
    bids: BTreeMap<Price, Quantity>,
    asks: BTreeMap<Price, Quantity>,
    last_update: u64,
}

/// What a snapshot keeps of a depth: each side by price, ascending.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DepthState {
    bids: Vec<Level>,
    asks: Vec<Level>,
    last_update: u64,
}

fn level((&price, &quantity): (&Price, &Quantity)) -> Level {
    Level { price, quantity }
}

impl Depth {
    /// What buyers offer, the highest price first.
    pub fn bids(&self) -> impl Iterator<Item = Level> {
        self.bids.iter().rev().map(level)
    }

    /// What sellers offer, the lowest price first.
    pub fn asks(&self) -> impl Iterator<Item = Level> {
        self.asks.iter().map(level)
    }

    /// The highest price that buyers offer.
    #[must_use]
    pub fn best_bid(&self) -> Option<Level> {
        self.bids.last_key_value().map(level)
    }

    /// The lowest price that sellers offer.
    #[must_use]
    pub fn best_ask(&self) -> Option<Level> {
        self.asks.first_key_value().map(level)
    }

    /// What rests on one side at one price.
    #[must_use]
    pub fn quantity_at(&self, side: Side, price: Price) -> Quantity {
        self.side(side).get(&price).copied().unwrap_or_default()
    }

    /// The number of the last change; 0 before the first.
    #[must_use]
    pub fn last_update(&self) -> u64 {
        self.last_update
    }

    /// Counts on from the number of a change elsewhere.
    ///
    /// # Panics
    /// When there were changes here already.
    pub(crate) fn count_on(&mut self, symbol: SymbolId, update: u64) {
        assert_eq!(self.last_update, 0, "the depth of market {symbol} changed before it moved in");
        self.last_update = update;
    }

    fn side(&self, side: Side) -> &BTreeMap<Price, Quantity> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    pub(crate) fn apply(&mut self, change: &DepthChanged) {
        assert_eq!(change.update, self.last_update + 1, "depth updates of market {} have a gap", change.symbol);
        self.last_update = change.update;
        let side = match change.side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if change.quantity.is_zero() {
            side.remove(&change.price);
        } else {
            side.insert(change.price, change.quantity);
        }
    }

    /// Whether a buyer offers as much as a seller asks. Within a command that may seem so, after it never, but in a
    /// market that collects orders for an auction.
    pub(crate) fn is_crossed(&self) -> bool {
        matches!((self.best_bid(), self.best_ask()), (Some(bid), Some(ask)) if bid.price >= ask.price)
    }

    pub(crate) fn state(&self) -> DepthState {
        DepthState {
            bids: self.bids.iter().map(level).collect(),
            asks: self.asks.iter().map(level).collect(),
            last_update: self.last_update,
        }
    }

    /// The depth of a state; `may_cross`: of a market that may be crossed.
    pub(crate) fn restore(state: DepthState, may_cross: bool) -> Result<Self, Error> {
        let side = |levels: Vec<Level>| {
            let sane = levels.is_sorted_by(|a, b| a.price < b.price) && levels.iter().all(|l| !l.quantity.is_zero());
            sane.then(|| levels.into_iter().map(|level| (level.price, level.quantity)).collect())
                .ok_or(Error("depth levels out of order"))
        };
        let depth = Self { bids: side(state.bids)?, asks: side(state.asks)?, last_update: state.last_update };
        if depth.is_crossed() && !may_cross { Err(Error("a crossed book")) } else { Ok(depth) }
    }
}

wire_struct! {
    plain Level { 0: price, 1: quantity }
    DepthState { 0: bids, 1: asks, 2: last_update }
}
