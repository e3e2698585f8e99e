//! Records which compiler builds the program and from which commit, for `--version`, the metrics and the reports of
//! measurements.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    println!("cargo::rerun-if-env-changed=CROSSBOOK_COMMIT");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = output(Command::new(rustc).arg("--version"));
    println!("cargo::rustc-env=CROSSBOOK_RUSTC={}", version.as_deref().unwrap_or("rustc of an unknown version"));
    println!("cargo::rustc-env=CROSSBOOK_COMMIT={}", commit());
}

/// The commit that is built: what the environment says, for builds outside a checkout, or what git says. Debug builds
/// do not name one, so that a commit does not compile the program anew.
fn commit() -> String {
    if let Ok(commit) = std::env::var("CROSSBOOK_COMMIT") {
        return commit;
    }
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return "debug".to_owned();
    }
    let git = |arguments: &[&str]| output(Command::new("git").args(arguments));
    // Every commit, checkout and reset adds a line to this file.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned())
}

/// What a command prints, without the line end; `None` if it fails or prints nothing.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
