//! The faults of a cluster, and their repair. Two faults never coincide that the design does not promise to survive: a
//! replica replaces a master only if it was online.

use super::call::{Actor, Process};
use super::network::Way;
use super::{Event, GATEWAYS, PARTITIONS, WORKERS, World};
use crate::violation::Violation;

/// An hour, in microseconds.
const HOUR_US: u64 = 3_600_000_000;

/// After how long a gateway that could not start is started again, in microseconds.
const START_AGAIN_US: u64 = 100_000;

/// The kinds of fault, in the order of their rates.
pub(super) const KINDS: [&str; 10] = [
    "fault master lost",
    "fault master isolated",
    "fault replica offline",
    "fault worker killed",
    "fault gateway killed",
    "fault worker paused",
    "fault gateway paused",
    "fault network cut one way",
    "fault worker clock",
    "fault shard clock",
];

impl World {
    pub(super) fn fault(&mut self) {
        let kind = self.dice.weighted(&self.rates.faults);
        let shard = self.dice.index(PARTITIONS);
        let (worker, gateway) = (self.dice.index(WORKERS), self.dice.index(GATEWAYS));
        let done = match kind {
            0 => self.lose_master(shard),
            1 => {
                let may = self.shards[shard].up && !self.shards[shard].isolated;
                if may {
                    self.shards[shard].isolated = true;
                    let epoch = self.shards[shard].epoch;
                    let until = self.dice.between(50_000, 1_500_000);
                    self.agenda.after(until, Event::LoseMaster { shard, epoch });
                }
                may
            }
            2 => {
                let replica = self.dice.index(self.shards[shard].followers.len());
                let may = self.shards[shard].up && self.shards[shard].followers[replica].online;
                if may {
                    self.shards[shard].followers[replica].online = false;
                    let back = self.dice.between(50_000, 2_000_000);
                    self.agenda.after(back, Event::Rejoin { shard, replica });
                    self.settle(shard);
                }
                may
            }
            3 => self.kill(Process::Worker(worker)),
            4 => self.kill(Process::Gateway(gateway)),
            5 => self.pause(Process::Worker(worker)),
            6 => self.pause(Process::Gateway(gateway)),
            7 => {
                let process = if self.dice.one_in(2) { Process::Worker(worker) } else { Process::Gateway(gateway) };
                let cut = (process, shard, self.dice.pick(&[Way::ToShard, Way::FromShard]));
                let until = self.dice.between(100_000, 4_000_000);
                self.agenda.after(until, Event::Mend { cut });
                self.network.cuts.insert(cut)
            }
            8 => {
                let error = self.dice.between(0, 2 * HOUR_US) as i64 - HOUR_US as i64;
                self.workers[worker].clock.set_error(error);
                true
            }
            _ => {
                let error = self.dice.between(0, 2 * HOUR_US) as i64 - HOUR_US as i64;
                self.shards[shard].clock.set_error(error);
                true
            }
        };
        if done {
            self.observer.coverage.count(KINDS[kind]);
        }
    }

    /// The master of a shard is gone. Another takes its place after a while.
    pub(super) fn lose_master(&mut self, shard: usize) -> bool {
        if !self.shards[shard].up {
            return false;
        }
        let broken = self.shards[shard].lose_master();
        for call in broken {
            if self.dice.one_in(2) {
                self.reply(call, super::call::Reply::Broken);
            }
        }
        let after = self.dice.between(100_000, 2_500_000);
        self.agenda.after(after, Event::Promote { shard });
        true
    }

    pub(super) fn promote(&mut self, shard: usize) {
        if self.shards[shard].up {
            return;
        }
        match self.shards[shard].promote(&mut self.dice) {
            Some(replica) => {
                self.observer.coverage.count("failover");
                let back = self.dice.between(50_000, 2_000_000);
                self.agenda.after(back, Event::Rejoin { shard, replica });
            }
            None => self.observer.coverage.count("master came back"),
        }
        self.settle(shard);
    }

    pub(super) fn rejoin(&mut self, shard: usize, replica: usize) {
        if !self.shards[shard].up || self.shards[shard].isolated {
            self.agenda.after(100_000, Event::Rejoin { shard, replica });
        } else if !self.shards[shard].followers[replica].online {
            self.shards[shard].rejoin(replica);
            self.settle(shard);
        }
    }

    /// A process is gone, and comes back as a new one.
    pub(super) fn kill(&mut self, process: Process) -> bool {
        if !self.is_alive(process) {
            return false;
        }
        match process {
            Process::Worker(at) => {
                self.workers[at].alive = false;
                self.workers[at].paused = false;
                self.workers[at].forget();
            }
            Process::Gateway(at) => {
                self.gateways[at].alive = false;
                self.gateways[at].paused = false;
                let waiting = std::mem::take(&mut self.gateways[at].waiting);
                for (client, body) in waiting.into_values() {
                    self.in_doubt(client, body);
                }
            }
        }
        let back = self.dice.between(10_000, 1_500_000);
        self.agenda.after(back, Event::Revive { process });
        true
    }

    pub(super) fn revive(&mut self, process: Process) -> Result<(), Violation> {
        if self.is_alive(process) {
            return Ok(());
        }
        match process {
            Process::Worker(at) => {
                self.workers[at].alive = true;
                self.workers[at].forget();
            }
            Process::Gateway(at) => {
                if !self.new_gateway(at)? {
                    // It ends, and is started again.
                    self.agenda.after(START_AGAIN_US, Event::Revive { process });
                    return Ok(());
                }
            }
        }
        self.wake_all(process);
        Ok(())
    }

    /// A process stands still, and does not know it.
    fn pause(&mut self, process: Process) -> bool {
        if !self.is_alive(process) || self.is_paused(process) {
            return false;
        }
        match process {
            Process::Worker(at) => self.workers[at].paused = true,
            Process::Gateway(at) => self.gateways[at].paused = true,
        }
        let until = self.dice.between(100_000, 5_000_000);
        self.agenda.after(until, Event::Resume { process });
        true
    }

    pub(super) fn resume(&mut self, process: Process) {
        match process {
            Process::Worker(at) => self.workers[at].paused = false,
            Process::Gateway(at) => self.gateways[at].paused = false,
        }
        self.wake_all(process);
    }

    /// All threads of a process look what there is to do.
    pub(super) fn wake_all(&mut self, process: Process) {
        for partition in 0..PARTITIONS {
            let actors = match process {
                Process::Worker(worker) => {
                    [Actor::Seat { worker, partition }, Actor::Forwarder { worker, to: partition }]
                }
                Process::Gateway(gateway) => {
                    [Actor::Appender { gateway, partition }, Actor::Follower { gateway, partition }]
                }
            };
            for actor in actors {
                self.plan(1, Event::Wake(actor));
            }
        }
    }

    /// Everything broken is repaired. Clocks stay as they are: nobody sets them.
    pub(super) fn mend_all(&mut self) -> Result<(), Violation> {
        self.network.cuts.clear();
        (self.network.lost, self.network.twice, self.network.late) = (0, 0, 0);
        for shard in 0..PARTITIONS {
            self.shards[shard].isolated = false;
            self.promote(shard);
            for replica in 0..self.shards[shard].followers.len() {
                self.rejoin(shard, replica);
            }
            self.settle(shard);
        }
        let processes = (0..WORKERS).map(Process::Worker).chain((0..GATEWAYS).map(Process::Gateway));
        for process in processes {
            self.resume(process);
            self.revive(process)?;
        }
        Ok(())
    }
}
