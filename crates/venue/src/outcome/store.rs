//! The result of a verification of a history.

use std::fmt::Write as _;

use crossbook_types::Sequence;
use serde_json::{Map, Value, json};

use super::Outcome;
use crate::store::Verdict;

impl Outcome for Verdict {
    fn as_json(&self) -> Value {
        let tables: Map<String, Value> = self
            .contents
            .iter()
            .map(|table| (table.table.into(), json!({"rows": table.rows, "sha256": hex::encode(table.sha256)})))
            .collect();
        json!({
            "sequence": self.sequence.0,
            "since": self.since.0,
            "tables": tables,
            "findings": self.findings,
            "ok": self.findings.is_empty(),
        })
    }

    fn as_text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let of = if self.log_is_behind { "log    " } else { "history" };
        let _ = writeln!(out, "last command in the {of}  {}", self.sequence);
        if self.since > Sequence(0) {
            let _ =
                writeln!(out, "trades up to command {} could not be added up: the log no longer has them", self.since);
        }
        for table in &self.contents {
            let _ = writeln!(out, "{:<16} {:>12} rows  {}", table.table, table.rows, hex::encode(table.sha256));
        }
        for finding in &self.findings {
            let _ = writeln!(out, "WRONG: {finding}");
        }
        let conclusion = if self.log_is_behind {
            "Part of the log is missing. Keep the data folder as it is, and restore the log from a backup."
        } else if self.findings.is_empty() {
            "The history agrees with the engine: balances, open orders, the sums of trades, candles and ledger entries."
        } else {
            "The history differs from the engine, which is right. Find out who wrote to it, then: crossbook store \
             rebuild"
        };
        let _ = writeln!(out, "{conclusion}");
        out
    }
}
