//! `crossbook backup` and `crossbook restore`.

use std::path::PathBuf;

use clap::Args;

pub(super) const EXAMPLES: &str = "\
Examples:
  Back up a venue, running or not, into a folder; each run copies what is new since the previous one:
    crossbook backup --data /var/lib/crossbook/venue --out /mnt/backup/venue

  The same into S3:
    AWS_REGION=eu-central-1 crossbook backup --data /var/lib/crossbook/venue --out s3://my-bucket/venue

  Restore it into a data folder, and verify its balances:
    crossbook restore --from /mnt/backup/venue --data /var/lib/crossbook/restored
    crossbook audit --data /var/lib/crossbook/restored

A backup contains the log and the newest snapshot. It does not contain the history in SQL, which the venue rebuilds from
the log; the secret key, which decrypts the API secrets in the log (keep a copy of it elsewhere); and the settings.

Do not copy a running venue with cp or rsync: a copy of a log that is being written may not open.

Environment (for s3://):
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT, AWS_ALLOW_HTTP";

/// `crossbook backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// Folder of the venue's log and snapshots.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Target of the backup: a folder, file:///PATH, or s3://BUCKET/PREFIX. The first run copies everything, later runs
    /// what is new.
    #[arg(long, value_name = "PLACE")]
    pub out: String,
    /// TOML file with settings: the history that proves how far the log once reached.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read back and verify the whole backup, not only what this run has copied.
    #[arg(long)]
    pub verify_all: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `crossbook restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup: a folder, file:///PATH, or s3://BUCKET/PREFIX.
    #[arg(long, value_name = "PLACE")]
    pub from: String,
    /// The data folder to create; it must be missing or empty.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}
