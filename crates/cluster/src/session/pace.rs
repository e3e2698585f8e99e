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
}
