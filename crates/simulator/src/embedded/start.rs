//! A start of a venue in one process, and the checks after it.

use std::collections::{BTreeMap, VecDeque};

use crossbook_log::files::Options;
use crossbook_log::memory::Memory;
use crossbook_log::{FileReader, Files, Log as _, Reader as _, Recovery, Until, Verifier};
use crossbook_node::embedded::source_of_run;
use crossbook_node::node::Node;
use crossbook_node::recovery::{self, Which};
use crossbook_node::snapshot::{Folder, Saved as _};
use crossbook_node::snapshotter::{Schedule, Snapshotter};
use crossbook_oracle::model::Model;
use crossbook_protocol::{Body, Event};
use crossbook_types::{RequestNumber, Sequence};
use crossbook_views::Views;

use super::{PARTITION, Run, World};
use crate::violation::{Check, Violation, ensure};
use crate::workload;

/// How often a start may fail before that is a fault of its own.
const STARTS_MAX: u32 = 30;

impl World {
    pub(super) fn start(&mut self) -> Result<(), Violation> {
        for attempt in 0..STARTS_MAX {
            match self.try_start()? {
                true => {
                    self.starts += 1;
                    return Ok(());
                }
                false => {
                    self.observer.coverage.count("fault during recovery");
                    if attempt > 2 || self.dice.one_in(2) {
                        self.cut_power();
                    } else {
                        self.disk.limit(u64::MAX);
                    }
                }
            }
        }
        Err(Violation::new(Check::Alive, "the venue does not start again"))
    }

    /// False if a fault came in between.
    fn try_start(&mut self) -> Result<bool, Violation> {
        // Every other start begins with what its snapshot stands for, as the venue does. What the others find must be
        // the same.
        let known = Folder::on(self.snapshots.clone()).list().unwrap_or_default().first().copied().unwrap_or_default();
        let verify_from = if self.starts.is_multiple_of(2) { Sequence(0) } else { known };
        let options = Options { durable_at_least: known, verify_from, ..self.options };
        let (log, report) = match Files::open_in(self.disk.clone(), options) {
            Ok(opened) => opened,
            Err(error @ crossbook_log::Error::Corrupt { .. }) => {
                return Err(Violation::new(Check::Damage, format!("a log that only crashes have touched: {error}")));
            }
            Err(_) => return Ok(false),
        };
        if report.torn.is_some() {
            self.observer.coverage.count("torn tail cut");
        }
        let end = log.durable();
        let published = Sequence(self.published.len() as u64);
        ensure!(end >= published, Durable, "command {published} was published, and the log ends at {end}");
        let which = Which { work: workload::WORK, ..Which::single(self.dice.any()) };
        let snapshots = Folder::on(self.snapshots.clone());
        let disk = self.disk.clone();
        let reader = |from| FileReader::open_in(disk, from);
        let follower = Views::new(self.view_limits.clone());
        let until = Until::Durable(end);
        let recovered = match recovery::recover(&which, &snapshots, reader, until, follower, |_| ()) {
            Ok(recovered) => recovered,
            Err(recovery::Error::Log(_) | recovery::Error::Snapshot(_)) if self.faults && self.is_dark() => {
                return Ok(false);
            }
            Err(error) => return Err(Violation::new(Check::Alive, format!("recovery fails: {error}"))),
        };
        self.observer.coverage.count(match recovered.snapshot {
            Some(_) => "started from a snapshot",
            None => "started from the log alone",
        });
        self.verify_rest(&log, &report)?;
        self.compare_records(log.first(), end)?;
        self.watch(end)?;
        // Everything in the log counts as published from now on.
        for published in &self.observer.published(PARTITION)[self.published.len()..] {
            let mut bytes = Vec::new();
            crossbook_protocol::wire::encode_events(published.cause, &published.events, &mut bytes);
            self.published.push(bytes);
        }
        let reference = self.observer.reference(PARTITION).state();
        ensure!(recovered.partition.state() == reference, Replicas, "recovery gives another state at {end}");
        let views = recovered.follower;
        let due = self.observer.views(PARTITION).state();
        ensure!(views.state() == due, Views, "recovery gives other views at {end}");
        let source = source_of_run(end);
        let trimmer = log.trimmer();
        // As often as there is something new: how often it is looked is up to chance.
        let schedule = Schedule::new(1, recovered.snapshot.unwrap_or_default());
        let snapshotter = Snapshotter::new(which, snapshots, schedule, self.rates.trims);
        let node = Node::new(recovered.partition, log, self.clock.clone(), self.hatch.clone(), source, self.limits);
        let publishing = VecDeque::new();
        let (next, asked) = (RequestNumber(1), BTreeMap::new());
        self.run = Some(Run { node, trimmer, source, next, publishing, views, asked, snapshotter });
        Ok(true)
    }

    /// Verifies what a start that begins with its snapshot did not read.
    fn verify_rest(&mut self, log: &Files<Memory>, report: &Recovery) -> Result<(), Violation> {
        let mut verifier = Verifier::new_in(self.disk.clone(), log.identity(), report);
        loop {
            match verifier.step(1_000) {
                Ok(Some(_)) => self.observer.coverage.count("verified behind the venue's back"),
                Ok(None) => return Ok(()),
                Err(error) => {
                    return Err(Violation::new(
                        Check::Damage,
                        format!("a log that only crashes have touched: {error}"),
                    ));
                }
            }
        }
    }

    /// Whether the log still has the records that were read from it before.
    fn compare_records(&mut self, first: Sequence, end: Sequence) -> Result<(), Violation> {
        let mut reader = FileReader::open_in(self.disk.clone(), first);
        for (sequence, (time, payload)) in (1..).zip(&self.records).skip(first.0.saturating_sub(1) as usize) {
            let record = reader.next(Until::Durable(end));
            let same = matches!(&record, Ok(Some(record))
                if record.sequence.0 == sequence && record.time == *time && record.payload == payload);
            ensure!(same, Durable, "record {sequence} was published of and has become {record:?}");
        }
        Ok(())
    }

    /// Reads the log with another reader, and compares what was published with what follows from it.
    pub(super) fn watch(&mut self, until: Sequence) -> Result<(), Violation> {
        let from = self.observer.position(PARTITION).next();
        if from > until {
            return Ok(());
        }
        let mut reader = FileReader::open_in(self.disk.clone(), from);
        while let Some(record) = reader.next(Until::Durable(until)).map_err(|error| {
            Violation::new(Check::Durable, format!("command {from} was published, and cannot be read: {error}"))
        })? {
            let (sequence, time, payload) = (record.sequence, record.time, record.payload.to_vec());
            let command = crossbook_protocol::wire::decode_command(sequence, time, &payload)
                .map_err(|error| Violation::new(Check::Durable, format!("record {sequence}: {error}")))?;
            self.records.push((time, payload));
            self.observer.take(PARTITION, &command)?;
            let watched = &self.observer.published(PARTITION)[self.records.len() - 1];
            if let Some(published) = self.published.get(self.records.len() - 1) {
                let mut bytes = Vec::new();
                crossbook_protocol::wire::encode_events(watched.cause, &watched.events, &mut bytes);
                ensure!(
                    bytes == *published,
                    Published,
                    "what was published of command {sequence} does not follow from it"
                );
            }
            let plain =
                self.oracle.as_mut().filter(|_| is_modelled(&command.body)).map(|oracle| oracle.apply(&command));
            if let Some(plain) = plain {
                ensure!(
                    plain == watched.events,
                    Oracle,
                    "command {command:?}: {:?}, due was {plain:?}",
                    watched.events
                );
            }
            if let Some(oracle) = &mut self.oracle {
                learn_markets(oracle, &watched.events);
            }
            let registry = self.observer.reference(PARTITION).registry();
            if self.oracle.is_none() && registry.markets().len() == workload::MARKETS as usize {
                let markets = registry.markets().iter().copied().zip(workload::UNITS).collect();
                self.oracle =
                    Some(Model::new(markets, (0..workload::ACCOUNTS).map(workload::account)).with_work(workload::WORK));
            }
        }
        Ok(())
    }
}

/// Whether the oracle knows what a command causes.
fn is_modelled(body: &Body) -> bool {
    match body {
        Body::Operated(operated) => is_modelled(&operated.body),
        Body::Place(_)
        | Body::Cancel(_)
        | Body::CancelAll(_)
        | Body::Amend(_)
        | Body::Replace(_)
        | Body::PlaceList(_)
        | Body::CancelList(_)
        | Body::Session(_)
        | Body::Transfer(_)
        | Body::SetTradeGroup(_)
        | Body::SetCountdown(_)
        | Body::EndCountdown(_)
        | Body::ChangeMarket(_)
        | Body::DelistMarket { .. }
        | Body::SetExchangeFilters(_)
        | Body::SetAccountFees(_)
        | Body::SetFeeTiers(_)
        | Body::SetFeeDiscount(_)
        | Body::SetDiscountUse { .. }
        | Body::SetFrozen { .. }
        | Body::Peer(_) => true,
        _ => false,
    }
}

/// Tells the oracle of the markets that a command has listed.
fn learn_markets(oracle: &mut Model, events: &[Event]) {
    for event in events {
        if let Event::MarketListed(market) = event {
            oracle.list_market(**market, workload::units(market));
        }
    }
}
