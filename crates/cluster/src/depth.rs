//! Decides what a partition writes to the cached depth of its books in the store ([`crate::store`] has the calls).
//!
//! [`Depths`] does no I/O and has no clock. It records changed prices, each at most once however often it changed, and
//! gets the store's answers. Only the worker with the lease writes. When it gets the lease, it does not know what the
//! store has, and writes whole books; after that, only changes. If the store lost some of that in a failover, it
//! reports so, and gets the whole book again.

use std::collections::BTreeMap;

use crate::store::DepthLevel;
use crossbook_engine::{BookDepth, Partition};
use crossbook_protocol::Event;
use crossbook_protocol::event::DepthChanged;
use crossbook_types::{Decimal, Price, Quantity, Side, SymbolId, SymbolName};

/// Price levels of one round trip, after which no further book is begun in it.
const LEVELS_PER_WRITE: usize = 4_096;

/// What the store is known to have of a book.
#[derive(Clone, Debug, Default)]
struct Book {
    /// The last change that it has; `None` if that is not known.
    kept: Option<u64>,
    /// What has changed since, and what rests there now.
    changed: BTreeMap<(Side, Price), Quantity>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Depths {
    active: bool,
    /// Whether there may be something to write.
    pending: bool,
    books: BTreeMap<SymbolId, Book>,
}

/// What is to be written of one book.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// The market.
    pub market: SymbolId,
    /// Its name.
    pub symbol: SymbolName,
    /// The number of the change before the first of these; `None` when it is the whole book.
    pub since: Option<u64>,
    /// The number of the last change.
    pub last: u64,
    /// The levels.
    pub levels: Vec<DepthLevel>,
}

impl Depths {
    /// Begins to write the books of a partition, or stops to.
    pub fn set_active(&mut self, active: bool) {
        (self.active, self.pending) = (active, active);
        self.books.clear();
    }

    /// Whether there may be something to write.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.pending
    }

    /// Takes down what an applied command has changed. Nothing is remembered of books that are to be written whole.
    pub fn note(&mut self, events: &[Event]) {
        if !self.active {
            return;
        }
        for event in events {
            match event {
                Event::DepthChanged(DepthChanged { symbol, side, price, quantity, .. }) => {
                    self.pending = true;
                    let book = self.books.entry(*symbol).or_default();
                    if book.kept.is_some() {
                        book.changed.insert((*side, *price), *quantity);
                    }
                }
                Event::MarketListed(_) => self.pending = true,
                _ => {}
            }
        }
    }

    /// What is to be written now, at the position of `partition`: that of some books, the rest next time.
    #[must_use]
    pub fn writes(&self, partition: &Partition) -> Vec<Write> {
        let mut writes = Vec::new();
        let mut levels = 0;
        if !self.pending {
            return writes;
        }
        for depth in partition.depths() {
            let book = self.books.get(&depth.market().id);
            let write = match book {
                Some(Book { kept: Some(since), changed }) if !changed.is_empty() => changes(depth, *since, changed),
                Some(Book { kept: Some(_), .. }) => continue,
                _ => whole(depth),
            };
            levels += write.levels.len();
            writes.push(write);
            if levels >= LEVELS_PER_WRITE {
                break;
            }
        }
        writes
    }

    /// Takes in that these were written, and whether the store has them now.
    pub fn written(&mut self, writes: &[Write], kept: &[bool]) {
        let levels: usize = writes.iter().map(|write| write.levels.len()).sum();
        self.pending = levels >= LEVELS_PER_WRITE || kept.contains(&false);
        for (write, kept) in writes.iter().zip(kept) {
            let book = self.books.entry(write.market).or_default();
            book.changed.clear();
            book.kept = kept.then_some(write.last);
        }
    }

    /// The connection broke, and it is unknown what was written.
    pub fn disconnected(&mut self) {
        self.pending = self.active;
        self.books.clear();
    }
}

fn level(depth: BookDepth<'_>, side: Side, price: Price, quantity: Quantity) -> DepthLevel {
    let market = depth.market();
    // Scales are those of the market's own tick and step.
    let decimal = |(units, scale)| Decimal::new_checked(units, scale).expect("a market's decimals have a scale");
    DepthLevel {
        side,
        price: decimal(market.price_decimal(price)),
        quantity: decimal(market.quantity_decimal(quantity)),
    }
}

fn changes(depth: BookDepth<'_>, since: u64, changed: &BTreeMap<(Side, Price), Quantity>) -> Write {
    let levels = changed.iter().map(|(&(side, price), &quantity)| level(depth, side, price, quantity)).collect();
    write(depth, Some(since), levels)
}

fn whole(depth: BookDepth<'_>) -> Write {
    let sides = [Side::Buy, Side::Sell].into_iter();
    let levels =
        sides.flat_map(|side| depth.levels(side).map(move |(price, quantity)| level(depth, side, price, quantity)));
    write(depth, None, levels.collect())
}

fn write(depth: BookDepth<'_>, since: Option<u64>, levels: Vec<DepthLevel>) -> Write {
    let market = depth.market();
    Write { market: market.id, symbol: market.symbol, since, last: depth.update(), levels }
}
