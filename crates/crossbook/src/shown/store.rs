//! What the verification of a history found, for people and programs.

use crossbook_types::Sequence;
use crossbook_venue::store::Verdict;
use serde_json::{Map, Value, json};

/// For programs.
#[must_use]
pub fn as_json(verdict: &Verdict) -> Value {
    let tables: Map<String, Value> = verdict
        .contents
        .iter()
        .map(|table| (table.table.into(), json!({"rows": table.rows, "sha256": hex::encode(table.sha256)})))
        .collect();
    json!({
        "sequence": verdict.sequence.0,
        "since": verdict.since.0,
        "tables": tables,
        "findings": verdict.findings,
        "ok": verdict.findings.is_empty(),
    })
}

/// For people.
#[must_use]
pub fn as_text(verdict: &Verdict) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let of = if verdict.log_is_behind { "log    " } else { "history" };
    let _ = writeln!(out, "last command in the {of}  {}", verdict.sequence);
    if verdict.since > Sequence(0) {
        let _ =
            writeln!(out, "trades up to command {} could not be added up: the log no longer has them", verdict.since);
    }
    for table in &verdict.contents {
        let _ = writeln!(out, "{:<16} {:>12} rows  {}", table.table, table.rows, hex::encode(table.sha256));
    }
    for finding in &verdict.findings {
        let _ = writeln!(out, "WRONG: {finding}");
    }
    let conclusion = if verdict.log_is_behind {
        "Part of the log is missing. Keep the data folder as it is, and restore the log from a backup."
    } else if verdict.findings.is_empty() {
        "The history agrees with the engine: balances, open orders, the sums of trades, candles and ledger entries."
    } else {
        "The history differs from the engine, which is right. Find out who wrote to it, then: crossbook store rebuild"
    };
    let _ = writeln!(out, "{conclusion}");
    out
}
