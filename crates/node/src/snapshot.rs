//! States written down, so that a start need not replay everything.
//!
//! A snapshot is an [`Image`]: the partition, and what followed it (the views), at one sequence number. It is written beside, and
//! never instead of, the log; each can be thrown away and made again from the log. Files are written whole under another
//! name, synced, and then renamed, so a snapshot is either there and complete or not there. The checksum at the end catches
//! what the disk does to it later; a bad snapshot is passed over for the one before.
//!
//! ```text
//!   "CBSNAP04" | length of the image, 8 bytes | image (wire) | SHA-256 of all before
//! ```
//!
//! Trading never waits for a snapshot. [`crate::recovery::advance`] makes the next one from the last one and the log, as a start
//! would, on a thread of its own.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crossbook_engine::State;
use crossbook_log::storage::Disk;
use crossbook_types::Sequence;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Counts the versions of the image; one of another version is passed over like a bad one.
const MAGIC: &[u8; 8] = b"CBSNAP04";
const HEADER_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 32;
/// How the name of a file ends that is not a snapshot yet.
const UNFINISHED: &str = "unfinished";
/// How many snapshots are kept: the last, and one in case it goes bad.
pub const KEPT: usize = 2;

/// A partition and its follower at one sequence number.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Image<S> {
    /// The partition.
    pub partition: State,
    /// What followed its events.
    pub follower: S,
}

/// Why a snapshot cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct Error {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Has snapshots.
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
}

/// Keeps snapshots.
pub trait Snapshots: Saved {
    /// Keeps a snapshot, and forgets all but the last [`KEPT`]. When this returns, it is durable.
    ///
    /// # Errors
    /// When it cannot be written; those before are untouched.
    fn save(&mut self, sequence: Sequence, image: &[u8]) -> Result<(), Error>;
}

/// The bytes of an image.
pub fn encode<S: Serialize>(image: &Image<S>) -> Vec<u8> {
    let mut bytes = Vec::new();
    crossbook_wire::encode(image, &mut bytes);
    bytes
}

/// The image of these bytes.
///
/// # Errors
/// When they are not one of a known version.
pub fn decode<S: DeserializeOwned>(bytes: &[u8]) -> Result<Image<S>, crossbook_wire::Error> {
    crossbook_wire::decode(bytes)
}

/// The snapshots up to a position, for whoever starts from there.
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
}

/// Snapshots as files in a folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    needed: Needed,
}

/// What else starts from a snapshot, beside the venue.
#[derive(Clone, Copy, Debug)]
enum Needed {
    Nothing,
    /// Something that stands there.
    From(Sequence),
    /// Something of which it is not known where it stands.
    Unknown,
}

impl Folder {
    /// Keeps snapshots in `path`, which is made durably if it is not there: once the log is trimmed, a snapshot stands for
    /// what it gave up, and so must last as long.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Disk::create(path).map_err(failed("create", path))?;
        Ok(Self { path: path.to_owned(), needed: Needed::Nothing })
    }

    /// From now on the last snapshot at or before `position` is kept too, however old: something else follows the log from there. `None`:
    /// it is not known from where, and all are kept.
    pub fn keep_for(&mut self, position: Option<Sequence>) {
        self.needed = position.map_or(Needed::Unknown, Needed::From);
    }

    /// The snapshots in `path`, which must exist by the time they are listed. For who only reads.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), needed: Needed::Nothing }
    }

    fn file(&self, sequence: Sequence) -> PathBuf {
        self.path.join(format!("snapshot-{:020}.bin", sequence.0))
    }

    /// Removes what a crash in the middle of a write, or a full disk, has left. To be called by the one writer only.
    fn clear_unfinished(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error { action, path, source }
}

impl Snapshots for Folder {
    fn save(&mut self, sequence: Sequence, image: &[u8]) -> Result<(), Error> {
        let target = self.file(sequence);
        let unfinished = target.with_extension(UNFINISHED);
        self.clear_unfinished().map_err(failed("clear", &self.path))?;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&(image.len() as u64).to_le_bytes());
        let checksum = Sha256::new().chain_update(&header).chain_update(image).finalize();
        let write = || -> io::Result<()> {
            let mut file = File::create(&unfinished)?;
            file.write_all(&header)?;
            file.write_all(image)?;
            file.write_all(&checksum)?;
            file.sync_all()?;
            fs::rename(&unfinished, &target)?;
            File::open(&self.path)?.sync_all()
        };
        if let Err(error) = write() {
            // On a full disk the log needs the room. The failure that is told is the first one.
            let _ = fs::remove_file(&unfinished);
            return Err(failed("write", &target)(error));
        }
        let kept = self.list()?;
        let needed = match self.needed {
            Needed::Nothing => None,
            Needed::From(position) => kept.iter().copied().find(|&sequence| sequence <= position),
            Needed::Unknown => return Ok(()),
        };
        for old in kept.into_iter().skip(KEPT).filter(|&sequence| Some(sequence) != needed) {
            let path = self.file(old);
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
        Ok(())
    }
}

impl Saved for Folder {
    fn list(&self) -> Result<Vec<Sequence>, Error> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed("list", &self.path))? {
            let name = entry.map_err(failed("list", &self.path))?.file_name();
            let digits = name.to_str().and_then(|name| name.strip_prefix("snapshot-")?.strip_suffix(".bin"));
            found.extend(digits.and_then(|digits| digits.parse().ok()).map(Sequence));
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found)
    }

    fn load(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, Error> {
        let path = self.file(sequence);
        let mut bytes = fs::read(&path).map_err(failed("read", &path))?;
        let Some(end) = bytes.len().checked_sub(CHECKSUM_BYTES).filter(|&end| end >= HEADER_BYTES) else {
            return Ok(None);
        };
        let length = (end - HEADER_BYTES) as u64;
        let sound = bytes.starts_with(MAGIC)
            && bytes[8..HEADER_BYTES] == length.to_le_bytes()
            && Sha256::digest(&bytes[..end])[..] == bytes[end..];
        bytes.truncate(end);
        bytes.drain(..HEADER_BYTES);
        Ok(sound.then_some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_snapshot_is_known_at_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        folder.save(Sequence(5), b"some image").unwrap();
        assert_eq!(folder.load(Sequence(5)).unwrap().as_deref(), Some(&b"some image"[..]));
        let path = folder.file(Sequence(5));
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            assert_eq!(folder.load(Sequence(5)).unwrap(), None, "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert_eq!(folder.load(Sequence(5)).unwrap(), None, "length {at}");
        }
    }

    #[test]
    fn the_last_ones_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        for at in [1, 20, 300] {
            folder.save(Sequence(at), b"x").unwrap();
        }
        fs::write(dir.path().join("snapshot-00000000000000000400.unfinished"), b"half").unwrap();
        assert_eq!(folder.list().unwrap(), [Sequence(300), Sequence(20)]);
    }

    #[test]
    fn one_that_is_needed_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        for at in [1, 20, 300] {
            folder.keep_for(Some(Sequence(250)));
            folder.save(Sequence(at), b"x").unwrap();
        }
        folder.save(Sequence(400), b"x").unwrap();
        folder.save(Sequence(500), b"x").unwrap();
        assert_eq!(folder.list().unwrap(), [500, 400, 20].map(Sequence));
        folder.keep_for(None);
        folder.save(Sequence(550), b"x").unwrap();
        assert_eq!(folder.list().unwrap(), [550, 500, 400, 20].map(Sequence), "where it stands is not known");
        folder.keep_for(Some(Sequence(450)));
        folder.save(Sequence(600), b"x").unwrap();
        assert_eq!(folder.list().unwrap(), [600, 550, 400].map(Sequence));
    }

    #[test]
    fn what_a_crash_left_half_written_is_removed_by_the_next_save() {
        let dir = tempfile::tempdir().unwrap();
        let half = dir.path().join("snapshot-00000000000000000400.unfinished");
        fs::write(&half, b"half").unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        assert!(half.exists(), "opening is for readers too, and leaves a writer's file alone");
        folder.save(Sequence(401), b"x").unwrap();
        assert_eq!((half.exists(), folder.list().unwrap()), (false, vec![Sequence(401)]));
    }

    #[test]
    fn a_save_that_fails_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        // A folder in the way of the new name.
        fs::create_dir(folder.file(Sequence(7))).unwrap();
        assert!(folder.save(Sequence(7), b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
