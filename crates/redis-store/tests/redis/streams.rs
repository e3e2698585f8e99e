//! The provider in streams, on real Redis servers of its own: the suite that every provider must pass, what each script
//! does, and what is left when servers die.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbook_log::conformance::{Provider, run};
use crossbook_log::{Log, Record};
use crossbook_redis_store::{
    Appended, DepthChange, DepthLevel, Ends, Error, Keys, Link, Options, Pulled, Servers, Stream, StreamLog,
    StreamReader, Turn,
};
use crossbook_servers::redis::{RedisCluster, RedisServer};
use crossbook_types::{Decimal, PartitionId, RequestNumber, Sequence, Side, SourceId, Timestamp};

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);
const NO_WAIT: Duration = Duration::ZERO;
const PLENTY: u64 = u64::MAX >> 16;
/// Within this, a cluster must have recovered.
const PATIENCE: Duration = Duration::from_secs(30);

fn options(servers: Vec<String>, venue: &str, replicas_min: u32) -> Options {
    Options { servers, venue: venue.to_owned(), replicas_min, ..Options::default() }
}

/// A server alone, and how to reach it.
fn alone() -> (tempfile::TempDir, RedisServer, Servers) {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path()).unwrap();
    let servers = Servers::new(options(vec![server.url()], "test", 0)).unwrap();
    (folder, server, servers)
}

fn append(link: &mut Link, payloads: &[&str]) -> Appended {
    let payloads: Vec<_> = payloads.iter().map(|payload| payload.as_bytes()).collect();
    link.append(&payloads, PLENTY).unwrap()
}

fn read(link: &mut Link, from: u64) -> Vec<String> {
    let records = link.read(Sequence(from), 1_000).unwrap();
    records.into_iter().map(|record| String::from_utf8(record.payload).unwrap()).collect()
}

fn turn<'a>(publish_after: u64, entries: &'a [&'a [u8]], read_after: u64) -> Turn<'a> {
    Turn {
        publish_after: Sequence(publish_after),
        entries,
        read_after: Sequence(read_after),
        records_max: 100,
        wait: NO_WAIT,
        barrier: true,
    }
}

fn publish(link: &mut Link, after: u64, entries: &[&str]) -> u64 {
    let entries: Vec<_> = entries.iter().map(|entry| entry.as_bytes()).collect();
    let mut pulled = Pulled::default();
    link.turn(&turn(after, &entries, PLENTY), &mut pulled).unwrap();
    assert!(pulled.durable && pulled.records.is_empty());
    pulled.told.0
}

/// What `out` holds after a place.
fn told(link: &mut Link, after: u64) -> Vec<(u64, String)> {
    let mut entries = Vec::new();
    link.follow(Sequence(after), 1_000, NO_WAIT, &mut entries).unwrap();
    entries.into_iter().map(|entry| (entry.sequence.0, String::from_utf8(entry.payload).unwrap())).collect()
}

/// What the store said.
fn of_store(error: &crossbook_log::Error) -> Option<&Error> {
    match error {
        crossbook_log::Error::Store(error) => error.downcast_ref(),
        _ => None,
    }
}

/// Tries until it works.
fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The suite's view of a venue of its own on shared servers.
struct InStreams {
    servers: Servers,
}

impl InStreams {
    fn fresh(urls: &[String], replicas_min: u32) -> Self {
        static VENUES: AtomicU64 = AtomicU64::new(0);
        let venue = format!("suite-{}", VENUES.fetch_add(1, Ordering::Relaxed));
        let small = Options {
            record_bytes_max: 300,
            batch_records_max: 40,
            batch_bytes_max: 2_000,
            ..options(urls.to_vec(), &venue, replicas_min)
        };
        Self { servers: Servers::new(small).unwrap() }
    }
}

impl Provider for InStreams {
    type Log = StreamLog;
    type Reader = StreamReader;

    fn open(&mut self) -> Result<StreamLog, crossbook_log::Error> {
        StreamLog::open(&self.servers, P1)
    }

    fn reader(&mut self, from: Sequence) -> StreamReader {
        StreamReader::open(&self.servers, P1, from)
    }

    fn crash(&mut self, log: StreamLog) {
        drop(log); // what it had buffered is gone with it
    }

    fn record_bytes_max(&self) -> usize {
        self.servers.options().record_bytes_max
    }
}

#[test]
fn a_server_alone_passes_the_suite() {
    let (_folder, server, _) = alone();
    run(|| InStreams::fresh(&[server.url()], 0));
}

#[test]
fn a_cluster_with_replicas_passes_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = RedisCluster::start(folder.path(), 2, 1).unwrap();
    run(|| InStreams::fresh(&cluster.urls(), 1));
}

#[test]
fn commands_of_many_gateways_have_places_without_gaps_and_times_in_order() {
    let (_folder, _server, servers) = alone();
    let gateways = 4;
    let appended: Vec<Vec<Appended>> = std::thread::scope(|scope| {
        let gateway = |number: usize| {
            let mut link = Link::connect(&servers, P1).unwrap();
            let of = |n| (0..=n % 5).map(|i| format!("{number}:{n}:{i}")).collect::<Vec<_>>();
            (0..50)
                .map(|n| append(&mut link, &of(n).iter().map(String::as_str).collect::<Vec<_>>()))
                .collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..gateways).map(|number| scope.spawn(move || gateway(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut link = Link::connect(&servers, P1).unwrap();
    let records = link.read(Sequence(1), 10_000).unwrap();
    assert_eq!(records.len(), gateways * (1 + 2 + 3 + 4 + 5) * 10);
    assert!(records.windows(2).all(|pair| pair[0].sequence.next() == pair[1].sequence && pair[0].time <= pair[1].time));
    for (number, batches) in appended.iter().enumerate() {
        for (n, batch) in batches.iter().enumerate() {
            assert_eq!((batch.last.0 + 1 - batch.first.0) as usize, n % 5 + 1);
            for (i, record) in records[batch.first.0 as usize - 1..batch.last.0 as usize].iter().enumerate() {
                assert_eq!(record.payload, format!("{number}:{n}:{i}").as_bytes());
                assert_eq!(record.time, batch.time);
            }
        }
    }
}

#[test]
fn time_does_not_go_back_when_the_servers_clock_does() {
    let (_folder, server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    let now = append(&mut link, &["a"]).time;
    let ahead = now.0 + 3_600_000_000;
    server.ask::<()>(&["HSET", &servers.keys(P1).log, "time", &ahead.to_string()]).unwrap();
    assert_eq!(append(&mut link, &["b"]).time, Timestamp(ahead));
    assert_eq!(link.ends().unwrap().time, Timestamp(ahead));
}

#[test]
fn no_more_commands_wait_than_may() {
    let (_folder, _server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    let first = link.append(&[b"1", b"2", b"3"], 3).unwrap();
    assert_eq!((first.first, first.last, first.told), (Sequence(1), Sequence(3), Sequence(0)));
    let refused = link.append(&[b"4"], 3).unwrap_err();
    assert!(matches!(refused, Error::Full { waiting: 3, limit: 3 }), "{refused}");
    assert_eq!(publish(&mut link, 0, &["a", "b"]), 2);
    let refused = link.append(&[b"4", b"5", b"6"], 3).unwrap_err();
    assert!(matches!(refused, Error::Full { waiting: 1, limit: 3 }), "nothing of it is appended: {refused}");
    let next = link.append(&[b"4", b"5"], 3).unwrap();
    assert_eq!((next.first, next.last, next.told), (Sequence(4), Sequence(5), Sequence(2)));
    let asked = link.append(&[], 0).unwrap();
    assert_eq!((asked.first, asked.last, asked.time), (Sequence(6), Sequence(5), next.time));
    assert_eq!(read(&mut link, 1), ["1", "2", "3", "4", "5"]);
}

#[test]
fn messages_of_another_partition_are_appended_once_and_in_order() {
    let (_folder, _server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    let mut deliver = |from: u16, first: u64, messages: &[&str]| {
        let messages: Vec<_> = messages.iter().map(|message| message.as_bytes()).collect();
        link.deliver(PartitionId(from), RequestNumber(first), &messages).unwrap().0
    };
    assert_eq!(deliver(7, 1, &[]), 0);
    assert_eq!(deliver(7, 2, &["7b"]), 0, "a gap: nothing is appended");
    assert_eq!(deliver(7, 1, &["7a", "7b"]), 2);
    assert_eq!(deliver(8, 1, &["8a"]), 1, "each partition counts for itself");
    assert_eq!(deliver(7, 1, &["7a", "7b"]), 2, "heard before");
    assert_eq!(deliver(7, 2, &["7b", "7c", "7d"]), 4, "heard in part");
    assert_eq!(deliver(7, 6, &["7f"]), 4);
    assert_eq!(deliver(7, 1, &["7a"]), 4);
    assert_eq!(deliver(7, 9, &[]), 4);
    assert_eq!(read(&mut link, 1), ["7a", "7b", "8a", "7c", "7d"]);
    assert_eq!(link.ends().unwrap().tail, Sequence(5));
}

#[test]
fn two_publishers_have_the_effect_of_one() {
    let (_folder, _server, servers) = alone();
    let mut one = Link::connect(&servers, P1).unwrap();
    let mut other = Link::connect(&servers, P1).unwrap();
    append(&mut one, &["1", "2", "3", "4"]);
    assert_eq!(publish(&mut one, 0, &["a", "b"]), 2);
    assert_eq!(publish(&mut other, 0, &["a", "b", "c"]), 2, "it is where another was: no effect");
    assert_eq!(publish(&mut other, 2, &["c"]), 3);
    assert_eq!(publish(&mut one, 2, &["c", "d"]), 3);
    assert_eq!(publish(&mut one, 5, &["f"]), 3, "no gap");
    assert_eq!(publish(&mut one, 3, &[]), 3, "asks only");
    let all = [(1, "a"), (2, "b"), (3, "c")].map(|(place, entry)| (place, entry.to_owned()));
    assert_eq!(told(&mut other, 0), all);
    assert_eq!(told(&mut other, 2), all[2..]);
    assert_eq!(told(&mut other, 3), []);
    let forked = one.turn(&turn(3, &[b"d", b"e"], 0), &mut Pulled::default()).unwrap_err();
    assert!(matches!(forked, Error::Forked(_)), "what no command caused is not published: {forked}");
}

#[test]
fn a_turn_publishes_reads_and_waits() {
    let (_folder, _server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    let mut pulled = Pulled::default();
    let waiting = Turn { wait: Duration::from_millis(30), ..turn(0, &[], 0) };
    link.turn(&waiting, &mut pulled).unwrap();
    assert_eq!((pulled.records.len(), pulled.told), (0, Sequence(0)), "the time was up");
    let waiting = Turn { wait: Duration::from_secs(20), ..waiting };
    std::thread::scope(|scope| {
        scope.spawn(|| append(&mut Link::connect(&servers, P1).unwrap(), &["1", "2"]));
        link.turn(&waiting, &mut pulled).unwrap();
    });
    assert_eq!(pulled.records.iter().map(|record| record.sequence.0).collect::<Vec<_>>(), [1, 2]);
    assert!(pulled.durable);
    append(&mut link, &["3", "4", "5"]);
    let both: [&[u8]; 2] = [b"a", b"b"];
    link.turn(&Turn { records_max: 2, barrier: false, ..turn(0, &both, 2) }, &mut pulled).unwrap();
    assert_eq!(pulled.records.iter().map(|record| record.payload.as_slice()).collect::<Vec<_>>(), [b"3", b"4"]);
    assert_eq!((pulled.told, pulled.durable), (Sequence(2), false));
}

#[test]
fn what_is_passed_over_is_published_by_nobody_who_does_not_know_it() {
    let (_folder, _server, servers) = alone();
    let (mut worker, mut operator) = (Link::connect(&servers, P1).unwrap(), Link::connect(&servers, P1).unwrap());
    append(&mut operator, &["1", "2", "3"]);
    assert_eq!(publish(&mut worker, 0, &["a"]), 1);
    assert_eq!(operator.mark_skipped(Sequence(1)).unwrap(), Some(Sequence(1)), "what it caused is published");
    assert_eq!(operator.mark_skipped(Sequence(2)).unwrap(), None);
    // It has read command 2 without the mark.
    let refused = worker.turn(&turn(1, &[b"b"], PLENTY), &mut Pulled::default()).unwrap_err();
    assert!(matches!(refused, Error::Marked(_)) && !refused.is_passing(), "{refused}");
    assert_eq!(operator.ends().unwrap().told, Sequence(1));
    let mut anew = Link::connect(&servers, P1).unwrap();
    assert_eq!(publish(&mut anew, 1, &["refused"]), 2);
    assert_eq!(operator.mark_skipped(Sequence(2)).unwrap(), None, "once more does no harm");
}

#[test]
fn nothing_untold_is_trimmed_and_nothing_trimmed_is_read() {
    let (_folder, _server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    let payloads: Vec<_> = (1..=500).map(|n| n.to_string()).collect();
    let payloads: Vec<_> = payloads.iter().map(String::as_str).collect();
    append(&mut link, &payloads);
    publish(&mut link, 0, &payloads[..350]);
    let before = link.ends().unwrap();
    let whole = Ends { first: Sequence(1), out_first: Sequence(1), told: Sequence(350), tail: Sequence(500), ..before };
    assert_eq!(before, whole);
    link.trim(Sequence(0), Sequence(0)).unwrap();
    assert_eq!(link.ends().unwrap(), whole);
    link.trim(Sequence(450), Sequence(250)).unwrap();
    let ends = link.ends().unwrap();
    assert!(ends.first > Sequence(200) && ends.first <= Sequence(351), "{ends:?}");
    assert!(ends.out_first > Sequence(100) && ends.out_first <= Sequence(251), "{ends:?}");
    assert_eq!((ends.told, ends.tail), (whole.told, whole.tail));

    let kept = read(&mut link, ends.first.0);
    assert_eq!(kept, payloads[ends.first.0 as usize - 1..]);
    let refused = link.read(Sequence(ends.first.0 - 1), 1).unwrap_err();
    fn is(error: &Error, of: Stream, expected: Sequence) -> bool {
        matches!(error, Error::Trimmed { stream, first, .. } if *stream == of && *first == expected)
    }
    assert!(is(&refused, Stream::In, ends.first), "{refused}");
    let refused = link.turn(&turn(0, &[], 7), &mut Pulled::default()).unwrap_err();
    assert!(is(&refused, Stream::In, ends.first), "{refused}");
    let refused = link.follow(Sequence(7), 1, NO_WAIT, &mut Vec::new()).unwrap_err();
    assert!(is(&refused, Stream::Out, ends.out_first), "{refused}");
}

#[test]
fn a_fork_is_found_out() {
    let (_folder, server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    let Appended { time, .. } = append(&mut link, &["1", "2"]);
    assert!(link.holds(Sequence(0), Timestamp(0), b"").unwrap());
    assert!(link.holds(Sequence(2), time, b"2").unwrap());
    assert!(!link.holds(Sequence(2), time, b"1").unwrap());
    assert!(!link.holds(Sequence(2), Timestamp(time.0 + 1), b"2").unwrap());
    assert!(!link.holds(Sequence(3), time, b"2").unwrap());
    assert!(!link.holds(Sequence(9), time, b"2").unwrap());
    server.ask::<()>(&["XTRIM", &servers.keys(P1).input, "MINID", "2-0"]).unwrap();
    let refused = link.holds(Sequence(1), time, b"1").unwrap_err();
    assert!(matches!(refused, Error::Trimmed { first: Sequence(2), .. }), "{refused}");
}

#[test]
fn a_gap_and_what_is_not_ours_are_refused() {
    let (_folder, server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    append(&mut link, &["1", "2", "3"]);
    let keys = servers.keys(P1);
    server.ask::<()>(&["XDEL", &keys.input, "2-0"]).unwrap();
    let refused = link.read(Sequence(1), 10).unwrap_err();
    assert!(matches!(refused, Error::Gap { expected: Sequence(2), found: Sequence(3), .. }), "{refused}");
    server.ask::<()>(&["XADD", &keys.input, "4-7", "t", "1", "c", "x"]).unwrap();
    let refused = link.read(Sequence(3), 10).unwrap_err();
    assert!(matches!(refused, Error::Answer { .. }), "{refused}");
    server.ask::<()>(&["SET", &servers.keys(P0).log, "foreign"]).unwrap();
    let refused = Link::connect(&servers, P0).unwrap().append(&[b"1"], PLENTY).unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
}

#[test]
fn a_venue_stays_what_it_was_made_of() {
    let (_folder, _server, servers) = alone();
    let identity = servers.claim_venue(4, b"by hash").unwrap();
    assert_eq!(servers.claim_venue(4, b"by hash").unwrap(), identity, "drawn once");
    let refused = servers.claim_venue(5, b"by hash").unwrap_err();
    assert!(matches!(refused, Error::Partitions { stored: 4, configured: 5, .. }), "{refused}");
    let refused = servers.claim_venue(4, b"by name").unwrap_err();
    assert!(matches!(&refused, Error::Routing { stored, .. } if stored == b"by hash"), "{refused}");
    let numbers: Vec<_> = (0..3).map(|_| servers.next_gateway().unwrap().0 - SourceId::FIRST_GATEWAY.0).collect();
    assert_eq!(numbers, [0, 1, 2]);
    servers.claim_venue(4, b"by hash").unwrap();
}

#[test]
fn a_gateway_may_be_counted_before_the_venue_is_claimed() {
    let (_folder, _server, servers) = alone();
    servers.next_gateway().unwrap();
    servers.claim_venue(4, b"by hash").unwrap();
}

#[test]
fn scripts_that_the_server_lost_are_loaded_again() {
    let (_folder, server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    append(&mut link, &["1", "2"]);
    server.ask::<()>(&["SCRIPT", "FLUSH"]).unwrap();
    append(&mut link, &["3"]);
    server.ask::<()>(&["SCRIPT", "FLUSH"]).unwrap();
    assert_eq!(publish(&mut link, 0, &["a"]), 1);
    server.ask::<()>(&["SCRIPT", "FLUSH"]).unwrap();
    assert_eq!(link.deliver(P0, RequestNumber(1), &[b"4"]).unwrap(), RequestNumber(1));
    assert_eq!(read(&mut link, 1), ["1", "2", "3", "4"]);
}

#[test]
fn payloads_of_any_bytes_are_taken_up_to_the_limit() {
    let (_folder, _server, servers) = alone();
    let limit = servers.options().record_bytes_max;
    let mut link = Link::connect(&servers, P1).unwrap();
    let every: Vec<u8> = (0..=255).cycle().take(limit).collect();
    let largest = vec![every.as_slice(); servers.options().batch_bytes_max / limit];
    link.append(&largest, PLENTY).unwrap();
    link.append(&[b"", b"\r\n", &every[..limit - 1]], PLENTY).unwrap();
    let too_long = [every.as_slice(), b"x"].concat();
    assert!(matches!(link.append(&[&too_long], PLENTY), Err(Error::RecordTooLarge { .. })));
    let too_many = vec![every.as_slice(); largest.len() + 1];
    assert!(matches!(link.append(&too_many, PLENTY), Err(Error::BatchTooLarge { .. })));
    let mut pulled = Pulled::default();
    let entries: Vec<_> = largest.iter().map(|payload| &payload[..]).collect();
    link.turn(&turn(0, &entries, 0), &mut pulled).unwrap();
    let read: Vec<_> = pulled.records.iter().map(|record| record.payload.as_slice()).collect();
    assert_eq!(read, [largest, vec![b"", b"\r\n", &every[..limit - 1]]].concat());
    let mut followed = Vec::new();
    link.follow(Sequence(0), 100, NO_WAIT, &mut followed).unwrap();
    assert!(followed.iter().all(|entry| entry.payload == every) && followed.len() == entries.len());
}

#[test]
fn a_second_writer_of_a_log_is_found_out() {
    let (_folder, _server, servers) = alone();
    let mut one = StreamLog::open(&servers, P1).unwrap();
    let mut other = StreamLog::open(&servers, P1).unwrap();
    let record = |n: u64| Record { sequence: Sequence(n), time: Timestamp(n), payload: b"x" };
    one.append(record(1)).unwrap();
    other.append(record(1)).unwrap();
    one.sync().unwrap();
    let refused = other.sync().unwrap_err();
    assert!(matches!(of_store(&refused), Some(Error::AnotherWriter { found: Sequence(1), .. })), "{refused}");
    assert!(matches!(other.sync(), Err(crossbook_log::Error::Poisoned)));
    one.append(record(2)).unwrap();
    assert_eq!(one.sync().unwrap(), Sequence(2));
}

#[test]
fn a_server_that_is_not_there_is_told_with_everyone_who_was_asked() {
    let (_folder, mut server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    server.kill();
    let lost = link.barrier().unwrap_err();
    assert!(matches!(lost, Error::Lost { .. }) && lost.is_passing(), "{lost}");
    let refused = Link::connect(&servers, P1).unwrap_err();
    assert!(matches!(&refused, Error::Unreachable { tried, .. } if tried.contains("127.0.0.1")), "{refused}");
    server.restart().unwrap();
    append(&mut Link::connect(&servers, P1).unwrap(), &["1"]);
}

/// Two partitions that lie on different masters of a cluster of two.
fn partitions_apart(cluster: &RedisCluster, venue: &str) -> (PartitionId, PartitionId) {
    let master = |partition| cluster.master_of(&Keys::new(venue, PartitionId(partition)).input).unwrap();
    let other = (1..100).find(|partition| master(*partition) != master(0)).unwrap();
    (P0, PartitionId(other))
}

#[test]
fn what_a_barrier_confirmed_survives_the_master() {
    survives_the_master(1);
}

#[test]
fn what_a_barrier_confirmed_survives_a_master_of_two_replicas_and_goes_on_without_it() {
    survives_the_master(2);
}

/// Kills a master under load. With one replica nothing is confirmed until it is back, as a replica; with two it can
/// stay away.
fn survives_the_master(replicas: usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = RedisCluster::start(folder.path(), 3, replicas).unwrap();
    // One address is enough: the others are learnt.
    let servers = Servers::new(options(cluster.urls()[..1].to_vec(), "test", 1)).unwrap();
    let (partition, other) = partitions_apart(&cluster, "test");
    let master = cluster.master_of(&servers.keys(partition).input).unwrap();
    assert_eq!(servers.master(partition).unwrap(), cluster.urls()[master].trim_start_matches("redis://"));

    let mut confirmed: Vec<(Appended, String)> = Vec::new();
    let confirm = |link: &mut Link, n: usize| -> Result<Option<(Appended, String)>, Error> {
        let payload = format!("command {n}");
        let appended = link.append(&[payload.as_bytes()], PLENTY)?;
        Ok(link.barrier()?.then_some((appended, payload)))
    };
    let mut link = Link::connect(&servers, partition).unwrap();
    for n in 0..100 {
        confirmed.push(confirm(&mut link, n).unwrap().unwrap());
    }
    publish(&mut link, 0, &["a", "b", "c"]);

    // While another thread appends.
    let (in_time, errors) = std::thread::scope(|scope| {
        let (servers, confirmed) = (&servers, &mut confirmed);
        let appending = scope.spawn(move || {
            let (mut link, mut errors, mut after) = (Some(link), Vec::new(), 0);
            let deadline = Instant::now() + PATIENCE;
            let mut n = 100;
            while after < 100 && Instant::now() < deadline {
                n += 1;
                let done = match link.as_mut() {
                    Some(link) => confirm(link, n),
                    None => Link::connect(servers, partition).map(|connected| {
                        link = Some(connected);
                        None
                    }),
                };
                match done {
                    Ok(Some(done)) => {
                        after += usize::from(!errors.is_empty());
                        confirmed.push(done);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        assert!(error.is_passing(), "{error}");
                        errors.push(error.to_string());
                        link = None;
                        std::thread::sleep(Duration::from_millis(10));
                    }
                }
            }
            (after == 100, errors)
        });
        cluster.kill(master);
        if replicas == 1 {
            until("a replica is promoted", || cluster.master_of(&servers.keys(partition).input));
            cluster.restart(master).unwrap();
        }
        appending.join().unwrap()
    });
    assert!(in_time, "{errors:?}");
    if replicas > 1 {
        cluster.restart(master).unwrap();
    }
    cluster.wait_until_whole().unwrap();

    let mut link = Link::connect(&servers, partition).unwrap();
    assert_ne!(cluster.master_of(&servers.keys(partition).input), Some(master));
    let records = link.read(Sequence(1), 100_000).unwrap();
    for (appended, payload) in &confirmed {
        let record = &records[appended.first.0 as usize - 1];
        assert_eq!(
            (record.sequence, record.time, record.payload.as_slice()),
            (appended.first, appended.time, payload.as_bytes())
        );
        assert!(link.holds(record.sequence, record.time, &record.payload).unwrap());
    }
    assert!(records.windows(2).all(|pair| pair[0].time <= pair[1].time));
    assert_eq!(told(&mut link, 0).len(), 3);
    Link::connect(&servers, other).unwrap().make_durable().unwrap();
}

#[test]
fn without_a_replica_nothing_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = RedisCluster::start(folder.path(), 3, 1).unwrap();
    let quick = Options { wait_timeout_ms: 200, ..options(cluster.urls(), "test", 1) };
    let servers = Servers::new(quick).unwrap();
    let master = cluster.master_of(&servers.keys(P1).input).unwrap();
    let replica = cluster.replicas_of(master)[0];
    let mut log = StreamLog::open(&servers, P0).unwrap();
    let mut link = Link::connect(&servers, P1).unwrap();
    append(&mut link, &["1"]);
    assert!(link.barrier().unwrap());

    // A replica that stands still is online all the same.
    cluster.pause(replica).unwrap();
    append(&mut link, &["2"]);
    assert!(!link.barrier().unwrap());
    cluster.resume(replica).unwrap();
    until("the replica goes on", || link.barrier().unwrap().then_some(()));

    cluster.kill(replica);
    append(&mut link, &["3"]);
    assert!(!link.barrier().unwrap());
    let mut pulled = Pulled::default();
    link.turn(&turn(0, &[], 2), &mut pulled).unwrap();
    assert_eq!((pulled.records.len(), pulled.durable), (1, false));
    let refused = link.deliver(P0, RequestNumber(1), &[b"4"]).unwrap_err();
    assert!(matches!(refused, Error::NotDurable { acknowledged: 0, online: 0, needed: 1, .. }), "{refused}");
    assert!(refused.is_passing());
    let refused = StreamLog::open(&servers, P1).err();
    assert!(matches!(refused.as_ref().and_then(of_store), Some(Error::NotDurable { .. })), "{refused:?}");

    cluster.restart(replica).unwrap();
    until("the replica is back", || link.barrier().unwrap().then_some(()));
    assert_eq!(link.deliver(P0, RequestNumber(1), &[b"4"]).unwrap(), RequestNumber(1), "it is there once");
    assert_eq!(read(&mut link, 1), ["1", "2", "3", "4"]);
    log.append(Record { sequence: Sequence(1), time: Timestamp(1), payload: b"elsewhere" }).unwrap();
    cluster.wait_until_whole().unwrap();
}

#[test]
fn one_replica_of_two_is_enough_once_the_other_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = RedisCluster::start(folder.path(), 1, 2).unwrap();
    let servers = Servers::new(options(cluster.urls(), "test", 1)).unwrap();
    let mut link = Link::connect(&servers, P1).unwrap();
    let master = cluster.master_of(&servers.keys(P1).input).unwrap();
    let replicas = cluster.replicas_of(master);
    assert_eq!(replicas.len(), 2);
    append(&mut link, &["1"]);
    assert!(link.barrier().unwrap());
    // One that is online but does not acknowledge might be elected: it must not be left behind.
    cluster.pause(replicas[0]).unwrap();
    append(&mut link, &["2"]);
    assert!(!link.barrier().unwrap());
    cluster.resume(replicas[0]).unwrap();
    cluster.kill(replicas[1]);
    append(&mut link, &["3"]);
    until("the others agree", || link.barrier().unwrap().then_some(()));
    let begun = Instant::now();
    assert!(link.barrier().unwrap());
    assert!(begun.elapsed() < Duration::from_millis(servers.options().wait_timeout_ms));
}

#[test]
fn a_master_that_was_away_confirms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = RedisCluster::start(folder.path(), 3, 1).unwrap();
    let servers = Servers::new(options(cluster.urls(), "test", 1)).unwrap();
    let mut old = Link::connect(&servers, P1).unwrap();
    append(&mut old, &["1"]);
    assert!(old.barrier().unwrap());
    let master = cluster.master_of(&servers.keys(P1).input).unwrap();
    let replica = cluster.replicas_of(master)[0];
    cluster.pause(master).unwrap();
    servers.forget();
    let mut new = until("a replica is promoted", || {
        let connected = cluster.ask::<Vec<redis::Value>>(replica, &["ROLE"]).ok()?;
        let promoted = matches!(&connected[0], redis::Value::BulkString(role) if role == b"master");
        if promoted { Link::connect(&servers, P1).ok() } else { None }
    });
    append(&mut new, &["2"]);
    cluster.resume(master).unwrap();
    // Whatever the old one answers now, it is no confirmation.
    let claimed = old.append(&[b"never"], PLENTY).and_then(|_| old.barrier());
    assert!(!matches!(claimed, Ok(true)), "{claimed:?}");
    until("it is a replica", || new.barrier().unwrap().then_some(()));
    assert_eq!(read(&mut new, 1), ["1", "2"]);
}

#[test]
fn the_depth_of_a_book_goes_forward_and_is_never_patched_over_a_gap() {
    let (_folder, server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    let decimal = |text: &str| Decimal::parse(text).unwrap();
    let level = |side, price, quantity| DepthLevel { side, price: decimal(price), quantity: decimal(quantity) };
    let mut keep = |since, last, levels: &[DepthLevel]| {
        link.keep_depth(&[DepthChange { symbol: "BTCUSDT", since, last, levels }]).unwrap()[0]
    };
    let (bid, ask) = (level(Side::Buy, "99.50", "1.000"), level(Side::Sell, "100.00", "2.5"));
    assert!(!keep(Some(4), 5, &[ask]), "nobody knows the first four changes");
    assert!(keep(None, 5, &[bid, ask]));
    // Another worker that is a little ahead; then the first one, which overlaps, and is behind.
    assert!(keep(Some(5), 8, &[level(Side::Buy, "99.5", "0.5"), level(Side::Buy, "99", "3")]));
    assert!(keep(Some(5), 7, &[level(Side::Buy, "99.5", "9")]), "the depth is further than that");
    assert!(keep(Some(7), 9, &[level(Side::Buy, "99.5", "0.5"), level(Side::Sell, "100", "0.0")]));
    assert!(!keep(Some(10), 11, &[bid]), "change 10 is missing");
    let shown = |link: &mut Link| {
        let kept = link.kept_depth("BTCUSDT").unwrap().unwrap();
        let text = |levels: Vec<(Decimal, Decimal)>| levels.iter().map(|(p, q)| format!("{p}x{q}")).collect::<Vec<_>>();
        (kept.last, text(kept.bids), text(kept.asks))
    };
    let mut reader = Link::connect(&servers, P1).unwrap();
    assert_eq!(shown(&mut reader), (9, vec!["99.5x0.5".to_owned(), "99x3".to_owned()], Vec::new()));
    assert_eq!(reader.kept_depth("ETHUSDT").unwrap(), None);
    let raw: Vec<String> = server.ask(&["HGETALL", &servers.keys(P1).depth("BTCUSDT")]).unwrap();
    assert_eq!(raw.len(), 6, "{raw:?}");
    assert!(keep(None, 12, &[ask]), "a whole book takes the place of all that was there");
    assert_eq!(shown(&mut reader), (12, Vec::new(), vec!["100x2.5".to_owned()]));
}
