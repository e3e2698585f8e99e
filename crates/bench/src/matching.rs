//! `crossbook bench book` and `crossbook bench engine`: the standard workload, or a file of that form, on one thread.
//!
//! Throughput and latency are measured in passes of their own, because reading the clock twice per command takes about
//! as long as many a command. Throughput is by the thread's CPU time, so that other programs matter only by the caches
//! that they use. Latency is by the wall clock and includes the cost of the clock, which is reported. Generating
//! commands and checking trades is in neither.
//!
//! A figure is worth nothing if the trades are wrong. So every pass tallies them, and they must equal the published
//! ones of a standard stream, or those of a naive reference book.

mod book;
mod engine;
mod memory;
mod report;
mod streams;

use std::time::{Duration, Instant};

use crossbook_loadgen::latency::Latency;
use crossbook_oracle::workload::{Command, Tally, Workload};

use self::book::BookAndIndex;
use self::engine::WholeEngine;
use self::report::Measured;
use self::streams::Stream;
use super::Error;
use super::progress::ProgressDisplay;
use crate::options::Matching;

/// Points of throughput over a pass.
const POINTS: usize = 50;
/// How often the clock is read to learn what that costs.
const CLOCK_READINGS: usize = 100_000;

/// Which of the two is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// The book and an index of ids.
    Book,
    /// A whole partition.
    Engine,
}

/// What takes a stream's commands.
trait Subject: Sized {
    /// Commands that a busy caller has for it at once.
    const BATCH: usize;

    /// An empty one, with room for the stream where it keeps anything by the stream's ids.
    fn begin(workload: &Workload) -> Self;

    /// Takes commands in, in whatever form it wants them. Not timed.
    fn prepare(&mut self, commands: &[Command]);

    /// Carries out what was prepared.
    fn run(&mut self);

    /// Tallies what the run has traded, if the run does not. Not timed.
    fn settle(&mut self) {}

    /// The trades since the beginning, or since they were forgotten.
    fn tally(&self) -> Tally;

    /// Forgets the trades: the warm-up is over.
    fn forget(&mut self);

    /// What does not add up in the end.
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Measures what the command line says. Tells whether all trades were right.
///
/// # Errors
/// When a file is none of a workload, or the results cannot be written.
pub fn run(what: What, options: &Matching) -> Result<bool, Error> {
    let mut measured = Vec::new();
    for stream in streams::of(options)? {
        measured.push(match what {
            What::Book => measure::<BookAndIndex>(&stream, options.runs),
            What::Engine => measure::<WholeEngine>(&stream, options.runs),
        });
    }
    let memory = match what {
        What::Book => memory::measure::<BookAndIndex>(&options.resting)?,
        What::Engine => memory::measure::<WholeEngine>(&options.resting)?,
    };
    report::tell(what, options, &measured, &memory)
}

/// What a throughput pass came to.
struct Pass {
    /// Commands a second.
    rate: f64,
    /// The same over the course of the pass: commands done, and the rate of the last of them.
    course: Vec<(f64, f64)>,
}

fn measure<S: Subject>(stream: &Stream, runs: usize) -> Measured {
    let runs = runs.max(1);
    let (mut passes, mut faults) = (Vec::new(), Vec::new());
    // What is told is what was found, of all passes the one that is wrong.
    let mut told = stream.tally;
    let mut check = |subject: &S| {
        let tally = subject.tally();
        if tally != stream.tally {
            told = tally;
            faults.push(format!("the trades are not those of {}: {tally:?}", stream.authority));
        }
        faults.extend(subject.faults());
    };
    for run in 1..=runs {
        let (subject, pass) = throughput::<S>(&stream.workload, &format!("{}, {run} of {runs}", stream.name));
        check(&subject);
        passes.push(pass);
    }
    let (subject, latency) = latency::<S>(&stream.workload, &format!("{}, latency", stream.name));
    check(&subject);
    passes.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let rates = passes.iter().map(|pass| pass.rate).collect();
    let median = passes.swap_remove(passes.len() / 2);
    Measured::new(stream, told, rates, median.course, latency, timer_nanoseconds(), faults)
}

/// One pass for throughput.
fn throughput<S: Subject>(workload: &Workload, what: &str) -> (S, Pass) {
    let (mut subject, commands) = warmed::<S>(workload);
    let mut display = ProgressDisplay::begin(what.to_owned(), commands.len() as u64);
    let (mut time, mut course, mut done) = (Duration::ZERO, Vec::new(), 0);
    for part in commands.chunks(commands.len().div_ceil(POINTS).max(1)) {
        let before = time;
        for batch in part.chunks(S::BATCH) {
            subject.prepare(batch);
            let start = processor_time();
            subject.run();
            time += processor_time() - start;
            subject.settle();
        }
        done += part.len();
        course.push((done as f64, per_second(part.len(), time - before)));
        display.at(done as u64);
    }
    display.end();
    (subject, Pass { rate: per_second(done, time), course })
}

/// One pass for latency, each command by itself.
fn latency<S: Subject>(workload: &Workload, what: &str) -> (S, Latency) {
    let (mut subject, commands) = warmed::<S>(workload);
    let mut display = ProgressDisplay::begin(what.to_owned(), commands.len() as u64);
    let mut latency = Latency::new();
    for (at, command) in commands.iter().enumerate() {
        subject.prepare(std::slice::from_ref(command));
        let start = Instant::now();
        subject.run();
        latency.record(start.elapsed());
        subject.settle();
        if at.is_multiple_of(S::BATCH * 64) {
            display.at(at as u64);
        }
    }
    display.end();
    (subject, latency)
}

/// A subject behind the warm-up, and the commands that come then.
fn warmed<S: Subject>(workload: &Workload) -> (S, &[Command]) {
    let mut subject = S::begin(workload);
    let (warmup, commands) = workload.commands.split_at(workload.warmup);
    for batch in warmup.chunks(S::BATCH) {
        subject.prepare(batch);
        subject.run();
        subject.settle();
    }
    subject.forget();
    (subject, commands)
}

/// How long this thread has had a processor.
pub(super) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What reading the clock twice takes: the median of many times.
fn timer_nanoseconds() -> u64 {
    let mut cost = Latency::new();
    for _ in 0..CLOCK_READINGS {
        let start = Instant::now();
        cost.record(start.elapsed());
    }
    cost.summary().p50_ns
}

fn per_second(count: usize, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use crossbook_oracle::workload::mix_a;

    use super::*;

    #[test]
    fn trades_that_are_not_those_expected_are_told_as_they_are() {
        let workload = mix_a(5, 200, 1_000);
        let right = workload.reference_tally();
        let wrong = Tally { trades: right.trades + 1, ..right };
        for (expected, holds) in [(right, true), (wrong, false)] {
            let stream = Stream { name: "A".to_owned(), workload: workload.clone(), tally: expected, authority: "me" };
            for measured in [measure::<BookAndIndex>(&stream, 1), measure::<WholeEngine>(&stream, 1)] {
                assert_eq!((measured.trades(), measured.is_verified()), (right.trades, holds));
            }
        }
    }
}
