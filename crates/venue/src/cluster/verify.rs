//! `crossbook store verify --cluster`: compares a cluster's history with its partitions.
//!
//! Each partition is restored to the position of its rows, and compared with them. The sums of ledger entries by
//! account concern all partitions, and can be compared only if no message was in transit between those positions; the
//! tables are read a few times to find them so. Where the rows of a partition begin with a snapshot, the opening
//! entries of its accounts are of another time than those of the others, and trades in between are counted twice or not
//! at all; then these sums are not compared.

use std::time::Duration;

use crossbook_cluster::cut::{ConsistentCut, Part};
use crossbook_store::verify::{StoredState, compare_entries};
use crossbook_store::{Database, Position};
use crossbook_types::{PartitionId, Sequence};

use super::provider::Link;
use super::{Error, Site, durability_check};
use crate::expected_history::ExpectedHistory;

/// How many times, and how often, the tables are read to find them with nothing in flight.
const TRIES: u32 = 5;
const TRY_EVERY: Duration = Duration::from_millis(500);

/// What a verification found.
#[derive(Debug)]
pub struct Verdict {
    /// By partition, where the tables stand.
    pub positions: Vec<(PartitionId, Position)>,
    /// Messages that were in flight at the positions of the tables: then the entries of accounts were not compared.
    pub under_way: u64,
    /// Partitions whose rows begin with a snapshot: then they were not compared either.
    pub begun_late: Vec<PartitionId>,
    /// Partitions of which the trades could not be added up, since the log no longer has them all.
    pub trusted: Vec<PartitionId>,
    /// The finding.
    pub findings: Vec<String>,
}

/// Compares the history of a cluster with its partitions.
///
/// # Errors
/// When the database cannot be read, or a partition not restored.
pub fn verify(site: &Site, database: &Database) -> Result<Verdict, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)?;
    durability_check::check_all(site, Some(database))?;
    let mut tries = 0;
    loop {
        tries += 1;
        let verdict = super::beside_trimming(|| {
            let facts =
                site.routing.all().map(|partition| runtime.block_on(StoredState::read(database, partition, false)));
            compare(site, facts.collect::<Result<Vec<StoredState>, _>>()?)
        })?;
        if verdict.under_way == 0 || !verdict.findings.is_empty() || tries == TRIES {
            return Ok(verdict);
        }
        std::thread::sleep(TRY_EVERY);
    }
}

fn compare(site: &Site, mut facts: Vec<StoredState>) -> Result<Verdict, Error> {
    let (mut positions, mut trusted, mut findings, mut parts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (partition, facts) in site.routing.all().zip(&mut facts) {
        let Position { sequence, complete_from, .. } = facts.position;
        positions.push((partition, facts.position));
        // The sums need every trade, so a snapshot is used only where the log has lost its beginning.
        let whole = Link::connect(&site.servers, partition)?.ends()?.first <= Sequence(1);
        let snapshots_up_to = if whole { Sequence(0) } else { sequence };
        let mut part = Part::restore(
            site,
            partition,
            sequence,
            snapshots_up_to,
            ExpectedHistory::new(site.limits.clone(), complete_from),
        )?;
        // The names of markets are partition 0's to write, and it may be behind.
        facts.settle(&part.state);
        if part.snapshot > complete_from {
            part.follower_mut().expected_state.trust_trades(facts);
            trusted.push(partition);
        }
        let ExpectedHistory { views, expected_state, .. } = part.follower();
        let found = expected_state.compare(facts, &part.state, views);
        findings.extend(found.into_iter().map(|found| format!("partition {partition}: {found}")));
        parts.push(part);
    }
    let cut = ConsistentCut(parts);
    let under_way = cut.messages();
    let begun_late: Vec<PartitionId> = positions
        .iter()
        .filter(|(_, position)| position.complete_from > Sequence(0))
        .map(|&(partition, _)| partition)
        .collect();
    if under_way == 0 && begun_late.is_empty() {
        let states: Vec<_> = cut.0.iter().map(|part| &part.state).collect();
        findings.extend(compare_entries(&facts, &states));
    }
    Ok(Verdict { positions, under_way, begun_late, trusted, findings })
}

impl Verdict {
    /// Whether the history agrees with the engine.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.findings.is_empty()
    }
}
