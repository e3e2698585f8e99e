//! Reports and figures as files.

use std::path::{Path, PathBuf};

use crate::document::Report;

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}; choose another file or make room", path.display())]
pub struct Error {
    path: PathBuf,
    source: std::io::Error,
}

impl Report {
    /// Writes the report to a file: as Markdown if its name ends in `.md`, as one HTML page otherwise.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let is_markdown = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("md"));
        let text = if is_markdown { self.markdown() } else { self.html() };
        std::fs::write(path, text).map_err(|source| Error { path: path.to_owned(), source })
    }
}

/// Writes a value to a file as JSON, for programs to read.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
    let written = serde_json::to_vec_pretty(value).map_err(std::io::Error::from).and_then(|mut json| {
        json.push(b'\n');
        std::fs::write(path, json)
    });
    written.map_err(|source| Error { path: path.to_owned(), source })
}
