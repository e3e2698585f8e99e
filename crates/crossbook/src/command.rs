//! The command line. Every subcommand says what it does, what it needs, and shows lines that can be typed as they are.

pub mod admin;
pub mod backup;
pub mod cluster;
pub mod help;
pub mod information;
pub mod moving;
#[cfg(test)]
mod snippets;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use crossbook_venue::config::address;
use crossbook_venue::logging;

const ABOUT: &str = "A spot exchange in one process";
const LONG_ABOUT: &str = "\
A spot exchange in one process: price-time matching, exact balances, a durable log, and an API that Binance Spot clients speak \
once their base URL is changed. An API compatible with the Binance Spot API; not affiliated with or endorsed by Binance.";

const EXAMPLES: &str = "\
Examples:
  A live venue with simulated traders, to look at and to try a client on:
    crossbook demo

  The real thing:
    export CROSSBOOK_ADMIN_TOKEN=$(openssl rand -hex 32)
    crossbook serve --data /var/lib/crossbook/venue

  Prove that its log adds up, to the last unit, also while the venue runs:
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

  Every setting, with what it means and what it is now:
    crossbook serve --data ./venue --print-config > crossbook.toml

Settings come from, each overriding the one before: the defaults, the file given by --config, the environment
(CROSSBOOK_SECTION__KEY for the key `key` of `[section]`), and the options below.

Environment:
  CROSSBOOK_ADMIN_TOKEN  what the admin API demands as bearer token, at least 16 characters; required
  CROSSBOOK_SECRET_KEY   64 hex digits under which API secrets are encrypted in the log. Absent, one is made once and
                         kept beside the data folder, in DIR.secret-key";

const DEMO_EXAMPLES: &str = "\
Examples:
  In a folder that is deleted at the end:
    crossbook demo

  In a folder that stays, so that the next start goes on from there:
    crossbook demo --data ./demo-venue

  On other ports:
    crossbook demo --http 127.0.0.1:9080 --admin 127.0.0.1:9081";

const AUDIT_EXAMPLES: &str = "\
Examples:
  For people:
    crossbook audit --data /var/lib/crossbook/venue

  For programs (exit status 0: everything adds up; 3: something is off or missing; 1: no log to read):
    crossbook audit --data /var/lib/crossbook/venue --json | jq .ok

  A running cluster, from its snapshots and logs:
    crossbook audit --cluster --config cluster.toml";

const STORE_EXAMPLES: &str = "\
Examples:
  Hold the history against the engine, also while the venue runs (exit status 0: equal; 3: something is off):
    crossbook store verify --data /var/lib/crossbook/venue

  The same of a cluster:
    crossbook store verify --cluster --config cluster.toml

  Make it anew from the log:
    crossbook store rebuild --data /var/lib/crossbook/venue

  The same of a cluster, whose writer does it; trading goes on:
    crossbook store rebuild --cluster --config cluster.toml

  In another database than the configured one:
    CROSSBOOK_HISTORY__DATABASE='mysql://venue:secret@db/crossbook' crossbook store rebuild --data /var/lib/crossbook/venue";

const SKIP_EXAMPLES: &str = "\
Examples:
  A venue whose start ends with \"command 4711 of partition 0 cannot be applied\"; it must not run:
    crossbook skip --data /var/lib/crossbook/venue --sequence 4711

  A cluster whose workers end with \"command 4711 of partition 3 cannot be applied\":
    crossbook skip --cluster --config cluster.toml --partition 3 --sequence 4711

See \"A command that cannot be applied\" in docs/operations.md before you do.";

const BENCH_EXAMPLES: &str = "\
Examples:
  How fast the history is written to SQL:
    crossbook bench store

  What can be measured, and how:
    crossbook bench store --help";

const CONFIG_EXAMPLES: &str = "\
Examples:
  The defaults, as a file to start from:
    crossbook config > crossbook.toml

  What a file and the environment come to:
    CROSSBOOK_LOGGING__FORMAT=json crossbook config --config crossbook.toml";

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
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
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a venue on a data folder until SIGTERM or Ctrl-C.
    #[command(after_long_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// Run a venue with four markets, two funded accounts and simulated traders.
    #[command(after_long_help = DEMO_EXAMPLES)]
    Demo(Demo),
    /// Operate a running venue: assets, markets, accounts, keys, deposits, withdrawals, halts, the audit.
    #[command(after_long_help = admin::EXAMPLES)]
    Admin(Box<admin::Admin>),
    /// Run a gateway of a cluster: the client API and the admin API. Any number of them may run.
    #[command(after_long_help = cluster::EXAMPLES)]
    Gateway(cluster::Gateway),
    /// Run a worker of a cluster: it matches, or stands by for those that do. Any number of them may run.
    #[command(after_long_help = cluster::EXAMPLES)]
    Worker(cluster::Worker),
    /// Run the writer of a cluster: it keeps the history in SQL up with the partitions.
    #[command(after_long_help = cluster::EXAMPLES)]
    Writer(cluster::Writer),
    /// Run a whole cluster on this machine, with Redis, MariaDB and HAProxy, until Ctrl-C.
    #[command(after_long_help = cluster::LOCAL_EXAMPLES)]
    Cluster(cluster::Local),
    /// Copy a venue's log and newest snapshot, also while it runs: consistent, verified, and only what is new.
    #[command(after_long_help = backup::EXAMPLES)]
    Backup(backup::Backup),
    /// Make a data folder of a backup.
    #[command(after_long_help = backup::EXAMPLES)]
    Restore(backup::Restore),
    /// Write down everything that a stopped venue has, to move it into a cluster.
    #[command(after_long_help = moving::EXAMPLES)]
    Export(moving::Export),
    /// Move a venue that was exported into a new cluster.
    #[command(after_long_help = moving::EXAMPLES)]
    Import(moving::Import),
    /// Replay a venue's log offline and prove that its books balance.
    #[command(after_long_help = AUDIT_EXAMPLES)]
    Audit(Audit),
    /// Pass over a command that cannot be applied, and at which every start ends.
    #[command(after_long_help = SKIP_EXAMPLES)]
    Skip(Skip),
    /// Verify the history in SQL, or make it anew.
    #[command(after_long_help = STORE_EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
    Store(Store),
    /// Measure on this machine what the documents claim.
    #[command(after_long_help = BENCH_EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
    Bench(crossbook_bench::Bench),
    /// Load a venue at a steady rate, then hold it to everything that it acknowledged.
    #[command(after_long_help = crossbook_soak::EXAMPLES)]
    Soak(crossbook_soak::Soak),
    /// Print the complete configuration as TOML, with a comment on every key.
    #[command(after_long_help = CONFIG_EXAMPLES)]
    Config(Config),
    /// Print the script that completes commands and options in a shell.
    #[command(after_long_help = information::COMPLETIONS_EXAMPLES)]
    Completions(information::Completions),
    /// Print the manual, or write one page for each command.
    #[command(after_long_help = information::MAN_EXAMPLES)]
    Man(information::Man),
}

/// `crossbook serve`.
#[derive(Debug, Default, Args)]
pub struct Serve {
    /// Folder with the venue's log and snapshots; made if absent.
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
    /// How log lines look [default: human on a terminal, else json].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<Format>,
    /// Start even if the secret key is lost, and revoke the API keys whose secrets it would open; they have to be
    /// issued anew.
    #[arg(long)]
    pub revoke_lost_keys: bool,
    /// Start even if the log lacks commands that snapshots, its mark or the history prove it had, and give these
    /// commands up for good.
    #[arg(long)]
    pub discard_newer: bool,
    /// Start even if the machine's clock is long before the log's last command.
    #[arg(long)]
    pub accept_clock: bool,
    /// Print the settings that these options, the file and the environment come to, and exit.
    #[arg(long)]
    pub print_config: bool,
}

/// `crossbook demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Folder for the demo venue; without it, a temporary one that is deleted at the end.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// TOML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of the client API and the page [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub http: Option<SocketAddr>,
    /// Address of the admin API, metrics and health [default: 127.0.0.1:8081].
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub admin: Option<SocketAddr>,
    /// How log lines look [default: human on a terminal, else json].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<Format>,
    /// Seed of the simulated traders: the same seed wants the same things at the same steps.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Keep the history in SQL too, in a SQLite file in the folder. It grows as long as the demo runs; without it the
    /// demo's size is bounded.
    #[arg(long)]
    pub history: bool,
}

/// `crossbook audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// Folder with the venue's log.
    #[arg(long, value_name = "DIR", required_unless_present = "cluster", conflicts_with = "cluster")]
    pub data: Option<PathBuf>,
    /// Audit a running cluster, from its snapshots and logs.
    #[arg(long)]
    pub cluster: bool,
    /// TOML file with settings: where the cluster is, or the history that is asked how far the log had reached.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// `crossbook skip`.
#[derive(Debug, Args)]
pub struct Skip {
    /// Folder with the venue's log.
    #[arg(long, value_name = "DIR", required_unless_present = "cluster", conflicts_with = "cluster")]
    pub data: Option<PathBuf>,
    /// A command of a cluster.
    #[arg(long)]
    pub cluster: bool,
    /// TOML file with settings: where the cluster is, or the history that is asked what was applied.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which partition's.
    #[arg(long, value_name = "NUMBER", requires = "cluster", required_if_eq("cluster", "true"))]
    pub partition: Option<u16>,
    /// The number of the command in its partition's log, as the process that ended has said.
    #[arg(long, value_name = "NUMBER")]
    pub sequence: u64,
    /// Pass it over even if it can be applied, or another partition relies on it, so that money or an account is
    /// missing for ever.
    #[arg(long)]
    pub force: bool,
}

/// `crossbook store`.
#[derive(Debug, Args)]
pub struct Store {
    /// What to do.
    #[command(subcommand)]
    pub action: StoreAction,
}

/// What to do with the history.
#[derive(Debug, Subcommand)]
pub enum StoreAction {
    /// Compare balances, open orders, trades, candles and ledger entries with the engine's state where the history
    /// stands.
    #[command(after_long_help = STORE_EXAMPLES)]
    Verify(StoreVerify),
    /// Empty the tables and fill them again from the log, or from a snapshot where the log has lost its beginning.
    #[command(after_long_help = STORE_EXAMPLES)]
    Rebuild(StoreRebuild),
}

/// `crossbook store verify`.
#[derive(Debug, Args)]
pub struct StoreVerify {
    /// Folder with the venue's log and snapshots.
    #[arg(long, value_name = "DIR", required_unless_present = "cluster", conflicts_with = "cluster")]
    pub data: Option<PathBuf>,
    /// Verify the history of a cluster, from its snapshots and logs.
    #[arg(long, conflicts_with_all = ["contents", "rows"])]
    pub cluster: bool,
    /// TOML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Also tell how many rows each table has, and a hash of them.
    #[arg(long)]
    pub contents: bool,
    /// Also compare every row of every table with a history that is made from the log for the purpose, in a temporary
    /// file. Needs the whole log, and as much time and room as a rebuild.
    #[arg(long)]
    pub rows: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `crossbook store rebuild`.
#[derive(Debug, Args)]
pub struct StoreRebuild {
    /// Folder with the venue's log and snapshots.
    #[arg(long, value_name = "DIR", required_unless_present = "cluster", conflicts_with = "cluster")]
    pub data: Option<PathBuf>,
    /// Have the history of a cluster made anew by its writer.
    #[arg(long)]
    pub cluster: bool,
    /// TOML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Go on even if that gives up what the log cannot give back, or the history of another venue.
    #[arg(long)]
    pub discard: bool,
    /// Go on even if the log lacks commands that snapshots, its mark or the history prove it had, and give these
    /// commands up for good.
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
