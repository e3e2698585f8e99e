//! The log in streams of real Redis servers, with and without TLS; and workers and a log client over it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod acl;
mod cluster;
mod counts;
mod failover;
mod key_uses;
mod moving;
mod streams;
mod tls;
#[path = "../../../node/tests/node/venue/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the node")]
mod venue;
