//! The properties that must hold whatever the faults. [`Observer`] gets every command of every partition once, in
//! order, with its published events, and passes it to independent checkers. The worlds themselves check what only they
//! can see: that published events survive, that replicas agree, and that every request completes.

pub mod countdowns;
pub mod delisted;
pub mod depth;
pub mod frozen;
pub mod judge;
pub mod money;
pub mod tables;

use std::collections::{BTreeMap, BTreeSet};

use crossbook_engine::Partition;
use crossbook_protocol::peer::{Origin, Outgoing};
use crossbook_protocol::{Answer, Body, Cause, Command, Event, Events, Refusal, Routing, Rules};
use crossbook_types::{AccountId, PartitionId, RequestNumber, Sequence, SourceId, TransferId};
use crossbook_views::{Limits, Views};

use crate::coverage::Coverage;
use crate::violation::{Violation, ensure};
use crate::workload::WORK;
use countdowns::Countdowns;
use delisted::Delisted;
use depth::Subscriber;
use frozen::Frozen;
use judge::Judge;
use money::Money;
use tables::Recording;

/// How often the books are added up from nothing, in commands of a partition.
const AUDIT_EVERY: u64 = 16;

/// One command and its published events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    /// Its place and time.
    pub cause: Cause,
    /// The published bytes.
    pub bytes: Vec<u8>,
    /// Events of the command.
    pub events: Vec<Event>,
    /// By partition, the last message that it left for it.
    pub sent: Vec<(PartitionId, RequestNumber)>,
}

/// What the observer keeps of one partition.
#[derive(Debug)]
struct Watched {
    /// A partition of its own, that nothing ever happens to.
    reference: Partition,
    published: Vec<Published>,
    views: Views,
    recording: Recording,
}

/// Watches all published events.
#[derive(Debug)]
pub struct Observer {
    watched: Vec<Watched>,
    judge: Judge,
    countdowns: Countdowns,
    delisted: Delisted,
    frozen: Frozen,
    money: Money,
    subscriber: Subscriber,
    answered: BTreeMap<(SourceId, RequestNumber), Answer>,
    transferred: BTreeSet<(AccountId, TransferId)>,
    paid_out: BTreeSet<(PartitionId, TransferId)>,
    events: Events,
    /// What all this came to.
    pub coverage: Coverage,
}

impl Observer {
    /// An observer of a venue at which nothing has happened.
    #[must_use]
    pub fn new(routing: &Routing, limits: &Limits) -> Self {
        let watch = |id: PartitionId| Watched {
            reference: Partition::new(id, routing.clone(), 0xC0FFEE).with_work(WORK),
            published: Vec::new(),
            views: Views::new(limits.clone()),
            recording: Recording::new(id),
        };
        Self {
            watched: routing.all().map(watch).collect(),
            judge: Judge::default(),
            countdowns: Countdowns::default(),
            delisted: Delisted::default(),
            frozen: Frozen::default(),
            money: Money::default(),
            subscriber: Subscriber::default(),
            answered: BTreeMap::new(),
            transferred: BTreeSet::new(),
            paid_out: BTreeSet::new(),
            events: Events::new(),
            coverage: Coverage::default(),
        }
    }

    /// Up to where a partition was watched.
    #[must_use]
    pub fn position(&self, partition: PartitionId) -> Sequence {
        self.at(partition).reference.sequence()
    }

    /// All that a partition has published, from the first command.
    #[must_use]
    pub fn published(&self, partition: PartitionId) -> &[Published] {
        &self.at(partition).published
    }

    /// The partition as it must be.
    #[must_use]
    pub fn reference(&self, partition: PartitionId) -> &Partition {
        &self.at(partition).reference
    }

    /// The views as they must be.
    #[must_use]
    pub fn views(&self, partition: PartitionId) -> &Views {
        &self.at(partition).views
    }

    /// The tables and their writers.
    pub fn recording_mut(&mut self, partition: PartitionId) -> (&mut Recording, &[Published]) {
        let watched = &mut self.watched[usize::from(partition.0)];
        (&mut watched.recording, &watched.published)
    }

    /// The client of the depth streams.
    pub fn subscriber_mut(&mut self) -> &mut Subscriber {
        &mut self.subscriber
    }

    /// The answer to a request, if it was published.
    #[must_use]
    pub fn answer(&self, source: SourceId, number: RequestNumber) -> Option<&Answer> {
        self.answered.get(&(source, number))
    }

    fn at(&self, partition: PartitionId) -> &Watched {
        &self.watched[usize::from(partition.0)]
    }

    /// Applies the next command of a partition, computes its events, and checks them against all rules. The caller
    /// compares what the venue has really published, with [`Observer::published`].
    ///
    /// # Errors
    /// When a rule is broken.
    pub fn take(&mut self, partition: PartitionId, command: &Command) -> Result<(), Violation> {
        let watched = &mut self.watched[usize::from(partition.0)];
        self.events.clear();
        let rules = watched.reference.active_rules();
        watched.reference.apply(command, &mut self.events);
        let outgoing: Vec<Outgoing> = watched.reference.drain_outgoing().collect();
        let mut bytes = Vec::new();
        crossbook_protocol::wire::encode_published(command, &outgoing, self.events.all(), &mut bytes);
        let cause = Cause { sequence: command.sequence, time: command.time };
        let events = self.events.all().to_vec();
        watched.views.apply_all(cause, &events);
        let mut sent: BTreeMap<PartitionId, RequestNumber> = BTreeMap::new();
        sent.extend(outgoing.iter().map(|message| (message.to, message.number)));
        let repeated = events.is_empty() && !matches!(command.body, Body::Peer(_)) && outgoing.is_empty();
        if repeated {
            self.coverage.count("command repeated without effect");
        } else {
            self.coverage.command(&command.body);
        }
        self.coverage.count(&format!("commands of partition {partition}"));
        self.check_deadline(command, &events)?;
        if !repeated {
            check_note(command, rules, &events)?;
        }
        for event in &events {
            self.coverage.event(event);
            match event {
                // Nobody asked for what countdowns cancel, and nobody waits for the answer.
                Event::Answered { source, number, .. }
                    if (*source, *number) == (Origin::NOBODY.source, Origin::NOBODY.number) => {}
                Event::Answered { source, number, answer } => {
                    let first = self.answered.insert((*source, *number), answer.clone()).is_none();
                    ensure!(
                        first,
                        Once,
                        "request {number} of source {source} is answered a second time, in command {}",
                        cause.sequence
                    );
                }
                Event::Transferred(transfer) => {
                    let first = self.transferred.insert((transfer.account, transfer.transfer));
                    ensure!(first, Once, "transfer {} is made twice", transfer.transfer.as_str());
                }
                Event::FeesPaidOut(payout) => {
                    let first = self.paid_out.insert((partition, payout.transfer));
                    ensure!(first, Once, "payout {} of {partition} is made twice", payout.transfer.as_str());
                }
                _ => {}
            }
        }
        self.judge.take(partition, cause, &events)?;
        let reference = &self.watched[usize::from(partition.0)].reference;
        self.countdowns.take(reference, command, &events, &mut self.coverage)?;
        self.delisted.take(reference, &events, &mut self.coverage)?;
        self.frozen.take(reference, command, &events, &mut self.coverage)?;
        self.subscriber.take(&events)?;
        self.money.take(partition, command, &outgoing)?;
        let watched = &mut self.watched[usize::from(partition.0)];
        watched.published.push(Published { cause, bytes, events, sent: sent.into_iter().collect() });
        if cause.sequence.0.is_multiple_of(AUDIT_EVERY) {
            self.audit(partition)?;
        }
        if self.watched.len() == 1 {
            self.judge.check_holds()?;
        }
        Ok(())
    }

    /// What is in the log too late is refused for that and nothing else, and nothing else is.
    fn check_deadline(&self, command: &Command, events: &[Event]) -> Result<(), Violation> {
        let refused = |event: &Event| matches!(event, Event::Answered { answer: Answer::Refused(Refusal::Late), .. });
        let late = command.is_late();
        let due = if late { events.len() <= 1 && events.iter().all(refused) } else { !events.iter().any(refused) };
        let Command { sequence, time, deadline, .. } = command;
        ensure!(due, Once, "command {sequence} of {time:?}, wanted until {deadline:?}, brings {events:?}");
        Ok(())
    }

    /// Adds a partition up.
    fn audit(&self, partition: PartitionId) -> Result<(), Violation> {
        let audit = self.at(partition).reference.audit();
        ensure!(audit.violations.is_empty(), Money, "partition {partition}: {:?}", audit.violations);
        ensure!(audit.sums.values().all(|sum| sum.is_zero()), Money, "partition {partition}: {:?}", audit.sums);
        Ok(())
    }

    /// Checks the invariants over all partitions, which hold at any time.
    ///
    /// # Errors
    /// When one does not.
    pub fn check_together(&self) -> Result<(), Violation> {
        self.money.check(self.watched.iter().map(|watched| &watched.reference))
    }

    /// What must hold when all is quiet.
    ///
    /// # Errors
    /// When it does not.
    pub fn check_quiet(&mut self) -> Result<(), Violation> {
        for at in 0..self.watched.len() {
            self.audit(PartitionId(at as u16))?;
        }
        self.check_together()?;
        ensure!(self.money.in_transit() == 0, Liveness, "{} messages were never heard", self.money.in_transit());
        self.judge.check_holds()?;
        self.judge.check_triggered()?;
        self.judge.check_balances(self.watched.iter().map(|watched| &watched.reference))?;
        let due = self.judge.holds();
        let holds: usize = self.watched.iter().map(|watched| watched.reference.ledger().holds()).sum();
        ensure!(due == holds, Holds, "open orders have {due} holds, but there are {holds}");
        self.countdowns.check(self.watched.iter().map(|watched| (&watched.reference, &watched.views)))?;
        self.frozen.check(self.watched.iter().map(|watched| (&watched.reference, &watched.views)))?;
        for watched in &mut self.watched {
            self.judge.check_views(&watched.views, watched.reference.id())?;
            watched.recording.check(&watched.published)?;
        }
        self.subscriber.check(&self.judge)
    }
}

/// What an operator asks is told once, with the note that it came with; what nobody's note came with is not.
fn check_note(command: &Command, rules: Rules, events: &[Event]) -> Result<(), Violation> {
    let due = match &command.body {
        Body::Operated(operated) if rules >= Rules::V4 && !command.skipped && !command.is_late() => {
            Some(&operated.note)
        }
        _ => None,
    };
    let told = events.iter().filter_map(|event| match event {
        Event::OperatorActed(acted) => Some(&acted.note),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    ensure!(told == due.into_iter().collect::<Vec<_>>(), Once, "command {command:?} brings the notes {told:?}");
    Ok(())
}
