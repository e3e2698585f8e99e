//! Faults of a venue in one process, and actions of its operator.

use crossbook_log::Log as _;
use crossbook_log::memory::Fault;
use crossbook_log::storage::{File as _, Storage as _};
use crossbook_node::recovery;
use crossbook_node::snapshot::{Folder, Saved as _};

use super::{Run, World};
use crate::violation::{Violation, ensure};

impl World {
    pub(super) fn fault(&mut self) -> Result<(), Violation> {
        let kind = self.dice.weighted(&self.rates.faults);
        let name = [
            "fault power cut",
            "fault killed",
            "fault disk operation",
            "fault disk full",
            "fault disk slow",
            "fault clock",
            "fault snapshot damaged",
            "clean restart",
        ][kind];
        match kind {
            0 => self.crash()?,
            1 => {
                self.drop_run();
                self.start()?;
            }
            2 => {
                let fault = self.dice.pick(&[Fault::PowerCut, Fault::Broken, Fault::Full]);
                self.observer.coverage.count(&format!("fault disk {fault:?}"));
                if self.dice.one_in(3) {
                    self.observer.coverage.count("fault disk of snapshots");
                    self.snapshots.fail(self.snapshots.operations() + self.dice.below(16), fault);
                } else {
                    self.disk.fail(self.disk.operations() + self.dice.below(8), fault);
                }
            }
            3 => {
                let disk = if self.dice.one_in(3) { &self.snapshots } else { &self.disk };
                let used: usize = disk.files().values().map(Vec::len).sum();
                disk.limit(used as u64 + self.dice.below(6_000));
            }
            4 => self.time.pass(self.dice.between(100_000, 3_000_000)),
            5 => {
                let hour = 3_600_000_000;
                self.clock.set_error(self.dice.between(0, 2 * hour) as i64 - hour as i64);
            }
            6 => {
                if !self.damage_snapshot() {
                    return Ok(());
                }
            }
            _ => self.stop()?,
        }
        self.observer.coverage.count(name);
        Ok(())
    }

    /// The process is gone, and with it everything that it had not published.
    pub(super) fn drop_run(&mut self) {
        if let Some(run) = self.run.take() {
            drop(self.hatch.take());
            for (who, body) in run.asked.into_values() {
                self.clients[who].in_doubt(body);
            }
        }
    }

    /// The power goes, and comes back.
    pub(super) fn crash(&mut self) -> Result<(), Violation> {
        self.drop_run();
        self.cut_power();
        self.start()
    }

    pub(super) fn cut_power(&mut self) {
        let mercy = self.dice.below(5);
        let dice = &mut self.dice;
        let mut keep = || match mercy {
            0 => true,
            1 => false,
            _ => dice.one_in(2),
        };
        for disk in [&mut self.disk, &mut self.snapshots] {
            *disk = disk.crash(&mut keep);
            disk.limit(u64::MAX);
        }
        self.observer.coverage.count("power cut");
    }

    /// The operator stops the venue, which leaves a snapshot of its end, and starts it again.
    pub(super) fn stop(&mut self) -> Result<(), Violation> {
        while self.run.as_ref().is_some_and(|run| run.node.queued() > 0) {
            let starts = self.starts;
            self.turn()?;
            if self.starts > starts {
                return Ok(());
            }
        }
        while self.run.as_ref().is_some_and(|run| !run.publishing.is_empty()) {
            self.publish()?;
        }
        let Some(Run { node, views, .. }) = self.run.take() else { return Ok(()) };
        let (partition, log, _) = node.finish();
        ensure!(log.durable() == partition.sequence(), Durable, "a clean stop leaves something that is not durable");
        let saved = recovery::save(&mut Folder::on(self.snapshots.clone()), partition.state(), views.state());
        ensure!(saved.is_ok() || self.faults, Alive, "no snapshot at the end: {saved:?}");
        drop(log);
        if self.is_dark() {
            self.cut_power();
        }
        self.start()
    }

    /// Whether a disk does nothing any more, since the power was cut within one of its operations.
    pub(super) fn is_dark(&self) -> bool {
        self.disk.names().is_err() || self.snapshots.names().is_err()
    }

    /// A bit of the last snapshot flips, if there is a good one before it, without which nothing leads on where the log
    /// is trimmed. Whether there was.
    fn damage_snapshot(&mut self) -> bool {
        let folder = Folder::on(self.snapshots.clone());
        let kept = folder.list().unwrap_or_default();
        if !kept.iter().skip(1).any(|&before| matches!(folder.load(before), Ok(Some(_)))) {
            return false;
        }
        let names = self.snapshots.names().unwrap_or_default();
        let last = names.iter().filter(|name| !name.ends_with("unfinished")).max();
        let Some(mut file) = last.and_then(|name| self.snapshots.open(name).ok()) else { return false };
        let at = self.dice.below(file.length().unwrap_or_default().max(1));
        let mut byte = [0];
        let read = file.read_at(&mut byte, at);
        byte[0] ^= 1 << self.dice.below(8);
        read.is_ok_and(|read| read == 1) && file.write_at(&byte, at).and_then(|()| file.sync_all()).is_ok()
    }
}
