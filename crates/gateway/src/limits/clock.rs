//! The time of the rate limits. It starts as the machine's clock, and from then on it only goes forward: if the
//! machine's clock is set back, it continues by the monotonic clock. So a window never begins twice, and none lasts
//! longer than it should, not even if the clock was a day ahead for a while.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use crossbook_types::Timestamp;

/// See the module.
#[derive(Debug)]
pub(super) struct Clock {
    /// What measures the time that passes.
    watch: fn() -> Instant,
    begin: Instant,
    /// Microseconds by which the machine's clock has been ahead of the time since `begin`, at most.
    lead: AtomicI64,
}

impl Clock {
    pub(super) fn new(watch: fn() -> Instant) -> Self {
        Self { watch, begin: watch(), lead: AtomicI64::new(0) }
    }

    /// The time, when the machine's clock is at `told`.
    pub(super) fn read(&self, told: Timestamp) -> Timestamp {
        self.read_at(told, (self.watch)())
    }

    fn read_at(&self, told: Timestamp, at: Instant) -> Timestamp {
        let passed = at.saturating_duration_since(self.begin).as_micros();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        let lead = i64::try_from(told.0).unwrap_or(i64::MAX).saturating_sub(passed);
        let lead = self.lead.fetch_max(lead, Ordering::Relaxed).max(lead);
        Timestamp(u64::try_from(passed.saturating_add(lead)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = 1_000_000;
    const DAY: u64 = 86_400 * SECOND;

    #[test]
    fn time_goes_forward_at_its_own_pace_whatever_the_machines_clock_does() {
        let clock = Clock::new(Instant::now);
        let start = Timestamp(20_000 * DAY);
        let read = |told: u64, passed: u64| {
            let at = clock.begin + Duration::from_secs(passed);
            (clock.read_at(Timestamp(start.0 + told), at).0 - start.0) / SECOND
        };
        assert_eq!(read(0, 0), 0);
        assert_eq!(read(10 * SECOND, 10), 10);
        assert_eq!(read(9 * SECOND, 10), 10, "a second back");
        assert_eq!(read(14 * SECOND, 15), 15, "and it goes on");
        assert_eq!(read(DAY, 16), 86_400, "a day ahead");
        assert_eq!(read(17 * SECOND, 17), 86_401, "put right");
        assert_eq!(read(77 * SECOND, 77), 86_461, "a minute still takes a minute");
    }
}
