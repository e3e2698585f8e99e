//! One shard of the store: the two streams of a partition on a master, with replicas that follow it. It promises what a
//! store with asynchronous replication and a barrier promises, and no more:
//!
//! - Writes have one order, and a replica has a prefix of it.
//! - A barrier holds when every replica that is online, and at least one, has all that was written before it.
//! - When the master is lost, one of the replicas that were online replaces it. What that one did not have is lost.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_cluster::store::{Appended, BookDepth};
use crossbook_node::node::Clock as _;
use crossbook_types::{PartitionId, RequestNumber, Sequence, Timestamp};

use super::call::{Reply, Request};
use crate::clock::WallClock;
use crate::dice::Dice;

/// How long a barrier waits for the replicas, in microseconds.
pub(super) const BARRIER_US: u64 = 100_000;

#[derive(Clone, Debug)]
#[cfg_attr(not(test), allow(dead_code, reason = "the conformance suite alone marks, notes and keeps depth yet"))]
enum Write {
    In {
        time: Timestamp,
        payload: Vec<u8>,
        peer: Option<(PartitionId, RequestNumber)>,
    },
    Out(Vec<u8>),
    /// The entries up to these places of `in` and of `out` go.
    Trim(Sequence, Sequence),
    /// A command is marked as skipped.
    Mark(Sequence),
    Note(&'static str, String),
    /// The depth of a book is this now.
    Depth(String, BookDepth),
}

/// A replica, as its master sees it.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    /// How much of what was written it has.
    pub(super) acked: usize,
    pub(super) online: bool,
    /// More is in flight to it.
    pub(super) receiving: bool,
}

/// A call that cannot be answered yet.
#[derive(Clone, Debug)]
struct Pending {
    call: u64,
    request: Request,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    /// There is nothing to read yet.
    Reading,
    /// The replicas must have so much of what was written.
    Barrier(usize, Reply),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shard {
    writes: Vec<Write>,
    inbound: Vec<(Timestamp, Vec<u8>)>,
    out: Vec<Vec<u8>>,
    /// How many entries of `in` and of `out` are trimmed. They stay in memory here, to be compared with what was
    /// published.
    trimmed: (u64, u64),
    received: BTreeMap<PartitionId, RequestNumber>,
    marks: BTreeSet<Sequence>,
    notes: BTreeMap<&'static str, String>,
    depths: BTreeMap<String, BookDepth>,
    pub(super) followers: Vec<Follower>,
    /// Counts the masters; a connection belongs to one of them.
    pub(super) epoch: u64,
    pub(super) up: bool,
    /// The replicas do not receive from the master, though clients reach it.
    pub(super) isolated: bool,
    pub(super) clock: WallClock,
    pending: Vec<Pending>,
    /// Calls that have begun to wait, whether for something to read, and for how long at most.
    waits: Vec<(u64, bool, u64)>,
}

impl Shard {
    pub(super) fn new(replicas: usize, clock: WallClock) -> Self {
        let follower = Follower { acked: 0, online: true, receiving: false };
        Self {
            writes: Vec::new(),
            inbound: Vec::new(),
            out: Vec::new(),
            trimmed: (0, 0),
            received: BTreeMap::new(),
            marks: BTreeSet::new(),
            notes: BTreeMap::new(),
            depths: BTreeMap::new(),
            followers: vec![follower; replicas],
            epoch: 1,
            up: true,
            isolated: false,
            clock,
            pending: Vec::new(),
            waits: Vec::new(),
        }
    }

    /// The calls that have begun to wait since this was last asked: whether for something to read, and for how long at
    /// most.
    pub(super) fn waits(&mut self) -> Vec<(u64, bool, u64)> {
        std::mem::take(&mut self.waits)
    }

    fn wait(&mut self, call: u64, request: Request, stage: Stage) {
        let reads = matches!(stage, Stage::Reading);
        self.waits.push((call, reads, if reads { request.wait_us() } else { BARRIER_US }));
        self.pending.push(Pending { call, request, stage });
    }

    /// Whether there is something to read for a call that waits for it.
    fn has_news(&self, request: &Request) -> bool {
        match request {
            Request::Turn { read_after, .. } => self.inbound.len() as u64 > read_after.0.max(self.trimmed.0),
            Request::Follow { after, .. } => self.published().0 > after.0.max(self.trimmed.1),
            _ => false,
        }
    }

    /// The first command that is not trimmed, or the next one.
    pub(super) fn first(&self) -> Sequence {
        Sequence(self.trimmed.0 + 1)
    }

    /// What was published, from the first command on, also where it is trimmed.
    pub(super) fn out(&self) -> &[Vec<u8>] {
        &self.out
    }

    /// Trims both streams, but no command whose output is not published yet. Returns whether something was trimmed.
    pub(super) fn trim(&mut self, of_in: Sequence, of_out: Sequence) -> bool {
        let (of_in, of_out) = (of_in.min(self.published()), of_out.min(self.published()));
        let goes = of_in.0 > self.trimmed.0 || of_out.0 > self.trimmed.1;
        if goes {
            self.write(Write::Trim(of_in, of_out));
        }
        goes
    }

    /// How many commands were durably published; `None` while nothing is durable, because no replica is online.
    pub(super) fn durably_published(&self) -> Option<Sequence> {
        let kept = self.followers.iter().filter(|follower| follower.online).map(|follower| follower.acked).min()?;
        let published = self.writes.iter().take(kept).filter(|write| matches!(write, Write::Out(_))).count();
        Some(Sequence(published as u64))
    }

    /// The commands, durable or not, also those that are trimmed.
    pub(super) fn inbound(&self) -> &[(Timestamp, Vec<u8>)] {
        &self.inbound
    }

    /// How many commands were published.
    pub(super) fn published(&self) -> Sequence {
        Sequence(self.out.len() as u64)
    }

    /// What of another partition's messages can no longer be lost.
    pub(super) fn durably_received(&self, from: PartitionId) -> RequestNumber {
        let kept = self.followers.iter().filter(|follower| follower.online).map(|follower| follower.acked).min();
        let durable = self.writes.iter().take(kept.unwrap_or(0));
        let received = durable.filter_map(|write| match write {
            Write::In { peer: Some((of, number)), .. } if *of == from => Some(*number),
            _ => None,
        });
        received.max().unwrap_or_default()
    }

    pub(super) fn writes(&self) -> usize {
        self.writes.len()
    }

    fn write(&mut self, write: Write) {
        match &write {
            Write::In { time, payload, peer } => {
                self.inbound.push((*time, payload.clone()));
                if let Some((from, number)) = peer {
                    self.received.insert(*from, *number);
                }
            }
            Write::Out(bytes) => self.out.push(bytes.clone()),
            Write::Mark(sequence) => {
                self.marks.insert(*sequence);
            }
            Write::Note(note, value) => {
                self.notes.insert(note, value.clone());
            }
            Write::Depth(symbol, depth) => {
                self.depths.insert(symbol.clone(), depth.clone());
            }
            Write::Trim(of_in, of_out) => {
                self.trimmed = (self.trimmed.0.max(of_in.0), self.trimmed.1.max(of_out.0));
            }
        }
        self.writes.push(write);
    }

    fn append(&mut self, payload: Vec<u8>, peer: Option<(PartitionId, RequestNumber)>) {
        let time = self.next_time();
        self.write(Write::In { time, payload, peer });
    }

    /// The time that a command appended now would have.
    fn next_time(&self) -> Timestamp {
        let now = self.clock.now();
        self.inbound.last().map_or(now, |&(last, _)| last.max(now))
    }

    /// Whether everything up to there is on every replica that counts.
    fn has_all(&self, needed: usize) -> bool {
        let mut online = self.followers.iter().filter(|follower| follower.online).peekable();
        online.peek().is_some() && online.all(|follower| follower.acked >= needed)
    }

    /// A request arrives. The answer, if there is one already.
    pub(super) fn execute(&mut self, call: u64, request: Request) -> Option<Reply> {
        match request {
            Request::Hello { holds: Some((sequence, ..)), .. } if sequence.0 <= self.trimmed.0 => Some(Reply::Trimmed),
            Request::Hello { ref holds, durable } => {
                let held = holds.as_ref().is_none_or(|(sequence, time, payload)| {
                    let at = usize::try_from(sequence.0 - 1).unwrap_or(usize::MAX);
                    self.inbound.get(at).is_some_and(|found| found.0 == *time && found.1 == *payload)
                });
                let reply = Reply::Hello { epoch: self.epoch, published: self.published(), held };
                self.barrier(call, request, durable, reply)
            }
            Request::Turn { publish_after, ref entries, .. } => {
                if self.published() == publish_after && !entries.is_empty() {
                    if publish_after.0 + entries.len() as u64 > self.inbound.len() as u64 {
                        return Some(Reply::Forked);
                    }
                    let entries = entries.clone();
                    entries.into_iter().for_each(|entry| self.write(Write::Out(entry)));
                }
                self.read(call, request, false)
            }
            Request::Append { payloads, backlog_max } => {
                let tail = self.inbound.len() as u64;
                if !payloads.is_empty() && tail - self.published().0 + payloads.len() as u64 > backlog_max {
                    return Some(Reply::Full);
                }
                payloads.into_iter().for_each(|payload| self.append(payload, None));
                let (first, last) = (Sequence(tail + 1), Sequence(self.inbound.len() as u64));
                Some(Reply::Appended(Appended { first, last, time: self.next_time(), published: self.published() }))
            }
            Request::Deliver { ref letters, barrier } => {
                let mut received = Vec::new();
                for (from, first, messages) in letters.clone() {
                    for (number, bytes) in (first.0..).zip(messages) {
                        let last = self.received.get(&from).copied().unwrap_or_default();
                        if number == last.0 + 1 {
                            self.append(bytes, Some((from, RequestNumber(number))));
                        }
                    }
                    received.push(self.received.get(&from).copied().unwrap_or_default());
                }
                self.barrier(call, request, barrier, Reply::Delivered { received })
            }
            Request::Follow { .. } => self.read(call, request, false),
        }
    }

    /// Reads what there is; if there is nothing, the call waits, unless its time is up.
    fn read(&mut self, call: u64, request: Request, late: bool) -> Option<Reply> {
        match request {
            Request::Turn { read_after, records_max, wait_us, barrier, compare, .. } => {
                // The store returns what it has; the reader finds that it is not what comes next.
                let from = read_after.0.max(self.trimmed.0);
                if from > read_after.0 && self.inbound.len() as u64 > from {
                    return Some(Reply::Trimmed);
                }
                let after = usize::try_from(from).unwrap_or(usize::MAX);
                let found = self.inbound.iter().skip(after).take(records_max.max(1)).cloned();
                let records: Vec<_> = (read_after.0 + 1..)
                    .map(Sequence)
                    .zip(found)
                    .map(|(at, (time, bytes))| (at, time, bytes))
                    .collect();
                let (after, outputs_max) = compare.unwrap_or_default();
                if outputs_max > 0 && after.0 < self.trimmed.1.min(self.published().0) {
                    return Some(Reply::Trimmed);
                }
                let skip = usize::try_from(after.0).unwrap_or(usize::MAX);
                let found = self.out.iter().skip(skip).take(outputs_max).cloned();
                let outputs: Vec<_> = (after.0 + 1..).map(Sequence).zip(found).collect();
                if records.is_empty() && outputs.is_empty() && wait_us > 0 && !late {
                    self.wait(call, request, Stage::Reading);
                    return None;
                }
                let reply = Reply::Turned { published: self.published(), records, durable: false, outputs };
                self.barrier(call, request, barrier, reply)
            }
            Request::Follow { after, records_max, .. } => {
                let from = after.0.max(self.trimmed.1);
                if from > after.0 && self.published().0 > from {
                    return Some(Reply::Trimmed);
                }
                let skip = usize::try_from(from).unwrap_or(usize::MAX);
                let found = self.out.iter().skip(skip).take(records_max).cloned();
                let entries: Vec<_> = (after.0 + 1..).map(Sequence).zip(found).collect();
                if entries.is_empty() && !late {
                    self.wait(call, request, Stage::Reading);
                    return None;
                }
                Some(Reply::Followed { entries })
            }
            _ => None,
        }
    }

    /// Answers once a barrier has held, if one is wanted.
    fn barrier(&mut self, call: u64, request: Request, wanted: bool, reply: Reply) -> Option<Reply> {
        if !wanted {
            return Some(reply);
        }
        let needed = self.writes.len();
        if self.has_all(needed) {
            return Some(self.held(reply));
        }
        self.wait(call, request, Stage::Barrier(needed, reply));
        None
    }

    /// The barrier of a reply has held.
    fn held(&self, reply: Reply) -> Reply {
        match reply {
            Reply::Turned { published, records, outputs, .. } => {
                Reply::Turned { published, records, durable: true, outputs }
            }
            // A worker asks where `out` ends once it knows that the shard is sound.
            Reply::Hello { epoch, held, .. } => Reply::Hello { epoch, published: self.published(), held },
            reply => reply,
        }
    }

    /// Something has changed: the calls that can be answered now.
    pub(super) fn progress(&mut self) -> Vec<(u64, Reply)> {
        let mut answered = Vec::new();
        for Pending { call, request, stage } in std::mem::take(&mut self.pending) {
            let reply = match stage {
                Stage::Reading if self.has_news(&request) => self.read(call, request, false),
                Stage::Barrier(needed, reply) if self.has_all(needed) => Some(self.held(reply)),
                stage => {
                    self.pending.push(Pending { call, request, stage });
                    None
                }
            };
            answered.extend(reply.map(|reply| (call, reply)));
        }
        answered
    }

    /// A call has waited long enough, for something to read or for a barrier. Returns its answer, if it still waits for
    /// that.
    pub(super) fn expire(&mut self, call: u64, reading: bool) -> Option<Reply> {
        let waits = |pending: &Pending| pending.call == call && matches!(pending.stage, Stage::Reading) == reading;
        let at = self.pending.iter().position(waits)?;
        let Pending { request, stage, .. } = self.pending.remove(at);
        match stage {
            Stage::Reading => self.read(call, request, true),
            // What was read is returned all the same, but not as durable.
            Stage::Barrier(_, reply @ Reply::Turned { .. }) => Some(reply),
            Stage::Barrier(..) => Some(Reply::NotDurable),
        }
    }

    /// The master is gone, and with it every connection.
    pub(super) fn lose_master(&mut self) -> Vec<u64> {
        self.up = false;
        self.epoch += 1;
        self.pending.drain(..).map(|pending| pending.call).collect()
    }

    /// A replica that was online takes the master's place; if there is none, the master comes back with all it had.
    /// Which replica it was: it is one no longer.
    pub(super) fn promote(&mut self, dice: &mut Dice) -> Option<usize> {
        self.up = true;
        self.isolated = false;
        self.followers.iter_mut().for_each(|follower| follower.receiving = false);
        let online: Vec<usize> = (0..self.followers.len()).filter(|&at| self.followers[at].online).collect();
        if online.is_empty() {
            return None;
        }
        let chosen = dice.pick(&online);
        let kept = self.followers[chosen].acked;
        let writes: Vec<Write> = self.writes.drain(..).take(kept).collect();
        (self.inbound, self.out, self.trimmed, self.received) = (Vec::new(), Vec::new(), (0, 0), BTreeMap::new());
        (self.marks, self.notes, self.depths) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        writes.into_iter().for_each(|write| self.write(write));
        self.followers[chosen].online = false;
        for follower in &mut self.followers {
            follower.acked = follower.acked.min(kept);
        }
        Some(chosen)
    }

    /// A replica is online again: it has been given everything.
    pub(super) fn rejoin(&mut self, replica: usize) {
        let acked = self.writes.len();
        self.followers[replica] = Follower { acked, online: true, receiving: false };
    }

    /// A replica receives some of what it does not have.
    pub(super) fn replicate(&mut self, replica: usize, dice: &mut Dice) {
        let all = self.writes.len();
        let follower = &mut self.followers[replica];
        follower.receiving = false;
        if follower.online && !self.isolated {
            let missing = all - follower.acked;
            follower.acked =
                if dice.one_in(4) { follower.acked + dice.below(missing as u64 + 1) as usize } else { all };
        }
    }
}

#[cfg(test)]
mod beside {
    //! What stands beside the streams, which the simulated clusters do not use yet.

    use crossbook_cluster::store::{BookDepth, DepthChange, Note};
    use crossbook_types::{Decimal, Sequence, Side};

    use super::{BTreeSet, Shard, Write};

    fn field(note: Note) -> &'static str {
        match note {
            Note::HistoryWritten => "written",
            Note::Import => "import",
        }
    }

    impl Shard {
        /// The first output that is not trimmed, or the next one.
        pub(in super::super) fn first_output(&self) -> Sequence {
            Sequence(self.trimmed.1 + 1)
        }

        pub(in super::super) fn marks(&self) -> &BTreeSet<Sequence> {
            &self.marks
        }

        pub(in super::super) fn mark(&mut self, sequence: Sequence) {
            self.write(Write::Mark(sequence));
        }

        pub(in super::super) fn note(&self, note: Note) -> Option<String> {
            self.notes.get(field(note)).cloned()
        }

        pub(in super::super) fn set_note(&mut self, note: Note, value: &str) {
            self.write(Write::Note(field(note), value.to_owned()));
        }

        pub(in super::super) fn read_depth(&self, symbol: &str) -> Option<BookDepth> {
            self.depths.get(symbol).cloned()
        }

        /// Whether the depth is that far now, or further.
        pub(in super::super) fn write_depth(&mut self, change: &DepthChange<'_>) -> bool {
            let had = self.depths.get(change.symbol).cloned();
            let has = had.as_ref().map(|depth| depth.last);
            if has >= Some(change.last) {
                return true;
            }
            let mut depth = match (change.since, had) {
                (None, _) => BookDepth { last: 0, bids: Vec::new(), asks: Vec::new() },
                (Some(since), Some(depth)) if depth.last >= since => depth,
                _ => return false,
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
            self.write(Write::Depth(change.symbol.to_owned(), depth));
            true
        }

        /// Sends everything to the replicas, if they are connected. Returns whether they have it.
        pub(in super::super) fn replicate_all(&mut self) -> bool {
            let all = self.writes.len();
            if !self.isolated {
                self.followers.iter_mut().filter(|follower| follower.online).for_each(|follower| follower.acked = all);
            }
            self.has_all(all)
        }
    }
}
