//! The views, fed by partitions that trade.
//!
//! One program, because each further one is linked again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod fold;
mod import;
mod imported;
#[path = "../../../engine/tests/engine/kit/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the engine")]
mod kit;
mod order;
mod period;
mod venue;
