//! The faults of a cluster, and their repair. Two faults never coincide that the design does not promise to survive: a
//! replica replaces a master only if it was online.

use super::call::{Actor, Process};
use super::network::{Notifications, Way};
use super::{Event, GATEWAYS, PARTITIONS, WORKERS, World, id};
use crate::violation::Violation;

/// An hour, in microseconds.
const HOUR_US: u64 = 3_600_000_000;

/// After how long a gateway that could not start is started again, in microseconds.
const START_AGAIN_US: u64 = 100_000;

/// The kinds of fault, in the order of their rates.
pub(super) const KINDS: [&str; 17] = [
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
    "fault gateway cut off from one shard",
    "fault worker cut off from one shard",
    "fault gateway ends after an append",
    "fault notifications lost",
    "fault notifications late",
    "fault notifications twice",
    "fault partition moved",
];

impl World {
    pub(super) fn fault(&mut self) {
        let kind = self.dice.weighted(&self.rates.faults);
        let shard = self.dice.index(self.shards.len());
        let worker = Process::Worker(self.dice.index(WORKERS));
        let at = self.dice.index(GATEWAYS);
        let gateway = Process::Gateway(at);
        let done = match kind {
            0 => self.lose_master(shard),
            1 => self.isolate(shard),
            2 => self.lose_replica(shard),
            3 => self.kill(worker),
            4 => self.kill(gateway),
            5 => self.pause(worker),
            6 => self.pause(gateway),
            7 => {
                let process = if self.dice.one_in(2) { worker } else { gateway };
                let way = self.dice.pick(&[Way::ToShard, Way::FromShard]);
                self.cut(process, shard, &[way])
            }
            8 => {
                let error = self.clock_error();
                self.unit_mut(worker).clock.set_error(error);
                true
            }
            9 => {
                let error = self.clock_error();
                self.shards[shard].clock.set_error(error);
                true
            }
            10 => self.cut(gateway, shard, &[Way::ToShard, Way::FromShard]),
            11 => self.cut(worker, shard, &[Way::ToShard, Way::FromShard]),
            12 => {
                self.gateways[at].ends_after_append = self.is_alive(gateway);
                self.is_alive(gateway)
            }
            13 => self.disturb_notifications(Notifications::Lost),
            14 => self.disturb_notifications(Notifications::Late),
            15 => self.disturb_notifications(Notifications::Twice),
            _ => self.begin_move(),
        };
        if done {
            self.observer.coverage.count(KINDS[kind]);
        }
    }

    /// The operator moves a partition to another shard. From now on its shard refuses it.
    fn begin_move(&mut self) -> bool {
        let (partition, to) = (self.dice.index(PARTITIONS), self.dice.index(self.shards.len()));
        let from = self.shard_of[partition];
        if self.moving.is_some() || from == to {
            return false;
        }
        self.moving = Some((id(partition), to));
        self.shards[from].set_moving(id(partition), true);
        let until = self.dice.between(1_000, 500_000);
        self.agenda.after(until, Event::Move);
        true
    }

    /// It goes, with all it has, when nothing is broken there; and once all servers know, the other shard takes it.
    pub(super) fn go_on_moving(&mut self) {
        let Some((partition, to)) = self.moving else { return };
        let from = self.shard_of[usize::from(partition.0)];
        if from == to {
            self.shards[to].set_moving(partition, false);
            self.moving = None;
            return;
        }
        let mut until = 50_000;
        if self.shards[from].is_whole() && self.shards[to].is_whole() {
            let stream = self.shards[from].leave(partition);
            self.shards[to].arrive(partition, stream);
            self.shard_of[usize::from(partition.0)] = to;
            [from, to].into_iter().for_each(|shard| self.settle(shard));
            until = self.dice.between(100, 200_000);
        }
        self.agenda.after(until, Event::Move);
    }

    fn clock_error(&mut self) -> i64 {
        self.dice.between(0, 2 * HOUR_US) as i64 - HOUR_US as i64
    }

    /// The replicas of a shard do not receive from its master any more, which is lost after a while.
    fn isolate(&mut self, shard: usize) -> bool {
        let may = self.shards[shard].up && !self.shards[shard].isolated;
        if may {
            self.shards[shard].isolated = true;
            let epoch = self.shards[shard].epoch;
            let until = self.dice.between(50_000, 1_500_000);
            self.agenda.after(until, Event::LoseMaster { shard, epoch });
        }
        may
    }

    fn lose_replica(&mut self, shard: usize) -> bool {
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

    /// Between a process and a shard nothing goes these ways for a while.
    fn cut(&mut self, process: Process, shard: usize, ways: &[Way]) -> bool {
        let until = self.dice.between(100_000, 4_000_000);
        let mut done = false;
        for &way in ways {
            let cut = (process, shard, way);
            self.agenda.after(until, Event::Mend { cut });
            done |= self.network.cuts.insert(cut);
        }
        done
    }

    fn disturb_notifications(&mut self, how: Notifications) -> bool {
        self.network.notifications = how;
        let until = self.dice.between(500_000, 4_000_000);
        self.agenda.after(until, Event::MendNotifications);
        true
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
        self.unit_mut(process).forget();
        if let Process::Gateway(at) = process {
            let waiting = std::mem::take(&mut self.gateways[at].waiting);
            for (client, body) in waiting.into_values() {
                self.in_doubt(client, body);
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
        let started = match process {
            Process::Worker(at) => self.start_worker(at)?,
            Process::Gateway(at) => self.start_gateway(at)?,
        };
        if started {
            self.wake_all(process);
        } else {
            // It ends, and is started again.
            self.agenda.after(START_AGAIN_US, Event::Revive { process });
        }
        Ok(())
    }

    /// A process stands still, and does not know it.
    fn pause(&mut self, process: Process) -> bool {
        if !self.is_alive(process) || self.is_paused(process) {
            return false;
        }
        self.unit_mut(process).paused = true;
        let until = self.dice.between(100_000, 5_000_000);
        self.agenda.after(until, Event::Resume { process });
        true
    }

    pub(super) fn resume(&mut self, process: Process) {
        self.unit_mut(process).paused = false;
        self.wake_all(process);
    }

    /// All threads of a process look what there is to do.
    pub(super) fn wake_all(&mut self, process: Process) {
        for shard in 0..self.shards.len() {
            self.plan(1, Event::Wake(Actor { process, shard }));
        }
    }

    /// Everything broken is repaired. Clocks stay as they are: nobody sets them.
    pub(super) fn mend_all(&mut self) -> Result<(), Violation> {
        self.network.cuts.clear();
        (self.network.lost, self.network.twice, self.network.late) = (0, 0, 0);
        self.network.notifications = Notifications::Usual;
        self.gateways.iter_mut().for_each(|gateway| gateway.ends_after_append = false);
        for shard in 0..self.shards.len() {
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
