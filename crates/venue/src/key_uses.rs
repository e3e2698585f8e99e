//! Stores when API keys were last used: a venue of one process in a file of its data folder, the gateways of a cluster
//! in the store of its logs (`cluster/key_uses.rs`). See [`crossbook_gateway::key_uses`].

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbook_gateway::Gateway;
use crossbook_gateway::key_uses::{Failure, KeyUse, KeyUseStore, KeyUses};
use crossbook_gateway::read_model::ReadModel;
use crossbook_types::{ApiKeyId, Timestamp};
use parking_lot::Mutex;

use crate::data_folder::unfinished;

/// The most keys in one request to the store.
const BATCH_MAX: usize = 1_000;
/// Keys that are looked up at a time.
const KEYS_LOOKED_UP: usize = 256;

/// The thread that stores them, until it is stopped.
#[derive(Debug)]
pub struct Storing {
    /// Dropped to stop it.
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Storing {
    /// Starts the thread, unless nothing is to be stored.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn start(gateway: &Gateway, store: Arc<dyn KeyUseStore>, interval: Duration) -> std::io::Result<Option<Self>> {
        if interval.is_zero() {
            return Ok(None);
        }
        let uses = Arc::clone(gateway.keyring.uses());
        uses.set_store(Arc::clone(&store));
        let (stop, stopped) = mpsc::channel();
        let run = move || run(&uses, &*store, interval, &stopped);
        let thread = std::thread::Builder::new().name("key-uses".to_owned()).spawn(run)?;
        Ok(Some(Self { stop, thread }))
    }

    /// Stores a last time, and ends. Waits for it. `false` if the thread ended before.
    #[must_use]
    pub fn stop(self) -> bool {
        drop(self.stop);
        self.thread.join().is_ok()
    }
}

fn run(uses: &KeyUses, store: &dyn KeyUseStore, interval: Duration, stopped: &mpsc::Receiver<()>) {
    let mut has_failed = false;
    loop {
        let is_last = stopped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout);
        loop {
            let batch = uses.take(BATCH_MAX);
            if batch.is_empty() {
                break;
            }
            match store.write(&batch) {
                Ok(()) => has_failed = false,
                Err(error) => {
                    uses.give_back(&batch);
                    if !std::mem::replace(&mut has_failed, true) {
                        tracing::warn!(%error, "it cannot be stored when API keys were last used; it is tried again");
                    }
                    break;
                }
            }
        }
        if is_last {
            return;
        }
    }
}

/// The text of a use.
pub(crate) fn written(last: KeyUse) -> String {
    format!("{} {}", last.time.0, last.address)
}

/// The use that a text is of; `None` if it is of none.
pub(crate) fn read(text: &str) -> Option<KeyUse> {
    let (time, address) = text.split_once(' ')?;
    Some(KeyUse { time: Timestamp(time.parse().ok()?), address: address.parse::<IpAddr>().ok()? })
}

/// The file of a venue in one process: a line for each key that there is, written anew as a whole.
pub struct File {
    path: PathBuf,
    read_model: Arc<ReadModel>,
    uses: Mutex<BTreeMap<ApiKeyId, KeyUse>>,
}

impl File {
    /// The uses in that file, of the keys of the venue. One that cannot be read tells nothing.
    #[must_use]
    pub fn open(path: PathBuf, read_model: &Arc<ReadModel>) -> Self {
        let line = |line: &str| {
            let (key, last) = line.split_once(' ')?;
            Some((ApiKeyId::new_checked(key).ok()?, read(last)?))
        };
        let uses = match std::fs::read_to_string(&path) {
            Ok(text) => text.lines().filter_map(line).collect(),
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    tracing::warn!(%error, path = %path.display(), "when API keys were last used cannot be read");
                }
                BTreeMap::new()
            }
        };
        Self { path, read_model: Arc::clone(read_model), uses: Mutex::new(uses) }
    }
}

impl KeyUseStore for File {
    fn write(&self, batch: &[(ApiKeyId, KeyUse)]) -> Result<(), Failure> {
        let text: String = {
            let mut uses = self.uses.lock();
            uses.extend(batch.iter().copied());
            // Keys that were revoked leave nothing behind. Nothing is published while the registry is held.
            let keys: Vec<ApiKeyId> = uses.keys().copied().collect();
            for some in keys.chunks(KEYS_LOOKED_UP) {
                let registry = self.read_model.registry();
                let revoked: Vec<_> = some.iter().filter(|key| registry.api_key(key.as_str()).is_none()).collect();
                drop(registry);
                for key in revoked {
                    uses.remove(key);
                }
            }
            uses.iter().map(|(key, last)| format!("{key} {}\n", written(*last))).collect()
        };
        let unfinished = unfinished(&self.path);
        std::fs::write(&unfinished, text)?;
        std::fs::rename(&unfinished, &self.path)?;
        Ok(())
    }

    fn read(&self, keys: &[ApiKeyId]) -> Result<Vec<Option<KeyUse>>, Failure> {
        let uses = self.uses.lock();
        Ok(keys.iter().map(|key| uses.get(key).copied()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_read_as_it_is_written() {
        for address in ["10.0.0.1", "2001:db8::7"] {
            let last = KeyUse { time: Timestamp(1_795_382_334_000_000), address: address.parse().unwrap() };
            assert_eq!(read(&written(last)), Some(last));
        }
        for other in ["", "5", "x 10.0.0.1", "5 home"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
