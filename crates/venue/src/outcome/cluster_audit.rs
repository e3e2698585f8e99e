//! The result of an audit of a cluster.

use std::fmt::Write as _;

use crossbook_types::{Amount, Decimal};
use serde_json::{Map, Value, json};

use super::Outcome;
use super::audit::not_checked;
use crate::cluster::audit::{Report, Standing, Totals};

fn amount(amount: Amount, totals: &Totals) -> String {
    // Zero is "0" whatever the asset's decimals, so that programs can compare without parsing.
    if amount.is_zero() {
        return "0".to_owned();
    }
    let mut text = String::new();
    Decimal::write(amount.0, totals.decimals, 0, &mut text);
    text
}

impl Outcome for Report {
    fn as_json(&self) -> Value {
        let partitions: Vec<Value> = self
            .partitions
            .iter()
            .map(|standing| {
                json!({
                    "partition": standing.partition.0,
                    "sequence": standing.sequence.0,
                    "snapshot": standing.snapshot.0,
                    "stateHash": hex::encode(standing.state_hash),
                })
            })
            .collect();
        let assets: Map<String, Value> = self
            .assets
            .iter()
            .map(|(name, totals)| {
                let entry = json!({
                    "sum": amount(totals.sum, totals),
                    "clients": amount(totals.clients, totals),
                    "fees": amount(totals.fees, totals),
                    "inTransit": amount(totals.clearing, totals),
                });
                (name.clone(), entry)
            })
            .collect();
        json!({
            "partitions": partitions,
            "assets": assets,
            "messagesInTransit": self.messages,
            "findings": self.findings,
            "historyUnavailable": self.unasked,
            "ok": self.adds_up(),
        })
    }

    fn as_text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{:<10} {:>12} {:>12}  state hash", "partition", "command", "snapshot");
        for Standing { partition, sequence, snapshot, state_hash } in &self.partitions {
            let _ =
                writeln!(out, "{:<10} {:>12} {:>12}  {}", partition.0, sequence.0, snapshot.0, hex::encode(state_hash));
        }
        let _ = writeln!(out, "\n{:<10} {:>32} {:>28} {:>20} {:>12}", "asset", "clients", "fees", "in transit", "sum");
        for (name, totals) in &self.assets {
            let [clients, fees, clearing, sum] =
                [totals.clients, totals.fees, totals.clearing, totals.sum].map(|value| amount(value, totals));
            let _ = writeln!(out, "{name:<10} {clients:>32} {fees:>28} {clearing:>20} {sum:>12}");
        }
        match self.messages {
            Some(messages) => drop(writeln!(out, "\n{messages} messages between partitions are on their way.\n")),
            None => out.push('\n'),
        }
        for finding in &self.findings {
            let _ = writeln!(out, "WRONG: {finding}");
        }
        out.push_str(&not_checked(self.unasked.as_deref(), "the streams have all their commands"));
        let verdict = if self.adds_up() {
            "All balances reconcile: the sum of every asset over all partitions is zero, and the amounts in transit \
             are those that these messages move."
        } else {
            "Balances do not reconcile. Keep logs and snapshots as they are and find the cause before trading \
             continues."
        };
        let _ = writeln!(out, "{verdict}");
        out
    }
}
