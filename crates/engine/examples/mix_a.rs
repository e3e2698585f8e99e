//! Commands per second of mix A of the standard workload, on one thread:
//!
//! ```text
//! cargo run --release -p crossbook-engine --example mix_a -- book      the bare book and an index of ids
//! cargo run --release -p crossbook-engine --example mix_a -- engine    the whole partition: holds, fees, events, audit
//! ```
//!
//! Each runs five times and verifies the trades against the ground truth. Time is that which the thread had a processor, so
//! that what else runs on the machine counts only by the caches that it takes. What makes the commands and checks the events
//! is not timed.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::time::Duration;

use crossbook_book::{Book, Slot};
use crossbook_engine::Events;
use crossbook_loadtest::workload::{Command, GroundTruth, IOC_BUY_PRICE, IOC_SELL_PRICE, Op, Tally, Workload};
use crossbook_types::{Price, Quantity, Side};
use kit::workload::Feed;

/// As in the program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// As in the program.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_OPTIONS: &[u8] = b"thp:always\0";

const RUNS: usize = 5;
/// Commands between two looks at the clock, and in one batch; about what a busy node takes at once.
const BATCH: usize = 128;

fn main() {
    let truth = GroundTruth::MIX_A;
    let workload = (truth.workload)();
    let what = std::env::args().nth(1).unwrap_or_default();
    let run: fn(&Workload) -> (Duration, Tally) = match what.as_str() {
        "book" => run_book,
        "engine" => run_engine,
        _ => {
            eprintln!("usage: mix_a book|engine");
            std::process::exit(2);
        }
    };
    let mut rates: Vec<f64> = (0..RUNS)
        .map(|_| {
            let (time, tally) = run(&workload);
            assert_eq!(tally, truth.tally, "the trades are not those of the ground truth");
            GroundTruth::COUNT as f64 / time.as_secs_f64() / 1e6
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    let (low, median, high) = (rates[0], rates[RUNS / 2], rates[RUNS - 1]);
    println!(
        "{what}, mix A: {median:.2} million commands/s (median of {RUNS}; {low:.2} to {high:.2}), trades verified"
    );
}

/// How long this thread has had a processor.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The whole engine. The warm-up is not timed.
fn run_engine(workload: &Workload) -> (Duration, Tally) {
    let mut feed = Feed::new(workload);
    let (mut events, mut commands) = (Events::new(), Vec::new());
    let (mut time, mut tally) = (Duration::ZERO, Tally::default());
    let (warmup, rest) = workload.commands.split_at(workload.warmup);
    for (part, counted) in [(warmup, false), (rest, true)] {
        for batch in part.chunks(BATCH) {
            events.clear();
            commands.clear();
            for command in batch {
                feed.translate(command, &mut commands);
            }
            let start = processor_time();
            feed.partition.apply_all(&commands, &mut events);
            let elapsed = processor_time() - start;
            if counted {
                time += elapsed;
                feed.tally(&events, &mut tally);
            }
        }
    }
    assert!(feed.partition.audit().violations.is_empty());
    (time, tally)
}

/// The book and a table from ids to slots. Tallying the trades is timed, as it is the only trace that a command leaves.
fn run_book(workload: &Workload) -> (Duration, Tally) {
    let mut book: Book<u32> = Book::new();
    let mut slots = Slots::default();
    let mut tally = Tally::default();
    let (warmup, rest) = workload.commands.split_at(workload.warmup);
    for command in warmup {
        apply(&mut book, &mut slots, command, &mut tally);
    }
    tally = Tally::default();
    let start = processor_time();
    for command in rest {
        apply(&mut book, &mut slots, command, &mut tally);
    }
    (processor_time() - start, tally)
}

type Slots = hashbrown::HashMap<u32, Slot, crossbook_ledger::CountingHash>;

fn apply(book: &mut Book<u32>, slots: &mut Slots, command: &Command, tally: &mut Tally) {
    match command.op {
        Op::Cancel => {
            let slot = slots.remove(&command.id).expect("a cancelled order rests");
            book.remove(slot);
        }
        Op::Move => unreachable!("mix A moves nothing"),
        Op::Limit | Op::Ioc => {
            let price = match (command.op, command.side) {
                (Op::Ioc, Side::Buy) => IOC_BUY_PRICE,
                (Op::Ioc, Side::Sell) => IOC_SELL_PRICE,
                _ => command.price,
            };
            let price = Price(price.into());
            let mut left = Quantity(command.qty.into());
            let opposite = command.side.opposite();
            while !left.is_zero() {
                let Some(top) = book.top(opposite) else { break };
                let reaches = match command.side {
                    Side::Buy => top.price <= price,
                    Side::Sell => top.price >= price,
                };
                if !reaches {
                    break;
                }
                let (slot, maker, quantity) = (top.slot, *top.data, left.min(top.quantity));
                tally.trade(command.id, maker, top.price.0 as u32, quantity.0 as u32);
                left = left.minus(quantity);
                if book.reduce(slot, quantity).is_some() {
                    slots.remove(&maker);
                }
            }
            if command.op == Op::Limit && !left.is_zero() {
                slots.insert(command.id, book.rest(command.side, price, left, command.id));
            }
        }
    }
}
