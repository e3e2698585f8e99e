//! Every line that somebody may paste into a shell: those in the help texts, the README and the documents. Each snippet
//! is pasted into a real shell, in which most programs are replaced by one that records its arguments; `crossbook` must
//! accept its command line, and the target of a `make` must exist. The client suite tests which of them also work on a
//! running venue.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use super::CommandLine;

/// What every snippet can use as it is.
const PROGRAMS: [&str; 9] = ["cat", "date", "head", "mkdir", "openssl", "printf", "sed", "sleep", "tr"];
/// Ends an argument.
const ARGUMENT: char = '\u{1f}';
/// Ends a command.
const COMMAND: char = '\u{1e}';

/// Writes down what is called in its place.
const RECORDER: &str = r#"
record() { local IFS=$'\037'; printf '%s\037\036' "$*" >> "$RECORD"; }
command_not_found_handle() { record "$@"; }
kill() { record kill "$@"; }
cat() { if [ $# = 0 ]; then command cat; else record cat "$@"; printf 'contents\n'; fi; }
export -f record command_not_found_handle kill cat
"#;

struct Snippet {
    place: String,
    text: String,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The blocks of a document that a shell is to read.
fn of_document(path: &Path) -> Vec<Snippet> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut found = Vec::new();
    for (at, block) in text.split("```").enumerate() {
        let (language, block) = block.split_once('\n').unwrap_or_default();
        if at % 2 == 1 && ["sh", "bash", "shell", "console"].contains(&language) {
            found.push(Snippet { place: path.display().to_string(), text: block.to_owned() });
        }
    }
    found
}

/// The lines of a help text that are indented by four spaces, with these spaces: who copies a line, copies them too.
fn of_help(place: &str, text: &str) -> Vec<Snippet> {
    let mut found: Vec<Snippet> = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        let code = line.strip_prefix("    ").filter(|code| is_inside || !code.starts_with(' '));
        match code {
            Some(_) if is_inside => found.last_mut().unwrap().text.push_str(&format!("{line}\n")),
            Some(_) => found.push(Snippet { place: place.to_owned(), text: format!("{line}\n") }),
            None => {}
        }
        is_inside = code.is_some();
    }
    found
}

/// All documents in a folder and in those below it.
fn documents_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(documents_in(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

fn all() -> Vec<Snippet> {
    let mut documents = documents_in(&repository().join("docs"));
    documents.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| repository().join(name)));
    documents.sort();
    let mut found: Vec<Snippet> = documents.iter().flat_map(|path| of_document(path)).collect();
    fn walk(command: &clap::Command, place: &str, found: &mut Vec<Snippet>) {
        for text in [command.get_after_long_help(), command.get_long_about()].into_iter().flatten() {
            found.extend(of_help(place, &text.to_string()));
        }
        for subcommand in command.get_subcommands() {
            walk(subcommand, &format!("{place} {}", subcommand.get_name()), found);
        }
    }
    walk(&CommandLine::command(), "crossbook", &mut found);
    found
}

/// Pastes a snippet into a shell; the commands that were called there.
fn paste(snippet: &Snippet, folder: &Path) -> Vec<Vec<String>> {
    let record = folder.join("record");
    let _ = std::fs::remove_file(&record);
    let shell = |arguments: &[&str], script: &str| {
        let mut command = Command::new("/bin/bash");
        command.args(["--noprofile", "--norc"]).args(arguments).arg(script).current_dir(folder).env_clear();
        command.env("PATH", folder.join("bin")).env("HOME", folder).env("RECORD", &record).env("LC_ALL", "C.UTF-8");
        command.env("CROSSBOOK_ADMIN_TOKEN", "a-token-of-some-length").env("KEY", "key").env("SECRET", "secret");
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && told.is_empty(), "{}:\n{}\n{told}", snippet.place, snippet.text);
    };
    let is_elsewhere = snippet.text.contains("> /");
    assert!(!is_elsewhere, "{}: write files where the reader is, or below ~:\n{}", snippet.place, snippet.text);
    shell(&["-n", "-c"], &snippet.text);
    shell(&["-eu", "-o", "pipefail", "-c"], &format!("{RECORDER}\n{}", snippet.text));
    let recorded = std::fs::read_to_string(&record).unwrap_or_default();
    let commands = recorded.split_terminator(COMMAND);
    commands.map(|command| command.split_terminator(ARGUMENT).map(str::to_owned).collect()).collect()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let here = |name: &str| folder.path().join(name);
    for made in ["bin", "venv/bin", "target/release"] {
        std::fs::create_dir_all(here(made)).unwrap();
    }
    for program in PROGRAMS {
        let found = ["/usr/bin", "/bin", "/usr/local/bin"].map(|place| Path::new(place).join(program));
        let found =
            found.into_iter().find(|path| path.exists()).unwrap_or_else(|| panic!("no {program} on this machine"));
        std::os::unix::fs::symlink(found, here("bin").join(program)).unwrap();
    }
    std::fs::write(here("venv/bin/activate"), "").unwrap();
    // By its path it is no command that is not found.
    let built = here("target/release/crossbook");
    std::fs::write(&built, "#!/bin/bash\nrecord crossbook \"$@\"\n").unwrap();
    std::fs::set_permissions(&built, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

/// Pastes a snippet and holds what it calls to what there is; how often it calls `crossbook`.
fn check(snippet: &Snippet, folder: &Path, makefile: &str) -> usize {
    let mut called = 0;
    for command in paste(snippet, folder) {
        match command[0].as_str() {
            "crossbook" => {
                called += 1;
                let read = CommandLine::try_parse_from(&command).map(drop);
                let is_shown =
                    |error: &clap::Error| matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
                let refused = read.err().filter(|error| !is_shown(error));
                assert!(refused.is_none(), "{}: {}\n{}", snippet.place, command.join(" "), refused.unwrap());
            }
            "make" => {
                for target in command[1..].iter().filter(|word| !word.contains('=')) {
                    let is_there = makefile.contains(&format!("\n{target}:"));
                    assert!(is_there, "{}: there is no target {target}", snippet.place);
                }
            }
            _ => {}
        }
    }
    called
}

#[test]
fn the_first_steps_on_a_cluster_are_commands() {
    let text = crossbook_demo::cluster::first_steps("crossbook", "127.0.0.1:8081", "a-token");
    let snippet = Snippet { place: "printed".to_owned(), text };
    assert_eq!(check(&snippet, folder().path(), ""), 6);
}

#[test]
fn every_snippet_is_read_by_a_shell_and_calls_what_there_is() {
    let (folder, makefile) = (folder(), std::fs::read_to_string(repository().join("Makefile")).unwrap());
    let (mut pasted, mut called) = (0, 0);
    for snippet in all() {
        pasted += 1;
        called += check(&snippet, folder.path(), &makefile);
    }
    assert!(pasted > 50 && called > 60, "{pasted} snippets, {called} calls");
}

#[test]
fn the_settings_in_the_help_of_the_roles_are_settings() {
    let folder = folder();
    let snippets = of_help("crossbook gateway", super::cluster::EXAMPLES);
    paste(snippets.iter().find(|snippet| snippet.text.contains("> cluster.toml")).unwrap(), folder.path());
    let written = folder.path().join("cluster.toml");
    let config = crossbook_venue::config::Config::load(Some(&written), Default::default()).unwrap();
    assert_eq!(config.cluster.redis.servers.len(), 2);
    assert_ne!(config.cluster.snapshots.address, Default::default());
}

#[test]
fn what_a_shell_does_not_read_is_found() {
    let snippet = |text: &str| Snippet { place: "here".to_owned(), text: text.to_owned() };
    let folder = folder();
    let [indented] = &of_help("here", "Examples:\n    cat > f <<'END'\n    [a]\n    END\n")[..] else { panic!() };
    assert!(std::panic::catch_unwind(|| paste(indented, folder.path())).is_err(), "a here-document that never ends");
    let called = paste(&snippet("A='x y' crossbook serve --data \\\n  'my venue'\n"), folder.path());
    assert_eq!(called, [["crossbook", "serve", "--data", "my venue"]]);
    let broken = std::panic::catch_unwind(|| paste(&snippet("curl -H 'X-MBX-APIKEY: $KEY\n"), folder.path()));
    assert!(broken.is_err());
    let unset = std::panic::catch_unwind(|| paste(&snippet("curl \"$NOT_SET\"\n"), folder.path()));
    assert!(unset.is_err());
}
