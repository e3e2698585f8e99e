//! An account's orders by number: places that are appended, looked up by range, and taken out anywhere.
//!
//! Numbers ascend, so a new one goes to the end and any other is found by halving. What is taken out leaves a gap, which costs nothing until there
//! are more gaps than places; then they are closed all at once. So each operation touches a few lines of memory that lie side by side, where a tree
//! would touch a node on every level; and millions of orders pass through these lists when a log is replayed.

use std::collections::VecDeque;

use crossbook_types::OrderId;

/// What is in a gap.
const GONE: u32 = u32::MAX;
/// So many gaps are never worth closing.
const GAPS_MIN: usize = 32;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    places: VecDeque<(OrderId, u32)>,
    gaps: usize,
}

impl Listed {
    /// Adds a number that is not in it. Quick if it is above all others.
    pub(super) fn insert(&mut self, number: OrderId, at: u32) {
        if self.places.back().is_none_or(|&(last, _)| last < number) {
            return self.places.push_back((number, at));
        }
        let index = self.index_from(number);
        match self.places.get_mut(index) {
            Some(place) if place.0 == number => {
                assert_eq!(place.1, GONE, "order {number} is listed once");
                place.1 = at;
                self.gaps -= 1;
            }
            _ => self.places.insert(index, (number, at)),
        }
    }

    /// Takes a number out; `false` if it was not in it.
    pub(super) fn remove(&mut self, number: OrderId) -> bool {
        let index = self.index_from(number);
        let Some(place) = self.places.get_mut(index).filter(|place| place.0 == number && place.1 != GONE) else {
            return false;
        };
        place.1 = GONE;
        self.gaps += 1;
        while self.places.front().is_some_and(|place| place.1 == GONE) {
            self.places.pop_front();
            self.gaps -= 1;
        }
        if self.gaps > GAPS_MIN.max(self.places.len() / 2) {
            self.places.retain(|place| place.1 != GONE);
            self.gaps = 0;
        }
        true
    }

    /// The places, by number.
    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.places.iter().map(|place| place.1).filter(|&at| at != GONE)
    }

    /// Those of this number and above.
    pub(super) fn values_from(&self, number: OrderId) -> impl Iterator<Item = u32> {
        self.places.range(self.index_from(number)..).map(|place| place.1).filter(|&at| at != GONE)
    }

    fn index_from(&self, number: OrderId) -> usize {
        self.places.partition_point(|place| place.0 < number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_map_by_number(steps in prop::collection::vec((any::<bool>(), 0..400_u64), 0..2_000)) {
            let (mut listed, mut map) = (Listed::default(), BTreeMap::new());
            for (at, (inserted, number)) in (0..).zip(steps) {
                let number = OrderId(number);
                if inserted && !map.contains_key(&number) {
                    listed.insert(number, at);
                    map.insert(number, at);
                } else {
                    prop_assert_eq!(listed.remove(number), map.remove(&number).is_some());
                }
                prop_assert_eq!(listed.places.len() - listed.gaps, map.len());
                prop_assert!(listed.gaps <= GAPS_MIN.max(listed.places.len() / 2) + 1);
            }
            prop_assert!(listed.values().eq(map.values().copied()));
            prop_assert!(listed.values().rev().eq(map.values().rev().copied()));
            for from in [0, 1, 150, 399, 400].map(OrderId) {
                prop_assert!(listed.values_from(from).eq(map.range(from..).map(|(_, &at)| at)));
            }
        }
    }
}
