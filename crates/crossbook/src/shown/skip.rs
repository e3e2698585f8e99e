//! What was done with a command that cannot be applied, for people.

use std::fmt::Write as _;

use crossbook_node::skip::Skipped;
use crossbook_types::Sequence;

/// What was done, and what comes `next`.
#[must_use]
pub fn as_text(sequence: Sequence, Skipped { command, before }: &Skipped, next: &str) -> String {
    let mut text = String::new();
    let how = if *before { "is passed over already" } else { "is passed over from now on" };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "Command {sequence} {how}; whoever sent it is told that the operator did. {next}");
    let _ = writeln!(text, "It was number {} of source {}: {:?}", command.number, command.source, command.body);
    text
}
