//! The result, as a report and as figures for programs.

use std::path::Path;

use crossbook_report::{Axis, Chart, LATENCY_HEADER, Report, Section, Table, Unit, latency_cells, write_json};
use serde_json::{Value, json};

use super::streams::{Hearing, RATE};
use super::{Error, Figures, PAYLOAD_BYTES, Run};
use crate::options::Log;

/// Prints and keeps the results.
///
/// # Errors
/// When they cannot be written.
pub(super) fn tell(options: &Log, figures: &Figures, folder: &Path) -> Result<bool, Error> {
    let summary =
        format!("How long it takes until records of {PAYLOAD_BYTES} bytes are durable, and how many can be made so.");
    let mut report = Report::begin("The durable log", summary, Some(folder));
    if !figures.batches.is_empty() {
        report.push(by_batch(options, &figures.batches));
    }
    if !figures.appenders.is_empty() {
        report.push(by_appenders(&figures.appenders));
    }
    if !figures.hearing.is_empty() {
        report.push(hearing(&figures.hearing));
    }
    crossbook_report::print(&report.text())?;
    if let Some(path) = &options.output.report {
        report.write(path)?;
    }
    if let Some(path) = &options.output.json {
        write_json(path, &json_of(figures, &report))?;
    }
    Ok(report.passed())
}

fn by_batch(options: &Log, runs: &[Run]) -> Section {
    let mut table = Table::new(["", "batch", "records a second", "batches a second"].into_iter().chain(LATENCY_HEADER));
    for run in runs {
        let batches = run.latency.count() as f64 / run.elapsed.as_secs_f64();
        let cells =
            [run.who.to_owned(), run.size.to_string(), Unit::Count.show(run.per_second()), Unit::Count.show(batches)];
        table.row(cells.into_iter().chain(latency_cells(&run.latency)));
    }
    let mut names: Vec<&str> = runs.iter().map(|run| run.who).collect();
    names.sort_unstable();
    names.dedup();
    let rate = |name: &str, size: usize| {
        let mut found = runs.iter().filter(|run| run.who == name && run.size == size);
        found.next().map_or(0.0, Run::per_second)
    };
    let series =
        names.iter().map(|name| ((*name).to_owned(), options.batches.iter().map(|&size| rate(name, size)).collect()));
    let groups = options.batches.iter().map(|size| format!("batches of {size}")).collect();
    let axis = Axis::logarithmic("records a second", Unit::PerSecond);
    let mut section = Section::new("By size of the batch")
        .text("One after the other: a batch is handed over when the one before is durable. Latency is that of a batch.")
        .table(table)
        .chart(Chart::bars("Records a second", groups, axis, series.collect()));
    for &size in &options.batches {
        let curves = runs.iter().filter(|run| run.size == size).map(|run| (run.who, &run.latency));
        section = section.chart(Chart::percentiles(format!("Latency of batches of {size}"), curves));
    }
    section
}

fn by_appenders(runs: &[Run]) -> Section {
    let mut table = Table::new(["append at once", "records a second"].into_iter().chain(LATENCY_HEADER));
    for run in runs {
        table.row(
            [run.size.to_string(), Unit::Count.show(run.per_second())].into_iter().chain(latency_cells(&run.latency)),
        );
    }
    let names: Vec<_> = runs.iter().map(|run| format!("{} append", run.size)).collect();
    let rates = vec![("files".to_owned(), runs.iter().map(Run::per_second).collect())];
    let axis = Axis::linear("records a second", Unit::PerSecond);
    let curves = names.iter().map(|name| &name[..]).zip(runs.iter().map(|run| &run.latency));
    Section::new("By how many append")
        .text(
            "Files; each appender waits until its record is durable, then appends the next. One thread writes: \
             whatever waits goes into one batch and one sync.",
        )
        .table(table)
        .chart(Chart::bars("Records a second", names.clone(), axis, rates))
        .chart(Chart::percentiles("Latency of a record", curves))
}

fn hearing(all: &[Hearing]) -> Section {
    let mut table = Table::new(["reader", "p50", "p99", "longest", "reader's processor", "server's processor"]);
    for one in all {
        let summary = one.latency.summary();
        let times = [summary.p50_ns, summary.p99_ns, summary.max_ns].map(|ns| Unit::Nanoseconds.show(ns as f64));
        let shares = [one.reader, one.server].map(|share| Unit::Share.show(share));
        table.row([one.name.to_owned()].into_iter().chain(times).chain(shares));
    }
    let curves = all.iter().map(|one| (one.name, &one.latency));
    Section::new("Push against poll")
        .text(format!(
            "A stream of Redis takes {RATE} records a second, each appended by itself; from before that until the \
             reader has it."
        ))
        .table(table)
        .chart(Chart::percentiles("Until a record is heard of", curves))
}

fn json_of(figures: &Figures, report: &Report) -> Value {
    let run = |run: &Run, size: &str| {
        json!({
            "who": run.who,
            size: run.size,
            "records": run.records,
            "recordsPerSecond": run.per_second(),
            "latencyNs": run.latency.summary(),
        })
    };
    let hearing = figures.hearing.iter().map(|one| {
        json!({
            "reader": one.name,
            "latencyNs": one.latency.summary(),
            "readerProcessor": one.reader,
            "serverProcessor": one.server,
        })
    });
    json!({
        "payloadBytes": PAYLOAD_BYTES,
        "batches": figures.batches.iter().map(|one| run(one, "batch")).collect::<Vec<_>>(),
        "appenders": figures.appenders.iter().map(|one| run(one, "appenders")).collect::<Vec<_>>(),
        "hearing": hearing.collect::<Vec<_>>(),
        "commandLine": report.command_line(),
        "began": report.began(),
        "machine": report.machine(),
    })
}
