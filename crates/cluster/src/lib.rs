//! Partitions of a cluster: the same state machine, on logs in a store that several processes read.
//!
//! In a cluster a partition's log is two streams on one shard of a store ([`store`]). Gateways and other partitions
//! append commands to `in`; workers read them, apply them, and publish their outputs in `out`, which gateways and the
//! history read. There is no leader election and no lease. Three properties replace both:
//!
//! - A worker applies only commands that are confirmed on every replica, so what is applied survives the loss of a
//!   master.
//! - The output of command *n* is entry *n* of `out`, and it is published only at the end of `out`. Commands are
//!   deterministic, so it does not matter which of several workers publishes it.
//! - Messages between partitions are numbered, and accepted only in order. So any worker may send them, and repeat
//!   them.
//!
//! So any number of workers may run one partition. One of them is usually *active* and publishes; the others are
//! standbys, and publish when the active worker stops publishing.
//!
//! | module | responsibility |
//! | --- | --- |
//! | [`store`] | the trait that log stores implement, and its contract |
//! | [`replica`] | decides when a worker applies a command and whether it publishes; no I/O |
//! | [`mailbox`], [`forwarder`] | messages between partitions, until they are durable; no I/O |
//! | [`depth`] | changes of the books' depth that are written to the store; no I/O |
//! | [`worker`] | runs these on threads |
//! | [`client`] | the log client of a gateway: appends requests, follows outputs |
//! | [`cut`] | restores all partitions to consistent positions while the venue runs |
//! | [`snapshots`] | when a partition's snapshot is stored and its streams are trimmed; no I/O |
//! | [`skip`] | skips a command that cannot be applied |

pub mod client;
pub mod cut;
pub mod depth;
pub mod forwarder;
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
