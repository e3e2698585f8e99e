//! Consistent cuts of partitions that are held in memory.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod cut;
#[path = "../../../node/tests/node/venue/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the node")]
mod venue;
