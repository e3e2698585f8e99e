//! The violations that a simulated world reports.

use std::fmt;

/// What must hold in every world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Check {
    /// What was published is in the log, unchanged, whatever was lost.
    Durable,
    /// Published events are the same whoever publishes them, without gaps.
    Published,
    /// A request has one effect and one answer.
    Once,
    /// The production code's own assertions hold.
    Assertion,
    /// A process continues or stops with a reason that the faults explain.
    Alive,
    /// Per asset the sum over all accounts, and what is in flight, is zero; no balance is negative.
    Money,
    /// What is held is what open orders need.
    Holds,
    /// Trades, triggers, priorities, fees and ends of orders are as the rules say.
    Market,
    /// Every event is that of the reference model.
    Oracle,
    /// All who have applied the same commands have the same state.
    Replicas,
    /// The views that a start has restored are those that were there.
    Views,
    /// The depth that a client puts together is the book's.
    Depth,
    /// The tables are those of their position.
    Tables,
    /// A query after an answer knows what was answered.
    Reads,
    /// Damage is found and named, and never passes for data.
    Damage,
    /// When the faults have ended, all that was asked is done.
    Liveness,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A world that did something wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{check}: {detail}")]
pub struct Violation {
    /// Which rule was broken.
    pub check: Check,
    /// Details of the violation.
    pub detail: String,
}

impl Violation {
    /// That rule was broken in this way.
    pub fn new(check: Check, detail: impl Into<String>) -> Self {
        Self { check, detail: detail.into() }
    }
}

/// Fails with a [`Violation`] unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $check:ident, $($detail:tt)+) => {
        if !$holds {
            return Err($crate::violation::Violation::new($crate::violation::Check::$check, format!($($detail)+)));
        }
    };
}
pub(crate) use ensure;
