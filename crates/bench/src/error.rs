//! The errors of measurements.

use std::path::PathBuf;

use crossbook_venue::logging;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no server.
    #[error("{0}; or name a database with --mysql URL, or leave it out with --database sqlite")]
    Server(#[from] crossbook_servers::mysql::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] crossbook_store::Error),
    /// There is no cluster.
    #[error(transparent)]
    Cluster(#[from] crossbook_servers::cluster::Error),
    /// Processes cannot be given a slice of a processor.
    #[error(transparent)]
    Slices(#[from] crossbook_servers::slices::Error),
    /// The venue does not let itself be loaded.
    #[error(transparent)]
    Operator(#[from] crossbook_loadgen::operator::Error),
    /// There is no venue.
    #[error(transparent)]
    Own(#[from] crossbook_servers::venue::Error),
    /// The venue does not come back.
    #[error(transparent)]
    Restore(#[from] crossbook_venue::restore::Error),
    /// A venue cannot be exported.
    #[error(transparent)]
    Export(#[from] crossbook_venue::export::Error),
    /// The cluster cannot be read.
    #[error(transparent)]
    Site(#[from] crossbook_venue::cluster::Error),
    /// Its configuration cannot.
    #[error(transparent)]
    Config(#[from] crossbook_venue::config::Error),
    /// Something did not happen in time.
    #[error("not within {} s: {what}", .within.as_secs())]
    Late {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        within: std::time::Duration,
    },
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
    #[error("this database has the history of a venue; give the benchmark an empty one")]
    Taken,
    /// The log failed.
    #[error(transparent)]
    Log(#[from] crossbook_log::Error),
    /// The log in streams failed.
    #[error(transparent)]
    Streams(#[from] crossbook_redis_store::Error),
    /// Notifications of the store are interrupted.
    #[error("the notifications of the store: {0}")]
    Notifications(#[from] crossbook_cluster::store::Failure),
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
        /// The underlying error.
        source: std::io::Error,
    },
    /// A file is none of a workload.
    #[error("the file of --commands is no workload: {0}")]
    Records(#[from] crossbook_oracle::workload::Error),
    /// A workload cannot be carried out.
    #[error("the workload cannot be executed: {0}")]
    Workload(#[from] crossbook_oracle::workload::Invalid),
    /// The allocator does not tell what it has given out.
    #[error("the allocator does not report memory use; leave that out with --resting 0")]
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
