//! Listens for notifications of a shard, on a thread of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbook_types::PartitionId;

use super::{NOTIFICATION_WAIT, Shared, Waker};
use crate::store::{Connect, Subscription as _};

/// A listener to the notifications of some partitions of a shard. Its thread ends when it is dropped.
pub(super) struct Listener<C> {
    shared: Arc<Shared<C>>,
    waker: Arc<Waker>,
    partitions: BTreeSet<PartitionId>,
    heard: Arc<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    notified: AtomicBool,
    done: AtomicBool,
}

impl<C: Connect + Send + Sync + 'static> Listener<C> {
    /// Begins to listen.
    pub(super) fn start(shared: &Arc<Shared<C>>, partitions: BTreeSet<PartitionId>, waker: &Arc<Waker>) -> Self {
        let (shared, waker) = (Arc::clone(shared), Arc::clone(waker));
        let mut listener = Self { shared, waker, partitions, heard: Arc::default() };
        listener.spawn();
        listener
    }

    /// From now on it listens to these partitions.
    pub(super) fn listen_to(&mut self, partitions: BTreeSet<PartitionId>) {
        if partitions != self.partitions {
            self.heard.done.store(true, Ordering::Release);
            (self.partitions, self.heard) = (partitions, Arc::default());
            self.spawn();
        }
    }

    /// Without a thread, the session finds new commands when it polls.
    fn spawn(&mut self) {
        let (heard, shared, waker) = (Arc::clone(&self.heard), Arc::clone(&self.shared), Arc::clone(&self.waker));
        let partitions: Vec<PartitionId> = self.partitions.iter().copied().collect();
        if partitions.is_empty() {
            return;
        }
        let listen = move || heard.listen(&shared, &partitions, &waker);
        if let Err(error) = std::thread::Builder::new().name("notifications".to_owned()).spawn(listen) {
            tracing::warn!(%error, "no thread for notifications; new commands are found by polling");
        }
    }

    /// Whether a notification came since this was last asked.
    pub(super) fn notified(&self) -> bool {
        self.heard.notified.swap(false, Ordering::AcqRel)
    }
}

impl Heard {
    fn listen<C: Connect>(&self, shared: &Shared<C>, partitions: &[PartitionId], waker: &Waker) {
        let rest = shared.options.settings.pace.read;
        let goes_on = || !self.done.load(Ordering::Acquire) && !shared.is_stopping();
        let tell = || {
            self.notified.store(true, Ordering::Release);
            waker.wake();
        };
        while goes_on() {
            let Ok(mut subscription) = shared.stores.subscribe(partitions, rest) else {
                std::thread::sleep(NOTIFICATION_WAIT);
                continue;
            };
            // Whoever has written while nobody listened has notified nobody.
            tell();
            while goes_on() {
                match subscription.wait(NOTIFICATION_WAIT) {
                    Ok(true) => tell(),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::debug!(%error, "notifications are interrupted");
                        break;
                    }
                }
            }
        }
    }
}

impl<C> Drop for Listener<C> {
    fn drop(&mut self) {
        self.heard.done.store(true, Ordering::Release);
    }
}
