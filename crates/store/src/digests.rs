//! A digest of each table. Two histories of the same commands have the same digests, whichever database they are in and
//! however their writers were interrupted.

use crossbook_projection::schema::{AMOUNTS, TABLES};
use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use crate::database::{self, Database, Error};

/// What is in a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableContents {
    /// Name of the table.
    pub table: &'static str,
    /// How many rows.
    pub rows: u64,
    /// SHA-256 over all rows in the order of their keys.
    pub sha256: [u8; 32],
}

/// Columns that hold text, whatever the database calls it.
const TEXTS: &[&str] = &[
    "log_identity",
    "name",
    "symbol",
    "tick_size",
    "step_size",
    "maker_fee",
    "taker_fee",
    "status",
    "label",
    "client_order_id",
    "client_order_id_before",
    "side",
    "order_type",
    "time_in_force",
    "self_trade_prevention",
    "cancel_id",
    "expiry_reason",
    "peg_price_type",
    "kind",
    "taker_side",
    "transfer_id",
    "candle_interval",
    "order_names",
    "operator",
    "action",
    "reason",
    "refused",
];

/// Reads all tables in one consistent snapshot.
///
/// # Errors
/// When the database fails.
pub async fn contents(database: &Database) -> Result<Vec<TableContents>, Error> {
    let mut connection = database.connect().await?;
    let mut transaction = connection.begin().await?;
    let found = read(&mut transaction).await?;
    transaction.rollback().await?;
    database::close(connection).await;
    Ok(found)
}

/// Reads all tables within a transaction.
pub(crate) async fn read(connection: &mut AnyConnection) -> Result<Vec<TableContents>, Error> {
    let mut found = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let key = table.columns[..table.key].join(", ");
        let statement = format!("SELECT {} FROM {} ORDER BY {key}", table.selection(), table.name);
        let mut rows = sqlx::query(AssertSqlSafe(statement)).fetch(&mut *connection);
        let (mut count, mut hash) = (0, Sha256::new());
        while let Some(row) = rows.try_next().await? {
            count += 1;
            for column in table.columns {
                let text = if AMOUNTS.contains(column) || TEXTS.contains(column) {
                    row.try_get::<Option<String>, _>(*column)?
                } else {
                    row.try_get::<Option<i64>, _>(*column)?.map(|number| number.to_string())
                };
                // The length before the text, so that no two rows read alike.
                match text {
                    Some(text) => {
                        hash.update((text.len() as u64 + 1).to_le_bytes());
                        hash.update(text);
                    }
                    None => hash.update(0u64.to_le_bytes()),
                }
            }
        }
        drop(rows);
        found.push(TableContents { table: table.name, rows: count, sha256: hash.finalize().into() });
    }
    Ok(found)
}
