//! Mix A of the standard workload through Crossbook and through the order books on crates.io, in one process, on one
//! thread, with the trades of every run held against the ground truth. See README.md.

mod bare;
mod engine;
mod measure;
mod ours;
mod peers;
mod plain;
mod report;

use std::path::PathBuf;

use clap::Parser;
use crossbook_oracle::indexed::IndexedBook;
use crossbook_oracle::workload::{GroundTruth, Workload};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use bare::{Bare, Dense, Hashed};
use measure::{Run, latency, throughput};
use ours::Venue;
use peers::{Lobster, Matchcore, OrderbookRs, RustOb, RustOrderBook};
use plain::Plain;
use report::{Kind, Report, Row};

/// As in the program, and for everybody.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// As in the program.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_OPTIONS: &[u8] = b"thp:always\0";

/// Runs mix A through every order book and prints a table.
#[derive(Parser)]
struct Arguments {
    /// Runs for throughput, of which the median is shown.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Only the order books whose name has this in it.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// The processor to stay on; the last one if none is named.
    #[arg(long, value_name = "NUMBER")]
    processor: Option<usize>,
    /// Writes what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What is measured.
struct Contestant {
    name: &'static str,
    kind: Kind,
    throughput: fn(&Workload) -> Run,
    latency: fn(&Workload) -> Run,
}

macro_rules! contestant {
    ($name:literal, $kind:ident, $make:expr) => {
        Contestant {
            name: $name,
            kind: Kind::$kind,
            throughput: |workload| throughput(($make)(workload), workload),
            latency: |workload| latency(($make)(workload), workload),
        }
    };
}

/// Room for ids, which count from 1.
fn room(workload: &Workload) -> usize {
    workload.commands.len() + 1
}

const CONTESTANTS: [Contestant; 10] = [
    contestant!("bare book, dense ids", Ceiling, |workload| Bare::<Dense>::new(room(workload))),
    contestant!("bare book, hash index", Ceiling, |workload| Bare::<Hashed>::new(room(workload))),
    contestant!("crossbook, book and index", Ours, |_| IndexedBook::new()),
    contestant!("crossbook, whole engine", Ours, Venue::new),
    contestant!("BTreeMap and HashMap", Plain, |_| Plain::default()),
    contestant!("lobster 0.7.0", Peer, |_| Lobster::default()),
    contestant!("rust_ob 2.5.3", Peer, |_| RustOb::default()),
    contestant!("orderbook-rs 0.15.3", Peer, |_| OrderbookRs::default()),
    contestant!("matchcore 0.4.0", Peer, |workload: &Workload| Matchcore::new(workload.commands.len())),
    contestant!("rust-order-book 0.0.2", Peer, |workload: &Workload| RustOrderBook::new(workload.commands.len())),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let processor = pin(arguments.processor)?;
    let truth = GroundTruth::MIX_A;
    let workload = (truth.workload)();
    let chosen: Vec<_> = CONTESTANTS
        .iter()
        .filter(|contestant| arguments.only.as_ref().is_none_or(|only| contestant.name.contains(only.as_str())))
        .collect();
    // In turn, so that what happens on the machine meanwhile does not fall on one of them.
    let mut runs: Vec<Vec<Run>> = chosen.iter().map(|_| Vec::new()).collect();
    for round in 1..=arguments.runs.max(1) {
        for (contestant, runs) in chosen.iter().zip(&mut runs) {
            eprint!("\rround {round} of {}: {:30}", arguments.runs.max(1), contestant.name);
            runs.push((contestant.throughput)(&workload));
        }
    }
    let mut rows = Vec::new();
    for (contestant, runs) in chosen.iter().zip(runs) {
        eprint!("\rservice times: {:30}", contestant.name);
        rows.push(Row::new(contestant.name, contestant.kind, &runs, &(contestant.latency)(&workload), &truth));
    }
    eprintln!("\r{:50}", "");
    let report = Report::new(truth.name, processor, rows);
    print!("{report}");
    if let Some(path) = &arguments.json {
        let mut json = serde_json::to_vec_pretty(&report)?;
        json.push(b'\n');
        std::fs::write(path, json).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let ours_are_right = report.rows.iter().all(|row| row.kind == Kind::Peer || row.correct);
    if ours_are_right {
        Ok(())
    } else {
        Err("trades that are not those of the ground truth, in a book of our own".into())
    }
}

/// Has the process stay on one processor; returns which.
fn pin(wanted: Option<usize>) -> Result<usize, String> {
    let allowed = sched_getaffinity(None).map_err(|error| format!("cannot ask for the processors: {error}"))?;
    let processor = match wanted {
        Some(processor) => processor,
        None => (0..CpuSet::MAX_CPU).rfind(|&at| allowed.is_set(at)).ok_or("no processor may be used")?,
    };
    if processor >= CpuSet::MAX_CPU || !allowed.is_set(processor) {
        return Err(format!("processor {processor} may not be used; name another with --processor"));
    }
    let mut only = CpuSet::new();
    only.set(processor);
    sched_setaffinity(None, &only).map_err(|error| format!("cannot stay on processor {processor}: {error}"))?;
    Ok(processor)
}
