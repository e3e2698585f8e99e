//! Tells the program which compiler builds it, for the reports of what it measures.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output().ok().map(|output| output.stdout);
    let version = version.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
    let version = if version.trim().is_empty() { "rustc of an unknown version" } else { version.trim() };
    println!("cargo::rustc-env=CROSSBOOK_RUSTC={version}");
}
