//! The mark, a checkpoint beside the log: the log's identity, where it began, and how far it reached when the venue
//! last started, stopped or was exported. It remains if the whole log folder is lost or replaced.
//!
//! It alone shows that a log has lost its first segments, because a trimmed log begins later, too. So the mark is
//! written before anything is trimmed: at any time the log begins at or before the command that its mark names.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crossbook_log::{FileReader, Reader as _, Until, files};
use crossbook_object_store::backup::Manifest;
use crossbook_types::{Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use super::Error;
use crate::data_folder::{self, DataFolder};

/// Where a log began, and how far it had reached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    /// The log's identity, as hexadecimal digits.
    pub(super) log: String,
    /// The command at which the log may begin at the latest. 0: unknown, the mark is of an earlier version.
    #[serde(default)]
    first: u64,
    /// Its last command then.
    pub(super) command: u64,
    /// The time of that, in microseconds since the Unix epoch.
    pub(super) time: u64,
}

/// What a log has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reach {
    /// The log's identity.
    pub log: u64,
    /// The first command that it has, or will have.
    pub first: Sequence,
    /// Its last command.
    pub last: Sequence,
    /// The time of that.
    pub time: Timestamp,
}

/// A log whose first segments are gone though nothing has trimmed it, in words for the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LostBeginning {
    log: PathBuf,
    began: Sequence,
    begins: Sequence,
}

impl LostBeginning {
    /// The first command that is missing.
    #[must_use]
    pub fn began(&self) -> Sequence {
        self.began
    }

    /// The first command that the log has.
    #[must_use]
    pub fn begins(&self) -> Sequence {
        self.begins
    }

    /// How many commands are missing.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.begins.0.saturating_sub(self.began.0)
    }
}

impl fmt::Display for LostBeginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, began, begins } = self;
        write!(
            f,
            "the log in {} begins at command {begins}, but began at command {began}, and nothing has trimmed it: \
             commands {began} to {} are missing. Put their segments back, from a backup or from wherever they went. A \
             snapshot stands for them, so the venue can trade; but an audit from the first command and a history that \
             is made anew need them. If they are lost for good, `crossbook serve --discard-newer` gives them up",
            log.display(),
            begins.0 - 1,
        )
    }
}

/// Checks whether the log of a data folder has lost its beginning. Changes nothing, and may run while the log is
/// written and trimmed.
///
/// # Errors
/// When the folder or the mark cannot be read. A damaged log is no error here.
pub fn lost_beginning(data: &DataFolder) -> Result<Option<LostBeginning>, Error> {
    let log = data.log();
    if !data_folder::is_folder(&log)? {
        return Ok(None);
    }
    // Before the mark, which is written before the log is trimmed.
    let Some(begins) = files::segments(&log)?.first().copied() else { return Ok(None) };
    let Some(mark) = read(&data.log_mark())?.filter(|mark| (1..begins.0).contains(&mark.first)) else {
        return Ok(None);
    };
    let mut reader = FileReader::open(&log, begins);
    let read = reader.next(Until::End).is_ok();
    // The beginning of another log proves nothing about this one.
    let is_other = reader.identity().is_some_and(|identity| read && format!("{identity:016x}") != mark.log);
    Ok((!is_other).then_some(LostBeginning { log, began: Sequence(mark.first), begins }))
}

/// The command at which the log of that identity in a data folder may begin at the latest, where that is known.
///
/// # Errors
/// When the mark cannot be read.
pub fn began(data: &DataFolder, log: &str) -> Result<Option<Sequence>, Error> {
    let mark = read(&data.log_mark())?.filter(|mark| mark.log == log && mark.first > 0);
    Ok(mark.map(|mark| Sequence(mark.first)))
}

/// Notes durably in a restored data folder what is known of the log from its backup.
///
/// # Errors
/// When that cannot be written.
pub fn record_restored(data: &DataFolder, manifest: &Manifest) -> std::io::Result<()> {
    let (Some(first), Some(time)) = (manifest.began, manifest.last_time) else { return Ok(()) };
    // Not in one step: no venue looks at it before the log has its name.
    write_file(&data.log_mark(), &Mark { log: manifest.log.clone(), first: first.0, command: manifest.last.0, time })
}

pub(super) fn read(path: &Path) -> Result<Option<Mark>, Error> {
    match std::fs::read(path) {
        Ok(text) => {
            let mark = serde_json::from_slice(&text);
            mark.map(Some).map_err(|source| Error::Unclear { path: path.to_owned(), source })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Mark { doing: "read", path: path.to_owned(), source }),
    }
}

/// Notes durably what the log of a data folder has. A beginning that is missing stays known.
///
/// # Errors
/// When that cannot be written.
pub fn record(data: &DataFolder, reach: &Reach) -> Result<(), Error> {
    let log = format!("{:016x}", reach.log);
    // One that cannot be understood is replaced, and nothing is known of the beginning.
    let before = read(&data.log_mark()).ok().flatten().filter(|mark| mark.log == log && mark.first > 0);
    let first = before.map_or(reach.first.0, |before| before.first.min(reach.first.0));
    write(data, &Mark { log, first, command: reach.last.0, time: reach.time.0 })
}

/// Records durably that the log of a data folder may begin as late as at command `first`, because earlier commands are
/// about to be trimmed, or are abandoned.
///
/// # Errors
/// When that cannot be written, or the mark cannot be read.
pub fn record_first(data: &DataFolder, first: Sequence) -> Result<(), Error> {
    match read(&data.log_mark())? {
        Some(mark) if mark.first < first.0 => write(data, &Mark { first: first.0, ..mark }),
        _ => Ok(()),
    }
}

fn write_file(path: &Path, mark: &Mark) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    serde_json::to_writer(&mut file, mark)?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn write(data: &DataFolder, mark: &Mark) -> Result<(), Error> {
    let path = data.log_mark();
    let unfinished = data_folder::unfinished(&path);
    let write = || {
        write_file(&unfinished, mark)?;
        std::fs::rename(&unfinished, &path)?;
        File::open(data.path())?.sync_all()
    };
    write().map_err(|source| Error::Mark { doing: "write", path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use crossbook_log::{Files, Log as _, Record};

    use super::*;

    #[test]
    fn a_log_that_begins_later_than_its_mark_says_has_lost_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::new(&folder.path().join("venue")).unwrap();
        assert_eq!(lost_beginning(&data).unwrap(), None, "there is no log");
        let options = files::Options {
            segment_bytes_max: 8 << 10,
            batch_bytes_max: 4 << 10,
            record_bytes_max: 1 << 10,
            ..files::Options::default()
        };
        let (mut log, _) = Files::open(&data.log(), options).unwrap();
        for n in 1..=100 {
            log.append(Record { sequence: Sequence(n), time: Timestamp(n), payload: &[7; 400] }).unwrap();
            log.sync().unwrap();
        }
        let identity = log.identity();
        let reach = |first| Reach { log: identity, first, last: Sequence(100), time: Timestamp(100) };
        let firsts = files::segments(&data.log()).unwrap();
        assert!(firsts.len() > 4);
        record(&data, &reach(Sequence(1))).unwrap();
        assert_eq!(lost_beginning(&data).unwrap(), None);
        // Trimmed: noted before.
        record_first(&data, firsts[2]).unwrap();
        assert_eq!(lost_beginning(&data).unwrap(), None, "nothing is removed yet");
        log.trim(Sequence(firsts[1].0 - 1)).unwrap();
        assert_eq!((log.first(), lost_beginning(&data).unwrap()), (firsts[1], None));
        record(&data, &reach(log.first())).unwrap();
        // Lost, and the loss is remembered until it is accepted.
        for at in [1, 2] {
            std::fs::remove_file(data.log().join(files::segment_name(firsts[at]))).unwrap();
            let lost = lost_beginning(&data).unwrap().unwrap();
            assert_eq!((lost.began(), lost.begins()), (firsts[1], firsts[at + 1]));
            assert_eq!(lost.missing(), firsts[at + 1].0 - firsts[1].0);
            let said = format!("commands {} to {} are missing", firsts[1], firsts[at + 1].0 - 1);
            assert!(lost.to_string().contains(&said) && lost.to_string().contains("--discard-newer"), "{lost}");
            record(&data, &reach(firsts[at + 1])).unwrap();
        }
        record_first(&data, firsts[3]).unwrap();
        assert_eq!(lost_beginning(&data).unwrap(), None);
        // Another log has a beginning of its own, and the mark of an earlier version has none.
        record_first(&data, Sequence(1)).unwrap();
        record(&data, &Reach { log: 1, ..reach(Sequence(1)) }).unwrap();
        assert_eq!(lost_beginning(&data).unwrap(), None);
        std::fs::write(data.log_mark(), format!(r#"{{"log":"{:016x}","command":100,"time":100}}"#, identity)).unwrap();
        assert_eq!(lost_beginning(&data).unwrap(), None);
        record(&data, &reach(firsts[3])).unwrap();
        assert_eq!(read(&data.log_mark()).unwrap().unwrap().first, firsts[3].0);
    }
}
