//! Partitions move onto an added shard while requests go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbook_cluster::client;
use crossbook_cluster::store::{ErrorKind, StoreError as _};
use crossbook_cluster::worker::Worker;
use crossbook_protocol::Body;
use crossbook_redis_store::{Link, Servers};
use crossbook_servers::redis::RedisCluster;
use crossbook_types::{PartitionId, Sequence};

use super::cluster::{Gateway, all, audit, options, routing, set_up, work};

/// The longest time without an answer, whatever moves.
const PAUSE_MAX: Duration = Duration::from_secs(3);
/// Requests that wait for their answers at once.
const WINDOW: u64 = 16;
/// Requests that are answered before partitions begin to move, and between two of them.
const BETWEEN: u64 = 400;

/// A venue on one shard, and a shard without slots beside it.
struct Stage {
    _folder: tempfile::TempDir,
    cluster: RedisCluster,
    added: usize,
    servers: Servers,
    workers: [Worker; 2],
    gateway: Gateway,
}

impl Stage {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = RedisCluster::start(folder.path(), 1, 1).unwrap();
        let servers = Servers::new(options(cluster.urls(), 1)).unwrap();
        servers.claim_venue(all().len() as u16, b"").unwrap();
        let workers = [work(&servers, "one"), work(&servers, "two")];
        let mut gateway =
            Gateway::open_with(&servers, client::Options { queue_wait_max_ms: 0, ..client::Options::default() });
        set_up(&mut gateway);
        let added = cluster.add_shard(1).unwrap();
        Self { _folder: folder, cluster, added, servers, workers, gateway }
    }

    /// Each request was answered once, none was refused, and all processes have applied all of the logs, to the same
    /// states.
    fn check(self) {
        self.gateway.all_answered();
        assert!(self.gateway.refused().is_empty(), "{:?}", self.gateway.refused());
        let deadline = Instant::now() + PAUSE_MAX;
        for partition in all() {
            let mut link = Link::connect(&self.servers, partition).unwrap();
            let applied = |worker: &Worker| worker.partitions().find(|(of, _)| *of == partition).unwrap().1.applied();
            // A server may not know yet that the last move has ended.
            let mut ends = loop {
                match link.ends() {
                    Ok(ends) => break ends,
                    Err(error) => assert!(error.kind() == ErrorKind::Elsewhere && Instant::now() < deadline, "{error}"),
                }
                link = Link::connect(&self.servers, partition).unwrap();
            };
            while self.workers.iter().any(|worker| applied(worker) != ends.tail) {
                assert!(Instant::now() < deadline, "partition {partition}: {ends:?}");
                ends = link.ends().unwrap();
            }
            assert_eq!(ends.first, Sequence(1));
        }
        audit(&self.workers);
        self.gateway.running.stop();
        self.workers.into_iter().for_each(Worker::stop);
    }
}

/// All partitions but one move, one after the other, and back, while a gateway sends.
#[test]
fn partitions_move_onto_an_added_shard_and_back_under_load() {
    let mut stage = Stage::set();
    let keys: Vec<String> = all().into_iter().skip(1).map(|partition| stage.servers.keys(partition).input).collect();
    let sent = Arc::new(AtomicU64::new(0));
    let slowest = std::thread::scope(|scope| {
        let (cluster, added, seen) = (&stage.cluster, stage.added, Arc::clone(&sent));
        let mover = scope.spawn(move || {
            let mut slowest = Duration::ZERO;
            for (done, (key, to)) in (1..).zip(keys.iter().flat_map(|key| [(key, added), (key, 0)])) {
                while seen.load(Ordering::Relaxed) < done * BETWEEN {
                    std::thread::yield_now();
                }
                slowest = slowest.max(cluster.move_slot_of(key, to).unwrap());
            }
            slowest
        });
        let (gateway, mut longest, mut number) = (&mut stage.gateway, Duration::ZERO, 0);
        while !mover.is_finished() {
            let begun = Instant::now();
            gateway.send(crate::venue::traffic(number));
            gateway.wait_for_all_but(WINDOW);
            longest = longest.max(begun.elapsed());
            number += 1;
            sent.store(number, Ordering::Relaxed);
        }
        let slowest = mover.join().unwrap();
        println!(
            "{number} requests; the slowest move took {slowest:?}, the longest time without an answer {longest:?}"
        );
        assert!(longest < PAUSE_MAX, "{longest:?}");
        slowest
    });
    assert!(slowest < PAUSE_MAX, "{slowest:?}");
    let key = &stage.servers.keys(PartitionId(1)).input;
    assert_eq!(stage.cluster.master_of(key), Some(0));
    stage.check();
}

/// While some of a partition's keys are on one shard and some on the other, it stands still, and the others go on.
#[test]
fn a_partition_that_is_half_moved_does_not_stop_the_others() {
    let mut stage = Stage::set();
    let (moving, other) = (PartitionId(1), PartitionId(0));
    let of = |partition| (0..).map(crate::venue::traffic).find(|body| routing().home(body) == partition).unwrap();
    let (of_moving, of_other): (Body, Body) = (of(moving), of(other));
    let key = stage.servers.keys(moving).input;
    let mut slot = stage.cluster.begin_move(&key, stage.added).unwrap();
    assert!(slot.step(1).unwrap(), "one of its keys has moved");
    let begun = Instant::now();
    let waits = stage.gateway.send(of_moving);
    for _ in 0..50 {
        stage.gateway.ask(of_other.clone());
    }
    println!("50 requests were answered within {:?} beside a partition that is half moved", begun.elapsed());
    assert!(!stage.gateway.is_answered(waits), "its partition stands still");
    while slot.step(1).unwrap() {}
    slot.end().unwrap();
    assert_eq!(stage.cluster.master_of(&key), Some(stage.added));
    stage.check();
}
