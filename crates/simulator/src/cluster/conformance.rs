//! The shard as a [`PartitionStore`], under the suite that every provider passes, so that the simulated clusters run on
//! the same contract as real ones.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use crossbook_cluster::store::conformance::{PARTITIONS, Provider, run, run_with_failures};
use crossbook_cluster::store::{
    BookDepth, Bounds, Closing, Confirm, Confirmed, Connect, DepthChange, Ends, ErrorKind, Failure, Note, Outcome,
    PartitionStore, StoreError, StoredCommand, Subscription, Turn,
};
use crossbook_node::node::Clock as _;
use crossbook_types::{Decimal, PartitionId, Sequence, Side, Timestamp};

use super::call::{OwnedTurn, Reply, Request};
use super::shard::Shard;
use super::stream::{Beside, Write};
use crate::clock::{Time, WallClock};
use crate::dice::Dice;

/// Commands that one append takes here.
const RECORDS_MAX: usize = 10_000;
/// How long an attempt to take a lease takes, in microseconds.
const LEASE_US: u64 = 2_000;

/// A shard, and the subscriptions to it.
struct Inner {
    shard: Shard,
    time: Time,
    calls: u64,
    /// By subscription: of which partitions, and whether it was notified.
    subscriptions: Vec<(BTreeSet<PartitionId>, bool)>,
}

#[derive(Clone)]
struct Shards(Rc<RefCell<Inner>>);

/// A conversation: with which master, and its number.
struct Conversation {
    shards: Shards,
    epoch: u64,
    number: u64,
}

struct Notifications(Shards, usize);

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{kind:?} {reason}")]
struct Refused {
    kind: ErrorKind,
    reason: String,
}

/// A refusal that needs no reason.
fn refused(kind: ErrorKind) -> Refused {
    Refused { kind, reason: String::new() }
}

impl StoreError for Refused {
    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::NotConfirmed | ErrorKind::Marked)
    }
}

impl Inner {
    /// Carries out a request, with the replicas at once.
    fn execute(&mut self, conversation: Option<u64>, request: &Request) -> Result<Reply, Refused> {
        self.calls += 1;
        let call = self.calls;
        let mut reply = self.shard.execute(call, conversation, request);
        self.shard.replicate_all();
        let progress = self.shard.progress();
        reply = reply.or_else(|| progress.into_iter().find(|(of, _)| *of == call).map(|(_, reply)| reply));
        reply = reply.or_else(|| self.shard.expire(call));
        for partition in self.shard.notifies() {
            self.subscriptions
                .iter_mut()
                .filter(|(of, _)| of.contains(&partition))
                .for_each(|(_, heard)| *heard = true);
        }
        reply.ok_or(refused(ErrorKind::Unavailable))
    }
}

impl Connect for Shards {
    type Store = Conversation;
    type Subscription = Notifications;

    fn connect(&self, _: PartitionId) -> Result<Conversation, Refused> {
        match self.0.borrow_mut().execute(None, &Request::Hello(Vec::new()))? {
            Reply::Hello { with, .. } => {
                Ok(Conversation { shards: self.clone(), epoch: with.epoch, number: with.conversation })
            }
            _ => Err(refused(ErrorKind::Unavailable)),
        }
    }

    fn subscribe(&self, partitions: &[PartitionId], _: Duration) -> Result<Notifications, Refused> {
        let subscriptions = &mut self.0.borrow_mut().subscriptions;
        subscriptions.push((partitions.iter().copied().collect(), false));
        Ok(Notifications(self.clone(), subscriptions.len() - 1))
    }

    fn shards(&self, partitions: &[PartitionId]) -> Result<Vec<Vec<PartitionId>>, Refused> {
        Ok(Some(partitions.to_vec()).filter(|partitions| !partitions.is_empty()).into_iter().collect())
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            records_max: RECORDS_MAX,
            bytes_max: 1 << 30,
            turn_records_max: usize::MAX,
            turn_bytes_max: usize::MAX,
        }
    }
}

impl Subscription for Notifications {
    fn wait(&mut self, _: Duration) -> Result<bool, Failure> {
        Ok(std::mem::take(&mut self.0.0.borrow_mut().subscriptions[self.1].1))
    }
}

fn is_too_large(turn: &Turn<'_>) -> bool {
    turn.partitions.iter().any(|of| {
        let delivered: usize = of.deliver.iter().map(|letters| letters.messages.len()).sum();
        delivered > RECORDS_MAX || of.append.is_some_and(|payloads| payloads.len() > RECORDS_MAX)
    })
}

impl Conversation {
    fn with<T>(&mut self, work: impl FnOnce(&mut Inner) -> Result<T, Refused>) -> Result<T, Refused> {
        let mut inner = self.shards.0.borrow_mut();
        if inner.shard.epoch == self.epoch { work(&mut inner) } else { Err(refused(ErrorKind::Unavailable)) }
    }

    /// A refusal, with what people must know of it.
    fn reason(&self, kind: ErrorKind, partition: PartitionId) -> Refused {
        let inner = self.shards.0.borrow();
        let closing = inner.shard.stream(partition).closing.as_ref().filter(|_| kind == ErrorKind::Closed);
        Refused { kind, reason: closing.map(ToString::to_string).unwrap_or_default() }
    }

    fn write(&mut self, partition: PartitionId, beside: Beside) -> Result<(), Refused> {
        self.with(|inner| {
            inner.shard.write(partition, Write::Beside(beside));
            Ok(())
        })
    }
}

impl PartitionStore for Conversation {
    type Error = Refused;

    fn address(&self) -> &str {
        "a simulated shard"
    }

    fn turn(&mut self, turn: &Turn<'_>) -> Result<Outcome<Refused>, Refused> {
        if is_too_large(turn) {
            return Err(refused(ErrorKind::TooLarge));
        }
        let (number, request) = (self.number, Request::Turn(OwnedTurn::from(turn)));
        match self.with(|inner| inner.execute(Some(number), &request))? {
            Reply::Turned { partitions, confirmed } => {
                let of = partitions.into_iter().zip(&turn.partitions);
                let partitions =
                    of.map(|(outcome, of)| outcome.map_err(|kind| self.reason(kind, of.partition))).collect();
                Ok(Outcome { partitions, confirmed })
            }
            _ => Err(refused(ErrorKind::Unavailable)),
        }
    }

    fn not_confirmed(&self) -> Refused {
        refused(ErrorKind::NotConfirmed)
    }

    fn ends(&mut self, partition: PartitionId) -> Result<Ends, Refused> {
        self.with(|inner| {
            let stream = inner.shard.stream(partition);
            Ok(Ends { first: stream.first(), tail: stream.tail(), time: stream.time() })
        })
    }

    fn read(
        &mut self,
        partition: PartitionId,
        from: Sequence,
        records_max: usize,
    ) -> Result<Vec<StoredCommand>, Refused> {
        let number = self.number;
        self.with(|inner| inner.shard.read(number, partition, from, records_max).map_err(refused))
    }

    fn trim(&mut self, partition: PartitionId, up_to: Sequence) -> Result<(), Refused> {
        self.with(|inner| {
            inner.shard.trim(partition, up_to);
            Ok(())
        })
    }

    fn mark_skipped(&mut self, partition: PartitionId, sequence: Sequence) -> Result<Option<Sequence>, Refused> {
        let applied = self.with(|inner| {
            let stream = inner.shard.stream(partition);
            if stream.read(sequence, 1).map_err(refused)?.is_empty() {
                return Err(refused(ErrorKind::Missing));
            }
            let is_marked = stream.marks().contains(&sequence);
            Ok((is_marked, stream.last_checkpoint().filter(|&applied| applied >= sequence && !is_marked)))
        })?;
        match applied {
            (true, _) => Ok(None),
            (false, Some(applied)) => Ok(Some(applied)),
            (false, None) => self.write(partition, Beside::Mark(sequence)).map(|()| None),
        }
    }

    fn close(&mut self, partition: PartitionId, closing: Option<&Closing>) -> Result<(), Refused> {
        self.write(partition, Beside::Close(closing.cloned()))?;
        let confirmed = self.turn(&Turn { confirm: Confirm::Wait, ..Turn::default() })?.confirmed;
        if confirmed == Confirmed::All { Ok(()) } else { Err(self.not_confirmed()) }
    }

    fn closing(&mut self, partition: PartitionId) -> Result<Option<Closing>, Refused> {
        self.with(|inner| Ok(inner.shard.stream(partition).closing.clone()))
    }

    fn lease(&mut self, partition: PartitionId, name: &str, duration: Duration) -> Result<bool, Refused> {
        let (free, now) = self.with(|inner| {
            inner.time.pass(LEASE_US);
            let now = inner.shard.clock.now();
            let lease = inner.shard.stream(partition).lease.as_ref();
            Ok((lease.is_none_or(|(holder, until)| holder == name || *until <= now), now))
        })?;
        if free {
            let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
            self.write(partition, Beside::Lease(name.to_owned(), Timestamp(now.0.saturating_add(micros))))?;
        }
        Ok(free)
    }

    fn write_depth(&mut self, partition: PartitionId, changes: &[DepthChange<'_>]) -> Result<Vec<bool>, Refused> {
        self.with(|inner| {
            let mut kept = Vec::new();
            for change in changes {
                let had = inner.shard.stream(partition).depths.get(change.symbol).cloned();
                let is_there = had.as_ref().map(|depth| depth.last) >= Some(change.last);
                let next = if is_there { None } else { changed(change, had) };
                kept.push(is_there || next.is_some());
                if let Some(depth) = next {
                    inner.shard.write(partition, Write::Beside(Beside::Depth(change.symbol.to_owned(), depth)));
                }
            }
            Ok(kept)
        })
    }

    fn read_depth(&mut self, partition: PartitionId, symbol: &str) -> Result<Option<BookDepth>, Refused> {
        self.with(|inner| Ok(inner.shard.stream(partition).depths.get(symbol).cloned()))
    }

    fn set_note(&mut self, partition: PartitionId, note: Note, value: &str) -> Result<(), Refused> {
        self.write(partition, Beside::Note(note, value.to_owned()))
    }

    fn note(&mut self, partition: PartitionId, note: Note) -> Result<Option<String>, Refused> {
        self.with(|inner| {
            let notes = &inner.shard.stream(partition).notes;
            Ok(notes.iter().find(|(of, _)| *of == note).map(|(_, value)| value.clone()))
        })
    }
}

/// A book after a change; `None` if changes before it are missing.
fn changed(change: &DepthChange<'_>, had: Option<BookDepth>) -> Option<BookDepth> {
    let mut depth = match (change.since, had) {
        (None, _) => BookDepth { last: 0, bids: Vec::new(), asks: Vec::new() },
        (Some(since), Some(depth)) if depth.last >= since => depth,
        _ => return None,
    };
    let value = |decimal: Decimal| decimal.rescale(Decimal::SCALE_MAX).unwrap_or_default();
    // The one form of a value.
    let plain = |decimal: Decimal| {
        let scale = decimal.precision();
        Decimal::new_checked(decimal.rescale(scale).unwrap_or_default(), scale).unwrap_or(decimal)
    };
    for level in change.levels {
        let side = if level.side == Side::Buy { &mut depth.bids } else { &mut depth.asks };
        side.retain(|(price, _)| value(*price) != value(level.price));
        if value(level.quantity) != 0 {
            side.push((plain(level.price), plain(level.quantity)));
        }
    }
    depth.bids.sort_unstable_by_key(|(price, _)| std::cmp::Reverse(value(*price)));
    depth.asks.sort_unstable_by_key(|(price, _)| value(*price));
    depth.last = change.last;
    Some(depth)
}

impl Provider for Shards {
    type Stores = Self;

    fn stores(&self) -> Self {
        self.clone()
    }

    fn lose(&mut self, writes: &mut dyn FnMut()) -> bool {
        self.0.borrow_mut().shard.isolated = true;
        writes();
        let shard = &mut self.0.borrow_mut().shard;
        shard.lose_master();
        shard.promote(&mut Dice::new(1));
        true
    }
}

fn fresh() -> Shards {
    let time = Time::default();
    // The one that is promoted leaves another to confirm what comes after.
    let shard = Shard::new(&PARTITIONS, 2, WallClock::new(&time));
    Shards(Rc::new(RefCell::new(Inner { shard, time, calls: 0, subscriptions: Vec::new() })))
}

#[test]
fn the_simulated_shard_promises_what_a_store_must() {
    run(fresh);
    run_with_failures(fresh);
}
