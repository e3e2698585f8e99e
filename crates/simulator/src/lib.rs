//! The venue in a world where everything fails, on one thread, from one seed.
//!
//! A world is made of production code (the engine, the node, the log or the logic of a cluster, wire, views, the rows
//! of the history) and of a make-believe machine around it: disks, a store of streams, a network, clocks, clients, the
//! power supply. All chance comes from one stream of numbers, and time passes only when the world says so, so a seed is
//! all it takes to live through the same world again, to the last bit.
//!
//! ```text
//!   seed --> dice --> embedded: clients, node, log, disk          \  watched by the checkers, which believe
//!                 \-> cluster:  clients, gateways, workers, shards /  nothing that they have not worked out themselves
//! ```
//!
//! Each world has two phases. In the first everything may fail; in the second nothing does, and all that was asked must
//! come to its end. What must hold at every step and at the end is in [`checkers`]; that the worlds reach what they are
//! meant to test is counted in [`coverage`]; that the checkers see what is wrong is shown by bugs that are planted on
//! purpose.

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
mod shelf;
pub mod violation;
mod workload;

pub use workload::WORK;

pub use runner::{Outcome, Which, simulate};
