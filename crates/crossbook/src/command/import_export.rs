//! `crossbook export` and `crossbook import`.

use std::path::PathBuf;

use clap::Args;

pub(super) const EXAMPLES: &str = "\
Examples:
  Move a venue from a data folder into a new cluster. Stop it first, and never start it again:
    crossbook export --data /var/lib/crossbook/venue --out venue.export
    crossbook import --config cluster.toml venue.export

  Start workers, gateways and the writer of the cluster, before, during or after the import:
    crossbook worker  --config cluster.toml --admin 0.0.0.0:8082
    CROSSBOOK_SECRET_KEY=$(cat /var/lib/crossbook/venue.secret-key) \\
    crossbook gateway --config cluster.toml --http 0.0.0.0:8080 --admin 127.0.0.1:8081

  Audit the cluster afterwards:
    crossbook audit --cluster --config cluster.toml

An export contains assets, markets with their status, filters and fees, accounts, API keys, balances, deposits and
withdrawals with their ids, and open orders with their queue position. Ids of orders and trades continue. Closed orders,
past trades and candles are not exported; they stay in the old venue's history.

Run the same command again to continue an interrupted import.

Environment:
  CROSSBOOK_SECRET_KEY   the secret key of the old venue, which encrypts the API secrets in the export. Every gateway of
                         the cluster needs it; export prints where it is, and import checks it if it is set.";

/// `crossbook export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Folder of a stopped venue's log and snapshots.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// TOML file with the venue's settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The file to write; it must not exist.
    #[arg(long, value_name = "FILE", default_value = "venue.export")]
    pub out: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `crossbook import`.
#[derive(Debug, Args)]
pub struct Import {
    /// TOML file with the settings of the cluster, which must be new.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The file that `crossbook export` has written.
    #[arg(value_name = "EXPORT")]
    pub export: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}
