//! Ceilings: about as fast as this workload can be matched at all. The book knows the range of prices beforehand, has a
//! level for each and a bitmap over them, numbers of 32 bits, and neither accounts nor events. With [`Dense`] ids are
//! places in an array, as no venue may assume; with [`Hashed`] they are looked up, as everyone must who takes ids as
//! they come.

use crossbook_oracle::workload::{Command, Op, Tally};
use crossbook_types::Side;

use crate::engine::Engine;

/// Prices are below this: 64 x 64 x 64.
const PRICES: usize = 1 << 18;
/// No order.
const NONE: u32 = u32::MAX;

/// Where orders are kept, by their id.
pub trait Places {
    /// Room for an order.
    fn insert(&mut self, id: u32) -> u32;
    /// Where it is; it is about to be removed.
    fn remove(&mut self, id: u32) -> u32;
}

/// An id is a place.
#[derive(Default)]
pub struct Dense;

impl Places for Dense {
    #[inline]
    fn insert(&mut self, id: u32) -> u32 {
        id
    }

    #[inline]
    fn remove(&mut self, id: u32) -> u32 {
        id
    }
}

/// A hash table tells the place.
#[derive(Default)]
pub struct Hashed {
    places: hashbrown::HashMap<u32, u32, foldhash::fast::FixedState>,
    free: Vec<u32>,
    used: u32,
}

impl Places for Hashed {
    #[inline]
    fn insert(&mut self, id: u32) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        });
        self.places.insert(id, place);
        place
    }

    #[inline]
    fn remove(&mut self, id: u32) -> u32 {
        let place = self.places.remove(&id).expect("a removed order rests");
        self.free.push(place);
        place
    }
}

#[derive(Clone, Copy, Default)]
struct Order {
    id: u32,
    quantity: u32,
    price: u32,
    side: u32,
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy)]
struct Level {
    first: u32,
    last: u32,
}

/// The price levels of a side.
struct Levels {
    levels: Vec<Level>,
    /// Which levels have orders, which words of that are not zero, and which words of those.
    leaves: Vec<u64>,
    middle: [u64; 64],
    root: u64,
    /// The best price; beyond all others where there is none.
    best: u32,
}

impl Levels {
    fn new(side: Side) -> Self {
        let empty = Level { first: NONE, last: NONE };
        Self {
            levels: vec![empty; PRICES],
            leaves: vec![0; PRICES / 64],
            middle: [0; 64],
            root: 0,
            best: nothing(side),
        }
    }

    #[inline]
    fn set(&mut self, price: u32) {
        let price = price as usize;
        self.leaves[price >> 6] |= 1 << (price & 63);
        self.middle[price >> 12] |= 1 << (price >> 6 & 63);
        self.root |= 1 << (price >> 12);
    }

    #[inline]
    fn clear(&mut self, side: Side, price: u32) {
        let at = price as usize;
        self.leaves[at >> 6] &= !(1 << (at & 63));
        if self.leaves[at >> 6] == 0 {
            self.middle[at >> 12] &= !(1 << (at >> 6 & 63));
            if self.middle[at >> 12] == 0 {
                self.root &= !(1 << (at >> 12));
            }
        }
        if self.best == price {
            self.best = self.find_best(side);
        }
    }

    fn find_best(&self, side: Side) -> u32 {
        let first = |bits: u64| match side {
            Side::Sell => bits.trailing_zeros(),
            Side::Buy => 63 - bits.leading_zeros(),
        };
        if self.root == 0 {
            return nothing(side);
        }
        let high = first(self.root);
        let middle = high << 6 | first(self.middle[high as usize]);
        middle << 6 | first(self.leaves[middle as usize])
    }
}

/// A best price that nobody reaches.
fn nothing(side: Side) -> u32 {
    match side {
        Side::Buy => 0,
        Side::Sell => PRICES as u32,
    }
}

/// The book.
pub struct Bare<P> {
    orders: Vec<Order>,
    places: P,
    bids: Levels,
    asks: Levels,
}

impl<P: Places + Default> Bare<P> {
    /// An empty book with room for so many orders.
    pub fn new(room: usize) -> Self {
        Self {
            orders: vec![Order::default(); room],
            places: P::default(),
            bids: Levels::new(Side::Buy),
            asks: Levels::new(Side::Sell),
        }
    }

    #[inline]
    fn rest(&mut self, command: &Command, quantity: u32) {
        let at = self.places.insert(command.id);
        let levels = match command.side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let level = &mut levels.levels[command.price as usize];
        let (previous, side) = (level.last, command.side as u32);
        self.orders[at as usize] = Order { id: command.id, quantity, price: command.price, side, previous, next: NONE };
        level.last = at;
        if previous != NONE {
            self.orders[previous as usize].next = at;
            return;
        }
        level.first = at;
        levels.set(command.price);
        levels.best = match command.side {
            Side::Buy => levels.best.max(command.price),
            Side::Sell => levels.best.min(command.price),
        };
    }

    #[inline]
    fn remove(&mut self, id: u32) {
        let order = self.orders[self.places.remove(id) as usize];
        let (side, levels) =
            if order.side == Side::Buy as u32 { (Side::Buy, &mut self.bids) } else { (Side::Sell, &mut self.asks) };
        let level = &mut levels.levels[order.price as usize];
        match order.previous {
            NONE => level.first = order.next,
            previous => self.orders[previous as usize].next = order.next,
        }
        match order.next {
            NONE => level.last = order.previous,
            next => self.orders[next as usize].previous = order.previous,
        }
        if level.first == NONE {
            levels.clear(side, order.price);
        }
    }
}

impl<P: Places + Default> Engine for Bare<P> {
    #[inline]
    fn apply(&mut self, _: usize, command: &Command, tally: &mut Tally) {
        if command.op == Op::Cancel {
            return self.remove(command.id);
        }
        let mut left = command.qty;
        while left > 0 {
            let (best, levels) = match command.side {
                Side::Buy if self.asks.best <= command.price => (self.asks.best, &self.asks),
                Side::Sell if self.bids.best >= command.price => (self.bids.best, &self.bids),
                _ => break,
            };
            let maker = &mut self.orders[levels.levels[best as usize].first as usize];
            let quantity = left.min(maker.quantity);
            tally.trade(command.id, maker.id, best, quantity);
            left -= quantity;
            maker.quantity -= quantity;
            if maker.quantity == 0 {
                let id = maker.id;
                self.remove(id);
            }
        }
        if left > 0 && command.op == Op::Limit {
            self.rest(command, left);
        }
    }
}
