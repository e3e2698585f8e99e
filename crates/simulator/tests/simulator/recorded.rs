//! Logs that were recorded once, and are replayed for ever: a log gives the same state in every build and every later
//! release. They are the logs of a simulated cluster, with commands of every kind, some of them twice; beside them
//! stands the hash of the state after every thousandth command, and after the last.
//!
//! A recording stays as it is. Where the canonical form of a state changes on purpose (never that of a command), its
//! hashes are made anew from the same log (`--example record -- --hashes-of crates/simulator/tests/recorded/NAME`);
//! where commands get more to say, another recording is made beside it: `cargo run -p crossbook-simulator --example
//! record -- --seed N --to crates/simulator/tests/recorded/NAME`.

use std::path::Path;

#[test]
fn a_recorded_log_gives_the_state_that_it_gave() {
    assert!(crate::replay::replay(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded")) > 3_000);
}
