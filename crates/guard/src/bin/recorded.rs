//! Replays the recorded logs with an optimized build, because the optimizer must not change the meaning of a log. `make
//! recorded` runs it; a test of the simulator does the same with a debug build.

#![allow(clippy::unwrap_used, reason = "ends where a state is not what it was")]

#[path = "../../../simulator/tests/simulator/replay/mod.rs"]
mod replay;

use std::path::Path;

fn main() {
    let commands = replay::replay(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/tests/recorded"));
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    println!("{commands} recorded commands give the states that they gave, in a {build} build");
}
