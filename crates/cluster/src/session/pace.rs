//! When turns take place.

use std::time::Duration;

/// The least times from the beginning of one turn to that of the next, by the reason for it. A turn costs the store and
/// its replicas a wake-up, a sync and an exchange with each other, whatever it carries; so what comes soon after a turn
/// waits until this time has passed, and shares the next one. After a quiet time a turn takes place at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// There is something to append or to deliver, or somebody waits to read.
    pub write: Duration,
    /// Others have written, or what was read is not confirmed.
    pub read: Duration,
    /// For no reason but that a notification may be lost.
    pub poll: Duration,
    /// How long what was read may wait for a confirmation that others cause, before the session asks for one itself.
    pub confirm: Duration,
    /// The least time between two notifications of others.
    pub notify: Duration,
    /// What to add to the time since the process's start so that all processes count from about the same moment.
    /// Turns that follow another one begin at multiples of `write` from there, so that those of several processes share
    /// a sync of the server.
    pub phase: Duration,
}

impl Pace {
    /// The time of the next turn that writes, after one that began at `turned`.
    pub(super) fn next_write(&self, turned: Duration) -> Duration {
        let interval = u64::try_from(self.write.as_nanos()).unwrap_or(u64::MAX);
        if interval == 0 {
            return turned;
        }
        // A turn that has begun late is followed after less than an interval, but not at once.
        let earliest = turned.saturating_add(self.write / 2).saturating_add(self.phase);
        let earliest = u64::try_from(earliest.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(earliest.div_ceil(interval).saturating_mul(interval)).saturating_sub(self.phase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_that_follow_each_other_begin_at_common_times() {
        let micros = Duration::from_micros;
        let pace = Pace {
            write: micros(4_000),
            read: Duration::ZERO,
            poll: Duration::ZERO,
            confirm: Duration::ZERO,
            notify: Duration::ZERO,
            phase: micros(1_000),
        };
        assert_eq!(pace.next_write(micros(3_000)), micros(7_000));
        assert_eq!(pace.next_write(micros(3_100)), micros(7_000), "it had begun late");
        assert_eq!(pace.next_write(micros(6_000)), micros(11_000), "not at once");
        assert_eq!(Pace { write: Duration::ZERO, ..pace }.next_write(micros(5)), micros(5));
    }
}
