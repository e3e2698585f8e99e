//! Verification of the segments that opening did not read, beside the writer.
//!
//! A start begins with the segment of its snapshot. The segments before it are not needed for trading, but for an
//! audit, a rebuild of the history or a fallback to an older snapshot. So a background thread verifies them later, a
//! little at a time. Segments that were trimmed meanwhile are skipped.

use std::path::Path;

use crossbook_types::Sequence;

use crate::segment::{self, Cursor, Opened};
use crate::storage::{Disk, Storage};
use crate::{Damage, Error, Recovery};

/// How often a segment may vanish, trimmed, between being listed and being opened.
const LOCATE_ATTEMPTS_MAX: usize = 8;

/// The position of a [`Verifier`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verified {
    /// The last record that was found good.
    pub last: Sequence,
    /// Bytes that this step read.
    pub bytes: u64,
}

/// Goes through the segments of a log that opening did not read.
#[derive(Debug)]
pub struct Verifier<S: Storage = Disk> {
    storage: S,
    identity: u64,
    /// The record that is to be verified next.
    next: Sequence,
    /// Where opening began.
    end: Sequence,
    cursor: Option<Cursor<S::File>>,
}

impl Verifier<Disk> {
    /// Of the log in `folder`, of that identity, what its opening found to be left.
    #[must_use]
    pub fn new(folder: &Path, identity: u64, found: &Recovery) -> Self {
        Self::new_in(Disk::at(folder), identity, found)
    }
}

impl<S: Storage> Verifier<S> {
    /// The same, in `storage`.
    pub fn new_in(storage: S, identity: u64, found: &Recovery) -> Self {
        Self { storage, identity, next: found.first, end: found.verified_from, cursor: None }
    }

    /// The last record that is to be verified.
    #[must_use]
    pub fn end(&self) -> Sequence {
        Sequence(self.end.0.saturating_sub(1))
    }

    /// Verifies further records, of about `bytes_max` bytes. `None` when there are no more.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when one is damaged, or a failure of the storage. The verifier cannot continue after that.
    pub fn step(&mut self, bytes_max: u64) -> Result<Option<Verified>, Error> {
        if self.cursor.is_none() && self.next >= self.end {
            return Ok(None);
        }
        let Some(cursor) = self.cursor.take().map_or_else(|| self.open(), |cursor| Ok(Some(cursor)))? else {
            return Ok(None);
        };
        let mut cursor = cursor;
        let from = cursor.offset();
        let mut whole = true;
        while whole && cursor.offset() - from < bytes_max {
            whole = cursor.advance()?;
        }
        self.next = cursor.last().next();
        let step = Verified { last: cursor.last(), bytes: cursor.offset() - from };
        if whole {
            self.cursor = Some(cursor);
            return Ok(Some(step));
        }
        self.check_end(&mut cursor)?;
        cursor.forget_read();
        Ok(Some(step))
    }

    /// Opens the segment that begins with the record that is due. `None` if all that was to be verified has been
    /// trimmed away.
    fn open(&mut self) -> Result<Option<Cursor<S::File>>, Error> {
        for _ in 0..LOCATE_ATTEMPTS_MAX {
            match Cursor::open(&self.storage, self.next, Some(self.identity))? {
                Some(Opened::Good(cursor)) => return Ok(Some(cursor)),
                Some(Opened::BadHeader { .. }) => {
                    let file = self.storage.describe(&segment::name(self.next));
                    return Err(Error::Corrupt { file, offset: 0, damage: Damage::Header });
                }
                None => {}
            }
            let firsts = segment::list(&self.storage)?;
            match firsts.first() {
                Some(&first) if first >= self.end => return Ok(None),
                Some(&first) if first > self.next => self.next = first,
                _ if firsts.contains(&self.next) => {}
                _ => break,
            }
        }
        let damage = Damage::Missing { expected: self.next };
        Err(Error::Corrupt { file: self.storage.describe(""), offset: 0, damage })
    }

    /// Checks that the segment ends where the next one begins, and that nothing lies between.
    fn check_end(&self, cursor: &mut Cursor<S::File>) -> Result<(), Error> {
        let expected = cursor.last().next();
        let first = cursor.header().first;
        let tail = cursor.tail()?;
        let following = segment::list(&self.storage)?.into_iter().find(|other| *other > first);
        match (following, tail.first_nonzero) {
            (Some(next), None) if next == expected => Ok(()),
            (Some(next), Some(offset)) if next == expected => Err(cursor.corrupt_at(offset, Damage::Filling)),
            (Some(next), _) if next < expected => {
                let damage = Damage::Gap { expected, found: next };
                Err(Error::Corrupt { file: self.storage.describe(&segment::name(next)), offset: 0, damage })
            }
            // If this one was trimmed away while it was read, so may those after it have been.
            (Some(_), None) if !segment::list(&self.storage)?.contains(&first) => Ok(()),
            (_, None) => Err(cursor.corrupt(Damage::Missing { expected })),
            (_, Some(_)) => Err(cursor.corrupt(Damage::Record { expected })),
        }
    }
}
