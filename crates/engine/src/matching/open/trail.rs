//! Orders that trail the price on one side: what a trade costs does not depend on how many there are.
//!
//! A sell order follows the highest price since it began, a buy order the lowest: its *extreme*. It triggers when the
//! price has come back from there by its delta. An order that began earlier has seen at least the prices of one that
//! began later. So orders in the order of their beginning have extremes that never get better, and those with the same
//! extreme are neighbours: a *group*. A price that is a new extreme for some groups is that for the last ones, which
//! become one group; no order is touched for that. In each group the order of the smallest delta triggers first, and an
//! index of the groups' next trigger prices says whether there is anything to do at all.
//!
//! A trade costs O(log n), and O(log n) for each group that it ends; each order has begun one at most.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_book::Slot;
use crossbook_types::{Price, Side, TrailingDelta};

use super::min_tree::MinTree;

/// The trailing orders of one side.
#[derive(Clone, Debug)]
pub(super) struct Trail {
    side: Side,
    /// The orders in the order of their beginning. One that is gone leaves a gap.
    orders: Vec<Option<Slot>>,
    live: usize,
    /// Their deltas.
    deltas: MinTree,
    /// The groups, by the position of their first order.
    groups: BTreeMap<u32, Group>,
    /// Of each group, by how near it is, its next trigger price.
    next: BTreeSet<(u64, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    extreme: Price,
    /// Its key in [`Trail::next`].
    rank: u64,
}

impl Trail {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            orders: Vec::new(),
            live: 0,
            deltas: MinTree::new(),
            groups: BTreeMap::new(),
            next: BTreeSet::new(),
        }
    }

    /// Those that trail, in the order in which they began, each with its extreme.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, Price)> {
        (0u32..).zip(&self.orders).filter_map(|(at, slot)| Some(((*slot)?, self.groups[&self.group_of(at)].extreme)))
    }

    /// A price was traded at, or an order begins there: groups whose extreme that is not better than follow it.
    pub(super) fn observe(&mut self, price: Price) {
        let mut first = None;
        while let Some((&at, group)) = self.groups.last_key_value()
            && !self.is_better(group.extreme, price)
        {
            self.next.remove(&(group.rank, at));
            self.groups.remove(&at);
            first = Some(at);
        }
        if let Some(first) = first {
            self.groups.insert(first, Group { extreme: price, rank: 0 });
            self.renew(first);
        }
    }

    /// An order begins to trail at a price. Its position, until [`Trail::observe`] or another order's beginning; and
    /// whether the positions of others have changed, because gaps were closed.
    pub(super) fn begin(&mut self, slot: Slot, delta: TrailingDelta, price: Price) -> (u32, bool) {
        self.observe(price);
        let moved = self.orders.len() == self.deltas.room() && self.make_room();
        let at = u32::try_from(self.orders.len()).expect("a book holds fewer than 2^32 orders");
        self.orders.push(Some(slot));
        self.live += 1;
        self.deltas.set(at, Some(delta.0));
        let first = match self.groups.last_key_value() {
            Some((&first, group)) if group.extreme == price => first,
            _ => {
                self.groups.insert(at, Group { extreme: price, rank: u64::MAX });
                at
            }
        };
        self.renew(first);
        (at, moved)
    }

    /// The order at a position ends.
    pub(super) fn remove(&mut self, at: u32) {
        self.orders[at as usize] = None;
        self.live -= 1;
        self.deltas.set(at, None);
        self.renew(self.group_of(at));
        while let Some(None) = self.orders.last() {
            self.orders.pop();
        }
    }

    /// Who began last.
    pub(super) fn last(&self) -> Option<Slot> {
        self.orders.last().copied().flatten()
    }

    /// The next order that triggers at a price, if one does.
    pub(super) fn next_due(&self, price: Price) -> Option<(Slot, u32)> {
        let &(rank, first) = self.next.first()?;
        let due = match self.side {
            Side::Buy => price.0 >= rank,
            Side::Sell => price.0 <= u64::MAX - rank,
        };
        if !due {
            return None;
        }
        let (_, at) = self.deltas.least(first, self.end_of(first))?;
        Some((self.orders[at as usize].expect("an order with a delta is there"), at))
    }

    /// Whether an extreme is beyond a price.
    fn is_better(&self, extreme: Price, price: Price) -> bool {
        match self.side {
            Side::Buy => extreme < price,
            Side::Sell => extreme > price,
        }
    }

    /// The first position of the group of an order.
    fn group_of(&self, at: u32) -> u32 {
        *self.groups.range(..=at).next_back().expect("an order that trails is in a group").0
    }

    /// The position behind the last order of a group.
    fn end_of(&self, first: u32) -> u32 {
        let next = self.groups.range(first + 1..).next();
        next.map_or(u32::try_from(self.orders.len()).expect("a book holds fewer than 2^32 orders"), |(&next, _)| next)
    }

    /// Computes a group's next trigger price afresh. A group without orders is none.
    fn renew(&mut self, first: u32) {
        let Group { extreme, rank } = self.groups[&first];
        self.next.remove(&(rank, first));
        let Some((delta, _)) = self.deltas.least(first, self.end_of(first)) else {
            self.groups.remove(&first);
            return;
        };
        let trigger = TrailingDelta(delta).trigger(self.side, extreme);
        let rank = match self.side {
            Side::Buy => trigger.0,
            Side::Sell => u64::MAX - trigger.0,
        };
        self.groups.insert(first, Group { extreme, rank });
        self.next.insert((rank, first));
    }

    /// Closes the gaps, and makes room for as many orders again. Whether there were gaps.
    fn make_room(&mut self) -> bool {
        let moved = self.live < self.orders.len();
        let extremes: Vec<(Slot, Price)> = self.iter().collect();
        let deltas: Vec<u32> =
            (0u32..).zip(&self.orders).filter_map(|(at, slot)| slot.and(self.deltas.get(at))).collect();
        self.deltas.clear(extremes.len() * 2);
        self.orders.clear();
        self.groups.clear();
        self.next.clear();
        let mut last = None;
        for (at, ((slot, extreme), delta)) in (0u32..).zip(extremes.into_iter().zip(deltas)) {
            self.orders.push(Some(slot));
            self.deltas.set(at, Some(delta));
            if last != Some(extreme) {
                self.groups.insert(at, Group { extreme, rank: u64::MAX });
                last = Some(extreme);
            }
        }
        let firsts: Vec<u32> = self.groups.keys().copied().collect();
        firsts.into_iter().for_each(|first| self.renew(first));
        moved
    }

    /// Positions of all orders, after gaps were closed.
    pub(super) fn positions(&self) -> impl Iterator<Item = (Slot, u32)> {
        (0u32..).zip(&self.orders).filter_map(|(at, slot)| Some(((*slot)?, at)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, obviously: slot, delta, extreme.
    #[derive(Default)]
    struct Naive(Vec<(Slot, u32, u64)>);

    impl Naive {
        fn due(&self, side: Side, price: u64) -> Option<Slot> {
            let trigger = |delta, extreme| TrailingDelta(delta).trigger(side, Price(extreme)).0;
            let due = |&&(_, delta, extreme): &&(Slot, u32, u64)| match side {
                Side::Buy => price >= trigger(delta, extreme),
                Side::Sell => price <= trigger(delta, extreme),
            };
            let rank = |&&(_, delta, extreme): &&(Slot, u32, u64)| match side {
                Side::Buy => (trigger(delta, extreme), extreme, delta),
                Side::Sell => (u64::MAX - trigger(delta, extreme), u64::MAX - extreme, delta),
            };
            self.0.iter().filter(due).min_by_key(rank).map(|&(slot, ..)| slot)
        }
    }

    proptest! {
        #[test]
        fn it_triggers_what_a_list_would(
            steps in prop::collection::vec((0u8..8, 90u64..111, 1u32..1_500, any::<prop::sample::Index>()), 1..400),
            buys in any::<bool>(),
        ) {
            let side = if buys { Side::Buy } else { Side::Sell };
            let (mut trail, mut naive) = (Trail::new(side), Naive::default());
            let mut positions = BTreeMap::new();
            let mut last = 100;
            for (name, (kind, price, delta, pick)) in (0u32..).zip(steps) {
                match kind {
                    0..=3 => {
                        let slot = Slot::from_index(name);
                        let (at, moved) = trail.begin(slot, TrailingDelta(delta), Price(last));
                        if moved {
                            positions = trail.positions().map(|(slot, at)| (slot.index(), at)).collect();
                        }
                        positions.insert(name, at);
                        naive.0.push((slot, delta, last));
                    }
                    4 if !naive.0.is_empty() => {
                        let (slot, ..) = naive.0.remove(pick.index(naive.0.len()));
                        trail.remove(positions[&slot.index()]);
                    }
                    _ => {
                        last = price;
                        trail.observe(Price(price));
                        for (_, _, extreme) in &mut naive.0 {
                            *extreme = if buys { (*extreme).min(price) } else { (*extreme).max(price) };
                        }
                        while let Some((slot, at)) = trail.next_due(Price(price)) {
                            prop_assert_eq!(Some(slot), naive.due(side, price));
                            trail.remove(at);
                            naive.0.retain(|&(other, ..)| other != slot);
                        }
                        prop_assert_eq!(naive.due(side, price), None);
                    }
                }
                let found: Vec<_> = trail.iter().map(|(slot, extreme)| (slot, extreme.0)).collect();
                let expected: Vec<_> = naive.0.iter().map(|&(slot, _, extreme)| (slot, extreme)).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
