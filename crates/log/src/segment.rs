//! One segment file: its name, its header, and the record iteration that recovery and readers share.
//!
//! ```text
//!   00000000000000000004.log
//!   +--------+----------+----------+---------+----------+--------+--------+- - - -+-----------------+
//!   | magic  |  first   | identity | version | checksum | rec. 4 | rec. 5 |       | zeros, up to    |
//!   | 8 bytes| sequence |  of log  | 4 bytes | 4 bytes  |        |        |       | the file size   |
//!   +--------+----------+----------+---------+----------+--------+--------+- - - -+-----------------+
//!   0        8          16         24        28         32
//! ```
//!
//! A segment is named by its first record. Its name and header alone prove that every record before it was durable: a
//! segment is begun only after everything before it has been synced, and written to only after its header and name have
//! been.

use crossbook_types::Sequence;
use std::io;

use crate::record::{self, Head, Seed};
use crate::storage::{File, Storage};
use crate::{Damage, Error, Record};

/// The version of the format, in every header.
pub const VERSION: u32 = 1;
/// Bytes of a segment's header.
pub(crate) const HEADER_BYTES: usize = 32;

const MAGIC: [u8; 8] = *b"XBOOKLOG";
const SUFFIX: &str = ".log";
/// Enough for any u64, so that names sort as their numbers do.
const NAME_DIGITS: usize = 20;
/// How much is read at a time; a larger record is read whole.
const WINDOW_BYTES: usize = 64 << 10;
static ZEROS: [u8; WINDOW_BYTES] = [0; WINDOW_BYTES];

/// The name of the segment that begins with `first`.
pub(crate) fn name(first: Sequence) -> String {
    format!("{:0NAME_DIGITS$}{SUFFIX}", first.0)
}

/// The first sequence of the segment so named; `None` for any other file.
fn first_of(name: &str) -> Option<Sequence> {
    let digits = name.strip_suffix(SUFFIX)?;
    let plain = digits.len() == NAME_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?.filter(|first| *first > 0).map(Sequence)
}

/// The first sequences of all segments in the folder, in order.
pub(crate) fn list<S: Storage>(storage: &S) -> Result<Vec<Sequence>, Error> {
    let names = storage.names().map_err(Error::io("list", &storage.describe("")))?;
    let mut firsts: Vec<_> = names.iter().filter_map(|name| first_of(name)).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

/// The header of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) first: Sequence,
    pub(crate) identity: u64,
}

impl Header {
    pub(crate) fn encode(self) -> [u8; HEADER_BYTES] {
        self.encode_version(VERSION)
    }

    fn encode_version(self, version: u32) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.identity.to_le_bytes());
        bytes[24..28].copy_from_slice(&version.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..28]);
        bytes[28..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header and its version, if the bytes are one.
    fn decode(bytes: &[u8]) -> Option<(Self, u32)> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (first, rest) = rest.split_first_chunk()?;
        let (identity, rest) = rest.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (checksum, _) = rest.split_first_chunk()?;
        let good = *magic == MAGIC && u32::from_le_bytes(*checksum) == crc32c::crc32c(&bytes[..28]);
        let header = Self { first: Sequence(u64::from_le_bytes(*first)), identity: u64::from_le_bytes(*identity) };
        good.then_some((header, u32::from_le_bytes(*version)))
    }
}

/// Begins a segment: when this returns, its name, header and room are durable.
pub(crate) fn create<S: Storage>(storage: &S, header: Header, room: Option<u64>) -> Result<S::File, Error> {
    let name = name(header.first);
    let path = storage.describe(&name);
    let mut file = storage.create(&name).map_err(Error::io("create", &path))?;
    file.lock().map_err(Error::lock(&path))?;
    if let Some(bytes) = room {
        file.preallocate(bytes).map_err(Error::io("take room for", &path))?;
    }
    file.write_at(&header.encode(), 0).map_err(Error::io("write", &path))?;
    file.sync_all().map_err(Error::io("sync", &path))?;
    storage.sync_names().map_err(Error::io("sync", &storage.describe("")))?;
    Ok(file)
}

/// Opens a segment to continue writing to it, and locks it for this process, whatever folder others may reach it from.
pub(crate) fn open_to_write<S: Storage>(storage: &S, first: Sequence) -> Result<S::File, Error> {
    let name = name(first);
    let path = storage.describe(&name);
    let mut file = storage.open(&name).map_err(Error::io("open", &path))?;
    file.lock().map_err(Error::lock(&path))?;
    match file.names().map_err(Error::io("examine", &path))? {
        0 | 1 => Ok(file),
        names => Err(Error::Linked { file: path, names }),
    }
}

/// Removes the first segment, if one after it, which is followed by `kept_behind` further ones at least, begins no
/// later than one past `up_to`. The first record that is left then; `None` if nothing is to be removed.
pub(crate) fn remove_first<S: Storage>(
    storage: &S,
    up_to: Sequence,
    kept_behind: usize,
) -> Result<Option<Sequence>, Error> {
    let firsts = list(storage)?;
    let Some((&next, &first)) = firsts.get(1).zip(firsts.first()) else { return Ok(None) };
    if next > up_to.next() || firsts.len() < 2 + kept_behind {
        return Ok(None);
    }
    let name = name(first);
    storage.remove(&name).map_err(Error::io("remove", &storage.describe(&name)))?;
    // One sync each, in order: removals made durable in another order would leave a gap behind a crash.
    storage.sync_names().map_err(Error::io("sync", &storage.describe("")))?;
    Ok(Some(next))
}

/// A part of a file in memory.
#[derive(Debug, Default)]
struct Window {
    buffer: Vec<u8>,
    start: u64,
    filled: usize,
}

impl Window {
    /// The `want` bytes at `offset`, or fewer at the file's end.
    fn get<F: File>(&mut self, file: &F, offset: u64, want: usize) -> io::Result<&[u8]> {
        let held = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        if let Some(skip) = held.filter(|skip| skip.saturating_add(want) <= self.filled) {
            return Ok(&self.buffer[skip..skip + want]);
        }
        self.filled = 0;
        self.start = offset;
        let room = want.max(WINDOW_BYTES);
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        while self.filled < room {
            match file.read_at(&mut self.buffer[self.filled..room], offset + self.filled as u64)? {
                0 => break,
                read => self.filled += read,
            }
        }
        Ok(&self.buffer[..want.min(self.filled)])
    }

    fn forget(&mut self) {
        self.filled = 0;
    }
}

/// What lies behind a segment's last good record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tail {
    /// Bytes up to the last that is not zero.
    pub(crate) bytes: u64,
    /// Where the first byte lies that is not zero.
    pub(crate) first_nonzero: Option<u64>,
    /// Whether a whole record in there was written when the record that should be here was already durable.
    pub(crate) was_durable: bool,
}

/// A walk through one segment.
#[derive(Debug)]
pub(crate) struct Cursor<F> {
    file: F,
    path: String,
    header: Header,
    seed: Seed,
    window: Window,
    /// Where the record after the last one begins.
    offset: u64,
    /// Where the batch of the last one begins.
    batch: u64,
    /// Where the last one begins, and its head.
    current: Option<(u64, Head)>,
    last: Sequence,
    durable: Sequence,
}

/// A segment opened: ready to be walked, or without a readable header.
pub(crate) enum Opened<F> {
    Good(Cursor<F>),
    /// Whether there is anything behind the place of the header.
    BadHeader {
        in_use: bool,
    },
}

impl<F: File> Cursor<F> {
    /// Opens the segment that begins with `first`; `None` when there is no such file.
    ///
    /// With `identity`, the segment must be of that log.
    pub(crate) fn open<S: Storage<File = F>>(
        storage: &S,
        first: Sequence,
        identity: Option<u64>,
    ) -> Result<Option<Opened<F>>, Error> {
        let name = name(first);
        let path = storage.describe(&name);
        let file = match storage.open_to_read(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(Error::io("open", &path))?,
        };
        let mut window = Window::default();
        let head = window.get(&file, 0, HEADER_BYTES).map_err(Error::io("read", &path))?;
        let corrupt = |damage| Err(Error::Corrupt { file: path.clone(), offset: 0, damage });
        let mut decoded = Header::decode(head);
        if decoded.is_none() {
            let tail =
                survey(&file, &mut window, HEADER_BYTES as u64, |_, _| Ok(false)).map_err(Error::io("read", &path))?;
            // Beside a writer, the header may have been written between the two looks, and records behind it.
            window.forget();
            decoded = Header::decode(window.get(&file, 0, HEADER_BYTES).map_err(Error::io("read", &path))?);
            if decoded.is_none() {
                return Ok(Some(Opened::BadHeader { in_use: tail.first_nonzero.is_some() }));
            }
        }
        let Some((header, version)) = decoded else { return corrupt(Damage::Header) };
        if version != VERSION {
            return Err(Error::Version { file: path, found: version, known: VERSION });
        }
        if header.first != first {
            return corrupt(Damage::Renamed { header: header.first, name: first });
        }
        if identity.is_some_and(|identity| identity != header.identity) {
            return corrupt(Damage::Foreign);
        }
        let before = Sequence(first.0 - 1);
        let seed = Seed::of(header.identity);
        let start = HEADER_BYTES as u64;
        Ok(Some(Opened::Good(Self {
            file,
            path,
            header,
            seed,
            window,
            offset: start,
            batch: start,
            current: None,
            last: before,
            durable: before,
        })))
    }

    pub(crate) fn header(&self) -> Header {
        self.header
    }

    /// The last record walked over; the one before the segment's first at the start.
    pub(crate) fn last(&self) -> Sequence {
        self.last
    }

    /// Where the record after the last one begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the batch of the last record begins.
    pub(crate) fn batch(&self) -> u64 {
        self.batch
    }

    /// Where the last record begins, and what was durable when it was written.
    pub(crate) fn place(&self) -> Option<(u64, Sequence)> {
        self.current.map(|(offset, head)| (offset, head.durable))
    }

    /// Walks over the next record. `false` when there is no whole record here.
    pub(crate) fn advance(&mut self) -> Result<bool, Error> {
        // What the window holds may have been read before the writer got here, so a bad record is read again.
        let head = match self.whole_record()? {
            Some(head) => head,
            None => {
                self.window.forget();
                match self.whole_record()? {
                    Some(head) => head,
                    None => return Ok(false),
                }
            }
        };
        let expected = self.last.next();
        // Every batch notes what was durable when it was written, which is all that came before it.
        let begins_batch = head.durable == self.last;
        if head.sequence != expected || !(begins_batch || head.durable == self.durable) {
            return Err(self.corrupt(Damage::Order { expected, found: head.sequence, durable: head.durable }));
        }
        if begins_batch {
            self.batch = self.offset;
        }
        self.current = Some((self.offset, head));
        self.offset += head.frame_bytes() as u64;
        self.last = expected;
        self.durable = head.durable;
        Ok(true)
    }

    /// The head of the record at the offset, if all of it is there and verifies.
    fn whole_record(&mut self) -> Result<Option<Head>, Error> {
        let wrap = Error::io("read", &self.path);
        whole_record(&self.file, &mut self.window, self.seed, self.offset).map_err(wrap)
    }

    /// Whether the record that [`Cursor::advance`] did not find is there by now.
    pub(crate) fn is_written(&mut self) -> Result<bool, Error> {
        self.window.forget();
        self.whole_record().map(|head| head.is_some())
    }

    /// Tells that what was read will not be read again soon.
    pub(crate) fn forget_read(&self) {
        self.file.forget_read();
    }

    /// The whole frame of the record that [`Cursor::advance`] walked over, as it stands in the file.
    pub(crate) fn frame(&mut self) -> Result<&[u8], Error> {
        let Some((offset, head)) = self.current else { return Ok(&[]) };
        self.window.get(&self.file, offset, head.frame_bytes()).map_err(Error::io("read", &self.path))
    }

    /// The record that [`Cursor::advance`] walked over.
    pub(crate) fn record(&mut self) -> Result<Option<Record<'_>>, Error> {
        let Some((offset, head)) = self.current else { return Ok(None) };
        let wrap = Error::io("read", &self.path);
        let frame = self.window.get(&self.file, offset, head.frame_bytes()).map_err(wrap)?;
        let payload = &frame[record::HEAD_BYTES..record::HEAD_BYTES + head.length];
        Ok(Some(Record { sequence: head.sequence, time: head.time, payload }))
    }

    /// Looks at everything from the offset to the end of the file. To be called where [`Cursor::advance`] found
    /// nothing.
    pub(crate) fn tail(&mut self) -> Result<Tail, Error> {
        let expected = self.last.next();
        let mut window = Window::default();
        let (file, seed) = (&self.file, self.seed);
        let proves = |offset: u64, bytes: &[u8]| {
            // Few bytes by chance get past the first two comparisons, so that the checksum is seldom computed.
            let Some(head) = Head::read(bytes) else { return Ok(false) };
            if head.durable < expected || head.sequence <= head.durable {
                return Ok(false);
            }
            whole_record(file, &mut window, seed, offset).map(|head| head.is_some())
        };
        let wrap = Error::io("read", &self.path);
        survey(file, &mut self.window, self.offset, proves).map_err(wrap)
    }

    /// An error that points at the offset.
    pub(crate) fn corrupt(&self, damage: Damage) -> Error {
        self.corrupt_at(self.offset, damage)
    }

    pub(crate) fn corrupt_at(&self, offset: u64, damage: Damage) -> Error {
        Error::Corrupt { file: self.path.clone(), offset, damage }
    }
}

fn whole_record<F: File>(file: &F, window: &mut Window, seed: Seed, offset: u64) -> io::Result<Option<Head>> {
    let Some(head) = Head::read(window.get(file, offset, record::HEAD_BYTES)?) else { return Ok(None) };
    let frame = window.get(file, offset, head.frame_bytes())?;
    Ok(head.verifies(seed, frame).then_some(head))
}

/// Reads from `start` to the end and asks `proves` of every place where a record could begin.
fn survey<F: File>(
    file: &F,
    window: &mut Window,
    start: u64,
    mut proves: impl FnMut(u64, &[u8]) -> io::Result<bool>,
) -> io::Result<Tail> {
    let mut tail = Tail::default();
    let mut offset = start;
    window.forget();
    loop {
        let chunk = window.get(file, offset, WINDOW_BYTES)?;
        if chunk.is_empty() {
            return Ok(tail);
        }
        // Preallocated space is mostly zeros; a whole chunk of them is skipped at memory speed. A record across the
        // border has its header's first bytes in the one chunk and the rest in the next, so chunks overlap by a header.
        if *chunk != ZEROS[..chunk.len()] {
            if let Some(index) = chunk.iter().position(|byte| *byte != 0) {
                tail.first_nonzero.get_or_insert(offset + index as u64);
            }
            if let Some(index) = chunk.iter().rposition(|byte| *byte != 0) {
                tail.bytes = offset + index as u64 + 1 - start;
            }
            let heads = (0..chunk.len().saturating_sub(record::HEAD_BYTES - 1)).step_by(record::ALIGN_BYTES);
            for index in heads {
                if !tail.was_durable {
                    tail.was_durable = proves(offset + index as u64, &chunk[index..index + record::HEAD_BYTES])?;
                }
            }
        }
        if chunk.len() < WINDOW_BYTES {
            return Ok(tail);
        }
        offset += (WINDOW_BYTES - record::HEAD_BYTES) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_numbers_and_nothing_else_is_a_segment() {
        assert_eq!(name(Sequence(4)), "00000000000000000004.log");
        assert_eq!(first_of(&name(Sequence(u64::MAX))), Some(Sequence(u64::MAX)));
        for other in
            ["lock", "4.log", "00000000000000000000.log", "00000000000000000004.log.bak", "+0000000000000000004.log"]
        {
            assert_eq!(first_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_header_reads_back_and_every_flipped_bit_is_noticed() {
        let header = Header { first: Sequence(77), identity: 0xfeed };
        let good = header.encode();
        assert_eq!(Header::decode(&good), Some((header, VERSION)));
        assert_eq!(Header::decode(&header.encode_version(9)), Some((header, 9)));
        assert_eq!(Header::decode(&good[..31]), None);
        for bit in 0..HEADER_BYTES * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bad), None, "bit {bit}");
        }
    }
}
