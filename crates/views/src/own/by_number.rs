//! The index of a market's orders by id.
//!
//! Order ids are consecutive, and the retained ones are mostly of one range. So the index has pages of 64 consecutive
//! ids, and only pages are hashed: few enough that their table stays in the cache. One bit of the page says whether an
//! id is known, another whether the order is open, which is asked for many ids when an account's lists are scanned. A
//! page without known ids is freed.

use crossbook_types::OrderId;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::hash::CountingHash;

const PAGE_BITS: u32 = 6;
const PAGE: usize = 1 << PAGE_BITS;

#[derive(Clone, Debug)]
struct Page {
    /// A bit for each number that is known.
    known: u64,
    /// And for each of these whose order is open.
    open: u64,
    places: [u32; PAGE],
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct ByNumber {
    pages: HashMap<u64, Box<Page>, CountingHash>,
}

/// The page of a number, and which it is there.
fn split(number: OrderId) -> (u64, usize) {
    (number.0 >> PAGE_BITS, number.0 as usize & (PAGE - 1))
}

/// Whether that bit is set.
fn has(bits: u64, within: usize) -> bool {
    bits >> within & 1 == 1
}

impl ByNumber {
    /// Enters an order.
    ///
    /// # Panics
    /// When there is one of that number.
    pub(super) fn insert(&mut self, number: OrderId, at: u32, is_open: bool) {
        let (page, within) = split(number);
        let empty = || Box::new(Page { known: 0, open: 0, places: [0; PAGE] });
        let page = self.pages.entry(page).or_insert_with(empty);
        assert!(!has(page.known, within), "order {number} is placed once");
        page.known |= 1 << within;
        page.open |= u64::from(is_open) << within;
        page.places[within] = at;
    }

    /// Where the order of that number is kept.
    #[inline]
    pub(super) fn get(&self, number: OrderId) -> Option<u32> {
        let (page, within) = split(number);
        let page = self.pages.get(&page)?;
        has(page.known, within).then(|| page.places[within])
    }

    /// Where it is, if it is open.
    #[inline]
    pub(super) fn get_open(&self, number: OrderId) -> Option<u32> {
        let (page, within) = split(number);
        let page = self.pages.get(&page)?;
        has(page.open, within).then(|| page.places[within])
    }

    /// Marks an order as ended, and returns its position.
    ///
    /// # Panics
    /// When it is not open.
    pub(super) fn close(&mut self, number: OrderId) -> u32 {
        let (page, within) = split(number);
        let page = self.pages.get_mut(&page).filter(|page| has(page.open, within));
        let page = page.unwrap_or_else(|| panic!("order {number} closes once"));
        page.open &= !(1 << within);
        page.places[within]
    }

    /// Forgets an order.
    ///
    /// # Panics
    /// When it is not known, or open.
    pub(super) fn remove(&mut self, number: OrderId) {
        let (page, within) = split(number);
        let Entry::Occupied(mut entry) = self.pages.entry(page) else {
            panic!("order {number} is known when it is forgotten");
        };
        let page = entry.get_mut();
        let (is_known, is_open) = (has(page.known, within), has(page.open, within));
        assert!(is_known && !is_open, "order {number} is known, and has ended, when it is forgotten");
        page.known &= !(1 << within);
        if page.known == 0 {
            entry.remove();
        }
    }

    /// Where all are kept, in no order that means anything.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> {
        let known = |page: &Page, within: usize| has(page.known, within).then(|| page.places[within]);
        self.pages.values().flat_map(move |page| (0..PAGE).filter_map(move |within| known(page, within)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_map_of_open_and_ended_orders(
            steps in prop::collection::vec((0..3_u8, 0..300_u64, any::<bool>()), 0..1_000),
            far in prop_oneof![Just(0), Just(1 << 40), Just(u64::MAX - 300)],
        ) {
            let (mut by_number, mut map) = (ByNumber::default(), BTreeMap::new());
            for (at, (kind, number, is_open)) in (0..).zip(steps) {
                let number = OrderId(number + if number % 2 == 0 { far } else { 0 });
                match (kind, map.get(&number).copied()) {
                    (0, None) => {
                        by_number.insert(number, at, is_open);
                        map.insert(number, (at, is_open));
                    }
                    (1, Some((at, true))) => {
                        prop_assert_eq!(by_number.close(number), at);
                        map.insert(number, (at, false));
                    }
                    (2, Some((_, false))) => {
                        by_number.remove(number);
                        map.remove(&number);
                    }
                    (_, known) => {
                        prop_assert_eq!(by_number.get(number), known.map(|(at, _)| at));
                        let open = known.filter(|known| known.1);
                        prop_assert_eq!(by_number.get_open(number), open.map(|(at, _)| at));
                    }
                }
            }
            let mut places: Vec<u32> = by_number.places().collect();
            places.sort_unstable();
            let mut expected: Vec<u32> = map.values().map(|&(at, _)| at).collect();
            expected.sort_unstable();
            prop_assert_eq!(places, expected);
            let ended = map.iter().map(|(&number, &(_, is_open))| (number, is_open)).collect::<Vec<_>>();
            for (number, is_open) in ended {
                if is_open {
                    by_number.close(number);
                }
                by_number.remove(number);
            }
            prop_assert!(by_number.pages.is_empty());
        }
    }

    const ORDER: OrderId = OrderId(5);

    fn one_open() -> ByNumber {
        let mut by_number = ByNumber::default();
        by_number.insert(ORDER, 1, true);
        by_number
    }

    #[test]
    #[should_panic(expected = "order 5 is placed once")]
    fn an_order_is_placed_once() {
        one_open().insert(ORDER, 2, true);
    }

    #[test]
    #[should_panic(expected = "order 5 closes once")]
    fn an_order_closes_once() {
        let mut by_number = one_open();
        assert_eq!(by_number.close(ORDER), 1);
        by_number.close(ORDER);
    }

    #[test]
    #[should_panic(expected = "order 5 is known, and has ended, when it is forgotten")]
    fn an_open_order_is_not_forgotten() {
        one_open().remove(ORDER);
    }
}
