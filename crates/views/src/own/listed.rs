//! An account's orders by number: places that are appended, looked up by range, and taken out anywhere.
//!
//! Numbers ascend, so a new one goes to the end. An account's orders come as evenly as its owner trades, so any other number is most likely about as far
//! along the list as it lies between the first number and the last; from there it is found by looking further and further away. What is taken out leaves a
//! gap, which costs nothing until there are more gaps than places; then they are closed all at once. So each operation touches a few lines of memory that
//! lie side by side, where a tree, or halving, would touch one on every level; and millions of orders pass through these lists when a log is replayed.

use std::collections::VecDeque;

use crossbook_types::OrderId;

use crate::limits::partition_point;

/// What is in a gap.
const GONE: u32 = u32::MAX;
/// So many gaps are never worth closing.
const GAPS_MIN: usize = 32;

/// How far away from where a number should be it is looked for first: as many places as share two lines of memory.
const STRIDE: usize = 8;

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

    /// What stands about where a number should be; only to bring it near.
    pub(super) fn near(&self, number: OrderId) -> Option<u32> {
        self.places.get(self.guess(number)).map(|place| place.1)
    }

    /// The places, by number.
    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.places.iter().map(|place| place.1).filter(|&at| at != GONE)
    }

    /// Those of this number and above.
    pub(super) fn values_from(&self, number: OrderId) -> impl Iterator<Item = u32> {
        self.places.range(self.index_from(number)..).map(|place| place.1).filter(|&at| at != GONE)
    }

    /// How many numbers are below this one.
    fn index_from(&self, number: OrderId) -> usize {
        let is_below = |at: usize| self.places[at].0 < number;
        let (guess, mut stride) = (self.guess(number), STRIDE);
        // What is below `low` is below, and nothing from `high` on.
        let (mut low, mut high) = (0, self.places.len());
        if guess < high && is_below(guess) {
            low = guess + 1;
            while low + stride < high {
                if !is_below(low + stride) {
                    high = low + stride;
                    break;
                }
                low += stride + 1;
                stride *= 2;
            }
        } else {
            high = guess;
            while let Some(next) = high.checked_sub(stride) {
                if is_below(next) {
                    low = next + 1;
                    break;
                }
                high = next;
                stride *= 2;
            }
        }
        low + partition_point(high - low, |at| is_below(low + at))
    }

    /// About where a number is, if all are equally far apart; at most behind the last.
    fn guess(&self, number: OrderId) -> usize {
        let (Some(&(first, _)), Some(&(last, _))) = (self.places.front(), self.places.back()) else { return 0 };
        let length = self.places.len();
        if number <= first || number > last {
            return if number <= first { 0 } else { length };
        }
        let (ahead, span) = (number.0 - first.0, last.0 - first.0);
        // Where the product is too large for a guess, the middle is one.
        let at = ahead.checked_mul(length as u64 - 1).map_or(length / 2, |product| (product / span) as usize);
        at.min(length - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_map_by_number(
            steps in prop::collection::vec((any::<bool>(), 0..400_u64), 0..2_000),
            far_from in 0..400_u64,
            far in prop_oneof![Just(0), Just(1 << 40), Just(u64::MAX - 400)],
        ) {
            let spread = |number: u64| OrderId(if number >= far_from { number + far } else { number });
            let (mut listed, mut map) = (Listed::default(), BTreeMap::new());
            for (at, (inserted, number)) in (0..).zip(steps) {
                let number = spread(number);
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
            for from in [0, 1, 150, 399, 400].map(spread) {
                prop_assert!(listed.values_from(from).eq(map.range(from..).map(|(_, &at)| at)));
            }
        }
    }
}
