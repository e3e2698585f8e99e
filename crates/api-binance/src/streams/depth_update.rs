//! Coalesced depth updates: the changes of a book since the last update was published, each price level once, with its
//! newest quantity, and the range of update ids that they stand for. The ranges have no gaps: each begins where the
//! last ended.

use std::collections::BTreeMap;

use crossbook_protocol::event::DepthChanged;
use crossbook_types::{Price, Quantity, Side};

/// Changes gathered for one stream of a market.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CoalescedDepth {
    bids: BTreeMap<Price, Quantity>,
    asks: BTreeMap<Price, Quantity>,
    range: Option<(u64, u64)>,
}

impl CoalescedDepth {
    /// Adds a change. If it does not follow the last one, there were no subscribers for a while; earlier changes are of
    /// no use to the present subscribers, and are dropped.
    pub fn add(&mut self, change: &DepthChanged) {
        match &mut self.range {
            Some((_, last)) if last.checked_add(1) == Some(change.update) => *last = change.update,
            _ => {
                self.clear();
                self.range = Some((change.update, change.update));
            }
        }
        let side = match change.side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        side.insert(change.price, change.quantity);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The first and last update, if there is any.
    #[must_use]
    pub fn range(&self) -> Option<(u64, u64)> {
        self.range
    }

    /// The changed bids, best first.
    pub fn bids(&self) -> impl Iterator<Item = (Price, Quantity)> {
        self.bids.iter().rev().map(|(&price, &quantity)| (price, quantity))
    }

    /// The changed asks, best first.
    pub fn asks(&self) -> impl Iterator<Item = (Price, Quantity)> {
        self.asks.iter().map(|(&price, &quantity)| (price, quantity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbook_types::SymbolId;

    fn change(update: u64, side: Side, price: u64, quantity: u64) -> DepthChanged {
        DepthChanged { symbol: SymbolId(0), side, price: Price(price), quantity: Quantity(quantity), update }
    }

    #[test]
    fn each_level_stands_once_with_its_newest_quantity() {
        let mut gathered = CoalescedDepth::default();
        gathered.add(&change(7, Side::Buy, 100, 5));
        gathered.add(&change(8, Side::Sell, 102, 1));
        gathered.add(&change(9, Side::Buy, 100, 0));
        gathered.add(&change(10, Side::Buy, 101, 2));
        assert_eq!(gathered.range(), Some((7, 10)));
        assert!(gathered.bids().eq([(Price(101), Quantity(2)), (Price(100), Quantity(0))]));
        assert!(gathered.asks().eq([(Price(102), Quantity(1))]));
    }

    #[test]
    fn a_gap_starts_anew() {
        let mut gathered = CoalescedDepth::default();
        gathered.add(&change(7, Side::Buy, 100, 5));
        gathered.add(&change(9, Side::Buy, 99, 5));
        assert_eq!(gathered.range(), Some((9, 9)));
        assert!(gathered.bids().eq([(Price(99), Quantity(5))]));
    }
}
