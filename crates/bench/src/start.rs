//! `crossbook bench start`: how long a gateway of a cluster with many open orders takes until it answers the depth of a
//! book, and until it takes orders.
//!
//! The venue is made as a log in a folder, exported, and imported into a cluster of its own; a worker takes a snapshot
//! of every partition. Then the gateway is killed and started, again and again, on a machine that also runs the rest of
//! the cluster.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbook_cluster::cut::CutSource as _;
use crossbook_loadgen::http::{Client, Flow as _, Session};
use crossbook_loadgen::operator::{Operator, Trader};
use crossbook_node::snapshot::Saved as _;
use crossbook_report::{Report, Section, Table, Verdict, write_json};
use crossbook_servers::cluster::{IMPORT, LocalCluster, NO_LIMITS, Plan, probe};
use crossbook_types::PartitionId;
use crossbook_venue::cluster::Site;
use crossbook_venue::config::{Config, Flags};
use crossbook_venue::{export, memory};
use indicatif::ProgressBar;
use serde::Serialize;

use super::Error;
use super::growth::Size;
use super::growth::venue::commands;
use super::processor::Used;
use super::recovery::write_log;
use crate::options::start::Start;

/// Between two questions to a gateway that starts.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// An answer that takes longer is given up.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// From when depth must be answered.
const DEPTH_WITHIN: Duration = Duration::from_secs(1);
/// Commands between two snapshots of the worker that takes them at once.
const AT_ONCE: (&str, &str) = ("CROSSBOOK_CLUSTER__SNAPSHOT_INTERVAL_COMMANDS", "1");
/// The gateway.
const GATEWAY: &str = "gateway-0";

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    orders: u32,
    accounts: u32,
    markets: u16,
    partitions: u16,
    shards: u8,
    export_bytes: u64,
    import_seconds: f64,
    snapshot_bytes: u64,
    starts: Vec<Started>,
}

/// One start. Seconds count from when the process was started.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    depth_seconds: f64,
    /// The longest that a question for depth took from then until orders were taken.
    depth_longest_seconds: f64,
    orders_seconds: f64,
    /// Processor time until then.
    processor_seconds: f64,
    memory_bytes: u64,
}

/// Measures what the command line says. Whether every start was fast enough.
///
/// # Errors
/// See [`Error`].
pub fn run(options: &Start, runtime: &tokio::runtime::Runtime) -> Result<bool, Error> {
    memory::clients_on_small_pages();
    let folder = tempfile::tempdir()?;
    let display = ProgressBar::new_spinner();
    display.enable_steady_tick(Duration::from_millis(100));
    let summary = "How long a gateway of a cluster with many open orders takes to start.";
    let mut report = Report::begin("Start of a gateway", summary, Some(folder.path()));
    display.set_message("making a venue");
    let file = make_export(folder.path(), options)?;
    let plan = Plan {
        shards: options.shards.into(),
        partitions: options.partitions,
        workers: 0,
        gateways: 1,
        history: false,
        import: Some(file.clone()),
        settings: NO_LIMITS.to_owned(),
        ..Plan::default()
    };
    // The import ends when something else begins.
    let (mut importing, mut import_seconds) = (None, 0.0);
    let shown = |part: &str| {
        display.set_message(format!("starting {part}"));
        import_seconds = importing.take().map_or(import_seconds, |began: Instant| began.elapsed().as_secs_f64());
        importing = (part == IMPORT).then(Instant::now);
    };
    let mut cluster = LocalCluster::start(&folder.path().join("cluster"), &std::env::current_exe()?, &plan, shown)?;
    let config = Config::load(Some(cluster.config()), Flags::default())?;
    display.set_message("taking snapshots");
    let trader = trader(&cluster)?;
    take_snapshots(&mut cluster, &config)?;
    let snapshot_bytes = size(&folder.path().join("cluster").join("snapshots"))?;
    let mut starts = Vec::new();
    for start in 1..=options.starts {
        display.set_message(format!("start {start} of {}", options.starts));
        starts.push(measure(&mut cluster, &trader, runtime)?);
    }
    display.finish_and_clear();
    let &Start { orders, accounts, markets, partitions, shards, .. } = options;
    let export_bytes = std::fs::metadata(&file)?.len();
    let measured = Measured {
        orders,
        accounts,
        markets,
        partitions,
        shards,
        export_bytes,
        import_seconds,
        snapshot_bytes,
        starts,
    };
    show(&measured, options.seconds_max, &mut report);
    println!("{}", report.text());
    if let Some(path) = &options.output.report {
        report.write(path)?;
    }
    if let Some(path) = &options.output.json {
        write_json(path, &measured)?;
    }
    Ok(report.passed())
}

/// A venue in a folder with what the options say, and its export.
fn make_export(folder: &Path, options: &Start) -> Result<std::path::PathBuf, Error> {
    let data = folder.join("venue");
    let size = Size {
        open_orders: options.orders as usize,
        levels: options.levels as usize,
        accounts: options.accounts as usize,
        markets: options.markets.into(),
    };
    let count = u64::from(options.orders) + 3 * u64::from(options.accounts);
    write_log(&data, commands(size, options.seed), count)?;
    let file = folder.join("venue.export");
    export::write(&Config { data, ..Config::default() }, &file, &mut ())?;
    Ok(file)
}

/// An account that can place orders.
fn trader(cluster: &LocalCluster) -> Result<Trader, Error> {
    let traders = Operator::new(cluster.admin(), cluster.token()).make(1, 1)?;
    traders.into_iter().next().ok_or(Error::Late { what: "an account was opened", within: PATIENCE })
}

/// Has a worker take a snapshot of every partition, and leaves one that does as usual.
fn take_snapshots(cluster: &mut LocalCluster, config: &Config) -> Result<(), Error> {
    let site = Site::find(config)?;
    let ends: Vec<_> = site
        .routing
        .all()
        .map(|partition| Ok((partition, site.confirmed_end(partition).map_err(crossbook_venue::cluster::Error::from)?)))
        .collect::<Result<_, Error>>()?;
    cluster.add_worker("snapshots", vec![(AT_ONCE.0, AT_ONCE.1.to_owned())])?;
    let has_all = |&(partition, end): &(PartitionId, _)| {
        let last = site.snapshots(partition).and_then(|snapshots| Ok(snapshots.list()?.first().copied()));
        last.is_ok_and(|last| last >= Some(end))
    };
    wait("a snapshot of every partition", || ends.iter().all(has_all))?;
    cluster.remove("snapshots");
    cluster.add_worker("worker-0", Vec::new())?;
    Ok(())
}

fn wait(what: &'static str, mut holds: impl FnMut() -> bool) -> Result<(), Error> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > PATIENCE {
            return Err(Error::Late { what, within: PATIENCE });
        }
        std::thread::sleep(ASK_EVERY);
    }
    Ok(())
}

/// Kills the gateway and starts it.
fn measure(cluster: &mut LocalCluster, trader: &Trader, runtime: &tokio::runtime::Runtime) -> Result<Started, Error> {
    cluster.kill(GATEWAY);
    let address = cluster.gateways()[0];
    let (began, is_open) = (Instant::now(), AtomicBool::new(false));
    cluster.tend()?;
    let mut started = Started::default();
    std::thread::scope(|scope| {
        let depth = scope.spawn(|| ask_depth(address, began, &is_open));
        let taken = wait("an order was taken", || runtime.block_on(takes_order(address, trader)));
        started.orders_seconds = began.elapsed().as_secs_f64();
        is_open.store(true, Ordering::Release);
        (started.depth_seconds, started.depth_longest_seconds) = depth.join().map_err(|_| Error::Venue)?;
        taken
    })?;
    let process = cluster.programs().find(|(name, ..)| *name == GATEWAY).and_then(|(.., process)| process);
    let used = Used::of(process.into_iter().map(|process| (GATEWAY.to_owned(), process)));
    started.processor_seconds = used.since(&Used::default(), 1.0).into_values().sum();
    started.memory_bytes = process.and_then(crossbook_servers::memory_max).unwrap_or_default();
    // HAProxy and everything else is back to normal for the next start.
    cluster.wait_until_ready(GATEWAY)?;
    Ok(started)
}

/// When the depth of a book was first answered, and the longest that it took from then until the gateway is open; both
/// in seconds.
fn ask_depth(address: SocketAddr, began: Instant, is_open: &AtomicBool) -> (f64, f64) {
    let (mut first, mut longest) = (None, 0.0_f64);
    // A small venue may be open before its depth is asked for the first time.
    while (first.is_none() || !is_open.load(Ordering::Acquire)) && began.elapsed() < PATIENCE {
        let asked = Instant::now();
        if probe(address, "/api/v3/depth?symbol=M0USDT&limit=20") == Some(200) {
            first.get_or_insert_with(|| began.elapsed().as_secs_f64());
        }
        if first.is_some() {
            longest = longest.max(asked.elapsed().as_secs_f64());
        }
        std::thread::sleep(ASK_EVERY);
    }
    (first.unwrap_or(f64::INFINITY), longest)
}

/// Whether the gateway takes an order.
async fn takes_order(address: SocketAddr, trader: &Trader) -> bool {
    let Client { credentials, mut flow } = trader.client();
    let mut session = Session::new(address, credentials, TIMEOUT);
    let write = |outgoing: crossbook_loadgen::http::Outgoing<'_>| {
        flow.next(0, outgoing).unwrap_or_else(|| unreachable!("it always has another order"))
    };
    session.ask(write).await.is_ok_and(|answer| answer.is_success())
}

/// How many bytes the files in a folder and its folders have.
fn size(folder: &Path) -> Result<u64, Error> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

fn show(measured: &Measured, seconds_max: f64, report: &mut Report) {
    let mut table =
        Table::new(["start", "depth answered after", "longest of these", "orders taken after", "processor", "memory"]);
    for (number, start) in (1..).zip(&measured.starts) {
        table.row([
            number.to_string(),
            format!("{:.2} s", start.depth_seconds),
            format!("{:.2} s", start.depth_longest_seconds),
            format!("{:.2} s", start.orders_seconds),
            format!("{:.1} s", start.processor_seconds),
            format!("{:.0} MB", start.memory_bytes as f64 / 1e6),
        ]);
    }
    let text = format!(
        "{} open orders of {} accounts in {} markets, {} partitions on {} Redis masters with a replica each. The \
         export has {:.0} MB and its import took {:.1} s; the snapshots have {:.0} MB. Everything is on this machine.",
        measured.orders,
        measured.accounts,
        measured.markets,
        measured.partitions,
        measured.shards,
        measured.export_bytes as f64 / 1e6,
        measured.import_seconds,
        measured.snapshot_bytes as f64 / 1e6,
    );
    report.push(Section::new("Starts").text(text).table(table));
    let most = |of: fn(&Started) -> f64| measured.starts.iter().map(of).fold(0.0, f64::max);
    let (depth, orders) = (most(|start| start.depth_seconds), most(|start| start.orders_seconds));
    report.push(Section::new("Verdict").verdicts(vec![
        Verdict::new(
            "depth is answered",
            format!("after {} s at most", DEPTH_WITHIN.as_secs()),
            format!("after {depth:.2} s"),
            depth <= DEPTH_WITHIN.as_secs_f64(),
        ),
        Verdict::new(
            "orders are taken",
            format!("after {seconds_max} s at most"),
            format!("after {orders:.2} s"),
            orders <= seconds_max,
        ),
    ]));
}
