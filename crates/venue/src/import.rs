//! Imports an exported venue into a new data folder: the same commands as in a cluster, in the folder's own log.
//!
//! The log is written beside the place where a venue looks for it, so nobody starts on a part of it. It is then
//! replayed from the disk, and its content is compared with the export. Only if the two are equal, the venue gets the
//! command to open, and the log its name. An import that was interrupted is begun anew by the same command.

use std::path::{Path, PathBuf};

use crossbook_engine::Partition;
use crossbook_engine::import::Past;
use crossbook_log::{FileReader, Files, Log as _, Record, Until};
use crossbook_node::embedded::{SystemClock, source_of_run};
use crossbook_node::export::{self, Export};
use crossbook_node::new_venue;
use crossbook_node::node::Clock as _;
use crossbook_node::recovery::{self, Recovered, Which};
use crossbook_node::snapshot::{self, Saved};
use crossbook_object_store::backup;
use crossbook_protocol::import::{ExportId, Inventory, Piece};
use crossbook_protocol::{Body, Routing, wire};
use crossbook_types::{RequestNumber, Sequence, SourceId, Timestamp};
use crossbook_views::Views;

use crate::config::Config;
use crate::data_folder::access::{self, Need};
use crate::data_folder::{self, DataFolder};
use crate::durability_check::{self, Reach};
use crate::export as exporting;
use crate::progress::Progress;
use crate::secrets::{self, Absent};

/// Why a file cannot be read as an export.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The underlying error.
        source: std::io::Error,
    },
    /// The file is not an export.
    #[error("{}: {source}", path.display())]
    Export {
        /// The file or folder.
        path: PathBuf,
        /// The underlying error.
        source: export::Error,
    },
}

/// Reads an export, and the hash by which it is known.
///
/// # Errors
/// When the file cannot be read, or is none.
pub fn read(path: &Path) -> Result<(Export, ExportId), FileError> {
    let bytes = std::fs::read(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    export::decode(&bytes).map_err(|source| FileError::Export { path: path.to_owned(), source })
}

/// Why a venue cannot be imported into a folder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The export cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder cannot be a data folder.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// The folder belongs to another user.
    #[error(transparent)]
    Access(#[from] access::Error),
    /// Something is in the folder.
    #[error(
        "{} is not empty; import into a folder that does not exist yet, or is empty. Nothing was changed", .0.display()
    )]
    Occupied(PathBuf),
    /// The folder cannot be made or cleared.
    #[error(transparent)]
    Target(backup::Error),
    /// The key does not open the secrets.
    #[error(
        "the secret key {place} is not the key under which the API secrets of this export are encrypted; `crossbook \
         export` printed where it is"
    )]
    SecretKey {
        /// Where it is.
        place: String,
    },
    /// The key is none.
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    /// The log cannot be written.
    #[error("cannot write the log in {}: {source}", path.display())]
    Log {
        /// Its folder.
        path: PathBuf,
        /// The underlying error.
        source: crossbook_log::Error,
    },
    /// The log cannot be replayed.
    #[error("cannot replay what was imported: {0}")]
    Recovery(#[from] recovery::Error),
    /// The venue refused a part.
    #[error("the new venue has refused a part of the export; use the version that made the export, or a newer one")]
    Refused,
    /// What was imported is not a venue.
    #[error("the imported venue does not reconcile: {0}")]
    Inventory(#[from] crossbook_engine::import::Error),
    /// The mark beside the log cannot be written.
    #[error(transparent)]
    Mark(#[from] durability_check::Error),
}

/// What is known about the key that the secrets of an export need.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretKey {
    /// It has none that need a key.
    NotNeeded,
    /// The venue will find it, and it opens them.
    Opens,
    /// The venue will not find one; where it looks for it.
    Absent(PathBuf),
}

/// What an import has done.
pub struct Imported {
    /// The export that was imported.
    pub export: Export,
    /// The hash by which it is known.
    pub name: ExportId,
    /// The data folder.
    pub folder: PathBuf,
    /// What is known about the key that its secrets need.
    pub secret_key: SecretKey,
    /// Differences between the export and what the venue has, and what does not balance; empty if there are none.
    pub differences: Vec<String>,
    /// The last command of the new log.
    pub sequence: Sequence,
    /// The hash of the new venue's state.
    pub state_hash: [u8; 32],
}

impl Imported {
    /// Whether the venue has been imported.
    #[must_use]
    pub fn has_imported(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Imports the venue in the file `path` into the configured data folder, which must be missing or empty.
///
/// # Errors
/// When it cannot; then the message states what to do, and no venue starts on what was begun.
pub fn run(config: &Config, path: &Path, progress: &mut dyn Progress) -> Result<Imported, Error> {
    access::check(&config.data, Need::Run)?;
    let data = DataFolder::new(&config.data)?;
    let (export, name) = read(path)?;
    let secret_key = secret_key(&data, config, &export.inventory)?;
    let target = data.target();
    let log = target.begin().map_err(|error| match error {
        backup::Error::Occupied(folder) => Error::Occupied(folder),
        error => Error::Target(error),
    })?;
    let written = import(config, &export, name, &log, progress)?;
    let Written { differences, reach, state_hash } = written;
    if differences.is_empty() {
        durability_check::record(&data, &reach)?;
        target.finish().map_err(Error::Target)?;
    }
    let (folder, sequence) = (data.path().to_owned(), reach.last);
    Ok(Imported { export, name, folder, secret_key, differences, sequence, state_hash })
}

fn secret_key(data: &DataFolder, config: &Config, inventory: &Inventory) -> Result<SecretKey, Error> {
    if !exporting::has_secrets(inventory) {
        return Ok(SecretKey::NotNeeded);
    }
    let place = data.secret_key();
    let in_environment = std::env::var_os(secrets::SECRET_KEY_VARIABLE).is_some();
    if !in_environment && !place.exists() {
        return Ok(SecretKey::Absent(place));
    }
    let key = secrets::secret_key(&config.data, Absent::Refuse)?;
    if exporting::opens(&key, inventory) {
        return Ok(SecretKey::Opens);
    }
    let place = match in_environment {
        true => format!("in {}", secrets::SECRET_KEY_VARIABLE),
        false => format!("in {}", place.display()),
    };
    Err(Error::SecretKey { place })
}

/// What was written, before it gets its name.
struct Written {
    differences: Vec<String>,
    reach: Reach,
    state_hash: [u8; 32],
}

fn import(
    config: &Config,
    export: &Export,
    name: ExportId,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<Written, Error> {
    let failed = |source| Error::Log { path: folder.to_owned(), source };
    let pieces = crossbook_engine::import::pieces(&export.inventory, &Routing::single(), name).swap_remove(0);
    let (log, _) = Files::open(folder, config.log.files()).map_err(failed)?;
    let mut writer = Writer { log, time: SystemClock.now() };
    progress.begin("moving in");
    let end = Some(Sequence(pieces.len() as u64 + 1));
    writer.append(source_of_run(Sequence(0)), RequestNumber(1), &new_venue::first_command()).map_err(failed)?;
    for (number, piece) in (1..).zip(&pieces) {
        let at = writer.append(piece.source(), RequestNumber(number), &imported(piece)).map_err(failed)?;
        progress.at(recovery::Progress { at, end });
    }
    let last = writer.log.sync().map_err(failed)?;
    progress.begin("replaying the log");
    let restored = restore(config, folder, last, progress)?;
    progress.end();
    if !restored.partition.is_importing() || restored.partition.pieces().0 != pieces.len() as u64 {
        return Err(Error::Refused);
    }
    let gathered = crossbook_engine::import::gather(&[(&restored.partition, &restored.follower as &dyn Past)])?;
    let mut differences = export.inventory.differences(&gathered);
    if differences.is_empty() {
        writer.append(SourceId::IMPORT_END, RequestNumber(1), &imported(&Piece::Open)).map_err(failed)?;
        writer.log.sync().map_err(failed)?;
    }
    let Recovered { partition, .. } = match differences.is_empty() {
        true => restore(config, folder, writer.log.durable(), &mut ())?,
        false => restored,
    };
    if differences.is_empty() {
        differences = faults(&partition);
    }
    let (log, first) = (writer.log.identity(), writer.log.first());
    let reach = Reach { log, first, last: partition.sequence(), time: partition.time() };
    Ok(Written { differences, reach, state_hash: crossbook_engine::state_hash(&partition.state()) })
}

/// What is wrong with a venue that was opened.
fn faults(partition: &Partition) -> Vec<String> {
    let audit = crossbook_node::embedded::audit(partition);
    let mut found = audit.violations;
    found.extend(
        audit
            .sums
            .iter()
            .filter(|(_, sum)| !sum.is_zero())
            .map(|(asset, sum)| format!("the sum of asset {asset} over all accounts is {} instead of 0", sum.0)),
    );
    if partition.is_importing() {
        found.push("the new venue has refused to open".to_owned());
    }
    found
}

fn restore(
    config: &Config,
    folder: &Path,
    last: Sequence,
    progress: &mut dyn Progress,
) -> Result<Recovered<Views>, Error> {
    Ok(recovery::recover(
        &Which::single(0),
        &NoSnapshots,
        |from| FileReader::open(folder, from),
        Until::Durable(last),
        Views::new(config.views.clone()),
        |place| progress.at(place),
    )?)
}

fn imported(piece: &Piece) -> Body {
    Body::Import(Box::new(piece.clone()))
}

/// The new log.
struct Writer {
    log: Files,
    time: Timestamp,
}

impl Writer {
    /// Appends a command, and makes it durable only where there is no more room for others.
    fn append(
        &mut self,
        source: SourceId,
        number: RequestNumber,
        body: &Body,
    ) -> Result<Sequence, crossbook_log::Error> {
        let mut payload = Vec::new();
        wire::encode_command(source, number, None, body, &mut payload);
        let record = Record { sequence: self.log.tail().next(), time: self.time, payload: &payload };
        match self.log.append(record) {
            Err(crossbook_log::Error::BatchFull { .. }) => {
                self.log.sync()?;
                self.log.append(record)?;
            }
            appended => appended?,
        }
        Ok(record.sequence)
    }
}

/// Nothing but the log.
struct NoSnapshots;

impl Saved for NoSnapshots {
    fn list(&self) -> Result<Vec<Sequence>, snapshot::Error> {
        Ok(Vec::new())
    }

    fn load(&self, _: Sequence) -> Result<Option<Vec<u8>>, snapshot::Error> {
        Ok(None)
    }
}
