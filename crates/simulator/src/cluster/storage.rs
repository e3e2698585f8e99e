//! What outlives every process of a cluster: the logs in the shards, and the snapshots beside them. The production code
//! starts processes from these, takes the snapshots, and decides what is trimmed.

use std::convert::Infallible;

use crossbook_cluster::cut::{CutSource, Error, Part};
use crossbook_cluster::snapshots::{self, Due, Taken, Trim};
use crossbook_engine::Partition;
use crossbook_log::{Error as LogError, Reader, Record, Until};
use crossbook_node::recovery::{self, Which};
use crossbook_node::snapshot::{Saved as _, UpTo};
use crossbook_protocol::Routing;
use crossbook_types::{PartitionId, Sequence};
use crossbook_views::Views;

use super::shard::Shard;
use super::{World, id};
use crate::snapshot_store::SnapshotStore;
use crate::violation::{Check, Violation};
use crate::workload::WORK;

/// The logs and the snapshots, as a process reads them.
struct Storage<'a> {
    routing: &'a Routing,
    shards: &'a [Shard],
    snapshots: &'a [SnapshotStore],
    hash_seed: u64,
}

/// The log of a partition, read from a place on.
pub(super) struct Records<'a> {
    shard: &'a Shard,
    next: Sequence,
}

impl Reader for Records<'_> {
    fn next(&mut self, until: Until) -> Result<Option<Record<'_>>, LogError> {
        let sequence = self.next;
        if matches!(until, Until::Durable(end) if sequence > end) {
            return Ok(None);
        }
        let first = self.shard.first();
        if sequence < first {
            return Err(LogError::Trimmed { asked: sequence, first });
        }
        let at = usize::try_from(sequence.0 - 1).unwrap_or(usize::MAX);
        let Some((time, payload)) = self.shard.inbound().get(at) else { return Ok(None) };
        self.next = sequence.next();
        Ok(Some(Record { sequence, time: *time, payload }))
    }
}

impl<'a> CutSource for Storage<'a> {
    type Reader = Records<'a>;
    type Snapshots = SnapshotStore;

    fn which(&self, partition: PartitionId) -> Which {
        Which { partition, routing: self.routing.clone(), hash_seed: self.hash_seed, work: WORK }
    }

    fn published(&self, partition: PartitionId) -> Result<Sequence, Error> {
        Ok(self.shards[usize::from(partition.0)].durably_published().unwrap_or_default())
    }

    fn snapshots(&self, partition: PartitionId) -> Result<SnapshotStore, Error> {
        Ok(self.snapshots[usize::from(partition.0)].clone())
    }

    fn log(&self, partition: PartitionId, from: Sequence) -> Records<'a> {
        Records { shard: &self.shards[usize::from(partition.0)], next: from }
    }
}

impl World {
    fn storage(&mut self) -> Storage<'_> {
        let hash_seed = self.dice.any();
        Storage { routing: &self.routing, shards: &self.shards, snapshots: &self.snapshots, hash_seed }
    }

    /// A partition and its views at the durably published position, from the last snapshot and the log.
    pub(super) fn restored(&mut self, partition: usize, published: Sequence) -> Result<Part<Views>, Violation> {
        let empty = Views::new(self.view_limits.clone());
        let storage = self.storage();
        Part::restore(&storage, id(partition), published, published, empty).map_err(|error| broken(partition, &error))
    }

    /// A partition from the last snapshot up to `published`, or an empty one.
    pub(super) fn begin(&mut self, partition: usize, published: Sequence) -> Result<Partition, Violation> {
        let empty = Views::new(self.view_limits.clone());
        let storage = self.storage();
        let snapshots = &storage.snapshots[partition];
        let up_to = UpTo(snapshots, published);
        let place = up_to.list().unwrap_or_default().first().copied();
        let until = Until::Durable(place.unwrap_or_default());
        let which = storage.which(id(partition));
        let recovered =
            recovery::recover(&which, &up_to, |from| storage.log(id(partition), from), until, empty, |_| ());
        let recovered = recovered.map_err(|error| broken(partition, &error))?;
        let from = if place.is_some() { "worker started from a snapshot" } else { "worker started from the log alone" };
        self.observer.coverage.count(from);
        Ok(recovered.partition)
    }

    /// A worker takes a snapshot and trims the streams, as [`snapshots`] decides.
    pub(super) fn take_snapshot(&mut self, worker: usize, partition: usize) -> Result<(), Violation> {
        let this = &self.workers[worker];
        if !this.alive || this.paused || this.seats[partition].replica.is_none() || !self.shards[partition].up {
            return Ok(());
        }
        if self.shards[partition].durably_published().is_none() {
            return Ok(());
        }
        let own = id(partition);
        let recorded = self.observer.recording_mut(own).0.position();
        let empty = Views::new(self.view_limits.clone());
        let storage = self.storage();
        // How often it is looked is up to chance, so it is due whenever there is something new.
        let begun = snapshots::begin(&storage, own, 1, || Ok(Some(recorded)), empty);
        let candidate = match begun.map_err(|error| broken(partition, &error))? {
            Due::NotYet(_) => return Ok(()),
            Due::Now(candidate) => candidate,
        };
        let received = candidate
            .is_received(|to| Ok::<_, Infallible>(self.shards[usize::from(to.0)].durably_received(own)))
            .unwrap_or_else(|never| match never {});
        if !received {
            return Ok(());
        }
        let (Taken { trim, .. }, snapshots) = candidate.keep().map_err(|error| broken(partition, &error))?;
        self.snapshots[partition] = snapshots;
        self.observer.coverage.count("worker snapshot");
        if let Trim::UpTo { commands, events } = trim {
            if self.shards[partition].trim(commands, events) {
                self.observer.coverage.count("trimmed beside a worker");
            }
            self.settle(partition);
        }
        Ok(())
    }
}

fn broken(partition: usize, error: &dyn std::error::Error) -> Violation {
    Violation::new(Check::Alive, format!("partition {partition} cannot be restored: {error}"))
}
