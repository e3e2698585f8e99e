//! Splits an input into parts.

/// The first byte, and the rest. An empty input begins with a zero.
#[must_use]
pub fn choice(input: &[u8]) -> (u8, &[u8]) {
    input.split_first().map_or((0, input), |(first, rest)| (*first, rest))
}

/// The text before the first `mark`, and that after it.
#[must_use]
pub fn halves(text: &str, mark: char) -> (&str, &str) {
    text.split_once(mark).unwrap_or((text, ""))
}

/// The bytes as text, as far as they are.
#[must_use]
pub fn text(input: &[u8]) -> &str {
    match std::str::from_utf8(input) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&input[..error.valid_up_to()]).unwrap_or_default(),
    }
}
