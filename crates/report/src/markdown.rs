//! A report as Markdown, for repositories: headings, paragraphs and tables. Charts are left to the page.

use std::fmt::Write as _;

use crate::document::{Block, Report, Table, Verdict};

/// Paragraphs are wrapped at this width, so that reports can lie beside documents that are.
const COLUMNS: usize = 120;

impl Report {
    /// The report as Markdown, without its charts.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n", escape(&self.title));
        paragraph(&mut out, &self.summary);
        let mut facts = Table::new(["", ""]);
        if self.is_of_a_run() {
            facts.row(["Command", &format!("`{}`", self.command_line)]);
            facts.row(["Begun", &self.began]);
        }
        for (name, text) in self.facts() {
            facts.row([name, &text]);
        }
        table(&mut out, &facts);
        for section in &self.sections {
            let _ = writeln!(out, "\n## {}", escape(&section.heading));
            for block in &section.blocks {
                match block {
                    Block::Text(text) => paragraph(&mut out, text),
                    Block::Table(rows) => table(&mut out, rows),
                    Block::Verdicts(list) => table(&mut out, &verdicts(list)),
                    Block::Chart(_) => {}
                }
            }
        }
        out
    }
}

/// Verdicts as rows.
fn verdicts(list: &[Verdict]) -> Table {
    let mut table = Table::new(["", "wanted", "found", "verdict"]);
    for verdict in list {
        let word = if verdict.passed { verdict.word().to_owned() } else { format!("**{}**", verdict.word()) };
        table.row([&verdict.what, &verdict.wanted, &verdict.found, &word]);
    }
    table
}

fn paragraph(out: &mut String, text: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let word = escape(word);
        let width = word.chars().count();
        let separator = match column {
            0 => "\n",
            _ if column + 1 + width > COLUMNS => {
                column = 0;
                "\n"
            }
            _ => " ",
        };
        column += width + usize::from(separator == " ");
        let _ = write!(out, "{separator}{word}");
    }
    if column > 0 {
        out.push('\n');
    }
}

fn table(out: &mut String, table: &Table) {
    let row =
        |cells: &[String]| format!("| {} |\n", cells.iter().map(|cell| in_cell(cell)).collect::<Vec<_>>().join(" | "));
    let rules = (0..table.header.len()).map(|column| if table.is_numeric(column) { "---:" } else { "---" });
    let _ = write!(out, "\n{}| {} |\n", row(&table.header), rules.collect::<Vec<_>>().join(" | "));
    for cells in &table.rows {
        out.push_str(&row(cells));
    }
}

/// Text that is neither markup nor the end of a cell. Code keeps what Markdown would take for markup.
fn in_cell(text: &str) -> String {
    let text = if text.starts_with('`') || text.starts_with("**") { text.to_owned() } else { escape(text) };
    text.replace('|', "\\|").replace('\n', " ")
}

/// Text that is no markup, whatever is in it.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
