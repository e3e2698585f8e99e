//! Bounds the bytes that wait to be sent to clients, over all connections together. A message to many clients is in
//! memory once, and counts once; its place in the queue of each counts for each. When the budget is spent, the
//! connections are closed whose clients take nothing, in the order in which they stopped, and then those that take the
//! least, until the total fits; so a client that reads loses nothing because of those that do not, however much waits
//! for it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use crossbook_http::Standing;
use parking_lot::Mutex;

/// What a part of messages takes in memory beside its bytes, about.
pub(super) const PART_BYTES: usize = 128;

/// A holder of bytes that wait until one client has read them.
pub(super) trait Unread: Debug + Send + Sync {
    /// How the client takes what waits for it, and since when the oldest of that has waited; `None` if nothing waits.
    fn unread(&self, now: Instant) -> Option<(Standing, Instant)>;

    /// Drops everything that waits and has the connection closed, because its client does not read.
    fn cut_off(&self);
}

/// The bytes that wait for all clients together, and how many may.
#[derive(Debug)]
pub struct SendBudget {
    bytes_max: AtomicUsize,
    bytes: AtomicUsize,
    holders: Mutex<HashMap<u64, Weak<dyn Unread>>>,
    opened: AtomicU64,
    cut_off: AtomicU64,
    /// Held by the thread that disconnects clients; no other thread has to do it then.
    relieving: Mutex<()>,
}

impl Default for SendBudget {
    fn default() -> Self {
        Self {
            bytes_max: AtomicUsize::new(usize::MAX),
            bytes: AtomicUsize::new(0),
            holders: Mutex::default(),
            opened: AtomicU64::new(0),
            cut_off: AtomicU64::new(0),
            relieving: Mutex::default(),
        }
    }
}

impl SendBudget {
    /// Sets how many bytes may wait.
    pub fn limit_to(&self, bytes_max: usize) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// Adds a holder of unread bytes, which is cut off when its client is the slowest and the budget is spent.
    pub(super) fn add(&self, unread: Weak<dyn Unread>) {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let mut holders = self.holders.lock();
        // Now and then those that are gone are taken out, so that the table has at most twice as many as are open.
        if holders.len() == holders.capacity() {
            holders.retain(|_, holder| holder.strong_count() > 0);
        }
        holders.insert(number, unread);
    }

    /// Holders that are known, also those that are gone and not yet taken out.
    #[cfg(test)]
    pub(super) fn holders(&self) -> usize {
        self.holders.lock().len()
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many clients were cut off so far because they did not read.
    #[must_use]
    pub fn clients_cut_off(&self) -> u64 {
        self.cut_off.load(Ordering::Relaxed)
    }

    pub(super) fn count_cut_off(&self) {
        self.cut_off.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("crossbook_stream_slow_consumers_total").increment(1);
    }

    /// Counts bytes until what is returned is dropped.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        let bytes = bytes + PART_BYTES;
        self.take(bytes);
        Held { budget: Arc::clone(self), bytes }
    }

    /// Counts bytes until they are given back.
    pub(super) fn take(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Cuts clients off if more waits than may: the one that takes the least first, and of several the one whose bytes
    /// have waited for longest.
    pub(super) fn keep(&self, now: Instant) {
        if !self.is_spent() {
            return;
        }
        let Some(_turn) = self.relieving.try_lock() else { return };
        while self.is_spent() {
            let holders: Vec<Arc<dyn Unread>> = self.holders.lock().values().filter_map(Weak::upgrade).collect();
            let mut unread: Vec<_> = holders.iter().filter_map(|holder| Some((holder.unread(now)?, holder))).collect();
            if unread.is_empty() {
                return;
            }
            unread.sort_by_key(|(standing, _)| *standing);
            for (_, slowest) in unread {
                if !self.is_spent() {
                    return;
                }
                slowest.cut_off();
            }
        }
    }

    fn is_spent(&self) -> bool {
        self.bytes() > self.bytes_max.load(Ordering::Relaxed)
    }
}

/// Bytes that count on a budget until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<SendBudget>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}
