//! One process's conversation with one shard about all its partitions there: what the next turn asks, and what follows
//! from its answer. No I/O, no threads and no clock; [`crate::runtime`] runs it, and so does the simulator.
//!
//! A turn appends a gateway's requests, delivers messages of other partitions, reads on in all logs, and has all of it
//! confirmed, for all partitions in one round trip. What is confirmed is applied. The effects tell which requests were
//! accepted, and contain the messages for other partitions; see [`crate::mailbox`] for who delivers them.
//!
//! Turns are paced, because a turn costs the store much more than a command in it: see [`Pace`].

use std::collections::BTreeMap;
use std::time::Duration;

use crossbook_protocol::Body;
use crossbook_protocol::peer::Outgoing;
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, Timestamp};

use crate::mailbox::{Forgotten, Mailbox};
use crate::replica::{self, Applied, Replica};
use crate::requests::appends::{Appends, Round, Timeouts};
use crate::store::{Bounds, Checkpoint, Confirm, Confirmed, Deliver, PartitionOutcome, PartitionTurn, ReadAfter, Turn};

mod away;
mod budget;
mod mail;
mod pace;
pub use mail::{Letter, Mail};
pub use pace::Pace;

use away::Away;
use budget::Budget;

/// Why a partition cannot continue in this process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its log is not what it was.
    #[error(transparent)]
    Replica(#[from] replica::Error),
    /// It has lost messages that it had received.
    #[error("messages from partition {from}: {source}")]
    Forgotten {
        /// The sender.
        from: PartitionId,
        /// What is lost.
        source: Forgotten,
    },
}

/// One partition in a session.
#[derive(Debug)]
pub struct Member {
    /// The partition.
    pub replica: Replica,
    /// The requests of a gateway for it; `None` in a process that is none.
    pub appends: Option<Appends>,
    /// By sender, the messages for it.
    mailboxes: BTreeMap<PartitionId, Mailbox>,
    /// Messages of the commands that a turn has applied, until the turn is taken in.
    letters: Vec<Letter>,
    /// Whether somebody wants to know where its log ends.
    asks_end: bool,
    /// Whether the last turn may have left commands unread.
    is_behind: bool,
    /// Whether something was written of which its subscribers were not notified.
    owes_notification: bool,
    /// Set while it is moving to another shard.
    away: Option<Away>,
}

/// A turn, as far as it is about one partition.
#[derive(Clone, Default, Debug)]
struct Part {
    partition: PartitionId,
    round: Option<Round>,
    asks_end: bool,
    /// By sender, the number of the first message and how many there are.
    deliver: Vec<(PartitionId, RequestNumber, usize)>,
    checkpoint: Option<Checkpoint>,
    read: Option<ReadAfter>,
    /// Whether its subscribers are notified.
    notify: bool,
}

/// A planned turn.
#[derive(Clone, Debug)]
pub struct Plan {
    parts: Vec<Part>,
    /// The confirmation that it ends with.
    pub confirm: Confirm,
}

/// What every session of a process has in common.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The source of a gateway's requests; `None` in a process that is none.
    pub source: Option<SourceId>,
    /// The most that one append takes, and a whole turn.
    pub bounds: Bounds,
    /// Messages of one sender delivered to a partition in one turn.
    pub deliver_max: usize,
    /// How long a message must have waited before this process delivers it in place of the one that is responsible.
    pub patience: Duration,
    /// When turns take place.
    pub pace: Pace,
    /// When a gateway's requests are appended again or given up.
    pub timeouts: Timeouts,
}

/// The result of a turn for one partition.
#[derive(Debug, Default)]
pub struct Step {
    /// When the turn began.
    pub began: Duration,
    /// Commands that were applied.
    pub applied: usize,
    /// Messages for other partitions.
    pub letters: Vec<Letter>,
    /// Where the log ended, if that was asked.
    pub end: Option<Sequence>,
}

impl Member {
    /// A partition as this process begins with it.
    #[must_use]
    pub fn new(mut replica: Replica, appends: Option<Appends>) -> Self {
        let mut mailboxes = BTreeMap::new();
        let own = replica.partition().id();
        if let Some(continuation) = replica.continuation() {
            let mut mailbox = Mailbox::new(replica.partition().received(own));
            mailbox.post(continuation.number, encode(own, continuation).bytes, false, Duration::ZERO);
            mailboxes.insert(own, mailbox);
        }
        Self {
            replica,
            appends,
            mailboxes,
            letters: Vec::new(),
            asks_end: false,
            is_behind: true,
            owes_notification: false,
            away: None,
        }
    }

    /// Adds a message for this partition.
    pub fn post(&mut self, letter: Letter, now: Duration) {
        let Letter { from, number, bytes, is_own, .. } = letter;
        self.mailbox(from).post(number, bytes, is_own, now);
    }

    /// What the commands that it has applied leave for other partitions, when a turn could not be taken in whole.
    pub fn into_letters(self) -> Vec<Letter> {
        self.letters
    }

    /// Has the next turn say where the log ends.
    pub fn ask_end(&mut self) {
        self.asks_end = true;
    }

    /// How many messages are retained for it.
    #[must_use]
    pub fn retained(&self) -> usize {
        self.mailboxes.values().map(Mailbox::len).sum()
    }

    /// The connection broke.
    pub fn disconnected(&mut self) {
        self.replica.disconnected();
        self.mailboxes.values_mut().for_each(Mailbox::disconnected);
        if let Some(appends) = &mut self.appends {
            appends.disconnected();
        }
        self.is_behind = true;
    }

    fn mailbox(&mut self, from: PartitionId) -> &mut Mailbox {
        let received = self.replica.partition().received(from);
        self.mailboxes.entry(from).or_insert_with(|| Mailbox::new(received))
    }

    /// Whether it may read on. A partition that has messages to receive always may, because only what it reads frees
    /// room.
    fn reads(&self, has_room: bool) -> bool {
        has_room || self.retained() > 0
    }

    /// The part of a turn that may still carry as much as the budget has.
    fn plan(&self, settings: &Settings, budget: &mut Budget, times: (Timestamp, Duration), has_room: bool) -> Part {
        let (clock, now) = times;
        // Messages leave half to requests, so that these are appended, however many messages there are.
        let has_due = self.appends.as_ref().is_some_and(Appends::has_due);
        let mut for_messages = if has_due { budget.half() } else { *budget };
        let next = |(&from, mailbox): (&PartitionId, &Mailbox)| {
            // How many requests an append may have says nothing of messages.
            let bounds = Bounds { records_max: settings.deliver_max, ..settings.bounds };
            let Bounds { records_max, bytes_max, .. } = for_messages.share(bounds);
            let (first, count) = mailbox.next(records_max, settings.patience, now)?;
            let mut bytes = 0;
            let fits = |message: &&[u8]| {
                let fits = bytes + message.len() <= bytes_max;
                bytes += if fits { message.len() } else { 0 };
                fits
            };
            let count = mailbox.messages(count).take_while(fits).count();
            [&mut for_messages, budget].into_iter().for_each(|budget| budget.spend(count, bytes));
            (count > 0).then_some((from, first, count))
        };
        let deliver = self.mailboxes.iter().filter_map(next).collect();
        let bounds = budget.share(settings.bounds);
        let round = self.appends.as_ref();
        let round = round.and_then(|appends| appends.round(bounds, self.asks_end, &settings.timeouts, clock, now));
        let due = round.iter().flat_map(|round| &round.due);
        budget.spend(due.clone().count(), due.map(|due| due.bytes.len()).sum());
        let read = self.replica.read().filter(|_| self.reads(has_room));
        let read = read.map(|read| ReadAfter { records_max: budget.read(read.records_max), ..read });
        Part {
            partition: self.replica.partition().id(),
            asks_end: self.asks_end,
            deliver,
            checkpoint: self.replica.checkpoint(),
            read: read.filter(|read| read.records_max > 0),
            notify: false,
            round,
        }
    }

    /// The turn was refused, because the partition is closed. Returns the requests that have no effect.
    fn closed(&mut self, part: &Part) -> Vec<RequestNumber> {
        // Without the requests the next turn is not refused, and does what this one should have done.
        self.is_behind |= part.round.as_ref().is_some_and(|round| !round.due.is_empty());
        self.appends.as_mut().map(Appends::closed).unwrap_or_default()
    }

    /// Takes in the result of a turn: applies what is confirmed. `applied` gets each command with what it caused.
    fn take(
        &mut self,
        part: Part,
        outcome: PartitionOutcome,
        confirmed: Confirmed,
        settings: &Settings,
        (clock, now): (Timestamp, Duration),
        mut applied: impl FnMut(&Applied<'_>),
    ) -> Result<Step, Error> {
        let mut step = Step::default();
        for (&(from, first, count), answer) in part.deliver.iter().zip(outcome.delivered) {
            let delivered = self.mailbox(from).delivered((first, count), answer, confirmed == Confirmed::All);
            delivered.map_err(|source| Error::Forgotten { from, source })?;
        }
        if let Some(end) = outcome.appended {
            if let (Some(appends), Some(round)) = (&mut self.appends, &part.round) {
                appends.appended(round, end, clock, now);
            }
            if part.asks_end {
                (self.asks_end, step.end) = (false, Some(end.last));
            }
        }
        if let Some(checkpoint) = part.checkpoint {
            self.replica.compare(checkpoint, outcome.checkpoint)?;
        }
        if part.read.is_some() {
            self.is_behind = outcome.has_more;
        }
        let own = self.replica.partition().id();
        let Self { replica, appends, mailboxes, letters, .. } = self;
        step.applied = replica.take(outcome.commands, confirmed, |effects| {
            let (source, number) = (effects.command.source, effects.command.number);
            let is_own = if settings.source == Some(source) {
                appends.iter_mut().for_each(|appends| appends.taken(number));
                true
            } else {
                let sender = u16::try_from(source.0).ok().map(PartitionId);
                sender.and_then(|from| mailboxes.get_mut(&from)).is_some_and(|mailbox| mailbox.received(number))
            };
            applied(&effects);
            letters.extend(effects.outgoing.drain(..).map(|message| Letter { is_own, ..encode(own, message) }));
        })?;
        step.letters = std::mem::take(letters);
        Ok(step)
    }
}

/// A message of a partition, as a letter that this process is not responsible for.
fn encode(from: PartitionId, message: Outgoing) -> Letter {
    let Outgoing { to, number, deadline, message } = message;
    let mut bytes = Vec::new();
    let source = SourceId::partition(from);
    crossbook_protocol::wire::encode_command(
        source,
        number,
        deadline.map(Into::into),
        &Body::Peer(message),
        &mut bytes,
    );
    Letter { from, to, number, bytes, is_own: false }
}

/// The partitions of one shard in a process. See the module.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    members: BTreeMap<PartitionId, Member>,
    /// When the last turn began.
    turned: Option<Duration>,
    /// Whether the shard may have new commands.
    notified: bool,
    /// When others were last notified.
    told: Option<Duration>,
    /// Since when commands are held that were not confirmed, and nothing was.
    unconfirmed_since: Option<Duration>,
    /// Whether the turn has confirmed something.
    has_applied: bool,
    /// The partition that is the first of the next turn: another one when a turn could not carry what all have.
    first: PartitionId,
}

impl Session {
    /// A session without partitions.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            members: BTreeMap::new(),
            turned: None,
            notified: true,
            told: None,
            unconfirmed_since: None,
            has_applied: false,
            first: PartitionId::default(),
        }
    }

    /// Has turns begin at other times; see [`Pace::phase`].
    pub fn set_phase(&mut self, phase: Duration) {
        self.settings.pace.phase = phase;
    }

    /// Adds a partition.
    pub fn add(&mut self, mut member: Member) {
        member.away = None;
        self.members.insert(member.replica.partition().id(), member);
        self.notified = true;
    }

    /// Takes a partition out.
    pub fn remove(&mut self, partition: PartitionId) -> Option<Member> {
        self.members.remove(&partition)
    }

    /// The partitions in it.
    pub fn members(&self) -> impl Iterator<Item = (PartitionId, &Member)> {
        self.members.iter().map(|(&partition, member)| (partition, member))
    }

    /// One of its partitions.
    pub fn member(&mut self, partition: PartitionId) -> Option<&mut Member> {
        self.members.get_mut(&partition)
    }

    /// The shard may have new commands.
    pub fn notify(&mut self) {
        self.notified = true;
    }

    /// The connection broke: what was not confirmed is read, delivered and appended again.
    pub fn disconnected(&mut self) {
        self.members.values_mut().for_each(Member::disconnected);
        (self.notified, self.unconfirmed_since) = (true, None);
    }

    /// When the next turn is due; a time that has passed means at once. Without any reason for one it is the time when
    /// the shard is read in case that a notification was lost. `has_room`: whether more messages may be retained.
    #[must_use]
    pub fn due(&self, now: Duration, has_room: bool) -> Duration {
        let Some(turned) = self.turned else { return now };
        let Settings { pace, patience, timeouts, .. } = &self.settings;
        let members = || self.members.values().filter(|member| member.away.is_none());
        if members().any(|member| member.reads(has_room) && member.is_behind && member.replica.read().is_some()) {
            return now;
        }
        let appends = || members().filter_map(|member| member.appends.as_ref());
        let is_urgent = members().any(|member| member.asks_end || member.mailboxes.values().any(Mailbox::has_own))
            || appends().any(|appends| appends.has_due() || appends.must_check(timeouts, now));
        if is_urgent {
            return pace.next_write(turned);
        }
        let overdue =
            members().flat_map(|member| member.mailboxes.values()).filter_map(|mailbox| mailbox.overdue_at(*patience));
        let mut due = turned + pace.poll;
        if let Some(overdue) = overdue.min() {
            due = due.min(overdue.max(pace.next_write(turned)));
        }
        if self.notified || self.unconfirmed_since.is_some() {
            due = due.min(turned + pace.read);
        }
        if members().any(|member| member.owes_notification) {
            due = due.min(self.told.map_or(now, |told| told + pace.notify));
        }
        due
    }

    /// Plans the next turn. `clock` is the process's time of day, `now` the time since its start, `has_room` whether
    /// more messages may be retained: if not, only those partitions read on for which some are. Partitions that are
    /// moving to another shard have no part in it.
    pub fn plan(&mut self, clock: Timestamp, now: Duration, has_room: bool) -> Plan {
        self.turned = Some(now);
        self.notified &= !has_room;
        let settings = &self.settings;
        let is_due = self.told.is_none_or(|told| now.saturating_sub(told) >= settings.pace.notify);
        let (mut writes, mut notifies) = (false, false);
        let mut parts = Vec::with_capacity(self.members.len());
        let mut budget = Budget::of(settings.bounds);
        let before = self.members.range(..self.first).count();
        let mut members: Vec<&mut Member> = self.members.values_mut().collect();
        members.rotate_left(before);
        let next = members.get(1).map(|next| next.replica.partition().id()).unwrap_or_default();
        for member in members.into_iter().filter(|member| member.away.is_none()) {
            let mut part = member.plan(settings, &mut budget, (clock, now), has_room);
            member.owes_notification |= part.writes();
            part.notify = is_due && std::mem::take(&mut member.owes_notification);
            writes |= part.writes();
            notifies |= part.notify;
            parts.push(part);
        }
        if budget.is_short(settings.bounds) {
            self.first = next;
        }
        if notifies {
            self.told = Some(now);
        }
        let waits = self.unconfirmed_since.is_some_and(|since| now.saturating_sub(since) >= settings.pace.confirm);
        let confirm = if waits || writes { Confirm::Wait } else { Confirm::IfKnown };
        Plan { parts, confirm }
    }

    /// Carries out a planned turn.
    pub fn with_turn<T>(&self, plan: &Plan, execute: impl FnOnce(&Turn<'_>) -> T) -> T {
        let deliver: Vec<Vec<Deliver<'_>>> = plan.parts.iter().map(|part| self.deliveries(part)).collect();
        let payloads: Vec<Option<Vec<&[u8]>>> = plan.parts.iter().map(Part::payloads).collect();
        let partitions =
            plan.parts.iter().zip(&deliver).zip(&payloads).map(|((part, deliver), append)| PartitionTurn {
                partition: part.partition,
                deliver,
                append: append.as_deref(),
                checkpoint: part.checkpoint,
                commands: part.read,
                notify: part.notify,
            });
        execute(&Turn { partitions: partitions.collect(), confirm: plan.confirm })
    }

    fn deliveries(&self, part: &Part) -> Vec<Deliver<'_>> {
        let Some(member) = self.members.get(&part.partition) else { return Vec::new() };
        let letters = part.deliver.iter().filter_map(|&(from, first, count)| {
            let messages = member.mailboxes.get(&from)?.messages(count).collect();
            Some(Deliver { from, first, messages })
        });
        letters.collect()
    }

    /// Takes in the answer for one partition of the turn, by its place in it, once. `applied` gets each command that
    /// was applied, with what it caused.
    ///
    /// # Errors
    /// When the partition cannot continue here.
    ///
    /// # Panics
    /// When an invariant of the partition does not hold.
    pub fn take(
        &mut self,
        plan: &mut Plan,
        at: usize,
        (outcome, confirmed): (PartitionOutcome, Confirmed),
        times: (Timestamp, Duration),
        applied: impl FnMut(&Applied<'_>),
    ) -> Result<Step, Error> {
        let Some(part) = plan.parts.get_mut(at).map(std::mem::take) else { return Ok(Step::default()) };
        let Some(member) = self.members.get_mut(&part.partition) else { return Ok(Step::default()) };
        let mut step = member.take(part, outcome, confirmed, &self.settings, times, applied)?;
        step.began = self.turned.unwrap_or_default();
        self.has_applied |= step.applied > 0;
        let (_, now) = times;
        for letter in std::mem::take(&mut step.letters) {
            match self.members.get_mut(&letter.to) {
                Some(member) => member.post(letter, now),
                None => step.letters.push(letter),
            }
        }
        Ok(step)
    }

    /// Takes in that the turn was refused for one partition, because it is closed. Its requests are not appended any
    /// more, messages and readings are part of the next turn. Returns the requests that have no effect.
    pub fn closed(&mut self, plan: &mut Plan, at: usize) -> Vec<RequestNumber> {
        let Some(part) = plan.parts.get_mut(at).map(std::mem::take) else { return Vec::new() };
        self.members.get_mut(&part.partition).map(|member| member.closed(&part)).unwrap_or_default()
    }

    /// Takes in that the turn was refused for one partition, because it is moving to another shard. It has no part in
    /// turns until it is [back](Session::is_back), or is taken out for a session with the other shard. What was not
    /// confirmed is read, delivered and appended again.
    pub fn refused(&mut self, partition: PartitionId, now: Duration) {
        if let Some(member) = self.members.get_mut(&partition) {
            member.disconnected();
            #[cfg(crossbook_bugs)]
            if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::RefusedForgetsMessages) {
                member.mailboxes.clear();
            }
            let away = member.away.get_or_insert_default();
            away.refused(now);
        }
    }

    /// The partitions that are moving to another shard.
    pub fn away(&self) -> impl Iterator<Item = PartitionId> {
        self.members().filter(|(_, member)| member.away.is_some()).map(|(partition, _)| partition)
    }

    /// When the store is to be asked next whether one of them is here again; `None` if there is none.
    #[must_use]
    pub fn asks_at(&self) -> Option<Duration> {
        self.members.values().filter_map(|member| Some(member.away.as_ref()?.asks_at())).min()
    }

    /// A partition is here again.
    pub fn is_back(&mut self, partition: PartitionId) {
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::RefusedStaysAway) {
            return;
        }
        if let Some(member) = self.members.get_mut(&partition) {
            member.away = None;
            self.notified = true;
        }
    }

    /// Ends a turn, after the answers for all partitions were taken in.
    pub fn turned(&mut self, now: Duration) {
        let is_waiting = self.members.values().any(|member| member.replica.is_waiting());
        // While others cause confirmations, each turn confirms what was read in the one before.
        let since = self.unconfirmed_since.filter(|_| !self.has_applied);
        self.unconfirmed_since = is_waiting.then(|| since.unwrap_or(now));
        self.has_applied = false;
    }
}

impl Part {
    /// Whether it appends or delivers something.
    fn writes(&self) -> bool {
        !self.deliver.is_empty() || self.round.as_ref().is_some_and(|round| !round.due.is_empty())
    }

    fn payloads(&self) -> Option<Vec<&[u8]>> {
        let due = self.round.as_ref().map(|round| round.due.iter().map(|due| &*due.bytes).collect::<Vec<_>>());
        due.or_else(|| self.asks_end.then(Vec::new))
    }
}

impl Plan {
    /// How many commands it appends or delivers.
    #[must_use]
    pub fn commands(&self) -> usize {
        let appended = self.parts.iter().filter_map(|part| part.round.as_ref()).map(|round| round.due.len());
        let delivered = self.parts.iter().flat_map(|part| &part.deliver).map(|&(_, _, count)| count);
        appended.chain(delivered).sum()
    }

    /// The partitions of the turn, in its order.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        self.parts.iter().map(|part| part.partition)
    }
}

#[cfg(test)]
mod tests;
