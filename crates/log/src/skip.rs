//! Skipped records: commands that cannot be applied and that the operator has marked.
//!
//! A skipped record stays in the log, with the top bit of its first byte set, so every start, every copy of the log and
//! every reader finds the same mark. Readers of payloads decide what it means; no payload begins with this bit set
//! otherwise. In segment files the record is rewritten in a copy of its segment, which then takes the segment's name in
//! one step. Before that, its number is added to a list beside the segments, so that a backup that has copied the
//! segment finds out that it has changed. In streams, whose entries cannot change, the mark is stored beside the stream
//! (`mark_skipped` of the store) and added when the entry is read.

use std::io;

use crossbook_types::Sequence;

use crate::record::{self, HEAD_BYTES, Seed};
use crate::segment::{self, Cursor, Opened};
use crate::storage::{File as _, Storage};
use crate::{Damage, Error, Record};

/// The bit of a payload's first byte that marks a skipped record.
pub const SKIPPED: u8 = 0x80;
/// The file beside the segments that lists the skipped records, one number a line.
const LIST: &str = "marks";
/// What the copy of a file is called until it is whole.
const COPY_SUFFIX: &str = ".marked";
/// Bytes that are copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// Whether a payload is that of a skipped record.
#[must_use]
pub fn is_marked(payload: &[u8]) -> bool {
    payload.first().is_some_and(|byte| byte & SKIPPED != 0)
}

/// The skipped records of a log in files, in order, as the list beside the segments has them. A record is listed before
/// it is marked, so one whose marking was interrupted may be listed and not be marked; and a log that was copied
/// without the list has marked records that are not listed.
///
/// # Errors
/// A failure of the storage, or a list that is malformed.
pub fn listed<S: Storage>(storage: &S) -> Result<Vec<Sequence>, Error> {
    let path = storage.describe(LIST);
    let file = match storage.open_to_read(LIST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.map_err(Error::io("open", &path))?,
    };
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match file.read_at(&mut buffer, text.len() as u64).map_err(Error::io("read", &path))? {
            0 => break,
            read => text.extend_from_slice(&buffer[..read]),
        }
    }
    let text = String::from_utf8_lossy(&text);
    let numbers: Result<Vec<u64>, _> = text.lines().map(str::parse).collect();
    let numbers = numbers.map_err(|_| {
        let reason =
            "it should list the numbers of skipped records, one a line; restore it from a backup, or remove it";
        Error::io("read", &path)(io::Error::new(io::ErrorKind::InvalidData, reason))
    })?;
    let mut listed: Vec<_> = numbers.into_iter().map(Sequence).collect();
    listed.sort_unstable();
    listed.dedup();
    Ok(listed)
}

/// Writes the list of the skipped records, durably, in place of an existing one.
///
/// # Errors
/// A failure of the storage; an existing list is unchanged then.
pub fn write_list<S: Storage>(storage: &S, marked: &[Sequence]) -> Result<(), Error> {
    let text: String = marked.iter().map(|sequence| format!("{sequence}\n")).collect();
    replace(storage, LIST, |file, path| file.write_at(text.as_bytes(), 0).map_err(Error::io("write", path)))
}

/// Marks a record of a log in files as skipped. No process may have the log open to write. Nothing but the list changes
/// if it is marked already.
///
/// # Errors
/// [`Error::Locked`] when a process has the log; [`Error::Trimmed`] or [`Error::Corrupt`] when the record does not
/// exist; failures of the storage. The log is unchanged then.
pub fn mark<S: Storage>(storage: &S, sequence: Sequence) -> Result<(), Error> {
    let folder = storage.describe("");
    let _lock = storage.lock().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Error::Locked { folder: folder.clone(), holder: error.to_string() },
        _ => Error::io("lock", &folder)(error),
    })?;
    let firsts = segment::list(storage)?;
    let oldest = firsts.first().copied().unwrap_or(Sequence(1));
    let Some(first) = firsts.into_iter().rev().find(|first| *first <= sequence) else {
        return Err(Error::Trimmed { asked: sequence, first: oldest });
    };
    let path = storage.describe(&segment::name(first));
    let missing =
        |offset| Error::Corrupt { file: path.clone(), offset, damage: Damage::Missing { expected: sequence } };
    let Some(Opened::Good(mut cursor)) = Cursor::open(storage, first, None)? else { return Err(missing(0)) };
    while cursor.last() < sequence {
        if !cursor.advance()? {
            return Err(missing(cursor.offset()));
        }
    }
    let header = cursor.header();
    let Some((offset, durable)) = cursor.place() else { return Err(missing(0)) };
    let Some(Record { time, payload, .. }) = cursor.record()? else { return Err(missing(offset)) };
    let mut payload = payload.to_vec();
    let mut marked = listed(storage)?;
    if !marked.contains(&sequence) {
        marked.push(sequence);
        marked.sort_unstable();
        write_list(storage, &marked)?;
    }
    match payload.first_mut() {
        Some(byte) if *byte & SKIPPED == 0 => *byte |= SKIPPED,
        _ => return Ok(()),
    }
    let mut frame = Vec::new();
    record::encode(&mut frame, Seed::of(header.identity), durable, Record { sequence, time, payload: &payload });
    debug_assert_eq!(frame.len(), record::frame_bytes(payload.len()));
    replace_bytes(storage, first, offset, &frame)
}

/// Writes a segment again with other bytes at one position.
fn replace_bytes<S: Storage>(storage: &S, first: Sequence, at: u64, bytes: &[u8]) -> Result<(), Error> {
    assert!(bytes.len() >= HEAD_BYTES, "a whole record is replaced");
    let name = segment::name(first);
    let path = storage.describe(&name);
    let from = storage.open_to_read(&name).map_err(Error::io("open", &path))?;
    replace(storage, &name, |to, copy_path| {
        let mut buffer = vec![0; COPY_BYTES];
        let mut offset = 0;
        loop {
            let read = from.read_at(&mut buffer, offset).map_err(Error::io("read", &path))?;
            if read == 0 {
                break;
            }
            to.write_at(&buffer[..read], offset).map_err(Error::io("write", copy_path))?;
            offset += read as u64;
        }
        to.write_at(bytes, at).map_err(Error::io("write", copy_path))
    })
}

/// Has `write` write a file, which then takes the name `name` in one step, durably.
fn replace<S: Storage>(
    storage: &S,
    name: &str,
    write: impl FnOnce(&mut S::File, &str) -> Result<(), Error>,
) -> Result<(), Error> {
    let copy_name = format!("{name}{COPY_SUFFIX}");
    let copy_path = storage.describe(&copy_name);
    // Left by one who did not come to the end.
    match storage.remove(&copy_name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &copy_path)(error)),
        _ => {}
    }
    let mut copy = storage.create(&copy_name).map_err(Error::io("create", &copy_path))?;
    write(&mut copy, &copy_path)?;
    copy.sync_all().map_err(Error::io("sync", &copy_path))?;
    storage.rename(&copy_name, name).map_err(Error::io("rename", &copy_path))?;
    storage.sync_names().map_err(Error::io("sync", &storage.describe("")))
}
