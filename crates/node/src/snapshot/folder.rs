//! Snapshots as files in a folder of this machine. They are written whole under another name, synced, and then renamed.
//!
//! They are read, synced and removed piece by piece: the log is most likely on the same disk, and what it has to sync for an order waits
//! behind all that the disk has been given to do before.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crossbook_log::storage::Disk;
use crossbook_types::Sequence;
use rustix::fs::Advice;

use super::{Error, Needed, Saved, Snapshots};

/// How the name of a file ends that is not a snapshot yet.
const UNFINISHED: &str = "unfinished";
/// How much the disk is given to do at a time.
const PIECE_BYTES: usize = 256 << 10;
/// How much of a file is given up at a time, which is cheaper.
const PIECE_REMOVED_BYTES: u64 = 4 << 20;

/// Snapshots as files in a folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    needed: Needed,
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

    /// The snapshots in `path`, which must exist by the time they are listed. For who only reads.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), needed: Needed::Nothing }
    }

    fn file(&self, sequence: Sequence) -> PathBuf {
        self.path.join(super::name(sequence))
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
    let place = path.display().to_string();
    move |source| Error { action, place, source: source.into() }
}

/// Reads a file, of which the system is to read no more at a time than it is asked for.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // Where this is not understood, it reads ahead after all.
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::Random);
    let length = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(length).map_err(io::Error::other)?);
    let piece = PIECE_BYTES as u64;
    while (&file).take(piece).read_to_end(&mut bytes)? > 0 {}
    Ok(bytes)
}

/// Removes a file that may be large. Should that end in the middle, what is left of it is a snapshot that is damaged, and not the last.
fn remove(path: &Path) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    let mut left = file.metadata()?.len();
    while left > PIECE_REMOVED_BYTES {
        left -= PIECE_REMOVED_BYTES;
        file.set_len(left)?;
    }
    fs::remove_file(path)
}

impl Snapshots for Folder {
    fn save(&mut self, sequence: Sequence, image: &[u8]) -> Result<(), Error> {
        let target = self.file(sequence);
        let unfinished = target.with_extension(UNFINISHED);
        self.clear_unfinished().map_err(failed("clear", &self.path))?;
        let (header, checksum) = super::frame(image);
        let write = || -> io::Result<()> {
            let mut file = File::create(&unfinished)?;
            file.write_all(&header)?;
            for piece in image.chunks(PIECE_BYTES) {
                file.write_all(piece)?;
                file.sync_data()?;
            }
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
        for old in self.needed.let_go(self.list()?) {
            let path = self.file(old);
            remove(&path).map_err(failed("remove", &path))?;
        }
        Ok(())
    }

    fn keep_for(&mut self, position: Option<Sequence>) {
        self.needed = Needed::by(position);
    }
}

impl Saved for Folder {
    fn list(&self) -> Result<Vec<Sequence>, Error> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed("list", &self.path))? {
            let name = entry.map_err(failed("list", &self.path))?.file_name();
            found.extend(name.to_str().and_then(super::named));
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found)
    }

    fn load(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, Error> {
        let path = self.file(sequence);
        read(&path).map(super::framed).map_err(failed("read", &path))
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
