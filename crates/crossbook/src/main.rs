//! The program: a command line over the crates that do the work.
//!
//! [`command`] describes the command line, [`mod@run`] carries it out with `crossbook_venue` and prints the outcome,
//! [`progress`] shows how far it is. The exit status is 0 when all is well, 1 when something did not work, and 3 when
//! something was found to be wrong.

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
use crossbook_venue::verdict::Verdict;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit status of a command that did what it was asked for, and found nothing wrong.
const DONE: u8 = 0;
/// Exit status of a command that looked for what is wrong, such as an audit or a soak, and found something.
const OFF: u8 = 3;

/// What this program was built from.
const BUILD: Build =
    Build { version: env!("CARGO_PKG_VERSION"), commit: env!("CROSSBOOK_COMMIT"), rustc: env!("CROSSBOOK_RUSTC") };

/// Why a command failed. Each error is typed where it arises, and states what to do about it; here it is only printed.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    crossbook_report::watch_the_host();
    match run(command::help::parse().command) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            eprintln!("crossbook: {failure}");
            ExitCode::from(FAILED)
        }
    }
}

/// Carries out a command, and returns the exit status.
fn run(command: Command) -> Result<u8, Failure> {
    if command.reads_settings_without_log() {
        environment::warnings().iter().for_each(|warning| eprintln!("crossbook: warning: {warning}"));
    }
    let is_well = |is_well: bool| if is_well { DONE } else { OFF };
    let proof = |verdict: Verdict| match verdict {
        Verdict::Reconciled => DONE,
        // It was not found to be wrong, and not proven to be right.
        Verdict::Unasked => FAILED,
        Verdict::Wrong => OFF,
    };
    match command {
        Command::Serve(options) => run::serve(options)?,
        Command::Demo(options) => run::demo(options)?,
        Command::Admin(options) => return Ok(crossbook_operator::run(&options)),
        Command::Gateway(options) => run::gateway(options)?,
        Command::Worker(options) => run::worker(options)?,
        Command::Cluster(options) => run::local_cluster(&options)?,
        Command::Writer(options) => run::writer(options)?,
        Command::Probe(options) => return run::probe(&options).map(is_well),
        Command::Backup(options) => run::backup(&options)?,
        Command::Restore(options) => run::restore(&options)?,
        Command::Export(options) => run::export(&options)?,
        Command::Import(options) => return run::import(&options).map(is_well),
        Command::Audit(options) => return run::audit(&options).map(proof),
        Command::Skip(options) => run::skip(&options)?,
        Command::Store(options) => return run::store(&options.action).map(is_well),
        Command::Bench(options) => return Ok(is_well(crossbook_bench::run(&options)?)),
        Command::Plan(options) => return Ok(is_well(crossbook_plan::run(&options)?)),
        Command::Soak(options) => return Ok(is_well(crossbook_soak::run(&options)?)),
        Command::Config(options) => run::config(&options)?,
        Command::Completions(options) => crossbook_report::print(&information::completions(&options))?,
        Command::Man(options) => crossbook_report::print(&information::manual(&options)?)?,
    }
    Ok(DONE)
}
