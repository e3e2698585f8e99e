//! `crossbook audit --cluster`: adds a running cluster up.
//!
//! All partitions are restored from snapshots and logs, to places that go together (see
//! [`crossbook_cluster::moment`]). Per asset, the sum over all accounts of each partition must be zero. What a
//! trade has moved on one side and not yet on the other stands in the clearing accounts meanwhile; it must be exactly
//! what the messages move that are on their way.

use std::collections::BTreeMap;

use crossbook_cluster::Moment;
use crossbook_node::embedded::{self, AuditReport};
use crossbook_store::Database;
use crossbook_types::{AccountId, Amount, Decimal, PartitionId, Sequence};
use crossbook_views::Views;
use serde_json::{Map, Value, json};

use super::{Error, Site, evidence};

/// What there is of an asset, in its smallest unit, in all partitions.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    sum: Amount,
    clients: Amount,
    fees: Amount,
    clearing: Amount,
    /// What the messages under way will move through the clearing accounts.
    to_settle: Amount,
    decimals: u8,
}

/// How a partition stands.
#[derive(Debug)]
struct Standing {
    partition: PartitionId,
    sequence: Sequence,
    snapshot: Sequence,
    state_hash: [u8; 32],
}

/// What an audit found.
#[derive(Debug)]
pub struct Report {
    partitions: Vec<Standing>,
    assets: BTreeMap<String, Totals>,
    messages: u64,
    findings: Vec<String>,
}

/// Audits a cluster.
///
/// # Errors
/// When a partition cannot be restored, also not after reading again what was trimmed away meanwhile.
pub fn audit(site: &Site, database: Option<&Database>) -> Result<Report, Error> {
    let mut findings = Vec::new();
    let mut asked = database;
    for partition in site.routing.all() {
        match evidence::check(site, asked, partition) {
            Err(Error::Behind(behind)) => findings.push(behind.to_string()),
            // It is not worth the wait for each partition.
            Ok(false) => asked = None,
            checked => drop(checked?),
        }
    }
    let mut report = add_up(&Moment::now(site, &site.routing, || Views::new(site.limits.clone()))?);
    findings.append(&mut report.findings);
    Ok(Report { findings, ..report })
}

pub(super) fn add_up(moment: &Moment<Views>) -> Report {
    let (mut partitions, mut findings) = (Vec::new(), Vec::new());
    let mut totals: BTreeMap<_, Totals> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for part in &moment.0 {
        let AuditReport { sequence, state_hash, violations, .. } = embedded::audit(&part.state);
        let partition = part.state.id();
        findings.extend(violations.into_iter().map(|found| format!("partition {partition}: {found}")));
        partitions.push(Standing { partition, sequence, snapshot: part.snapshot, state_hash });
        let ledger = part.state.ledger();
        for asset in part.state.registry().assets() {
            names.insert(asset.id, asset.name.to_string());
            let totals = totals.entry(asset.id).or_default();
            totals.decimals = asset.decimals;
            let [external, fees, clearing] = [AccountId::EXTERNAL, AccountId::FEES, AccountId::CLEARING]
                .map(|account| ledger.venue_balance(account, asset.id));
            totals.fees = totals.fees.plus(fees);
            totals.clearing = totals.clearing.plus(clearing);
            totals.sum = totals.sum.plus(external).plus(fees).plus(clearing);
        }
        for (_, asset, balance) in ledger.balances() {
            let all = balance.free.plus(balance.held);
            let totals = totals.entry(asset).or_default();
            totals.clients = totals.clients.plus(all);
            totals.sum = totals.sum.plus(all);
        }
    }
    for (asset, amount) in moment.to_settle() {
        totals.entry(asset).or_default().to_settle = amount;
    }
    let name = |asset| names.get(&asset).cloned().unwrap_or_else(|| format!("asset {asset}"));
    let assets: BTreeMap<String, Totals> = totals.into_iter().map(|(asset, totals)| (name(asset), totals)).collect();
    for (name, totals) in &assets {
        if !totals.sum.is_zero() {
            findings.push(format!("the sum of {name} over all partitions is {} instead of 0", totals.sum.0));
        }
        let left = totals.clearing.plus(totals.to_settle);
        if !left.is_zero() {
            findings.push(format!(
                "{} of {name} are in transit, but the messages under way account for {}",
                totals.clearing.0,
                totals.to_settle.negated().0
            ));
        }
    }
    Report { partitions, assets, messages: moment.messages(), findings }
}

fn amount(amount: Amount, totals: &Totals) -> String {
    // Zero is "0" whatever the asset's decimals, so that programs can compare without parsing.
    if amount.is_zero() {
        return "0".to_owned();
    }
    let mut text = String::new();
    Decimal::write(amount.0, totals.decimals, 0, &mut text);
    text
}

impl Report {
    /// Whether everything adds up.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.findings.is_empty()
    }

    /// For programs.
    #[must_use]
    pub fn as_json(&self) -> Value {
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
            "ok": self.adds_up(),
        })
    }

    /// For people.
    #[must_use]
    pub fn as_text(&self) -> String {
        use std::fmt::Write as _;
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
        let _ = writeln!(out, "\n{} messages between partitions are on their way.\n", self.messages);
        for finding in &self.findings {
            let _ = writeln!(out, "WRONG: {finding}");
        }
        let verdict = if self.adds_up() {
            "Everything adds up: the sum of every asset over all partitions is zero, and what is in transit is what these messages move."
        } else {
            "Something is off. Keep logs and snapshots as they are and find out why before trading goes on."
        };
        let _ = writeln!(out, "{verdict}");
        out
    }
}
