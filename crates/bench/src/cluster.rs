//! `crossbook bench cluster`: durable, replicated orders through the load balancer of a whole cluster on this machine,
//! and the CPU time of an order by role.
//!
//! The load runs in this process and shares the CPUs with everything else, so the rate is that of the machine.
//! Therefore the cost of an order is reported beside it: with more machines, that is what must not grow.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crossbook_loadgen::http::{self, Pace, Report};
use crossbook_loadgen::operator::{Operator, Trader};
use crossbook_report::write_json;
use crossbook_servers::cluster::NO_LIMITS;
use crossbook_servers::cluster::{LocalCluster, Plan};
use crossbook_venue::memory;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Serialize;

use super::Error;
use super::processor::Used;
use crate::options::{Cluster, Rate};

/// An answer that takes longer is given up.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most requests in one measurement.
const REQUESTS_MAX: u64 = 1 << 32;

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    shards: u8,
    replicas: u8,
    partitions: u16,
    workers: u8,
    gateways: u8,
    standby: bool,
    markets: usize,
    /// Orders a second that were sent; none: as many as could be.
    rate: Option<NonZeroU64>,
    orders: u64,
    errors: u64,
    orders_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Microseconds of processor time for each order, by role.
    cpu_micros: BTreeMap<String, f64>,
    /// The same over all roles but the load itself.
    cpu_micros_venue: f64,
}

/// Measures what the command line says.
///
/// # Errors
/// See [`Error`].
pub fn run(options: &Cluster, runtime: &tokio::runtime::Runtime) -> Result<(), Error> {
    memory::clients_on_small_pages();
    let mut report = Vec::new();
    println!(
        "{:>6} {:>10} {:>7} {:>7} {:>8} {:>8} {:>8} {:>6}  processor time for each order, in microseconds",
        "shards", "partitions", "workers", "rate", "orders/s", "p50 ms", "p99 ms", "errors"
    );
    for &shards in &options.shards {
        for &partitions in &options.partitions {
            for &workers in &options.workers {
                report.extend(layout(options, runtime, shards, partitions, workers)?);
            }
        }
    }
    options.json.as_deref().map_or(Ok(()), |path| Ok(write_json(path, &report)?))
}

/// Measures one layout at every rate.
fn layout(
    options: &Cluster,
    runtime: &tokio::runtime::Runtime,
    shards: u8,
    partitions: u16,
    workers: u8,
) -> Result<Vec<Measured>, Error> {
    let display = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    display.enable_steady_tick(Duration::from_millis(100));
    let folder = tempfile::tempdir()?;
    let plan = Plan {
        shards: shards.into(),
        replicas: options.replicas.into(),
        partitions,
        workers: workers.into(),
        standby: !options.no_standby,
        gateways: options.gateways.into(),
        history: options.history,
        settings: NO_LIMITS.to_owned(),
        ..Plan::default()
    };
    let binary = std::env::current_exe()?;
    let start = |part: &str| display.set_message(format!("starting {part}"));
    let cluster = LocalCluster::start(&folder.path().join("cluster"), &binary, &plan, start)?;
    let markets = options.markets.unwrap_or(usize::from(partitions));
    display.set_message("making accounts");
    let traders = Operator::new(cluster.admin(), cluster.token()).make(markets, options.connections)?;
    display.set_message("warming up");
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    load(runtime, &cluster, &traders, Pace::Closed, seconds(options.warmup_seconds))?;
    let mut rows = Vec::new();
    for &Rate(rate) in &options.rates {
        let pace = rate.map_or(Pace::Closed, Pace::Open);
        display
            .set_message(rate.map_or_else(|| "as many orders as can be".to_owned(), |rate| format!("{rate} orders/s")));
        let (before, started) = (used(&cluster), Instant::now());
        let report = load(runtime, &cluster, &traders, pace, seconds(options.seconds))?;
        let elapsed = started.elapsed().as_secs_f64();
        let orders = report.succeeded.max(1) as f64;
        let micros = |share: f64| share * elapsed * 1e6 / orders;
        let cpu_micros: BTreeMap<String, f64> =
            used(&cluster).since(&before, elapsed).into_iter().map(|(role, share)| (role, micros(share))).collect();
        let latency = report.latency.summary();
        let row = Measured {
            shards,
            replicas: options.replicas,
            partitions,
            workers,
            gateways: options.gateways,
            standby: plan.standby && workers > 1,
            markets,
            rate,
            orders: report.succeeded,
            errors: report.unsent + report.errors.iter().map(|error| error.count).sum::<u64>(),
            orders_per_second: report.throughput(),
            p50_ms: latency.p50_ns as f64 / 1e6,
            p99_ms: latency.p99_ns as f64 / 1e6,
            cpu_micros_venue: cpu_micros.iter().filter(|(role, _)| *role != LOAD).map(|(_, micros)| micros).sum(),
            cpu_micros,
        };
        display.suspend(|| println!("{}", line(&row)));
        rows.push(row);
    }
    display.finish_and_clear();
    Ok(rows)
}

/// What this process is called in the tables.
const LOAD: &str = "load";

fn line(row: &Measured) -> String {
    let roles =
        row.cpu_micros.iter().map(|(role, micros)| format!("{role} {micros:.0}")).collect::<Vec<_>>().join(", ");
    format!(
        "{:>6} {:>10} {:>7} {:>7} {:>8.0} {:>8.2} {:>8.2} {:>6}  {:.0} without the load: {roles}",
        row.shards,
        row.partitions,
        row.workers,
        row.rate.map_or_else(|| "max".to_owned(), |rate| rate.to_string()),
        row.orders_per_second,
        row.p50_ms,
        row.p99_ms,
        row.errors,
        row.cpu_micros_venue,
    )
}

fn load(
    runtime: &tokio::runtime::Runtime,
    cluster: &LocalCluster,
    traders: &[Trader],
    pace: Pace,
    duration: Duration,
) -> Result<Report, Error> {
    let plan = http::Plan { address: cluster.http(), pace, requests: REQUESTS_MAX, duration, timeout: TIMEOUT };
    Ok(runtime.block_on(http::run(plan, traders.iter().map(Trader::client).collect()))?)
}

/// What everything has used so far, by role.
fn used(cluster: &LocalCluster) -> Used {
    let roles = cluster.programs().filter_map(|(name, _, process)| {
        let role = name.split('-').next().unwrap_or(name);
        process.map(|process| (role.to_owned(), process))
    });
    let redis = cluster.redis.processes().into_iter().map(|process| ("Redis".to_owned(), process));
    let database =
        cluster.mariadb.as_ref().and_then(|server| server.process()).map(|process| ("MariaDB".to_owned(), process));
    let own = (LOAD.to_owned(), std::process::id());
    Used::of(roles.chain(redis).chain(database).chain([own]))
}
