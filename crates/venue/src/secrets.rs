//! The two secrets of a venue, which are never in a configuration file: the admin token, and the key that encrypts the
//! secrets of API keys in the log. Admin tokens may be in a file of their own, which is read again while the venue
//! runs.

mod admin_tokens;

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crossbook_gateway::secret::MasterKey;
use secrecy::SecretString;

use crate::data_folder::access;
use crate::data_folder::{self, DataFolder};

pub use crate::variables::{ADMIN_TOKEN_FILE_VARIABLE, ADMIN_TOKEN_VARIABLE, SECRET_KEY_VARIABLE};
pub use admin_tokens::AdminTokens;

/// The fewest characters of an admin token.
pub const ADMIN_TOKEN_LENGTH_MIN: usize = 16;

/// Bytes of a secret that is made here.
const SECRET_BYTES: usize = 32;

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No admin token.
    #[error(
        "{ADMIN_TOKEN_VARIABLE} is not set. The admin API has no default token. Make one and start again:\n  \
         export {ADMIN_TOKEN_VARIABLE}=$(openssl rand -hex 32)"
    )]
    NoAdminToken,
    /// Tokens from two places.
    #[error("{ADMIN_TOKEN_VARIABLE} and {ADMIN_TOKEN_FILE_VARIABLE} are both set; unset one of them")]
    TwoSourcesOfTokens,
    /// The file of admin tokens is of no use.
    #[error("the admin tokens in {}, which {ADMIN_TOKEN_FILE_VARIABLE} names: {why}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// No admin token of a venue that runs already.
    #[error("{ADMIN_TOKEN_VARIABLE} is not set; it must be the token that the venue was started with")]
    NoTokenOfVenue,
    /// An admin token that can be guessed.
    #[error("{ADMIN_TOKEN_VARIABLE} must have at least {ADMIN_TOKEN_LENGTH_MIN} printable ASCII characters, no blanks")]
    WeakAdminToken,
    /// A variable that is no text; that is not the same as none.
    #[error("{0} is not valid text; set it again, or unset it")]
    NotText(&'static str),
    /// No secret key, and no data folder beside which it could be.
    #[error(
        "{SECRET_KEY_VARIABLE} is not set: set it to the venue's secret key, or `data` to the folder beside which it \
         is stored"
    )]
    NoKey,
    /// The key is beside a link to the data folder.
    #[error(
        "{} is the secret key beside a link to the data folder, and there is none beside the folder itself: move it \
         there, `mv '{}' '{}'`, and start again",
        found.display(),
        found.display(),
        place.display()
    )]
    BesideLink {
        /// Where it is.
        found: PathBuf,
        /// Where it belongs.
        place: PathBuf,
    },
    /// The data folder cannot be one, or has the key in it.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// The key is not 64 hex digits.
    #[error("{0} must hold exactly 64 hex digits; `openssl rand -hex 32` makes such a key")]
    MalformedKey(String),
    /// The key file cannot be read or made.
    #[error("cannot {doing} the secret key in {}: {source}", path.display())]
    File {
        /// The operation that failed.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// The key may not be read or made.
    #[error(transparent)]
    Access(#[from] access::Error),
    /// There is no key, but there are secrets that need the one they were sealed under.
    #[error(
        "the log holds secrets of API keys, but there is no key to open them: set {SECRET_KEY_VARIABLE}, or put back \
         {}. If the key is lost for good, `crossbook serve --revoke-lost-keys` starts anyway and revokes the API keys \
         that need it",
        .0.display()
    )]
    Lost(PathBuf),
    /// Something else is in the place of the key file.
    #[error("{} should hold the secret key, but is not a file; move it away", .0.display())]
    NotAFile(PathBuf),
    /// Others can read the key.
    #[error("{} is readable by others; `chmod 600` it", .0.display())]
    Exposed(PathBuf),
    /// The system gives no random bytes.
    #[error("the system cannot provide random bytes")]
    NoRandomness,
}

/// The admin token from the environment, or the first one in the file that the environment names.
///
/// # Errors
/// When there is none, or one that is short or unusable in a header.
pub fn admin_token() -> Result<SecretString, Error> {
    AdminTokens::find()?.first()
}

/// The admin token of a venue that runs already, from the environment.
///
/// # Errors
/// As [`admin_token`].
pub fn admin_token_of_venue() -> Result<SecretString, Error> {
    admin_token().map_err(|error| if matches!(error, Error::NoAdminToken) { Error::NoTokenOfVenue } else { error })
}

fn check_admin_token(token: String) -> Result<SecretString, Error> {
    if token.is_empty() {
        return Err(Error::NoAdminToken);
    }
    let usable = token.len() >= ADMIN_TOKEN_LENGTH_MIN && token.bytes().all(|byte| byte.is_ascii_graphic());
    if usable { Ok(SecretString::from(token)) } else { Err(Error::WeakAdminToken) }
}

/// A fresh admin token.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_admin_token() -> Result<SecretString, Error> {
    Ok(SecretString::from(hex(&random()?)))
}

/// What to do when there is no secret key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absent {
    /// One is made.
    Make,
    /// It was there and is lost: a new one would only hide that.
    Refuse,
}

/// The value of a variable; `None` where it is not set.
fn variable(name: &'static str) -> Result<Option<String>, Error> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Error::NotText(name)),
    }
}

/// The secret key: from the environment, else from the file beside the data folder, as which `data` names it; empty:
/// there is none.
///
/// # Errors
/// When the key is malformed, the file cannot be read or made, others can read it, it is absent and must not be, or it
/// is in the data folder.
pub fn secret_key(data: &Path, absent: Absent) -> Result<MasterKey, Error> {
    let folder = if data.as_os_str().is_empty() { None } else { Some(DataFolder::new(data)?) };
    if let Some(text) = variable(SECRET_KEY_VARIABLE)? {
        return parse(text, || SECRET_KEY_VARIABLE.to_owned());
    }
    let place = folder.ok_or(Error::NoKey)?.secret_key();
    if let Some(found) = beside_link(data, &place)? {
        return Err(Error::BesideLink { found, place });
    }
    key_in_file(&place, absent)
}

/// Whether the secret key can be used, as far as that is known before the replay: one that is there can be read, and
/// for a data folder without a log it is there or can be made. Nothing is made.
///
/// # Errors
/// When it can neither be had nor made, or is in another place.
pub fn check(data: &Path, folder: &DataFolder) -> Result<(), Error> {
    if let Some(text) = variable(SECRET_KEY_VARIABLE)? {
        return parse(text, || SECRET_KEY_VARIABLE.to_owned()).map(drop);
    }
    let place = folder.secret_key();
    match key_in_file(&place, Absent::Refuse) {
        Err(Error::Lost(_)) => {}
        found => return found.map(drop),
    }
    if folder.log().exists() {
        return Ok(());
    }
    if let Some(found) = beside_link(data, &place)? {
        return Err(Error::BesideLink { found, place });
    }
    Ok(access::check_new_key(&place)?)
}

/// A key beside `data` where that is a link to the folder whose key belongs at `place`, and there is none.
fn beside_link(data: &Path, place: &Path) -> Result<Option<PathBuf>, Error> {
    let there = |path: &Path| {
        path.try_exists().map_err(|source| Error::File { doing: "look for", path: path.to_owned(), source })
    };
    let named: PathBuf = data.components().collect();
    let Some(name) = named.file_name() else { return Ok(None) };
    let mut name = name.to_owned();
    name.push(".secret-key");
    let found = named.with_file_name(name);
    let found = data_folder::canonical(&found)?;
    Ok((found != place && there(&found)? && !there(place)?).then_some(found))
}

fn key_in_file(path: &Path, absent: Absent) -> Result<MasterKey, Error> {
    let failed = |doing| move |source| Error::File { doing, path: path.to_owned(), source };
    match std::fs::File::open(path) {
        Ok(mut file) => {
            let metadata = file.metadata().map_err(failed("examine"))?;
            if !metadata.is_file() {
                return Err(Error::NotAFile(path.to_owned()));
            }
            if metadata.permissions().mode() & 0o077 != 0 {
                return Err(Error::Exposed(path.to_owned()));
            }
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(failed("read"))?;
            parse(text, || path.display().to_string())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if absent == Absent::Refuse {
                return Err(Error::Lost(path.to_owned()));
            }
            access::check_new_key(path)?;
            let digits = hex(&random()?);
            write_durably(path, digits.as_bytes()).map_err(failed("make"))?;
            tracing::warn!(
                file = %path.display(),
                "no {SECRET_KEY_VARIABLE} is set, so a key was made; keep this file: without it no HMAC API key works \
                 again"
            );
            parse(digits, || path.display().to_string())
        }
        Err(error) => {
            access::check_key(path)?;
            Err(failed("open")(error))
        }
    }
}

/// Writes a new file that only its owner can read. A key that was used but lost by a power cut would make every secret
/// in the log useless, so it is on disk before anything is encrypted under it.
fn write_durably(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    // Written under another name first: a crash in between must not leave half a key where the next start looks for a
    // whole.
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".unfinished-{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(content)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    // Unlike a renaming, a link never replaces the key of another process that was quicker.
    let linked = std::fs::hard_link(&unfinished, path);
    std::fs::remove_file(&unfinished)?;
    linked?;
    std::fs::File::open(folder)?.sync_all()
}

fn parse(digits: String, from: impl Fn() -> String) -> Result<MasterKey, Error> {
    MasterKey::from_hex(&SecretString::from(digits)).map_err(|_| Error::MalformedKey(from()))
}

fn random() -> Result<[u8; SECRET_BYTES], Error> {
    let mut bytes = [0; SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use crossbook_types::ApiKeyId;
    use secrecy::ExposeSecret as _;

    use super::*;

    /// Two master keys are the same if one opens what the other sealed.
    fn same(one: &MasterKey, other: &MasterKey) -> bool {
        let name = ApiKeyId::new_checked("name").unwrap();
        other.open(&name, &one.seal(&name, &SecretString::from("secret")).unwrap()).is_ok()
    }

    #[test]
    fn the_key_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("venue.secret-key");
        assert!(matches!(key_in_file(&path, Absent::Refuse), Err(Error::Lost(_))));
        assert!(!path.exists(), "nothing is written in the place of a lost key");
        let made = key_in_file(&path, Absent::Make).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(same(&made, &key_in_file(&path, Absent::Make).unwrap()));
        assert!(write_durably(&path, b"another").is_err(), "a key is never replaced");
        assert!(same(&made, &key_in_file(&path, Absent::Make).unwrap()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        assert!(!same(&made, &key_in_file(&folder.path().join("other"), Absent::Make).unwrap()));
    }

    #[test]
    fn a_key_beside_a_link_is_sent_to_its_place() {
        let outer = tempfile::tempdir().unwrap();
        let outer = outer.path().canonicalize().unwrap();
        let (place, link) = (outer.join("venue.secret-key"), outer.join("link"));
        std::fs::create_dir(outer.join("venue")).unwrap();
        std::os::unix::fs::symlink(outer.join("venue"), &link).unwrap();
        assert_eq!(beside_link(&link, &place).unwrap(), None);
        let found = outer.join("link.secret-key");
        std::fs::write(&found, "").unwrap();
        assert_eq!(beside_link(&link, &place).unwrap(), Some(found));
        assert_eq!(beside_link(&outer.join("venue"), &place).unwrap(), None);
        std::fs::write(&place, "").unwrap();
        assert_eq!(beside_link(&link, &place).unwrap(), None, "the key in its place counts");
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_not_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        std::fs::write(&path, "ab".repeat(32)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(key_in_file(&path, Absent::Make), Err(Error::Exposed(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(key_in_file(&path, Absent::Make).is_ok());
        for text in ["", "zz", &"ab".repeat(31), &"ab".repeat(33), &"xy".repeat(32)] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(key_in_file(&path, Absent::Make), Err(Error::MalformedKey(_))), "{text:?}");
        }
        assert!(matches!(key_in_file(folder.path(), Absent::Make), Err(Error::NotAFile(_))));
    }

    #[test]
    fn a_key_that_cannot_be_used_is_found_before_the_replay() {
        let outer = tempfile::tempdir().unwrap();
        let data = outer.path().join("venue");
        std::fs::create_dir_all(data.join("log")).unwrap();
        let folder = DataFolder::new(&data).unwrap();
        assert!(check(&data, &folder).is_ok(), "whether a key is needed that is not there, the log says");
        std::fs::write(folder.secret_key(), "ab".repeat(32)).unwrap();
        std::fs::set_permissions(folder.secret_key(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(check(&data, &folder), Err(Error::Exposed(_))));
        std::fs::set_permissions(folder.secret_key(), std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(check(&data, &folder).is_ok());
        std::fs::write(folder.secret_key(), "half a k").unwrap();
        assert!(matches!(check(&data, &folder), Err(Error::MalformedKey(_))));
    }

    #[test]
    fn tokens_that_can_be_guessed_or_not_sent_are_refused() {
        assert!(matches!(check_admin_token(String::new()), Err(Error::NoAdminToken)));
        assert!(matches!(check_admin_token("short".into()), Err(Error::WeakAdminToken)));
        assert!(matches!(check_admin_token("has a blank in its middle".into()), Err(Error::WeakAdminToken)));
        assert!(check_admin_token("0123456789abcdef".into()).is_ok());
        let (one, other) = (new_admin_token().unwrap(), new_admin_token().unwrap());
        assert_ne!(one.expose_secret(), other.expose_secret());
    }
}
