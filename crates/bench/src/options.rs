//! The options of `crossbook bench`.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use crossbook_oracle::workload::{GroundTruth, LIVE_MAX};
use crossbook_venue::config::address;

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

const OVERLOAD_EXAMPLES: &str = "\
Examples:
  A minute of it, with a page of the latencies:
    crossbook bench overload --html overload.html

Exit status 0: the venue stood it; 3: it did not; 1: it could not be measured.";

const RECOVERY_EXAMPLES: &str = "\
Examples:
  Back from ten million commands, with a snapshot and without; and what snapshots of a million resting orders cost:
    crossbook bench recovery --html recovery.html

  The first half only, of a million:
    crossbook bench recovery --commands 1000000 --resting 0

It writes some 100 bytes a command into a temporary folder (TMPDIR says where), and deletes them.";

const BOOK_EXAMPLES: &str = "\
Examples:
  Both mixes of the standard workload, verified against the published trades:
    crossbook bench book

  A page to send to somebody, and figures for a program:
    crossbook bench book --html book.html --json book.json

  Another stream of the same kind, or a file of records of 16 bytes, whose first 100,000 commands fill the book:
    crossbook bench book --mix a --seed 7
    crossbook bench book --commands mix-a.bin --warmup 100000

The exit status is 3 when trades are not what they must be. The form of a file: docs/performance.md.";

const API_EXAMPLES: &str = "\
Examples:
  A scratch venue in a temporary folder, loaded over its own API:
    crossbook bench api --html api.html

  The same on a disk that is not that of temporary files:
    TMPDIR=/mnt/disk crossbook bench api

  A venue that runs elsewhere, whose limits are lifted; markets and accounts are made on it:
    export CROSSBOOK_ADMIN_TOKEN=...
    crossbook bench api --url 10.0.0.5:8080 --admin 10.0.0.5:8081 --parts rest,websocket

The exit status is 3 when the venue's books do not add up in the end.";

const STRUCTURES_EXAMPLES: &str = "\
Examples:
  A sorted array, heaps, a tree and the book at 100 to 1,000,000 orders:
    crossbook bench structures --html structures.html

  At one size:
    crossbook bench structures --orders 10000";

const GROWTH_EXAMPLES: &str = "\
Examples:
  Four directions, three sizes each:
    crossbook bench growth --html growth.html

  Ten million open orders, and nothing else (it takes some 8 GB):
    crossbook bench growth --open-orders 10000000 --levels '' --accounts '' --markets ''

The exit status is 3 when a venue's books do not add up in the end.";

const BURSTS_EXAMPLES: &str = "\
Examples:
  What others notice while 100,000 stop orders trigger, as many are cancelled, and as many are taken:
    crossbook bench bursts

  The same with half a million, while others send 500 requests a second:
    crossbook bench bursts --orders 500000 --rate 500

The exit status is 3 when others had to wait for more than 20 ms at p99.9 while stops triggered or orders were cancelled.";

const LOG_EXAMPLES: &str = "\
Examples:
  Files against the bare disk, and Redis streams on servers of their own:
    crossbook bench log --html log.html

  On the disk where the venue will be, without Redis:
    crossbook bench log --folder /var/lib/crossbook --providers files";

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
    /// The order book on one thread: commands a second, service time, bytes a resting order.
    #[command(after_long_help = BOOK_EXAMPLES)]
    Book(Matching),
    /// The same of the whole engine, with accounts, holds, fees and events.
    #[command(after_long_help = BOOK_EXAMPLES.replace("bench book", "bench engine"))]
    Engine(Matching),
    /// What orders can be kept in: sorted arrays, heaps, a tree, and the book.
    #[command(after_long_help = STRUCTURES_EXAMPLES)]
    Structures(Structures),
    /// What a command costs as a venue grows: open orders, book depth, accounts, markets.
    #[command(after_long_help = GROWTH_EXAMPLES)]
    Growth(Growth),
    /// What others notice while one command sets off a great deal: stops that trigger, a cancel of all orders, a sweep
    /// of the book.
    #[command(after_long_help = BURSTS_EXAMPLES)]
    Bursts(Bursts),
    /// The durable log: files and Redis streams, by size of the batch and by how many append; push against poll.
    #[command(after_long_help = LOG_EXAMPLES)]
    Log(Log),
    /// A venue over its API: ping, orders over REST and WebSocket, market data to many.
    #[command(after_long_help = API_EXAMPLES)]
    Api(Api),
    /// How fast the history is written to SQL: rows one by one and in batches, or behind a venue that trades.
    #[command(after_long_help = STORE_EXAMPLES)]
    Store(Store),
    /// What becomes of a venue that is asked for ten times what it can do: who is admitted, who is refused, and when it
    /// is over.
    #[command(after_long_help = OVERLOAD_EXAMPLES)]
    Overload(Overload),
    /// How long a venue takes to be back where it stood, and what snapshots cost those who trade meanwhile.
    #[command(after_long_help = RECOVERY_EXAMPLES)]
    Recovery(Recovery),
    /// Orders through a whole cluster on this machine: how many, how fast, and what each costs in processor time, by
    /// role.
    #[command(after_long_help = CLUSTER_EXAMPLES)]
    Cluster(Cluster),
}

/// `crossbook bench book` and `crossbook bench engine`.
#[derive(Debug, Args)]
pub struct Matching {
    /// Mixes of the standard workload: a, like a venue, half orders and half cancels; b, mostly moves.
    #[arg(long, value_name = "MIXES", default_value = "a,b", value_delimiter = ',')]
    pub mix: Vec<Mix>,
    /// Seed of the mixes [default: those of the published figures].
    #[arg(long, value_name = "NUMBER", conflicts_with = "commands")]
    pub seed: Option<u64>,
    /// Commands after the warm-up.
    #[arg(long, value_name = "NUMBER", default_value_t = GroundTruth::COUNT, conflicts_with = "commands")]
    pub count: usize,
    /// Orders that mix b keeps live; its warm-up has as many commands.
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
    /// How many commands fill the book and do not count [default: 100000 in mix a, 0 in a file].
    #[arg(long, value_name = "NUMBER")]
    pub warmup: Option<usize>,
    /// Passes for throughput; the median counts.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub runs: usize,
    /// Resting orders whose memory is measured.
    #[arg(long, value_name = "NUMBERS", default_value = "100000,1000000", value_delimiter = ',')]
    pub resting: Vec<usize>,
    /// Write what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with tables and charts to this file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// A mix of the standard workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Mix {
    /// Like a venue.
    A,
    /// Mostly moves.
    B,
}

/// `crossbook bench structures`.
#[derive(Debug, Args)]
pub struct Structures {
    /// How many orders.
    #[arg(long, value_name = "NUMBERS", default_value = "100,1000,5000,10000,1000000", value_delimiter = ',', value_parser = orders_in_a_book)]
    pub orders: Vec<usize>,
    /// Seed of the orders.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Write what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with tables and charts to this file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// `crossbook bench growth`. An empty list leaves a direction out.
#[derive(Debug, Args)]
pub struct Growth {
    /// Open orders.
    #[arg(long, value_name = "NUMBERS", default_value = "10000,100000,1000000", value_parser = Sizes::parse)]
    pub open_orders: Sizes,
    /// Prices of each side of the book.
    #[arg(long, value_name = "NUMBERS", default_value = "10,1000,50000", value_parser = Sizes::parse)]
    pub levels: Sizes,
    /// Accounts.
    #[arg(long, value_name = "NUMBERS", default_value = "100,10000,1000000", value_parser = Sizes::parse)]
    pub accounts: Sizes,
    /// Markets.
    #[arg(long, value_name = "NUMBERS", default_value = "1,100,10000", value_parser = Sizes::parse)]
    pub markets: Sizes,
    /// Commands in a run.
    #[arg(long, value_name = "NUMBER", default_value_t = 500_000)]
    pub commands: usize,
    /// Runs of each; the median counts.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub runs: usize,
    /// Seed of the work.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Write what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with tables and charts to this file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
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
    /// Which providers.
    #[arg(long, value_name = "PROVIDERS", default_value = "files,redis", value_delimiter = ',')]
    pub providers: Vec<Provider>,
    /// Where the files go, in a folder of their own that is deleted at the end [default: where temporary files are].
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Records in a batch.
    #[arg(long, value_name = "NUMBERS", default_value = "1,10,100,1000", value_delimiter = ',', value_parser = at_least_one)]
    pub batches: Vec<usize>,
    /// How many append at once, to files.
    #[arg(long, value_name = "NUMBERS", default_value = "1,4,16,64,256", value_delimiter = ',', value_parser = at_least_one)]
    pub appenders: Vec<usize>,
    /// How long each measurement takes.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// Write what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with tables and charts to this file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Where a log lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Provider {
    /// Segment files.
    Files,
    /// Streams of a Redis cluster of one master and one replica, started for the purpose.
    Redis,
}

/// `crossbook bench api`.
#[derive(Debug, Args)]
pub struct Api {
    /// The client API of a venue that runs, instead of one that is started for the purpose.
    #[arg(long, value_name = "ADDR", requires = "admin")]
    pub url: Option<Address>,
    /// Its admin API; CROSSBOOK_ADMIN_TOKEN has the token.
    #[arg(long, value_name = "ADDR", requires = "url")]
    pub admin: Option<Address>,
    /// What to measure.
    #[arg(long, value_name = "PARTS", default_value = "rest,websocket,fanout", value_delimiter = ',')]
    pub parts: Vec<Part>,
    /// Connections over REST, each with an account of its own.
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = at_least_one)]
    pub connections: usize,
    /// Connections over WebSocket, of the same accounts.
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = at_least_one)]
    pub sockets: usize,
    /// Requests under way on each of these.
    #[arg(long, value_name = "NUMBER", default_value_t = 32, value_parser = at_least_one)]
    pub pipeline: usize,
    /// How long each measurement takes.
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// How many times ping and orders are measured in turn.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = at_least_one)]
    pub rounds: usize,
    /// Orders a second in the open loop.
    #[arg(long, value_name = "NUMBER", default_value = "5000")]
    pub rate: NonZeroU64,
    /// Subscribers of market data.
    #[arg(long, value_name = "NUMBERS", default_value = "0,1,100,1000", value_delimiter = ',')]
    pub subscribers: Vec<usize>,
    /// Write what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with tables and charts to this file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// What of the API to measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Part {
    /// Ping and orders over REST.
    Rest,
    /// Orders over the WebSocket API, many under way on a connection.
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
    /// How long an order may have to wait for its turn while there are too many, in milliseconds; the venue refuses
    /// those that would wait longer.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub queue_wait_ms: u64,
    /// From one order to the next, at least, in microseconds; 0: as soon as the disk is done. 1000 over REST and 0 over
    /// WebSocket unless told otherwise.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(0..=50_000))]
    pub batch_interval_us: Option<u64>,
    /// Which way orders go.
    #[arg(long, value_enum, default_value_t)]
    pub over: Over,
    /// Connections, each with an account of its own; 256 over REST and 8 over WebSocket unless told otherwise.
    #[arg(long, value_name = "NUMBER")]
    pub connections: Option<usize>,
    /// How long each phase of normal load lasts.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// How long the overload lasts.
    #[arg(long, value_name = "NUMBER", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub overload_seconds: u32,
    /// Write what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// And to this one as a page.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Which API orders go to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Over {
    /// The WebSocket API, many under way on each connection.
    #[default]
    Websocket,
    /// REST, one under way on each connection. Ten times of what the disk can do is then more than two processors can
    /// send and refuse.
    Rest,
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
    /// How long it is sent orders before they count. The memory of the run before goes back to the machine meanwhile,
    /// and may hold up its disk for ten seconds.
    #[arg(long, value_name = "NUMBER", default_value_t = 15, value_parser = clap::value_parser!(u32).range(0..=600))]
    pub warm_up_seconds: u32,
    /// Write what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// And to this one as a page.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// `crossbook bench bursts`.
#[derive(Debug, Args)]
pub struct Bursts {
    /// Orders that are triggered, cancelled, and taken.
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..=900_000))]
    pub orders: u64,
    /// Requests a second that others send.
    #[arg(long, value_name = "NUMBER", default_value = "1000")]
    pub rate: NonZeroU64,
    /// How long they do before each burst.
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
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
    /// Write a page with tables and charts to this file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
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
