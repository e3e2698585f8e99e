//! What is overloaded: a venue in one process, or a cluster.

use std::net::SocketAddr;
use std::path::Path;

use crossbook_servers::cluster::{LocalCluster, NO_LIMITS, Plan};
use crossbook_servers::memory_max;
use crossbook_servers::venue::LocalVenue;

use crate::Error;
use crate::options::{Over, Overload};

/// Orders to a sync of a venue.
const BATCH: &str = "1";
/// From one sync to the next over REST, in microseconds, unless told otherwise.
const INTERVAL_OVER_REST: u64 = 1_000;
/// Partitions of a cluster, and markets in it.
const PARTITIONS: u16 = 3;

/// A venue that is slowed down as the command line says.
pub(super) enum Subject {
    /// A process, and the microseconds from one sync to the next.
    Venue(LocalVenue, u64),
    /// A cluster, and how its text describes it.
    Cluster(Box<LocalCluster>, String),
}

impl Subject {
    /// Starts it. There is no history, because it would take processors from the venue for as long as it is behind.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start(options: &Overload, folder: &Path) -> Result<Self, Error> {
        let binary = std::env::current_exe()?;
        if options.cluster {
            return Self::start_cluster(options, folder, &binary);
        }
        let interval = options.batch_interval_us.unwrap_or(match options.over {
            Over::Websocket => 0,
            Over::Rest => INTERVAL_OVER_REST,
        });
        let wait = options.queue_wait_ms.unwrap_or(1).to_string();
        let batch_interval = interval.to_string();
        let settings = [
            ("CROSSBOOK_NODE__BATCH_REQUESTS_MAX", BATCH),
            ("CROSSBOOK_NODE__BATCH_INTERVAL_US", batch_interval.as_str()),
            ("CROSSBOOK_NODE__QUEUE_WAIT_SUSTAINED_MAX_MS", wait.as_str()),
            ("CROSSBOOK_HISTORY__DATABASE", "none"),
        ];
        Ok(Self::Venue(LocalVenue::start(folder, &binary, &settings)?, interval))
    }

    fn start_cluster(options: &Overload, folder: &Path, binary: &Path) -> Result<Self, Error> {
        let batch = options.batch_requests;
        let mut settings = format!("{NO_LIMITS}[cluster.log_client]\nbatch_requests_max = {batch}\n");
        if let Some(interval) = options.batch_interval_us {
            settings += &format!("turn_interval_us = {interval}\n");
        }
        if let Some(wait) = options.queue_wait_ms {
            settings += &format!("queue_wait_sustained_max_ms = {wait}\n");
        }
        let plan = Plan {
            shards: 1,
            replicas: 1,
            partitions: PARTITIONS,
            workers: 1,
            standby: false,
            gateways: 2,
            history: false,
            settings,
            ..Plan::default()
        };
        let cluster = LocalCluster::start(&folder.join("cluster"), binary, &plan, |_| ())?;
        let text = format!(
            "A cluster of {} gateways and {PARTITIONS} partitions on one Redis master with a replica, whose gateways \
             append {batch} orders at most for each partition in a turn, and while there are too many admit those that \
             will wait `queue_wait_sustained_max_ms` ({}) at most,",
            plan.gateways,
            options.queue_wait_ms.map_or_else(|| "as by default".to_owned(), |wait| wait.to_string()),
        );
        Ok(Self::Cluster(Box::new(cluster), text))
    }

    /// What it is, as the beginning of a sentence.
    pub fn described(&self) -> String {
        match self {
            Self::Cluster(_, text) => text.clone(),
            Self::Venue(_, 0) => format!("A venue that syncs after every {BATCH} order"),
            Self::Venue(_, interval) => {
                format!("A venue that syncs after every {BATCH} order, {interval} µs from one to the next at least,")
            }
        }
    }

    pub fn http(&self) -> SocketAddr {
        match self {
            Self::Venue(venue, _) => venue.http(),
            Self::Cluster(cluster, _) => cluster.http(),
        }
    }

    pub fn admin(&self) -> SocketAddr {
        match self {
            Self::Venue(venue, _) => venue.admin(),
            Self::Cluster(cluster, _) => cluster.admin(),
        }
    }

    pub fn token(&self) -> &str {
        match self {
            Self::Venue(venue, _) => venue.token(),
            Self::Cluster(cluster, _) => cluster.token(),
        }
    }

    /// How many markets the orders are for.
    pub fn markets(&self) -> usize {
        match self {
            Self::Venue(..) => 1,
            Self::Cluster(..) => PARTITIONS.into(),
        }
    }

    /// The most memory that it, or all its gateways, had so far, in bytes.
    pub fn memory_max(&self) -> Option<u64> {
        match self {
            Self::Venue(venue, _) => venue.memory_max(),
            Self::Cluster(cluster, _) => {
                let gateways = cluster.programs().filter(|(name, ..)| name.starts_with("gateway"));
                gateways.map(|(.., process)| memory_max(process?)).sum()
            }
        }
    }
}
