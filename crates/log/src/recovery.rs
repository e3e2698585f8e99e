//! Opening a log: verifies the records, and decides what a bad one means.
//!
//! # Torn or damaged
//!
//! A bad record is either the trace of a write that a crash interrupted, which was never acknowledged, or a damaged
//! record that was durable. The first is cut off, and only the operator is informed. The second must stop the venue.
//! Both look the same: bytes that fail their checksum. A good record behind it does not tell them apart either: a batch
//! is one write of many sectors, which the disk may write in any order, so the end of an interrupted batch may be
//! complete and its beginning missing.
//!
//! So every record carries the last durable sequence number when it was written. Say record `n` is bad:
//!
//! - A good record behind it says that `n` or more was durable: `n` had been acknowledged. This is damage.
//! - A later segment exists: segments begin only when everything before them is durable. This is damage.
//! - The caller knows, from a snapshot or another store, that `n` was durable
//!   ([`Options::durable_at_least`](crate::files::Options::durable_at_least)). This is damage.
//! - All good records behind it were written when less than `n` was durable. They belong to the same batch as `n`,
//!   because the next batch is written only when this one is durable. The batch was never acknowledged: it is cut from
//!   `n` on.
//!
//! One case remains open, and no log of this kind can close it from its own bytes: if the very last batch was
//! acknowledged and rots later, with nothing written after it, it looks torn. A caller with evidence beyond the
//! recovered end, a snapshot or a row in the database, should pass it as `durable_at_least`.
//!
//! A last segment without a readable header is an interrupted beginning if only zeros follow, because records are
//! written only behind a durable header; it is removed. With anything behind it, it is damage.
//!
//! # Where verification begins
//!
//! If a start read the whole log, it would take longer as the venue grows older. A start with a snapshot needs nothing
//! before it. So opening begins with the segment that holds
//! [`Options::verify_from`](crate::files::Options::verify_from); a [`Verifier`](crate::Verifier) verifies the segments
//! before it in the background.
//!
//! # What was read must last
//!
//! After a process was killed, or a sync failed, the operating system may show records that the disk does not have, and
//! may consider them written. So recovery writes the last batch, the only one that can be in that state, again, and
//! syncs, before it calls anything durable.

use crossbook_types::Sequence;

use crate::segment::{self, Cursor, HEADER_BYTES, Opened};
use crate::storage::{File, Storage};
use crate::{Damage, Error};

/// What opening a log found and did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovery {
    /// The first record kept; one past `last` when there is none.
    pub first: Sequence,
    /// The last record, durable now.
    pub last: Sequence,
    /// How many segments there are.
    pub segments: usize,
    /// The first record of the segment that verifying began with. What is before it was not read.
    pub verified_from: Sequence,
    /// The torn tail that was cut, if there was one.
    pub torn: Option<Torn>,
    /// Whether the last segment had been begun, but not finished being begun, and was removed.
    pub unborn_segment: bool,
}

/// A torn tail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Torn {
    /// The file it was in.
    pub file: String,
    /// Where it began.
    pub offset: u64,
    /// Bytes from there to the last that was not zero.
    pub bytes: u64,
}

/// Where writing continues.
pub(crate) struct Recovered<F> {
    /// The first record of the last segment, which `file` is.
    pub(crate) active: Sequence,
    pub(crate) file: F,
    pub(crate) identity: u64,
    pub(crate) offset: u64,
    pub(crate) report: Recovery,
}

/// A segment walked to its end.
struct Walked<F> {
    cursor: Cursor<F>,
    tail: segment::Tail,
}

fn walk<F: File>(mut cursor: Cursor<F>) -> Result<Walked<F>, Error> {
    while cursor.advance()? {}
    let tail = cursor.tail()?;
    Ok(Walked { cursor, tail })
}

/// Verifies the segments from the one that holds `verify_from`, cuts what is torn, and makes what is left durable.
/// `room` is what a segment takes up front.
pub(crate) fn recover<S: Storage>(
    storage: &S,
    room: Option<u64>,
    durable_at_least: Sequence,
    verify_from: Sequence,
) -> Result<Recovered<S::File>, Error> {
    let mut segments = segment::list(storage)?;
    let mut unborn_segment = false;
    let mut identity = None;
    let mut walked: Option<Walked<S::File>> = None;
    let begin_with = segments.iter().rposition(|first| *first <= verify_from).unwrap_or(0);
    for (index, first) in segments.clone().into_iter().enumerate().skip(begin_with) {
        if let Some(before) = &walked {
            ends_before(before, first, &storage.describe(&segment::name(first)))?;
        }
        let path = storage.describe(&segment::name(first));
        let opened = Cursor::open(storage, first, identity)?;
        match opened {
            Some(Opened::Good(cursor)) => {
                identity = Some(cursor.header().identity);
                walked = Some(walk(cursor)?);
            }
            // The first segment of all, or one after another that ends where it begins: an interrupted beginning.
            Some(Opened::BadHeader { in_use: false })
                if index + 1 == segments.len() && (walked.is_some() || first == Sequence(1)) =>
            {
                storage.remove(&segment::name(first)).map_err(Error::io("remove", &path))?;
                storage.sync_names().map_err(Error::io("sync", &storage.describe("")))?;
                unborn_segment = true;
            }
            Some(Opened::BadHeader { .. }) => {
                return Err(Error::Corrupt { file: path, offset: 0, damage: Damage::Header });
            }
            None => return Err(Error::io("open", &path)(std::io::ErrorKind::NotFound.into())),
        }
    }
    if unborn_segment {
        segments.pop();
    }

    let Some(Walked { cursor, tail }) = walked else {
        return create(storage, room, durable_at_least, unborn_segment);
    };
    let expected = cursor.last().next();
    if tail.was_durable {
        return Err(cursor.corrupt(Damage::Record { expected }));
    }
    if durable_at_least >= expected {
        return Err(cursor.corrupt(Damage::Missing { expected }));
    }
    let name = segment::name(cursor.header().first);
    let path = storage.describe(&name);
    let mut file = segment::open_to_write(storage, cursor.header().first)?;
    let torn = (tail.bytes > 0).then(|| Torn { file: path.clone(), offset: cursor.offset(), bytes: tail.bytes });
    settle(&mut file, &cursor, torn.is_some(), room, &path)?;
    storage.sync_names().map_err(Error::io("sync", &storage.describe("")))?;
    Ok(Recovered {
        report: Recovery {
            first: segments[0],
            last: cursor.last(),
            segments: segments.len(),
            verified_from: segments[begin_with],
            torn,
            unborn_segment,
        },
        active: cursor.header().first,
        file,
        identity: cursor.header().identity,
        offset: cursor.offset(),
    })
}

/// Checks that a segment with another one, beginning at `next`, after it, is whole.
fn ends_before<F: File>(segment: &Walked<F>, next: Sequence, next_path: &str) -> Result<(), Error> {
    let Walked { cursor, tail } = segment;
    let expected = cursor.last().next();
    if next < expected {
        let damage = Damage::Gap { expected, found: next };
        return Err(Error::Corrupt { file: next_path.to_owned(), offset: 0, damage });
    }
    match tail.first_nonzero {
        _ if next == expected && tail.bytes == 0 => Ok(()),
        Some(offset) if next == expected => Err(cursor.corrupt_at(offset, Damage::Filling)),
        Some(_) => Err(cursor.corrupt(Damage::Record { expected })),
        None => Err(cursor.corrupt(Damage::Missing { expected })),
    }
}

/// Begins an empty log.
fn create<S: Storage>(
    storage: &S,
    room: Option<u64>,
    durable_at_least: Sequence,
    unborn_segment: bool,
) -> Result<Recovered<S::File>, Error> {
    let first = Sequence(1);
    if durable_at_least >= first {
        let damage = Damage::Missing { expected: first };
        return Err(Error::Corrupt { file: storage.describe(""), offset: 0, damage });
    }
    let identity = storage.identity().map_err(Error::io("draw an identity for", &storage.describe("")))?;
    let file = segment::create(storage, segment::Header { first, identity }, room)?;
    Ok(Recovered {
        active: first,
        file,
        identity,
        offset: HEADER_BYTES as u64,
        report: Recovery { first, last: Sequence(0), segments: 1, verified_from: first, torn: None, unborn_segment },
    })
}

/// Cuts what is torn, writes header and last batch once more, takes room again, and syncs.
fn settle<F: File>(file: &mut F, cursor: &Cursor<F>, torn: bool, room: Option<u64>, path: &str) -> Result<(), Error> {
    let length = usize::try_from(cursor.offset() - cursor.batch()).map_err(|_| Error::Options("batch too large"))?;
    let mut batch = vec![0; length];
    let mut read = 0;
    while read < length {
        match file.read_at(&mut batch[read..], cursor.batch() + read as u64).map_err(Error::io("read", path))? {
            0 => return Err(Error::io("read", path)(std::io::ErrorKind::UnexpectedEof.into())),
            more => read += more,
        }
    }
    if torn {
        file.truncate(cursor.offset()).map_err(Error::io("cut", path))?;
    }
    if let Some(bytes) = room {
        file.preallocate(bytes).map_err(Error::io("take room for", path))?;
    }
    file.write_at(&cursor.header().encode(), 0).map_err(Error::io("write", path))?;
    file.write_at(&batch, cursor.batch()).map_err(Error::io("write", path))?;
    file.sync_all().map_err(Error::io("sync", path))
}
