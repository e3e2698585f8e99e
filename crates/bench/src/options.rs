//! The options of `crossbook bench`.

pub mod scale;
pub mod start;

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use crossbook_oracle::workload::{GroundTruth, LIVE_MAX};
use crossbook_venue::config::address;

const STORE_EXAMPLES: &str = "\
Examples:
  Compare single rows with batches, on SQLite and on a MariaDB server that is started for it:
    crossbook bench store

  Use a running server, with a database that contains no history:
    crossbook bench store --database mysql --mysql mysql://bench:secret@db/bench

  Measure the lag behind a venue at 10,000 commands per second, and the limit:
    crossbook bench store --follow --rate 10000 --seconds 30";

const CLUSTER_EXAMPLES: &str = "\
Examples:
  One and three Redis shards, one and three partitions, at 1,000, 2,500 and 5,000 orders per second and at the maximum:
    crossbook bench cluster

  Compare the cost of an order with one to eight workers, each partition on one of them:
    crossbook bench cluster --shards 1 --partitions 8 --workers 1,2,4,8 --no-standby --rates 1000

It needs redis-server and haproxy, and mariadbd with --history; `make cluster` installs them.";

const OVERLOAD_EXAMPLES: &str = "\
Examples:
  Overload a venue for a minute, and write a report:
    crossbook bench overload --report overload.html

  Overload a cluster:
    crossbook bench overload --cluster --report overload.md

Exit status 0: all targets are met; 3: one is not; 1: it could not be measured.";

const RECOVERY_EXAMPLES: &str = "\
Examples:
  Replay ten million commands, with and without a snapshot; measure snapshots of a million resting orders:
    crossbook bench recovery --report recovery.html

  Only the replay, of a million commands:
    crossbook bench recovery --commands 1000000 --resting 0

It writes some 100 bytes per command into a temporary folder (TMPDIR), and deletes them.";

const BOOK_EXAMPLES: &str = "\
Examples:
  Both mixes of the standard workload, verified against the published trades:
    crossbook bench book

  Write a report and figures for programs:
    crossbook bench book --report book.html --json book.json

  Run another stream of the same kind, or a file, whose first 100,000 commands fill the book:
    crossbook bench book --mix a --seed 7
    crossbook bench book --commands mix-a.bin --warmup 100000

The exit status is 3 if the trades are wrong. docs/performance.md describes the format of a file.";

const API_EXAMPLES: &str = "\
Examples:
  Start a venue in a temporary folder, and load it over its API:
    crossbook bench api --report api.html

  The same on another disk:
    TMPDIR=/mnt/disk crossbook bench api

  Load a running venue without rate limits; markets and accounts are created on it:
    export CROSSBOOK_ADMIN_TOKEN=...
    crossbook bench api --url 10.0.0.5:8080 --admin 10.0.0.5:8081 --parts rest,websocket

The exit status is 3 if the final audit fails.";

const STRUCTURES_EXAMPLES: &str = "\
Examples:
  Compare sorted arrays, heaps, a tree and the book, at 100 to 1,000,000 orders:
    crossbook bench structures --report structures.html

  At one size only:
    crossbook bench structures --orders 10000";

const GROWTH_EXAMPLES: &str = "\
Examples:
  Grow in four directions, to three sizes each:
    crossbook bench growth --report growth.html

  Only open orders, ten million (needs some 8 GB):
    crossbook bench growth --open-orders 10000000 --levels '' --accounts '' --markets ''

The exit status is 3 if a final audit fails.";

const BURSTS_EXAMPLES: &str = "\
Examples:
  Measure other requests while 100,000 stop orders trigger, are cancelled, and are taken:
    crossbook bench bursts

  The same with half a million orders, at 500 other requests per second:
    crossbook bench bursts --orders 500000 --rate 500

The exit status is 3 if p99.9 of other requests exceeds 20 ms while stop orders trigger or orders are cancelled.";

const LOG_EXAMPLES: &str = "\
Examples:
  Compare files with the bare disk; measure Redis streams on servers that are started for it:
    crossbook bench log --report log.html

  On the disk of the venue, without Redis:
    crossbook bench log --folder /var/lib/crossbook --providers files";

/// `crossbook bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// The benchmark.
    #[command(subcommand)]
    pub what: What,
}

/// The benchmarks.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Measure the order book on one thread: throughput, service time, bytes per resting order.
    #[command(after_long_help = BOOK_EXAMPLES)]
    Book(Matching),
    /// Measure the whole engine on one thread, with accounts, holds, fees and events.
    #[command(after_long_help = BOOK_EXAMPLES.replace("bench book", "bench engine"))]
    Engine(Matching),
    /// Compare data structures for orders: sorted arrays, heaps, a tree, and the book.
    #[command(after_long_help = STRUCTURES_EXAMPLES)]
    Structures(Structures),
    /// Measure the cost of a command as a venue grows: open orders, book depth, accounts, markets.
    #[command(after_long_help = GROWTH_EXAMPLES)]
    Growth(Growth),
    /// Measure other requests while one command causes much work: triggered stop orders, a cancel of all orders, a
    /// sweep of the book.
    #[command(after_long_help = BURSTS_EXAMPLES)]
    Bursts(Bursts),
    /// Measure the durable log: files and Redis streams, by batch size and number of appenders; push and poll.
    #[command(after_long_help = LOG_EXAMPLES)]
    Log(Log),
    /// Measure a venue over its API: ping, orders over REST and WebSocket, market data to many subscribers.
    #[command(after_long_help = API_EXAMPLES)]
    Api(Api),
    /// Measure the history in SQL: single rows and batches, or the lag behind a trading venue.
    #[command(after_long_help = STORE_EXAMPLES)]
    Store(Store),
    /// Measure a venue at ten times its normal load: admitted and refused orders, and the recovery.
    #[command(after_long_help = OVERLOAD_EXAMPLES)]
    Overload(Overload),
    /// Measure how long a restart takes, and the effect of snapshots on trading.
    #[command(after_long_help = RECOVERY_EXAMPLES)]
    Recovery(Recovery),
    /// Measure a cluster on this machine: throughput, latency, and the CPU time of an order by role.
    #[command(after_long_help = CLUSTER_EXAMPLES)]
    Cluster(Cluster),
    /// Measure how the throughput of a cluster grows with its processes, each on a slice of a processor.
    #[command(after_long_help = scale::EXAMPLES)]
    Scale(scale::Scale),
    /// Measure how long a gateway of a cluster with many open orders takes to start.
    #[command(after_long_help = start::EXAMPLES)]
    Start(start::Start),
}

/// Files that a result is written to, besides standard output.
#[derive(Clone, Debug, Default, Args)]
pub struct Output {
    /// Write the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a report to this file: as Markdown if its name ends in .md, else as one HTML page with charts.
    #[arg(long, value_name = "FILE", alias = "html")]
    pub report: Option<PathBuf>,
}

/// `crossbook bench book` and `crossbook bench engine`.
#[derive(Debug, Args)]
pub struct Matching {
    /// Mixes of the standard workload: a is like a venue, half orders and half cancels; b is mostly moves.
    #[arg(long, value_name = "MIXES", default_value = "a,b", value_delimiter = ',')]
    pub mix: Vec<Mix>,
    /// Seed of the mixes [default: those of the published figures].
    #[arg(long, value_name = "NUMBER", conflicts_with = "commands")]
    pub seed: Option<u64>,
    /// Commands after the warm-up.
    #[arg(long, value_name = "NUMBER", default_value_t = GroundTruth::COUNT, conflicts_with = "commands")]
    pub count: usize,
    /// Resting orders of mix b; its warm-up has as many commands.
    #[arg(
        long,
        value_name = "NUMBERS",
        default_value = "1000,100000",
        value_delimiter = ',',
        conflicts_with = "commands"
    )]
    pub live: Vec<usize>,
    /// Run the records of this file instead.
    #[arg(long, value_name = "FILE", conflicts_with = "mix")]
    pub commands: Option<PathBuf>,
    /// Commands that fill the book and are not counted [default: 100000 in mix a, 0 in a file].
    #[arg(long, value_name = "NUMBER")]
    pub warmup: Option<usize>,
    /// Passes for throughput, of which the median is reported.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub runs: usize,
    /// Resting orders whose memory is measured.
    #[arg(long, value_name = "NUMBERS", default_value = "100000,1000000", value_delimiter = ',')]
    pub resting: Vec<usize>,
    /// Where the result is written.
    #[command(flatten)]
    pub output: Output,
}

/// A mix of the standard workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Mix {
    /// Half orders and half cancels, like a venue.
    A,
    /// Mostly moves.
    B,
}

/// `crossbook bench structures`.
#[derive(Debug, Args)]
pub struct Structures {
    /// Numbers of orders.
    #[arg(long, value_name = "NUMBERS", default_value = "100,1000,5000,10000,1000000", value_delimiter = ',', value_parser = orders_in_a_book)]
    pub orders: Vec<usize>,
    /// Seed of the orders.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Where the result is written.
    #[command(flatten)]
    pub output: Output,
}

/// `crossbook bench growth`. An empty list leaves a direction out.
#[derive(Debug, Args)]
pub struct Growth {
    /// Numbers of open orders.
    #[arg(long, value_name = "NUMBERS", default_value = "10000,100000,1000000", value_parser = Sizes::parse)]
    pub open_orders: Sizes,
    /// Numbers of price levels per side.
    #[arg(long, value_name = "NUMBERS", default_value = "10,1000,50000", value_parser = Sizes::parse)]
    pub levels: Sizes,
    /// Numbers of accounts.
    #[arg(long, value_name = "NUMBERS", default_value = "100,10000,1000000", value_parser = Sizes::parse)]
    pub accounts: Sizes,
    /// Numbers of markets.
    #[arg(long, value_name = "NUMBERS", default_value = "1,100,10000", value_parser = Sizes::parse)]
    pub markets: Sizes,
    /// Commands per run.
    #[arg(long, value_name = "NUMBER", default_value_t = 500_000)]
    pub commands: usize,
    /// Runs at each size, of which the median is reported.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub runs: usize,
    /// Seed of the workload.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Where the result is written.
    #[command(flatten)]
    pub output: Output,
}

/// Numbers with commas between them, or none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sizes(pub Vec<usize>);

impl Sizes {
    /// The most of anything.
    const MAX: usize = 10_000_000;

    fn parse(text: &str) -> Result<Self, String> {
        let number = |text: &str| match at_least_one(text)? {
            number if number > Self::MAX => Err(format!("at most {} are possible", Self::MAX)),
            number => Ok(number),
        };
        text.split(',').filter(|text| !text.is_empty()).map(number).collect::<Result<_, _>>().map(Self)
    }
}

/// `crossbook bench log`.
#[derive(Debug, Args)]
pub struct Log {
    /// Log providers.
    #[arg(long, value_name = "PROVIDERS", default_value = "files,redis", value_delimiter = ',')]
    pub providers: Vec<Provider>,
    /// Where a temporary folder for the files is created [default: the system's folder for temporary files].
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Records per batch.
    #[arg(long, value_name = "NUMBERS", default_value = "1,10,100,1000", value_delimiter = ',', value_parser = at_least_one)]
    pub batches: Vec<usize>,
    /// Numbers of concurrent appenders, to files.
    #[arg(long, value_name = "NUMBERS", default_value = "1,4,16,64,256", value_delimiter = ',', value_parser = at_least_one)]
    pub appenders: Vec<usize>,
    /// Seconds of each measurement.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// Where the result is written.
    #[command(flatten)]
    pub output: Output,
}

/// Where a log lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Provider {
    /// Segment files.
    Files,
    /// Redis streams, on a master and a replica that are started for it.
    Redis,
}

/// `crossbook bench api`.
#[derive(Debug, Args)]
pub struct Api {
    /// Client API of a running venue; without it, a venue is started.
    #[arg(long, value_name = "ADDR", requires = "admin")]
    pub url: Option<Address>,
    /// Admin API of the running venue; its token is in CROSSBOOK_ADMIN_TOKEN.
    #[arg(long, value_name = "ADDR", requires = "url")]
    pub admin: Option<Address>,
    /// Parts to measure.
    #[arg(long, value_name = "PARTS", default_value = "rest,websocket,fanout", value_delimiter = ',')]
    pub parts: Vec<Part>,
    /// Connections over REST, each with an account of its own.
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = at_least_one)]
    pub connections: usize,
    /// Connections over WebSocket, of the same accounts.
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = at_least_one)]
    pub sockets: usize,
    /// Requests in flight on each WebSocket connection.
    #[arg(long, value_name = "NUMBER", default_value_t = 32, value_parser = at_least_one)]
    pub pipeline: usize,
    /// Seconds of each measurement.
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// Rounds in which pings and orders are measured alternately.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = at_least_one)]
    pub rounds: usize,
    /// Orders per second in the open loop.
    #[arg(long, value_name = "NUMBER", default_value = "5000")]
    pub rate: NonZeroU64,
    /// Numbers of market data subscribers.
    #[arg(long, value_name = "NUMBERS", default_value = "0,1,100,1000", value_delimiter = ',')]
    pub subscribers: Vec<usize>,
    /// Where the result is written.
    #[command(flatten)]
    pub output: Output,
}

/// Parts of the API to measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Part {
    /// Ping and orders over REST.
    Rest,
    /// Orders over the WebSocket API, with many in flight per connection.
    Websocket,
    /// Market data to many subscribers.
    Fanout,
}

/// Where a server listens: HOST:PORT, or the same behind http://.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address(pub SocketAddr);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err("the load does not speak TLS; give the address of a listener without it".to_owned());
        }
        let place = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        address::parse(place).map(Self)
    }
}

/// Half of what a book takes, and more than none.
fn orders_in_a_book(text: &str) -> Result<usize, String> {
    let number = at_least_one(text)?;
    if number > LIVE_MAX { Err(format!("at most {LIVE_MAX} are possible")) } else { Ok(number) }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().map_err(|_| "a whole number is expected".to_owned())?;
    if number == 0 { Err("at least 1 is needed".to_owned()) } else { Ok(number) }
}

/// `crossbook bench overload`.
#[derive(Debug, Args)]
pub struct Overload {
    /// Overload a cluster of two gateways, one Redis master and a replica, in place of a venue in one process.
    #[arg(long)]
    pub cluster: bool,
    /// Orders that a gateway of the cluster appends at most for one partition in one turn: it is slowed down so that
    /// this machine can send ten times its capacity. 1024: as it is by default.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "cluster", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub batch_requests: u32,
    /// Maximum wait of an admitted order during the overload, in milliseconds; the venue refuses orders that would wait
    /// longer [default: 1; of a cluster: as configured by default].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub queue_wait_ms: Option<u64>,
    /// Minimum time between two batches, in microseconds, or between two turns of a cluster's gateways; 0: none
    /// [default: 1000 over REST, 0 over WebSocket; of a cluster: as configured by default].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(0..=50_000))]
    pub batch_interval_us: Option<u64>,
    /// API for the orders.
    #[arg(long, value_enum, default_value_t)]
    pub over: Over,
    /// Connections, each with an account of its own [default: 256 over REST, 8 over WebSocket; 48 of a cluster].
    #[arg(long, value_name = "NUMBER")]
    pub connections: Option<usize>,
    /// Seconds of each phase of normal load.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// Seconds of the overload.
    #[arg(long, value_name = "NUMBER", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub overload_seconds: u32,
    /// Where the result is written.
    #[command(flatten)]
    pub output: Output,
}

/// An API for orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Over {
    /// The WebSocket API, with many orders in flight per connection.
    #[default]
    Websocket,
    /// REST, with one order in flight per connection. Two CPUs cannot send and refuse ten times what the disk can do.
    Rest,
}

/// `crossbook bench recovery`.
#[derive(Debug, Args)]
pub struct Recovery {
    /// Commands in the log to replay.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(10_000..=1_000_000_000))]
    pub commands: u64,
    /// Resting orders of the venue that takes snapshots; 0: skip this part.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(0..=10_000_000))]
    pub resting: u64,
    /// Orders per second while snapshots are taken.
    #[arg(long, value_name = "NUMBER", default_value = "2000")]
    pub rate: NonZeroU64,
    /// Seconds of each of six runs.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// Seconds of warm-up before each run. The memory of the previous run returns to the machine meanwhile, which may
    /// stall its disk for ten seconds.
    #[arg(long, value_name = "NUMBER", default_value_t = 15, value_parser = clap::value_parser!(u32).range(0..=600))]
    pub warm_up_seconds: u32,
    /// Where the result is written.
    #[command(flatten)]
    pub output: Output,
}

/// `crossbook bench bursts`.
#[derive(Debug, Args)]
pub struct Bursts {
    /// Orders that are triggered, cancelled and taken.
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..=900_000))]
    pub orders: u64,
    /// Other requests per second.
    #[arg(long, value_name = "NUMBER", default_value = "1000")]
    pub rate: NonZeroU64,
    /// Seconds of other requests before each burst.
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// Where the result is written.
    #[command(flatten)]
    pub output: Output,
}

/// `crossbook bench cluster`. Options with several numbers are measured with each of them.
#[derive(Debug, Args)]
pub struct Cluster {
    /// Numbers of Redis masters.
    #[arg(long, value_name = "NUMBERS", default_value = "1,3", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=16))]
    pub shards: Vec<u8>,
    /// Replicas of each master.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=4))]
    pub replicas: u8,
    /// Numbers of partitions. With one, an order takes one hop; with more, most take two.
    #[arg(long, value_name = "NUMBERS", default_value = "1,3", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=256))]
    pub partitions: Vec<u16>,
    /// Numbers of workers.
    #[arg(long, value_name = "NUMBERS", default_value = "2", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=64))]
    pub workers: Vec<u8>,
    /// Without standbys, so that any number of workers does the same work.
    #[arg(long)]
    pub no_standby: bool,
    /// Number of gateways.
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub gateways: u8,
    /// With a history: MariaDB and a writer.
    #[arg(long)]
    pub history: bool,
    /// Orders per second in an open loop; max: as many as possible.
    #[arg(long, value_name = "RATES", default_value = "1000,2500,5000,max", value_delimiter = ',')]
    pub rates: Vec<Rate>,
    /// Connections, each with an account of its own.
    #[arg(long, value_name = "NUMBER", default_value_t = 64)]
    pub connections: usize,
    /// Number of markets [default: as many as partitions].
    #[arg(long, value_name = "NUMBER")]
    pub markets: Option<usize>,
    /// Seconds at each rate.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    pub seconds: u32,
    /// Seconds of warm-up.
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    pub warmup_seconds: u32,
    /// Write the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Orders per second; `None`: as many as possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate(pub Option<NonZeroU64>);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self(None));
        }
        let rate = text.parse().map_err(|_| "expected a number of orders per second above zero, or max".to_owned())?;
        Ok(Self(Some(rate)))
    }
}

/// `crossbook bench store`.
#[derive(Debug, Args)]
pub struct Store {
    /// Databases to measure.
    #[arg(long, value_name = "WHICH", default_value = "both")]
    pub database: Databases,
    /// Address of a MySQL or MariaDB database that contains no history; without it, a server is started.
    #[arg(long, value_name = "URL")]
    pub mysql: Option<String>,
    /// Rows to write in batches.
    #[arg(long, value_name = "NUMBER", default_value_t = 200_000)]
    pub rows: usize,
    /// Rows to write one by one: the first of the same rows.
    #[arg(long, value_name = "NUMBER", default_value_t = 5_000)]
    pub single_rows: usize,
    /// Follow a trading venue instead of writing prepared rows.
    #[arg(long)]
    pub follow: bool,
    /// Commands per second that the venue gets.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, requires = "follow")]
    pub rate: u32,
    /// Seconds for which it gets them.
    #[arg(long, value_name = "NUMBER", default_value_t = 30, requires = "follow")]
    pub seconds: u32,
    /// Where the result is written.
    #[command(flatten)]
    pub output: Output,
}

/// A choice of databases.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Databases {
    /// SQLite, in a temporary folder.
    Sqlite,
    /// MySQL or MariaDB.
    Mysql,
    /// Both, one after the other.
    Both,
}
