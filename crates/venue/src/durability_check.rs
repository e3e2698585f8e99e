//! Durability check of a data folder: proves that a log once had a command, from the snapshots beside it, its
//! checkpoint (the mark), the history in SQL, and the note of how far that is. Each was made from durable commands, so
//! a log that ends before one of them, or has another command there, has lost commands. The venue must not start on it,
//! because their sequence numbers would be given to other commands. [`Evidence::examine`] checks that before anything
//! is opened or changed, for every command that reads a data folder.
//!
//! [`mark`] is the small file beside the log. Only it records where the log began: a venue may start on a log that lost
//! its first segments, since a snapshot replaces them, but the loss is reported.

mod mark;

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crossbook_log::{FileReader, Reader as _, Until};
use crossbook_node::snapshot::{self, Folder, Saved as _};
use crossbook_store::{Database, Dialect, Standing};
use crossbook_types::{Sequence, Timestamp};

use crate::data_folder::{self, DataFolder};
use crate::history::{PARTITION, note};
use mark::Mark;

pub use mark::{LostBeginning, Reach, began, lost_beginning, record, record_first, record_restored};

/// Why the evidence cannot be collected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder cannot be read.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// The snapshots cannot be listed.
    #[error(transparent)]
    Snapshots(#[from] snapshot::Error),
    /// The mark cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Mark {
        /// The operation that failed.
        doing: &'static str,
        /// Where it is.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// The mark cannot be decoded.
    #[error(
        "{} should record how far the log had reached, but cannot be decoded: {source}. Restore it from a backup; if \
         there is none, and you know that the log is whole, remove it",
        path.display()
    )]
    Unclear {
        /// Where it is.
        path: PathBuf,
        /// The error.
        source: serde_json::Error,
    },
    /// The database of the history is on this machine and cannot be read, or refuses this program.
    #[error(
        "the history cannot be queried for its position: {0}. Correct that; or, if the file is no longer needed, move \
         it away: it is then rebuilt from the log"
    )]
    History(crossbook_store::Error),
    /// The system gives no thread.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
    /// The history is another venue's.
    #[error(
        "the history is of log {log}, which neither the mark nor the snapshots in this data folder know: it may be \
         another venue's, so --discard-newer does not touch it. Name a database of its own in `history.database`; or, \
         if that history is of no use to anybody, `crossbook store rebuild --discard` replaces it"
    )]
    Strange {
        /// Which log.
        log: String,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] crossbook_log::Error),
}

/// Who proves that there was a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proof {
    /// A snapshot, by its name: it got that when it was whole, whatever has become of it.
    Snapshot(PathBuf),
    /// The mark beside the log.
    Mark(PathBuf),
    /// The tables.
    History(String),
    /// The note beside the log of how far the tables were, which is there when they do not answer.
    HistoryNote(PathBuf),
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snapshot(path) => write!(f, "the snapshot {}", path.display()),
            Self::Mark(path) => write!(f, "the mark {}", path.display()),
            Self::History(place) => write!(f, "the history in {place}"),
            Self::HistoryNote(path) => write!(f, "the last position of the history, noted in {},", path.display()),
        }
    }
}

/// That a log had a command.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Claim {
    proof: Proof,
    /// Which log, as hexadecimal digits, where the proof knows that.
    log: Option<String>,
    command: Sequence,
    /// The command's time, where the proof knows that.
    time: Option<Timestamp>,
}

/// What a claim has against a log.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Objection {
    /// The log ends before the command.
    Missing,
    /// The log has another command there.
    Other,
    /// It was another log.
    OtherLog(String),
}

/// All that is known of a log from elsewhere.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Evidence {
    claims: Vec<Claim>,
    /// Why the history could not be asked, if it could not.
    silent: Option<String>,
}

/// A log that is behind what is known of it, in words for the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contradiction {
    log: PathBuf,
    end: Sequence,
    objections: Vec<(Claim, Objection)>,
}

impl std::error::Error for Contradiction {}

impl Evidence {
    /// What the snapshots, the mark and the history of a data folder prove. A database that is not on this machine may
    /// be unreachable, which must not keep a venue from trading: it then proves nothing yet, see [`Evidence::silent`].
    ///
    /// # Errors
    /// When what is on this machine cannot be asked.
    pub fn gather(data: &DataFolder, database: Option<&Database>) -> Result<Self, Error> {
        let mut evidence = Self::default();
        if data_folder::is_folder(&data.snapshots())? {
            let newest = Folder::at(&data.snapshots()).list()?.first().copied();
            evidence.claims.extend(newest.map(|command| Claim {
                proof: Proof::Snapshot(data.snapshots().join(snapshot::name(command))),
                log: None,
                command,
                time: None,
            }));
        }
        let path = data.log_mark();
        if let Some(Mark { log, command, time, .. }) = mark::read(&path)? {
            let (command, time) = (Sequence(command), Some(Timestamp(time)));
            evidence.claims.push(Claim { proof: Proof::Mark(path), log: Some(log), command, time });
        }
        if let Some(database) = database {
            evidence.ask(database)?;
            evidence.read_note(data, database);
        }
        Ok(evidence)
    }

    fn ask(&mut self, database: &Database) -> Result<(), Error> {
        match on_a_thread(|| crossbook_store::standing(database, PARTITION))? {
            Ok(Some(Standing { log, position })) => {
                let file = database.file().map(|file| file.display().to_string());
                let proof = Proof::History(file.unwrap_or_else(|| database.options().database.redacted()));
                let (command, time) = (position.sequence, Some(position.time));
                self.claims.push(Claim { proof, log: Some(log), command, time });
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) if is_of_no_account(database, &error) => {
                self.silent = Some(error.to_string());
                Ok(())
            }
            Err(error) => Err(Error::History(error)),
        }
    }

    /// One that cannot be read proves nothing: it is a small file of no other use, and need not keep a venue from
    /// trading.
    fn read_note(&mut self, data: &DataFolder, database: &Database) {
        match note::last(data, database) {
            Ok(noted) => self.claims.extend(noted.map(|(log, command)| Claim {
                proof: Proof::HistoryNote(data.history_note()),
                log: Some(log),
                command,
                time: None,
            })),
            Err(error) => tracing::warn!(%error, "the note of how far the history was cannot be read"),
        }
    }

    /// Why the history could not be asked, if it could not.
    #[must_use]
    pub fn silent(&self) -> Option<&str> {
        self.silent.as_deref()
    }

    /// What proves that a command was in the log and applied, if anything does.
    #[must_use]
    pub fn proof(&self, command: Sequence) -> Option<&Proof> {
        self.claims.iter().find(|claim| claim.command >= command).map(|claim| &claim.proof)
    }

    /// The last command that the log had for certain.
    #[must_use]
    pub fn durable(&self) -> Sequence {
        self.claims.iter().map(|claim| claim.command).max().unwrap_or_default()
    }

    /// Compares the log in a folder with all evidence. Changes nothing, and may run while the log is written.
    ///
    /// # Errors
    /// When the log cannot be read, or the part that is read is damaged.
    pub fn examine(&self, log: &Path) -> Result<Option<Contradiction>, Error> {
        let mut objections = Vec::new();
        for claim in self.claims.iter().filter(|claim| claim.command > Sequence(0)) {
            objections.extend(object(log, claim)?.map(|objection| (claim.clone(), objection)));
        }
        if objections.is_empty() {
            return Ok(None);
        }
        Ok(Some(Contradiction { log: log.to_owned(), end: end(log)?, objections }))
    }
}

impl Contradiction {
    /// The log's last command.
    #[must_use]
    pub fn end(&self) -> Sequence {
        self.end
    }

    /// How many commands are missing at its end, at least.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let last = self.objections.iter().map(|(claim, _)| claim.command).max().unwrap_or_default();
        last.0.saturating_sub(self.end.0)
    }

    /// Whether the history alone contradicts the log, because it is that of another one.
    #[must_use]
    pub fn foreign_history(&self) -> Option<&str> {
        // Without a command, the log may be what has taken the place of the one that is lost.
        match &self.objections[..] {
            [(Claim { proof: Proof::History(_), log: Some(log), .. }, Objection::OtherLog(_))]
                if self.end > Sequence(0) =>
            {
                Some(log)
            }
            _ => None,
        }
    }

    /// The log that the history is of, where that is another one and nothing else in the data folder knows of it.
    fn strange_history(&self) -> Option<&str> {
        let foreign = self.objections.iter().find_map(|(claim, objection)| match (claim, objection) {
            (Claim { proof: Proof::History(_), log: Some(log), .. }, Objection::OtherLog(_)) => Some(log),
            _ => None,
        })?;
        let known = self.objections.iter().any(|(claim, _)| match &claim.proof {
            Proof::Mark(_) | Proof::HistoryNote(_) => claim.log.as_ref() == Some(foreign),
            // Its name does not contain the identity of its log; but it is of another log than the existing one.
            Proof::Snapshot(_) => true,
            Proof::History(_) => false,
        });
        (!known).then_some(foreign)
    }

    /// Whether the history contradicts the log.
    #[must_use]
    pub fn is_of_history(&self) -> bool {
        self.objections.iter().any(|(claim, _)| matches!(claim.proof, Proof::History(_)))
    }

    /// Whether the snapshots in the folder may be another log's.
    #[must_use]
    pub fn is_another_log(&self) -> bool {
        let of_mark = |claim: &Claim| matches!(claim.proof, Proof::Mark(_));
        self.objections.iter().any(|(claim, objection)| of_mark(claim) && *objection != Objection::Missing)
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.log.display();
        match (self.end, self.missing()) {
            (Sequence(0), missing) if missing > 0 => {
                writeln!(
                    f,
                    "the log in {log} has no command, but had {missing}: the log is lost, or a new one has taken its \
                     place."
                )?;
            }
            (end, 0) => {
                writeln!(f, "the log in {log} ends at command {end}, but is not the one that was here before.")?
            }
            (end, 1) => writeln!(
                f,
                "the log in {log} ends at command {end}, but had another: command {} is missing.",
                end.next()
            )?,
            (end, missing) => {
                let last = end.0 + missing;
                writeln!(
                    f,
                    "the log in {log} ends at command {end}, but had more: commands {} to {last} are missing.",
                    end.next()
                )?;
            }
        }
        for (Claim { proof, command, .. }, objection) in &self.objections {
            match objection {
                Objection::Missing => writeln!(f, "  - {proof} is from command {command}")?,
                Objection::Other => writeln!(f, "  - {proof} is from another command {command} than the log has")?,
                Objection::OtherLog(found) if found.is_empty() => {
                    writeln!(f, "  - {proof} is from command {command} of a log that is not there")?;
                }
                Objection::OtherLog(found) => {
                    writeln!(f, "  - {proof} is from command {command} of another log than this one ({found})")?;
                }
            }
        }
        write!(
            f,
            "Restore the whole log, from a backup or from where it was moved. If no copy has these commands, \
             `crossbook serve --discard-newer` discards them for good: snapshots that the log does not reach are set \
             aside, and the history is rebuilt from the log. The clients that were informed of their effects must then \
             be corrected.{}",
            match self.is_of_history() {
                true => " If the history is another venue's, name a database of its own in `history.database` instead.",
                false => "",
            }
        )
    }
}

/// Discards, for good, what contradicts a log that ends at `end`: snapshots that it does not reach are set aside, and
/// the history will be rebuilt. Each step can be repeated.
///
/// # Errors
/// When one cannot be done, or the history is most likely another venue's; nothing has changed then.
pub fn discard(
    contradiction: &Contradiction,
    (snapshots, end): (&mut Folder, Sequence),
    database: Option<&Database>,
) -> Result<(), Error> {
    if let Some(log) = contradiction.strange_history().filter(|_| database.is_some()) {
        return Err(Error::Strange { log: log.to_owned() });
    }
    tracing::warn!(%contradiction, "discarded, because of --discard-newer");
    let after = if contradiction.is_another_log() { Sequence(0) } else { end };
    let aside = snapshots.set_aside(after)?;
    if aside > 0 {
        tracing::warn!(snapshots = aside, "set aside: the log does not reach them, or is another one");
    }
    for (claim, _) in &contradiction.objections {
        let Proof::HistoryNote(path) = &claim.proof else { continue };
        match std::fs::remove_file(path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(data_folder::Error::Io { doing: "remove", path: path.clone(), source }.into());
            }
            _ => {}
        }
    }
    if let Some(database) = database.filter(|_| contradiction.is_of_history()) {
        on_a_thread(|| crossbook_store::give_up(database, PARTITION))?.map_err(Error::History)?;
        tracing::warn!("the history is discarded; it is rebuilt from the log");
    }
    Ok(())
}

/// What a claim has against the log in a folder.
fn object(log: &Path, claim: &Claim) -> Result<Option<Objection>, Error> {
    let mut reader = FileReader::open(log, claim.command);
    let found = match reader.next(Until::End) {
        Ok(record) => record.map(|record| Some(record.time)),
        Err(crossbook_log::Error::Trimmed { first, .. }) => {
            // It had the command, if it is the log.
            reader = FileReader::open(log, first);
            reader.next(Until::End)?;
            Some(claim.time)
        }
        Err(crossbook_log::Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let identity = reader.identity().map(|identity| format!("{identity:016x}"));
    if let Some(of) = &claim.log
        && identity.as_ref() != Some(of)
    {
        return Ok(Some(Objection::OtherLog(identity.unwrap_or_default())));
    }
    Ok(match (found, claim.time) {
        (None, _) => Some(Objection::Missing),
        (Some(Some(found)), Some(time)) if found != time => Some(Objection::Other),
        (Some(_), _) => None,
    })
}

/// The last command of the log in a folder.
fn end(log: &Path) -> Result<Sequence, Error> {
    let entries = match std::fs::read_dir(log) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Sequence(0)),
        Err(source) => return Err(data_folder::Error::Io { doing: "list", path: log.to_owned(), source }.into()),
    };
    let listed = |source| data_folder::Error::Io { doing: "list", path: log.to_owned(), source };
    let mut segments = Vec::new();
    for entry in entries {
        let name = entry.map_err(listed)?.file_name();
        segments.extend(name.to_str().and_then(|name| name.strip_suffix(".log")?.parse::<u64>().ok()));
    }
    let Some(first) = segments.into_iter().max().filter(|&first| first > 0) else { return Ok(Sequence(0)) };
    let mut reader = FileReader::open(log, Sequence(first));
    let mut last = Sequence(first - 1);
    while let Some(record) = reader.next(Until::End)? {
        last = record.sequence;
    }
    Ok(last)
}

/// Whether a database that does not answer may be ignored: whether it can be queried at all depends on others.
fn is_of_no_account(database: &Database, error: &crossbook_store::Error) -> bool {
    use crossbook_store::Error;
    database.dialect() != Dialect::Sqlite && matches!(error, Error::Database(_) | Error::Slow(_))
}

/// Waits for a database on a thread of its own: who asks may be on a runtime, or have none.
pub fn on_a_thread<T: Send, F: Future<Output = T>>(ask: impl FnOnce() -> F + Send) -> Result<T, std::io::Error> {
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(ask()))
        });
        asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests;
