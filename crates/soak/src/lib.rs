//! `crossbook soak`: loads a venue at a steady rate, then verifies everything that it acknowledged.
//!
//! Orders are due at a fixed rate whether or not the venue keeps up, and latency counts from the due time. The soak
//! test keeps a [record](record) of every acknowledgement. At the end it cancels open orders, waits for the history,
//! and compares the venue with the record: every acknowledged order must exist exactly once over the API and in SQL,
//! every balance must follow from the fills, and the venue's own audit must be clean.
//!
//! [`venue`] creates markets and accounts, [`trader`] is an account that trades, [`venue_state`] reads the state of the
//! venue, [`reconcile`] compares, [`acceptance`] reports.

mod acceptance;
mod acknowledged;
mod market;
pub mod options;
mod reconcile;
mod record;
mod timeline;
mod trader;
mod venue;
mod venue_state;

pub use options::{EXAMPLES, Soak};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbook_loadgen::http::{Client, Pace, Plan, Stop, run_until};
use crossbook_servers::venue::LocalVenue;
use crossbook_venue::memory;
use crossbook_venue::secrets;
use parking_lot::Mutex;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crossbook_report::Report;

use reconcile::Outcome;
use timeline::Timeline;
use trader::{Course, Figures, Shared, Trader};
use venue::{Access, Made, Vitals};
use venue_state::{Tables, Unanswered};

/// How long the history may make no progress while it catches up with the venue. It may be far behind after a long load
/// on a busy machine.
const STANDSTILL_MAX: Duration = Duration::from_secs(600);
/// Polling interval.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Between two lines about that.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Why there is no result; each states what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It speaks TLS.
    #[error("{0}: the soak test connects without TLS; give it an address behind the TLS termination")]
    Tls(String),
    /// It is no address.
    #[error("`{0}` is no address that can be reached: {1}; give http://HOST:PORT")]
    Address(String, String),
    /// There is no venue of its own.
    #[error(transparent)]
    Venue(#[from] crossbook_servers::venue::Error),
    /// The operator's side does not work.
    #[error(transparent)]
    Operator(#[from] crossbook_loadgen::operator::Error),
    /// Limits are in the way.
    #[error("the venue's limits are too low for the soak test: {0}")]
    Limited(String),
    /// Old orders would not be found.
    #[error("the venue has no history, so orders that its memory has evicted cannot be found; set history.database")]
    NoHistory,
    /// The load cannot begin.
    #[error(transparent)]
    Load(#[from] crossbook_loadgen::http::Error),
    /// It does not answer.
    #[error("the venue does not answer the query of {what}: {why}")]
    Silent {
        /// What was asked.
        what: String,
        /// What came instead.
        why: String,
    },
    /// It refuses what it must not.
    #[error("the venue refuses the query of {what}: {said}")]
    Refused {
        /// What was asked.
        what: String,
        /// Its answer.
        said: String,
    },
    /// It answers nonsense.
    #[error("the venue's answer about {0} cannot be decoded")]
    Answer(String),
    /// The history stays behind.
    #[error("the history is {0} commands behind the venue and has not advanced for ten minutes; check its database")]
    HistoryBehind(u64),
    /// There is no such file.
    #[error("there is no file {0}; --database takes the venue's own history")]
    NoFile(String),
    /// No database is named.
    #[error("--database must name a database")]
    NoDatabase,
    /// It is another venue's.
    #[error("the database does not have the market {0}; --database takes the venue's own history")]
    OtherDatabase(String),
    /// The database fails.
    #[error(transparent)]
    Store(#[from] crossbook_store::Error),
    /// The token is missing.
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    /// A file cannot be written.
    #[error(transparent)]
    Report(#[from] crossbook_report::Error),
    /// The system refused.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// The result of a soak test.
#[derive(Debug)]
struct Soaked {
    /// For how long orders fell due.
    lasted: Duration,
    /// Whether it was ended early.
    ended_early: bool,
    figures: Figures,
    /// Orders that were due and found no connection in time.
    unsent: u64,
    trades: u64,
    unanswered: Unanswered,
    api: Outcome,
    sql: Option<Outcome>,
    audit: Value,
    /// How long the history took to come up with the venue.
    caught_up: Duration,
    timeline: Timeline,
    processors: Processors,
}

/// Processors that each had on average during the load.
#[derive(Clone, Copy, Debug, Default)]
struct Processors {
    venue: Option<f64>,
    generator: Option<f64>,
    /// The most memory of this process, in bytes.
    generator_memory: Option<f64>,
}

/// Runs a soak test, and returns its result: whether every target is met.
///
/// # Errors
/// When it could not be done. Violations by the venue are results, not errors.
pub fn run(options: &Soak) -> Result<bool, Error> {
    memory::clients_on_small_pages();
    let temporary = match (&options.url, &options.data) {
        (None, None) => Some(tempfile::Builder::new().prefix("crossbook-soak-").tempdir()?),
        _ => None,
    };
    let folder: Option<PathBuf> =
        options.data.clone().or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned()));
    let report = Report::begin("Soak", summary(options), folder.as_deref());
    // Ended, and its folder deleted, when everything has been asked.
    let local = match &folder {
        Some(folder) => {
            eprintln!("starting a venue in {}, whose log is {}", folder.display(), folder.join("venue.log").display());
            Some(LocalVenue::start(folder, &std::env::current_exe()?, &[])?)
        }
        None => None,
    };
    let (access, database) = match (&local, &options.url, &options.admin) {
        (Some(local), ..) => {
            let access = Access { http: local.http(), admin: local.admin(), token: local.token().to_owned() };
            (access, Some(format!("sqlite://{}", local.history().display())))
        }
        (None, Some(url), Some(admin)) => {
            let token = secrets::admin_token_of_venue()?.expose_secret().to_owned();
            (Access { http: venue::address(url)?, admin: venue::address(admin)?, token }, options.database.clone())
        }
        // The command line refuses one without the other.
        _ => return Err(Error::Address(String::new(), "it is missing".to_owned())),
    };
    // One thread costs the least.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    eprintln!("asking the venue at {} whether it can be loaded", access.http);
    let soaked = runtime.block_on(soak(options, &access, database.as_deref()))?;
    // Connections to the database end with it.
    drop(runtime);
    tell(options, report, &soaked)
}

fn summary(options: &Soak) -> String {
    format!(
        "{} orders a second for {}, in an open loop: each order falls due at its time whether or not the venue keeps \
         up, and its latency counts from then. Cancels come on top. Afterwards the venue is held to everything that it \
         acknowledged.",
        options.rate,
        humantime::format_duration(options.duration)
    )
}

/// Prints the acceptance table and writes the files.
fn tell(options: &Soak, mut report: Report, soaked: &Soaked) -> Result<bool, Error> {
    let verdicts = acceptance::verdicts(options, soaked);
    let pass = verdicts.iter().all(|verdict| verdict.passed);
    let figures = acceptance::json(soaked, &report, pass);
    let findings = acceptance::findings(soaked);
    for section in acceptance::sections(soaked, verdicts) {
        report.push(section);
    }
    match &options.json {
        Some(path) if path.as_os_str() == "-" => crossbook_report::print(&format!("{figures:#}\n"))?,
        json => {
            if let Some(path) = json {
                crossbook_report::write_json(path, &figures)?;
            }
            crossbook_report::print(&report.text())?;
        }
    }
    findings.iter().for_each(|finding| eprintln!("{finding}"));
    if let Some(path) = &options.report {
        report.write(path)?;
    }
    Ok(pass)
}

/// The whole of it.
async fn soak(options: &Soak, access: &Access, database: Option<&str>) -> Result<Soaked, Error> {
    let stop = Stop::default();
    listen_for_interrupts(stop.clone())?;
    let accounts = usize::from(options.accounts);
    let orders =
        u64::try_from(u128::from(options.rate.get()) * options.duration.as_millis() / 1_000).unwrap_or(u64::MAX);
    prepared(options, access, orders).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    eprintln!("making {} markets and {accounts} accounts", market::MARKETS);
    let made = access.make(accounts, now.as_millis() as u64 % 10_000_000_000)?;

    // Whether the database is this venue's is better known before the load than after it.
    caught_up(access).await?;
    let tables = match database {
        Some(database) => Some(Tables::of(database, &made).await?),
        None => None,
    };

    let shared: Shared = Arc::new(Mutex::new(Course::new(accounts)));
    eprintln!("sending {} orders a second for {}", options.rate, humantime::format_duration(options.duration));
    let (load, timeline, processors) = load(options, access, &made, &shared, &stop).await?;
    let ended_early = stop.at().is_some();
    let Ok(course) = Arc::try_unwrap(shared).map(Mutex::into_inner) else { unreachable!("the accounts have ended") };
    let Course { mut record, figures, .. } = course;

    eprintln!("the load has ended; reconciling {} acknowledged orders", record.acknowledged());
    let begun = Instant::now();
    caught_up(access).await?;
    let unanswered = venue_state::look_for_unanswered(access, &made, &mut record).await?;
    venue_state::cancel_the_rest(access, &made, &mut record).await?;
    caught_up(access).await?;
    let history_took = begun.elapsed();

    let api = over_api(access, &made, &record).await?;
    let sql = match &tables {
        Some(tables) => {
            let counted = Counting::begin("SQL", record.acknowledged());
            let held = tables.hold_to(&made, &record, &|orders| counted.add(orders)).await?;
            counted.end();
            Some(held)
        }
        None => None,
    };
    let audit = access.operator().ask("GET", "audit", None)?;
    let mut api = api;
    api.inconsistencies.append(std::mem::take(&mut record.contradictions));
    Ok(Soaked {
        lasted: stop.at().map_or(options.duration, |at| (at - timeline.began()).min(options.duration)),
        ended_early,
        figures,
        unsent: load.unsent,
        trades: record.trades,
        unanswered,
        api,
        sql,
        audit,
        caught_up: history_took,
        timeline,
        processors,
    })
}

/// Ends the load at the first Ctrl-C, and everything at the second.
fn listen_for_interrupts(stop: Stop) -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
            if stop.at().is_some() {
                std::process::exit(crossbook_venue::process::FAILED.into());
            }
            stop.stop();
            eprintln!("ending the load early; what was acknowledged is reconciled. Once more ends at once");
        }
    });
    Ok(())
}

/// Whether the venue can be soaked at all.
async fn prepared(options: &Soak, access: &Access, orders: u64) -> Result<(), Error> {
    let understood = |what: &str, body: Vec<u8>| -> Result<Value, Error> {
        serde_json::from_slice(&body).map_err(|_| Error::Answer(what.to_owned()))
    };
    let information = understood("exchangeInfo", access.anonymous().read("/api/v3/exchangeInfo").await?)?;
    if let Some(limit) = venue::limit_in_the_way(&information, options.rate.get(), orders, options.accounts.into()) {
        return Err(Error::Limited(limit));
    }
    let ready = understood("readyz", access.observer().read("/readyz").await?)?;
    if ready["history"].is_null() { Err(Error::NoHistory) } else { Ok(()) }
}

/// The load itself, watched.
async fn load(
    options: &Soak,
    access: &Access,
    made: &Made,
    shared: &Shared,
    stop: &Stop,
) -> Result<(crossbook_loadgen::http::Report, Timeline, Processors), Error> {
    let names = Arc::new(made.names.clone());
    let trader = |(at, account): (usize, &venue::Account)| {
        let flow = Trader::new(at, made.accounts.len(), Arc::clone(&names), options.seed, Arc::clone(shared));
        Client { credentials: Some(account.credentials.clone()), flow }
    };
    let clients = made.accounts.iter().enumerate().map(trader).collect();
    let plan = Plan {
        address: access.http,
        pace: Pace::Open(options.rate),
        requests: crossbook_loadgen::http::MAX_REQUESTS,
        duration: options.duration,
        timeout: venue::PATIENCE,
    };
    let before = (own_processor(), vitals(access).await);
    let mut timeline = Timeline::begin(options.duration);
    let load = run_until(plan, clients, stop.clone());
    let load = tokio::select! {
        load = load => load?,
        never = timeline.watch(shared, access) => match never {},
    };
    timeline.end(shared);
    let elapsed = timeline.began().elapsed().as_secs_f64();
    let share = |before: Option<f64>, after: Option<f64>| Some((after? - before?) / elapsed);
    let processors = Processors {
        venue: share(before.1.processor, vitals(access).await.processor),
        generator: share(before.0, own_processor()),
        generator_memory: own_memory(),
    };
    Ok((load, timeline, processors))
}

/// The venue's own figures; nothing if it has none.
async fn vitals(access: &Access) -> Vitals {
    let metrics = access.observer().read("/metrics").await.unwrap_or_default();
    Vitals::read(&String::from_utf8_lossy(&metrics))
}

/// Seconds that this process has had a processor.
fn own_processor() -> Option<f64> {
    crossbook_venue::metrics::Process::read().map(|process| process.processor_seconds)
}

/// Bytes of memory that this process has now.
fn own_memory() -> Option<f64> {
    crossbook_venue::metrics::Process::read().map(|process| process.resident_bytes)
}

/// Waits until the history has everything that the venue has done.
async fn caught_up(access: &Access) -> Result<(), Error> {
    let (mut observer, mut said) = (access.observer(), Instant::now());
    let (mut least, mut moved) = (u64::MAX, Instant::now());
    loop {
        let body = observer.read("/readyz").await?;
        let ready: Value = serde_json::from_slice(&body).map_err(|_| Error::Answer("readyz".to_owned()))?;
        let behind = ready["history"]["lagCommands"].as_u64().ok_or_else(|| Error::Answer("readyz".to_owned()))?;
        if behind == 0 {
            return Ok(());
        }
        if behind < least {
            (least, moved) = (behind, Instant::now());
        }
        if moved.elapsed() > STANDSTILL_MAX {
            return Err(Error::HistoryBehind(behind));
        }
        if said.elapsed() > SAY_EVERY {
            said = Instant::now();
            eprintln!("the history is {behind} commands behind; waiting for it");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Everything over the API, a few accounts at a time.
async fn over_api(access: &Access, made: &Made, record: &record::Record) -> Result<Outcome, Error> {
    let counted = Counting::begin("API", record.acknowledged());
    let count = |orders| counted.add(orders);
    let parts = (0..venue_state::ASKERS).map(|part| {
        let accounts = (part..made.accounts.len()).step_by(venue_state::ASKERS);
        venue_state::over_api(access, made, record, accounts, &count)
    });
    let mut all = Outcome::default();
    for outcome in futures_util::future::try_join_all(parts).await? {
        all.append(outcome);
    }
    counted.end();
    Ok(all)
}

/// Shows how far reading back is.
struct Counting(indicatif::ProgressBar);

impl Counting {
    fn begin(place: &'static str, orders: u64) -> Self {
        let bar = indicatif::ProgressBar::with_draw_target(Some(orders), indicatif::ProgressDrawTarget::stderr());
        if let Ok(style) =
            indicatif::ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} orders, {eta} left")
        {
            bar.set_style(style);
        }
        Self(bar.with_message(place))
    }

    fn add(&self, orders: usize) {
        self.0.inc(orders as u64);
    }

    fn end(self) {
        self.0.finish_and_clear();
    }
}
