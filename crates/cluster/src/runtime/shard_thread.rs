//! The thread of one shard: carries out what its [`Session`] plans.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbook_node::embedded::SystemClock;
use crossbook_node::node::Clock as _;
use crossbook_types::{PartitionId, Timestamp};

use super::{Error, Host, IDLE_WAIT, NOTIFICATION_WAIT, Seat, Shared, Threads, Waker};
use crate::replica;
use crate::session::{self, Member, Plan, Session, Step};
use crate::store::{
    Confirmed, Connect, ErrorKind, Outcome, PartitionOutcome, PartitionStore, StoreError as _, Subscription as _,
};

/// A conversation in which no turn took place for so long is replaced: what was read and not confirmed may have been
/// lost in two failovers, after which the same server is the master again.
const SILENCE_MAX: Duration = Duration::from_secs(2);
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
    /// Carries on one conversation for as long as it lasts, or until partitions join it.
    fn converse(&mut self, tries: &mut u32) -> Result<(), Error> {
        let partitions: Vec<PartitionId> = self.hosts.keys().copied().collect();
        let Some(&first) = partitions.first() else { return Ok(()) };
        let mut store = self.shared.stores.connect(first).map_err(|source| failed(first, source))?;
        self.resume(&mut store)?;
        let listener = Listener::start(self.shared, self.shard_of(first), Arc::clone(&self.waker));
        let mut turned = self.shared.begun.elapsed();
        while !self.shared.is_stopping() {
            // A process that stood still does not know which master it has spoken with.
            if self.shared.begun.elapsed().saturating_sub(turned) >= self.silence_max() {
                self.disconnected();
                return Ok(());
            }
            if self.accept() {
                // Another conversation begins, and what was read in this one may be gone by then.
                self.disconnected();
                return Ok(());
            }
            self.prepare();
            if listener.notified() {
                self.session.notify();
            }
            let now = self.shared.begun.elapsed();
            let wait = self.session.due(now, self.has_room()).saturating_sub(now);
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

    /// All partitions of the venue in the shard of this one: others may notify of one that does not run here.
    fn shard_of(&self, partition: PartitionId) -> Vec<PartitionId> {
        let groups = self.shared.stores.shards(&self.shared.options.venue).unwrap_or_default();
        groups.into_iter().find(|group| group.contains(&partition)).unwrap_or_else(|| vec![partition])
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
        let mut moved = None;
        for (at, (outcome, partition)) in outcomes.into_iter().zip(partitions).enumerate() {
            match outcome {
                Ok(outcome) => self.take(&mut plan, at, partition, (outcome, confirmed), times)?,
                Err(source) if source.kind() == ErrorKind::Closed => {
                    let refused = self.session.closed(&mut plan, at);
                    if let Some(host) = self.hosts.get_mut(&partition) {
                        host.closed(refused, &source.into());
                    }
                }
                Err(source) => {
                    let error = failed(partition, source);
                    if !error.is_transient() {
                        return Err(error);
                    }
                    moved = Some(error);
                }
            }
        }
        self.session.turned(times.1);
        self.count_retained();
        for (&partition, host) in &mut self.hosts {
            if let Some(member) = self.session.member(partition)
                && host.write(member, store).map_err(|source| failed(partition, source))?
            {
                self.session.notify();
            }
        }
        moved.map_or(Ok(()), Err)
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
        step.letters.into_iter().for_each(|letter| self.shared.send(letter));
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
                None => self.shared.send(letter),
            }
        }
    }

    /// Before a turn: takes in messages from other threads, and what the hosts have.
    fn prepare(&mut self) {
        let times = (SystemClock.now(), self.shared.begun.elapsed());
        for (&partition, host) in &mut self.hosts {
            let Some(member) = self.session.member(partition) else { continue };
            for letter in self.shared.received(partition) {
                member.post(letter, times.1);
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

    /// The logs must still have what was applied last.
    fn resume(&mut self, store: &mut C::Store) -> Result<(), Error> {
        for (partition, member) in self.session.members() {
            let Some(last) = member.replica.last() else { continue };
            let read = store.read(partition, last.sequence, 1).map_err(|source| failed(partition, source))?;
            let holds = read.first().is_some_and(|found| found.time == last.time && found.payload == last.payload);
            if !holds {
                return Err(Error::Forked { partition, sequence: last.sequence });
            }
        }
        Ok(())
    }

    /// Takes in partitions that were handed to this thread. Returns whether there were any.
    fn accept(&mut self) -> bool {
        let (seats, later) = self.threads.accept(self.at);
        let some = !seats.is_empty();
        if some {
            // What is added to the time makes turns earlier.
            self.session.set_phase(self.shared.options.settings.pace.phase.saturating_sub(later));
        }
        for Seat { member, host } in seats {
            self.hosts.insert(member.replica.partition().id(), host);
            self.session.add(member);
        }
        some
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
        let every: Vec<PartitionId> = self.shared.slots.keys().copied().collect();
        let Ok(groups) = self.shared.stores.shards(&every) else { return Ok(()) };
        let own: Vec<PartitionId> = self.hosts.keys().copied().collect();
        let is_whole = groups.iter().any(|group| own.iter().all(|partition| group.contains(partition)));
        if is_whole && !self.threads.share(self.at, &groups) {
            return Ok(());
        }
        let mut seats = Vec::new();
        for (partition, host) in std::mem::take(&mut self.hosts) {
            if let Some(member) = self.session.remove(partition) {
                seats.push(Seat { member, host });
            }
        }
        self.count_retained();
        let first = own.first().copied().unwrap_or_default();
        self.threads.distribute(seats, groups).map_err(|source| Error::Thread { partition: first, source })
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

/// Listens for notifications of a shard on a thread of its own, until it is dropped.
struct Listener(Arc<Heard>);

#[derive(Debug, Default)]
struct Heard {
    notified: AtomicBool,
    done: AtomicBool,
}

impl Listener {
    /// Without a thread, the session finds new commands when it polls.
    fn start<C>(shared: &Arc<Shared<C>>, partitions: Vec<PartitionId>, waker: Arc<Waker>) -> Self
    where
        C: Connect + Send + Sync + 'static,
    {
        let heard = Arc::new(Heard::default());
        let (of, shared) = (Arc::clone(&heard), Arc::clone(shared));
        let rest = shared.options.settings.pace.read;
        let listen = move || {
            let goes_on = || !of.done.load(Ordering::Acquire) && !shared.is_stopping();
            while goes_on() {
                let Ok(mut subscription) = shared.stores.subscribe(&partitions, rest) else {
                    std::thread::sleep(NOTIFICATION_WAIT);
                    continue;
                };
                while goes_on() {
                    match subscription.wait(NOTIFICATION_WAIT) {
                        Ok(true) => {
                            of.notified.store(true, Ordering::Release);
                            waker.wake();
                        }
                        Ok(false) => {}
                        Err(error) => {
                            tracing::debug!(%error, "notifications are interrupted");
                            break;
                        }
                    }
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("notifications".to_owned()).spawn(listen) {
            tracing::warn!(%error, "no thread for notifications; new commands are found by polling");
        }
        Self(heard)
    }

    /// Whether a notification came since this was last asked.
    fn notified(&self) -> bool {
        self.0.notified.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Release);
    }
}
