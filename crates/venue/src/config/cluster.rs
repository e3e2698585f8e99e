//! The settings of a cluster. `crossbook serve` and `crossbook demo` need none of them.

use std::collections::BTreeMap;

use crossbook_cluster::{client, worker};
use crossbook_protocol::Routing;
use crossbook_types::{PartitionId, SymbolName};
use serde::{Deserialize, Serialize};

use super::Error;

/// See the module. All processes of a venue must agree on `partitions`, `markets` and `redis.venue`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterOptions {
    /// Into how many partitions the venue is cut. Fixed when it is made.
    pub partitions: u16,
    /// Markets that are not placed by their number, each as `SYMBOL=PARTITION`.
    pub markets: Vec<String>,
    /// Where the logs are.
    pub redis: crossbook_redis_store::Options,
    /// How gateways speak with the partitions.
    pub log_client: client::Options,
    /// How workers run partitions.
    pub worker: worker::Options,
    /// How writers follow the logs.
    pub writer: WriterOptions,
    /// Where snapshots are stored.
    pub snapshots: crossbook_object_store::Options,
    /// Commands of a partition after which its next snapshot is taken.
    pub snapshot_interval_commands: u64,
    /// How long a process that starts waits for the store to answer, with all attempts, in milliseconds.
    pub start_timeout_ms: u64,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            partitions: 12,
            markets: Vec::new(),
            redis: crossbook_redis_store::Options::default(),
            log_client: client::Options::default(),
            worker: worker::Options::default(),
            writer: WriterOptions::default(),
            snapshots: crossbook_object_store::Options::default(),
            snapshot_interval_commands: 100_000,
            start_timeout_ms: 120_000,
        }
    }
}

/// How a writer follows the logs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct WriterOptions {
    /// How often the writer asks where the logs end, in milliseconds; up to ten times less often while nothing is
    /// traded.
    pub poll_interval_ms: u64,
    /// Interval at which the position of the tables is stored beside the logs, in milliseconds.
    pub checkpoint_interval_ms: u64,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { poll_interval_ms: 50, checkpoint_interval_ms: 1_000 }
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
