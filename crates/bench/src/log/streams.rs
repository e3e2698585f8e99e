//! The log in Redis streams, and the delay of its readers.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbook_cluster::store::{Confirm, Connect as _, PartitionTurn, ReadAfter, Subscription as _};
use crossbook_loadgen::latency::Latency;
use crossbook_redis_store::{Link, Options, Servers};
use crossbook_servers::redis::RedisCluster;
use crossbook_types::{PartitionId, Sequence};
use tempfile::TempDir;

use super::super::processor::Used;
use super::{Error, Figures, PAYLOAD_BYTES, batches, each, place};
use crate::matching::processor_time;
use crate::options::Log;
use crate::progress::ProgressDisplay;

/// The provider, with what one connection appends and confirms.
const REDIS: &str = "Redis streams";
/// Commands a second, for the readers to hear of.
pub(super) const RATE: u32 = 200;
/// How long a reader waits for a notification; shorter than a measurement, so that it ends.
const WAIT: Duration = Duration::from_millis(100);
/// The partitions of the readers come after those of the batches.
const FIRST_READER: u16 = 100;

/// How a reader learns of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    /// A read after each notification.
    Push,
    /// A read each 200 ms.
    Poll,
    /// A read after 1 to 50 ms, the longer the longer nothing came.
    Adapt,
}

impl How {
    const ALL: [Self; 3] = [Self::Push, Self::Poll, Self::Adapt];

    fn name(self) -> &'static str {
        match self {
            Self::Push => "push: a read after a notification",
            Self::Poll => "poll, each 200 ms",
            Self::Adapt => "poll, after 1 to 50 ms",
        }
    }
}

/// How long records took from before they were appended until they were read, and how busy both ends were.
pub(super) struct Hearing {
    pub name: &'static str,
    pub latency: Latency,
    /// Shares of a processor.
    pub reader: f64,
    pub server: f64,
}

/// Measures the provider by size of the batch, and the ways of hearing of a record.
///
/// # Errors
/// When there is no Redis, or it fails.
pub(super) fn measure(options: &Log, folder: &TempDir, figures: &mut Figures) -> Result<(), Error> {
    tracing::info!("starting a Redis master and its replica");
    let cluster = RedisCluster::start(&place(folder, "redis"), 1, 1)?;
    let servers = Servers::new(Options { servers: cluster.urls(), ..Options::default() })?;
    for (partition, &size) in (0..FIRST_READER).zip(&options.batches) {
        let mut link = Link::connect(&servers, PartitionId(partition))?;
        let run = batches(options, REDIS, size, |payloads| {
            link.append(payloads)?;
            if link.confirm()? { Ok(()) } else { Err(Error::NotReplicated) }
        })?;
        figures.batches.push(run);
    }
    let master = cluster.process(0).unwrap_or_default();
    for (partition, how) in (FIRST_READER..).zip(How::ALL) {
        figures.hearing.push(hear(options, &servers, PartitionId(partition), how, master)?);
    }
    Ok(())
}

fn hear(options: &Log, servers: &Servers, partition: PartitionId, how: How, master: u32) -> Result<Hearing, Error> {
    let (time, started) = (each(options), Instant::now());
    let mut display = ProgressDisplay::begin(how.name().to_owned(), time.as_millis() as u64);
    let done = AtomicBool::new(false);
    let hearing = std::thread::scope(|scope| {
        let reading = scope.spawn(|| read(servers, partition, how, &done, master));
        let sent = send(servers, partition, time, |at| display.at(at.as_millis() as u64));
        done.store(true, Relaxed);
        let heard = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        sent.and(heard)
    });
    tracing::debug!(how = how.name(), seconds = started.elapsed().as_secs_f64(), "heard");
    display.end();
    hearing
}

/// Appends records that carry the time, at a steady rate.
fn send(
    servers: &Servers,
    partition: PartitionId,
    time: Duration,
    mut shown: impl FnMut(Duration),
) -> Result<(), Error> {
    let mut link = Link::connect(servers, partition)?;
    let started = Instant::now();
    for number in 1.. {
        let mut payload = [0_u8; PAYLOAD_BYTES];
        payload[..8].copy_from_slice(&micros().to_le_bytes());
        link.append(&[&payload])?;
        let due = started + Duration::from_secs(1) / RATE * number;
        if due > started + time {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        shown(started.elapsed());
    }
    Ok(())
}

fn read(servers: &Servers, partition: PartitionId, how: How, done: &AtomicBool, master: u32) -> Result<Hearing, Error> {
    let mut link = Link::connect(servers, partition)?;
    // Another process than the one that appends, whose notifications it would ignore.
    let mut subscription = Servers::new(servers.options().clone())?.subscribe(&[partition], Duration::ZERO)?;
    let (mut after, mut latency) = (Sequence(0), Latency::new());
    let mut pause = Duration::from_millis(1);
    let server = || Used::of([("server".to_owned(), master)].into_iter());
    let (started, thread, before) = (Instant::now(), processor_time(), server());
    while !done.load(Relaxed) {
        if how == How::Push && !subscription.wait(WAIT)? {
            continue;
        }
        let commands = Some(ReadAfter { after, records_max: 1_000 });
        let (read, _) = link.turn(PartitionTurn { commands, ..PartitionTurn::default() }, Confirm::No)?;
        let now = micros();
        for record in &read.commands {
            let sent = record.payload.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            latency.record(Duration::from_micros(now.saturating_sub(sent)));
            after = record.sequence;
        }
        match how {
            How::Push => continue,
            How::Poll => pause = Duration::from_millis(200),
            How::Adapt if read.commands.is_empty() => pause = (pause * 2).min(Duration::from_millis(50)),
            How::Adapt => pause = Duration::from_millis(1),
        }
        std::thread::sleep(pause);
    }
    let elapsed = started.elapsed().as_secs_f64();
    let reader = (processor_time() - thread).as_secs_f64() / elapsed;
    let server = server().since(&before, elapsed).into_values().sum();
    Ok(Hearing { name: how.name(), latency, reader, server })
}

/// The clock that both ends share.
fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
