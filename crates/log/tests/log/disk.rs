//! Properties of a real folder: the lock, a reader in another thread, folders that are created, and how much of the log
//! a start reads.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbook_log::files::Options;
use crossbook_log::storage::{Disk, File, Storage};
use crossbook_log::{Damage, Error, FileReader, Files, Log, Reader, Record, Until, Verifier};
use crossbook_types::{Sequence, Timestamp};

const OPTIONS: Options = Options {
    segment_bytes_max: 4096,
    batch_bytes_max: 2048,
    record_bytes_max: 512,
    preallocate: true,
    durable_at_least: Sequence(0),
    verify_from: Sequence(0),
};

#[test]
fn one_log_at_a_time_has_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/on/the/way");
    let (log, _) = Files::open(&path, OPTIONS).unwrap();
    let refused = Files::open(&path, OPTIONS).unwrap_err();
    let told = refused.to_string();
    assert!(matches!(refused, Error::Locked { .. }), "{told}");
    assert!(told.contains(&format!("process {}", std::process::id())), "{told}");
    assert!(told.contains("stop it, or choose another data folder"), "{told}");
    drop(log);
    Files::open(&path, OPTIONS).unwrap();
}

/// Appends the next record and makes it durable.
fn put<S: Storage>(log: &mut Files<S>) -> Result<Sequence, Error> {
    let sequence = log.tail().next();
    log.append(Record { sequence, time: Timestamp(sequence.0), payload: &[sequence.0 as u8; 400] })?;
    log.sync()
}

fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = files.filter(|path| path.extension().is_some_and(|name| name == "log")).collect();
    found.sort();
    found
}

#[test]
fn a_removed_lock_file_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Files::open(folder.path(), OPTIONS).unwrap();
    put(&mut log).unwrap();
    fs::remove_file(folder.path().join("lock")).unwrap();
    let refused = Files::open(folder.path(), OPTIONS).unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    // The writer does not depend on the name either.
    assert_eq!(put(&mut log).unwrap(), Sequence(2));
}

#[test]
fn a_segment_that_another_folder_reaches_too_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    let (mut log, _) = Files::open(&ours, OPTIONS).unwrap();
    put(&mut log).unwrap();
    fs::create_dir(&theirs).unwrap();
    let segment = segments(&ours)[0].clone();
    fs::hard_link(&segment, theirs.join(segment.file_name().unwrap())).unwrap();
    let refused = Files::open(&theirs, OPTIONS).unwrap_err();
    assert!(matches!(&refused, Error::Locked { holder, .. } if holder == "another process"), "{refused}");
    drop(log);
    // Nobody has it now, but both would write to it.
    let refused = Files::open(&theirs, OPTIONS).unwrap_err();
    assert!(matches!(refused, Error::Linked { names: 2, .. }), "{refused}");
    // The message says how to part them.
    let own = theirs.join("own");
    fs::copy(&segment, &own).unwrap();
    fs::rename(&own, theirs.join(segment.file_name().unwrap())).unwrap();
    let (log, _) = Files::open(&theirs, OPTIONS).unwrap();
    assert_eq!(log.durable(), Sequence(1));
    assert_eq!(Files::open(&ours, OPTIONS).unwrap().0.durable(), Sequence(1));
}

#[test]
fn a_segment_or_folder_that_was_moved_away_is_noticed_before_anything_in_it_counts() {
    type Move = fn(&Path);
    let moves: [(&str, Move); 4] = [
        ("removed", |folder| fs::remove_file(&segments(folder)[0]).unwrap()),
        ("renamed", |folder| fs::rename(&segments(folder)[0], folder.join("aside")).unwrap()),
        ("replaced", |folder| {
            let segment = &segments(folder)[0];
            fs::copy(segment, folder.join("copy")).unwrap();
            fs::rename(folder.join("copy"), segment).unwrap();
        }),
        ("in a folder that was moved", |folder| {
            fs::rename(folder, folder.with_extension("aside")).unwrap();
            fs::create_dir(folder).unwrap();
        }),
    ];
    for (what, moved) in moves {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (mut log, _) = Files::open(&path, OPTIONS).unwrap();
        put(&mut log).unwrap();
        moved(&path);
        let refused = put(&mut log).unwrap_err();
        assert!(matches!(refused, Error::Displaced { .. }), "{what}: {refused}");
        assert_eq!(log.durable(), Sequence(1), "{what}");
        assert!(matches!(put(&mut log), Err(Error::Poisoned)), "{what}");
    }
}

#[test]
fn no_segment_is_begun_in_a_folder_that_took_the_place_of_the_locked_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let (mut log, _) = Files::open(&path, OPTIONS).unwrap();
    while segments(&path).len() == 1 {
        put(&mut log).unwrap();
    }
    // The folder is another one, in which the segment being written still has its name.
    let aside = folder.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    fs::create_dir(&path).unwrap();
    for segment in segments(&aside) {
        fs::rename(&segment, path.join(segment.file_name().unwrap())).unwrap();
    }
    // Nobody has this folder, but somebody has the segment.
    assert!(matches!(Files::open(&path, OPTIONS), Err(Error::Locked { .. })));
    let refused = loop {
        if let Err(refused) = put(&mut log) {
            break refused;
        }
    };
    assert!(matches!(&refused, Error::Displaced { file } if *file == path.display().to_string()), "{refused}");
}

/// A folder that counts the bytes that are read of it.
#[derive(Clone)]
struct Counting(Disk, Arc<AtomicU64>);

struct CountingFile(<Disk as Storage>::File, Arc<AtomicU64>);

impl Storage for Counting {
    type File = CountingFile;
    type Lock = <Disk as Storage>::Lock;

    fn lock(&self) -> io::Result<Self::Lock> {
        self.0.lock()
    }

    fn is_locked_by(&self, lock: &Self::Lock) -> io::Result<bool> {
        self.0.is_locked_by(lock)
    }

    fn is_named(&self, file: &CountingFile, name: &str) -> io::Result<bool> {
        self.0.is_named(&file.0, name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }

    fn create(&self, name: &str) -> io::Result<CountingFile> {
        Ok(CountingFile(self.0.create(name)?, Arc::clone(&self.1)))
    }

    fn open(&self, name: &str) -> io::Result<CountingFile> {
        Ok(CountingFile(self.0.open(name)?, Arc::clone(&self.1)))
    }

    fn open_to_read(&self, name: &str) -> io::Result<CountingFile> {
        Ok(CountingFile(self.0.open_to_read(name)?, Arc::clone(&self.1)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.0.sync_names()
    }

    fn identity(&self) -> io::Result<u64> {
        self.0.identity()
    }

    fn describe(&self, name: &str) -> String {
        self.0.describe(name)
    }
}

impl File for CountingFile {
    fn lock(&mut self) -> io::Result<()> {
        self.0.lock()
    }

    fn names(&self) -> io::Result<u64> {
        self.0.names()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.0.read_at(buffer, offset)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }

    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn preallocate(&mut self, bytes: u64) -> io::Result<()> {
        self.0.preallocate(bytes)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.0.truncate(bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

#[test]
fn what_a_start_from_a_snapshot_reads_does_not_depend_on_the_length_of_the_log() {
    // Syncs would take most of the time, so many records share one.
    let options = Options { segment_bytes_max: 1 << 20, batch_bytes_max: 256 << 10, ..OPTIONS };
    let read_of = |records: u64| {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = Files::open(folder.path(), options).unwrap();
        for n in 1..=records {
            let record = Record { sequence: Sequence(n), time: Timestamp(n), payload: &[n as u8; 400] };
            if matches!(log.append(record), Err(Error::BatchFull { .. })) {
                log.sync().unwrap();
                log.append(record).unwrap();
            }
        }
        log.sync().unwrap();
        drop(log);
        let read = Arc::new(AtomicU64::new(0));
        let storage = Counting(Disk::at(folder.path()), Arc::clone(&read));
        // A snapshot a hundred records before the end.
        let known = Sequence(records - 100);
        let options = Options { durable_at_least: known, verify_from: known, ..options };
        let (log, found) = Files::open_in(storage.clone(), options).unwrap();
        assert_eq!(log.durable(), Sequence(records));
        let mut reader = FileReader::open_in(storage.clone(), known.next());
        let mut replayed = 0;
        while reader.next(Until::Durable(log.durable())).unwrap().is_some() {
            replayed += 1;
        }
        assert_eq!(replayed, 100);
        let begun = read.swap(0, Ordering::Relaxed);
        // The rest is verified later, whole.
        let mut verifier = Verifier::new_in(storage, log.identity(), &found);
        let (mut last, mut bytes) = (Sequence(0), 0);
        while let Some(step) = verifier.step(64 << 10).unwrap() {
            assert!(step.last >= last && step.bytes <= (64 << 10) + 512);
            (last, bytes) = (step.last, bytes + step.bytes);
        }
        assert_eq!((last, last), (verifier.end(), Sequence(found.verified_from.0 - 1)));
        assert!(read.load(Ordering::Relaxed) >= bytes);
        (begun, bytes)
    };
    let ((short, _), (long, rest)) = (read_of(6_000), read_of(60_000));
    assert!(rest > 20 << 20, "{rest} bytes were left to verify");
    // A part of a segment, twice or three times, and what is taken ahead.
    assert!(short < 4 << 20 && long < 4 << 20, "{short} and {long} bytes were read");
}

#[test]
fn what_was_not_verified_at_the_start_is_found_damaged_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Files::open(folder.path(), OPTIONS).unwrap();
    for _ in 0..60 {
        put(&mut log).unwrap();
    }
    let known = log.durable();
    drop(log);
    let options = Options { durable_at_least: known, verify_from: known, ..OPTIONS };
    let flip = |path: &Path, at: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let verify = || {
        let (log, found) = Files::open(folder.path(), options).unwrap();
        let mut verifier = Verifier::new(folder.path(), log.identity(), &found);
        loop {
            match verifier.step(1_000) {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    };
    verify().unwrap();
    let all = segments(folder.path());
    for (segment, at) in all[..all.len() - 1].iter().flat_map(|segment| [3, 40, 900, 4_090].map(|at| (segment, at))) {
        flip(segment, at);
        match verify() {
            Err(Error::Corrupt { file, .. }) => assert_eq!(file, segment.display().to_string()),
            other => panic!("byte {at} of {}: {other:?}", segment.display()),
        }
        assert!(matches!(Files::open(folder.path(), OPTIONS), Err(Error::Corrupt { .. })));
        flip(segment, at);
    }
    // A segment that is missing in the middle.
    fs::rename(&all[1], folder.path().join("aside")).unwrap();
    assert!(matches!(verify(), Err(Error::Corrupt { damage: Damage::Missing { .. }, .. })));
    fs::rename(folder.path().join("aside"), &all[1]).unwrap();
    verify().unwrap();
    // What the snapshot is in is verified at once.
    flip(all.last().unwrap(), 40);
    assert!(matches!(Files::open(folder.path(), options), Err(Error::Corrupt { .. })));
}

#[test]
fn an_interrupted_beginning_right_behind_the_snapshot_is_no_beginning_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Files::open(folder.path(), OPTIONS).unwrap();
    while segments(folder.path()).len() < 3 {
        put(&mut log).unwrap();
    }
    let known = Sequence(log.durable().0 - 1);
    drop(log);
    let last = segments(folder.path()).pop().unwrap();
    fs::write(&last, vec![0; 100]).unwrap();
    for verify_from in [known, known.next()] {
        let options = Options { durable_at_least: known, verify_from, ..OPTIONS };
        match Files::open(folder.path(), options) {
            Ok((log, found)) => assert_eq!((log.durable(), found.unborn_segment), (known, true)),
            Err(error) => assert!(verify_from > known && matches!(error, Error::Corrupt { .. }), "{error}"),
        }
        fs::write(&last, vec![0; 100]).unwrap();
    }
}

#[test]
fn a_trimmer_in_another_thread_removes_one_segment_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Files::open(folder.path(), OPTIONS).unwrap();
    let mut trimmer = log.trimmer();
    assert!(!trimmer.trim_one(Sequence(0)).unwrap());
    for _ in 0..100 {
        put(&mut log).unwrap();
    }
    let before = segments(folder.path()).len();
    let first = log.first();
    assert!(trimmer.trim_one(Sequence(50)).unwrap());
    assert_eq!(segments(folder.path()).len(), before - 1);
    assert!(log.first() > first, "the log knows");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                put(&mut log).unwrap();
            }
        });
        while trimmer.trim_one(Sequence(100)).unwrap() {}
        stop.store(true, Ordering::Relaxed);
    });
    assert!(log.first() > Sequence(80) && log.first() <= Sequence(101), "{}", log.first());
    drop(log);
    // It leaves the last segment and the one before it, whatever it is told.
    let (log, _) = Files::open(folder.path(), OPTIONS).unwrap();
    while log.trimmer().trim_one(log.durable()).unwrap() {}
    assert_eq!(segments(folder.path()).len(), 2);
    drop(log);
    Files::open(folder.path(), OPTIONS).unwrap();
}

#[test]
fn a_reader_to_the_end_never_takes_a_writer_for_damage() {
    const RECORDS: u64 = 4_500;
    let folder = tempfile::tempdir().unwrap();
    // Syncs would give the reader time, which is not what this is about.
    let (mut log, _) = Files::open(folder.path(), OPTIONS).unwrap();
    let (begun, durable) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let (mut rounds, mut seen) = (0, 0);
            while seen < RECORDS {
                begun.store(true, Ordering::Release);
                // Each round begins anew, near the end, as a copy does.
                let known = durable.load(Ordering::Acquire);
                let mut reader = FileReader::open(folder.path(), Sequence(known.saturating_sub(20).max(1)));
                while let Some(record) = reader.next(Until::End).unwrap() {
                    seen = record.sequence.0;
                    assert_eq!(record.payload, vec![seen as u8; seen as usize % 100]);
                }
                assert!(seen >= known, "{known} records were durable, {seen} were seen");
                rounds += 1;
            }
            rounds
        });
        while !begun.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        for n in 1..=RECORDS {
            let payload = vec![n as u8; n as usize % 100];
            log.append(Record { sequence: Sequence(n), time: Timestamp(n), payload: &payload }).unwrap();
            if n % 3 == 0 || n == RECORDS {
                durable.store(log.sync().unwrap().0, Ordering::Release);
            }
        }
        assert!(reading.join().unwrap() > 100);
    });
}

#[test]
fn a_reader_in_another_thread_sees_every_durable_record_once() {
    const RECORDS: u64 = 2_000;
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Files::open(folder.path(), OPTIONS).unwrap();
    let durable = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut reader = FileReader::open(folder.path(), Sequence(1));
            let deadline = Instant::now() + Duration::from_secs(60);
            let mut seen = 0;
            while seen < RECORDS {
                assert!(Instant::now() < deadline, "saw {seen} records in time");
                let until = Until::Durable(Sequence(durable.load(Ordering::Acquire)));
                match reader.next(until).unwrap() {
                    Some(record) => {
                        seen += 1;
                        assert_eq!(record.sequence, Sequence(seen));
                        assert_eq!(record.payload, vec![seen as u8; seen as usize % 100]);
                    }
                    None => std::thread::yield_now(),
                }
            }
        });
        for n in 1..=RECORDS {
            let payload = vec![n as u8; n as usize % 100];
            log.append(Record { sequence: Sequence(n), time: Timestamp(n), payload: &payload }).unwrap();
            if n % 8 == 0 {
                durable.store(log.sync().unwrap().0, Ordering::Release);
            }
        }
    });
}

#[test]
fn trimming_removes_whole_files_from_the_front() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Files::open(folder.path(), OPTIONS).unwrap();
    for n in 1..=100 {
        log.append(Record { sequence: Sequence(n), time: Timestamp(n), payload: &[1; 400] }).unwrap();
        log.sync().unwrap();
    }
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    let before = files();
    log.trim(Sequence(50)).unwrap();
    assert!(log.first() > Sequence(30) && log.first() <= Sequence(51), "{}", log.first());
    assert!(files() < before);
    log.trim(Sequence(100)).unwrap();
    assert_eq!(files(), 2, "the lock and the last segment stay");
}

#[test]
fn contradicting_options_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for options in [
        Options { record_bytes_max: 2048, ..OPTIONS },
        Options { segment_bytes_max: 2048, ..OPTIONS },
        Options { record_bytes_max: 17 << 20, batch_bytes_max: 40 << 20, segment_bytes_max: 80 << 20, ..OPTIONS },
    ] {
        assert!(matches!(Files::open(folder.path(), options), Err(Error::Options(_))), "{options:?}");
    }
}
