//! Segment files. A log of several segments is written, and the input damages it, in steps of four bytes: the first
//! chooses the kind of damage, the next two the position, the last is the byte. Whatever the damage, a log opens on a
//! prefix of what was written, or refuses. Checksums can be corrected too, as no real damage does; then records may
//! have any content, but the two readers still agree, and records are still numbered.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crossbook_log::files::Options;
use crossbook_log::memory::Memory;
use crossbook_log::{Error, FileReader, Files, Log as _, Reader as _, Record, Until};
use crossbook_types::{Sequence, Timestamp};

const SECTOR_BYTES: u64 = 64;
const HEADER_BYTES: usize = 32;
const HEAD_BYTES: usize = 32;
const OPTIONS: Options = Options {
    segment_bytes_max: 256,
    batch_bytes_max: 200,
    record_bytes_max: 60,
    preallocate: true,
    durable_at_least: Sequence(0),
    verify_from: Sequence(0),
};
/// Records of each batch.
const BATCHES: [u64; 9] = [2, 1, 2, 2, 1, 2, 1, 1, 2];

type Disk = BTreeMap<String, Vec<u8>>;

fn payload(sequence: u64) -> Vec<u8> {
    vec![sequence as u8; (sequence as usize * 5) % 13]
}

fn written() -> Disk {
    let memory = Memory::new(SECTOR_BYTES);
    let (mut log, _) = Files::open_in(memory.clone(), OPTIONS).expect("an empty disk");
    for records in BATCHES {
        for _ in 0..records {
            let sequence = log.tail().next();
            let payload = payload(sequence.0);
            log.append(Record { sequence, time: Timestamp(sequence.0), payload: &payload }).expect("there is room");
        }
        log.sync().expect("there is room");
    }
    memory.files()
}

pub(super) fn run(bytes: &[u8]) {
    static WRITTEN: LazyLock<Disk> = LazyLock::new(written);
    let mut disk = WRITTEN.clone();
    let mut crafted = false;
    for step in bytes.chunks_exact(4) {
        let &[what, low, high, byte] = step else { continue };
        let at = usize::from(u16::from_le_bytes([low, high]));
        let files = disk.len().max(1);
        let Some(file) = disk.values_mut().nth(at % files) else { break };
        let at = at / files;
        match what % 8 {
            0 => file.iter_mut().skip(at).take(1).for_each(|known| *known ^= byte),
            1 => file.iter_mut().skip(at).take(1).for_each(|known| *known = byte),
            2 => file.truncate(at),
            3 => file.resize((file.len() + usize::from(byte)).min(4_096), 0),
            4 => file.iter_mut().skip(at).take(usize::from(byte)).for_each(|known| *known = 0),
            5 => {
                // Bytes of one place in another, as a disk that mixes up its sectors would have it.
                let from = usize::from(byte) * 8;
                let moved: Vec<u8> = file.iter().skip(from).take(SECTOR_BYTES as usize).copied().collect();
                file.iter_mut().skip(at / 8 * 8).zip(moved).for_each(|(known, byte)| *known = byte);
            }
            6 => drop(disk.pop_last()),
            _ => {
                crafted = true;
                seal(file, at / 8 * 8);
            }
        }
    }
    check(disk, crafted);
}

/// Puts a checksum right: of the header, or of the record that seems to begin there.
fn seal(file: &mut [u8], at: usize) {
    let Some(identity) = file.get(16..24).map(crc32c::crc32c) else { return };
    if at < HEADER_BYTES {
        let (covered, checksum) = file.split_at_mut(28.min(file.len()));
        let right = crc32c::crc32c(covered);
        checksum.iter_mut().zip(right.to_le_bytes()).for_each(|(known, byte)| *known = byte);
        return;
    }
    let Some(length) = file.get(at + 4..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes) else {
        return;
    };
    let end = at.saturating_add((HEAD_BYTES + length as usize).next_multiple_of(8));
    if let Some(covered) = file.get(at + 4..end) {
        let right = crc32c::crc32c_append(identity, covered);
        file[at..at + 4].copy_from_slice(&right.to_le_bytes());
    }
}

fn check(disk: Disk, crafted: bool) {
    let memory = Memory::holding(disk, SECTOR_BYTES);
    let mut reader = FileReader::open_in(memory.clone(), Sequence(1));
    let mut audited = 0;
    let audit: Result<u64, Error> = loop {
        match reader.next(Until::End) {
            Ok(Some(record)) => {
                audited += 1;
                assert_eq!(record.sequence, Sequence(audited), "records count");
                assert!(crafted || (record.time, record.payload) == (Timestamp(audited), &*payload(audited)));
            }
            Ok(None) => break Ok(audited),
            Err(error) => break Err(error),
        }
    };
    let Ok((mut log, recovery)) = Files::open_in(memory.clone(), OPTIONS) else {
        assert!(audit.is_err(), "the log is refused, but not by its reader");
        return;
    };
    assert_eq!(audit.ok(), Some(recovery.last.0), "the log and its reader see different ends");
    let sequence = recovery.last.next();
    let appended = payload(sequence.0);
    log.append(Record { sequence, time: Timestamp(sequence.0), payload: &appended }).expect("there is room");
    log.sync().expect("there is room");
    drop(log);
    let (_, again) = Files::open_in(memory, OPTIONS).expect("what was recovered opens");
    assert_eq!((again.last, again.torn, again.unborn_segment), (sequence, None, false));
}
