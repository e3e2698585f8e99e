//! A venue of several partitions: two workers, two gateways, a store of a few shards, each with some of the partitions,
//! and a network between all of these. Every process is a replica of every partition. The sessions, the replicas, the
//! mailboxes between partitions and the requests in flight of the gateways are production code; an agenda of events
//! drives them instead of threads.
//!
//! ```text
//!   client --> gateway: session --turn: append, deliver, read, confirm--> shard: logs of some partitions, replicas
//!                  ^       |  \--apply: views, answers --> client           |
//!                  |       \--letters--> session with another shard        |
//!                  \-------------------- notification ---------------------/
//! ```
//!
//! The first process that applies a command tells what it causes: the command is looked up in the log, where it must be
//! confirmed, and applied to a partition without any faults. What it causes must be exactly the same at every process
//! that applies it, whenever it does.

mod call;
#[cfg(test)]
mod conformance;
mod faults;
mod gateway;
mod network;
mod rest;
mod shard;
mod storage;
mod stream;
mod told;
mod unit;
mod worker;

use std::collections::{BTreeMap, VecDeque};

use crossbook_cluster::store::Bounds;
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
use crate::workload::{self, WORK};
use call::{Actor, Peer, Process, Reply, Request};
use gateway::Gateway;
use network::{Network, Way};
use shard::Shard;
use worker::Worker;

/// What one append takes, and a turn: so little that a turn is often full.
const BOUNDS: Bounds = Bounds { records_max: 8, bytes_max: 1 << 20, turn_records_max: 16, turn_bytes_max: 2 << 20 };
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
/// Where the partitions are, in shards by number.
const PLACED: [[usize; PARTITIONS]; 6] = [[0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 1], [0, 1, 2], [0, 0, 0]];

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
        with: Option<Peer>,
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
    },
    /// A notification of a shard arrives.
    Notify {
        actor: Actor,
        life: u64,
    },
    /// Notifications come as usual again.
    MendNotifications,
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
    /// A partition goes on moving to another shard.
    Move,
    Snapshot,
    Tables,
    Depth,
    /// A process is stopped, and starts again with the newest program.
    Upgrade {
        process: Process,
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
        if rates.faults.iter().sum::<u64>() == 0 { Self { faults: [1; faults::KINDS.len()], ..rates } } else { rates }
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
    view_limits: crossbook_views::Limits,
    network: Network,
    shards: Vec<Shard>,
    /// By partition, its shard.
    shard_of: Vec<usize>,
    /// The partition that is moving, and to which shard.
    moving: Option<(PartitionId, usize)>,
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
    /// The states and the views of partitions as they must be after some commands.
    hashes: BTreeMap<(PartitionId, Sequence), [u8; 32]>,
    views: BTreeMap<(PartitionId, Sequence), crossbook_views::State>,
    /// The place of the last snapshot of each partition, and the views as they must be there.
    snapshot_views: BTreeMap<PartitionId, (Sequence, crossbook_views::State)>,
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
        let view_limits = crossbook_views::Limits {
            closed_orders_per_account: 60,
            closed_orders_per_market: 200,
            own_trades_per_account: 30,
            own_trades_per_market: 100,
            trades_per_market: 60,
            aggregate_trades_per_market: 40,
            ..crossbook_views::Limits::default()
        };
        let shard_of = dice.pick(&PLACED).to_vec();
        let shards = placed(&shard_of, &time, &mut dice);
        let workers = (0..WORKERS).map(|which| Worker::new(WallClock::new(&time), which, &mut dice)).collect();
        let gateways = (0..GATEWAYS).map(|_| Gateway::new(WallClock::new(&time), &mut dice)).collect();
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
            view_limits,
            network,
            shards,
            shard_of,
            moving: None,
            workers,
            gateways,
            at: clients.iter().map(|_| dice.index(GATEWAYS)).collect(),
            clients,
            setup: workload::setup().into(),
            snapshots: vec![SnapshotStore::default(); PARTITIONS],
            called: 0,
            calls: BTreeMap::new(),
            sources: SourceId::FIRST_GATEWAY.0,
            hashes: BTreeMap::new(),
            views: BTreeMap::new(),
            snapshot_views: BTreeMap::new(),
            faults: true,
            resting: false,
            digest: 0,
            dice,
        };
        for process in World::processes() {
            world.agenda.after(0, Event::Revive { process });
        }
        (0..world.clients.len()).for_each(|client| world.agenda.after(1_000, Event::Client(client)));
        for event in [Event::Fault, Event::Snapshot, Event::Tables, Event::Depth] {
            world.agenda.after(100_000, event);
        }
        world
    }

    /// Everybody in it.
    fn processes() -> impl Iterator<Item = Process> {
        (0..WORKERS).map(Process::Worker).chain((0..GATEWAYS).map(Process::Gateway))
    }

    /// The same, but all processes begin with a version that knows only the first rules. They are upgraded one after
    /// the other while the venue runs, and the operator activates the newest rules: when all are upgraded, or before
    /// the last two are.
    #[must_use]
    pub fn upgrading(mut self, too_soon: bool) -> Self {
        self.setup.retain(|body| !matches!(body, Body::ActivateRules(_)));
        let mut at = 1_500_000;
        for process in Self::processes() {
            self.unit_mut(process).known = Rules::default();
            self.agenda.after(at, Event::Upgrade { process });
            at += 1_000_000;
        }
        let activated_at = if too_soon { at - 2_500_000 } else { at };
        self.agenda.after(activated_at, Event::ActivateRules);
        self
    }

    /// The same, but the last worker computes by other bounds than those of the rules. It delivers no messages, because
    /// what it would deliver is wrong, too.
    #[must_use]
    pub fn diverging(mut self) -> Self {
        let worker = &mut self.workers[WORKERS - 1];
        worker.unit.work = Some(WorkBudget { cancels: 3, triggers: 3, ..WORK });
        worker.manner.settings.patience = std::time::Duration::MAX;
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
        self.shard(partition).stream(partition).commands()
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
            Event::Arrive { call, actor, with, request } => self.arrive(call, actor, with, &request),
            Event::Return { call, reply } => {
                if let Some((actor, reply)) = self.returned(call, reply) {
                    self.answered(actor, reply)?;
                }
            }
            Event::GiveUp { call, actor, life } => {
                if let Some((actor, reply)) = self.given_up(call, actor, life) {
                    self.answered(actor, reply)?;
                }
            }
            Event::Expire { shard, call } => self.expire(shard, call),
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
            Event::Notify { actor, life } => self.notified(actor, life),
            Event::MendNotifications => self.network.notifications = network::Notifications::Usual,
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
            Event::Move => self.go_on_moving(),
            Event::Snapshot => {
                let (worker, partition) = (self.dice.index(WORKERS), id(self.dice.index(PARTITIONS)));
                self.take_snapshot(worker, partition)?;
                self.agenda.after(self.rates.snapshot_us, Event::Snapshot);
            }
            Event::Tables => {
                self.write_tables()?;
                self.agenda.after(self.rates.tables_us, Event::Tables);
            }
            Event::Upgrade { process } => {
                self.unit_mut(process).known = Rules::NEWEST;
                self.kill(process);
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
        let process = actor.process;
        if !self.is_alive(process) || self.is_paused(process) || self.link(actor).waiting.is_some() {
            return;
        }
        self.look(actor);
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
                let life = self.life(process);
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
        if self.life(Process::Gateway(gateway)) != life {
            return;
        }
        if let Some((client, body)) = self.gateways[gateway].waiting.remove(&number) {
            self.observer.coverage.count("client waited too long");
            self.in_doubt(client, body);
        }
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
        let owner = self.routing.of_market(&market);
        let gateway = &self.gateways[self.dice.index(GATEWAYS)];
        let client = gateway.clients.get(usize::from(owner.0));
        let client = client.filter(|client| client.folded == self.observer.position(owner));
        if let Some(data) = client.and_then(|client| client.views.market(symbol)) {
            self.observer.coverage.count("depth snapshot");
            self.observer.subscriber_mut().snapshot(symbol, data.depth())?;
        }
        Ok(())
    }
}

/// The shards, each with its partitions and one or two replicas.
fn placed(shard_of: &[usize], time: &Time, dice: &mut Dice) -> Vec<Shard> {
    // Perhaps one that was added, and has nothing yet.
    let shards = shard_of.iter().max().map_or(0, |last| last + 1) + usize::from(dice.one_in(2));
    let of = |shard| {
        let own = shard_of.iter().enumerate().filter(|&(_, &of)| of == shard);
        let own: Vec<PartitionId> = own.map(|(partition, _)| id(partition)).collect();
        Shard::new(&own, dice.between(1, 2) as usize, WallClock::new(time))
    };
    (0..shards).map(of).collect()
}
