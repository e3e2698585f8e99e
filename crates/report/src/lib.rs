//! Reports of measurements and acceptance runs: tables, charts and verdicts, and the machine that they were made on. A
//! [`Report`] is printed on a terminal ([`Report::text`]) and written to a file ([`Report::write`]), as Markdown or as
//! one HTML page. The page holds its styles and charts, so it can be sent to anybody and read without a network.
//!
//! A report holds numbers as they are; [`Unit`] says how they are shown. Figures that programs read are written
//! separately, by [`write_json`].

mod chart;
mod document;
mod file;
mod html;
mod latency;
mod machine;
mod markdown;
mod output;
mod page;
mod svg;
mod text;
mod unit;

pub use chart::{Axis, Chart, Series};
pub use document::{Report, Section, Table, Verdict};
pub use file::{Error, write_json};
pub use latency::{LATENCY_HEADER, latency_cells};
pub use machine::Machine;
pub use output::print;
pub use unit::Unit;

/// Begins to count how much processor time the host of this machine gives to other guests. Call it at the start of a
/// measurement; many a report begins only when everything is measured.
pub fn watch_the_host() {
    let _ = machine::watch();
}

#[cfg(test)]
mod tests;
