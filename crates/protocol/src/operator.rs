//! Who asks for what an operator asks, and why. A command of an operator ([`crate::command::Operated`]) carries a
//! [`Note`], so that the log tells both in one record, and its events have one that repeats the note: the operator log
//! is a fold of these.

use crate::refusal::Refusal;

/// Who asks, what for, and why. Its texts are bounded; what is longer is cut off.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Note {
    pub(crate) operator: String,
    pub(crate) action: String,
    pub(crate) reason: String,
}

impl Note {
    /// The most bytes of an operator's name.
    pub const OPERATOR_BYTES_MAX: usize = 64;
    /// The most bytes of what is asked for.
    pub const ACTION_BYTES_MAX: usize = 1_000;
    /// The most bytes of a reason.
    pub const REASON_BYTES_MAX: usize = 500;

    /// The most bytes of a note in a record.
    pub const BYTES_MAX: usize = Self::OPERATOR_BYTES_MAX + Self::ACTION_BYTES_MAX + Self::REASON_BYTES_MAX + 64;

    /// A note of `operator`, who asks for `action` because of `reason`, which may be empty.
    #[must_use]
    pub fn new(operator: &str, action: &str, reason: &str) -> Self {
        Self {
            operator: cut(operator, Self::OPERATOR_BYTES_MAX),
            action: cut(action, Self::ACTION_BYTES_MAX),
            reason: cut(reason, Self::REASON_BYTES_MAX),
        }
    }

    /// The name of the operator.
    #[must_use]
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// What the operator asks for, in words for people.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// Why; empty if the operator does not say.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, bytes_max: usize) -> String {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// What an operator has asked for, and whether it was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acted {
    /// Who asked, and why.
    pub note: Note,
    /// Why nothing was done; `None` if it was done, or another partition decides.
    pub refused: Option<Refusal>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        let note = Note::new(&"a".repeat(100), &"한".repeat(400), "why");
        assert_eq!((note.operator().len(), note.action().len(), note.reason()), (64, 999, "why"));
    }
}
