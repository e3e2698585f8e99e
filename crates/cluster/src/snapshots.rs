//! Snapshots of a partition, taken beside trading: when one may be stored, and what of the partition's log may be
//! trimmed after it. Without a thread or a clock, so that the simulator runs the same decisions as a worker.
//!
//! A process that starts from a snapshot does not send again what the partition had sent by then. So a snapshot is
//! stored only once every other partition has durably received these messages ([`Candidate::is_received`]).
//! [`crossbook_node::snapshotter`] decides which commands are trimmed after it; none that the history has not written.

use crossbook_engine::Partition;
use crossbook_log::Until;
use crossbook_node::follower::Follower;
use crossbook_node::recovery::{self, Recovered};
use crossbook_node::snapshot::{Saved as _, Snapshots, UpTo};
use crossbook_node::snapshotter::{Schedule, Trimmable, trimmable};
use crossbook_protocol::Routing;
use crossbook_types::{PartitionId, RequestNumber, Sequence};

use crate::cut::{CutSource, Error};

/// A partition restored to the confirmed end of its log, which may become its next snapshot.
#[derive(Debug)]
pub struct Candidate<F, S> {
    partition: PartitionId,
    snapshots: S,
    state: Partition,
    follower: F,
    last: Sequence,
    /// The position of the partition's history; `None` if there is none.
    recorded: Option<Sequence>,
}

/// Whether it is time for a snapshot.
#[derive(Debug)]
pub enum Due<F, S> {
    /// Not due yet; this is the position of the last snapshot.
    NotYet(Sequence),
    /// It is, and this is what it would be of.
    Now(Box<Candidate<F, S>>),
}

/// A stored snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Its command.
    pub at: Sequence,
    /// What of the partition's log may be trimmed now.
    pub trim: Trim,
}

/// What of a partition's log may be trimmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trim {
    /// Nothing yet: fewer than two snapshots are stored, or the history needs all of it.
    Nothing,
    /// Nothing: the oldest snapshot, this one, is damaged.
    OldestDamaged(Sequence),
    /// All commands up to and including this one.
    UpTo(Sequence),
}

/// Restores a partition to the confirmed end of its log, if its next snapshot is due: one every `every_commands`.
/// `recorded` is the position of the history, if there is one; the snapshot from which the history would start again is
/// retained, too.
///
/// # Errors
/// When the store does not answer, or neither snapshots nor the log reach that position.
pub fn begin<K, F>(
    kept: &K,
    partition: PartitionId,
    every_commands: u64,
    recorded: impl FnOnce() -> Result<Option<Sequence>, Error>,
    empty: F,
) -> Result<Due<F, K::Snapshots>, Error>
where
    K: CutSource<Snapshots: Snapshots>,
    F: Follower,
{
    let mut snapshots = kept.snapshots(partition)?;
    let last = snapshots.list()?.first().copied().unwrap_or_default();
    let end = kept.confirmed_end(partition)?;
    if !Schedule::new(every_commands, last).is_due(end) {
        return Ok(Due::NotYet(last));
    }
    let recorded = recorded()?;
    if recorded.is_some() {
        snapshots.keep_for(recorded);
    }
    let recovered = recovery::recover(
        &kept.which(partition),
        &UpTo(&snapshots, end),
        |from| kept.log(partition, from),
        Until::Durable(end),
        empty,
        |_| (),
    );
    let Recovered { partition: state, follower, .. } =
        recovered.map_err(|source| Error::Recovery { partition, source })?;
    Ok(Due::Now(Box::new(Candidate { partition, snapshots, state, follower, last, recorded })))
}

impl<F: Follower, S: Snapshots> Candidate<F, S> {
    /// The position of the last snapshot before it.
    #[must_use]
    pub fn last(&self) -> Sequence {
        self.last
    }

    /// The last command that it includes.
    #[must_use]
    pub fn position(&self) -> Sequence {
        self.state.sequence()
    }

    /// Whether every other partition has durably received all that this one had sent. `received` returns the last
    /// message that a partition has.
    ///
    /// # Errors
    /// As `received`.
    pub fn is_received<E>(&self, received: impl FnMut(PartitionId) -> Result<RequestNumber, E>) -> Result<bool, E> {
        is_received(&self.state, self.state.routing(), received)
    }

    /// Stores the snapshot; call it only once [`is_received`](Self::is_received). Returns the snapshots, too, for the
    /// next one.
    ///
    /// # Errors
    /// When it cannot be written, or earlier ones cannot be read.
    pub fn keep(self) -> Result<(Taken, S), Error> {
        let Self { partition, mut snapshots, state, follower, recorded, .. } = self;
        let at = state.sequence();
        recovery::save(&mut snapshots, state.state(), follower.save())
            .map_err(|source| Error::Recovery { partition, source })?;
        let trim = match trimmable(&snapshots, recorded)? {
            Trimmable::Nothing | Trimmable::HistoryBehind => Trim::Nothing,
            Trimmable::OldestDamaged(oldest) => Trim::OldestDamaged(oldest),
            Trimmable::UpTo(oldest) => Trim::UpTo(oldest),
        };
        Ok((Taken { at, trim }, snapshots))
    }
}

/// Whether every other partition has received all that this one has sent. `received` returns the last message that a
/// partition has.
///
/// # Errors
/// As `received`.
pub fn is_received<E>(
    state: &Partition,
    routing: &Routing,
    mut received: impl FnMut(PartitionId) -> Result<RequestNumber, E>,
) -> Result<bool, E> {
    for to in routing.all().filter(|&to| to != state.id()) {
        let sent = state.sent(to);
        if sent > RequestNumber(0) && received(to)? < sent {
            return Ok(false);
        }
    }
    Ok(true)
}
