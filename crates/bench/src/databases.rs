//! The databases to measure, which must be empty.

use crossbook_servers::mysql::MySql;
use crossbook_store::{Address, Database, Options, Writer, standing};
use crossbook_venue::history::PARTITION;
use tempfile::TempDir;

use super::Error;
use crate::options::{Databases, Store};

/// The log that measured histories are said to be of. Tables of another one are left alone.
const IDENTITY: u64 = u64::from_be_bytes(*b"measured");
/// The database on a server that was started for the purpose.
const NAME: &str = "bench";

/// A database to measure.
pub struct Place {
    /// What it is called in reports.
    pub name: &'static str,
    /// How to reach it.
    pub database: Database,
    server: Option<MySql>,
    // Goes when the server is gone.
    _folder: TempDir,
}

impl Place {
    /// The server's process, where that is known.
    pub fn server_process(&self) -> Option<u32> {
        self.server.as_ref().and_then(MySql::process)
    }

    /// Makes the tables anew, and gives the only connection that writes to them.
    ///
    /// # Errors
    /// When the database fails, or holds the history of a venue.
    pub async fn empty(&self) -> Result<Writer, Error> {
        let own = format!("{IDENTITY:016x}");
        match standing(&self.database, PARTITION).await?.map(|standing| standing.log) {
            Some(found) if found != own => Err(Error::Taken),
            _ => Ok(Writer::open_anew(&self.database, PARTITION).await?),
        }
    }

    /// Empties the tables.
    ///
    /// # Errors
    /// See [`Place::empty`].
    pub async fn clear(&self) -> Result<(), Error> {
        self.empty().await?.close().await;
        Ok(())
    }
}

/// The databases that the command line names.
///
/// # Errors
/// When one cannot be had.
pub fn of(options: &Store) -> Result<Vec<Place>, Error> {
    let mut places = Vec::new();
    if options.database != Databases::Mysql {
        let folder = tempfile::tempdir()?;
        places.push(place("SQLite", &Address::default(), None, folder)?);
    }
    if options.database != Databases::Sqlite {
        let folder = tempfile::tempdir()?;
        let (name, address, server) = match &options.mysql {
            Some(address) => ("MySQL", address.clone(), None),
            None => {
                tracing::info!("starting a MariaDB server");
                let server = MySql::start(&folder.path().join("server"))?;
                ("MariaDB", server.create(NAME)?, Some(server))
            }
        };
        if !["mysql://", "mariadb://"].iter().any(|scheme| address.starts_with(scheme)) {
            return Err(Error::Address);
        }
        places.push(place(name, &Address::new(&address), server, folder)?);
    }
    Ok(places)
}

fn place(name: &'static str, address: &Address, server: Option<MySql>, folder: TempDir) -> Result<Place, Error> {
    let options = Options { database: address.clone(), ..Options::default() };
    let database = Database::new(&options, folder.path())?.ok_or(Error::Address)?.for_log(IDENTITY);
    Ok(Place { name, database, server, _folder: folder })
}
