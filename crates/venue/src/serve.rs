//! Runs a venue in one process until it is asked to stop.

use crate::config::Config;
use crate::embedded::{self, Builder};
use crate::logging;
use crate::metrics::{self, Build};
use crate::process::{runtime, spawn_vital, stop_requested};
use crate::progress::Progress;
use crate::restore::Accepted;
use crate::secrets::{self, AdminTokens};

/// Why a venue did not start, or did not stop in order.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no admin token.
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    /// Log lines cannot be written.
    #[error(transparent)]
    Logging(#[from] logging::Error),
    /// Metrics cannot be recorded.
    #[error(transparent)]
    Metrics(#[from] metrics::Error),
    /// The venue cannot be put together or taken apart.
    #[error(transparent)]
    Venue(#[from] embedded::Error),
    /// The system gives no threads, or no signals.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// Runs a venue until SIGTERM or Ctrl-C.
///
/// # Errors
/// When it cannot start or does not stop in order.
pub fn run(config: &Config, accepted: Accepted, build: &Build, progress: &mut dyn Progress) -> Result<(), Error> {
    if config.data.as_os_str().is_empty() {
        return Err(embedded::Error::NoData.into());
    }
    let tokens = AdminTokens::find()?;
    logging::start(&config.logging)?;
    let metrics = metrics::install(metrics::Role::Serve, build)?;
    runtime()?.block_on(async {
        let stop = stop_requested(|| ())?;
        let upkeep = metrics.clone().keep_up(Some(config.data.clone()));
        spawn_vital("the task that keeps the metrics up", upkeep);
        let shared = tokens.shared();
        spawn_vital("the task that reads the admin tokens", tokens.follow(config.gateway.server.reload_interval()));
        let venue = Builder::new(config, shared, metrics).accepting(accepted).start(progress)?;
        if accepted.lost_keys {
            venue.revoke_lost_keys().await?;
        }
        venue.stop(stop.await.drain(config)).await?;
        Ok(())
    })
}
