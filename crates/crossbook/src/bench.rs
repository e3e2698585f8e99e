//! `crossbook bench`: measures on this machine what the documents claim.

mod api;
mod bursts;
mod cluster;
mod databases;
mod follow;
mod growth;
mod log;
mod matching;
mod overload;
mod processor;
mod recovery;
mod rows;
mod shown;
mod store;
mod structures;

use std::path::PathBuf;

use crossbook_venue::logging;

use crate::command::bench::{Bench, What};

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no server.
    #[error("{0}; or name a database with --mysql URL, or leave it out with --database sqlite")]
    Server(#[from] crossbook_servers::mariadb::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] crossbook_store::Error),
    /// There is no cluster.
    #[error(transparent)]
    Cluster(#[from] crossbook_servers::cluster::Error),
    /// The venue does not let itself be loaded.
    #[error(transparent)]
    Operator(#[from] crossbook_loadgen::operator::Error),
    /// There is no venue.
    #[error(transparent)]
    Own(#[from] crossbook_servers::venue::Error),
    /// The venue does not come back.
    #[error(transparent)]
    Restore(#[from] crossbook_venue::venue::Error),
    /// A log cannot be replayed.
    #[error(transparent)]
    Recovery(#[from] crossbook_node::recovery::Error),
    /// There is no token.
    #[error(transparent)]
    Secrets(#[from] crossbook_venue::secrets::Error),
    /// The load does not begin.
    #[error(transparent)]
    Load(#[from] crossbook_loadgen::http::Error),
    /// The address is none of a server.
    #[error("--mysql takes the address of a server: mysql://USER:PASSWORD@HOST/DATABASE")]
    Address,
    /// It is a venue's.
    #[error("there is the history of a venue in this database; give the benchmark an empty one")]
    Taken,
    /// The log failed.
    #[error(transparent)]
    Log(#[from] crossbook_log::Error),
    /// The log in streams failed.
    #[error(transparent)]
    Streams(#[from] crossbook_redis_store::Error),
    /// There is no Redis.
    #[error("{0}; or leave it out with --providers files")]
    Redis(#[from] crossbook_servers::redis::Error),
    /// What was appended is not on the replica.
    #[error("the replica did not confirm what was appended")]
    NotReplicated,
    /// Snapshots cannot be had.
    #[error(transparent)]
    Snapshots(#[from] crossbook_node::snapshot::Error),
    /// The workload is too short for what was asked.
    #[error("the workload has {0} commands; ask for less")]
    TooLong(usize),
    /// The venue failed.
    #[error("the venue that was measured has failed")]
    Venue,
    /// The history came to a stop.
    #[error("the history is not being written: {0}")]
    Stuck(String),
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong below.
        source: std::io::Error,
    },
    /// A file is none of a workload.
    #[error("the file of --commands is no workload: {0}")]
    Records(#[from] crossbook_oracle::workload::Error),
    /// A workload cannot be carried out.
    #[error("the workload cannot be carried out: {0}")]
    Workload(#[from] crossbook_oracle::workload::Invalid),
    /// The allocator does not tell what it has given out.
    #[error("the allocator does not tell how much memory is taken; leave that out with --resting 0")]
    Allocator,
    /// What was measured cannot be kept.
    #[error(transparent)]
    Report(#[from] crossbook_report::Error),
    /// Logging cannot start.
    #[error(transparent)]
    Logging(#[from] logging::Error),
    /// The system refused.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// Measures what the command line says, and prints it. Tells whether all that was verified on the way is right.
///
/// # Errors
/// When something that is needed is not there, or fails.
pub fn run(options: &Bench) -> Result<bool, Error> {
    logging::start(&logging::Options::default())?;
    eprintln!("{}", beginning(&options.what));
    match &options.what {
        What::Book(options) => return matching::run(matching::What::Book, options),
        What::Engine(options) => return matching::run(matching::What::Engine, options),
        What::Structures(options) => return structures::run(options),
        What::Growth(options) => return growth::run(options),
        What::Bursts(options) => return bursts::run(options),
        What::Log(options) => return log::run(options),
        What::Api(options) => return api::run(options),
        What::Overload(options) => return overload::run(options, &runtime()?),
        What::Store(options) => store::run(options)?,
        What::Recovery(options) => recovery::run(options, &runtime()?)?,
        What::Cluster(options) => cluster::run(options, &runtime()?)?,
    }
    Ok(true)
}

/// What is done now, and what it waits for: some of it shows nothing for minutes.
fn beginning(what: &What) -> String {
    match what {
        What::Book(options) => {
            format!("drawing the workload, then running it {} times on the book", options.runs.max(1) + 1)
        }
        What::Engine(options) => {
            format!("drawing the workload, then running it {} times on the engine", options.runs.max(1) + 1)
        }
        What::Structures(options) => format!("filling five structures with {:?} orders each", options.orders),
        What::Growth(options) => {
            format!(
                "filling venues of growing sizes, then {} runs of {} commands on each",
                options.runs, options.commands
            )
        }
        What::Bursts(options) => {
            format!(
                "filling three venues with {} orders each, {} s of others' requests before",
                options.orders, options.seconds
            )
        }
        What::Log(options) => format!(
            "appending to {:?}, {} s for each size of a batch and each number of appenders",
            options.providers, options.seconds
        ),
        What::Api(options) => format!(
            "{}, then measuring {:?}: {} rounds of {} s each and more",
            options
                .url
                .map_or_else(|| "starting a venue in a temporary folder".to_owned(), |url| format!("asking {}", url.0)),
            options.parts,
            options.rounds,
            options.seconds
        ),
        What::Overload(options) => format!(
            "starting a venue in a temporary folder, then {} s of normal load, {} s of overload, and {} s of normal load again",
            options.seconds, options.overload_seconds, options.seconds
        ),
        What::Store(options) if options.follow => {
            format!(
                "starting a venue and its database, then {} commands a second for {} s",
                options.rate, options.seconds
            )
        }
        What::Store(options) => format!("making {} rows, then writing them to each database", options.rows),
        What::Recovery(options) => {
            format!("writing a log of {} commands in a temporary folder, which is then replayed", options.commands)
        }
        What::Cluster(options) => format!(
            "starting Redis, workers and gateways for each layout; {} s of load for each of {} rates",
            options.seconds,
            options.rates.len()
        ),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
