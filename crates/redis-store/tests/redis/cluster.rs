//! Workers and gateways over real Redis servers: requests are answered, each once, whichever process or master is
//! killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crossbook_cluster::client::{self, Start};
use crossbook_cluster::worker::{self, Worker};
use crossbook_cluster::{runtime, skip};
use crossbook_engine::Partition;
use crossbook_node::skip::Error as Refused;
use crossbook_node::{EventSink, NotAccepted, Request};
use crossbook_protocol::order::{CancelAll, NewOrder, OrderTerms};
use crossbook_protocol::peer::{Admitted, Origin, PeerMessage};
use crossbook_protocol::{Answer, Body, Event, Events, Refusal, Routing};
use crossbook_redis_store::{Keys, Link, Options as StreamOptions, Servers};
use crossbook_servers::redis::{RedisCluster, RedisServer};
use crossbook_types::{
    AccountId, Amount, ClientOrderId, Fees, HoldId, PartitionId, Price, RequestNumber, Sequence, Side, SourceId,
    SymbolId, TimeInForce, Timestamp,
};
use parking_lot::{Condvar, Mutex};

const PARTITIONS: u16 = 3;
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a test: no other server calls a paused one failed.
const NODE_TIMEOUT_MS: u64 = 600_000;

/// What a gateway hears.
#[derive(Default)]
struct Received {
    answered: BTreeMap<RequestNumber, usize>,
    refused: BTreeSet<RequestNumber>,
    /// Answered as too late.
    late: BTreeSet<RequestNumber>,
}

#[derive(Clone, Default)]
struct Ear(Arc<(Mutex<Received>, Condvar)>);

impl Ear {
    fn wait(&self, holds: impl Fn(&Received) -> bool) {
        let mut received = self.0.0.lock();
        let deadline = Instant::now() + PATIENCE;
        while !holds(&received) {
            assert!(!self.0.1.wait_until(&mut received, deadline).timed_out(), "{} answered", received.answered.len());
        }
    }
}

struct Listening {
    source: SourceId,
    ear: Ear,
}

impl EventSink for Listening {
    fn publish(&mut self, events: &mut Events) {
        let mut received = self.ear.0.0.lock();
        for event in events.all() {
            if let Event::Answered { source, number, answer } = event
                && *source == self.source
            {
                if *answer == Answer::Refused(Refusal::Late) {
                    received.late.insert(*number);
                }
                *received.answered.entry(*number).or_default() += 1;
            }
        }
        self.ear.0.1.notify_all();
    }

    fn not_accepted(&mut self, _: RequestNumber, _: NotAccepted) {}
}

pub struct Gateway {
    pub running: client::Running,
    ear: Ear,
    number: u64,
}

pub fn routing() -> Routing {
    Routing::new_checked(PARTITIONS, BTreeMap::new()).unwrap()
}

fn fatal(reason: String) {
    panic!("{reason}");
}

pub fn all() -> Vec<PartitionId> {
    routing().all().collect()
}

pub fn work(servers: &Servers, name: &str) -> Worker {
    work_until(servers, name, fatal)
}

fn work_until(servers: &Servers, name: &str, fatal: impl Fn(String) + Send + Sync + 'static) -> Worker {
    let options = worker::Options { failover_ms: 100, ..worker::Options::default() };
    let mut proofs = runtime::ask_proofs(servers, &all()).unwrap();
    let begin = |id| (Partition::new(id, routing(), 7), proofs.remove(&id));
    let begun = all().into_iter().map(begin).collect();
    let never = |partition| panic!("partition {partition} is never trimmed");
    Worker::start(servers, name, &options, begun, never, fatal).unwrap()
}

impl Gateway {
    fn open(servers: &Servers) -> Self {
        Self::open_with(servers, client::Options::default())
    }

    pub fn open_with(servers: &Servers, options: client::Options) -> Self {
        Self::listening(servers, options, None)
    }

    /// A gateway that hears the answers to the requests of `listens_to` in place of its own.
    fn listening(servers: &Servers, options: client::Options, listens_to: Option<SourceId>) -> Self {
        let source = servers.next_gateway().unwrap();
        let ear = Ear::default();
        let starts = all().into_iter().map(|partition| Start {
            sink: Listening { source: listens_to.unwrap_or(source), ear: ear.clone() },
            partition: Partition::new(partition, routing(), 7),
        });
        let told = ear.clone();
        let refuse: client::Refuse = Arc::new(move |number, _| {
            told.0.0.lock().refused.insert(number);
            told.0.1.notify_all();
        });
        let proofs = runtime::ask_proofs(servers, &all()).unwrap();
        let ends = proofs.iter().map(|(&partition, proof)| (partition, proof.end)).collect();
        let (markets, hops) = (Vec::new(), Arc::default());
        let place = client::Venue { stores: servers.clone(), routing: routing(), source, markets, proofs, hops };
        let running = client::start(place, options, starts.collect(), refuse, fatal).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !running.client().has_reached(&ends) {
            assert!(Instant::now() < deadline, "the gateway does not reach the ends of the logs");
            std::thread::yield_now();
        }
        Self { running, ear, number: 0 }
    }

    pub fn send(&mut self, body: Body) -> RequestNumber {
        self.number += 1;
        let number = RequestNumber(self.number);
        let deadline = Instant::now() + PATIENCE;
        // A circuit breaker that was open, because its partition had been silent, closes soon after it is received
        // again.
        while let Err(why) = self.running.client().submit(Request { number, body: body.clone(), deadline: None }) {
            assert!(why == NotAccepted::Silent && Instant::now() < deadline, "{why}");
            std::thread::yield_now();
        }
        number
    }

    pub fn ask(&mut self, body: Body) {
        let number = self.send(body);
        self.ear.wait(|received| received.answered.contains_key(&number));
    }

    /// Waits until at most so many requests wait for an answer.
    pub fn wait_for_all_but(&self, most: u64) {
        self.ear.wait(|received| self.number - received.answered.len() as u64 <= most);
    }

    pub fn is_answered(&self, number: RequestNumber) -> bool {
        self.ear.0.0.lock().answered.contains_key(&number)
    }

    /// The requests that were not taken.
    pub fn refused(&self) -> BTreeSet<RequestNumber> {
        self.ear.0.0.lock().refused.clone()
    }

    pub fn all_answered(&self) {
        let all = self.number as usize;
        self.ear.wait(|received| received.answered.len() == all);
        assert!(self.ear.0.0.lock().answered.values().all(|&times| times == 1));
    }
}

/// Sets the venue up, so that every partition knows of everything.
pub fn set_up(gateway: &mut Gateway) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for body in crate::venue::setup() {
        gateway.ask(body);
        runtime.block_on(gateway.running.client().registry_known()).unwrap();
    }
}

/// Waits until both workers are where the logs end, and holds them against each other and against zero.
pub fn audit(workers: &[Worker]) {
    let deadline = Instant::now() + PATIENCE;
    for partition in (0..PARTITIONS).map(PartitionId) {
        let (first, second) = loop {
            let [first, second] = [&workers[0], &workers[1]].map(|worker| {
                let (sender, receiver) = std::sync::mpsc::channel();
                assert!(worker.audit(partition, Box::new(move |report| drop(sender.send(report)))));
                receiver.recv_timeout(PATIENCE).unwrap()
            });
            if first.sequence == second.sequence {
                break (first, second);
            }
            assert!(Instant::now() < deadline, "{} {}", first.sequence, second.sequence);
        };
        assert_eq!(first.state_hash, second.state_hash, "partition {partition}");
        assert_eq!(first.violations, Vec::<String>::new());
        assert!(first.sums.values().all(|sum| sum.is_zero()));
    }
}

pub fn options(servers: Vec<String>, replicas_min: u32) -> StreamOptions {
    StreamOptions { servers, replicas_min, ..StreamOptions::default() }
}

#[test]
fn orders_cross_partitions_and_workers_change_places() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path()).unwrap();
    let servers = Servers::new(options(vec![server.url()], 0)).unwrap();
    servers.claim_venue(PARTITIONS, b"").unwrap();
    let mut workers = vec![work(&servers, "one"), work(&servers, "two")];
    let mut gateway = Gateway::open(&servers);
    set_up(&mut gateway);
    for n in 0..300 {
        gateway.send(crate::venue::traffic(n));
    }
    gateway.all_answered();
    audit(&workers);

    workers.remove(0).stop();
    for n in 300..600 {
        gateway.send(crate::venue::traffic(n));
    }
    gateway.all_answered();
    // It has to catch up from the first command.
    workers.push(work(&servers, "three"));
    for n in 600..700 {
        gateway.send(crate::venue::traffic(n));
    }
    gateway.all_answered();
    audit(&workers);
    gateway.running.stop();
    workers.into_iter().for_each(Worker::stop);
}

/// A shard that was restored from an older copy than the others.
#[test]
fn a_partition_that_lost_what_another_has_heard_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path()).unwrap();
    let servers = Servers::new(options(vec![server.url()], 0)).unwrap();
    servers.claim_venue(PARTITIONS, b"").unwrap();
    let worker = work(&servers, "one");
    let mut gateway = Gateway::open(&servers);
    set_up(&mut gateway);
    let lost = routing().of_account(crate::venue::BOB);
    let keys = Keys::new(&options(Vec::new(), 0).venue, lost);
    let keys = [&keys.input, &keys.log];
    let copy = |from: &str, to: &str| {
        let copied: u32 = server.ask(&["COPY", from, to, "REPLACE"]).unwrap();
        assert_eq!(copied, 1, "{from}");
    };
    for key in keys {
        copy(key, &format!("{key}:old"));
    }
    for n in 0..100 {
        gateway.send(crate::venue::traffic(n));
    }
    gateway.all_answered();
    audit_alone(&worker);
    gateway.running.stop();
    worker.stop();
    // As it is, another worker goes on with it.
    let again = work(&servers, "again");
    audit_alone(&again);
    again.stop();
    for key in keys {
        copy(&format!("{key}:old"), key);
    }
    let (say, said) = mpsc::channel();
    let worker = work_until(&servers, "refused", move |reason| drop(say.send(reason)));
    let reason = said.recv_timeout(PATIENCE).unwrap();
    assert!(
        reason.contains(&format!("partition {lost}: partition ")) && reason.contains("messages from it"),
        "{reason}"
    );
    worker.stop();
}

/// Waits until a worker is where the logs end, as far as it knows, and holds it against zero.
fn audit_alone(worker: &Worker) {
    let deadline = Instant::now() + PATIENCE;
    while worker.partitions().any(|(_, status)| status.log_end() == Sequence(0) || status.applied() < status.log_end())
    {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

/// A master that answers nobody: its partitions are silent, the others go on.
#[test]
fn a_shard_that_does_not_answer_fails_fast_and_leaves_the_others_alone() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = RedisCluster::start_with(folder.path(), 3, 0, NODE_TIMEOUT_MS).unwrap();
    let silent = routing().of_account(crate::venue::BOB);
    // A name under which that partition is alone on its master.
    let is_alone = |venue: &String| {
        let master = |partition| cluster.master_of(&Keys::new(venue, partition).input).unwrap();
        all().into_iter().filter(|&other| other != silent).all(|other| master(other) != master(silent))
    };
    let venue = (0..1_000).map(|n| format!("alone-{n}")).find(is_alone).unwrap();
    let options = StreamOptions { venue, reply_timeout_ms: 500, ..options(cluster.urls(), 0) };
    let servers = Servers::new(options).unwrap();
    servers.claim_venue(PARTITIONS, b"").unwrap();
    let mut gateway = Gateway::open(&servers);
    set_up(&mut gateway);
    let master = cluster.master_of(&servers.keys(silent).input).unwrap();
    cluster.pause(master).unwrap();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let waits = gateway.send(crate::venue::traffic(1));
    let deadline = Instant::now() + PATIENCE;
    while !gateway.running.client().is_silent(silent) {
        assert!(Instant::now() < deadline, "the circuit breaker of a silent partition stays closed");
        std::thread::yield_now();
    }
    for status in gateway.running.client().partitions() {
        assert_eq!(status.silent, status.partition == silent, "{status:?}");
    }
    let request = Request { number: RequestNumber(1 << 40), body: crate::venue::traffic(3), deadline: None };
    assert_eq!(gateway.running.client().submit(request), Err(NotAccepted::Silent));
    assert!(runtime.block_on(gateway.running.client().caught_up(crate::venue::BOB)).is_err());
    runtime
        .block_on(gateway.running.client().caught_up(crate::venue::ALICE))
        .expect("another partition is not touched");

    cluster.resume(master).unwrap();
    gateway.ear.wait(|received| received.answered.contains_key(&waits));
    gateway.ask(crate::venue::traffic(5));
    gateway.running.stop();
}

#[test]
fn who_would_wait_too_long_for_a_partition_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path()).unwrap();
    let servers = Servers::new(options(vec![server.url()], 0)).unwrap();
    servers.claim_venue(PARTITIONS, b"").unwrap();
    let worker = work(&servers, "one");
    let bounds = client::Options { queue_wait_max_ms: 1, backlog_max: 1 << 20, ..client::Options::default() };
    let room = bounds.queue_requests_max;
    let mut gateway = Gateway::open_with(&servers, bounds);
    set_up(&mut gateway);
    // More than can be done in a millisecond, but never so many that there is no room for them, until a partition is
    // known to be so slow.
    let submit = |number| {
        let request = Request { number: RequestNumber(number), body: crate::venue::traffic(number), deadline: None };
        gateway.running.client().submit(request)
    };
    let mut sent = gateway.number;
    let why = loop {
        gateway.ear.wait(|received| sent as usize - received.answered.len() < room);
        match submit(sent + 1) {
            Ok(()) => sent += 1,
            Err(why) => break why,
        }
        assert!(sent < 1 << 20, "nobody is refused, however many come");
    };
    assert_eq!(why, NotAccepted::Busy);
    // Those that were admitted are answered, each once, and then there is room again: soon, as an answer is received
    // before it is counted.
    gateway.number = sent;
    gateway.all_answered();
    let deadline = Instant::now() + PATIENCE;
    while let Err(why) = submit(sent + 1) {
        assert!(why == NotAccepted::Busy && Instant::now() < deadline, "{why}");
        std::thread::yield_now();
    }
    gateway.number = sent + 1;
    gateway.all_answered();
    gateway.running.stop();
    worker.stop();
}

#[test]
fn a_master_is_killed_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = RedisCluster::start(folder.path(), 3, 1).unwrap();
    let servers = Servers::new(options(cluster.urls(), 1)).unwrap();
    servers.claim_venue(PARTITIONS, b"").unwrap();
    let workers = vec![work(&servers, "one"), work(&servers, "two")];
    let mut gateway = Gateway::open(&servers);
    set_up(&mut gateway);
    for n in 0..200 {
        gateway.send(crate::venue::traffic(n));
    }
    let key = servers.keys(PartitionId(0)).input;
    let master = cluster.master_of(&key).unwrap();
    cluster.kill(master);
    // The promoted replica has none of its own, so nothing is confirmed before one is back.
    cluster.restart(master).unwrap();
    gateway.all_answered();
    for n in 200..300 {
        gateway.send(crate::venue::traffic(n));
    }
    gateway.all_answered();
    audit(&workers);
    gateway.running.stop();
    workers.into_iter().for_each(Worker::stop);
}

/// A command that cannot be applied ends workers and isolates its partition in gateways, until the operator skips it.
#[test]
fn a_command_that_cannot_be_applied_is_passed_over_by_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path()).unwrap();
    let servers = Servers::new(options(vec![server.url()], 0)).unwrap();
    servers.claim_venue(PARTITIONS, b"").unwrap();
    let market = routing().of_symbol(SymbolId(0));
    let start = |name: &str| {
        let (sender, ended) = mpsc::channel();
        (work_until(&servers, name, move |reason| drop(sender.send(reason))), ended)
    };
    let (first, first_ended) = start("first");
    let mut gateway = Gateway::open(&servers);
    set_up(&mut gateway);
    // An order of an account of the market's own partition, with funds that nobody holds for it.
    let account = (5_000..).map(AccountId).find(|&account| routing().of_account(account) == market).unwrap();
    let Body::Place(order) = crate::venue::order(account, Side::Buy, 1) else { panic!("not an order") };
    let order = NewOrder {
        terms: OrderTerms { time_in_force: TimeInForce::Ioc, price: Some(Price(1)), ..order.terms },
        ..order
    };
    let origin = Origin { source: SourceId(1 << 49), number: RequestNumber(1 << 40) };
    let admitted = Admitted { order, hold: HoldId(77), budget: Amount(1 << 40), fees: Fees::default(), origin };
    let (body, mut bytes) = (Body::Peer(PeerMessage::Admit(admitted)), Vec::new());
    crossbook_protocol::wire::encode_command(SourceId(1 << 50), RequestNumber(1), None, &body, &mut bytes);
    let mut link = Link::connect(&servers, market).unwrap();
    let sequence = link.append(&[&bytes]).unwrap().last;
    let reason = first_ended.recv_timeout(PATIENCE).unwrap();
    assert!(reason.contains("a hold is released once"), "{reason}");
    first.stop();
    let (second, second_ended) = start("second");
    second_ended.recv_timeout(PATIENCE).unwrap();
    second.stop();
    let deadline = Instant::now() + PATIENCE;
    while !gateway.running.client().is_silent(market) {
        assert!(Instant::now() < deadline, "the gateway goes on with a partition that it cannot apply");
        std::thread::yield_now();
    }
    assert!(!gateway.running.client().partitions().iter().all(|status| status.silent), "the others go on");
    gateway.running.stop();

    let missing = skip::mark(&servers, market, Sequence(1 << 40), true);
    assert!(matches!(missing, Err(skip::Error::Refused(Refused::NoCommand { .. }))), "{missing:?}");
    assert_eq!(skip::mark(&servers, market, sequence, false).unwrap().command.body, body);
    assert!(skip::mark(&servers, market, sequence, false).unwrap().before);
    let workers = vec![work(&servers, "third"), work(&servers, "fourth")];
    let told = Gateway::listening(&servers, client::Options::default(), Some(origin.source));
    told.ear.wait(|received| received.answered.contains_key(&origin.number));
    let mut gateway = Gateway::open(&servers);
    for n in 0..50 {
        gateway.ask(crate::venue::traffic(n));
    }
    audit(&workers);
    [gateway, told].into_iter().for_each(|gateway| gateway.running.stop());
    workers.into_iter().for_each(Worker::stop);
}

/// A gateway appends an order and dies. Others deliver the message that passes it on to the market's partition.
#[test]
fn what_a_gateway_that_died_has_left_is_delivered_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path()).unwrap();
    let servers = Servers::new(options(vec![server.url()], 0)).unwrap();
    servers.claim_venue(PARTITIONS, b"").unwrap();
    let mut gateway = Gateway::open(&servers);
    set_up(&mut gateway);
    gateway.running.stop();
    let dead = servers.next_gateway().unwrap();
    let (home, market) = (routing().of_account(crate::venue::ALICE), routing().of_symbol(SymbolId(0)));
    assert_ne!(home, market, "the order is to take two hops");
    let die_after = |number| {
        let (body, mut bytes) = (crate::venue::order(crate::venue::ALICE, Side::Buy, number), Vec::new());
        crossbook_protocol::wire::encode_command(dead, RequestNumber(number), None, &body, &mut bytes);
        Link::connect(&servers, home).unwrap().append(&[&bytes]).unwrap();
    };
    // A worker, while the other gateways are very patient.
    let patient = client::Options { deliver_patience_ms: 3_600_000, ..client::Options::default() };
    let listener = Gateway::listening(&servers, patient, Some(dead));
    let worker = work(&servers, "one");
    die_after(1);
    listener.ear.wait(|received| received.answered.contains_key(&RequestNumber(1)));
    listener.running.stop();
    worker.stop();
    // Another gateway, when there is no worker.
    let hasty = client::Options { deliver_patience_ms: 50, ..client::Options::default() };
    let listener = Gateway::listening(&servers, hasty, Some(dead));
    die_after(2);
    listener.ear.wait(|received| received.answered.contains_key(&RequestNumber(2)));
    assert!(listener.ear.0.0.lock().answered.values().all(|&times| times == 1));
    listener.running.stop();
}

/// A cancel of more orders than one command cancels goes on by itself, from worker to worker, and is answered once.
#[test]
fn what_is_more_than_one_command_does_goes_on_whoever_dies() {
    const ORDERS: u64 = 1_500;
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path()).unwrap();
    let servers = Servers::new(options(vec![server.url()], 0)).unwrap();
    servers.claim_venue(PARTITIONS, b"").unwrap();
    let mut workers = vec![work(&servers, "one"), work(&servers, "two")];
    let mut gateway = Gateway::open(&servers);
    set_up(&mut gateway);
    for n in 0..ORDERS {
        gateway.send(crate::venue::order(crate::venue::ALICE, Side::Buy, n));
    }
    gateway.all_answered();
    let cancel_id = ClientOrderId::new_checked("all").unwrap();
    gateway.send(Body::CancelAll(CancelAll { account: crate::venue::ALICE, symbol: SymbolId(0), cancel_id }));
    workers.remove(0).stop();
    gateway.all_answered();
    workers.push(work(&servers, "three"));
    gateway.ask(crate::venue::traffic(1));
    audit(&workers);
    gateway.running.stop();
    workers.into_iter().for_each(Worker::stop);
}

/// What is appended later than its sender wanted it is refused by the log's time, once, wherever it was appended
/// before.
#[test]
fn the_time_of_the_log_judges_deadlines() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path()).unwrap();
    let servers = Servers::new(options(vec![server.url()], 0)).unwrap();
    servers.claim_venue(PARTITIONS, b"").unwrap();
    let worker = work(&servers, "one");
    let mut gateway = Gateway::open(&servers);
    set_up(&mut gateway);
    let home = routing().of_account(crate::venue::ALICE);
    // As a gateway whose connection broke would append it: again, and seconds too late.
    let body = crate::venue::order(crate::venue::ALICE, Side::Buy, 1);
    let (source, number) = (gateway.running.client().source(), RequestNumber(1 << 40));
    let mut link = Link::connect(&servers, home).unwrap();
    let now = link.append(&[]).unwrap().time;
    let mut append = |number, deadline: Timestamp| {
        let mut bytes = Vec::new();
        crossbook_protocol::wire::encode_command(source, number, Some(deadline.into()), &body, &mut bytes);
        link.append(&[&bytes]).unwrap();
    };
    append(number, Timestamp(now.0 - 1));
    append(number, Timestamp(now.0 - 1));
    append(number.next(), Timestamp(now.0 + 60_000_000));
    gateway.ear.wait(|received| received.answered.contains_key(&number.next()));
    let received = gateway.ear.0.0.lock();
    assert_eq!((received.answered[&number], received.answered[&number.next()]), (1, 1), "each is answered once");
    assert_eq!(received.late, BTreeSet::from([number]));
    drop(received);
    gateway.running.stop();
    worker.stop();
}
