//! Queries of the books. Memory has none of this: they are answered from the history alone.

use crossbook_types::AccountId;
pub use crossbook_views::history::{LedgerEntry, LedgerPlace, Revenue};

use crate::error::Error;
use crate::gateway::Gateway;
use crate::past::Newest;

/// What the history has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FromHistory<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// Whether the history has all that was answered before; if not, the newest may be missing.
    pub is_current: bool,
}

impl Gateway {
    /// The last `limit` postings to an account before a place, if there is one, the newest first; `None` without a
    /// history.
    ///
    /// # Errors
    /// When the history does not answer.
    pub async fn ledger_entries(
        &self,
        account: AccountId,
        before: Option<LedgerPlace>,
        limit: usize,
    ) -> Result<Option<FromHistory<LedgerEntry>>, Error> {
        let Some(Newest { past, is_current }) = self.newest_past().await? else { return Ok(None) };
        let entries = past.ask(past.history.ledger_entries(account, before, limit)).await?;
        Ok(Some(FromHistory { entries, is_current }))
    }

    /// The fees of each day from the first up to the last of `days`, by day; at most `limit` of them; `None` without a
    /// history.
    ///
    /// # Errors
    /// When the history does not answer.
    pub async fn revenue(&self, days: (u32, u32), limit: usize) -> Result<Option<FromHistory<Revenue>>, Error> {
        let Some(Newest { past, is_current }) = self.newest_past().await? else { return Ok(None) };
        let entries = past.ask(past.history.revenue(days, limit)).await?;
        Ok(Some(FromHistory { entries, is_current }))
    }

    async fn newest_past(&self) -> Result<Option<Newest<'_>>, Error> {
        self.past.newest(self.read_model.standings().collect()).await
    }
}
