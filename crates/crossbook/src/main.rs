//! The program: a command line over the crates that do the work.
//!
//! [`command`] describes the command line, [`mod@run`] carries it out with `crossbook_venue` and prints the outcome,
//! [`progress`] shows how far it is. Exit status: 0 when all is well, 1 when something did not work, 3 when something
//! is off.

mod admin;
mod backup_progress;
mod command;
mod information;
mod progress;
mod run;

use std::process::ExitCode;

use command::Command;
use crossbook_venue::config::environment;
use crossbook_venue::metrics::Build;
use crossbook_venue::process::FAILED;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit status of an audit, or a soak, that found something.
const OFF: u8 = 3;

/// What this program was built from.
const BUILD: Build =
    Build { version: env!("CARGO_PKG_VERSION"), commit: env!("CROSSBOOK_COMMIT"), rustc: env!("CROSSBOOK_RUSTC") };

/// Why a command failed; each says what to do about it.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] crossbook_venue::config::Error),
    #[error(transparent)]
    Folder(#[from] crossbook_venue::data_folder::Error),
    #[error(transparent)]
    Logging(#[from] crossbook_venue::logging::Error),
    #[error(transparent)]
    Metrics(#[from] crossbook_venue::metrics::Error),
    #[error(transparent)]
    Secrets(#[from] crossbook_venue::secrets::Error),
    #[error(transparent)]
    Serve(#[from] crossbook_venue::serve::Error),
    #[error(transparent)]
    Venue(#[from] crossbook_venue::venue::Error),
    #[error(transparent)]
    Cluster(#[from] crossbook_venue::cluster::Error),
    #[error(transparent)]
    Local(#[from] crossbook_demo::cluster::Error),
    #[error(transparent)]
    Audit(#[from] crossbook_venue::audit::Error),
    #[error(transparent)]
    Backup(#[from] crossbook_venue::backup::Error),
    #[error(transparent)]
    Export(#[from] crossbook_venue::export::Error),
    #[error(transparent)]
    Import(#[from] crossbook_venue::cluster::import::Error),
    #[error(transparent)]
    Skip(#[from] crossbook_venue::skip::Error),
    #[error(transparent)]
    Store(#[from] crossbook_venue::store::Error),
    #[error(transparent)]
    Manual(#[from] information::Error),
    #[error(transparent)]
    Bench(#[from] crossbook_bench::Error),
    #[error(transparent)]
    Soak(#[from] crossbook_soak::Error),
    #[error(transparent)]
    Demo(#[from] crossbook_demo::Error),
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

fn main() -> ExitCode {
    crossbook_report::watch_the_host();
    match run(command::help::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(OFF),
        Err(failure) => {
            eprintln!("crossbook: {failure}");
            ExitCode::from(FAILED)
        }
    }
}

/// Carries out a command. Whether all is well; only what looks for what is wrong can find that it is not.
fn run(command: Command) -> Result<bool, Failure> {
    // The others log, and warn there.
    if let Command::Audit(_)
    | Command::Store(_)
    | Command::Export(_)
    | Command::Import(_)
    | Command::Config(_)
    | Command::Backup(_) = command
    {
        environment::warnings().iter().for_each(|warning| eprintln!("crossbook: warning: {warning}"));
    }
    match command {
        Command::Serve(options) => run::serve(options)?,
        Command::Demo(options) => run::demo(options)?,
        Command::Admin(options) => std::process::exit(admin::run(&options).into()),
        Command::Gateway(options) => run::gateway(options)?,
        Command::Worker(options) => run::worker(options)?,
        Command::Cluster(options) => run::local_cluster(&options)?,
        Command::Writer(options) => run::writer(options)?,
        Command::Backup(options) => run::backup(&options)?,
        Command::Restore(options) => run::restore(&options)?,
        Command::Export(options) => run::export(&options)?,
        Command::Import(options) => return run::import(&options),
        Command::Audit(options) => return run::audit(&options),
        Command::Skip(options) => run::skip(&options)?,
        Command::Store(options) => return run::store(&options.action),
        Command::Bench(options) => return Ok(crossbook_bench::run(&options)?),
        Command::Soak(options) => return Ok(crossbook_soak::run(&options)?),
        Command::Config(options) => run::config(&options)?,
        Command::Completions(options) => crossbook_report::print(&information::completions(&options))?,
        Command::Man(options) => crossbook_report::print(&information::manual(&options)?)?,
    }
    Ok(true)
}
