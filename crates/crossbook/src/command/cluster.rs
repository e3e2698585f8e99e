//! `crossbook gateway`, `crossbook worker` and `crossbook writer`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use crossbook_venue::config::address;

use super::Format;

pub(super) const EXAMPLES: &str = "\
Examples:
  Write one file for all processes of the cluster:
    printf '%s\\n' > cluster.toml \\
      '[cluster.redis]' \\
      'servers = [\"redis://10.0.0.1:6379\", \"redis://10.0.0.2:6379\"]' \\
      '[cluster.snapshots]' \\
      'address = \"s3://bucket/crossbook\"' \\
      '[history]' \\
      'database = \"mysql://crossbook:secret@db/crossbook\"'

  Start two workers, each the standby of the other; a gateway; the writer of the history:
    crossbook worker  --config cluster.toml --admin 0.0.0.0:8082
    crossbook worker  --config cluster.toml --admin 0.0.0.0:8083
    crossbook gateway --config cluster.toml --http 0.0.0.0:8080 --admin 127.0.0.1:8081
    crossbook writer  --config cluster.toml --admin 0.0.0.0:8084

  Start a whole cluster on this machine, with servers of its own:
    make cluster

Environment:
  CROSSBOOK_ADMIN_TOKEN  the bearer token of a gateway's admin API, at least 16 characters
  CROSSBOOK_ADMIN_TOKEN_FILE
                         in its place, a file with a token on each line, which is read again when it changes
  CROSSBOOK_SECRET_KEY   64 hexadecimal digits: the key that encrypts API secrets; every gateway needs the same";

/// Options of all roles.
#[derive(Debug, Args)]
pub struct Role {
    /// TOML file with settings, the same for all processes of the cluster.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of health and metrics, and of a gateway's admin API [default: 127.0.0.1:8081].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub admin: Option<SocketAddr>,
    /// Address of metrics and health alone, for supervisors that are not to reach the admin API [default: none].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub probes: Option<SocketAddr>,
    /// Format of log lines [default: human on a terminal, else json].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<Format>,
    /// Start even if the machine's clock is far behind a log's last command.
    #[arg(long)]
    pub accept_clock: bool,
    /// Print the settings that result from options, file and environment, and exit.
    #[arg(long)]
    pub print_config: bool,
}

/// `crossbook gateway`.
#[derive(Debug, Args)]
pub struct Gateway {
    /// Options of all roles.
    #[command(flatten)]
    pub role: Role,
    /// Address of the client API [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub http: Option<SocketAddr>,
}

/// `crossbook worker`.
#[derive(Debug, Args)]
pub struct Worker {
    /// Options of all roles.
    #[command(flatten)]
    pub role: Role,
    /// Unique name of the worker [default: the host name and the process id].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Start even if snapshots or history prove that the streams have lost commands, and give these commands up for
    /// good.
    #[arg(long)]
    pub discard_newer: bool,
    /// Partitions to run, such as 0,3,6 [default: all].
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub partitions: Vec<u16>,
}

/// `crossbook writer`.
#[derive(Debug, Args)]
pub struct Writer {
    /// Options of all roles.
    #[command(flatten)]
    pub role: Role,
}

pub(super) const LOCAL_EXAMPLES: &str = "\
Examples:
  Three Redis masters with a replica each, MariaDB, 3 workers, 2 gateways, a writer and HAProxy, in a temporary folder:
    crossbook cluster

  Two replicas each, in a folder that remains afterwards:
    crossbook cluster --replicas 2 --data ./cluster

It needs redis-server, mariadbd and haproxy; `make cluster` installs them.";

/// `crossbook cluster`.
#[derive(Debug, Args)]
pub struct Local {
    /// Folder for all files, missing or empty; without it, a temporary one, which is deleted at the end.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Number of Redis masters.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub shards: u8,
    /// Replicas of each master; with 0, the loss of a master loses its data.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=4))]
    pub replicas: u8,
    /// Number of partitions.
    #[arg(long, value_name = "NUMBER", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub partitions: u16,
    /// Number of workers; each partition runs on two of them.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub workers: u8,
    /// Run each partition on one worker only; a worker that dies has no standby.
    #[arg(long)]
    pub no_standby: bool,
    /// Number of gateways.
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub gateways: u8,
    /// Without a history: no MariaDB, no writer.
    #[arg(long)]
    pub no_history: bool,
    /// Without rate limits, to measure.
    #[arg(long)]
    pub no_limits: bool,
}
