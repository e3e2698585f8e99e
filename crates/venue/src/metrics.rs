//! Metrics for Prometheus: the recorder, the buckets of its histograms, and the text of `/metrics`.

mod catalogue;
mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use catalogue::Role;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
pub use process::Process;

/// Seconds between two rounds of housekeeping in the recorder, which drains the histograms' raw samples.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

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

/// The metrics of this process in the text format of Prometheus.
#[derive(Clone, Debug)]
pub struct Exposition {
    recorder: PrometheusHandle,
}

impl Exposition {
    /// All metrics as they are now.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.recorder.render();
        process::append(&mut text);
        text
    }

    /// Keeps the recorder tidy, since raw samples of histograms would pile up between two scrapes, and measures the
    /// file system of `log`, the folder of the log, where there is one. Ends never.
    pub async fn keep_up(self, log: Option<PathBuf>) {
        let mut interval = tokio::time::interval(UPKEEP_EVERY);
        loop {
            interval.tick().await;
            self.recorder.run_upkeep();
            if let Some(log) = &log {
                record_disk(log);
            }
        }
    }
}

/// What the program was built from, for `crossbook_build_info`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Build {
    /// The version of the program.
    pub version: &'static str,
    /// The commit.
    pub commit: &'static str,
    /// The compiler, as it names itself.
    pub rustc: &'static str,
}

/// Metrics cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be recorded: {0}")]
pub struct Error(#[from] BuildError);

/// Records all metrics of this process from now on, as a process of that role does.
///
/// # Errors
/// When a recorder is installed already.
pub fn install(role: Role, build: &Build) -> Result<Exposition, Error> {
    let recorder = builder()?.install_recorder()?;
    catalogue::describe(role);
    let labels = [("version", build.version), ("commit", build.commit), ("rustc", build.rustc)];
    metrics::gauge!("crossbook_build_info", &labels).set(1.0);
    Ok(Exposition { recorder })
}

/// Records when the newest file in a folder of snapshots was written. Without one nothing is recorded.
pub fn record_snapshot(folder: &Path) {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let written = files.filter_map(|file| file.metadata().ok()?.modified().ok());
    if let Some(since) = written.max().and_then(|newest| newest.duration_since(std::time::UNIX_EPOCH).ok()) {
        metrics::gauge!("crossbook_snapshot_timestamp_seconds").set(since.as_secs_f64());
    }
}

/// The time on this machine's clock, as Prometheus has it.
#[must_use]
pub fn unix_seconds() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Records how much room the file system of a folder has. A folder that is not there yet has none recorded.
fn record_disk(folder: &Path) {
    if let Ok(disk) = rustix::fs::statvfs(folder) {
        metrics::gauge!("crossbook_log_disk_free_bytes").set(disk.f_bavail as f64 * disk.f_frsize as f64);
        metrics::gauge!("crossbook_log_disk_size_bytes").set(disk.f_blocks as f64 * disk.f_frsize as f64);
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("crossbook_matching_seconds".into()), MATCHING_SECONDS)?
        .set_buckets_for_metric(Matcher::Full("crossbook_matching_batch_seconds".into()), MATCHING_BATCH_SECONDS)?
        .set_buckets_for_metric(Matcher::Full("crossbook_log_append_seconds".into()), APPEND_SECONDS)?
        .set_buckets_for_metric(Matcher::Full("crossbook_log_batch_commands".into()), BATCH_COMMANDS)?
        .set_buckets_for_metric(Matcher::Full("crossbook_turn_commands".into()), BATCH_COMMANDS)?
        .set_buckets_for_metric(Matcher::Full("crossbook_history_batch_rows".into()), BATCH_ROWS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), WAITING_SECONDS)
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
    fn every_histogram_of_the_catalogue_has_buckets_and_help() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            catalogue::describe(Role::Serve);
            for family in catalogue::FAMILIES.iter().filter(|family| family.kind == catalogue::Kind::Histogram) {
                metrics::histogram!(family.name).record(1.0);
            }
        });
        let text = recorder.handle().render();
        assert!(!text.contains("quantile"), "a histogram without buckets is a summary: {text}");
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, _) = line.split_once(' ').unwrap();
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
        assert!(text.contains("crossbook_trades_total 0"), "counters begin at zero: {text}");
    }
}
