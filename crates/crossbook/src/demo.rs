//! `crossbook demo`: a venue that looks alive, for whoever wants to see one or try a client on it.
//!
//! The venue is the real thing, with a log on disk, and is run like any other. Only its traders are simulated: [`traders`]
//! gives them their turns, [`maker`], [`crowd`] and [`arbitrage`] say what they want, and [`price`] what they believe.

mod arbitrage;
mod crowd;
mod instructions;
mod listing;
mod maker;
mod price;
mod random;
mod traders;

use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, Flags};
use crate::secrets::Absent;
use crate::venue::{Accepted, Venue};
use crate::{Failure, command, logging, metrics, output, secrets, serve};

use traders::Traders;

/// Why the demo cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// TLS is configured.
    #[error(
        "the demo speaks in the clear, and the lines that it prints say so; leave out [gateway.tls] and [gateway.admin_tls], or use `crossbook serve`"
    )]
    Tls,
    /// Its markets, accounts or keys cannot be made.
    #[error("the demo cannot be set up: {0}")]
    Listing(#[from] listing::Error),
}

/// Runs the demo as the command line says.
///
/// # Errors
/// When it cannot start or does not stop in order.
pub fn run(options: command::Demo) -> Result<(), Failure> {
    let flags = Flags { data: options.data, http: options.http, admin: options.admin, log_format: options.log_format };
    let mut config = Config::load(options.config.as_deref(), flags)?;
    let clear = crossbook_gateway::config::TlsConfig::default();
    if config.gateway.tls != clear || config.gateway.admin_tls != clear {
        return Err(Error::Tls.into());
    }
    logging::start(&config.logging)?;
    // Deleted when this ends, keys and all.
    let temporary = if config.data.as_os_str().is_empty() {
        let folder = tempfile::Builder::new().prefix("crossbook-demo-").tempdir()?;
        config.data = folder.path().join("venue");
        Some(folder)
    } else {
        None
    };
    let token = match std::env::var_os(secrets::ADMIN_TOKEN_VARIABLE) {
        Some(_) => secrets::admin_token()?,
        None => secrets::new_admin_token()?,
    };
    let metrics = metrics::install(metrics::Role::Serve)?;
    serve::runtime()?.block_on(async {
        let folder = temporary.as_ref().map(|folder| folder.path().to_owned());
        let stop = serve::stop_requested(move || folder.iter().for_each(|folder| remove(folder)))?;
        tokio::spawn(metrics.clone().keep_up(Some(config.data.clone())));
        let venue = Venue::start(&config, token.clone(), Accepted::default(), metrics)?;
        // The gateway keeps one to itself; this one makes and opens the printed keys.
        let demo_key = secrets::secret_key(&config.data, Absent::Refuse)?;
        let app = Arc::clone(venue.app());
        listing::list(&app).await.map_err(Error::Listing)?;
        let people = listing::people(&app, &demo_key).await.map_err(Error::Listing)?;
        let mut traders = Traders::new(Arc::clone(&app), options.seed).await.map_err(Error::Listing)?;
        let trading = tokio::spawn(async move {
            traders.open().await;
            traders.run().await;
        });
        let data = match &temporary {
            Some(_) => format!("{} (deleted at the end)", config.data.display()),
            None => config.data.display().to_string(),
        };
        let text = instructions::text(venue.http(), venue.admin(), &token, &people, &data);
        output::tell(&format!("\n{text}\n"))?;
        venue.stop(stop.await.drain(&config)).await?;
        // It saw that the venue is stopping; a panic in it would have shown on the terminal.
        let _ = trading.await;
        Ok(())
    })
}

/// Deletes a folder in which threads of this process may still be making files.
fn remove(folder: &Path) {
    const TRIES: usize = 10;
    for _ in 0..TRIES {
        if std::fs::remove_dir_all(folder).is_ok() || !folder.exists() {
            return;
        }
    }
    tracing::warn!(folder = %folder.display(), "the temporary folder could not be deleted");
}
