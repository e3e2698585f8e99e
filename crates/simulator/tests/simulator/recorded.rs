//! Logs that were recorded once: a log gives the same state in every build and every later release. They are the logs
//! of a simulated cluster, with commands of every kind, some of them twice, and with the hash of the state after every
//! thousandth command and after the last.
//!
//! A recording never changes. Where the canonical form of a state changes on purpose (never that of a command), its
//! hashes are computed again from the same log (`--example record -- --hashes-of
//! crates/simulator/tests/recorded/NAME`). Where commands get new fields, or there are new rules, another recording is
//! added beside it: `cargo run -p crossbook-simulator --example record -- --seed N --upgrading --to
//! crates/simulator/tests/recorded/NAME`.

use std::path::Path;

#[test]
fn a_recorded_log_gives_the_state_that_it_gave() {
    assert!(crate::replay::replay(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded")) > 4_000);
}
