//! Whether this process may use a data folder. A folder that belongs to somebody else is found before anything is opened, and the message says which
//! user needs what, which the system's own "permission denied" does not.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// This process may not use something.
#[derive(Debug, thiserror::Error)]
#[error(
    "user {user} may not {what} {}, which belongs to {owner} (mode {mode:04o}). Start as {owner}, or give it to the user that the venue \
     runs as: chown -R {name} {}",
    path.display(), root.display()
)]
pub struct Denied {
    user: String,
    name: String,
    what: &'static str,
    path: PathBuf,
    owner: String,
    mode: u32,
    root: PathBuf,
}

/// See [`Denied`], which is large.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Box<Denied>);

/// What a folder is needed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// To read what is there.
    Read,
    /// To run the venue in it, and to make it.
    Run,
}

/// Whether this process may use everything in a data folder, or make the folder.
///
/// # Errors
/// When it may not. What else is wrong with the folder, its users find.
pub fn check(data: &Path, need: Need) -> Result<(), Error> {
    if need == Need::Run && !data.exists() {
        let above =
            data.ancestors().skip(1).map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path });
        let above = above.into_iter().find(|path| path.exists());
        // A file in the place of a folder is not a matter of rights.
        let above = above.filter(|above| above.is_dir());
        return above.map_or(Ok(()), |above| may(above, Access::WRITE_OK | Access::EXEC_OK, "make a folder in", above));
    }
    let (rights, what) = match need {
        Need::Read => (Access::READ_OK, "read"),
        Need::Run => (Access::READ_OK | Access::WRITE_OK, "read and write"),
    };
    for folder in [data.to_owned(), data.join("log"), data.join("snapshots")] {
        match fs::metadata(&folder) {
            Ok(metadata) if !metadata.is_dir() => continue,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            _ => may(&folder, rights | Access::EXEC_OK, what, data)?,
        }
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
            may(&path, rights, what, data)?;
        }
    }
    Ok(())
}

fn may(path: &Path, rights: Access, what: &'static str, root: &Path) -> Result<(), Error> {
    let denied = |error: rustix::io::Errno| io::Error::from(error).kind() == ErrorKind::PermissionDenied;
    match access(path, rights) {
        Err(error) if denied(error) => Err(described(path, what, root)),
        _ => Ok(()),
    }
}

fn described(path: &Path, what: &'static str, root: &Path) -> Error {
    let metadata = fs::metadata(path).ok();
    let me = rustix::process::geteuid().as_raw();
    Error(Box::new(Denied {
        user: user(me),
        name: name(me).unwrap_or_else(|| me.to_string()),
        what,
        path: path.to_owned(),
        owner: metadata.as_ref().map_or_else(|| "somebody else".to_owned(), |metadata| user(metadata.uid())),
        mode: metadata.as_ref().map_or(0, Metadata::mode) & 0o7777,
        root: root.to_owned(),
    }))
}

/// A user by name and number.
fn user(number: u32) -> String {
    name(number).map_or_else(|| number.to_string(), |name| format!("{name} ({number})"))
}

/// The name of a user, if this machine's own list has it.
fn name(number: u32) -> Option<String> {
    let list = fs::read_to_string("/etc/passwd").ok()?;
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_needs_what() {
        let error = Denied {
            user: "crossbook (990)".to_owned(),
            name: "crossbook".to_owned(),
            what: "read and write",
            path: "/var/lib/crossbook/log".into(),
            owner: "root (0)".to_owned(),
            mode: 0o755,
            root: "/var/lib/crossbook".into(),
        };
        assert_eq!(
            error.to_string(),
            "user crossbook (990) may not read and write /var/lib/crossbook/log, which belongs to root (0) (mode 0755). Start as root (0), \
             or give it to the user that the venue runs as: chown -R crossbook /var/lib/crossbook"
        );
        assert_eq!(name(0).as_deref(), Some("root"));
    }

    #[test]
    fn a_folder_of_our_own_is_fine_and_so_is_one_that_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(folder.path(), Need::Run).is_ok() && check(folder.path(), Need::Read).is_ok());
        assert!(check(&folder.path().join("a/b"), Need::Run).is_ok());
    }
}
