//! Workers: the production replica and forwarder, driven by the world instead of by threads. A worker runs all
//! partitions, and delivers their messages to each other.

use std::collections::BTreeSet;
use std::time::Duration;

use crossbook_cluster::Replica;
use crossbook_cluster::forwarder::{ASK_EVERY, Forwarder, Lost, Round};
use crossbook_cluster::replica::{self, Limits, Standing};
use crossbook_cluster::store::Deliver;
use crossbook_engine::WorkBudget;
use crossbook_log::Record;
use crossbook_node::node::Clock as _;
use crossbook_protocol::peer::Outgoing;
use crossbook_protocol::{Body, Rules};
use crossbook_types::{PartitionId, Sequence, SourceId, Timestamp};

use super::call::{Actor, Link, Process, Reply, Request};
use super::{Event, PARTITIONS, World};
use crate::clock::WallClock;
use crate::dice::Dice;
use crate::violation::{Check, Violation, ensure};

/// How long a standby pauses after a read.
const STANDBY_REST_US: u64 = 10_000;
/// Messages delivered to a partition at a time.
const LETTERS_MAX: usize = 32;
/// After so many commands, the states of a partition's replicas are compared.
const COMPARE_EVERY: u64 = 32;

/// One partition at a worker.
#[derive(Debug, Default)]
pub(super) struct Seat {
    pub(super) replica: Option<Replica>,
    pub(super) link: Link,
}

/// What a worker carries to one partition.
#[derive(Debug, Default)]
pub(super) struct Forwarding {
    pub(super) forwarder: Forwarder,
    pub(super) link: Link,
    /// What the call in flight delivers.
    round: Option<Round>,
}

/// A worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) alive: bool,
    pub(super) paused: bool,
    /// Counts its starts: what belongs to an earlier one is dead.
    pub(super) life: u64,
    pub(super) clock: WallClock,
    pub(super) limits: Limits,
    /// The newest rules that its program knows.
    pub(super) known: Rules,
    /// The bounds by which it computes, if they are not those of the rules.
    pub(super) work: Option<WorkBudget>,
    pub(super) seats: Vec<Seat>,
    pub(super) forwarders: Vec<Forwarding>,
}

impl Worker {
    pub(super) fn new(clock: WallClock, which: usize, dice: &mut Dice) -> Self {
        let takeover_us = dice.between(100_000, 400_000);
        let limits = Limits {
            records_max: dice.between(4, 64) as usize,
            held_max: dice.between(64, 128) as usize,
            entries_max: dice.between(4, 64) as usize,
            unconfirmed_outputs_max: dice.between(40, 400) as usize,
            takeover_us: takeover_us + takeover_us * which as u64 / 3,
            contested_max: 4 + dice.below(29) as u32,
            idle_us: 1_000_000,
            confirm_every_us: 200_000,
        };
        let mut worker = Self {
            alive: true,
            paused: false,
            life: 0,
            clock,
            limits,
            known: Rules::NEWEST,
            work: None,
            seats: Vec::new(),
            forwarders: Vec::new(),
        };
        worker.forget();
        worker
    }

    /// The process is gone, and all that was in its memory.
    pub(super) fn forget(&mut self) {
        self.life += 1;
        self.seats = (0..PARTITIONS).map(|_| Seat::default()).collect();
        self.forwarders = (0..PARTITIONS).map(|_| Forwarding::default()).collect();
    }
}

impl World {
    pub(super) fn seat_step(&mut self, worker: usize, partition: usize) {
        let this = &mut self.workers[worker];
        let now = this.clock.now();
        let seat = &mut this.seats[partition];
        let request = match (&mut seat.replica, seat.link.epoch) {
            (Some(replica), Some(_)) => {
                let plan = replica.plan(now);
                Request::Turn {
                    publish_after: plan.publish_after,
                    entries: replica.entries().map(<[u8]>::to_vec).collect(),
                    read_after: plan.read_after,
                    records_max: plan.records_max,
                    wait_us: plan.wait.as_micros() as u64,
                    barrier: plan.barrier,
                    compare: plan.compare.map(|read| (read.after, read.records_max)),
                }
            }
            (Some(replica), None) => {
                replica.disconnected();
                let holds = replica.last().map(|last| (last.sequence, last.time, last.payload.to_vec()));
                Request::Hello { holds, durable: false }
            }
            (None, _) => Request::Hello { holds: None, durable: true },
        };
        self.call(Actor::Seat { worker, partition }, request);
    }

    pub(super) fn seat_answered(&mut self, worker: usize, partition: usize, reply: Reply) -> Result<(), Violation> {
        let actor = Actor::Seat { worker, partition };
        match reply {
            Reply::Hello { epoch, published, held } => {
                ensure!(held, Durable, "worker {worker} finds that the log of partition {partition} has forked");
                self.seat_connected(worker, partition, epoch, published)
            }
            Reply::Turned { published, records, durable, outputs } => {
                self.seat_turned(worker, partition, published, durable, &records, &outputs)
            }
            Reply::Forked => {
                Err(Violation::new(Check::Durable, format!("worker {worker} publishes what no command caused")))
            }
            Reply::Trimmed => {
                // It stood still for too long. The process ends, and starts again from a snapshot.
                self.observer.coverage.count("worker overtaken by trimming");
                self.kill(Process::Worker(worker));
                Ok(())
            }
            _ => {
                if let Some(replica) = &mut self.workers[worker].seats[partition].replica {
                    replica.disconnected();
                }
                self.reconnect(actor);
                Ok(())
            }
        }
    }

    /// A seat has a connection to its partition's log, and a replica.
    fn seat_connected(
        &mut self,
        worker: usize,
        partition: usize,
        epoch: u64,
        published: Sequence,
    ) -> Result<(), Violation> {
        let seat = &mut self.workers[worker].seats[partition];
        seat.link.epoch = Some(epoch);
        seat.link.tries = 0;
        if seat.replica.is_none() {
            let state = self.begin(partition, published)?;
            let limits = self.workers[worker].limits;
            let state = match self.workers[worker].work {
                Some(work) => state.with_work(work),
                None => state,
            };
            let known = self.workers[worker].known;
            match Replica::new(state, published, limits).and_then(|replica| replica.knowing(known)) {
                Ok(replica) => self.workers[worker].seats[partition].replica = Some(replica),
                Err(error) => return self.stopped(worker, partition, &error),
            }
        }
        self.plan(0, Event::Wake(Actor::Seat { worker, partition }));
        Ok(())
    }

    /// The replica of a seat applies what its turn read, and compares the published outputs with its own. Its messages
    /// go to the forwarders.
    fn seat_turned(
        &mut self,
        worker: usize,
        partition: usize,
        published: Sequence,
        durable: bool,
        records: &[(Sequence, Timestamp, Vec<u8>)],
        outputs: &[(Sequence, Vec<u8>)],
    ) -> Result<(), Violation> {
        let this = &mut self.workers[worker];
        let now = this.clock.now();
        let seat = &mut this.seats[partition];
        let Some(replica) = &mut seat.replica else { return Ok(()) };
        let found = records.len();
        let read = records.iter().map(|(sequence, time, payload)| Record { sequence: *sequence, time: *time, payload });
        let from = PartitionId(partition as u16);
        let mut posted = Vec::new();
        let step = replica.take(published, read, durable, now, |message| posted.push(message));
        let outputs = outputs.iter().map(|(sequence, output)| (*sequence, output.as_slice()));
        let step = match step.and_then(|step| replica.compare(outputs).map(|()| step)) {
            Ok(step) => step,
            Err(error) => return self.stopped(worker, partition, &error),
        };
        let (standing, at) = (replica.standing(), replica.partition().sequence());
        let mut woken = BTreeSet::new();
        for Outgoing { to, number, deadline, message } in posted {
            let mut bytes = Vec::new();
            crossbook_protocol::wire::encode_command(
                SourceId::partition(from),
                number,
                deadline.map(Into::into),
                &Body::Peer(message),
                &mut bytes,
            );
            let to = usize::from(to.0);
            this.forwarders[to].forwarder.post(from, number, bytes);
            woken.insert(Actor::Forwarder { worker, to });
        }
        woken.into_iter().for_each(|forwarder| self.plan(0, Event::Wake(forwarder)));
        if let Some(standing) = step.turned {
            let active = standing == Standing::Active;
            self.observer.coverage.count(if active { "worker became active" } else { "worker stood back" });
            for to in 0..PARTITIONS {
                self.workers[worker].forwarders[to].forwarder.set_sends(from, active);
                self.plan(0, Event::Wake(Actor::Forwarder { worker, to }));
            }
        }
        if step.applied > 0 {
            self.compare(worker, partition, at)?;
        }
        let rest = if standing == Standing::Standby && found > 0 { STANDBY_REST_US } else { 20 };
        self.plan(rest, Event::Wake(Actor::Seat { worker, partition }));
        Ok(())
    }

    /// A worker stops, with a reason. Its supervisor starts it again.
    fn stopped(&mut self, worker: usize, partition: usize, error: &replica::Error) -> Result<(), Violation> {
        if matches!(error, replica::Error::UnknownRules { .. }) && self.workers[worker].known < Rules::NEWEST {
            self.observer.coverage.count("worker stopped for rules that it does not know");
            self.kill(Process::Worker(worker));
            return Ok(());
        }
        let check = if matches!(error, replica::Error::Diverged { .. }) { Check::Replicas } else { Check::Durable };
        Err(Violation::new(check, format!("worker {worker}, partition {partition}: {error}")))
    }

    /// Holds the state of a replica against that of the others at the same place.
    fn compare(&mut self, worker: usize, partition: usize, at: Sequence) -> Result<(), Violation> {
        if !at.0.is_multiple_of(COMPARE_EVERY) {
            return Ok(());
        }
        let Some(replica) = &self.workers[worker].seats[partition].replica else { return Ok(()) };
        let hash = crossbook_engine::state_hash(&replica.partition().state());
        let known = *self.hashes.entry((partition, at)).or_insert(hash);
        self.observer.coverage.count("replicas compared");
        ensure!(known == hash, Replicas, "worker {worker} has another state of partition {partition} at {at}");
        Ok(())
    }

    pub(super) fn courier_step(&mut self, worker: usize, to: usize) {
        let now = Duration::from_micros(self.time.now());
        let Forwarding { forwarder, link, round } = &mut self.workers[worker].forwarders[to];
        let Some(next) = forwarder.round(LETTERS_MAX, now) else {
            if !forwarder.is_empty() {
                self.plan(ASK_EVERY.as_micros() as u64, Event::Wake(Actor::Forwarder { worker, to }));
            }
            return;
        };
        let request = if link.epoch.is_none() {
            Request::Hello { holds: None, durable: false }
        } else {
            let owned = |messages: Vec<&[u8]>| messages.into_iter().map(<[u8]>::to_vec).collect();
            let letters = forwarder.letters(&next).into_iter();
            let letters = letters.map(|Deliver { from, first, messages }| (from, first, owned(messages))).collect();
            let barrier = next.confirm;
            *round = Some(next);
            Request::Deliver { letters, barrier }
        };
        self.call(Actor::Forwarder { worker, to }, request);
    }

    pub(super) fn courier_answered(&mut self, worker: usize, to: usize, reply: Reply) -> Result<(), Violation> {
        let actor = Actor::Forwarder { worker, to };
        let now = Duration::from_micros(self.time.now());
        let Forwarding { forwarder, link, round } = &mut self.workers[worker].forwarders[to];
        match reply {
            Reply::Hello { epoch, .. } => link.epoch = Some(epoch),
            Reply::Delivered { received } => {
                link.tries = 0;
                if let Some(round) = round.take() {
                    forwarder.delivered(&round, &received, now).map_err(|Lost { from, source }| {
                        Violation::new(Check::Durable, format!("messages from {from} to {to}: {source}"))
                    })?;
                }
            }
            _ => {
                forwarder.disconnected();
                self.reconnect(actor);
                return Ok(());
            }
        }
        self.plan(20, Event::Wake(actor));
        Ok(())
    }
}
