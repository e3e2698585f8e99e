//! Every decoder that meets bytes from outside, each as a target for a fuzzer that is guided by coverage.
//!
//! A [`Target`] takes any bytes. It panics where the code under it does, and where an answer is not what a plainer way
//! of finding it gives: what was decoded and is encoded again is the same; a number is what a naive reader makes of its
//! digits; an order over HTTP and over WebSocket is the same command. So a target is a test of its own for any input,
//! and each file of `corpus/` is one that `cargo test` runs, without the fuzzer.
//!
//! The fuzzer is LLVM's libFuzzer, linked into the binary `fuzz` by the feature `libfuzzer`. `rustc-with-coverage`
//! compiles the crates of the workspace so that they tell it where it gets; `make fuzz` does all that.

pub mod connection;
pub mod input;
pub mod targets;
pub mod venue;

pub use targets::{TARGETS, Target};
