//! The results of commands, as text and as JSON.

mod audit;
mod backup;
mod cluster_audit;
mod cluster_verify;
mod export;
mod import;
mod skip;
mod store;

use serde_json::Value;

/// What a command has done or found.
pub trait Outcome {
    /// For programs.
    fn as_json(&self) -> Value;

    /// For people; ends with a line end.
    fn as_text(&self) -> String;
}
