//! What the venue measures of itself, for Prometheus.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds between two rounds of housekeeping in the recorder, which drains the histograms' raw samples.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// From receipt to answer, and everything else that waits for a disk or a network: 50 microseconds to 10 seconds.
const WAITING_SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.007_5, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
    2.0, 5.0, 10.0,
];
/// One command in the engine: 100 nanoseconds to 10 milliseconds.
const MATCHING_SECONDS: &[f64] = &[
    0.000_000_1,
    0.000_000_2,
    0.000_000_5,
    0.000_001,
    0.000_002,
    0.000_005,
    0.000_01,
    0.000_02,
    0.000_05,
    0.000_1,
    0.001,
    0.01,
];
/// A batch in the engine: 1 microsecond to 1 second.
const MATCHING_BATCH_SECONDS: &[f64] = &[
    0.000_001, 0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005,
    0.01, 0.1, 1.0,
];
/// An append to the log's buffer: 1 microsecond to 10 milliseconds.
const APPEND_SECONDS: &[f64] =
    &[0.000_001, 0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.01];
/// Commands in a batch: powers of two.
const BATCH_COMMANDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0];

/// Rows in a transaction of the history.
const BATCH_ROWS: &[f64] = &[1.0, 10.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0];

/// Records all metrics of this process from now on.
///
/// # Errors
/// When a recorder is installed already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    builder()?.install_recorder()
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("crossbook_matching_seconds".into()), MATCHING_SECONDS)?
        .set_buckets_for_metric(Matcher::Full("crossbook_matching_batch_seconds".into()), MATCHING_BATCH_SECONDS)?
        .set_buckets_for_metric(Matcher::Full("crossbook_log_append_seconds".into()), APPEND_SECONDS)?
        .set_buckets_for_metric(Matcher::Full("crossbook_log_batch_commands".into()), BATCH_COMMANDS)?
        .set_buckets_for_metric(Matcher::Full("crossbook_history_batch_rows".into()), BATCH_ROWS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), WAITING_SECONDS)
}

/// What the system says of this process, under the names that every Prometheus client uses. Nothing is known elsewhere than on Linux.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Process {
    /// Bytes of memory that it occupies.
    pub resident_bytes: f64,
    /// Seconds that it has had a processor.
    pub processor_seconds: f64,
}

impl Process {
    /// As it is now.
    pub fn read() -> Option<Self> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: f64 = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is a name in brackets, which may have anything in it; user and system time are the 14th and the 15th.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        let ticks = times.next()?.ok()? + times.next()?.ok()?;
        let processor_seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        Some(Self { resident_bytes: kibibytes * 1024.0, processor_seconds })
    }

    /// Records it as it is now.
    pub fn record() {
        if let Some(process) = Self::read() {
            metrics::gauge!("process_resident_memory_bytes").set(process.resident_bytes);
            metrics::gauge!("process_cpu_seconds_total").set(process.processor_seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_have_the_buckets_of_what_they_measure() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("crossbook_matching_seconds").record(0.000_000_3);
            metrics::histogram!("crossbook_request_seconds").record(0.002);
            metrics::histogram!("crossbook_log_batch_commands").record(3.0);
        });
        let text = recorder.handle().render();
        assert!(text.contains("crossbook_matching_seconds_bucket{le=\"0.0000005\"} 1"), "{text}");
        assert!(text.contains("crossbook_request_seconds_bucket{le=\"0.001\"} 0"), "{text}");
        assert!(text.contains("crossbook_request_seconds_bucket{le=\"0.002\"} 1"), "{text}");
        assert!(text.contains("crossbook_log_batch_commands_bucket{le=\"4\"} 1"), "{text}");
    }
    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_is_known() {
        let process = Process::read().unwrap();
        assert!(process.resident_bytes > 1_048_576.0 && process.processor_seconds >= 0.0, "{process:?}");
    }
}
