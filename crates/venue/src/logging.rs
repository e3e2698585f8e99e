//! Log lines: human-readable if standard error is a terminal, one JSON object per line otherwise, or as configured.

use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;
use std::sync::{Arc, OnceLock};

use crossbook_api_admin::log_tail::LogTail;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

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

/// The last lines of this process, if they are kept.
static TAIL: OnceLock<Arc<LogTail>> = OnceLock::new();

/// The last log lines of this process; `None` if none are kept.
#[must_use]
pub fn tail() -> Option<Arc<LogTail>> {
    TAIL.get().cloned()
}

/// Keeps the last lines.
struct Keeping(Arc<LogTail>);

impl<S: Subscriber> Layer<S> for Keeping {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let metadata = event.metadata();
        self.0.push(*metadata.level(), metadata.target(), &format!("{}{}", words.message, words.fields));
    }
}

/// The words of an event: what it says, and then its fields.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value}"),
        };
    }
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
    let kept = (options.tail_lines > 0).then(|| Arc::new(LogTail::new(options.tail_lines)));
    let registry = tracing_subscriber::registry().with(filter).with(kept.clone().map(Keeping));
    // Where a line cannot be written, because the terminal is closed, neither can the complaint about that, and the
    // attempt would be a panic.
    let lines = tracing_subscriber::fmt::layer().log_internal_errors(false);
    let started = if json {
        registry.with(lines.json().flatten_event(true).with_writer(std::io::stderr)).try_init()
    } else {
        registry.with(lines.with_ansi(terminal).with_writer(std::io::stderr)).try_init()
    };
    started.map_err(|_| Error::Started)?;
    if let Some(kept) = kept {
        let _ = TAIL.set(kept);
    }
    // Warnings from before logging began.
    for warning in options.warnings.iter().cloned().chain(environment::warnings()) {
        tracing::warn!("{warning}");
    }
    Ok(())
}
