//! The program, as processes of its own.
//!
//! One test program, because each further one is linked against the whole venue again. `make torture` and `make chaos`
//! run modules of it.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod admin_tokens;
mod bench;
mod bench_cluster;
mod cluster;
mod cluster_history;
mod cluster_start;
mod crash;
mod demo;
mod deploy_document;
mod documents;
mod exposition;
mod halting;
mod history;
mod history_lag;
mod insight;
mod load;
mod moving;
mod operator;
mod plan;
mod probes;
mod secrets;
mod serve;
mod shared_limits;
mod skip;
#[path = "../../../node/tests/node/venue/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the node")]
mod small_venue;
mod soak;
mod tls;
mod torture;
mod traces;
mod venue;
