//! When a snapshot is taken, and what of the log may be trimmed after it: decided from sequence numbers alone, without
//! a thread or a clock, so that the simulator runs the same decisions as a venue.
//!
//! - A snapshot is due once so many commands have been published since the last one ([`Schedule`]).
//! - The log is trimmed up to the oldest snapshot that is kept, and only where at least two are kept and the oldest can
//!   be loaded: should the newest be damaged later, the oldest still leads on to the log ([`trimmable`]).
//! - The history in SQL reads behind the venue. The snapshot that it would start again from is kept
//!   ([`Snapshots::keep_for`]), and nothing that it has not read is trimmed.

use crossbook_log::Reader;
use crossbook_types::Sequence;

use crate::follower::Follower;
use crate::follower_copy::FollowerCopy;
use crate::recovery::{Error, Which};
use crate::snapshot::{self, Saved, Snapshots};

/// When the next snapshot is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    every_commands: u64,
    last: Sequence,
}

impl Schedule {
    /// Every so many commands from `last` on, the last snapshot there is; with 0 none is ever due.
    #[must_use]
    pub fn new(every_commands: u64, last: Sequence) -> Self {
        Self { every_commands, last }
    }

    /// Whether a snapshot of `published`, the last command whose events were published, is due.
    #[must_use]
    pub fn is_due(&self, published: Sequence) -> bool {
        self.every_commands > 0 && published.0 >= self.last.0.saturating_add(self.every_commands)
    }

    /// Counts from `at` on, where a snapshot was taken, or could not be: the next attempt is as far away as any.
    pub fn count_from(&mut self, at: Sequence) {
        self.last = at;
    }
}

/// What may be trimmed after a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trimmable {
    /// Nothing yet: fewer than two snapshots are stored.
    Nothing,
    /// Nothing: the history has not read everything before the oldest snapshot.
    HistoryBehind,
    /// Nothing: the oldest snapshot, this one, is damaged, cannot be read or is of another version, and leads nowhere.
    OldestDamaged(Sequence),
    /// All commands up to and including this one, of which the oldest snapshot is.
    UpTo(Sequence),
}

/// What of a log may be trimmed, given its stored snapshots. `history` is the last command that another reader of that
/// log has read, if there is one.
///
/// # Errors
/// When the snapshots cannot be listed.
pub fn trimmable(snapshots: &impl Saved, history: Option<Sequence>) -> Result<Trimmable, snapshot::Error> {
    let kept = snapshots.list()?;
    if let (Some(history), Some(&oldest)) = (history, kept.last())
        && history < oldest
    {
        return Ok(Trimmable::HistoryBehind);
    }
    let [_, .., oldest] = kept[..] else { return Ok(Trimmable::Nothing) };
    // A damaged one would be trusted only when it is too late.
    Ok(match snapshots.load(oldest) {
        Ok(Some(_)) => Trimmable::UpTo(oldest),
        Ok(None) => Trimmable::OldestDamaged(oldest),
        Err(error) => {
            tracing::warn!(%oldest, %error, "the oldest snapshot cannot be read, so nothing is trimmed");
            Trimmable::OldestDamaged(oldest)
        }
    })
}

/// Takes the snapshots of a venue in one process: of a second copy of it that follows the log, so that trading never
/// waits. The copy is created with the first snapshot or audit and reused from then on.
#[derive(Debug)]
pub struct Snapshotter<F, S> {
    which: Which,
    snapshots: S,
    schedule: Schedule,
    /// Whether the log is trimmed.
    trims: bool,
    copy: Option<FollowerCopy<F>>,
}

impl<F: Follower, S: Snapshots> Snapshotter<F, S> {
    /// Takes snapshots of that partition by that schedule, into `snapshots`; `trims` is whether the log is trimmed
    /// after them.
    #[must_use]
    pub fn new(which: Which, snapshots: S, schedule: Schedule, trims: bool) -> Self {
        Self { which, snapshots, schedule, trims, copy: None }
    }

    /// Whether a snapshot of `published`, the last command whose events were published, is due.
    #[must_use]
    pub fn is_due(&self, published: Sequence) -> bool {
        self.schedule.is_due(published)
    }

    /// Whether there is a copy already.
    #[must_use]
    pub fn has_copy(&self) -> bool {
        self.copy.is_some()
    }

    /// If a log is trimmed, its history can only start again from a snapshot at or before its position, which is
    /// retained from now on. `None`: its position is unknown, and all snapshots are retained.
    pub fn keep_for_history(&mut self, history: Option<Sequence>) {
        if self.trims {
            self.snapshots.keep_for(history);
        }
    }

    /// Takes a snapshot of `published`, which is durable, and returns its position. `reader` opens the log from a
    /// position, `empty` is a follower of an empty log, `rest` is called whenever this has worked for a while.
    ///
    /// # Errors
    /// When the log cannot be read or the snapshot cannot be written. Earlier ones are untouched; the next is due as if
    /// this one had been taken.
    pub fn take<R: Reader>(
        &mut self,
        reader: impl FnOnce(Sequence) -> R,
        published: Sequence,
        empty: F,
        mut rest: impl FnMut(),
    ) -> Result<Sequence, Error> {
        self.schedule.count_from(published);
        let mut copy = self.advanced(reader, published, empty, &mut rest)?;
        let saved = copy.save(&mut self.snapshots, rest);
        let at = copy.sequence();
        self.copy = Some(copy);
        saved?;
        self.schedule.count_from(at);
        Ok(at)
    }

    /// The copy at `durable`, for an audit.
    ///
    /// # Errors
    /// When the log cannot be read. Then there is no copy any more.
    pub fn follow<R: Reader>(
        &mut self,
        reader: impl FnOnce(Sequence) -> R,
        durable: Sequence,
        empty: F,
        rest: impl FnMut(),
    ) -> Result<&FollowerCopy<F>, Error> {
        let copy = self.advanced(reader, durable, empty, rest)?;
        Ok(self.copy.insert(copy))
    }

    /// Gives the copy up, and its memory.
    pub fn drop_copy(&mut self) {
        self.copy = None;
    }

    fn advanced<R: Reader>(
        &mut self,
        reader: impl FnOnce(Sequence) -> R,
        durable: Sequence,
        empty: F,
        rest: impl FnMut(),
    ) -> Result<FollowerCopy<F>, Error> {
        match self.copy.take() {
            Some(copy) => copy.advance(reader, durable, rest),
            None => FollowerCopy::begin(&self.which, &self.snapshots, reader, durable, empty, rest),
        }
    }

    /// What of the log may be trimmed now; see [`trimmable`]. `None` if the log is never trimmed.
    ///
    /// # Errors
    /// When the snapshots cannot be listed.
    pub fn trimmable(&self, history: Option<Sequence>) -> Result<Option<Trimmable>, snapshot::Error> {
        self.trims.then(|| trimmable(&self.snapshots, history)).transpose()
    }

    /// The snapshots, for further use.
    #[must_use]
    pub fn into_snapshots(self) -> S {
        self.snapshots
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::snapshot::{Retention, Verified};

    /// Snapshots in memory. One without bytes is damaged.
    struct Memory(BTreeMap<Sequence, Option<Vec<u8>>>);

    impl Saved for Memory {
        fn list(&self) -> Result<Vec<Sequence>, snapshot::Error> {
            Ok(self.0.keys().rev().copied().collect())
        }

        fn load(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, snapshot::Error> {
            Ok(self.0.get(&sequence).cloned().flatten())
        }
    }

    fn kept(at: &[u64]) -> Memory {
        Memory(at.iter().map(|&at| (Sequence(at), Some(vec![1]))).collect())
    }

    #[test]
    fn a_snapshot_is_due_after_so_many_commands_and_never_where_none_are_wanted() {
        let mut schedule = Schedule::new(100, Sequence(50));
        assert!(!schedule.is_due(Sequence(149)) && schedule.is_due(Sequence(150)));
        schedule.count_from(Sequence(150));
        assert!(!schedule.is_due(Sequence(249)) && schedule.is_due(Sequence(250)));
        assert!(!Schedule::new(0, Sequence(0)).is_due(Sequence(u64::MAX)));
        assert!(!Schedule::new(u64::MAX, Sequence(1)).is_due(Sequence(5)));
    }

    #[test]
    fn only_what_two_snapshots_stand_for_is_trimmed() {
        assert_eq!(trimmable(&kept(&[]), None).unwrap(), Trimmable::Nothing);
        assert_eq!(trimmable(&kept(&[7]), None).unwrap(), Trimmable::Nothing);
        assert_eq!(trimmable(&kept(&[7, 9]), None).unwrap(), Trimmable::UpTo(Sequence(7)));
        assert_eq!(trimmable(&kept(&[3, 7, 9]), None).unwrap(), Trimmable::UpTo(Sequence(3)));
    }

    #[test]
    fn nothing_is_trimmed_that_the_history_has_not_read_or_that_a_damaged_snapshot_stands_for() {
        let mut snapshots = kept(&[7, 9]);
        assert_eq!(trimmable(&snapshots, Some(Sequence(6))).unwrap(), Trimmable::HistoryBehind);
        assert_eq!(trimmable(&snapshots, Some(Sequence(7))).unwrap(), Trimmable::UpTo(Sequence(7)));
        snapshots.0.insert(Sequence(7), None);
        assert_eq!(trimmable(&snapshots, None).unwrap(), Trimmable::OldestDamaged(Sequence(7)));
    }

    /// Two snapshots, of which none can be read.
    struct Unreadable;

    impl Saved for Unreadable {
        fn list(&self) -> Result<Vec<Sequence>, snapshot::Error> {
            Ok(vec![Sequence(20), Sequence(10)])
        }

        fn load(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, snapshot::Error> {
            let denied = std::io::ErrorKind::PermissionDenied.into();
            Err(snapshot::Error::of_file("read", snapshot::name(sequence), denied))
        }
    }

    #[test]
    fn nothing_is_trimmed_while_the_oldest_snapshot_cannot_be_read() {
        assert_eq!(trimmable(&Unreadable, None).unwrap(), Trimmable::OldestDamaged(Sequence(10)));
    }

    #[test]
    fn the_snapshot_that_the_history_would_start_from_is_kept() {
        let kept = kept(&[9, 7, 5, 3]);
        let removed = |retention: Retention| retention.removable(&kept, Sequence(9), &mut Verified::default()).unwrap();
        assert_eq!(removed(Retention::Nothing), [Sequence(5), Sequence(3)]);
        assert_eq!(removed(Retention::by(Some(Sequence(4)))), [Sequence(5)]);
        assert_eq!(removed(Retention::by(None)), []);
    }
}
