//! The shard as a [`PartitionStore`], under the suite that every provider passes, so that the simulated clusters run on
//! the same contract as real ones.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crossbook_cluster::store::conformance::{PARTITIONS, Provider, run, run_with_failures};
use crossbook_cluster::store::{
    BookDepth, Bounds, Connect, DepthChange, Ends, ErrorKind, Full, Note, Outcome, PartitionOutcome, PartitionStore,
    PartitionTurn, StoreError, StoredCommand, StoredOutput, Turn,
};
use crossbook_log::skip::SKIPPED;
use crossbook_types::{PartitionId, Sequence};

use super::call::{Reply, Request};
use super::shard::Shard;
use crate::clock::{Time, WallClock};
use crate::dice::Dice;

/// Partitions that fail and are confirmed together.
#[derive(Clone)]
struct Shards(Rc<RefCell<BTreeMap<PartitionId, Shard>>>);

/// A conversation: with which masters, and with how many marks.
struct Conversation {
    shards: Shards,
    epoch: u64,
    marks: BTreeMap<PartitionId, usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?}")]
struct Refused(ErrorKind);

impl From<Full> for Refused {
    fn from(_: Full) -> Self {
        Self(ErrorKind::Full)
    }
}

impl StoreError for Refused {
    fn kind(&self) -> ErrorKind {
        self.0
    }

    fn is_transient(&self) -> bool {
        matches!(self.0, ErrorKind::Unavailable | ErrorKind::NotConfirmed)
    }
}

impl Connect for Shards {
    type Store = Conversation;

    fn connect(&self, partition: PartitionId) -> Result<Conversation, Refused> {
        let shards = self.0.borrow();
        let marks = shards.iter().map(|(&partition, shard)| (partition, shard.marks().len())).collect();
        Ok(Conversation { shards: self.clone(), epoch: shards[&partition].epoch, marks })
    }

    fn bounds(&self) -> Bounds {
        Bounds { records_max: 1 << 20, bytes_max: 1 << 30 }
    }
}

impl Conversation {
    fn with<T>(
        &mut self,
        partition: PartitionId,
        work: impl FnOnce(&mut Shard) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let mut shards = self.shards.0.borrow_mut();
        let shard = shards.get_mut(&partition).ok_or(Refused(ErrorKind::Other))?;
        if shard.epoch == self.epoch { work(shard) } else { Err(Refused(ErrorKind::Unavailable)) }
    }

    /// Carries out a request that does not wait.
    fn execute(shard: &mut Shard, request: Request) -> Result<Reply, Refused> {
        let call = 0;
        let reply = shard.execute(call, request).or_else(|| shard.expire(call, true));
        match reply {
            Some(Reply::Trimmed) => Err(Refused(ErrorKind::Other)),
            Some(Reply::Forked) => Err(Refused(ErrorKind::Forked)),
            Some(reply) => Ok(reply),
            None => Err(Refused(ErrorKind::Unavailable)),
        }
    }

    fn one(&mut self, turn: &PartitionTurn<'_>) -> Result<PartitionOutcome, Refused> {
        let known = self.marks.get(&turn.partition).copied();
        self.with(turn.partition, |shard| {
            let mut outcome = PartitionOutcome::default();
            let trimmed = |after: Sequence, first| Refused(ErrorKind::Trimmed { asked: after.next(), first });
            let owned = |payloads: &[&[u8]]| payloads.iter().map(|bytes| bytes.to_vec()).collect::<Vec<_>>();
            if let Some(publish) = turn.publish {
                if known != Some(shard.marks().len()) {
                    return Err(Refused(ErrorKind::Marked));
                }
                let request = Request::Turn {
                    publish_after: publish.after,
                    entries: owned(publish.outputs),
                    read_after: Sequence(u64::MAX >> 1),
                    records_max: 1,
                    wait_us: 0,
                    barrier: false,
                    compare: None,
                };
                Self::execute(shard, request)?;
                outcome.published = Some(shard.published());
            }
            if !turn.deliver.is_empty() {
                let letters = turn.deliver.iter().map(|of| (of.from, of.first, owned(&of.messages))).collect();
                if let Reply::Delivered { received } =
                    Self::execute(shard, Request::Deliver { letters, barrier: false })?
                {
                    outcome.received = received;
                }
            }
            if let Some(append) = turn.append {
                let request = Request::Append { payloads: owned(append.payloads), backlog_max: append.backlog_max };
                let waiting = shard.inbound().len() as u64 - shard.published().0;
                outcome.appended = match Self::execute(shard, request)? {
                    Reply::Appended(appended) => Some(Ok(appended)),
                    _ => Some(Err(Full { waiting, limit: append.backlog_max })),
                };
            }
            if let Some(read) = turn.commands {
                let request = Request::Turn {
                    publish_after: Sequence(u64::MAX),
                    entries: Vec::new(),
                    read_after: read.after,
                    records_max: read.records_max,
                    wait_us: 0,
                    barrier: false,
                    compare: None,
                };
                let first = shard.first();
                if let Reply::Turned { records, .. } =
                    Self::execute(shard, request).map_err(|_| trimmed(read.after, first))?
                {
                    let commands = records.into_iter();
                    let stored = |(sequence, time, payload)| StoredCommand { sequence, time, payload };
                    outcome.commands = commands.map(stored).collect();
                }
            }
            if let Some(read) = turn.outputs {
                let request = Request::Follow { after: read.after, records_max: read.records_max, wait_us: 0 };
                let first = shard.first_output();
                if let Reply::Followed { entries } =
                    Self::execute(shard, request).map_err(|_| trimmed(read.after, first))?
                {
                    let outputs = entries.into_iter();
                    outcome.outputs = outputs.map(|(sequence, payload)| StoredOutput { sequence, payload }).collect();
                }
            }
            Ok(outcome)
        })
    }
}

impl PartitionStore for Conversation {
    type Error = Refused;

    fn address(&self) -> &str {
        "a simulated shard"
    }

    fn turn(&mut self, turn: &Turn<'_>) -> Result<Outcome<Refused>, Refused> {
        let partitions: Vec<_> = turn.partitions.iter().map(|of| self.one(of)).collect();
        let mut shards = self.shards.0.borrow_mut();
        if shards.values().any(|shard| shard.epoch != self.epoch) {
            return Err(Refused(ErrorKind::Unavailable));
        }
        let mut confirmed = turn.confirm;
        if turn.confirm {
            // Every shard replicates, also after one that does not.
            shards.values_mut().for_each(|shard| confirmed &= shard.replicate_all());
        }
        Ok(Outcome { partitions, confirmed })
    }

    fn not_confirmed(&self) -> Refused {
        Refused(ErrorKind::NotConfirmed)
    }

    fn ends(&mut self, partition: PartitionId) -> Result<Ends, Refused> {
        self.with(partition, |shard| {
            let tail = Sequence(shard.inbound().len() as u64);
            let time = shard.inbound().last().map_or_else(Default::default, |&(time, _)| time);
            let (first, outputs_first) = (shard.first(), shard.first_output());
            Ok(Ends { first, tail, time, published: shard.published(), outputs_first })
        })
    }

    fn read(
        &mut self,
        partition: PartitionId,
        from: Sequence,
        records_max: usize,
    ) -> Result<Vec<StoredCommand>, Refused> {
        self.with(partition, |shard| {
            let first = shard.first();
            if from < first {
                return Err(Refused(ErrorKind::Trimmed { asked: from, first }));
            }
            let marks: BTreeSet<Sequence> = shard.marks().clone();
            let places = (from.0..).map(Sequence).zip(shard.inbound().iter().skip(from.0 as usize - 1));
            let stored = places.take(records_max).map(|(sequence, (time, payload))| {
                let mut payload = payload.clone();
                if marks.contains(&sequence) {
                    payload[0] |= SKIPPED;
                }
                StoredCommand { sequence, time: *time, payload }
            });
            Ok(stored.collect())
        })
    }

    fn trim(&mut self, partition: PartitionId, commands: Sequence, outputs: Sequence) -> Result<(), Refused> {
        self.with(partition, |shard| {
            shard.trim(commands, outputs);
            Ok(())
        })
    }

    fn mark_skipped(&mut self, partition: PartitionId, sequence: Sequence) -> Result<Option<Sequence>, Refused> {
        if self.read(partition, sequence, 1)?.is_empty() {
            return Err(Refused(ErrorKind::Missing));
        }
        self.with(partition, |shard| {
            let published = shard.published();
            if shard.marks().contains(&sequence) {
                return Ok(None);
            }
            if published >= sequence {
                return Ok(Some(published));
            }
            shard.mark(sequence);
            if shard.replicate_all() { Ok(None) } else { Err(Refused(ErrorKind::NotConfirmed)) }
        })
    }

    fn write_depth(&mut self, partition: PartitionId, changes: &[DepthChange<'_>]) -> Result<Vec<bool>, Refused> {
        self.with(partition, |shard| Ok(changes.iter().map(|change| shard.write_depth(change)).collect()))
    }

    fn read_depth(&mut self, partition: PartitionId, symbol: &str) -> Result<Option<BookDepth>, Refused> {
        self.with(partition, |shard| Ok(shard.read_depth(symbol)))
    }

    fn set_note(&mut self, partition: PartitionId, note: Note, value: &str) -> Result<(), Refused> {
        self.with(partition, |shard| {
            shard.set_note(note, value);
            Ok(())
        })
    }

    fn note(&mut self, partition: PartitionId, note: Note) -> Result<Option<String>, Refused> {
        self.with(partition, |shard| Ok(shard.note(note)))
    }
}

impl Provider for Shards {
    type Stores = Self;

    fn stores(&self) -> Self {
        self.clone()
    }

    fn lose(&mut self, writes: &mut dyn FnMut()) -> bool {
        let all = |work: &mut dyn FnMut(&mut Shard)| self.0.borrow_mut().values_mut().for_each(work);
        all(&mut |shard| shard.isolated = true);
        writes();
        let mut dice = Dice::new(1);
        all(&mut |shard| {
            shard.lose_master();
            shard.promote(&mut dice);
        });
        true
    }
}

fn fresh() -> Shards {
    let time = Time::default();
    // The one that is promoted leaves another to confirm what comes after.
    let shard = |partition| (partition, Shard::new(2, WallClock::new(&time)));
    Shards(Rc::new(RefCell::new(PARTITIONS.into_iter().map(shard).collect())))
}

#[test]
fn the_simulated_shard_promises_what_a_store_must() {
    run(fresh);
    run_with_failures(fresh);
}
