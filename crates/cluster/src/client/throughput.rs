//! The throughput of a partition as its gateways see it, and whether a request would have to wait too long.
//!
//! A gateway does not see the partition's batches. It sees how many commands the partition publishes, and when. As long
//! as something waits, in the log or on the way there, that is the throughput. The best of the last few readings
//! counts, because a delayed reader or a failover makes the partition look slow for a short time, which is no reason to
//! refuse requests; nor is it one that a few commands take about as long as many, because all of them share the round
//! trips to the store. Once nothing waits, the readings are discarded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many readings the best is of.
const READINGS: usize = 8;

/// Fewer commands than these would have taken as long, unless a turn takes fewer.
const TOGETHER: u64 = 256;

/// What the reader of a partition measures and submitters read.
#[derive(Debug)]
pub(super) struct Throughput {
    /// Nanoseconds of a command, in the best of the last readings; 0 as long as there are too few.
    command: AtomicU64,
    /// Nanoseconds that a request may wait; 0: as long as it takes.
    wait_max: u64,
    /// Commands that take as long as fewer.
    together: u64,
}

impl Throughput {
    /// Of a partition whose turns take up to `batch` requests, and whose requests may wait for `wait_max`.
    pub(super) fn new(wait_max: Duration, batch: usize) -> Self {
        let together = TOGETHER.min(batch.max(1) as u64);
        Self { command: AtomicU64::new(0), wait_max: nanoseconds(wait_max), together }
    }

    /// Whether a request behind `waiting` commands would wait too long.
    pub(super) fn is_too_long(&self, waiting: u64) -> bool {
        self.wait_max > 0 && waiting.saturating_mul(self.command.load(Ordering::Relaxed)) > self.wait_max
    }
}

/// The readings, on the reader's side.
#[derive(Debug, Default)]
pub(super) struct Readings {
    last: [u64; READINGS],
    count: usize,
}

impl Readings {
    /// Takes note of a reading: so many commands in so long, in which something always waited.
    pub(super) fn busy(&mut self, commands: u64, took: Duration, throughput: &Throughput) {
        self.last[self.count % READINGS] = nanoseconds(took) / commands.max(throughput.together);
        self.count += 1;
        if self.count >= READINGS {
            let best = self.last.iter().copied().min().unwrap_or_default();
            throughput.command.store(best, Ordering::Relaxed);
        }
    }

    /// Nothing waits any more.
    pub(super) fn idle(&mut self, throughput: &Throughput) {
        self.count = 0;
        throughput.command.store(0, Ordering::Relaxed);
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_commands_times_the_best_of_the_last_readings() {
        let (throughput, mut readings) = (Throughput::new(Duration::from_millis(100), 1_024), Readings::default());
        for _ in 0..READINGS - 1 {
            readings.busy(1_000, Duration::from_secs(1_000), &throughput);
            assert!(!throughput.is_too_long(u64::MAX), "too little is known");
        }
        readings.busy(1_000, Duration::from_secs(1), &throughput);
        assert!(!throughput.is_too_long(100) && throughput.is_too_long(101), "one millisecond each");
        for _ in 0..READINGS - 1 {
            readings.busy(1_000, Duration::from_secs(100), &throughput);
            assert!(!throughput.is_too_long(100), "held up for a moment");
        }
        readings.busy(1_000, Duration::from_secs(100), &throughput);
        assert!(!throughput.is_too_long(1) && throughput.is_too_long(2), "it is slow now");
        readings.busy(1_000, Duration::from_millis(1), &throughput);
        assert!(!throughput.is_too_long(100_000), "and not any more");
        (0..READINGS).for_each(|_| readings.busy(1_000, Duration::from_secs(100), &throughput));
        assert!(throughput.is_too_long(2), "again");
        readings.idle(&throughput);
        assert!(!throughput.is_too_long(u64::MAX), "over");
    }

    #[test]
    fn a_few_commands_do_not_say_how_long_many_take() {
        let (throughput, mut readings) = (Throughput::new(Duration::from_millis(100), 1_024), Readings::default());
        (0..READINGS).for_each(|_| readings.busy(1, Duration::from_millis(10), &throughput));
        assert!(!throughput.is_too_long(10 * TOGETHER) && throughput.is_too_long(11 * TOGETHER));

        let (throughput, mut readings) = (Throughput::new(Duration::from_millis(100), 4), Readings::default());
        (0..READINGS).for_each(|_| readings.busy(1, Duration::from_millis(10), &throughput));
        assert!(
            !throughput.is_too_long(10 * 4) && throughput.is_too_long(10 * 4 + 1),
            "a turn takes no more than four"
        );
    }

    #[test]
    fn without_a_bound_everything_may_wait() {
        let (throughput, mut readings) = (Throughput::new(Duration::ZERO, 1_024), Readings::default());
        (0..READINGS).for_each(|_| readings.busy(1, Duration::from_secs(1), &throughput));
        assert!(!throughput.is_too_long(u64::MAX));
    }
}
