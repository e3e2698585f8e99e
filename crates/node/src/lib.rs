//! Runs partitions on logs.
//!
//! [`node`] is the heart: batching, durability before telling, in one struct without I/O of its own. [`recovery`]
//! brings a partition back from snapshot and log, [`snapshot`] keeps the snapshots, which are taken of a [`shadow`]
//! when [`snapshotter`] says so, [`audit`] replays a log and proves that it adds up. [`export`] writes a venue down
//! that moves, [`clock`] watches whether the time can be believed. [`embedded`] puts a node on threads, for the venue
//! in one process.

pub mod audit;
mod backlog;
pub mod clock;
pub mod embedded;
pub mod export;
pub mod node;
pub mod outlet;
pub mod recovery;
pub mod request;
pub mod shadow;
pub mod skip;
pub mod snapshot;
pub mod snapshotter;
mod views;

pub use embedded::{AuditReport, Handle};
pub use outlet::Outlet;
pub use request::{NotTaken, Request};
