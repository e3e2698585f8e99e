//! What is alike in all processes: each is a replica of all partitions, and has a session with each shard. The session
//! is production code; the world carries out its turns, instead of threads.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crossbook_cluster::replica::{self, Applied, Limits, Proof, Replica};
use crossbook_cluster::session::{self, Mail, Member, Plan, Session, Settings, Step};
use crossbook_cluster::store::{Confirm, Confirmed, ErrorKind, PartitionOutcome};
use crossbook_engine::{Partition, WorkBudget};
use crossbook_node::node::Clock as _;
use crossbook_protocol::peer::{Outgoing, PeerMessage};
use crossbook_protocol::{Events, Rules};
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, Timestamp};

use super::call::{Actor, Held, Last, Link, OwnedTurn, Peer, Process, Reply, Request};
use super::{Event, World};
use crate::clock::WallClock;
use crate::violation::{Check, Violation, ensure};

/// After so many commands, the state of a replica is compared with what it must be.
pub(super) const COMPARE_EVERY: u64 = 16;

/// The thread of one shard.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) session: Session,
    pub(super) link: Link,
    /// The turn in flight.
    plan: Option<Plan>,
    /// Partitions that come from another shard. They join between two turns: what their senders have sent from other
    /// threads must be taken in before a sender on this one sends more.
    inbox: Vec<Member>,
    /// Partitions that have joined and are not part of the conversation yet.
    joining: BTreeSet<PartitionId>,
}

impl Thread {
    fn new(settings: Settings) -> Self {
        Self {
            session: Session::new(settings),
            link: Link::default(),
            plan: None,
            inbox: Vec::new(),
            joining: BTreeSet::new(),
        }
    }

    /// Its partitions, and those that come.
    fn members(&self) -> impl Iterator<Item = (PartitionId, &Member)> {
        self.session.members().chain(self.inbox.iter().map(|member| (member.replica.partition().id(), member)))
    }

    fn accept(&mut self) {
        for member in std::mem::take(&mut self.inbox) {
            self.joining.insert(member.replica.partition().id());
            self.session.add(member);
        }
    }

    /// What was applied last of these partitions.
    fn lasts(&self, of: impl Fn(PartitionId) -> bool) -> Vec<Last> {
        let members = self.session.members().filter(|(partition, _)| of(*partition));
        let owned = |(partition, member): (PartitionId, &Member)| {
            (partition, member.replica.last().map(|last| (last.sequence, last.time, last.payload.to_vec())))
        };
        members.map(owned).collect()
    }
}

/// How a process runs.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) limits: Limits,
    pub(super) settings: Settings,
    /// Messages that may be retained; with more, less is read.
    pub(super) retained_max: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) alive: bool,
    pub(super) paused: bool,
    /// Counts its starts: what belongs to an earlier one is dead.
    pub(super) life: u64,
    pub(super) clock: WallClock,
    /// The newest rules that its program knows.
    pub(super) known: Rules,
    /// The bounds by which it computes, if they are not those of the rules.
    pub(super) work: Option<WorkBudget>,
    /// By shard.
    pub(super) threads: Vec<Thread>,
    /// Messages from one thread that another has not taken in yet.
    pub(super) mail: BTreeMap<PartitionId, Vec<Mail>>,
    retained_max: usize,
}

/// What a process has seen of the effects of a command.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) sequence: Sequence,
    /// As it would be published.
    pub(super) bytes: Vec<u8>,
    /// The message that it is, and those that it has caused.
    pub(super) received: Option<(PartitionId, RequestNumber)>,
    pub(super) sent: Vec<(PartitionId, RequestNumber)>,
}

impl Seen {
    fn of(effects: &Applied<'_>) -> Self {
        let mut bytes = Vec::new();
        let others = |message: &&Outgoing| message.message != PeerMessage::Continue;
        let outgoing: Vec<Outgoing> = effects.outgoing.iter().filter(others).cloned().collect();
        crossbook_protocol::wire::encode_published(effects.command, &outgoing, effects.events, &mut bytes);
        let source = effects.command.source;
        let from = u16::try_from(source.0).ok().filter(|_| source < SourceId::FIRST_GATEWAY);
        Self {
            sequence: effects.command.sequence,
            bytes,
            received: from.map(|from| (PartitionId(from), effects.command.number)),
            sent: effects.outgoing.iter().map(|message| (message.to, message.number)).collect(),
        }
    }
}

impl Unit {
    /// A process that has not started yet.
    pub(super) fn new(clock: WallClock) -> Self {
        Self {
            alive: false,
            paused: false,
            life: 0,
            clock,
            known: Rules::NEWEST,
            work: None,
            threads: Vec::new(),
            mail: BTreeMap::new(),
            retained_max: 0,
        }
    }

    /// The process is gone, and all that was in its memory.
    pub(super) fn forget(&mut self) {
        (self.alive, self.paused) = (false, false);
        self.life += 1;
        self.threads.clear();
        self.mail.clear();
    }

    /// It starts with these partitions, of which `shard_of` says where they are.
    pub(super) fn start(&mut self, members: Vec<Member>, manner: &Manner, shards: usize, shard_of: &[usize]) {
        self.threads = (0..shards).map(|_| Thread::new(manner.settings.clone())).collect();
        for member in members {
            let shard = shard_of[usize::from(member.replica.partition().id().0)];
            self.threads[shard].session.add(member);
        }
        self.retained_max = manner.retained_max;
        self.alive = true;
    }

    /// A replica for it.
    pub(super) fn replica(
        &self,
        state: Partition,
        proof: Option<Proof>,
        limits: Limits,
    ) -> Result<Replica, replica::Error> {
        let state = match self.work {
            Some(work) => state.with_work(work),
            None => state,
        };
        let replica = Replica::new(state, limits).knowing(self.known)?;
        Ok(match proof {
            Some(proof) => replica.must_prove(proof),
            None => replica,
        })
    }

    /// Its replicas.
    pub(super) fn members(&self) -> impl Iterator<Item = (PartitionId, &Member)> {
        self.threads.iter().flat_map(Thread::members)
    }

    /// The thread that has a partition.
    pub(super) fn thread_of(&self, partition: PartitionId) -> Option<usize> {
        self.threads.iter().position(|thread| thread.members().any(|(of, _)| of == partition))
    }

    /// How many messages it has to deliver.
    pub(super) fn retained(&self) -> usize {
        let mail: usize = self.mail.values().map(Vec::len).sum();
        mail + self.members().map(|(_, member)| member.retained()).sum::<usize>()
    }

    /// Whether a session may read more, as `runtime` decides.
    fn has_room(&self) -> bool {
        self.retained() < self.retained_max
    }
}

impl World {
    pub(super) fn unit(&self, process: Process) -> &Unit {
        match process {
            Process::Worker(at) => &self.workers[at].unit,
            Process::Gateway(at) => &self.gateways[at].unit,
        }
    }

    pub(super) fn unit_mut(&mut self, process: Process) -> &mut Unit {
        match process {
            Process::Worker(at) => &mut self.workers[at].unit,
            Process::Gateway(at) => &mut self.gateways[at].unit,
        }
    }

    pub(super) fn now(&self) -> Duration {
        Duration::from_micros(self.time.now())
    }

    /// A thread looks whether a turn is due, and begins it.
    pub(super) fn look(&mut self, actor: Actor) {
        let Actor { process, shard } = actor;
        self.unit_mut(process).threads[shard].accept();
        if self.unit(process).threads[shard].link.with.is_none() {
            let thread = &mut self.unit_mut(process).threads[shard];
            thread.joining.clear();
            let lasts = thread.lasts(|_| true);
            if !lasts.is_empty() {
                self.call(actor, Request::Hello(lasts));
            }
            return;
        }
        if self.join(actor) {
            return;
        }
        self.prepare(actor);
        let now = self.now();
        let unit = self.unit_mut(process);
        let (clock, has_room) = (unit.clock.now(), unit.has_room());
        let thread = &mut unit.threads[shard];
        let asks_at = thread.session.asks_at();
        let all_are_away = thread.session.members().count() == thread.session.away().count();
        let due = if all_are_away { Duration::MAX } else { thread.session.due(now, has_room) };
        let due = due.min(asks_at.unwrap_or(due));
        if due > now {
            let wait = u64::try_from((due - now).as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX / 2);
            self.plan(wait, Event::Wake(actor));
            return;
        }
        let plan = thread.session.plan(clock, now, has_room);
        let turn = thread.session.with_turn(&plan, |turn| OwnedTurn::from(turn));
        thread.plan = Some(plan);
        if !has_room {
            self.observer.coverage.count("no room for more messages");
        }
        if turn.parts.iter().any(|part| part.deliver.iter().any(|(_, _, messages)| !messages.is_empty())) {
            let worker = matches!(process, Process::Worker(_));
            self.observer.coverage.count(if worker {
                "worker delivered messages"
            } else {
                "gateway delivered messages"
            });
        }
        self.call(actor, Request::Turn(turn));
    }

    /// Before a turn: messages of other threads, and what a gateway has to append or to ask.
    fn prepare(&mut self, actor: Actor) {
        let now = self.now();
        let unit = self.unit_mut(actor.process);
        let thread = &mut unit.threads[actor.shard];
        let own: Vec<PartitionId> = thread.session.members().map(|(partition, _)| partition).collect();
        for &partition in &own {
            let Some(member) = thread.session.member(partition) else { continue };
            unit.mail.remove(&partition).into_iter().flatten().for_each(|mail| member.take_in(mail, now));
        }
        if let Process::Gateway(gateway) = actor.process {
            own.into_iter().for_each(|partition| self.hand_over(gateway, partition));
        }
    }

    /// An answer has arrived.
    pub(super) fn answered(&mut self, actor: Actor, reply: Reply) -> Result<(), Violation> {
        match reply {
            Reply::Hello { with, logs } => self.greeted(actor, with, &logs),
            Reply::Turned { partitions, confirmed } => self.turned(actor, partitions, confirmed),
            Reply::Broken => {
                let thread = &mut self.unit_mut(actor.process).threads[actor.shard];
                thread.plan = None;
                thread.session.disconnected();
                if let Process::Gateway(gateway) = actor.process {
                    self.gateway_disconnected(gateway, actor.shard);
                }
                self.reconnect(actor);
                Ok(())
            }
        }
    }

    /// A shard has answered whether its logs hold what was applied.
    fn greeted(&mut self, actor: Actor, with: Peer, logs: &[(PartitionId, Held)]) -> Result<(), Violation> {
        let Actor { process, shard } = actor;
        let now = self.now();
        for &(partition, held) in logs {
            ensure!(held != Held::Forked, Durable, "{process:?} finds that the log of {partition} has forked");
            let session = &mut self.unit_mut(process).threads[shard].session;
            match held {
                Held::Yes | Held::Forked => session.is_back(partition),
                Held::Elsewhere => session.refused(partition, now),
                Held::Trimmed => {
                    self.overtaken(actor, partition)?;
                    if !self.is_alive(process) {
                        return Ok(());
                    }
                    self.unit_mut(process).threads[shard].session.is_back(partition);
                }
            }
        }
        self.unit_mut(process).threads[shard].link.with = Some(with);
        self.plan(0, Event::Wake(actor));
        Ok(())
    }

    /// Looks for the partitions that the shard has refused, as `runtime` does: those that another one has go to its
    /// thread. Those that may be here again, and those that came from another, join the conversation. Whether some do.
    fn join(&mut self, actor: Actor) -> bool {
        let Actor { process, shard } = actor;
        let now = self.now();
        let thread = &mut self.unit_mut(process).threads[shard];
        let mut asked = std::mem::take(&mut thread.joining);
        if thread.session.asks_at().is_some_and(|at| at <= now) {
            let away: Vec<PartitionId> = thread.session.away().collect();
            for partition in away {
                let to = self.shard_of[usize::from(partition.0)];
                // What the store says may be out of date.
                if to == shard || self.dice.one_in(3) {
                    asked.insert(partition);
                } else {
                    self.pass_on(actor, partition, to);
                }
            }
        }
        let lasts = self.unit(process).threads[shard].lasts(|partition| asked.contains(&partition));
        let some = !lasts.is_empty();
        if some {
            self.call(actor, Request::Resume(lasts));
        }
        some
    }

    fn pass_on(&mut self, actor: Actor, partition: PartitionId, to: usize) {
        let unit = self.unit_mut(actor.process);
        if let Some(mut member) = unit.threads[actor.shard].session.remove(partition) {
            member.disconnected();
            unit.threads[to].inbox.push(member);
        }
        self.observer.coverage.count("partition followed to another shard");
        self.plan(0, Event::Wake(Actor { shard: to, ..actor }));
    }

    /// A shard has refused a partition, because it moves.
    fn refused(&mut self, actor: Actor, partition: PartitionId) {
        self.observer.coverage.count("partition refused while it moves");
        let now = self.now();
        self.unit_mut(actor.process).threads[actor.shard].session.refused(partition, now);
        if let Process::Gateway(gateway) = actor.process {
            self.watch(gateway, partition, true);
        }
    }

    /// It stood still for too long. A gateway ends, and starts again from snapshots; a worker goes on with the
    /// partition from the last one.
    fn overtaken(&mut self, actor: Actor, partition: PartitionId) -> Result<(), Violation> {
        let Actor { process, shard } = actor;
        if matches!(process, Process::Gateway(_)) {
            self.observer.coverage.count("gateway overtaken by trimming");
            self.kill(process);
            return Ok(());
        }
        self.observer.coverage.count("worker overtaken by trimming");
        let proof = self.proofs().remove(&partition);
        let state = self.begin(partition)?;
        let state = match self.unit(process).work {
            Some(work) => state.with_work(work),
            None => state,
        };
        let session = &mut self.unit_mut(process).threads[shard].session;
        let Some(member) = session.member(partition) else { return Ok(()) };
        let applied = member.replica.partition().sequence();
        if proof.is_none() || state.sequence() <= applied {
            // The shard does not answer, or the last snapshot is damaged.
            self.kill(process);
            return Ok(());
        }
        match member.replica.moved_to(state, proof) {
            Ok(replica) => {
                let told = session.replace(replica);
                told.into_iter().for_each(|mail| self.pass(process, mail));
                self.observer.coverage.count("worker went on from a snapshot");
                Ok(())
            }
            Err(error) => self.stopped(process, partition, &session::Error::Replica(error)),
        }
    }

    fn turned(
        &mut self,
        actor: Actor,
        outcomes: Vec<Result<PartitionOutcome, ErrorKind>>,
        confirmed: Confirmed,
    ) -> Result<(), Violation> {
        let Actor { process, shard } = actor;
        let times = (self.unit(process).clock.now(), self.now());
        let thread = &mut self.unit_mut(process).threads[shard];
        thread.link.tries = 0;
        let Some(mut plan) = thread.plan.take() else { return Ok(()) };
        match (plan.confirm, confirmed) {
            (Confirm::Wait, Confirmed::Before | Confirmed::Nothing) => {
                self.observer.coverage.count("not confirmed in time")
            }
            (Confirm::IfKnown, Confirmed::Before) => self.observer.coverage.count("confirmed what was before"),
            (Confirm::IfKnown, Confirmed::All) => self.observer.coverage.count("confirmed already"),
            _ => {}
        }
        let partitions: Vec<PartitionId> = plan.partitions().collect();
        for (at, (outcome, partition)) in outcomes.into_iter().zip(partitions).enumerate() {
            match outcome {
                Ok(outcome) => self.take_in(actor, (&mut plan, at), partition, (outcome, confirmed), times)?,
                Err(ErrorKind::Trimmed { .. }) => self.overtaken(actor, partition)?,
                Err(ErrorKind::Elsewhere) => self.refused(actor, partition),
                Err(kind) => {
                    return Err(Violation::new(Check::Alive, format!("{process:?} is refused a turn: {kind:?}")));
                }
            }
            if !self.is_alive(process) {
                return Ok(());
            }
        }
        self.unit_mut(process).threads[shard].session.turned(times.1);
        if let Process::Gateway(gateway) = process {
            self.answer_questions(gateway)?;
        }
        self.plan(1, Event::Wake(actor));
        Ok(())
    }

    /// Takes in the answer for one partition.
    fn take_in(
        &mut self,
        actor: Actor,
        (plan, at): (&mut Plan, usize),
        partition: PartitionId,
        answer: (PartitionOutcome, Confirmed),
        times: (Timestamp, Duration),
    ) -> Result<(), Violation> {
        let process = actor.process;
        if answer.0.checkpoint.is_some() {
            self.observer.coverage.count("checkpoint compared");
        }
        // A program that computes otherwise may find anything.
        let is_other = self.unit(process).work.is_some();
        let session = &mut self.unit_mut(process).threads[actor.shard].session;
        let mut seen = Vec::new();
        let taking = || session.take(plan, at, answer, times, |effects| seen.push(Seen::of(effects)));
        let step: Step = match if is_other { catch_unwind(AssertUnwindSafe(taking)) } else { Ok(taking()) } {
            Ok(Ok(step)) => step,
            Ok(Err(error)) => return self.stopped(process, partition, &error),
            Err(_) => {
                self.kill(process);
                return Ok(());
            }
        };
        let Some(member) = session.member(partition) else { return Ok(()) };
        let events: Events = std::mem::take(member.replica.events());
        let position = member.replica.partition().sequence();
        if !is_other {
            for of in &seen {
                self.hear(process, partition, of.sequence, &of.bytes)?;
            }
            self.compare(process, partition, position)?;
        }
        if let Process::Gateway(gateway) = process {
            self.fold(gateway, partition, &seen, &events, &step)?;
        }
        step.letters.into_iter().for_each(|letter| self.pass(process, Mail::Letter(letter)));
        Ok(())
    }

    /// One thread of a process tells another something.
    fn pass(&mut self, process: Process, mail: Mail) {
        let unit = self.unit_mut(process);
        let shard = unit.thread_of(mail.to());
        unit.mail.entry(mail.to()).or_default().push(mail);
        if let Some(shard) = shard {
            self.plan(1, Event::Wake(Actor { process, shard }));
        }
    }

    /// A process stops, with a reason. Its supervisor starts it again.
    pub(super) fn stopped(
        &mut self,
        process: Process,
        partition: PartitionId,
        error: &session::Error,
    ) -> Result<(), Violation> {
        let is_diverged = matches!(error, session::Error::Replica(replica::Error::Diverged { .. }));
        if self.unit(process).work.is_some() && !is_diverged {
            self.kill(process);
            return Ok(());
        }
        let session::Error::Replica(of) = error else {
            return Err(Violation::new(Check::Durable, format!("{process:?}, partition {partition}: {error}")));
        };
        if matches!(of, replica::Error::UnknownRules { .. }) && self.unit(process).known < Rules::NEWEST {
            self.observer.coverage.count("process stopped for rules that it does not know");
            self.kill(process);
            return Ok(());
        }
        let check = if is_diverged { Check::Replicas } else { Check::Durable };
        Err(Violation::new(check, format!("{process:?}, partition {partition}: {error}")))
    }

    /// Compares the state of a replica with what it must be at that place.
    fn compare(&mut self, process: Process, partition: PartitionId, at: Sequence) -> Result<(), Violation> {
        let Some(due) = self.hashes.get(&(partition, at)) else { return Ok(()) };
        let member = self.unit(process).members().find(|(of, _)| *of == partition);
        let Some((_, member)) = member else { return Ok(()) };
        let same = crossbook_engine::state_hash(&member.replica.partition().state()) == *due;
        self.observer.coverage.count("replicas compared");
        ensure!(same, Replicas, "{process:?} has another state of partition {partition} at {at}");
        Ok(())
    }

    /// A notification of a shard arrives.
    pub(super) fn notified(&mut self, actor: Actor, life: u64) {
        let unit = self.unit_mut(actor.process);
        if unit.alive && unit.life == life {
            unit.threads[actor.shard].session.notify();
            self.plan(1, Event::Wake(actor));
        }
    }
}
