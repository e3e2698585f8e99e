//! Deletes the rows that one of several partitions has written, and keeps those of the others.
//!
//! Ledger rows name their partition. All other rows belong to a market or an account, and so to the partition that owns
//! it. Assets, markets and accounts stay: they are the same however often they are written.
//!
//! No statement deletes more rows than one transaction may have. An interrupted deletion can be repeated.

use std::collections::BTreeMap;

use crossbook_projection::batch::Value;
use crossbook_projection::schema::{self, Table};
use crossbook_protocol::Routing;
use crossbook_types::{AccountId, PartitionId, SymbolId, SymbolName};
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::database::{Database, Error, within};
use crate::options::Dialect;
use crate::statement::bind;

/// Accounts that are looked at together.
const ACCOUNTS_AT_ONCE: usize = 100;

/// Removes the rows of a partition, but for its position.
pub(crate) async fn clear(
    database: &Database,
    connection: &mut AnyConnection,
    partition: PartitionId,
) -> Result<(), Error> {
    let mut clearing = Clearing { database, connection, removed: 0 };
    for table in [&schema::LEDGER_ENTRIES, &schema::FEE_PAYOUTS, &schema::OPERATOR_LOG] {
        clearing.delete(table, "partition_id = ?", &[partition.0.into()]).await?;
    }
    let limit = database.options().query_timeout();
    let names = within(limit, market_names(clearing.connection)).await?;
    for table in [
        &schema::ORDER_EVENTS,
        &schema::ORDERS,
        &schema::TRADES,
        &schema::CANDLES,
        &schema::REVENUE,
        &schema::PREVENTED_MATCHES,
        &schema::ORDER_AMENDMENTS,
        &schema::ORDER_LISTS,
    ] {
        // A step along the key for each market, however many rows it has.
        let mut next = clearing.first(table, "symbol_id", -1).await?;
        while let Some(symbol) = next {
            let id = SymbolId(u32::try_from(symbol).map_err(|_| Error::Nonsense("column symbol_id".to_owned()))?);
            match names.get(&id).map(|name| database.routing().of_listed(id, name)) {
                Some(owner) if owner == partition => {
                    clearing.delete(table, "symbol_id = ?", &[symbol]).await?;
                }
                Some(_) => {}
                // Partition 0 writes a market before it writes anything in it.
                None if partition == Routing::REGISTRY => {}
                None => return Err(Error::UnknownMarket(id.0)),
            }
            next = clearing.first(table, "symbol_id", symbol).await?;
        }
    }
    for table in [&schema::BALANCES, &schema::TRANSFERS] {
        let mut own = Vec::new();
        let mut next = clearing.first(table, "account_id", -1).await?;
        while let Some(account) = next {
            let id = AccountId(u64::try_from(account).map_err(|_| Error::Nonsense("column account_id".to_owned()))?);
            if database.routing().of_account(id) == partition {
                own.push(account);
            }
            next = clearing.first(table, "account_id", account).await?;
            if own.len() == ACCOUNTS_AT_ONCE || (next.is_none() && !own.is_empty()) {
                let condition = format!("account_id IN ({})", vec!["?"; own.len()].join(", "));
                clearing.delete(table, &condition, &own).await?;
                own.clear();
            }
        }
    }
    if clearing.removed > 0 {
        tracing::info!(%partition, rows = clearing.removed, "the partition's history was discarded; its rows are deleted");
    }
    Ok(())
}

/// The names of all markets that the tables know.
pub(crate) async fn market_names(
    connection: &mut AnyConnection,
) -> Result<BTreeMap<SymbolId, SymbolName>, sqlx::Error> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT symbol_id, symbol FROM markets").fetch_all(connection).await?;
    let known =
        |(id, name): (i64, String)| Some((SymbolId(u32::try_from(id).ok()?), SymbolName::new_checked(&name).ok()?));
    Ok(rows.into_iter().filter_map(known).collect())
}

struct Clearing<'a> {
    database: &'a Database,
    connection: &'a mut AnyConnection,
    removed: u64,
}

impl Clearing<'_> {
    /// The least value above `above` that a column has, which its table is sorted by.
    async fn first(&mut self, table: &Table, column: &str, above: i64) -> Result<Option<i64>, Error> {
        let statement = format!("SELECT MIN({column}) FROM {} WHERE {column} > ?", table.name);
        let query = sqlx::query_scalar(AssertSqlSafe(statement)).bind(above);
        within(self.database.options().query_timeout(), query.fetch_one(&mut *self.connection)).await
    }

    /// Removes the rows for which the condition holds.
    async fn delete(&mut self, table: &Table, condition: &str, values: &[i64]) -> Result<(), Error> {
        let (name, most) = (table.name, self.database.options().transaction_rows_max.max(1));
        let key = table.columns[..table.key].join(", ");
        let statement = match self.database.dialect() {
            Dialect::Sqlite => {
                format!("DELETE FROM {name} WHERE ({key}) IN (SELECT {key} FROM {name} WHERE {condition} LIMIT {most})")
            }
            Dialect::MySql => format!("DELETE FROM {name} WHERE {condition} LIMIT {most}"),
        };
        loop {
            let query = sqlx::query(AssertSqlSafe(statement.clone()));
            let query = bind(query, values.iter().copied().map(Value::Integer));
            let done = within(self.database.options().write_timeout(), query.execute(&mut *self.connection)).await?;
            self.removed += done.rows_affected();
            if done.rows_affected() < most as u64 {
                return Ok(());
            }
        }
    }
}
