//! How far the clock may be off: the section `[clock]`.

use serde::{Deserialize, Serialize};

/// How far the clock may be off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockOptions {
    /// Milliseconds by which the clock may jump, or be behind the log's last command, before a warning.
    pub jump_max_ms: u64,
    /// Milliseconds by which it may be behind the log's last command when a process starts.
    pub behind_log_max_ms: u64,
    /// Milliseconds between two checks.
    pub check_interval_ms: u64,
}

impl Default for ClockOptions {
    fn default() -> Self {
        Self { jump_max_ms: 1_000, behind_log_max_ms: 10_000, check_interval_ms: 1_000 }
    }
}
