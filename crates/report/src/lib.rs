//! What a measurement or a trial has to show: tables, charts, verdicts, and where they were made. The same [`Report`]
//! is printed on the terminal ([`Report::text`]) and kept as one page that needs nothing else ([`Report::write_html`]):
//! its styles and charts are in it, so it can be sent to anybody and be read without a network.
//!
//! Numbers are in a report as they are; [`Unit`] says how they are shown. What belongs to a program is written apart,
//! by [`write_json`], in whatever form that program wants.

mod chart;
mod latency;
mod machine;
mod page;
mod text;
mod unit;

use std::path::{Path, PathBuf};

use crossbook_loadgen::latency::Latency;

pub use latency::{LATENCY_HEADER, latency_cells};
pub use machine::Machine;
pub use unit::Unit;

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}; choose another file or make room", path.display())]
pub struct Error {
    path: PathBuf,
    source: std::io::Error,
}

/// Something to show, from its title to its last figure.
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    summary: String,
    command_line: String,
    began: String,
    machine: Machine,
    sections: Vec<Section>,
}

/// From now on it is counted how much of the processors' time this machine's host takes. At the start of whatever will
/// be reported on, as many a report begins when all is measured.
pub fn watch_the_host() {
    let _ = machine::watch();
}

impl Report {
    /// An empty report of this process, which begins now. `folder` is where its files are, if the disk matters: the
    /// page then tells what it is.
    #[must_use]
    pub fn begin(title: impl Into<String>, summary: impl Into<String>, folder: Option<&Path>) -> Self {
        Self {
            title: title.into(),
            summary: summary.into(),
            command_line: machine::command_line(std::env::args()),
            began: machine::now(),
            machine: Machine::here(folder),
            sections: Vec::new(),
        }
    }

    /// Adds a section.
    pub fn push(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// Where it was made, and what the host took of that since [`watch_the_host`], as pairs of a name and a text.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = self.machine.facts();
        if let Some((now, then)) = machine::Ticks::now().zip(machine::watch()) {
            facts.push(("Stolen by the host", format!("{:.1} % of the processors' time", now.stolen_since(then))));
        }
        facts
    }

    /// The machine it is of.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// When it began, in UTC.
    #[must_use]
    pub fn began(&self) -> &str {
        &self.began
    }

    /// The line that was typed, without passwords.
    #[must_use]
    pub fn command_line(&self) -> &str {
        &self.command_line
    }

    /// Whether no verdict in it is a failure.
    #[must_use]
    pub fn passed(&self) -> bool {
        let blocks = self.sections.iter().flat_map(|section| &section.blocks);
        blocks
            .flat_map(|block| if let Block::Verdicts(verdicts) = block { &verdicts[..] } else { &[] })
            .all(|v| v.passed)
    }

    /// All of it but the charts, for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        text::render(self)
    }

    /// All of it, as a page.
    #[must_use]
    pub fn html(&self) -> String {
        page::render(self)
    }

    /// Keeps the page in a file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_html(&self, path: &Path) -> Result<(), Error> {
        std::fs::write(path, self.html()).map_err(|source| Error { path: path.to_owned(), source })
    }
}

/// Keeps what a program may want to read in a file, as JSON.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
    let written = serde_json::to_vec_pretty(value).map_err(std::io::Error::from).and_then(|mut json| {
        json.push(b'\n');
        std::fs::write(path, json)
    });
    written.map_err(|source| Error { path: path.to_owned(), source })
}

/// A part of a report with a heading of its own.
#[derive(Clone, Debug)]
pub struct Section {
    heading: String,
    blocks: Vec<Block>,
}

impl Section {
    /// An empty one.
    #[must_use]
    pub fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), blocks: Vec::new() }
    }

    /// Adds a paragraph.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.with(Block::Text(text.into()))
    }

    /// Adds a table.
    #[must_use]
    pub fn table(self, table: Table) -> Self {
        self.with(Block::Table(table))
    }

    /// Adds a chart.
    #[must_use]
    pub fn chart(self, chart: Chart) -> Self {
        self.with(Block::Chart(chart))
    }

    /// Adds a table of verdicts.
    #[must_use]
    pub fn verdicts(self, verdicts: Vec<Verdict>) -> Self {
        self.with(Block::Verdicts(verdicts))
    }

    fn with(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }
}

/// What sections are made of.
#[derive(Clone, Debug)]
enum Block {
    Text(String),
    Table(Table),
    Chart(Chart),
    Verdicts(Vec<Verdict>),
}

/// Rows under a header. The first column names the row; a column in which everything begins with a digit is set to the
/// right.
#[derive(Clone, Debug, Default)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new<T: Into<String>>(header: impl IntoIterator<Item = T>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row. A cell that is missing is left empty.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.header.len(), String::new());
        self.rows.push(row);
    }

    /// The table on a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        text::table(&mut out, self);
        out
    }

    /// Whether a column holds numbers.
    fn is_numeric(&self, column: usize) -> bool {
        let numeric = |cell: &String| {
            cell.is_empty()
                || cell.trim_start_matches(['-', '+', '<', '>', ' ']).starts_with(|c: char| c.is_ascii_digit())
        };
        column > 0 && self.rows.iter().all(|row| numeric(&row[column]))
    }
}

/// Whether something is as it must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What it is about.
    pub what: String,
    /// What must be.
    pub wanted: String,
    /// What is.
    pub found: String,
    /// Whether the two go together.
    pub passed: bool,
}

impl Verdict {
    /// A verdict.
    #[must_use]
    pub fn new(what: impl Into<String>, wanted: impl Into<String>, found: impl Into<String>, passed: bool) -> Self {
        Self { what: what.into(), wanted: wanted.into(), found: found.into(), passed }
    }

    fn word(&self) -> &'static str {
        if self.passed { "PASS" } else { "FAIL" }
    }
}

/// A chart: lines over an axis, or bars.
#[derive(Clone, Debug)]
pub struct Chart {
    title: String,
    x: Axis,
    y: Axis,
    figure: Figure,
}

#[derive(Clone, Debug)]
enum Figure {
    Lines(Vec<Series>),
    /// Groups of bars: a name for each group, and one value of it in each series.
    Bars {
        groups: Vec<String>,
        series: Vec<(String, Vec<f64>)>,
    },
}

impl Chart {
    /// Lines of points.
    #[must_use]
    pub fn lines(title: impl Into<String>, x: Axis, y: Axis, series: Vec<Series>) -> Self {
        Self { title: title.into(), x, y, figure: Figure::Lines(series) }
    }

    /// Latency curves: how long (on a logarithmic axis) what share of the requests took at most. The further to the
    /// right, the rarer.
    #[must_use]
    pub fn percentiles<'a>(title: impl Into<String>, curves: impl IntoIterator<Item = (&'a str, &'a Latency)>) -> Self {
        let series = curves.into_iter().map(|(name, latency)| latency::curve(name, latency)).collect();
        let (x, y) = (Axis::percentiles("percentile"), Axis::logarithmic("latency", Unit::Nanoseconds));
        Self::lines(title, x, y, series)
    }

    /// Bars in groups, each series with a value for each group.
    ///
    /// # Panics
    /// When a series has another number of values.
    #[must_use]
    pub fn bars(title: impl Into<String>, groups: Vec<String>, y: Axis, series: Vec<(String, Vec<f64>)>) -> Self {
        assert!(series.iter().all(|(_, values)| values.len() == groups.len()), "a value for each group");
        Self { title: title.into(), x: Axis::linear("", Unit::Count), y, figure: Figure::Bars { groups, series } }
    }
}

/// A line of a chart: a name, and points from left to right.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

impl Series {
    /// A line.
    #[must_use]
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points }
    }
}

/// An axis: what it is of, how its numbers are shown, and how they are laid out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Axis {
    label: String,
    unit: Unit,
    scale: Scale,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scale {
    /// From zero on.
    Linear,
    Logarithmic,
    /// Shares of one, spread so that each further nine has the same room.
    Percentiles,
}

impl Axis {
    /// From zero on, evenly.
    #[must_use]
    pub fn linear(label: impl Into<String>, unit: Unit) -> Self {
        Self { label: label.into(), unit, scale: Scale::Linear }
    }

    /// By powers of ten. What is not above zero is left out.
    #[must_use]
    pub fn logarithmic(label: impl Into<String>, unit: Unit) -> Self {
        Self { label: label.into(), unit, scale: Scale::Logarithmic }
    }

    /// Of quantiles from 0 to below 1: 90 %, 99 % and 99.9 % are equally far apart.
    #[must_use]
    pub fn percentiles(label: impl Into<String>) -> Self {
        Self { label: label.into(), unit: Unit::Quantile, scale: Scale::Percentiles }
    }
}

#[cfg(test)]
mod tests;
