//! Opens connections with the settings that every session has.

use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions as _, Executor as _};

use super::{Database, Error, read_only, within};
use crate::options::Dialect;

/// How long a server keeps the session of an inactive writer.
const SESSION_SECONDS: u32 = 30;
/// The time between two attempts to change the settings of a file that another connection has locked.
const LOCKED_RETRY: Duration = Duration::from_millis(10);
/// What SQLite reports where another connection has locked the file, without the details.
const LOCKED: u32 = 5;

impl Database {
    /// A connection of its own, to read a lot; it writes only where this process may.
    pub(crate) async fn connect(&self) -> Result<AnyConnection, Error> {
        let connected = self.connect_with(&self.reading, self.settings(None)).await;
        let (Some(read_only), Err(error)) = (&self.read_only, &connected) else { return connected };
        if !read_only::may_not_write(error) {
            return connected;
        }
        // The first error says what is wrong where this does not help.
        self.connect_with(read_only.options(), read_only::SETTINGS.to_owned()).await.or(connected)
    }

    /// The connection that writes.
    pub(crate) async fn connect_writer(&self) -> Result<AnyConnection, Error> {
        self.connect_with(&self.address, self.writer_settings()).await
    }

    async fn connect_with(&self, address: &AnyConnectOptions, settings: String) -> Result<AnyConnection, Error> {
        let connecting = async {
            let mut connection = address.connect().await?;
            begin(&mut connection, &settings).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        within(self.options.connect_timeout(), connecting).await
    }

    /// The statements that begin every session. `limit`: how long the server lets a query run, in milliseconds.
    pub(super) fn settings(&self, limit: Option<u64>) -> String {
        match self.dialect {
            Dialect::Sqlite => {
                "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA temp_store = MEMORY".to_owned()
            }
            Dialect::MySql => {
                // Each server reads only its own kind of comment, and calls the limit by its own name.
                let limit = limit.map_or(String::new(), |limit| {
                    let seconds = limit.div_ceil(1_000);
                    format!(" /*M! , max_statement_time = {seconds} */ /*!80000 , max_execution_time = {limit} */")
                });
                // A value that does not fit must fail, not be truncated. Several reads of one transaction see one
                // snapshot.
                format!(
                    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = \
                     10{limit}; SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"
                )
            }
        }
    }

    fn writer_settings(&self) -> String {
        let settings = self.settings(None);
        match self.dialect {
            // As long as the log has everything, a power cut may cost the last transactions, but never their order: WAL
            // with synchronous NORMAL promises that, and what is missing is projected again.
            Dialect::Sqlite => {
                let synchronous = if self.synced { "FULL" } else { "NORMAL" };
                // Checkpoints stay small (SQLite's own 1,000 pages): each syncs the disk that the log needs, and a
                // large one holds it up for long. With 16,384 pages, p99 of orders at 5,000 a second rose from 5 to
                // over 20 ms.
                format!("{settings}; PRAGMA synchronous = {synchronous}; PRAGMA cache_size = -65536")
            }
            // A server keeps the session, and with it the claim, of a host that has vanished for only so long. The
            // history writer queries the position far more often.
            Dialect::MySql => {
                // Where writers of several partitions are side by side, one must not lock the gaps into which another
                // one writes: they would be in each other's way, now and then for good. Each reads only what is its
                // own.
                let level = if self.is_of_one() { "REPEATABLE READ" } else { "READ COMMITTED" };
                format!(
                    "{settings}; SET SESSION wait_timeout = {SESSION_SECONDS}; \
                     SET SESSION TRANSACTION ISOLATION LEVEL {level}"
                )
            }
        }
    }
}

/// Executes the statements that begin a session, again while another connection has locked the file: SQLite does not
/// wait by itself where it changes the journal of a new file, because it already reads the file then. The caller bounds
/// the time.
pub(super) async fn begin(connection: &mut AnyConnection, settings: &str) -> Result<(), sqlx::Error> {
    while let Err(error) = connection.execute(AssertSqlSafe(settings.to_owned())).await {
        if !is_locked(&error) {
            return Err(error);
        }
        tokio::time::sleep(LOCKED_RETRY).await;
    }
    Ok(())
}

/// Whether another connection has locked the file.
fn is_locked(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == LOCKED)
}
