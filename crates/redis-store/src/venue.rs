//! What a venue is made of, written once beside its streams, and the numbers of its gateways.

use crossbook_types::{PartitionId, SourceId};

use crate::{Error, Link, Servers};
use crossbook_log::storage;

impl Servers {
    /// Writes how many partitions the venue has and how accounts and markets are routed to them, the first time. Later
    /// it sees that they are still the same: with others, commands would go where their accounts and orders are not.
    ///
    /// Gives the venue's identity, a random number that no other venue has, drawn the first time: what is kept
    /// elsewhere can tell by it whose it is.
    ///
    /// # Errors
    /// [`Error::Partitions`] or [`Error::Routing`] when they differ, [`Error::NotDurable`], [`Error::Random`], and
    /// failures of the server or the connection.
    pub fn claim_venue(&self, partitions: u16, routing: &[u8]) -> Result<u64, Error> {
        let drawn = storage::random().map_err(Error::Random)?;
        let (stored, route, identity) = Link::connect(self, PartitionId(0))?.claim(partitions, routing, drawn)?;
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
        let count = Link::connect(self, PartitionId(0))?.count_gateway()?;
        Ok(SourceId(SourceId::FIRST_GATEWAY.0 + count - 1))
    }
}
