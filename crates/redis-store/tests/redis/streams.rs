//! The provider in streams, on real Redis servers: the conformance suite, and the effect of each script.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbook_cluster::store::conformance::{PARTITIONS, Provider, run, run_with_failures};
use crossbook_cluster::store::{
    Appended, Confirm, Confirmed, Connect as _, Deliver, DepthChange, DepthLevel, ErrorKind, PartitionOutcome,
    PartitionStore as _, PartitionTurn, ReadAfter, StoreError as _, Subscription as _, Turn,
};
use crossbook_redis_store::{Error, Keys, Link, Options, Servers};
use crossbook_servers::redis::{RedisCluster, RedisServer};
use crossbook_types::{Decimal, PartitionId, RequestNumber, Sequence, Side, SourceId, Timestamp};

pub(super) const P0: PartitionId = PartitionId(0);
pub(super) const P1: PartitionId = PartitionId(1);
/// Within this, a cluster must have recovered.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn options(servers: Vec<String>, venue: &str, replicas_min: u32) -> Options {
    Options { servers, venue: venue.to_owned(), replicas_min, ..Options::default() }
}

/// A server alone, and how to reach it.
fn alone() -> (tempfile::TempDir, RedisServer, Servers) {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path()).unwrap();
    let servers = Servers::new(options(vec![server.url()], "test", 0)).unwrap();
    (folder, server, servers)
}

pub(super) fn append(link: &mut Link, payloads: &[&str]) -> Appended {
    let payloads: Vec<_> = payloads.iter().map(|payload| payload.as_bytes()).collect();
    link.append(&payloads).unwrap()
}

pub(super) fn read(link: &mut Link, from: u64) -> Vec<String> {
    let records = link.read(Sequence(from), 1_000).unwrap();
    records.into_iter().map(|record| String::from_utf8(record.payload).unwrap()).collect()
}

/// A turn that reads commands.
pub(super) fn reading(after: u64, records_max: usize) -> PartitionTurn<'static> {
    let commands = Some(ReadAfter { after: Sequence(after), records_max });
    PartitionTurn { commands, ..PartitionTurn::default() }
}

/// What a turn reads, and what is confirmed.
pub(super) fn read_with(link: &mut Link, after: u64, confirm: Confirm) -> (usize, Confirmed) {
    let (outcome, confirmed) = link.turn(reading(after, 100), confirm).unwrap();
    (outcome.commands.len(), confirmed)
}

/// Tries until it works.
pub(super) fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A venue of its own on shared servers, as the suite sees it.
pub(super) struct Fresh<'a> {
    pub(super) servers: Servers,
    pub(super) cluster: Option<&'a RefCell<RedisCluster>>,
}

/// A name that no other venue has, in which both partitions of the suite lie in one shard.
fn venue(cluster: Option<&RedisCluster>) -> String {
    static VENUES: AtomicU64 = AtomicU64::new(0);
    let names = std::iter::repeat_with(|| format!("suite-{}", VENUES.fetch_add(1, Ordering::Relaxed)));
    let together = |venue: &String| {
        let master = |partition| cluster?.master_of(&Keys::new(venue, partition).input);
        let [one, other] = PARTITIONS;
        master(one) == master(other)
    };
    names.take(1_000).find(together).unwrap()
}

impl Provider for Fresh<'_> {
    type Stores = Servers;

    fn stores(&self) -> Servers {
        Servers::new(self.servers.options().clone()).unwrap()
    }

    fn lose(&mut self, writes: &mut dyn FnMut()) -> bool {
        let Some(cluster) = self.cluster else { return false };
        let mut cluster = cluster.borrow_mut();
        let input = self.servers.keys(PARTITIONS[0]).input;
        let master = cluster.master_of(&input).unwrap();
        let replica = cluster.replicas_of(master)[0];
        cluster.pause(replica).unwrap();
        // Or it would receive what its machine has received meanwhile.
        cluster.ask::<i64>(master, &["CLIENT", "KILL", "TYPE", "replica"]).unwrap();
        writes();
        cluster.kill(master);
        cluster.resume(replica).unwrap();
        until("the replica is promoted", || cluster.master_of(&input));
        // As a replica, without which nothing would be confirmed.
        cluster.restart(master).unwrap();
        cluster.wait_until_whole().unwrap();
        true
    }
}

#[test]
fn a_server_alone_passes_the_suite() {
    let (_folder, server, _) = alone();
    run(|| Fresh { servers: Servers::new(options(vec![server.url()], &venue(None), 0)).unwrap(), cluster: None });
}

#[test]
fn a_cluster_with_replicas_passes_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = RefCell::new(RedisCluster::start(folder.path(), 3, 1).unwrap());
    let fresh = || {
        let (venue, urls) = (venue(Some(&cluster.borrow())), cluster.borrow().urls());
        let quick = Options { wait_timeout_ms: 300, ..options(urls, &venue, 1) };
        Fresh { servers: Servers::new(quick).unwrap(), cluster: Some(&cluster) }
    };
    run(fresh);
    run_with_failures(fresh);
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
fn a_turn_is_one_entry_and_entries_of_one_command_are_read_too() {
    let (_folder, server, servers) = alone();
    let input = servers.keys(P1).input;
    // As older versions wrote it.
    server.ask::<()>(&["XADD", &input, "1-0", "t", "5", "c", "1"]).unwrap();
    server.ask::<()>(&["HSET", &servers.keys(P1).log, "tail", "1", "time", "5", "told", "1"]).unwrap();
    server.ask::<()>(&["XADD", &servers.keys(P1).output, "1-0", "e", "a"]).unwrap();
    let mut link = Link::connect(&servers, P1).unwrap();
    let of = |from, messages| Deliver { from: PartitionId(from), first: RequestNumber(1), messages };
    let (deliver, payloads) = ([of(7, vec![b"2".as_slice(), b"3"]), of(8, vec![b"4"])], [b"5".as_slice(), b"6"]);
    let turn = PartitionTurn { deliver: &deliver, append: Some(&payloads), ..reading(1, 4) };
    let (outcome, confirmed) = link.turn(turn, Confirm::Wait).unwrap();
    assert_eq!(confirmed, Confirmed::All);
    assert_eq!(outcome.commands.iter().map(|command| command.sequence.0).collect::<Vec<_>>(), [2, 3, 4, 5]);
    let entries: Vec<(String, Vec<String>)> = server.ask(&["XRANGE", &input, "-", "+"]).unwrap();
    let ids: Vec<_> = entries.iter().map(|(id, fields)| (id.as_str(), fields.len())).collect();
    assert_eq!(ids, [("1-0", 4), ("6-0", 12)]);
    assert_eq!(read(&mut link, 1), ["1", "2", "3", "4", "5", "6"]);
    // What nothing new is in leaves no trace.
    link.turn(PartitionTurn { deliver: &deliver, append: Some(&[]), ..PartitionTurn::default() }, Confirm::No).unwrap();
    assert_eq!(server.ask::<u64>(&["XLEN", &input]).unwrap(), 2);
    link.trim(Sequence(0)).unwrap();
    assert_eq!(server.ask::<u64>(&["EXISTS", &servers.keys(P1).output]).unwrap(), 0, "nobody reads it any more");
}

#[test]
fn a_conversation_says_nothing_that_it_need_not() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = RedisCluster::start(folder.path(), 1, 1).unwrap();
    let servers = Servers::new(options(cluster.urls(), "test", 1)).unwrap();
    let master = cluster.master_of(&servers.keys(P1).input).unwrap();
    // Else a ping of the master may be the end of what is to be acknowledged, for a second at most.
    cluster.ask::<()>(master, &["CONFIG", "SET", "repl-ping-replica-period", "3600"]).unwrap();
    let mut link = Link::connect(&servers, P1).unwrap();
    let payloads = [b"1".as_slice(), b"2"];
    let turn = || PartitionTurn { append: Some(&payloads), ..reading(0, 100) };
    link.turn(turn(), Confirm::Wait).unwrap();
    let calls = |command: &str| {
        let stats: String = cluster.ask(master, &["INFO", "commandstats"]).unwrap();
        let of = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        of.map_or(0, |rest| rest.split(',').next().unwrap().parse::<u64>().unwrap())
    };
    let before = ["set", "evalsha", "xadd", "wait", "spublish"].map(calls);
    assert_eq!(link.turn(turn(), Confirm::Wait).unwrap().1, Confirmed::All);
    let after = ["set", "evalsha", "xadd", "wait", "spublish"].map(calls);
    assert_eq!(std::array::from_fn(|i| after[i] - before[i]), [0, 1, 1, 1, 1], "it writes something itself");
    let mut reader = Link::connect(&servers, P1).unwrap();
    assert_eq!(read_with(&mut reader, 0, Confirm::IfKnown), (4, Confirmed::All), "at once");
    assert_eq!(read_with(&mut reader, 4, Confirm::IfKnown), (0, Confirmed::All));
    assert_eq!(["set", "evalsha", "xadd", "wait", "spublish"].map(calls), after, "who only reads writes nothing");
    assert_eq!(read_with(&mut reader, 4, Confirm::Wait), (0, Confirmed::All));
    assert_eq!(calls("set") - after[0], 1);
}

#[test]
fn own_notifications_are_ignored_and_a_lost_server_is_told() {
    let (_folder, mut server, servers) = alone();
    let other = Servers::new(servers.options().clone()).unwrap();
    let (mut own, mut others) =
        (servers.subscribe(&[P0, P1], Duration::ZERO).unwrap(), other.subscribe(&[P0, P1], Duration::ZERO).unwrap());
    let mut store = servers.connect(P1).unwrap();
    let payloads = [b"1".as_slice()];
    let of =
        |partition, notify| PartitionTurn { partition, append: Some(&payloads), notify, ..PartitionTurn::default() };
    let turn = |notify| Turn { partitions: vec![of(P1, notify), of(P0, notify)], confirm: Confirm::No };
    for _ in 0..3 {
        store.turn(&turn(true)).unwrap();
    }
    let wait =
        |subscription: &mut crossbook_redis_store::Notifications, ms| subscription.wait(Duration::from_millis(ms));
    assert!(wait(&mut others, 20_000).unwrap());
    until("several are one", || (!wait(&mut others, 20).unwrap()).then_some(()));
    store.turn(&turn(false)).unwrap();
    assert!(!wait(&mut own, 20).unwrap() && !wait(&mut others, 20).unwrap());
    server.ask::<()>(&["SPUBLISH", &servers.keys(P0).channel, "of somebody else"]).unwrap();
    assert!(wait(&mut own, 20_000).unwrap() && wait(&mut others, 20_000).unwrap());
    server.kill();
    let lost = until("the loss is seen", || wait(&mut own, 100).err());
    assert!(lost.is_transient(), "{lost}");
    assert!(wait(&mut own, 1).is_err(), "and stays");
    assert!(servers.subscribe(&[P0], Duration::ZERO).is_err_and(|error| error.is_transient()));
}

#[test]
fn partitions_are_grouped_by_their_masters() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = RedisCluster::start(folder.path(), 2, 0).unwrap();
    let servers = Servers::new(options(cluster.urls(), "test", 0)).unwrap();
    let all: Vec<_> = (0..16).map(PartitionId).collect();
    let shards = servers.shards(&all).unwrap();
    assert_eq!(shards.len(), 2);
    for shard in &shards {
        let masters: Vec<_> = shard.iter().map(|&partition| servers.master(partition).unwrap()).collect();
        assert!(masters.windows(2).all(|pair| pair[0] == pair[1]));
        assert!(shard.windows(2).all(|pair| pair[0] < pair[1]), "in their order");
        // One conversation, and one subscription, serve all of them.
        let of =
            |&partition| PartitionTurn { partition, append: Some(&[b"1"]), notify: true, ..PartitionTurn::default() };
        let turn = Turn { partitions: shard.iter().map(of).collect(), confirm: Confirm::Wait };
        let mut subscription =
            Servers::new(servers.options().clone()).unwrap().subscribe(shard, Duration::ZERO).unwrap();
        let outcome = servers.connect(shard[0]).unwrap().turn(&turn).unwrap();
        assert!(outcome.partitions.iter().all(Result::is_ok) && outcome.confirmed == Confirmed::All);
        assert!(subscription.wait(Duration::from_secs(20)).unwrap());
    }
    // One that is elsewhere is left out, and does not keep the others from anything.
    let (here, elsewhere) = (shards[0][0], shards[1][0]);
    let mut store = servers.connect(here).unwrap();
    let of = |partition| PartitionTurn { partition, append: Some(&[b"1"]), notify: true, ..PartitionTurn::default() };
    let refused =
        |outcome: Result<PartitionOutcome, Error>| assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Elsewhere);
    let mut subscription =
        Servers::new(servers.options().clone()).unwrap().subscribe(&[elsewhere, here], Duration::ZERO).unwrap();
    let both = Turn { partitions: vec![of(elsewhere), of(here)], confirm: Confirm::Wait };
    let mut outcome = store.turn(&both).unwrap();
    assert_eq!(outcome.confirmed, Confirmed::All);
    assert!(outcome.partitions.remove(1).unwrap().appended.is_some());
    refused(outcome.partitions.remove(0));
    assert!(subscription.wait(Duration::from_secs(20)).unwrap());
    let alone = Turn { partitions: vec![of(elsewhere)], confirm: Confirm::Wait };
    let mut outcome = store.turn(&alone).unwrap();
    assert_eq!(outcome.confirmed, Confirmed::Nothing);
    refused(outcome.partitions.remove(0));
    cluster.stop();
    servers.forget();
    let refused = servers.shards(&all).unwrap_err();
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
}

#[test]
fn a_gap_and_what_is_not_ours_are_refused() {
    let (_folder, server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    for command in ["1", "2", "3"] {
        append(&mut link, &[command]);
    }
    let keys = servers.keys(P1);
    server.ask::<()>(&["XDEL", &keys.input, "2-0"]).unwrap();
    let refused = link.read(Sequence(1), 10).unwrap_err();
    assert!(matches!(refused, Error::Gap { expected: Sequence(2), found: Sequence(3), .. }), "{refused}");
    server.ask::<()>(&["XADD", &keys.input, "4-7", "t", "1", "c", "x"]).unwrap();
    let refused = link.read(Sequence(3), 10).unwrap_err();
    assert!(matches!(refused, Error::Answer { .. }), "{refused}");
    server.ask::<()>(&["SET", &servers.keys(P0).log, "foreign"]).unwrap();
    let refused = Link::connect(&servers, P0).unwrap().append(&[b"1"]).unwrap_err();
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
    link.append(&largest).unwrap();
    link.append(&[b"", b"\r\n", &every[..limit - 1]]).unwrap();
    let too_long = [every.as_slice(), b"x"].concat();
    assert!(matches!(link.append(&[&too_long]), Err(Error::RecordTooLarge { .. })));
    let too_many = vec![every.as_slice(); largest.len() + 1];
    assert!(matches!(link.append(&too_many), Err(Error::BatchTooLarge { .. })));
    let (outcome, _) = link.turn(reading(0, 100), Confirm::Wait).unwrap();
    let read: Vec<_> = outcome.commands.iter().map(|command| command.payload.as_slice()).collect();
    assert_eq!(read, [largest, vec![b"", b"\r\n", &every[..limit - 1]]].concat());
}

/// As where a master fails over while its slot moves: the new one has the slot, and not all of the keys.
#[test]
fn nothing_is_appended_to_a_log_whose_end_is_missing() {
    let (_folder, server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    append(&mut link, &["1", "2", "3"]);
    let keys = servers.keys(P1);
    server.ask::<()>(&["DEL", &keys.input, &keys.log]).unwrap();
    let payloads = [b"4".as_slice()];
    let after = |after| PartitionTurn { append: Some(&payloads), ..reading(after, 100) };
    let refused = link.turn(after(3), Confirm::Wait).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Elsewhere, "{refused}");
    assert!(refused.to_string().contains("ends at 0, but had 3"), "{refused}");
    assert_eq!(link.ends().unwrap().tail, Sequence(0));
    assert_eq!(link.turn(after(0), Confirm::Wait).unwrap().0.appended.unwrap().last, Sequence(1), "of a new log");
}

#[test]
fn a_turn_is_bounded_over_all_its_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path()).unwrap();
    let options = Options { batch_records_max: 4, turn_records_max: 8, ..options(vec![server.url()], "test", 0) };
    let servers = Servers::new(options).unwrap();
    let mut store = servers.connect(P0).unwrap();
    let payloads = vec![b"1".as_slice(); 4];
    let deliver = |count| [Deliver { from: P0, first: RequestNumber(1), messages: vec![b"m"; count] }];
    let turn = |store: &mut crossbook_redis_store::RedisStore, messages: &[Deliver<'_>]| {
        let of = |partition, deliver| PartitionTurn {
            partition,
            deliver,
            append: Some(&payloads),
            ..PartitionTurn::default()
        };
        let turn = Turn { partitions: vec![of(P0, &[]), of(P1, messages)], confirm: Confirm::Wait };
        store.turn(&turn)
    };
    let refused = turn(&mut store, &deliver(1)).unwrap_err();
    assert!(matches!(refused, Error::TurnTooLarge { records: 9, bytes: 9 }), "{refused}");
    assert_eq!((refused.kind(), refused.is_transient()), (ErrorKind::TooLarge, false));
    let outcome = turn(&mut store, &[]).unwrap();
    let lasts = outcome.partitions.into_iter().map(|outcome| outcome.unwrap().appended.unwrap().last.0);
    assert!(lasts.eq([4, 4]), "the larger one has appended nothing");
    let unequal = Options { turn_bytes_max: servers.options().batch_bytes_max, ..servers.options().clone() };
    assert!(Servers::new(unequal).unwrap_err().to_string().contains("turn_bytes_max"));
}

#[test]
fn a_server_that_is_not_there_is_told_with_everyone_who_was_asked() {
    let (_folder, mut server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    server.kill();
    let lost = link.confirm().unwrap_err();
    assert!(matches!(lost, Error::Lost { .. }) && lost.is_transient(), "{lost}");
    let refused = Link::connect(&servers, P1).unwrap_err();
    assert!(matches!(&refused, Error::Unreachable { tried, .. } if tried.contains("127.0.0.1")), "{refused}");
    server.restart().unwrap();
    append(&mut Link::connect(&servers, P1).unwrap(), &["1"]);
}

#[test]
fn the_depth_of_a_book_is_a_hash_that_anybody_can_read() {
    let (_folder, server, servers) = alone();
    let mut link = Link::connect(&servers, P1).unwrap();
    let decimal = |text: &str| Decimal::parse(text).unwrap();
    let level = |side, price, quantity| DepthLevel { side, price: decimal(price), quantity: decimal(quantity) };
    let levels = [level(Side::Buy, "99.50", "1.000"), level(Side::Sell, "100.00", "2.5")];
    let change = DepthChange { symbol: "BTCUSDT", since: None, last: 5, levels: &levels };
    assert_eq!(link.write_depth(&[change]).unwrap(), [true]);
    let key = servers.keys(P1).depth("BTCUSDT");
    let raw: BTreeMap<String, String> = server.ask(&["HGETALL", &key]).unwrap();
    let expected =
        [("a100", "2.5"), ("b99.5", "1"), ("u", "5")].map(|(field, value)| (field.to_owned(), value.to_owned()));
    assert_eq!(raw, BTreeMap::from(expected));
}
