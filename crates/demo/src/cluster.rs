//! A whole cluster on this machine, with all roles and servers, for trials.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbook_servers::cluster::{LocalCluster, Plan};
use crossbook_venue::process;

/// How often it checks whether a process has died.
const TEND_EVERY: Duration = Duration::from_millis(200);

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part of it does not start.
    #[error(transparent)]
    Cluster(#[from] crossbook_servers::cluster::Error),
    /// The thread that starts it has panicked.
    #[error("the cluster was not started, because of a panic that is reported above")]
    Panicked,
    /// The system refused.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// Runs a cluster until the process is asked to stop, in a folder, or in a temporary one that is deleted at the end.
///
/// # Errors
/// When a part of it does not start.
pub fn run(folder: Option<&Path>, plan: Plan) -> Result<(), Error> {
    let mut temporary = None;
    let folder: PathBuf = match folder {
        Some(folder) => folder.to_owned(),
        None => temporary.insert(tempfile::tempdir()?).path().to_owned(),
    };
    let binary = std::env::current_exe()?;
    process::runtime()?.block_on(async {
        let stop = process::stop_requested(|| ())?;
        let shown = indicatif::ProgressBar::new_spinner();
        shown.enable_steady_tick(Duration::from_millis(100));
        let start = {
            let (folder, shown) = (folder.clone(), shown.clone());
            move || LocalCluster::start(&folder, &binary, &plan, |part| shown.set_message(format!("starting {part}")))
        };
        // The threads that start processes must live as long as these do, so the cluster has one of its own.
        let (asked, asks) = std::sync::mpsc::channel::<()>();
        let (tell, told) = tokio::sync::oneshot::channel();
        let tending = std::thread::Builder::new().name("cluster".to_owned()).spawn(move || {
            let mut cluster = match start() {
                Ok(cluster) => cluster,
                Err(error) => {
                    let _ = tell.send(Err(error));
                    return;
                }
            };
            let _ = tell.send(Ok(instructions(&cluster)));
            while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = asks.recv_timeout(TEND_EVERY) {
                match cluster.tend() {
                    Ok(started) => {
                        started.iter().for_each(|name| say(&format!("{name} had died; it is started again")))
                    }
                    Err(error) => say(&format!("something has died and does not start: {error}")),
                }
            }
        })?;
        let started = told.await;
        shown.finish_and_clear();
        match started {
            Ok(Ok(text)) => crossbook_report::print(&text)?,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(Error::Panicked),
        }
        stop.await;
        say("stopping");
        drop(asked);
        let _ = tokio::task::spawn_blocking(move || tending.join()).await;
        Ok(())
    })
}

/// Writes a line to standard error. A terminal that is closed is no reason to end out of order, as `eprintln!` would.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Where everything is, and what to try.
fn instructions(cluster: &LocalCluster) -> String {
    use std::fmt::Write as _;
    let (http, admin, token) = (cluster.http(), cluster.admin(), cluster.token());
    let program = std::env::args().next().unwrap_or_else(|| "crossbook".to_owned());
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "The cluster runs.\n");
    let _ = writeln!(text, "  client API (HAProxy)  http://{http}");
    let _ = writeln!(text, "  admin API (HAProxy)   http://{admin}   bearer token {token}");
    let _ = writeln!(text, "  settings              {}", cluster.config().display());
    if let Some(database) = cluster.database() {
        let _ = writeln!(text, "  history               {database}");
    }
    for url in cluster.redis.urls() {
        let _ = writeln!(text, "  Redis                 {url}");
    }
    for (name, probe, process) in cluster.programs() {
        let process = process.map_or_else(|| "-".to_owned(), |process| process.to_string());
        let _ = writeln!(text, "  {name:<21} http://{probe}   process {process}");
    }
    let steps = first_steps(&program, admin, token);
    let _ = writeln!(
        text,
        "\nAdd a market and fund an account:\n\n{steps}\n\
         Kill any of these processes and watch: it is started again, and nothing is lost. Ctrl-C stops everything."
    );
    text
}

/// Lines for a shell that add a market and fund an account, as `program` prints them.
#[must_use]
pub fn first_steps(program: &str, admin: impl std::fmt::Display, token: &str) -> String {
    format!(
        "  export CROSSBOOK_ADMIN_TOKEN={token} CROSSBOOK_ADMIN_URL=http://{admin}\n  \
         {program} admin assets add BTC --decimals 8\n  \
         {program} admin assets add USDT --decimals 8\n  \
         {program} admin markets add BTCUSDT --base BTC --quote USDT --tick-size 0.01 --step-size 0.00001\n  \
         {program} admin accounts open --label alice\n  \
         {program} admin deposit 1001 USDT 100000 --transfer-id first\n  \
         {program} admin keys issue 1001 --permissions READ,TRADE\n"
    )
}
