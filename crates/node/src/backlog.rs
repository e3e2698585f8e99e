//! How long a request would wait for its turn, and whether that is too long.
//!
//! A queue that is bounded by its length alone is as long as that when more comes than can be done, and everybody then waits for all of it: what
//! is admitted is answered late, and nothing is gained. So the queue is also bounded by time. The partition tells how long its turns take;
//! whoever submits multiplies. A request that would wait longer is refused at once, which costs next to nothing, and those that are
//! admitted are answered in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The newest turn counts for one part in so many of the mean.
const MEMORY: u64 = 8;

/// What the partition tells and gateways read. Clones are of the same backlog.
#[derive(Clone, Debug)]
pub(crate) struct Backlog {
    /// Nanoseconds of a turn, on average of late; 0 before the first.
    turn: Arc<AtomicU64>,
    /// Requests in a turn.
    batch: u64,
    /// Nanoseconds that a request may wait; 0: as long as it takes.
    wait_max: u64,
}

impl Backlog {
    /// Of a partition that takes `batch` requests a turn.
    pub(crate) fn new(batch: usize, wait_max: Duration) -> Self {
        let nanoseconds = u64::try_from(wait_max.as_nanos()).unwrap_or(u64::MAX);
        Self { turn: Arc::default(), batch: batch.max(1) as u64, wait_max: nanoseconds }
    }

    /// Takes note of a turn. There is one partition, so nobody else writes.
    pub(crate) fn turned(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let mean = match self.turn.load(Ordering::Relaxed) {
            0 => took,
            mean => mean - mean / MEMORY + took / MEMORY,
        };
        self.turn.store(mean.max(1), Ordering::Relaxed);
    }

    /// Whether a request behind `queued` others would wait too long. Never behind none: somebody has to find out how long turns take now.
    pub(crate) fn is_too_long(&self, queued: usize) -> bool {
        if self.wait_max == 0 || queued == 0 {
            return false;
        }
        // The turn that is under way, and those for the requests in front.
        let turns = 1 + queued as u64 / self.batch;
        turns.saturating_mul(self.turn.load(Ordering::Relaxed)) > self.wait_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_turns_times_their_mean_length() {
        let backlog = Backlog::new(10, Duration::from_millis(100));
        assert!(!backlog.is_too_long(1_000_000), "nothing is known yet");
        backlog.turned(Duration::from_millis(20));
        assert!(!backlog.is_too_long(49), "five turns of 20 ms");
        assert!(backlog.is_too_long(50), "six");
        for _ in 0..100 {
            backlog.turned(Duration::from_millis(2));
        }
        assert!(!backlog.is_too_long(400), "turns are shorter now");
        assert!(backlog.is_too_long(600));
        for _ in 0..100 {
            backlog.turned(Duration::from_secs(5));
        }
        assert!(backlog.is_too_long(1));
        assert!(!backlog.is_too_long(0), "one is let in to see whether it is still so");
    }

    #[test]
    fn without_a_bound_everything_may_wait() {
        let backlog = Backlog::new(1, Duration::ZERO);
        backlog.turned(Duration::from_secs(1));
        assert!(!backlog.is_too_long(usize::MAX));
    }
}
