//! Checkpoints: a hash of what a sample of the last commands caused, which the replicas of a partition compare.

use crossbook_protocol::Event;
use crossbook_protocol::command::Command;
use crossbook_protocol::peer::Outgoing;
use crossbook_types::Sequence;

use crate::store::Checkpoint;

/// How many commands are between two checkpoints.
pub const CHECKPOINT_EVERY: u64 = 128;
/// Of so many commands one is hashed. A difference in one that is not shows in those after it, because they change what
/// it has changed.
const HASHED_EVERY: u64 = 8;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// The checkpoints of one replica.
#[derive(Clone, Debug)]
pub(super) struct Checkpoints {
    hash: u64,
    /// Whether all commands since the last checkpoint were applied here. A replica begins in the middle.
    is_whole: bool,
    pending: Option<Checkpoint>,
    /// Reused for each command that is hashed.
    bytes: Vec<u8>,
}

impl Checkpoints {
    /// Those of a replica that begins after this command.
    pub(super) fn after(sequence: Sequence) -> Self {
        let is_whole = sequence.0.is_multiple_of(CHECKPOINT_EVERY);
        Self { hash: FNV_OFFSET, is_whole, pending: None, bytes: Vec::new() }
    }

    /// Takes in what a command caused. Which bytes that is belongs to the rules, so all programs that know them compute
    /// the same.
    pub(super) fn applied(&mut self, command: &Command, outgoing: &[Outgoing], events: &[Event]) {
        let sequence = command.sequence;
        if sequence.0.is_multiple_of(HASHED_EVERY) {
            self.bytes.clear();
            crossbook_protocol::wire::encode_published(command, outgoing, events, &mut self.bytes);
            self.hash =
                self.bytes.iter().fold(self.hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME));
        }
        if sequence.0.is_multiple_of(CHECKPOINT_EVERY) {
            if std::mem::replace(&mut self.is_whole, true) {
                self.pending = Some(Checkpoint { sequence, hash: self.hash });
            }
            self.hash = FNV_OFFSET;
        }
    }

    /// The last one that was not compared.
    pub(super) fn pending(&self) -> Option<Checkpoint> {
        self.pending
    }

    /// That one was compared.
    pub(super) fn compared(&mut self, checkpoint: Checkpoint) {
        self.pending.take_if(|pending| pending.sequence <= checkpoint.sequence);
    }
}
