//! What is written about the program agrees with the program.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod venue;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_configuration_reference_is_what_the_program_prints() {
    let printed = venue::binary().arg("config").output().unwrap();
    assert!(printed.status.success());
    let kept = std::fs::read(repository().join("docs/crossbook.toml")).unwrap();
    let same = printed.stdout == kept;
    assert!(same, "docs/crossbook.toml is out of date; run `crossbook config > docs/crossbook.toml`");
}

#[test]
fn print_config_shows_what_the_options_come_to() {
    let output = venue::binary().args(["serve", "--http", "127.0.0.1:9", "--print-config"]).output().unwrap();
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

#[test]
fn every_metric_is_documented_and_every_documented_metric_is_recorded() {
    let mut recorded = BTreeSet::new();
    let mut folders = vec![repository().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("metrics.rs") {
                let text = std::fs::read_to_string(path).unwrap();
                for kind in ["counter!(", "gauge!(", "histogram!("] {
                    recorded.extend(metrics(&text, &format!("{kind}\"")));
                }
            }
        }
    }
    assert!(recorded.len() > 20, "{recorded:?}");
    let text = std::fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    assert_eq!(metrics(&text, "`"), recorded);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let documents =
        ["README.md", "docs/configuration.md", "docs/operations.md", "docs/compatibility.md", "docs/admin-api.md"];
    for document in documents {
        let path = repository().join(document);
        let text = std::fs::read_to_string(&path).unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                assert!(path.parent().unwrap().join(target).exists(), "{document} links to {target}");
            }
        }
    }
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
