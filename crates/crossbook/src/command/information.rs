//! The options of `crossbook completions` and `crossbook man`, and the text of `crossbook --version`.

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::Args;
use clap_complete::Shell;

/// The version in one line: that of the program, and the commit that it was built from.
pub const SHORT_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("CROSSBOOK_COMMIT"), ")");

/// The version, with those of the formats that the program writes and reads.
#[must_use]
pub fn long_version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{} (commit {})\nlog segments {}, records {}, snapshots {}, exports {}, history {}",
            env!("CARGO_PKG_VERSION"),
            env!("CROSSBOOK_COMMIT"),
            crossbook_log::SEGMENT_VERSION,
            crossbook_protocol::wire::VERSION,
            crossbook_node::snapshot::VERSION,
            crossbook_node::export::VERSION,
            crossbook_store::SCHEMA_VERSION,
        )
    });
    &TEXT
}

/// Examples for the help text.
pub const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  For bash:
    mkdir -p ~/.local/share/bash-completion/completions
    crossbook completions bash > ~/.local/share/bash-completion/completions/crossbook

  For zsh, in a folder that is in $fpath:
    mkdir -p ~/.zfunc
    crossbook completions zsh > ~/.zfunc/_crossbook

  For fish:
    mkdir -p ~/.config/fish/completions
    crossbook completions fish > ~/.config/fish/completions/crossbook.fish";

/// Examples for the help text.
pub const MAN_EXAMPLES: &str = "\
Examples:
  Read the manual:
    crossbook man | man -l -

  Install one page for each command, for `man crossbook` and `man crossbook-serve`:
    crossbook man --out /usr/local/share/man/man1";

/// `crossbook completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// `crossbook man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Folder for one page per command, created if absent; without it, the page of `crossbook` is printed.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
