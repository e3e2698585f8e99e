//! What is left of what the provider in streams has confirmed, after real Redis servers fail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbook_cluster::store::{Appended, Confirm, Confirmed, StoreError as _, StoredCommand};
use crossbook_redis_store::{Error, Keys, Link, Options, Servers};
use crossbook_servers::redis::RedisCluster;
use crossbook_types::{PartitionId, RequestNumber, Sequence};

use super::streams::{P0, P1, PATIENCE, append, options, read, read_with, reading, until};

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

/// The log holds every confirmed command, where it was appended.
fn holds_all(link: &mut Link, confirmed: &[(Appended, String)]) {
    let records = link.read(Sequence(1), 100_000).unwrap();
    for (appended, payload) in confirmed {
        let record = &records[appended.first.0 as usize - 1];
        assert_eq!(
            (record.sequence, record.time, record.payload.as_slice()),
            (appended.first, appended.time, payload.as_bytes())
        );
        assert!(link.holds(record.sequence, record.time, &record.payload).unwrap());
    }
    assert!(records.windows(2).all(|pair| pair[0].time <= pair[1].time));
}

/// Reads as long as it is to, and gives what it has found confirmed without waiting for it.
fn known_to_be_confirmed(servers: &Servers, partition: PartitionId, reading: &AtomicBool) -> Vec<StoredCommand> {
    let (mut link, mut known) = (None, Vec::<StoredCommand>::new());
    while reading.load(Ordering::Relaxed) {
        let Some(connected) = link.as_mut() else {
            link = Link::connect(servers, partition).ok();
            continue;
        };
        let after = known.last().map_or(0, |command| command.sequence.0);
        match connected.turn(super::streams::reading(after, 1_000), Confirm::IfKnown) {
            Ok((outcome, Confirmed::All)) => known.extend(outcome.commands),
            Ok(_) => {}
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                link = None;
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    known
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
        let appended = link.append(&[payload.as_bytes()])?;
        Ok(link.confirm()?.then_some((appended, payload)))
    };
    let mut link = Link::connect(&servers, partition).unwrap();
    for n in 0..100 {
        confirmed.push(confirm(&mut link, n).unwrap().unwrap());
    }
    let reading = AtomicBool::new(true);
    // While another thread appends.
    let (in_time, errors, known) = std::thread::scope(|scope| {
        let (servers, confirmed) = (&servers, &mut confirmed);
        let reader = scope.spawn(|| known_to_be_confirmed(servers, partition, &reading));
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
                        assert!(error.is_transient(), "{error}");
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
        let (in_time, errors) = appending.join().unwrap();
        reading.store(false, Ordering::Relaxed);
        (in_time, errors, reader.join().unwrap())
    });
    assert!(known.len() > 100, "{} were known to be confirmed", known.len());
    assert!(in_time, "{errors:?}");
    if replicas > 1 {
        cluster.restart(master).unwrap();
    }
    cluster.wait_until_whole().unwrap();

    let mut link = Link::connect(&servers, partition).unwrap();
    assert_ne!(cluster.master_of(&servers.keys(partition).input), Some(master));
    holds_all(&mut link, &confirmed);
    let records = link.read(Sequence(1), 100_000).unwrap();
    assert_eq!(known, records[..known.len()], "nor is anything lost of which another knew that it was confirmed");
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
    let mut link = Link::connect(&servers, P1).unwrap();
    append(&mut link, &["1"]);
    assert!(link.confirm().unwrap());

    // A replica that stands still is online all the same.
    let mut reader = Link::connect(&servers, P1).unwrap();
    let mut knows = || (read_with(&mut reader, 0, Confirm::IfKnown) == (1, Confirmed::All)).then_some(());
    until("what the replica has is known", &mut knows);
    cluster.pause(replica).unwrap();
    append(&mut link, &["2"]);
    assert_eq!(read_with(&mut reader, 0, Confirm::IfKnown), (2, Confirmed::Before), "it has the first");
    assert_eq!(read_with(&mut reader, 0, Confirm::IfKnown), (2, Confirmed::Nothing));
    assert!(!link.confirm().unwrap());
    cluster.resume(replica).unwrap();
    let acknowledged = || (read_with(&mut reader, 0, Confirm::IfKnown) == (2, Confirmed::All)).then_some(());
    until("the replica acknowledges by itself", acknowledged);
    until("the replica goes on", || link.confirm().unwrap().then_some(()));

    cluster.kill(replica);
    append(&mut link, &["3"]);
    assert!(!link.confirm().unwrap());
    assert_eq!(read_with(&mut link, 2, Confirm::Wait), (1, Confirmed::Nothing));
    assert_eq!(read_with(&mut link, 2, Confirm::IfKnown), (1, Confirmed::Nothing));
    let refused = link.deliver(P0, RequestNumber(1), &[b"4"]).unwrap_err();
    assert!(matches!(refused, Error::NotDurable { acknowledged: 0, online: 0, needed: 1, .. }), "{refused}");
    assert!(refused.is_transient());

    cluster.restart(replica).unwrap();
    until("the replica is back", || link.confirm().unwrap().then_some(()));
    assert_eq!(link.deliver(P0, RequestNumber(1), &[b"4"]).unwrap(), RequestNumber(1), "it is there once");
    assert_eq!(read(&mut link, 1), ["1", "2", "3", "4"]);
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
    assert!(link.confirm().unwrap());
    // One that is online but does not acknowledge might be elected: it must not be left behind.
    cluster.pause(replicas[0]).unwrap();
    append(&mut link, &["2"]);
    assert!(!link.confirm().unwrap());
    cluster.resume(replicas[0]).unwrap();
    cluster.kill(replicas[1]);
    append(&mut link, &["3"]);
    let mut reader = Link::connect(&servers, P1).unwrap();
    assert_ne!(read_with(&mut reader, 0, Confirm::IfKnown).1, Confirmed::All, "one is missing, or behind");
    until("the others agree", || link.confirm().unwrap().then_some(()));
    until("what it has is known", || {
        (read_with(&mut reader, 0, Confirm::IfKnown) == (3, Confirmed::All)).then_some(())
    });
    let begun = Instant::now();
    assert!(link.confirm().unwrap());
    assert!(begun.elapsed() < Duration::from_millis(servers.options().wait_timeout_ms));
}

#[test]
fn a_master_that_was_away_confirms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = RedisCluster::start(folder.path(), 3, 1).unwrap();
    let servers = Servers::new(options(cluster.urls(), "test", 1)).unwrap();
    let mut old = Link::connect(&servers, P1).unwrap();
    let mut reader = Link::connect(&servers, P1).unwrap();
    append(&mut old, &["1"]);
    assert!(old.confirm().unwrap());
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
    let claimed = old.append(&[b"never"]);
    let seen = reader.turn(reading(1, 100), Confirm::IfKnown);
    assert!(!matches!(&seen, Ok((outcome, Confirmed::All)) if !outcome.commands.is_empty()), "{seen:?}");
    let claimed = claimed.and_then(|_| old.confirm());
    assert!(!matches!(claimed, Ok(true)), "{claimed:?}");
    until("it is a replica", || new.confirm().unwrap().then_some(()));
    assert_eq!(read(&mut new, 1), ["1", "2"]);
}
