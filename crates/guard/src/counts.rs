//! Measured counts, accepted counts, and the comparison of both.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::Failure;

/// How much a count may differ from what is written down, in percent of that.
const TOLERANCE: f64 = 10.0;

const PREAMBLE: &str = "\
# Instructions and allocations of each workload of the guard when they were last accepted, by architecture. `make guard`
# compares every build with them; `make guard-renew` writes this file again. Renew it when a change is meant to cost
# what it costs, in the same commit, so that the history of this file says what became slower or faster, and why.

";

/// What a workload came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Count {
    /// Number of executed instructions.
    pub instructions: u64,
    /// How often memory was asked for.
    pub allocations: u64,
}

/// A workload, counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Measured {
    /// Name of the workload.
    pub name: String,
    /// How many operations it had.
    pub operations: u64,
    /// What it came to.
    pub count: Count,
}

/// Everything that is written down.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts(BTreeMap<String, Architecture>);

/// The counts of one architecture.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Architecture {
    /// Which compiler made what was counted.
    rustc: String,
    workloads: BTreeMap<String, Count>,
}

impl Counts {
    /// What is written in that file.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        toml::from_str(&text)
            .map_err(|error| format!("{} is not as `make guard-renew` writes it: {error}", path.display()).into())
    }

    /// Writes it to that file.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = format!("{PREAMBLE}{}", toml::to_string(self)?);
        std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()).into())
    }

    /// What is known of this machine's architecture.
    pub fn of_architecture(&self) -> Option<&Architecture> {
        self.0.get(std::env::consts::ARCH)
    }

    /// Takes what was measured for what is known of this machine's architecture.
    pub fn renew(&mut self, measured: Vec<Measured>) {
        let workloads = measured.into_iter().map(|measured| (measured.name, measured.count)).collect();
        self.0.insert(std::env::consts::ARCH.to_owned(), Architecture { rustc: rustc(), workloads });
    }
}

/// The compiler that cargo calls.
fn rustc() -> String {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output =
        Command::new(compiler).arg("--version").output().ok().and_then(|output| String::from_utf8(output.stdout).ok());
    output.map_or_else(|| "unknown".to_owned(), |version| version.trim().to_owned())
}

impl Architecture {
    /// Holds what was measured against this.
    pub fn verdict<'a>(&'a self, measured: &'a [Measured]) -> Verdict<'a> {
        let lines =
            measured.iter().map(|measured| Line { measured, known: self.workloads.get(&measured.name) }).collect();
        let forgotten =
            self.workloads.keys().filter(|name| measured.iter().all(|measured| measured.name != **name)).collect();
        Verdict { rustc: &self.rustc, lines, forgotten }
    }
}

/// What was measured beside what is known.
#[derive(Debug)]
pub struct Verdict<'a> {
    rustc: &'a str,
    lines: Vec<Line<'a>>,
    /// What is known and was not measured.
    forgotten: Vec<&'a String>,
}

#[derive(Debug)]
struct Line<'a> {
    measured: &'a Measured,
    known: Option<&'a Count>,
}

/// How much more `now` is than `known`, in percent; less is below zero.
fn change(known: u64, now: u64) -> f64 {
    if known == now { 0.0 } else { (now as f64 - known as f64) * 100.0 / known as f64 }
}

impl Line<'_> {
    /// How much more it is now, in percent: instructions and allocations.
    fn changes(&self) -> Option<(f64, f64)> {
        let (now, known) = (self.measured.count, self.known?);
        Some((change(known.instructions, now.instructions), change(known.allocations, now.allocations)))
    }

    fn holds(&self) -> bool {
        self.changes().is_some_and(|(instructions, allocations)| {
            instructions.abs() <= TOLERANCE && allocations.abs() <= TOLERANCE
        })
    }
}

impl Verdict<'_> {
    /// Whether nothing is off.
    pub fn holds(&self) -> bool {
        self.forgotten.is_empty() && self.lines.iter().all(Line::holds)
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            let Measured { name, operations, count } = line.measured;
            let each = |sum: u64| sum as f64 / *operations as f64;
            write!(f, "{name:10} {operations:6} operations: ")?;
            write!(f, "{:9.1} instructions", each(count.instructions))?;
            write!(f, " and {:7.3} allocations each; ", each(count.allocations))?;
            match line.changes() {
                None => writeln!(f, "NEW, nothing is known of it")?,
                Some((instructions, allocations)) => {
                    let off = if line.holds() { "" } else { "  <- OFF" };
                    writeln!(f, "{instructions:+.1} % and {allocations:+.1} % of what is known{off}")?;
                }
            }
        }
        for name in &self.forgotten {
            writeln!(f, "{name:10} is known and was not measured  <- OFF")?;
        }
        if self.holds() {
            return Ok(());
        }
        let now = rustc();
        if now != self.rustc {
            writeln!(f, "\nWhat is known was counted with {}, this with {now}.", self.rustc)?;
        }
        writeln!(
            f,
            "\nMore than {TOLERANCE} % away from crates/guard/counts.toml. If that is not meant, look for what has \
             changed:\n`valgrind --tool=callgrind` and `callgrind_annotate` tell where the instructions go. If it is \
             meant, accept it with `make guard-renew`\nand commit the file with the change."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(instructions: u64, allocations: u64) -> Count {
        Count { instructions, allocations }
    }

    fn verdict(known: Count, now: Count) -> bool {
        let workloads = BTreeMap::from([("book".to_owned(), known)]);
        let measured = [Measured { name: "book".to_owned(), operations: 10, count: now }];
        Architecture { rustc: String::new(), workloads }.verdict(&measured).holds()
    }

    #[test]
    fn a_tenth_more_or_less_is_let_pass_and_no_more() {
        let known = count(1_000, 100);
        for (now, holds) in [
            (count(1_000, 100), true),
            (count(1_100, 90), true),
            (count(1_101, 100), false),
            (count(899, 100), false),
            (count(1_000, 111), false),
        ] {
            assert_eq!(verdict(known, now), holds, "{now:?}");
        }
        assert!(verdict(count(1_000, 0), count(1_000, 0)));
        assert!(!verdict(count(1_000, 0), count(1_000, 1)), "from none to one is no small change");
    }

    #[test]
    fn what_is_new_or_gone_is_off() {
        let known =
            Architecture { rustc: String::new(), workloads: BTreeMap::from([("book".to_owned(), count(1, 1))]) };
        assert!(!known.verdict(&[]).holds());
        let measured =
            ["book", "other"].map(|name| Measured { name: name.to_owned(), operations: 1, count: count(1, 1) });
        assert!(!known.verdict(&measured).holds());
    }
}
