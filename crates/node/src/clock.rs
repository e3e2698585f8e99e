//! Watching the machine's clock. Every command carries its time, and the log's time never goes back, so a clock that
//! was a day ahead for a second affects everything that is traded for a day.
//!
//! A monotonic clock ([`Reading::steady`]) shows when the other one was set. This module reads neither; [`Watch`] gets
//! the readings of its caller.

use std::time::Duration;

use crossbook_types::Timestamp;

/// The readings of both clocks of a machine at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The time of day, which can be set.
    pub wall: Timestamp,
    /// The time since an arbitrary start, which only increases, at the same rate, also while the machine sleeps.
    pub steady: Duration,
}

/// Shows both clocks of a machine.
pub trait Clocks: Send + Sync {
    /// What they show now.
    fn read(&self) -> Reading;
}

/// That a clock was set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Jump {
    /// By how many microseconds; negative: back.
    pub by: i64,
    /// What it showed when that was found.
    pub at: Timestamp,
}

/// Compares readings, one after the other.
#[derive(Clone, Debug)]
pub struct Watch {
    bound: u64,
    last: Option<Reading>,
    /// By how many microseconds the clock has been set since the first reading, all in all.
    deviation: i64,
    /// How much of that was reported.
    told: i64,
    jumps: u64,
    last_jump: Option<Jump>,
}

impl Watch {
    /// A watch that reports a clock that was set by more than `bound`, at once or gradually.
    #[must_use]
    pub fn new(bound: Duration) -> Self {
        let bound = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        Self { bound, last: None, deviation: 0, told: 0, jumps: 0, last_jump: None }
    }

    /// Processes the next reading. Returns whether the clock was set since the last report.
    pub fn look(&mut self, reading: Reading) -> Option<Jump> {
        let before = self.last.replace(reading)?;
        let passed = difference(reading.wall.0, before.wall.0);
        let counted = i64::try_from(reading.steady.saturating_sub(before.steady).as_micros()).unwrap_or(i64::MAX);
        self.deviation = self.deviation.saturating_add(passed.saturating_sub(counted));
        let by = self.deviation.saturating_sub(self.told);
        if by.unsigned_abs() <= self.bound {
            return None;
        }
        self.told = self.deviation;
        self.jumps += 1;
        let jump = Jump { by, at: reading.wall };
        self.last_jump = Some(jump);
        Some(jump)
    }

    /// By how many microseconds the clock has been set since the first reading; negative: back.
    #[must_use]
    pub fn deviation(&self) -> i64 {
        self.deviation
    }

    /// Whether that is more than the bound.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.deviation.unsigned_abs() > self.bound
    }

    /// How many times the clock was set.
    #[must_use]
    pub fn jumps(&self) -> u64 {
        self.jumps
    }

    /// The last time that it was.
    #[must_use]
    pub fn last_jump(&self) -> Option<Jump> {
        self.last_jump
    }
}

fn difference(one: u64, other: u64) -> i64 {
    let size = i64::try_from(one.abs_diff(other)).unwrap_or(i64::MAX);
    if one < other { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    const DAY: u64 = 86_400 * SECOND;

    /// A machine whose clocks a test moves.
    struct Machine {
        watch: Watch,
        reading: Reading,
    }

    impl Machine {
        fn new() -> Self {
            let reading = Reading { wall: Timestamp(20_000 * DAY), steady: Duration::from_secs(5) };
            let mut watch = Watch::new(Duration::from_secs(1));
            assert_eq!(watch.look(reading), None);
            Self { watch, reading }
        }

        /// Time passes, and the clock shows so much more than that.
        fn pass(&mut self, micros: u64, set_by: i64) -> Option<i64> {
            self.reading.steady += Duration::from_micros(micros);
            self.reading.wall = Timestamp(self.reading.wall.0.saturating_add(micros).saturating_add_signed(set_by));
            self.watch.look(self.reading).map(|jump| jump.by)
        }
    }

    #[test]
    fn time_that_passes_is_no_jump_however_much_it_is() {
        let mut machine = Machine::new();
        for micros in [1, SECOND, 3 * DAY, 0, 400 * DAY] {
            assert_eq!(machine.pass(micros, 0), None);
        }
        assert_eq!(machine.pass(SECOND, 900_000), None, "within the bound");
        assert!(!machine.watch.is_off());
    }

    #[test]
    fn a_clock_that_is_set_ahead_and_put_right_is_told_of_twice() {
        let mut machine = Machine::new();
        let day = i64::try_from(DAY).unwrap();
        assert_eq!(machine.pass(SECOND, day), Some(day));
        assert_eq!((machine.pass(SECOND, 0), machine.watch.is_off()), (None, true));
        assert_eq!(machine.pass(SECOND, -day), Some(-day));
        assert!(!machine.watch.is_off());
        assert_eq!((machine.watch.jumps(), machine.watch.deviation()), (2, 0));
        assert_eq!(machine.watch.last_jump().unwrap().at, machine.reading.wall);
    }

    #[test]
    fn small_steps_add_up() {
        let mut machine = Machine::new();
        let told: Vec<i64> = (0..10).filter_map(|_| machine.pass(SECOND, -400_000)).collect();
        assert_eq!(told, [-1_200_000, -1_200_000, -1_200_000]);
        assert_eq!(machine.watch.deviation(), -4_000_000);
    }

    #[test]
    fn no_reading_is_too_wild() {
        let mut machine = Machine::new();
        machine.reading.wall = Timestamp(u64::MAX);
        assert!(machine.watch.look(machine.reading).unwrap().by > 0);
        machine.reading.wall = Timestamp(0);
        machine.reading.steady = Duration::ZERO;
        assert!(machine.watch.look(machine.reading).unwrap().by < 0);
        machine.reading.steady = Duration::MAX;
        machine.watch.look(machine.reading);
    }
}
