//! `crossbook demo`: a venue with simulated traders, to explore and to try a client on.
//!
//! The venue is a real one, with a log on disk. Only its traders are simulated: [`traders`] runs them, [`maker`],
//! [`crowd`] and [`arbitrage`] decide what to order, and [`price`] models the fair price.

mod arbitrage;
pub mod cluster;
mod crowd;
mod instructions;
mod listing;
mod maker;
mod past;
mod price;
mod random;
mod traders;

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crossbook_gateway::clock::now;
use crossbook_log::files;
use crossbook_types::Sequence;
use crossbook_venue::config::Config;
use crossbook_venue::data_folder::DataFolder;
use crossbook_venue::data_folder::access::{self, Need};
use crossbook_venue::embedded::Builder;
use crossbook_venue::listen::check_addresses;
use crossbook_venue::metrics::Build;
use crossbook_venue::progress::Progress;
use crossbook_venue::secrets::Absent;
use crossbook_venue::{logging, metrics, process, secrets};

use traders::Traders;

/// The most bytes that the log and the snapshots of a demo take.
const DISK_MAX: u64 = 256 << 20;
/// The name of its log until that is whole.
const MAKING: &str = "log.making";
/// The most bytes of a segment of its log. The log is deleted by whole segments.
const SEGMENT_BYTES_MAX: u64 = 16 << 20;
/// Commands from one snapshot to the next. What two of them stand for is deleted.
const SNAPSHOT_EVERY: u64 = 100_000;

/// What a command takes in the log on average, rounded up.
#[cfg(test)]
const COMMAND_BYTES: u64 = 160;
/// What a snapshot of the demo takes at most.
#[cfg(test)]
const SNAPSHOT_BYTES: u64 = 40 << 20;

/// Why the demo cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// TLS is configured.
    #[error(
        "the demo serves without TLS, as the lines that it prints show; leave out [gateway.tls] and \
         [gateway.admin_tls], or use `crossbook serve`"
    )]
    Tls,
    /// The day before it cannot be written.
    #[error(transparent)]
    Past(#[from] past::Error),
    /// Its markets, accounts or keys cannot be made.
    #[error("the demo cannot be set up: {0}")]
    Listing(#[from] listing::Error),
    /// Its venue does not start, or fails.
    #[error(transparent)]
    Venue(#[from] crossbook_venue::embedded::Error),
    /// A secret is missing or cannot be made.
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    /// Logging cannot start.
    #[error(transparent)]
    Logging(#[from] logging::Error),
    /// Metrics cannot be recorded.
    #[error(transparent)]
    Metrics(#[from] metrics::Error),
    /// The system refused.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// Makes the log with the day before. It gets its name when it is whole: the next start takes what has it for the
/// demo's log, and throws away what has not. `None` where another process made it meanwhile.
fn make_past(folder: &DataFolder, options: files::Options, seed: u64) -> Result<Option<Sequence>, Error> {
    std::fs::create_dir_all(folder.path())?;
    let data = File::open(folder.path())?;
    data.lock()?;
    if folder.log().exists() {
        return Ok(None);
    }
    let making = folder.path().join(MAKING);
    match std::fs::remove_dir_all(&making) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let end = past::write(&making, options, seed, now())?;
    std::fs::rename(&making, folder.log())?;
    data.sync_all()?;
    Ok(Some(end))
}

/// What a demo is like, besides its configuration.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Seed of the simulated traders: the same seed wants the same things at the same steps.
    pub seed: u64,
    /// Whether the history is kept in SQL too.
    pub history: bool,
}

/// Runs a demo until the process is asked to stop. A configuration without a data folder runs it in a temporary folder,
/// which is deleted at the end.
///
/// # Errors
/// When it cannot start or does not stop in order.
pub fn run(mut config: Config, options: Options, build: &Build, progress: &mut impl Progress) -> Result<(), Error> {
    let clear = crossbook_http::TlsConfig::default();
    if config.gateway.tls != clear || config.gateway.admin_tls != clear {
        return Err(Error::Tls);
    }
    logging::start(&config.logging)?;
    // Before anything is made that would be left behind.
    check_addresses(&config).map_err(crossbook_venue::embedded::Error::from)?;
    // Deleted when this ends, keys and all.
    let temporary = if config.data.as_os_str().is_empty() {
        let folder = tempfile::Builder::new().prefix("crossbook-demo-").tempdir()?;
        config.data = folder.path().join("venue");
        Some(folder)
    } else {
        None
    };
    bound(&mut config, options.history);
    // Its money is not real, and any client is to work on it.
    config.gateway.listen_keys.enabled = true;
    let folder = DataFolder::new(&config.data).map_err(crossbook_venue::embedded::Error::from)?;
    if !folder.log().exists() {
        access::check(&config.data, Need::Run).map_err(crossbook_venue::embedded::Error::from)?;
        secrets::check(&config.data, &folder)?;
        let began = std::time::Instant::now();
        if let Some(end) = make_past(&folder, config.log.files(), options.seed)? {
            tracing::info!(commands = end.0, seconds = began.elapsed().as_secs_f64(), "made a day of trades");
        }
    }
    let token = match std::env::var_os(secrets::ADMIN_TOKEN_VARIABLE) {
        Some(_) => secrets::admin_token()?,
        None => secrets::new_admin_token()?,
    };
    let metrics = metrics::install(metrics::Role::Serve, build)?;
    process::runtime()?.block_on(async {
        let folder = temporary.as_ref().map(|folder| folder.path().to_owned());
        let stop = process::stop_requested(move || folder.iter().for_each(|folder| remove(folder)))?;
        tokio::spawn(metrics.clone().keep_up(Some(config.data.clone())));
        let accounts = Arc::new(OnceLock::new());
        let venue = Builder::new(&config, token.clone(), metrics).with_demo_accounts(&accounts).start(progress)?;
        // The gateway keeps one to itself; this one makes and opens the printed keys.
        let demo_key = secrets::secret_key(&config.data, Absent::Refuse)?;
        let gateway = Arc::clone(venue.gateway());
        listing::list(&gateway).await?;
        let people = listing::people(&gateway, &demo_key).await?;
        // Who reaches the page from another machine gets no keys with it.
        if venue.http().ip().is_loopback() {
            let _ = accounts.set(listing::demo_accounts(&people));
        }
        let mut traders = Traders::new(Arc::clone(&gateway), options.seed).await?;
        let trading = tokio::spawn(async move {
            traders.open().await;
            traders.run().await;
        });
        let data = match &temporary {
            Some(_) => format!("{} (deleted at the end)", config.data.display()),
            None => config.data.display().to_string(),
        };
        let disk = if config.history.database.is_none() {
            format!(
                "{} MB at most: old log segments and snapshots are deleted, SQL history is off (--history)",
                DISK_MAX >> 20
            )
        } else {
            format!("{} MB at most, and the SQL history, which grows as long as the demo runs", DISK_MAX >> 20)
        };
        let text = instructions::text(venue.http(), venue.admin(), &token, &people, &data, &disk);
        crossbook_report::print(&format!("\n{text}\n"))?;
        venue.stop(stop.await.drain(&config)).await?;
        // It saw that the venue is stopping; a panic in it would have shown on the terminal.
        let _ = trading.await;
        Ok(())
    })
}

/// Settings under which a demo that runs for weeks takes no more than [`DISK_MAX`], where the operator has not set
/// others.
fn bound(config: &mut Config, history: bool) {
    let defaults = Config::default();
    if config.log == defaults.log {
        config.log.segment_bytes_max = SEGMENT_BYTES_MAX;
    }
    if config.snapshots == defaults.snapshots {
        config.snapshots.interval_commands = SNAPSHOT_EVERY;
        config.snapshots.trim_log = true;
    }
    if !history && config.history.database == defaults.history.database {
        config.history.database = crossbook_store::Address::new("none");
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_was_cut_short_is_made_anew() {
        let outer = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(&outer.path().join("venue")).unwrap();
        let making = folder.path().join(MAKING);
        // What a kill leaves: the beginning of a log.
        std::fs::create_dir_all(&making).unwrap();
        std::fs::write(making.join("00000000000000000001.log"), "cut").unwrap();
        assert!(make_past(&folder, files::Options::default(), 7).unwrap().is_some_and(|end| end > Sequence(1_000)));
        assert!(folder.log().exists() && !making.exists());
        assert!(DataFolder::of_venue(folder.path()).is_ok());
        assert_eq!(make_past(&folder, files::Options::default(), 7).unwrap(), None, "it is made once");
    }

    #[test]
    fn a_demo_is_bounded_unless_its_operator_says_otherwise() {
        let mut config = Config::default();
        bound(&mut config, false);
        assert!(config.snapshots.trim_log && config.snapshots.interval_commands == SNAPSHOT_EVERY);
        assert!(config.history.database.is_none());
        // Two snapshots stand for what is deleted, a third is under way, and a segment is deleted only whole.
        let commands = 3 * SNAPSHOT_EVERY * COMMAND_BYTES;
        let log = commands + 3 * config.log.segment_bytes_max;
        assert!(log + 3 * SNAPSHOT_BYTES < DISK_MAX, "{log}");

        let mut kept = Config::default();
        kept.snapshots.interval_commands = 7;
        kept.log.segment_bytes_max = 32 << 20;
        let before = kept.clone();
        bound(&mut kept, true);
        assert_eq!(kept, before);
    }
}
