//! Admission: how long a request would wait in the partition's queue, and whether that is too long.
//!
//! A queue that is bounded only by its length is full whenever demand exceeds capacity, and everybody waits for all of
//! it: admitted requests are answered late, and nothing is gained. So the queue is also bounded by time. The partition
//! reports how long its batches take, and a submitter multiplies. A request that would wait longer is refused at once,
//! which costs next to nothing.
//!
//! How long is too long depends on why there is a queue. A queue after a burst goes away by itself, and nobody should
//! be refused because of it. A queue that persists because demand exceeds capacity only delays everybody: a long one
//! admits no more than a short one. So there are two bounds, as in the CoDel discipline for packet queues (Nichols and
//! Jacobson, "Controlling Queue Delay", ACM Queue 2012) and its use in services (Maurer, "Fail at Scale", ACM Queue
//! 2015). The longer one, `wait_max`, always applies. The shorter one, `standing_max`, applies to new orders while the
//! queue stands: from when it has not been empty for as long as the longer bound, until for that long almost nobody had
//! to be refused, or all demand, refused or not, was clearly below capacity. A short empty period does not end it,
//! because delayed senders then all arrive together. The second condition ends it where a disk or CPU stalls now and
//! then: the burst after each stall exceeds capacity briefly and would be refused for ever, although most of the time
//! there is nothing to do. Cancels reduce risk and are what everybody sends when something is wrong, so only the longer
//! bound applies to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbook_protocol::command::Body;
use parking_lot::Mutex;

/// The newest batch counts for one part in so many of the mean.
const MEMORY: u64 = 8;
/// A batch counts for no more than so many times the mean, unless the previous one took as long. A disk that stalls
/// once says little about the next batches; one that has become slow stalls twice.
const SLOWER_AT_ONCE: u64 = 4;
/// A queue counts as persistent for as long as one order is refused for so many accepted requests.
const TAKEN_FOR_ONE_REFUSED: u64 = 16;
/// And for as long as the demand exceeds capacity, less one part in so many.
const SPARE_ONE_IN: u64 = 8;

/// How long requests may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Patience {
    /// Any request, behind any queue. Zero: as long as it takes, orders too.
    pub(crate) wait_max: Duration,
    /// A new order, behind a persistent queue. Zero: no longer than any request.
    pub(crate) standing_max: Duration,
}

/// What the partition measures and gateways read. Clones share one state.
#[derive(Clone, Debug)]
pub(crate) struct QueueWait {
    shared: Arc<Shared>,
    /// Requests in a batch.
    batch: u64,
    /// Nanoseconds; as in [`Patience`].
    wait_max: u64,
    standing_max: u64,
}

/// Times are nanoseconds; points in time count from the beginning.
#[derive(Debug)]
struct Shared {
    began: Instant,
    /// Of a batch, recent average; 0 before the first.
    batch_nanos: AtomicU64,
    /// Of the last batch.
    last_turn: AtomicU64,
    /// Requests that were taken, in all.
    taken: AtomicU64,
    /// The total time of their batches.
    busy: AtomicU64,
    /// When nothing waited, last.
    empty: AtomicU64,
    /// Set while the queue persists.
    standing: Mutex<Option<Window>>,
}

/// As long as `wait_max`; at its end it is checked whether the queue still persists.
#[derive(Clone, Copy, Debug)]
struct Window {
    began: u64,
    /// Requests taken before.
    taken: u64,
    /// And the time of their batches.
    busy: u64,
    /// Orders refused since.
    refused: u64,
}

impl QueueWait {
    /// Of a partition that accepts `batch` requests per batch.
    pub(crate) fn new(batch: usize, patience: Patience) -> Self {
        let shared = Arc::new(Shared {
            began: Instant::now(),
            batch_nanos: AtomicU64::new(0),
            last_turn: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            empty: AtomicU64::new(0),
            standing: Mutex::new(None),
        });
        Self {
            shared,
            batch: batch.max(1) as u64,
            wait_max: nanoseconds(patience.wait_max),
            standing_max: nanoseconds(patience.standing_max),
        }
    }

    /// Records a batch with so many requests. There is one partition, so there is one writer.
    pub(crate) fn record_batch(&self, took: Duration, requests: u64) {
        let taken = &self.shared.taken;
        taken.store(taken.load(Ordering::Relaxed).wrapping_add(requests), Ordering::Relaxed);
        let batch_nanos = &self.shared.batch_nanos;
        let took = nanoseconds(took);
        let busy = &self.shared.busy;
        busy.store(busy.load(Ordering::Relaxed).wrapping_add(took), Ordering::Relaxed);
        let before = self.shared.last_turn.swap(took, Ordering::Relaxed);
        let mean = match batch_nanos.load(Ordering::Relaxed) {
            0 => took,
            mean => {
                let believed = took.min(before.max(mean.saturating_mul(SLOWER_AT_ONCE)));
                mean - mean / MEMORY + believed / MEMORY
            }
        };
        batch_nanos.store(mean.max(1), Ordering::Relaxed);
    }

    /// Takes note that nothing waits.
    pub(crate) fn emptied(&self) {
        self.shared.empty.store(self.now(), Ordering::Relaxed);
    }

    /// Whether a request for `body`, behind `queued` others, would wait too long. If so, it counts as refused.
    pub(crate) fn is_too_long_for(&self, body: &Body, queued: usize) -> bool {
        if !matches!(body, Body::Place(_)) {
            return self.is_too_long(queued);
        }
        let is_too_long = self.is_too_long_for_orders(queued);
        if is_too_long {
            self.refused_order();
        }
        is_too_long
    }

    /// Takes note of an order that was refused because it would have waited too long.
    pub(crate) fn refused_order(&self) {
        if let Some(window) = &mut *self.shared.standing.lock() {
            window.refused += 1;
        }
    }

    /// Whether a new order behind `queued` other requests would wait too long.
    pub(crate) fn is_too_long_for_orders(&self, queued: usize) -> bool {
        self.refuses_order(queued, || self.now())
    }

    fn is_too_long(&self, queued: usize) -> bool {
        // Never with an empty queue: some request has to measure how long batches take now.
        self.wait_max > 0 && queued > 0 && self.wait(queued) > self.wait_max
    }

    fn refuses_order(&self, queued: usize, now: impl FnOnce() -> u64) -> bool {
        // The time of the next batch cannot be reduced by refusing it.
        let bounded = self.wait_max > 0 && self.standing_max > 0;
        let late = bounded && queued as u64 >= self.batch && self.wait(queued) > self.standing_max;
        let too_late = self.is_too_long(queued);
        if !late && !too_late {
            return false;
        }
        let (now, shared) = (now(), &self.shared);
        let mut standing = shared.standing.lock();
        let [taken, busy] = [&shared.taken, &shared.busy].map(|sum| sum.load(Ordering::Relaxed));
        let begun = Window { began: now, taken, busy, refused: 0 };
        if let Some(window) = *standing {
            let age = now.saturating_sub(window.began);
            let taken = begun.taken.wrapping_sub(window.taken);
            if age > self.wait_max {
                let many_refused = window.refused.saturating_mul(TAKEN_FOR_ONE_REFUSED) >= taken;
                let busy = begun.busy.wrapping_sub(window.busy);
                let is_too_much = busy.saturating_add(self.work(window.refused)) > age - age / SPARE_ONE_IN;
                // If no request was late for so long that the end of the window passed unnoticed, it is over.
                let is_seen = age <= self.wait_max.saturating_mul(2);
                *standing = (many_refused && is_too_much && is_seen).then_some(begun);
            }
        }
        let never_empty = || now.saturating_sub(shared.empty.load(Ordering::Relaxed)) > self.wait_max;
        if standing.is_none() && (too_late || never_empty()) {
            *standing = Some(begun);
        }
        standing.is_some()
    }

    /// Of a request behind `queued` others: the batch in progress, and those for the requests in front.
    fn wait(&self, queued: usize) -> u64 {
        let batches = 1 + queued as u64 / self.batch;
        batches.saturating_mul(self.shared.batch_nanos.load(Ordering::Relaxed))
    }

    /// How long so many requests would take at least: as if their batches were full, and no longer than recent ones.
    fn work(&self, requests: u64) -> u64 {
        requests.saturating_mul(self.shared.batch_nanos.load(Ordering::Relaxed)) / self.batch
    }

    fn now(&self) -> u64 {
        nanoseconds(self.shared.began.elapsed())
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn queue_wait(batch: usize, wait_max_ms: u64, standing_max_ms: u64) -> QueueWait {
        let ms = Duration::from_millis;
        QueueWait::new(batch, Patience { wait_max: ms(wait_max_ms), standing_max: ms(standing_max_ms) })
    }

    /// An order arrives.
    fn comes(queue_wait: &QueueWait, queued: usize, at_ms: u64) -> bool {
        let is_refused = queue_wait.refuses_order(queued, || at_ms * MS);
        if is_refused {
            queue_wait.refused_order();
        }
        is_refused
    }

    #[test]
    fn waits_are_turns_times_their_mean_length() {
        let queue_wait = queue_wait(10, 100, 0);
        assert!(!queue_wait.is_too_long(1_000_000), "nothing is known yet");
        queue_wait.record_batch(Duration::from_millis(20), 1);
        assert!(!queue_wait.is_too_long(49), "five batches of 20 ms");
        assert!(queue_wait.is_too_long(50), "six");
        for _ in 0..100 {
            queue_wait.record_batch(Duration::from_millis(2), 1);
        }
        assert!(!queue_wait.is_too_long(400), "batches are shorter now");
        assert!(queue_wait.is_too_long(600));
        for _ in 0..100 {
            queue_wait.record_batch(Duration::from_secs(5), 1);
        }
        assert!(queue_wait.is_too_long(1));
        assert!(!queue_wait.is_too_long(0), "one is let in to see whether it is still so");
    }

    #[test]
    fn one_turn_that_takes_long_is_no_slow_partition() {
        let queue_wait = queue_wait(1, 100, 10);
        for _ in 0..100 {
            queue_wait.record_batch(Duration::from_micros(200), 1);
        }
        queue_wait.record_batch(Duration::from_millis(50), 1);
        assert!(!queue_wait.is_too_long(300), "83 ms");
        queue_wait.record_batch(Duration::from_millis(50), 1);
        assert!(
            queue_wait.is_too_long(15),
            "the second one counts: 6 ms are not all of it, but more than four times the mean"
        );
    }

    #[test]
    fn without_bounds_everything_may_wait() {
        let queue_wait = queue_wait(1, 0, 10);
        queue_wait.record_batch(Duration::from_secs(1), 1);
        assert!(!queue_wait.is_too_long(usize::MAX));
        assert!(!queue_wait.refuses_order(usize::MAX, || u64::MAX));
    }

    #[test]
    fn a_burst_may_wait_and_a_queue_that_stands_may_not() {
        let queue_wait = queue_wait(1, 100, 10);
        queue_wait.record_batch(Duration::from_millis(2), 1);
        let order = |queued, at_ms| comes(&queue_wait, queued, at_ms);
        let empty = |at_ms: u64| queue_wait.shared.empty.store(at_ms * MS, Ordering::Relaxed);
        empty(1_000);
        assert!(!order(40, 1_010), "82 ms, for a burst");
        assert!(!order(40, 1_100), "it is not empty for 100 ms");
        assert!(order(40, 1_101), "now it stands");
        assert!(!order(4, 1_101), "10 ms are not too long even so");
        assert!(order(5, 1_101));
        assert!(!queue_wait.is_too_long(40), "only orders have to stay away");
        empty(1_149);
        assert!(order(5, 1_150), "it was empty for a moment, but it is the same queue");
        (0..48).for_each(|_| queue_wait.record_batch(Duration::from_millis(2), 1));
        empty(1_201);
        assert!(order(5, 1_202), "three were refused for 48 that were taken");
        (0..49).for_each(|_| queue_wait.record_batch(Duration::from_millis(2), 1));
        empty(1_302);
        assert!(!order(5, 1_303), "and only one for 49");
        assert!(!order(40, 1_400), "it is as before");
        assert!(order(40, 1_403), "and stands again");
        empty(9_000);
        assert!(!order(40, 9_001), "nobody came too late for seconds");
    }

    #[test]
    fn what_comes_after_pauses_does_not_keep_a_queue_standing() {
        let queue_wait = queue_wait(1, 100, 1);
        queue_wait.record_batch(Duration::from_millis(2), 1);
        let order = |queued, at_ms| comes(&queue_wait, queued, at_ms);
        let pause = |ends_ms: u64, refused: usize| {
            (0..10).for_each(|_| queue_wait.record_batch(Duration::from_millis(2), 1));
            queue_wait.shared.empty.store((ends_ms - 30) * MS, Ordering::Relaxed);
            (0..5).filter(|_| order(10, ends_ms)).count() == refused
        };
        // The disk stalled for longer than the bound.
        assert!(order(60, 1_000));
        assert!(pause(1_050, 5), "for 100 ms only what can be done at once is taken");
        assert!(pause(1_101, 0), "20 took 40 ms of 101, and the 6 that were refused would have taken 12");
        assert!(pause(1_150, 0) && pause(1_200, 0), "and may come so for ever");
    }

    #[test]
    fn a_queue_that_is_empty_now_and_then_stands_while_what_comes_is_more_than_can_be_done() {
        // Batches of 2 ms, full or nearly, and once in each window the disk stalls for 40.
        for (batch, a_batch) in [(1, 1), (10, 9)] {
            let queue_wait = queue_wait(batch, 100, 1);
            queue_wait.record_batch(Duration::from_millis(2), 1);
            assert!(comes(&queue_wait, 100 * batch, 1_000));
            for window in 1..=20 {
                let ends = 1_000 + window * 101;
                (0..20).for_each(|_| queue_wait.record_batch(Duration::from_millis(2), a_batch));
                queue_wait.record_batch(Duration::from_millis(40), a_batch);
                queue_wait.shared.empty.store((ends - 10) * MS, Ordering::Relaxed);
                // They took 80 ms of 101. What is refused would have taken all of the rest.
                (0..10 * batch).for_each(|_| assert!(comes(&queue_wait, 6 * batch, ends - 50)));
                assert!(comes(&queue_wait, 6 * batch, ends), "{batch}: window {window}");
            }
        }
    }

    #[test]
    fn who_only_asks_does_not_keep_a_queue_standing() {
        for (is_counted, stands) in [(true, true), (false, false)] {
            let queue_wait = queue_wait(1, 100, 1);
            queue_wait.record_batch(Duration::from_millis(2), 1);
            assert!(queue_wait.refuses_order(60, || 1_000 * MS));
            for at_ms in 1_001..1_100 {
                queue_wait.record_batch(Duration::from_millis(1), 1);
                queue_wait.shared.empty.store(at_ms * MS, Ordering::Relaxed);
                assert!(queue_wait.refuses_order(5, || at_ms * MS));
                if is_counted {
                    queue_wait.refused_order();
                }
            }
            assert_eq!(queue_wait.refuses_order(5, || 1_101 * MS), stands);
        }
    }

    #[test]
    fn a_burst_that_is_too_long_is_one_that_stands() {
        let queue_wait = queue_wait(1, 100, 10);
        queue_wait.record_batch(Duration::from_millis(2), 1);
        assert!(comes(&queue_wait, 50, 1), "102 ms");
        queue_wait.shared.empty.store(3 * MS, Ordering::Relaxed);
        assert!(comes(&queue_wait, 5, 4));
        queue_wait.record_batch(Duration::from_millis(2), 33);
        queue_wait.shared.empty.store(103 * MS, Ordering::Relaxed);
        assert!(!comes(&queue_wait, 5, 104));
    }

    #[test]
    fn what_the_next_turn_takes_is_not_refused_because_turns_are_long() {
        let queue_wait = queue_wait(8, 100, 10);
        queue_wait.record_batch(Duration::from_millis(40), 1);
        assert!(!comes(&queue_wait, 7, 1_000), "40 ms at best");
        assert!(comes(&queue_wait, 8, 1_000), "80");
    }
}
