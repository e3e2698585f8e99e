//! Tests of the structure of this workspace: which crate may depend on which, and that the modules of a crate do not
//! depend on each other in a circle.
//!
//! The layer of a crate stands in its `Cargo.toml`, as `layer` under `[package.metadata.crossbook]`.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod circles;
mod crates;
mod metadata;
mod modules;
mod source;
