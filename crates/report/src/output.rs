//! Standard output, which may have a reader that does not stay to the end.

use std::io::{ErrorKind, Result, Write as _, stdout};

/// Prints a text to standard output. A reader that has gone is no failure.
///
/// # Errors
/// When the text cannot be written for another reason.
pub fn print(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
