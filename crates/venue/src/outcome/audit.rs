//! The result of an audit of a log.

use std::fmt::Write as _;

use crossbook_node::audit::Totals;
use crossbook_types::{Amount, Decimal};
use serde_json::{Map, Value, json};

use super::Outcome;
use crate::audit::{Audited, LogAudit};

fn amount(amount: Amount, totals: &Totals) -> String {
    let mut text = String::new();
    Decimal::write(amount.0, totals.decimals, 0, &mut text);
    text
}

/// A line on a history that could not be asked whether something is so, if it could not.
pub(super) fn not_checked(unasked: Option<&str>, whether: &str) -> String {
    unasked.map_or(String::new(), |reason| {
        format!("NOT CHECKED: the history could not be asked whether {whether} ({reason}); try again when it answers\n")
    })
}

impl Outcome for LogAudit {
    fn as_json(&self) -> Value {
        let mut json = self.log.as_json();
        json["findings"] = self.findings().into();
        json["historyUnavailable"] = self.unasked.as_deref().into();
        json["ok"] = self.findings().is_empty().into();
        json
    }

    fn as_text(&self) -> String {
        let mut out = self.log.totals();
        for finding in self.findings() {
            let _ = writeln!(out, "WRONG: {finding}");
        }
        out.push_str(&not_checked(self.unasked.as_deref(), "the log has all its commands"));
        let _ = writeln!(out, "{}", self.log.conclusion());
        out
    }
}

impl Audited {
    /// What the log is, without the findings.
    fn as_json(&self) -> Value {
        let (report, torn_bytes) = match self {
            Self::Replayed { report, torn_bytes } => (report, torn_bytes),
            Self::Incomplete { missing, .. } => {
                return json!({
                    "sequence": null,
                    "stateHash": null,
                    "trades": null,
                    "assets": {},
                    "tornBytes": null,
                    "snapshot": null,
                    "missingCommands": missing,
                });
            }
        };
        let assets: Map<String, Value> = report
            .assets
            .iter()
            .map(|(name, totals)| {
                // Zero is "0" whatever the asset's decimals, so that programs can compare without parsing.
                let sum = if totals.sum.is_zero() { "0".to_owned() } else { amount(totals.sum, totals) };
                let entry = json!({
                    "sum": sum,
                    "clients": amount(totals.clients, totals),
                    "fees": amount(totals.fees, totals),
                });
                (name.clone(), entry)
            })
            .collect();
        json!({
            "sequence": report.sequence.0,
            "stateHash": hex::encode(report.state_hash),
            "trades": report.trades,
            "assets": assets,
            "tornBytes": torn_bytes,
            "snapshot": report.snapshot.map(|at| at.0),
            "missingCommands": report.missing,
        })
    }

    /// What it sums up to, as a text.
    fn totals(&self) -> String {
        let Self::Replayed { report, torn_bytes } = self else { return String::new() };
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "last command  {}", report.sequence);
        let _ = writeln!(out, "state hash    {}", hex::encode(report.state_hash));
        let _ = writeln!(out, "trades        {}", report.trades);
        if let Some(at) = report.snapshot {
            let _ = writeln!(out, "snapshot      at command {at}, compared with the state there");
        }
        // Whether a tail was acknowledged is known only if a snapshot proves it.
        match (*torn_bytes, report.missing) {
            (0, _) => {}
            (bytes, 0) => {
                let _ = writeln!(
                    out,
                    "torn tail     {bytes} bytes of a write that did not end; the next start cuts them off"
                );
            }
            (bytes, _) => {
                let _ = writeln!(out, "broken tail   {bytes} bytes where commands were that are lost");
            }
        }
        let _ = writeln!(out, "\n{:<10} {:>32} {:>28} {:>12}", "asset", "clients", "fees", "sum");
        for (name, totals) in &report.assets {
            let [clients, fees, sum] = [totals.clients, totals.fees, totals.sum].map(|value| amount(value, totals));
            let sum = if totals.sum.is_zero() { "0" } else { &sum };
            let _ = writeln!(out, "{name:<10} {clients:>32} {fees:>28} {sum:>12}");
        }
        out.push('\n');
        out
    }

    fn conclusion(&self) -> &'static str {
        match self {
            Self::Replayed { report, .. } if report.findings.is_empty() => {
                "All balances reconcile: the sum of every asset over all accounts was zero after every command."
            }
            Self::Replayed { report, .. } if report.missing == 0 => {
                "Balances do not reconcile. Keep the data folder as it is and find the cause before trading continues."
            }
            Self::Replayed { .. } | Self::Incomplete { .. } => {
                "Part of the log is missing. Keep the data folder as it is, and restore the log from a backup."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbook_node::audit::Report;
    use crossbook_types::Sequence;

    use super::*;
    use crate::verdict::Verdict;

    fn report(findings: Vec<String>) -> Report {
        let totals = Totals { sum: Amount(0), clients: Amount(150), fees: Amount(5), decimals: 2 };
        Report {
            sequence: Sequence(7),
            state_hash: [0xab; 32],
            assets: [("BTC".to_owned(), totals)].into(),
            trades: 3,
            snapshot: None,
            missing: 0,
            findings,
        }
    }

    fn audit(report: Report, torn_bytes: u64) -> LogAudit {
        LogAudit { log: Audited::Replayed { report, torn_bytes }, unasked: None }
    }

    #[test]
    fn a_log_without_its_beginning_and_a_silent_history_are_reported_in_both_forms() {
        let findings = vec!["commands 1 to 9 are missing".to_owned()];
        let mut lost = LogAudit { log: Audited::Incomplete { missing: 9, findings }, unasked: None };
        let json = lost.as_json();
        assert_eq!(
            (&json["ok"], &json["missingCommands"], &json["sequence"]),
            (&json!(false), &json!(9), &Value::Null)
        );
        assert_eq!(json["findings"], json!(["commands 1 to 9 are missing"]));
        let text = lost.as_text();
        assert!(text.starts_with("WRONG: commands 1 to 9") && text.contains("Part of the log is missing"), "{text}");
        assert_eq!(lost.verdict(), Verdict::Wrong);
        lost.unasked = Some("no route".to_owned());
        assert_eq!(lost.verdict(), Verdict::Wrong);
        let silent = LogAudit { unasked: lost.unasked, ..audit(report(vec![]), 0) };
        assert_eq!((silent.verdict(), &silent.as_json()["historyUnavailable"]), (Verdict::Unasked, &json!("no route")));
        assert!(silent.as_text().contains("NOT CHECKED: the history could not be asked"), "{}", silent.as_text());
        assert_eq!(audit(report(vec![]), 0).verdict(), Verdict::Reconciled);
    }

    #[test]
    fn the_outcome_reads_the_same_for_people_and_programs() {
        let json = audit(report(vec![]), 0).as_json();
        assert_eq!(json["assets"]["BTC"], json!({"sum": "0", "clients": "1.50", "fees": "0.05"}));
        assert_eq!((&json["ok"], &json["sequence"]), (&json!(true), &json!(7)));
        assert_eq!(json["stateHash"], "ab".repeat(32));
        let text = audit(report(vec![]), 0).as_text();
        assert!(text.contains("1.50") && text.contains("All balances reconcile"), "{text}");
        let wrong = report(vec!["command 5: the sum of asset 0 is 1 instead of 0".into()]);
        assert_eq!(audit(wrong.clone(), 0).as_json()["ok"], false);
        assert!(
            audit(wrong.clone(), 9).as_text().contains("WRONG: command 5")
                && audit(wrong.clone(), 9).as_text().contains("9 bytes")
        );
        let lost = Report { missing: 2, ..report(vec!["2 commands are lost".into()]) };
        assert!(
            audit(lost.clone(), 9).as_text().contains("broken tail")
                && audit(lost.clone(), 9).as_text().contains("restore the log")
        );
    }
}
