//! How many bytes may wait to be read by clients, of all connections together. A message that many wait for is in
//! memory once, and counts once. When the budget is spent, whoever has left bytes unread for longest is cut off, and so
//! on until it is not any more; so a client that reads loses nothing to those that do not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::outbox::Outbox;

/// What a part of messages takes in memory beside its bytes, about.
const PART_BYTES: usize = 128;

/// See the module.
#[derive(Debug)]
pub struct Budget {
    bytes_max: AtomicUsize,
    bytes: AtomicUsize,
    outboxes: Mutex<HashMap<u64, Weak<Outbox>>>,
    opened: AtomicU64,
    cut_off: AtomicU64,
    /// Held by whoever cuts clients off; nobody else has to do it then.
    relieving: Mutex<()>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes_max: AtomicUsize::new(usize::MAX),
            bytes: AtomicUsize::new(0),
            outboxes: Mutex::default(),
            opened: AtomicU64::new(0),
            cut_off: AtomicU64::new(0),
            relieving: Mutex::default(),
        }
    }
}

impl Budget {
    /// Sets how many bytes may wait.
    pub fn limit_to(&self, bytes_max: usize) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// An outbox whose messages count, and for which at most `bytes_max` may wait.
    #[must_use]
    pub fn outbox(self: &Arc<Self>, bytes_max: usize, combined: bool) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::new(Arc::clone(self), bytes_max, combined));
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let mut outboxes = self.outboxes.lock();
        // Now and then those that are gone are taken out, so that the table has at most twice as many as are open.
        if outboxes.len() == outboxes.capacity() {
            outboxes.retain(|_, outbox| outbox.strong_count() > 0);
        }
        outboxes.insert(number, Arc::downgrade(&outbox));
        outbox
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
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Held { budget: Arc::clone(self), bytes }
    }

    /// Cuts clients off if more waits than may.
    pub(super) fn keep(&self) {
        if !self.is_spent() {
            return;
        }
        let Some(_turn) = self.relieving.try_lock() else { return };
        while self.is_spent() {
            let outboxes: Vec<Arc<Outbox>> = self.outboxes.lock().values().filter_map(Weak::upgrade).collect();
            let unread = outboxes.iter().filter_map(|outbox| Some((outbox.unread_since()?, outbox)));
            let Some((_, slowest)) = unread.min_by_key(|(since, _)| *since) else { return };
            slowest.cut_off();
        }
    }

    fn is_spent(&self) -> bool {
        self.bytes() > self.bytes_max.load(Ordering::Relaxed)
    }
}

/// Bytes that count on a budget until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::frames::Frames;
    use crate::streams::outbox::Closing;

    #[test]
    fn what_many_wait_for_counts_once_and_until_the_last_has_it() {
        let budget = Arc::new(Budget::default());
        let outboxes = [(), ()].map(|()| budget.outbox(10_000, false));
        let frames = Frames::from("x".repeat(1_000));
        outboxes.iter().for_each(|outbox| outbox.push(frames.clone()));
        drop(frames);
        assert_eq!(budget.bytes(), 1_004 + PART_BYTES);
        outboxes.iter().for_each(|outbox| drop(outbox.begin(usize::MAX)));
        assert_eq!(budget.bytes(), 1_004 + PART_BYTES, "what is being written still counts");
        outboxes[0].written();
        assert_eq!(budget.bytes(), 1_004 + PART_BYTES);
        outboxes[1].written();
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn whoever_has_left_bytes_unread_for_longest_is_cut_off_first() {
        let budget = Arc::new(Budget::default());
        budget.limit_to(4_000);
        let [idle, slow, reading] = [(), (), ()].map(|()| budget.outbox(100_000, false));
        slow.push("x".repeat(1_000));
        for _ in 0..20 {
            reading.push("y".repeat(1_000));
            drop(reading.begin(usize::MAX));
            reading.written();
        }
        assert_eq!(slow.closing(), None, "there is room for both");
        reading.push("y".repeat(1_000));
        reading.push("y".repeat(1_000));
        assert_eq!(slow.closing(), None);
        reading.push("y".repeat(1_000));
        assert_eq!((slow.closing(), reading.closing()), (Some(Closing::TooSlow), None));
        assert_eq!(idle.closing(), None);
        // And if there is nobody slower, then whoever is written to.
        reading.push("y".repeat(1_000));
        assert_eq!(reading.closing(), Some(Closing::TooSlow));
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn connections_that_are_gone_leave_nothing_behind() {
        let budget = Arc::new(Budget::default());
        for _ in 0..10_000 {
            budget.outbox(10, false).push("x");
        }
        assert!(budget.outboxes.lock().len() < 100);
        assert_eq!(budget.bytes(), 0);
    }
}
