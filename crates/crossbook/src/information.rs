//! `crossbook completions` and `crossbook man`: what is drawn from the description of the command line.

use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::command::CommandLine;
use crate::command::information::{Completions, Man};

/// Pages cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}; choose another folder with --out", path.display())]
pub struct Error {
    path: PathBuf,
    source: std::io::Error,
}

/// The script that completes the command line in a shell.
#[must_use]
pub fn completions(options: &Completions) -> String {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut CommandLine::command(), "crossbook", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The page of the program; or, once the pages are written, where they are.
///
/// # Errors
/// When they cannot be written.
pub fn manual(options: &Man) -> Result<String, Error> {
    let mut command = CommandLine::command();
    let Some(folder) = &options.out else {
        let mut page = Vec::new();
        let failed = |source| Error { path: PathBuf::from("the manual"), source };
        clap_mangen::Man::new(command).render(&mut page).map_err(failed)?;
        return Ok(String::from_utf8_lossy(&page).into_owned());
    };
    let failed = |source| Error { path: folder.clone(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    // It gives commands their full names, such as crossbook-store-verify.
    command.build();
    clap_mangen::generate_to(command, folder).map_err(failed)?;
    Ok(format!("{} has the pages; `man -M` reads them where `man` does not look\n", folder.display()))
}
