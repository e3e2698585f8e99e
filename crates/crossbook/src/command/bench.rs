//! The options of `crossbook bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

const STORE_EXAMPLES: &str = "\
Examples:
  Rows one by one against rows in batches, on SQLite and on a MariaDB server that is started for the purpose:
    crossbook bench store

  On a server that is there, in a database with no history in it:
    crossbook bench store --database mysql --mysql mysql://bench:secret@db/bench

  Whether the history keeps up with a venue that takes 10,000 commands a second, and how many it could:
    crossbook bench store --follow --rate 10000 --seconds 30";

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
    /// How fast the history is written to SQL: rows one by one and in batches, or behind a venue that trades.
    #[command(after_long_help = STORE_EXAMPLES)]
    Store(Store),
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
