//! A venue of several partitions: two workers that run all of them, two gateways, a store of one shard for each
//! partition, and a network between all of these. The replicas, the mailboxes between partitions and the requests in
//! flight of the gateways are production code; an agenda of events drives them instead of threads.
//!
//! ```text
//!   client --> gateway --append--> in(p) --> worker: replica --> out(p) --follow--> gateway: views, answers --> client
//!                                               \--forwarder--> in(q)
//! ```
//!
//! What any gateway has read of a partition counts as published. Each command is then looked up in the log and applied
//! to a partition without any faults, and its published events must be exactly the same, whoever publishes them,
//! however often.

mod call;
#[cfg(test)]
mod conformance;
mod faults;
mod gateway;
mod network;
mod rest;
mod shard;
mod storage;
mod worker;

use std::collections::{BTreeMap, VecDeque};

use crossbook_cluster::client;
use crossbook_engine::WorkBudget;
use crossbook_protocol::{Body, Routing, Rules};
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, SymbolId, Timestamp};

use crate::agenda::Agenda;
use crate::checkers::Observer;
use crate::client::Client;
use crate::clock::{Time, WallClock};
use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::snapshot_store::SnapshotStore;
use crate::violation::{Violation, ensure};
use crate::workload;
use call::{Actor, Process, Reply, Request};
use gateway::Gateway;
use network::{Network, Way};
use shard::Shard;
use worker::Worker;

/// How many partitions there are.
const PARTITIONS: usize = 3;
/// How many workers run them.
const WORKERS: usize = 2;
/// How many gateways there are.
const GATEWAYS: usize = 2;
/// Requests in flight of one client.
const ASKED_MAX: usize = 4;
/// How long the world may take to come to rest when the faults have ended, in microseconds.
const REST_US: u64 = 120_000_000;
/// After so many commands the money in all partitions is added up.
const SUM_EVERY: u64 = 8;

fn id(partition: usize) -> PartitionId {
    PartitionId(partition as u16)
}

/// What is going to happen.
#[derive(Clone, Debug)]
enum Event {
    /// A thread looks what there is to do.
    Wake(Actor),
    Arrive {
        call: u64,
        actor: Actor,
        epoch: Option<u64>,
        request: Request,
    },
    Return {
        call: u64,
        reply: Reply,
    },
    GiveUp {
        call: u64,
        actor: Actor,
        life: u64,
    },
    Expire {
        shard: usize,
        call: u64,
        reading: bool,
    },
    Replicate {
        shard: usize,
        replica: usize,
        epoch: u64,
    },
    LoseMaster {
        shard: usize,
        epoch: u64,
    },
    Promote {
        shard: usize,
    },
    Rejoin {
        shard: usize,
        replica: usize,
    },
    Revive {
        process: Process,
    },
    Resume {
        process: Process,
    },
    Mend {
        cut: (Process, usize, Way),
    },
    Client(usize),
    /// A client waits no longer.
    Impatient {
        gateway: usize,
        life: u64,
        number: RequestNumber,
    },
    Fault,
    Snapshot,
    Tables,
    Depth,
    /// A worker is stopped, and starts again with the newest program.
    Upgrade {
        worker: usize,
    },
    /// The operator activates the newest rules.
    ActivateRules,
}

/// How often things happen in this world, in microseconds between two of a kind.
#[derive(Clone, Debug)]
struct Rates {
    faults: [u64; faults::KINDS.len()],
    fault_us: u64,
    client_us: u64,
    snapshot_us: u64,
    tables_us: u64,
}

impl Rates {
    fn draw(dice: &mut Dice) -> Self {
        let rates = Self {
            faults: std::array::from_fn(|_| if dice.one_in(3) { 0 } else { dice.between(1, 6) }),
            fault_us: dice.between(60_000, 1_500_000),
            client_us: dice.between(4_000, 40_000),
            snapshot_us: dice.between(20_000, 400_000),
            tables_us: dice.between(20_000, 200_000),
        };
        if rates.faults.iter().sum::<u64>() == 0 { Self { faults: [1; 10], ..rates } } else { rates }
    }
}

/// See the module.
pub struct World {
    dice: Dice,
    time: Time,
    agenda: Agenda<Event>,
    /// When each thread looks next.
    wakes: BTreeMap<Actor, u64>,
    rates: Rates,
    routing: Routing,
    client: client::Options,
    view_limits: crossbook_views::Limits,
    network: Network,
    shards: Vec<Shard>,
    workers: Vec<Worker>,
    gateways: Vec<Gateway>,
    clients: Vec<Client>,
    /// At which gateway each client is.
    at: Vec<usize>,
    setup: VecDeque<Body>,
    /// By partition, its snapshots.
    snapshots: Vec<SnapshotStore>,
    called: u64,
    /// Who waits for the answer of a call.
    calls: BTreeMap<u64, (Actor, u64)>,
    sources: u64,
    hashes: BTreeMap<(usize, Sequence), [u8; 32]>,
    observer: Observer,
    faults: bool,
    /// Clients ask nothing new.
    resting: bool,
    digest: u64,
}

impl World {
    /// The world of that chance.
    pub fn new(mut dice: Dice) -> Self {
        let time = Time::default();
        let rates = Rates::draw(&mut dice);
        // Each market in a partition of its own, or as their numbers say.
        let given = (0..workload::MARKETS).map(|n| (SymbolId(n), id((n as usize + 1) % PARTITIONS))).collect();
        let given = if dice.one_in(2) { given } else { BTreeMap::new() };
        let routing = Routing::new_checked(PARTITIONS as u16, given).expect("markets of partitions that exist");
        let client = client::Options {
            queue_requests_max: 64,
            batch_requests_max: dice.between(1, 32) as usize,
            backlog_max: dice.between(8, 200),
            retry_ms: dice.between(50, 600),
            circuit_breaker_ms: 2_000,
            retention_ms: 10_000,
            ..client::Options::default()
        };
        let view_limits = crossbook_views::Limits {
            closed_orders_per_account: 60,
            closed_orders_per_market: 200,
            own_trades_per_account: 30,
            own_trades_per_market: 100,
            trades_per_market: 60,
            aggregate_trades_per_market: 40,
            ..crossbook_views::Limits::default()
        };
        let shards = (0..PARTITIONS).map(|_| Shard::new(dice.between(1, 2) as usize, WallClock::new(&time))).collect();
        let workers = (0..WORKERS).map(|which| Worker::new(WallClock::new(&time), which, &mut dice)).collect();
        let clients = (0..workload::ACCOUNTS).map(|n| Some(workload::account(n))).chain([None]);
        let clients: Vec<Client> = clients.map(|account| Client::new(account, &mut dice)).collect();
        let network = Network::new(&mut dice);
        let mut world = Self {
            agenda: Agenda::new(&time),
            time,
            wakes: BTreeMap::new(),
            rates,
            observer: Observer::new(&routing, &view_limits),
            routing,
            client,
            view_limits,
            network,
            shards,
            workers,
            gateways: Vec::new(),
            at: clients.iter().map(|_| dice.index(GATEWAYS)).collect(),
            clients,
            setup: workload::setup().into(),
            snapshots: vec![SnapshotStore::default(); PARTITIONS],
            called: 0,
            calls: BTreeMap::new(),
            sources: SourceId::FIRST_GATEWAY.0,
            hashes: BTreeMap::new(),
            faults: true,
            resting: false,
            digest: 0,
            dice,
        };
        for at in 0..GATEWAYS {
            let begun = world.new_gateway(at).expect("nothing has happened yet");
            assert!(begun, "all shards are up");
            world.wake_all(Process::Gateway(at));
        }
        (0..WORKERS).for_each(|at| world.wake_all(Process::Worker(at)));
        (0..world.clients.len()).for_each(|client| world.agenda.after(1_000, Event::Client(client)));
        for event in [Event::Fault, Event::Snapshot, Event::Tables, Event::Depth] {
            world.agenda.after(100_000, event);
        }
        world
    }

    /// The same, but the workers begin with a version that knows only the first rules. They are upgraded one after the
    /// other while the venue runs, and the operator activates the newest rules: when all are upgraded, or before the
    /// last one is.
    #[must_use]
    pub fn upgrading(mut self, too_soon: bool) -> Self {
        for worker in &mut self.workers {
            worker.known = Rules::default();
        }
        let last = WORKERS - 1;
        for worker in 0..last {
            self.agenda.after(1_500_000 + worker as u64 * 1_000_000, Event::Upgrade { worker });
        }
        let (activated_at, last_at) = if too_soon { (4_000_000, 9_000_000) } else { (4_500_000, 4_000_000) };
        self.agenda.after(last_at, Event::Upgrade { worker: last });
        self.agenda.after(activated_at, Event::ActivateRules);
        self
    }

    /// The same, but the last worker computes by other bounds than those of the rules.
    #[must_use]
    pub fn diverging(mut self) -> Self {
        self.workers[WORKERS - 1].work =
            Some(WorkBudget { cancels: 1, continued: 1, triggers: 1, ..WorkBudget::RULES });
        self
    }

    /// The rules that are active everywhere, by partition.
    pub fn rules(&self) -> impl Iterator<Item = Rules> {
        self.routing.all().map(|partition| self.observer.reference(partition).active_rules())
    }

    /// Lives through the phase with faults and the phase without.
    ///
    /// # Errors
    /// When something is wrong.
    pub fn live(&mut self) -> Result<(), Violation> {
        let until = self.dice.between(6_000_000, 16_000_000);
        while self.time.now() < until {
            self.step()?;
        }
        self.faults = false;
        self.mend_all()?;
        let until = self.time.now() + 2_000_000;
        while self.time.now() < until {
            self.step()?;
        }
        self.resting = true;
        let until = self.time.now() + REST_US;
        while let Some(reason) = self.unrest() {
            ensure!(self.time.now() < until, Liveness, "{reason}, long after the faults have ended");
            self.step()?;
        }
        self.check()
    }

    /// What this world has been through.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.observer.coverage
    }

    /// A number in which everything that happened shows.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// How many commands were published.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.routing.all().map(|partition| self.observer.position(partition).0).sum()
    }

    /// Which partition owns what.
    #[must_use]
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// The commands of a partition's log.
    #[must_use]
    pub fn log(&self, partition: PartitionId) -> &[(Timestamp, Vec<u8>)] {
        self.shards[usize::from(partition.0)].inbound()
    }

    fn plan(&mut self, micros: u64, event: Event) {
        if let Event::Wake(actor) = event {
            let at = self.time.now() + micros;
            if self.wakes.get(&actor).is_some_and(|&planned| planned <= at) {
                return;
            }
            self.wakes.insert(actor, at);
        }
        self.agenda.after(micros, event);
    }

    fn step(&mut self) -> Result<(), Violation> {
        let event = self.agenda.next().expect("clients always have something to do later");
        let now = self.time.now();
        self.digest = (self.digest.rotate_left(5) ^ now).wrapping_mul(0x517c_c1b7_2722_0a95);
        match event {
            Event::Wake(actor) => self.wake(actor),
            Event::Arrive { call, actor, epoch, request } => self.arrive(call, actor, epoch, request),
            Event::Return { call, reply } => {
                if let Some((actor, reply)) = self.returned(call, reply) {
                    self.take(actor, reply)?;
                }
            }
            Event::GiveUp { call, actor, life } => {
                if let Some((actor, reply)) = self.given_up(call, actor, life) {
                    self.take(actor, reply)?;
                }
            }
            Event::Expire { shard, call, reading } => {
                if let Some(reply) = self.shards[shard].expire(call, reading) {
                    self.reply(call, reply);
                }
                self.settle(shard);
            }
            Event::Replicate { shard, replica, epoch } => {
                if self.shards[shard].epoch == epoch && self.shards[shard].up {
                    self.shards[shard].replicate(replica, &mut self.dice);
                    self.settle(shard);
                }
            }
            Event::LoseMaster { shard, epoch } => {
                if self.shards[shard].epoch == epoch && self.shards[shard].isolated {
                    self.lose_master(shard);
                }
            }
            Event::Promote { shard } => self.promote(shard),
            Event::Rejoin { shard, replica } => self.rejoin(shard, replica),
            Event::Revive { process } => self.revive(process)?,
            Event::Resume { process } => self.resume(process),
            Event::Mend { cut } => {
                self.network.cuts.remove(&cut);
            }
            Event::Client(client) => self.client(client),
            Event::Impatient { gateway, life, number } => self.impatient(gateway, life, number),
            Event::Fault => {
                if self.faults {
                    self.fault();
                    let next = self.dice.between(self.rates.fault_us / 2, self.rates.fault_us * 2);
                    self.agenda.after(next, Event::Fault);
                }
            }
            Event::Snapshot => {
                let (worker, partition) = (self.dice.index(WORKERS), self.dice.index(PARTITIONS));
                self.take_snapshot(worker, partition)?;
                self.agenda.after(self.rates.snapshot_us, Event::Snapshot);
            }
            Event::Tables => {
                self.write_tables()?;
                self.agenda.after(self.rates.tables_us, Event::Tables);
            }
            Event::Upgrade { worker } => {
                self.workers[worker].known = Rules::NEWEST;
                self.kill(Process::Worker(worker));
            }
            Event::ActivateRules => self.setup.push_back(Body::ActivateRules(Rules::NEWEST)),
            Event::Depth => {
                self.follow_depth()?;
                self.agenda.after(150_000, Event::Depth);
            }
        }
        Ok(())
    }

    fn wake(&mut self, actor: Actor) {
        if self.wakes.get(&actor) != Some(&self.time.now()) {
            return;
        }
        self.wakes.remove(&actor);
        let process = actor.process();
        if !self.is_alive(process) || self.is_paused(process) || self.link(actor).waiting.is_some() {
            return;
        }
        match actor {
            Actor::Seat { worker, partition } => self.seat_step(worker, partition),
            Actor::Forwarder { worker, to } => self.courier_step(worker, to),
            Actor::Appender { gateway, partition } => self.append_step(gateway, partition),
            Actor::Follower { gateway, partition } => self.follow_step(gateway, partition),
        }
    }

    fn take(&mut self, actor: Actor, reply: Reply) -> Result<(), Violation> {
        match actor {
            Actor::Seat { worker, partition } => self.seat_answered(worker, partition, reply),
            Actor::Forwarder { worker, to } => self.courier_answered(worker, to, reply),
            Actor::Appender { gateway, partition } => self.append_answered(gateway, partition, reply),
            Actor::Follower { gateway, partition } => self.follow_answered(gateway, partition, reply),
        }
    }

    // Clients.

    fn client(&mut self, client: usize) {
        let pause = self.dice.between(self.rates.client_us / 2, self.rates.client_us * 2);
        self.agenda.after(pause, Event::Client(client));
        if self.dice.one_in(40) {
            self.at[client] = self.dice.index(GATEWAYS);
        }
        let gateway = self.at[client];
        let process = Process::Gateway(gateway);
        if !self.is_alive(process) || self.is_paused(process) {
            // It does not answer; the next one may.
            self.at[client] = self.dice.index(GATEWAYS);
            return;
        }
        if self.dice.one_in(6) {
            self.ask(gateway, client);
        }
        // One after the other, until the venue is made.
        let operator = self.clients[client].account.is_none();
        let making = !self.setup.is_empty();
        let of_client = |gateway: &Gateway| gateway.waiting.values().filter(|(of, _)| *of == client).count();
        let under_way: usize = self.gateways.iter().map(of_client).sum();
        if (making && (!operator || under_way > 0)) || under_way >= ASKED_MAX {
            return;
        }
        let body = match self.setup.front() {
            Some(body) => body.clone(),
            None if self.resting && !self.clients[client].is_in_doubt() => return,
            None => self.clients[client].next(&mut self.dice),
        };
        match self.submit(gateway, client, body.clone()) {
            Ok(number) => {
                let life = self.gateways[gateway].life;
                let patience = self.dice.between(1_000_000, 6_000_000);
                self.agenda.after(patience, Event::Impatient { gateway, life, number });
            }
            Err(why) => {
                self.observer.coverage.count(&format!("not taken {why:?}"));
                self.in_doubt(client, body);
            }
        }
    }

    /// A client does not know what became of a request.
    fn in_doubt(&mut self, client: usize, body: Body) {
        self.clients[client].in_doubt(body);
    }

    fn impatient(&mut self, gateway: usize, life: u64, number: RequestNumber) {
        if self.gateways[gateway].life != life {
            return;
        }
        if let Some((client, body)) = self.gateways[gateway].waiting.remove(&number) {
            self.observer.coverage.count("client waited too long");
            self.in_doubt(client, body);
        }
    }

    // What was published.

    /// A gateway has read what a partition publishes of a command.
    fn hear(&mut self, partition: usize, sequence: Sequence, bytes: &[u8]) -> Result<(), Violation> {
        let at = id(partition);
        if sequence > self.observer.position(at) {
            ensure!(
                sequence == self.observer.position(at).next(),
                Published,
                "partition {partition} publishes of {sequence} too soon"
            );
            let Some((time, payload)) = self.shards[partition].inbound().get(sequence.0 as usize - 1).cloned() else {
                return Err(Violation::new(
                    crate::violation::Check::Durable,
                    format!("command {sequence} of partition {partition} was published, and is not in the log"),
                ));
            };
            let command = crossbook_protocol::wire::decode_command(sequence, time, &payload).map_err(|error| {
                Violation::new(crate::violation::Check::Durable, format!("record {sequence}: {error}"))
            })?;
            self.observer.take(at, &command)?;
            if self.commands().is_multiple_of(SUM_EVERY) {
                self.observer.check_together()?;
            }
        }
        let due = &self.observer.published(at)[sequence.0 as usize - 1];
        ensure!(
            due.bytes == bytes,
            Published,
            "command {sequence} of partition {partition} is published in other words"
        );
        Ok(())
    }

    fn write_tables(&mut self) -> Result<(), Violation> {
        for partition in 0..PARTITIONS {
            let (recording, published) = self.observer.recording_mut(id(partition));
            if let Some(failure) = recording.step(published, &mut self.dice, self.faults)? {
                self.observer.coverage.count(&format!("fault tables {failure:?}"));
            }
        }
        Ok(())
    }

    fn follow_depth(&mut self) -> Result<(), Violation> {
        let symbol = SymbolId(self.dice.below(u64::from(workload::MARKETS)) as u32);
        let Some(market) = self.observer.reference(Routing::REGISTRY).registry().market(symbol).copied() else {
            return Ok(());
        };
        if self.dice.one_in(4) {
            self.observer.subscriber_mut().subscribe(symbol);
            return Ok(());
        }
        // The snapshot is one of a gateway that may lag behind the one whose stream the client has.
        let partition_client =
            &self.gateways[self.dice.index(GATEWAYS)].partition_clients[usize::from(self.routing.of_market(&market).0)];
        let same = partition_client.published == self.observer.position(self.routing.of_market(&market));
        if let Some(data) = partition_client.views.market(symbol).filter(|_| same) {
            self.observer.coverage.count("depth snapshot");
            self.observer.subscriber_mut().snapshot(symbol, data.depth())?;
        }
        Ok(())
    }
}
