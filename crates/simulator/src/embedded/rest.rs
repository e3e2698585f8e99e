//! The phase after the faults of a venue in one process: every request completes, and at last the disk rots.

use crossbook_log::files::Options;
use crossbook_log::memory::Memory;
use crossbook_log::{FileReader, Files, Log as _, Reader as _, Until, Verifier};
use crossbook_types::Sequence;

use super::{PARTITION, World};
use crate::violation::{Violation, ensure};

impl World {
    /// Every request completes.
    pub(super) fn heal(&mut self) -> Result<(), Violation> {
        // What is still to fail at a later operation fails now, or never.
        self.drop_run();
        self.cut_power();
        self.start()?;
        let starts = self.starts;
        for _ in 0..100 {
            self.ask();
        }
        for _ in 0..1_000 {
            self.turn()?;
            self.publish()?;
            if self.setup.is_empty() && self.clients.iter().all(|client| !client.is_in_doubt()) {
                break;
            }
            self.ask();
        }
        for _ in 0..1_000 {
            self.turn()?;
            self.publish()?;
            self.write_tables()?;
        }
        ensure!(self.starts == starts, Liveness, "the venue ended though nothing failed");
        let work = self.run.as_ref().is_some_and(|run| run.node.has_work());
        ensure!(!work, Liveness, "the partition has not gone on with what was left");
        let asked = self.run.as_ref().map_or(0, |run| run.asked.len());
        ensure!(asked == 0, Liveness, "{asked} requests were never answered");
        ensure!(self.setup.is_empty(), Liveness, "the venue was never made");
        let (recording, published) = self.observer.recording_mut(PARTITION);
        ensure!(
            recording.position().0 == published.len() as u64,
            Liveness,
            "the tables stay at {}",
            recording.position()
        );
        self.observer.check_quiet()?;
        if let Some(run) = &self.run {
            let live = run.node.partition().state();
            let due = self.observer.reference(PARTITION).state();
            ensure!(live == due, Replicas, "the live partition is not what its log says");
            ensure!(run.views.state() == self.observer.views(PARTITION).state(), Views, "the live views are not");
        }
        self.stop()
    }

    /// The last of it: bits of what was durable rot. Each is found and named, or was never part of a record.
    pub(super) fn end(&mut self) -> Result<(), Violation> {
        self.drop_run();
        let end = Sequence(self.published.len() as u64);
        for _ in 0..6 {
            let mut files = self.disk.files();
            let name = self
                .dice
                .pick(&files.keys().cloned().collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>())
                .to_owned();
            let Some(bytes) = files.get_mut(&name).filter(|bytes| !bytes.is_empty()) else { continue };
            let at = self.dice.index(bytes.len());
            bytes[at] ^= 1 << self.dice.below(8);
            let rotten = Memory::holding(files, self.sector_bytes);
            let options = Options { durable_at_least: end, ..self.options };
            match Files::open_in(rotten.clone(), options) {
                Err(error) => {
                    self.observer.coverage.count("fault rot, refused");
                    let late = verified_late(&rotten, Options { verify_from: end, ..options });
                    ensure!(
                        late.is_some(),
                        Damage,
                        "a bit of {name} is flipped, and neither a start from a snapshot nor verifying the rest notices"
                    );
                    let named = match &error {
                        crossbook_log::Error::Corrupt { file, .. } | crossbook_log::Error::Version { file, .. } => {
                            file.ends_with(&name)
                        }
                        _ => false,
                    };
                    ensure!(named, Damage, "a bit of {name} is flipped at byte {at}, and what is said is: {error}");
                }
                Ok((log, _)) => {
                    self.observer.coverage.count("fault rot, beside the records");
                    ensure!(
                        log.durable() == end,
                        Damage,
                        "with a bit of {name} flipped the log ends at {}",
                        log.durable()
                    );
                    let mut reader = FileReader::open_in(rotten, log.first());
                    for (time, payload) in self.records.iter().skip(log.first().0 as usize - 1) {
                        let record = reader.next(Until::Durable(end));
                        let same =
                            matches!(&record, Ok(Some(record)) if record.time == *time && record.payload == payload);
                        ensure!(same, Damage, "a flipped bit of {name} passes for data: {record:?}");
                    }
                }
            }
        }
        Ok(())
    }
}

/// The findings about a log of a start that reads only its end, or of the later verification of the rest.
fn verified_late(disk: &Memory, options: Options) -> Option<crossbook_log::Error> {
    let (log, found) = match Files::open_in(disk.clone(), options) {
        Ok(opened) => opened,
        Err(error) => return Some(error),
    };
    let mut verifier = Verifier::new_in(disk.clone(), log.identity(), &found);
    loop {
        match verifier.step(10_000) {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}
