//! An account's order ids: a list to which ids are appended, and from which they are removed without a search.
//!
//! A reader of the list looks each id up anyway, and so finds out whether it still belongs to the list. So a removal is
//! only counted, which touches no memory of the list; when more than half of a list may be removed, it is scanned once
//! and compacted. Per order that costs two independent lookups, where a search for its position would walk memory that
//! is not in the cache.

use std::collections::VecDeque;

use crossbook_types::OrderId;

use crate::limits::partition_point;

/// So many struck numbers are never worth dropping.
const STRUCK_MIN: usize = 32;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    listed: VecDeque<OrderId>,
    struck: usize,
}

impl Numbers {
    /// Adds a number that was never in it. Quick if it is above all others.
    pub(super) fn insert(&mut self, number: OrderId) {
        if self.listed.back().is_none_or(|&last| last < number) {
            return self.listed.push_back(number);
        }
        let index = self.index_from(number);
        assert_ne!(self.listed.get(index), Some(&number), "order {number} is listed once");
        self.listed.insert(index, number);
    }

    /// Counts an id as removed. `is_meant` returns which still belong to the list, and no longer includes this one.
    pub(super) fn strike(&mut self, is_meant: impl Fn(OrderId) -> bool) {
        self.struck += 1;
        let meant = self.listed.len().checked_sub(self.struck).expect("what is struck was listed");
        if self.struck > STRUCK_MIN.max(meant) {
            self.listed.retain(|&number| is_meant(number));
            assert_eq!(self.listed.len(), meant, "as many numbers are struck as are no longer meant");
            self.struck = 0;
        }
    }

    /// The numbers, ascending, and some among them that are struck.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = OrderId> {
        self.listed.iter().copied()
    }

    /// Those of `number` and above, likewise.
    pub(super) fn iter_from(&self, number: OrderId) -> impl Iterator<Item = OrderId> {
        self.listed.range(self.index_from(number)..).copied()
    }

    /// How many numbers are below this one.
    fn index_from(&self, number: OrderId) -> usize {
        partition_point(self.listed.len(), |at| self.listed[at] < number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set_of_what_is_meant(
            steps in prop::collection::vec((0..3_u8, 0..400_u64), 0..2_000),
            from in 0..=401_u64,
        ) {
            let (mut numbers, mut set, mut ever) = (Numbers::default(), BTreeSet::new(), BTreeSet::new());
            for (kind, number) in steps {
                let number = OrderId(number);
                if kind < 2 && ever.insert(number) {
                    numbers.insert(number);
                    set.insert(number);
                } else if set.remove(&number) {
                    numbers.strike(|number| set.contains(&number));
                }
                prop_assert_eq!(numbers.listed.len() - numbers.struck, set.len());
                prop_assert!(numbers.struck <= STRUCK_MIN.max(set.len()));
            }
            let is_meant = |number: &OrderId| set.contains(number);
            prop_assert!(numbers.iter().filter(is_meant).eq(set.iter().copied()));
            prop_assert!(numbers.iter().rev().filter(is_meant).eq(set.iter().rev().copied()));
            let from = OrderId(from);
            prop_assert!(numbers.iter_from(from).filter(is_meant).eq(set.range(from..).copied()));
        }
    }

    #[test]
    #[should_panic(expected = "order 7 is listed once")]
    fn a_number_is_listed_once() {
        let mut numbers = Numbers::default();
        for number in [7, 8, 7] {
            numbers.insert(OrderId(number));
        }
    }

    #[test]
    #[should_panic(expected = "as many numbers are struck as are no longer meant")]
    fn what_is_struck_is_no_longer_meant() {
        let mut numbers = Numbers::default();
        for number in 0..100 {
            numbers.insert(OrderId(number));
        }
        for _ in 0..100 {
            numbers.strike(|_| true);
        }
    }
}
