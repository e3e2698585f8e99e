//! Latencies as rows of a table and as lines of a chart.

use crossbook_loadgen::latency::Latency;

use crate::chart::{Axis, Chart, Series};
use crate::unit::Unit;

/// What [`latency_cells`] are called.
pub const LATENCY_HEADER: [&str; 5] = ["p50", "p99", "p99.9", "p99.99", "longest"];

/// The usual percentiles, to be read.
#[must_use]
pub fn latency_cells(latency: &Latency) -> [String; 5] {
    let summary = latency.summary();
    [summary.p50_ns, summary.p99_ns, summary.p999_ns, summary.p9999_ns, summary.max_ns]
        .map(|nanoseconds| Unit::Nanoseconds.show(nanoseconds as f64))
}

impl Chart {
    /// Latency curves: how long (on a logarithmic axis) what share of the requests took at most. The further to the
    /// right, the rarer.
    #[must_use]
    pub fn percentiles<'a>(title: impl Into<String>, curves: impl IntoIterator<Item = (&'a str, &'a Latency)>) -> Self {
        let series = curves.into_iter().map(|(name, latency)| curve(name, latency)).collect();
        let (x, y) = (Axis::percentiles("percentile"), Axis::logarithmic("latency", Unit::Nanoseconds));
        Self::lines(title, x, y, series)
    }
}

/// The line of a record in a chart of percentiles.
fn curve(name: &str, latency: &Latency) -> Series {
    Series::new(
        name,
        latency.curve().into_iter().map(|(quantile, nanoseconds)| (quantile, nanoseconds as f64)).collect(),
    )
}
