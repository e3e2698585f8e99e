//! Compares what costs predict with what was measured at another rate.

use std::path::Path;

use crossbook_report::{Report, Section, Table, Verdict, print};

use crate::costs::{Costs, Role, Run};
use crate::error::Error;
use crate::options::Plan;

/// A prediction, and what was measured.
pub(crate) struct Predicted {
    pub(crate) role: Role,
    pub(crate) rate: f64,
    pub(crate) partitions: f64,
    /// Microseconds of a processor for each order.
    pub(crate) predicted: f64,
    /// The same as it was measured.
    pub(crate) measured: f64,
}

impl Predicted {
    /// By which part of the measured it is too high.
    pub(crate) fn error(&self) -> f64 {
        self.predicted / self.measured - 1.0
    }
}

/// Carries out `crossbook plan --check`. Whether all predictions are near enough.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn run(options: &Plan, costs: &Costs, path: &Path) -> Result<bool, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let name = path.display().to_string();
    let runs: Vec<Run> = serde_json::from_str(&text).map_err(|source| Error::Costs { name, source })?;
    let within = options.within_percent / 100.0;
    let verdicts: Vec<Verdict> = predict(costs, &runs)
        .iter()
        .map(|predicted| {
            let what =
                format!("{} at {:.0}/s, {} partitions", predicted.role.name(), predicted.rate, predicted.partitions);
            let found =
                format!("{:.1} µs, predicted too high by {:.0} %", predicted.measured, predicted.error() * 100.0);
            Verdict::new(what, format!("{:.1} µs", predicted.predicted), found, predicted.error().abs() <= within)
        })
        .collect();
    let passed = !verdicts.is_empty() && verdicts.iter().all(|verdict| verdict.passed);
    let mut report = Report::begin(
        "What a plan predicts, and what was measured",
        "CPU time of an order by role. The costs are fitted to measurements at some rates; the rates here are others.",
        None,
    );
    report.push(Section::new("Measured for the fit").table(measured(&costs.runs)));
    report.push(
        Section::new("Predicted")
            .text(format!("A prediction may differ by {} % of what was measured.", options.within_percent))
            .verdicts(verdicts),
    );
    print(&report.text())?;
    if let Some(path) = &options.html {
        report.write(path)?;
    }
    Ok(passed)
}

/// What costs predict for runs at a fixed rate.
pub(crate) fn predict(costs: &Costs, runs: &[Run]) -> Vec<Predicted> {
    let mut found = Vec::new();
    for run in runs.iter().filter(|run| run.rate.is_some()) {
        let shape = run.shape(costs.turn_interval);
        for role in Role::ALL {
            let Some(processors) = run.processors(role) else { continue };
            let micros = |processors: f64| processors * 1e6 / run.orders_per_second;
            found.push(Predicted {
                role,
                rate: run.orders_per_second,
                partitions: run.partitions,
                predicted: micros(costs.processors(role, &shape, run.orders_per_second)),
                measured: micros(processors),
            });
        }
    }
    found
}

/// Measurements as a table.
fn measured(runs: &[Run]) -> Table {
    let header = ["shards, partitions", "orders/s"].into_iter().chain(Role::ALL.map(Role::name));
    let mut table = Table::new(header);
    for run in runs {
        let micros =
            Role::ALL.map(|role| run.cpu_micros.get(role.name()).map_or(String::new(), |us| format!("{us:.1}")));
        let place = [format!("{}, {}", run.shards, run.partitions), format!("{:.0}", run.orders_per_second)];
        table.row(place.into_iter().chain(micros));
    }
    table
}
