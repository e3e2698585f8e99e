//! Help texts as they are shown. Examples contain lines that people paste into a shell, so they are never wrapped: a
//! terminal wraps a long line without changing what is copied, while a line break of ours would end a command in its
//! middle.
//!
//! clap wraps everything that it shows. So each text that must stay as it is is replaced by a word that clap cannot
//! break, and put back after the layout.

use std::ffi::OsString;
use std::io::IsTerminal as _;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory as _, FromArgMatches as _};

use super::CommandLine;

/// Stands before and after the number of a text. It is a character for private use, which no text of ours has.
const MARK: char = '\u{e000}';

/// The command line of this process. Where it asks for help or the version, or is wrong, that is shown and the process
/// ends.
#[must_use]
pub fn parse() -> CommandLine {
    match read(std::env::args_os()) {
        Ok(line) => line,
        Err(shown) => {
            if shown.is_error {
                eprint!("{}", shown.text);
            } else {
                // A reader that has left is no failure, and there is nobody to report another one to.
                let _ = crossbook_report::print(&shown.text);
            }
            std::process::exit(shown.status);
        }
    }
}

/// What is shown instead of carrying out a command.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) is_error: bool,
    pub(super) status: i32,
}

/// Reads a command line, whose first element is the name of the program.
///
/// # Errors
/// With what to show, when there is nothing to carry out.
pub(super) fn read(line: impl IntoIterator<Item = OsString>) -> Result<CommandLine, Shown> {
    let mut texts = Vec::new();
    let command = set_aside(CommandLine::command(), &mut texts);
    let line = with_help_at_the_end(&command, line.into_iter().collect());
    let read = command.try_get_matches_from(line).and_then(|matches| CommandLine::from_arg_matches(&matches));
    read.map_err(|error| {
        let is_error = error.use_stderr();
        let is_colored = if is_error { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        let is_colored = is_colored && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let rendered = error.render();
        let laid_out = if is_colored { rendered.ansi().to_string() } else { rendered.to_string() };
        let mut text = put_back(&laid_out, &texts);
        if error.kind() == ErrorKind::DisplayVersion && !text.ends_with('\n') {
            text.push('\n');
        }
        Shown { text, is_error, status: error.exit_code() }
    })
}

/// Puts marks in the place of all examples.
fn set_aside(mut command: Command, texts: &mut Vec<String>) -> Command {
    if let Some(text) = command.get_after_long_help() {
        texts.push(text.to_string());
        let mark = format!("{MARK}{}{MARK}", texts.len() - 1);
        command = command.after_long_help(mark);
    }
    command.mut_subcommands(|subcommand| set_aside(subcommand, texts))
}

/// Puts the examples in the place of their marks.
fn put_back(laid_out: &str, texts: &[String]) -> String {
    let mut out = String::with_capacity(laid_out.len() + 1_024);
    for (at, part) in laid_out.split(MARK).enumerate() {
        // Every second part stood between two marks.
        let text = (at % 2 == 1).then(|| part.parse::<usize>().ok()).flatten().and_then(|number| texts.get(number));
        out.push_str(text.map_or(part, String::as_str));
    }
    out
}

/// `crossbook serve help` means `crossbook serve --help`. clap knows `help` only where there are subcommands.
fn with_help_at_the_end(command: &Command, mut line: Vec<OsString>) -> Vec<OsString> {
    let Some((last, path)) = line.get(1..).and_then(<[_]>::split_last) else { return line };
    if last != "help" || path.is_empty() {
        return line;
    }
    let mut at = command;
    for name in path {
        let Some(next) = name.to_str().and_then(|name| at.find_subcommand(name)) else { return line };
        at = next;
    }
    if at.get_subcommands().next().is_none() {
        line.pop();
        line.push("--help".into());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Shown {
        read(line.split(' ').map(OsString::from)).unwrap_err()
    }

    /// All paths of subcommands, such as `store verify`.
    pub(crate) fn paths() -> Vec<Vec<String>> {
        fn walk(command: &Command, path: &[String], found: &mut Vec<Vec<String>>) {
            found.push(path.to_vec());
            for subcommand in command.get_subcommands() {
                let mut path = path.to_vec();
                path.push(subcommand.get_name().to_owned());
                walk(subcommand, &path, found);
            }
        }
        let mut found = Vec::new();
        walk(&CommandLine::command(), &[], &mut found);
        found
    }

    #[test]
    fn help_is_a_subcommand_at_every_level() {
        for path in paths() {
            let path: String = path.iter().map(|name| format!("{name} ")).collect();
            let asked = shown(&format!("crossbook {path}--help"));
            assert!(!asked.is_error && asked.status == 0, "{path}");
            assert_eq!(shown(&format!("crossbook {path}help")).text, asked.text, "{path}");
            if !path.is_empty() {
                assert_eq!(shown(&format!("crossbook help {}", path.trim_end())).text, asked.text, "{path}");
            }
        }
    }

    #[test]
    fn examples_are_laid_out_as_they_are_written() {
        for path in paths() {
            let mut command = CommandLine::command();
            for name in &path {
                command = command.find_subcommand(name).unwrap().clone();
            }
            let line: Vec<_> = std::iter::once("crossbook").chain(path.iter().map(String::as_str)).collect();
            let text = shown(&format!("{} --help", line.join(" "))).text;
            if let Some(examples) = command.get_after_long_help() {
                assert!(text.contains(&examples.to_string()), "{line:?}");
            }
            assert!(!text.contains(MARK), "{line:?}");
        }
    }
}
