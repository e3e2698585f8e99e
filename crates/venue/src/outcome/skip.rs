//! The result of skipping a command.

use std::fmt::Write as _;

use crossbook_node::skip::Skipped;
use serde_json::{Value, json};

use super::Outcome;
use crate::skip::Passed;

impl Outcome for Passed {
    fn as_json(&self) -> Value {
        json!({ "sequence": self.sequence.0, "before": self.skipped.before })
    }

    fn as_text(&self) -> String {
        let Self { sequence, skipped: Skipped { command, before }, next } = self;
        let mut text = String::new();
        let how = if *before { "is skipped already" } else { "is skipped from now on" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "Command {sequence} {how}; its sender gets that answer. {next}");
        let _ = writeln!(text, "It was number {} of source {}: {:?}", command.number, command.source, command.body);
        text
    }
}
