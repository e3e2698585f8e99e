//! Backups of a log that is written, trimmed and snapshotted meanwhile; and restoring damaged backups.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbook_log::files::{Options as LogOptions, segments};
use crossbook_log::storage::Disk;
use crossbook_log::{Error as LogError, FileReader, Files, Log as _, Reader as _, Record, Until, skip};
use crossbook_node::snapshot::{self, Folder, Saved as _, Snapshots as _};
use crossbook_object_store::backup::{Error, Manifest, Options, Repository, Source, Taken, Target, restore, take};
use crossbook_object_store::{self as objects, Address};
use crossbook_types::{Sequence, Timestamp};

const LOG: LogOptions = LogOptions {
    segment_bytes_max: 32 << 10,
    batch_bytes_max: 8 << 10,
    record_bytes_max: 1 << 10,
    preallocate: true,
    durable_at_least: Sequence(0),
    verify_from: Sequence(0),
};

/// A data folder, and a place for its backup.
struct Stage {
    folder: tempfile::TempDir,
    runs: u32,
    /// Where the log began, as far as its venue knows.
    began: Option<Sequence>,
}

impl Stage {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), runs: 0, began: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.path("venue/log")
    }

    fn snapshots(&self) -> PathBuf {
        self.path("venue/snapshots")
    }

    fn open(&self) -> Files {
        Files::open(&self.log(), LOG).unwrap().0
    }

    fn repository(&self) -> Repository {
        let address = Address::of_place(self.path("backup").to_str().unwrap()).unwrap();
        Repository::to_write(address, &objects::Options::default()).unwrap()
    }

    fn try_take(&mut self, verify_all: bool) -> Result<Taken, Error> {
        self.runs += 1;
        let options = Options { verify_all, now: 1_700_000_000_000, run: self.runs };
        let (log, snapshots) = (self.log(), self.snapshots());
        let source = Source { log: &log, snapshots: &snapshots, began: &|_| Ok(self.began) };
        take(source, &self.repository(), &options, |_| ())
    }

    fn take(&mut self) -> Taken {
        self.try_take(false).unwrap()
    }

    fn target(&self, name: &str) -> Target {
        let data = self.path(name);
        Target { log: data.join("log"), snapshots: data.join("snapshots"), mark: data.join("mark"), data }
    }

    fn try_restore(&self, name: &str) -> Result<(), Error> {
        let target = self.target(name);
        let mark = |manifest: &Manifest| fs::write(&target.mark, format!("{:?}", manifest.missing()));
        restore(&self.repository(), &target, mark, |_| ()).map(drop)
    }

    /// Restores and reads everything: where the log begins and ends, and where the snapshot stands.
    fn restored(&self, name: &str) -> (Sequence, Sequence, Option<Sequence>) {
        self.try_restore(name).unwrap();
        let target = self.target(name);
        assert!(!target.is_unfinished());
        let (log, found) = Files::open(&target.log, LOG).unwrap();
        assert_eq!(found.torn, None);
        let mut reader = FileReader::open(&target.log, log.first());
        let mut next = log.first();
        while let Some(record) = reader.next(Until::Durable(log.durable())).unwrap() {
            assert_eq!((record.sequence, record.payload), (next, payload(next).as_slice()));
            next = next.next();
        }
        assert_eq!(next, log.durable().next());
        let folder = Folder::at(&target.snapshots);
        let snapshot = folder.list().unwrap().first().copied();
        if let Some(at) = snapshot {
            assert_eq!(folder.load(at).unwrap().unwrap(), image(at));
        }
        (log.first(), log.durable(), snapshot)
    }

    /// The objects of the backup and when they were written.
    fn objects(&self) -> BTreeMap<PathBuf, std::time::SystemTime> {
        let mut found = BTreeMap::new();
        for part in ["segments", "states"] {
            for entry in fs::read_dir(self.path("backup").join(part)).into_iter().flatten() {
                let entry = entry.unwrap();
                found.insert(entry.path(), entry.metadata().unwrap().modified().unwrap());
            }
        }
        found
    }
}

fn payload(sequence: Sequence) -> Vec<u8> {
    // The first byte's top bit would say that the record is passed over.
    vec![sequence.0 as u8 & 0x7f; 40 + (sequence.0 * 7 % 90) as usize]
}

fn image(at: Sequence) -> Vec<u8> {
    format!("the state after {at}").into_bytes()
}

fn write(log: &mut Files, records: u64) {
    for n in 0..records {
        let sequence = log.tail().next();
        log.append(Record { sequence, time: Timestamp(sequence.0), payload: &payload(sequence) }).unwrap();
        if n % 5 == 4 || n + 1 == records {
            log.sync().unwrap();
        }
    }
}

/// Backs up a venue at full speed again and again; each backup restores to a log that opens and has all that was
/// durable before the run began.
fn under_load(trims: bool) {
    let mut stage = Stage::new();
    let mut log = stage.open();
    let mut snapshots = Folder::open(&stage.snapshots()).unwrap();
    let mut trimmer = log.trimmer();
    write(&mut log, 500);
    let (stop, durable) = (AtomicBool::new(false), AtomicU64::new(log.durable().0));
    let (mut dropped, mut begins) = (0, Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                write(&mut log, 7);
                durable.store(log.durable().0, Ordering::Release);
            }
        });
        scope.spawn(|| {
            let mut last = 0;
            while !stop.load(Ordering::Relaxed) {
                let at = Sequence(durable.load(Ordering::Acquire));
                if at.0 < last + 300 {
                    std::thread::yield_now();
                    continue;
                }
                last = at.0;
                snapshots.save(at, &image(at)).unwrap();
                let kept = snapshots.list().unwrap();
                if trims && kept.len() == snapshot::KEPT {
                    while trimmer.trim_one(kept[1]).unwrap() {}
                }
            }
        });
        for round in 0..12 {
            let known = durable.load(Ordering::Acquire);
            let taken = match stage.try_take(round % 4 == 3) {
                // On a machine that is busy with other things, the log may be trimmed under the hands of every attempt.
                Err(Error::Trimmed(_)) if trims => continue,
                taken => taken.unwrap(),
            };
            dropped += taken.segments_dropped;
            let (first, last, snapshot) = stage.restored(&format!("restored-{round}"));
            assert!(last.0 >= known, "round {round}: {known} records were durable, {last} are in the backup");
            assert_eq!((first, last), (taken.manifest.first(), taken.manifest.last));
            assert_eq!(snapshot, taken.manifest.snapshot.as_ref().map(|(at, _)| *at));
            let stands_for = snapshot.unwrap_or_default();
            assert!(first <= stands_for.next() && stands_for <= last, "{first} {stands_for} {last}");
            begins.push(first);
        }
        stop.store(true, Ordering::Relaxed);
    });
    if trims {
        assert!(log.first() > Sequence(1), "nothing was trimmed");
        assert!(begins.len() > 3, "the log was trimmed under too many runs");
    } else {
        assert_eq!((dropped, begins), (0, vec![Sequence(1); 12]));
    }
}

#[test]
fn every_backup_under_load_opens_with_all_that_was_durable_before() {
    under_load(false);
}

#[test]
fn a_log_that_is_trimmed_meanwhile_is_backed_up_with_the_snapshot_that_stands_for_the_rest() {
    under_load(true);
}

#[test]
fn a_later_run_copies_only_what_is_new() {
    let mut stage = Stage::new();
    let mut log = stage.open();
    write(&mut log, 2_000);
    let first = stage.take();
    assert_eq!(
        (first.segments_copied, first.manifest.segments.len()),
        (segments(&stage.log()).unwrap().len(), first.segments_copied)
    );
    let before = stage.objects();
    assert_eq!(before.len(), first.segments_copied);

    write(&mut log, 400);
    let mut snapshots = Folder::open(&stage.snapshots()).unwrap();
    snapshots.save(Sequence(2_100), &image(Sequence(2_100))).unwrap();
    let second = stage.take();
    let finished = first.manifest.segments.iter().filter(|segment| segment.finished).count();
    assert_eq!(finished, first.manifest.segments.len() - 1);
    assert_eq!(second.segments_copied, second.manifest.segments.len() - finished, "all but those that were finished");
    assert!(second.segments_copied < 4 && second.snapshot_copied);
    let after = stage.objects();
    for segment in first.manifest.segments.iter().filter(|segment| segment.finished) {
        let path = stage.path("backup").join(&segment.stored.object);
        assert_eq!(before[&path], after[&path], "written once");
    }
    let tail = &first.manifest.segments.last().unwrap().stored.object;
    assert_eq!(second.manifest.superseded, std::slice::from_ref(tail), "what went on is replaced");
    assert!(after.contains_key(&stage.path("backup").join(tail)), "whoever reads the first can end");
    assert_eq!(after.len(), second.manifest.objects().count() + 1, "nothing else is left over");
    assert_eq!(stage.restored("restored"), (Sequence(1), Sequence(2_400), Some(Sequence(2_100))));

    // With nothing new, only what goes on is copied again.
    let third = stage.take();
    assert_eq!((third.segments_copied, third.snapshot_copied), (1, false));
    assert!(!stage.objects().contains_key(&stage.path("backup").join(tail)), "the run after the next removes it");
    // Of a stopped venue it is the same, and the restored one can be backed up in its turn.
    drop(log);
    assert_eq!(stage.take().manifest.last, Sequence(2_400));
    fs::rename(stage.path("venue"), stage.path("lost")).unwrap();
    fs::rename(stage.path("restored"), stage.path("venue")).unwrap();
    write(&mut stage.open(), 300);
    let again = stage.try_take(true).unwrap();
    assert!(again.segments_copied < 4, "it goes on from the backup that it was made of");
    assert_eq!(stage.restored("again"), (Sequence(1), Sequence(2_700), Some(Sequence(2_100))));
}

/// All records of a log.
fn records(log: &Path) -> Vec<(Sequence, Vec<u8>)> {
    let mut reader = FileReader::open(log, Sequence(1));
    let mut found = Vec::new();
    while let Some(record) = reader.next(Until::End).unwrap() {
        found.push((record.sequence, record.payload.to_vec()));
    }
    found
}

/// A finished segment whose record is passed over is another one than was copied before.
#[test]
fn a_segment_in_which_a_record_is_passed_over_is_copied_anew() {
    let mut stage = Stage::new();
    write(&mut stage.open(), 2_000);
    let first = stage.take();
    let all = first.manifest.segments.len();
    assert!(all > 4);
    let older = std::process::Command::new("cp").arg("-r").args([stage.path("backup"), stage.path("older")]).status();
    assert!(older.unwrap().success());
    let disk = Disk::at(stage.log());
    let mut restored = 0;
    let mut assert_same = |stage: &Stage, taken: &Taken, marks: &[u64]| {
        restored += 1;
        let name = format!("restored-{restored}");
        stage.try_restore(&name).unwrap();
        let log = stage.target(&name).log;
        assert_eq!(records(&log), records(&stage.log()));
        let marks: Vec<_> = marks.iter().copied().map(Sequence).collect();
        let listed = skip::listed(&Disk::at(log)).unwrap();
        assert_eq!((taken.manifest.marks.as_ref(), &listed), (Some(&marks), &marks));
        assert_eq!((taken.manifest.segments.len(), taken.segments_dropped), (all, 0));
    };
    // In a segment in the middle, in the last finished one, in the first one, and in the one that goes on.
    let in_segment = |at: usize| first.manifest.segments[at].first.0 + 1;
    let (middle, last) = (in_segment(2), in_segment(all - 2));
    let mut marks = Vec::new();
    for (at, copied) in [(middle, all - 2), (last, 2), (in_segment(0), all), (in_segment(all - 1), 1)] {
        skip::mark(&disk, Sequence(at)).unwrap();
        marks.push(at);
        marks.sort_unstable();
        let taken = stage.take();
        assert_eq!(taken.segments_copied, copied, "record {at}");
        assert_same(&stage, &taken, &marks);
        assert_eq!(stage.take().segments_copied, 1, "copied anew once");
    }

    // One that was listed and not marked, because the process was interrupted, changes nothing; a log that lost the
    // list is still the one that was backed up.
    let mut listed = skip::listed(&disk).unwrap();
    listed.push(Sequence(500));
    listed.sort_unstable();
    skip::write_list(&disk, &listed).unwrap();
    let taken = stage.take();
    assert_eq!(taken.segments_copied, 1);
    assert_same(&stage, &taken, &marks);
    fs::remove_file(stage.log().join("marks")).unwrap();
    assert_eq!(stage.take().segments_copied, 1);

    // The backup from before the marks, and a log that was restored from one with them.
    fs::rename(stage.path("backup"), stage.path("newer")).unwrap();
    fs::rename(stage.path("older"), stage.path("backup")).unwrap();
    fs::rename(stage.path("venue"), stage.path("gone")).unwrap();
    fs::rename(stage.path("restored-1"), stage.path("venue")).unwrap();
    assert_eq!(stage.take().segments_copied, all - 2, "that one had the first mark only");
    fs::write(stage.log().join("marks"), "no number").unwrap();
    let error = stage.try_take(false).unwrap_err().to_string();
    assert!(error.contains("marks") && error.contains("one a line"), "{error}");
}

/// An older program wrote no list beside the log and no marks into the manifest, so all segments are compared once.
#[test]
fn a_record_that_an_older_program_skipped_after_its_backup_is_found() {
    use sha2::Digest as _;
    let mut stage = Stage::new();
    write(&mut stage.open(), 2_000);
    let first = stage.take();
    let all = first.manifest.segments.len();
    let path = stage.path("backup").join("manifest.json");
    let mut signed: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(signed["manifest"].as_object_mut().unwrap().remove("marks").is_some());
    signed["sha256"] = hex::encode(sha2::Sha256::digest(signed["manifest"].to_string())).into();
    fs::write(&path, signed.to_string()).unwrap();
    let at = Sequence(first.manifest.segments[2].first.0 + 1);
    skip::mark(&Disk::at(stage.log()), at).unwrap();
    fs::remove_file(stage.log().join("marks")).unwrap();

    let taken = stage.take();
    assert_eq!((taken.segments_copied, taken.manifest.marks), (all - 2, Some(vec![at])));
    stage.try_restore("restored").unwrap();
    assert_eq!(records(&stage.target("restored").log), records(&stage.log()));
    assert_eq!(stage.take().segments_copied, 1, "the manifest knows the skipped records now");
}

/// Where the log no longer has the record, what the backup has before it is of no use.
#[test]
fn a_record_that_was_skipped_and_trimmed_leaves_the_backup() {
    let mut stage = Stage::new();
    write(&mut stage.open(), 2_000);
    stage.take();
    skip::mark(&Disk::at(stage.log()), Sequence(100)).unwrap();
    let mut snapshots = Folder::open(&stage.snapshots()).unwrap();
    snapshots.save(Sequence(1_000), &image(Sequence(1_000))).unwrap();
    let mut log = stage.open();
    log.trim(Sequence(1_000)).unwrap();
    let taken = stage.take();
    assert_eq!((taken.manifest.first(), taken.manifest.marks), (log.first(), Some(Vec::new())));
    assert!(taken.segments_dropped > 0);
    assert_eq!(stage.restored("restored"), (log.first(), Sequence(2_000), Some(Sequence(1_000))));
}

#[test]
fn an_empty_log_has_a_backup_too() {
    let mut stage = Stage::new();
    let mut log = stage.open();
    assert_eq!(stage.take().manifest.segments, []);
    stage.try_restore("restored").unwrap();
    write(&mut log, 3);
    assert_eq!(stage.take().manifest.last, Sequence(3));
    assert_eq!(stage.restored("again"), (Sequence(1), Sequence(3), None));
}

#[test]
fn a_backup_that_is_not_what_was_written_is_refused_and_leaves_nothing_behind() {
    let mut stage = Stage::new();
    let mut log = stage.open();
    write(&mut log, 900);
    Folder::open(&stage.snapshots()).unwrap().save(Sequence(500), &image(Sequence(500))).unwrap();
    stage.take();
    let objects: Vec<PathBuf> = stage.objects().into_keys().collect();
    assert!(objects.len() > 3);
    let refused = |stage: &Stage| {
        let error = stage.try_restore("restored").unwrap_err();
        assert!(!stage.target("restored").is_unfinished());
        assert_eq!(fs::read_dir(stage.path("restored")).map_or(0, Iterator::count), 0, "{error}");
        error
    };
    for path in &objects {
        let good = fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        for at in [0, 40, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(path, bad).unwrap();
            let error = refused(&stage);
            assert!(matches!(&error, Error::Damaged { object, .. } if object.contains(name)), "{error}");
            // Nor does a later run believe it, if it is asked to look.
            let kept = stage.repository().manifest().unwrap().unwrap();
            if kept.segments.iter().any(|segment| segment.finished && segment.stored.object.contains(name)) {
                assert!(matches!(stage.try_take(true), Err(Error::Damaged { .. })));
            }
        }
        fs::write(path, &good[..good.len() - 1]).unwrap();
        assert!(refused(&stage).to_string().contains(&format!("has {} bytes", good.len() - 1)));
        fs::remove_file(path).unwrap();
        assert!(refused(&stage).to_string().contains("is missing"));
        fs::write(path, good).unwrap();
    }
    let manifest = stage.path("backup/manifest.json");
    let good = fs::read(&manifest).unwrap();
    fs::write(&manifest, &good[..good.len() / 2]).unwrap();
    assert!(matches!(refused(&stage), Error::Manifest { .. }));
    assert!(matches!(stage.try_take(false), Err(Error::Manifest { .. })), "nor is it replaced without a word");
    fs::remove_file(&manifest).unwrap();
    let error = refused(&stage);
    assert!(matches!(&error, Error::Unfinished { objects: found, .. } if *found == objects.len()), "{error}");
    fs::write(&manifest, good).unwrap();
    assert_eq!(stage.restored("restored"), (Sequence(1), Sequence(900), Some(Sequence(500))));
    let elsewhere = Address::of_place(stage.path("nothing").to_str().unwrap()).unwrap();
    assert!(matches!(
        Repository::to_read(elsewhere.clone(), &objects::Options::default()),
        Err(Error::Repository { .. })
    ));
    let repository = Repository::to_write(elsewhere, &objects::Options::default()).unwrap();
    assert!(matches!(restore(&repository, &stage.target("other"), |_| Ok(()), |_| ()), Err(Error::Absent(_))));
}

#[test]
fn only_an_empty_folder_is_restored_into_and_an_interrupted_restoration_begins_anew() {
    let mut stage = Stage::new();
    let mut log = stage.open();
    write(&mut log, 600);
    Folder::open(&stage.snapshots()).unwrap().save(Sequence(500), &image(Sequence(500))).unwrap();
    stage.take();
    let target = stage.target("restored");
    fs::create_dir(&target.data).unwrap();
    let other = target.data.join("notes.txt");
    fs::write(&other, "mine").unwrap();
    let error = stage.try_restore("restored").unwrap_err();
    assert!(matches!(error, Error::Occupied(_)), "{error}");
    assert_eq!(
        (fs::read_to_string(&other).unwrap().as_str(), fs::read_dir(&target.data).unwrap().count()),
        ("mine", 1)
    );
    fs::remove_file(&other).unwrap();
    assert!(matches!(stage.try_restore("venue"), Err(Error::Occupied(_))), "the venue itself");

    // Cut short: at first nothing has its name, then the snapshots have.
    for snapshots_done in [false, true] {
        fs::create_dir(target.data.join("log.restoring")).unwrap();
        fs::write(target.data.join("log.restoring/00000000000000000001.log"), "half").unwrap();
        let name = if snapshots_done { "snapshots" } else { "snapshots.restoring" };
        fs::create_dir(target.data.join(name)).unwrap();
        if snapshots_done {
            fs::write(&target.mark, "ha").unwrap();
        }
        assert!(target.is_unfinished());
        assert_eq!(stage.restored("restored"), (Sequence(1), Sequence(600), Some(Sequence(500))));
        fs::remove_dir_all(&target.data).unwrap();
        fs::create_dir(&target.data).unwrap();
    }
}

#[test]
fn a_backup_of_another_or_a_diverged_log_is_not_replaced() {
    let mut stage = Stage::new();
    let mut log = stage.open();
    write(&mut log, 1_000);
    drop(log);
    copy(&stage.path("venue"), &stage.path("older"));
    write(&mut stage.open(), 1_000);
    stage.take();
    let kept = stage.objects();

    // The data folder is restored from an older copy, and goes another way.
    fs::remove_dir_all(stage.path("venue")).unwrap();
    copy(&stage.path("older"), &stage.path("venue"));
    let error = stage.try_take(false).unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }), "{error}");
    let mut log = stage.open();
    for _ in 0..1_000 {
        let sequence = log.tail().next();
        let other = vec![0xee; payload(sequence).len()];
        log.append(Record { sequence, time: Timestamp(sequence.0), payload: &other }).unwrap();
        log.sync().unwrap();
    }
    drop(log);
    let error = stage.try_take(false).unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }), "{error}");

    fs::remove_dir_all(stage.path("venue")).unwrap();
    write(&mut stage.open(), 2_000);
    let error = stage.try_take(false).unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    assert_eq!(stage.objects(), kept, "the backup is as it was");
    assert_eq!(stage.restored("restored").1, Sequence(2_000));
}

/// A folder put back to an older copy, in whose only segment a record more or less makes no difference to the finished
/// ones.
#[test]
fn a_shorter_log_or_one_that_went_another_way_never_replaces_the_backup() {
    let mut stage = Stage::new();
    let mut log = stage.open();
    write(&mut log, 5);
    drop(log);
    copy(&stage.path("venue"), &stage.path("older"));
    write(&mut stage.open(), 5);
    let taken = stage.take();
    assert_eq!((taken.manifest.last, taken.manifest.last_time), (Sequence(10), Some(10)));
    let kept = stage.objects();
    let back = |stage: &Stage| {
        fs::remove_dir_all(stage.path("venue")).unwrap();
        copy(&stage.path("older"), &stage.path("venue"));
    };

    back(&stage);
    let error = stage.try_take(false).unwrap_err();
    assert!(matches!(error, Error::Diverged { last: Sequence(10), .. }), "{error}");
    let mut log = stage.open();
    for _ in 0..9 {
        let sequence = log.tail().next();
        log.append(Record { sequence, time: Timestamp(sequence.0 + 1), payload: &payload(sequence) }).unwrap();
        log.sync().unwrap();
    }
    drop(log);
    let error = stage.try_take(false).unwrap_err();
    assert!(matches!(error, Error::Diverged { last: Sequence(10), .. }), "{error}");
    fs::remove_dir_all(stage.log()).unwrap();
    fs::create_dir_all(stage.log()).unwrap();
    let error = stage.try_take(false).unwrap_err();
    assert!(matches!(error, Error::Diverged { last: Sequence(10), .. }), "{error}");
    assert_eq!(stage.objects(), kept, "the backup is as it was");

    back(&stage);
    write(&mut stage.open(), 7);
    assert_eq!(stage.take().manifest.last, Sequence(12), "the same commands again are no other course");
    assert_eq!(stage.restored("restored").1, Sequence(12));
}

#[test]
fn two_runs_at_once_are_refused_and_what_was_superseded_stays_for_one_run() {
    let mut stage = Stage::new();
    write(&mut stage.open(), 2_000);
    // One that begins while another is at work.
    let (log, snapshots) = (stage.log(), stage.snapshots());
    let mut second = None;
    let options = Options { verify_all: false, now: 1_700_000_000_000, run: 77 };
    let first =
        take(Source { log: &log, snapshots: &snapshots, began: &|_| Ok(None) }, &stage.repository(), &options, |_| {
            second.get_or_insert_with(|| stage.try_take(false));
        });
    assert!(matches!(second, Some(Err(Error::Busy(_)))), "{second:?}");
    first.unwrap();
    let manifest = stage.path("backup/manifest.json");
    let text = fs::read(&manifest).unwrap();
    let before = stage.objects();

    write(&mut stage.open(), 10);
    let taken = stage.take();
    assert!(!taken.manifest.superseded.is_empty());
    assert!(before.keys().all(|object| stage.objects().contains_key(object)), "whoever reads it can go on");

    // One whose manifest is replaced, by a run that the lock did not keep out.
    write(&mut stage.open(), 10);
    let kept = stage.objects();
    let options = Options { run: 78, ..options };
    let overtaken =
        take(Source { log: &log, snapshots: &snapshots, began: &|_| Ok(None) }, &stage.repository(), &options, |_| {
            fs::write(&manifest, &text).unwrap();
        });
    assert!(matches!(overtaken, Err(Error::Overtaken(_))), "{overtaken:?}");
    assert_eq!(stage.objects(), kept, "only its own parts are gone");
    assert_eq!(stage.restored("restored").1, Sequence(2_000), "the other's stands");
}

/// What a log had lost at its beginning is lost in what is restored, too, and known to be.
#[test]
fn what_the_log_had_lost_is_in_the_manifest_and_reaches_the_restored_folder() {
    let mut stage = Stage::new();
    let mut log = stage.open();
    write(&mut log, 2_000);
    Folder::open(&stage.snapshots()).unwrap().save(Sequence(1_900), &image(Sequence(1_900))).unwrap();
    stage.began = Some(Sequence(1));
    assert_eq!(stage.take().manifest.missing(), None);
    let firsts = segments(&stage.log()).unwrap();
    assert!(firsts.len() > 2);
    fs::remove_file(stage.log().join(crossbook_log::files::segment_name(firsts[0]))).unwrap();
    assert_eq!(stage.take().manifest.missing(), None, "the backup has it");
    fs::rename(stage.path("backup"), stage.path("whole")).unwrap();
    let lost = Some((Sequence(1), Sequence(firsts[1].0 - 1)));
    assert_eq!(stage.take().manifest.missing(), lost);
    write(&mut log, 10);
    assert_eq!(stage.take().manifest.missing(), lost, "later runs know it, too");
    stage.restored("restored");
    assert_eq!(fs::read_to_string(&stage.target("restored").mark).unwrap(), format!("{lost:?}"));
    // A mark that cannot be written leaves nothing behind.
    let target = stage.target("unmarked");
    let refused = restore(&stage.repository(), &target, |_| Err(std::io::ErrorKind::StorageFull.into()), |_| ());
    assert!(matches!(refused, Err(Error::File { .. })), "{refused:?}");
    assert_eq!(fs::read_dir(&target.data).unwrap().count(), 0);
    // It was trimmed since, or given up.
    stage.began = Some(firsts[1]);
    assert_eq!(stage.take().manifest.missing(), None);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("log")).unwrap();
    for entry in fs::read_dir(from.join("log")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join("log").join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_log_that_was_trimmed_past_the_backup_before_begins_it_anew() {
    let mut stage = Stage::new();
    let mut log = stage.open();
    write(&mut log, 1_000);
    stage.take();
    write(&mut log, 3_000);
    let mut snapshots = Folder::open(&stage.snapshots()).unwrap();
    log.trim(Sequence(2_500)).unwrap();
    // Without a snapshot for what is gone, a backup would not open.
    let error = stage.try_take(false).unwrap_err();
    assert!(matches!(error, Error::NoSnapshot { .. }), "{error}");
    assert_eq!(stage.restored("before").1, Sequence(1_000), "the one before is as it was");
    snapshots.save(Sequence(2_500), &image(Sequence(2_500))).unwrap();
    let taken = stage.take();
    assert!(taken.segments_dropped > 0);
    let (first, last, snapshot) = stage.restored("after");
    assert!(first > Sequence(1_000) && first <= Sequence(2_501));
    assert_eq!((last, snapshot), (Sequence(4_000), Some(Sequence(2_500))));
    let parts = taken.manifest.objects().count() + taken.manifest.superseded.len();
    assert_eq!(stage.objects().len(), parts);
    // The damage of a record is found while it is copied.
    drop(log);
    let segment = stage.log().join(crossbook_log::files::segment_name(segments(&stage.log()).unwrap()[1]));
    let mut bytes = fs::read(&segment).unwrap();
    bytes[200] ^= 1;
    fs::write(&segment, bytes).unwrap();
    fs::rename(stage.path("backup"), stage.path("aside")).unwrap();
    let error = stage.try_take(false).unwrap_err();
    assert!(matches!(error, Error::Log(LogError::Corrupt { .. })), "{error}");
}

/// Runs where a server is named, with the bucket `crossbook`: `AWS_ENDPOINT=http://127.0.0.1:5000 AWS_ALLOW_HTTP=true
/// AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=.. AWS_SECRET_ACCESS_KEY=..`
#[test]
#[ignore = "needs a server that speaks S3, see above"]
fn a_backup_among_the_objects_of_a_server() {
    let stage = Stage::new();
    // Several requests for one segment.
    let options = LogOptions { segment_bytes_max: 16 << 20, batch_bytes_max: 1 << 20, ..LOG };
    let (mut log, _) = Files::open(&stage.log(), options).unwrap();
    Folder::open(&stage.snapshots()).unwrap();
    write(&mut log, 120_000);
    let repository = || {
        let options = objects::Options { part_bytes_max: 5 << 20, ..objects::Options::default() };
        Repository::to_write(Address::new("s3://crossbook/some/backup"), &options).unwrap()
    };
    let (log_folder, snapshots) = (stage.log(), stage.snapshots());
    let source = Source { log: &log_folder, snapshots: &snapshots, began: &|_| Ok(None) };
    let taking = |run| Options { verify_all: true, now: 0, run };
    let taken = take(source, &repository(), &taking(1), |_| ()).unwrap();
    assert!(taken.manifest.segments[0].stored.bytes > 10 << 20);
    write(&mut log, 1_000);
    let taken = take(source, &repository(), &taking(2), |_| ()).unwrap();
    assert_eq!(taken.manifest.last, Sequence(121_000));
    restore(&repository(), &stage.target("restored"), |_| Ok(()), |_| ()).unwrap();
    assert_eq!(Files::open(&stage.target("restored").log, options).unwrap().0.durable(), Sequence(121_000));
}
