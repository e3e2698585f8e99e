//! Runs the sessions of a process on threads, one for each shard, and moves partitions between them when the store
//! moves them between shards.
//!
//! ```text
//!   submit --(queue)--> thread of the shard: turn, apply --> host: events, answers
//!                         ^        |
//!                         |        +--(letters)--> thread of another shard
//!                  notifications
//! ```
//!
//! What a process does with its partitions besides applying their commands is up to its [`Host`]s: a gateway appends
//! requests and publishes events, a worker writes the depth of its books to the store.

mod listener;
mod shard_thread;
mod waker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbook_engine::Partition;
use crossbook_node::embedded::{SystemClock, guarded};
use crossbook_node::node::Clock as _;
use crossbook_protocol::Events;
use crossbook_types::{PartitionId, RequestNumber, Sequence, Timestamp};
use parking_lot::{Mutex, RwLock};

use crate::replica::{Applied, Proof};
use crate::session::{self, Mail, Member, Settings, Step};
use crate::store::{
    Confirm, Confirmed, Connect, Deliver, ErrorKind, Failure, PartitionStore, PartitionTurn, StoreError as _, Turn,
};

pub(crate) use waker::Waker;

/// How long a subscription waits for a notification before it looks whether the process stops.
const NOTIFICATION_WAIT: Duration = Duration::from_millis(250);
/// How often a thread without partitions looks whether the process stops.
const IDLE_WAIT: Duration = Duration::from_millis(250);

/// Asks the store, before a process begins with its partitions, what each of them must have sent before it may accept
/// anything new. Shards that do not answer are left out: no partition must depend on another shard.
///
/// # Errors
/// When the store refuses for good.
pub fn ask_proofs<C: Connect>(stores: &C, partitions: &[PartitionId]) -> Result<BTreeMap<PartitionId, Proof>, Failure> {
    let mut received: Vec<(PartitionId, PartitionId, RequestNumber)> = Vec::new();
    let mut ends = BTreeMap::new();
    for asks_ends in [false, true] {
        for group in groups(stores, partitions)? {
            match ask_shard(stores, &group, partitions, asks_ends) {
                Ok((more, found)) => {
                    received.extend(more);
                    ends.extend(found);
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "a shard cannot be asked now what its partitions have received");
                }
                Err(error) => return Err(error),
            }
        }
    }
    let proof = |(partition, end)| {
        let by = received.iter().filter(|&&(from, to, _)| from == partition && to != from);
        (partition, Proof { end, received: by.map(|&(_, to, number)| (to, number)).collect() })
    };
    Ok(ends.into_iter().map(proof).collect())
}

fn groups<C: Connect>(stores: &C, partitions: &[PartitionId]) -> Result<Vec<Vec<PartitionId>>, Failure> {
    match stores.shards(partitions) {
        Ok(groups) => Ok(groups),
        Err(error) if error.is_transient() => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// What the partitions of a shard have received, by sender and receiver; or where their logs end.
type Asked = (Vec<(PartitionId, PartitionId, RequestNumber)>, Vec<(PartitionId, Sequence)>);

fn ask_shard<C: Connect>(
    stores: &C,
    group: &[PartitionId],
    senders: &[PartitionId],
    asks_ends: bool,
) -> Result<Asked, Failure> {
    let Some(&first) = group.first() else { return Ok(Asked::default()) };
    let mut store = stores.connect(first).map_err(Failure::from)?;
    let ask = |&from: &PartitionId| Deliver { from, first: RequestNumber(1), messages: Vec::new() };
    let deliver: Vec<Deliver<'_>> = if asks_ends { Vec::new() } else { senders.iter().map(ask).collect() };
    let append: Option<&[&[u8]]> = asks_ends.then_some(&[]);
    let of =
        |&partition: &PartitionId| PartitionTurn { partition, deliver: &deliver, append, ..PartitionTurn::default() };
    let turn = Turn { partitions: group.iter().map(of).collect(), confirm: Confirm::Wait };
    let outcome = store.turn(&turn).map_err(Failure::from)?;
    if outcome.confirmed != Confirmed::All {
        return Err(store.not_confirmed().into());
    }
    let mut asked = Asked::default();
    for (&to, outcome) in group.iter().zip(outcome.partitions) {
        let outcome = outcome.map_err(Failure::from)?;
        asked.0.extend(senders.iter().zip(outcome.delivered).map(|(&from, answer)| (from, to, answer.last)));
        asked.1.extend(outcome.appended.map(|end| (to, end.last)));
    }
    Ok(asked)
}

/// Why a process cannot continue with a partition.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its log, or its messages, are not what they were.
    #[error("partition {partition}: {source}")]
    Session {
        /// The partition that it happened in.
        partition: PartitionId,
        /// The underlying error.
        source: session::Error,
    },
    /// The store returned an error that a retry cannot fix.
    #[error("partition {partition}: {source}")]
    Store {
        /// The partition that it happened in.
        partition: PartitionId,
        /// The underlying error.
        source: Failure,
    },
    /// The system gives no thread for a shard.
    #[error("partition {partition}: the system cannot start a thread for its shard: {source}")]
    Thread {
        /// A partition of the shard.
        partition: PartitionId,
        /// The underlying error.
        source: std::io::Error,
    },
    /// The log has another command where the last one applied was.
    #[error(
        "partition {partition}: the log has forked at command {sequence}: a command that had been confirmed is gone, which takes two failures at \
         once; restore the store, or make the node that has the command the master, and start this process again"
    )]
    Forked {
        /// The partition that it happened in.
        partition: PartitionId,
        /// The command's place in the log.
        sequence: Sequence,
    },
}

impl Error {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Store { source, .. } if source.is_transient())
    }

    /// Whether all partitions of a shard are moving to other shards.
    fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Store { source, .. } if source.kind() == ErrorKind::Elsewhere)
    }
}

/// What a process does with a partition besides applying its commands. Called on the thread of the partition's shard.
pub(crate) trait Host: Send + 'static {
    /// The partition begins, or goes on, on this thread. Times that are told count from `begun`.
    fn joined(&mut self, _begun: Instant) {}

    /// Before a turn: hands over what the turn should append, or ask.
    fn prepare(&mut self, member: &mut Member, times: (Timestamp, Duration));

    /// A command was applied.
    fn applied(&mut self, effects: &Applied<'_>);

    /// After a turn: `events` are those of the commands that were applied.
    fn turned(&mut self, member: &mut Member, events: &mut Events, step: &Step, now: Duration);

    /// The partition is closed, for this reason; these requests were to be appended, and have no effect.
    fn closed(&mut self, _: Vec<RequestNumber>, _: &Failure) {}

    /// There is no connection to the partition's shard.
    fn disconnected(&mut self, member: &mut Member, now: Duration);

    /// The partition is moving to another shard, and goes on there.
    fn refused(&mut self, member: &mut Member, now: Duration);

    /// There is a connection to the partition's shard again, and its log ends here.
    fn resumed(&mut self, _: Sequence) {}

    /// The partition goes on from a newer snapshot; nothing is known of what happened between.
    fn reloaded(&mut self) {}

    /// Writes to the store what need not be part of a turn. Returns whether there will be more to write soon.
    ///
    /// # Errors
    /// Failures of the store.
    fn write<S: PartitionStore>(&mut self, _: &mut Member, _: &mut S) -> Result<bool, S::Error> {
        Ok(false)
    }

    /// Applying a command has panicked, so the partition's state cannot be trusted any more. Returns whether the
    /// process goes on without the partition.
    fn is_isolated(&mut self) -> bool {
        false
    }

    /// The process stops.
    fn stopping(&mut self) {}
}

/// A partition of a process, with what the process does with it.
pub(crate) struct Seat<H> {
    pub(crate) member: Member,
    pub(crate) host: H,
}

/// What others know of a partition, whichever thread it is on.
#[derive(Debug, Default)]
struct Slot {
    /// Messages for it from partitions on other threads.
    mail: Mutex<Vec<Mail>>,
    /// Wakes its thread.
    waker: RwLock<Arc<Waker>>,
    /// Whether the process goes on without it: it takes no messages any more.
    is_isolated: AtomicBool,
}

/// How the threads of a process run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) settings: Settings,
    /// Messages that may wait for other threads, or for their receivers; with more, nothing is read.
    pub(crate) retained_max: usize,
    /// The longest pause between two attempts to connect.
    pub(crate) retry_delay_max: Duration,
    /// How a partition goes on whose log does not reach back any more; `None`: not at all.
    pub(crate) reload: Option<Reload>,
}

/// A partition from its newest snapshot, with what it must have sent.
pub type Reloaded = Result<(Partition, Option<Proof>), Failure>;

/// Loads a partition from its newest snapshot.
#[derive(Clone)]
pub(crate) struct Reload(pub(crate) Arc<dyn Fn(PartitionId) -> Reloaded + Send + Sync>);

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reload")
    }
}

/// What all threads of a process share.
pub(crate) struct Shared<C> {
    stores: C,
    options: Options,
    slots: BTreeMap<PartitionId, Slot>,
    /// Messages that wait for their receivers, on all threads.
    retained: AtomicUsize,
    begun: Instant,
    stop: AtomicBool,
}

/// Wakes the threads of partitions.
#[derive(Clone)]
pub(crate) struct Wakers(Arc<dyn Fn(PartitionId) + Send + Sync>);

impl Wakers {
    /// Wakes the thread of a partition, unless it is awake or will be shortly.
    pub(crate) fn wake(&self, partition: PartitionId) {
        (self.0)(partition);
    }
}

impl std::fmt::Debug for Wakers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wakers")
    }
}

impl<C> Shared<C> {
    /// The partitions that run here.
    fn partitions(&self) -> Vec<PartitionId> {
        self.slots.keys().copied().collect()
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn wake(&self, partition: PartitionId) {
        if let Some(slot) = self.slots.get(&partition) {
            slot.waker.read().wake();
        }
    }

    /// Hands a message to the thread of its receiver. A receiver that does not run here gets nothing from here.
    fn send(&self, mail: Mail) {
        let to = mail.to();
        if let Some(slot) = self.slots.get(&to)
            && !slot.is_isolated.load(Ordering::Acquire)
        {
            slot.mail.lock().push(mail);
            self.retained.fetch_add(1, Ordering::Relaxed);
            slot.waker.read().wake();
        }
    }

    /// Drops what waits for a partition, and whatever comes.
    fn isolate(&self, partition: PartitionId) {
        if let Some(slot) = self.slots.get(&partition) {
            slot.is_isolated.store(true, Ordering::Release);
        }
        self.received(partition);
    }

    fn received(&self, partition: PartitionId) -> Vec<Mail> {
        let Some(slot) = self.slots.get(&partition) else { return Vec::new() };
        let letters = std::mem::take(&mut *slot.mail.lock());
        self.retained.fetch_sub(letters.len(), Ordering::Relaxed);
        letters
    }
}

/// A thread of a shard, as others see it.
struct Thread<H> {
    waker: Arc<Waker>,
    /// By how much later than at the first shard its turns begin: if all began at once, they would wait for each other.
    phase: Duration,
    /// The partitions that it runs, or will shortly.
    partitions: Vec<PartitionId>,
    /// Partitions on their way to it.
    inbox: Vec<Seat<H>>,
}

/// The threads of a process, and which partitions each runs.
struct Threads<C, H> {
    shared: Arc<Shared<C>>,
    fatal: Arc<dyn Fn(String) + Send + Sync>,
    all: Mutex<Vec<Thread<H>>>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

/// The running threads of a process.
pub(crate) struct Runtime {
    wakers: Wakers,
    stop: Box<dyn FnOnce() + Send + Sync>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Runtime")
    }
}

impl Runtime {
    /// Starts the threads, when `seats` returns the partitions, with wakers for their threads. `fatal` is called with
    /// the reason when one cannot continue; it should end the process.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(crate) fn start<C, H>(
        stores: C,
        partitions: &[PartitionId],
        options: Options,
        fatal: Arc<dyn Fn(String) + Send + Sync>,
        seats: impl FnOnce(&Wakers) -> Vec<Seat<H>>,
    ) -> std::io::Result<Self>
    where
        C: Connect + Clone + Send + Sync + 'static,
        H: Host,
    {
        let mut options = options;
        // A process whose clock is wrong has turns at other times than the others, which costs the server a sync.
        options.settings.pace.phase = Duration::from_micros(SystemClock.now().0);
        let shared = Arc::new(Shared {
            stores,
            options,
            slots: partitions.iter().map(|&partition| (partition, Slot::default())).collect(),
            retained: AtomicUsize::new(0),
            begun: Instant::now(),
            stop: AtomicBool::new(false),
        });
        let of = Arc::clone(&shared);
        let wakers = Wakers(Arc::new(move |partition| of.wake(partition)));
        let seats = seats(&wakers);
        let threads = Arc::new(Threads { shared, fatal, all: Mutex::default(), handles: Mutex::default() });
        // While the store does not say where they are, one thread has all of them, and asks again.
        let groups = threads.shared.stores.shards(partitions).unwrap_or_else(|_| vec![partitions.to_vec()]);
        threads.distribute(seats, groups, None)?;
        let stop = Box::new(move || threads.stop());
        Ok(Self { wakers, stop })
    }

    /// Wakes the threads of partitions.
    pub(crate) fn wakers(&self) -> &Wakers {
        &self.wakers
    }

    /// Ends the threads, after the turns that they may be in.
    pub(crate) fn stop(self) {
        (self.stop)();
    }
}

impl<C: Connect + Clone + Send + Sync + 'static, H: Host> Threads<C, H> {
    /// Hands partitions to the threads of their shards, which are the `groups`, and starts those that are missing. The
    /// thread at `from` gets none: its shard does not have them any more.
    fn distribute(
        self: &Arc<Self>,
        seats: Vec<Seat<H>>,
        groups: Vec<Vec<PartitionId>>,
        from: Option<usize>,
    ) -> std::io::Result<()> {
        let mut seats: BTreeMap<PartitionId, Seat<H>> =
            seats.into_iter().map(|seat| (seat.member.replica.partition().id(), seat)).collect();
        let mut all = self.all.lock();
        let shards = u32::try_from(groups.len()).unwrap_or(u32::MAX).max(1);
        for (shard, group) in (0..).zip(groups) {
            let own: Vec<Seat<H>> = group.iter().filter_map(|partition| seats.remove(partition)).collect();
            if own.is_empty() {
                continue;
            }
            let moved: Vec<PartitionId> = own.iter().map(|seat| seat.member.replica.partition().id()).collect();
            all.iter_mut().for_each(|thread| thread.partitions.retain(|partition| !moved.contains(partition)));
            let serves = |thread: &Thread<H>| thread.partitions.iter().any(|partition| group.contains(partition));
            let others = || all.iter().enumerate().filter(|&(at, _)| Some(at) != from);
            let serving = others().find(|(_, thread)| serves(thread));
            let at = match serving.or_else(|| others().find(|(_, thread)| thread.partitions.is_empty())) {
                Some((at, _)) => at,
                None => {
                    let at = all.len();
                    let (waker, phase) = (Arc::default(), Duration::ZERO);
                    all.push(Thread { waker, phase, partitions: Vec::new(), inbox: Vec::new() });
                    self.spawn(at, Arc::clone(&all[at].waker))?;
                    at
                }
            };
            let thread = &mut all[at];
            thread.phase = self.shared.options.settings.pace.write * shard / shards;
            for partition in moved {
                thread.partitions.push(partition);
                if let Some(slot) = self.shared.slots.get(&partition) {
                    *slot.waker.write() = Arc::clone(&thread.waker);
                }
            }
            thread.inbox.extend(own);
            thread.waker.wake();
        }
        Ok(())
    }

    fn spawn(self: &Arc<Self>, at: usize, waker: Arc<Waker>) -> std::io::Result<()> {
        let (threads, of) = (Arc::clone(self), Arc::clone(&self.fatal));
        let thread = std::thread::Builder::new().name(format!("shard-{at}")).spawn(move || {
            guarded("the thread of a shard", &|reason| of(reason), move || shard_thread::run(&threads, at, waker));
        })?;
        self.handles.lock().push(thread);
        Ok(())
    }

    /// Whether a thread runs partitions of a shard of which another thread runs some.
    fn share(&self, at: usize, groups: &[Vec<PartitionId>]) -> bool {
        let all = self.all.lock();
        let runs = |thread: &Thread<H>, group: &[PartitionId]| {
            thread.partitions.iter().any(|partition| group.contains(partition))
        };
        let others = |group: &[PartitionId]| all.iter().enumerate().any(|(of, thread)| of != at && runs(thread, group));
        groups.iter().any(|group| all.get(at).is_some_and(|thread| runs(thread, group)) && others(group))
    }

    /// The partitions that were handed to a thread since it last asked, and by how much later its turns begin.
    fn accept(&self, at: usize) -> (Vec<Seat<H>>, Duration) {
        let mut all = self.all.lock();
        let accepted = all.get_mut(at).map(|thread| (std::mem::take(&mut thread.inbox), thread.phase));
        accepted.unwrap_or_default()
    }

    fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.all.lock().iter().for_each(|thread| thread.waker.wake());
        let handles = std::mem::take(&mut *self.handles.lock());
        for thread in handles {
            let _ = thread.join();
        }
    }
}
