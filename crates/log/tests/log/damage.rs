//! Every byte flipped, every length cut: a damaged log opens on a durable prefix or refuses and says where. It never
//! returns a record that was not written, and never panics.

use std::collections::BTreeMap;

use crossbook_log::files::Options;
use crossbook_log::memory::Memory;
use crossbook_log::{Damage, Error, FileReader, Files, Log, Reader, Record, Recovery, Until};
use crossbook_types::{Sequence, Timestamp};

const SECTOR_BYTES: u64 = 64;
const HEADER_BYTES: usize = 32;
const OPTIONS: Options = Options {
    segment_bytes_max: 256,
    batch_bytes_max: 200,
    record_bytes_max: 60,
    preallocate: true,
    durable_at_least: Sequence(0),
    verify_from: Sequence(0),
};
/// Records per batch. The last segment ends up with three batches, the last of two records.
const BATCHES: [u64; 9] = [2, 1, 2, 2, 1, 2, 1, 1, 2];
const RECORDS: u64 = 14;

type Disk = BTreeMap<String, Vec<u8>>;

fn payload(sequence: u64) -> Vec<u8> {
    vec![sequence as u8; (sequence as usize * 5) % 13]
}

fn written() -> Disk {
    let memory = Memory::new(SECTOR_BYTES);
    let (mut log, _) = Files::open_in(memory.clone(), OPTIONS).unwrap();
    for records in BATCHES {
        for _ in 0..records {
            let sequence = log.tail().next();
            log.append(Record { sequence, time: Timestamp(sequence.0), payload: &payload(sequence.0) }).unwrap();
        }
        log.sync().unwrap();
    }
    memory.files()
}

/// Where each record lies, found from the frames' lengths alone: file, start, end, sequence.
fn places(disk: &Disk) -> Vec<(String, usize, usize, u64)> {
    let mut places = Vec::new();
    for (name, bytes) in disk {
        let mut start = HEADER_BYTES;
        while start + 32 <= bytes.len() && bytes[start..start + 4] != [0; 4] {
            let length = u32::from_le_bytes(bytes[start + 4..start + 8].try_into().unwrap()) as usize;
            let end = start + (32 + length).next_multiple_of(8);
            places.push((
                name.clone(),
                start,
                end,
                u64::from_le_bytes(bytes[start + 8..start + 16].try_into().unwrap()),
            ));
            start = end;
        }
    }
    places
}

/// Opens the disk and checks that what it shows is what was written, up to where it ends; that it can be written to and
/// opened again; and that a reader of the stopped log, with no lock, came to the same judgement before.
fn open(disk: Disk, options: Options) -> Result<Recovery, Error> {
    let memory = Memory::holding(disk, SECTOR_BYTES);
    let mut reader = FileReader::open_in(memory.clone(), Sequence(1));
    let mut audited = 0;
    let audit = loop {
        match reader.next(Until::End) {
            Ok(Some(record)) => {
                audited += 1;
                let expected = payload(audited);
                assert_eq!(
                    record,
                    Record { sequence: Sequence(audited), time: Timestamp(audited), payload: &expected }
                );
            }
            Ok(None) => break Ok(audited),
            Err(error) => break Err(error),
        }
    };
    let opened = Files::open_in(memory.clone(), options);
    let (mut log, recovery) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            if options.durable_at_least == Sequence(0) {
                assert!(audit.is_err(), "opening refused ({error}), the audit did not");
            }
            return Err(error);
        }
    };
    assert_eq!(audit.unwrap(), recovery.last.0, "the audit and the recovery see different ends");
    let sequence = recovery.last.next();
    log.append(Record { sequence, time: Timestamp(sequence.0), payload: &payload(sequence.0) }).unwrap();
    log.sync().unwrap();
    drop(log);
    let (log, again) = Files::open_in(memory.clone(), options).unwrap();
    assert_eq!(
        (again.last, again.torn, again.unborn_segment),
        (sequence, None, false),
        "recovery did not finish its work"
    );
    let mut reader = FileReader::open_in(memory, Sequence(1));
    for n in 1..=sequence.0 {
        let record = reader.next(Until::Durable(log.durable())).unwrap().unwrap();
        assert_eq!(record, Record { sequence: Sequence(n), time: Timestamp(n), payload: &payload(n) });
    }
    Ok(recovery)
}

#[test]
fn the_log_under_test_has_what_the_tests_need() {
    let disk = written();
    let places = places(&disk);
    let last = disk.keys().next_back().unwrap();
    assert_eq!(places.iter().map(|place| place.3).collect::<Vec<_>>(), (1..=RECORDS).collect::<Vec<_>>());
    assert!(disk.len() >= 3, "a segment in the middle");
    assert!(places.iter().filter(|place| place.0 == *last).count() >= 3, "several batches in the last segment");
    assert!(disk.values().all(|bytes| bytes.last() == Some(&0)), "zeros at every segment's end");
    let recovery = open(disk, OPTIONS).unwrap();
    assert_eq!((recovery.first, recovery.last, recovery.torn), (Sequence(1), Sequence(RECORDS), None));
}

#[test]
fn a_flipped_byte_is_refused_where_anything_proves_it_was_durable_and_cut_where_nothing_does() {
    let disk = written();
    let places = places(&disk);
    let last_file = disk.keys().next_back().unwrap().clone();
    // The last batch: nothing after it says that it was ever synced.
    let first_unproven = 1 + BATCHES[..BATCHES.len() - 1].iter().sum::<u64>();
    for (name, bytes) in &disk {
        for (at, mask) in (0..bytes.len()).flat_map(|at| [0x01, 0x80, 0xff].map(|mask| (at, mask))) {
            let mut bad = disk.clone();
            bad.get_mut(name).unwrap()[at] ^= mask;
            let place = places.iter().find(|(file, start, end, _)| file == name && (*start..*end).contains(&at));
            let what = format!("{name} byte {at} mask {mask:#x}");
            match (open(bad, OPTIONS), place) {
                (Err(Error::Corrupt { file, offset, damage }), Some((_, start, _, sequence))) => {
                    assert!(*sequence < first_unproven, "{what}: refused what may be torn");
                    assert_eq!(file, format!("memory/{name}"), "{what}");
                    assert_eq!(offset, *start as u64, "{what}");
                    assert_eq!(damage, Damage::Record { expected: Sequence(*sequence) }, "{what}");
                }
                (Err(Error::Corrupt { file, offset, damage }), None) => {
                    assert_eq!(file, format!("memory/{name}"), "{what}");
                    if at < HEADER_BYTES {
                        assert_eq!((offset, damage), (0, Damage::Header), "{what}");
                    } else {
                        assert_ne!(*name, last_file, "{what}: refused what may be torn");
                        assert_eq!((offset, damage), (at as u64, Damage::Filling), "{what}");
                    }
                }
                (Ok(recovery), Some((_, start, _, sequence))) => {
                    assert!(*sequence >= first_unproven, "{what}: cut what was durable");
                    assert_eq!(recovery.last, Sequence(sequence - 1), "{what}");
                    assert_eq!(recovery.torn.map(|torn| torn.offset), Some(*start as u64), "{what}");
                }
                (Ok(recovery), None) => {
                    assert!(*name == last_file && at >= HEADER_BYTES, "{what}: damage went unnoticed");
                    assert_eq!(recovery.last, Sequence(RECORDS), "{what}");
                    assert!(recovery.torn.is_some(), "{what}");
                }
                (Err(error), _) => panic!("{what}: {error}"),
            }
        }
    }
}

#[test]
fn a_file_cut_short_opens_on_a_prefix_or_is_refused() {
    let disk = written();
    let places = places(&disk);
    let last_file = disk.keys().next_back().unwrap().clone();
    for (name, bytes) in &disk {
        for length in 0..bytes.len() {
            let mut bad = disk.clone();
            bad.get_mut(name).unwrap().truncate(length);
            let lost = places.iter().find(|(file, _, end, _)| file == name && *end > length);
            let what = format!("{name} cut to {length} bytes");
            match open(bad, OPTIONS) {
                Ok(recovery) => match lost {
                    Some((_, _, _, sequence)) => {
                        assert_eq!(*name, last_file, "{what}: a hole in the middle went unnoticed");
                        assert_eq!(recovery.last, Sequence(sequence - 1), "{what}");
                    }
                    None => assert_eq!(recovery.last, Sequence(RECORDS), "{what}"),
                },
                Err(Error::Corrupt { file, .. }) => {
                    assert_eq!(file, format!("memory/{name}"), "{what}");
                    // A header with anything behind it had been durable.
                    assert!(*name != last_file || length < HEADER_BYTES, "{what}: refused what may be torn");
                }
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }
}

#[test]
fn what_is_known_from_elsewhere_to_be_durable_is_not_taken_for_torn() {
    let mut disk = written();
    let (name, start, ..) = places(&disk).pop().unwrap();
    disk.get_mut(&name).unwrap()[start] ^= 1;
    assert_eq!(
        open(disk.clone(), Options { durable_at_least: Sequence(RECORDS - 1), ..OPTIONS }).unwrap().last,
        Sequence(RECORDS - 1)
    );
    match open(disk, Options { durable_at_least: Sequence(RECORDS), ..OPTIONS }) {
        Err(Error::Corrupt { offset, damage: Damage::Missing { expected }, .. }) => {
            assert_eq!(expected, Sequence(RECORDS));
            assert_eq!(offset, start as u64);
        }
        other => panic!("{other:?}"),
    }
    match open(Disk::new(), Options { durable_at_least: Sequence(1), ..OPTIONS }) {
        Err(Error::Corrupt { damage: Damage::Missing { expected: Sequence(1) }, .. }) => {}
        other => panic!("an empty folder passed for a log with a record: {other:?}"),
    }
}

#[test]
fn missing_renamed_and_foreign_segments_are_refused() {
    let disk = written();
    let names: Vec<String> = disk.keys().cloned().collect();
    assert!(names.len() >= 3, "a middle segment");
    let mut hole = disk.clone();
    hole.remove(&names[1]);
    assert!(matches!(open(hole, OPTIONS), Err(Error::Corrupt { damage: Damage::Missing { .. }, .. })));

    let mut renamed = disk.clone();
    let bytes = renamed.remove(&names[2]).unwrap();
    renamed.insert("00000000000000000100.log".to_owned(), bytes);
    assert!(matches!(open(renamed, OPTIONS), Err(Error::Corrupt { damage: Damage::Missing { .. }, .. })));

    // Another log on the same disk would have drawn the next identity; this one's last segment is put in its place.
    let memory = Memory::new(SECTOR_BYTES);
    crossbook_log::storage::Storage::identity(&memory).unwrap();
    let (mut log, _) = Files::open_in(memory.clone(), OPTIONS).unwrap();
    for records in BATCHES {
        for _ in 0..records {
            let sequence = log.tail().next();
            log.append(Record { sequence, time: Timestamp(sequence.0), payload: &payload(sequence.0) }).unwrap();
        }
        log.sync().unwrap();
    }
    let mut mixed = disk;
    mixed.insert(names[2].clone(), memory.files().remove(&names[2]).unwrap());
    assert!(matches!(open(mixed, OPTIONS), Err(Error::Corrupt { damage: Damage::Foreign, offset: 0, .. })));
}

#[test]
fn an_interrupted_beginning_of_a_segment_is_removed() {
    for left in [vec![], vec![0; 256], vec![0xff; 7]] {
        let mut disk = written();
        disk.insert("00000000000000000015.log".to_owned(), left.clone());
        let recovery = open(disk, OPTIONS).unwrap();
        assert!(recovery.unborn_segment);
        assert_eq!(recovery.last, Sequence(RECORDS));

        let only = Disk::from([("00000000000000000001.log".to_owned(), left.clone())]);
        assert!(open(only, OPTIONS).unwrap().unborn_segment);

        // Its name alone proves that records 15 and 16 were durable once.
        let mut disk = written();
        disk.insert("00000000000000000017.log".to_owned(), left);
        assert!(matches!(open(disk, OPTIONS), Err(Error::Corrupt { .. })));
    }
}
