//! A log in streams of Redis or Valkey, for a venue of many processes on many machines.
//!
//! Each partition has one stream, `in`, which holds its commands, numbered without gaps from 1. What one request
//! appends is one entry: its id `n-0` is the place of its last command, and each of its fields `c` is a command. All
//! keys of a partition share one hash tag, so one shard of a cluster has them all and a script sees them all in one
//! atomic step.
//!
//! ```text
//!   gateways, other partitions --turn: deliver, append--> {venue:p3}:in --turn: read--> every process that applies it
//! ```
//!
//! A conversation ([`RedisStore`]) concerns all partitions of a shard, and a turn of it is one pipelined request.
//!
//! # What is durable
//! An answer of Redis promises little: the master may die before a replica has what it answered. So nothing counts as
//! durable before it is *confirmed*: the replication stream is a sequence, ROLE gives the master's offset in it, and
//! with WAIT in between, a second ROLE gives what each online replica has acknowledged. What a turn has written and
//! read is durable when every replica that is online has acknowledged the offset that the master had after it, and at
//! least [`Options::replicas_min`] are. (Every one, because a cluster elects by gossiped offsets, so one that lags may
//! win; and one that has just gone may have been elected, see [`Options::replica_loss_ms`].) With `appendonly yes` and
//! `appendfsync always` everywhere, an acknowledgement also means that it is on the replica's disk. Those two
//! settings, and `maxmemory-policy noeviction`, are the operator's responsibility.
//!
//! # Finding the master
//! WAIT and ROLE concern one connection to one server, so this crate finds the master of a partition's slot itself
//! ([`Servers`]): it asks the configured servers, and those it has learnt of, for the map of slots, and caches it. A
//! server without cluster support is a shard of its own. After any error the caller drops the [`Link`] and connects
//! again; an error that puts the map in doubt (a lost connection, a server that is no longer the master) also drops
//! the cached map.
//!
//! A [`Link`] blocks and belongs to one thread; every wait in it has a bound from [`Options`]. Servers whose addresses
//! begin with `rediss://` are connected to over TLS; their certificates are always verified, against
//! [`Options::ca_file`] or the system's authorities.

mod barrier;
mod connection;
mod counts;
mod depth;
mod error;
mod key_uses;
mod keys;
mod marks;
mod notifications;
mod options;
mod replicas;
#[doc(hidden)]
pub mod reply;
mod servers;
mod skip;
mod store;
mod tls;
mod topology;
mod turn;
mod venue;

pub use counts::{CountBatch, CountBounds, CountLine, Counted, SharedCounts, StoredBan};
pub use error::Error;
pub use key_uses::StoredKeyUses;
pub use keys::Keys;
pub use notifications::Notifications;
pub use options::Options;
pub use servers::Servers;
pub use store::RedisStore;

/// A conversation about one partition; see [`crossbook_cluster::store::Link`].
pub type Link = crossbook_cluster::store::Link<RedisStore>;
