//! The provider of the logs: Redis or Valkey. The roles of a cluster name it through this module only, so another
//! provider is chosen here; its settings are part of [`ClusterOptions`](crate::config::ClusterOptions).

pub use crossbook_redis_store::{
    CountBatch, CountBounds, CountLine, Error, Link, RedisStore as Store, Servers, SharedCounts, StoredBan,
    StoredKeyUses,
};
