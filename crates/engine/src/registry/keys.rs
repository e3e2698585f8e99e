//! API keys: partition 0 has them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crossbook_protocol::command::{IssueApiKey, RevokeApiKey};
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::registry::{API_KEYS_PER_ACCOUNT_MAX, ApiKey};
use crossbook_protocol::wire;
use crossbook_protocol::wire::codec::{Reader, Sink, Wire};
use crossbook_types::{AccountId, ApiKeyId, Timestamp};

use super::Registry;

/// API keys, and how many each account has, so that issuing one does not count the account's among all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ApiKeys {
    pub(super) by_name: BTreeMap<ApiKeyId, ApiKey>,
    /// Follows from the keys, so it is not stored. Accounts without keys are not in it.
    count_by_account: BTreeMap<AccountId, usize>,
}

impl ApiKeys {
    fn count(&self, account: AccountId) -> usize {
        self.count_by_account.get(&account).copied().unwrap_or(0)
    }

    /// Adds a key whose name is new.
    fn insert(&mut self, key: ApiKey) {
        *self.count_by_account.entry(key.account).or_default() += 1;
        self.by_name.insert(key.key, key);
    }

    fn remove(&mut self, name: &ApiKeyId) {
        let Some(key) = self.by_name.remove(name) else { return };
        if let Entry::Occupied(mut count) = self.count_by_account.entry(key.account) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// As the keys by name.
impl Wire for ApiKeys {
    fn write<S: Sink>(&self, out: &mut S) {
        self.by_name.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, wire::Error> {
        let by_name = BTreeMap::<ApiKeyId, ApiKey>::read(from)?;
        let mut count_by_account = BTreeMap::new();
        for key in by_name.values() {
            *count_by_account.entry(key.account).or_default() += 1;
        }
        Ok(Self { by_name, count_by_account })
    }
}

impl Registry {
    /// All API keys, by name.
    pub fn api_keys(&self) -> impl Iterator<Item = &ApiKey> {
        self.api_keys.by_name.values()
    }

    /// Issues an API key.
    pub(crate) fn issue_api_key(&mut self, request: &IssueApiKey, time: Timestamp) -> Result<ApiKey, Refusal> {
        if !self.has_account(request.account) {
            return Err(Refusal::UnknownAccount);
        }
        if self.api_keys.by_name.contains_key(&request.key) {
            return Err(Refusal::ApiKeyExists);
        }
        if self.api_keys.count(request.account) >= API_KEYS_PER_ACCOUNT_MAX {
            return Err(Refusal::TooManyApiKeys);
        }
        let key = ApiKey {
            key: request.key,
            account: request.account,
            permissions: request.permissions,
            credential: request.credential.clone(),
            allowed_ips: request.allowed_ips.clone(),
            issued: time,
        };
        self.api_keys.insert(key.clone());
        Ok(key)
    }

    /// Revokes an API key.
    pub(crate) fn revoke_api_key(&mut self, request: &RevokeApiKey) -> Result<(), Refusal> {
        match self.api_keys.by_name.get(&request.key) {
            Some(key) if key.account == request.account => {
                self.api_keys.remove(&request.key);
                Ok(())
            }
            _ => Err(Refusal::UnknownApiKey),
        }
    }

    /// Takes over an API key that another venue had. False if it does not fit; nothing changes then.
    pub(crate) fn move_key_in(&mut self, key: &ApiKey) -> bool {
        if !self.has_account(key.account) || self.api_keys.by_name.contains_key(&key.key) {
            return false;
        }
        self.api_keys.insert(key.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbook_protocol::command::OpenAccount;
    use crossbook_protocol::registry::{Credential, Permissions};

    #[test]
    fn an_account_has_a_bounded_number_of_keys_whatever_others_have() {
        let mut registry = Registry::default();
        let mut account = || registry.open_account(&OpenAccount { label: String::new() }, Timestamp(1)).unwrap().id;
        let (one, other) = (account(), account());
        let request = |account: AccountId, number: usize| IssueApiKey {
            account,
            key: ApiKeyId::new_checked(&format!("key{}x{number}", account.0)).unwrap(),
            permissions: Permissions { read: true, trade: false },
            credential: Credential::Ed25519 { public: vec![0; 32] },
            allowed_ips: Vec::new(),
        };
        for number in 0..API_KEYS_PER_ACCOUNT_MAX {
            assert!(registry.issue_api_key(&request(one, number), Timestamp(2)).is_ok());
        }
        let mut bytes = Vec::new();
        wire::encode(&registry, &mut bytes);
        let restored: Registry = wire::decode(&bytes).unwrap();
        assert_eq!(restored, registry);
        for mut registry in [registry, restored] {
            let more = request(one, API_KEYS_PER_ACCOUNT_MAX);
            assert_eq!(registry.issue_api_key(&more, Timestamp(3)), Err(Refusal::TooManyApiKeys));
            assert!(registry.issue_api_key(&request(other, 0), Timestamp(3)).is_ok());
            let revoked = RevokeApiKey { account: one, key: request(one, 7).key };
            assert_eq!(registry.revoke_api_key(&revoked), Ok(()));
            assert!(registry.issue_api_key(&more, Timestamp(4)).is_ok());
            assert_eq!(registry.issue_api_key(&request(one, 7), Timestamp(5)), Err(Refusal::TooManyApiKeys));
        }
    }
}
