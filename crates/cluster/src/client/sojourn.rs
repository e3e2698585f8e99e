//! How many requests of this gateway may be under way to a partition while there are too many.
//!
//! A gateway whose venue is asked for more than it can do retains what it cannot pass on, and everybody waits for all
//! of it. So the time between a request's arrival and its acceptance by the partition is measured. If even the shortest
//! of a *window* is too long, in two windows after each other, the queue is not that of a burst: it persists. From then
//! on new orders are refused while as many requests are under way as the partition accepts within the time that is
//! allowed. This *limit* follows what is measured: it shrinks while requests still take too long, and grows while
//! orders are refused although they do not. Once nobody has to be refused for a while there is no limit.
//!
//! What is too long is set, but never less than twice what a request takes if nothing waits, as measured: refusing
//! cannot make the store any faster. Nor can it where hardly anything is under way; so a few always may be. See CoDel
//! (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 2012) for the shortest of a window.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbook_types::RequestNumber;

/// The least length of a window.
const WINDOW: Duration = Duration::from_millis(100);
/// The shortest time of fewer requests says little.
const SAMPLES_MIN: u32 = 3;
/// How many windows must be too long before there is a limit, and how many without a refusal end it.
const LATE_WINDOWS: u32 = 2;
const CALM_WINDOWS: u32 = 10;
/// The limit shrinks and grows by one part in so many.
const SHRINKING: u64 = 8;
const GROWTH: u64 = 16;
/// The least limit, if a turn takes at least half of it.
const LIMIT_MIN: u64 = 4;
/// By how much the time without a queue is believed to have grown in each window: one part in so many. A store that
/// has become slower for good is found so, in minutes.
const FORGETTING: u32 = 2_048;
/// A request whose fate is unknown for so long is not waited for.
const LOST: Duration = Duration::from_secs(2);

/// What is measured by the one who takes answers in, and asked by those who send.
#[derive(Debug)]
pub(super) struct Limit {
    /// Requests that may be under way; the most possible if there is no limit.
    most: AtomicU64,
    /// Orders refused in this window.
    refused: AtomicU64,
}

impl Default for Limit {
    fn default() -> Self {
        Self { most: AtomicU64::new(u64::MAX), refused: AtomicU64::new(0) }
    }
}

impl Limit {
    /// Whether a new order behind so many requests is to be refused now.
    pub(super) fn refuses(&self, under_way: u64) -> bool {
        under_way >= self.most.load(Ordering::Relaxed)
    }

    /// Takes note of an order that was refused for this.
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// The measuring side.
#[derive(Debug)]
pub(super) struct Sojourn {
    /// How long is too long; zero: nothing is.
    allowed: Duration,
    /// The least limit.
    least: u64,
    /// How long a request takes if nothing waits, as far as is known.
    alone: Option<Duration>,
    /// The request that is timed, and when it arrived.
    timed: Option<(RequestNumber, Duration)>,
    /// Of this window: when it began, the shortest time, and how many requests were timed and accepted.
    began: Duration,
    shortest: Duration,
    samples: u32,
    accepted: u64,
    /// Windows in which all took too long, and windows without a refusal.
    late: u32,
    calm: u32,
}

impl Sojourn {
    /// `batch`: requests that a turn takes.
    pub(super) fn new(allowed: Duration, batch: usize) -> Self {
        Self {
            allowed,
            least: LIMIT_MIN.min(2 * batch.max(1) as u64),
            alone: None,
            timed: None,
            began: Duration::ZERO,
            shortest: Duration::MAX,
            samples: 0,
            accepted: 0,
            late: 0,
            calm: 0,
        }
    }

    /// A request that has arrived at `arrived` is on its way; one at a time is timed.
    pub(super) fn begins(&mut self, number: RequestNumber, arrived: Duration, now: Duration) {
        if self.timed.is_none_or(|(_, since)| now.saturating_sub(since) > LOST) {
            self.timed = Some((number, arrived));
        }
    }

    /// The partition has accepted a request.
    pub(super) fn accepted(&mut self, number: RequestNumber, now: Duration) {
        self.accepted += 1;
        if let Some((_, arrived)) = self.timed.take_if(|(timed, _)| *timed == number) {
            self.shortest = self.shortest.min(now.saturating_sub(arrived));
            self.samples += 1;
        }
    }

    /// Ends the window if it has been long enough, and sets the limit. So many requests are under way.
    pub(super) fn look(&mut self, limit: &Limit, under_way: u64, now: Duration) {
        let length = now.saturating_sub(self.began);
        let has_limit = limit.most.load(Ordering::Relaxed) != u64::MAX;
        // Without samples nothing was accepted, or nothing came. A limit must not outlast those for whom it is.
        let is_over = length >= WINDOW && (self.samples >= SAMPLES_MIN || (has_limit && length >= WINDOW * 2));
        if self.allowed.is_zero() || !is_over {
            return;
        }
        let allowed = self.allowed.max(self.alone.unwrap_or_default() * 2);
        let is_late = self.samples > 0 && self.shortest > allowed && under_way >= self.least;
        if self.samples > 0 {
            let alone = self.alone.map_or(self.shortest, |alone| alone + alone / FORGETTING);
            self.alone = Some(alone.min(self.shortest));
        }
        self.late = if is_late { self.late + 1 } else { 0 };
        let refused = limit.refused.swap(0, Ordering::Relaxed);
        let most = limit.most.load(Ordering::Relaxed);
        let within = (self.accepted as f64 * allowed.as_secs_f64() / length.as_secs_f64()) as u64;
        let next = match (has_limit, is_late) {
            (false, true) if self.late >= LATE_WINDOWS => within,
            (false, _) => u64::MAX,
            (true, true) => most - (most / SHRINKING).max(1).min(most),
            (true, false) if refused > 0 => most + most / GROWTH + 1,
            (true, false) => most,
        };
        self.calm = if has_limit && !is_late && refused == 0 { self.calm + 1 } else { 0 };
        let next = if self.calm >= CALM_WINDOWS { u64::MAX } else { next.max(self.least) };
        limit.most.store(next, Ordering::Relaxed);
        (self.began, self.shortest, self.samples, self.accepted) = (now, Duration::MAX, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Duration = Duration::from_millis(10);

    /// A partition that accepts a request every `step` and has `queue` in front of each, as a gateway sees it.
    struct Feeding {
        limit: Limit,
        sojourn: Sojourn,
        now: Duration,
        number: u64,
    }

    impl Feeding {
        fn new(allowed: Duration) -> Self {
            Self { limit: Limit::default(), sojourn: Sojourn::new(allowed, 1_024), now: ms(10_000), number: 0 }
        }

        /// For one window, requests take `took`; `refused` others are refused if there is a limit.
        fn window(&mut self, took: Duration, refused: u64) {
            let step = Duration::from_millis(1);
            for _ in 0..=WINDOW.as_millis() {
                self.number += 1;
                let number = RequestNumber(self.number);
                self.sojourn.begins(number, self.now.saturating_sub(took), self.now);
                self.sojourn.accepted(number, self.now);
                self.now += step;
            }
            (0..refused).for_each(|_| self.limit.refused());
            self.sojourn.look(&self.limit, 500, self.now);
        }

        fn most(&self) -> u64 {
            self.limit.most.load(Ordering::Relaxed)
        }
    }

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_queue_that_persists_is_limited_to_what_is_done_in_the_time() {
        let mut feeding = Feeding::new(ALLOWED);
        feeding.window(ms(4), 0);
        feeding.window(ms(200), 0);
        assert!(!feeding.limit.refuses(1_000_000), "it may be a burst");
        feeding.window(ms(200), 0);
        assert!(feeding.limit.refuses(10) && !feeding.limit.refuses(9), "a request each millisecond");
        feeding.window(ms(30), 500);
        assert_eq!(feeding.most(), 9, "still too long");
        feeding.window(ms(8), 500);
        assert_eq!(feeding.most(), 10, "there is room");
        for _ in 0..CALM_WINDOWS - 1 {
            feeding.window(ms(8), 0);
            assert_eq!(feeding.most(), 10, "nobody is refused, but that may not be for long");
        }
        feeding.window(ms(8), 0);
        assert!(!feeding.limit.refuses(1_000_000), "it is over");
    }

    #[test]
    fn a_store_that_is_slow_without_a_queue_is_no_reason_to_refuse() {
        let mut feeding = Feeding::new(ALLOWED);
        for _ in 0..100 {
            feeding.window(ms(40), 0);
            assert!(!feeding.limit.refuses(1_000_000));
        }
        feeding.window(ms(90), 0);
        feeding.window(ms(90), 0);
        assert!(feeding.limit.refuses(1_000), "more than twice that is");
    }

    #[test]
    fn the_limit_never_keeps_everybody_away_and_ends_when_nobody_comes() {
        let mut feeding = Feeding::new(ALLOWED);
        feeding.window(ms(1), 0);
        (0..100).for_each(|_| feeding.window(ms(500), 1));
        assert!(!feeding.limit.refuses(LIMIT_MIN - 1), "some are let in to see whether it is still so");
        assert!(feeding.limit.refuses(LIMIT_MIN));
        for _ in 0..CALM_WINDOWS + 1 {
            feeding.now += WINDOW * 2;
            feeding.sojourn.look(&feeding.limit, 0, feeding.now);
        }
        assert!(!feeding.limit.refuses(1_000_000));
    }

    #[test]
    fn a_few_requests_that_take_long_are_no_queue() {
        let mut feeding = Feeding::new(ALLOWED);
        feeding.window(ms(1), 0);
        for under_way in [LIMIT_MIN - 1, LIMIT_MIN] {
            for _ in 0..LATE_WINDOWS {
                (feeding.sojourn.shortest, feeding.sojourn.samples) = (ms(50), SAMPLES_MIN);
                feeding.now += WINDOW;
                feeding.sojourn.look(&feeding.limit, under_way, feeding.now);
            }
            assert_eq!(feeding.limit.refuses(LIMIT_MIN), under_way == LIMIT_MIN);
        }
    }

    #[test]
    fn a_request_that_is_lost_is_not_waited_for() {
        let mut feeding = Feeding::new(ALLOWED);
        feeding.sojourn.begins(RequestNumber(9_999), feeding.now, feeding.now);
        feeding.now += LOST + ms(1);
        feeding.window(ms(4), 0);
        (0..2).for_each(|_| feeding.window(ms(300), 0));
        assert_ne!(feeding.most(), u64::MAX);
    }

    #[test]
    fn without_a_bound_there_is_no_limit() {
        let mut feeding = Feeding::new(Duration::ZERO);
        (0..100).for_each(|_| feeding.window(ms(500), 0));
        assert!(!feeding.limit.refuses(u64::MAX - 1));
    }
}
