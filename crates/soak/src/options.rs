//! The options of `crossbook soak`.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Examples for the help text.
pub const EXAMPLES: &str = "\
Examples:
  A minute at 5,000 orders a second, on a venue of its own that is deleted at the end:
    crossbook soak

  An hour of it, with a report:
    crossbook soak --duration 1h --json soak.json --html soak.html

  A running venue, without limits of rate, and its history:
    CROSSBOOK_ADMIN_TOKEN=... crossbook soak --url http://127.0.0.1:8080 --admin http://127.0.0.1:8081 \\
      --database sqlite:///var/lib/crossbook/venue/history.sqlite --duration 10m

  In a script (exit status 0: every target is met; 3: one is not; 1: it could not be done):
    crossbook soak --json - | jq .pass";

/// `crossbook soak`.
#[derive(Debug, Args)]
pub struct Soak {
    /// Client API of the venue, as http://HOST:PORT; without it, a venue of its own is started, without limits of rate.
    #[arg(long, value_name = "URL", requires = "admin")]
    pub url: Option<String>,
    /// Admin API of the venue, as http://HOST:PORT. Its token is expected in CROSSBOOK_ADMIN_TOKEN.
    #[arg(long, value_name = "URL", requires = "url")]
    pub admin: Option<String>,
    /// The venue's history (sqlite://PATH or mysql://USER:PASSWORD@HOST/DATABASE), in which every order is to be found
    /// too; without it, SQL is asked only through the API.
    #[arg(long, value_name = "URL", requires = "url")]
    pub database: Option<String>,
    /// Folder for the venue of its own, which stays; without it, a temporary one that is deleted at the end.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub data: Option<PathBuf>,
    /// Orders a second. Cancels come on top.
    #[arg(long, value_name = "NUMBER", default_value = "5000")]
    pub rate: NonZeroU64,
    /// For how long, as 90s, 10m or 1h.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration)]
    pub duration: Duration,
    /// Accounts, each with a connection of its own.
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(2..=1_000))]
    pub accounts: u16,
    /// Seed of what is ordered.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Write the figures to this file, as JSON; `-` is standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a report to this file, as one page with charts.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    const DAY: Duration = Duration::from_secs(86_400);
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_secs(1) || duration > DAY {
        return Err("it must be from 1s to 1day".to_owned());
    }
    Ok(duration)
}
