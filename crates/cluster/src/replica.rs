//! One worker's copy of a partition: decides when a command may be applied, and whether this copy publishes.
//!
//! A [`Replica`] has no connection and no clock. It plans the next round trip to the store ([`Plan`]), and gets its
//! result. One round trip does everything: it appends the last outputs to `out`, reads on in `in`, and waits until the
//! replicas have what it read.
//!
//! ```text
//!   in   ... | n-2 | n-1 |  n  | n+1 | n+2 |       read, and confirmed by a barrier: applied
//!                           |     \_________\_____ read ahead: not confirmed (active), or not yet published by the active (standby)
//!   out  ... | n-2 | n-1 |  n  |
//!                     |     \_____________________ appended; outputs are retained until a barrier confirms them
//! ```
//!
//! An active replica applies what a barrier has confirmed. A standby need not wait for barriers: entries of `out` were
//! confirmed to the worker that published them, so the standby follows `out`. If there is something to publish and
//! `out` does not grow for [`Limits::takeover_us`], the standby becomes active; sooner if other partitions of its
//! worker have just done so ([`Replica::suspect`]), because the worker that failed there was probably active here too.
//! An active replica that finds `out` longer than what it has published itself, or that repeatedly finds its outputs
//! already there, becomes a standby, because another worker is active. For a while two may both be active; that costs
//! work and nothing else.
//!
//! The clock is used only to wait. It may be set meanwhile: a wait that appears to begin in the future begins now, so
//! it is at most doubled.

use std::collections::VecDeque;
use std::time::Duration;

use crossbook_engine::Partition;
use crossbook_log::Record;
use crossbook_protocol::peer::{Outgoing, PeerMessage};
use crossbook_protocol::{Events, Rules};
use crossbook_types::{RequestNumber, Sequence, Timestamp};

use crate::depth::{self, Depths};
use crate::store::ReadAfter;
use crossbook_node::panic::naming;

mod error;
pub use error::Error;

/// Whether a replica publishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It publishes.
    Active,
    /// It follows what another worker publishes, ready to take over.
    Standby,
}

/// How much a replica does at a time, and how patient it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Records read in one round trip.
    pub records_max: usize,
    /// Records read and not yet applied.
    pub held_max: usize,
    /// Outputs published in one round trip.
    pub entries_max: usize,
    /// Outputs that are not confirmed; with more, nothing is read.
    pub unconfirmed_outputs_max: usize,
    /// How long `out` must be silent before a standby publishes, in microseconds.
    pub takeover_us: u64,
    /// How often in a row an active replica finds that another one has published, before it becomes a standby. Use
    /// different values for different workers, so that not all step down at once.
    pub contested_max: u32,
    /// How long a round trip waits for something to read, in microseconds.
    pub idle_us: u64,
    /// How often a standby has its outputs confirmed, in microseconds.
    pub confirm_every_us: u64,
}

/// A suspicion makes a standby this many times less patient.
const SUSPICION: u64 = 4;

/// What the next round trip should do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Append outputs if `out` ends here.
    pub publish_after: Sequence,
    /// How many; see [`Replica::entries`].
    pub entries: usize,
    /// Read what follows this in `in`.
    pub read_after: Sequence,
    /// At most so many.
    pub records_max: usize,
    /// How long to wait for the first.
    pub wait: Duration,
    /// Whether to have all of it confirmed.
    pub barrier: bool,
    /// Published outputs to read; see [`Replica::compare`].
    pub compare: Option<ReadAfter>,
}

/// What a round trip brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Commands applied.
    pub applied: usize,
    /// Whether the replica has changed its standing.
    pub turned: Option<Standing>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Held {
    sequence: Sequence,
    time: Timestamp,
    payload: Vec<u8>,
}

/// One worker's copy of a partition.
#[derive(Debug)]
pub struct Replica {
    partition: Partition,
    limits: Limits,
    standing: Standing,
    /// Read, not yet applied.
    held: VecDeque<Held>,
    /// The last record applied, to know the log again.
    last: Option<Held>,
    /// Where `out` ends, as far as is known.
    published: Sequence,
    /// What the commands after this brought is in `outputs`; `out` was confirmed up to here.
    confirmed: Sequence,
    outputs: VecDeque<Vec<u8>>,
    /// Up to here, the published outputs of another worker equal the ones computed here. A standby retains its outputs
    /// until then.
    compared: Sequence,
    /// The newest rules that this program knows.
    known: Rules,
    /// The plan that is being carried out.
    planned: Option<Plan>,
    /// Since when there has been something to publish, and no worker has published it.
    silent_since: Option<Timestamp>,
    /// Until when the active worker is suspected to have failed.
    suspected_until: Timestamp,
    confirmed_at: Timestamp,
    /// How often in a row another one has published.
    contested: u32,
    events: Events,
    outgoing: Vec<Outgoing>,
    /// The last message that the partition was given for itself, to continue deferred work.
    continued: RequestNumber,
    depths: Depths,
}

impl Replica {
    /// A standby that starts at the position of `partition`; `published` is the end of `out`, confirmed by a barrier.
    ///
    /// # Errors
    /// When `out` ends before that.
    pub fn new(partition: Partition, published: Sequence, limits: Limits) -> Result<Self, Error> {
        let snapshot = partition.sequence();
        if published < snapshot {
            return Err(Error::Behind { published, snapshot });
        }
        Ok(Self {
            partition,
            limits,
            standing: Standing::Standby,
            held: VecDeque::new(),
            last: None,
            published,
            confirmed: snapshot,
            outputs: VecDeque::new(),
            // What was published before the start may be trimmed.
            compared: published,
            known: Rules::NEWEST,
            planned: None,
            silent_since: None,
            suspected_until: Timestamp(0),
            confirmed_at: Timestamp(0),
            contested: 0,
            events: Events::new(),
            outgoing: Vec::new(),
            continued: RequestNumber(0),
            depths: Depths::default(),
        })
    }

    /// The same in a program that knows only rules up to these.
    ///
    /// # Errors
    /// When the partition's state is one of newer rules.
    pub fn knowing(self, known: Rules) -> Result<Self, Error> {
        let (rules, sequence) = (self.partition.active_rules(), self.partition.sequence());
        if rules > known { Err(Error::UnknownRules { sequence, rules, known }) } else { Ok(Self { known, ..self }) }
    }

    /// The partition as it is now.
    #[must_use]
    pub fn partition(&self) -> &Partition {
        &self.partition
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

    /// Whether it publishes.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Where `out` ends, as far as is known.
    #[must_use]
    pub fn published(&self) -> Sequence {
        self.published
    }

    /// Up to where `out` is known to be on every replica.
    #[must_use]
    pub fn confirmed(&self) -> Sequence {
        self.confirmed
    }

    /// The last record applied since the start, if any. On a new connection it must still be there, unchanged.
    #[must_use]
    pub fn last(&self) -> Option<Record<'_>> {
        self.last.as_ref().map(|last| Record { sequence: last.sequence, time: last.time, payload: &last.payload })
    }

    /// What the next round trip should do.
    pub fn plan(&mut self, now: Timestamp) -> Plan {
        self.silent_since = self.silent_since.map(|since| since.min(now));
        self.confirmed_at = self.confirmed_at.min(now);
        let active = self.standing == Standing::Active;
        let unpublished = self.partition.sequence().0.saturating_sub(self.published.0);
        let unpublished = usize::try_from(unpublished).unwrap_or(usize::MAX).min(self.outputs.len());
        let entries = if active { unpublished.min(self.limits.entries_max) } else { 0 };
        let full = self.outputs.len() >= self.limits.unconfirmed_outputs_max;
        let room = self.limits.held_max.saturating_sub(self.held.len()).min(self.limits.records_max);
        let wait_us = if active && (entries < unpublished || !self.held.is_empty()) {
            0
        } else if let Some(since) = self.silent_since {
            self.patience_us(now).saturating_sub(now.0.saturating_sub(since.0)).min(self.limits.idle_us)
        } else {
            self.limits.idle_us
        };
        let due = now.0.saturating_sub(self.confirmed_at.0) >= self.limits.confirm_every_us;
        let plan = Plan {
            publish_after: self.published,
            entries,
            read_after: self.held.back().map_or(self.partition.sequence(), |held| held.sequence),
            records_max: if full { 0 } else { room },
            wait: Duration::from_micros(wait_us),
            barrier: active || full || (due && !self.outputs.is_empty()),
            compare: self.uncompared(),
        };
        self.planned = Some(plan);
        plan
    }

    /// What a standby has computed and another worker has published, and that was not compared yet.
    fn uncompared(&self) -> Option<ReadAfter> {
        let published = self.published.min(self.partition.sequence());
        let count = usize::try_from(published.0.saturating_sub(self.compared.0)).unwrap_or(usize::MAX);
        let records_max = count.min(self.limits.entries_max);
        (self.standing == Standing::Standby && count > 0).then_some(ReadAfter { after: self.compared, records_max })
    }

    /// Takes in published outputs that [`Plan::compare`] asked for, each with the place of its command. Which bytes are
    /// published of a command is part of the rules, so all programs that know them publish the same.
    ///
    /// # Errors
    /// [`Error::Diverged`] when one is not what this replica has computed of its command.
    pub fn compare<'o>(&mut self, published: impl IntoIterator<Item = (Sequence, &'o [u8])>) -> Result<(), Error> {
        for (sequence, output) in published {
            let own = sequence.0.checked_sub(self.confirmed.0 + 1).and_then(|at| usize::try_from(at).ok());
            let own = own.and_then(|at| self.outputs.get(at));
            // It may have become active meanwhile, and what it compares have been discarded.
            let Some(own) = own.filter(|_| sequence == self.compared.next()) else { return Ok(()) };
            if own.as_slice() != output {
                return Err(Error::Diverged { sequence });
            }
            self.compared = sequence;
        }
        Ok(())
    }

    /// The outputs to publish by the plan, in order.
    pub fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let plan = self.planned.filter(|plan| plan.entries > 0);
        let (skip, take) = plan.map_or((0, 0), |plan| {
            let skip = plan.publish_after.0.saturating_sub(self.confirmed.0);
            (usize::try_from(skip).unwrap_or(usize::MAX), plan.entries)
        });
        self.outputs.iter().skip(skip).take(take).map(Vec::as_slice)
    }

    /// Takes in what the round trip brought: `published` is where `out` ends now, `records` is what was read, `durable`
    /// whether a barrier has confirmed everything. What applied commands leave for other partitions is given to `post`,
    /// each message once.
    ///
    /// # Errors
    /// When the log is not what it was.
    ///
    /// # Panics
    /// When an invariant of the partition does not hold.
    pub fn take<'r>(
        &mut self,
        published: Sequence,
        records: impl IntoIterator<Item = Record<'r>>,
        durable: bool,
        now: Timestamp,
        mut post: impl FnMut(Outgoing),
    ) -> Result<Step, Error> {
        let before = self.standing;
        let plan = self.planned.take();
        if published < self.confirmed {
            return Err(Error::Lost { published, confirmed: self.confirmed });
        }
        if self.standing == Standing::Active {
            let own = plan.map_or(self.published, |plan| Sequence(plan.publish_after.0 + plan.entries as u64));
            // `out` may also end earlier, because a failure took its end away; that is published again.
            let by_another = published > own || (published > self.published && published < own);
            self.contested = if by_another { self.contested + 1 } else { 0 };
            if published > self.partition.sequence() || self.contested >= self.limits.contested_max {
                (self.standing, self.contested) = (Standing::Standby, 0);
            }
        }
        let advanced = published > self.published;
        self.published = published;
        for record in records {
            let after = self.held.back().map_or(self.partition.sequence(), |held| held.sequence);
            if record.sequence != after.next() {
                return Err(Error::Gap { after, found: record.sequence });
            }
            let Record { sequence, time, payload } = record;
            self.held.push_back(Held { sequence, time, payload: payload.to_vec() });
        }
        let mut applied = 0;
        // A state that it began with may have left something.
        self.go_on(&mut post);
        // A barrier confirms everything that was read on its connection. The entries of `out` were confirmed to their
        // publisher.
        let confirmed = durable;
        #[cfg(crossbook_bugs)]
        let confirmed = confirmed || crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::PublishedBeforeWait);
        while let Some(next) = self.held.front()
            && (confirmed || next.sequence <= published)
        {
            let Some(next) = self.held.pop_front() else { break };
            self.apply(next, &mut post)?;
            applied += 1;
        }
        if durable {
            self.confirm(now);
        }
        self.watch(advanced, now);
        if self.standing != before {
            // What it published itself need not be compared.
            self.compared = self.compared.max(self.partition.sequence().min(self.published));
            self.depths.set_active(self.standing == Standing::Active);
        }
        Ok(Step { applied, turned: (self.standing != before).then_some(self.standing) })
    }

    /// Until then, the active worker here is suspected to have failed. A wrong suspicion costs work and nothing else.
    pub fn suspect(&mut self, until: Timestamp) {
        self.suspected_until = self.suspected_until.max(until);
    }

    /// How long `out` must be silent now.
    fn patience_us(&self, now: Timestamp) -> u64 {
        let less = if now < self.suspected_until { SUSPICION } else { 1 };
        self.limits.takeover_us / less
    }

    /// The connection broke. What was read and not confirmed may be gone, and is read again.
    pub fn disconnected(&mut self) {
        self.held.clear();
        self.planned = None;
        self.depths.disconnected();
    }

    fn apply(&mut self, held: Held, post: &mut impl FnMut(Outgoing)) -> Result<(), Error> {
        let sequence = held.sequence;
        let command = crossbook_protocol::wire::decode_command(sequence, held.time, &held.payload)
            .map_err(|source| Error::Command { sequence, source })?;
        if let Some(rules) = command.activates().filter(|&rules| rules > self.known) {
            return Err(Error::UnknownRules { sequence, rules, known: self.known });
        }
        self.events.clear();
        naming(&mut self.partition, |partition| partition.apply(&command, &mut self.events));
        self.outgoing.extend(self.partition.drain_outgoing());
        let mut bytes = Vec::new();
        crossbook_protocol::wire::encode_published(&command, &self.outgoing, self.events.all(), &mut bytes);
        self.depths.note(self.events.all());
        self.outputs.push_back(bytes);
        self.outgoing.drain(..).for_each(&mut *post);
        self.go_on(post);
        self.last = Some(held);
        Ok(())
    }

    /// Sends the message by which the partition continues its deferred work, each once: every worker has the same one,
    /// and it takes effect once.
    fn go_on(&mut self, post: &mut impl FnMut(Outgoing)) {
        if let Some(number) = self.partition.continuation()
            && number > self.continued
        {
            self.continued = number;
            post(Outgoing { to: self.partition.id(), number, deadline: None, message: PeerMessage::Continue });
        }
    }

    /// `out` is confirmed up to its end: its entries are not needed here any more.
    fn confirm(&mut self, now: Timestamp) {
        let mut confirmed = self.published.min(self.partition.sequence());
        if self.standing == Standing::Standby {
            confirmed = confirmed.min(self.compared).max(self.confirmed);
        }
        let dropped = confirmed.0.saturating_sub(self.confirmed.0);
        self.outputs.drain(..usize::try_from(dropped).unwrap_or(usize::MAX).min(self.outputs.len()));
        self.confirmed = confirmed;
        self.confirmed_at = now;
    }

    /// Becomes active when outputs have not been published for too long.
    fn watch(&mut self, advanced: bool, now: Timestamp) {
        let pending = !self.held.is_empty() || self.published < self.partition.sequence();
        if self.standing == Standing::Active || !pending {
            self.silent_since = None;
            return;
        }
        let since = if advanced { now } else { self.silent_since.map_or(now, |since| since.min(now)) };
        self.silent_since = Some(since);
        if now.0.saturating_sub(since.0) >= self.patience_us(now) {
            self.standing = Standing::Active;
            self.silent_since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbook_protocol::Routing;
    use crossbook_protocol::command::{Body, ListAsset};
    use crossbook_types::{AssetName, PartitionId, SourceId};

    use super::*;

    const LIMITS: Limits = Limits {
        records_max: 10,
        held_max: 10,
        entries_max: 10,
        unconfirmed_outputs_max: 100,
        takeover_us: 400_000,
        contested_max: 4,
        idle_us: 1_000_000,
        confirm_every_us: 200_000,
    };

    /// A standby that reads a command whose output nobody publishes takes over after so many microseconds.
    fn takes_over_after(suspected_until: Timestamp) -> u64 {
        let partition = Partition::new(PartitionId(0), Routing::single(), 1);
        let mut replica = Replica::new(partition, Sequence(0), LIMITS).unwrap();
        replica.suspect(suspected_until);
        let body = Body::ListAsset(ListAsset { name: AssetName::new_checked("BTC").unwrap(), decimals: 8 });
        let mut payload = Vec::new();
        crossbook_protocol::wire::encode_command(SourceId::FIRST_GATEWAY, RequestNumber(1), None, &body, &mut payload);
        let begun = 1_000_000;
        let record = Record { sequence: Sequence(1), time: Timestamp(begun), payload: &payload };
        let mut now = begun;
        let mut records = Some(record);
        while now < begun + 10_000_000 {
            let plan = replica.plan(Timestamp(now));
            if records.is_none() {
                now += u64::try_from(plan.wait.as_micros()).unwrap();
            }
            let step = replica.take(Sequence(0), records.take(), false, Timestamp(now), |_| ()).unwrap();
            if step.turned == Some(Standing::Active) {
                return now - begun;
            }
        }
        panic!("it never does");
    }

    #[test]
    fn a_standby_is_patient_unless_the_active_is_suspected() {
        assert_eq!(takes_over_after(Timestamp(0)), 400_000);
        assert_eq!(takes_over_after(Timestamp(2_000_000)), 100_000);
        assert_eq!(takes_over_after(Timestamp(1_000_000)), 400_000, "that suspicion is over");
    }

    /// A standby and what an active one has published, both of one command.
    fn standby(body: &Body) -> (Replica, Vec<u8>) {
        let mut payload = Vec::new();
        crossbook_protocol::wire::encode_command(SourceId::FIRST_GATEWAY, RequestNumber(1), None, body, &mut payload);
        let record = || Some(Record { sequence: Sequence(1), time: Timestamp(1), payload: &payload });
        let new = || Replica::new(Partition::new(PartitionId(0), Routing::single(), 1), Sequence(0), LIMITS).unwrap();
        let mut active = new();
        active.plan(Timestamp(1));
        active.take(Sequence(0), record(), true, Timestamp(1), |_| ()).unwrap();
        let output = active.outputs[0].clone();
        let mut standby = new();
        standby.plan(Timestamp(1));
        standby.take(Sequence(1), record(), false, Timestamp(1), |_| ()).unwrap();
        (standby, output)
    }

    #[test]
    fn a_standby_compares_what_is_published_with_what_it_computed() {
        let body = Body::ListAsset(ListAsset { name: AssetName::new_checked("BTC").unwrap(), decimals: 8 });
        let (mut replica, output) = standby(&body);
        let read = replica.plan(Timestamp(2)).compare;
        assert_eq!(read, Some(ReadAfter { after: Sequence(0), records_max: 1 }));
        // It is retained until it was compared, even when it is confirmed.
        replica.take(Sequence(1), None, true, Timestamp(2), |_| ()).unwrap();
        assert_eq!(replica.confirmed(), Sequence(0));
        assert_eq!(replica.compare([(Sequence(1), output.as_slice())]), Ok(()));
        assert_eq!(replica.plan(Timestamp(3)).compare, None);
        replica.take(Sequence(1), None, true, Timestamp(3), |_| ()).unwrap();
        assert_eq!(replica.confirmed(), Sequence(1));

        let (mut replica, mut output) = standby(&body);
        *output.last_mut().unwrap() ^= 1;
        let diverged = replica.compare([(Sequence(1), output.as_slice())]);
        assert_eq!(diverged, Err(Error::Diverged { sequence: Sequence(1) }));
    }

    #[test]
    fn rules_that_the_program_does_not_know_end_it() {
        let partition = Partition::new(PartitionId(0), Routing::single(), 1);
        let mut replica = Replica::new(partition, Sequence(0), LIMITS).unwrap().knowing(Rules::V2).unwrap();
        let mut payload = Vec::new();
        let body = Body::ActivateRules(Rules::V3);
        crossbook_protocol::wire::encode_command(SourceId::FIRST_GATEWAY, RequestNumber(1), None, &body, &mut payload);
        let record = Record { sequence: Sequence(1), time: Timestamp(1), payload: &payload };
        replica.plan(Timestamp(1));
        let refused = replica.take(Sequence(0), [record], true, Timestamp(1), |_| ()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "command 1 activates rules 3, and this program knows only rules up to 2; upgrade it"
        );
        assert_eq!(replica.partition().sequence(), Sequence(0), "it was not applied");
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_no_standby_from_stepping_forward() {
        let name = AssetName::new_checked("BTC").unwrap();
        let mut payload = Vec::new();
        let body = Body::ListAsset(ListAsset { name, decimals: 8 });
        crossbook_protocol::wire::encode_command(SourceId::FIRST_GATEWAY, RequestNumber(1), None, &body, &mut payload);
        let record = Record { sequence: Sequence(1), time: Timestamp(1), payload: &payload };
        let partition = Partition::new(PartitionId(0), Routing::single(), 1);
        let mut replica = Replica::new(partition, Sequence(0), LIMITS).unwrap();
        let mut turn = |now, record: Option<Record<'_>>| {
            let plan = replica.plan(Timestamp(now));
            let step = replica.take(Sequence(0), record, false, Timestamp(now), |_| ()).unwrap();
            (plan.wait.as_micros(), step.turned)
        };
        let hour = 3_600_000_000;
        assert_eq!(turn(2 * hour, Some(record)), (1_000_000, None));
        assert_eq!(turn(hour, None), (400_000, None), "the clock is set back, and the wait begins anew");
        assert_eq!(turn(hour + 399_999, None), (1, None));
        assert_eq!(turn(hour + 400_000, None), (0, Some(Standing::Active)));
    }
}
