//! Log lines: human-readable if standard error is a terminal, one JSON object per line otherwise, or as configured.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::environment;

/// How log lines look.
pub use crate::config::LogFormat as Format;
/// What is logged, and how.
pub use crate::config::LoggingOptions as Options;

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not one.
    #[error("logging.filter {filter:?} cannot be parsed ({source}); write a level such as \"info\" or \"debug\"")]
    Filter {
        /// What was configured.
        filter: String,
        /// The reason.
        source: tracing_subscriber::filter::ParseError,
    },
    /// It was started before.
    #[error("logging was already started")]
    Started,
}

/// Sends all log lines of this process to standard error from now on.
///
/// # Errors
/// When the filter cannot be understood, or on a second call.
pub fn start(options: &Options) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&options.filter)
        .map_err(|source| Error::Filter { filter: options.filter.clone(), source })?;
    let terminal = std::io::stderr().is_terminal();
    let json = match options.format {
        Format::Auto => !terminal,
        Format::Human => false,
        Format::Json => true,
    };
    let registry = tracing_subscriber::registry().with(filter);
    // Where a line cannot be written, because the terminal is closed, neither can the complaint about that, and the
    // attempt would be a panic.
    let lines = tracing_subscriber::fmt::layer().log_internal_errors(false);
    let started = if json {
        registry.with(lines.json().flatten_event(true).with_writer(std::io::stderr)).try_init()
    } else {
        registry.with(lines.with_ansi(terminal).with_writer(std::io::stderr)).try_init()
    };
    started.map_err(|_| Error::Started)?;
    // Warnings from before logging began.
    for warning in options.warnings.iter().cloned().chain(environment::warnings()) {
        tracing::warn!("{warning}");
    }
    Ok(())
}
