//! What a shard has of one partition: its commands, and what stands beside them.

use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
use crossbook_cluster::store::{BookDepth, Closing, Note};
use crossbook_cluster::store::{Checkpoint, ErrorKind, StoredCommand};
use crossbook_log::skip::SKIPPED;
use crossbook_types::{PartitionId, RequestNumber, Sequence, Timestamp};

/// How many checkpoints are kept.
const CHECKPOINTS_MAX: usize = 16;

/// One write of a shard.
#[derive(Clone, Debug)]
pub(super) enum Write {
    /// A command is appended, perhaps one that is a message of another partition.
    Command { time: Timestamp, payload: Vec<u8>, peer: Option<(PartitionId, RequestNumber)> },
    /// The commands up to this place go.
    Trim(Sequence),
    /// A checkpoint is stored, and the oldest one may go.
    Checkpoint(Checkpoint),
    /// The partition has moved here from another shard, with all it has.
    Arrive(Box<Stream>),
    /// It has moved to another shard.
    Leave,
    /// What the conformance suite alone asks for.
    #[cfg(test)]
    Beside(Beside),
}

/// A write that the simulated clusters do not use yet.
#[cfg(test)]
#[derive(Clone, Debug)]
pub(super) enum Beside {
    /// A command is marked as skipped.
    Mark(Sequence),
    Note(Note, String),
    /// The depth of a book is this now.
    Depth(String, BookDepth),
    /// Somebody has the lease until then.
    Lease(String, Timestamp),
    /// The partition is closed, or opened again.
    Close(Option<Closing>),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// All commands. Those that are trimmed stay in memory here, to be compared with what was applied.
    commands: Vec<(Timestamp, Vec<u8>)>,
    /// Of each command, its place among the writes of the shard.
    places: Vec<usize>,
    /// How many are trimmed.
    trimmed: u64,
    received: BTreeMap<PartitionId, RequestNumber>,
    marks: BTreeSet<Sequence>,
    checkpoints: BTreeMap<Sequence, u64>,
    #[cfg(test)]
    pub(super) notes: Vec<(Note, String)>,
    #[cfg(test)]
    pub(super) depths: BTreeMap<String, BookDepth>,
    #[cfg(test)]
    pub(super) lease: Option<(String, Timestamp)>,
    #[cfg(test)]
    pub(super) closing: Option<Closing>,
}

impl Stream {
    /// The first command that is not trimmed, or the next one.
    pub(super) fn first(&self) -> Sequence {
        Sequence(self.trimmed + 1)
    }

    /// The last command.
    pub(super) fn tail(&self) -> Sequence {
        Sequence(self.commands.len() as u64)
    }

    /// The last command's time.
    pub(super) fn time(&self) -> Timestamp {
        self.commands.last().map_or_else(Timestamp::default, |&(time, _)| time)
    }

    /// All commands, also those that are trimmed.
    pub(super) fn commands(&self) -> &[(Timestamp, Vec<u8>)] {
        &self.commands
    }

    /// One of them.
    pub(super) fn get(&self, sequence: Sequence) -> Option<&(Timestamp, Vec<u8>)> {
        let at = sequence.0.checked_sub(1)?;
        self.commands.get(usize::try_from(at).ok()?)
    }

    /// The place of a command among the writes of its shard.
    pub(super) fn place(&self, sequence: Sequence) -> Option<usize> {
        let at = sequence.0.checked_sub(1)?;
        self.places.get(usize::try_from(at).ok()?).copied()
    }

    /// The last command among so many writes of the shard.
    pub(super) fn end_of(&self, writes: usize) -> Sequence {
        Sequence(self.places.partition_point(|&place| place < writes) as u64)
    }

    /// The last message of a sender.
    pub(super) fn received(&self, from: PartitionId) -> RequestNumber {
        self.received.get(&from).copied().unwrap_or_default()
    }

    pub(super) fn marks(&self) -> &BTreeSet<Sequence> {
        &self.marks
    }

    /// Reads from a place on.
    pub(super) fn read(&self, from: Sequence, records_max: usize) -> Result<Vec<StoredCommand>, ErrorKind> {
        let first = self.first();
        if from < first {
            return Err(ErrorKind::Trimmed { asked: from, first });
        }
        let skip = usize::try_from(from.0 - 1).unwrap_or(usize::MAX);
        let places = (from.0..).map(Sequence).zip(self.commands.iter().skip(skip));
        let stored = places.take(records_max).map(|(sequence, (time, payload))| {
            let mut payload = payload.clone();
            if let Some(byte) = payload.first_mut().filter(|_| self.marks.contains(&sequence)) {
                *byte |= SKIPPED;
            }
            StoredCommand { sequence, time: *time, payload }
        });
        Ok(stored.collect())
    }

    /// The same on another shard, where all of it was one write with this place.
    fn arrived(&self, place: usize) -> Self {
        Self { places: vec![place; self.commands.len()], ..self.clone() }
    }

    /// The hash that is stored for a checkpoint.
    pub(super) fn checkpoint(&self, sequence: Sequence) -> Option<u64> {
        self.checkpoints.get(&sequence).copied()
    }

    /// The last checkpoint.
    #[cfg(test)]
    pub(super) fn last_checkpoint(&self) -> Option<Sequence> {
        self.checkpoints.keys().next_back().copied()
    }

    /// Whether a checkpoint is to be stored: not if there is one at its place, or only later ones are known.
    pub(super) fn is_new(&self, checkpoint: Checkpoint) -> bool {
        let is_old = self.checkpoints.len() == CHECKPOINTS_MAX
            && self.checkpoints.keys().next().is_some_and(|&first| checkpoint.sequence < first);
        !is_old && !self.checkpoints.contains_key(&checkpoint.sequence)
    }

    /// Carries out a write, which has this place among those of the shard.
    pub(super) fn write(&mut self, write: &Write, place: usize) {
        match write {
            Write::Command { time, payload, peer } => {
                self.commands.push((*time, payload.clone()));
                self.places.push(place);
                self.received.extend(*peer);
            }
            Write::Arrive(stream) => *self = stream.arrived(place),
            Write::Leave => {}
            Write::Trim(up_to) => self.trimmed = self.trimmed.max(up_to.0),
            Write::Checkpoint(checkpoint) => {
                self.checkpoints.insert(checkpoint.sequence, checkpoint.hash);
                if self.checkpoints.len() > CHECKPOINTS_MAX {
                    self.checkpoints.pop_first();
                }
            }
            #[cfg(test)]
            Write::Beside(beside) => self.write_beside(beside),
        }
    }

    #[cfg(test)]
    fn write_beside(&mut self, beside: &Beside) {
        match beside {
            Beside::Mark(sequence) => {
                self.marks.insert(*sequence);
            }
            Beside::Note(note, value) => {
                self.notes.retain(|(of, _)| of != note);
                self.notes.push((*note, value.clone()));
            }
            Beside::Depth(symbol, depth) => {
                self.depths.insert(symbol.clone(), depth.clone());
            }
            Beside::Lease(name, until) => self.lease = Some((name.clone(), *until)),
            Beside::Close(closing) => self.closing.clone_from(closing),
        }
    }
}
