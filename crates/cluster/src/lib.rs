//! Partitions of a cluster: the same state machine, on logs that live elsewhere and that several processes read.
//!
//! In a cluster a partition's log is two streams on one shard of a store. Gateways and other partitions append commands
//! to `in`; workers read them, apply them, and append what is told to `out`, which gateways and the history read.
//! Nobody elects a leader and nobody holds a lease. Three properties stand in for both:
//!
//! - A worker applies only what a barrier has confirmed to be on every replica, so what is applied survives the loss of
//!   a master.
//! - What command *n* brings is entry *n* of `out`, and an entry is taken only where `out` ends. Commands are
//!   deterministic, so it does not matter which of several workers adds it.
//! - Messages between partitions are counted, and taken only in order. So anybody may send them, and again.
//!
//! So any number of workers may run one partition. One of them is usually *active* and publishes; the others stand by,
//! and publish when `out` falls silent. [`replica`] decides all that, without I/O; [`mailbox`] keeps what is on its way
//! to other partitions; [`depth`] what is to be written to the books' depth in the store. [`worker`] puts all of it on
//! threads; [`gate`] is a gateway's way to the partitions, and back. [`moment`] restores all of them beside those who
//! trade, to places that go together. [`snapshots`] says when a partition's snapshot is kept and its streams are
//! trimmed.

pub mod depth;
pub mod gate;
pub mod mailbox;
pub mod moment;
pub mod replica;
pub mod skip;
pub mod snapshots;
pub mod worker;

pub use gate::Gate;
pub use mailbox::Mailbox;
pub use moment::Moment;
pub use replica::Replica;
pub use worker::Worker;
