//! A second copy of a venue, of which snapshots are taken and which is audited while the venue trades.
//!
//! A snapshot is not taken of the partition that trades: serialising a million orders takes seconds, during which
//! nobody could trade. A follower copy starts as a venue does, from the last snapshot and the log, and then follows the
//! log. It shares with trading only the CPUs, of which it uses at most one and rests as its owner says; the disk; and
//! memory, of which there must be enough for two copies. It stays from one snapshot to the next, because creating it
//! each time costs far more than following the log, and allocating that much memory for a short time disturbs trading
//! on the same machine.

use crossbook_engine::Partition;
use crossbook_log::{Reader, Until};
use crossbook_types::Sequence;

use crate::embedded::{self, AuditReport};
use crate::follower::Follower;
use crate::recovery::{self, Batch, Error, Replay, Restored, Which};
use crate::snapshot::{self, Saved, Snapshots};

/// See the module.
#[derive(Debug)]
pub struct FollowerCopy<F> {
    partition: Partition,
    follower: F,
    /// The bytes of the last snapshot, whose room the next one's need.
    image: Vec<u8>,
}

impl<F: Follower> FollowerCopy<F> {
    /// A venue at position `durable`, from the last valid snapshot and the log. `reader` opens the log from a position,
    /// `follower` is an empty one. All of it is done on this thread, which calls `rest` whenever it has worked for a
    /// while.
    ///
    /// # Errors
    /// As [`recovery::recover`].
    pub fn begin<R: Reader>(
        which: &Which,
        snapshots: &impl Saved,
        reader: impl FnOnce(Sequence) -> R,
        durable: Sequence,
        follower: F,
        mut rest: impl FnMut(),
    ) -> Result<Self, Error> {
        let Restored { partition, follower, .. } =
            recovery::restore(which, snapshots, Until::Durable(durable), follower)?;
        rest();
        Self { partition, follower, image: Vec::new() }.advance(reader, durable, rest)
    }

    /// The same at `durable`, which is later.
    ///
    /// # Errors
    /// When the log cannot be read. The copy is dropped then, because it may be inconsistent.
    pub fn advance<R: Reader>(
        self,
        reader: impl FnOnce(Sequence) -> R,
        durable: Sequence,
        mut rest: impl FnMut(),
    ) -> Result<Self, Error> {
        let Self { partition, mut follower, image } = self;
        let reader = reader(partition.sequence().next());
        let until = Until::Durable(durable);
        let mut replay = Replay { partition, reader, until, replayed: 0, progress: |_| () };
        let mut batch = Batch::default();
        let mut more = true;
        while more {
            more = replay.fill(&mut batch)?;
            batch.follow(&mut follower);
            rest();
        }
        Ok(Self { partition: replay.partition, follower, image })
    }

    /// Its position.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.partition.sequence()
    }

    /// Audits it. It has followed the log to the venue's position, so its findings apply to the venue, as far as both
    /// do the same with a command; snapshots and restarts show that they do.
    #[must_use]
    pub fn audit(&self) -> AuditReport {
        embedded::audit(&self.partition)
    }

    /// Writes it down as a snapshot, unless there is a good one at that position.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&mut self, snapshots: &mut impl Snapshots, mut rest: impl FnMut()) -> Result<(), Error> {
        if recovery::is_due(snapshots, self.sequence())? {
            self.image.clear();
            snapshot::encode_in_parts(&self.partition, &self.follower, &mut rest, &mut self.image);
            rest();
            snapshots.save(self.sequence(), &self.image)?;
        }
        Ok(())
    }
}
