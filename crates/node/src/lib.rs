//! Runs partitions on logs.
//!
//! [`node`] is the core: it batches commands and publishes events once they are durable, in one struct without I/O of
//! its own. [`recovery`] restores a partition from snapshot and log; [`snapshot`] stores snapshots, which are taken of
//! a [`follower_copy`] when [`snapshotter`] says so; [`audit`] replays a log and proves that all balances reconcile.
//! [`export`] writes a venue's export, [`clock`] watches the machine's clock. [`embedded`] runs a node on threads, for
//! the venue in one process, and [`new_venue`] logs the first command of a new one. [`hops`] has the way of requests
//! that are traced.

mod admission;
pub mod audit;
pub mod clock;
pub mod embedded;
pub mod event_sink;
pub mod export;
pub mod follower;
pub mod follower_copy;
pub mod hops;
pub mod new_venue;
pub mod node;
pub mod panic;
pub mod recovery;
pub mod request;
pub mod skip;
pub mod snapshot;
pub mod snapshotter;
mod views;

pub use embedded::{AuditReport, Handle};
pub use event_sink::EventSink;
pub use hops::Hops;
pub use request::{NotAccepted, Request};
