//! Database connections with common settings: strict types, bounded waiting, tables from the migrations.

mod read_only;
mod session;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbook_projection::schema::{PROJECTION, TABLES};
use crossbook_protocol::Routing;
use crossbook_types::PartitionId;
use parking_lot::Mutex;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{
    AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _,
    SqlSafeStr as _,
};

use crate::file::{Loss, Watched};
use crate::options::{Dialect, Options};
use read_only::ReadOnly;

/// Statements that a connection caches: 25 lengths for each width of seventeen tables, and some.
const STATEMENTS_CACHED: usize = 600;

/// How long the changes of the tables may take: an index of a large table takes as long as that table is read and
/// sorted, and what is given up half done begins anew.
const CHANGES_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The changes of the tables, oldest first: number, what it does, for SQLite, for MySQL.
const MIGRATIONS: [(i64, &str, &str, &str); 12] = [
    (
        1,
        "history",
        include_str!("../migrations/sqlite/0001_history.sql"),
        include_str!("../migrations/mysql/0001_history.sql"),
    ),
    (
        2,
        "prevention",
        include_str!("../migrations/sqlite/0002_prevention.sql"),
        include_str!("../migrations/mysql/0002_prevention.sql"),
    ),
    (
        3,
        "names",
        include_str!("../migrations/sqlite/0003_names.sql"),
        include_str!("../migrations/mysql/0003_names.sql"),
    ),
    (
        4,
        "strategy",
        include_str!("../migrations/sqlite/0004_strategy.sql"),
        include_str!("../migrations/mysql/0004_strategy.sql"),
    ),
    (
        5,
        "iceberg",
        include_str!("../migrations/sqlite/0005_iceberg.sql"),
        include_str!("../migrations/mysql/0005_iceberg.sql"),
    ),
    (
        6,
        "amendments",
        include_str!("../migrations/sqlite/0006_amendments.sql"),
        include_str!("../migrations/mysql/0006_amendments.sql"),
    ),
    (
        7,
        "order_lists",
        include_str!("../migrations/sqlite/0007_order_lists.sql"),
        include_str!("../migrations/mysql/0007_order_lists.sql"),
    ),
    (
        8,
        "trailing and pegs",
        include_str!("../migrations/sqlite/0008_trailing_and_pegs.sql"),
        include_str!("../migrations/mysql/0008_trailing_and_pegs.sql"),
    ),
    (
        9,
        "trade groups",
        include_str!("../migrations/sqlite/0009_trade_groups.sql"),
        include_str!("../migrations/mysql/0009_trade_groups.sql"),
    ),
    (
        12,
        "fee assets",
        include_str!("../migrations/sqlite/0012_fee_assets.sql"),
        include_str!("../migrations/mysql/0012_fee_assets.sql"),
    ),
    (
        13,
        "operator log",
        include_str!("../migrations/sqlite/0013_operator_log.sql"),
        include_str!("../migrations/mysql/0013_operator_log.sql"),
    ),
    (
        16,
        "books",
        include_str!("../migrations/sqlite/0016_books.sql"),
        include_str!("../migrations/mysql/0016_books.sql"),
    ),
];

/// Changes whose statements can be made once more where a crash left some of them made and some not.
const REPEATABLE: [i64; 11] = [2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16];

/// Of these, those whose last statement cannot: it adds this column, so that the change is whole once the column is
/// there.
const ENDS_WITH_COLUMN: [(i64, &str, &str); 5] = [
    (2, "orders", "expiry_reason"),
    (4, "orders", "strategy_type"),
    (5, "orders", "iceberg_quantity"),
    (7, "orders", "order_list_id"),
    (8, "orders", "pegged_price"),
];

/// The version of the tables: the number of their last change.
pub const SCHEMA_VERSION: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// Records the applied migrations. Its existence shows that the other tables are the history's.
const MIGRATIONS_TABLE: &str = "crossbook_migrations";
/// What a server's lock is called: names of locks are short, those of databases need not be. (Not MD5, which MySQL 9.6
/// and later do not have.)
const LOCK_NAME: &str = "CONCAT('crossbook-history-', LEFT(SHA2(DATABASE(), 256), 32), ?)";
/// How long a writer waits for another one that is at the tables themselves.
const TABLES_SECONDS: u32 = 10;

/// Held while a SQLite file is opened to write: the writers of several partitions in one process must not create its
/// tables at the same time. A server has locks of its own for that.
static OPENING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address names no database that this program knows.
    #[error("`{0}` is no database: give `sqlite`, `sqlite://PATH`, `mysql://USER:PASSWORD@HOST/DATABASE`, or `none`")]
    Address(String),
    /// The database returned an error, or cannot be reached.
    #[error("the history's database: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables cannot be made.
    #[error("the history's tables cannot be created: {0}; is the database meant for Crossbook alone?")]
    Migration(#[from] MigrateError),
    /// The database belongs to something else.
    #[error(
        "the database has a table `{0}` that is not the history's: give the history an empty database of its own; \
         nothing was changed"
    )]
    Occupied(String),
    /// It did not answer in time.
    #[error("the history's database did not answer within {} ms", .0.as_millis())]
    Slow(Duration),
    /// Another process writes this history.
    #[error("another process writes this history; stop it, or give this venue a database of its own")]
    Claimed,
    /// Another writer is making the tables, or clearing them.
    #[error("another writer is changing the history's tables; this one waits for it and tries again")]
    Busy,
    /// It is not known whose the rows of a market are.
    #[error(
        "the history has rows of market {0}, but not the market, which partition 0 writes: this partition's rows can \
         only be deleted once partition 0 has written it; trying again"
    )]
    UnknownMarket(u32),
    /// A newer program has changed the tables.
    #[error(
        "the history's tables are of version {found}, and this program knows them up to {known}: a newer Crossbook has \
         changed them. Run that one, name another database in `history.database`, or disable the history (`none`)"
    )]
    Newer {
        /// The last change that was made to the tables.
        found: i64,
        /// The last one that this program knows.
        known: i64,
    },
    /// The file of the tables is not what has its name any more.
    #[error(
        "{} was {loss} while the history was written to it: the history is opened again, and what it then lacks is \
         written from the log",
        file.display()
    )]
    FileLost {
        /// Path of the file.
        file: PathBuf,
        /// What has become of it.
        loss: Loss,
    },
    /// The file of the tables cannot be looked at.
    #[error("cannot look at the history's file {}: {source}", file.display())]
    File {
        /// Path of the file.
        file: PathBuf,
        /// The underlying error.
        source: std::io::Error,
    },
    /// The tables are those of another log.
    #[error(
        "this is the history of another venue (log {found}, not {expected}): give this venue a database of its own, or \
         rebuild the history with `crossbook store rebuild`"
    )]
    Foreign {
        /// The log of this venue.
        expected: String,
        /// The log that the tables are of.
        found: String,
    },
    /// The tables are not where the writer left them.
    #[error("the history is at command {found} instead of {expected}: something else has written to it")]
    Moved {
        /// Where it should stand.
        expected: u64,
        /// Its position.
        found: u64,
    },
    /// A row that the venue cannot have written.
    #[error("the history has an invalid row: {0}; rebuild it with `crossbook store rebuild`")]
    Nonsense(String),
}

/// The database of the history, and how it is reached.
#[derive(Clone, Debug)]
pub struct Database {
    dialect: Dialect,
    address: AnyConnectOptions,
    reading: AnyConnectOptions,
    read_only: Option<ReadOnly>,
    file: Option<PathBuf>,
    options: Options,
    log_identity: u64,
    synced: bool,
    routing: Routing,
    /// The connections for queries, of all who have this database.
    queries: Arc<Mutex<Option<AnyPool>>>,
}

impl Database {
    /// The database of these options; `None` if the history is disabled. Nothing is connected yet. `data` is the
    /// venue's data folder.
    ///
    /// # Errors
    /// When the address names no database.
    pub fn new(options: &Options, data: &Path) -> Result<Option<Self>, Error> {
        if options.database.is_none() {
            return Ok(None);
        }
        install_default_drivers();
        let unknown = || Error::Address(options.database.redacted());
        let (dialect, address) = options.database.resolve(data).ok_or_else(unknown)?;
        // The writer's statements, of which a server's driver would otherwise evict the longest before they are used
        // again.
        let address = match dialect {
            Dialect::MySql if !address.contains("statement-cache-capacity") => {
                let separator = if address.contains('?') { '&' } else { '?' };
                format!("{address}{separator}statement-cache-capacity={STATEMENTS_CACHED}")
            }
            _ => address,
        };
        let file = match dialect {
            Dialect::Sqlite => file_of(&address),
            Dialect::MySql => None,
        };
        let parse = |address: &str| -> Result<AnyConnectOptions, Error> {
            let address: AnyConnectOptions = address.parse().map_err(|_| unknown())?;
            // The statements themselves would drown everything else in the log.
            Ok(address.disable_statement_logging())
        };
        // Who only reads makes no file.
        let reading = match dialect {
            Dialect::Sqlite => parse(&address.replace("mode=rwc", "mode=rw"))?,
            Dialect::MySql => parse(&address)?,
        };
        let read_only = file.as_deref().map(|file| ReadOnly::new((file, &address), parse)).transpose()?.flatten();
        let address = parse(&address)?;
        let (options, routing, queries) = (options.clone(), Routing::single(), Arc::default());
        let (log_identity, synced) = (0, false);
        Ok(Some(Self { dialect, address, reading, read_only, file, options, log_identity, synced, routing, queries }))
    }

    /// The same database for the history of the log with that identity; that of another one is refused. Where a venue
    /// has several partitions, their logs have one identity, the venue's.
    #[must_use]
    pub fn for_log(self, identity: u64) -> Self {
        Self { log_identity: identity, ..self }
    }

    /// The same database, whose file is on disk after each transaction, so that what the history has need not be in the
    /// log. A server sees to that by its own settings.
    #[must_use]
    pub fn synced(self, synced: bool) -> Self {
        Self { synced, ..self }
    }

    /// The same database for a venue of several partitions, each of which has a writer. The default is one partition.
    #[must_use]
    pub fn routed(self, routing: Routing) -> Self {
        Self { routing, ..self }
    }

    /// Which partition owns what.
    #[must_use]
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// Whether only one partition has rows here.
    pub(crate) fn is_of_one(&self) -> bool {
        self.routing.partitions() == 1
    }

    /// The file of the tables, if SQLite stores them in one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The identity of the log, as stored in the tables.
    pub(crate) fn log_identity(&self) -> String {
        format!("{:016x}", self.log_identity)
    }

    /// The kind of database.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The settings of the history.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// To be held while a writer is opened.
    pub(crate) async fn opening(&self) -> Option<tokio::sync::MutexGuard<'static, ()>> {
        match self.dialect {
            Dialect::Sqlite => Some(OPENING.lock().await),
            Dialect::MySql => None,
        }
    }

    /// Creates the tables, if they do not exist, while no other writer uses them; if `anew`, without their previous
    /// content.
    pub(crate) async fn make_tables(&self, connection: &mut AnyConnection, anew: bool) -> Result<(), Error> {
        const LOCK: &str = "tables";
        if !self.lock(connection, LOCK, TABLES_SECONDS).await? {
            return Err(Error::Busy);
        }
        self.check_version(connection).await?;
        if anew {
            self.drop_tables(connection).await?;
        }
        self.sort_in(connection, "FILE").await?;
        self.migrate(connection).await?;
        self.sort_in(connection, "MEMORY").await?;
        self.unlock(connection, LOCK).await
    }

    /// Where SQLite sorts: what it sorts for the index of a large table may not fit into memory.
    async fn sort_in(&self, connection: &mut AnyConnection, place: &'static str) -> Result<(), Error> {
        if self.dialect == Dialect::MySql {
            return Ok(());
        }
        let statement = AssertSqlSafe(format!("PRAGMA temp_store = {place}"));
        within(self.options.query_timeout(), connection.execute(statement)).await.map(drop)
    }

    /// Refuses tables that a newer program has changed. Says so if this one is about to change them.
    pub(crate) async fn check_version(&self, connection: &mut AnyConnection) -> Result<(), Error> {
        if !self.tables(connection).await?.iter().any(|table| table == MIGRATIONS_TABLE) {
            return Ok(());
        }
        let statement = AssertSqlSafe(format!("SELECT COALESCE(MAX(version), 0) FROM {MIGRATIONS_TABLE}"));
        let found: i64 =
            within(self.options.query_timeout(), sqlx::query_scalar(statement).fetch_one(connection)).await?;
        let known = MIGRATIONS.iter().map(|migration| migration.0).max().unwrap_or_default();
        if found > known { Err(Error::Newer { found, known }) } else { Ok(()) }
    }

    /// Makes the tables, if they are not there.
    async fn migrate(&self, connection: &mut AnyConnection) -> Result<(), Error> {
        let migration = |&(version, what, sqlite, mysql): &(i64, &'static str, &'static str, &'static str)| {
            let statements = if self.dialect == Dialect::Sqlite { sqlite } else { mysql };
            Migration::new(version, what.into(), MigrationType::Simple, statements.into_sql_str(), false)
        };
        let mut migrator = Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect());
        migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
        // There is a lock already.
        migrator.set_locking(false);
        let limit = self.options.write_timeout();
        let run = async |connection: &mut AnyConnection| match tokio::time::timeout(
            CHANGES_TIME_MAX,
            migrator.run(connection),
        )
        .await
        {
            Ok(done) => done.map_err(Error::Migration),
            Err(_) => Err(Error::Slow(CHANGES_TIME_MAX)),
        };
        self.check_ownership(connection).await?;
        match run(connection).await {
            // MySQL commits each statement of a migration by itself, so a crash can leave half of the tables. They are
            // created again as long as nothing has been written to them.
            Err(Error::Migration(MigrateError::Dirty(1))) if !self.is_written(connection).await? => {
                tracing::warn!("the history's tables were created only partly; creating them again");
                self.drop_tables(connection).await?;
                run(connection).await
            }
            Err(Error::Migration(MigrateError::Dirty(version))) if REPEATABLE.contains(&version) => {
                let mend = if self.is_whole(connection, version).await? {
                    format!("UPDATE {MIGRATIONS_TABLE} SET success = TRUE WHERE version = {version}")
                } else {
                    format!("DELETE FROM {MIGRATIONS_TABLE} WHERE version = {version}")
                };
                within(limit, connection.execute(AssertSqlSafe(mend))).await?;
                run(connection).await
            }
            done => done,
        }
    }

    /// Whether the last statement of a change was made, so that all were.
    async fn is_whole(&self, connection: &mut AnyConnection, version: i64) -> Result<bool, Error> {
        let Some((_, table, column)) = ENDS_WITH_COLUMN.iter().find(|(ends, ..)| *ends == version) else {
            return Ok(false);
        };
        let statement = "SELECT COUNT(*) FROM information_schema.columns \
                         WHERE table_schema = DATABASE() AND table_name = ? AND column_name = ?";
        let query = sqlx::query_scalar(statement).bind(*table).bind(*column);
        let found: i64 = within(self.options.query_timeout(), query.fetch_one(connection)).await?;
        Ok(found > 0)
    }

    /// The tables in the database.
    async fn tables(&self, connection: &mut AnyConnection) -> Result<Vec<String>, Error> {
        let statement = match self.dialect {
            Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
            Dialect::MySql => {
                "SELECT CAST(table_name AS CHAR(64)) FROM information_schema.tables WHERE table_schema = DATABASE()"
            }
        };
        within(self.options.query_timeout(), sqlx::query_scalar(statement).fetch_all(connection)).await
    }

    /// Refuses a database in which a table has the name of one of the history's, but there is no proof that the history
    /// created it.
    pub(crate) async fn check_ownership(&self, connection: &mut AnyConnection) -> Result<(), Error> {
        let mut tables = self.tables(connection).await?;
        if tables.iter().any(|table| table == MIGRATIONS_TABLE) {
            return Ok(());
        }
        tables.retain(|table| TABLES.iter().any(|ours| ours.name.eq_ignore_ascii_case(table)));
        match tables.into_iter().next() {
            Some(table) => Err(Error::Occupied(table)),
            None => Ok(()),
        }
    }

    /// Whether there is a table of positions.
    pub(crate) async fn has_positions(&self, connection: &mut AnyConnection) -> Result<bool, Error> {
        Ok(self.tables(connection).await?.iter().any(|table| table == PROJECTION.name))
    }

    /// Whether anything was ever written to the tables.
    async fn is_written(&self, connection: &mut AnyConnection) -> Result<bool, Error> {
        if !self.has_positions(connection).await? {
            return Ok(false);
        }
        let any = sqlx::query("SELECT 1 FROM projection LIMIT 1").fetch_optional(connection);
        Ok(within(self.options.query_timeout(), any).await?.is_some())
    }

    /// Removes all tables with everything in them.
    async fn drop_tables(&self, connection: &mut AnyConnection) -> Result<(), Error> {
        self.check_ownership(connection).await?;
        // The proof that the tables are the history's is dropped last, so that an interrupted drop can be finished.
        let tables = TABLES.iter().map(|table| table.name).chain([MIGRATIONS_TABLE]);
        for table in tables {
            let statement = AssertSqlSafe(format!("DROP TABLE IF EXISTS {table}"));
            within(self.options.write_timeout(), connection.execute(statement)).await?;
        }
        Ok(())
    }

    /// Whether there are no tables because there is no file for them.
    pub(crate) fn is_absent(&self) -> Result<bool, Error> {
        let Some(file) = &self.file else { return Ok(false) };
        let exists = file.try_exists().map_err(|source| Error::File { file: file.clone(), source })?;
        Ok(!exists)
    }

    /// The file of the tables as it is now, if they are in one.
    pub(crate) fn watched(&self) -> Result<Option<Watched>, Error> {
        let watched = self
            .file
            .as_ref()
            .map(|file| Watched::new(file).map_err(|source| Error::File { file: file.clone(), source }));
        watched.transpose()
    }

    /// Connections for queries, made when they are needed. One of the allowed number is left to the writer.
    pub(crate) fn pool(&self) -> AnyPool {
        self.queries.lock().get_or_insert_with(|| self.new_pool()).clone()
    }

    /// Ends the connections for queries, which have the file open that was there when they were made; the next query
    /// has new ones.
    pub(crate) async fn renew_pool(&self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        let pool = self.queries.lock().take();
        if let Some(pool) = pool {
            // Running queries are waited for, with a bound.
            let _ = tokio::time::timeout(PATIENCE, pool.close()).await;
        }
    }

    fn new_pool(&self) -> AnyPool {
        let settings = self.settings(Some(self.options.query_timeout_ms));
        AnyPoolOptions::new()
            .max_connections(self.options.connections_max.saturating_sub(1).max(1))
            .acquire_timeout(self.options.connect_timeout())
            .after_connect(move |connection, _| {
                let settings = settings.clone();
                Box::pin(async move { session::begin(connection, &settings).await })
            })
            .connect_lazy_with(self.reading.clone())
    }

    /// Takes the sole right to write a partition's rows, for as long as the connection lasts.
    ///
    /// # Errors
    /// When another connection has it.
    pub(crate) async fn claim(&self, connection: &mut AnyConnection, partition: PartitionId) -> Result<(), Error> {
        // A server may take a while to notice that a connection has ended that held the lock.
        const SECONDS: u32 = 2;
        let part = if partition == Routing::REGISTRY { String::new() } else { format!("p{partition}") };
        if self.lock(connection, &part, SECONDS).await? { Ok(()) } else { Err(Error::Claimed) }
    }

    /// Waits so long for a server's lock by name, which lasts as long as the connection. Whether it was had.
    async fn lock(&self, connection: &mut AnyConnection, part: &str, seconds: u32) -> Result<bool, Error> {
        if self.dialect == Dialect::Sqlite {
            // A file has no locks by name. Two writers are found out by the position, which each checks in every
            // transaction.
            return Ok(true);
        }
        let statement = AssertSqlSafe(format!("SELECT COALESCE(GET_LOCK({LOCK_NAME}, {seconds}), 0)"));
        let query = sqlx::query(statement).bind(part.to_owned());
        let row = within(self.options.write_timeout(), query.fetch_one(&mut *connection)).await?;
        Ok(row.try_get::<i64, _>(0)? == 1)
    }

    async fn unlock(&self, connection: &mut AnyConnection, part: &str) -> Result<(), Error> {
        if self.dialect == Dialect::Sqlite {
            return Ok(());
        }
        let statement = AssertSqlSafe(format!("SELECT COALESCE(RELEASE_LOCK({LOCK_NAME}), 0)"));
        let query = sqlx::query(statement).bind(part.to_owned());
        within(self.options.write_timeout(), query.fetch_one(&mut *connection)).await.map(drop)
    }
}

/// The file of a SQLite address, as the library expects it: the part before the options; nothing if the tables are in
/// memory.
fn file_of(address: &str) -> Option<PathBuf> {
    let path = address.strip_prefix("sqlite://")?.split('?').next()?;
    let is_file = !path.is_empty() && path != ":memory:" && !address.contains("mode=memory");
    is_file.then(|| PathBuf::from(percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()))
}

/// Waits no longer than that.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Error::Slow(limit)),
    }
}

/// Ends a connection in order, so that the server releases its locks at once. Failures do not matter any more.
pub(crate) async fn close(connection: AnyConnection) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let _ = tokio::time::timeout(PATIENCE, connection.close()).await;
}
