//! The result, as a report and as figures for programs.

use crossbook_loadgen::latency::{Latency, Summary};
use crossbook_oracle::workload::Tally;
use crossbook_report::{
    Axis, Chart, LATENCY_HEADER, Machine, Report, Section, Series, Table, Unit, Verdict, latency_cells, write_json,
};
use serde::Serialize;

use super::memory::Taken;
use super::streams::Stream;
use super::{Error, What};
use crate::options::Matching;

/// What was measured of one stream.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Measured {
    workload: String,
    warmup: usize,
    commands: usize,
    trades: u64,
    volume: u64,
    notional: u64,
    trade_hash: String,
    /// Who says that these are the right trades.
    verified_by: &'static str,
    verified: bool,
    faults: Vec<String>,
    /// The median of all passes.
    commands_per_second: f64,
    passes: Vec<f64>,
    latency_ns: LatencyNs,
    /// How much of each latency is the clock's.
    timer_ns: u64,
    #[serde(skip)]
    course: Vec<(f64, f64)>,
    #[serde(skip)]
    latency: Latency,
}

/// Percentiles as programs want them.
#[derive(Debug, Clone, Copy, Serialize)]
struct LatencyNs {
    p50: u64,
    p99: u64,
    p999: u64,
    p9999: u64,
    max: u64,
}

impl From<Summary> for LatencyNs {
    fn from(summary: Summary) -> Self {
        Self {
            p50: summary.p50_ns,
            p99: summary.p99_ns,
            p999: summary.p999_ns,
            p9999: summary.p9999_ns,
            max: summary.max_ns,
        }
    }
}

impl Measured {
    pub(super) fn new(
        stream: &Stream,
        tally: Tally,
        passes: Vec<f64>,
        course: Vec<(f64, f64)>,
        latency: Latency,
        timer_ns: u64,
        faults: Vec<String>,
    ) -> Self {
        let Tally { trades, volume, notional, hash } = tally;
        Self {
            workload: stream.name.clone(),
            warmup: stream.workload.warmup,
            commands: stream.workload.commands.len() - stream.workload.warmup,
            trades,
            volume,
            notional,
            trade_hash: format!("{hash:016x}"),
            verified_by: stream.authority,
            verified: faults.is_empty(),
            faults,
            commands_per_second: passes.get(passes.len() / 2).copied().unwrap_or_default(),
            passes,
            latency_ns: latency.summary().into(),
            timer_ns,
            course,
            latency,
        }
    }

    #[cfg(test)]
    pub(super) fn trades(&self) -> u64 {
        self.trades
    }

    #[cfg(test)]
    pub(super) fn is_verified(&self) -> bool {
        self.verified
    }
}

/// Everything in one object. The figures of the first stream stand in it by themselves too, since often there is only
/// one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    what: &'static str,
    #[serde(flatten)]
    first: Option<&'a Measured>,
    workloads: &'a [Measured],
    bytes_per_resting_order: Option<f64>,
    memory: &'a [Taken],
    command_line: &'a str,
    began: &'a str,
    machine: &'a Machine,
}

/// Prints and keeps the results. Tells whether all trades were right.
///
/// # Errors
/// When they cannot be written.
pub(super) fn tell(what: What, options: &Matching, measured: &[Measured], memory: &[Taken]) -> Result<bool, Error> {
    let (title, summary, name) = match what {
        What::Book => (
            "The order book on one thread",
            "Price-time priority over a book and an index of ids: no accounts, no money, no events, no log, no \
             network.",
            "book",
        ),
        What::Engine => (
            "The engine on one thread",
            "A whole partition: 400 accounts, holds, fees, double entry, events. No log, no network. It offers no \
             move, so a move is a cancel and a new order, timed as one.",
            "engine",
        ),
    };
    let mut report = Report::begin(title, summary, None);
    report.push(trades(measured));
    report.push(throughput(measured));
    report.push(latency(measured));
    if !memory.is_empty() {
        report.push(bytes(memory));
    }
    crossbook_report::print(&report.text())?;
    if let Some(path) = &options.output.report {
        report.write(path)?;
    }
    if let Some(path) = &options.output.json {
        let json = Json {
            what: name,
            first: measured.first(),
            workloads: measured,
            bytes_per_resting_order: memory.last().map(|taken| taken.bytes_per_order),
            memory,
            command_line: report.command_line(),
            began: report.began(),
            machine: report.machine(),
        };
        write_json(path, &json)?;
    }
    Ok(report.passed())
}

fn trades(measured: &[Measured]) -> Section {
    let mut table = Table::new(["", "commands", "trades", "volume", "notional", "trade hash"]);
    let mut verdicts = Vec::new();
    for one in measured {
        let numbers = [one.commands as u64, one.trades, one.volume, one.notional].map(|n| Unit::Count.show(n as f64));
        table.row([&one.workload].into_iter().chain(&numbers).chain([&one.trade_hash]));
        let found = if one.verified { "they are".to_owned() } else { one.faults.join("; ") };
        let wanted = format!("those of {}", one.verified_by);
        verdicts.push(Verdict::new(format!("trades of {}", one.workload), wanted, found, one.verified));
    }
    Section::new("Trades").text("After the warm-up; the same in every pass.").table(table).verdicts(verdicts)
}

fn throughput(measured: &[Measured]) -> Section {
    let mut table = Table::new(["", "commands/s", "slowest pass", "fastest pass", "passes"]);
    for one in measured {
        let ends = [one.commands_per_second, one.passes[0], one.passes[one.passes.len() - 1]];
        let rates = ends.map(|rate| Unit::Count.show(rate));
        table.row([one.workload.clone()].into_iter().chain(rates).chain([one.passes.len().to_string()]));
    }
    let series = measured.iter().map(|one| Series::new(&one.workload, one.course.clone())).collect();
    let axes = (Axis::linear("commands done", Unit::Count), Axis::linear("commands a second", Unit::PerSecond));
    Section::new("Throughput")
        .text(
            "The median of all passes, by the time that the thread had a processor. Making the commands and checking \
             the trades is not timed.",
        )
        .table(table)
        .chart(Chart::lines("Throughput over a pass", axes.0, axes.1, series))
}

fn latency(measured: &[Measured]) -> Section {
    let mut table = Table::new([""].into_iter().chain(LATENCY_HEADER));
    for one in measured {
        table.row([one.workload.clone()].into_iter().chain(latency_cells(&one.latency)));
    }
    let timer = measured.iter().map(|one| one.timer_ns).max().unwrap_or_default();
    let text = format!(
        "How long each command takes, in a pass of its own, by the clock on the wall; about {timer} ns of each are the \
         clock's. The longest are those in which something else had the processor."
    );
    let curves = measured.iter().map(|one| (&one.workload[..], &one.latency));
    Section::new("Service time").text(text).table(table).chart(Chart::percentiles("Service time by percentile", curves))
}

fn bytes(memory: &[Taken]) -> Section {
    let mut table = Table::new(["resting orders", "bytes an order", "in all"]);
    for taken in memory {
        let orders = Unit::Count.show(taken.orders as f64);
        table.row([orders, format!("{:.1}", taken.bytes_per_order), Unit::Bytes.show(taken.bytes as f64)]);
    }
    Section::new("Memory")
        .text("What the allocator gave out while so many orders came to rest: all that an order costs, and the room that tables keep for more.")
        .table(table)
}
