//! Writes the same rows one at a time and in batches, to measure the difference.
//!
//! A program that writes each row at once pays for one transaction per row. [`Rows`] are written in that way, and in
//! transactions of any length, by the production writer. Every transaction is on disk when it ends.

use std::collections::BTreeMap;

use crossbook_projection::batch::{Batch, Step, TableRows, Value};
use crossbook_projection::schema::Table;
use crossbook_protocol::Cause;
use crossbook_types::{PartitionId, Sequence, Timestamp};
use sqlx::{AssertSqlSafe, Executor as _};

use crate::database::Error;
use crate::options::Dialect;
use crate::statement::{bind, upsert};
use crate::writer::Writer;

/// Rows in the order in which they are to be written.
#[derive(Debug, Default)]
pub struct Rows {
    rows: Vec<(&'static Table, Vec<Value>)>,
}

/// How rows are cut into transactions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// One statement for each row, and a transaction for each statement.
    Single,
    /// So many rows in each transaction, which also stores the position of the tables.
    Batches(usize),
}

impl Rows {
    /// Adds those of a batch.
    pub fn gather(&mut self, batch: &Batch) {
        for (table, rows) in batch.tables() {
            self.rows.extend(rows.into_iter().map(|row| (table, row)));
        }
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Drops all rows after the first `rows`.
    pub fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
    }

    /// How many there are of each table.
    #[must_use]
    pub fn by_table(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for (table, _) in &self.rows {
            *counts.entry(table.name).or_default() += 1;
        }
        counts
    }

    /// Writes the first `rows` of them into empty tables. `written` gets the number of rows after each transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn write(
        &self,
        writer: &mut Writer,
        rows: usize,
        cut: Cut,
        mut written: impl FnMut(usize),
    ) -> Result<(), Error> {
        let rows = &self.rows[..rows.min(self.rows.len())];
        if writer.dialect() == Dialect::Sqlite {
            // A server syncs each commit. To compare like with like, so must the file.
            writer.connection().execute("PRAGMA synchronous = FULL").await?;
        }
        match cut {
            Cut::Single => {
                for (at, (table, row)) in rows.iter().enumerate() {
                    let statement = upsert(table, table.columns.len(), 1, writer.dialect());
                    // The text is made of the names in `schema` and of question marks.
                    bind(sqlx::query(AssertSqlSafe(statement)), row.clone()).execute(writer.connection()).await?;
                    written(at + 1);
                }
            }
            Cut::Batches(length) => {
                let mut chunks = rows.chunks(length.max(1)).map(|some| (some.len(), by_table(some)));
                let (mut number, mut at) = (0, 0);
                let mut next = chunks.next();
                while let Some((length, tables)) = next {
                    // Only writing is measured, so the rows are created beforehand.
                    let (done, gathered) =
                        tokio::join!(biased; writer.transact(step(number), tables), async { chunks.next() });
                    done?;
                    (number, at, next) = (number + 1, at + length, gathered);
                    written(at);
                }
            }
        }
        Ok(())
    }
}

/// The transaction of that number, from 0, as one command.
fn step(number: u64) -> Step {
    let until = Cause { sequence: Sequence(number + 1), time: Timestamp(number + 1) };
    Step { partition: PartitionId(0), after: Sequence(number), until, complete_from: Sequence(0) }
}

/// Each table's rows together, sorted by their keys as those of a [`Batch`] are. Of several with one key, the last
/// stays the last.
fn by_table(rows: &[(&'static Table, Vec<Value>)]) -> Vec<TableRows> {
    let mut tables: Vec<TableRows> = Vec::new();
    for (table, row) in rows {
        match tables.iter_mut().find(|(known, _)| known.name == table.name) {
            Some((_, rows)) => rows.push(row.clone()),
            None => tables.push((table, vec![row.clone()])),
        }
    }
    for (table, rows) in &mut tables {
        rows.sort_by(|a, b| a[..table.key].cmp(&b[..table.key]));
    }
    tables
}
