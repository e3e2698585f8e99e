//! The thread of one partition at a worker: carries out what its [`Replica`] plans.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use crossbook_engine::Partition;
use crossbook_log::Record;
use crossbook_node::embedded::{SystemClock, audit};
use crossbook_node::node::Clock as _;
use crossbook_protocol::Body;
use crossbook_protocol::peer::Outgoing;
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, Timestamp};

use super::{AuditReply, Error, Mail, Shared, Status};
use crate::replica::{self, Replica, Standing};
use crate::store::{Connect, DepthChange, ErrorOf, Link, PartitionTurn, Publish, ReadAfter, StoreError as _};

/// A standby partition pauses for so long after a read, so that it reads more at a time: nobody waits for it.
const STANDBY_REST: Duration = Duration::from_millis(10);
/// For how long after a partition took over from another worker its other partitions are suspected too, in
/// microseconds.
const SUSPECT_FOR_US: u64 = 2_000_000;

/// What others had received from a partition when its worker started.
struct Received {
    /// The end of the log when that was read: everything received comes from commands up to here.
    end: Sequence,
    by: Vec<(PartitionId, RequestNumber)>,
}

/// The thread of one partition.
pub(super) struct PartitionThread<'a, C> {
    pub(super) shared: &'a Shared<C>,
    pub(super) partition: PartitionId,
    pub(super) status: &'a Status,
    pub(super) forwarders: BTreeMap<PartitionId, Sender<Mail>>,
    pub(super) asked: Receiver<AuditReply>,
}

impl<C: Connect> PartitionThread<'_, C> {
    pub(super) fn run(self, begin: &dyn Fn(PartitionId, Sequence) -> Result<Partition, String>) -> Result<(), Error> {
        let (mut replica, mut unproved) = (None, None);
        let mut tries = 0;
        while !self.shared.is_stopping() {
            let ended = self.session(&mut replica, &mut unproved, begin, &mut tries);
            self.status.connected.store(false, Ordering::Relaxed);
            match ended {
                Ok(()) => {}
                Err(Error::Store { source, .. }) if source.is_transient() => {
                    tracing::warn!(partition = self.partition.0, error = %source, "the log cannot be reached; trying again");
                    metrics::counter!("crossbook_partition_disconnects_total").increment(1);
                    self.shared.pause(&mut tries);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Runs on one connection for as long as it lasts.
    fn session(
        &self,
        replica: &mut Option<Replica>,
        unproved: &mut Option<Received>,
        begin: &dyn Fn(PartitionId, Sequence) -> Result<Partition, String>,
        tries: &mut u32,
    ) -> Result<(), Error> {
        let failed = |source| self.failed(source);
        let mut link = Link::connect(&self.shared.stores, self.partition).map_err(failed)?;
        let replica = self.resume(replica, unproved, begin, &mut link)?;
        let clock = SystemClock;
        let depth_every = Duration::from_millis(self.shared.options.depth_interval_ms);
        let mut depths_at = Instant::now();
        while !self.shared.is_stopping() {
            replica.suspect(Timestamp(self.shared.suspected_until.load(Ordering::Relaxed)));
            let mut plan = replica.plan(clock.now());
            if !depth_every.is_zero() && replica.has_depths() {
                plan.wait = plan.wait.min(depth_every.saturating_sub(depths_at.elapsed()));
            }
            let outputs: Vec<&[u8]> = replica.entries().collect();
            let turn = PartitionTurn {
                publish: Some(Publish { after: plan.publish_after, outputs: &outputs }),
                commands: Some(ReadAfter { after: plan.read_after, records_max: plan.records_max }),
                outputs: plan.compare,
                ..PartitionTurn::default()
            };
            let (outcome, confirmed) = link.turn(turn, plan.wait, plan.barrier).map_err(failed)?;
            let published = outcome.published.unwrap_or_default();
            self.status.connected.store(true, Ordering::Relaxed);
            *tries = 0;
            // Nothing new is accepted before the log is known to have produced all that others have received; it is
            // read again then.
            let end = unproved.as_ref().map_or(Sequence(u64::MAX), |received| received.end);
            let records = outcome.commands.iter().take_while(|command| command.sequence <= end).map(|command| Record {
                sequence: command.sequence,
                time: command.time,
                payload: &command.payload,
            });
            let post = |message: Outgoing| self.post(message);
            let step =
                replica.take(published, records, confirmed, clock.now(), post).map_err(|source| self.broken(source))?;
            let outputs = outcome.outputs.iter().map(|output| (output.sequence, output.payload.as_slice()));
            replica.compare(outputs).map_err(|source| self.broken(source))?;
            if let Some(standing) = step.turned {
                self.turned(standing);
            }
            if replica.partition().sequence() >= end
                && let Some(received) = unproved.take()
            {
                self.prove(&received, replica.partition())?;
            }
            self.status.applied.store(replica.partition().sequence().0, Ordering::Relaxed);
            self.status.published.store(published.0, Ordering::Relaxed);
            metrics::counter!("crossbook_commands_total").increment(step.applied as u64);
            if !depth_every.is_zero() && replica.has_depths() && depths_at.elapsed() >= depth_every {
                self.write_depths(replica, &mut link).map_err(failed)?;
                depths_at = Instant::now();
            }
            while let Ok(reply) = self.asked.try_recv() {
                reply(audit(replica.partition()));
            }
            if replica.standing() == Standing::Standby && !outcome.commands.is_empty() {
                std::thread::sleep(STANDBY_REST);
            }
        }
        Ok(())
    }

    /// The replica continues at its position, if the log still has what it has applied; without one, it begins from the
    /// state that `begin` returns.
    fn resume<'r>(
        &self,
        replica: &'r mut Option<Replica>,
        unproved: &mut Option<Received>,
        begin: &dyn Fn(PartitionId, Sequence) -> Result<Partition, String>,
        link: &mut Link<C::Store>,
    ) -> Result<&'r mut Replica, Error> {
        let partition = self.partition;
        let failed = |source| self.failed(source);
        match replica {
            Some(replica) => {
                replica.disconnected();
                if let Some(Record { sequence, time, payload }) = replica.last()
                    && !link.holds(sequence, time, payload).map_err(failed)?
                {
                    return Err(Error::Forked { partition, sequence });
                }
                Ok(replica)
            }
            none => {
                link.make_durable().map_err(failed)?;
                let published = link.ends().map_err(failed)?.published;
                let state = begin(partition, published).map_err(|reason| Error::Start { partition, reason })?;
                *unproved = Some(self.received(link).map_err(failed)?);
                tracing::info!(
                    partition = partition.0,
                    from = state.sequence().0,
                    published = published.0,
                    server = link.address(),
                    "standing by"
                );
                Ok(none.insert(Replica::new(state, published, self.shared.limits).map_err(|s| self.broken(s))?))
            }
        }
    }

    /// What the other partitions have received from this one. One that cannot be asked now is left out: this one must
    /// not depend on it.
    fn received(&self, link: &mut Link<C::Store>) -> Result<Received, ErrorOf<C>> {
        let mut by = Vec::new();
        for &to in self.forwarders.keys().filter(|&&to| to != self.partition) {
            let ask = |mut link: Link<C::Store>| link.deliver(self.partition, RequestNumber(1), &[]);
            match Link::connect(&self.shared.stores, to).and_then(ask) {
                Ok(received) => by.push((to, received)),
                Err(error) if error.is_transient() => {
                    tracing::warn!(partition = self.partition.0, to = to.0, %error, "the partition's received messages cannot be queried now");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Received { end: link.ends()?.tail, by })
    }

    /// Compares a partition that has reached the end of its log with what others had received from it.
    fn prove(&self, received: &Received, state: &Partition) -> Result<(), Error> {
        for &(to, heard_there) in &received.by {
            let sent = state.sent(to);
            if sent < heard_there {
                let (partition, end) = (self.partition, received.end);
                return Err(Error::Behind { partition, end, to, received: heard_there, sent });
            }
        }
        Ok(())
    }

    /// Updates the cached depth of books in the store to the position of the partition.
    fn write_depths(&self, replica: &mut Replica, link: &mut Link<C::Store>) -> Result<(), ErrorOf<C>> {
        let writes = replica.depths();
        if writes.is_empty() {
            return Ok(());
        }
        let changes: Vec<_> = writes
            .iter()
            .map(|write| DepthChange {
                symbol: write.symbol.as_str(),
                since: write.since,
                last: write.last,
                levels: &write.levels,
            })
            .collect();
        let kept = link.write_depth(&changes)?;
        replica.depths_written(&writes, &kept);
        Ok(())
    }

    fn failed(&self, source: ErrorOf<C>) -> Error {
        Error::Store { partition: self.partition, source: source.into() }
    }

    fn broken(&self, source: replica::Error) -> Error {
        if matches!(source, replica::Error::Diverged { .. }) {
            metrics::counter!("crossbook_partition_diverged_total").increment(1);
            tracing::error!(partition = self.partition.0, error = %source, "this worker stops");
        }
        Error::Replica { partition: self.partition, source }
    }

    fn turned(&self, standing: Standing) {
        let active = standing == Standing::Active;
        tracing::info!(partition = self.partition.0, active, "this worker's role has changed");
        self.status.active.store(active, Ordering::Relaxed);
        metrics::counter!("crossbook_partition_role_changes_total").increment(1);
        if active {
            let until = SystemClock.now().0.saturating_add(SUSPECT_FOR_US);
            self.shared.suspected_until.fetch_max(until, Ordering::Relaxed);
        }
        for forwarder in self.forwarders.values() {
            // A forwarder that has ended has called `fatal`.
            let _ = forwarder.send(Mail::Standing { from: self.partition, active });
        }
    }

    fn post(&self, message: Outgoing) {
        let Outgoing { to, number, deadline, message } = message;
        let from = self.partition;
        let mut bytes = Vec::new();
        crossbook_protocol::wire::encode_command(
            SourceId::partition(from),
            number,
            deadline.map(Into::into),
            &Body::Peer(message),
            &mut bytes,
        );
        if let Some(forwarder) = self.forwarders.get(&to) {
            let _ = forwarder.send(Mail::Message { from, number, bytes });
        }
    }
}
