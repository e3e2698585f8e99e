//! What commands print: the outcome of each, for people and programs.

pub mod audit;
pub mod backup;
pub mod export;
pub mod import;
pub mod skip;
pub mod store;

use serde_json::Value;

/// A text for people, or one line of JSON.
#[must_use]
pub fn either(json: bool, as_json: impl FnOnce() -> Value, as_text: impl FnOnce() -> String) -> String {
    if json { format!("{}\n", as_json()) } else { as_text() }
}
