//! The embedded runtime: batches, recovery, snapshots, damage, several partitions in one process.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod damage;
mod embedded;
mod new_venue;
mod node;
mod partitions;
mod venue;
