//! The cached depth of every book, which workers write to the store: a gateway answers from it while it starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbook_cluster::store::BookDepth;
use crossbook_gateway::book_snapshots::{BookSnapshot, BookSnapshots};
use crossbook_gateway::command_port::Soon;
use crossbook_node::NotAccepted;
use crossbook_types::PartitionId;
use parking_lot::Mutex;

use super::Site;
use super::provider::{Error, Link, Servers};

/// One connection to each partition, made when it is first needed. Questions are asked one after the other.
pub struct StoredDepths {
    servers: Servers,
    partitions: Vec<PartitionId>,
    links: Arc<Mutex<BTreeMap<PartitionId, Link>>>,
}

impl StoredDepths {
    /// The books of a venue.
    pub fn of(site: &Site) -> Self {
        Self { servers: site.servers.clone(), partitions: site.routing.all().collect(), links: Arc::default() }
    }
}

impl BookSnapshots for StoredDepths {
    fn book(&self, symbol: &str) -> Soon<'_, Option<BookSnapshot>> {
        let (servers, partitions, links) = (self.servers.clone(), self.partitions.clone(), Arc::clone(&self.links));
        let symbol = symbol.to_owned();
        Box::pin(async move {
            let asked = tokio::task::spawn_blocking(move || ask(&servers, &partitions, &mut links.lock(), &symbol));
            match asked.await {
                Ok(Ok(found)) => {
                    Ok(found.map(|BookDepth { last, bids, asks }| BookSnapshot { last_update: last, bids, asks }))
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the depth of a book cannot be read");
                    Err(NotAccepted::Silent)
                }
                Err(_) => Err(NotAccepted::Silent),
            }
        })
    }
}

/// Which partition has a market is known from its listing, which is not known yet; so each is asked, and one has it.
fn ask(
    servers: &Servers,
    partitions: &[PartitionId],
    links: &mut BTreeMap<PartitionId, Link>,
    symbol: &str,
) -> Result<Option<BookDepth>, Error> {
    for &partition in partitions {
        let mut link = match links.remove(&partition) {
            Some(link) => link,
            None => Link::connect(servers, partition)?,
        };
        let found = link.read_depth(symbol)?;
        links.insert(partition, link);
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
