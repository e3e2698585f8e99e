//! The structures: all in price-time priority, as simple as their kind allows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crossbook_book::Book;
use crossbook_types::{Price, Quantity, Side};

/// An order that rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Order {
    /// Its number, which is also its place in time.
    pub id: u32,
    pub side: Side,
    pub price: u32,
    pub quantity: u32,
}

/// What orders are kept in.
pub(super) trait Structure: Default {
    const NAME: &'static str;

    fn insert(&mut self, order: Order);

    /// The order of a side that trades next.
    fn best(&self, side: Side) -> Option<Order>;

    /// Takes some of that order, and the order itself when nothing is left of it.
    fn take(&mut self, side: Side, quantity: u32);
}

/// What comes first is what is least: the best price, then the earliest.
type Rank = (u32, u32);

fn rank(order: &Order) -> Rank {
    // Bids turned around, so that the highest is the least.
    (if order.side == Side::Buy { u32::MAX - order.price } else { order.price }, order.id)
}

/// One side of a book, for structures that know no sides.
pub(super) trait Half: Default {
    const NAME: &'static str;

    fn insert(&mut self, order: Order);

    fn first(&self) -> Option<Order>;

    fn take(&mut self, quantity: u32);
}

/// Two halves.
#[derive(Default)]
pub(super) struct Pair<H> {
    bids: H,
    asks: H,
}

impl<H> Pair<H> {
    fn half(&mut self, side: Side) -> &mut H {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

impl<H: Half> Structure for Pair<H> {
    const NAME: &'static str = H::NAME;

    fn insert(&mut self, order: Order) {
        self.half(order.side).insert(order);
    }

    fn best(&self, side: Side) -> Option<Order> {
        match side {
            Side::Buy => self.bids.first(),
            Side::Sell => self.asks.first(),
        }
    }

    fn take(&mut self, side: Side, quantity: u32) {
        self.half(side).take(quantity);
    }
}

/// An array with the best last, where it is cheapest to take away. `AGAIN`: sorted again at each insertion; else: each
/// order is put where it belongs.
#[derive(Default)]
pub(super) struct Array<const AGAIN: bool>(Vec<Order>);

impl<const AGAIN: bool> Half for Array<AGAIN> {
    const NAME: &'static str =
        if AGAIN { "array, sorted again at each insertion" } else { "array, each put in its place" };

    fn insert(&mut self, order: Order) {
        if AGAIN {
            self.0.push(order);
            self.0.sort_by_key(|order| Reverse(rank(order)));
        } else {
            let at = self.0.partition_point(|other| rank(other) > rank(&order));
            self.0.insert(at, order);
        }
    }

    fn first(&self) -> Option<Order> {
        self.0.last().copied()
    }

    fn take(&mut self, quantity: u32) {
        if let Some(first) = self.0.last_mut() {
            first.quantity -= quantity;
            if first.quantity == 0 {
                self.0.pop();
            }
        }
    }
}

/// The standard library's ordered map.
#[derive(Default)]
pub(super) struct Tree(BTreeMap<Rank, Order>);

impl Half for Tree {
    const NAME: &'static str = "ordered tree";

    fn insert(&mut self, order: Order) {
        self.0.insert(rank(&order), order);
    }

    fn first(&self) -> Option<Order> {
        self.0.first_key_value().map(|(_, order)| *order)
    }

    fn take(&mut self, quantity: u32) {
        if let Some(mut first) = self.0.first_entry() {
            first.get_mut().quantity -= quantity;
            if first.get().quantity == 0 {
                first.remove();
            }
        }
    }
}

/// A heap entry. Only its rank counts.
#[derive(Clone, Copy)]
struct Ranked(Rank, Order);

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// The standard library's heap.
#[derive(Default)]
pub(super) struct Heap(BinaryHeap<Reverse<Ranked>>);

/// One for each side.
pub(super) type Heaps = Pair<Heap>;

impl Half for Heap {
    const NAME: &'static str = "binary heaps";

    fn insert(&mut self, order: Order) {
        self.0.push(Reverse(Ranked(rank(&order), order)));
    }

    fn first(&self) -> Option<Order> {
        self.0.peek().map(|Reverse(Ranked(_, order))| *order)
    }

    fn take(&mut self, quantity: u32) {
        let Some(Reverse(Ranked(_, first))) = self.0.peek().copied() else { return };
        if first.quantity == quantity {
            self.0.pop();
        } else if let Some(mut top) = self.0.peek_mut() {
            top.0.1.quantity -= quantity;
        }
    }
}

/// The book of the venue.
#[derive(Default)]
pub(super) struct BookSides(Book<u32>);

impl Structure for BookSides {
    const NAME: &'static str = "the book of the venue";

    fn insert(&mut self, order: Order) {
        self.0.rest(order.side, Price(order.price.into()), Quantity(order.quantity.into()), order.id);
    }

    fn best(&self, side: Side) -> Option<Order> {
        // Both numbers came from an order.
        self.0.top(side).map(|top| Order {
            id: *top.data,
            side,
            price: top.price.0 as u32,
            quantity: top.quantity.0 as u32,
        })
    }

    fn take(&mut self, side: Side, quantity: u32) {
        if let Some(slot) = self.0.top(side).map(|top| top.slot) {
            self.0.reduce(slot, Quantity(quantity.into()));
        }
    }
}
