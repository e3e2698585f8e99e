//! A venue in a simulated world in which everything fails, on one thread, from one seed.
//!
//! A world consists of production code (engine, node, log or the logic of a cluster, wire form, views, rows of the
//! history) and a simulated machine around it: disks, a store of streams, a network, clocks, clients, power supply. All
//! randomness comes from one generator, and time advances only when the world says so, so a seed reproduces a world bit
//! for bit.
//!
//! ```text
//!   seed --> dice --> embedded: clients, node, log, disk          \  checked by the checkers, which trust
//!                 \-> cluster:  clients, gateways, workers, shards /  nothing that they have not computed
//! ```
//!
//! Each world has two phases. In the first everything may fail; in the second nothing does, and every request must
//! complete. [`checkers`] has the properties that must hold at every step and at the end; [`coverage`] counts whether
//! the worlds reach what they should test; planted bugs show that the checkers find what is wrong.

mod agenda;
#[cfg(crossbook_bugs)]
pub mod bugs;
pub mod checkers;
mod client;
pub mod clock;
pub mod cluster;
pub mod coverage;
pub mod dice;
pub mod embedded;
pub mod runner;
mod snapshot_store;
pub mod violation;
mod workload;

pub use workload::WORK;

pub use runner::{Outcome, Which, simulate};
