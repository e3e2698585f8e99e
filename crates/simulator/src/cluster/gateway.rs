//! Gateways: their sessions append what clients ask and apply the logs; views are folded from the events, and the
//! production code decides when a query may be answered. Clients send requests and queries here.

use std::collections::{BTreeMap, VecDeque};

use crossbook_cluster::client::Options;
use crossbook_cluster::client::read_barrier::{Folded, ReadBarrier};
use crossbook_cluster::requests::appends::{Appends, Arrival};
use crossbook_cluster::session::{self, Member, Step};
use crossbook_engine::Partition;
use crossbook_node::NotAccepted;
use crossbook_protocol::Event as Fact;
use crossbook_protocol::{Answer, Body, Events, Routing};
use crossbook_types::{AccountId, PartitionId, RequestNumber, Sequence, SourceId, SymbolId, Timestamp};
use crossbook_views::Views;

use super::call::{Actor, Process};
use super::unit::{Manner, Seen, Unit};
use super::{BOUNDS, Event, PARTITIONS, World, id};
use crate::client;
use crate::clock::{BEGINNING_US, WallClock};
use crate::dice::Dice;
use crate::violation::{Check, Violation, ensure};

/// What waits for the next turn with a partition.
#[derive(Debug)]
enum Inbound {
    Request(RequestNumber, Body, Option<Timestamp>),
    /// This question wants to know where the log ends.
    End(u64),
}

/// A partition at a gateway, as those who use it see it.
#[derive(Debug)]
pub(super) struct PartitionClient {
    queue: VecDeque<Inbound>,
    /// Questions that the next turn tells where the log ends.
    ends: Vec<u64>,
    /// The partition has not answered for too long.
    pub(super) is_silent: bool,
    /// By how much its log's time is ahead.
    offset_micros: i64,
    /// The last command folded here, and the last known end of the log.
    pub(super) folded: Sequence,
    tail: Sequence,
    pub(super) views: Views,
    /// By partition, the last message that it has sent to this one, and the last of its messages that this one has
    /// received.
    sent_by: Vec<RequestNumber>,
    received_from: Vec<RequestNumber>,
}

impl PartitionClient {
    /// Whether a request waits to be appended.
    pub(super) fn has_requests(&self) -> bool {
        self.queue.iter().any(|inbound| matches!(inbound, Inbound::Request(..)))
    }
}

/// A query about an account that waits for what other gateways have answered.
#[derive(Debug)]
struct Question {
    client: usize,
    account: AccountId,
    /// By partition: where its log ended. `None` inside: not known yet; partitions that were silent are left out.
    ends: BTreeMap<PartitionId, Option<Sequence>>,
    /// What it waits for, once all of these are known.
    barrier: Option<ReadBarrier>,
    /// What the client had been answered when it asked.
    facts: Vec<client::Fact>,
}

/// What is folded at a gateway, around an account's partition.
struct Around<'a> {
    clients: &'a [PartitionClient],
    own: &'a PartitionClient,
}

impl Folded for Around<'_> {
    fn position(&self, partition: PartitionId) -> Sequence {
        self.clients[usize::from(partition.0)].folded
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
    pub(super) unit: Unit,
    source: SourceId,
    options: Options,
    next: RequestNumber,
    pub(super) clients: Vec<PartitionClient>,
    /// Who waits for what.
    pub(super) waiting: BTreeMap<RequestNumber, (usize, Body)>,
    questions: BTreeMap<u64, Question>,
    asked: u64,
    /// It ends as soon as its next requests are appended.
    pub(super) ends_after_append: bool,
}

/// A partition as a gateway begins with it.
struct Begun {
    state: Partition,
    views: Views,
}

impl Gateway {
    /// One that has not started yet.
    pub(super) fn new(clock: WallClock, dice: &mut Dice) -> Self {
        let batch = dice.between(4, 64) as usize;
        let options = Options {
            queue_requests_max: 64,
            batch_requests_max: dice.between(1, 32) as usize,
            backlog_max: dice.between(8, 200),
            turn_interval_us: dice.between(500, 20_000),
            poll_interval_ms: dice.between(20, 400),
            retry_ms: dice.between(50, 600),
            circuit_breaker_ms: 2_000,
            retention_ms: 10_000,
            read_batch_commands_max: batch,
            read_ahead_commands_max: dice.between(batch as u64, 128) as usize,
            deliver_batch_max: dice.between(1, 32) as usize,
            deliver_patience_ms: dice.between(300, 1_500),
            messages_retained_max: dice.pick(&[2, 16, 1_000_000, 1_000_000]),
            ..Options::default()
        };
        Self {
            unit: Unit::new(clock),
            source: SourceId::FIRST_GATEWAY,
            options,
            next: RequestNumber(1),
            clients: Vec::new(),
            waiting: BTreeMap::new(),
            questions: BTreeMap::new(),
            asked: 0,
            ends_after_append: false,
        }
    }

    /// It starts under this source, with what each partition begins with, by number.
    fn begin(&mut self, source: SourceId, begun: Vec<Begun>) -> Vec<Partition> {
        let numbers = |of: &dyn Fn(&Partition) -> RequestNumber| begun.iter().map(|begun| of(&begun.state)).collect();
        let sent: Vec<Vec<_>> = (0..PARTITIONS).map(|to| numbers(&|from| from.sent(id(to)))).collect();
        let (mut states, mut clients) = (Vec::new(), Vec::new());
        for (Begun { state, views }, sent_by) in begun.into_iter().zip(sent) {
            clients.push(PartitionClient {
                queue: VecDeque::new(),
                ends: Vec::new(),
                is_silent: false,
                offset_micros: 0,
                folded: state.sequence(),
                tail: state.sequence(),
                views,
                sent_by,
                received_from: (0..PARTITIONS).map(|from| state.received(id(from))).collect(),
            });
            states.push(state);
        }
        (self.source, self.next, self.clients) = (source, RequestNumber(1), clients);
        self.waiting.clear();
        self.questions.clear();
        self.ends_after_append = false;
        states
    }

    fn manner(&self) -> Manner {
        let settings = self.options.session(self.source, BOUNDS);
        Manner { limits: self.options.limits(), settings, retained_max: self.options.messages_retained_max }
    }

    /// The requests that are not accepted yet, by partition, and whether it answers.
    fn member(&mut self, partition: PartitionId) -> Option<&mut Member> {
        self.unit.threads.iter_mut().find_map(|thread| thread.session.member(partition))
    }
}

impl World {
    /// Starts a gateway, from snapshots. Whether it could: not if it does not know the rules of a partition.
    ///
    /// # Errors
    /// When a check fails.
    pub(super) fn start_gateway(&mut self, at: usize) -> Result<bool, Violation> {
        let mut proofs = self.proofs();
        let mut begun = Vec::new();
        for partition in (0..PARTITIONS).map(id) {
            begun.push(self.restored_at_gateway(at, partition)?);
        }
        self.sources += 1;
        let states = self.gateways[at].begin(SourceId(self.sources), begun);
        let manner = self.gateways[at].manner();
        let mut members = Vec::with_capacity(PARTITIONS);
        for state in states {
            let (partition, sequence) = (state.id(), state.sequence());
            match self.gateways[at].unit.replica(state, proofs.remove(&partition), manner.limits) {
                Ok(replica) => members.push(Member::new(replica, Some(Appends::new(sequence)))),
                Err(error) => {
                    self.stopped(Process::Gateway(at), partition, &session::Error::Replica(error))?;
                    return Ok(false);
                }
            }
        }
        let (shards, shard_of) = (self.shards.len(), self.shard_of.clone());
        self.gateways[at].unit.start(members, &manner, shards, &shard_of);
        Ok(true)
    }

    /// A partition and its views, as the last snapshot has them. Not as of the end of the log: what the partition has
    /// sent since that snapshot may be received nowhere yet, and this process must have it.
    fn restored_at_gateway(&mut self, at: usize, partition: PartitionId) -> Result<Begun, Violation> {
        let part = self.restored(partition, Sequence(u64::MAX))?;
        let with = part.snapshot > Sequence(0);
        self.observer.coverage.count(if with { "gateway began with a snapshot" } else { "gateway began empty" });
        let place = part.state.sequence();
        let views = part.follower();
        if let Some((_, due)) = self.snapshot_views.get(&partition).filter(|(of, _)| *of == place) {
            self.observer.coverage.count("views restored and compared");
            ensure!(
                views.state() == *due,
                Views,
                "gateway {at} begins with other views of partition {partition} at {place}"
            );
        }
        let views = Views::restore(views.state(), self.view_limits.clone())
            .map_err(|error| Violation::new(Check::Views, error.to_string()))?;
        Ok(Begun { views, state: part.state })
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

    fn wake_for(&mut self, gateway: usize, partition: PartitionId) {
        if let Some(shard) = self.gateways[gateway].unit.thread_of(partition) {
            self.plan(0, Event::Wake(Actor { process: Process::Gateway(gateway), shard }));
        }
    }

    /// A client sends a request.
    pub(super) fn submit(&mut self, gateway: usize, client: usize, body: Body) -> Result<RequestNumber, NotAccepted> {
        let home = self.routing.home(&body);
        let market = self.market_of(&body);
        let this = &self.gateways[gateway];
        let own = &this.clients[usize::from(home.0)];
        if own.is_silent || market.is_some_and(|market| this.clients[market].is_silent) {
            return Err(NotAccepted::Silent);
        }
        let waiting = own.tail.0.saturating_sub(own.folded.0) + own.queue.len() as u64;
        if waiting >= this.options.backlog_max || own.queue.len() >= this.options.queue_requests_max {
            return Err(NotAccepted::Busy);
        }
        let wanted = matches!(body, Body::Place(_) | Body::Cancel(_) | Body::CancelAll(_)) && self.dice.one_in(3);
        let deadline = wanted.then(|| {
            let window = self.dice.between(1_000, 2_000_000);
            Timestamp(BEGINNING_US + self.time.now() + window)
        });
        let this = &mut self.gateways[gateway];
        let number = this.next;
        this.next = number.next();
        let inbound = Inbound::Request(number, body.clone(), deadline);
        this.clients[usize::from(home.0)].queue.push_back(inbound);
        this.waiting.insert(number, (client, body));
        self.wake_for(gateway, home);
        Ok(number)
    }

    /// A client asks about its account.
    pub(super) fn ask(&mut self, gateway: usize, client: usize) {
        let Some(account) = self.clients[client].account else { return };
        let facts = self.clients[client].facts().copied().collect();
        let own = usize::from(self.routing.of_account(account).0);
        let this = &mut self.gateways[gateway];
        if this.clients[own].is_silent {
            return;
        }
        this.asked += 1;
        let question = this.asked;
        let mut ends = BTreeMap::new();
        for (partition, client) in this.clients.iter_mut().enumerate().filter(|(_, client)| !client.is_silent) {
            ends.insert(id(partition), None);
            client.queue.push_back(Inbound::End(question));
        }
        let asked: Vec<_> = ends.keys().copied().collect();
        this.questions.insert(question, Question { client, account, ends, barrier: None, facts });
        asked.into_iter().for_each(|partition| self.wake_for(gateway, partition));
    }

    /// Before a turn: what waits for it is handed to the partition's member of the session.
    pub(super) fn hand_over(&mut self, gateway: usize, partition: PartitionId) {
        let (now, at) = (self.now(), usize::from(partition.0));
        let mut late = Vec::new();
        let most = self.gateways[gateway].options.batch_requests_max;
        let fresh = |of: &Member| of.appends.as_ref().is_some_and(|appends| appends.fresh() < most);
        while self.gateways[gateway].member(partition).is_some_and(|member| fresh(member))
            && let Some(inbound) = self.gateways[gateway].clients[at].queue.pop_front()
        {
            let (number, body, deadline) = match inbound {
                Inbound::Request(number, body, deadline) => (number, body, deadline),
                Inbound::End(question) => {
                    let this = &mut self.gateways[gateway];
                    this.clients[at].ends.push(question);
                    this.member(partition).into_iter().for_each(Member::ask_end);
                    continue;
                }
            };
            let market = self.market_of(&body).filter(|&market| market != at);
            let clock = Timestamp(BEGINNING_US + self.time.now());
            let this = &mut self.gateways[gateway];
            let market_offset_micros = market.map(|market| this.clients[market].offset_micros);
            let arrival = Arrival { clock, now, market_offset_micros };
            let source = this.source;
            let appends = this.member(partition).and_then(|member| member.appends.as_mut());
            if appends.is_some_and(|appends| appends.begin(source, number, &body, deadline, arrival).is_err()) {
                late.push(number);
            }
        }
        late.into_iter().for_each(|number| self.not_accepted(gateway, number, NotAccepted::Late));
    }

    /// Tends the requests in flight, and records whether the partition is silent.
    pub(super) fn watch(&mut self, gateway: usize, partition: PartitionId, is_connected: bool) {
        let (now, at) = (self.now(), usize::from(partition.0));
        let this = &mut self.gateways[gateway];
        let timeouts = this.options.timeouts();
        let Some(member) = this.member(partition) else { return };
        let applied = member.replica.partition().sequence();
        let Some(appends) = &mut member.appends else { return };
        let watched = appends.watch(applied, is_connected, &timeouts, now);
        if watched.is_silent != std::mem::replace(&mut this.clients[at].is_silent, watched.is_silent) {
            let opened = watched.is_silent;
            self.observer.coverage.count(if opened { "circuit breaker opened" } else { "circuit breaker closed" });
        }
        self.observer.coverage.add("requests appended again", watched.repeated);
    }

    /// There is no connection to a shard.
    pub(super) fn gateway_disconnected(&mut self, gateway: usize, shard: usize) {
        let members = self.gateways[gateway].unit.threads[shard].session.members();
        let partitions: Vec<PartitionId> = members.map(|(partition, _)| partition).collect();
        for partition in partitions {
            let this = &mut self.gateways[gateway];
            let failed = std::mem::take(&mut this.clients[usize::from(partition.0)].ends);
            for question in failed {
                this.questions.remove(&question);
            }
            self.watch(gateway, partition, false);
        }
    }

    /// After a turn: folds what was applied, and answers the requests that wait for it.
    pub(super) fn fold(
        &mut self,
        gateway: usize,
        partition: PartitionId,
        seen: &[Seen],
        events: &Events,
        step: &Step,
    ) -> Result<(), Violation> {
        let at = usize::from(partition.0);
        for (cause, events) in events.iter() {
            let this = &mut self.gateways[gateway];
            this.clients[at].views.apply_all(cause, events);
            let source = this.source;
            if let Some(due) = self.views.get(&(partition, cause.sequence)) {
                let same = this.clients[at].views.state() == *due;
                self.observer.coverage.count("views compared");
                let sequence = cause.sequence;
                ensure!(same, Views, "gateway {gateway} has other views of partition {partition} at {sequence}");
            }
            for event in events {
                if let Fact::Answered { source: of, number, answer } = event
                    && *of == source
                {
                    self.tell(gateway, *number, answer, partition, cause.sequence);
                }
            }
        }
        let this = &mut self.gateways[gateway];
        for &(from, number) in seen.iter().filter_map(|seen| seen.received.as_ref()) {
            let received = &mut this.clients[at].received_from[usize::from(from.0)];
            *received = (*received).max(number);
        }
        for &(to, number) in seen.iter().flat_map(|seen| &seen.sent) {
            let sent = &mut this.clients[usize::from(to.0)].sent_by[at];
            *sent = (*sent).max(number);
        }
        let Some(member) = this.member(partition) else { return Ok(()) };
        let (folded, read) = (member.replica.partition().sequence(), member.replica.read_up_to());
        let offset_micros = member.appends.as_ref().map_or(0, Appends::offset_micros);
        let client = &mut this.clients[at];
        (client.folded, client.offset_micros) = (folded, offset_micros);
        client.tail = step.end.unwrap_or_default().max(read);
        if let Some(end) = step.end {
            for question in std::mem::take(&mut client.ends) {
                if let Some(question) = this.questions.get_mut(&question) {
                    question.ends.insert(partition, Some(end));
                }
            }
        }
        self.watch(gateway, partition, true);
        Ok(())
    }

    /// The answer goes to the client, unless it waits no longer, or the answer is lost in the network.
    fn tell(
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
    pub(super) fn answer_questions(&mut self, gateway: usize) -> Result<(), Violation> {
        let this = &mut self.gateways[gateway];
        let mut ready = Vec::new();
        for (&number, question) in &mut this.questions {
            if question.barrier.is_none() && question.ends.values().all(Option::is_some) {
                let ends = question.ends.iter().filter_map(|(&partition, &end)| Some((partition, end?)));
                question.barrier = Some(ReadBarrier::at(ends.collect()));
            }
            let own = &this.clients[usize::from(self.routing.of_account(question.account).0)];
            let around = Around { clients: &this.clients, own };
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
                this.clients[at].folded >= fact.sequence,
                Reads,
                "a client was published of command {} of partition {at}, and reads as of {}",
                fact.sequence,
                this.clients[at].folded
            );
            let published = &self.observer.published(fact.partition)[..fact.sequence.0 as usize];
            let last = published.iter().rev().find_map(|published| published.sent.iter().find(|(to, _)| *to == own));
            let received = this.clients[usize::from(own.0)].received_from[at];
            let missing = last.filter(|(_, number)| *number > received);
            ensure!(missing.is_none(), Reads, "an account is read without what {missing:?} brings it");
        }
        self.observer.coverage.count("question answered");
        if question.ends.len() == PARTITIONS {
            let routing = &self.routing;
            let registry = self.observer.reference(Routing::REGISTRY).registry();
            let views_of = |symbol: SymbolId| {
                let owner = registry.market(symbol).map_or(Routing::REGISTRY, |market| routing.of_market(market));
                &this.clients[usize::from(owner.0)].views
            };
            // Only what it had been answered when it asked.
            let mut client = self.clients[question.client].clone();
            client.recall(&question.facts);
            client.read(views_of)?;
        }
        Ok(())
    }
}
