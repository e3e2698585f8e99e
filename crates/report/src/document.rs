//! A report as data: sections of paragraphs, tables, charts and verdicts, and where they were made.

use std::path::Path;

use crate::chart::Chart;
use crate::machine::{self, Machine};

/// Something to show, from its title to its last figure.
#[derive(Clone, Debug)]
pub struct Report {
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) command_line: String,
    pub(crate) began: String,
    machine: Machine,
    /// What is told instead of the run and its machine.
    computed_from: Option<Vec<(&'static str, String)>>,
    pub(crate) sections: Vec<Section>,
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
            computed_from: None,
            sections: Vec::new(),
        }
    }

    /// An empty report of what was computed and not measured: the same on every machine. It tells what it was computed
    /// from, as pairs of a name and a text, instead of this run and its machine.
    #[must_use]
    pub fn computed(title: impl Into<String>, summary: impl Into<String>, from: Vec<(&'static str, String)>) -> Self {
        Self { computed_from: Some(from), ..Self::begin(title, summary, None) }
    }

    /// Adds a section.
    pub fn push(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// Whether it is of a run of this process, on this machine.
    pub(crate) fn is_of_a_run(&self) -> bool {
        self.computed_from.is_none()
    }

    /// Where it was made, and what the host took of that since
    /// [`watch_the_host`](crate::watch_the_host), as pairs of a name and a text; or what it was computed from.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        if let Some(from) = &self.computed_from {
            return from.clone();
        }
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
}

/// A part of a report with a heading of its own.
#[derive(Clone, Debug)]
pub struct Section {
    pub(crate) heading: String,
    pub(crate) blocks: Vec<Block>,
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
pub(crate) enum Block {
    Text(String),
    Table(Table),
    Chart(Chart),
    Verdicts(Vec<Verdict>),
}

/// Rows under a header. The first column names the row; a column in which everything begins with a digit is set to the
/// right.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
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

    /// Whether a column holds numbers.
    pub(crate) fn is_numeric(&self, column: usize) -> bool {
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
    /// The target.
    pub wanted: String,
    /// The measured value.
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

    pub(crate) fn word(&self) -> &'static str {
        if self.passed { "PASS" } else { "FAIL" }
    }
}
