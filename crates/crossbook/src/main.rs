//! The program: a command line over the crates that do the work.
//!
//! [`serve`] runs a venue ([`venue`] puts it together), [`demo`] runs one with simulated traders, [`audit`] proves a
//! log. What can be set is in [`config`], what must be kept secret in [`secrets`].

mod access;
mod admin;
mod audit;
mod backup;
mod bench;
mod checking;
mod clock;
mod cluster;
mod command;
mod config;
mod data_folder;
mod demo;
mod evidence;
mod export;
mod folded;
mod history;
mod information;
mod logging;
mod memory;
mod metrics;
mod output;
mod pages;
mod priority;
mod progress;
mod secrets;
mod serve;
mod skip;
mod snapshots;
mod soak;
mod store;
mod tally;
mod venue;
mod verification;

use std::process::ExitCode;

use command::Command;
use config::{Config, Flags};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit status when something did not work.
const FAILED: u8 = 1;
/// Exit status of an audit, or a soak, that found something.
const OFF: u8 = 3;

/// Why a command failed; each says what to do about it.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error(transparent)]
    Logging(#[from] logging::Error),
    #[error("metrics cannot be recorded: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    #[error(transparent)]
    Venue(#[from] venue::Error),
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    #[error(transparent)]
    Local(#[from] crossbook_servers::cluster::Error),
    #[error(transparent)]
    Audit(#[from] audit::Error),
    #[error(transparent)]
    Backup(#[from] backup::Error),
    #[error(transparent)]
    Export(#[from] export::Error),
    #[error(transparent)]
    Import(#[from] cluster::import::Error),
    #[error(transparent)]
    Skip(#[from] skip::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Manual(#[from] information::Error),
    #[error(transparent)]
    Bench(#[from] bench::Error),
    #[error(transparent)]
    Soak(#[from] soak::Error),
    #[error(transparent)]
    Demo(#[from] demo::Error),
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

fn main() -> ExitCode {
    crossbook_report::watch_the_host();
    match run(command::help::parse().command) {
        Ok(status) => status,
        Err(failure) => {
            eprintln!("crossbook: {failure}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    // The others log, and warn there.
    if let Command::Audit(_)
    | Command::Store(_)
    | Command::Export(_)
    | Command::Import(_)
    | Command::Config(_)
    | Command::Backup(_) = command
    {
        config::environment::warnings().iter().for_each(|warning| eprintln!("crossbook: warning: {warning}"));
    }
    match command {
        Command::Serve(options) => serve::run(options)?,
        Command::Demo(options) => demo::run(options)?,
        Command::Admin(options) => return Ok(admin::run(&options)),
        Command::Gateway(options) => cluster::gateway::run(options)?,
        Command::Worker(options) => cluster::worker::run(options)?,
        Command::Cluster(options) => cluster::local::run(&options)?,
        Command::Writer(options) => cluster::writer::run(options)?,
        Command::Backup(options) => output::tell(&backup::run(&options)?)?,
        Command::Restore(options) => output::tell(&backup::restore(&options)?)?,
        Command::Export(options) => output::tell(&export::run(&options)?)?,
        Command::Import(options) => {
            let (text, moved_in) = cluster::import::run(&options)?;
            output::tell(&text)?;
            if !moved_in {
                return Ok(ExitCode::from(OFF));
            }
        }
        Command::Audit(options) => {
            let (text, adds_up) = audit::run(&options)?;
            output::tell(&text)?;
            if !adds_up {
                return Ok(ExitCode::from(OFF));
            }
        }
        Command::Skip(options) => output::tell(&skip::run(&options)?)?,
        Command::Store(options) => {
            if !store::run(options.action)? {
                return Ok(ExitCode::from(OFF));
            }
        }
        Command::Bench(options) => {
            if !bench::run(&options)? {
                return Ok(ExitCode::from(OFF));
            }
        }
        Command::Soak(options) => {
            if !soak::run(&options)? {
                return Ok(ExitCode::from(OFF));
            }
        }
        Command::Config(options) => {
            output::tell(&Config::load(options.config.as_deref(), Flags::default())?.render()?)?;
        }
        Command::Completions(options) => output::tell(&information::completions(&options))?,
        Command::Man(options) => output::tell(&information::manual(&options)?)?,
    }
    Ok(ExitCode::SUCCESS)
}
