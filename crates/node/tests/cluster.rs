//! Three partitions, two workers on each, and a store that loses what it has not replicated: whatever breaks, what was told stays true,
//! and in the end everything is done once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod venue;

use std::collections::{BTreeMap, BTreeSet};

use crossbook_engine::{Body, Event, Events, Partition, Routing};
use crossbook_log::Record;
use crossbook_node::cluster::replica::{Limits, Standing};
use crossbook_node::cluster::{Mailbox, Replica};
use crossbook_types::{AccountId, Amount, AssetId, PartitionId, RequestNumber, Sequence, SourceId, Timestamp};
use crossbook_wire::Told;

const PARTITIONS: u16 = 3;
const WORKERS: usize = 2;
const GATEWAY: SourceId = SourceId::FIRST_GATEWAY;
const SEEDS: u64 = 200;
const ORDERS: u64 = 120;
const LIMITS: Limits = Limits {
    records_max: 7,
    held_max: 16,
    entries_max: 5,
    outputs_max: 40,
    takeover_us: 300,
    contested_max: 8,
    idle_us: 1_000,
    confirm_every_us: 50,
};

/// Random enough for a test, and the same again for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone)]
enum Write {
    In { time: Timestamp, payload: Vec<u8>, peer: Option<(PartitionId, RequestNumber)> },
    Out(Vec<u8>),
}

/// One shard of the store: what was written, and how much of it is on the replica too.
#[derive(Default)]
struct Shard {
    writes: Vec<Write>,
    replicated: usize,
    inbound: Vec<(Timestamp, Vec<u8>)>,
    out: Vec<Vec<u8>>,
    heard: BTreeMap<PartitionId, RequestNumber>,
    /// Counts the failures of its master; a connection belongs to one of them.
    epoch: u64,
}

impl Shard {
    fn write(&mut self, write: Write) {
        match &write {
            Write::In { time, payload, peer } => {
                self.inbound.push((*time, payload.clone()));
                if let Some((from, number)) = peer {
                    self.heard.insert(*from, *number);
                }
            }
            Write::Out(bytes) => self.out.push(bytes.clone()),
        }
        self.writes.push(write);
    }

    fn append(&mut self, now: Timestamp, payload: Vec<u8>, peer: Option<(PartitionId, RequestNumber)>) {
        let time = self.inbound.last().map_or(now, |&(last, _)| last.max(now));
        self.write(Write::In { time, payload, peer });
    }

    fn deliver<'m>(
        &mut self,
        now: Timestamp,
        from: PartitionId,
        first: RequestNumber,
        messages: impl Iterator<Item = &'m [u8]>,
    ) {
        for (number, bytes) in (first.0..).zip(messages) {
            let heard = self.heard.get(&from).copied().unwrap_or_default();
            if number == heard.0 + 1 {
                self.append(now, bytes.to_vec(), Some((from, RequestNumber(number))));
            }
        }
    }

    /// What reaches the replica is a prefix.
    fn replicate(&mut self, dice: &mut Dice) {
        self.replicated += dice.below((self.writes.len() - self.replicated) as u64 + 1) as usize;
    }

    fn barrier(&mut self, dice: &mut Dice, calm: bool) -> bool {
        if calm || !dice.one_in(4) {
            self.replicated = self.writes.len();
        } else {
            self.replicate(dice);
        }
        self.replicated == self.writes.len()
    }

    fn lose_master(&mut self) {
        let kept: Vec<Write> = self.writes.drain(..).take(self.replicated).collect();
        *self = Self { epoch: self.epoch + 1, ..Self::default() };
        self.replicated = kept.len();
        kept.into_iter().for_each(|write| self.write(write));
    }
}

struct Worker {
    replica: Replica,
    epoch: u64,
    mail: BTreeMap<PartitionId, (Mailbox, u64)>,
}

fn routing() -> Routing {
    Routing::new_checked(PARTITIONS, BTreeMap::new()).unwrap()
}

fn partitions() -> impl Iterator<Item = PartitionId> {
    (0..PARTITIONS).map(PartitionId)
}

impl Worker {
    /// One that knows nothing yet and follows from the first command. The barrier of its start must hold.
    fn start(partition: PartitionId, shard: &Shard) -> Self {
        let empty = Partition::new(partition, routing(), 7);
        let replica = Replica::new(empty, Sequence(shard.out.len() as u64), LIMITS).unwrap();
        let mail = partitions().filter(|&to| to != partition).map(|to| (to, (Mailbox::default(), 0))).collect();
        Self { replica, epoch: shard.epoch, mail }
    }

    /// A round trip; `lost`: its answer does not come back.
    fn turn(&mut self, shard: &mut Shard, now: Timestamp, dice: &mut Dice, calm: bool, lost: bool) {
        if self.epoch != shard.epoch {
            self.epoch = shard.epoch;
            self.replica.disconnected();
            if let Some(last) = self.replica.last() {
                let found = &shard.inbound[last.sequence.0 as usize - 1];
                assert_eq!((found.0, found.1.as_slice()), (last.time, last.payload), "the log has forked");
            }
        }
        let plan = self.replica.plan(now);
        if shard.out.len() as u64 == plan.publish_after.0 {
            let entries: Vec<Vec<u8>> = self.replica.entries().map(<[u8]>::to_vec).collect();
            assert_eq!(entries.len(), plan.entries);
            entries.into_iter().for_each(|entry| shard.write(Write::Out(entry)));
        }
        let told = Sequence(shard.out.len() as u64);
        let from = plan.read_after.0;
        let read = shard.inbound.iter().skip(from as usize).take(plan.records_max);
        let read: Vec<(Timestamp, Vec<u8>)> = read.cloned().collect();
        let durable = plan.barrier && shard.barrier(dice, calm);
        if lost {
            self.replica.disconnected();
            return;
        }
        let records = (from + 1..).map(Sequence).zip(&read).map(|(sequence, (time, payload))| Record {
            sequence,
            time: *time,
            payload,
        });
        let mail = &mut self.mail;
        let own = self.replica.partition().id();
        let post = |message: crossbook_engine::peer::Outgoing| {
            let mut bytes = Vec::new();
            let source = SourceId::partition(own);
            crossbook_wire::encode_command(source, message.number, &Body::Peer(message.message), &mut bytes);
            mail.get_mut(&message.to).unwrap().0.post(message.number, bytes);
        };
        self.replica.take(told, records, durable, now, post).unwrap();
        let sends = self.replica.standing() == Standing::Active;
        self.mail.values_mut().for_each(|(mailbox, _)| mailbox.set_sends(sends));
    }

    /// A round trip to another partition.
    fn send(&mut self, to: PartitionId, shard: &mut Shard, now: Timestamp, dice: &mut Dice, calm: bool) {
        let from = self.replica.partition().id();
        let (mailbox, epoch) = self.mail.get_mut(&to).unwrap();
        if *epoch != shard.epoch {
            *epoch = shard.epoch;
            mailbox.lost();
        }
        let mut last = None;
        if !mailbox.must_ask()
            && let Some((first, messages)) = mailbox.next(4)
        {
            let messages: Vec<Vec<u8>> = messages.map(<[u8]>::to_vec).collect();
            last = Some(RequestNumber(first.0 + messages.len() as u64 - 1));
            shard.deliver(now, from, first, messages.iter().map(Vec::as_slice));
        }
        if let Some(last) = last
            && dice.one_in(2)
        {
            // The barrier comes later.
            mailbox.taken(last, shard.heard.get(&from).copied().unwrap_or_default());
            return;
        }
        if shard.barrier(dice, calm) {
            mailbox.heard(shard.heard.get(&from).copied().unwrap_or_default()).unwrap();
        } else {
            mailbox.lost();
        }
    }
}

struct World {
    dice: Dice,
    now: Timestamp,
    shards: Vec<Shard>,
    /// By partition, then worker.
    workers: Vec<Vec<Worker>>,
    requests: Vec<(PartitionId, Body)>,
    sent: usize,
    answered: BTreeSet<RequestNumber>,
    /// What clients have read, by partition.
    read: Vec<Vec<Vec<u8>>>,
    /// How often a worker came to the fore.
    takeovers: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let shards: Vec<Shard> = partitions().map(|_| Shard::default()).collect();
        let start = |partition: PartitionId| {
            (0..WORKERS).map(|_| Worker::start(partition, &shards[usize::from(partition.0)])).collect()
        };
        let workers = partitions().map(start).collect();
        let routing = routing();
        let at = |body: Body| {
            let partition = match &body {
                Body::Place(order) => routing.of_account(order.account),
                Body::Transfer(transfer) => routing.of_account(transfer.account),
                _ => Routing::REGISTRY,
            };
            (partition, body)
        };
        let requests = venue::setup().into_iter().chain((0..ORDERS).map(venue::traffic)).map(at).collect();
        let read = partitions().map(|_| Vec::new()).collect();
        let (dice, now) = (Dice(seed), Timestamp(1_000_000));
        Self { dice, now, shards, workers, requests, sent: 0, answered: BTreeSet::new(), read, takeovers: 0 }
    }

    fn append(&mut self, request: usize) {
        let (partition, body) = &self.requests[request];
        let mut bytes = Vec::new();
        crossbook_wire::encode_command(GATEWAY, RequestNumber(request as u64 + 1), body, &mut bytes);
        self.shards[usize::from(partition.0)].append(self.now, bytes, None);
    }

    /// A gateway sends the next request, or one again that has no answer. While the venue is set up, one after the other, and each of
    /// those that other partitions must hear of only when all is quiet.
    fn gateway(&mut self) {
        let setup = self.requests.len() - ORDERS as usize;
        let open: Vec<usize> =
            (0..self.sent).filter(|&at| !self.answered.contains(&RequestNumber(at as u64 + 1))).collect();
        if self.sent < setup && (!open.is_empty() || !self.quiet()) || (self.sent == setup && !self.quiet()) {
            if let Some(&at) = open.first() {
                self.append(at);
            }
        } else if self.sent < self.requests.len() && (open.len() < 10 || self.dice.one_in(8)) {
            self.append(self.sent);
            self.sent += 1;
        } else if !open.is_empty() {
            let at = open[self.dice.below(open.len() as u64) as usize];
            self.append(at);
        }
    }

    /// Whether everything sent has been applied everywhere and no message is on its way.
    fn quiet(&self) -> bool {
        self.shards.iter().zip(&self.workers).all(|(shard, workers)| {
            shard.out.len() == shard.inbound.len()
                && workers.iter().all(|worker| {
                    worker.replica.partition().sequence().0 == shard.inbound.len() as u64
                        && worker.mail.values().all(|(mailbox, _)| mailbox.is_empty())
                })
        })
    }

    /// Clients read what is told, and believe it.
    fn read(&mut self) {
        for (shard, read) in self.shards.iter().zip(&mut self.read) {
            for entry in shard.out.iter().skip(read.len()) {
                let Told { cause, events, .. } = crossbook_wire::decode_told(entry).unwrap();
                assert_eq!(cause.sequence.0, read.len() as u64 + 1, "a gap in what is told");
                let answered = events.iter().find_map(|event| match event {
                    Event::Answered { source: GATEWAY, number, .. } => Some(*number),
                    _ => None,
                });
                if let Some(number) = answered {
                    assert!(self.answered.insert(number), "request {number} is answered twice");
                }
                read.push(entry.clone());
            }
        }
    }

    fn step(&mut self, calm: bool) {
        self.now = Timestamp(self.now.0 + self.dice.below(40));
        let at = self.dice.below(u64::from(PARTITIONS)) as usize;
        let worker = self.dice.below(WORKERS as u64) as usize;
        match self.dice.below(10) {
            0 | 1 => self.gateway(),
            2..=5 => {
                let lost = !calm && self.dice.one_in(20);
                let before = self.workers[at][worker].replica.standing();
                self.workers[at][worker].turn(&mut self.shards[at], self.now, &mut self.dice, calm, lost);
                let after = self.workers[at][worker].replica.standing();
                self.takeovers += u64::from((before, after) == (Standing::Standby, Standing::Active));
            }
            6..=8 => {
                let to = self.dice.below(u64::from(PARTITIONS)) as usize;
                if to != at {
                    let to_partition = PartitionId(to as u16);
                    self.workers[at][worker].send(to_partition, &mut self.shards[to], self.now, &mut self.dice, calm);
                }
            }
            _ if calm => {}
            _ => self.fail(at, worker),
        }
        self.read();
    }

    fn fail(&mut self, at: usize, worker: usize) {
        match self.dice.below(12) {
            0 => {
                self.shards[at].lose_master();
                // What clients were told must be told again, in the same words.
                let told = self.shards[at].out.len();
                assert!(self.read[at].iter().zip(&self.shards[at].out).all(|(read, out)| read == out), "{told}");
            }
            1 => {
                let shard = &mut self.shards[at];
                if shard.barrier(&mut self.dice, false) {
                    self.workers[at][worker] = Worker::start(PartitionId(at as u16), shard);
                }
            }
            2 => self.now = Timestamp(self.now.0 + 2 * LIMITS.takeover_us),
            _ => self.shards[at].replicate(&mut self.dice),
        }
    }

    fn check(&self) {
        let mut clearing: BTreeMap<AssetId, Amount> = BTreeMap::new();
        for (at, shard) in self.shards.iter().enumerate() {
            let mut reference = Partition::new(PartitionId(at as u16), routing(), 3);
            let mut events = Events::new();
            for (sequence, (time, payload)) in (1..).zip(&shard.inbound) {
                let command = crossbook_wire::decode_command(Sequence(sequence), *time, payload).unwrap();
                events.clear();
                reference.apply(&command, &mut events);
                let outgoing: Vec<_> = reference.drain_outgoing().collect();
                let mut expected = Vec::new();
                crossbook_wire::encode_told(&command, &outgoing, events.all(), &mut expected);
                assert_eq!(self.read[at][sequence as usize - 1], expected, "what was told of command {sequence}");
            }
            let hash = crossbook_wire::state_hash(&reference.state());
            for worker in &self.workers[at] {
                assert_eq!(crossbook_wire::state_hash(&worker.replica.partition().state()), hash);
            }
            let audit = reference.audit();
            assert_eq!(audit.violations, Vec::<String>::new());
            assert!(audit.sums.values().all(|sum| sum.is_zero()), "{:?}", audit.sums);
            for asset in [AssetId(0), AssetId(1)] {
                let sum = clearing.entry(asset).or_default();
                *sum = Amount(sum.0 + reference.ledger().venue_balance(AccountId::CLEARING, asset).0);
            }
        }
        assert!(clearing.values().all(|sum| sum.is_zero()), "in transit when all is quiet: {clearing:?}");
    }
}

#[test]
fn whatever_breaks_everything_told_stays_true_and_is_done_once() {
    let mut takeovers = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..6_000 {
            world.step(false);
        }
        let mut steps = 0;
        while world.answered.len() < world.requests.len() || !world.quiet() {
            world.step(true);
            steps += 1;
            let open = world.requests.len() - world.answered.len();
            assert!(steps < 200_000, "seed {seed}: {open} requests without an answer after the faults have ended");
        }
        world.check();
        takeovers += world.takeovers;
    }
    assert!(takeovers > 10 * SEEDS, "the workers have hardly ever changed places: {takeovers}");
}
