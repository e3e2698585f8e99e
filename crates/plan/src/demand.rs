//! What is asked for.

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::error::Error;

/// How instances are bought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Buy {
    /// By the hour.
    OnDemand,
    /// By the hour; nodes of one zone, whose loss the cluster survives, as spot instances.
    Spot,
    /// For a year, without upfront payment.
    Reserved,
}

/// The store of the logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// Amazon MemoryDB, whose answers are durable themselves.
    #[value(name = "memorydb")]
    MemoryDb,
    /// Valkey on nodes of the cluster, with two replicas of each master.
    Valkey,
}

/// What a cluster has to do.
#[derive(Clone, Debug, Serialize, Args)]
#[serde(rename_all = "camelCase")]
pub struct Demand {
    /// Orders per second at the peak.
    #[arg(long, value_name = "RATE", default_value_t = 5_000.0)]
    pub tps: f64,
    /// Orders per second on average, over day and night [default: a fifth of the peak].
    #[arg(long, value_name = "RATE")]
    pub average: Option<f64>,
    /// Cancels for each order. One costs as much as an order.
    #[arg(long, value_name = "NUMBER", default_value_t = 0.4)]
    pub cancels: f64,
    /// Part of the orders in the busiest market, which one partition has to carry.
    #[arg(long, value_name = "SHARE", default_value_t = 0.4)]
    pub busiest: f64,
    /// Part of the orders whose account and market are in different partitions [default: by chance, 1 - 1/partitions].
    #[arg(long, value_name = "SHARE")]
    pub two_hops: Option<f64>,
    /// Number of markets.
    #[arg(long, value_name = "NUMBER", default_value_t = 20.0)]
    pub markets: f64,
    /// Open orders, over all markets.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000.0)]
    pub open_orders: f64,
    /// Connections of clients that send requests.
    #[arg(long, value_name = "NUMBER", default_value_t = 2_000.0)]
    pub connections: f64,
    /// Connections that receive market data: trades, best prices and depth, all as they happen.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000.0)]
    pub subscribers: f64,
    /// Markets that each of them follows, of average size.
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0)]
    pub followed: f64,
    /// Days for which the history stays in the database.
    #[arg(long, value_name = "DAYS", default_value_t = 30.0)]
    pub retention: f64,
    /// Zones. Any one of them can be lost at the peak, if there are two or more.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=6))]
    pub zones: u32,
    /// The store of the logs.
    #[arg(long, default_value = "memorydb")]
    pub store: Store,
    /// Partitions; they cannot be changed later but by an export [default: four for each shard].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub partitions: Option<u32>,
    /// Shards of the store [default: as few as carry it].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub shards: Option<u32>,
    /// How instances are bought.
    #[arg(long, default_value = "on-demand")]
    pub buy: Buy,
    /// How much of their processors the processes may use at the peak.
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    pub utilisation: f64,
    /// Least time between two round trips of a gateway with a shard (cluster.log_client.turn_interval_us).
    #[arg(long, value_name = "MS", default_value_t = 4.0)]
    pub turn_interval: f64,
    /// Milliseconds that a durable write of the store takes. Nobody has measured it on MemoryDB.
    #[arg(long, value_name = "MS", default_value_t = 3.0)]
    pub store_write: f64,
}

impl Default for Demand {
    fn default() -> Self {
        Self {
            tps: 5_000.0,
            average: None,
            cancels: 0.4,
            busiest: 0.4,
            two_hops: None,
            markets: 20.0,
            open_orders: 1_000_000.0,
            connections: 2_000.0,
            subscribers: 1_000.0,
            followed: 1.0,
            retention: 30.0,
            zones: 3,
            store: Store::MemoryDb,
            partitions: None,
            shards: None,
            buy: Buy::OnDemand,
            utilisation: 0.5,
            turn_interval: 4.0,
            store_write: 3.0,
        }
    }
}

impl Demand {
    /// Orders a second on average.
    #[must_use]
    pub fn average(&self) -> f64 {
        self.average.unwrap_or(self.tps / 5.0)
    }

    /// Orders and cancels a second at the peak.
    #[must_use]
    pub fn peak_commands(&self) -> f64 {
        self.tps * (1.0 + self.cancels)
    }

    /// Orders and cancels a second on average.
    #[must_use]
    pub fn average_commands(&self) -> f64 {
        self.average() * (1.0 + self.cancels)
    }

    /// Part of the orders with two hops, with so many partitions.
    #[must_use]
    pub fn two_hops(&self, partitions: u32) -> f64 {
        self.two_hops.unwrap_or(1.0 - 1.0 / f64::from(partitions))
    }

    /// Messages of market data for each order that reaches a market that one subscriber follows.
    pub(crate) fn followers_per_order(&self) -> f64 {
        self.subscribers * self.followed / self.markets
    }

    /// Checks that each number makes sense on its own.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let positive = "a number above 0";
        let at_least_0 = "0 or more";
        let share = "between 0 and 1";
        let rules: [(&'static str, f64, bool, &'static str); 15] = [
            ("--tps", self.tps, self.tps > 0.0, positive),
            ("--average", self.average(), self.average() > 0.0, positive),
            ("--average", self.average(), self.average() <= self.tps, "at most --tps, the peak"),
            ("--cancels", self.cancels, self.cancels >= 0.0, at_least_0),
            ("--busiest", self.busiest, (0.0..=1.0).contains(&self.busiest), share),
            ("--two-hops", self.two_hops(1), (0.0..=1.0).contains(&self.two_hops(1)), share),
            ("--markets", self.markets, self.markets >= 1.0, "1 or more"),
            ("--open-orders", self.open_orders, self.open_orders >= 0.0, at_least_0),
            ("--connections", self.connections, self.connections >= 0.0, at_least_0),
            ("--subscribers", self.subscribers, self.subscribers >= 0.0, at_least_0),
            ("--followed", self.followed, (0.0..=self.markets).contains(&self.followed), "at most --markets"),
            ("--retention", self.retention, self.retention > 0.0, positive),
            ("--utilisation", self.utilisation, self.utilisation > 0.0 && self.utilisation <= 0.9, "0.9 at most"),
            ("--turn-interval", self.turn_interval, self.turn_interval > 0.0, positive),
            ("--store-write", self.store_write, self.store_write >= 0.0, at_least_0),
        ];
        for (option, value, is_right, wanted) in rules {
            if !is_right || !value.is_finite() {
                return Err(Error::Input { option, value, wanted });
            }
        }
        Ok(())
    }
}
