//! Partitions of a cluster on streams of a real Redis.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod moment;
mod streams;
#[path = "../../../node/tests/node/venue/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the node")]
mod venue;
