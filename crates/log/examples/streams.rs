//! Measures a log in streams on Redis servers of its own, a cluster of one master and one replica, every write synced on both:
//!
//!     cargo run --release -p crossbook-log --example streams [SECONDS_EACH]
//!
//! First how long an append takes until it is durable, by size of the batch. Then what it costs to hear of a command: pushed (a
//! blocking read), polled every 200 ms, and polled after 1 to 50 ms, the longer the longer nothing came.

#![allow(clippy::unwrap_used)] // a measurement that fails has nothing to say

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbook_loadtest::redis::RedisCluster;
use crossbook_log::streams::{Link, Options, Pulled, Servers, Turn};
use crossbook_types::{PartitionId, Sequence};

const PAYLOAD_BYTES: usize = 120;
/// Commands a second, for the readers to hear of.
const RATE: u64 = 200;

fn main() {
    let seconds: u64 = std::env::args().nth(1).map_or(5, |seconds| seconds.parse().expect("SECONDS_EACH is a number"));
    let each = Duration::from_secs(seconds);
    let folder = tempfile::tempdir().unwrap();
    let cluster = RedisCluster::start(folder.path(), 1, 1).unwrap();
    let options = Options { servers: cluster.urls(), ..Options::default() };
    let servers = Servers::new(options).unwrap();

    println!("append and barrier, payloads of {PAYLOAD_BYTES} bytes, one connection");
    println!("{:>8} {:>10} {:>10} {:>12}", "batch", "p50 ms", "p99 ms", "records/s");
    for (partition, batch) in [1_usize, 10, 100, 1_000].into_iter().enumerate() {
        let mut link = Link::connect(&servers, PartitionId(partition as u16)).unwrap();
        let payload = [7_u8; PAYLOAD_BYTES];
        let payloads = vec![payload.as_slice(); batch];
        let mut times = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < each {
            let sent = Instant::now();
            link.append(&payloads, u64::MAX >> 16).unwrap();
            assert!(link.barrier().unwrap());
            times.push(sent.elapsed());
        }
        let rate = (times.len() * batch) as f64 / begun.elapsed().as_secs_f64();
        let (p50, p99) = percentiles(&mut times);
        println!("{batch:>8} {p50:>10.2} {p99:>10.2} {rate:>12.0}");
    }

    println!("\nhearing of a command, {RATE} commands/s, each appended by itself");
    println!("{:>14} {:>10} {:>10} {:>14} {:>14}", "reader", "p50 ms", "p99 ms", "reader CPU %", "server CPU %");
    let master = cluster.process(0).unwrap();
    for (number, (name, how)) in
        [("push", How::Push), ("poll 200 ms", How::Poll), ("poll 1-50 ms", How::Adapt)].into_iter().enumerate()
    {
        let partition = PartitionId(100 + number as u16);
        let (mut times, reader, server) = hear(&servers, partition, how, each, master);
        let (p50, p99) = percentiles(&mut times);
        println!("{name:>14} {p50:>10.2} {p99:>10.2} {reader:>14.1} {server:>14.1}");
    }
}

#[derive(Clone, Copy)]
enum How {
    Push,
    Poll,
    Adapt,
}

/// How long commands took from before they were appended until they were read, and how busy reader and server were.
fn hear(servers: &Servers, partition: PartitionId, how: How, each: Duration, server: u32) -> (Vec<Duration>, f64, f64) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut link = Link::connect(servers, partition).unwrap();
            let (mut pulled, mut after, mut times) = (Pulled::default(), Sequence(0), Vec::new());
            let mut pause = Duration::from_millis(1);
            let (begun, thread, process) = (Instant::now(), own_ticks(), ticks(&format!("/proc/{server}/stat")));
            while !done.load(Ordering::Relaxed) {
                let wait = if let How::Push = how { Duration::from_millis(100) } else { Duration::ZERO };
                let turn = Turn {
                    publish_after: Sequence(0),
                    entries: &[],
                    read_after: after,
                    records_max: 1_000,
                    wait,
                    barrier: false,
                };
                link.turn(&turn, &mut pulled).unwrap();
                let now = micros();
                for record in &pulled.records {
                    let sent = u64::from_le_bytes(record.payload[..8].try_into().unwrap());
                    times.push(Duration::from_micros(now.saturating_sub(sent)));
                    after = record.sequence;
                }
                match how {
                    How::Push => continue,
                    How::Poll => pause = Duration::from_millis(200),
                    How::Adapt if pulled.records.is_empty() => pause = (pause * 2).min(Duration::from_millis(50)),
                    How::Adapt => pause = Duration::from_millis(1),
                }
                std::thread::sleep(pause);
            }
            let busy = |before: u64, after: u64| (after - before) as f64 / begun.elapsed().as_secs_f64();
            (times, busy(thread, own_ticks()), busy(process, ticks(&format!("/proc/{server}/stat"))))
        });
        let mut link = Link::connect(servers, partition).unwrap();
        let begun = Instant::now();
        let mut sent = 0;
        while begun.elapsed() < each {
            let mut payload = [0_u8; PAYLOAD_BYTES];
            payload[..8].copy_from_slice(&micros().to_le_bytes());
            link.append(&[&payload], u64::MAX >> 16).unwrap();
            sent += 1;
            let next = begun + Duration::from_micros(sent * 1_000_000 / RATE);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        done.store(true, Ordering::Relaxed);
        reading.join().unwrap()
    })
}

fn percentiles(times: &mut [Duration]) -> (f64, f64) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0;
    (at(0.5), at(0.99))
}

fn micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

/// Processor time of this thread, in hundredths of a second.
fn own_ticks() -> u64 {
    ticks("/proc/thread-self/stat")
}

fn ticks(file: &str) -> u64 {
    let stat = std::fs::read_to_string(file).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
