//! Queries of the books: what has changed an account's balances, and what the venue has collected.

use crossbook_projection::schema::{LEDGER_ENTRIES, REVENUE};
use crossbook_types::AccountId;
use crossbook_views::history::{LedgerEntry, LedgerPlace, Revenue};

use super::{History, number};
use crate::database::Error;
use crate::rows::Fields;

impl History {
    /// The last `limit` postings to an account before a place, if there is one, the newest first.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn ledger_entries(
        &self,
        account: AccountId,
        before: Option<LedgerPlace>,
        limit: usize,
    ) -> Result<Vec<LedgerEntry>, Error> {
        // The first condition is what the index is read from; the others are only of the postings of that time.
        let condition = if before.is_some() {
            "AND time <= ? AND (time < ? OR partition_id < ? OR partition_id = ? AND (sequence < ? OR sequence = ? AND \
             ordinal < ?))"
        } else {
            ""
        };
        let statement = format!(
            "SELECT {} FROM {} WHERE account_id = ? {condition} \
             ORDER BY time DESC, partition_id DESC, sequence DESC, ordinal DESC LIMIT ?",
            LEDGER_ENTRIES.selection(),
            self.along(LEDGER_ENTRIES.name, "ledger_by_account")
        );
        let place = before.map(|LedgerPlace { time, partition, sequence, ordinal }| {
            let partition = u64::from(partition.0);
            [time.0, time.0, partition, partition, sequence.0, sequence.0, ordinal]
        });
        let values = [account.0].into_iter().chain(place.into_iter().flatten()).chain([limit as u64]).map(number);
        let rows = self.rows(statement, values).await?;
        rows.iter().map(|row| Fields(row).ledger_entry()).collect()
    }

    /// The fees of each day from the first up to the last of `days`, by day; at most `limit` of them.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn revenue(&self, (from, to): (u32, u32), limit: usize) -> Result<Vec<Revenue>, Error> {
        let statement = format!(
            "SELECT {} FROM {} WHERE day >= ? AND day <= ? ORDER BY day, symbol_id, asset_id LIMIT ?",
            REVENUE.selection(),
            self.along(REVENUE.name, "revenue_by_day")
        );
        let rows = self.rows(statement, [u64::from(from), u64::from(to), limit as u64].map(number)).await?;
        rows.iter().map(|row| Fields(row).revenue()).collect()
    }
}
