//! Partitions of a cluster: the same state machine, on logs that live elsewhere and that several processes read.
//!
//! In a cluster a partition's log is two streams on one shard of a store ([`store`]). Gateways and other partitions
//! append commands to `in`; workers read them, apply them, and publish their outputs in `out`, which gateways and the
//! history read. Nobody elects a leader and nobody holds a lease. Three properties stand in for both:
//!
//! - A worker applies only what is confirmed to be on every replica, so what is applied survives the loss of a master.
//! - The output of command *n* is entry *n* of `out`, and it is published only where `out` ends. Commands are
//!   deterministic, so it does not matter which of several workers publishes it.
//! - Messages between partitions are numbered, and taken only in order. So anybody may send them, and again.
//!
//! So any number of workers may run one partition. One of them is usually *active* and publishes; the others stand by,
//! and publish when `out` falls silent.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`store`] | what all of this asks of the store that keeps the logs: the trait that providers implement |
//! | [`replica`] | decides when a worker applies a command and whether it publishes; no I/O |
//! | [`mailbox`], [`courier`] | messages of partitions on their way to another; no I/O |
//! | [`depth`] | what is to be written to the books' depth in the store; no I/O |
//! | [`worker`] | puts these on threads |
//! | [`client`] | the log client of a gateway: appends requests, follows outputs |
//! | [`cut`] | restores all partitions beside a running venue, to places that go together |
//! | [`snapshots`] | when a partition's snapshot is kept and its streams are trimmed; no I/O |
//! | [`skip`] | passes over a command that cannot be applied |

pub mod client;
pub mod courier;
pub mod cut;
pub mod depth;
pub mod mailbox;
pub mod replica;
pub mod skip;
pub mod snapshots;
pub mod store;
pub mod worker;

pub use client::LogClient;
pub use cut::ConsistentCut;
pub use mailbox::Mailbox;
pub use replica::Replica;
pub use worker::Worker;
