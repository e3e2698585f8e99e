//! What an operator has asked: the gateway, and a note for the operator log that the commands of the request carry.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use crossbook_gateway::{Gateway, Reply};
use crossbook_protocol::command::Body;
use crossbook_protocol::command::Operated;
use crossbook_protocol::operator::Note;
use crossbook_protocol::{Answer, Rules};
use http::request::Parts;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode;

use crate::error::AdminError;
use crate::permission::Kind;
use crate::tokens::Identity;

/// The header with the reason of a request, percent-encoded UTF-8.
const REASON: &str = "crossbook-reason";

/// What stands for the end of a request that is too long for the operator log.
const ELLIPSIS: char = '…';

/// Whether the active rules are known to be new enough for notes: they never become older.
#[derive(Debug, Default)]
pub(crate) struct NotesAllowed(AtomicBool);

/// A request of an operator. Commands that it leads to are sent with [`Asked::submit`].
pub(crate) struct Asked<'a> {
    gateway: &'a Gateway,
    allowed: &'a NotesAllowed,
    /// `None` for a request that changes nothing.
    note: Option<Note>,
}

impl Deref for Asked<'_> {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        self.gateway
    }
}

impl<'a> Asked<'a> {
    /// A request that changes nothing.
    pub(crate) fn to_read(gateway: &'a Gateway, allowed: &'a NotesAllowed) -> Self {
        Self { gateway, allowed, note: None }
    }

    /// A request of that operator that changes something.
    ///
    /// # Errors
    /// 400 if its reason is too long, or if it moves money and is too long for the operator log.
    pub(crate) fn to_change(
        gateway: &'a Gateway,
        allowed: &'a NotesAllowed,
        operator: &Identity,
        kind: Kind,
        head: &Parts,
        body: &Bytes,
    ) -> Result<Self, AdminError> {
        let reason = reason(&head.headers)?;
        let path = head.uri.path().strip_prefix("/admin/v1/").unwrap_or_default();
        let action = action(kind, &head.method, path, body)?;
        let note = Note::new(&operator.name, &action, &reason);
        Ok(Self { gateway, allowed, note: Some(note) })
    }

    /// The same request, for a reason that its body names.
    ///
    /// # Errors
    /// 400 if there is none, or it is too long.
    pub(crate) fn because(&self, reason: &str) -> Result<Self, AdminError> {
        let reason = checked(reason)?;
        if reason.is_empty() {
            return Err(AdminError::invalid("reason must say why."));
        }
        let note = self.note.as_ref().map(|note| Note::new(note.operator(), note.action(), &reason));
        Ok(Self { gateway: self.gateway, allowed: self.allowed, note })
    }

    /// The same request in other words, of which the operator log has at least the `first`.
    ///
    /// # Errors
    /// 400 if they are too long for that.
    pub(crate) fn in_words(&self, first: &str, rest: &str) -> Result<Self, AdminError> {
        fits(&format!("{first}{ELLIPSIS}"))?;
        let action = shortened(printable(&format!("{first}{rest}")));
        let note = self.note.as_ref().map(|note| Note::new(note.operator(), &action, note.reason()));
        Ok(Self { gateway: self.gateway, allowed: self.allowed, note })
    }

    /// Sends a command, with the note if there is one, and waits for its outcome.
    pub(crate) async fn submit(&self, body: Body) -> Result<Reply, AdminError> {
        let body = match &self.note {
            Some(note) if self.notes_are_allowed().await? => {
                Body::Operated(Box::new(Operated { note: note.clone(), body }))
            }
            _ => body,
        };
        Ok(self.gateway.submit(body, None).await?)
    }

    /// Whether partitions know commands with notes, which takes rules 4.
    async fn notes_are_allowed(&self) -> Result<bool, AdminError> {
        if self.allowed.0.load(Ordering::Relaxed) {
            return Ok(true);
        }
        // Rules are never taken back, so this only asks.
        let asked = self.gateway.submit(Body::ActivateRules(Rules::default()), None).await?;
        let allowed = matches!(asked.outcome, Ok(Answer::RulesActive(active)) if active >= Rules::V4);
        self.allowed.0.store(allowed, Ordering::Relaxed);
        Ok(allowed)
    }
}

/// The reason that the head of a request names; empty if it names none.
fn reason(headers: &HeaderMap) -> Result<String, AdminError> {
    let given = headers.get(REASON).map_or(&b""[..], |value| value.as_bytes());
    checked(&percent_decode(given).decode_utf8_lossy())
}

fn checked(reason: &str) -> Result<String, AdminError> {
    let reason = printable(reason.trim());
    if reason.len() > Note::REASON_BYTES_MAX {
        return Err(AdminError::invalid(format!("The reason may have at most {} bytes.", Note::REASON_BYTES_MAX)));
    }
    Ok(reason)
}

/// What is asked for: method, path and body.
///
/// # Errors
/// 400 if it moves money and is too long for the operator log.
fn action(kind: Kind, method: &Method, path: &str, body: &[u8]) -> Result<String, AdminError> {
    let body = String::from_utf8_lossy(body);
    let words = body.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let action = printable(format!("{method} {path} {words}").trim_end());
    if kind == Kind::MovesMoney {
        fits(&action)?;
    }
    Ok(shortened(action))
}

/// Checks that the operator log can have all of this text.
fn fits(action: &str) -> Result<(), AdminError> {
    if action.len() > Note::ACTION_BYTES_MAX {
        return Err(AdminError::invalid(format!(
            "The request has more than the {} bytes that the operator log can tell; leave out what is not needed.",
            Note::ACTION_BYTES_MAX
        )));
    }
    Ok(())
}

/// The text as the operator log can have it.
fn shortened(mut action: String) -> String {
    if action.len() > Note::ACTION_BYTES_MAX {
        action.truncate(action.floor_char_boundary(Note::ACTION_BYTES_MAX - ELLIPSIS.len_utf8()));
        action.push(ELLIPSIS);
    }
    action
}

/// Whether a character steers what shows it: control characters, and those that turn the direction of writing.
#[must_use]
pub fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text without characters that steer what shows it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_money_is_told_in_full_or_refused() {
        let told = |kind, body: &str| action(kind, &Method::POST, "a", body.as_bytes());
        let longest = format!("POST a {}", "0".repeat(993));
        assert_eq!(told(Kind::MovesMoney, &longest[7..]), Ok(longest.clone()));
        assert_eq!(told(Kind::Changes, &longest[7..]), Ok(longest));
        let refused = told(Kind::MovesMoney, &"0".repeat(994)).unwrap_err();
        assert!(refused.status == 400 && refused.message.contains("1000 bytes"), "{refused}");
        let cut = told(Kind::Changes, &"한".repeat(400)).unwrap();
        assert!(cut.len() <= Note::ACTION_BYTES_MAX && cut.ends_with("한…"), "{cut}");
    }

    #[test]
    fn what_steers_is_not_told() {
        let told = action(Kind::Changes, &Method::POST, "a", "{\n\t\"a\":\t\"\u{202e}b\u{2066}\u{1b}\" }\n".as_bytes());
        assert_eq!(told, Ok(r#"POST a { "a": " b  " }"#.to_owned()));
        assert_eq!(checked(" a\u{202e}b "), Ok("a b".to_owned()));
    }
}
