//! A partition that the shard refuses because the store moves it to another one.

use std::time::Duration;

/// The first pause between two questions whether the partition is here; it doubles.
const ASK_AFTER_MIN: Duration = Duration::from_millis(5);
/// The longest. It is a part of what a moved partition pauses, and the thread of the shard asks.
const ASK_AFTER_MAX: Duration = Duration::from_millis(40);

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Away {
    refusals: u32,
    asks_at: Duration,
}

impl Away {
    /// It was refused.
    pub(super) fn refused(&mut self, now: Duration) {
        let pause = ASK_AFTER_MIN * 2_u32.saturating_pow(self.refusals);
        self.refusals = (self.refusals + 1).min(16);
        self.asks_at = now.saturating_add(pause.min(ASK_AFTER_MAX));
    }

    /// When the store is asked again.
    pub(super) fn asks_at(&self) -> Duration {
        self.asks_at
    }
}
