//! A report on a terminal: headings, paragraphs and tables, in plain characters. Charts are left to the page.

use std::fmt::Write as _;

use crate::document::{Block, Report, Table, Verdict};

impl Report {
    /// The report as text for a terminal, without its charts.
    #[must_use]
    pub fn text(&self) -> String {
        render(self)
    }
}

impl Table {
    /// The table as text for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        table(&mut out, self);
        out
    }
}

fn render(report: &Report) -> String {
    let mut out = format!("{}\n{}\n", report.title, "=".repeat(report.title.chars().count()));
    if !report.summary.is_empty() {
        let _ = writeln!(out, "{}", report.summary);
    }
    let facts: Vec<_> = report.facts().into_iter().map(|(name, text)| format!("{name}: {text}")).collect();
    let _ = writeln!(out, "{}", facts.join("; "));
    for section in &report.sections {
        let _ = writeln!(out, "\n{}\n{}", section.heading, "-".repeat(section.heading.chars().count()));
        for block in &section.blocks {
            match block {
                Block::Text(text) => {
                    let _ = writeln!(out, "{text}");
                }
                Block::Table(rows) => table(&mut out, rows),
                Block::Verdicts(list) => table(&mut out, &verdicts(list)),
                Block::Chart(_) => {}
            }
        }
    }
    out
}

/// Verdicts as rows.
fn verdicts(list: &[Verdict]) -> Table {
    let mut table = Table::new(["", "wanted", "found", "verdict"]);
    for verdict in list {
        table.row([&verdict.what[..], &verdict.wanted, &verdict.found, verdict.word()]);
    }
    table
}

fn table(out: &mut String, table: &Table) {
    let lines = || std::iter::once(&table.header).chain(&table.rows);
    let columns: Vec<(usize, bool)> = (0..table.header.len())
        .map(|column| {
            let width = lines().map(|row| row[column].chars().count()).max().unwrap_or_default();
            (width, table.is_numeric(column))
        })
        .collect();
    for row in lines() {
        let mut line = String::new();
        for (cell, &(width, numeric)) in row.iter().zip(&columns) {
            let _ = if numeric { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:<width$}  ") };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}
