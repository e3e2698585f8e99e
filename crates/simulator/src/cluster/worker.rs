//! Workers: processes without clients. They deliver the messages that those who were responsible have left, and take
//! the snapshots.

use crossbook_cluster::session::{self, Member};
use crossbook_cluster::worker::Options;

use super::call::Process;
use super::unit::{Manner, Unit};
use super::{BOUNDS, PARTITIONS, World, id};
use crate::clock::WallClock;
use crate::dice::Dice;
use crate::violation::Violation;

/// A worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) unit: Unit,
    pub(super) manner: Manner,
}

impl Worker {
    pub(super) fn new(clock: WallClock, which: usize, dice: &mut Dice) -> Self {
        let options = Options {
            batch_commands_max: dice.between(4, 64) as usize,
            read_ahead_commands_max: dice.between(64, 128) as usize,
            turn_interval_ms: dice.between(2, 60),
            poll_timeout_ms: dice.between(100, 1_500),
            failover_ms: dice.between(50, 400),
            confirm_wait_ms: if dice.one_in(4) { 0 } else { dice.between(20, 300) },
            forward_retained_max: dice.pick(&[2, 16, 1_000_000, 1_000_000]),
            forward_batch_max: dice.between(1, 32) as usize,
            ..Options::default()
        };
        let settings = options.session(&format!("worker-{which}"), BOUNDS);
        let manner = Manner { limits: options.limits(), settings, retained_max: options.forward_retained_max };
        Self { unit: Unit::new(clock), manner }
    }
}

impl World {
    /// Starts a worker, from snapshots. Whether it could: not if it does not know the rules of a partition.
    ///
    /// # Errors
    /// When a check fails.
    pub(super) fn start_worker(&mut self, at: usize) -> Result<bool, Violation> {
        let process = Process::Worker(at);
        let mut proofs = self.proofs();
        let manner = self.workers[at].manner.clone();
        let mut members = Vec::with_capacity(PARTITIONS);
        for partition in (0..PARTITIONS).map(id) {
            let state = self.begin(partition)?;
            match self.workers[at].unit.replica(state, proofs.remove(&partition), manner.limits) {
                Ok(replica) => members.push(Member::new(replica, None)),
                Err(error) => {
                    self.stopped(process, partition, &session::Error::Replica(error))?;
                    return Ok(false);
                }
            }
        }
        let (shards, shard_of) = (self.shards.len(), self.shard_of.clone());
        self.workers[at].unit.start(members, &manner, shards, &shard_of);
        Ok(true)
    }
}
