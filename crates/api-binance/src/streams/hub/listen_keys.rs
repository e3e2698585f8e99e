//! Listen keys: random names under which the events of an account are a stream, for as long as they are kept alive.
//!
//! Whoever knows such a name hears the account, so it ends with the API key that asked for it, and each API key has its
//! own. Each gateway knows those that were asked for there.

use std::collections::HashMap;
use std::sync::Arc;

use crossbook_types::{AccountId, ApiKeyId, Timestamp};

use super::{Hub, Under};
use crate::user_stream;

/// Characters of a listen key.
pub const CHARACTERS: usize = 64;

/// Whether a name has the form of a listen key.
#[must_use]
pub fn is_one(name: &str) -> bool {
    name.len() == CHARACTERS && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// There are as many listen keys as there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there are too many listen keys")]
pub struct Full;

/// What a listen key stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Owner {
    pub account: AccountId,
    /// The API key that asked for it.
    pub key: ApiKeyId,
    pub expires: Timestamp,
}

/// The listen keys that have not expired.
#[derive(Debug, Default)]
pub(super) struct ListenKeys {
    owners: HashMap<Arc<str>, Owner>,
    names: HashMap<ApiKeyId, Arc<str>>,
}

impl ListenKeys {
    /// The owner's listen key, which lasts until the owner says: the one that it has, or else `fresh`.
    pub fn start(&mut self, owner: Owner, fresh: &str, keys_max: usize) -> Result<Arc<str>, Full> {
        if let Some(name) = self.names.get(&owner.key) {
            self.owners.insert(Arc::clone(name), owner);
            return Ok(Arc::clone(name));
        }
        if self.owners.len() >= keys_max {
            return Err(Full);
        }
        let name: Arc<str> = fresh.into();
        self.owners.insert(Arc::clone(&name), owner);
        self.names.insert(owner.key, Arc::clone(&name));
        Ok(name)
    }

    /// Has it last longer. Returns whether the account has such a listen key.
    pub fn extend(&mut self, name: &str, account: AccountId, expires: Timestamp) -> bool {
        let owner = self.owners.get_mut(name).filter(|owner| owner.account == account);
        owner.map(|owner| owner.expires = expires).is_some()
    }

    /// What it stands for.
    pub fn find(&self, name: &str) -> Option<Owner> {
        self.owners.get(name).copied()
    }

    /// Ends those that `which` picks, and gives them.
    pub fn end(&mut self, which: impl Fn(&str, &Owner) -> bool) -> Vec<(Arc<str>, AccountId)> {
        let ended = self.owners.iter().filter(|(name, owner)| which(name, owner));
        let ended: Vec<(Arc<str>, Owner)> = ended.map(|(name, owner)| (Arc::clone(name), *owner)).collect();
        for (name, owner) in &ended {
            self.owners.remove(name);
            self.names.remove(&owner.key);
        }
        ended.into_iter().map(|(name, owner)| (name, owner.account)).collect()
    }
}

impl Hub {
    /// The listen key of an API key, which lasts until `expires`: the one that it has, or else `fresh`.
    ///
    /// # Errors
    /// [`Full`] if there are `keys_max` already.
    pub fn start_listen_key(
        &self,
        (account, key): (AccountId, ApiKeyId),
        fresh: &str,
        expires: Timestamp,
        keys_max: usize,
    ) -> Result<Arc<str>, Full> {
        self.directory.lock().listen_keys.start(Owner { account, key, expires }, fresh, keys_max)
    }

    /// Has a listen key of the account last until `expires`. Returns whether it has that one.
    pub fn extend_listen_key(&self, account: AccountId, name: &str, expires: Timestamp) -> bool {
        self.directory.lock().listen_keys.extend(name, account, expires)
    }

    /// Ends a listen key of the account, and its stream. Returns whether it has that one.
    pub fn stop_listen_key(&self, account: AccountId, name: &str, now: Timestamp) -> bool {
        self.end_listen_keys(now, |known, owner| known == name && owner.account == account) > 0
    }

    /// Ends the listen keys that have expired, and their streams.
    pub fn expire_listen_keys(&self, now: Timestamp) {
        self.end_listen_keys(now, |_, owner| owner.expires <= now);
    }

    fn end_listen_keys(&self, now: Timestamp, which: impl Fn(&str, &Owner) -> bool) -> usize {
        let mut directory = self.directory.lock();
        let ended = directory.listen_keys.end(which);
        for (name, account) in &ended {
            self.end_subscriptions(&mut directory, *account, |listener| {
                let is_of_it = matches!(&listener.under, Under::ListenKey(of) if of == name);
                is_of_it.then(|| listener.form().of(&user_stream::listen_key_expired(listener.unit, now, name)))
            });
        }
        ended.len()
    }
}

#[cfg(test)]
mod tests {
    use crossbook_gateway::facts::StreamSubscriber as _;

    use super::super::tests::{join, key, received};
    use super::*;

    fn owner(account: u64, key: &str, expires: u64) -> Owner {
        Owner {
            account: AccountId(account),
            key: ApiKeyId::new_checked(key).unwrap(),
            expires: Timestamp::from_millis(expires),
        }
    }

    #[test]
    fn each_api_key_has_one_until_it_ends() {
        let mut keys = ListenKeys::default();
        assert_eq!(&*keys.start(owner(1, "a", 10), "first", 2).unwrap(), "first");
        assert_eq!(&*keys.start(owner(1, "a", 20), "again", 2).unwrap(), "first", "it lasts longer");
        assert_eq!(keys.find("first"), Some(owner(1, "a", 20)));
        assert_eq!(&*keys.start(owner(1, "b", 10), "second", 2).unwrap(), "second");
        assert_eq!(keys.start(owner(2, "c", 10), "third", 2), Err(Full));
        assert!(!keys.extend("first", AccountId(2), Timestamp::from_millis(90)), "it is another's");
        assert!(keys.extend("second", AccountId(1), Timestamp::from_millis(30)));
        let ended = keys.end(|_, owner| owner.expires <= Timestamp::from_millis(20));
        assert_eq!(ended, [("first".into(), AccountId(1))]);
        assert_eq!(keys.find("first"), None);
        assert_eq!(&*keys.start(owner(1, "a", 40), "fourth", 2).unwrap(), "fourth");
    }

    #[test]
    fn names_of_streams_are_no_listen_keys() {
        assert!(is_one(&"aB3".repeat(22)[..64]));
        for name in ["", "0", "btcusdt@trade", &"a".repeat(63), &format!("{}@", "a".repeat(63))] {
            assert!(!is_one(name), "{name}");
        }
    }

    #[test]
    fn a_listen_key_is_a_stream_until_it_ends() {
        let hub = Arc::new(Hub::new());
        let (account, at) = (AccountId(1001), Timestamp::from_millis);
        let start = |api_key: &str, name: &str| hub.start_listen_key((account, key(api_key)), name, at(10), 9).unwrap();
        let (first, second) = (start("one", "first"), start("two", "second"));
        let (mut raw, mut combined) = (join(&hub, false), join(&hub, true));
        for name in [&first, &second] {
            raw.subscribe_listen_key(name);
            combined.subscribe_listen_key(name);
            combined.subscribe_listen_key(name);
        }
        assert!(!raw.subscribe_listen_key("unknown"));
        assert_eq!(hub.publish_account(account, |_| "{}".into()), 4);
        let of = |name: &str, data: &str| format!(r#"{{"stream":"{name}","data":{data}}}"#);
        assert_eq!(received(&raw), ["{}", "{}"]);
        assert_eq!(received(&combined), [of("first", "{}"), of("second", "{}")]);
        raw.unsubscribe_listen_key("first");
        assert!(hub.extend_listen_key(account, "second", at(20)));
        hub.expire_listen_keys(at(10));
        let expired = |name: &str, now| format!(r#"{{"e":"listenKeyExpired","E":{now},"listenKey":"{name}"}}"#);
        assert!(received(&raw).is_empty());
        assert_eq!(received(&combined), [of("first", &expired("first", 10))]);
        hub.key_revoked(account, key("two"), at(11));
        assert_eq!(received(&raw), [r#"{"e":"eventStreamTerminated","E":11}"#]);
        assert!(!hub.stop_listen_key(account, "second", at(12)), "it has ended with its API key");
        assert!(!hub.interest().account(account));
        start("three", "third");
        assert!(raw.subscribe_listen_key("third") && hub.stop_listen_key(account, "third", at(13)));
        assert_eq!(received(&raw), [expired("third", 13)]);
        assert!(!hub.interest().account(account));
    }
}
