//! Exports a stopped venue, to be imported into a cluster or another folder.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crossbook_engine::import;
use crossbook_gateway::secret::MasterKey;
use crossbook_node::export::{self, Export};
use crossbook_protocol::import::{ExportId, Inventory};
use crossbook_protocol::registry::Credential;
use crossbook_types::{Amount, Decimal};

use crate::config::Config;
use crate::data_folder::{self, DataFolder};
use crate::progress::Progress;
use crate::restore::{self, Accepted, restore};
use crate::secrets::{self, Absent};

/// Why a venue cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder is none, or the export would be in it.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// It runs.
    #[error("the venue in {} is running ({holder}); stop it, and do not start it again afterwards", folder.display())]
    Running {
        /// The folder.
        folder: PathBuf,
        /// Who has it.
        holder: String,
    },
    /// It cannot be restored.
    #[error(transparent)]
    Restore(#[from] restore::Error),
    /// What it has cannot be drawn up.
    #[error("the venue cannot be exported: {0}")]
    Inventory(#[from] import::Error),
    /// There is a file already.
    #[error("{} is there already; choose another name with --out, or move it away", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The underlying error.
        source: std::io::Error,
    },
}

/// An export that was written.
#[derive(Debug)]
pub struct Exported {
    /// What it has.
    pub export: Export,
    /// The hash by which it is known.
    pub name: ExportId,
    /// What it was.
    pub origin: Origin,
    /// The file.
    pub file: PathBuf,
    /// What is known of the key that its secrets need.
    pub secret_key: SecretKey,
}

/// What was exported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A venue in a data folder.
    Folder,
    /// A cluster.
    Cluster {
        /// How many partitions it has.
        partitions: u16,
    },
}

/// Refuses a file that is there already.
pub(crate) fn check_absent(out: &Path) -> Result<(), Error> {
    let exists = out.try_exists();
    if exists.map_err(|source| Error::Write { path: out.to_owned(), source })? {
        return Err(Error::Exists(out.to_owned()));
    }
    Ok(())
}

/// Writes an export.
pub(crate) fn finish(export: Export, origin: Origin, out: &Path, secret_key: SecretKey) -> Result<Exported, Error> {
    let (bytes, name) = export::encode(&export);
    write_file(out, &bytes)?;
    Ok(Exported { export, name, origin, file: out.to_owned(), secret_key })
}

/// Writes everything that a stopped venue has to the file `out`, which must not be there yet. `config` must name the
/// data folder, which is marked: the venue does not start there any more unless the operator says that it may.
///
/// # Errors
/// When there is no venue, it runs, it cannot be restored, or the file cannot be written.
pub fn write(config: &Config, out: &Path, progress: &mut dyn Progress) -> Result<Exported, Error> {
    let data = &config.data;
    let folder = DataFolder::of_venue(data)?;
    folder.check_outside("the export", out)?;
    check_absent(out)?;
    // The log keeps the folder locked until the file exists: nothing happens at the venue meanwhile.
    let restored = restore(config, Accepted::default(), progress, |_| ()).map_err(|error| match error {
        restore::Error::Log { source: crossbook_log::Error::Locked { holder, .. }, .. } => {
            Error::Running { folder: data.clone(), holder }
        }
        error => error.into(),
    })?;
    let (partition, views) = (&restored.partition, &restored.views);
    let inventory = crossbook_engine::import::gather(&[(partition, views)])?;
    let state_hash = crossbook_engine::state_hash(&partition.state());
    let export = Export { sequence: partition.sequence(), time: partition.time(), state_hash, inventory };
    let secret_key = secret_key(&folder, &export);
    // Before the file exists that somebody may import.
    let is_first = folder.check_not_exported().is_ok();
    folder.mark_exported(out)?;
    let finished = finish(export, Origin::Folder, out, secret_key);
    if is_first && finished.is_err() {
        folder.forget_export()?;
    }
    finished
}

/// The name of a file that is not complete yet.
fn partial(path: &Path) -> PathBuf {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    PathBuf::from(partial)
}

/// Creates a new file under that name, which only its owner can read: whoever can knows what everybody has. What an
/// interrupted export has left there may be another name of a finished one, so it is removed and not written to.
fn create_partial(partial: &Path) -> std::io::Result<File> {
    match std::fs::remove_file(partial) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial)
}

/// Whether the file `out` is not there yet and can be written.
///
/// # Errors
/// When it is there, or its folder cannot be written to.
pub(crate) fn check_writable(out: &Path) -> Result<(), Error> {
    check_absent(out)?;
    let partial = partial(out);
    let failed = |source| Error::Write { path: out.to_owned(), source };
    create_partial(&partial).map_err(failed)?;
    std::fs::remove_file(&partial).map_err(failed)
}

/// Removes an export that must not be used.
///
/// # Errors
/// When it cannot be removed.
pub(crate) fn remove(out: &Path) -> Result<(), Error> {
    std::fs::remove_file(out).map_err(|source| Error::Write { path: out.to_owned(), source })
}

/// Creates a file, and only completely: the rest of an interrupted one has another name.
fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
        _ => Error::Write { path: path.to_owned(), source },
    };
    let partial = partial(path);
    let mut file = create_partial(&partial).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    // Unlike a renaming, a link does not replace an existing file.
    std::fs::hard_link(&partial, path).map_err(failed)?;
    std::fs::remove_file(&partial).map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// What is known of the key that the secrets in an export need.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretKey {
    /// Nothing is encrypted.
    NotNeeded,
    /// It exists, and opens them.
    At(String),
    /// The existing one does not open them, or there is none.
    Missing(String),
}

fn secret_key(data: &DataFolder, export: &Export) -> SecretKey {
    if sealed(&export.inventory).next().is_none() {
        return SecretKey::NotNeeded;
    }
    let from_environment = std::env::var_os(secrets::SECRET_KEY_VARIABLE).is_some();
    let place = match from_environment {
        true => format!("in {} of this environment", secrets::SECRET_KEY_VARIABLE),
        false => format!("in {}", data.secret_key().display()),
    };
    match secrets::secret_key(data.path(), Absent::Refuse) {
        Ok(key) if opens(&key, &export.inventory) => SecretKey::At(place),
        Ok(_) => SecretKey::Missing(format!("the one {place} does not open them")),
        Err(error) => SecretKey::Missing(error.to_string()),
    }
}

fn sealed(inventory: &Inventory) -> impl Iterator<Item = (&crossbook_types::ApiKeyId, &[u8])> {
    inventory.api_keys.iter().filter_map(|key| match &key.credential {
        Credential::Hmac { sealed } => Some((&key.key, sealed.as_slice())),
        Credential::Ed25519 { .. } | Credential::Rsa { .. } => None,
    })
}

/// Whether that is the key under which the secrets of an inventory are encrypted; one that it opens proves it.
#[must_use]
pub fn opens(key: &MasterKey, inventory: &Inventory) -> bool {
    let mut all = sealed(inventory).peekable();
    all.peek().is_none() || all.any(|(name, sealed)| key.open(name, sealed).is_ok())
}

/// Whether an inventory has secrets that need a key.
#[must_use]
pub fn has_secrets(inventory: &Inventory) -> bool {
    sealed(inventory).next().is_some()
}

/// What there is of each kind, for people and programs.
#[must_use]
pub fn counts(inventory: &Inventory) -> [(&'static str, usize); 6] {
    [
        ("assets", inventory.assets.len()),
        ("markets", inventory.markets.len()),
        ("accounts", inventory.accounts.len()),
        ("apiKeys", inventory.api_keys.len()),
        ("transfers", inventory.transfers.len()),
        ("openOrders", inventory.orders()),
    ]
}

impl Exported {
    /// By asset: its name, what clients have of it, and what the venue took in fees.
    #[must_use]
    pub fn sums(&self) -> Vec<(String, String, String)> {
        let inventory = &self.export.inventory;
        let clients = inventory.clients();
        let line = |asset: &crossbook_types::Asset| {
            let text = |amount: Amount| {
                let mut text = String::new();
                Decimal::write(amount.0, asset.decimals, 0, &mut text);
                text
            };
            let fees =
                inventory.fees.iter().find(|fees| fees.asset == asset.id).map_or(Amount::ZERO, |fees| fees.amount);
            (asset.name.to_string(), text(clients.get(&asset.id).copied().unwrap_or_default()), text(fees))
        };
        inventory.assets.iter().map(line).collect()
    }
}
