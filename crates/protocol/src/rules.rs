//! Which rules of the state machine a command is applied under.
//!
//! A log gives the same states for ever, so a rule that changes must not change for commands that are in a log already.
//! The record of a command names the version of the vocabulary that it was written in, and the version decides the
//! rules. Code that behaves differently from one set of rules to the next asks `rules >= Rules::V2`.

use serde::{Deserialize, Serialize};

/// A set of rules, in the order in which they came. Later ones contain what earlier ones brought.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Rules {
    /// Records of versions 1 and 2.
    V1,
    /// Records of version 3.
    V2,
}

impl Rules {
    /// The rules of the commands that this program appends.
    pub const CURRENT: Self = Self::V2;
}
