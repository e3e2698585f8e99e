//! The log in segment files: its contract, power cuts, damage, and real folders.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod conformance;
mod crash;
mod damage;
mod disk;
