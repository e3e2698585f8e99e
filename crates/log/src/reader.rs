//! Reading a log in segment files, beside its writer or later.
//!
//! A reader takes no lock and writes nothing. Beside a live writer it never reads beyond the given bound, because
//! records behind it may be half written, or written and then lost. Without a bound ([`Until::End`]) it reads up to the
//! last complete record, although that may not be durable yet. If a record is missing but proven by what is behind it,
//! the reader looks for it again before it reports damage, because the writer may have passed in between. It reads by
//! the same steps as recovery, so it refuses what recovery would refuse.

use std::path::Path;

use crossbook_types::Sequence;

use crate::segment::{self, Cursor, HEADER_BYTES, Opened};
use crate::storage::{Disk, Storage};
use crate::{Damage, Error, Reader, Record, Until};

/// How often a segment may vanish, trimmed, between being listed and being opened, or be begun between two looks.
const LOCATE_ATTEMPTS_MAX: usize = 8;

/// A [`Reader`] of segment files.
#[derive(Debug)]
pub struct FileReader<S: Storage = Disk> {
    storage: S,
    from: Sequence,
    cursor: Option<Cursor<S::File>>,
    torn_bytes: u64,
}

impl FileReader<Disk> {
    /// A reader of the log in `folder`, from record `from`. Nothing is read yet.
    ///
    /// # Panics
    /// When `from` is 0; records count from 1.
    #[must_use]
    pub fn open(folder: &Path, from: Sequence) -> Self {
        Self::open_in(Disk::at(folder), from)
    }
}

impl<S: Storage> FileReader<S> {
    /// A reader of the log in `storage`, from record `from`. Nothing is read yet.
    ///
    /// # Panics
    /// When `from` is 0; records count from 1.
    #[must_use]
    pub fn open_in(storage: S, from: Sequence) -> Self {
        assert!(from > Sequence(0), "records count from 1");
        Self { storage, from, cursor: None, torn_bytes: 0 }
    }

    /// After a reading to [`Until::End`]: how many bytes of a torn tail follow the last record.
    #[must_use]
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// The log's identity, a random number that no other log has; known once a record was read.
    #[must_use]
    pub fn identity(&self) -> Option<u64> {
        self.cursor.as_ref().map(|cursor| cursor.header().identity)
    }

    /// The first record of the segment that the last record is in; known once a record was read.
    #[must_use]
    pub fn segment(&self) -> Option<Sequence> {
        self.cursor.as_ref().map(|cursor| cursor.header().first)
    }

    /// How that segment begins, before its first record.
    #[must_use]
    pub fn segment_header(&self) -> Option<[u8; HEADER_BYTES]> {
        self.cursor.as_ref().map(|cursor| cursor.header().encode())
    }

    /// The last record as it stands in the segment, framing included; empty before a record was read.
    ///
    /// # Errors
    /// A failure of the storage.
    pub fn frame(&mut self) -> Result<&[u8], Error> {
        match &mut self.cursor {
            Some(cursor) => cursor.frame(),
            None => Ok(&[]),
        }
    }

    /// The last record read, wanted or not.
    fn last(&self) -> Sequence {
        self.cursor.as_ref().map_or(Sequence(self.from.0 - 1), |cursor| cursor.last().max(Sequence(self.from.0 - 1)))
    }

    /// Opens the segment that holds `from`. `false` when the log has not got that far.
    fn locate(&mut self, until: Until) -> Result<bool, Error> {
        for _ in 0..LOCATE_ATTEMPTS_MAX {
            let firsts = segment::list(&self.storage)?;
            let Some(first) = firsts.first().copied() else {
                return match until {
                    Until::Durable(_) => Err(self.missing(&self.storage.describe(""), self.from)),
                    Until::End => Ok(false),
                };
            };
            if first > self.from {
                return Err(Error::Trimmed { asked: self.from, first });
            }
            let holder = firsts.iter().rev().copied().find(|first| *first <= self.from).unwrap_or(first);
            let only = firsts.len() == 1;
            match Cursor::open(&self.storage, holder, None)? {
                Some(Opened::Good(cursor)) => {
                    self.cursor = Some(cursor);
                    return Ok(true);
                }
                Some(Opened::BadHeader { in_use: false }) if until == Until::End && only && holder == Sequence(1) => {
                    return Ok(false);
                }
                Some(Opened::BadHeader { in_use: false }) if until == Until::End && firsts.last() == Some(&holder) => {
                    // An interrupted beginning; the log ends with the segment before.
                    let Some(before) = firsts.iter().rev().nth(1) else { return Err(self.bad_header(holder)) };
                    if let Some(Opened::Good(cursor)) = Cursor::open(&self.storage, *before, None)? {
                        self.cursor = Some(cursor);
                        return Ok(true);
                    }
                }
                Some(Opened::BadHeader { .. }) => return Err(self.bad_header(holder)),
                None => {}
            }
        }
        Err(self.missing(&self.storage.describe(""), self.from))
    }

    /// Decides what it means that the current segment holds no further record. `true` when there may be one by now, or
    /// the next segment is open.
    fn turn(&mut self, until: Until) -> Result<bool, Error> {
        for _ in 0..LOCATE_ATTEMPTS_MAX {
            let Some(cursor) = &mut self.cursor else { return Ok(false) };
            let expected = cursor.last().next();
            let tail = cursor.tail()?;
            // An empty segment is named by the very record that is missing from it; it does not follow itself.
            let follows = expected != cursor.header().first;
            let opened = match follows {
                true => Cursor::open(&self.storage, expected, Some(cursor.header().identity))?,
                false => None,
            };
            let filling = || match tail.first_nonzero {
                Some(offset) => Err(cursor.corrupt_at(offset, Damage::Filling)),
                None => Ok(()),
            };
            match opened {
                Some(Opened::Good(next)) => {
                    filling()?;
                    self.cursor = Some(next);
                    return Ok(true);
                }
                Some(Opened::BadHeader { in_use: false }) if until == Until::End => {
                    filling()?;
                    return if segment::list(&self.storage)?.last() == Some(&expected) {
                        Ok(false)
                    } else {
                        Err(self.bad_header(expected))
                    };
                }
                Some(Opened::BadHeader { .. }) => return Err(self.bad_header(expected)),
                None => {}
            }
            let firsts = segment::list(&self.storage)?;
            if let Some(first) = firsts.first().filter(|first| **first > expected) {
                return Err(Error::Trimmed { asked: expected, first: *first });
            }
            if follows && firsts.contains(&expected) {
                continue; // It was begun between the two looks.
            }
            let later = firsts.last().is_some_and(|first| *first > cursor.header().first);
            if later || tail.was_durable || matches!(until, Until::Durable(_)) {
                // Whatever proves it was written after it, so a writer's record is there when it is looked for again.
                return if cursor.is_written()? { Ok(true) } else { Err(cursor.corrupt(Damage::Record { expected })) };
            }
            self.torn_bytes = tail.bytes;
            return Ok(false);
        }
        Err(self.missing(&self.storage.describe(""), self.last().next()))
    }

    fn bad_header(&self, first: Sequence) -> Error {
        let file = self.storage.describe(&segment::name(first));
        Error::Corrupt { file, offset: 0, damage: Damage::Header }
    }

    fn missing(&self, file: &str, expected: Sequence) -> Error {
        Error::Corrupt { file: file.to_owned(), offset: 0, damage: Damage::Missing { expected } }
    }
}

impl<S: Storage> Reader for FileReader<S> {
    fn next(&mut self, until: Until) -> Result<Option<Record<'_>>, Error> {
        loop {
            if matches!(until, Until::Durable(bound) if self.last() >= bound) {
                return Ok(None);
            }
            let Some(cursor) = &mut self.cursor else {
                if self.locate(until)? {
                    continue;
                }
                return Ok(None);
            };
            if cursor.advance()? {
                if cursor.last() >= self.from {
                    break;
                }
            } else if !self.turn(until)? {
                return Ok(None);
            }
        }
        match &mut self.cursor {
            Some(cursor) => cursor.record(),
            None => Ok(None),
        }
    }
}
