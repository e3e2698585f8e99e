//! The settings of the history, and the address of its database.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

/// The options of the history. Every bound of this crate is here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Address of the database.
    pub database: Address,
    /// Rows in one statement, and rows that are written without waiting for more.
    pub batch_rows_max: usize,
    /// How long a row waits for others to be written with.
    pub batch_delay_ms: u64,
    /// Rows in one transaction, when there are many to catch up with; what memory they take is bounded by this.
    pub transaction_rows_max: usize,
    /// Connections to the database, the one that writes included.
    pub connections_max: u32,
    /// How long to wait for a connection.
    pub connect_timeout_ms: u64,
    /// How long one statement that writes may take.
    pub write_timeout_ms: u64,
    /// How long a query may take.
    pub query_timeout_ms: u64,
    /// The longest pause before a failed write is tried again. The first is a hundredth of that.
    pub retry_delay_max_ms: u64,
    /// How long a clean stop waits for the last rows to be written.
    pub stop_timeout_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            database: Address::default(),
            batch_rows_max: 500,
            batch_delay_ms: 100,
            transaction_rows_max: 10_000,
            connections_max: 10,
            connect_timeout_ms: 3_000,
            write_timeout_ms: 60_000,
            query_timeout_ms: 5_000,
            retry_delay_max_ms: 5_000,
            stop_timeout_ms: 10_000,
        }
    }
}

impl Options {
    /// [`Options::batch_delay_ms`] as a duration.
    #[must_use]
    pub fn batch_delay(&self) -> Duration {
        Duration::from_millis(self.batch_delay_ms)
    }

    /// [`Options::stop_timeout_ms`] as a duration.
    #[must_use]
    pub fn stop_timeout(&self) -> Duration {
        Duration::from_millis(self.stop_timeout_ms)
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms)
    }

    pub(crate) fn query_timeout(&self) -> Duration {
        Duration::from_millis(self.query_timeout_ms)
    }
}

/// Where the database is: `sqlite` for a file in the data folder, `sqlite://PATH`,
/// `mysql://USER:PASSWORD@HOST/DATABASE` (MySQL and MariaDB), or `none`. It is shown without its password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

/// The kind of database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// SQLite, in this process.
    Sqlite,
    /// A MySQL or MariaDB server.
    MySql,
}

impl Address {
    /// An address as given.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether the history is disabled.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0 == "none"
    }

    /// The address in full, password included, and the kind of database. `data` is the venue's data folder.
    pub(crate) fn resolve(&self, data: &Path) -> Option<(Dialect, String)> {
        if self.0 == "sqlite" {
            let file = data.join("history.sqlite");
            return Some((Dialect::Sqlite, format!("sqlite://{}?mode=rwc", escaped(&file.to_string_lossy()))));
        }
        if let Some(path) = self.0.strip_prefix("sqlite://") {
            let mode = if path.contains('?') { "" } else { "?mode=rwc" };
            return Some((Dialect::Sqlite, format!("{}{mode}", self.0)));
        }
        let is_mysql = self.0.starts_with("mysql://") || self.0.starts_with("mariadb://");
        is_mysql.then(|| (Dialect::MySql, self.0.clone()))
    }

    /// The address without its password.
    #[must_use]
    pub fn redacted(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else { return self.0.clone() };
        // A password may contain an `@`, a host cannot.
        let Some((user, host)) = rest.rsplit_once('@') else { return self.0.clone() };
        match user.split_once(':') {
            Some((user, _)) => format!("{scheme}://{user}:***@{host}"),
            None => self.0.clone(),
        }
    }
}

/// A path as it is written in an address, where some characters of a path have another meaning.
fn escaped(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

impl Default for Address {
    fn default() -> Self {
        Self::new("sqlite")
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.redacted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_password() {
        let address = Address::new("mysql://venue:s3cr@t@db.example/crossbook?ssl-mode=REQUIRED");
        let shown = format!("{address:?}");
        assert_eq!(shown, "mysql://venue:***@db.example/crossbook?ssl-mode=REQUIRED");
        assert_eq!(Address::new("mysql://venue@db/crossbook").redacted(), "mysql://venue@db/crossbook");
    }

    #[test]
    fn an_address_names_a_database_or_none() {
        let data = Path::new("/data");
        let resolve = |text: &str| Address::new(text).resolve(data);
        assert_eq!(resolve("sqlite"), Some((Dialect::Sqlite, "sqlite:///data/history.sqlite?mode=rwc".into())));
        assert_eq!(resolve("sqlite:///x.db"), Some((Dialect::Sqlite, "sqlite:///x.db?mode=rwc".into())));
        assert_eq!(resolve("mysql://u@h/d"), Some((Dialect::MySql, "mysql://u@h/d".into())));
        let odd = Address::default().resolve(Path::new("/50%?#/v"));
        assert_eq!(odd, Some((Dialect::Sqlite, "sqlite:///50%25%3f%23/v/history.sqlite?mode=rwc".into())));
        assert_eq!(resolve("postgres://u@h/d"), None);
        assert!(Address::new("none").is_none());
    }
}
