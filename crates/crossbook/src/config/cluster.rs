//! The settings of a venue that runs as a cluster. `crossbook serve` and `crossbook demo` need none of them.

use std::collections::BTreeMap;

use crossbook_engine::Routing;
use crossbook_node::cluster::{gate, worker};
use crossbook_node::snapshot;
use crossbook_types::{PartitionId, SymbolName};
use serde::{Deserialize, Serialize};

use super::Error;

/// See the module. All processes of a venue must agree on `partitions`, `markets` and `redis.venue`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterOptions {
    /// Into how many partitions the venue is cut. Fixed when it is made.
    pub partitions: u16,
    /// Markets that do not go where their number says, each as `SYMBOL=PARTITION`.
    pub markets: Vec<String>,
    /// Where the logs are.
    pub redis: crossbook_log::streams::Options,
    /// How gateways speak with the partitions.
    pub gate: gate::Options,
    /// How workers run partitions.
    pub worker: worker::Options,
    /// Where snapshots are kept.
    pub snapshots: snapshot::Options,
    /// Commands of a partition after which its next snapshot is taken.
    pub snapshot_every_commands: u64,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            partitions: 12,
            markets: Vec::new(),
            redis: crossbook_log::streams::Options::default(),
            gate: gate::Options::default(),
            worker: worker::Options::default(),
            snapshots: snapshot::Options::default(),
            snapshot_every_commands: 100_000,
        }
    }
}

impl ClusterOptions {
    /// Which partition owns what.
    ///
    /// # Errors
    /// When a market is given to no partition, or there are none.
    pub fn routing(&self) -> Result<Routing, Error> {
        let useless = |key, value: String, instead: &str| Error::Useless { key, value, instead: instead.to_owned() };
        let mut names = BTreeMap::new();
        for given in &self.markets {
            let named = given.split_once('=').and_then(|(symbol, partition)| {
                let symbol = SymbolName::new_checked(symbol.trim()).ok()?;
                Some((symbol, PartitionId(partition.trim().parse().ok()?)))
            });
            let (symbol, partition) = named.ok_or_else(|| {
                useless(
                    "cluster.markets",
                    given.clone(),
                    "give each market as \"SYMBOL=PARTITION\", such as \"BTCUSDT=3\"",
                )
            })?;
            names.insert(symbol, partition);
        }
        let routing = Routing::new_checked(self.partitions, BTreeMap::new()).ok_or_else(|| {
            useless("cluster.partitions", self.partitions.to_string(), "a venue has one partition at least")
        })?;
        routing.with_names(names).ok_or_else(|| {
            let instead = "one of these partitions does not exist; they are numbered from 0";
            useless("cluster.markets", self.markets.join(" "), instead)
        })
    }
}
