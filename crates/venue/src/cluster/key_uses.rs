//! When API keys were last used, in the store that the gateways share.

use crossbook_gateway::key_uses::{Failure, KeyUse, KeyUseStore};
use crossbook_types::ApiKeyId;

use super::provider::{Servers, StoredKeyUses};
use crate::key_uses::{read, written};

/// The store of a cluster.
pub struct Shared(StoredKeyUses);

impl Shared {
    /// What the gateways of that cluster share.
    #[must_use]
    pub fn new(servers: &Servers) -> Self {
        Self(StoredKeyUses::new(servers.clone()))
    }
}

impl KeyUseStore for Shared {
    fn write(&self, batch: &[(ApiKeyId, KeyUse)]) -> Result<(), Failure> {
        let texts: Vec<_> = batch.iter().map(|(key, last)| (key.as_str(), written(*last))).collect();
        Ok(self.0.write(&texts)?)
    }

    fn read(&self, keys: &[ApiKeyId]) -> Result<Vec<Option<KeyUse>>, Failure> {
        let names: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
        let found = self.0.read(&names)?;
        Ok(found.into_iter().map(|text| text.as_deref().and_then(read)).collect())
    }
}
