//! Progress of a soak test: a line each second, and points for charts. The number of points is bounded however long the
//! test takes.

use std::convert::Infallible;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crossbook_loadgen::latency::Latency;

use super::trader::Shared;
use super::venue::{Access, Vitals};

/// The most points.
const POINTS_MAX: u64 = 240;
/// Between two lines that are not on a terminal, in seconds.
const SAY_EVERY: u64 = 10;
/// Between two looks at the venue's metrics, in seconds; each look costs it something.
const METRICS_EVERY: u64 = 5;

/// A stretch of time.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Its end, in seconds from the beginning.
    pub at: f64,
    /// Orders acknowledged, a second.
    pub rate: f64,
    /// Half of them took no longer, in nanoseconds.
    pub p50: f64,
    /// 99 % of them took no longer.
    pub p99: f64,
    /// None took longer.
    pub max: f64,
}

/// The figures of the venue's process at a time.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// In seconds from the beginning.
    pub at: f64,
    /// Its figures.
    pub vitals: Vitals,
}

/// The course of a soak.
#[derive(Clone, Debug)]
pub struct Timeline {
    began: Instant,
    /// Seconds of a point.
    stretch: u64,
    current: Latency,
    seconds: u64,
    points: Vec<Point>,
    looks: Vec<Look>,
}

impl Timeline {
    /// Begins now, and lasts about so long.
    pub fn begin(duration: Duration) -> Self {
        Self {
            began: Instant::now(),
            stretch: duration.as_secs().div_ceil(POINTS_MAX).max(1),
            current: Latency::new(),
            seconds: 0,
            points: Vec::new(),
            looks: Vec::new(),
        }
    }

    /// When it began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The points so far.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The venue's own figures.
    pub fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// Watches for as long as it is let.
    pub async fn watch(&mut self, shared: &Shared, access: &Access) -> Infallible {
        let is_terminal = std::io::stderr().is_terminal();
        let mut observer = access.observer();
        let mut ticks = tokio::time::interval_at((self.began + Duration::from_secs(1)).into(), Duration::from_secs(1));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let metrics_every = METRICS_EVERY.max(self.stretch);
        loop {
            ticks.tick().await;
            let line = self.second(shared);
            if is_terminal {
                let mut stderr = std::io::stderr();
                // What is shown on the way is worth no failure.
                let _ = write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush());
            } else if self.seconds.is_multiple_of(SAY_EVERY) {
                eprintln!("{line}");
            }
            if (self.seconds - 1).is_multiple_of(metrics_every)
                && let Ok(metrics) = observer.read("/metrics").await
            {
                let vitals = Vitals::read(&String::from_utf8_lossy(&metrics));
                self.looks.push(Look { at: self.began.elapsed().as_secs_f64(), vitals });
            }
        }
    }

    /// Takes what the last second brought; gives it as a line.
    fn second(&mut self, shared: &Shared) -> String {
        let (recent, acknowledged, failed) = {
            let mut course = shared.lock();
            let recent = std::mem::take(&mut course.figures.recent);
            (recent, course.figures.acknowledged, course.figures.failed())
        };
        self.seconds += 1;
        self.current.merge(&recent);
        if self.seconds.is_multiple_of(self.stretch) {
            self.point(self.stretch);
        }
        let summary = recent.summary();
        format!(
            "{:>6} s  {:>6} orders/s  p99 {:>8.2} ms  max {:>8.2} ms  {acknowledged} acknowledged, {failed} errors",
            self.seconds,
            summary.count,
            summary.p99_ns as f64 / 1e6,
            summary.max_ns as f64 / 1e6,
        )
    }

    /// Ends it: what came after the last second counts to the last point.
    pub fn end(&mut self, shared: &Shared) {
        if std::io::stderr().is_terminal() {
            eprintln!();
        }
        let recent = std::mem::take(&mut shared.lock().figures.recent);
        self.current.merge(&recent);
        let rest = self.seconds % self.stretch;
        if rest > 0 {
            self.point(rest);
        }
    }

    fn point(&mut self, seconds: u64) {
        let summary = std::mem::take(&mut self.current).summary();
        let [p50, p99, max] = [summary.p50_ns, summary.p99_ns, summary.max_ns].map(|ns| ns as f64);
        let rate = summary.count as f64 / seconds as f64;
        self.points.push(Point { at: self.seconds as f64, rate, p50, p99, max });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::super::trader::Course;
    use super::*;

    #[test]
    fn a_long_soak_has_no_more_points_than_a_short_one() {
        let shared: Shared = Arc::new(Mutex::new(Course::new(2)));
        let mut timeline = Timeline::begin(Duration::from_secs(3_600));
        for _ in 0..3_600 {
            (1..=10).for_each(|ms| shared.lock().figures.recent.record(Duration::from_millis(ms)));
            timeline.second(&shared);
        }
        timeline.end(&shared);
        assert_eq!(timeline.points().len(), 240);
        let last = timeline.points()[239];
        assert!((last.at, last.rate) == (3_600.0, 10.0) && last.p50 < last.p99 && last.p99 <= last.max, "{last:?}");
    }
}
