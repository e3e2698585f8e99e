//! Orders at a steady rate through a venue with many resting orders, over its own API, each durable when it is
//! answered; alternately with snapshots and without, so that both see the same machine.

use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use crossbook_loadgen::http::{self, Pace};
use crossbook_loadgen::latency::Latency;
use crossbook_loadgen::operator::{Operator, Trader};
use crossbook_node::follower_copy::FollowerCopy;
use crossbook_node::recovery::Which;
use crossbook_node::snapshot::Folder;
use crossbook_oracle::workload::{GroundTruth, mix_a};
use crossbook_report::{Chart, LATENCY_HEADER, Section, Table, latency_cells};
use crossbook_servers::venue::LocalVenue;
use crossbook_venue::config::Config;
use crossbook_venue::memory;
use serde::Serialize;

use super::{Error, FileReader, Views, log_folder, snapshot_folder, write};
use crate::options::Recovery;

/// Connections, each with an account of its own.
const CONNECTIONS: usize = 64;
/// An answer that takes longer is given up.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often both are measured.
const ROUNDS: usize = 3;

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stalled {
    resting: u64,
    rate: NonZeroU64,
    with: Run,
    without: Run,
    /// By how much p99.9 is longer with snapshots, in milliseconds; the median of the rounds.
    pub added_ms: f64,
    /// How long each snapshot took.
    snapshot_seconds: Vec<f64>,
}

/// Orders under one of the two.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    orders: u64,
    errors: u64,
    /// Of each round.
    p999_ms: Vec<f64>,
    max_ms: Vec<f64>,
    #[serde(skip)]
    latency: Latency,
}

/// Measures it in `folder`.
///
/// # Errors
/// See [`Error`].
pub fn measure(folder: &Path, options: &Recovery, runtime: &tokio::runtime::Runtime) -> Result<Stalled, Error> {
    memory::clients_on_small_pages();
    let data = folder.join("venue");
    let resting = usize::try_from(options.resting).unwrap_or(usize::MAX);
    let end = write(&data, &mix_a(GroundTruth::SEED_A, resting, 0), u64::MAX)?;
    let read = |from| FileReader::open(&log_folder(&data), from);
    let mut snapshots = Folder::open(&snapshot_folder(&data))?;
    let empty = Views::new(Config::default().views);
    FollowerCopy::begin(&Which::single(0), &snapshots, read, end, empty, || ())?.save(&mut snapshots, || ())?;

    // Several snapshots in each run, one after the other.
    let every = options.rate.get() * 4;
    let mut stalled = Stalled {
        resting: options.resting,
        rate: options.rate,
        with: Run::default(),
        without: Run::default(),
        added_ms: 0.0,
        snapshot_seconds: Vec::new(),
    };
    for round in 1..=ROUNDS {
        for (what, every) in [("without snapshots", 0), ("with snapshots", every)] {
            let display =
                indicatif::ProgressBar::new_spinner().with_message(format!("round {round} of {ROUNDS}, {what}"));
            display.enable_steady_tick(Duration::from_millis(100));
            let run = if every == 0 { &mut stalled.without } else { &mut stalled.with };
            load(folder, options, runtime, every, run)?;
            display.finish_and_clear();
        }
    }
    stalled.snapshot_seconds = taken(&folder.join("venue.log"))?;
    let pairs = stalled.with.p999_ms.iter().zip(&stalled.without.p999_ms);
    let mut differences: Vec<f64> = pairs.map(|(with, without)| with - without).collect();
    differences.sort_by(f64::total_cmp);
    stalled.added_ms = differences[differences.len() / 2];
    Ok(stalled)
}

/// One round: the venue is started, loaded, and stopped.
fn load(
    folder: &Path,
    options: &Recovery,
    runtime: &tokio::runtime::Runtime,
    every: u64,
    run: &mut Run,
) -> Result<(), Error> {
    let every = every.to_string();
    // The history would first have to write down a million orders that nobody placed.
    let settings = [
        ("CROSSBOOK_SNAPSHOTS__INTERVAL_COMMANDS", every.as_str()),
        ("CROSSBOOK_SNAPSHOTS__CHECK_INTERVAL_MS", "100"),
        ("CROSSBOOK_HISTORY__DATABASE", "none"),
    ];
    let venue = LocalVenue::start(folder, &std::env::current_exe()?, &settings)?;
    let traders = Operator::new(venue.admin(), venue.token()).make(1, CONNECTIONS)?;
    let go = |seconds: u32| {
        let plan = http::Plan {
            address: venue.http(),
            pace: Pace::Open(options.rate),
            requests: u64::from(u32::MAX),
            duration: Duration::from_secs(seconds.into()),
            timeout: TIMEOUT,
        };
        runtime.block_on(http::run(plan, traders.iter().map(Trader::client).collect()))
    };
    // The venue of the round before has just ended, and a virtual machine gives what was its memory to the host within
    // the next ten seconds or so, while the disk stands still again and again.
    if options.warm_up_seconds > 0 {
        go(options.warm_up_seconds)?;
    }
    let report = go(options.seconds)?;
    let latency = report.latency.summary();
    run.orders += report.succeeded;
    run.errors += report.unsent + report.errors.iter().map(|error| error.count).sum::<u64>();
    run.p999_ms.push(latency.p999_ns as f64 / 1e6);
    run.max_ms.push(latency.max_ns as f64 / 1e6);
    run.latency.merge(&report.latency);
    Ok(())
}

/// How many seconds each snapshot took, by the venue's own word. The last one of each run, at its stop, is not told of
/// in this way.
fn taken(log: &Path) -> Result<Vec<f64>, Error> {
    let lines = std::fs::read_to_string(log)?;
    let seconds = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["message"] == "snapshot taken").then(|| line["seconds"].as_f64()).flatten()
    };
    Ok(lines.lines().filter_map(seconds).collect())
}

impl Stalled {
    /// What it comes to, for a report.
    pub fn section(&self) -> Section {
        let mut table = Table::new(["orders"].into_iter().chain(LATENCY_HEADER).chain(["errors"]));
        for (name, run) in [("no snapshots", &self.without), ("snapshots, one after the other", &self.with)] {
            let cells = latency_cells(&run.latency);
            table.row([name.to_owned()].into_iter().chain(cells).chain([run.errors.to_string()]));
        }
        let longest = self.snapshot_seconds.iter().copied().fold(0.0, f64::max);
        let text = format!(
            "{} orders/s over REST at a venue with {} resting orders, {ROUNDS} rounds of each in turn. {} snapshots \
             were taken meanwhile, in {longest:.1} s at most. p99.9 of the rounds, in milliseconds: {} without, {} \
             with.",
            self.rate,
            self.resting,
            self.snapshot_seconds.len(),
            listed(&self.without.p999_ms),
            listed(&self.with.p999_ms),
        );
        let curves = [("no snapshots", &self.without.latency), ("snapshots", &self.with.latency)];
        Section::new("What snapshots cost")
            .text(text)
            .table(table)
            .chart(Chart::percentiles("Latency of an order", curves))
    }
}

fn listed(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.1}")).collect::<Vec<_>>().join(", ")
}
