//! The result, as a report and as figures for programs.

use crossbook_report::{Axis, Chart, Report, Section, Table, Unit, Verdict, write_json};
use serde_json::{Value, json};

use super::side::{Array, Half as _};
use super::{Error, Row};
use crate::options::Structures;

/// Prints and keeps the results. Tells whether all structures made the same trades.
///
/// # Errors
/// When they cannot be written.
pub(super) fn tell(options: &Structures, rows: &[Row]) -> Result<bool, Error> {
    let mut report = Report::begin(
        "Structures to keep orders in",
        "The same orders inserted one by one until so many rest, then matched until one side is empty, on one thread.",
        None,
    );
    report.push(section(options, rows, &INSERTING, |row| Some(row.inserts_per_second)));
    report.push(section(options, rows, &MATCHING, |row| row.matches_per_second));
    report.push(Section::new("Verdict").verdicts(verdicts(options, rows)));
    crossbook_report::print(&report.text())?;
    if let Some(path) = &options.output.report {
        report.write(path)?;
    }
    if let Some(path) = &options.output.json {
        write_json(path, &json_of(rows, &report))?;
    }
    Ok(report.passed())
}

/// What a section is about.
struct Subject {
    heading: &'static str,
    label: &'static str,
    text: &'static str,
}

const INSERTING: Subject = Subject {
    heading: "Inserting",
    label: "inserts a second",
    text: "From an empty structure to one of so many orders, by the time that the thread had a processor. What took \
           too long was stopped, and the rate is that of the orders that it had taken until then, which flatters it.",
};

const MATCHING: Subject = Subject {
    heading: "Matching",
    label: "orders a second",
    text: "Orders used up by trades between the best of both sides. Arrays have the best last, where it is cheap to take.",
};

/// The structures, in the order in which they were measured.
fn structures(rows: &[Row]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for row in rows {
        if !names.contains(&row.structure) {
            names.push(row.structure);
        }
    }
    names
}

fn section(options: &Structures, rows: &[Row], about: &Subject, rate: impl Fn(&Row) -> Option<f64>) -> Section {
    let Subject { heading, label, text } = *about;
    let find = |name: &str, orders: usize| rows.iter().find(|row| row.structure == name && row.orders == orders);
    let mut table = Table::new(["", "orders", label, "times the array sorted again", "stopped after"]);
    for row in rows {
        let own = rate(row);
        let slowest = find(Array::<true>::NAME, row.orders).and_then(&rate);
        let times = own.zip(slowest).map_or_else(String::new, |(own, slowest)| Unit::Times.show(own / slowest));
        let stopped = if row.inserted < row.orders { Unit::Count.show(row.inserted as f64) } else { String::new() };
        let display = own.map_or_else(String::new, |rate| Unit::Count.show(rate));
        table.row([row.structure.to_owned(), Unit::Count.show(row.orders as f64), display, times, stopped]);
    }
    let series = structures(rows).into_iter().map(|name| {
        let values = options.orders.iter().map(|&orders| find(name, orders).and_then(&rate).unwrap_or_default());
        (name.to_owned(), values.collect())
    });
    let groups = options.orders.iter().map(|&orders| format!("{} orders", Unit::Count.show(orders as f64))).collect();
    let axis = Axis::logarithmic(label, Unit::PerSecond);
    Section::new(heading).text(text).table(table).chart(Chart::bars(
        format!("{heading}, {label}"),
        groups,
        axis,
        series.collect(),
    ))
}

fn verdicts(options: &Structures, rows: &[Row]) -> Vec<Verdict> {
    let of_size = |orders: usize| {
        let tallies: Vec<_> = rows.iter().filter(|row| row.orders == orders).filter_map(|row| row.tally).collect();
        let same = tallies.windows(2).all(|pair| pair[0] == pair[1]);
        let found =
            tallies.first().map_or_else(String::new, |tally| format!("{} trades, {:016x}", tally.trades, tally.hash));
        let found = if same { found } else { format!("they differ: {tallies:?}") };
        Verdict::new(
            format!("trades of {orders} orders"),
            format!("the same of {} structures", tallies.len()),
            found,
            same,
        )
    };
    options.orders.iter().map(|&orders| of_size(orders)).collect()
}

fn json_of(rows: &[Row], report: &Report) -> Value {
    let row = |row: &Row| {
        json!({
            "structure": row.structure,
            "orders": row.orders,
            "inserted": row.inserted,
            "insertsPerSecond": row.inserts_per_second,
            "matchesPerSecond": row.matches_per_second,
            "tradeHash": row.tally.map(|tally| format!("{:016x}", tally.hash)),
        })
    };
    json!({
        "structures": rows.iter().map(row).collect::<Vec<_>>(),
        "commandLine": report.command_line(),
        "began": report.began(),
        "machine": report.machine(),
    })
}
