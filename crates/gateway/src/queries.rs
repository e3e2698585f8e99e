//! Queries: typed questions with typed answers, from the read model, and from the history beyond memory.
//!
//! The views are locked only while an answer is copied, not while it is formatted. A query about an account first waits
//! until the read model has everything that anybody was answered about that account.

mod account;
mod amendments;
pub mod books;
mod candles;
mod market_data;
mod operator_log;
mod order_lists;
mod periods;

pub use account::{AccountBalances, OwnTradesQuery, PreventedQuery};
pub use market_data::{BookDepth, MarketSelection, Statistics};

use crossbook_views::MarketData;

use crate::error::Error;
use crate::gateway::Gateway;
use crate::read_model::Standing;

impl Gateway {
    /// Reads from the market of that name, while its views are locked.
    fn read_market<T>(&self, name: &str, read: impl FnOnce(&MarketData, Standing) -> T) -> Result<T, Error> {
        self.read_model.market(name, read).ok_or(Error::UnknownSymbol)
    }
}
