//! Writes a batch: one transaction that moves the position and writes the rows, or does neither.
//!
//! The position moves first, and only from the beginning of the batch. So a batch that was written already, by this
//! writer before it lost its connection or by another one, is recognised before a row is touched, and nothing is
//! written twice.
//!
//! Statements have few lengths ([`length`]), so each is parsed once and reused, and any number of rows takes two or
//! three of them. While the database executes one, the values of the next are prepared.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crossbook_projection::batch::{Batch, Step, TableRows, Value};
use crossbook_projection::schema::{self, Table};
use crossbook_types::{PartitionId, Sequence, Timestamp};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use crate::database::{self, Database, Error, within};
use crate::delete;
use crate::file::Watched;
use crate::options::Dialect;
use crate::statement::{bind, upsert};

/// Takes a partition's position away.
const GIVE_UP: &str = "DELETE FROM projection WHERE partition_id = ?";

/// The position of a partition's tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// The last command whose rows are there.
    pub sequence: Sequence,
    /// When it was taken.
    pub time: Timestamp,
    /// The command up to which there are no rows, because the log no longer had them; 0: the tables are complete.
    pub complete_from: Sequence,
}

/// The one connection that writes the rows of a partition.
#[derive(Debug)]
pub struct Writer {
    database: Database,
    partition: PartitionId,
    connection: AnyConnection,
    /// The file that the connection has open, if the tables are in one.
    watched: Option<Watched>,
    /// Whether that is not the one that has its name any more.
    lost: bool,
    /// By table, number of columns and number of rows.
    statements: HashMap<(&'static str, usize, usize), String>,
}

impl Writer {
    /// Connects, makes the tables if there are none, and takes the sole right to write the rows of a partition.
    ///
    /// # Errors
    /// When the database cannot be reached, is not meant for this, or has another writer.
    pub async fn open(database: &Database, partition: PartitionId) -> Result<Self, Error> {
        Self::connect(database, partition, false).await
    }

    /// Connects to tables in which a partition's rows are to be rebuilt. If there is one partition, the existing tables
    /// need not be complete, only the history's own.
    ///
    /// # Errors
    /// As for [`Writer::open`]; and where there are several partitions, when the tables are of another venue's.
    pub async fn open_anew(database: &Database, partition: PartitionId) -> Result<Self, Error> {
        let mut writer = Self::connect(database, partition, database.is_of_one()).await?;
        if !database.is_of_one()
            && let Err(error) = writer.give_up_rows().await
        {
            writer.close().await;
            return Err(error);
        }
        Ok(writer)
    }

    async fn connect(database: &Database, partition: PartitionId, anew: bool) -> Result<Self, Error> {
        let _opening = database.opening().await;
        let mut connection = database.connect_writer().await?;
        let prepared = async {
            database.claim(&mut connection, partition).await?;
            database.make_tables(&mut connection, anew).await?;
            database.watched()
        };
        let watched = match prepared.await {
            Ok(watched) => watched,
            Err(error) => {
                database::close(connection).await;
                return Err(error);
            }
        };
        let (database, statements) = (database.clone(), HashMap::new());
        Ok(Self { database, partition, connection, watched, lost: false, statements })
    }

    async fn give_up_rows(&mut self) -> Result<(), Error> {
        self.check_identity().await?;
        let delete = sqlx::query(GIVE_UP).bind(i64::from(self.partition.0));
        within(self.database.options().write_timeout(), delete.execute(&mut self.connection)).await?;
        delete::clear(&self.database, &mut self.connection, self.partition).await
    }

    /// The position of the tables.
    ///
    /// # Errors
    /// When the database does not answer, or holds the history of another log.
    pub async fn position(&mut self) -> Result<Position, Error> {
        self.check_file()?;
        self.check_identity().await?;
        let limit = self.database.options().query_timeout();
        within(limit, position(&mut self.connection, self.partition)).await
    }

    /// Refuses to continue with a file that others cannot open any more.
    fn check_file(&mut self) -> Result<(), Error> {
        let Some(watched) = &mut self.watched else { return Ok(()) };
        let failed =
            |source| Error::File { file: self.database.file().map(Path::to_owned).unwrap_or_default(), source };
        match watched.check().map_err(failed)? {
            None => Ok(()),
            Some((file, loss)) => {
                self.lost = true;
                Err(Error::FileLost { file, loss })
            }
        }
    }

    /// Refuses tables in which any partition's rows are of another log.
    async fn check_identity(&mut self) -> Result<(), Error> {
        let limit = self.database.options().query_timeout();
        let expected = self.database.log_identity();
        let statement = "SELECT log_identity FROM projection WHERE log_identity <> ? LIMIT 1";
        let query = sqlx::query_scalar(statement).bind(expected.clone());
        let found: Option<String> = within(limit, query.fetch_optional(&mut self.connection)).await?;
        found.map_or(Ok(()), |found| Err(Error::Foreign { expected, found }))
    }

    /// Writes a batch. If this fails, nothing of it was written, except if the connection broke at the very end: then
    /// the position shows it.
    ///
    /// # Errors
    /// When the database fails, or is not at the position where the batch begins.
    pub async fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        self.check_file()?;
        self.transact(batch.step(), batch.tables()).await?;
        self.check_file()
    }

    /// Deletes the rows of a partition that has no position: they were discarded.
    ///
    /// # Errors
    /// When the database fails, or the partition of a market is not known yet.
    pub async fn clear_leftovers(&mut self) -> Result<(), Error> {
        if !self.database.is_of_one() {
            return delete::clear(&self.database, &mut self.connection, self.partition).await;
        }
        let limit = self.database.options().query_timeout();
        for table in schema::TABLES {
            let any = AssertSqlSafe(format!("SELECT 1 FROM {} LIMIT 1", table.name));
            if within(limit, sqlx::query(any).fetch_optional(&mut self.connection)).await?.is_some() {
                tracing::info!("the history was discarded; its tables are rebuilt");
                self.statements.clear();
                let _opening = self.database.opening().await;
                return self.database.make_tables(&mut self.connection, true).await;
            }
        }
        Ok(())
    }

    /// Ends the connection. If its file was lost, queries are answered from what has its name now.
    pub async fn close(self) {
        database::close(self.connection).await;
        if !self.lost {
            return;
        }
        self.database.renew_pool().await;
        if let Some(Err(error)) = self.watched.map(|watched| watched.remove_companions()) {
            tracing::warn!(%error, "the remains of the history's lost file cannot be removed");
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    pub(crate) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }

    pub(crate) async fn transact(&mut self, step: Step, tables: Vec<TableRows>) -> Result<(), Error> {
        let begin = match self.database.dialect() {
            // Without it, SQLite takes the lock at the first write, and may then find it taken without having waited.
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::MySql => "BEGIN",
        };
        let rows_max = self.database.options().batch_rows_max.max(1);
        // The limit is one statement's: a transaction of very many rows must come to its end some time, however slow
        // the server.
        let limit = self.database.options().write_timeout();
        let mut transaction = within(limit, self.connection.begin_with(begin)).await?;
        let identity = Value::Text(self.database.log_identity());
        let [partition, sequence, time, complete_from] = step.position();
        let moved = if step.after == Sequence(0) {
            let first = "INSERT INTO projection (partition_id, sequence, time, complete_from, log_identity) \
                         SELECT ?, ?, ?, ?, ? FROM (SELECT 1 AS one) AS one_row \
                         WHERE NOT EXISTS (SELECT 1 FROM projection WHERE partition_id = ?)";
            let values = [partition.clone(), sequence, time, complete_from, identity, partition];
            within(limit, bind(sqlx::query(first), values).execute(&mut *transaction)).await?
        } else {
            let on = "UPDATE projection SET sequence = ?, time = ?, complete_from = ? \
                      WHERE partition_id = ? AND sequence = ? AND log_identity = ?";
            let after = Value::Integer(i64::try_from(step.after.0).unwrap_or(i64::MAX));
            let values = [sequence, time, complete_from, partition, after, identity];
            within(limit, bind(sqlx::query(on), values).execute(&mut *transaction)).await?
        };
        if moved.rows_affected() != 1 {
            let found = within(limit, position(&mut transaction, step.partition)).await?;
            within(limit, transaction.rollback()).await?;
            return Err(Error::Moved { expected: step.after.0, found: found.sequence.0 });
        }
        let dialect = self.database.dialect();
        let mut inserts = tables.into_iter().flat_map(by_width).flat_map(|(table, width, rows)| {
            let mut rows = rows.into_iter();
            std::iter::from_fn(move || {
                let length = length(rows.len(), rows_max);
                let values = rows.by_ref().take(length).flat_map(|row| row.into_iter().take(width));
                (length > 0).then(|| (table, width, length, values.collect::<Vec<_>>()))
            })
        });
        let statements = &mut self.statements;
        let mut prepare = || {
            inserts.next().map(|(table, width, length, values)| {
                let statement = statements.entry((table.name, width, length));
                let statement = statement.or_insert_with(|| upsert(table, width, length, dialect)).clone();
                // The text is made of the names in `schema` and of question marks.
                bind(sqlx::query(AssertSqlSafe(statement)), values)
            })
        };
        let mut insert = prepare();
        while let Some(query) = insert {
            // The first is sent when it is first polled, before the second is.
            let (done, next) =
                tokio::join!(biased; within(limit, query.execute(&mut *transaction)), async { prepare() });
            done?;
            insert = next;
        }
        within(limit, transaction.commit()).await
    }
}

/// What the tables of a partition say of the log that they were made from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The log's identity, as hexadecimal digits.
    pub log: String,
    /// The last command whose rows are there.
    pub position: Position,
}

/// The position of a partition's tables, and the log that they belong to; `None` while there is no position, or no
/// table. Creates nothing.
///
/// # Errors
/// When the database cannot be reached, belongs to something else, or a newer program has changed the tables.
pub async fn standing(database: &Database, partition: PartitionId) -> Result<Option<Standing>, Error> {
    if database.is_absent()? {
        return Ok(None);
    }
    let mut connection = database.connect().await?;
    let standing = async {
        database.check_ownership(&mut connection).await?;
        database.check_version(&mut connection).await?;
        // Tables that do not exist belong to nobody; those that cannot be read may belong to anybody.
        if !database.has_positions(&mut connection).await? {
            return Ok(None);
        }
        let limit = database.options().query_timeout();
        let statement = "SELECT log_identity FROM projection WHERE partition_id = ?";
        let query = sqlx::query_scalar(statement).bind(i64::from(partition.0));
        let Some(log) = within(limit, query.fetch_optional(&mut connection)).await? else { return Ok(None) };
        let position = within(limit, position(&mut connection, partition)).await?;
        Ok(Some(Standing { log, position }))
    };
    let standing = standing.await;
    database::close(connection).await;
    standing
}

/// Discards a partition's part of a history that another process may be writing: that process will notice that there is
/// no position any more, delete the rows, and write them again.
///
/// # Errors
/// When the database fails.
pub async fn give_up(database: &Database, partition: PartitionId) -> Result<(), Error> {
    if database.is_absent()? {
        return Ok(());
    }
    let mut connection = database.connect().await?;
    let statement = sqlx::query(GIVE_UP).bind(i64::from(partition.0));
    let given_up = within(database.options().write_timeout(), statement.execute(&mut connection)).await;
    database::close(connection).await;
    given_up.map(drop)
}

/// Where a partition's tables stand.
pub(crate) async fn position(connection: &mut AnyConnection, partition: PartitionId) -> Result<Position, sqlx::Error> {
    let query = sqlx::query("SELECT sequence, time, complete_from FROM projection WHERE partition_id = ?");
    let row = query.bind(i64::from(partition.0)).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(Position::default()) };
    let number = |at: usize| row.try_get::<i64, _>(at).map(|number| u64::try_from(number).unwrap_or_default());
    Ok(Position { sequence: Sequence(number(0)?), time: Timestamp(number(1)?), complete_from: Sequence(number(2)?) })
}

/// The rows of a table by how many columns of them are written, each group in the order of its keys.
fn by_width((table, rows): TableRows) -> impl Iterator<Item = (&'static Table, usize, Vec<Vec<Value>>)> {
    let mut groups = BTreeMap::<usize, Vec<Vec<Value>>>::new();
    for row in rows {
        groups.entry(width(table, &row)).or_default().push(row);
    }
    groups.into_iter().map(move |(width, rows)| (table, width, rows))
}

/// How many columns of this row are written: all, or fewer if those after them are NULL.
fn width(table: &Table, row: &[Value]) -> usize {
    let filled = row.iter().rposition(|value| *value != Value::Null).map_or(0, |last| last + 1);
    table.widths.iter().copied().find(|&width| filled <= width).unwrap_or(table.columns.len())
}

/// How many of `rows` the next statement takes, at most `most`: a multiple of 128, or else of 16, or else the rest. So
/// there are at most 25 lengths below 512, and 511 rows are three statements.
fn length(rows: usize, most: usize) -> usize {
    let rows = rows.min(most);
    let step = [128, 16].into_iter().find(|&step| rows >= step).unwrap_or(1);
    rows - rows % step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_written_without_columns_that_most_do_not_have() {
        let table = &schema::ORDER_EVENTS;
        let row = |filled: usize| {
            let value = |at| if at < filled { Value::Integer(at as i64) } else { Value::Null };
            (0..table.columns.len()).map(value).collect::<Vec<_>>()
        };
        let rows = vec![row(14), row(7), row(13), row(6), row(14)];
        let groups: Vec<_> = by_width((table, rows)).map(|(_, width, rows)| (width, rows)).collect();
        let expected = vec![(7, vec![row(7), row(6)]), (13, vec![row(13)]), (14, vec![row(14), row(14)])];
        assert_eq!(groups, expected);
        let whole = schema::TABLES.iter().all(|table| table.widths.iter().all(|width| *width < table.columns.len()));
        assert!(whole && schema::TABLES.iter().all(|table| table.widths.is_sorted()));
    }

    #[test]
    fn statements_come_in_few_lengths() {
        let split = |mut rows| {
            let mut lengths = Vec::new();
            while rows > 0 {
                let taken = length(rows, 500);
                assert!(taken > 0 && taken <= 500);
                rows -= taken;
                lengths.push(taken);
            }
            lengths
        };
        assert_eq!(split(1_000), [384, 384, 128, 96, 8]);
        assert_eq!(split(117), [112, 5]);
        assert_eq!(length(300, 1), 1, "a statement per row");
        let lengths: std::collections::BTreeSet<usize> = (1..512).flat_map(split).collect();
        assert_eq!(lengths.len(), 25);
    }
}
