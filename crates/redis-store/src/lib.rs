//! A log in streams of Redis or Valkey, for a venue of many processes on many machines.
//!
//! Each partition has two streams: `in` holds its commands, `out` their effects. Entry n of `in` and entry n of `out`
//! belong together, and both are numbered without gaps from 1 (stream ids `n-0`). All keys of a partition share one
//! hash tag, so one shard of a cluster has them all and a script sees them all in one atomic step.
//!
//! ```text
//!   gateways --append-->  {venue:p3}:in   --turn-->   worker   --turn-->  {venue:p3}:out  --follow-->  gateways, history
//!   other partitions --deliver--^                        \--deliver-->  {venue:p7}:in
//! ```
//!
//! # What is durable
//! An answer of Redis promises little: the master may die before a replica has what it answered. So nothing counts as
//! durable before the *barrier*: on one connection, a small write, then WAIT, then ROLE. The replication stream is a
//! sequence, so replicas that have the small write have everything before it, whoever wrote it. It is durable when
//! every replica that ROLE lists as online has acknowledged it, and at least [`Options::replicas_min`]. (Every one,
//! because a cluster elects by gossiped offsets, so one that lags may win; and one that has just gone may have been
//! elected, see [`Options::replica_loss_ms`].) With `appendonly yes` and `appendfsync always` everywhere, an
//! acknowledgement also means that it is on the replica's disk. Those two settings, and `maxmemory-policy noeviction`,
//! are the operator's responsibility.
//!
//! # Finding the master
//! WAIT and ROLE concern one connection to one server, so this crate finds the master of a partition's slot itself
//! ([`Servers`]): it asks the configured servers, and those it has learnt of, for the map of slots, and caches it. A
//! server without cluster support is a shard of its own. After any error the caller drops the [`Link`] and connects
//! again; an error that puts the map in doubt (a lost connection, a server that is no longer the master) also drops the
//! cached map.
//!
//! A [`Link`] blocks and belongs to one thread; every wait in it has a bound from [`Options`]. Servers whose addresses
//! begin with `rediss://` are connected to over TLS; their certificates are always verified, against
//! [`Options::ca_file`] or the system's authorities.

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
mod topology;
mod venue;

pub use error::{Error, Stream};
pub use keys::Keys;
pub use options::Options;
pub use servers::Servers;
pub use store::RedisStore;

/// A conversation about one partition; see [`crossbook_cluster::store::Link`].
pub type Link = crossbook_cluster::store::Link<RedisStore>;
