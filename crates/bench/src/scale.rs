//! `crossbook bench scale`: how the throughput of a cluster grows with its processes, if each is on a small machine of
//! its own: a control group with a fixed slice of a processor.
//!
//! Every shape doubles shards, gateways and workers, and changes nothing else. Of each the highest rate is searched at
//! which p99 stays under a limit. The load generator is outside of the groups, so a shape is measured and not the
//! machine, as long as all of it fits.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crossbook_loadgen::http::{self, Pace};
use crossbook_loadgen::operator::{Operator, Trader};
use crossbook_report::{Report, Section, Table, Verdict, write_json};
use crossbook_servers::cluster::{LocalCluster, NO_LIMITS, Plan};
use crossbook_servers::slices::Slices;
use crossbook_venue::memory;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Serialize;

use super::Error;
use super::processor::Used;
use crate::options::scale::{Scale, Shares};

/// An answer that takes longer is given up.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much of what is due must be done, for a rate to be sustained.
const DONE_MIN: f64 = 0.98;
/// By how much the rate grows while it is sustained, and by how much it shrinks until one is.
const GROWTH: f64 = 1.4;
const SHRINKING: f64 = 2.0;
/// How many rates are tried at most, and how many before the first that is sustained.
const STEPS_MAX: usize = 24;
const SHRINKING_STEPS_MAX: usize = 5;
/// How often a rate is tried before it counts as not sustained: a machine has hiccups. Not if it is as far off as that.
const TRIES: usize = 2;
const FAR_OFF: f64 = 2.0;
/// Milliseconds until Redis takes a master for dead: longer than a process with a small slice stands still.
const NODE_TIMEOUT_MS: u64 = 5_000;
/// Seconds of load before the first measurement, at the first rate.
const WARM_UP: Duration = Duration::from_secs(2);

/// What one shape can do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    /// How many times the processes of the smallest shape.
    times: u8,
    /// All slices together.
    processors: f64,
    /// The highest rate that was sustained; none if not even the lowest was.
    highest: Option<Trial>,
    /// In times of the shape before.
    ratio: Option<f64>,
    /// How many rates were tried.
    trials: usize,
}

/// One rate for a while.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Trial {
    rate: u64,
    orders_per_second: f64,
    errors: u64,
    p50_ms: f64,
    p99_ms: f64,
    /// Processors that each role has used on average, all its processes together.
    processors: BTreeMap<String, f64>,
}

impl Trial {
    fn is_sustained(&self, limit_ms: f64) -> bool {
        self.errors == 0 && self.orders_per_second >= self.rate as f64 * DONE_MIN && self.p99_ms < limit_ms
    }

    /// Whether trying again is of no use.
    fn is_far_off(&self, limit_ms: f64) -> bool {
        self.orders_per_second * FAR_OFF < self.rate as f64 || self.p99_ms > limit_ms * FAR_OFF
    }
}

/// Measures what the command line says. Whether it scales.
///
/// # Errors
/// See [`Error`].
pub fn run(options: &Scale, runtime: &tokio::runtime::Runtime) -> Result<bool, Error> {
    memory::clients_on_small_pages();
    // What is missing is told before anything is started.
    drop(Slices::open(Duration::from_micros(options.period_us))?);
    let summary = "What a cluster can do with one, two and four times the processes, each on a slice of a processor.";
    let mut report = Report::begin("Scaling of a cluster", summary, Some(&std::env::temp_dir()));
    let mut measured: Vec<Measured> = Vec::new();
    for &times in &options.shapes {
        let before = measured.last().and_then(|shape| Some((shape.times, shape.highest.as_ref()?.orders_per_second)));
        let mut shape = shape(options, runtime, times, before)?;
        let now = shape.highest.as_ref().map(|trial| trial.orders_per_second);
        shape.ratio = before.zip(now).map(|((_, before), now)| now / before);
        measured.push(shape);
    }
    show(options, &measured, &mut report);
    println!("{}", report.text());
    if let Some(path) = &options.output.report {
        report.write(path)?;
    }
    if let Some(path) = &options.output.json {
        write_json(path, &measured)?;
    }
    Ok(report.passed())
}

/// Searches the highest rate of one shape. `before` is how large the shape before was, and what it did.
fn shape(
    options: &Scale,
    runtime: &tokio::runtime::Runtime,
    times: u8,
    before: Option<(u8, f64)>,
) -> Result<Measured, Error> {
    let display = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    display.enable_steady_tick(Duration::from_millis(100));
    let folder = tempfile::tempdir()?;
    let further = options.settings.as_ref().map(std::fs::read_to_string).transpose()?.unwrap_or_default();
    let plan = Plan {
        shards: times.into(),
        replicas: options.replicas.into(),
        partitions: options.partitions,
        workers: times.into(),
        standby: false,
        gateways: times.into(),
        history: false,
        node_timeout_ms: NODE_TIMEOUT_MS,
        settings: format!(
            "{NO_LIMITS}[cluster.log_client]\nturn_interval_us = {}\n{further}\n",
            options.turn_interval_us
        ),
        ..Plan::default()
    };
    let start = |part: &str| display.set_message(format!("starting {part}"));
    let cluster = LocalCluster::start(&folder.path().join("cluster"), &std::env::current_exe()?, &plan, start)?;
    display.set_message("making accounts");
    let accounts = usize::from(options.connections) * usize::from(times);
    let operator = Operator::new(cluster.admin(), cluster.token());
    let traders = operator.make(usize::from(options.partitions), accounts)?;
    let slices = confine(options, &cluster, times)?;
    let mut trials = 0;
    let mut trial = |rate: u64, seconds: Duration| -> Result<Trial, Error> {
        trials += 1;
        display.set_message(format!("{times} times: {rate} orders/s"));
        let trial = load(runtime, &cluster, &traders, rate, seconds)?;
        display.suspend(|| eprintln!("{times} times: {}", line(&trial)));
        Ok(trial)
    };
    let first = before
        .map_or(options.first_rate.get(), |(size, rate)| (rate * f64::from(times) / f64::from(size) / GROWTH) as u64);
    trial(first, WARM_UP)?;
    let seconds = Duration::from_secs(options.seconds.into());
    let highest = search(first, f64::from(options.precision_percent) / 100.0, |rate| {
        for _ in 0..TRIES {
            let trial = trial(rate, seconds)?;
            if trial.is_sustained(options.p99_ms) {
                return Ok(Some(trial));
            }
            if trial.is_far_off(options.p99_ms) {
                break;
            }
        }
        Ok::<_, Error>(None)
    })?;
    drop(slices);
    display.finish_and_clear();
    let processors = options.slices.sum(options.replicas) * f64::from(times);
    Ok(Measured { times, processors, highest, ratio: None, trials })
}

/// Puts every process of the cluster into a group of its own.
fn confine(options: &Scale, cluster: &LocalCluster, times: u8) -> Result<Slices, Error> {
    let mut slices = Slices::open(Duration::from_micros(options.period_us))?;
    let Shares { master, replica, gateway, worker, haproxy } = options.slices;
    for node in 0..cluster.redis.nodes() {
        let share = if node < usize::from(times) { master } else { replica };
        if let Some(process) = cluster.redis.process(node) {
            slices.confine(&format!("redis-{node}"), process, share)?;
        }
    }
    for (name, _, process) in cluster.programs() {
        let share = match name.split('-').next() {
            Some("gateway") => gateway,
            Some("haproxy") => haproxy * f64::from(times),
            _ => worker,
        };
        if let Some(process) = process {
            slices.confine(name, process, share)?;
        }
    }
    Ok(slices)
}

/// The highest rate that is sustained, to a precision: first it grows until it is not, then between the two. If
/// the first is not, it shrinks a few times.
fn search<T, E>(
    first: u64,
    precision: f64,
    mut sustained: impl FnMut(u64) -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let (mut best, mut low, mut high) = (None, 0.0, f64::INFINITY);
    let mut rate = first.max(1) as f64;
    for step in 1..=STEPS_MAX {
        match sustained(rate.round() as u64)? {
            Some(trial) => (best, low) = (Some(trial), rate),
            None => high = rate,
        }
        if low > 0.0 && high.is_finite() {
            if high / low <= 1.0 + precision {
                break;
            }
            rate = (low * high).sqrt();
        } else {
            rate = if low > 0.0 { low * GROWTH } else { high / SHRINKING };
        }
        if rate < 1.0 || (low == 0.0 && step == SHRINKING_STEPS_MAX) {
            break;
        }
    }
    Ok(best)
}

fn load(
    runtime: &tokio::runtime::Runtime,
    cluster: &LocalCluster,
    traders: &[Trader],
    rate: u64,
    duration: Duration,
) -> Result<Trial, Error> {
    let pace = Pace::Open(NonZeroU64::new(rate).unwrap_or(NonZeroU64::MIN));
    let plan = http::Plan { address: cluster.http(), pace, requests: http::MAX_REQUESTS, duration, timeout: TIMEOUT };
    let (before, started) = (used(cluster), Instant::now());
    let report = runtime.block_on(http::run(plan, traders.iter().map(Trader::client).collect()))?;
    let processors = used(cluster).since(&before, started.elapsed().as_secs_f64());
    let latency = report.latency.summary();
    Ok(Trial {
        rate,
        orders_per_second: report.throughput(),
        errors: report.unsent + report.errors.iter().map(|error| error.count).sum::<u64>(),
        p50_ms: latency.p50_ns as f64 / 1e6,
        p99_ms: latency.p99_ns as f64 / 1e6,
        processors,
    })
}

/// What everything has used so far, by role.
fn used(cluster: &LocalCluster) -> Used {
    let masters = cluster.programs().filter(|(name, ..)| name.starts_with("gateway")).count();
    let redis = (0..cluster.redis.nodes()).filter_map(|node| {
        // There are as many masters as gateways.
        let role = if node < masters { "master" } else { "replica" };
        Some((role.to_owned(), cluster.redis.process(node)?))
    });
    let programs = cluster.programs().filter_map(|(name, _, process)| {
        let role = name.split('-').next().unwrap_or(name);
        Some((role.to_owned(), process?))
    });
    Used::of(redis.chain(programs).chain([(LOAD.to_owned(), std::process::id())]))
}

/// What this process is called in the tables.
const LOAD: &str = "load";
/// The roles, in the order of the tables.
const ROLES: [&str; 6] = ["master", "replica", "gateway", "worker", "haproxy", LOAD];

fn line(trial: &Trial) -> String {
    let roles = ROLES.map(|role| format!("{role} {:.3}", trial.processors.get(role).copied().unwrap_or_default()));
    format!(
        "{} due/s, {:.0} orders/s, p50 {:.1}, p99 {:.1} ms, {} errors; {}",
        trial.rate,
        trial.orders_per_second,
        trial.p50_ms,
        trial.p99_ms,
        trial.errors,
        roles.join(", ")
    )
}

fn show(options: &Scale, measured: &[Measured], report: &mut Report) {
    let mut table = Table::new(
        ["shards, gateways, workers", "orders/s", "ratio", "p50, p99", "processors in slices"].into_iter().chain(ROLES),
    );
    for shape in measured {
        let mut row = vec![format!("{0}, {0}, {0}", shape.times)];
        match &shape.highest {
            Some(trial) => {
                row.push(format!("{:.0}", trial.orders_per_second));
                row.push(shape.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")));
                row.push(format!("{:.1}, {:.1} ms", trial.p50_ms, trial.p99_ms));
                row.push(format!("{:.2}", shape.processors));
                row.extend(ROLES.map(|role| format!("{:.2}", trial.processors.get(role).copied().unwrap_or_default())));
            }
            None => row.push("none sustained".to_owned()),
        }
        table.row(row);
    }
    let text = format!(
        "The highest rate with p99 under {} ms, no errors and {} % of what is due done, within {} %, in trials of {} s. \
         Each process has a slice of a processor ({}), anew every {} ms or when it comes to a millisecond; HAProxy is \
         one process, whose slice grows with the shape. A turn interval of {} µs, and {} partitions, in every shape; \
         orders over REST, accounts and markets mostly in different partitions. A column for each role: the processors \
         that its processes have used together. The load is outside of the slices.",
        options.p99_ms,
        DONE_MIN * 100.0,
        options.precision_percent,
        options.seconds,
        options.slices,
        options.period_us as f64 / 1e3,
        options.turn_interval_us,
        options.partitions,
    );
    report.push(Section::new("Shapes").text(text).table(table));
    report.push(Section::new("Verdict").verdicts(verdicts(options, measured)));
}

/// A shape that is twice the one before must bring the wanted ratio, another one in proportion.
fn verdicts(options: &Scale, measured: &[Measured]) -> Vec<Verdict> {
    let pair = |pair: &[Measured]| {
        let [before, shape] = pair else { return None };
        let doublings = (f64::from(shape.times) / f64::from(before.times)).log2();
        let wanted = options.ratio_min.powf(doublings);
        Some(Verdict::new(
            format!("from {} to {} of each", before.times, shape.times),
            format!("at least {wanted:.2} times as much"),
            shape.ratio.map_or_else(|| "not measured".to_owned(), |ratio| format!("{ratio:.2} times")),
            shape.ratio.is_some_and(|ratio| ratio >= wanted),
        ))
    };
    measured.windows(2).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_the_limit_from_below_and_from_above() {
        for first in [10, 900, 5_000] {
            let mut tried = 0;
            let found = search(first, 0.02, |rate| {
                tried += 1;
                Ok::<_, ()>((rate <= 1_000).then_some(rate))
            });
            let found = found.expect("no error").expect("some rate is sustained");
            assert!((980..=1_000).contains(&found), "{found}");
            assert!(tried <= STEPS_MAX);
        }
        assert_eq!(search(100, 0.02, |_| Ok::<Option<u64>, ()>(None)), Ok(None));
    }
}
