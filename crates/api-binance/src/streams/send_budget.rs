//! Bounds the bytes that wait to be sent to clients, over all connections together. A message to many clients is in
//! memory once, and counts once; its place in the queue of each counts for each. When the budget is spent, the
//! connections are closed whose clients take nothing, in the order in which they stopped, and then those that take the
//! least, until the total fits; so a client that reads loses nothing because of those that do not, however much waits
//! for it.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbook_http::Standing;
use parking_lot::Mutex;

/// What a part of messages takes in memory beside its bytes, about.
pub(super) const PART_BYTES: usize = 128;

/// For how long an order of the connections holds: to make one takes time, and the feed waits for it, perhaps for each
/// of ten thousand connections that are to be closed.
const RANKED_FOR: Duration = Duration::from_millis(100);

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
    relieving: Mutex<Ranking>,
}

/// Those that hold something, the next to be cut off first, as of some time.
#[derive(Debug, Default)]
struct Ranking {
    at: Option<Instant>,
    holders: VecDeque<((Standing, Instant), Weak<dyn Unread>)>,
}

impl Ranking {
    /// The next to be cut off. What has been taken since, or goes on, is passed over.
    fn next(&mut self, now: Instant, budget: &SendBudget) -> Option<Arc<dyn Unread>> {
        let mut is_new = false;
        if self.at.is_none_or(|at| now.saturating_duration_since(at) >= RANKED_FOR) {
            (*self, is_new) = (budget.rank(now), true);
        }
        loop {
            while let Some(((standing, _), holder)) = self.holders.pop_front() {
                let Some(holder) = holder.upgrade() else { continue };
                let Some((present, _)) = holder.unread(now) else { continue };
                let goes_on = matches!(standing, Standing::Stalled(_)) && present > standing;
                if !goes_on {
                    return Some(holder);
                }
            }
            if is_new {
                return None;
            }
            (*self, is_new) = (budget.rank(now), true);
        }
    }
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
        let Some(mut ranking) = self.relieving.try_lock() else { return };
        while self.is_spent()
            && let Some(slowest) = ranking.next(now, self)
        {
            slowest.cut_off();
        }
    }

    fn rank(&self, now: Instant) -> Ranking {
        let holders: Vec<_> = self.holders.lock().values().filter_map(Weak::upgrade).collect();
        let unread = holders.iter().filter_map(|holder| Some((holder.unread(now)?, Arc::downgrade(holder))));
        let mut unread: Vec<_> = unread.collect();
        unread.sort_by_key(|(standing, _)| *standing);
        Ranking { at: Some(now), holders: unread.into() }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// One that waits for a client that reads nothing.
    #[derive(Debug)]
    struct Deaf {
        since: Instant,
        held: Mutex<Option<Held>>,
        asked: AtomicUsize,
    }

    impl Unread for Deaf {
        fn unread(&self, _: Instant) -> Option<(Standing, Instant)> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let held = self.held.lock();
            held.as_ref().map(|_| (Standing::Stalled(self.since), self.since))
        }

        fn cut_off(&self) {
            *self.held.lock() = None;
        }
    }

    #[test]
    fn many_are_cut_off_one_after_the_other_without_asking_all_of_them_each_time() {
        const COUNT: usize = 1_000;
        let (budget, now) = (Arc::new(SendBudget::default()), Instant::now());
        let deaf: Vec<_> = (0..COUNT)
            .map(|at| {
                let since = now - Duration::from_secs(10) + Duration::from_millis(at as u64);
                let held = Mutex::new(Some(budget.hold(1)));
                let deaf = Arc::new(Deaf { since, held, asked: AtomicUsize::new(0) });
                let holder: Weak<Deaf> = Arc::downgrade(&deaf);
                budget.add(holder);
                deaf
            })
            .collect();
        for left in (0..COUNT).rev() {
            budget.limit_to(left * (1 + PART_BYTES));
            budget.keep(now);
            let (gone, there) = deaf.split_at(COUNT - left);
            assert!(gone.iter().all(|deaf| deaf.held.lock().is_none()), "who stopped first goes first");
            assert!(there.first().is_none_or(|deaf| deaf.held.lock().is_some()), "nobody without need");
        }
        let asked: usize = deaf.iter().map(|deaf| deaf.asked.load(Ordering::Relaxed)).sum();
        assert!(asked <= 3 * COUNT, "{asked}");
    }
}
