//! The tables in memory, as simply as possible. For tests and simulators: it accepts and refuses batches as the store's
//! writer does on a database, and can be made to fail.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_types::{PartitionId, Sequence};

use crate::batch::{Batch, Value};

/// Why a batch was not written. Nothing of it was.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The tables do not stand where the batch begins.
    #[error("the tables stand at {found}, the batch begins after {expected}")]
    Moved {
        /// Where the batch begins.
        expected: Sequence,
        /// Where the tables stand.
        found: Sequence,
    },
    /// A row that never changes is there already.
    #[error("a row of {table} is written twice: {key}")]
    Twice {
        /// Name of the table.
        table: &'static str,
        /// The row's key.
        key: String,
    },
}

/// Rows by table and key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tables {
    positions: BTreeMap<PartitionId, Sequence>,
    rows: BTreeMap<&'static str, BTreeMap<Vec<Value>, Vec<Value>>>,
}

impl Tables {
    /// How far a partition's rows are written.
    #[must_use]
    pub fn position(&self, partition: PartitionId) -> Sequence {
        self.positions.get(&partition).copied().unwrap_or_default()
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.values().map(BTreeMap::len).sum()
    }

    /// Writes a batch and moves the position, or does neither.
    ///
    /// # Errors
    /// When the tables do not stand where it begins, or it writes a fact a second time.
    pub fn write(&mut self, batch: &Batch) -> Result<(), Refused> {
        let step = batch.step();
        let found = self.position(step.partition);
        if found != step.after {
            return Err(Refused::Moved { expected: step.after, found });
        }
        let tables = batch.tables();
        for (table, rows) in tables.iter().filter(|(table, _)| !table.changes) {
            let kept = self.rows.get(table.name);
            let mut keys = BTreeSet::new();
            for row in rows {
                let key = &row[..table.key];
                if kept.is_some_and(|kept| kept.contains_key(key)) || !keys.insert(key) {
                    return Err(Refused::Twice { table: table.name, key: format!("{key:?}") });
                }
            }
        }
        for (table, rows) in tables {
            let kept = self.rows.entry(table.name).or_default();
            kept.extend(rows.into_iter().map(|row| (row[..table.key].to_vec(), row)));
        }
        self.positions.insert(step.partition, step.until.sequence);
        Ok(())
    }

    /// The first difference to other tables, in words; `None` if they are the same.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.positions != other.positions {
            return Some(format!("positions {:?} and {:?}", self.positions, other.positions));
        }
        let names = self.rows.keys().chain(other.rows.keys());
        for name in names {
            let (Some(one), Some(two)) = (self.rows.get(name), other.rows.get(name)) else {
                return Some(format!("only one has rows of {name}"));
            };
            let differs = |(key, row): &(&Vec<Value>, &Vec<Value>)| two.get(*key) != Some(*row);
            if let Some((key, row)) = one.iter().find(differs) {
                return Some(format!("{name}: {row:?} and {:?}", two.get(key)));
            }
            if one.len() != two.len() {
                return Some(format!("{name}: {} and {} rows", one.len(), two.len()));
            }
        }
        None
    }
}
