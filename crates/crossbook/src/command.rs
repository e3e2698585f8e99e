//! The command line. The help of every subcommand says what it does and needs, with examples that can be pasted.

pub mod backup;
pub mod cluster;
pub mod help;
pub mod import_export;
pub mod information;
pub mod probe;
#[cfg(test)]
#[path = "../tests/unit/snippets.rs"]
mod snippets;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use crossbook_venue::config::address;
use crossbook_venue::logging;

const ABOUT: &str = "A spot exchange, in one process or as a cluster";
const LONG_ABOUT: &str = "\
A spot exchange: price-time matching, exact balances, a durable log, and an API that Binance Spot clients speak once \
their base URL is changed. An API compatible with the Binance Spot API; not affiliated with or endorsed by Binance.";

const EXAMPLES: &str = "\
Examples:
  Start a venue with simulated traders, to explore and to try a client on:
    crossbook demo

  Start a venue of your own:
    export CROSSBOOK_ADMIN_TOKEN=$(openssl rand -hex 32)
    crossbook serve --data /var/lib/crossbook/venue

  Prove that all balances reconcile with its log, also while the venue runs:
    crossbook audit --data /var/lib/crossbook/venue";

const SERVE_EXAMPLES: &str = "\
Examples:
  Start, with the client API on 127.0.0.1:8080 and the admin API on 127.0.0.1:8081:
    export CROSSBOOK_ADMIN_TOKEN=$(openssl rand -hex 32)
    crossbook serve --data ./venue

  Add what a first trade needs, in another shell with the same token:
    crossbook admin assets add BTC --decimals 8
    crossbook admin assets add USDT --decimals 8
    crossbook admin markets add BTCUSDT --base BTC --quote USDT --tick-size 0.01 --step-size 0.00001
    crossbook admin accounts open --label alice
    crossbook admin deposit 1001 USDT 100000 --transfer-id first
    crossbook admin keys issue 1001 --permissions READ,TRADE

  Print every setting with its meaning and value:
    crossbook serve --data ./venue --print-config > crossbook.toml

Settings come from these sources, each overriding the previous one: the defaults, the file of --config, the environment
(CROSSBOOK_SECTION__KEY for the key `key` of `[section]`), and the options above.

Environment:
  CROSSBOOK_ADMIN_TOKEN  the bearer token of the admin API, at least 16 characters; required
  CROSSBOOK_ADMIN_TOKEN_FILE
                         in its place, a file with a token on each line, which is read again when it changes
  CROSSBOOK_SECRET_KEY   64 hexadecimal digits: the key that encrypts API secrets in the log. Without it, one is generated
                         and stored beside the data folder, in DIR.secret-key";

const DEMO_EXAMPLES: &str = "\
Examples:
  Use a temporary folder, which is deleted at the end:
    crossbook demo

  Use a folder of your own; the next start continues from there:
    crossbook demo --data ./demo-venue

  Use other ports:
    crossbook demo --http 127.0.0.1:9080 --admin 127.0.0.1:9081";

const AUDIT_EXAMPLES: &str = "\
Examples:
  Print a table:
    crossbook audit --data /var/lib/crossbook/venue

  Print JSON (exit status 0: all balances reconcile; 3: something does not or is missing; 1: no readable log, or the
  history does not answer):
    crossbook audit --data /var/lib/crossbook/venue --json | jq .ok

  Audit a running cluster, from its snapshots and logs:
    crossbook audit --cluster --config cluster.toml";

const STORE_EXAMPLES: &str = "\
Examples:
  Compare the history with the engine, also while the venue runs (exit status 0: equal; 3: something differs):
    crossbook store verify --data /var/lib/crossbook/venue

  The same for a cluster:
    crossbook store verify --cluster --config cluster.toml

  Rebuild it from the log:
    crossbook store rebuild --data /var/lib/crossbook/venue

  The same for a cluster, whose writer does it; trading continues:
    crossbook store rebuild --cluster --config cluster.toml

  Use another database than the configured one:
    CROSSBOOK_HISTORY__DATABASE='mysql://venue:secret@db/crossbook' crossbook store rebuild --data /var/lib/crossbook/venue";

const SKIP_EXAMPLES: &str = "\
Examples:
  Skip a command of a venue whose start ends with \"command 4711 of partition 0 cannot be applied\"; the venue must not run:
    crossbook skip --data /var/lib/crossbook/venue --sequence 4711

  Skip a command of a cluster whose workers end with \"command 4711 of partition 3 cannot be applied\":
    crossbook skip --cluster --config cluster.toml --partition 3 --sequence 4711

First read \"A command that cannot be applied\" in docs/operations.md.";

const BENCH_EXAMPLES: &str = "\
Examples:
  Measure how fast the history is written to SQL:
    crossbook bench store

  Print the options of one measurement:
    crossbook bench store --help";

const CONFIG_EXAMPLES: &str = "\
Examples:
  Write the defaults to a file to start from:
    crossbook config > crossbook.toml

  Print the settings that result from a file and the environment:
    CROSSBOOK_LOGGING__FORMAT=json crossbook config --config crossbook.toml";

/// The format of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// Human-readable on a terminal, JSON otherwise.
    Auto,
    /// Lines that people read.
    Human,
    /// One JSON object per line.
    Json,
}

impl From<Format> for logging::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Auto => Self::Auto,
            Format::Human => Self::Human,
            Format::Json => Self::Json,
        }
    }
}

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "crossbook", version = information::SHORT_VERSION, long_version = information::long_version(), about = ABOUT,
          long_about = LONG_ABOUT, after_long_help = EXAMPLES, max_term_width = 110)]
pub struct CommandLine {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a venue on a data folder until SIGTERM, Ctrl-C, or the end of its terminal.
    #[command(after_long_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// Run a venue with four markets, two funded accounts and simulated traders.
    #[command(after_long_help = DEMO_EXAMPLES)]
    Demo(Demo),
    /// Operate a running venue: assets, markets, accounts, keys, deposits, withdrawals, halts, audits.
    #[command(after_long_help = crossbook_operator::options::EXAMPLES)]
    Admin(Box<crossbook_operator::Admin>),
    /// Run a gateway of a cluster: the client API and the admin API. Any number may run.
    #[command(after_long_help = cluster::EXAMPLES)]
    Gateway(cluster::Gateway),
    /// Run a worker of a cluster, active or standby. Any number may run.
    #[command(after_long_help = cluster::EXAMPLES)]
    Worker(cluster::Worker),
    /// Run the writer of a cluster, which writes the history in SQL.
    #[command(after_long_help = cluster::EXAMPLES)]
    Writer(cluster::Writer),
    /// Run a whole cluster on this machine, with Redis, MariaDB and HAProxy, until Ctrl-C.
    #[command(after_long_help = cluster::LOCAL_EXAMPLES)]
    Cluster(cluster::Local),
    /// Back up a venue's log and newest snapshot, also while it runs: consistent, verified and incremental.
    #[command(after_long_help = backup::EXAMPLES)]
    Backup(backup::Backup),
    /// Restore a backup into a data folder.
    #[command(after_long_help = backup::EXAMPLES)]
    Restore(backup::Restore),
    /// Export a stopped venue or a cluster, to import it into a cluster or a data folder.
    #[command(after_long_help = import_export::EXAMPLES)]
    Export(import_export::Export),
    /// Import an exported venue into a new cluster or a new data folder.
    #[command(after_long_help = import_export::EXAMPLES)]
    Import(import_export::Import),
    /// Replay a venue's log offline and prove that its books balance.
    #[command(after_long_help = AUDIT_EXAMPLES)]
    Audit(Audit),
    /// Skip a command that cannot be applied and ends every start.
    #[command(after_long_help = SKIP_EXAMPLES)]
    Skip(Skip),
    /// Verify the history in SQL, or rebuild it.
    #[command(after_long_help = STORE_EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
    Store(Store),
    /// Measure the performance on this machine.
    #[command(after_long_help = BENCH_EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
    Bench(crossbook_bench::Bench),
    /// Ask a process whether it is ready, for a supervisor; the exit status says.
    #[command(after_long_help = probe::EXAMPLES)]
    Probe(probe::Probe),
    /// Compute of what a cluster for a rate of orders consists, and what it costs.
    #[command(after_long_help = crossbook_plan::EXAMPLES)]
    Plan(Box<crossbook_plan::Plan>),
    /// Load a venue at a steady rate, then verify everything that it acknowledged.
    #[command(after_long_help = crossbook_soak::EXAMPLES)]
    Soak(crossbook_soak::Soak),
    /// Print the complete configuration as TOML, with a comment on every key.
    #[command(after_long_help = CONFIG_EXAMPLES)]
    Config(Config),
    /// Print the completion script for a shell.
    #[command(after_long_help = information::COMPLETIONS_EXAMPLES)]
    Completions(information::Completions),
    /// Print the manual, or write one page for each command.
    #[command(after_long_help = information::MAN_EXAMPLES)]
    Man(information::Man),
}

impl Command {
    /// Whether it reads settings and writes no log lines, in which it would warn of variables that are no settings.
    pub fn reads_settings_without_log(&self) -> bool {
        match self {
            Self::Serve(options) => options.print_config,
            Self::Gateway(cluster::Gateway { role, .. })
            | Self::Worker(cluster::Worker { role, .. })
            | Self::Writer(cluster::Writer { role }) => role.print_config,
            // The processes of a local cluster log into files; they inherit the variables.
            Self::Cluster(_) => true,
            Self::Export(options) => !options.cluster,
            Self::Backup(_) | Self::Audit(_) | Self::Skip(_) | Self::Store(_) | Self::Config(_) | Self::Probe(_) => {
                true
            }
            Self::Demo(_) | Self::Import(_) => false,
            // These read no settings.
            Self::Admin(_) | Self::Restore(_) | Self::Bench(_) | Self::Plan(_) | Self::Soak(_) => false,
            Self::Completions(_) | Self::Man(_) => false,
        }
    }
}

/// `crossbook serve`.
#[derive(Debug, Default, Args)]
pub struct Serve {
    /// Folder of the venue's log and snapshots; created if absent.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// TOML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of the client API [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub http: Option<SocketAddr>,
    /// Address of the admin API, metrics and health [default: 127.0.0.1:8081].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub admin: Option<SocketAddr>,
    /// Address of metrics and health alone, for supervisors that are not to reach the admin API [default: none].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub probes: Option<SocketAddr>,
    /// Format of log lines [default: human on a terminal, else json].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<Format>,
    /// Start even if the secret key is lost, and revoke the API keys whose secrets it would decrypt; issue them again.
    #[arg(long)]
    pub revoke_lost_keys: bool,
    /// Start even if snapshots, checkpoint or history prove that the log has lost commands, and give these commands up
    /// for good.
    #[arg(long)]
    pub discard_newer: bool,
    /// Start even if the machine's clock is far behind the log's last command.
    #[arg(long)]
    pub accept_clock: bool,
    /// Start even if the venue was exported. Only if the export was imported nowhere: both venues would pay the same
    /// balances.
    #[arg(long)]
    pub reopen: bool,
    /// Print the settings that result from options, file and environment, and exit.
    #[arg(long)]
    pub print_config: bool,
}

/// `crossbook demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Folder of the demo venue; without it, a temporary one, which is deleted at the end.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// TOML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of the client API and the web page [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub http: Option<SocketAddr>,
    /// Address of the admin API, metrics and health [default: 127.0.0.1:8081].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub admin: Option<SocketAddr>,
    /// Format of log lines [default: human on a terminal, else json].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<Format>,
    /// Seed of the simulated traders; the same seed makes the same decisions at the same steps.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Also write the history, to a SQLite file in the folder. It grows as long as the demo runs; without it the demo's
    /// size is bounded.
    #[arg(long)]
    pub history: bool,
}

/// `crossbook audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// Folder of the venue's log.
    #[arg(long, value_name = "DIR", required_unless_present = "cluster", conflicts_with = "cluster")]
    pub data: Option<PathBuf>,
    /// Audit a running cluster, from its snapshots and logs.
    #[arg(long)]
    pub cluster: bool,
    /// TOML file with settings: the cluster, or the history that proves how far the log once reached.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// `crossbook skip`.
#[derive(Debug, Args)]
pub struct Skip {
    /// Folder of the venue's log.
    #[arg(long, value_name = "DIR", required_unless_present = "cluster", conflicts_with = "cluster")]
    pub data: Option<PathBuf>,
    /// Skip a command of a cluster.
    #[arg(long)]
    pub cluster: bool,
    /// TOML file with settings: the cluster, or the history that proves what was applied.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Partition of the command.
    #[arg(long, value_name = "NUMBER", requires = "cluster", required_if_eq("cluster", "true"))]
    pub partition: Option<u16>,
    /// Sequence number of the command, from the last log line of the ended process.
    #[arg(long, value_name = "NUMBER")]
    pub sequence: u64,
    /// Skip it even if it can be applied or another partition relies on it, so that money or an account will be missing
    /// for good.
    #[arg(long)]
    pub force: bool,
}

/// `crossbook store`.
#[derive(Debug, Args)]
pub struct Store {
    /// The subcommand.
    #[command(subcommand)]
    pub action: StoreAction,
}

/// Actions on the history.
#[derive(Debug, Subcommand)]
pub enum StoreAction {
    /// Compare balances, open orders, trades, candles and ledger entries with the engine's state at the same command.
    #[command(after_long_help = STORE_EXAMPLES)]
    Verify(StoreVerify),
    /// Delete all rows and rebuild them from the log, or from a snapshot if the log was trimmed.
    #[command(after_long_help = STORE_EXAMPLES)]
    Rebuild(StoreRebuild),
}

/// `crossbook store verify`.
#[derive(Debug, Args)]
pub struct StoreVerify {
    /// Folder of the venue's log and snapshots.
    #[arg(long, value_name = "DIR", required_unless_present = "cluster", conflicts_with = "cluster")]
    pub data: Option<PathBuf>,
    /// Verify the history of a cluster, from its snapshots and logs.
    #[arg(long, conflicts_with_all = ["contents", "rows"])]
    pub cluster: bool,
    /// TOML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Also print the number of rows of each table, and a hash of them.
    #[arg(long)]
    pub contents: bool,
    /// Also compare every row of every table with a temporary history that is built from the log. Needs the whole log,
    /// and the time and disk space of a rebuild.
    #[arg(long)]
    pub rows: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `crossbook store rebuild`.
#[derive(Debug, Args)]
pub struct StoreRebuild {
    /// Folder of the venue's log and snapshots.
    #[arg(long, value_name = "DIR", required_unless_present = "cluster", conflicts_with = "cluster")]
    pub data: Option<PathBuf>,
    /// Have the writer of a cluster rebuild its history.
    #[arg(long)]
    pub cluster: bool,
    /// TOML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Continue even if that deletes data that the log cannot restore, or the history of another venue.
    #[arg(long)]
    pub discard: bool,
    /// Continue even if snapshots, checkpoint or history prove that the log has lost commands, and give these commands
    /// up for good.
    #[arg(long)]
    pub discard_newer: bool,
}

/// `crossbook config`.
#[derive(Debug, Args)]
pub struct Config {
    /// TOML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_subcommand_shows_examples() {
        for subcommand in CommandLine::command().get_subcommands() {
            let help = subcommand.clone().render_long_help().to_string();
            assert!(help.contains("Examples:") && help.contains("crossbook "), "{}", subcommand.get_name());
        }
    }

    #[test]
    fn serve_takes_its_options() {
        let line = CommandLine::try_parse_from(["crossbook", "serve", "--data", "d", "--http", "127.0.0.1:1"]).unwrap();
        let Command::Serve(serve) = line.command else { panic!("not serve") };
        assert_eq!(serve.data.as_deref(), Some(std::path::Path::new("d")));
        assert_eq!(serve.http.unwrap().port(), 1);
        let port =
            CommandLine::try_parse_from(["crossbook", "serve", "--http", "9080", "--admin", "localhost:9081"]).unwrap();
        let Command::Serve(serve) = port.command else { panic!("not serve") };
        assert_eq!(serve.http.map(|http| http.to_string()).as_deref(), Some("127.0.0.1:9080"));
        assert_eq!(serve.admin.map(|admin| admin.to_string()).as_deref(), Some("127.0.0.1:9081"));
        assert!(CommandLine::try_parse_from(["crossbook", "serve", "--http", "nowhere"]).is_err());
        assert!(CommandLine::try_parse_from(["crossbook", "audit"]).is_err(), "audit needs a folder");
    }
}
