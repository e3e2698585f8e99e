//! What only a real folder shows: the lock, a reader in another thread, folders made on the way.

#![allow(clippy::unwrap_used)] // a test says what failed by failing

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbook_log::files::Options;
use crossbook_log::{Error, FileReader, Files, Log, Reader, Record, Until};
use crossbook_types::{Sequence, Timestamp};

const OPTIONS: Options = Options {
    segment_bytes_max: 4096,
    batch_bytes_max: 2048,
    record_bytes_max: 512,
    preallocate: true,
    durable_at_least: Sequence(0),
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
