//! A bounded table of counts. A full table drops its oldest entries first.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use crossbook_types::Timestamp;
use parking_lot::Mutex;

/// A table is cut into this many parts, each with its own lock.
const SHARDS: usize = 16;

/// Whether an entry is to be exchanged with the other gateways.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Touch {
    /// Set by whoever changes the entry.
    pub(super) wanted: bool,
    queued: bool,
}

pub(super) trait Tracked: Copy + Default {
    /// Whether forgetting it would change nothing.
    fn is_spent(&self, now: Timestamp) -> bool;
    fn seen(&self) -> Timestamp;
    fn touch(&mut self) -> &mut Touch;
}

struct Shard<K, V> {
    values: HashMap<K, V>,
    /// Entries to be exchanged, each once.
    queue: Vec<K>,
}

impl<K, V> Default for Shard<K, V> {
    fn default() -> Self {
        Self { values: HashMap::new(), queue: Vec::new() }
    }
}

/// Counts by key, in a bounded table.
pub(super) struct Table<K, V> {
    shards: [Mutex<Shard<K, V>>; SHARDS],
    hasher: RandomState,
    capacity: usize,
}

impl<K: Hash + Eq + Copy, V: Tracked> Table<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.div_ceil(SHARDS).max(1);
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new(), capacity }
    }

    pub(super) fn with<T>(&self, key: K, now: Timestamp, change: impl FnOnce(&mut V) -> T) -> T {
        let Shard { values, queue } = &mut *self.shard(&key).lock();
        if let Some(value) = values.get_mut(&key) {
            let changed = change(value);
            enqueue(key, value, queue);
            return changed;
        }
        self.make_room(values, queue, now);
        let value = values.entry(key).or_default();
        let changed = change(value);
        enqueue(key, value, queue);
        changed
    }

    /// Changes what there is of a key, if there is something.
    pub(super) fn change(&self, key: &K, change: impl FnOnce(&mut V)) {
        let Shard { values, queue } = &mut *self.shard(key).lock();
        if let Some(value) = values.get_mut(key) {
            change(value);
            enqueue(*key, value, queue);
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.shard(key).lock().values.get(key).copied()
    }

    /// Takes up to `max` entries from the queues, beginning with the queue of this number; gives whether there may be
    /// more. What `take` wants to have again waits for the next time.
    pub(super) fn drain(&self, first: usize, mut max: usize, mut take: impl FnMut(K, &mut V)) -> bool {
        for at in 0..SHARDS {
            let Shard { values, queue } = &mut *self.shards[(first + at) % SHARDS].lock();
            let mut again = Vec::new();
            while max > 0
                && let Some(key) = queue.pop()
            {
                let Some(value) = values.get_mut(&key) else { continue };
                *value.touch() = Touch::default();
                take(key, value);
                enqueue(key, value, &mut again);
                max -= 1;
            }
            queue.append(&mut again);
        }
        max == 0
    }

    /// Whether any entry is in a queue.
    pub(super) fn has_queued(&self) -> bool {
        self.shards.iter().any(|shard| !shard.lock().queue.is_empty())
    }

    /// Drops entries if there are too many, also from the queue: what was not told of them is lost.
    fn make_room(&self, values: &mut HashMap<K, V>, queue: &mut Vec<K>, now: Timestamp) {
        if values.len() < self.capacity {
            return;
        }
        values.retain(|_, value| !value.is_spent(now));
        if values.len() >= self.capacity {
            // An eighth at a time, so that a flood of new keys does not sort the table for each of them.
            let mut seen: Vec<Timestamp> = values.values().map(V::seen).collect();
            let at = seen.len() / 8;
            let (_, oldest, _) = seen.select_nth_unstable(at);
            let oldest = *oldest;
            values.retain(|_, value| value.seen() > oldest);
        }
        queue.retain(|key| values.contains_key(key));
    }

    fn shard(&self, key: &K) -> &Mutex<Shard<K, V>> {
        &self.shards[usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0)]
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().values.len()).sum()
    }
}

fn enqueue<K, V: Tracked>(key: K, value: &mut V, queue: &mut Vec<K>) {
    let touch = value.touch();
    if touch.wanted && !touch.queued {
        touch.queued = true;
        queue.push(key);
    }
}
