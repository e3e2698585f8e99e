//! The data folder of a venue. Whatever path names it, its canonical path decides where everything in it is, and where
//! the secret key beside it is. So two names of one folder, such as a symbolic link and its target, never lead to two
//! secret keys.

pub mod access;
mod exported;

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use crossbook_object_store::backup::Target;

use access::Need;

/// How the name of a file with a secret key ends.
const SECRET_KEY_SUFFIX: &str = ".secret-key";

/// Why a folder cannot be the data folder of a venue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It belongs to another user.
    #[error(transparent)]
    Access(#[from] access::Error),
    /// The operating system refuses an operation.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// The operation that failed.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// A symbolic link leads to nothing.
    #[error(
        "{} is a symbolic link to {}, which is not there: mount or make that folder first, or name another data folder",
        link.display(),
        target.display()
    )]
    Dangling {
        /// The link.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// Something else has the name.
    #[error("{} is not a folder; name another data folder", .0.display())]
    NotAFolder(PathBuf),
    /// The root has no place beside it.
    #[error("/ cannot be a data folder, because the secret key is stored beside the data folder; give a folder in it")]
    Root,
    /// It is a part of a data folder.
    #[error(
        "{} is the folder of a venue's {what}, not a data folder; give the folder above it, {}",
        path.display(), above.display()
    )]
    Part {
        /// Which folder.
        path: PathBuf,
        /// What is in it.
        what: &'static str,
        /// The data folder, most likely.
        above: PathBuf,
    },
    /// The key is where it does not protect anything.
    #[error(
        "{} is a secret key inside the data folder that it protects, so every copy of the folder carries the key \
         along: {}",
        found.display(),
        way_out(found, place)
    )]
    KeyInside {
        /// Where it is.
        found: PathBuf,
        /// Where it belongs.
        place: PathBuf,
    },
    /// Something is to be written into the data folder that has no place there.
    #[error(
        "{what} {} is in {}, where the venue stores its own files; name a path outside of it",
        path.display(), folder.display()
    )]
    Inside {
        /// What is to be written.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The folder that it is in.
        folder: PathBuf,
    },
    /// It is a backup.
    #[error(
        "{} is a backup, not a data folder; make one of it with `crossbook restore --from {} --data DIR`",
        .0.display(), .0.display()
    )]
    Backup(PathBuf),
    /// It is restored or imported only in part.
    #[error(
        "{} was not restored to its end: empty it, and run `crossbook restore` or `crossbook import` again, whichever \
         it was",
        .0.display()
    )]
    HalfRestored(PathBuf),
    /// Its venue was exported.
    #[error(
        "the venue in {} was exported to {}, and continues where that was imported; started here as well, both would \
         pay the same balances. Only if it was imported nowhere: delete the export, and start with `crossbook serve \
         --reopen`",
        folder.display(), file.display()
    )]
    Exported {
        /// The data folder.
        folder: PathBuf,
        /// The export.
        file: PathBuf,
    },
    /// There is no log.
    #[error("there is no log in {}; give the data folder of a venue", .0.display())]
    NoLog(PathBuf),
}

/// A data folder, which need not be there yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataFolder {
    path: PathBuf,
}

/// How a key gets out of a data folder, without another one being lost by it.
fn way_out(found: &Path, place: &Path) -> String {
    let there = std::fs::symlink_metadata(place);
    let (found, place) = (found.display(), place.display());
    match there {
        Ok(_) => format!(
            "move it out. Something has the name {place} already, the key of this venue or a link: find out which of \
             the two opens the API secrets in the log, and lose neither"
        ),
        Err(_) => format!("move it out, `mv -n '{found}' '{place}'`, and start again"),
    }
}

impl DataFolder {
    /// The data folder that `given` names. Nothing is made.
    ///
    /// # Errors
    /// When it cannot be a data folder, is in another one, or a secret key is in it; see [`Error`].
    pub fn new(given: &Path) -> Result<Self, Error> {
        let path = canonical(given)?;
        if path.file_name().is_none() {
            return Err(Error::Root);
        }
        let folder = Self { path };
        if is_folder(&folder.path)? {
            folder.check_contents()?;
        }
        folder.check_nowhere_inside()?;
        let place = folder.secret_key();
        if let Ok(found) = place.canonicalize()
            && found.starts_with(&folder.path)
        {
            return Err(Error::KeyInside { found, place });
        }
        Ok(folder)
    }

    /// The data folder that `given` names, where a venue has been.
    ///
    /// # Errors
    /// As for [`DataFolder::new`], and [`Error::NoLog`] when neither log nor snapshots are there.
    pub fn of_venue(given: &Path) -> Result<Self, Error> {
        access::check(given, Need::Read)?;
        let folder = Self::new(given)?;
        folder.check_restored()?;
        let mark = folder.log_mark();
        let marked = mark.try_exists().map_err(|source| Error::Io { doing: "look for", path: mark, source })?;
        if marked || is_folder(&folder.log())? || is_folder(&folder.snapshots())? {
            return Ok(folder);
        }
        Err(Error::NoLog(folder.log()))
    }

    /// Where a backup is restored to.
    #[must_use]
    pub fn target(&self) -> Target {
        Target { data: self.path.clone(), log: self.log(), snapshots: self.snapshots(), mark: self.log_mark() }
    }

    /// Refuses a folder into which a backup was restored only in part.
    ///
    /// # Errors
    /// [`Error::HalfRestored`].
    pub fn check_restored(&self) -> Result<(), Error> {
        if self.target().is_unfinished() { Err(Error::HalfRestored(self.path.clone())) } else { Ok(()) }
    }

    /// Its canonical path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The folder of the snapshots.
    #[must_use]
    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// The file that records how far the log has reached.
    #[must_use]
    pub fn log_mark(&self) -> PathBuf {
        self.path.join("log-mark.json")
    }

    /// The file that notes how far the history is; see [`crate::history::note`].
    #[must_use]
    pub fn history_note(&self) -> PathBuf {
        self.path.join("history-note.json")
    }

    /// The file that notes when API keys were last used; see [`crate::key_uses`].
    #[must_use]
    pub fn key_uses(&self) -> PathBuf {
        self.path.join("key-uses")
    }

    /// The file of the secret key when the environment has none: beside the folder, so that a copy of the folder does
    /// not carry the key to what it encrypts.
    #[must_use]
    pub fn secret_key(&self) -> PathBuf {
        // A path without a name is refused in `new`.
        let mut name = self.path.file_name().map_or_else(OsString::new, ToOwned::to_owned);
        name.push(SECRET_KEY_SUFFIX);
        self.path.with_file_name(name)
    }

    /// Refuses a place in the data folder for something that is not the venue's own.
    ///
    /// # Errors
    /// [`Error::Inside`], or when the place cannot be looked at.
    pub fn check_outside(&self, what: &'static str, path: &Path) -> Result<(), Error> {
        self.check_not_in(what, path, &self.path)
    }

    /// Refuses a database file among the files of the log or the snapshots. Anywhere else in the data folder it is in
    /// its place.
    ///
    /// # Errors
    /// As for [`DataFolder::check_outside`].
    pub fn check_history_file(&self, path: &Path) -> Result<(), Error> {
        let what = "the history's file";
        self.check_not_in(what, path, &self.log())?;
        self.check_not_in(what, path, &self.snapshots())?;
        let file = canonical(path)?;
        let own = [self.log_mark(), self.history_note(), self.key_uses()];
        if own.into_iter().any(|own| file == own || file == unfinished(&own)) {
            return Err(Error::Inside { what, path: path.to_owned(), folder: self.path.clone() });
        }
        Ok(())
    }

    fn check_not_in(&self, what: &'static str, path: &Path, folder: &Path) -> Result<(), Error> {
        if canonical(path)?.starts_with(folder) {
            return Err(Error::Inside { what, path: path.to_owned(), folder: folder.to_owned() });
        }
        Ok(())
    }

    /// Refuses a folder in another venue's: its key would be there, too.
    fn check_nowhere_inside(&self) -> Result<(), Error> {
        for above in self.path.ancestors().skip(1) {
            let has_log = || names(&above.join("log")).is_ok_and(|names| names.iter().any(|name| is_segment(name)));
            if above.join("log-mark.json").is_file() || has_log() {
                let (path, folder) = (self.path.clone(), above.to_owned());
                return Err(Error::Inside { what: "the data folder", path, folder });
            }
        }
        Ok(())
    }

    /// Looks at the names in the folder: whether they are a log's or snapshots, and whether a secret key is among them.
    fn check_contents(&self) -> Result<(), Error> {
        let part = |path: &Path, what| {
            let above = path.parent().unwrap_or(Path::new("/")).to_owned();
            Err(Error::Part { path: path.to_owned(), what, above })
        };
        if self.path.join("manifest.json").is_file() && self.path.join("segments").is_dir() {
            return Err(Error::Backup(self.path.clone()));
        }
        for name in names(&self.path)? {
            if is_segment(&name) {
                return part(&self.path, "log");
            }
            if is_snapshot(&name) {
                return part(&self.path, "snapshots");
            }
        }
        if let Some(parent) = self.path.parent()
            && names(parent).is_ok_and(|names| names.iter().any(|name| is_segment(name) || is_snapshot(name)))
        {
            return part(parent, "log or snapshots");
        }
        for folder in [self.path.clone(), self.log(), self.snapshots()] {
            if !is_folder(&folder)? {
                continue;
            }
            if let Some(name) = names(&folder)?.into_iter().find(|name| name.ends_with(SECRET_KEY_SUFFIX)) {
                return Err(Error::KeyInside { found: folder.join(name), place: self.secret_key() });
            }
        }
        Ok(())
    }
}

/// The canonical form of a path whose last parts need not be there.
///
/// # Errors
/// When the parts that are there cannot be followed, or a symbolic link among them leads to nothing.
pub fn canonical(given: &Path) -> Result<PathBuf, Error> {
    let failed = |source| Error::Io { doing: "find", path: given.to_owned(), source };
    let absolute = std::path::absolute(given).map_err(failed)?;
    let mut missing = Vec::new();
    for there in absolute.ancestors() {
        match there.canonicalize() {
            Ok(found) => {
                // Some links of /proc lead to where no path leads, into the mounts of another process; the path as
                // given is the best there is.
                let same = |path: &Path| fs::metadata(path).map(|of| (of.dev(), of.ino()));
                let is_there = matches!((same(&found), same(there)), (Ok(one), Ok(other)) if one == other);
                let mut path = if is_there { found } else { there.to_owned() };
                path.extend(missing.iter().rev());
                return Ok(path);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if let Ok(target) = there.read_link() {
                    return Err(Error::Dangling { link: there.to_owned(), target });
                }
                match there.components().next_back() {
                    Some(Component::Normal(name)) => missing.push(name.to_owned()),
                    // What `..` leads to is not known where the folder before it is not there.
                    _ => return Err(failed(error)),
                }
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Err(failed(ErrorKind::NotFound.into()))
}

/// Whether there is a folder; anything else of that name, or a path that cannot be followed, is an error.
///
/// # Errors
/// [`Error::NotAFolder`], or the error of the operating system. A folder that cannot be accessed may exist all the
/// same.
pub fn is_folder(path: &Path) -> Result<bool, Error> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(true),
        Ok(_) => Err(Error::NotAFolder(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::Io { doing: "look at", path: path.to_owned(), source }),
    }
}

/// The names in a folder, as far as they are text.
fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let failed = |source| Error::Io { doing: "list", path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
    Ok(names.collect::<Result<Vec<_>, _>>().map_err(failed)?.into_iter().flatten().collect())
}

fn is_segment(name: &str) -> bool {
    name.strip_suffix(".log").is_some_and(|digits| digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn is_snapshot(name: &str) -> bool {
    name.starts_with("snapshot-") && name.ends_with(".bin")
}

/// The folder of a venue's log.
#[must_use]
pub fn log_folder(data: &Path) -> PathBuf {
    data.join("log")
}

/// The folder of a venue's snapshots.
#[must_use]
pub fn snapshot_folder(data: &Path) -> PathBuf {
    data.join("snapshots")
}

/// Where a file of the data folder is written before it gets its name.
#[must_use]
pub fn unfinished(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_name_of_a_folder_has_the_same_key_beside_it() {
        let outer = tempfile::tempdir().unwrap();
        let outer = outer.path().canonicalize().unwrap();
        let venue = outer.join("venue");
        let key = outer.join("venue.secret-key");
        assert_eq!(DataFolder::new(&venue).unwrap().secret_key(), key, "also before it is made");
        std::fs::create_dir_all(venue.join("log")).unwrap();
        symlink(&venue, outer.join("link")).unwrap();
        std::fs::create_dir(outer.join("elsewhere")).unwrap();
        symlink("../venue", outer.join("elsewhere/relative")).unwrap();
        for name in ["venue", "venue/", "venue/.", "venue/log/..", "link", "link/", "elsewhere/relative"] {
            let folder = DataFolder::new(&outer.join(name)).unwrap();
            assert_eq!((folder.path(), folder.secret_key()), (venue.as_path(), key.clone()), "{name}");
            assert_eq!(folder.log(), venue.join("log"), "{name}");
        }
        assert!(matches!(DataFolder::new(Path::new("/")), Err(Error::Root)));
    }

    #[test]
    fn a_link_to_nothing_is_not_a_new_venue() {
        let outer = tempfile::tempdir().unwrap();
        symlink("unmounted", outer.path().join("link")).unwrap();
        for name in ["link", "link/venue"] {
            let refused = DataFolder::new(&outer.path().join(name)).unwrap_err();
            assert!(matches!(refused, Error::Dangling { .. }), "{name}: {refused}");
        }
        assert!(DataFolder::new(&outer.path().join("absent/../venue")).is_err(), "nobody knows where that is");
        std::fs::write(outer.path().join("file"), "").unwrap();
        assert!(matches!(DataFolder::new(&outer.path().join("file")), Err(Error::NotAFolder(_))));
        assert!(DataFolder::new(&outer.path().join("file/venue")).is_err());
    }

    #[test]
    fn a_key_inside_is_refused_with_the_way_out() {
        let outer = tempfile::tempdir().unwrap();
        let outer = outer.path().canonicalize().unwrap();
        let venue = outer.join("venue");
        std::fs::create_dir_all(venue.join("log")).unwrap();
        for name in ["data.secret-key", "log/venue.secret-key"] {
            std::fs::write(venue.join(name), "").unwrap();
            let refused = DataFolder::new(&venue).unwrap_err().to_string();
            let line = format!("mv -n '{}' '{}'", venue.join(name).display(), outer.join("venue.secret-key").display());
            assert!(refused.contains(&line), "{refused}");
            std::fs::remove_file(venue.join(name)).unwrap();
        }
        assert!(DataFolder::new(&venue).is_ok());
        // A command that would overwrite the venue's own key is none to give.
        let own = outer.join("venue.secret-key");
        std::fs::write(&own, "").unwrap();
        std::fs::write(venue.join("data.secret-key"), "").unwrap();
        let refused = DataFolder::new(&venue).unwrap_err().to_string();
        assert!(!refused.contains("mv ") && refused.contains("already"), "{refused}");
        std::fs::remove_file(&own).unwrap();
        std::fs::rename(venue.join("data.secret-key"), venue.join("key")).unwrap();
        symlink(venue.join("key"), &own).unwrap();
        let refused = DataFolder::new(&venue).unwrap_err();
        assert!(matches!(&refused, Error::KeyInside { found, .. } if *found == venue.join("key")), "{refused}");
    }

    #[test]
    fn a_data_folder_in_another_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        let venue = outer.path().join("venue");
        std::fs::create_dir_all(venue.join("log")).unwrap();
        for (mark, inner) in [("log/00000000000000000001.log", "inner"), ("log-mark.json", "deep/inner")] {
            assert!(DataFolder::new(&venue.join(inner)).is_ok(), "nothing says yet that it is a venue's");
            std::fs::write(venue.join(mark), "").unwrap();
            let refused = DataFolder::new(&venue.join(inner)).unwrap_err();
            assert!(matches!(&refused, Error::Inside { .. }), "{refused}");
            std::fs::remove_file(venue.join(mark)).unwrap();
        }
    }

    #[test]
    fn parts_of_a_data_folder_are_no_data_folders_and_take_nothing_else() {
        let outer = tempfile::tempdir().unwrap();
        let outer = outer.path().canonicalize().unwrap();
        let venue = outer.join("venue");
        std::fs::create_dir_all(venue.join("log/deep")).unwrap();
        std::fs::create_dir_all(venue.join("snapshots")).unwrap();
        std::fs::write(venue.join("log/00000000000000000001.log"), "").unwrap();
        std::fs::write(venue.join("snapshots/snapshot-00000000000000000001.bin"), "").unwrap();
        for name in ["log", "log/deep", "snapshots"] {
            let refused = DataFolder::new(&venue.join(name)).unwrap_err();
            assert!(matches!(&refused, Error::Part { above, .. } if *above == venue), "{name}: {refused}");
        }
        let folder = DataFolder::of_venue(&venue).unwrap();
        symlink(venue.join("log"), outer.join("way-in")).unwrap();
        for name in ["venue/x.export", "venue/log/x.export", "way-in/x.export", "venue/new/x.export"] {
            assert!(folder.check_outside("the export", &outer.join(name)).is_err(), "{name}");
        }
        assert!(folder.check_outside("the export", &outer.join("venue.export")).is_ok());
        for name in [
            "venue/log/h.sqlite",
            "venue/snapshots/h.sqlite",
            "way-in/h.sqlite",
            "venue/log-mark.json",
            "venue/log-mark.json.unfinished",
            "venue/history-note.json",
            "venue/history-note.json.unfinished",
            "venue/key-uses",
        ] {
            assert!(folder.check_history_file(&outer.join(name)).is_err(), "{name}");
        }
        for name in ["venue/history.sqlite", "history.sqlite"] {
            assert!(folder.check_history_file(&outer.join(name)).is_ok(), "{name}");
        }
        assert!(matches!(DataFolder::of_venue(&outer), Err(Error::NoLog(_))));
    }
}
