//! `crossbook export` and `crossbook import`.

use std::path::PathBuf;

use clap::Args;

pub(super) const EXAMPLES: &str = "\
Examples:
  Move a venue from a data folder into a new cluster. Stop it first; from then on it must not be started again:
    crossbook export --data /var/lib/crossbook/venue --out venue.export
    crossbook import --config cluster.toml venue.export

  Before, behind or beside the import, in any order: workers, gateways and the writer of the cluster:
    crossbook worker  --config cluster.toml --admin 0.0.0.0:8082
    CROSSBOOK_SECRET_KEY=$(cat /var/lib/crossbook/venue.secret-key) \\
    crossbook gateway --config cluster.toml --http 0.0.0.0:8080 --admin 127.0.0.1:8081

  Afterwards, as at any time:
    crossbook audit --cluster --config cluster.toml

What moves: assets, markets with their status, filters and fees, accounts, API keys, balances, deposits and withdrawals with their
ids, and open orders, each at its place in the queue. Numbers of orders and trades go on. What has ended does not move: closed
orders, past trades and candles stay in the old venue's history.

An import that was interrupted goes on where it stopped: run the same line again.

Environment:
  CROSSBOOK_SECRET_KEY   the key of the old venue, under which the API secrets in the export are encrypted. Every gateway of the
                         cluster needs it; export says where it is, and import checks it if it is set.";

/// `crossbook export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Folder with the log and snapshots of a venue that has been stopped.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// TOML file with the venue's settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The file to make; it must not be there yet.
    #[arg(long, value_name = "FILE", default_value = "venue.export")]
    pub out: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `crossbook import`.
#[derive(Debug, Args)]
pub struct Import {
    /// TOML file with the settings of the cluster, which has to be new.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The file that `crossbook export` has made.
    #[arg(value_name = "EXPORT")]
    pub export: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}
