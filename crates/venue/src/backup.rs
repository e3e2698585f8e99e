//! Backs up a running venue, and restores a backup.

use std::time::{SystemTime, UNIX_EPOCH};

use crossbook_object_store::backup::{self, Manifest, Progress, Repository, Restored, Source, Taken};
use crossbook_object_store::{Address, Options};
use crossbook_store::Database;

use crate::config::Config;
use crate::data_folder::{self, DataFolder};
use crate::durability_check::{self, Contradiction, Evidence, LostBeginning};
use crate::history;

/// Why a venue cannot be backed up or restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder cannot be one.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// The history cannot be named.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The evidence about the log cannot be read.
    #[error(transparent)]
    Evidence(#[from] durability_check::Error),
    /// The log is behind what is known of it.
    #[error("nothing is backed up, and an existing backup is unchanged: {0}")]
    LogContradicted(Contradiction),
    /// The backup has what the log has lost, and would lose it, too.
    #[error(
        "nothing is backed up: the backup in {place} has commands that the log has lost, and ends before the beginning \
         of the log, so they would be dropped from it. Restore it, or give another target ({lost})"
    )]
    OnlyCopy {
        /// The place of the backup, as people name it.
        place: String,
        /// What the log has lost.
        lost: LostBeginning,
    },
    /// It did not work.
    #[error(transparent)]
    Backup(#[from] backup::Error),
    /// The system does not say where it is.
    #[error("cannot find {place}: {source}")]
    Place {
        /// The place as given.
        place: String,
        /// The underlying error.
        source: std::io::Error,
    },
    /// The system gives no random bytes.
    #[error("the system cannot provide random bytes")]
    NoRandomness,
}

fn address(place: &str) -> Result<Address, Error> {
    Address::of_place(place).map_err(|source| Error::Place { place: place.to_owned(), source })
}

/// A backup that was made.
#[derive(Debug)]
pub struct Made {
    /// What was copied, and what the backup has now.
    pub taken: Taken,
    /// The place of the backup, as people name it.
    pub place: String,
    /// The data folder.
    pub data: DataFolder,
}

/// A data folder that was made of a backup.
#[derive(Debug)]
pub struct RestoredFolder {
    /// What was restored.
    pub restored: Restored,
    /// The data folder.
    pub data: DataFolder,
}

/// Backs a venue up to a folder or an object store. With `verify_all`, the whole backup is read back. `warn` receives
/// what could not be checked beforehand.
///
/// # Errors
/// When the venue cannot be read, has lost commands, or the target of the backup cannot be used.
pub fn make(
    data: &DataFolder,
    config: &Config,
    (out, verify_all): (&str, bool),
    mut warn: impl FnMut(String),
    shown: impl FnMut(Progress),
) -> Result<Made, Error> {
    let address = address(out)?;
    if let Some(folder) = address.folder() {
        data.check_outside("the backup", &folder)?;
    }
    let database = history::database(config, data)?;
    check_not_behind(data, database.as_ref(), &mut warn)?;
    let repository = Repository::to_write(address, &Options::default())?;
    if let Some(lost) = durability_check::lost_beginning(data)? {
        check_not_only_copy(&repository, &lost)?;
        warn(format!("{lost}. What the log has is backed up"));
    }
    let mut run = [0; 4];
    aws_lc_rs::rand::fill(&mut run).map_err(|_| Error::NoRandomness)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let taking = backup::Options {
        verify_all,
        now: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        run: u32::from_le_bytes(run),
    };
    let (log, snapshots) = (data.log(), data.snapshots());
    let began = |log: &str| Ok(durability_check::began(data, log)?);
    let source = Source { log: &log, snapshots: &snapshots, began: &began };
    let taken = backup::take(source, &repository, &taking, shown)?;
    Ok(Made { taken, place: repository.address().to_owned(), data: data.clone() })
}

/// Refuses a log that has lost commands. Damage in what is checked, and a history that cannot be queried, are only
/// reported: a backup verifies what it copies, and is what such a venue needs most.
fn check_not_behind(data: &DataFolder, database: Option<&Database>, mut warn: impl FnMut(String)) -> Result<(), Error> {
    let evidence = match Evidence::gather(data, database) {
        Err(durability_check::Error::History(error)) => {
            warn(format!("the history cannot be asked how far the log had reached: {error}"));
            Evidence::gather(data, None)?
        }
        gathered => gathered?,
    };
    match evidence.examine(&data.log()) {
        Err(durability_check::Error::Log(error)) => {
            warn(format!("the log cannot be verified against the other evidence: {error}"));
            Ok(())
        }
        examined => examined?.map_or(Ok(()), |contradiction| Err(Error::LogContradicted(contradiction))),
    }
}

/// Refuses a repository where the run would drop what the log has lost.
fn check_not_only_copy(repository: &Repository, lost: &LostBeginning) -> Result<(), Error> {
    let Some(before) = repository.manifest()? else { return Ok(()) };
    // Unfinished parts are copied again in any case.
    let finished = before.segments.iter().rfind(|segment| segment.finished);
    let leads_to = finished.map_or(before.first(), |segment| segment.last.next());
    if before.segments.is_empty() || leads_to >= lost.begins() {
        return Ok(());
    }
    Err(Error::OnlyCopy { place: repository.address().to_owned(), lost: lost.clone() })
}

/// Makes a data folder of a backup.
///
/// # Errors
/// When there is no backup, or it is damaged, or the target is not empty.
pub fn restore(data: DataFolder, from: &str, shown: impl FnMut(Progress)) -> Result<RestoredFolder, Error> {
    let repository = Repository::to_read(address(from)?, &Options::default())?;
    let mark = |manifest: &Manifest| durability_check::record_restored(&data, manifest);
    let restored = backup::restore(&repository, &data.target(), mark, shown)?;
    Ok(RestoredFolder { restored, data })
}
