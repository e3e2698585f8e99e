//! A bounded table of counts. A full table drops its oldest entries first.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use crossbook_types::Timestamp;
use parking_lot::Mutex;

/// A table is cut into this many parts, each with its own lock.
const SHARDS: usize = 16;

pub(super) trait Tracked: Copy + Default {
    /// Whether forgetting it would change nothing.
    fn is_spent(&self, now: Timestamp) -> bool;
    fn seen(&self) -> Timestamp;
}

/// Counts by key, in a bounded table.
pub(super) struct Table<K, V> {
    shards: [Mutex<HashMap<K, V>>; SHARDS],
    hasher: RandomState,
    capacity: usize,
}

impl<K: Hash + Eq + Copy, V: Tracked> Table<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.div_ceil(SHARDS).max(1);
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new(), capacity }
    }

    pub(super) fn with<T>(&self, key: K, now: Timestamp, change: impl FnOnce(&mut V) -> T) -> T {
        let mut shard = self.shard(&key).lock();
        if let Some(value) = shard.get_mut(&key) {
            return change(value);
        }
        if shard.len() >= self.capacity {
            shard.retain(|_, value| !value.is_spent(now));
        }
        if shard.len() >= self.capacity {
            // An eighth at a time, so that a flood of new keys does not sort the table for each of them.
            let mut seen: Vec<Timestamp> = shard.values().map(V::seen).collect();
            let at = seen.len() / 8;
            let (_, oldest, _) = seen.select_nth_unstable(at);
            let oldest = *oldest;
            shard.retain(|_, value| value.seen() > oldest);
        }
        change(shard.entry(key).or_default())
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.shard(key).lock().get(key).copied()
    }

    fn shard(&self, key: &K) -> &Mutex<HashMap<K, V>> {
        &self.shards[usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0)]
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}
