//! The documents agree with the program. `.ci/check.py` checks their links and the code that they name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_configuration_reference_is_what_the_program_prints() {
    // Without what the other tests set.
    let printed =
        crate::venue::binary().env_remove("CROSSBOOK_GATEWAY__SERVER__DRAIN_MS").arg("config").output().unwrap();
    assert!(printed.status.success());
    let kept = std::fs::read(repository().join("docs/crossbook.toml")).unwrap();
    let same = printed.stdout == kept;
    assert!(same, "docs/crossbook.toml is out of date; run `crossbook config > docs/crossbook.toml`");
}

#[test]
fn print_config_shows_what_the_options_come_to() {
    let output = crate::venue::binary().args(["serve", "--http", "127.0.0.1:9", "--print-config"]).output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("http = \"127.0.0.1:9\""));
}

/// The names in a text that are metrics' by their prefix, from each `before` on.
fn metrics(text: &str, before: &str) -> BTreeSet<String> {
    let names = text.split(before).skip(1).filter(|rest| rest.starts_with("crossbook_"));
    names
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_lowercase() || matches!(c, '_' | '0'..='9')).collect())
        .collect()
}

/// The Rust files in a folder and those in it, with what they say.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_is_recorded() {
    let mut recorded = BTreeSet::new();
    for (_, text) in sources(&repository().join("crates")) {
        for kind in ["counter!(", "gauge!(", "histogram!("] {
            recorded.extend(metrics(&text, &format!("{kind}\"")));
        }
    }
    assert!(recorded.len() > 20, "{recorded:?}");
    let read = |name: &str| std::fs::read_to_string(repository().join(name)).unwrap();
    assert_eq!(metrics(&read("docs/metrics.md"), "| `"), recorded);
    let alerts = metrics(&read("docs/operations.md"), "`");
    assert!(alerts.is_subset(&recorded), "{alerts:?}");
}

/// The error codes in a text: a minus sign and four digits, of which the first is 1 or 2.
fn codes(text: &str) -> BTreeSet<String> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    let found = text.split('-').skip(1).map(digits);
    found.filter(|code| code.len() == 4 && code.starts_with(['1', '2'])).collect()
}

#[test]
fn every_error_code_is_documented_and_every_documented_one_is_sent() {
    let mut sent = BTreeSet::new();
    let crates = ["crates/api-binance/src", "crates/api-admin/src"];
    for (path, text) in crates.iter().flat_map(|folder| sources(&repository().join(folder))) {
        if path.ends_with("tests.rs") {
            continue;
        }
        let program = text.split("#[cfg(test)]").next().unwrap();
        let lines = program.lines().filter(|line| !line.trim_start().starts_with("//"));
        sent.extend(lines.flat_map(codes));
    }
    assert!(sent.len() > 30, "{sent:?}");
    let text = std::fs::read_to_string(repository().join("docs/compatibility.md")).unwrap();
    let table = text.split("| code | when |").last().unwrap().split("##").next().unwrap();
    assert_eq!(codes(table), sent);
}

/// `make build` does this with the release binary; here it is done with a copy of this one.
#[test]
fn debug_information_is_kept_beside_the_binary() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("crossbook");
    std::fs::copy(env!("CARGO_BIN_EXE_crossbook"), &copy).unwrap();
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    let before = size(&copy);
    let sections = |path: &Path| {
        let output = Command::new("readelf").arg("-SW").arg(path).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let split = || {
        let mut make = Command::new("make");
        make.args(["--silent", "--directory"]).arg(repository()).arg("split").arg(format!("BINARY={}", copy.display()));
        assert!(make.status().unwrap().success());
        size(&copy)
    };
    let after = split();
    assert!(after < before * 3 / 4, "{before} bytes, then {after}");
    let (here, beside) = (sections(&copy), sections(&copy.with_extension("debug")));
    assert!(here.contains(".gnu_debuglink") && here.contains(".symtab") && !here.contains(".debug_line"), "{here}");
    assert!(beside.contains(".debug_line"), "{beside}");
    assert_eq!(split(), after, "there is nothing left to split");
    assert!(sections(&copy.with_extension("debug")).contains(".debug_line"), "it is kept");
    assert!(Command::new(&copy).arg("--version").output().unwrap().status.success());
}

/// The page's own tests run where there is Node.js, which the client suite needs anyway.
#[test]
fn the_page_keeps_its_copy_of_the_book_right() {
    let Ok(output) = Command::new("node").arg("--test").current_dir(repository().join("web")).output() else {
        eprintln!("Node.js is not here; the page's tests are left out");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
