//! Runs every input of the corpora through its target, so that bugs that were once found stay fixed. This needs no
//! fuzzer.

#![allow(clippy::unwrap_used)] // a test says what failed by failing

use std::path::Path;

use crossbook_fuzz::TARGETS;

#[test]
fn every_target_survives_its_corpus() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut failed = Vec::new();
    for target in TARGETS {
        let mut inputs = 0;
        for entry in std::fs::read_dir(corpora.join(target.name)).unwrap() {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            assert!(input.len() <= target.input_bytes_max, "{} is longer than the fuzzer makes them", path.display());
            if std::panic::catch_unwind(|| (target.run)(&input)).is_err() {
                failed.push(path);
            }
            inputs += 1;
        }
        assert!(inputs > 0, "{} has inputs to begin with", target.name);
    }
    assert!(failed.is_empty(), "{failed:?}");
    let known = std::fs::read_dir(&corpora).unwrap().count();
    assert_eq!(known, TARGETS.len(), "a corpus without a target is dead");
}
