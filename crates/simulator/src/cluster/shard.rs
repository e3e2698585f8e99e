//! One shard of the store: the streams of some partitions on a master, with replicas that follow it. It promises what a
//! store with asynchronous replication and a barrier promises, and no more:
//!
//! - Writes have one order, and a replica has a prefix of it.
//! - A confirmation holds when every replica that is online, and at least one, has all that was written before it.
//! - When the master is lost, one of the replicas that were online replaces it. What that one did not have is lost.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_cluster::store::{
    Appended, Checkpoint, Confirm, Confirmed, Delivered, ErrorKind, PartitionOutcome, ReadAfter,
};
use crossbook_node::node::Clock as _;
use crossbook_types::{PartitionId, RequestNumber, Sequence, Timestamp};

use super::call::{Held, Last, OwnedTurn, Part, Peer, Reply, Request};
use super::stream::{Stream, Write};
use crate::clock::WallClock;
use crate::dice::Dice;

/// How long a confirmation waits for the replicas, in microseconds.
pub(super) const CONFIRM_US: u64 = 100_000;

/// A replica, as its master sees it.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    /// How much of what was written it has.
    pub(super) acked: usize,
    pub(super) online: bool,
    /// More is in flight to it.
    pub(super) receiving: bool,
}

/// What a master knows of a conversation.
#[derive(Clone, Debug, Default)]
struct Conversation {
    /// Its last turn.
    call: u64,
    /// How much was written at the end of the turn before that, and of that one.
    before: usize,
    end: usize,
    /// By partition, how many marks there were when it first concerned it.
    marks: BTreeMap<PartitionId, usize>,
}

/// A turn that waits for the replicas.
#[derive(Clone, Debug)]
struct Pending {
    call: u64,
    /// They must have so much of what was written.
    needed: usize,
    /// So much was written at the end of the conversation's turn before.
    before: usize,
    partitions: Vec<Result<PartitionOutcome, ErrorKind>>,
    notifies: BTreeSet<PartitionId>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shard {
    writes: Vec<(PartitionId, Write)>,
    /// The partitions that it began with.
    first: Vec<PartitionId>,
    streams: BTreeMap<PartitionId, Stream>,
    /// Partitions that are moving away, or have arrived and are not named here yet.
    moving: BTreeSet<PartitionId>,
    conversations: BTreeMap<u64, Conversation>,
    /// So much of what was written was on all replicas that count, at some time.
    confirmed: usize,
    pub(super) followers: Vec<Follower>,
    /// Counts the masters; a connection belongs to one of them.
    pub(super) epoch: u64,
    pub(super) up: bool,
    /// The replicas do not receive from the master, though clients reach it.
    pub(super) isolated: bool,
    pub(super) clock: WallClock,
    pending: Vec<Pending>,
    /// Calls that have begun to wait.
    waits: Vec<u64>,
    /// Partitions whose subscribers are to be notified.
    notifies: BTreeSet<PartitionId>,
}

impl Shard {
    pub(super) fn new(partitions: &[PartitionId], replicas: usize, clock: WallClock) -> Self {
        let follower = Follower { acked: 0, online: true, receiving: false };
        Self {
            writes: Vec::new(),
            first: partitions.to_vec(),
            moving: BTreeSet::new(),
            streams: partitions.iter().map(|&partition| (partition, Stream::default())).collect(),
            conversations: BTreeMap::new(),
            confirmed: 0,
            followers: vec![follower; replicas],
            epoch: 1,
            up: true,
            isolated: false,
            clock,
            pending: Vec::new(),
            waits: Vec::new(),
            notifies: BTreeSet::new(),
        }
    }

    /// Whether turns may use it.
    pub(super) fn has(&self, partition: PartitionId) -> bool {
        self.streams.contains_key(&partition) && !self.moving.contains(&partition)
    }

    /// From now on it refuses a partition, or refuses it no longer.
    pub(super) fn set_moving(&mut self, partition: PartitionId, is_moving: bool) {
        if is_moving {
            self.moving.insert(partition)
        } else {
            self.moving.remove(&partition)
        };
    }

    /// Whether a partition may leave or arrive: nobody moves partitions while servers fail.
    pub(super) fn is_whole(&self) -> bool {
        self.up && !self.isolated && self.kept().is_some()
    }

    /// A partition leaves, with all it has, or arrives. The replicas have it at once: that a server is lost before they
    /// do is what is not promised to be survived.
    pub(super) fn leave(&mut self, partition: PartitionId) -> Stream {
        let stream = self.stream(partition).clone();
        self.write(partition, Write::Leave);
        self.moving.remove(&partition);
        self.replicate_all();
        stream
    }

    pub(super) fn arrive(&mut self, partition: PartitionId, stream: Stream) {
        self.moving.insert(partition);
        self.write(partition, Write::Arrive(Box::new(stream)));
        self.replicate_all();
    }

    /// What it has of a partition.
    pub(super) fn stream(&self, partition: PartitionId) -> &Stream {
        &self.streams[&partition]
    }

    /// The calls that have begun to wait since this was last asked.
    pub(super) fn waits(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.waits)
    }

    /// The partitions whose subscribers are to be notified, since this was last asked.
    pub(super) fn notifies(&mut self) -> BTreeSet<PartitionId> {
        std::mem::take(&mut self.notifies)
    }

    /// How much was written.
    pub(super) fn writes(&self) -> usize {
        self.writes.len()
    }

    pub(super) fn write(&mut self, partition: PartitionId, write: Write) {
        let place = self.writes.len();
        if matches!(write, Write::Leave) {
            self.streams.remove(&partition);
        } else {
            self.streams.entry(partition).or_default().write(&write, place);
        }
        self.writes.push((partition, write));
    }

    /// How much is on every replica that counts now; `None` while none does.
    fn kept(&self) -> Option<usize> {
        self.followers.iter().filter(|follower| follower.online).map(|follower| follower.acked).min()
    }

    /// Takes note of what is on the replicas now: no failure that is promised to be survived takes it back.
    pub(super) fn note_kept(&mut self) {
        self.confirmed = self.confirmed.max(self.kept().unwrap_or_default());
    }

    /// Whether a command is, or was, on every replica that counts.
    pub(super) fn is_confirmed(&self, partition: PartitionId, sequence: Sequence) -> bool {
        self.stream(partition).place(sequence).is_some_and(|place| place < self.confirmed)
    }

    /// Where the log of a partition ends durably; `None` while nothing can be confirmed, because no replica is online.
    pub(super) fn durable_end(&self, partition: PartitionId) -> Option<Sequence> {
        let kept = self.kept()?;
        Some(self.stream(partition).end_of(kept))
    }

    /// What of another partition's messages can no longer be lost.
    pub(super) fn durably_received(&self, partition: PartitionId, from: PartitionId) -> RequestNumber {
        let durable = self.writes.iter().take(self.kept().unwrap_or(0));
        let received = durable.filter_map(|write| match write {
            (to, Write::Command { peer: Some((of, number)), .. }) if *to == partition && *of == from => Some(*number),
            (to, Write::Arrive(stream)) if *to == partition => Some(stream.received(from)),
            _ => None,
        });
        received.max().unwrap_or_default()
    }

    /// Trims a partition's log. Returns whether something was trimmed.
    pub(super) fn trim(&mut self, partition: PartitionId, up_to: Sequence) -> bool {
        let stream = self.stream(partition);
        let goes = up_to.min(stream.tail()) >= stream.first();
        if goes {
            self.write(partition, Write::Trim(up_to));
        }
        goes
    }

    fn append(&mut self, partition: PartitionId, payload: Vec<u8>, peer: Option<(PartitionId, RequestNumber)>) {
        let time = self.next_time(partition);
        self.write(partition, Write::Command { time, payload, peer });
    }

    /// The time that a command appended now would have.
    pub(super) fn next_time(&self, partition: PartitionId) -> Timestamp {
        self.stream(partition).time().max(self.clock.now())
    }

    /// What is known of what was written up to `needed`, and up to `before`.
    fn known(&self, needed: usize, before: usize) -> Confirmed {
        match self.kept() {
            Some(kept) if kept >= needed => Confirmed::All,
            Some(kept) if kept >= before => Confirmed::Before,
            _ => Confirmed::Nothing,
        }
    }

    /// A request arrives, in this conversation. The answer, if there is one already.
    pub(super) fn execute(&mut self, call: u64, conversation: Option<u64>, request: &Request) -> Option<Reply> {
        match (request, conversation) {
            (Request::Hello(lasts), _) => Some(self.hello(call, call, lasts)),
            (Request::Resume(lasts), Some(conversation)) => Some(self.hello(call, conversation, lasts)),
            (Request::Turn(turn), Some(conversation)) => self.turn(call, conversation, turn),
            (Request::Turn(_) | Request::Resume(_), None) => Some(Reply::Broken),
        }
    }

    fn hello(&mut self, call: u64, conversation: u64, lasts: &[Last]) -> Reply {
        let of = self.conversations.entry(conversation).or_default();
        of.call = of.call.max(call);
        let with = Peer { epoch: self.epoch, conversation };
        Reply::Hello { with, logs: lasts.iter().map(|last| (last.0, self.holds(last))).collect() }
    }

    fn holds(&self, (partition, last): &Last) -> Held {
        if !self.has(*partition) {
            return Held::Elsewhere;
        }
        let Some((sequence, time, payload)) = last else { return Held::Yes };
        let stream = self.stream(*partition);
        match stream.get(*sequence) {
            _ if *sequence < stream.first() => Held::Trimmed,
            Some(found) if found.0 == *time && found.1 == *payload => Held::Yes,
            _ => Held::Forked,
        }
    }

    /// A copy of a turn that comes again is executed again, but is no turn of the conversation for itself.
    fn turn(&mut self, call: u64, conversation: u64, turn: &OwnedTurn) -> Option<Reply> {
        let mut notifies = BTreeSet::new();
        let mut partitions = Vec::with_capacity(turn.parts.len());
        for part in &turn.parts {
            partitions.push(self.part(conversation, part));
            if part.notify {
                notifies.insert(part.partition);
            }
        }
        let needed = self.writes.len();
        let of = self.conversations.entry(conversation).or_default();
        if call > of.call {
            (of.call, of.before) = (call, of.end);
        }
        of.end = needed;
        let before = of.before;
        let confirmed = match turn.confirm {
            Confirm::No => Confirmed::Nothing,
            Confirm::IfKnown | Confirm::Wait => self.known(needed, before),
        };
        if turn.confirm == Confirm::Wait && confirmed != Confirmed::All {
            self.waits.push(call);
            self.pending.push(Pending { call, needed, before, partitions, notifies });
            return None;
        }
        self.notifies.extend(notifies);
        Some(Reply::Turned { partitions, confirmed })
    }

    fn part(&mut self, conversation: u64, part: &Part) -> Result<PartitionOutcome, ErrorKind> {
        let partition = part.partition;
        if !self.has(partition) {
            return Err(ErrorKind::Elsewhere);
        }
        self.knows_marks(conversation, partition)?;
        #[cfg(test)]
        self.is_open_for(part)?;
        let mut outcome = PartitionOutcome::default();
        for (from, first, messages) in &part.deliver {
            let received = |of: &Self| of.stream(partition).received(*from);
            let before = received(self);
            for (number, bytes) in (first.0..).zip(messages) {
                if number == received(self).0 + 1 {
                    self.append(partition, bytes.clone(), Some((*from, RequestNumber(number))));
                }
            }
            outcome.delivered.push(Delivered { before, last: received(self) });
        }
        if let Some(payloads) = &part.append {
            let first = self.stream(partition).tail().next();
            payloads.iter().for_each(|payload| self.append(partition, payload.clone(), None));
            let (last, time) = (self.stream(partition).tail(), self.next_time(partition));
            let time = if payloads.is_empty() { time } else { self.stream(partition).time() };
            outcome.appended = Some(Appended { first, last, time });
        }
        if let Some(checkpoint) = part.checkpoint {
            outcome.checkpoint = self.compare(partition, checkpoint);
        }
        if let Some(ReadAfter { after, records_max }) = part.commands {
            outcome.commands = self.stream(partition).read(after.next(), records_max.max(1))?;
            let last = outcome.commands.last().map_or(after, |command| command.sequence);
            outcome.has_more = last < self.stream(partition).tail();
        }
        Ok(outcome)
    }

    /// Whether the partition is not closed to what the turn would append.
    #[cfg(test)]
    fn is_open_for(&self, part: &Part) -> Result<(), ErrorKind> {
        use crossbook_cluster::store::Refuses;
        let stream = self.stream(part.partition);
        let Some(closing) = &stream.closing else { return Ok(()) };
        let appends = part.append.as_ref().is_some_and(|payloads| !payloads.is_empty());
        let is_new = |(from, first, messages): &(PartitionId, RequestNumber, Vec<Vec<u8>>)| {
            let last = stream.received(*from).0;
            first.0 <= last + 1 && first.0 + messages.len() as u64 > last + 1
        };
        let delivers = closing.refuses == Refuses::Everything && part.deliver.iter().any(is_new);
        if appends || delivers { Err(ErrorKind::Closed) } else { Ok(()) }
    }

    /// Whether a conversation has read nothing that was marked since.
    fn knows_marks(&mut self, conversation: u64, partition: PartitionId) -> Result<(), ErrorKind> {
        let marks = self.stream(partition).marks().len();
        let of = self.conversations.entry(conversation).or_default();
        let known = *of.marks.entry(partition).or_insert(marks);
        if known == marks { Ok(()) } else { Err(ErrorKind::Marked) }
    }

    /// The hash that was stored first for a checkpoint.
    fn compare(&mut self, partition: PartitionId, checkpoint: Checkpoint) -> Option<u64> {
        let stream = self.stream(partition);
        if stream.is_new(checkpoint) {
            self.write(partition, Write::Checkpoint(checkpoint));
        }
        self.stream(partition).checkpoint(checkpoint.sequence)
    }

    /// Reads in a conversation.
    #[cfg(test)]
    pub(super) fn read(
        &mut self,
        conversation: u64,
        partition: PartitionId,
        from: Sequence,
        records_max: usize,
    ) -> Result<Vec<crossbook_cluster::store::StoredCommand>, ErrorKind> {
        let read = self.stream(partition).read(from, records_max)?;
        if !read.is_empty() {
            self.knows_marks(conversation, partition)?;
        }
        Ok(read)
    }

    /// Something has changed: the calls that can be answered now.
    pub(super) fn progress(&mut self) -> Vec<(u64, Reply)> {
        self.note_kept();
        let kept = self.kept();
        let (held, waiting) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<Vec<_>, _>(|pending| kept.is_some_and(|kept| kept >= pending.needed));
        self.pending = waiting;
        held.into_iter().map(|pending| (pending.call, self.answer(pending))).collect()
    }

    fn answer(&mut self, pending: Pending) -> Reply {
        let Pending { needed, before, partitions, notifies, .. } = pending;
        self.notifies.extend(notifies);
        Reply::Turned { partitions, confirmed: self.known(needed, before) }
    }

    /// A call has waited long enough for its confirmation. Returns its answer, if it still waits.
    pub(super) fn expire(&mut self, call: u64) -> Option<Reply> {
        let at = self.pending.iter().position(|pending| pending.call == call)?;
        let pending = self.pending.remove(at);
        Some(self.answer(pending))
    }

    /// The master is gone, and with it every connection.
    pub(super) fn lose_master(&mut self) -> Vec<u64> {
        self.up = false;
        self.epoch += 1;
        self.conversations.clear();
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
        assert!(kept >= self.confirmed, "a replica that counts has all that was confirmed");
        let writes: Vec<_> = self.writes.drain(..).take(kept).collect();
        self.streams = self.first.iter().map(|&partition| (partition, Stream::default())).collect();
        writes.into_iter().for_each(|(partition, write)| self.write(partition, write));
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

    /// Sends everything to the replicas, if they are connected.
    pub(super) fn replicate_all(&mut self) {
        let all = self.writes.len();
        if !self.isolated {
            self.followers.iter_mut().filter(|follower| follower.online).for_each(|follower| follower.acked = all);
        }
        self.note_kept();
    }
}
