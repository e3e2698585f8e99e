//! One process's copy of a partition: applies the commands of its log, once they are confirmed.
//!
//! A [`Replica`] has no connection and no clock. It says what to read next, and gets what a turn has read and whether
//! that is confirmed.
//!
//! ```text
//!   in   ... | n-2 | n-1 |  n  | n+1 | n+2 |
//!                           |     \_____\_____ read, not confirmed: held
//!                           applied
//! ```
//!
//! All replicas of a partition apply the same commands and compute the same effects. They compare *checkpoints* through
//! the store: a hash of what some of the last commands caused. A replica whose hash differs from the one that was
//! stored first must stop: its program computes something else, or its memory is damaged.

use std::collections::VecDeque;

use crossbook_engine::Partition;
use crossbook_log::Record;
use crossbook_node::panic::naming;
use crossbook_protocol::command::Command;
use crossbook_protocol::peer::{Outgoing, PeerMessage};
use crossbook_protocol::{Event, Events, Rules};
use crossbook_types::{PartitionId, RequestNumber, Sequence};

use crate::depth::{self, Depths};
use crate::store::{Checkpoint, Confirmed, ReadAfter, StoredCommand};

mod checkpoints;
mod error;
pub use checkpoints::CHECKPOINT_EVERY;
pub use error::Error;

use checkpoints::Checkpoints;

/// How much a replica reads at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Commands read in one turn.
    pub records_max: usize,
    /// Commands read and not yet applied.
    pub held_max: usize,
}

/// What a partition must have sent before it may accept new commands: others have received it. See
/// [`Replica::must_prove`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// The end of the log, read after what others have received: all of that comes from commands up to here.
    pub end: Sequence,
    /// By receiver, the last message that it has received.
    pub received: Vec<(PartitionId, RequestNumber)>,
}

/// An applied command and what it caused.
#[derive(Debug)]
pub struct Applied<'a> {
    /// The command.
    pub command: &'a Command,
    /// What happened.
    pub events: &'a [Event],
    /// The messages for other partitions, and the one by which the partition continues deferred work.
    pub outgoing: &'a mut Vec<Outgoing>,
}

/// One process's copy of a partition.
#[derive(Debug)]
pub struct Replica {
    partition: Partition,
    limits: Limits,
    /// Read, not yet applied.
    held: VecDeque<StoredCommand>,
    /// The last command applied, to know the log again.
    last: Option<StoredCommand>,
    /// The newest rules that this program knows.
    known: Rules,
    proof: Option<Proof>,
    /// Of the commands that were applied and not handed on yet.
    events: Events,
    outgoing: Vec<Outgoing>,
    /// The last message that the partition was given for itself, to continue deferred work.
    continued: RequestNumber,
    checkpoints: Checkpoints,
    depths: Depths,
}

impl Replica {
    /// A replica at the position of `partition`.
    #[must_use]
    pub fn new(partition: Partition, limits: Limits) -> Self {
        let checkpoints = Checkpoints::after(partition.sequence());
        Self {
            partition,
            limits,
            held: VecDeque::new(),
            last: None,
            known: Rules::NEWEST,
            proof: None,
            events: Events::new(),
            outgoing: Vec::new(),
            continued: RequestNumber(0),
            checkpoints,
            depths: Depths::default(),
        }
    }

    /// The same in a program that knows only rules up to these.
    ///
    /// # Errors
    /// When the partition's state is one of newer rules.
    pub fn knowing(self, known: Rules) -> Result<Self, Error> {
        let (rules, sequence) = (self.partition.active_rules(), self.partition.sequence());
        if rules > known { Err(Error::UnknownRules { sequence, rules, known }) } else { Ok(Self { known, ..self }) }
    }

    /// The same, which accepts no command after the end of the proof before it has sent what others have received. If
    /// it has not, commands are missing at the end of its log, and it must not continue.
    #[must_use]
    pub fn must_prove(self, proof: Proof) -> Self {
        Self { proof: Some(proof), ..self }
    }

    /// One that goes on from another place, with what the partition must have sent there.
    ///
    /// # Errors
    /// As for [`Replica::knowing`].
    pub fn moved_to(&self, partition: Partition, proof: Option<Proof>) -> Result<Self, Error> {
        Ok(Self { proof, ..Self::new(partition, self.limits).knowing(self.known)? })
    }

    /// The partition as it is now.
    #[must_use]
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The last command applied since the start, if any. On a new connection it must still be there, unchanged.
    #[must_use]
    pub fn last(&self) -> Option<Record<'_>> {
        self.last.as_ref().map(|last| Record { sequence: last.sequence, time: last.time, payload: &last.payload })
    }

    /// Whether commands were read that are not confirmed yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.held.is_empty()
    }

    /// The last command read.
    #[must_use]
    pub fn read_up_to(&self) -> Sequence {
        self.held.back().map_or(self.partition.sequence(), |held| held.sequence)
    }

    /// What to read next; `None` while as much is held as may be.
    #[must_use]
    pub fn read(&self) -> Option<ReadAfter> {
        let records_max = self.limits.held_max.saturating_sub(self.held.len()).min(self.limits.records_max);
        (records_max > 0).then(|| ReadAfter { after: self.read_up_to(), records_max })
    }

    /// Takes in what a turn has read, and applies what is confirmed. `applied` gets each command that was applied, with
    /// what it caused. Returns how many were.
    ///
    /// # Errors
    /// When the log is not what it was, or asks for what this program does not know.
    ///
    /// # Panics
    /// When an invariant of the partition does not hold.
    pub fn take(
        &mut self,
        read: impl IntoIterator<Item = StoredCommand>,
        confirmed: Confirmed,
        mut applied: impl FnMut(Applied<'_>),
    ) -> Result<usize, Error> {
        let before = self.held.len();
        for command in read {
            let after = self.read_up_to();
            if command.sequence != after.next() {
                return Err(Error::Gap { after, found: command.sequence });
            }
            self.held.push_back(command);
        }
        #[cfg(crossbook_bugs)]
        let confirmed = planted(confirmed);
        let ready = match confirmed {
            Confirmed::Nothing => 0,
            Confirmed::Before => before,
            Confirmed::All => self.held.len(),
        };
        let mut count = 0;
        while count < ready {
            self.prove()?;
            let Some(next) = self.held.pop_front() else { break };
            self.apply(next, &mut applied)?;
            count += 1;
        }
        self.prove()?;
        Ok(count)
    }

    /// The events of the commands that were applied since this was last asked and cleared.
    pub fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    /// The message by which a partition continues the work that its snapshot has left, if there is some.
    pub fn continuation(&mut self) -> Option<Outgoing> {
        let number = self.partition.continuation().filter(|&number| number > self.continued)?;
        self.continued = number;
        Some(Outgoing { to: self.partition.id(), number, deadline: None, message: PeerMessage::Continue })
    }

    /// The checkpoint to compare with those of others in the next turn, if there is a new one.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        self.checkpoints.pending()
    }

    /// Takes in the hash that was stored first for a checkpoint.
    ///
    /// # Errors
    /// [`Error::Diverged`] when it is another than the one computed here.
    pub fn compare(&mut self, checkpoint: Checkpoint, stored: Option<u64>) -> Result<(), Error> {
        self.checkpoints.compared(checkpoint);
        match stored {
            Some(hash) if hash != checkpoint.hash => Err(Error::Diverged { sequence: checkpoint.sequence }),
            _ => Ok(()),
        }
    }

    /// The connection broke. What was read and not confirmed may be gone, and is read again.
    pub fn disconnected(&mut self) {
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::HeldAfterDisconnect) {
            return;
        }
        self.held.clear();
        self.depths.disconnected();
    }

    /// Begins to record changes of its books for the store, or stops to.
    pub fn write_depths(&mut self, active: bool) {
        self.depths.set_active(active);
    }

    /// Whether there may be something of its books to write to the store.
    #[must_use]
    pub fn has_depths(&self) -> bool {
        self.depths.is_pending()
    }

    /// What of its books is to be written to the store.
    #[must_use]
    pub fn depths(&self) -> Vec<depth::Write> {
        self.depths.writes(&self.partition)
    }

    /// Takes in what the store made of what was written of the books.
    pub fn depths_written(&mut self, writes: &[depth::Write], kept: &[bool]) {
        self.depths.written(writes, kept);
    }

    fn apply(&mut self, next: StoredCommand, applied: &mut impl FnMut(Applied<'_>)) -> Result<(), Error> {
        let sequence = next.sequence;
        let command = crossbook_protocol::wire::decode_command(sequence, next.time, &next.payload)
            .map_err(|source| Error::Command { sequence, source })?;
        if let Some(rules) = command.activates().filter(|&rules| rules > self.known) {
            return Err(Error::UnknownRules { sequence, rules, known: self.known });
        }
        let before = self.events.all().len();
        naming(&mut self.partition, |partition| partition.apply(&command, &mut self.events));
        self.outgoing.clear();
        self.outgoing.extend(self.partition.drain_outgoing());
        let events = &self.events.all()[before..];
        self.checkpoints.applied(&command, &self.outgoing, events);
        self.depths.note(events);
        let continuation = self.continuation();
        self.outgoing.extend(continuation);
        let events = &self.events.all()[before..];
        applied(Applied { command: &command, events, outgoing: &mut self.outgoing });
        self.last = Some(next);
        Ok(())
    }

    /// Compares the partition with its proof, if it has reached its end.
    fn prove(&mut self) -> Result<(), Error> {
        let Some(proof) = self.proof.take_if(|proof| self.partition.sequence() >= proof.end) else { return Ok(()) };
        for (to, received) in proof.received {
            let sent = self.partition.sent(to);
            if sent < received {
                return Err(Error::Behind { end: proof.end, to, received, sent });
            }
        }
        Ok(())
    }
}

#[cfg(crossbook_bugs)]
fn planted(confirmed: Confirmed) -> Confirmed {
    use crossbook_types::bugs::{Bug, is_planted};
    let is_before = confirmed == Confirmed::Before && is_planted(Bug::BeforeCountsAsAll);
    if is_before || is_planted(Bug::AppliedBeforeConfirmed) { Confirmed::All } else { confirmed }
}

#[cfg(test)]
mod tests;
