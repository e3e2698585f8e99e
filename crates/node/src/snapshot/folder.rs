//! Snapshots as files in a local folder. A snapshot is written under a temporary name, synced, and then renamed.
//!
//! Files are read, synced and removed piece by piece: the log is probably on the same disk, and its syncs wait behind
//! everything that the disk has been given before.

use std::io;
use std::path::Path;

use crossbook_log::storage::{Disk, DiskLock, File as _, Storage};
use crossbook_types::Sequence;

use super::{Error, Retention, Saved, Snapshots, Verified};

/// How the name of a file ends that is not a snapshot yet.
const UNFINISHED: &str = ".unfinished";
/// How the name of a file ends that is a snapshot no more; see [`Folder::set_aside`].
const DISCARDED: &str = ".discarded";
/// How much the disk is given to do at a time.
const PIECE_BYTES: usize = 256 << 10;
/// How much of a file is released at a time, which is cheaper.
const PIECE_REMOVED_BYTES: u64 = 4 << 20;

/// Snapshots as files in a folder.
#[derive(Clone, Debug)]
pub struct Folder<S = Disk> {
    storage: S,
    retention: Retention,
    verified: Verified,
}

impl Folder {
    /// Stores snapshots in `path`, which is created durably if it does not exist: once the log is trimmed, a snapshot
    /// replaces the trimmed part, and so must last as long.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source: io::Error| Error::of_file("create", path.display().to_string(), source);
        Ok(Self::on(Disk::create(path).map_err(failed)?))
    }

    /// Takes the folder for this process, which is to be the only one that writes to it, for as long as the lock lives.
    ///
    /// # Errors
    /// When another process has it.
    pub fn lock(&self) -> Result<DiskLock, Error> {
        self.storage.lock_folder().map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                let told = format!("it is in use by {error}; stop it, or choose another data folder");
                self.failed("lock", "")(io::Error::other(told))
            }
            _ => self.failed("lock", "")(error),
        })
    }

    /// The snapshots in `path`, which must exist by the time they are listed. For who only reads.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self::on(Disk::at(path))
    }
}

impl<S: Storage> Folder<S> {
    /// The snapshots on such a disk.
    #[must_use]
    pub fn on(storage: S) -> Self {
        Self { storage, retention: Retention::Nothing, verified: Verified::default() }
    }

    fn failed(&self, action: &'static str, name: &str) -> impl FnOnce(io::Error) -> Error {
        let place = self.storage.describe(name);
        move |source| Error::of_file(action, place, source)
    }

    /// Takes its name from every snapshot of a later command than `after`, so that nothing starts from it any more. The
    /// file stays, under a name that ends in `.discarded`. How many there were.
    ///
    /// # Errors
    /// When one cannot be renamed.
    pub fn set_aside(&mut self, after: Sequence) -> Result<usize, Error> {
        let later: Vec<Sequence> = self.list()?.into_iter().filter(|&sequence| sequence > after).collect();
        for &sequence in &later {
            let name = super::name(sequence);
            let renamed = self.storage.rename(&name, &format!("{name}{DISCARDED}"));
            renamed.map_err(self.failed("set aside", &name))?;
        }
        self.storage.sync_names().map_err(self.failed("sync", ""))?;
        Ok(later.len())
    }

    /// Removes what a crash in the middle of a write, or a full disk, has left. To be called by the one writer only.
    fn clear_unfinished(&self) -> io::Result<()> {
        for name in self.storage.names()?.iter().filter(|name| name.ends_with(UNFINISHED)) {
            self.storage.remove(name)?;
        }
        Ok(())
    }

    /// Writes a file that is complete, or does not exist under this name.
    fn write(&self, name: &str, image: &[u8]) -> io::Result<()> {
        let unfinished = format!("{name}{UNFINISHED}");
        let (header, checksum) = super::frame(image);
        let write = || -> io::Result<()> {
            let mut file = self.storage.create(&unfinished)?;
            let mut at = 0;
            let mut append = |file: &mut S::File, bytes: &[u8]| {
                let begin = at;
                at += bytes.len() as u64;
                file.write_at(bytes, begin)
            };
            append(&mut file, &header)?;
            for piece in image.chunks(PIECE_BYTES) {
                append(&mut file, piece)?;
                file.sync_data()?;
            }
            append(&mut file, &checksum)?;
            file.sync_all()?;
            self.storage.rename(&unfinished, name)?;
            self.storage.sync_names()
        };
        write().inspect_err(|_| {
            // On a full disk the log needs the space. The first failure is returned.
            let _ = self.storage.remove(&unfinished);
        })
    }

    /// Reads a file, piece by piece.
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.storage.open_to_read(name)?;
        file.read_sparingly();
        let mut bytes = vec![0; usize::try_from(file.length()?).map_err(io::Error::other)?];
        let mut read = 0;
        while read < bytes.len() {
            let end = bytes.len().min(read + PIECE_BYTES);
            match file.read_at(&mut bytes[read..end], read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Whether a file is a snapshot that is not damaged.
    fn is_sound(&self, name: &str) -> io::Result<bool> {
        let file = self.storage.open_to_read(name)?;
        file.read_sparingly();
        super::is_sound(file.length()?, |mut buffer, mut at| {
            while !buffer.is_empty() {
                match file.read_at(buffer, at)? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    more => {
                        buffer = &mut buffer[more..];
                        at += more as u64;
                    }
                }
            }
            Ok(())
        })
    }

    /// Removes a file that may be large. If that is interrupted, the rest is a damaged snapshot, and not the last.
    fn remove(&self, name: &str) -> io::Result<()> {
        let mut file = self.storage.open(name)?;
        let mut left = file.length()?;
        while left > PIECE_REMOVED_BYTES {
            left -= PIECE_REMOVED_BYTES;
            file.truncate(left)?;
        }
        self.storage.remove(name)
    }
}

impl<S: Storage> Snapshots for Folder<S> {
    fn save(&mut self, sequence: Sequence, image: &[u8]) -> Result<(), Error> {
        self.clear_unfinished().map_err(self.failed("clear", ""))?;
        let name = super::name(sequence);
        self.write(&name, image).map_err(self.failed("write", &name))?;
        let mut verified = std::mem::take(&mut self.verified);
        let removable = self.retention.removable(self, sequence, &mut verified);
        self.verified = verified;
        for old in removable? {
            let name = super::name(old);
            // A file that cannot be opened is no snapshot: it must not block saving, and with it trimming, permanently.
            let removed = self.remove(&name).or_else(|_| self.storage.remove(&name));
            let removed = removed.or_else(|_| self.storage.rename(&name, &format!("{name}{DISCARDED}")));
            removed.map_err(self.failed("remove", &name))?;
        }
        Ok(())
    }

    fn keep_for(&mut self, position: Option<Sequence>) {
        self.retention = Retention::by(position);
    }
}

impl<S: Storage> Saved for Folder<S> {
    fn list(&self) -> Result<Vec<Sequence>, Error> {
        let names = self.storage.names().map_err(self.failed("list", ""))?;
        let mut found: Vec<Sequence> = names.iter().filter_map(|name| super::named(name)).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found)
    }

    fn load(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, Error> {
        let name = super::name(sequence);
        self.read(&name).map(super::unframe).map_err(self.failed("read", &name))
    }

    fn is_good(&self, sequence: Sequence) -> bool {
        self.is_sound(&super::name(sequence)).is_ok_and(|sound| sound)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::name;
    use super::*;

    #[test]
    fn a_damaged_snapshot_is_known_at_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        folder.save(Sequence(5), b"some image").unwrap();
        assert_eq!(folder.load(Sequence(5)).unwrap().as_deref(), Some(&b"some image"[..]));
        let path = dir.path().join(name(Sequence(5)));
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            assert_eq!(folder.load(Sequence(5)).unwrap(), None, "byte {at}");
            assert!(!folder.is_good(Sequence(5)), "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert_eq!(folder.load(Sequence(5)).unwrap(), None, "length {at}");
            assert!(!folder.is_good(Sequence(5)), "length {at}");
        }
        fs::write(&path, &good).unwrap();
        assert!(folder.is_good(Sequence(5)) && !folder.is_good(Sequence(6)));
        folder.save(Sequence(6), &[7; 3 * PIECE_BYTES + 5]).unwrap();
        assert!(folder.is_good(Sequence(6)), "one of several pieces");
    }

    #[test]
    fn one_that_cannot_be_read_is_named_and_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        folder.save(Sequence(5), b"some image").unwrap();
        fs::create_dir(dir.path().join(name(Sequence(7)))).unwrap();
        std::os::unix::fs::symlink("loop", dir.path().join("loop")).unwrap();
        std::os::unix::fs::symlink("loop", dir.path().join(name(Sequence(8)))).unwrap();
        for sequence in [7, 8].map(Sequence) {
            let refused = folder.load(sequence).unwrap_err();
            assert!(!refused.is_gone() && refused.to_string().contains(&name(sequence)), "{refused}");
        }
        let which = crate::recovery::Which::single(0);
        let no_log = |_| crossbook_log::FileReader::open(dir.path(), Sequence(1));
        let restored = crate::recovery::recover(&which, &folder, no_log, crossbook_log::Until::End, (), |_| ());
        // The one that can be read is no image, and the error says so: earlier ones were ignored.
        let passed = matches!(&restored, Err(crate::recovery::Error::Inconsistent { sequence: Sequence(5), .. }));
        assert!(passed, "{:?}", restored.err());
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
    fn what_cannot_be_opened_does_not_hold_back_those_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        folder.save(Sequence(5), b"x").unwrap();
        fs::create_dir(dir.path().join(name(Sequence(7)))).unwrap();
        for at in [8, 9] {
            folder.save(Sequence(at), b"x").unwrap();
        }
        assert_eq!(folder.list().unwrap(), [Sequence(9), Sequence(8)]);
    }

    #[test]
    fn what_is_set_aside_is_kept_and_no_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        for at in [1, 20] {
            folder.save(Sequence(at), b"x").unwrap();
        }
        assert_eq!(folder.set_aside(Sequence(20)).unwrap(), 0);
        assert_eq!(folder.set_aside(Sequence(1)).unwrap(), 1);
        assert_eq!(folder.list().unwrap(), [Sequence(1)]);
        assert!(dir.path().join(format!("{}.discarded", name(Sequence(20)))).is_file());
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
    fn a_damaged_one_takes_no_good_ones_place() {
        let dir = tempfile::tempdir().unwrap();
        let damage = |at: u64| fs::write(dir.path().join(name(Sequence(at))), "damaged").unwrap();
        let saved = |needed: Option<u64>, at: u64| {
            // Of a new process, which knows of none whether it is good.
            let mut folder = Folder::open(dir.path()).unwrap();
            if let Some(needed) = needed {
                folder.keep_for(Some(Sequence(needed)));
            }
            folder.save(Sequence(at), b"x").unwrap();
            folder.list().unwrap().into_iter().map(|sequence| sequence.0).collect::<Vec<_>>()
        };
        saved(None, 1);
        saved(None, 20);
        damage(20);
        assert_eq!(saved(None, 300), [300, 20, 1], "one alone could be damaged next");
        assert_eq!(saved(None, 400), [400, 300]);
        damage(400);
        // The history at 410 can only begin at 300.
        assert_eq!(saved(Some(410), 500), [500, 400, 300]);
        assert_eq!(saved(Some(410), 600), [600, 500, 400, 300]);
        assert_eq!(saved(Some(550), 700), [700, 600, 500]);
    }

    #[test]
    fn one_process_at_a_time_writes_to_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (Folder::open(dir.path()).unwrap(), Folder::open(dir.path()).unwrap());
        let lock = one.lock().unwrap();
        let refused = other.lock().unwrap_err().to_string();
        assert!(refused.contains("it is in use by another process; stop it"), "{refused}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "no name that could be removed");
        drop(lock);
        other.lock().unwrap();
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
        fs::create_dir(dir.path().join(name(Sequence(7)))).unwrap();
        assert!(folder.save(Sequence(7), b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
