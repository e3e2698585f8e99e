//! The description of a venue, written once beside its streams, and the ids of its gateways.

use std::time::Duration;

use crossbook_log::storage;
use crossbook_types::{PartitionId, SourceId};
use redis::Value;

use crate::connection::Script;
use crate::{Error, Keys, RedisStore, Servers, reply};

impl Servers {
    /// Stores the number of partitions of the venue and the routing of accounts and markets the first time. Later it
    /// verifies that they are still the same: with others, commands would go where their accounts and orders are not.
    ///
    /// Returns the venue's identity, a random number that is drawn the first time: data that is stored elsewhere is
    /// matched to its venue by it.
    ///
    /// # Errors
    /// [`Error::Partitions`] or [`Error::Routing`] when they differ, [`Error::NotDurable`], [`Error::Random`], and
    /// failures of the server or the connection.
    pub fn claim_venue(&self, partitions: u16, routing: &[u8]) -> Result<u64, Error> {
        let drawn = storage::random().map_err(Error::Random)?;
        let (stored, route, identity) = RedisStore::connect(self, PartitionId(0))?.claim(partitions, routing, drawn)?;
        let venue = || self.options().venue.clone();
        if stored != u64::from(partitions) {
            return Err(Error::Partitions { venue: venue(), stored, configured: partitions });
        }
        if route != routing {
            return Err(Error::Routing { venue: venue(), stored: route });
        }
        Ok(identity)
    }

    /// A number for one run of one gateway, which no other has ever had or will have.
    ///
    /// # Errors
    /// [`Error::NotDurable`], and failures of the server or the connection.
    pub fn next_gateway(&self) -> Result<SourceId, Error> {
        let count = RedisStore::connect(self, PartitionId(0))?.count_gateway()?;
        Ok(SourceId(SourceId::FIRST_GATEWAY.0 + count - 1))
    }
}

impl RedisStore {
    /// Writes what the venue is made of, once, and gives what is written: partitions, routing and identity. It is
    /// durable then. Asked of the shard of partition 0.
    fn claim(&mut self, partitions: u16, routing: &[u8], identity: u64) -> Result<(u64, Vec<u8>, u64), Error> {
        let key = Keys::venue(&self.options().venue);
        self.connection.script(Script::Claim, &[&key], |command| command.arg(partitions).arg(routing).arg(identity));
        let [answer] = self.exchange(Duration::ZERO)?;
        self.await_barrier()?;
        let claimed = match answer {
            Value::Array(parts) => match <[Value; 3]>::try_from(parts) {
                Ok([partitions, Value::BulkString(routing), identity]) => {
                    reply::number(&partitions).zip(reply::number(&identity)).map(|(of, id)| (of, routing, id))
                }
                _ => None,
            },
            _ => None,
        };
        claimed.ok_or_else(|| self.connection.unclear("a claim"))
    }

    /// Counts one more gateway; the count is durable. Asked of the shard of partition 0.
    fn count_gateway(&mut self) -> Result<u64, Error> {
        let key = Keys::venue(&self.options().venue);
        self.connection.command(|command| command.arg("HINCRBY").arg(key.as_str()).arg("gateways").arg(1));
        let [answer] = self.exchange(Duration::ZERO)?;
        self.await_barrier()?;
        reply::number(&answer).ok_or_else(|| self.connection.unclear("a count of gateways"))
    }
}
