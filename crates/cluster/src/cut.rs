//! A consistent cut: restores the whole venue from snapshots and logs, while it trades.
//!
//! Each partition is restored to a position of its log that is confirmed. The positions need
//! not be of the same instant, but they must be consistent: no partition may have received a message that its sender
//! has not sent by its own position. If one has, the sender is replayed a little further.
//!
//! The messages that were sent and not yet received are then known one by one. A partition's replay begins at a
//! snapshot and produces only later messages; earlier ones are in the log of their receiver, which is replayed until it
//! has received them.
//!
//! Workers take snapshots meanwhile, remove older ones and trim the logs. A slow reader may find that what it was about
//! to read is gone ([`Error::is_overtaken`]), and reads again from the newest snapshot; see [`beside_trimming`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crossbook_engine::Partition;
use crossbook_log::{Reader, Until};
use crossbook_protocol::peer::{Outgoing, PeerMessage, Settlement};
use crossbook_protocol::{Cause, Event, Events, Routing};
use crossbook_types::{Amount, AssetId, PartitionId, RequestNumber, Sequence};

use crossbook_node::follower::Follower;
use crossbook_node::panic::naming;
use crossbook_node::recovery::{self, Recovered, Which};
use crossbook_node::snapshot::{self, Saved, UpTo};

use crate::store::{Failure, StoreError};

/// How many of the last messages to one partition are retained; earlier ones must be received before the cut.
const MESSAGES_MAX: usize = 65_536;
/// How often, and how many times, it checks whether a partition has progressed.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: u32 = 100;
/// How many times snapshots and logs are read, each time from the newest snapshot, when they are trimmed meanwhile.
pub const READS_MAX: u32 = 5;

/// Why there is no consistent cut.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store does not say how far a partition is.
    #[error("the store of the logs: {0}")]
    Store(Failure),
    /// Snapshots cannot be had.
    #[error(transparent)]
    Snapshots(#[from] snapshot::Error),
    /// A partition cannot be restored to its position.
    #[error("partition {partition} cannot be restored: {source}")]
    Recovery {
        /// The partition that it happened in.
        partition: PartitionId,
        /// The underlying error.
        source: recovery::Error,
    },
    /// A partition does not progress.
    #[error(
        "partition {0} does not progress though it has messages to receive or to send; check that a worker runs it, and try again"
    )]
    StandsStill(PartitionId),
    /// What was about to be read was gone each time.
    #[error(
        "{last}; it was read {reads} times, each time from the newest snapshot, and trimmed meanwhile: try again when less is traded, or \
         raise cluster.snapshot_interval_commands"
    )]
    Overtaken {
        /// How many times it was tried.
        reads: u32,
        /// What was found the last time.
        last: Box<Error>,
    },
}

impl<E: StoreError> From<E> for Error {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

impl Error {
    /// Whether what was about to be read has been removed or trimmed meanwhile, so that reading again from the newest
    /// snapshot may succeed.
    #[must_use]
    pub fn is_overtaken(&self) -> bool {
        match self {
            Self::Recovery { source: recovery::Error::Log(crossbook_log::Error::Trimmed { .. }), .. } => true,
            Self::Recovery { source: recovery::Error::Snapshot(error), .. } | Self::Snapshots(error) => error.is_gone(),
            _ => false,
        }
    }
}

/// Reads snapshots and logs beside workers that trim them: again, from the beginning, when it was overtaken.
///
/// # Errors
/// As `read`; [`Error::Overtaken`] when it was overtaken [`READS_MAX`] times.
pub fn beside_trimming<T>(mut read: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut reads = 0;
    loop {
        reads += 1;
        match read() {
            Err(last) if last.is_overtaken() => {
                if reads == READS_MAX {
                    return Err(Error::Overtaken { reads, last: Box::new(last) });
                }
                tracing::info!(%last, "trimmed meanwhile; reading again from the newest snapshot");
            }
            done => return done,
        }
    }
}

/// The logs and snapshots of a venue, from which a cut is read.
pub trait CutSource {
    /// Reads a log.
    type Reader: Reader;
    /// Has a partition's snapshots.
    type Snapshots: Saved;

    /// Which partition that is, and how it is restored.
    fn which(&self, partition: PartitionId) -> Which;

    /// The last command of a partition that is confirmed, so that no failure takes it back.
    ///
    /// # Errors
    /// When the store does not say.
    fn confirmed_end(&self, partition: PartitionId) -> Result<Sequence, Error>;

    /// The snapshots of a partition.
    ///
    /// # Errors
    /// When their place is none.
    fn snapshots(&self, partition: PartitionId) -> Result<Self::Snapshots, Error>;

    /// The log of a partition from a place on.
    fn log(&self, partition: PartitionId, from: Sequence) -> Self::Reader;
}

/// A follower, and the messages that the partition made meanwhile.
#[derive(Debug)]
struct Beside<F> {
    follower: F,
    /// By partition, the last messages to it: their numbers, and what they settle.
    made: BTreeMap<PartitionId, VecDeque<(RequestNumber, Option<Settlement>)>>,
}

impl<F: Follower> Follower for Beside<F> {
    type Saved = F::Saved;

    fn sent(&mut self, cause: Cause, outgoing: Outgoing) {
        let made = self.made.entry(outgoing.to).or_default();
        if made.len() == MESSAGES_MAX {
            made.pop_front();
        }
        made.push_back(match outgoing.message {
            PeerMessage::Settle(settlement) => (outgoing.number, Some(settlement)),
            _ => (outgoing.number, None),
        });
        self.follower.sent(cause, outgoing);
    }

    fn follow(&mut self, cause: Cause, events: &[Event]) {
        self.follower.follow(cause, events);
    }

    fn save(&self) -> F::Saved {
        self.follower.save()
    }

    fn load(&mut self, saved: F::Saved) -> Result<(), String> {
        self.follower.load(saved)
    }
}

/// A partition at a place of its log.
#[derive(Debug)]
pub struct Part<F> {
    /// The partition.
    pub state: Partition,
    /// The snapshot that it was restored from; 0 if none was.
    pub snapshot: Sequence,
    beside: Beside<F>,
}

impl<F: Follower> Part<F> {
    /// Restores a partition to a place, which must be durable, from the last snapshot up to `snapshots_up_to`.
    ///
    /// # Errors
    /// When neither snapshots nor the log lead there.
    pub fn restore(
        kept: &impl CutSource,
        partition: PartitionId,
        place: Sequence,
        snapshots_up_to: Sequence,
        follower: F,
    ) -> Result<Self, Error> {
        let recovered = recovery::recover(
            &kept.which(partition),
            &UpTo(&kept.snapshots(partition)?, snapshots_up_to),
            |from| kept.log(partition, from),
            Until::Durable(place),
            Beside { follower, made: BTreeMap::new() },
            |_| (),
        );
        let Recovered { partition: state, follower: beside, snapshot, .. } =
            recovered.map_err(|source| Error::Recovery { partition, source })?;
        Ok(Self { state, beside, snapshot: snapshot.unwrap_or_default() })
    }

    /// What followed it.
    #[must_use]
    pub fn follower(&self) -> &F {
        &self.beside.follower
    }

    /// The same, to be changed.
    pub fn follower_mut(&mut self) -> &mut F {
        &mut self.beside.follower
    }

    /// The last message to a partition that is not known any more.
    fn forgotten(&self, to: PartitionId) -> RequestNumber {
        let first = self.beside.made.get(&to).and_then(|made| made.front());
        first.map_or_else(|| self.state.sent(to), |&(number, _)| RequestNumber(number.0.saturating_sub(1)))
    }

    /// Advances the partition until a condition holds. Returns whether it held before the end of the log.
    fn advance_until(&mut self, kept: &impl CutSource, holds: impl Fn(&Partition) -> bool) -> Result<bool, Error> {
        let partition = self.state.id();
        let failed = |source: recovery::Error| Error::Recovery { partition, source };
        let mut reader = kept.log(partition, self.state.sequence().next());
        let mut events = Events::new();
        for _ in 0..LOOKS {
            let end = kept.confirmed_end(partition)?;
            while !holds(&self.state) {
                let record = reader.next(Until::Durable(end)).map_err(|error| failed(error.into()))?;
                let Some(record) = record else { break };
                let (sequence, time) = (record.sequence, record.time);
                let command = crossbook_protocol::wire::decode_command(sequence, time, record.payload)
                    .map_err(|source| failed(recovery::Error::Command { sequence, source }))?;
                naming(&mut self.state, |state| state.apply(&command, &mut events));
                let cause = Cause { sequence, time };
                for message in self.state.drain_outgoing() {
                    self.beside.sent(cause, message);
                }
                for (cause, events) in events.iter() {
                    self.beside.follow(cause, events);
                }
                events.clear();
            }
            if holds(&self.state) {
                return Ok(true);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(false)
    }
}

/// All partitions, by number, at places that go together.
#[derive(Debug)]
pub struct ConsistentCut<F>(pub Vec<Part<F>>);

impl<F: Follower> ConsistentCut<F> {
    /// The venue as of now, with the follower of each partition; `follower` returns an empty one. What is trimmed
    /// meanwhile is read again from the newest snapshot.
    ///
    /// # Errors
    /// When a partition cannot be restored, or does not progress though it should.
    pub fn now(kept: &impl CutSource, routing: &Routing, follower: impl Fn() -> F) -> Result<Self, Error> {
        beside_trimming(|| {
            let one = |partition| {
                let end = kept.confirmed_end(partition)?;
                Part::restore(kept, partition, end, end, follower())
            };
            let mut cut = Self(routing.all().map(one).collect::<Result<_, Error>>()?);
            while cut.bring_together(kept)? {}
            Ok(cut)
        })
    }

    /// Advances partitions that are behind what others know of them, or have not received messages that are no longer
    /// known otherwise. Returns whether there was one. Each advances no further than it must, so this ends however fast
    /// the venue trades.
    fn bring_together(&mut self, kept: &impl CutSource) -> Result<bool, Error> {
        let mut moved = false;
        let pairs = 0..self.0.len();
        for (sender, receiver) in pairs.clone().flat_map(|from| pairs.clone().map(move |to| (from, to))) {
            if sender == receiver {
                continue;
            }
            let (from, to) = (self.0[sender].state.id(), self.0[receiver].state.id());
            let received = self.0[receiver].state.received(from);
            if self.0[sender].state.sent(to) < received {
                moved = true;
                if !self.0[sender].advance_until(kept, |state| state.sent(to) >= received)? {
                    return Err(Error::StandsStill(from));
                }
            }
            let forgotten = self.0[sender].forgotten(to);
            if received < forgotten {
                moved = true;
                if !self.0[receiver].advance_until(kept, |state| state.received(from) >= forgotten)? {
                    return Err(Error::StandsStill(to));
                }
            }
        }
        Ok(moved)
    }

    /// How many messages were sent and not received.
    #[must_use]
    pub fn messages(&self) -> u64 {
        let pairs = self.0.iter().flat_map(|from| self.0.iter().map(move |to| (from, to)));
        pairs
            .map(|(from, to)| from.state.sent(to.state.id()).0.saturating_sub(to.state.received(from.state.id()).0))
            .sum()
    }

    /// What the messages that were sent and not received will move through the clearing accounts.
    #[must_use]
    pub fn to_settle(&self) -> BTreeMap<AssetId, Amount> {
        let mut sums = BTreeMap::<AssetId, Amount>::new();
        for to in &self.0 {
            for from in &self.0 {
                let received = to.state.received(from.state.id());
                let made = from.beside.made.get(&to.state.id()).into_iter().flatten();
                let waiting = made.filter(|(number, _)| *number > received).filter_map(|(_, settles)| *settles);
                for Settlement { pay_asset, pay, receive_asset, receive, .. } in waiting {
                    let paid = sums.entry(pay_asset).or_default();
                    *paid = paid.plus(pay);
                    let received = sums.entry(receive_asset).or_default();
                    *received = received.minus(receive);
                }
            }
        }
        sums
    }
}
