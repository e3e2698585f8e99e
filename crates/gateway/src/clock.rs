//! This machine's clock, as the venue's clients see it.

use std::time::{SystemTime, UNIX_EPOCH};

use crossbook_types::Timestamp;

/// The time on this machine's clock.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}
