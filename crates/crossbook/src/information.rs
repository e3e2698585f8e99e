//! `crossbook completions` and `crossbook man`, generated from the definition of the command line.

use std::path::{Path, PathBuf};

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
    // The pages say all that `help` does.
    let mut command = CommandLine::command().disable_help_subcommand(true);
    let Some(folder) = &options.out else {
        return page(command).map_err(|source| Error { path: PathBuf::from("the manual"), source });
    };
    let failed = |source| Error { path: folder.clone(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    // It gives commands their full names, such as crossbook-store-verify.
    command.build();
    write_pages(&command, folder).map_err(failed)?;
    Ok(format!("{} has the pages; `man -M` reads them where `man` does not look\n", folder.display()))
}

/// Writes the page of a command, and those of the commands below it.
fn write_pages(command: &clap::Command, folder: &Path) -> std::io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_pages(below, folder)?;
    }
    let name = clap_mangen::Man::new(command.clone()).get_filename();
    std::fs::write(folder.join(name), page(command.clone())?)
}

/// The page of a command. Its examples are lines to paste, so `man` must not fill them up.
fn page(command: clap::Command) -> std::io::Result<String> {
    const EXTRA: &str = ".SH EXTRA\n";
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    let Some((before, extra)) = page.split_once(EXTRA) else { return Ok(page.into_owned()) };
    let extra = extra.strip_prefix("Examples:\n").unwrap_or(extra);
    let (examples, after) = extra.split_at(extra.find("\n.SH ").map_or(extra.len(), |end| end + 1));
    Ok(format!("{before}.SH EXAMPLES\n.nf\n{}\n.fi\n{after}", examples.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_keep_lines_to_paste_and_there_are_none_of_help() {
        let folder = tempfile::tempdir().unwrap();
        manual(&Man { out: Some(folder.path().to_owned()) }).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert!(names.contains(&"crossbook-store-verify.1".to_owned()) && names.contains(&"crossbook.1".to_owned()));
        assert!(!names.iter().any(|name| name.contains("help")), "{names:?}");
        for name in names {
            let page = std::fs::read_to_string(folder.path().join(&name)).unwrap();
            assert!(!page.contains(".SH EXTRA"), "{name}");
            let Some((_, examples)) = page.split_once(".SH EXAMPLES\n.nf\n") else { continue };
            let (examples, _) = examples.split_once("\n.fi\n").unwrap();
            assert!(examples.lines().any(|line| line.starts_with("    ")) && !examples.contains(".SH"), "{name}");
        }
    }
}
