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

  Move a venue from a cluster into a new data folder. Its clients are refused from now on, and it never continues:
    crossbook export --cluster --config cluster.toml --out venue.export
    crossbook import --data /var/lib/crossbook/venue venue.export
    crossbook serve --data /var/lib/crossbook/venue

  The same into another cluster, with more partitions:
    crossbook import --config larger.toml venue.export

  Open an exported cluster again, only if the export was imported nowhere: else two venues have the same money:
    crossbook export --cluster --config cluster.toml --reopen

An export contains assets, markets with their status, filters and fees, accounts, API keys, balances, deposits and
withdrawals with their ids, and open orders with their queue position. Ids of orders and trades continue. Closed orders,
past trades and candles are not exported; they stay in the old venue's history.

Run the same command again to continue an interrupted export or import.

Environment:
  CROSSBOOK_SECRET_KEY   the secret key of the old venue, which encrypts the API secrets in the export. Every gateway of
                         the new cluster needs it, or the new data folder, as the file DIR.secret-key beside it; export
                         prints where it is, and import checks it if it is set.";

/// `crossbook export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Folder of a stopped venue's log and snapshots.
    #[arg(long, value_name = "DIR", required_unless_present = "cluster", conflicts_with = "cluster")]
    pub data: Option<PathBuf>,
    /// Close a cluster and export it; its processes may run.
    #[arg(long)]
    pub cluster: bool,
    /// Open an exported cluster again. Only if the export was imported nowhere.
    #[arg(long, requires = "cluster", conflicts_with_all = ["out", "data"])]
    pub reopen: bool,
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
    /// Import into this data folder, which must be missing or empty, instead of a cluster.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// TOML file with the settings: of the cluster, which must be new, or of the data folder.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The file that `crossbook export` has written.
    #[arg(value_name = "EXPORT")]
    pub export: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}
