//! When the API keys of a venue were last used: a text for each key, `{venue:p0}:key-use:KEY`, which vanishes when it
//! was not written for a long time. All of it lies with partition 0. Nothing waits for replicas: a failover may forget
//! what was written last.

use std::fmt;
use std::time::Duration;

use crossbook_types::PartitionId;
use parking_lot::Mutex;
use redis::Value;

use crate::connection::Connection;
use crate::{Error, Keys, Servers, reply};

/// All of it lies with this partition.
const HOME: PartitionId = PartitionId(0);
/// What is not written for so long is forgotten, so that keys that are no more leave nothing behind.
const KEPT: Duration = Duration::from_hours(400 * 24);

/// What is stored of the uses of keys. The connection is made when it is needed.
pub struct StoredKeyUses {
    servers: Servers,
    connection: Mutex<Option<Connection>>,
}

impl StoredKeyUses {
    /// Those of a venue.
    #[must_use]
    pub fn new(servers: Servers) -> Self {
        Self { servers, connection: Mutex::new(None) }
    }

    /// Stores a text for each key. Of what several gateways store of one key, the last stays.
    ///
    /// # Errors
    /// When the server does not answer: some may be stored.
    pub fn write(&self, uses: &[(&str, String)]) -> Result<(), Error> {
        self.on(|connection, key| {
            for (name, text) in uses {
                connection.command(|command| command.arg("SET").arg(key(name)).arg(text).arg("EX").arg(KEPT.as_secs()));
            }
            connection.exchange(Duration::ZERO).map(drop)
        })
    }

    /// What is stored for each key, in their order.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn read(&self, keys: &[&str]) -> Result<Vec<Option<String>>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.on(|connection, key| {
            for name in keys {
                connection.command(|command| command.arg("GET").arg(key(name)));
            }
            let answers = connection.exchange(Duration::ZERO)?;
            let text = |answer: &Value| match answer {
                Value::Nil => Some(None),
                other => reply::text(other).map(|text| Some(text.to_owned())),
            };
            answers.iter().map(text).collect::<Option<_>>().ok_or_else(|| connection.unclear("uses of keys"))
        })
    }

    fn on<T>(
        &self,
        ask: impl FnOnce(&mut Connection, &dyn Fn(&str) -> String) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut kept = self.connection.lock();
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => self.servers.connect_to_master(HOME)?,
        };
        let venue = &self.servers.options().venue;
        let answer = ask(&mut connection, &|name| Keys::key_use(venue, name))?;
        *kept = Some(connection);
        Ok(answer)
    }
}

impl fmt::Debug for StoredKeyUses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredKeyUses").finish_non_exhaustive()
    }
}
