//! Recovery of a partition from disk: the newest valid snapshot, then the log.
//!
//! A replay produces again the messages that the partition sent to others. The [`Follower`] gets these messages, with
//! their original numbers, for callers that cannot know that all of them arrived. Messages of commands before the
//! snapshot are not produced again, so a partition with peers must take a snapshot only of commands whose messages the
//! peers have received.
//!
//! In a long replay the follower has a thread of its own: the partition runs a few batches ahead, and both take about
//! as long. A caller that must not use two CPUs uses a [`FollowerCopy`](crate::follower_copy::FollowerCopy).

use std::collections::VecDeque;
use std::thread;

use crossbeam_channel::bounded;
use crossbook_engine::{Partition, State, WorkBudget};
use crossbook_log::{Reader, Until};
use crossbook_protocol::peer::Outgoing;
use crossbook_protocol::wire::codec::Wire;
use crossbook_protocol::{Cause, Events, Routing};
use crossbook_types::{PartitionId, Sequence};

use crate::follower::Follower;
use crate::panic::naming;
use crate::snapshot::{self, Image, Saved, Snapshots};

/// How many commands are applied between two reports of progress.
const PROGRESS_EVERY: u64 = 8_192;
/// How many commands the follower is shown at once.
const BATCH_COMMANDS: usize = 256;
/// By how many of these batches the partition may be ahead of the follower.
const BATCHES_MAX: usize = 4;
/// How many events the follower is shown before it takes them: what they touch fits the nearest caches.
const EVENTS_AHEAD: usize = 192;

/// Which partition of which venue is restored, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Which {
    /// Id of the partition.
    pub partition: PartitionId,
    /// Which partition owns what, as configured.
    pub routing: Routing,
    /// See [`Partition::new`].
    pub hash_seed: u64,
    /// [`WorkBudget::RULES`], or in a simulated world other bounds of what one command does; see
    /// [`Partition::with_work`].
    pub work: WorkBudget,
}

impl Which {
    /// The only partition of a venue that has one.
    #[must_use]
    pub fn single(hash_seed: u64) -> Self {
        Self { partition: Routing::REGISTRY, routing: Routing::single(), hash_seed, work: WorkBudget::RULES }
    }

    /// Whether that is a state of this partition, under this routing.
    #[must_use]
    pub fn is_of(&self, state: &State) -> bool {
        state.id() == self.partition && state.is_routed_by(&self.routing)
    }
}

/// Why a venue cannot be recovered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] crossbook_log::Error),
    /// Snapshots cannot be read or written.
    #[error(transparent)]
    Snapshot(#[from] snapshot::Error),
    /// The system gives no thread.
    #[error("the system cannot start a thread for the replay: {0}")]
    Thread(#[from] std::io::Error),
    /// A record of the log is not a command.
    #[error("record {sequence} of the log cannot be decoded: {source}")]
    Command {
        /// The command's place in the log.
        sequence: Sequence,
        /// The underlying error.
        source: crossbook_protocol::wire::Error,
    },
    /// A snapshot is complete, but its content is invalid.
    #[error("snapshot {sequence} contradicts itself: {reason}; remove it and start again, the log has everything")]
    Inconsistent {
        /// The command's place in the log.
        sequence: Sequence,
        /// A description of the error.
        reason: String,
    },
    /// A snapshot is another partition's, or of a venue that spreads its accounts and markets in another way.
    #[error(
        "snapshot {sequence} is of partition {found} of {partitions}, under another routing than is configured for \
         partition {expected} of {expected_partitions}: correct the configuration, which must say the same for the \
         whole life of a venue, or the place of the snapshots"
    )]
    Foreign {
        /// The command's place in the log.
        sequence: Sequence,
        /// Of which partition it is.
        found: PartitionId,
        /// How many there are by it.
        partitions: u16,
        /// Of which partition it should be.
        expected: PartitionId,
        /// How many there should be.
        expected_partitions: u16,
    },
    /// The log ends before the snapshot that was made from it.
    #[error(
        "the log ends at {end}, before the snapshot at {snapshot}: records are missing; restore the log from a backup"
    )]
    LogBehind {
        /// The end of the log.
        end: Sequence,
        /// The position of the snapshot.
        snapshot: Sequence,
    },
}

/// Where the replay is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The last command applied.
    pub at: Sequence,
    /// The last one there is, if that is known.
    pub end: Option<Sequence>,
}

/// A venue at a position.
#[derive(Debug)]
pub struct Recovered<F> {
    /// The recovered partition.
    pub partition: Partition,
    /// What followed it.
    pub follower: F,
    /// The snapshot that it was built from, if any.
    pub snapshot: Option<Sequence>,
    /// Commands replayed after it.
    pub replayed: u64,
}

/// Builds partition and follower from the last good snapshot and the log up to `until`. `reader` opens the log from a
/// position; `follower` is an empty one.
///
/// # Errors
/// When the log is damaged, or ends before the snapshot, or the snapshot is of another partition or routing.
pub fn recover<F: Follower, R: Reader>(
    which: &Which,
    snapshots: &impl Saved,
    reader: impl FnOnce(Sequence) -> R,
    until: Until,
    follower: F,
    progress: impl FnMut(Progress),
) -> Result<Recovered<F>, Error> {
    let Restored { partition, mut follower, snapshot } = restore(which, snapshots, until, follower)?;
    let reader = reader(partition.sequence().next());
    let mut replay = Replay { partition, reader, until, replayed: 0, progress };
    replay.report();
    // Most starts have little to replay, and are done before a thread were there.
    let mut batch = Batch::default();
    let mut more = replay.fill(&mut batch)?;
    batch.follow(&mut follower);
    if more {
        follower = thread::scope(|scope| {
            let (filled, batches) = bounded::<Batch>(BATCHES_MAX);
            let (spent, spares) = bounded::<Batch>(BATCHES_MAX);
            let following = thread::Builder::new().name("follower".to_owned()).spawn_scoped(scope, move || {
                for mut batch in batches {
                    batch.follow(&mut follower);
                    // Nobody waits for the last ones.
                    let _ = spent.try_send(batch);
                }
                follower
            })?;
            let mut failed = None;
            while more && failed.is_none() {
                let mut batch = spares.try_recv().unwrap_or_default();
                match replay.fill(&mut batch) {
                    Ok(further) => more = further,
                    Err(error) => failed = Some(error),
                }
                // The thread accepts all that it is given, or has panicked, and then nobody is left to receive
                // anything.
                if filled.send(batch).is_err() {
                    break;
                }
            }
            drop(filled);
            let follower = following.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            failed.map_or(Ok(follower), Err)
        })?;
    }
    replay.report();
    let Replay { partition, replayed, .. } = replay;
    Ok(Recovered { partition, follower, snapshot, replayed })
}

/// What is in a snapshot, or nothing yet.
pub(crate) struct Restored<F> {
    pub(crate) partition: Partition,
    pub(crate) follower: F,
    snapshot: Option<Sequence>,
}

/// Builds partition and follower from the last good snapshot, which must not be of later than `until`.
pub(crate) fn restore<F: Follower>(
    which: &Which,
    snapshots: &impl Saved,
    until: Until,
    mut follower: F,
) -> Result<Restored<F>, Error> {
    let &Which { partition: id, ref routing, hash_seed, work } = which;
    let mut partition = Partition::new(id, routing.clone(), hash_seed).with_work(work);
    let mut from = None;
    for sequence in snapshots.list()? {
        if let Until::Durable(end) = until
            && end < sequence
        {
            return Err(Error::LogBehind { end, snapshot: sequence });
        }
        let bytes = match snapshots.load(sequence) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                tracing::warn!(%sequence, "snapshot is damaged or of another version; falling back to the one before");
                continue;
            }
            Err(error) => {
                tracing::warn!(%sequence, %error, "snapshot cannot be read; falling back to the one before");
                continue;
            }
        };
        let inconsistent = |reason: String| Error::Inconsistent { sequence, reason };
        let image: Image<F::Saved> = snapshot::decode(&bytes).map_err(|error| inconsistent(error.to_string()))?;
        drop(bytes); // They are as large as what is made of them now.
        let state = &image.partition;
        if !which.is_of(state) {
            let (found, partitions) = (state.id(), state.routing().partitions());
            let (expected, expected_partitions) = (id, routing.partitions());
            return Err(Error::Foreign { sequence, found, partitions, expected, expected_partitions });
        }
        let restored = Partition::restore(image.partition, hash_seed);
        partition = restored.map_err(|error| inconsistent(error.to_string()))?.with_work(work);
        follower.load(image.follower).map_err(inconsistent)?;
        from = Some(sequence);
        break;
    }
    Ok(Restored { partition, follower, snapshot: from })
}

/// A partition during a replay.
pub(crate) struct Replay<R, P> {
    pub(crate) partition: Partition,
    pub(crate) reader: R,
    pub(crate) until: Until,
    pub(crate) replayed: u64,
    pub(crate) progress: P,
}

impl<R: Reader, P: FnMut(Progress)> Replay<R, P> {
    /// Applies the next commands, and puts their effects into an empty batch. `false` at the end of the log.
    pub(crate) fn fill(&mut self, batch: &mut Batch) -> Result<bool, Error> {
        for _ in 0..BATCH_COMMANDS {
            let Some(record) = self.reader.next(self.until)? else { return Ok(false) };
            let sequence = record.sequence;
            let command = crossbook_protocol::wire::decode_command(sequence, record.time, record.payload)
                .map_err(|source| Error::Command { sequence, source })?;
            naming(&mut self.partition, |partition| partition.apply(&command, &mut batch.events));
            let cause = Cause { sequence, time: command.time };
            batch.sent.extend(self.partition.drain_outgoing().map(|message| (cause, message)));
            self.replayed += 1;
            if self.replayed.is_multiple_of(PROGRESS_EVERY) {
                self.report();
            }
        }
        Ok(true)
    }

    fn report(&mut self) {
        let end = match self.until {
            Until::Durable(end) => Some(end),
            Until::End => None,
        };
        (self.progress)(Progress { at: self.partition.sequence(), end });
    }
}

/// The effects of some commands, for the follower.
#[derive(Default)]
pub(crate) struct Batch {
    events: Events,
    sent: VecDeque<(Cause, Outgoing)>,
}

impl Batch {
    /// Shows all of it to the follower, and is empty then.
    pub(crate) fn follow(&mut self, follower: &mut impl Follower) {
        let (mut shown, mut taken) = (0, 0);
        for (cause, events) in self.events.iter() {
            if taken >= shown {
                shown = self.events.all().len().min(taken + EVENTS_AHEAD);
                follower.ahead(&self.events.all()[taken..shown]);
            }
            taken += events.len();
            while let Some((_, message)) = self.sent.pop_front_if(|(of, _)| of.sequence == cause.sequence) {
                follower.sent(cause, message);
            }
            follower.follow(cause, events);
        }
        assert!(self.sent.is_empty(), "messages belong to commands");
        self.events.clear();
    }
}

/// Writes a snapshot, unless there is a good one at that position.
///
/// # Errors
/// When it cannot be written.
pub fn save<S: Wire>(snapshots: &mut impl Snapshots, partition: State, follower: S) -> Result<(), Error> {
    let sequence = partition.sequence();
    if is_due(snapshots, sequence)? {
        snapshots.save(sequence, &snapshot::encode(&Image { partition, follower }))?;
    }
    Ok(())
}

/// Whether a snapshot is required at that position, and there is no valid one yet.
pub(crate) fn is_due(snapshots: &impl Snapshots, sequence: Sequence) -> Result<bool, Error> {
    if sequence == Sequence(0) {
        return Ok(false);
    }
    if snapshots.list()?.first() != Some(&sequence) {
        return Ok(true);
    }
    match snapshots.load(sequence) {
        Ok(loaded) => Ok(loaded.is_none()),
        Err(error) => {
            // What cannot be read may not be replaceable, either; the next one has another name.
            tracing::warn!(%sequence, %error, "snapshot cannot be read; it is left as it is");
            Ok(false)
        }
    }
}
