//! Partitions of a cluster: the same state machine, on logs in a store that several processes read.
//!
//! In a cluster a partition's log is a stream on one shard of a store ([`store`]). Gateways append commands to it, and
//! every process that needs a partition's state or events reads the commands and applies them: gateways, workers, the
//! writer of the history. There is no leader, and nothing but the commands is stored. Three properties make this safe:
//!
//! - A process applies only commands that are confirmed on every replica, so what is applied survives the loss of a
//!   master.
//! - Commands are deterministic, so every process computes the same state, the same events and the same messages for
//!   other partitions. Checkpoints in the store show if one does not.
//! - Messages between partitions are numbered, and accepted only in order. So any process may deliver them, and repeat
//!   them.
//!
//! | module | responsibility |
//! | --- | --- |
//! | [`store`] | the trait that log stores implement, and its contract |
//! | [`replica`] | one process's copy of a partition: applies what is confirmed; no I/O |
//! | [`requests`] | a gateway's requests, until their partitions have accepted them; no I/O |
//! | [`mailbox`] | messages between partitions, until they are received; no I/O |
//! | [`session`] | a process's conversation with one shard: what each turn asks, and what follows; no I/O |
//! | [`runtime`] | runs sessions on threads, one for each shard |
//! | [`client`] | the log client of a gateway: appends requests, publishes events |
//! | [`worker`] | delivers what gateways have left, writes depth to the store |
//! | [`depth`] | changes of the books' depth that are written to the store; no I/O |
//! | [`cut`] | restores all partitions to consistent positions while the venue runs |
//! | [`snapshots`] | when a partition's snapshot is stored and its log is trimmed; no I/O |
//! | [`skip`] | skips a command that cannot be applied |

pub mod client;
pub mod cut;
pub mod depth;
pub mod mailbox;
pub mod replica;
pub mod requests;
pub mod runtime;
pub mod session;
pub mod skip;
pub mod snapshots;
pub mod store;
pub mod worker;

pub use client::LogClient;
pub use cut::ConsistentCut;
pub use mailbox::Mailbox;
pub use replica::Replica;
pub use session::Session;
pub use worker::Worker;
