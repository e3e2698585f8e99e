//! The depth of a book, read from the partition that matches it.

use crossbook_types::{Market, Price, Quantity, Side, SymbolId};

use crate::Partition;
use crate::matching::Matcher;

/// The current depth of one book.
#[derive(Clone, Copy)]
pub struct BookDepth<'a>(&'a Matcher);

impl<'a> BookDepth<'a> {
    /// Its market.
    #[must_use]
    pub fn market(&self) -> &'a Market {
        self.0.market()
    }

    /// The number of the last change, as [`DepthChanged::update`](crossbook_protocol::event::DepthChanged::update)
    /// counts them; 0 before the first.
    #[must_use]
    pub fn update(&self) -> u64 {
        self.0.depth_update()
    }

    /// What rests at each price of a side, the best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = (Price, Quantity)> + use<'a> {
        self.0.open().depth(side)
    }
}

impl Partition {
    /// The depth of a market's book; `None` if another partition matches it, or there is no such market.
    #[must_use]
    pub fn depth(&self, symbol: SymbolId) -> Option<BookDepth<'_>> {
        self.matchers.get(symbol.0 as usize)?.as_deref().map(BookDepth)
    }

    /// The depth of each book of this partition, by the market's number.
    pub fn depths(&self) -> impl Iterator<Item = BookDepth<'_>> {
        self.matchers.iter().flatten().map(|matcher| BookDepth(matcher))
    }
}
