//! The port to book depth that another process caches: what can be shown before the read model is available.

use crossbook_types::Decimal;

use crate::command_port::Soon;

/// The depth of a book at some time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BookSnapshot {
    /// The number of the last change in it.
    pub last_update: u64,
    /// Buyers' prices and quantities, the best first.
    pub bids: Vec<(Decimal, Decimal)>,
    /// Sellers' prices and quantities, the best first.
    pub asks: Vec<(Decimal, Decimal)>,
}

/// The source of the cached depth of every book.
pub trait BookSnapshots: Send + Sync + 'static {
    /// The depth of the book of that market; `None` if there is no such market.
    fn book(&self, symbol: &str) -> Soon<'_, Option<BookSnapshot>>;
}
