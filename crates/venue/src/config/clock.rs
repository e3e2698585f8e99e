//! How far the clock may be off: the section `[clock]`.

use serde::{Deserialize, Serialize};

/// How far the clock may be off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockOptions {
    /// By how much the clock may be set, or be behind the log's last command, before that is told.
    pub jump_max_ms: u64,
    /// By how much it may be behind the log's last command when a process starts.
    pub behind_max_ms: u64,
    /// How often it is looked at.
    pub look_every_ms: u64,
}

impl Default for ClockOptions {
    fn default() -> Self {
        Self { jump_max_ms: 1_000, behind_max_ms: 10_000, look_every_ms: 1_000 }
    }
}
