//! The options of `crossbook bench start`.

use clap::Args;

use super::Output;

pub(super) const EXAMPLES: &str = "\
Examples:
  A gateway of a cluster with a million open orders of 50,000 accounts:
    crossbook bench start --report start.md

  A smaller one, once:
    crossbook bench start --orders 100000 --accounts 5000 --starts 1

It needs redis-server and haproxy. The cluster gets its orders as the import of a venue, and snapshots of that.

Exit status 0: depth is answered within a second and orders are taken within --seconds-max, at every start; 3: not at
one of them; 1: it could not be measured.";

/// `crossbook bench start`.
#[derive(Debug, Args)]
pub struct Start {
    /// Open orders, over all markets.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub orders: u32,
    /// Accounts, each with balances of two assets.
    #[arg(long, value_name = "NUMBER", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub accounts: u32,
    /// Number of markets, of the same two assets.
    #[arg(long, value_name = "NUMBER", default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub markets: u16,
    /// Prices of each side of a book.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub levels: u32,
    /// Number of partitions.
    #[arg(long, value_name = "NUMBER", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub partitions: u16,
    /// Redis masters, with a replica each.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub shards: u8,
    /// How often the gateway is started.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub starts: u8,
    /// Within how many seconds it must take orders.
    #[arg(long, value_name = "NUMBER", default_value_t = 5.0)]
    pub seconds_max: f64,
    /// Seed of the orders.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Where the result is written.
    #[command(flatten)]
    pub output: Output,
}
