//! The log in files, and the disk under it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use crossbook_loadgen::latency::Latency;
use crossbook_log::{Files, Log as _, Record, files::Options};
use crossbook_types::Timestamp;
use tempfile::TempDir;

use super::{Error, Figures, PAYLOAD_BYTES, Run, batches, each, place};
use crate::options::Log;
use crate::progress::ProgressDisplay;

/// The provider.
const FILES: &str = "files";
/// The system's calls alone, on a file that grows with each write.
const GROWING: &str = "write + fdatasync, growing file";
/// The same where the file has been written before, so that no sync has to note anything but the bytes.
const WRITTEN: &str = "write + fdatasync, over written room";
/// What such a file has.
const ROOM: usize = 64 << 20;
/// The most records in one batch when many append at once; as in a node.
const BATCH_MAX: usize = 1_024;

/// Measures the provider and the bare disk by size of the batch, and the provider by how many append.
///
/// # Errors
/// When the disk fails.
pub(super) fn measure(options: &Log, folder: &TempDir, figures: &mut Figures) -> Result<(), Error> {
    for &size in &options.batches {
        let (mut log, _) = Files::open(&place(folder, &format!("files-{size}")), Options::default())?;
        figures.batches.push(batches(options, FILES, size, |payloads| append(&mut log, payloads))?);
        drop(log);
        figures.batches.push(raw(options, GROWING, size, &place(folder, &format!("growing-{size}")), 0)?);
        figures.batches.push(raw(options, WRITTEN, size, &place(folder, &format!("written-{size}")), ROOM)?);
    }
    for &count in &options.appenders {
        figures.appenders.push(appenders(options, &place(folder, &format!("appenders-{count}")), count)?);
    }
    Ok(())
}

fn append(log: &mut Files, payloads: &[&[u8]]) -> Result<(), Error> {
    for payload in payloads {
        let sequence = log.tail().next();
        log.append(Record { sequence, time: Timestamp(sequence.0), payload })?;
    }
    log.sync()?;
    Ok(())
}

/// The same bytes by the system's own calls. With `room`, the file is that long and written before, and is gone through
/// in circles.
fn raw(options: &Log, who: &'static str, size: usize, path: &Path, room: usize) -> Result<Run, Error> {
    let file = File::create(path)?;
    file.write_all_at(&vec![0; room], 0)?;
    file.sync_all()?;
    let (mut bytes, mut at) = (Vec::new(), 0_u64);
    let run = batches(options, who, size, |payloads| {
        bytes.clear();
        payloads.iter().for_each(|payload| bytes.extend_from_slice(payload));
        if room > 0 && at + bytes.len() as u64 > room as u64 {
            at = 0;
        }
        file.write_all_at(&bytes, at)?;
        file.sync_data()?;
        at += bytes.len() as u64;
        Ok(())
    });
    std::fs::remove_file(path)?;
    run
}

/// A record to be made durable, and where its sender waits.
type Sent = ([u8; PAYLOAD_BYTES], Sender<()>);

/// So many threads append, each one record at a time, and one writes: whatever waits goes into one batch.
fn appenders(options: &Log, folder: &Path, count: usize) -> Result<Run, Error> {
    let (mut log, _) = Files::open(folder, Options::default())?;
    let (sender, queue) = bounded::<Sent>(count.max(1));
    let stop = AtomicBool::new(false);
    let mut display = ProgressDisplay::begin(format!("{FILES}, {count} append"), each(options).as_millis() as u64);
    let started = Instant::now();
    let latency = std::thread::scope(|scope| {
        let stop = &stop;
        let writing = scope.spawn(move || write(&mut log, &queue));
        let appending: Vec<_> = (0..count)
            .map(|_| {
                let sender = sender.clone();
                scope.spawn(move || append_until(stop, &sender))
            })
            .collect();
        drop(sender);
        while started.elapsed() < each(options) && !writing.is_finished() {
            std::thread::sleep(Duration::from_millis(20));
            display.at(started.elapsed().as_millis() as u64);
        }
        stop.store(true, Relaxed);
        let mut latency = Latency::new();
        for thread in appending {
            latency.merge(&thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map(|()| latency)
    })?;
    let elapsed = started.elapsed();
    display.end();
    Ok(Run { who: FILES, size: count, records: latency.count(), elapsed, latency })
}

/// Appends until it is told to stop, or nobody writes any more.
fn append_until(stop: &AtomicBool, sender: &Sender<Sent>) -> Latency {
    let (done, durable) = bounded(1);
    let mut latency = Latency::new();
    while !stop.load(Relaxed) {
        let sent = Instant::now();
        if sender.send(([7; PAYLOAD_BYTES], done.clone())).is_err() || durable.recv().is_err() {
            break;
        }
        latency.record(sent.elapsed());
    }
    latency
}

/// Makes durable what waits, all of it at once, until nobody appends.
fn write(log: &mut Files, queue: &Receiver<Sent>) -> Result<(), Error> {
    let mut batch = Vec::new();
    while let Ok(first) = queue.recv() {
        batch.push(first);
        batch.extend(queue.try_iter().take(BATCH_MAX - 1));
        let payloads: Vec<&[u8]> = batch.iter().map(|(payload, _)| &payload[..]).collect();
        append(log, &payloads)?;
        for (_, done) in batch.drain(..) {
            // Whoever has gone does not want to know.
            let _ = done.send(());
        }
    }
    Ok(())
}
