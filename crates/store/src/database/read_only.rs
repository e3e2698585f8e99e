//! Reads a SQLite file where this process may not write: a file of another user, or on a volume that is mounted
//! read-only. Usually a reader of a file with a write-ahead log writes, too: it makes the log and its index if they are
//! not there.

use std::path::{Path, PathBuf};

use sqlx::any::AnyConnectOptions;

use crate::database::Error;

/// The settings of a session that writes nothing.
pub(crate) const SETTINGS: &str = "PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY";

/// What SQLite reports where it may not write, and where it may not make a file; without the details.
const MAY_NOT_WRITE: [u32; 2] = [8, 14];

/// How a SQLite file is opened without writing.
#[derive(Clone, Debug)]
pub(crate) struct ReadOnly {
    file: PathBuf,
    /// With its write-ahead log.
    logged: AnyConnectOptions,
    /// On its own.
    alone: AnyConnectOptions,
}

impl ReadOnly {
    /// For the file at that address, which asks for it to be created; `None` if the address says itself how it is to be
    /// opened.
    pub(crate) fn new(
        (file, address): (&Path, &str),
        parse: impl Fn(&str) -> Result<AnyConnectOptions, Error>,
    ) -> Result<Option<Self>, Error> {
        let Some(path) = address.strip_suffix("?mode=rwc") else { return Ok(None) };
        let logged = parse(&format!("{path}?mode=ro"))?;
        let alone = parse(&format!("{path}?mode=ro&immutable=true"))?;
        Ok(Some(Self { file: file.to_owned(), logged, alone }))
    }

    /// How it is to be opened now. Without a write-ahead log all of it is in the file, and nobody writes to it: a venue
    /// that runs has made one. Then it must not be looked for, because an absent one would be made.
    pub(crate) fn options(&self) -> &AnyConnectOptions {
        let file = self.file.canonicalize().unwrap_or_else(|_| self.file.clone());
        let mut log = file.into_os_string();
        log.push("-wal");
        let is_logged = std::fs::metadata(log).is_ok_and(|log| log.len() > 0);
        if is_logged { &self.logged } else { &self.alone }
    }
}

/// Whether a file could not be opened because this process may not write there.
pub(crate) fn may_not_write(error: &Error) -> bool {
    let Error::Database(sqlx::Error::Database(error)) = error else { return false };
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| MAY_NOT_WRITE.contains(&(code & 0xff)))
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

    use super::*;

    #[tokio::test]
    async fn a_file_is_read_without_anything_being_made_beside_it() {
        sqlx::any::install_default_drivers();
        let folder = tempfile::tempdir().unwrap();
        let (file, copy) = (folder.path().join("a b.sqlite"), folder.path().join("copy.sqlite"));
        let address = |file: &Path| format!("sqlite://{}?mode=rwc", file.display());
        let parse = |address: &str| Ok::<AnyConnectOptions, Error>(address.parse()?);
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        let mut writer = parse(&address(&file)).unwrap().connect().await.unwrap();
        writer.execute("PRAGMA journal_mode = WAL; CREATE TABLE t (n INT); INSERT INTO t VALUES (7)").await.unwrap();

        let read = async |file: &Path| {
            let reading = ReadOnly::new((file, &address(file)), parse).unwrap().unwrap();
            let mut connection = reading.options().connect().await.unwrap();
            connection.execute(AssertSqlSafe(SETTINGS)).await.unwrap();
            let found: i64 = sqlx::query_scalar("SELECT n FROM t").fetch_one(&mut connection).await.unwrap();
            let refused = connection.execute("INSERT INTO t VALUES (8)").await.unwrap_err();
            assert!(may_not_write(&refused.into()));
            connection.close().await.unwrap();
            found
        };
        assert_eq!((read(&file).await, names()), (7, 3), "with the log of a writer");
        writer.close().await.unwrap();
        assert_eq!(names(), 1, "the writer leaves nothing but the file");
        assert_eq!((read(&file).await, names()), (7, 1), "alone");
        std::fs::rename(&file, &copy).unwrap();
        assert_eq!((read(&copy).await, names()), (7, 1));
        assert!(ReadOnly::new((&copy, "sqlite://copy.sqlite?mode=ro"), parse).unwrap().is_none());
    }
}
