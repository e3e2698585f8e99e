//! The options of `crossbook bench`.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

const STORE_EXAMPLES: &str = "\
Examples:
  Rows one by one against rows in batches, on SQLite and on a MariaDB server that is started for the purpose:
    crossbook bench store

  On a server that is there, in a database with no history in it:
    crossbook bench store --database mysql --mysql mysql://bench:secret@db/bench

  Whether the history keeps up with a venue that takes 10,000 commands a second, and how many it could:
    crossbook bench store --follow --rate 10000 --seconds 30";

const CLUSTER_EXAMPLES: &str = "\
Examples:
  One and three Redis shards, one partition and three, at 1,000, 2,500 and 5,000 orders a second and at the most there is:
    crossbook bench cluster

  Whether an order costs the same on one worker and on eight, each partition on one of them:
    crossbook bench cluster --shards 1 --partitions 8 --workers 1,2,4,8 --no-standby --rates 1000

It needs redis-server and haproxy, and mariadbd with --history; `make cluster` installs them.";

const RECOVERY_EXAMPLES: &str = "\
Examples:
  Back from ten million commands, with a snapshot and without; and what snapshots of a million resting orders cost:
    crossbook bench recovery --html recovery.html

  The first half only, of a million:
    crossbook bench recovery --commands 1000000 --resting 0

It writes some 100 bytes a command into a temporary folder (TMPDIR says where), and deletes them.";

/// `crossbook bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// What to measure.
    #[command(subcommand)]
    pub what: What,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum What {
    /// How fast the history is written to SQL: rows one by one and in batches, or behind a venue that trades.
    #[command(after_long_help = STORE_EXAMPLES)]
    Store(Store),
    /// How long a venue takes to be back where it stood, and what snapshots cost those who trade meanwhile.
    #[command(after_long_help = RECOVERY_EXAMPLES)]
    Recovery(Recovery),
    /// Orders through a whole cluster on this machine: how many, how fast, and what each costs in processor time, by role.
    #[command(after_long_help = CLUSTER_EXAMPLES)]
    Cluster(Cluster),
}

/// `crossbook bench recovery`.
#[derive(Debug, Args)]
pub struct Recovery {
    /// Commands in the log that is replayed.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(10_000..=1_000_000_000))]
    pub commands: u64,
    /// Resting orders of the venue that takes snapshots; 0 leaves that half out.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(0..=10_000_000))]
    pub resting: u64,
    /// Orders a second that it is sent.
    #[arg(long, value_name = "NUMBER", default_value = "2000")]
    pub rate: NonZeroU64,
    /// How long in each of six runs.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// Write what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// And to this one as a page.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// `crossbook bench cluster`. Everything that takes several numbers is measured with each of them.
#[derive(Debug, Args)]
pub struct Cluster {
    /// Redis masters.
    #[arg(long, value_name = "NUMBERS", default_value = "1,3", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=16))]
    pub shards: Vec<u8>,
    /// Replicas of each master.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=4))]
    pub replicas: u8,
    /// Partitions of the venue. With one, an order takes one hop; with more, most take two.
    #[arg(long, value_name = "NUMBERS", default_value = "1,3", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=256))]
    pub partitions: Vec<u16>,
    /// Workers.
    #[arg(long, value_name = "NUMBERS", default_value = "2", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=64))]
    pub workers: Vec<u8>,
    /// Run each partition on one worker only, so that all numbers of workers do the same work.
    #[arg(long)]
    pub no_standby: bool,
    /// Gateways.
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub gateways: u8,
    /// Keep a history, with MariaDB and a writer.
    #[arg(long)]
    pub history: bool,
    /// Orders a second, sent when each is due; or max, as many as can be.
    #[arg(long, value_name = "RATES", default_value = "1000,2500,5000,max", value_delimiter = ',')]
    pub rates: Vec<Rate>,
    /// Connections, each with an account of its own.
    #[arg(long, value_name = "NUMBER", default_value_t = 64)]
    pub connections: usize,
    /// Markets that the accounts trade on [default: as many as partitions].
    #[arg(long, value_name = "NUMBER")]
    pub markets: Option<usize>,
    /// How long each rate is kept up.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    pub seconds: u32,
    /// How long orders are sent before anything is measured.
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    pub warmup_seconds: u32,
    /// Write what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Orders a second; none: as many as can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate(pub Option<NonZeroU64>);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self(None));
        }
        let rate = text.parse().map_err(|_| "a number of orders a second above zero, or max".to_owned())?;
        Ok(Self(Some(rate)))
    }
}

/// `crossbook bench store`.
#[derive(Debug, Args)]
pub struct Store {
    /// Which databases.
    #[arg(long, value_name = "WHICH", default_value = "both")]
    pub database: Databases,
    /// A MySQL or MariaDB database without a history, instead of a server that is started for the purpose.
    #[arg(long, value_name = "URL")]
    pub mysql: Option<String>,
    /// Rows to write in batches.
    #[arg(long, value_name = "NUMBER", default_value_t = 200_000)]
    pub rows: usize,
    /// Rows to write one by one; the first of the same.
    #[arg(long, value_name = "NUMBER", default_value_t = 5_000)]
    pub single_rows: usize,
    /// Follow a venue that trades instead of writing rows that are there.
    #[arg(long)]
    pub follow: bool,
    /// Commands a second that the venue is sent.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, requires = "follow")]
    pub rate: u32,
    /// How long it is sent them.
    #[arg(long, value_name = "NUMBER", default_value_t = 30, requires = "follow")]
    pub seconds: u32,
    /// Write what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Which databases to measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Databases {
    /// SQLite, in a temporary folder.
    Sqlite,
    /// MySQL or MariaDB.
    Mysql,
    /// One after the other.
    Both,
}
