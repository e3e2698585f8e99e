//! Snapshots, so that a start does not need to replay the whole log.
//!
//! A snapshot is an [`Image`]: the partition and its follower (the read model) at one sequence number. It never
//! replaces the log; each can be deleted and rebuilt from the log. Snapshots are stored in a [`Folder`], or in an
//! object store that several machines share (`crossbook-object-store`); in either, a snapshot is complete or does not
//! exist. The checksum at the end detects later damage; a damaged snapshot is skipped for the previous one.
//!
//! ```text
//!   "CBSNAP05" | length of the image, 8 bytes | image (wire) | SHA-256 of all before
//! ```
//!
//! Trading never waits for a snapshot. They are taken of a [`crate::follower_copy::FollowerCopy`], on a thread of its
//! own.

mod folder;

use std::collections::BTreeSet;
use std::io::ErrorKind;

use crossbook_engine::{Partition, State};
use crossbook_protocol::wire;
use crossbook_protocol::wire::codec::{Reader, Sink, Wire};
use crossbook_types::Sequence;
use sha2::{Digest, Sha256};

use crate::follower::Follower;

pub use folder::Folder;

/// Counts the versions of the image; one of another version is ignored like a damaged one.
const MAGIC: &[u8; 8] = b"CBSNAP05";
/// The version that the first bytes of a snapshot name.
pub const VERSION: u32 = (MAGIC[6] - b'0') as u32 * 10 + (MAGIC[7] - b'0') as u32;
/// Bytes that a stored snapshot has before its image.
pub const HEADER_BYTES: usize = 16;
/// Bytes that a stored snapshot has after its image.
pub const CHECKSUM_BYTES: usize = 32;
/// How many snapshots are retained: the last, and one in case it is damaged.
pub const KEPT: usize = 2;

/// A partition and its follower at one sequence number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image<S> {
    /// State of the partition.
    pub partition: State,
    /// What followed its events.
    pub follower: S,
}

/// Why snapshots cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {place}: {source}")]
pub struct Error {
    action: &'static str,
    place: String,
    source: Box<dyn std::error::Error + Send + Sync>,
    is_gone: bool,
}

impl Error {
    /// A failure of the file system to do `action` (a verb and what it governs) at `place`.
    #[must_use]
    pub fn of_file(action: &'static str, place: String, source: std::io::Error) -> Self {
        let is_gone = source.kind() == ErrorKind::NotFound;
        Self { action, place, source: source.into(), is_gone }
    }

    /// A failure of another store to do `action` at `place`; `is_gone` when there is no such object.
    #[must_use]
    pub fn of_store(
        action: &'static str,
        place: String,
        source: Box<dyn std::error::Error + Send + Sync>,
        is_gone: bool,
    ) -> Self {
        Self { action, place, source, is_gone }
    }

    /// Whether a snapshot that had been listed does not exist any more: the process that takes snapshots has removed
    /// it, and there are newer ones.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.is_gone
    }
}

/// Reads stored snapshots.
pub trait Saved {
    /// The positions of all snapshots, last first.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn list(&self) -> Result<Vec<Sequence>, Error>;

    /// The bytes of a snapshot, or `None` if it is damaged or of another version.
    ///
    /// # Errors
    /// When it cannot be read.
    fn load(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, Error>;

    /// Whether a snapshot can be read and is not damaged.
    fn is_good(&self, sequence: Sequence) -> bool {
        self.load(sequence).is_ok_and(|image| image.is_some())
    }
}

/// Reads, stores and removes snapshots.
pub trait Snapshots: Saved {
    /// Stores a snapshot, and removes all but the last [`KEPT`] good ones and the damaged ones after them. When this
    /// returns, it is durable.
    ///
    /// # Errors
    /// When it cannot be written; earlier ones are untouched.
    fn save(&mut self, sequence: Sequence, image: &[u8]) -> Result<(), Error>;

    /// From now on the last snapshot at or before `position` is retained too, however old: another reader follows the
    /// log from there. `None`: its position is unknown, and all are retained.
    fn keep_for(&mut self, position: Option<Sequence>);
}

/// Which snapshots are retained besides the last [`KEPT`], because another reader starts from one.
#[derive(Clone, Copy, Debug)]
pub enum Retention {
    /// There is no snapshot.
    Nothing,
    /// The last good one at or before this position, which is that of the other reader of the log.
    From(Sequence),
    /// All: there is another reader, and its position is unknown.
    Unknown,
}

impl Retention {
    /// For a reader of the log at this position; `None`: its position is unknown.
    #[must_use]
    pub fn by(position: Option<Sequence>) -> Self {
        position.map_or(Self::Unknown, Self::From)
    }

    /// Which of all snapshots are to be removed, now that one of `new` was stored. A damaged one takes no good one's
    /// place: a log may be trimmed up to what it would stand for. `verified` are those that need not be read again.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn removable(self, saved: &impl Saved, new: Sequence, verified: &mut Verified) -> Result<Vec<Sequence>, Error> {
        let kept = saved.list()?;
        verified.0.insert(new);
        verified.0.retain(|sequence| kept.contains(sequence));
        let mut position = match self {
            Self::Nothing => None,
            Self::From(position) => Some(position),
            Self::Unknown => return Ok(Vec::new()),
        };
        // The usual case, in which nothing has to be read.
        if kept.len() <= KEPT {
            return Ok(Vec::new());
        }
        let (mut good, mut removable) = (0, Vec::new());
        for sequence in kept {
            let is_needed = position.is_some_and(|position| sequence <= position);
            if good == KEPT && !is_needed {
                removable.push(sequence);
            } else if verified.0.contains(&sequence) || saved.is_good(sequence) {
                verified.0.insert(sequence);
                good = KEPT.min(good + 1);
                position = position.filter(|_| !is_needed);
            }
        }
        Ok(removable)
    }
}

/// The snapshots that this process has written, or has found to be good.
#[derive(Clone, Debug, Default)]
pub struct Verified(BTreeSet<Sequence>);

/// What a snapshot is called.
#[must_use]
pub fn name(sequence: Sequence) -> String {
    format!("snapshot-{:020}.bin", sequence.0)
}

/// Which snapshot is called that, if any.
#[must_use]
pub fn named(name: &str) -> Option<Sequence> {
    name.strip_prefix("snapshot-")?.strip_suffix(".bin")?.parse().ok().map(Sequence)
}

/// What a stored snapshot has before its image, and what behind it.
#[must_use]
pub fn frame(image: &[u8]) -> ([u8; HEADER_BYTES], [u8; CHECKSUM_BYTES]) {
    let mut header = [0; HEADER_BYTES];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    header[MAGIC.len()..].copy_from_slice(&(image.len() as u64).to_le_bytes());
    let checksum = Sha256::new().chain_update(header).chain_update(image).finalize();
    (header, checksum.into())
}

/// The image within a stored snapshot; `None` if that is damaged or of another version.
#[must_use]
pub fn unframe(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let end = bytes.len().checked_sub(CHECKSUM_BYTES).filter(|&end| end >= HEADER_BYTES)?;
    let length = (end - HEADER_BYTES) as u64;
    let sound = bytes.starts_with(MAGIC)
        && bytes[MAGIC.len()..HEADER_BYTES] == length.to_le_bytes()
        && Sha256::digest(&bytes[..end])[..] == bytes[end..];
    bytes.truncate(end);
    bytes.drain(..HEADER_BYTES);
    sound.then_some(bytes)
}

/// Whether a stored snapshot of that many bytes, which `read` gives piece by piece, is neither damaged nor of another
/// version. Only a piece of it is in memory at a time.
pub(crate) fn is_sound<E>(length: u64, mut read: impl FnMut(&mut [u8], u64) -> Result<(), E>) -> Result<bool, E> {
    const PIECE_BYTES: u64 = 256 << 10;
    let Some(end) = length.checked_sub(CHECKSUM_BYTES as u64).filter(|&end| end >= HEADER_BYTES as u64) else {
        return Ok(false);
    };
    let (mut hash, mut piece, mut at) = (Sha256::new(), Vec::new(), 0);
    while at < end {
        let bytes = (end - at).min(PIECE_BYTES);
        piece.resize(usize::try_from(bytes).unwrap_or_default(), 0);
        read(&mut piece, at)?;
        if at == 0 && !(piece.starts_with(MAGIC) && piece[MAGIC.len()..].starts_with(&image_bytes(end))) {
            return Ok(false);
        }
        hash.update(&piece);
        at += bytes;
    }
    let mut checksum = [0; CHECKSUM_BYTES];
    read(&mut checksum, end)?;
    Ok(hash.finalize()[..] == checksum)
}

/// The length of the image, as it stands in the header of a snapshot that ends there but for its checksum.
fn image_bytes(end: u64) -> [u8; 8] {
    (end - HEADER_BYTES as u64).to_le_bytes()
}

/// The bytes of an image.
pub fn encode<S: Wire>(image: &Image<S>) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::encode(image, &mut bytes);
    bytes
}

/// Appends the bytes of the [`Image`] of a partition and its follower to `bytes`. Each is serialised only when it is
/// appended, because its serialised form is as large as itself, and `rest` is called in between.
pub(crate) fn encode_in_parts<F: Follower>(
    partition: &Partition,
    follower: &F,
    rest: &mut dyn FnMut(),
    bytes: &mut Vec<u8>,
) {
    bytes.push(wire::VERSION);
    let state = partition.state();
    rest();
    state.write(bytes);
    drop(state);
    rest();
    let saved = follower.save();
    rest();
    saved.write(bytes);
}

/// The image of these bytes.
///
/// # Errors
/// When they are not one of a known version.
pub fn decode<S: Wire>(bytes: &[u8]) -> Result<Image<S>, wire::Error> {
    wire::decode(bytes)
}

impl<F: Wire> Wire for Image<F> {
    fn write<S: Sink>(&self, out: &mut S) {
        self.partition.write(out);
        self.follower.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, wire::Error> {
        Ok(Self { partition: Wire::read(from)?, follower: Wire::read(from)? })
    }
}

/// The snapshots up to a position, for a start from there.
#[derive(Debug)]
pub struct UpTo<'a, S>(pub &'a S, pub Sequence);

impl<S: Saved> Saved for UpTo<'_, S> {
    fn list(&self) -> Result<Vec<Sequence>, Error> {
        let mut found = self.0.list()?;
        found.retain(|&sequence| sequence <= self.1);
        Ok(found)
    }

    fn load(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, Error> {
        self.0.load(sequence)
    }

    fn is_good(&self, sequence: Sequence) -> bool {
        self.0.is_good(sequence)
    }
}
