//! The result, as a report and as figures for programs.

use crossbook_report::{Axis, Chart, Report, Section, Table, Unit, Verdict, write_json};
use serde_json::{Value, json};

use super::{Cost, Direction, Error, MIDDLE};
use crate::options::Growth;

/// Prints and keeps the results. Tells whether every venue's books added up.
///
/// # Errors
/// When they cannot be written.
pub(super) fn tell(options: &Growth, costs: &[Cost]) -> Result<bool, Error> {
    let summary = "Processor time of a command, on one thread, as a venue grows in one direction at a time.";
    let mut report = Report::begin("Growth", summary, None);
    for direction in Direction::ALL {
        let costs: Vec<&Cost> = costs.iter().filter(|cost| cost.direction == direction).collect();
        if !costs.is_empty() {
            report.push(section(direction, &costs));
        }
    }
    report.push(Section::new("Verdict").verdicts(costs.iter().map(verdict).collect()));
    crossbook_report::print(&report.text())?;
    if let Some(path) = &options.output.report {
        report.write(path)?;
    }
    if let Some(path) = &options.output.json {
        write_json(path, &json_of(costs, &report))?;
    }
    Ok(report.passed())
}

fn count(number: usize) -> String {
    Unit::Count.show(number as f64)
}

fn section(direction: Direction, costs: &[&Cost]) -> Section {
    let rest = [
        (Direction::OpenOrders, MIDDLE.open_orders),
        (Direction::Levels, MIDDLE.levels),
        (Direction::Accounts, MIDDLE.accounts),
        (Direction::Markets, MIDDLE.markets),
    ];
    let rest: Vec<String> = rest
        .into_iter()
        .filter(|&(other, _)| other != direction)
        .map(|(other, number)| format!("{}: {}", other.name(), count(number)))
        .collect();
    let mut table = Table::new([direction.name(), "partition", "views", "both", "of the first", "trades"]);
    let both = |cost: &Cost| cost.partition_ns + cost.views_ns;
    for cost in costs {
        table.row([
            count(cost.number),
            Unit::Nanoseconds.show(cost.partition_ns),
            Unit::Nanoseconds.show(cost.views_ns),
            Unit::Nanoseconds.show(both(cost)),
            Unit::Times.show(both(cost) / both(costs[0])),
            Unit::Count.show(cost.trades as f64),
        ]);
    }
    let series = vec![
        ("partition".to_owned(), costs.iter().map(|cost| cost.partition_ns).collect()),
        ("views".to_owned(), costs.iter().map(|cost| cost.views_ns).collect()),
    ];
    let groups = costs.iter().map(|cost| count(cost.number)).collect();
    let title = format!("A command by the number of {}", direction.name());
    Section::new(format!("More {}", direction.name()))
        .text(format!("Otherwise {}.", rest.join(", ")))
        .table(table)
        .chart(Chart::bars(title, groups, Axis::linear("processor time a command", Unit::Nanoseconds), series))
}

fn verdict(cost: &Cost) -> Verdict {
    let found = if cost.faults.is_empty() { "it does".to_owned() } else { cost.faults.join("; ") };
    let what = format!("the balances of the venue of {} {} reconcile", count(cost.number), cost.direction.name());
    Verdict::new(what, "it does", found, cost.faults.is_empty())
}

fn json_of(costs: &[Cost], report: &Report) -> Value {
    let cost = |cost: &Cost| {
        json!({
            "direction": cost.direction.name(),
            "openOrders": cost.size.open_orders,
            "levels": cost.size.levels,
            "accounts": cost.size.accounts,
            "markets": cost.size.markets,
            "commands": cost.commands,
            "trades": cost.trades,
            "partitionNs": cost.partition_ns,
            "viewsNs": cost.views_ns,
        })
    };
    json!({
        "costs": costs.iter().map(cost).collect::<Vec<_>>(),
        "commandLine": report.command_line(),
        "began": report.began(),
        "machine": report.machine(),
    })
}
