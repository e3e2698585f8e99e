//! What was measured, as a table in Markdown and as JSON.

use std::fmt;

use crossbook_loadgen::latency::Summary;
use crossbook_oracle::workload::{GroundTruth, Tally};
use serde::Serialize;

use crate::measure::Run;

/// What somebody is in the comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// As fast as it can be.
    Ceiling,
    /// The book or the engine of Crossbook.
    Ours,
    /// What anybody would write.
    Plain,
    /// A crate.
    Peer,
}

/// What was measured of one order book.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name and version.
    pub name: &'static str,
    /// What it is in the comparison.
    pub kind: Kind,
    /// Commands per second of each run, the slowest first.
    pub commands_per_second: Vec<f64>,
    /// Service times of single commands.
    pub latency: Summary,
    /// The trades that it made.
    pub tally: Tally,
    /// Whether these are the right ones, in every run.
    pub correct: bool,
}

impl Row {
    /// The row of an order book from its runs.
    pub fn new(name: &'static str, kind: Kind, runs: &[Run], latency: &Run, truth: &GroundTruth) -> Self {
        let rate = |run: &Run| GroundTruth::COUNT as f64 / run.time.as_secs_f64();
        let mut commands_per_second: Vec<f64> = runs.iter().map(rate).collect();
        commands_per_second.sort_by(f64::total_cmp);
        let correct = runs.iter().chain([latency]).all(|run| run.tally == truth.tally);
        let summary = latency.latency.as_ref().map(|latency| latency.summary()).unwrap_or_default();
        Self { name, kind, commands_per_second, latency: summary, tally: latency.tally, correct }
    }

    fn median(&self) -> f64 {
        self.commands_per_second[self.commands_per_second.len() / 2]
    }
}

/// All of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Which workload.
    pub mix: &'static str,
    /// On which processor of the machine.
    pub processor: usize,
    /// The order books.
    pub rows: Vec<Row>,
}

impl Report {
    /// A report of these.
    pub fn new(mix: &'static str, processor: usize, rows: Vec<Row>) -> Self {
        Self { mix, processor, rows }
    }

    fn named(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// The fastest crate that gave the right answers.
    fn best_peer(&self) -> Option<&Row> {
        self.rows
            .iter()
            .filter(|row| row.kind == Kind::Peer && row.correct)
            .max_by(|a, b| a.median().total_cmp(&b.median()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.rows.first().map_or(0, |row| row.commands_per_second.len());
        writeln!(f, "Mix {}, one thread on processor {}, median of {runs}.\n", self.mix, self.processor)?;
        writeln!(f, "| order book | M commands/s | lowest to highest | p50 ns | p99 ns | p99.9 ns | trades |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: | --- |")?;
        for row in &self.rows {
            let [low, median, high] =
                [row.commands_per_second[0], row.median(), row.commands_per_second[runs - 1]].map(|rate| rate / 1e6);
            let Summary { p50_ns, p99_ns, p999_ns, .. } = row.latency;
            let trades = if row.correct {
                "verified".to_owned()
            } else {
                let Tally { trades, volume, hash, .. } = row.tally;
                format!("WRONG: {trades} trades, volume {volume}, hash {hash:016x}")
            };
            writeln!(
                f,
                "| {} | {median:.2} | {low:.2} to {high:.2} | {p50_ns} | {p99_ns} | {p999_ns} | {trades} |",
                row.name
            )?;
        }
        if let (Some(book), Some(peer), Some(ceiling)) =
            (self.named("crossbook, book and index"), self.best_peer(), self.named("bare book, hash index"))
        {
            writeln!(
                f,
                "\nCrossbook's book is {:.1} times the fastest crate with the right answers ({}), and {:.2} of a bare \
                 book with a hash index.",
                book.median() / peer.median(),
                peer.name,
                book.median() / ceiling.median(),
            )?;
        }
        Ok(())
    }
}
