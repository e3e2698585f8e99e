//! `crossbook bench store`: the same rows one by one and in batches.

use std::collections::BTreeMap;
use std::time::Instant;

use crossbook_oracle::workload::{GroundTruth, mix_a};
use crossbook_report::{Axis, Chart, Section, Table, Unit, write_json};
use crossbook_store::measure::{Cut, Rows};
use serde::Serialize;

use super::databases::{self, Place};
use super::progress::ProgressDisplay;
use super::{Error, follow, rows};
use crate::options::Store;

/// Rows in a transaction.
const BATCHES: [usize; 5] = [10, 50, 100, 200, 500];

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    /// How many rows of each table.
    rows: BTreeMap<&'static str, usize>,
    databases: Vec<Measured>,
}

/// What was measured on one database.
#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    runs: Vec<Run>,
}

#[derive(Debug, Serialize)]
struct Run {
    /// Rows in a transaction; 1: each by its own statement.
    batch: usize,
    rows: usize,
    seconds: f64,
    rows_per_second: f64,
    times_single: f64,
}

/// Measures what the command line says.
///
/// # Errors
/// See [`Error`].
pub fn run(options: &Store) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if options.follow {
        return follow::run(options, &runtime);
    }
    let count = options.rows.max(options.single_rows);
    // A command makes several rows; a shorter stream is the beginning of a longer one.
    let workload = mix_a(GroundTruth::SEED_A, GroundTruth::WARMUP_A, count.min(GroundTruth::COUNT));
    let rows = rows::gather(&workload, count)?;
    let mut report = Report { rows: rows.by_table(), databases: Vec::new() };
    let mix: Vec<_> = report.rows.iter().map(|(table, rows)| format!("{table} {rows}")).collect();
    println!("{} rows: {}\n", rows.len(), mix.join(", "));
    println!("{:<8} {:>6} {:>8} {:>9} {:>10} {:>13}", "", "batch", "rows", "seconds", "rows/s", "times single");
    for place in databases::of(options)? {
        let mut runs: Vec<Run> = Vec::new();
        for batch in [1].into_iter().chain(BATCHES) {
            let (cut, count) = match batch {
                1 => (Cut::Single, options.single_rows),
                _ => (Cut::Batches(batch), options.rows),
            };
            let seconds = runtime.block_on(measure(&place, &rows, count, cut, batch))?;
            let rows_per_second = count as f64 / seconds;
            let single = runs.first().map_or(rows_per_second, |single| single.rows_per_second);
            let run = Run { batch, rows: count, seconds, rows_per_second, times_single: rows_per_second / single };
            println!(
                "{:<8} {:>6} {:>8} {:>9.2} {:>10.0} {:>13.1}",
                place.name, run.batch, run.rows, run.seconds, run.rows_per_second, run.times_single
            );
            runs.push(run);
        }
        report.databases.push(Measured { database: place.name, runs });
    }
    if let Some(path) = &options.output.report {
        page(&report).write(path)?;
    }
    options.output.json.as_deref().map_or(Ok(()), |path| Ok(write_json(path, &report)?))
}

/// The results, to be looked at.
fn page(report: &Report) -> crossbook_report::Report {
    let mut page = crossbook_report::Report::begin(
        "Writing the history to SQL",
        "The same rows by a statement each and in batches, into empty tables.",
        Some(&std::env::temp_dir()),
    );
    let mut by_table = Table::new(["table", "rows"]);
    for (table, rows) in &report.rows {
        by_table.row([(*table).to_owned(), Unit::Count.show(*rows as f64)]);
    }
    let mut table = Table::new(["", "rows a transaction", "rows", "seconds", "rows a second", "times single"]);
    for (database, run) in report.databases.iter().flat_map(|of| of.runs.iter().map(|run| (of.database, run))) {
        table.row([
            database.to_owned(),
            run.batch.to_string(),
            Unit::Count.show(run.rows as f64),
            format!("{:.2}", run.seconds),
            Unit::Count.show(run.rows_per_second),
            format!("{:.1}", run.times_single),
        ]);
    }
    let batches = [1].into_iter().chain(BATCHES).map(|batch| format!("{batch} a transaction")).collect();
    let series = report
        .databases
        .iter()
        .map(|of| (of.database.to_owned(), of.runs.iter().map(|run| run.rows_per_second).collect()));
    let axis = Axis::logarithmic("rows a second", Unit::PerSecond);
    page.push(Section::new("Rows a second").table(table).chart(Chart::bars(
        "Rows a second, by rows in a transaction",
        batches,
        axis,
        series.collect(),
    )));
    page.push(Section::new("The rows").text("As the standard workload makes them.").table(by_table));
    page
}

/// Writes the first `count` rows into empty tables, and tells how many seconds that took.
async fn measure(place: &Place, rows: &Rows, count: usize, cut: Cut, batch: usize) -> Result<f64, Error> {
    let mut writer = place.empty().await?;
    let mut display = ProgressDisplay::begin(format!("{}, {batch} rows a transaction", place.name), count as u64);
    let started = Instant::now();
    rows.write(&mut writer, count, cut, |written| display.at(written as u64)).await?;
    let seconds = started.elapsed().as_secs_f64();
    display.end();
    writer.close().await;
    place.clear().await?;
    Ok(seconds)
}
