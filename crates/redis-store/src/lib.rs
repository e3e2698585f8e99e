//! A log in streams of Redis or Valkey, for a venue of many processes on many machines.
//!
//! Each partition has two streams: `in` holds its commands, `out` what they caused. Entry n of `in` and entry n of
//! `out` belong together, and both are numbered without gaps from 1 (stream ids `n-0`). All keys of a partition share
//! one hash tag, so one shard of a cluster has them all and a script sees them all at one moment.
//!
//! ```text
//!   gateways --append-->  {venue:p3}:in   --turn-->   worker   --turn-->  {venue:p3}:out  --follow-->  gateways, history
//!   other partitions --deliver--^                        \--deliver-->  {venue:p7}:in
//! ```
//!
//! # What is durable
//! An answer of Redis promises little: the master may die before a replica has what it answered. So nothing is taken as
//! true before the *barrier*: on one connection, a small write, then WAIT, then ROLE. The replication stream is a
//! sequence, so replicas that have the small write have everything before it, by whomever it was written. It is durable
//! when every replica that ROLE lists as online has acknowledged it, and [`Options::replicas_min`] at least. (Every
//! one: a cluster elects by gossiped offsets, so one that lags may win; and one that has just gone may have been
//! elected, see [`Options::replica_loss_ms`].) With `appendonly yes` and `appendfsync always` everywhere, an
//! acknowledgement also means that it is on the replica's disk. Those two settings, and `maxmemory-policy noeviction`,
//! are the operator's to make.
//!
//! # Finding the master
//! WAIT and ROLE are about one connection to one server, so this module finds the master of a partition's slot itself
//! ([`Servers`]): it asks the servers it was given, and those it has learnt of, for the map of slots, and remembers it.
//! A server without cluster support is a shard of its own. After any error the caller drops the [`Link`] and connects
//! anew; what makes the map doubtful (a lost connection, a server that is no longer the master) also makes it
//! forgotten.
//!
//! A [`Link`] blocks and belongs to one thread; every wait in it has a bound from [`Options`]. Servers whose addresses
//! begin with `rediss://` are asked under TLS; their certificates are always checked, against [`Options::ca_file`] or
//! the system's authorities.

mod barrier;
mod connection;
mod depth;
mod error;
mod keys;
mod marks;
mod options;
mod replicas;
#[doc(hidden)]
pub mod reply;
mod servers;
mod skip;
mod store;
mod tls;
mod venue;

pub use error::{Error, Stream};
pub use keys::Keys;
pub use options::Options;
pub use servers::Servers;
pub use store::RedisStore;

/// A conversation about one partition; see [`crossbook_cluster::store::Link`].
pub type Link = crossbook_cluster::store::Link<RedisStore>;
