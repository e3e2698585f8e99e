//! Records which compiler builds the program, because a figure means little without it.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).arg("--version").output().ok().filter(|output| output.status.success());
    let version = output.and_then(|output| String::from_utf8(output.stdout).ok());
    let version = version.as_deref().map(str::trim).filter(|version| !version.is_empty());
    println!("cargo::rustc-env=CROSSBOOK_RUSTC={}", version.unwrap_or("rustc of an unknown version"));
}
