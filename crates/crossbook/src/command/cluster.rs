//! `crossbook gateway`, `crossbook worker` and `crossbook writer`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use crossbook_venue::config::address;

use super::Format;

pub(super) const EXAMPLES: &str = "\
Examples:
  One file for all processes of the cluster:
    cat > cluster.toml <<'END'
    [cluster.redis]
    servers = [\"redis://10.0.0.1:6379\", \"redis://10.0.0.2:6379\"]
    [cluster.snapshots]
    address = \"s3://bucket/crossbook\"
    [history]
    database = \"mysql://crossbook:secret@db/crossbook\"
    END

  Two workers, each ready to go on for the other; a gateway; the writer of the history:
    crossbook worker  --config cluster.toml --admin 0.0.0.0:8082
    crossbook worker  --config cluster.toml --admin 0.0.0.0:8083
    crossbook gateway --config cluster.toml --http 0.0.0.0:8080 --admin 127.0.0.1:8081
    crossbook writer  --config cluster.toml --admin 0.0.0.0:8084

  All of it on this machine, with servers of its own:
    make cluster

Environment:
  CROSSBOOK_ADMIN_TOKEN  what a gateway's admin API demands as bearer token, at least 16 characters
  CROSSBOOK_SECRET_KEY   64 hex digits under which API secrets are encrypted in the log; every gateway needs the same";

/// What every role takes.
#[derive(Debug, Args)]
pub struct Role {
    /// TOML file with settings, the same for all processes of the cluster.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of health and metrics, and of a gateway's admin API [default: 127.0.0.1:8081].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub admin: Option<SocketAddr>,
    /// How log lines look [default: human on a terminal, else json].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<Format>,
    /// Start even if the machine's clock is long before a log's last command.
    #[arg(long)]
    pub accept_clock: bool,
    /// Print the settings that these options, the file and the environment come to, and exit.
    #[arg(long)]
    pub print_config: bool,
}

/// `crossbook gateway`.
#[derive(Debug, Args)]
pub struct Gateway {
    /// What every role takes.
    #[command(flatten)]
    pub role: Role,
    /// Address of the client API [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub http: Option<SocketAddr>,
}

/// `crossbook worker`.
#[derive(Debug, Args)]
pub struct Worker {
    /// What every role takes.
    #[command(flatten)]
    pub role: Role,
    /// The worker's name, which no other one has [default: the machine's name and the process's number].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Give up for good the commands that the streams lack and that snapshots or the history prove there were.
    #[arg(long)]
    pub discard_newer: bool,
    /// The partitions that it runs, such as 0,3,6 [default: all].
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub partitions: Vec<u16>,
}

/// `crossbook writer`.
#[derive(Debug, Args)]
pub struct Writer {
    /// What every role takes.
    #[command(flatten)]
    pub role: Role,
}

pub(super) const LOCAL_EXAMPLES: &str = "\
Examples:
  Three Redis masters with a replica each, MariaDB, three workers, two gateways, a writer and HAProxy, in a temporary folder:
    crossbook cluster

  Two replicas each, in a folder whose logs can be read afterwards:
    crossbook cluster --replicas 2 --data ./cluster

It needs redis-server, mariadbd and haproxy; `make cluster` installs them.";

/// `crossbook cluster`.
#[derive(Debug, Args)]
pub struct Local {
    /// Folder for everything, empty or not there yet; without it, a temporary one that is deleted at the end.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Redis masters.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub shards: u8,
    /// Replicas of each master; with none, nothing outlives a master.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=4))]
    pub replicas: u8,
    /// Partitions of the venue.
    #[arg(long, value_name = "NUMBER", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub partitions: u16,
    /// Workers; each partition runs on two of them.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub workers: u8,
    /// Run each partition on one worker only; nothing goes on for a worker that dies until it is started again.
    #[arg(long)]
    pub no_standby: bool,
    /// Gateways.
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub gateways: u8,
    /// Keep no history: no MariaDB, no writer.
    #[arg(long)]
    pub no_history: bool,
    /// Lift the limits of weights and orders, to measure.
    #[arg(long)]
    pub no_limits: bool,
}
