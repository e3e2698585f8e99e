//! Gateways: the production code decides what is appended to each partition's log, interprets its outputs, and decides
//! when a query may be answered; views are folded from the outputs. Clients send requests and queries here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crossbook_cluster::client as log_client;
use crossbook_cluster::client::appends::{Appends, Arrival, Round, Timeouts};
use crossbook_cluster::client::outputs::Outputs;
use crossbook_cluster::client::read_barrier::{Folded, ReadBarrier};
use crossbook_cluster::store::{Bounds, StoredOutput};
use crossbook_node::NotAccepted;
use crossbook_protocol::Event as Fact;
use crossbook_protocol::{Answer, Body, Routing};
use crossbook_types::{AccountId, PartitionId, RequestNumber, Sequence, SourceId, SymbolId, Timestamp};
use crossbook_views::Views;

use super::call::{Actor, Link, Process, Reply, Request};
use super::{Event, PARTITIONS, World, id};
use crate::client;
use crate::clock::BEGINNING_US;
use crate::violation::{Check, Violation, ensure};

/// How often a partition client looks after its requests, in microseconds.
const TICK_US: u64 = 50_000;
/// How long a reading of `out` waits for an entry.
const FOLLOW_WAIT_US: u64 = 1_000_000;
/// After so many commands, the views are compared with what they must be.
const COMPARE_EVERY: u64 = 64;
/// Entries read at a time.
const FOLLOW_MAX: usize = 64;

/// The way of a gateway to one partition, and back.
#[derive(Debug)]
pub(super) struct PartitionClient {
    pub(super) queue: VecDeque<(RequestNumber, Body, Option<Timestamp>)>,
    /// Questions that want to know where the log ends.
    ends: Vec<u64>,
    pub(super) appends: Appends,
    /// The partition has not answered for too long.
    pub(super) is_silent: bool,
    pub(super) appender: Link,
    pub(super) follower: Link,
    /// What the call in flight appends.
    round: Option<Round>,
    asked_ends: Vec<u64>,
    /// The last command folded here.
    pub(super) published: Sequence,
    pub(super) views: Views,
    /// By partition, the last message that it has sent to this one, and the last of its messages that this one has
    /// received.
    sent_by: Vec<RequestNumber>,
    received_from: Vec<RequestNumber>,
}

/// A query about an account that waits for outputs of other partitions.
#[derive(Debug)]
struct Question {
    client: usize,
    account: AccountId,
    /// By partition: where its log ended. `None` inside: not known yet; partition_clients that were open are left out.
    ends: BTreeMap<PartitionId, Option<Sequence>>,
    /// What it waits for, once all of these are known.
    barrier: Option<ReadBarrier>,
    /// What the client had been answered when it asked.
    facts: Vec<client::Fact>,
}

/// What is folded at a gateway, around an account's partition.
struct Around<'a> {
    partition_clients: &'a [PartitionClient],
    own: &'a PartitionClient,
}

impl Folded for Around<'_> {
    fn position(&self, partition: PartitionId) -> Sequence {
        self.partition_clients[usize::from(partition.0)].published
    }

    fn sent(&self) -> Vec<RequestNumber> {
        self.own.sent_by.clone()
    }

    fn received(&self) -> Vec<RequestNumber> {
        self.own.received_from.clone()
    }
}

/// A gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) alive: bool,
    pub(super) paused: bool,
    pub(super) life: u64,
    pub(super) source: SourceId,
    next: RequestNumber,
    pub(super) partition_clients: Vec<PartitionClient>,
    /// Who waits for what.
    pub(super) waiting: BTreeMap<RequestNumber, (usize, Body)>,
    questions: BTreeMap<u64, Question>,
    asked: u64,
}

/// A partition as a gateway begins with it.
pub(super) struct Begun {
    pub(super) views: Views,
    pub(super) from: Sequence,
    /// By partition, the last message that it had sent to each other one by then, and the last that it had received of
    /// it.
    pub(super) sent: Vec<RequestNumber>,
    pub(super) received: Vec<RequestNumber>,
}

impl Gateway {
    /// With what each partition begins with, by number.
    pub(super) fn new(source: SourceId, life: u64, begun: Vec<Begun>) -> Self {
        let sent: Vec<Vec<RequestNumber>> = begun.iter().map(|begun| begun.sent.clone()).collect();
        let partition_client = |(at, Begun { views, from, received, .. }): (usize, Begun)| PartitionClient {
            queue: VecDeque::new(),
            ends: Vec::new(),
            appends: Appends::new(from),
            is_silent: false,
            appender: Link::default(),
            follower: Link::default(),
            round: None,
            asked_ends: Vec::new(),
            published: from,
            views,
            sent_by: sent.iter().map(|sent| sent[at]).collect(),
            received_from: received,
        };
        Self {
            alive: true,
            paused: false,
            life,
            source,
            next: RequestNumber(1),
            partition_clients: begun.into_iter().enumerate().map(partition_client).collect(),
            waiting: BTreeMap::new(),
            questions: BTreeMap::new(),
            asked: 0,
        }
    }
}

impl World {
    /// Starts a gateway, from snapshots and logs, up to what the partitions have durably published. Returns whether it
    /// could: not while a partition does not answer how far that is.
    ///
    /// # Errors
    /// When a check fails.
    pub(super) fn new_gateway(&mut self, at: usize) -> Result<bool, Violation> {
        let mut places = Vec::new();
        for shard in self.shards.iter().filter(|shard| shard.up) {
            places.extend(shard.durably_published());
        }
        if places.len() < PARTITIONS {
            return Ok(false);
        }
        let mut begun = Vec::new();
        for (partition, published) in places.into_iter().enumerate() {
            let part = self.restored(partition, published)?;
            let from = part.snapshot > Sequence(0);
            self.observer.coverage.count(if from { "gateway began with a snapshot" } else { "gateway began empty" });
            // Clients of this gateway see this now, if nobody has seen it before.
            for sequence in (self.observer.position(id(partition)).0 + 1..=published.0).map(Sequence) {
                let bytes = self.shards[partition].out()[sequence.0 as usize - 1].clone();
                self.hear(partition, sequence, &bytes)?;
            }
            let views = &part.follower();
            if self.observer.position(id(partition)) == published {
                let same = views.state() == self.observer.views(id(partition)).state();
                self.observer.coverage.count("views restored and compared");
                ensure!(same, Views, "gateway {at} begins with other views of partition {partition} at {published}");
            }
            begun.push(Begun {
                views: Views::restore(views.state(), self.view_limits.clone())
                    .map_err(|error| Violation::new(Check::Views, error.to_string()))?,
                from: published,
                sent: self.routing.all().map(|to| part.state.sent(to)).collect(),
                received: self.routing.all().map(|from| part.state.received(from)).collect(),
            });
        }
        self.sources += 1;
        let life = self.gateways.get(at).map_or(0, |before| before.life) + 1;
        let gateway = Gateway::new(SourceId(self.sources), life, begun);
        if at < self.gateways.len() {
            self.gateways[at] = gateway;
        } else {
            self.gateways.push(gateway);
        }
        Ok(true)
    }

    fn now(&self) -> Duration {
        Duration::from_micros(self.time.now())
    }

    /// The partition of the market of a request, if it has a listed market.
    fn market_of(&self, body: &Body) -> Option<usize> {
        let symbol = match body {
            Body::Place(order) => order.terms.symbol,
            Body::Cancel(cancel) => cancel.symbol,
            Body::CancelAll(cancel) => cancel.symbol,
            _ => return None,
        };
        let market = self.observer.reference(Routing::REGISTRY).registry().market(symbol)?;
        Some(usize::from(self.routing.of_market(market).0))
    }

    /// A client sends a request.
    pub(super) fn submit(&mut self, gateway: usize, client: usize, body: Body) -> Result<RequestNumber, NotAccepted> {
        let home = usize::from(self.routing.home(&body).0);
        let market = self.market_of(&body);
        let this = &mut self.gateways[gateway];
        if this.partition_clients[home].is_silent
            || market.is_some_and(|market| this.partition_clients[market].is_silent)
        {
            return Err(NotAccepted::Silent);
        }
        if this.partition_clients[home].queue.len() >= self.client.queue_requests_max {
            return Err(NotAccepted::Busy);
        }
        let wanted = matches!(body, Body::Place(_) | Body::Cancel(_) | Body::CancelAll(_)) && self.dice.one_in(3);
        let deadline = wanted.then(|| {
            let window = self.dice.between(1_000, 2_000_000);
            Timestamp(BEGINNING_US + self.time.now() + window)
        });
        let number = this.next;
        this.next = number.next();
        this.partition_clients[home].queue.push_back((number, body.clone(), deadline));
        this.waiting.insert(number, (client, body));
        self.plan(0, Event::Wake(Actor::Appender { gateway, partition: home }));
        Ok(number)
    }

    /// A client asks about its account.
    pub(super) fn ask(&mut self, gateway: usize, client: usize) {
        let Some(account) = self.clients[client].account else { return };
        let facts = self.clients[client].facts().copied().collect();
        let own = usize::from(self.routing.of_account(account).0);
        let this = &mut self.gateways[gateway];
        if this.partition_clients[own].is_silent {
            return;
        }
        this.asked += 1;
        let question = this.asked;
        let mut ends = BTreeMap::new();
        for (partition, partition_client) in
            this.partition_clients.iter_mut().enumerate().filter(|(_, partition_client)| !partition_client.is_silent)
        {
            ends.insert(id(partition), None);
            partition_client.ends.push(question);
        }
        let mut wakes = Vec::new();
        for partition in ends.keys().map(|partition| usize::from(partition.0)) {
            wakes.push(Actor::Appender { gateway, partition });
        }
        this.questions.insert(question, Question { client, account, ends, barrier: None, facts });
        wakes.into_iter().for_each(|actor| self.plan(0, Event::Wake(actor)));
    }

    /// The time by a gateway's clock.
    fn gateway_clock(&self) -> Timestamp {
        Timestamp(BEGINNING_US + self.time.now())
    }

    fn timeouts(&self) -> Timeouts {
        let millis = Duration::from_millis;
        let log_client::Options { retry_ms, circuit_breaker_ms, retention_ms, .. } = self.client;
        Timeouts { retry: millis(retry_ms), breaker: millis(circuit_breaker_ms), keep: millis(retention_ms) }
    }

    pub(super) fn append_step(&mut self, gateway: usize, partition: usize) {
        let (now, clock, timeouts) = (self.now(), self.gateway_clock(), self.timeouts());
        let (batch, backlog_max) = (self.client.batch_requests_max, self.client.backlog_max);
        let actor = Actor::Appender { gateway, partition };
        let source = self.gateways[gateway].source;
        let mut late = Vec::new();
        while self.gateways[gateway].partition_clients[partition].appends.fresh() < batch
            && let Some((number, body, deadline)) =
                self.gateways[gateway].partition_clients[partition].queue.pop_front()
        {
            let market = self.market_of(&body).filter(|&market| market != partition);
            let partition_clients = &mut self.gateways[gateway].partition_clients;
            let market_offset_micros = market.map(|market| partition_clients[market].appends.offset_micros());
            let arrival = Arrival { clock, now, market_offset_micros };
            if partition_clients[partition].appends.begin(source, number, &body, deadline, arrival).is_err() {
                late.push(number);
            }
        }
        let partition_client = &mut self.gateways[gateway].partition_clients[partition];
        let connected = partition_client.appender.epoch.is_some();
        let bounds = Bounds { records_max: batch, bytes_max: 1 << 20 };
        let round = partition_client.appends.round(
            bounds,
            !connected || !partition_client.ends.is_empty(),
            &timeouts,
            clock,
            now,
        );
        let request = match round {
            Some(_) if !connected => Some(Request::Hello { holds: None, durable: false }),
            Some(round) => {
                let payloads = round.due.iter().map(|due| due.bytes.to_vec()).collect();
                partition_client.round = Some(round);
                partition_client.asked_ends = std::mem::take(&mut partition_client.ends);
                Some(Request::Append { payloads, backlog_max })
            }
            None => None,
        };
        late.into_iter().for_each(|number| self.not_accepted(gateway, number, NotAccepted::Late));
        self.watch_lane(gateway, partition);
        match request {
            Some(request) => self.call(actor, request),
            None => self.plan(TICK_US, Event::Wake(actor)),
        }
    }

    pub(super) fn append_answered(&mut self, gateway: usize, partition: usize, reply: Reply) -> Result<(), Violation> {
        let (now, clock) = (self.now(), self.gateway_clock());
        let actor = Actor::Appender { gateway, partition };
        let partition_client = &mut self.gateways[gateway].partition_clients[partition];
        match reply {
            Reply::Hello { epoch, .. } => {
                partition_client.appender.epoch = Some(epoch);
                partition_client.appender.tries = 0;
            }
            Reply::Appended(appended) => {
                let last = appended.last;
                if let Some(round) = partition_client.round.take() {
                    partition_client.appends.appended(&round, appended, clock, now);
                }
                let asked = std::mem::take(&mut partition_client.asked_ends);
                for question in asked {
                    if let Some(question) = self.gateways[gateway].questions.get_mut(&question) {
                        question.ends.insert(id(partition), Some(last));
                    }
                }
                self.answer_questions(gateway)?;
            }
            Reply::Full => {
                self.observer.coverage.count("not taken Busy at the log");
                // Whoever wants to know where the log ends asks again.
                partition_client.ends.append(&mut partition_client.asked_ends);
                let given_back = partition_client.appends.full();
                for number in given_back {
                    self.not_accepted(gateway, number, NotAccepted::Busy);
                }
            }
            _ => {
                partition_client.appends.disconnected();
                let failed =
                    partition_client.asked_ends.drain(..).chain(partition_client.ends.drain(..)).collect::<Vec<_>>();
                for question in failed {
                    self.gateways[gateway].questions.remove(&question);
                }
                self.watch_lane(gateway, partition);
                self.reconnect(actor);
                return Ok(());
            }
        }
        self.watch_lane(gateway, partition);
        self.plan(20, Event::Wake(actor));
        Ok(())
    }

    /// Tends the requests in flight, and records whether the partition is silent.
    fn watch_lane(&mut self, gateway: usize, partition: usize) {
        let (now, timeouts) = (self.now(), self.timeouts());
        let partition_client = &mut self.gateways[gateway].partition_clients[partition];
        let watched = partition_client.appends.watch(
            partition_client.published,
            partition_client.appender.epoch.is_some(),
            &timeouts,
            now,
        );
        if watched.is_silent != std::mem::replace(&mut partition_client.is_silent, watched.is_silent) {
            self.observer.coverage.count(if watched.is_silent {
                "circuit breaker opened"
            } else {
                "circuit breaker closed"
            });
        }
        self.observer.coverage.add("requests appended again", watched.repeated);
    }

    pub(super) fn follow_step(&mut self, gateway: usize, partition: usize) {
        let partition_client = &self.gateways[gateway].partition_clients[partition];
        let request = match partition_client.follower.epoch {
            None => Request::Hello { holds: None, durable: false },
            Some(_) => {
                Request::Follow { after: partition_client.published, records_max: FOLLOW_MAX, wait_us: FOLLOW_WAIT_US }
            }
        };
        self.call(Actor::Follower { gateway, partition }, request);
    }

    pub(super) fn follow_answered(&mut self, gateway: usize, partition: usize, reply: Reply) -> Result<(), Violation> {
        let actor = Actor::Follower { gateway, partition };
        match reply {
            Reply::Hello { epoch, .. } => {
                let link = &mut self.gateways[gateway].partition_clients[partition].follower;
                (link.epoch, link.tries) = (Some(epoch), 0);
            }
            Reply::Followed { entries } => {
                for (sequence, bytes) in entries {
                    self.fold(gateway, partition, sequence, &bytes)?;
                }
                self.watch_lane(gateway, partition);
                self.answer_questions(gateway)?;
            }
            Reply::Trimmed => {
                // It stood still for too long. The process ends, and starts again from a snapshot.
                self.observer.coverage.count("gateway overtaken by trimming");
                self.kill(Process::Gateway(gateway));
                return Ok(());
            }
            _ => {
                self.reconnect(actor);
                return Ok(());
            }
        }
        self.plan(20, Event::Wake(actor));
        Ok(())
    }

    /// Folds the output of one command, and answers the request that waits for it.
    fn fold(&mut self, gateway: usize, partition: usize, sequence: Sequence, bytes: &[u8]) -> Result<(), Violation> {
        self.hear(partition, sequence, bytes)?;
        let this = &mut self.gateways[gateway];
        let mut outputs = Outputs::default();
        let output = StoredOutput { sequence, payload: bytes.to_vec() };
        outputs
            .read(&[output], this.source)
            .map_err(|error| Violation::new(Check::Published, format!("partition {partition}: {error}")))?;
        let partition_client = &mut this.partition_clients[partition];
        ensure!(
            sequence == partition_client.published.next(),
            Published,
            "entry {sequence} of {partition} follows {}",
            partition_client.published
        );
        partition_client.published = sequence;
        let mut cause = None;
        for (of, events) in outputs.events.iter() {
            partition_client.views.apply_all(of, events);
            cause = Some(of);
        }
        outputs.taken.iter().for_each(|&number| partition_client.appends.taken(number));
        for &(from, number) in &outputs.received {
            let received = &mut partition_client.received_from[usize::from(from.0)];
            *received = (*received).max(number);
        }
        for &(to, number) in &outputs.sent {
            let sent = &mut this.partition_clients[usize::from(to.0)].sent_by[partition];
            *sent = (*sent).max(number);
        }
        let source = this.source;
        let due = self.observer.views(id(partition));
        if sequence.0.is_multiple_of(COMPARE_EVERY) && due.position() == cause && cause.is_some() {
            let same = this.partition_clients[partition].views.state() == due.state();
            self.observer.coverage.count("views compared");
            ensure!(same, Views, "gateway {gateway} has other views of partition {partition} at {sequence}");
        }
        for event in outputs.events.all() {
            if let Fact::Answered { source: of, number, answer } = event
                && *of == source
            {
                self.answered(gateway, *number, answer, id(partition), sequence);
            }
        }
        Ok(())
    }

    /// The answer goes to the client, unless it waits no longer, or the answer is lost in the network.
    fn answered(
        &mut self,
        gateway: usize,
        number: RequestNumber,
        answer: &Answer,
        partition: PartitionId,
        sequence: Sequence,
    ) {
        let Some((client, body)) = self.gateways[gateway].waiting.remove(&number) else { return };
        if self.faults && self.dice.one_in(100) {
            self.observer.coverage.count("fault answer lost");
            self.in_doubt(client, body);
            return;
        }
        let accepted = !matches!((&body, answer), (Body::Transfer(_), Answer::Refused(_)));
        if self.setup.front() == Some(&body) && accepted {
            self.setup.pop_front();
        }
        self.clients[client].published(&body, answer, partition, sequence);
    }

    pub(super) fn not_accepted(&mut self, gateway: usize, number: RequestNumber, why: NotAccepted) {
        self.observer.coverage.count(&format!("not taken {why:?}"));
        if let Some((client, body)) = self.gateways[gateway].waiting.remove(&number) {
            self.in_doubt(client, body);
        }
    }

    /// Answers the questions for which everything is here.
    fn answer_questions(&mut self, gateway: usize) -> Result<(), Violation> {
        let this = &mut self.gateways[gateway];
        let mut ready = Vec::new();
        for (&number, question) in &mut this.questions {
            if question.barrier.is_none() && question.ends.values().all(Option::is_some) {
                let ends = question.ends.iter().filter_map(|(&partition, &end)| Some((partition, end?)));
                question.barrier = Some(ReadBarrier::at(ends.collect()));
            }
            let own = &this.partition_clients[usize::from(self.routing.of_account(question.account).0)];
            let around = Around { partition_clients: &this.partition_clients, own };
            if question.barrier.as_mut().is_some_and(|barrier| barrier.is_passed(&around)) {
                ready.push(number);
            }
        }
        for number in ready {
            if let Some(question) = self.gateways[gateway].questions.remove(&number) {
                self.answer_question(gateway, &question)?;
            }
        }
        Ok(())
    }

    /// What is read now must include everything that the client was answered before it asked.
    fn answer_question(&mut self, gateway: usize, question: &Question) -> Result<(), Violation> {
        let this = &self.gateways[gateway];
        let own = self.routing.of_account(question.account);
        for fact in &question.facts {
            let at = usize::from(fact.partition.0);
            // A partition whose circuit breaker was open is left out: an account is not to suffer because another
            // partition is down.
            if !question.ends.contains_key(&fact.partition) {
                continue;
            }
            ensure!(
                this.partition_clients[at].published >= fact.sequence,
                Reads,
                "a client was published of command {} of partition {at}, and reads as of {}",
                fact.sequence,
                this.partition_clients[at].published
            );
            let published = &self.observer.published(fact.partition)[..fact.sequence.0 as usize];
            let last = published.iter().rev().find_map(|published| published.sent.iter().find(|(to, _)| *to == own));
            let received = this.partition_clients[usize::from(own.0)].received_from[at];
            let missing = last.filter(|(_, number)| *number > received);
            ensure!(missing.is_none(), Reads, "an account is read without what {missing:?} brings it");
        }
        self.observer.coverage.count("question answered");
        if question.ends.len() == PARTITIONS {
            let routing = &self.routing;
            let registry = self.observer.reference(Routing::REGISTRY).registry();
            let views_of = |symbol: SymbolId| {
                let owner = registry.market(symbol).map_or(Routing::REGISTRY, |market| routing.of_market(market));
                &this.partition_clients[usize::from(owner.0)].views
            };
            // Only what it had been answered when it asked.
            let mut client = self.clients[question.client].clone();
            client.recall(&question.facts);
            client.read(views_of)?;
        }
        Ok(())
    }
}
