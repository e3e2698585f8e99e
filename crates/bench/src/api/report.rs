//! The result, as a report and as figures for programs.

use std::path::Path;

use crossbook_loadgen::http::{Report as Run, TIMELINE_STEP};
use crossbook_report::{
    Axis, Chart, LATENCY_HEADER, Report, Section, Series, Table, Unit, Verdict, latency_cells, write_json,
};
use serde_json::{Value, json};

use super::fanout::Heard;
use super::{Error, Figures};
use crate::options::Api;

/// Prints and keeps the results. Tells whether the venue's books add up.
///
/// # Errors
/// When they cannot be written.
pub(super) fn tell(options: &Api, figures: &Figures, folder: Option<&Path>) -> Result<bool, Error> {
    let mut report = Report::begin(
        "A venue over its API",
        "Orders are answered when they are on disk. The load shares the processors with the venue.",
        folder,
    );
    report.push(most(figures));
    if figures.open.is_some() || figures.pipelined_open.is_some() {
        report.push(open(options, figures));
    }
    if !figures.heard.is_empty() {
        report.push(fanout(&figures.heard));
    }
    let ok = figures.audit["ok"] == Value::Bool(true);
    let found = if ok { "it does".to_owned() } else { figures.audit.to_string() };
    let what = format!("the audit at command {}", figures.audit["sequence"]);
    report.push(Section::new("Verdict").verdicts(vec![Verdict::new(what, "all balances reconcile", found, ok)]));
    crossbook_report::print(&report.text())?;
    if let Some(path) = &options.output.report {
        report.write(path)?;
    }
    if let Some(path) = &options.output.json {
        write_json(path, &json_of(options, figures, &report))?;
    }
    Ok(report.passed())
}

const HEADER: [&str; 3] = ["", "a second", "errors"];

fn row(table: &mut Table, name: &str, run: &Run) {
    let cells = [name.to_owned(), Unit::Count.show(run.throughput()), failures(run)];
    table.row(cells.into_iter().chain(latency_cells(&run.latency)));
}

/// How often what went wrong, in words.
fn failures(run: &Run) -> String {
    let kinds = run.errors.iter().map(|error| format!("{} {:?}", error.count, error.kind));
    let unsent = (run.unsent > 0).then(|| format!("{} not sent", run.unsent));
    let all: Vec<_> = kinds.chain(unsent).collect();
    if all.is_empty() { "0".to_owned() } else { all.join(", ") }
}

fn most(figures: &Figures) -> Section {
    let mut table = Table::new(HEADER.into_iter().chain(LATENCY_HEADER));
    let kinds = [("ping", &figures.pings), ("order, REST", &figures.orders), ("order, WebSocket", &figures.pipelined)];
    for round in 0..figures.pings.len().max(figures.pipelined.len()) {
        for (name, runs) in kinds {
            if let Some(run) = runs.get(round) {
                row(&mut table, &format!("{name}, round {}", round + 1), run);
            }
        }
    }
    let mut section = Section::new("As many as there can be").text(
        "A closed loop: each connection asks again when it was answered, or, over WebSocket, keeps as many requests \
         under way as it may.",
    );
    if let Some(ratio) = median(ratios(&figures.orders, &figures.pings)) {
        section = section.text(format!("Orders to pings, the median of the rounds: {ratio:.2}."));
    }
    let series = kinds.into_iter().filter_map(|(name, runs)| Some(timeline(name, runs.last()?))).collect();
    let axes = (Axis::linear("time", Unit::Seconds), Axis::linear("answers a second", Unit::PerSecond));
    section.table(table).chart(Chart::lines("Throughput over time, last round", axes.0, axes.1, series))
}

/// How many succeeded in each step of the run. The last one was not measured to its end.
fn timeline(name: &str, run: &Run) -> Series {
    let step = TIMELINE_STEP.as_secs_f64();
    let whole = (run.elapsed.as_secs_f64() / step) as usize;
    let points = run.timeline.iter().take(whole.max(1)).enumerate();
    Series::new(name, points.map(|(at, &count)| ((at + 1) as f64 * step, count as f64 / step)).collect())
}

fn open(options: &Api, figures: &Figures) -> Section {
    let mut table = Table::new(HEADER.into_iter().chain(LATENCY_HEADER));
    let runs = [("order, REST", &figures.open), ("order, WebSocket", &figures.pipelined_open)];
    let runs = runs.into_iter().filter_map(|(name, run)| Some((name, run.as_ref()?)));
    for (name, run) in runs.clone() {
        row(&mut table, name, run);
    }
    let text = format!(
        "An open loop at {} orders a second: latency counts from when an order was due, however late it could be sent.",
        options.rate
    );
    let curves = runs.map(|(name, run)| (name, &run.latency));
    Section::new("Latency at a fixed rate")
        .text(text)
        .table(table)
        .chart(Chart::percentiles("Latency by percentile", curves))
}

fn fanout(heard: &[Heard]) -> Section {
    let mut table = Table::new([
        "subscribers",
        "orders due a second",
        "orders a second",
        "order p50",
        "order p99",
        "messages a second",
        "bytes a second",
        "least heard",
        "most heard",
        "cut off",
    ]);
    for one in heard {
        let received = one.received;
        let each_second = |count: u64| count as f64 / one.elapsed.as_secs_f64();
        table.row([
            Unit::Count.show(one.subscribers as f64),
            one.due.map_or_else(|| "as many as can be".to_owned(), |rate| Unit::Count.show(rate.get() as f64)),
            Unit::Count.show(one.orders.throughput()),
            Unit::Nanoseconds.show(one.orders.latency.summary().p50_ns as f64),
            Unit::Nanoseconds.show(one.orders.latency.summary().p99_ns as f64),
            Unit::Count.show(each_second(received.messages)),
            Unit::Bytes.show(each_second(received.bytes)),
            Unit::Count.show(received.least as f64),
            Unit::Count.show(received.most as f64),
            Unit::Count.show(received.lost as f64),
        ]);
    }
    let most = || heard.iter().filter(|one| one.due.is_none());
    let groups = most().map(|one| format!("{} subscribers", one.subscribers)).collect();
    let orders = most().map(|one| one.orders.throughput()).collect();
    let messages = most().map(|one| one.received.messages as f64 / one.elapsed.as_secs_f64()).collect();
    let series = vec![("orders".to_owned(), orders), ("messages".to_owned(), messages)];
    Section::new("Market data to many")
        .text(
            "Each subscriber has a connection of its own and listens to a market's trades, best prices and depth, \
             while orders come as fast as they are answered, and then at a fixed rate, at which latency counts from \
             when an order was due. All hear the same; one that does not keep up is cut off. Subscribers count \
             messages by the heads of their frames, and share the processors with the venue.",
        )
        .table(table)
        .chart(Chart::bars(
            "Orders and messages a second, as many as there can be",
            groups,
            Axis::logarithmic("a second", Unit::PerSecond),
            series,
        ))
}

fn ratios(orders: &[Run], pings: &[Run]) -> Vec<f64> {
    orders.iter().zip(pings).map(|(orders, pings)| orders.throughput() / pings.throughput()).collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn json_of(options: &Api, figures: &Figures, report: &Report) -> Value {
    let all = |runs: &[Run]| runs.iter().map(json_of_run).collect::<Vec<_>>();
    let open = |run: &Option<Run>| run.as_ref().map(|run| json!({"rate": options.rate, "result": json_of_run(run)}));
    let ratios = ratios(&figures.orders, &figures.pings);
    let heard = figures.heard.iter().map(|one| {
        json!({
            "subscribers": one.subscribers,
            "due": one.due,
            "orders": json_of_run(&one.orders),
            "seconds": one.elapsed.as_secs_f64(),
            "messages": one.received.messages,
            "messagesPerSecond": one.received.messages as f64 / one.elapsed.as_secs_f64(),
            "bytes": one.received.bytes,
            "leastHeard": one.received.least,
            "mostHeard": one.received.most,
            "cutOff": one.received.lost,
        })
    });
    json!({
        "connections": options.connections,
        "secondsEach": options.seconds,
        "ping": all(&figures.pings),
        "orders": all(&figures.orders),
        "ordersToPing": {"each": ratios, "median": median(ratios.clone())},
        "open": open(&figures.open),
        "webSocket": {
            "connections": options.sockets.clamp(1, options.connections.max(1)),
            "pipeline": options.pipeline,
            "orders": all(&figures.pipelined),
            "open": open(&figures.pipelined_open),
        },
        "fanOut": heard.collect::<Vec<_>>(),
        "audit": figures.audit,
        "commandLine": report.command_line(),
        "began": report.began(),
        "machine": report.machine(),
    })
}

fn json_of_run(run: &Run) -> Value {
    json!({
        "perSecond": run.throughput(),
        "succeeded": run.succeeded,
        "unsent": run.unsent,
        "errors": run.errors,
        "latencyNs": run.latency.summary(),
    })
}
