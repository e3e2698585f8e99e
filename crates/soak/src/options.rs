//! The options of `crossbook soak`.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Examples for the help text.
pub const EXAMPLES: &str = "\
Examples:
  Load a temporary venue with 5,000 orders per second for a minute:
    crossbook soak

  The same for an hour, with a report:
    crossbook soak --duration 1h --json soak.json --report soak.html

  Load a running venue without rate limits, and read its history directly:
    CROSSBOOK_ADMIN_TOKEN=... crossbook soak --url http://127.0.0.1:8080 --admin http://127.0.0.1:8081 \\
      --database sqlite:///var/lib/crossbook/venue/history.sqlite --duration 10m

  In a script (exit status 0: all targets are met; 3: one is not; 1: the test could not run):
    crossbook soak --json - | jq .pass";

/// `crossbook soak`.
#[derive(Debug, Args)]
pub struct Soak {
    /// Client API of a running venue, as http://HOST:PORT; without it, a venue without rate limits is started.
    #[arg(long, value_name = "URL", requires = "admin")]
    pub url: Option<String>,
    /// Admin API of the running venue, as http://HOST:PORT. Its token is in CROSSBOOK_ADMIN_TOKEN.
    #[arg(long, value_name = "URL", requires = "url")]
    pub admin: Option<String>,
    /// History of the running venue (sqlite://PATH or mysql://USER:PASSWORD@HOST/DATABASE), to look up every order
    /// directly; without it, the history is queried only through the API.
    #[arg(long, value_name = "URL", requires = "url")]
    pub database: Option<String>,
    /// Folder of the started venue, which remains; without it, a temporary one, which is deleted at the end.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub data: Option<PathBuf>,
    /// Orders per second, without cancels.
    #[arg(long, value_name = "NUMBER", default_value = "5000")]
    pub rate: NonZeroU64,
    /// Duration of the load, such as 90s, 10m or 1h.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration)]
    pub duration: Duration,
    /// Accounts, each with a connection of its own.
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(2..=1_000))]
    pub accounts: u16,
    /// p99 must be below this, such as 10ms.
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = humantime::parse_duration)]
    pub p99_max: Duration,
    /// Seed of the orders.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Write the figures to this file, as JSON; `-`: to standard output, instead of the table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a report to this file: as Markdown if its name ends in .md, else as one HTML page with charts.
    #[arg(long, value_name = "FILE", alias = "html")]
    pub report: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    const DAY: Duration = Duration::from_secs(86_400);
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_secs(1) || duration > DAY {
        return Err("it must be from 1s to 1day".to_owned());
    }
    Ok(duration)
}
