//! A note beside the log of how far the history of a venue in one process is. While its database does not answer after
//! a start, the note tells how much the history lacks, and which command the log must have
//! ([`crate::durability_check`]). It may be behind the tables, by what was written in [`EVERY`] before a kill, and is
//! never ahead of the log, because the tables are not.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbook_store::Database;
use crossbook_types::Sequence;
use serde::{Deserialize, Serialize};

use crate::data_folder::{DataFolder, unfinished};

/// How often it is written while the history advances.
const EVERY: Duration = Duration::from_secs(10);

/// What is in the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Noted {
    /// The log's identity, as hexadecimal digits.
    log: String,
    /// The address of the database, without a password.
    database: String,
    /// The last command that the tables have.
    command: u64,
}

/// The note of one log and one database.
#[derive(Debug)]
pub struct Note {
    path: PathBuf,
    noted: Noted,
    /// When it was last written, and whether that is what `noted` holds.
    written: Option<(Instant, bool)>,
}

impl Note {
    /// The note in a data folder, of the log of that identity and of that database.
    #[must_use]
    pub fn of(data: &DataFolder, log: u64, database: &Database) -> Self {
        let (log, database) = (format!("{log:016x}"), database.options().database.redacted());
        Self { path: data.history_note(), noted: Noted { log, database, command: 0 }, written: None }
    }

    /// The last command that the tables had; 0 if there is no note, or one of another log or database.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> std::io::Result<Sequence> {
        let own =
            read(&self.path)?.filter(|noted| noted.log == self.noted.log && noted.database == self.noted.database);
        Ok(own.map_or(Sequence(0), |noted| Sequence(noted.command)))
    }

    /// Notes that the tables have everything up to `position`: at once if it is to be `now`, else every [`EVERY`].
    pub fn write(&mut self, position: Sequence, now: bool) {
        let is_written = self.written.is_some_and(|(_, same)| same) && self.noted.command == position.0;
        let is_due = now || self.written.is_none_or(|(at, _)| at.elapsed() >= EVERY);
        self.noted.command = position.0;
        if is_written {
            return;
        }
        if !is_due {
            self.written = self.written.map(|(at, _)| (at, false));
            return;
        }
        let result = write(&self.path, &self.noted);
        self.written = Some((Instant::now(), result.is_ok()));
        if let Err(error) = result {
            tracing::debug!(%error, path = %self.path.display(), "it cannot be noted how far the history is");
        }
    }
}

/// The log, as hexadecimal digits, whose history that database has, and its last command in the tables, as they were
/// last noted in a data folder. What was noted of another database says nothing: that may have been another venue's.
///
/// # Errors
/// When the file cannot be read.
pub fn last(data: &DataFolder, database: &Database) -> std::io::Result<Option<(String, Sequence)>> {
    let noted = read(&data.history_note())?.filter(|noted| noted.database == database.options().database.redacted());
    Ok(noted.map(|noted| (noted.log, Sequence(noted.command))))
}

fn read(path: &Path) -> std::io::Result<Option<Noted>> {
    match std::fs::read(path) {
        // One that is torn counts as none: it is written without a sync.
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, noted: &Noted) -> std::io::Result<()> {
    let unfinished = unfinished(path);
    std::fs::write(&unfinished, serde_json::to_vec(noted)?)?;
    std::fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use crossbook_store::{Address, Options};

    use super::*;

    fn note(data: &DataFolder, log: u64, address: &str) -> Note {
        let options = Options { database: Address::new(address), ..Options::default() };
        Note::of(data, log, &Database::new(&options, data.path()).unwrap().unwrap())
    }

    #[test]
    fn a_note_is_read_back_for_its_log_and_its_database_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::new(&folder.path().join("venue")).unwrap();
        std::fs::create_dir(data.path()).unwrap();
        let mut own = note(&data, 7, "mysql://venue:secret@db/history");
        assert_eq!(own.read().unwrap(), Sequence(0), "there is none");
        own.write(Sequence(5), false);
        assert_eq!(own.read().unwrap(), Sequence(5), "the first is written at once");
        own.write(Sequence(6), false);
        assert_eq!(own.read().unwrap(), Sequence(5), "the next has time");
        own.write(Sequence(6), true);
        assert_eq!(own.read().unwrap(), Sequence(6));
        assert!(!std::fs::read_to_string(data.history_note()).unwrap().contains("secret"));
        assert_eq!(note(&data, 8, "mysql://venue:secret@db/history").read().unwrap(), Sequence(0));
        assert_eq!(note(&data, 7, "mysql://venue@other/history").read().unwrap(), Sequence(0));
        std::fs::write(data.history_note(), "{\"log\":").unwrap();
        assert_eq!(own.read().unwrap(), Sequence(0), "torn");
        own.write(Sequence(6), true);
        assert_eq!(own.read().unwrap(), Sequence(0), "it is not looked at what others have made of it");
        own.write(Sequence(7), true);
        assert_eq!(own.read().unwrap(), Sequence(7));
    }
}
