//! `crossbook backup` and `crossbook restore`.

use std::path::PathBuf;

use clap::Args;

pub(super) const EXAMPLES: &str = "\
Examples:
  Back up a venue, running or not, into a folder, for instance every hour; each run copies what is new since the one before:
    crossbook backup --data /var/lib/crossbook/venue --out /mnt/backup/venue

  The same into S3:
    AWS_REGION=eu-central-1 crossbook backup --data /var/lib/crossbook/venue --out s3://my-bucket/venue

  Make a data folder of it, and see that its books balance:
    crossbook restore --from /mnt/backup/venue --data /var/lib/crossbook/restored
    crossbook audit --data /var/lib/crossbook/restored

A backup has the log and the newest snapshot. It does not have the history in SQL, which the venue makes anew from the log; the secret
key, without which the API secrets in the log cannot be opened (keep a copy of it apart); and the settings.

Nothing else makes a copy of a venue that runs: what cp or rsync copy of a log that is being written may not open.

Environment (for s3://):
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT, AWS_ALLOW_HTTP";

/// `crossbook backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// Folder with the log and snapshots of a venue.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where the backup is kept: a folder, file:///PATH, or s3://BUCKET/PREFIX. Its first run copies everything, later
    /// ones what is new.
    #[arg(long, value_name = "PLACE")]
    pub out: String,
    /// TOML file with settings: the history that is asked how far the log had reached.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read back everything that the backup consists of, not only what this run has copied.
    #[arg(long)]
    pub verify_all: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `crossbook restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// Where the backup is: a folder, file:///PATH, or s3://BUCKET/PREFIX.
    #[arg(long, value_name = "PLACE")]
    pub from: String,
    /// The data folder to make: not there yet, or empty.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}
