//! The operations of a disk that a log and its snapshots need, as a trait, so that tests and simulators can use a worse
//! disk.
//!
//! [`Disk`] is the real one. `memory::Memory`, behind the feature `conformance`, tears writes, fails syncs, fills up
//! and rots. The log assumes of each of them:
//!
//! - Written data may reach the disk in any order, sector by sector, until a sync returns.
//! - A sector is written wholly or not at all, and writing it does not harm its neighbours.
//! - A file's name is durable only once the folder has been synced, its bytes and size only once the file has been.
//! - After a failed sync nothing is known about what was written since the last successful one.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FallocateFlags, FlockOperation, fadvise, fallocate, flock};
use rustix::io::{Errno, retry_on_intr};

/// The file in a folder that names the process which has the folder locked. Its own lock keeps out programs that know
/// no other.
const LOCK_NAME: &str = "lock";

/// The most of the lock file that is read to identify its holder.
const HOLDER_BYTES_MAX: u64 = 64;

/// A folder of files.
pub trait Storage {
    /// An open file in it.
    type File: File;
    /// Keeps everyone else out until dropped.
    type Lock;

    /// Locks the folder for the one writer. The lock is on the folder itself, not on a name in it that another process
    /// could remove.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it, with a message that names it; else errors of the operating system.
    fn lock(&self) -> io::Result<Self::Lock>;

    /// Whether the folder's path still leads to the folder that was locked. It may have been moved away, or removed and
    /// created again.
    ///
    /// # Errors
    /// Errors of the operating system.
    fn is_locked_by(&self, lock: &Self::Lock) -> io::Result<bool>;

    /// Whether `name` still leads to this open file. It may have been moved, removed or replaced.
    ///
    /// # Errors
    /// Errors of the operating system.
    fn is_named(&self, file: &Self::File, name: &str) -> io::Result<bool>;

    /// The names of all files.
    ///
    /// # Errors
    /// Errors of the operating system.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Creates a file, which must not exist.
    ///
    /// # Errors
    /// `AlreadyExists`, or an error of the operating system.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// `NotFound`, or an error of the operating system.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file for reading only.
    ///
    /// # Errors
    /// `NotFound`, or an error of the operating system.
    fn open_to_read(&self, name: &str) -> io::Result<Self::File>;

    /// Renames a file, in one step. A file that had that name before loses it.
    ///
    /// # Errors
    /// `NotFound`, or an error of the operating system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file's name. Processes that have it open can still use it.
    ///
    /// # Errors
    /// Errors of the operating system.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all earlier creations, removals and renames durable.
    ///
    /// # Errors
    /// Errors of the operating system.
    fn sync_names(&self) -> io::Result<()>;

    /// A random number that no other log has and nobody outside can guess.
    ///
    /// # Errors
    /// Errors of the operating system.
    fn identity(&self) -> io::Result<u64>;

    /// Where `name` is, for messages. An empty name means the folder.
    fn describe(&self, name: &str) -> String;
}

/// An open file.
pub trait File {
    /// Reads at `offset` into `buffer`, perhaps less than it holds; 0 means the end.
    ///
    /// # Errors
    /// Errors of the operating system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The size in bytes.
    ///
    /// # Errors
    /// Errors of the operating system.
    fn length(&self) -> io::Result<u64>;

    /// Locks the file for the one writer, for as long as it is open, whatever other names it has.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it; else errors of the operating system.
    fn lock(&mut self) -> io::Result<()>;

    /// How many names (hard links) the file has; 0 once it was removed.
    ///
    /// # Errors
    /// Errors of the operating system.
    fn names(&self) -> io::Result<u64>;

    /// Tells that what was read of it will not be read again soon, so that it need not stay in memory. Where that is
    /// not understood, it stays.
    fn forget_read(&self) {}

    /// Tells that no more of it is to be read from the disk at a time than is asked for. Where that is not understood,
    /// more is.
    fn read_sparingly(&self) {}

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// Errors of the operating system. Part of the bytes may have been written.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Preallocates the file's first `bytes`, which read as zeros where nothing was written. Does nothing, without an
    /// error, on a file system that cannot.
    ///
    /// # Errors
    /// Errors of the operating system, above all that there is no space.
    fn preallocate(&mut self, bytes: u64) -> io::Result<()>;

    /// Truncates the file to `bytes`.
    ///
    /// # Errors
    /// Errors of the operating system.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;

    /// Makes the bytes written durable, with the metadata that is needed to read them (`fdatasync`).
    ///
    /// # Errors
    /// Errors of the operating system. The bytes written since the last successful sync must then be considered lost.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Makes everything about the file durable (`fsync`).
    ///
    /// # Errors
    /// As for [`File::sync_data`].
    fn sync_all(&mut self) -> io::Result<()>;
}

/// A folder on a real disk.
#[derive(Clone, Debug)]
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// The folder at this path, which must exist by the time it is used.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder at this path, created durably, with its parents, if it does not exist.
    ///
    /// # Errors
    /// Errors of the operating system.
    pub fn create(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        // A folder's name is durable once its parent is synced; so is each parent that had to be made.
        let missing: Vec<&Path> =
            folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
        fs::create_dir_all(&folder)?;
        for made in missing {
            let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::File::open(parent)?.sync_all()?;
        }
        Ok(Self { folder })
    }
}

impl Disk {
    /// Locks the folder alone, without a file in it that names the holder.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it; else errors of the operating system.
    pub fn lock_folder(&self) -> io::Result<DiskLock> {
        let folder = fs::File::open(&self.folder)?;
        match lock_now(&folder) {
            // Some network file systems lock no folders. There the file in it and the active segment have to do.
            Ok(()) | Err(Errno::BADF | Errno::INVAL | Errno::OPNOTSUPP) => Ok(DiskLock { folder, _file: None }),
            Err(Errno::WOULDBLOCK) => Err(self.in_use()),
            Err(error) => Err(error.into()),
        }
    }

    /// The refusal of a folder that another process has locked, which names that process.
    fn in_use(&self) -> io::Error {
        let mut holder = String::new();
        // The number is a courtesy; without it the refusal is the same.
        let read = fs::File::open(self.folder.join(LOCK_NAME))
            .and_then(|file| file.take(HOLDER_BYTES_MAX).read_to_string(&mut holder));
        let holder = holder.trim();
        let holder = if read.is_ok() && !holder.is_empty() { holder } else { "another process" };
        io::Error::new(io::ErrorKind::WouldBlock, holder.to_owned())
    }
}

/// Holds the lock of a folder.
///
/// Locked are the folder itself, which no removed name can undo, and the file `lock` in it, which names the holder of
/// the lock and keeps out older versions of this program, which know only that file. Locks belong to open files
/// (`flock`), so they end with the process.
#[derive(Debug)]
pub struct DiskLock {
    folder: fs::File,
    _file: Option<fs::File>,
}

/// What the operating system knows a file or folder by, whatever it is called.
fn identity_of(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Whether a path leads to what is open there.
fn leads_to(path: &Path, open: &fs::File) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) => Ok(identity_of(&found) == identity_of(&open.metadata()?)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes an exclusive lock of an open file, if no other process has it.
fn lock_now(file: &fs::File) -> Result<(), Errno> {
    retry_on_intr(|| flock(file, FlockOperation::NonBlockingLockExclusive))
}

/// A file on a real disk.
#[derive(Debug)]
pub struct DiskFile {
    file: fs::File,
}

impl Storage for Disk {
    type File = DiskFile;
    type Lock = DiskLock;

    fn lock(&self) -> io::Result<DiskLock> {
        let lock = self.lock_folder()?;
        let path = self.folder.join(LOCK_NAME);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match lock_now(&file) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(self.in_use()),
            Err(error) => return Err(error.into()),
        }
        // On a full disk the number cannot be written, but the lock holds all the same.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "process {}", std::process::id()));
        Ok(DiskLock { _file: Some(file), ..lock })
    }

    fn is_locked_by(&self, lock: &DiskLock) -> io::Result<bool> {
        leads_to(&self.folder, &lock.folder)
    }

    fn is_named(&self, file: &DiskFile, name: &str) -> io::Result<bool> {
        leads_to(&self.folder.join(name), &file.file)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.folder)?
            .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
            .collect()
    }

    fn create(&self, name: &str) -> io::Result<DiskFile> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.folder.join(name))?;
        Ok(DiskFile { file })
    }

    fn open(&self, name: &str) -> io::Result<DiskFile> {
        Ok(DiskFile { file: OpenOptions::new().read(true).write(true).open(self.folder.join(name))? })
    }

    fn open_to_read(&self, name: &str) -> io::Result<DiskFile> {
        let file = fs::File::open(self.folder.join(name))?;
        // A folder can be opened like a file, and on some file systems it is as long as an empty one.
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(DiskFile { file })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        fs::File::open(&self.folder)?.sync_all()
    }

    fn identity(&self) -> io::Result<u64> {
        random()
    }

    fn describe(&self, name: &str) -> String {
        if name.is_empty() { self.folder.display().to_string() } else { self.folder.join(name).display().to_string() }
    }
}

/// A random number from the system, for identities.
///
/// # Errors
/// When the system gives no random bytes.
pub fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

impl File for DiskFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn lock(&mut self) -> io::Result<()> {
        Ok(lock_now(&self.file)?)
    }

    fn names(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.nlink())
    }

    fn forget_read(&self) {
        let _ = fadvise(&self.file, 0, None, Advice::DontNeed);
    }

    fn read_sparingly(&self) {
        let _ = fadvise(&self.file, 0, None, Advice::Random);
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn preallocate(&mut self, bytes: u64) -> io::Result<()> {
        match retry_on_intr(|| fallocate(&self.file, FallocateFlags::empty(), 0, bytes)) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}
