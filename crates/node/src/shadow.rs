//! A second copy of a venue, for whoever takes its snapshots and audits it while it trades.
//!
//! A snapshot is not taken of the partition that trades: to write down a million orders takes seconds, and nobody could
//! trade meanwhile. A shadow is begun as a venue is, from the last snapshot and the log, and follows the log from then
//! on. So all that trading notices of it is what they share: the processors, of which it takes one at most and rests as
//! its owner says; the disk; and memory, of which there must be enough for the venue twice. It is kept from one
//! snapshot to the next, since to make it anew would cost far more than to let it follow, and nothing that takes as
//! much memory for a moment is good for those who trade on the same machine.

use crossbook_engine::Partition;
use crossbook_log::{Reader, Until};
use crossbook_types::Sequence;

use crate::embedded::{self, AuditReport};
use crate::recovery::{self, Batch, Error, Follower, Replay, Restored, Which};
use crate::snapshot::{self, Saved, Snapshots};

/// See the module.
#[derive(Debug)]
pub struct Shadow<F> {
    partition: Partition,
    follower: F,
    /// The bytes of the last snapshot, whose room the next one's need.
    image: Vec<u8>,
}

impl<F: Follower> Shadow<F> {
    /// A venue as it stood at `durable`, from the last good snapshot and the log. `reader` opens the log from a
    /// position, `follower` is an empty one. All of it is done on this thread, which calls `rest` whenever it has
    /// worked for a while.
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
    /// When the log cannot be read. Then there is no shadow any more, as it may stand in the middle of something.
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

    /// Where it stands.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.partition.sequence()
    }

    /// Adds it up. It has followed the log to where the venue stood, so what is found of it is true of the venue, as
    /// far as both do the same with a command; and that they do is what snapshots and restarts show.
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
