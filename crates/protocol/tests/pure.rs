//! The pure crates are kept pure by lints that they deny, and by having next to no dependencies. Here is the proof that
//! the lints bite.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::Command;

const PURE: [&str; 5] = ["types", "book", "protocol", "ledger", "engine"];
const LINTS: [&str; 5] =
    ["disallowed_macros", "disallowed_methods", "disallowed_types", "float_arithmetic", "iter_over_hash_type"];
/// What a pure crate may depend on, besides other pure crates.
const DEPENDENCIES: [&str; 8] =
    ["arrayvec", "foldhash", "hashbrown", "postcard", "serde", "sha2", "smallvec", "thiserror"];

/// What must not be, and which lint says so.
const FORBIDDEN: [(&str, &str); 14] = [
    ("pub fn f() -> std::time::Instant { std::time::Instant::now() }", "disallowed_types"),
    (
        "pub fn f() -> u64 { std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_secs()) }",
        "disallowed_types",
    ),
    ("pub fn f(a: u64) -> bool { a as f64 > 1.5 }", "disallowed_types"),
    ("pub fn f() -> u64 { (0.1 + 0.2) as u64 }", "float_arithmetic"),
    ("pub fn f() { std::thread::spawn(|| ()); }", "disallowed_methods"),
    ("pub fn f() { std::thread::sleep(std::time::Duration::ZERO); }", "disallowed_methods"),
    ("pub static S: std::sync::Mutex<u8> = std::sync::Mutex::new(0);", "disallowed_types"),
    ("pub static S: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);", "disallowed_types"),
    ("pub fn f() -> Option<String> { std::env::var(\"HOME\").ok() }", "disallowed_methods"),
    ("pub fn f() -> Vec<u8> { std::fs::read(\"/etc/hosts\").unwrap_or_default() }", "disallowed_methods"),
    ("pub fn f() -> bool { std::net::TcpStream::connect(\"localhost:1\").is_ok() }", "disallowed_types"),
    ("pub fn f() { println!(\"here\"); }", "disallowed_macros"),
    ("pub type M = std::collections::HashMap<u8, u8>;", "disallowed_types"),
    ("pub fn f() -> std::hash::RandomState { std::hash::RandomState::new() }", "disallowed_types"),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What clippy says of a crate with these lines, under the workspace's own configuration. `None` if it says that all is
/// well.
fn clippy(source: &str, folder: &Path) -> Option<String> {
    let file = folder.join("lib.rs");
    std::fs::write(&file, source).unwrap();
    let lints = LINTS.iter().flat_map(|lint| ["-D".to_owned(), format!("clippy::{lint}")]);
    let output = Command::new("clippy-driver")
        .env("CLIPPY_CONF_DIR", repository())
        .args(["--edition", "2024", "--crate-type", "lib", "--crate-name", "offender", "--emit", "metadata"])
        .arg("--out-dir")
        .arg(folder)
        .args(lints)
        .arg(&file)
        .output()
        .expect("clippy is installed: rustup component add clippy");
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn whatever_is_not_pure_is_refused() {
    let folder = std::env::temp_dir().join(format!("crossbook-pure-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let good = clippy("pub fn f(a: u64) -> u64 { a.saturating_add(1) }", &folder);
    let bad: Vec<_> = FORBIDDEN.iter().map(|(source, lint)| (*source, *lint, clippy(source, &folder))).collect();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(good, None, "what is pure is not refused");
    for (source, lint, said) in bad {
        let said = said.unwrap_or_else(|| panic!("{source} is not refused"));
        let named = said.contains(&lint.replace('_', "-")) || said.contains(lint);
        assert!(named, "{source} is refused for another reason: {said}");
    }
}

/// The files of a folder and of those in it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The fields of a struct that are hash tables.
fn tables(text: &str) -> Vec<&str> {
    let table = |line: &&str| {
        let kind = line.split_once(": Hash").map(|(_, kind)| kind);
        line.ends_with(',') && kind.is_some_and(|kind| kind.starts_with("Map<") || kind.starts_with("Table<"))
    };
    let fields = text.lines().map(str::trim).filter(table).filter_map(|line| line.split(": Hash").next());
    fields.map(|field| field.rsplit(' ').next().unwrap_or(field)).collect()
}

#[test]
fn every_pure_crate_denies_the_lints_and_depends_on_nothing_that_is_not_pure() {
    let mut found = 0;
    for name in PURE {
        let folder = repository().join("crates").join(name);
        let root = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap();
        let denied = root.split("deny(").nth(1).and_then(|rest| rest.split(')').next()).unwrap_or_default();
        for lint in LINTS {
            assert!(denied.contains(&format!("clippy::{lint}")), "{name} does not deny {lint}");
        }
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
        for line in section.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let dependency = line.split(['.', ' ', '=']).next().unwrap();
            let known = match dependency.strip_prefix("crossbook-") {
                Some(own) => PURE.contains(&own),
                None => DEPENDENCIES.contains(&dependency),
            };
            assert!(known, "{name} depends on {dependency}, which is not known to be pure");
        }
        for path in sources(&folder.join("src")) {
            let text = std::fs::read_to_string(&path).unwrap();
            if !path.ends_with("src/lib.rs") {
                for lint in LINTS.map(|lint| format!("clippy::{lint}")) {
                    assert!(!text.contains(&lint), "{} makes an exception of {lint}", path.display());
                }
            }
            // The methods that show a hash table's order are refused by a lint, but not a loop over the table itself.
            for table in tables(&text) {
                found += 1;
                for walk in ["in self.", "in &self.", "in &mut self."].map(|walk| format!("{walk}{table} ")) {
                    assert!(!text.contains(&walk), "{}: `{walk}`", path.display());
                }
            }
        }
    }
    assert!(found >= 3, "hash tables are no longer found by how they are written: {found}");
}
