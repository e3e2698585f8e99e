//! Whether this process may use a data folder. It is checked before anything is opened, and the error says which user
//! needs which permission, which the system's own "permission denied" does not.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::data_folder::DataFolder;

/// This process may not use something.
#[derive(Debug, thiserror::Error)]
#[error(
    "user {user} may not {what} {}, {} belongs to {owner} (mode {mode:04o}). {advice}",
    path.display(), holder.as_ref().map_or_else(|| "which".to_owned(), |holder| format!("because {}", holder.display()))
)]
pub struct Denied {
    user: String,
    what: String,
    path: PathBuf,
    /// The nearest folder above `path` that can be looked at, where `path` itself cannot.
    holder: Option<PathBuf>,
    owner: String,
    mode: u32,
    advice: String,
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

/// What is not allowed.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    /// To read what is in a data folder.
    Read,
    /// To run the venue in this data folder.
    Run(&'a Path),
    /// To make this data folder.
    Make(&'a Path),
    /// To make this secret key.
    MakeKey(&'a Path),
    /// To read this secret key.
    ReadKey(&'a Path),
}

/// Whether this process may use everything in a data folder, or make the folder.
///
/// # Errors
/// When it may not. What else is wrong with the folder, its users find.
pub fn check(data: &Path, need: Need) -> Result<(), Error> {
    if need == Need::Run && data.try_exists().is_ok_and(|exists| !exists) {
        return match nearest_above(data) {
            // A file in the place of a folder is not a matter of rights.
            Some(above) if above.is_dir() => may(above, Access::WRITE_OK | Access::EXEC_OK, Step::Make(data)),
            _ => Ok(()),
        };
    }
    let (rights, step) = match need {
        Need::Read => (Access::READ_OK, Step::Read),
        Need::Run => (Access::READ_OK | Access::WRITE_OK, Step::Run(data)),
    };
    for folder in [data.to_owned(), data.join("log"), data.join("snapshots")] {
        match fs::metadata(&folder) {
            Ok(metadata) if !metadata.is_dir() => continue,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            _ => may(&folder, rights | Access::EXEC_OK, step)?,
        }
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
            may(&path, rights, step)?;
        }
    }
    Ok(())
}

/// Whether this process may make a secret key, which is not there. A folder that is absent too is made with it.
///
/// # Errors
/// When it may not.
pub fn check_new_key(key: &Path) -> Result<(), Error> {
    let folder = key.parent().filter(|folder| folder.is_dir());
    folder.map_or(Ok(()), |folder| may(folder, Access::WRITE_OK | Access::EXEC_OK, Step::MakeKey(key)))
}

/// Whether this process may read a secret key that is there.
///
/// # Errors
/// When it may not.
pub fn check_key(key: &Path) -> Result<(), Error> {
    may(key, Access::READ_OK, Step::ReadKey(key))
}

/// The nearest existing path above one.
fn nearest_above(path: &Path) -> Option<&Path> {
    let above = path.ancestors().skip(1).map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path });
    above.into_iter().find(|path| path.exists())
}

fn may(path: &Path, rights: Access, step: Step<'_>) -> Result<(), Error> {
    let denied = |error: rustix::io::Errno| io::Error::from(error).kind() == ErrorKind::PermissionDenied;
    match access(path, rights) {
        Err(error) if denied(error) => Err(Error(Box::new(described(rustix::process::geteuid().as_raw(), path, step)))),
        _ => Ok(()),
    }
}

fn described(me: u32, path: &Path, step: Step<'_>) -> Denied {
    let holder = if fs::metadata(path).is_ok() { None } else { nearest_above(path) };
    let metadata = fs::metadata(holder.unwrap_or(path)).ok();
    let owner = metadata.as_ref().map(Metadata::uid);
    let owner_text = owner.map_or_else(|| "somebody else".to_owned(), user);
    let name = name(me).unwrap_or_else(|| me.to_string());
    let what = match step {
        Step::Read | Step::ReadKey(_) => "read".to_owned(),
        Step::Run(_) => "read and write".to_owned(),
        Step::Make(_) => "make a folder in".to_owned(),
        Step::MakeKey(key) => format!("make the secret key {} in", key.display()),
    };
    let advice = advice(&name, (&owner_text, owner == Some(me)), holder.unwrap_or(path), step);
    Denied {
        user: user(me),
        what,
        path: path.to_owned(),
        holder: holder.map(Path::to_owned),
        owner: owner_text,
        mode: metadata.as_ref().map_or(0, Metadata::mode) & 0o7777,
        advice,
    }
}

/// What the user of that name is to do, who may not do that with `held`, which belongs to `owner`.
fn advice(name: &str, (owner, is_owner): (&str, bool), held: &Path, step: Step<'_>) -> String {
    match step {
        Step::Make(data) => {
            let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
            let above = data.parent().filter(|above| !above.exists());
            let (folder, data) =
                above.map_or_else(|| (data.clone(), data.join("venue")), |above| (above.to_owned(), data.clone()));
            format!(
                "As root: install -d -m 700 -o {name} {}, then start with --data {}, which leaves room for the secret \
                 key beside it",
                quoted(&folder),
                quoted(&data)
            )
        }
        Step::MakeKey(key) => format!(
            "As root: openssl rand -hex 32 | install -m 600 -o {name} /dev/stdin {}, or set {}",
            quoted(key),
            crate::variables::SECRET_KEY_VARIABLE
        ),
        _ if is_owner => {
            format!("Its owner needs more rights: chmod u+rwX {}", quoted(held))
        }
        Step::Read => format!("Ask as {owner}"),
        Step::Run(data) if data.join("log").is_dir() => {
            let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
            // Whoever runs the venue needs the key beside it, too.
            let key = DataFolder::new(data).ok().map(|folder| folder.secret_key()).filter(|key| key.exists());
            let key = key.map_or_else(String::new, |key| format!(" {}", quoted(&key)));
            let folder = quoted(&absolute);
            format!("Start as {owner}, or give it to the user that the venue runs as: chown -R {name} {folder}{key}")
        }
        Step::ReadKey(key) => {
            format!("Start as {owner}, or give it to the user that the venue runs as: chown {name} {}", quoted(key))
        }
        Step::Run(_) => format!("Start as {owner}, or name another folder"),
    }
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
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

    /// A user id that no user has, so that every folder here is another's.
    const STRANGER: u32 = 3_999_999_999;

    #[test]
    fn it_says_who_needs_what_and_how_to_get_it() {
        let outer = tempfile::tempdir().unwrap();
        let (outer, data) = (outer.path(), outer.path().join("it's a venue"));
        let says = |path: &Path, step: Step<'_>| described(STRANGER, path, step).to_string();
        let word = format!("'{}/it'\\''s a venue", outer.display());

        let absent = says(outer, Step::Make(&data));
        let advice =
            format!("As root: install -d -m 700 -o {STRANGER} {word}', then start with --data {word}/venue', which");
        assert!(absent.contains("may not make a folder in") && absent.contains(&advice), "{absent}");
        let absent = says(outer, Step::Make(&data.join("venue")));
        assert!(absent.contains(&advice), "a folder between the two is made: {absent}");

        fs::create_dir(&data).unwrap();
        let others = says(&data, Step::Run(&data));
        assert!(others.ends_with(", or name another folder") && !others.contains("chown"), "{others}");
        fs::create_dir(data.join("log")).unwrap();
        let others = says(&data, Step::Run(&data));
        assert!(others.ends_with(&format!("chown -R {STRANGER} {word}'")), "{others}");
        let own_key = outer.join("it's a venue.secret-key");
        fs::write(&own_key, "").unwrap();
        let others = says(&data, Step::Run(&data));
        assert!(others.ends_with(&format!("chown -R {STRANGER} {word}' {word}.secret-key'")), "{others}");
        let others = says(&own_key, Step::ReadKey(&own_key));
        assert!(others.contains("may not read") && others.ends_with(&format!("chown {STRANGER} {word}.secret-key'")));
        let others = says(&data, Step::Read);
        assert!(others.contains(". Ask as ") && !others.contains("chown"), "{others}");
        let hidden = says(&data.join("unseen/log"), Step::Read);
        assert!(hidden.contains(&format!("unseen/log, because {} belongs to", data.display())), "{hidden}");

        let key = says(outer, Step::MakeKey(&outer.join("venue.secret-key")));
        let advice = format!("install -m 600 -o {STRANGER} /dev/stdin '{}/venue.secret-key', or set", outer.display());
        assert!(key.contains(&advice), "{key}");
        assert_eq!(name(0).as_deref(), Some("root"));
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_not_a_matter_of_rights() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(check(&file.path().join("venue"), Need::Run).is_ok());
    }

    #[test]
    fn a_folder_of_our_own_is_fine_and_so_is_one_that_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(folder.path(), Need::Run).is_ok() && check(folder.path(), Need::Read).is_ok());
        assert!(check(&folder.path().join("a/b"), Need::Run).is_ok());
    }
}
