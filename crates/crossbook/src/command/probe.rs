//! `crossbook probe`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Examples for the help text.
pub const EXAMPLES: &str = "\
Examples:
  Ask the process of this machine or container whether it is ready, where its settings say that it listens:
    crossbook probe

  Ask a process elsewhere whether it is alive:
    crossbook probe --live --url http://10.0.0.5:8082

Exit status 0: it is ready, or alive; 3: it answers that it is not; 1: it does not answer.

Without --url it asks at the address for probes (`probes`) of the settings, else at the admin address (`admin`), on this
machine.";

/// `crossbook probe`.
#[derive(Debug, Args)]
pub struct Probe {
    /// Address to ask, http://HOST:PORT or https://HOST:PORT [default: that of the settings].
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// TOML file with settings.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub config: Option<PathBuf>,
    /// Ask whether the process is alive, and not whether it is ready.
    #[arg(long)]
    pub live: bool,
    /// PEM file with the authority of the process's certificate [default: the system's authorities].
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Timeout for an answer.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
}
