//! Running the workload, and what is measured of it.
//!
//! Throughput is taken over the whole stream after the warm-up, by the time that the thread had the processor, so that
//! what else runs on the machine counts only by the caches that it takes. Service times are taken in a run of their
//! own, by the clock on the wall around each command; that adds what reading the clock takes, some 30 ns. Each run
//! makes a book of its own.

use std::time::{Duration, Instant};

use crossbook_loadgen::latency::Latency;
use crossbook_oracle::workload::{Tally, Workload};
use rustix::time::{ClockId, clock_gettime};

use crate::engine::Engine;

/// What one run showed.
pub struct Run {
    /// How long the commands after the warm-up took; in a run for service times, with the clock read around each.
    pub time: Duration,
    /// The trades.
    pub tally: Tally,
    /// Service times, in a run for them.
    pub latency: Option<Latency>,
}

/// A run for throughput.
pub fn throughput<E: Engine>(mut engine: E, workload: &Workload) -> Run {
    warm_up(&mut engine, workload);
    let (mut time, mut tally) = (Duration::ZERO, Tally::default());
    for batch in workload.commands[workload.warmup..].chunks(E::BATCH) {
        engine.prepare(batch);
        let start = processor_time();
        engine.apply_all(batch, &mut tally);
        time += processor_time() - start;
        engine.finish(&mut tally);
    }
    Run { time, tally, latency: None }
}

/// A run for service times.
pub fn latency<E: Engine>(mut engine: E, workload: &Workload) -> Run {
    warm_up(&mut engine, workload);
    let (mut time, mut tally, mut latency) = (Duration::ZERO, Tally::default(), Latency::new());
    for batch in workload.commands[workload.warmup..].chunks(E::BATCH) {
        engine.prepare(batch);
        for (at, command) in batch.iter().enumerate() {
            let start = Instant::now();
            engine.apply(at, command, &mut tally);
            let elapsed = start.elapsed();
            time += elapsed;
            latency.record(elapsed);
        }
        engine.finish(&mut tally);
    }
    Run { time, tally, latency: Some(latency) }
}

fn warm_up<E: Engine>(engine: &mut E, workload: &Workload) {
    let mut ignored = Tally::default();
    for batch in workload.commands[..workload.warmup].chunks(E::BATCH) {
        engine.prepare(batch);
        engine.apply_all(batch, &mut ignored);
        engine.finish(&mut ignored);
    }
}

/// How long this thread has had a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
