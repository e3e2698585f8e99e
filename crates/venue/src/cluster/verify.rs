//! `crossbook store verify --cluster`: holds a cluster's history against its partitions.
//!
//! Each partition is restored to where its rows stand, and held against them. What the entries of an account add up to
//! is a matter of all partitions, and can be compared where no message was on its way between those places; it is tried
//! a few times to find the tables so. Where a partition's rows begin with a snapshot, its accounts' opening entries are
//! of another moment than those of the others, and what was traded between the two is in both or in neither; then it
//! cannot be compared at all.

use std::time::Duration;

use crossbook_cluster::moment::{Moment, Part};
use crossbook_redis_store::Link;
use crossbook_store::verify::{Facts, compare_entries};
use crossbook_store::{Database, Position};
use crossbook_types::{PartitionId, Sequence};
use serde_json::{Value, json};

use super::{Error, Site, evidence};
use crate::checking::Checking;

/// How many times, and how often, the tables are read to find them with nothing under way.
const TRIES: u32 = 5;
const TRY_EVERY: Duration = Duration::from_millis(500);

/// What a verification found.
#[derive(Debug)]
pub struct Verdict {
    positions: Vec<(PartitionId, Position)>,
    /// Messages that were under way where the tables stand: then the entries of accounts were not compared.
    under_way: u64,
    /// Partitions whose rows begin with a snapshot: then they were not compared either.
    begun_late: Vec<PartitionId>,
    /// Partitions of which the trades could not be added up, since the log no longer has them all.
    trusted: Vec<PartitionId>,
    findings: Vec<String>,
}

/// Verifies the history of a cluster.
///
/// # Errors
/// When the database cannot be read, or a partition not restored.
pub fn verify(site: &Site, database: &Database) -> Result<Verdict, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)?;
    evidence::check_all(site, Some(database))?;
    let mut tries = 0;
    loop {
        tries += 1;
        let verdict = super::beside_trimming(|| {
            let facts = site.routing.all().map(|partition| runtime.block_on(Facts::read(database, partition, false)));
            compare(site, facts.collect::<Result<Vec<Facts>, _>>()?)
        })?;
        if verdict.under_way == 0 || !verdict.findings.is_empty() || tries == TRIES {
            return Ok(verdict);
        }
        std::thread::sleep(TRY_EVERY);
    }
}

fn compare(site: &Site, mut facts: Vec<Facts>) -> Result<Verdict, Error> {
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
            Checking::new(site.limits.clone(), complete_from),
        )?;
        // The names of markets are partition 0's to write, and it may be behind.
        facts.settle(&part.state);
        if part.snapshot > complete_from {
            part.follower_mut().witness.trust_trades(facts);
            trusted.push(partition);
        }
        let Checking { views, witness, .. } = part.follower();
        let found = witness.compare(facts, &part.state, &views);
        findings.extend(found.into_iter().map(|found| format!("partition {partition}: {found}")));
        parts.push(part);
    }
    let moment = Moment(parts);
    let under_way = moment.messages();
    let begun_late: Vec<PartitionId> = positions
        .iter()
        .filter(|(_, position)| position.complete_from > Sequence(0))
        .map(|&(partition, _)| partition)
        .collect();
    if under_way == 0 && begun_late.is_empty() {
        let states: Vec<_> = moment.0.iter().map(|part| &part.state).collect();
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

    /// For programs.
    #[must_use]
    pub fn as_json(&self) -> Value {
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

    /// For people.
    #[must_use]
    pub fn as_text(&self) -> String {
        use std::fmt::Write as _;
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
                "What ledger entries add up to by account was not compared: {} messages were on their way where the tables stand. Try \
                 again when less is traded.",
                self.under_way
            );
        }
        if !self.begun_late.is_empty() {
            let partitions: Vec<String> = self.begun_late.iter().map(ToString::to_string).collect();
            let _ = writeln!(
                out,
                "What ledger entries add up to by account was not compared: the rows of partitions {} begin with a snapshot.",
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
