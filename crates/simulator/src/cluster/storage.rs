//! What outlives every process of a cluster: the logs in the shards, and the snapshots beside them. The production code
//! starts processes from these, takes the snapshots, and decides what is trimmed.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crossbook_cluster::cut::{CutSource, Error, Part};
use crossbook_cluster::replica::Proof;
use crossbook_cluster::snapshots::{self, Due, Taken, Trim};
use crossbook_engine::Partition;
use crossbook_log::{Error as LogError, Reader, Record, Until};
use crossbook_node::recovery::Which;
use crossbook_node::snapshot::{Saved as _, UpTo};
use crossbook_protocol::Routing;
use crossbook_types::{PartitionId, Sequence};
use crossbook_views::Views;

use super::call::Process;
use super::shard::Shard;
use super::stream::Stream;
use super::{PARTITIONS, World, id};
use crate::snapshot_store::SnapshotStore;
use crate::violation::{Check, Violation};
use crate::workload::WORK;

/// The logs and the snapshots, as a process reads them.
struct Storage<'a> {
    routing: &'a Routing,
    shards: &'a [Shard],
    shard_of: &'a [usize],
    snapshots: &'a [SnapshotStore],
    hash_seed: u64,
}

/// The log of a partition, read from a place on.
pub(super) struct Records<'a> {
    stream: &'a Stream,
    next: Sequence,
}

impl Reader for Records<'_> {
    fn next(&mut self, until: Until) -> Result<Option<Record<'_>>, LogError> {
        let sequence = self.next;
        if matches!(until, Until::Durable(end) if sequence > end) {
            return Ok(None);
        }
        let first = self.stream.first();
        if sequence < first {
            return Err(LogError::Trimmed { asked: sequence, first });
        }
        let Some((time, payload)) = self.stream.get(sequence) else { return Ok(None) };
        self.next = sequence.next();
        Ok(Some(Record { sequence, time: *time, payload }))
    }
}

impl<'a> Storage<'a> {
    fn shard(&self, partition: PartitionId) -> &'a Shard {
        &self.shards[self.shard_of[usize::from(partition.0)]]
    }
}

impl<'a> CutSource for Storage<'a> {
    type Reader = Records<'a>;
    type Snapshots = SnapshotStore;

    fn which(&self, partition: PartitionId) -> Which {
        Which { partition, routing: self.routing.clone(), hash_seed: self.hash_seed, work: WORK }
    }

    fn confirmed_end(&self, partition: PartitionId) -> Result<Sequence, Error> {
        Ok(self.shard(partition).durable_end(partition).unwrap_or_default())
    }

    fn snapshots(&self, partition: PartitionId) -> Result<SnapshotStore, Error> {
        Ok(self.snapshots[usize::from(partition.0)].clone())
    }

    fn log(&self, partition: PartitionId, from: Sequence) -> Records<'a> {
        Records { stream: self.shard(partition).stream(partition), next: from }
    }
}

impl World {
    fn storage(&mut self) -> Storage<'_> {
        let hash_seed = self.dice.any();
        Storage {
            routing: &self.routing,
            shards: &self.shards,
            shard_of: &self.shard_of,
            snapshots: &self.snapshots,
            hash_seed,
        }
    }

    /// The shard of a partition.
    pub(super) fn shard(&self, partition: PartitionId) -> &Shard {
        &self.shards[self.shard_of[usize::from(partition.0)]]
    }

    /// Where the log of a partition ends durably, if its shard says so now.
    pub(super) fn durable_end(&self, partition: PartitionId) -> Option<Sequence> {
        Some(self.shard(partition)).filter(|shard| shard.up && !shard.isolated)?.durable_end(partition)
    }

    /// What each partition must have sent before it may accept anything new, as `runtime::ask_proofs` asks it. Shards
    /// that do not answer are left out.
    pub(super) fn proofs(&mut self) -> BTreeMap<PartitionId, Proof> {
        let mut proofs = BTreeMap::new();
        let silent = if self.faults && self.dice.one_in(4) { Some(self.dice.index(self.shards.len())) } else { None };
        let answers = |to: &PartitionId| Some(self.shard_of[usize::from(to.0)]) != silent && self.shard(*to).has(*to);
        let all: Vec<PartitionId> = (0..PARTITIONS).map(id).filter(answers).collect();
        for &partition in &all {
            let Some(end) = self.durable_end(partition) else { continue };
            let others = all.iter().filter(|&&to| to != partition && self.durable_end(to).is_some());
            let received = others.map(|&to| (to, self.shard(to).durably_received(to, partition))).collect();
            proofs.insert(partition, Proof { end, received });
        }
        proofs
    }

    /// A partition and its views at the last snapshot up to a place, or the one before; empty if there is none.
    pub(super) fn restored(&mut self, partition: PartitionId, up_to: Sequence) -> Result<Part<Views>, Violation> {
        let snapshots = UpTo(&self.snapshots[usize::from(partition.0)], up_to).list().unwrap_or_default();
        // The last one may be damaged.
        let which = usize::from(snapshots.len() > 1 && self.dice.one_in(6));
        let place = snapshots.get(which).copied().unwrap_or_default();
        let empty = Views::new(self.view_limits.clone());
        let storage = self.storage();
        Part::restore(&storage, partition, place, place, empty).map_err(|error| broken(partition, &error))
    }

    /// A partition from the last snapshot, or an empty one.
    pub(super) fn begin(&mut self, partition: PartitionId) -> Result<Partition, Violation> {
        let part = self.restored(partition, Sequence(u64::MAX))?;
        let is_snapshot = part.snapshot > Sequence(0);
        let from = if is_snapshot { "worker started from a snapshot" } else { "worker started from the log alone" };
        self.observer.coverage.count(from);
        Ok(part.state)
    }

    /// A worker takes a snapshot and trims the log, as [`snapshots`] decides.
    pub(super) fn take_snapshot(&mut self, worker: usize, partition: PartitionId) -> Result<(), Violation> {
        let process = Process::Worker(worker);
        if !self.is_alive(process)
            || self.is_paused(process)
            || self.durable_end(partition).is_none()
            || !self.shard(partition).has(partition)
        {
            return Ok(());
        }
        let recorded = self.observer.recording_mut(partition).0.position();
        let empty = Views::new(self.view_limits.clone());
        let storage = self.storage();
        // How often it is looked is up to chance, so it is due whenever there is something new.
        let begun = snapshots::begin(&storage, partition, 1, || Ok(Some(recorded)), empty);
        let candidate = match begun.map_err(|error| broken(partition, &error))? {
            Due::NotYet(_) => return Ok(()),
            Due::Now(candidate) => candidate,
        };
        let received = candidate
            .is_received(|to| Ok::<_, Infallible>(self.shard(to).durably_received(to, partition)))
            .unwrap_or_else(|never| match never {});
        if !received {
            return Ok(());
        }
        let place = candidate.position();
        // Whoever starts from it knows of all that.
        while self.observer.position(partition) < place {
            self.observe(process, partition)?;
        }
        if self.observer.position(partition) == place {
            self.snapshot_views.insert(partition, (place, self.observer.views(partition).state()));
        }
        let (Taken { trim, .. }, snapshots) = candidate.keep().map_err(|error| broken(partition, &error))?;
        self.snapshots[usize::from(partition.0)] = snapshots;
        self.observer.coverage.count("worker snapshot");
        if let Trim::UpTo(place) = trim {
            let shard = self.shard_of[usize::from(partition.0)];
            if self.shards[shard].trim(partition, place) {
                self.observer.coverage.count("trimmed beside a worker");
            }
            self.settle(shard);
        }
        Ok(())
    }
}

fn broken(partition: PartitionId, error: &dyn std::error::Error) -> Violation {
    Violation::new(Check::Alive, format!("partition {partition} cannot be restored: {error}"))
}
