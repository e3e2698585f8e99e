//! What an operator has asked: the gateway, and a note for the operator log that the commands of the request carry.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use crossbook_gateway::{Gateway, Reply};
use crossbook_protocol::command::Body;
use crossbook_protocol::operator::{Note, Operated};
use crossbook_protocol::{Answer, Rules};
use http::HeaderMap;
use http::request::Parts;
use percent_encoding::percent_decode;

use crate::error::AdminError;
use crate::tokens::Identity;

/// The header with the reason of a request, percent-encoded UTF-8.
const REASON: &str = "crossbook-reason";

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
    /// 400 if its reason is too long.
    pub(crate) fn to_change(
        gateway: &'a Gateway,
        allowed: &'a NotesAllowed,
        operator: &Identity,
        head: &Parts,
        body: &Bytes,
    ) -> Result<Self, AdminError> {
        let reason = reason(&head.headers)?;
        let path = head.uri.path().strip_prefix("/admin/v1/").unwrap_or_default();
        let text = String::from_utf8_lossy(body);
        let words = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let action = format!("{} {path} {words}", head.method);
        let note = Note::new(&operator.name, printable(&action).trim_end(), &reason);
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

/// The text without control characters.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
