//! Clocks of processes: the world's time with an error of their own, which may jump.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crossbook_node::node::Clock;
use crossbook_types::Timestamp;

/// When every world begins, in microseconds since the Unix epoch.
pub const BEGINNING_US: u64 = 1_700_000_000_000_000;

/// The world's time, in microseconds since it began. It never goes back.
#[derive(Clone, Debug, Default)]
pub struct Time(Arc<AtomicU64>);

impl Time {
    /// The time that the clock shows, in microseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Advances the time.
    pub fn pass(&self, micros: u64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }

    /// It becomes this, which is not before now.
    pub fn reach(&self, at: u64) {
        self.0.fetch_max(at, Ordering::Relaxed);
    }
}

/// A machine's clock.
#[derive(Clone, Debug)]
pub struct WallClock {
    time: Time,
    error: Arc<AtomicI64>,
}

impl WallClock {
    /// One that is right.
    #[must_use]
    pub fn new(time: &Time) -> Self {
        Self { time: time.clone(), error: Arc::default() }
    }

    /// Somebody sets it: from now on it is wrong by so many microseconds.
    pub fn set_error(&self, micros: i64) {
        self.error.store(micros, Ordering::Relaxed);
    }
}

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let right = BEGINNING_US + self.time.now();
        Timestamp(right.saturating_add_signed(self.error.load(Ordering::Relaxed)))
    }
}
