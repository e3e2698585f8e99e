//! `crossbook bench log`: how long a record takes to become durable, and how many can.
//!
//! Files are compared with the disk: the same bytes written and synced with system calls only. Redis streams use a
//! cluster of one master and one replica on this machine, with every write synced on both. A sync costs the same for
//! one record as for a thousand, so the results are by the size of a batch, and by the number of concurrent appenders
//! that each wait for their own record. Then the delay until a reader of a stream has a record: pushed, or polled.

mod files;
mod report;
mod streams;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbook_loadgen::latency::Latency;
use tempfile::TempDir;

use self::streams::Hearing;
use super::Error;
use super::progress::ProgressDisplay;
use crate::options::{Log, Provider};

/// Bytes of a record: about what an order has.
const PAYLOAD_BYTES: usize = 120;

/// Records that were made durable.
struct Run {
    /// Whose: a provider, or the bare system.
    who: &'static str,
    /// Records in a batch, or who append at once.
    size: usize,
    records: u64,
    elapsed: Duration,
    /// From before the first byte was handed over until all was durable.
    latency: Latency,
}

impl Run {
    fn per_second(&self) -> f64 {
        self.records as f64 / self.elapsed.as_secs_f64()
    }
}

/// What was measured; what was not asked for is empty.
#[derive(Default)]
struct Figures {
    batches: Vec<Run>,
    appenders: Vec<Run>,
    hearing: Vec<Hearing>,
}

/// Measures what the command line says.
///
/// # Errors
/// When a disk or a server fails, or is not there.
pub fn run(options: &Log) -> Result<bool, Error> {
    let folder = match &options.folder {
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            tempfile::Builder::new().prefix("bench-log").tempdir_in(folder)?
        }
        None => tempfile::tempdir()?,
    };
    let asked = |provider| options.providers.contains(&provider);
    let mut figures = Figures::default();
    if asked(Provider::Files) {
        files::measure(options, &folder, &mut figures)?;
    }
    if asked(Provider::Redis) {
        streams::measure(options, &folder, &mut figures)?;
    }
    report::tell(options, &figures, folder.path())
}

/// Appends batches, one after the other, for as long as is asked. `append` makes one durable.
fn batches(
    options: &Log,
    who: &'static str,
    size: usize,
    mut append: impl FnMut(&[&[u8]]) -> Result<(), Error>,
) -> Result<Run, Error> {
    let payload = [7_u8; PAYLOAD_BYTES];
    let payloads = vec![&payload[..]; size];
    let time = each(options);
    let mut display = ProgressDisplay::begin(format!("{who}, {size} records a batch"), time.as_millis() as u64);
    let (mut latency, mut records, started) = (Latency::new(), 0, Instant::now());
    while started.elapsed() < time {
        let sent = Instant::now();
        append(&payloads)?;
        latency.record(sent.elapsed());
        records += size as u64;
        display.at(started.elapsed().as_millis() as u64);
    }
    let elapsed = started.elapsed();
    display.end();
    Ok(Run { who, size, records, elapsed, latency })
}

fn each(options: &Log) -> Duration {
    Duration::from_secs(options.seconds.into())
}

/// A folder of its own for one measurement.
fn place(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}
