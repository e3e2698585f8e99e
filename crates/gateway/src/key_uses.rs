//! When each API key was last used, and from where: what this gateway has seen, and what it and others have stored.
//!
//! It is an observation and no part of the state: nothing depends on it, a log does not have it, and a kill loses what
//! was seen since it was last stored.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use crossbook_types::{ApiKeyId, Timestamp};
use parking_lot::Mutex;

/// Uses of a key within this time, in microseconds, are one.
const RESOLUTION: u64 = 1_000_000;

/// The last use of a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct KeyUse {
    /// When, to a second.
    pub time: Timestamp,
    /// From which address.
    pub address: IpAddr,
}

/// Why uses were not stored or read.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where uses are stored. Its calls block, but not without bound.
pub trait KeyUseStore: Send + Sync {
    /// Stores the last uses of some keys. If it fails, they are stored again later.
    ///
    /// # Errors
    /// When it is not known whether they are stored.
    fn write(&self, uses: &[(ApiKeyId, KeyUse)]) -> Result<(), Failure>;

    /// The last stored uses of keys, in their order.
    ///
    /// # Errors
    /// When the store does not answer.
    fn read(&self, keys: &[ApiKeyId]) -> Result<Vec<Option<KeyUse>>, Failure>;
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    last: KeyUse,
    stored: bool,
}

/// What this gateway has seen. It keeps the newest; what is older is in the store.
pub struct KeyUses {
    seen: Mutex<HashMap<ApiKeyId, Seen>>,
    capacity: usize,
    store: OnceLock<Arc<dyn KeyUseStore>>,
}

impl KeyUses {
    /// Empty, with room for `capacity` keys.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { seen: Mutex::default(), capacity: capacity.max(1), store: OnceLock::new() }
    }

    /// From now on, reads what this store has, too. Only the first call has an effect.
    pub fn set_store(&self, store: Arc<dyn KeyUseStore>) {
        let _ = self.store.set(store);
    }

    /// Whether a use at `now` tells more than one at `noted`.
    pub(crate) fn is_news(noted: Timestamp, now: Timestamp) -> bool {
        now.0 >= noted.0.saturating_add(RESOLUTION)
    }

    /// Notes a use.
    pub fn note(&self, key: ApiKeyId, last: KeyUse) {
        let mut seen = self.seen.lock();
        if seen.len() >= self.capacity && !seen.contains_key(&key) {
            make_room(&mut seen);
        }
        seen.insert(key, Seen { last, stored: false });
    }

    /// At most `most` uses that are not stored; they count as stored from now on.
    #[must_use]
    pub fn take(&self, most: usize) -> Vec<(ApiKeyId, KeyUse)> {
        let mut seen = self.seen.lock();
        let unstored = seen.iter_mut().filter(|(_, seen)| !seen.stored).take(most);
        unstored
            .map(|(key, seen)| {
                seen.stored = true;
                (*key, seen.last)
            })
            .collect()
    }

    /// Those that were taken are not stored after all.
    pub fn give_back(&self, uses: &[(ApiKeyId, KeyUse)]) {
        let mut all = self.seen.lock();
        for (key, _) in uses {
            if let Some(seen) = all.get_mut(key) {
                seen.stored = false;
            }
        }
    }

    /// The last use of each key that is known here or stored, in their order.
    pub async fn last(&self, keys: Vec<ApiKeyId>) -> Vec<Option<KeyUse>> {
        let here: Vec<Option<KeyUse>> = {
            let seen = self.seen.lock();
            keys.iter().map(|key| seen.get(key).map(|seen| seen.last)).collect()
        };
        let Some(store) = self.store.get().cloned() else { return here };
        let count = keys.len();
        let read = tokio::task::spawn_blocking(move || store.read(&keys)).await;
        let stored = match read {
            Ok(Ok(stored)) => stored,
            Ok(Err(error)) => {
                tracing::warn!(%error, "when keys were last used is told without what is stored");
                vec![None; count]
            }
            Err(_) => vec![None; count],
        };
        here.into_iter().zip(stored).map(|(here, stored)| here.max(stored)).collect()
    }
}

/// Drops a tenth of the keys: those that are stored first, and then those that were used the longest ago.
fn make_room(seen: &mut HashMap<ApiKeyId, Seen>) {
    let mut by_age: Vec<_> = seen.iter().map(|(key, seen)| (!seen.stored, seen.last.time, *key)).collect();
    by_age.sort_unstable();
    for (_, _, key) in by_age.iter().take(seen.len().div_ceil(10)) {
        seen.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> ApiKeyId {
        ApiKeyId::new_checked(&format!("{number:064}")).unwrap()
    }

    fn at(time: u64) -> KeyUse {
        KeyUse { time: Timestamp(time), address: IpAddr::from([10, 0, 0, 1]) }
    }

    #[derive(Default)]
    struct Memory(Mutex<HashMap<ApiKeyId, KeyUse>>);

    impl KeyUseStore for Memory {
        fn write(&self, uses: &[(ApiKeyId, KeyUse)]) -> Result<(), Failure> {
            self.0.lock().extend(uses.iter().copied());
            Ok(())
        }

        fn read(&self, keys: &[ApiKeyId]) -> Result<Vec<Option<KeyUse>>, Failure> {
            Ok(keys.iter().map(|key| self.0.lock().get(key).copied()).collect())
        }
    }

    #[tokio::test]
    async fn the_later_of_what_was_seen_and_what_is_stored_counts() {
        let (uses, store) = (KeyUses::new(100), Arc::new(Memory::default()));
        uses.set_store(Arc::clone(&store) as _);
        uses.note(key(1), at(10));
        uses.note(key(2), at(20));
        store.write(&[(key(2), at(30)), (key(3), at(5))]).unwrap();
        let last = uses.last(vec![key(1), key(2), key(3), key(4)]).await;
        assert_eq!(last, [Some(at(10)), Some(at(30)), Some(at(5)), None]);
    }

    #[test]
    fn what_is_not_stored_is_taken_in_bounded_batches_until_it_is() {
        let uses = KeyUses::new(100);
        for number in 0..5 {
            uses.note(key(number), at(number));
        }
        let (first, second) = (uses.take(3), uses.take(3));
        assert_eq!((first.len(), second.len(), uses.take(3).len()), (3, 2, 0));
        uses.give_back(&second);
        assert_eq!(uses.take(9).len(), 2);
        uses.note(key(0), at(99));
        assert_eq!(uses.take(9), [(key(0), at(99))]);
    }

    #[test]
    fn there_is_room_for_so_many_keys_and_what_is_not_stored_stays() {
        let uses = KeyUses::new(10);
        for number in 0..5 {
            uses.note(key(number), at(number));
        }
        let _ = uses.take(4);
        for number in 5..14 {
            uses.note(key(number), at(number));
        }
        assert!(uses.seen.lock().len() <= 10);
        assert_eq!(uses.take(99).len(), 10, "only what was stored is gone");
        assert!(KeyUses::is_news(Timestamp(0), Timestamp(1_000_000)));
        assert!(!KeyUses::is_news(Timestamp(1), Timestamp(1_000_000)));
    }
}
