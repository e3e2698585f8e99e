//! Latency without coordinated omission. A client that waits for each answer before its next request slows down with
//! the venue that it measures, and so misses the requests that would have arrived meanwhile. A [`Schedule`] therefore
//! fixes in advance when each request is due, and latency counts from that time, however late the request was sent. A
//! closed loop, in which each answer triggers the next request, finds the highest throughput; a [`Quota`] counts its
//! requests across connections.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest latency told apart from longer ones.
pub const LONGEST: Duration = Duration::from_secs(120);

/// Three significant digits: a latency is right to a thousandth of itself.
const DIGITS: u8 = 3;

/// Points of a curve on each half of the way that is left to 1.
const CURVE_STEPS: u32 = 5;

const NANOSECONDS: u128 = 1_000_000_000;

/// A record of latencies, in constant memory.
#[derive(Clone, Debug)]
pub struct Latency {
    histogram: Histogram<u64>,
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Latency {
    /// An empty record.
    ///
    /// # Panics
    /// Never: the bounds are constant and valid.
    #[must_use]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, nanoseconds(LONGEST), DIGITS).expect("constant, valid bounds");
        Self { histogram }
    }

    /// Adds one latency. Those above [`LONGEST`] count as that.
    #[inline]
    pub fn record(&mut self, latency: Duration) {
        self.histogram.saturating_record(nanoseconds(latency));
    }

    /// Adds everything another record holds.
    ///
    /// # Panics
    /// Never: all records have the same bounds.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("all records have the same bounds");
    }

    /// How many latencies were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// What the record comes to. All zero when it is empty.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let at = |quantile| self.histogram.value_at_quantile(quantile).min(self.histogram.max());
        Summary {
            count: self.histogram.len(),
            p50_ns: at(0.5),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            p9999_ns: at(0.9999),
            max_ns: self.histogram.max(),
        }
    }

    /// The record as a curve: quantiles from 0 to below 1, ever closer to it, and the nanoseconds that so large a share
    /// did not exceed. The last point is the longest latency. Empty when the record is.
    #[must_use]
    pub fn curve(&self) -> Vec<(f64, u64)> {
        let count = self.histogram.len();
        if count == 0 {
            return Vec::new();
        }
        let last = 1.0 - 1.0 / (count as f64 + 1.0);
        let steps = self
            .histogram
            .iter_quantiles(CURVE_STEPS)
            .map(|step| (step.quantile_iterated_to(), step.value_iterated_to().min(self.histogram.max())));
        let mut points: Vec<_> = steps.take_while(|(quantile, _)| *quantile < last).collect();
        points.push((last, self.histogram.max()));
        points
    }
}

/// The usual percentiles of a [`Latency`], in nanoseconds, right to three significant digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// How many latencies it is about.
    pub count: u64,
    /// Half were no longer than this.
    pub p50_ns: u64,
    /// 99 % were no longer than this.
    pub p99_ns: u64,
    /// 99.9 % were no longer than this.
    pub p999_ns: u64,
    /// 99.99 % were no longer than this.
    pub p9999_ns: u64,
    /// Longest latency, in nanoseconds.
    pub max_ns: u64,
}

/// When the requests of an open loop are due: at a fixed rate, whatever the venue does.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    start: Instant,
    per_second: NonZeroU64,
}

impl Schedule {
    /// A schedule whose request 0 is due at `start`.
    #[must_use]
    pub fn new(start: Instant, per_second: NonZeroU64) -> Self {
        Self { start, per_second }
    }

    /// When request `number` is due. Computed from the start each time, so that rounding does not add up.
    ///
    /// # Panics
    /// When that is centuries away.
    #[must_use]
    pub fn due(&self, number: u64) -> Instant {
        let after = u128::from(number) * NANOSECONDS / u128::from(self.per_second.get());
        self.start + Duration::from_nanos(u64::try_from(after).expect("a due time within centuries"))
    }

    /// How many requests are due by `now`.
    #[must_use]
    pub fn due_by(&self, now: Instant) -> u64 {
        let Some(elapsed) = now.checked_duration_since(self.start) else { return 0 };
        // Request n is due after floor(n x 10^9 / rate) ns, so the first that is not is ceil((elapsed + 1) x rate /
        // 10^9).
        let due = ((elapsed.as_nanos() + 1) * u128::from(self.per_second.get())).div_ceil(NANOSECONDS);
        u64::try_from(due).unwrap_or(u64::MAX)
    }

    /// The latency of request `number` that was answered at `now`, counted from when it was due.
    #[must_use]
    pub fn latency(&self, number: u64, now: Instant) -> Duration {
        now.saturating_duration_since(self.due(number))
    }
}

/// A number of requests that connections share out among themselves.
#[derive(Debug)]
pub struct Quota {
    next: AtomicU64,
    limit: u64,
}

impl Quota {
    /// A quota of `limit` requests.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { next: AtomicU64::new(0), limit }
    }

    /// Takes the number of the next request, counted from 0, or `None` when all are taken.
    pub fn take(&self) -> Option<u64> {
        // The quota orders nothing but itself, so no ordering of memory is needed.
        self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| (next < self.limit).then(|| next + 1)).ok()
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_climbs_to_the_longest() {
        assert!(Latency::new().curve().is_empty());
        let mut latency = Latency::new();
        (1..=10_000).for_each(|micros| latency.record(Duration::from_micros(micros)));
        let curve = latency.curve();
        assert!(curve.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{curve:?}");
        let median = curve.iter().find(|(quantile, _)| *quantile >= 0.5).unwrap();
        assert!((4_990_000..5_010_000).contains(&median.1), "{median:?}");
        let (quantile, longest) = *curve.last().unwrap();
        assert!((0.9998..1.0).contains(&quantile) && longest == latency.summary().max_ns);
    }

    fn close(actual: u64, expected: u64) -> bool {
        actual.abs_diff(expected) * 1_000 <= expected
    }

    #[test]
    fn percentiles_are_right_to_a_thousandth_and_survive_a_merge() {
        let (mut odd, mut even) = (Latency::new(), Latency::new());
        for microseconds in 1..=100_000_u64 {
            let half = if microseconds % 2 == 0 { &mut even } else { &mut odd };
            half.record(Duration::from_micros(microseconds));
        }
        odd.merge(&even);
        let summary = odd.summary();
        assert_eq!(summary.count, 100_000);
        for (actual, expected) in [
            (summary.p50_ns, 50_000_000),
            (summary.p99_ns, 99_000_000),
            (summary.p999_ns, 99_900_000),
            (summary.p9999_ns, 99_990_000),
            (summary.max_ns, 100_000_000),
        ] {
            assert!(close(actual, expected), "{actual} for {expected}");
        }
    }

    #[test]
    fn a_latency_out_of_bounds_counts_as_the_longest() {
        let mut latency = Latency::new();
        latency.record(LONGEST * 10);
        assert_eq!(latency.count(), 1);
        assert!(close(latency.summary().max_ns, nanoseconds(LONGEST)));
    }

    #[test]
    fn an_empty_record_is_all_zero_and_a_summary_is_json() {
        assert_eq!(Latency::new().summary(), Summary::default());
        let json = serde_json::to_string(&Summary { p50_ns: 7, ..Summary::default() }).unwrap();
        assert!(json.contains("\"p50_ns\":7"), "{json}");
    }

    #[test]
    fn due_times_do_not_drift_and_agree_with_the_count_of_what_is_due() {
        let start = Instant::now();
        let schedule = Schedule::new(start, NonZeroU64::new(3).unwrap());
        assert_eq!(schedule.due(0), start);
        assert_eq!(schedule.due(3_000_000), start + Duration::from_secs(1_000_000));
        for number in 0..100 {
            let due = schedule.due(number);
            assert_eq!(schedule.due_by(due), number + 1);
            assert_eq!(schedule.due_by(due - Duration::from_nanos(1)), number);
        }
    }

    #[test]
    fn latency_counts_from_the_due_time() {
        let start = Instant::now();
        let schedule = Schedule::new(start, NonZeroU64::new(1_000).unwrap());
        // A stall of a second: requests 0 to 999 are all answered at its end, and all but the last waited for it.
        let stall = start + Duration::from_secs(1);
        assert_eq!(schedule.latency(0, stall), Duration::from_secs(1));
        assert_eq!(schedule.latency(900, stall), Duration::from_millis(100));
        assert_eq!(schedule.latency(2_000, stall), Duration::ZERO);
    }

    #[test]
    fn a_quota_gives_out_each_number_once() {
        let quota = Quota::new(1_000);
        let take_all = || std::iter::from_fn(|| quota.take()).collect::<Vec<_>>();
        let mut numbers = std::thread::scope(|scope| {
            let (one, other) = (scope.spawn(take_all), scope.spawn(take_all));
            [one.join().unwrap(), other.join().unwrap()].concat()
        });
        numbers.sort_unstable();
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
        assert_eq!((quota.take(), quota.taken()), (None, 1_000));
    }
}
