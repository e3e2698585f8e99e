//! The result of a verification of a cluster's history.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Outcome;
use crate::cluster::verify::Verdict;

impl Outcome for Verdict {
    fn as_json(&self) -> Value {
        let partitions: Vec<Value> = self
            .positions
            .iter()
            .map(|(partition, position)| {
                json!({
                    "partition": partition.0,
                    "sequence": position.sequence.0,
                    "since": position.complete_from.0,
                    "tradesAddedUp": !self.trusted.contains(partition),
                })
            })
            .collect();
        json!({
            "partitions": partitions,
            "messagesInTransit": self.under_way,
            "entriesCompared": self.under_way == 0 && self.begun_late.is_empty(),
            "findings": self.findings,
            "ok": self.agrees(),
        })
    }

    fn as_text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        for (partition, position) in &self.positions {
            let _ =
                writeln!(out, "partition {:<6} last command in the history {:>12}", partition.0, position.sequence.0);
        }
        for partition in &self.trusted {
            let _ = writeln!(
                out,
                "The trades of partition {partition} could not be added up: the log no longer has them all."
            );
        }
        if self.under_way > 0 {
            let _ = writeln!(
                out,
                "The sums of ledger entries by account were not compared: {} messages were in flight at the position \
                 of the tables. Try again when less is traded.",
                self.under_way
            );
        }
        if !self.begun_late.is_empty() {
            let partitions: Vec<String> = self.begun_late.iter().map(ToString::to_string).collect();
            let _ = writeln!(
                out,
                "The sums of ledger entries by account were not compared: the rows of partitions {} begin with a \
                 snapshot.",
                partitions.join(", ")
            );
        }
        for finding in &self.findings {
            let _ = writeln!(out, "WRONG: {finding}");
        }
        let verdict = if self.agrees() {
            "The history agrees with the engine: balances, open orders, the sums of trades, candles and ledger entries."
        } else {
            "The history differs from the engine, which is right. Find out who wrote to it before it is relied on."
        };
        let _ = writeln!(out, "{verdict}");
        out
    }
}
