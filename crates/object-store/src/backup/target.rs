//! The folders that a backup is restored to, or an export imported.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Error;

/// How the names of folders end that are not restored yet.
pub const UNFINISHED: &str = ".restoring";

/// Where a backup is restored to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The data folder: not there, or empty.
    pub data: PathBuf,
    /// The folder of the log, in it.
    pub log: PathBuf,
    /// The folder of the snapshots, in it.
    pub snapshots: PathBuf,
    /// The file beside them that says where the log began, in it; see [`restore`](super::restore()).
    pub mark: PathBuf,
}

impl Target {
    /// A folder beside `folder`, for what is not whole yet.
    pub(super) fn unfinished(folder: &Path) -> PathBuf {
        let mut name = folder.as_os_str().to_owned();
        name.push(UNFINISHED);
        name.into()
    }

    /// Whether a restoration into it was cut short.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        [&self.log, &self.snapshots].into_iter().any(|folder| Self::unfinished(folder).exists())
    }

    /// Makes the data folder, which must be missing or empty, and in it a folder for a new log, on which no venue
    /// starts before [`Target::finish`]. What an earlier attempt has left is removed.
    ///
    /// # Errors
    /// When something else is there, or a folder cannot be made.
    pub fn begin(&self) -> Result<PathBuf, Error> {
        self.clear()?;
        let log = Self::unfinished(&self.log);
        fs::create_dir(&log).map_err(|source| Error::File { action: "create", path: log.clone(), source })?;
        Ok(log)
    }

    /// Gives the new log its name, durably.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn finish(&self) -> Result<(), Error> {
        let log = Self::unfinished(&self.log);
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { action, path, source }
        };
        let sync = |folder: &Path| fs::File::open(folder).and_then(|folder| folder.sync_all());
        sync(&log).map_err(failed("sync", &log))?;
        fs::rename(&log, &self.log).map_err(failed("rename", &log))?;
        for folder in [Some(self.data.as_path()), self.data.parent()].into_iter().flatten() {
            sync(folder).map_err(failed("sync", folder))?;
        }
        Ok(())
    }

    /// Makes the data folder, and removes what a restoration that was cut short has left in it.
    pub(super) fn clear(&self) -> Result<(), Error> {
        let failed = |action| move |source| Error::File { action, path: self.data.clone(), source };
        let unfinished = [&self.log, &self.snapshots].map(|folder| Self::unfinished(folder));
        let entries = match fs::read_dir(&self.data) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            entries => Some(entries.map_err(failed("list"))?),
        };
        // Beside an unfinished log there may be snapshots and the mark, which get their names first.
        let begun = unfinished[0].exists();
        let named_first = [&self.snapshots, &self.mark];
        for entry in entries.into_iter().flatten() {
            let path = entry.map_err(failed("list"))?.path();
            if !(unfinished.contains(&path) || begun && named_first.contains(&&path)) {
                return Err(Error::Occupied(self.data.clone()));
            }
        }
        fs::create_dir_all(&self.data).map_err(failed("create"))?;
        self.remove_unfinished().map_err(failed("clear"))
    }

    /// Removes what a restoration has begun. The unfinished log last: as long as it is there, it is known what the
    /// others are, and no venue starts on them.
    pub(super) fn remove_unfinished(&self) -> std::io::Result<()> {
        let [log, snapshots] = [&self.log, &self.snapshots].map(|folder| Self::unfinished(folder));
        let is_there = |removed: std::io::Result<()>| match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        is_there(fs::remove_dir_all(snapshots))?;
        if log.exists() {
            is_there(fs::remove_dir_all(&self.snapshots))?;
            is_there(fs::remove_file(&self.mark))?;
        }
        is_there(fs::remove_dir_all(log))
    }
}
