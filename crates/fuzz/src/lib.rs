//! Every decoder of outside bytes, each as a target of a coverage-guided fuzzer.
//!
//! A [`Target`] takes any bytes. It panics if the code under it does, or if a result differs from that of a simpler
//! method: a decoded and re-encoded value is the same; a number is what a naive parser makes of its digits; an order
//! over HTTP and over WebSocket is the same command. So a target is a test for any input, and `cargo test` runs each
//! file of `corpus/`, without the fuzzer.
//!
//! The fuzzer is LLVM's libFuzzer, linked into the binary `fuzz` by the feature `libfuzzer`. `rustc-with-coverage`
//! compiles the crates of the workspace with coverage instrumentation; `make fuzz` does all that.

pub mod connection;
pub mod input;
pub mod targets;
pub mod venue;

pub use targets::{TARGETS, Target};
