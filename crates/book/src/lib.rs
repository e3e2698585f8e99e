//! The order book of one symbol, in price-time priority.
//!
//! A [`Book`] holds orders in price-time priority and knows nothing else: no accounts, no money, no rules. The matcher
//! reads the [`Book::top`] of a side, decides, and calls [`Book::reduce`] or [`Book::remove`]. What an order carries
//! besides its quantity (`T`) belongs to the caller. The same structure, keyed by stop price, holds pending stop
//! orders.
//!
//! Orders are in a slab, chained first in, first out into price levels ([`queue`]). The levels are in a [`ladder`], a
//! trie over the bits of the price with 64 children per node: insertion, removal and the step to the next best price
//! cost a few bit operations at any depth of book, and prices far from the market cost nothing to those near it. All
//! storage is recycled: once a book has reached its largest size, no operation allocates.

// Pure: see the rules in ARCHITECTURE.md, and what is meant by them in clippy.toml.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_macros,
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::float_arithmetic,
        clippy::iter_over_hash_type
    )
)]

mod ladder;
mod queue;

use crossbook_types::{Price, Quantity, Side};
use ladder::{Ladder, Levels};
use queue::Queues;

/// The most orders that one book holds. With [`Quantity::MAX`] it bounds the total of any level to 64 bits.
pub const ORDERS_MAX: usize = 1 << 21;

/// The slot of an order in its book. Valid until the order is removed. The book checks only that the slot is occupied,
/// so callers store slots with what identifies the order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Slot(u32);

impl Slot {
    /// The slot as a number below [`ORDERS_MAX`].
    #[must_use]
    #[inline]
    pub fn index(self) -> u32 {
        self.0
    }

    /// The slot of that number.
    #[must_use]
    #[inline]
    pub fn from_index(index: u32) -> Self {
        Self(index)
    }
}

/// A resting order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a, T> {
    /// Its slot.
    pub slot: Slot,
    /// Its side.
    pub side: Side,
    /// Its price.
    pub price: Price,
    /// Its remaining quantity.
    pub quantity: Quantity,
    /// The caller's data.
    pub data: &'a T,
}

/// The order book of one symbol.
#[derive(Clone, Debug)]
pub struct Book<T> {
    queues: Queues<T>,
    bids: Ladder,
    asks: Ladder,
}

impl<T: Copy> Default for Book<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy> Book<T> {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self { queues: Queues::new(), bids: Ladder::new(Side::Buy), asks: Ladder::new(Side::Sell) }
    }

    /// The number of orders.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queues.len()
    }

    /// Whether the book has no orders.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the book has no room for another order.
    #[must_use]
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len() >= ORDERS_MAX
    }

    #[inline]
    fn ladder(&self, side: Side) -> &Ladder {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    #[inline]
    fn ladder_mut(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// The best price of a side: the highest bid, the lowest ask.
    #[must_use]
    #[inline]
    pub fn best(&self, side: Side) -> Option<Price> {
        self.ladder(side).best().map(|(price, _)| price)
    }

    /// The order of a side that trades next.
    #[must_use]
    #[inline]
    pub fn top(&self, side: Side) -> Option<Entry<'_, T>> {
        let (_, level) = self.ladder(side).best()?;
        Some(self.get(self.queues.first(level)))
    }

    /// Adds an order at the end of the queue of its price level.
    ///
    /// # Panics
    /// When the book is full, the quantity is zero or above [`Quantity::MAX`], or the price above [`Price::MAX`]. The
    /// caller has to check these before.
    #[inline]
    pub fn rest(&mut self, side: Side, price: Price, quantity: Quantity, data: T) -> Slot {
        assert!(!self.is_full(), "the book is full");
        assert!(!quantity.is_zero() && quantity <= Quantity::MAX, "quantity out of range");
        let ladder = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let level = ladder.get_or_insert(price, || self.queues.open_level(side, price));
        self.queues.push(level, quantity, data)
    }

    /// Adds an order that is at no price: it is in no queue and counts in no depth.
    ///
    /// # Panics
    /// As [`Book::rest`].
    pub fn park(&mut self, quantity: Quantity, data: T) -> Slot {
        assert!(!self.is_full(), "the book is full");
        assert!(!quantity.is_zero() && quantity <= Quantity::MAX, "quantity out of range");
        self.queues.park(quantity, data)
    }

    /// Takes an order away from its price. It keeps its slot, as one that was parked.
    ///
    /// # Panics
    /// When the slot is empty.
    pub fn detach(&mut self, slot: Slot) {
        if let Some((side, price, level)) = self.queues.detach(slot) {
            self.ladder_mut(side).remove(price);
            self.queues.close_level(level);
        }
    }

    /// The quantity of the order at a slot, which may be parked.
    ///
    /// # Panics
    /// When the slot is empty.
    #[must_use]
    #[inline]
    pub fn quantity(&self, slot: Slot) -> Quantity {
        self.queues.quantity(slot)
    }

    /// The order at a slot, which is not a parked one.
    ///
    /// # Panics
    /// When the slot is empty.
    #[must_use]
    #[inline]
    pub fn get(&self, slot: Slot) -> Entry<'_, T> {
        self.queues.entry(slot)
    }

    /// The caller's data of the order at a slot. Cheaper than [`Book::get`], which also looks up its price level.
    ///
    /// # Panics
    /// When the slot is empty.
    #[must_use]
    #[inline]
    pub fn data(&self, slot: Slot) -> &T {
        self.queues.data(slot)
    }

    /// The total quantity of the price level of the order at a slot, that order included. Cheaper than
    /// [`Book::depth_at`], which searches for the price.
    ///
    /// # Panics
    /// When the slot is empty.
    #[must_use]
    #[inline]
    pub fn depth_around(&self, slot: Slot) -> Quantity {
        self.queues.total_around(slot)
    }

    /// The orders before and after one in its queue.
    ///
    /// # Panics
    /// When the slot is empty.
    #[must_use]
    #[inline]
    pub fn neighbours(&self, slot: Slot) -> (Option<Slot>, Option<Slot>) {
        self.queues.neighbours(slot)
    }

    /// The caller's data of the order at a slot, mutable.
    ///
    /// # Panics
    /// When the slot is empty.
    #[inline]
    pub fn data_mut(&mut self, slot: Slot) -> &mut T {
        self.queues.data_mut(slot)
    }

    /// Reduces an order by `quantity`; it keeps its queue position, or stays parked. If nothing remains, the order is
    /// removed and its data returned.
    ///
    /// # Panics
    /// When the slot is empty or less than `quantity` remains.
    #[inline]
    pub fn reduce(&mut self, slot: Slot, quantity: Quantity) -> Option<T> {
        if self.queues.quantity(slot) == quantity {
            return Some(self.remove(slot));
        }
        self.queues.reduce(slot, quantity);
        None
    }

    /// Gives an order another quantity, at the end of the queue of its price level. It keeps its slot.
    ///
    /// # Panics
    /// When the slot is empty, or the quantity is zero or above [`Quantity::MAX`].
    pub fn renew(&mut self, slot: Slot, quantity: Quantity) {
        assert!(!quantity.is_zero() && quantity <= Quantity::MAX, "quantity out of range");
        self.queues.renew(slot, quantity);
    }

    /// Removes an order from the book.
    ///
    /// # Panics
    /// When the slot is empty.
    #[inline]
    pub fn remove(&mut self, slot: Slot) -> T {
        let (data, emptied) = self.queues.remove(slot);
        if let Some((side, price, level)) = emptied {
            self.ladder_mut(side).remove(price);
            self.queues.close_level(level);
        }
        data
    }

    /// The total quantity at a price.
    #[must_use]
    #[inline]
    pub fn depth_at(&self, side: Side, price: Price) -> Quantity {
        self.ladder(side).get(price).map_or(Quantity::ZERO, |level| self.queues.total(level))
    }

    /// The orders at one price of a side, by time priority.
    pub fn orders_at(&self, side: Side, price: Price) -> impl Iterator<Item = Entry<'_, T>> {
        self.ladder(side).get(price).into_iter().flat_map(|level| self.queues.orders(level))
    }

    /// The price levels of a side with their totals, best first.
    #[must_use]
    pub fn depth(&self, side: Side) -> Depth<'_, T> {
        Depth { book: self, levels: self.ladder(side).levels() }
    }

    /// The same from a price on: the level at the price, if there is one, and those behind it.
    #[must_use]
    pub fn depth_from(&self, side: Side, price: Price) -> Depth<'_, T> {
        Depth { book: self, levels: self.ladder(side).levels_from(price) }
    }

    /// The orders of a side, by price-time priority.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = Entry<'_, T>> {
        self.ladder(side).levels().flat_map(|(_, level)| self.queues.orders(level))
    }
}

/// Price levels with their totals, best first. See [`Book::depth`].
#[derive(Debug)]
pub struct Depth<'a, T> {
    book: &'a Book<T>,
    levels: Levels<'a>,
}

impl<T: Copy> Iterator for Depth<'_, T> {
    type Item = (Price, Quantity);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (price, level) = self.levels.next()?;
        Some((price, self.book.queues.total(level)))
    }
}

#[cfg(test)]
mod tests;
