//! The lists whose working orders were filled, and whose other orders are yet to be placed, in the order of the fills.

use std::collections::BTreeMap;

use crossbook_types::{OrderListId, Price};

/// See the module. A list that ends before its turn leaves the queue, however long that is.
#[derive(Clone, Debug, Default)]
pub(super) struct Released {
    /// With each list the price at which its working order was filled.
    queue: BTreeMap<u64, (OrderListId, Price)>,
    places: BTreeMap<OrderListId, u64>,
    next: u64,
}

impl Released {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Puts a list behind the others.
    pub(super) fn push(&mut self, list: OrderListId, filled_at: Price) {
        self.places.insert(list, self.next);
        self.queue.insert(self.next, (list, filled_at));
        self.next += 1;
    }

    /// Takes the first one out.
    pub(super) fn pop(&mut self) -> Option<(OrderListId, Price)> {
        let (_, first) = self.queue.pop_first()?;
        self.places.remove(&first.0);
        Some(first)
    }

    /// Takes a list out, if it is there.
    pub(super) fn remove(&mut self, list: OrderListId) {
        if let Some(place) = self.places.remove(&list) {
            self.queue.remove(&place);
        }
    }

    pub(super) fn state(&self) -> Vec<(OrderListId, Price)> {
        self.queue.values().copied().collect()
    }

    /// Of what [`Released::state`] gave.
    pub(super) fn of_state(state: Vec<(OrderListId, Price)>) -> Self {
        let mut released = Self::default();
        state.into_iter().for_each(|(list, filled_at)| released.push(list, filled_at));
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbook_types::{OrderId, SymbolId};

    fn list(first: u64) -> OrderListId {
        OrderListId::of(SymbolId(0), OrderId(first)).unwrap()
    }

    /// That a list leaves the queue does not take longer when others are in it: a hundred thousand do within a moment.
    #[test]
    fn lists_leave_in_their_order_or_before_their_turn() {
        const COUNT: u64 = 1 << 17;
        let mut released = Released::default();
        (1..=COUNT).for_each(|first| released.push(list(first), Price(first)));
        (1..=COUNT).rev().filter(|first| first % 3 != 0).for_each(|first| released.remove(list(first)));
        released.remove(list(COUNT + 1));
        let again = Released::of_state(released.state());
        assert_eq!(again.state(), released.state());
        for first in (3..=COUNT).step_by(3) {
            assert_eq!(released.pop(), Some((list(first), Price(first))));
        }
        assert!(released.is_empty() && released.pop().is_none());
    }
}
