//! The cached depth of every book beside the partition's streams, for readers that need it at once: a gateway that is
//! starting, a script, a screen. It is a copy and contains its position; the log is authoritative.
//!
//! Workers write it a few times a second, in the same shard and after the outputs that it derives from, so a failover
//! never leaves it ahead of them. Two workers may write the same book: a change names its predecessor, and is refused
//! if another one is stored.

use crossbook_types::{Decimal, Side};

/// What rests at a price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DepthLevel {
    /// On which side.
    pub side: Side,
    /// At which price, in units of the quote asset.
    pub price: Decimal,
    /// How much, in units of the base asset; zero if nothing does any more.
    pub quantity: Decimal,
}

/// Changes of the depth of one book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DepthChange<'a> {
    /// The market's name.
    pub symbol: &'a str,
    /// The number of the change before the first of these; `None` when these levels are the whole book.
    pub since: Option<u64>,
    /// The number of the last change.
    pub last: u64,
    /// What rests at each price that has changed.
    pub levels: &'a [DepthLevel],
}

/// The depth of a book as the store has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BookDepth {
    /// The number of the last change in it (the `lastUpdateId` of the client API).
    pub last: u64,
    /// Buyers' levels, the best first: price and quantity.
    pub bids: Vec<(Decimal, Decimal)>,
    /// Sellers' levels, the best first: price and quantity.
    pub asks: Vec<(Decimal, Decimal)>,
}
