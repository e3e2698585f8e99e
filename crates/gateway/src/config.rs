//! The core's options. Every bound that it keeps to has its name and default here.

use serde::{Deserialize, Serialize};

pub use crate::limits::LimitsConfig;

/// Options of the core. What is absent takes its default.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Request weights and order counts.
    pub limits: LimitsConfig,
    /// Maximum number of requests that wait for their outcome; more are refused as overload.
    pub in_flight_max: usize,
    /// Milliseconds to wait for a command's outcome before it counts as unknown.
    pub reply_timeout_ms: u64,
    /// Maximum number of concurrent queries to the history; more are refused as overload.
    pub history_queries_max: usize,
    /// Milliseconds such a query waits for a history that is behind what memory has dropped.
    pub history_wait_ms: u64,
    /// Maximum number of API keys whose opened secrets are cached in memory.
    pub cached_keys_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: LimitsConfig::default(),
            in_flight_max: 20_000,
            reply_timeout_ms: 10_000,
            history_queries_max: 100,
            history_wait_ms: 1_000,
            cached_keys_max: 10_000,
        }
    }
}
