//! Processor time by role, as a function of the rate and of the layout, fitted to measurements of
//! `crossbook bench cluster`.
//!
//! What costs is a *turn*, a round trip of a process with a shard, and within it each partition that it touches; and
//! each entry that is written and applied. Turns of one process with one shard are at least an interval apart, so with
//! a rate of λ entries there are λ/(1 + λT) of them: hardly more with a higher rate, which is why an order costs less
//! the more there are. Measurements at the most that a machine does are left out, since there everything waits.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::fit::{self, Sample};

/// The measurement of 29 November 2026.
const SHIPPED: &str = include_str!("../data/cluster-2026-11-29.json");
/// What else was measured.
const MEASURED: &str = include_str!("../data/measured.toml");
/// Where the shipped costs are from.
const SHIPPED_NAME: &str = "docs/measurements/2026-11-29-cluster.md";
/// Least measurements from which a cost is fitted.
const RUNS_MIN: usize = 2;

/// A process of a cluster, by its name in the measurements.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub enum Role {
    /// Masters and replicas of the store.
    Store,
    /// All gateways together.
    Gateways,
    /// All workers together.
    Workers,
    /// HAProxy; in a cloud the load balancer is bought.
    LoadBalancer,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Store, Self::Gateways, Self::Workers, Self::LoadBalancer];

    /// What `crossbook bench cluster` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Store => "Redis",
            Self::Gateways => "gateway",
            Self::Workers => "worker",
            Self::LoadBalancer => "haproxy",
        }
    }
}

/// Of what a cluster consists, as far as its costs depend on that.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shape {
    /// Shards of the store.
    pub shards: f64,
    /// How many partitions there are.
    pub partitions: f64,
    /// How many gateways there are.
    pub gateways: f64,
    /// How many workers there are.
    pub workers: f64,
    /// Part of the orders with two hops.
    pub two_hops: f64,
    /// Seconds between turns.
    pub turn_interval: f64,
}

impl Shape {
    /// Entries of the logs that a command makes: the command, with two hops the message to its market's partition, and
    /// what goes back.
    pub fn entries(&self) -> f64 {
        1.0 + 2.0 * self.two_hops
    }

    /// Turns a second of this many processes with the shards, and partitions that they touch.
    fn turns(&self, processes: f64, rate: f64) -> (f64, f64) {
        let paced = |pairs: f64| {
            let each = rate * self.entries() / pairs;
            pairs * each / (1.0 + each * self.turn_interval)
        };
        (paced(processes * self.shards), paced(processes * self.partitions))
    }

    /// What the cost of a role depends on.
    fn features(&self, role: Role, rate: f64) -> Vec<f64> {
        let entries = rate * self.entries();
        match role {
            Role::Store => {
                let (turns, touched) = self.turns(self.gateways, rate);
                vec![turns, touched, entries]
            }
            Role::Gateways => {
                let (turns, touched) = self.turns(self.gateways, rate);
                vec![turns, touched, rate]
            }
            Role::Workers => {
                let (turns, touched) = self.turns(self.workers, rate);
                vec![turns, touched, entries]
            }
            Role::LoadBalancer => vec![1.0, rate],
        }
    }
}

/// A measurement: a line of `crossbook bench cluster --json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub(crate) shards: f64,
    pub(crate) partitions: f64,
    pub(crate) gateways: f64,
    pub(crate) workers: f64,
    /// None: as many orders as could be.
    pub(crate) rate: Option<f64>,
    pub(crate) orders_per_second: f64,
    pub(crate) cpu_micros: BTreeMap<String, f64>,
}

impl Run {
    pub(crate) fn shape(&self, turn_interval: f64) -> Shape {
        Shape {
            shards: self.shards,
            partitions: self.partitions,
            gateways: self.gateways,
            workers: self.workers,
            two_hops: 1.0 - 1.0 / self.partitions,
            turn_interval,
        }
    }

    /// Processors that a role has used.
    pub(crate) fn processors(&self, role: Role) -> Option<f64> {
        self.cpu_micros.get(role.name()).map(|micros| micros * self.orders_per_second / 1e6)
    }
}

/// What was measured beside the costs of the roles.
#[derive(Clone, Debug, Deserialize)]
pub struct Measured {
    pub(crate) engine: Engine,
    pub(crate) gateway: Gateway,
    pub(crate) streams: Streams,
    pub(crate) history: History,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Engine {
    pub(crate) source: String,
    pub(crate) bytes_per_open_order: f64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Gateway {
    pub(crate) source: String,
    pub(crate) bytes_per_open_order: f64,
    pub(crate) snapshot_bytes_per_open_order: f64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Streams {
    pub(crate) source: String,
    pub(crate) messages_per_order: f64,
    pub(crate) bytes_per_order: f64,
    pub(crate) micros_per_message: f64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct History {
    pub(crate) source: String,
    pub(crate) rows_per_command: f64,
    pub(crate) writer_micros: f64,
    pub(crate) database_micros: f64,
    pub(crate) commands_per_second_max: f64,
}

/// What things cost.
#[derive(Clone, Debug)]
pub struct Costs {
    /// Where the costs of the roles are from.
    pub(crate) source: String,
    pub(crate) runs: Vec<Run>,
    pub(crate) measured: Measured,
    /// Seconds between turns in the measurements.
    pub(crate) turn_interval: f64,
    coefficients: BTreeMap<Role, Vec<f64>>,
}

/// Seconds between turns of a cluster as it comes, and so in the measurements.
const TURN_INTERVAL: f64 = 0.004;

impl Costs {
    /// Those of the measurement that comes with the program.
    ///
    /// # Errors
    /// None; a test reads them.
    pub fn shipped() -> Result<Self, Error> {
        Self::parse(SHIPPED_NAME, SHIPPED)
    }

    /// Those of a file that `crossbook bench cluster --json` has written.
    ///
    /// # Errors
    /// When it cannot be read, or has too few measurements.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads measurements, and fits the costs of each role that they have to them.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let runs: Vec<Run> =
            serde_json::from_str(text).map_err(|source| Error::Costs { name: name.to_owned(), source })?;
        let measured = toml::from_str(MEASURED)
            .map_err(|error| Error::Prices { name: "measured.toml".to_owned(), message: error.to_string() })?;
        let mut coefficients = BTreeMap::new();
        for role in Role::ALL {
            let samples: Vec<Sample> = runs
                .iter()
                .filter(|run| run.rate.is_some())
                .filter_map(|run| Some((run, run.processors(role)?)))
                .filter(|(_, processors)| *processors > 0.0)
                .map(|(run, processors)| (run.shape(TURN_INTERVAL).features(role, run.orders_per_second), processors))
                .collect();
            let too_few =
                || Error::TooFewRuns { name: name.to_owned(), role: role.name(), runs: samples.len(), least: RUNS_MIN };
            if samples.len() < RUNS_MIN {
                return Err(too_few());
            }
            coefficients.insert(role, fit::non_negative(&samples).ok_or_else(too_few)?);
        }
        Ok(Self { source: name.to_owned(), runs, measured, turn_interval: TURN_INTERVAL, coefficients })
    }

    /// Processors that a role takes, all its processes together.
    pub(crate) fn processors(&self, role: Role, shape: &Shape, rate: f64) -> f64 {
        let cost = |shape: &Shape| fit::dot(&shape.features(role, rate), &self.coefficients[&role]);
        if role != Role::Gateways {
            return cost(shape);
        }
        // Every gateway applies every entry. That part of the cost is known from workers, which do nothing else.
        let measured = self.runs.first().map_or(1.0, |run| run.gateways);
        let more = (shape.gateways - measured).max(0.0);
        cost(shape) + more * self.apply() * rate * shape.entries()
    }

    /// Seconds of a processor that a process takes to apply an entry.
    pub(crate) fn apply(&self) -> f64 {
        let workers = self.runs.first().map_or(1.0, |run| run.workers);
        self.coefficients[&Role::Workers][2] / workers
    }

    /// The most commands a second that a partition has been seen to do.
    pub(crate) fn partition_max(&self) -> f64 {
        self.runs.iter().map(|run| run.orders_per_second / run.partitions).fold(0.0, f64::max)
    }
}
