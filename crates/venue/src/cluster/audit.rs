//! `crossbook audit --cluster`: proves that the books of a running cluster balance.
//!
//! All partitions are restored from snapshots and logs, to consistent positions (see [`crossbook_cluster::cut`]). Per
//! asset, the sum over all accounts of each partition must be zero. A clearing account may differ from zero by what a
//! trade has moved on one side and not yet on the other; that must be exactly what the messages in transit move.

use std::collections::BTreeMap;

use crossbook_cluster::ConsistentCut;
use crossbook_node::embedded::{self, AuditReport};
use crossbook_store::Database;
use crossbook_types::{AccountId, Amount, PartitionId, Sequence};
use crossbook_views::Views;

use super::{Error, Site, durability_check};
use crate::verdict::Verdict;

/// What there is of an asset, in its smallest unit, in all partitions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Of all accounts; must be zero.
    pub sum: Amount,
    /// Of the clients' accounts.
    pub clients: Amount,
    /// Of the venue's account of fees.
    pub fees: Amount,
    /// Of the clearing accounts: in transit between partitions.
    pub clearing: Amount,
    /// What the messages in flight will move through the clearing accounts.
    pub to_settle: Amount,
    /// Decimals of the asset.
    pub decimals: u8,
}

/// The state of a partition.
#[derive(Debug)]
pub struct Standing {
    /// Which partition.
    pub partition: PartitionId,
    /// The command at which it was added up.
    pub sequence: Sequence,
    /// The snapshot that it was restored from; 0 if none was.
    pub snapshot: Sequence,
    /// The hash of its state there.
    pub state_hash: [u8; 32],
}

/// What an audit found.
#[derive(Debug)]
pub struct Report {
    /// The partitions, at places of their logs that go together.
    pub partitions: Vec<Standing>,
    /// By name of the asset, what there is of it.
    pub assets: BTreeMap<String, Totals>,
    /// Messages in flight between partitions; `None` where the partitions were not summed.
    pub messages: Option<u64>,
    /// The finding.
    pub findings: Vec<String>,
    /// Why the history could not be asked whether the streams have all their commands.
    pub unasked: Option<String>,
}

/// Audits a cluster.
///
/// # Errors
/// When a partition cannot be restored, also not after reading again what was trimmed away meanwhile, and nothing was
/// found before that.
pub fn audit(site: &Site, database: Option<&Database>) -> Result<Report, Error> {
    let mut findings = Vec::new();
    let (mut failed, mut unasked) = (None, None);
    let mut asked = database;
    for partition in site.routing.all() {
        match durability_check::check(site, asked, partition) {
            Ok(None) => {}
            // It is not worth the wait for each partition.
            Ok(reason) => (asked, unasked) = (None, reason),
            Err(Error::Behind(behind)) => findings.push(behind.to_string()),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let added_up = match failed {
        Some(error) => Err(error),
        None => ConsistentCut::now(site, &site.routing, || Views::new(site.limits.clone()))
            .map(|cut| add_up(&cut))
            .map_err(Error::from),
    };
    conclude(findings, added_up).map(|report| Report { unasked, ..report })
}

/// The report of an audit that had findings before it added the partitions up. Findings are most likely why the
/// partitions cannot be added up, so they are reported, and the error beside them.
fn conclude(mut findings: Vec<String>, added_up: Result<Report, Error>) -> Result<Report, Error> {
    match added_up {
        Ok(mut report) => {
            findings.append(&mut report.findings);
            Ok(Report { findings, ..report })
        }
        Err(error) if findings.is_empty() => Err(error),
        Err(error) => {
            findings.push(format!("the partitions cannot be added up: {error}"));
            Ok(Report { partitions: Vec::new(), assets: BTreeMap::new(), messages: None, findings, unasked: None })
        }
    }
}

pub(super) fn add_up(cut: &ConsistentCut<Views>) -> Report {
    let (mut partitions, mut findings) = (Vec::new(), Vec::new());
    let mut totals: BTreeMap<_, Totals> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for part in &cut.0 {
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
    for (asset, amount) in cut.to_settle() {
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
    Report { partitions, assets, messages: Some(cut.messages()), findings, unasked: None }
}

impl Report {
    /// Whether all balances reconcile.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.findings.is_empty()
    }

    /// How the cluster is.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.findings, self.unasked.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A partition that has lost commands often does not progress, so that no consistent cut can be read.
    #[test]
    fn findings_are_reported_where_the_partitions_cannot_be_added_up() {
        let stuck = || Err(crossbook_cluster::cut::Error::StandsStill(PartitionId(1)).into());
        let report = conclude(vec!["commands are missing".to_owned()], stuck()).unwrap();
        assert!(!report.adds_up());
        let [missing, why] = &report.findings[..] else { panic!("{report:?}") };
        assert!(missing == "commands are missing" && why.contains("partition 1 does not progress"), "{report:?}");
        assert_eq!(report.messages, None, "nothing was counted");
        assert!(conclude(Vec::new(), stuck()).is_err(), "without findings the error is all there is to say");
        let found = Report { messages: Some(3), findings: vec!["a sum is not zero".to_owned()], ..report };
        let report = conclude(vec!["commands are missing".to_owned()], Ok(found)).unwrap();
        assert_eq!(report.findings, ["commands are missing", "a sum is not zero"]);
    }
}
