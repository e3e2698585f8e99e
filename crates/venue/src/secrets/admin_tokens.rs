//! The operators and their tokens: one token in the environment, or several in a file, a line each. A line is a token,
//! whose operator may do everything, or the name of an operator, a role, and a token. The file is read again while the
//! venue runs, so that a token is replaced without a restart: add the new one, change the clients over, remove the old
//! one. What is read again is believed when it is read a second time, unchanged: the first time the file may have been
//! there in part.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbook_api_admin::{Operator, Role, Tokens};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    ADMIN_TOKEN_FILE_VARIABLE, ADMIN_TOKEN_LENGTH_MIN, ADMIN_TOKEN_VARIABLE, Error, check_admin_token, variable,
};

/// The most tokens in a file: every request is compared with all of them.
const TOKENS_MAX: usize = 64;
/// The most bytes of an operator's name.
const NAME_BYTES_MAX: usize = 32;
/// The most bytes of the file.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// The admin tokens of a process, and where they come from.
#[derive(Debug)]
pub struct AdminTokens {
    file: Option<PathBuf>,
    /// Those that were read last.
    known: Vec<Operator>,
    shared: Tokens,
}

impl AdminTokens {
    /// The tokens that the environment has or names.
    ///
    /// # Errors
    /// When there is none, one is short or unusable in a header, or the file cannot be read.
    pub fn find() -> Result<Self, Error> {
        let file = variable(ADMIN_TOKEN_FILE_VARIABLE)?.filter(|path| !path.is_empty()).map(PathBuf::from);
        let token = variable(ADMIN_TOKEN_VARIABLE)?;
        let known = match (&file, token) {
            (Some(_), Some(token)) if !token.is_empty() => return Err(Error::TwoSourcesOfTokens),
            (Some(path), _) => read(path)?,
            (None, token) => vec![check_admin_token(token.ok_or(Error::NoAdminToken)?)?.into()],
        };
        let shared = Tokens::new(known.clone());
        Ok(Self { file, known, shared })
    }

    /// The first of them, which a client shows.
    pub(super) fn first(self) -> Result<SecretString, Error> {
        self.known.into_iter().next().map(|operator| operator.token).ok_or(Error::NoAdminToken)
    }

    /// What the admin API admits.
    #[must_use]
    pub fn shared(&self) -> Tokens {
        self.shared.clone()
    }

    /// Reads the file again at an interval and admits what is in it. A file that cannot be used leaves the tokens as
    /// they are, and `crossbook_admin_tokens_unusable` is 1 for as long. Ends at once if there is no file, or the
    /// interval is zero.
    pub async fn follow(mut self, every: Duration) {
        let unusable = metrics::gauge!("crossbook_admin_tokens_unusable");
        unusable.set(0.0);
        let Some(file) = self.file.take().filter(|_| !every.is_zero()) else { return };
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = None;
        loop {
            ticks.tick().await;
            let path = file.clone();
            let seen = match tokio::task::spawn_blocking(move || read(&path)).await {
                Ok(read) => read.map_err(|error| error.to_string()),
                Err(panic) => Err(panic.to_string()),
            };
            self.look(seen, &mut before);
            unusable.set(f64::from(u8::from(before.as_ref().is_some_and(Seen::is_unusable))));
        }
    }

    /// Takes in what the file has now, if it had the same `before`.
    fn look(&mut self, seen: Result<Vec<Operator>, String>, before: &mut Option<Seen>) {
        if before.as_ref().is_none_or(|before| !before.is_same(&seen)) {
            *before = Some(Seen { what: seen, is_believed: false });
            return;
        }
        let Some(before) = before.as_mut().filter(|before| !before.is_believed) else { return };
        before.is_believed = true;
        match seen {
            Ok(read) => self.admit(read),
            Err(error) => tracing::warn!(error, "the admin tokens stay as they are"),
        }
    }

    fn admit(&mut self, read: Vec<Operator>) {
        if !are_same(&read, &self.known) {
            tracing::info!(tokens = read.len(), "the admin tokens were replaced");
            self.shared.replace(read.clone());
            self.known = read;
        }
    }
}

/// What the file had when it was read last.
struct Seen {
    what: Result<Vec<Operator>, String>,
    /// Whether it was read twice alike.
    is_believed: bool,
}

impl Seen {
    fn is_same(&self, other: &Result<Vec<Operator>, String>) -> bool {
        match (&self.what, other) {
            (Ok(one), Ok(other)) => are_same(one, other),
            (Err(one), Err(other)) => one == other,
            _ => false,
        }
    }

    fn is_unusable(&self) -> bool {
        self.is_believed && self.what.is_err()
    }
}

fn are_same(one: &[Operator], other: &[Operator]) -> bool {
    // Compared in place: no copy of a token is left in memory.
    let is_same = |one: &Operator, other: &Operator| {
        one.identity == other.identity && one.token.expose_secret() == other.token.expose_secret()
    };
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
}

/// The operators in a file, a line each; empty lines do not count.
fn read(path: &Path) -> Result<Vec<Operator>, Error> {
    let wrong = |why: String| Error::TokenFile { path: path.to_owned(), why };
    let mut text = String::new();
    let opened = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    let read = opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong(format!("it has more than {FILE_BYTES_MAX} bytes; write one token on each line")));
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return Err(wrong("there is none; write one token on each line".to_owned()));
    }
    if lines.len() > TOKENS_MAX {
        return Err(wrong(format!("there are more than {TOKENS_MAX}; remove old ones")));
    }
    let mut operators = Vec::<Operator>::with_capacity(lines.len());
    for (at, line) in lines.iter().enumerate() {
        let one = operator(line).map_err(|why| wrong(format!("token {} {why}", at + 1)))?;
        let is_same = |other: &Operator| other.token.expose_secret() == one.token.expose_secret();
        if let Some(first) = operators.iter().position(is_same) {
            return Err(wrong(format!("token {} is token {} again; give each line another one", at + 1, first + 1)));
        }
        operators.push(one);
    }
    Ok(operators)
}

/// What a line says: a token, or the name of an operator, a role, and a token. What is wrong with it otherwise, without
/// what stands there, since that may be a secret.
fn operator(line: &str) -> Result<Operator, String> {
    let weak = || format!("must have at least {ADMIN_TOKEN_LENGTH_MIN} printable ASCII characters, no blanks");
    let token = |text: &str| check_admin_token(text.to_owned()).map_err(|_| weak());
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    match words.as_slice() {
        [alone] => Ok(token(alone)?.into()),
        [name, role, secret] => {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
            if name.len() > NAME_BYTES_MAX || !name.chars().all(allowed) {
                return Err(format!(
                    "has a name of more than {NAME_BYTES_MAX} characters, or with others than letters, digits, and -_.@"
                ));
            }
            let role: Role = role.parse().map_err(|unknown| format!("has no role in the second place: {unknown}"))?;
            Ok(Operator::new(name, role, token(secret)?))
        }
        _ => Err("must be a token, or the name of an operator, a role, and a token".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_read_twice_is_believed() {
        let of = |tokens: &[&str]| -> Vec<Operator> {
            tokens.iter().map(|&token| SecretString::from(token).into()).collect()
        };
        let (old, new) = ("0123456789abcdef", "fedcba9876543210");
        let mut tokens = AdminTokens { file: None, known: of(&[old]), shared: Tokens::new(of(&[old])) };
        let mut before = None;
        let mut look = |seen: Result<&[&str], &str>| {
            tokens.look(seen.map(of).map_err(str::to_owned), &mut before);
            let known: Vec<String> =
                tokens.known.iter().map(|operator| operator.token.expose_secret().to_owned()).collect();
            (known, before.as_ref().is_some_and(Seen::is_unusable))
        };
        let knows = |tokens: &[&str]| tokens.iter().map(|&token| token.to_owned()).collect::<Vec<_>>();
        assert_eq!(look(Ok(&[old])), (knows(&[old]), false));
        // A file that is being written: first half of it is there, then all.
        assert_eq!(look(Ok(&[new])), (knows(&[old]), false));
        assert_eq!(look(Ok(&[new, old])), (knows(&[old]), false));
        assert_eq!(look(Ok(&[new, old])), (knows(&[new, old]), false));
        // One that is empty for a moment only is no reason to alarm anybody.
        assert_eq!(look(Err("there is none")), (knows(&[new, old]), false));
        assert_eq!(look(Ok(&[new])), (knows(&[new, old]), false));
        assert_eq!(look(Ok(&[new])), (knows(&[new]), false));
        for is_unusable in [false, true, true] {
            assert_eq!(look(Err("there is none")), (knows(&[new]), is_unusable));
        }
        // It is as wrong as before, in another way: known for certain with the next look.
        assert_eq!(look(Err("token 1 must have")), (knows(&[new]), false));
        assert_eq!(look(Err("token 1 must have")), (knows(&[new]), true));
        assert_eq!(look(Ok(&[new])), (knows(&[new]), false));
    }

    #[test]
    fn a_file_has_a_token_on_each_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let tokens = |text: &str| -> Result<Vec<String>, String> {
            std::fs::write(&path, text).unwrap();
            let read = read(&path).map_err(|error| error.to_string())?;
            Ok(read.iter().map(|operator| operator.token.expose_secret().to_owned()).collect())
        };
        let refusal = |text: &str| tokens(text).unwrap_err();
        assert_eq!(tokens("0123456789abcdef"), Ok(vec!["0123456789abcdef".to_owned()]));
        let two = vec!["0123456789abcdef".to_owned(), "fedcba9876543210".to_owned()];
        assert_eq!(tokens("0123456789abcdef\n\n fedcba9876543210 \n"), Ok(two));
        assert!(refusal("\n").contains("write one token on each line"));
        assert!(refusal("0123456789abcdef\nshort\n").contains("token 2 must have at least 16"));
        assert!(refusal(&"0123456789abcdef\n".repeat(65)).contains("remove old ones"));
        assert!(refusal("0123456789abcdef and\n").contains("token 1 must be a token, or the name of an operator"));
        let again = refusal("ann viewer 0123456789abcdef\nfedcba9876543210\nbob admin 0123456789abcdef\n");
        assert!(again.contains("token 3 is token 1 again") && !again.contains("abcdef"), "{again}");
        assert!(refusal(&"x".repeat(20_000)).contains("more than 16384 bytes"));
        std::fs::remove_file(&path).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("tokens, which CROSSBOOK_ADMIN_TOKEN_FILE names"));
    }

    #[test]
    fn a_line_may_name_an_operator_and_a_role() {
        let read = operator("ann@desk viewer  0123456789abcdef").unwrap();
        assert_eq!((&*read.identity.name, read.identity.role), ("ann@desk", Role::Viewer));
        assert_eq!(read.token.expose_secret(), "0123456789abcdef");
        let alone = operator("0123456789abcdef").unwrap();
        assert_eq!((&*alone.identity.name, alone.identity.role), ("operator", Role::Admin));
        for (line, why) in [
            ("ann root 0123456789abcdef", "roles are viewer, support, desk and admin"),
            ("ann viewer short", "must have at least 16"),
            ("a:b viewer 0123456789abcdef", "letters, digits"),
            ("ann viewer 0123456789abcdef more", "must be a token, or"),
        ] {
            let told = operator(line).unwrap_err();
            assert!(told.contains(why) && !told.contains("0123456789abcdef"), "{told}");
        }
    }
}
