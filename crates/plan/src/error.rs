//! Why there is no plan.

use std::path::PathBuf;

/// Why there is no plan. Each error says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}; choose another file or make room", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A report cannot be written.
    #[error(transparent)]
    Report(#[from] crossbook_report::Error),
    /// Standard output is closed.
    #[error(transparent)]
    Output(#[from] std::io::Error),
    /// A file of costs is not one.
    #[error("{name} is no output of `crossbook bench cluster --json`: {source}")]
    Costs {
        /// The file.
        name: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Nothing can be derived from so few measurements.
    #[error(
        "{name} has {runs} measurements at a fixed rate with a CPU time of {role}, and at least {least} are needed: \
         measure more rates, as in `crossbook bench cluster --rates 500,1000,2500 --json FILE`"
    )]
    TooFewRuns {
        /// The file.
        name: String,
        /// The role that cannot be fitted.
        role: &'static str,
        /// Measurements that have it.
        runs: usize,
        /// Measurements that are needed.
        least: usize,
    },
    /// A file of prices is not one.
    #[error("{name} is no table of prices: {message}")]
    Prices {
        /// The file.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// A price is not in the table.
    #[error("the table of prices has no {service} {sku}; add a line like those of deploy/prices")]
    NoPrice {
        /// The service.
        service: &'static str,
        /// What of it.
        sku: String,
    },
    /// An input makes no sense.
    #[error("{option} is {value}, and must be {wanted}")]
    Input {
        /// The option.
        option: &'static str,
        /// What was given.
        value: f64,
        /// What it must be.
        wanted: &'static str,
    },
    /// No cluster does that.
    #[error("there is no such cluster: {0}")]
    Impossible(String),
}
