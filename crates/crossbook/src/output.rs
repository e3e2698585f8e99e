//! Standard output, which may have a reader that does not stay to the end.

use std::io::{ErrorKind, Result, Write as _, stdout};

/// Writes a text. That nobody reads it any more is no failure.
///
/// # Errors
/// When it cannot be written for another reason.
pub fn tell(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        told => told,
    }
}
