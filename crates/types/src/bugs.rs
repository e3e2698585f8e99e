//! Planted bugs, to show that the simulator finds them. They exist only in a build with `--cfg crossbook_bugs`, and are
//! inactive there until a thread activates one for itself.

use std::cell::Cell;

/// A planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// The node publishes the effects of a batch before it is on the disk.
    ToldBeforeSync,
    /// A command that was seen before has its effect again.
    NotDeduplicated,
    /// What is left in a hold is freed twice.
    ReleasedTwice,
    /// A worker applies and publishes what no barrier has confirmed.
    AppliedBeforeConfirmed,
    /// Conditional orders wait for the other side of their stop price.
    StopOnTheWrongSide,
    /// Fees are rounded down.
    FeeRoundedDown,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ToldBeforeSync,
        Self::NotDeduplicated,
        Self::ReleasedTwice,
        Self::AppliedBeforeConfirmed,
        Self::StopOnTheWrongSide,
        Self::FeeRoundedDown,
    ];
}

thread_local! {
    static AWAKE: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Wakes a bug for this thread, and lets all others sleep.
pub fn plant(bug: Option<Bug>) {
    AWAKE.set(bug);
}

/// Whether this bug is awake in this thread.
#[must_use]
pub fn is_planted(bug: Bug) -> bool {
    AWAKE.get() == Some(bug)
}
