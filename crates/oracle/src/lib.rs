//! What the engine's results are compared with: a book ([`naive`]) and an exchange ([`model`]) that are too simple to
//! be wrong, and a standard stream of orders ([`workload`]) whose trades are known. Nothing here does I/O, so a test of
//! the matching loop compiles nothing but the core.
//!
//! [`feed`] translates the workload to the commands of a partition. [`indexed`] runs it on the order book of the engine
//! alone, for benchmarks. [`sample`] is the market of tests that do not care which market they have.

pub mod feed;
pub mod indexed;
pub mod model;
pub mod naive;
pub mod sample;
pub mod workload;
