//! `crossbook bench`: measures on this machine what the documents claim.

mod cluster;
mod databases;
mod follow;
mod processor;
mod recovery;
mod rows;
mod shown;
mod store;

use std::path::{Path, PathBuf};

use crate::command::bench::{Bench, What};
use crate::logging;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no server.
    #[error("{0}; or name a database with --mysql URL, or leave it out with --database sqlite")]
    Server(#[from] crossbook_loadtest::mariadb::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] crossbook_store::Error),
    /// There is no cluster.
    #[error(transparent)]
    Cluster(#[from] crossbook_loadtest::cluster::Error),
    /// The venue does not let itself be loaded.
    #[error(transparent)]
    Operator(#[from] crossbook_loadtest::operator::Error),
    /// The load does not begin.
    #[error(transparent)]
    Load(#[from] crossbook_loadtest::http::Error),
    /// The address is none of a server.
    #[error("--mysql takes the address of a server: mysql://USER:PASSWORD@HOST/DATABASE")]
    Address,
    /// It is a venue's.
    #[error("there is the history of a venue in this database; give the benchmark an empty one")]
    Taken,
    /// There is no venue.
    #[error(transparent)]
    Own(#[from] crossbook_loadtest::venue::Error),
    /// The venue does not come back.
    #[error(transparent)]
    Restore(#[from] crate::venue::Error),
    /// A log cannot be replayed.
    #[error(transparent)]
    Recovery(#[from] crossbook_node::recovery::Error),
    /// What was measured cannot be kept.
    #[error(transparent)]
    Report(#[from] crate::report::Error),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] crossbook_log::Error),
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
    /// What was measured cannot be kept.
    #[error("cannot write {}: {source}", path.display())]
    Json {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Logging cannot start.
    #[error(transparent)]
    Logging(#[from] logging::Error),
    /// The system refused.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// Measures what the command line says, and prints it.
///
/// # Errors
/// When something that is needed is not there, or fails.
pub fn run(options: &Bench) -> Result<(), Error> {
    logging::start(&logging::Options::default())?;
    match &options.what {
        What::Store(options) => store::run(options),
        What::Recovery(options) => recovery::run(options, &runtime()?),
        What::Cluster(options) => cluster::run(options, &runtime()?),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Keeps what was measured in a file.
fn write_json(path: &Path, report: &impl serde::Serialize) -> Result<(), Error> {
    let written = serde_json::to_vec_pretty(report).map_err(std::io::Error::from).and_then(|mut json| {
        json.push(b'\n');
        std::fs::write(path, json)
    });
    written.map_err(|source| Error::Json { path: path.to_owned(), source })
}
