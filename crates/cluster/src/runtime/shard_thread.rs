//! The thread of one shard: carries out what its [`Session`] plans.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbook_log::Record;
use crossbook_node::embedded::SystemClock;
use crossbook_node::node::Clock as _;
use crossbook_types::{PartitionId, Sequence, Timestamp};

use super::listener::Listener;
use super::{Error, Host, IDLE_WAIT, Seat, Shared, Threads, Waker};
use crate::replica;
use crate::session::{self, Mail, Member, Plan, Session, Step};
use crate::store::{
    Confirmed, Connect, ErrorKind, Outcome, PartitionOutcome, PartitionStore, PartitionTurn, ReadAfter,
    StoreError as _, StoredCommand, Turn,
};

/// A conversation in which no turn took place for so long is replaced: what was read and not confirmed may have been
/// lost in two failovers, after which the same server is the master again.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// The pause before a shard is asked again of whose partitions all are moving to others.
const MOVING_PAUSE: Duration = Duration::from_millis(20);
/// The first pause between two attempts to connect; it doubles.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(5);

struct ShardThread<'a, C, H> {
    threads: &'a Arc<Threads<C, H>>,
    shared: &'a Arc<Shared<C>>,
    at: usize,
    waker: Arc<Waker>,
    session: Session,
    hosts: BTreeMap<PartitionId, H>,
    /// Messages that wait for their receivers, when they were last counted.
    retained: usize,
}

/// Runs the thread with this place among those of the process.
pub(super) fn run<C, H>(threads: &Arc<Threads<C, H>>, at: usize, waker: Arc<Waker>) -> Result<(), Error>
where
    C: Connect + Clone + Send + Sync + 'static,
    H: Host,
{
    let shared = &threads.shared;
    let session = Session::new(shared.options.settings.clone());
    let mut thread = ShardThread { threads, shared, at, waker, session, hosts: BTreeMap::new(), retained: 0 };
    let mut tries = 0;
    while !shared.is_stopping() {
        thread.accept();
        if thread.hosts.is_empty() {
            thread.waker.wait(IDLE_WAIT);
            continue;
        }
        match thread.converse(&mut tries) {
            Ok(()) => {}
            Err(error) if error.is_elsewhere() => {
                tracing::debug!(%error, "the partitions of a shard are moving to others");
                let all: Vec<PartitionId> = thread.hosts.keys().copied().collect();
                all.into_iter().for_each(|partition| thread.refused(partition));
                thread.regroup()?;
                std::thread::sleep(MOVING_PAUSE);
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "a shard cannot be reached; trying again");
                metrics::counter!("crossbook_shard_disconnects_total").increment(1);
                thread.disconnected();
                thread.regroup()?;
                thread.pause(&mut tries);
            }
            Err(error) => return Err(error),
        }
    }
    thread.hosts.values_mut().for_each(Host::stopping);
    Ok(())
}

impl<C, H> ShardThread<'_, C, H>
where
    C: Connect + Clone + Send + Sync + 'static,
    H: Host,
{
    /// Carries on one conversation for as long as it lasts.
    fn converse(&mut self, tries: &mut u32) -> Result<(), Error> {
        let partitions: Vec<PartitionId> = self.hosts.keys().copied().collect();
        let Some(&first) = partitions.first() else { return Ok(()) };
        let mut store = self.shared.stores.connect(first).map_err(|source| failed(first, source))?;
        self.resume(&mut store, &partitions)?;
        let mut listener = Listener::start(self.shared, self.here(), &self.waker);
        let mut turned = self.shared.begun.elapsed();
        while !self.shared.is_stopping() {
            // A process that stood still does not know which master it has spoken with.
            if self.shared.begun.elapsed().saturating_sub(turned) >= self.silence_max() {
                self.disconnected();
                return Ok(());
            }
            let joined = self.accept();
            if !joined.is_empty() {
                self.resume(&mut store, &joined)?;
            }
            self.look_for_moved(&mut store)?;
            listener.listen_to(self.here());
            self.prepare();
            if listener.notified() {
                self.session.notify();
            }
            let now = self.shared.begun.elapsed();
            let due = self.session.due(now, self.has_room());
            let wait = due.min(self.session.asks_at().unwrap_or(due)).saturating_sub(now);
            if wait.is_zero() {
                self.turn(&mut store)?;
                turned = self.shared.begun.elapsed();
                *tries = 0;
            } else if wait <= self.shared.options.settings.pace.write {
                // Whatever comes meanwhile is part of the same turn, so nothing need wake the thread.
                std::thread::sleep(wait);
            } else {
                self.waker.wait(wait);
            }
        }
        Ok(())
    }

    /// The longest time between two turns of a conversation.
    fn silence_max(&self) -> Duration {
        SILENCE_MAX.max(self.shared.options.settings.pace.poll * 2)
    }

    /// The partitions that the shard has, as far as is known.
    fn here(&self) -> BTreeSet<PartitionId> {
        let away: BTreeSet<PartitionId> = self.session.away().collect();
        self.hosts.keys().copied().filter(|partition| !away.contains(partition)).collect()
    }

    fn turn(&mut self, store: &mut C::Store) -> Result<(), Error> {
        let (clock, now) = (SystemClock.now(), self.shared.begun.elapsed());
        let mut plan = self.session.plan(clock, now, self.has_room());
        let partitions: Vec<PartitionId> = plan.partitions().collect();
        let first = partitions.first().copied().unwrap_or_default();
        let outcome = self.session.with_turn(&plan, |turn| store.turn(turn));
        let Outcome { partitions: outcomes, confirmed } = outcome.map_err(|source| failed(first, source))?;
        let times = (SystemClock.now(), self.shared.begun.elapsed());
        metrics::histogram!("crossbook_turn_seconds").record((times.1.saturating_sub(now)).as_secs_f64());
        if plan.commands() > 0 {
            metrics::histogram!("crossbook_turn_commands").record(plan.commands() as f64);
        }
        let mut failure = None;
        for (at, (outcome, partition)) in outcomes.into_iter().zip(partitions).enumerate() {
            match outcome {
                Ok(outcome) => self.take(&mut plan, at, partition, (outcome, confirmed), times)?,
                Err(source) if source.kind() == ErrorKind::Closed => {
                    let refused = self.session.closed(&mut plan, at);
                    if let Some(host) = self.hosts.get_mut(&partition) {
                        host.closed(refused, &source.into());
                    }
                }
                Err(source) if source.kind() == ErrorKind::Elsewhere => {
                    tracing::debug!(partition = partition.0, error = %source, "refused");
                    self.refused(partition);
                }
                Err(source) if matches!(source.kind(), ErrorKind::Trimmed { .. }) => {
                    self.reload(partition, failed(partition, source))?;
                }
                Err(source) => {
                    let error = failed(partition, source);
                    if !error.is_transient() {
                        return Err(error);
                    }
                    failure = Some(error);
                }
            }
        }
        self.session.turned(times.1);
        self.count_retained();
        self.write(store)?;
        failure.map_or(Ok(()), Err)
    }

    /// What the hosts write beside the turn.
    fn write(&mut self, store: &mut C::Store) -> Result<(), Error> {
        for partition in self.here() {
            let Some(member) = self.session.member(partition) else { continue };
            let Some(host) = self.hosts.get_mut(&partition) else { continue };
            match host.write(member, store) {
                Ok(true) => self.session.notify(),
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::Elsewhere => self.refused(partition),
                Err(source) => return Err(failed(partition, source)),
            }
        }
        Ok(())
    }

    /// Takes in the answer for one partition.
    fn take(
        &mut self,
        plan: &mut Plan,
        at: usize,
        partition: PartitionId,
        answer: (PartitionOutcome, Confirmed),
        times: (Timestamp, Duration),
    ) -> Result<(), Error> {
        let Some(host) = self.hosts.get_mut(&partition) else { return Ok(()) };
        let session = &mut self.session;
        let applying = AssertUnwindSafe(|| session.take(plan, at, answer, times, |effects| host.applied(effects)));
        let step: Step = match catch_unwind(applying) {
            Ok(Ok(step)) => step,
            Ok(Err(source)) => {
                let is_command = matches!(source, session::Error::Replica(replica::Error::Command { .. }));
                if !is_command || !host.is_isolated() {
                    return Err(Error::Session { partition, source });
                }
                tracing::error!(partition = partition.0, error = %source, "this gateway goes on without the partition");
                self.isolate(partition, times.1);
                return Ok(());
            }
            Err(panic) => {
                if !host.is_isolated() {
                    resume_unwind(panic);
                }
                self.isolate(partition, times.1);
                return Ok(());
            }
        };
        if let Some(member) = self.session.member(partition) {
            let mut events = std::mem::take(member.replica.events());
            host.turned(member, &mut events, &step, times.1);
            events.clear();
            *member.replica.events() = events;
        }
        step.letters.into_iter().for_each(|letter| self.shared.send(Mail::Letter(letter)));
        Ok(())
    }

    /// Goes on without a partition. The messages of the commands that it has applied are sent all the same: other
    /// processes may stop at the same command.
    fn isolate(&mut self, partition: PartitionId, now: Duration) {
        let member = self.session.remove(partition);
        self.hosts.remove(&partition);
        self.shared.isolate(partition);
        for letter in member.into_iter().flat_map(Member::into_letters) {
            match self.session.member(letter.to) {
                Some(member) => member.post(letter, now),
                None => self.shared.send(Mail::Letter(letter)),
            }
        }
    }

    /// Before a turn: takes in messages from other threads, and what the hosts have.
    fn prepare(&mut self) {
        let times = (SystemClock.now(), self.shared.begun.elapsed());
        for (&partition, host) in &mut self.hosts {
            let Some(member) = self.session.member(partition) else { continue };
            for mail in self.shared.received(partition) {
                member.take_in(mail, times.1);
            }
            host.prepare(member, times);
        }
    }

    /// Whether more may be read, which may cause more messages.
    fn has_room(&self) -> bool {
        self.shared.retained.load(Ordering::Relaxed) < self.shared.options.retained_max
    }

    /// Counts the messages that wait for their receivers on this thread.
    fn count_retained(&mut self) {
        let retained: usize = self.session.members().map(|(_, member)| member.retained()).sum();
        let before = std::mem::replace(&mut self.retained, retained);
        self.shared.retained.fetch_add(retained, Ordering::Relaxed);
        let all = self.shared.retained.fetch_sub(before, Ordering::Relaxed).saturating_sub(before);
        metrics::gauge!("crossbook_messages_unacknowledged").set(all as f64);
    }

    /// These partitions begin, or go on, in this conversation: their logs must still have what was applied last. Those
    /// that are moving to another shard are left out.
    fn resume(&mut self, store: &mut C::Store, partitions: &[PartitionId]) -> Result<(), Error> {
        let lasts: Vec<_> = partitions
            .iter()
            .filter_map(|&partition| {
                let last = self.session.member(partition)?.replica.last();
                let owned = |Record { sequence, time, payload }: Record<'_>| StoredCommand {
                    sequence,
                    time,
                    payload: payload.to_vec(),
                };
                Some((partition, last.map(owned)))
            })
            .collect();
        let read = |after: Sequence| ReadAfter { after, records_max: 1 };
        let ask = |(partition, last): &(PartitionId, Option<StoredCommand>)| PartitionTurn {
            partition: *partition,
            // Asks for the end, as a turn that appends would.
            append: Some(&[]),
            commands: last.as_ref().map(|last| read(Sequence(last.sequence.0 - 1))),
            ..PartitionTurn::default()
        };
        let turn = Turn { partitions: lasts.iter().map(ask).collect(), ..Turn::default() };
        let first = partitions.first().copied().unwrap_or_default();
        let outcome = store.turn(&turn).map_err(|source| failed(first, source))?;
        for ((partition, last), outcome) in lasts.into_iter().zip(outcome.partitions) {
            let mut found = match outcome {
                Ok(PartitionOutcome { appended, commands, .. }) => {
                    if let (Some(ends), Some(host)) = (appended, self.hosts.get_mut(&partition)) {
                        host.resumed(ends.last);
                    }
                    commands
                }
                Err(error) if error.kind() == ErrorKind::Elsewhere => {
                    self.refused(partition);
                    continue;
                }
                Err(source) if matches!(source.kind(), ErrorKind::Trimmed { .. }) => {
                    self.reload(partition, failed(partition, source))?;
                    self.session.is_back(partition);
                    continue;
                }
                Err(source) => return Err(failed(partition, source)),
            };
            if let Some(last) = last {
                let sequence = last.sequence;
                if found.is_empty() {
                    // Says why, if it is trimmed.
                    match store.read(partition, sequence, 1) {
                        Ok(read) => found = read,
                        Err(source) if matches!(source.kind(), ErrorKind::Trimmed { .. }) => {
                            self.reload(partition, failed(partition, source))?;
                            self.session.is_back(partition);
                            continue;
                        }
                        Err(source) => return Err(failed(partition, source)),
                    }
                }
                if found.first() != Some(&last) {
                    return Err(Error::Forked { partition, sequence });
                }
            }
            self.session.is_back(partition);
        }
        Ok(())
    }

    /// The log of a partition does not reach back any more to what comes next here: the process stood still, or was cut
    /// off, for too long. It goes on from the newest snapshot, where it can.
    fn reload(&mut self, partition: PartitionId, trimmed: Error) -> Result<(), Error> {
        let Some(super::Reload(reload)) = self.shared.options.reload.clone() else { return Err(trimmed) };
        tracing::warn!(partition = partition.0, error = %trimmed, "going on from the newest snapshot");
        let (state, proof) = reload(partition).map_err(|source| Error::Store { partition, source })?;
        let Some(member) = self.session.member(partition) else { return Ok(()) };
        if state.sequence() <= member.replica.partition().sequence() {
            return Err(trimmed);
        }
        let end = proof.as_ref().map(|proof| proof.end);
        let replica = member.replica.moved_to(state, proof);
        let replica = replica.map_err(|source| Error::Session { partition, source: source.into() })?;
        metrics::counter!("crossbook_partition_reloads_total").increment(1);
        self.session.replace(replica).into_iter().for_each(|mail| self.shared.send(mail));
        if let Some(host) = self.hosts.get_mut(&partition) {
            host.reloaded();
            end.into_iter().for_each(|end| host.resumed(end));
        }
        Ok(())
    }

    /// A partition is moving to another shard. It waits here until the store says where it is.
    fn refused(&mut self, partition: PartitionId) {
        let now = self.shared.begun.elapsed();
        if self.session.away().all(|away| away != partition) {
            tracing::info!(partition = partition.0, "the partition is moving to another shard");
            metrics::counter!("crossbook_partition_moves_total").increment(1);
        }
        self.session.refused(partition, now);
        if let (Some(host), Some(member)) = (self.hosts.get_mut(&partition), self.session.member(partition)) {
            host.refused(member, now);
        }
    }

    /// Looks where the partitions are that the shard has refused: those that another one has are handed to its thread,
    /// and those that are here again go on.
    fn look_for_moved(&mut self, store: &mut C::Store) -> Result<(), Error> {
        let here = self.here();
        if let Some(&first) = self.hosts.keys().next()
            && here.is_empty()
        {
            return Err(failed(first, Moving));
        }
        if self.session.asks_at().is_none_or(|at| at > self.shared.begun.elapsed()) {
            return Ok(());
        }
        if let Ok(groups) = self.shared.stores.shards(&self.shared.partitions()) {
            let count = |group: &Vec<PartitionId>| group.iter().filter(|partition| here.contains(partition)).count();
            // Where most of those are that are not refused is this shard.
            if let Some(own) = groups.iter().max_by_key(|group| count(group)).filter(|own| count(own) > 0) {
                let moved = self.hosts.keys().copied().filter(|partition| !own.contains(partition)).collect();
                self.hand_over(moved, groups.clone(), Some(self.at))?;
            }
        }
        let away: Vec<PartitionId> = self.session.away().collect();
        if !away.is_empty() {
            self.resume(store, &away)?;
        }
        Ok(())
    }

    /// Takes in partitions that were handed to this thread.
    fn accept(&mut self) -> Vec<PartitionId> {
        let (seats, later) = self.threads.accept(self.at);
        let joined: Vec<PartitionId> = seats.iter().map(|seat| seat.member.replica.partition().id()).collect();
        if !joined.is_empty() {
            // What is added to the time makes turns earlier.
            self.session.set_phase(self.shared.options.settings.pace.phase.saturating_sub(later));
        }
        for Seat { member, mut host } in seats {
            host.joined(self.shared.begun);
            self.hosts.insert(member.replica.partition().id(), host);
            self.session.add(member);
        }
        joined
    }

    fn disconnected(&mut self) {
        self.session.disconnected();
        let now = self.shared.begun.elapsed();
        for (&partition, host) in &mut self.hosts {
            if let Some(member) = self.session.member(partition) {
                host.disconnected(member, now);
            }
        }
    }

    /// Hands partitions to the threads of the shards that have them now. Some may come back to this one.
    fn regroup(&mut self) -> Result<(), Error> {
        let Ok(groups) = self.shared.stores.shards(&self.shared.partitions()) else { return Ok(()) };
        let own: Vec<PartitionId> = self.hosts.keys().copied().collect();
        let is_whole = groups.iter().any(|group| own.iter().all(|partition| group.contains(partition)));
        if is_whole && !self.threads.share(self.at, &groups) {
            return Ok(());
        }
        self.hand_over(own, groups, None)
    }

    /// Hands these partitions to the threads of the shards that have them, which are the `groups`.
    fn hand_over(
        &mut self,
        partitions: Vec<PartitionId>,
        groups: Vec<Vec<PartitionId>>,
        from: Option<usize>,
    ) -> Result<(), Error> {
        let Some(&first) = partitions.first() else { return Ok(()) };
        let mut seats = Vec::new();
        for partition in partitions {
            if let (Some(host), Some(mut member)) = (self.hosts.remove(&partition), self.session.remove(partition)) {
                // What was read in this conversation and not confirmed may be gone.
                member.disconnected();
                seats.push(Seat { member, host });
            }
        }
        self.count_retained();
        let distributed = self.threads.distribute(seats, groups, from);
        distributed.map_err(|source| Error::Thread { partition: first, source })
    }

    /// Waits before the next attempt, a little longer each time.
    fn pause(&self, tries: &mut u32) {
        let longest = self.shared.options.retry_delay_max;
        std::thread::sleep((RETRY_DELAY_MIN * 2_u32.saturating_pow(*tries)).min(longest));
        *tries = (*tries + 1).min(16);
    }
}

fn failed(partition: PartitionId, source: impl crate::store::StoreError) -> Error {
    Error::Store { partition, source: source.into() }
}

/// All partitions of a shard are moving to others.
#[derive(Debug, thiserror::Error)]
#[error("all partitions of the shard are moving to others")]
struct Moving;

impl crate::store::StoreError for Moving {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Elsewhere
    }

    fn is_transient(&self) -> bool {
        true
    }
}
