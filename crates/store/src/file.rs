//! Watches the file of a SQLite database: a process that has it open continues to write into it after its name was
//! removed or given to another file, and these rows would be lost.

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The files that SQLite has beside the database while it is open. Rows are in the first of them before they are in the
/// database.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// What has become of a file that is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// No file has the path any more.
    Removed,
    /// Another file has the path.
    Replaced,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Removed => "removed",
            Self::Replaced => "replaced",
        })
    }
}

/// Which file has a name: its device and its number there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Identity(u64, u64);

impl Identity {
    fn of(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(found) => Ok(Some(Self(found.dev(), found.ino()))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A database file that is open, with what is beside it.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Path, and which file had it when it was first seen.
    files: Vec<(PathBuf, Option<Identity>)>,
}

impl Watched {
    /// The file that is at `path` now.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let companions = COMPANIONS.iter().map(|ending| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        });
        let mut watched =
            Self { files: std::iter::once(path.to_owned()).chain(companions).map(|path| (path, None)).collect() };
        watched.check()?;
        Ok(watched)
    }

    /// Which of the files is no longer what was opened, if any. A companion counts from when it is first there.
    pub(crate) fn check(&mut self) -> io::Result<Option<(PathBuf, Loss)>> {
        for (path, known) in &mut self.files {
            let found = Identity::of(path)?;
            match (&known, found) {
                (Some(before), Some(now)) if *before == now => {}
                (Some(_), Some(_)) => return Ok(Some((path.clone(), Loss::Replaced))),
                (Some(_), None) => return Ok(Some((path.clone(), Loss::Removed))),
                (None, found) => *known = found,
            }
        }
        Ok(None)
    }

    /// Removes what belonged to a database that has lost its name or its companions: beside another database it would
    /// be taken for that one's. To be called once nothing has the database open.
    pub(crate) fn remove_companions(&self) -> io::Result<()> {
        for (path, known) in self.files.iter().skip(1) {
            if known.is_some() && Identity::of(path)? == *known {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_goes_or_is_exchanged_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.sqlite");
        std::fs::write(&path, "a").unwrap();
        let mut watched = Watched::new(&path).unwrap();
        assert_eq!(watched.check().unwrap(), None);
        std::fs::write(&path, "more").unwrap();
        let wal = folder.path().join("history.sqlite-wal");
        std::fs::write(&wal, "b").unwrap();
        assert_eq!(watched.check().unwrap(), None, "written to, and a companion that is new");
        std::fs::remove_file(&wal).unwrap();
        assert_eq!(watched.check().unwrap(), Some((wal.clone(), Loss::Removed)));
        std::fs::write(&wal, "b").unwrap();
        std::fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        assert_eq!(watched.check().unwrap(), Some((path.clone(), Loss::Removed)));
        std::fs::write(&path, "a").unwrap();
        assert_eq!(watched.check().unwrap(), Some((path.clone(), Loss::Replaced)));

        let mut watched = Watched::new(&path).unwrap();
        assert_eq!(watched.check().unwrap(), None);
        let other = folder.path().join("other");
        std::fs::write(&other, "c").unwrap();
        std::fs::rename(&other, folder.path().join("history.sqlite-shm")).unwrap();
        assert_eq!(watched.check().unwrap(), None);
        watched.remove_companions().unwrap();
        assert!(path.exists() && !wal.exists() && std::fs::read_dir(folder.path()).unwrap().count() == 2);
    }
}
