//! What gateways count together, on a real Redis server.

use std::time::Duration;

use crossbook_redis_store::{
    CountBatch, CountBounds, CountLine, Counted, Error, Options, Servers, SharedCounts, StoredBan,
};
use crossbook_servers::redis::RedisServer;
use crossbook_types::SourceId;

const BOUNDS: CountBounds = CountBounds { clients_max: 100, bans_read_max: 100, bans_kept: Duration::from_hours(72) };
const LEASE: Duration = Duration::from_mins(1);

fn line(counter: &'static str, begin: u64, client: &str, add: i64, credit: u64) -> CountLine {
    CountLine { counter, length: Duration::from_mins(1), begin, client: client.to_owned(), add, credit }
}

/// A server, and as many gateways.
fn gateways<const N: usize>(bounds: CountBounds) -> (tempfile::TempDir, RedisServer, Servers, [SharedCounts; N]) {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path()).unwrap();
    let options = Options {
        servers: vec![server.url()],
        venue: "test".to_owned(),
        reply_timeout_ms: 500,
        replicas_min: 0,
        ..Options::default()
    };
    let servers = Servers::new(options).unwrap();
    let gateways = std::array::from_fn(|at| SharedCounts::new(servers.clone(), SourceId(at as u64 + 7), bounds));
    (folder, server, servers, gateways)
}

fn send(gateway: &mut SharedCounts, number: u64, lines: &[CountLine], bans: &[StoredBan]) -> Result<Counted, Error> {
    gateway.exchange(&CountBatch { number, lines, bans, credit_lease: LEASE })
}

fn sums(gateway: &mut SharedCounts, number: u64, lines: &[CountLine]) -> Vec<Option<i64>> {
    send(gateway, number, lines, &[]).unwrap().sums
}

#[test]
fn sums_are_over_all_gateways_by_window_and_vanish() {
    let (_folder, server, _, [mut a, mut b]) = gateways(BOUNDS);
    // Not in the order of their windows.
    let lines = [line("weight", 120, "x", 5, 0), line("orders", 60, "x", 1, 0), line("weight", 60, "y", 7, 0)];
    assert_eq!(sums(&mut a, 1, &lines), [Some(5), Some(1), Some(7)]);
    let lines = [line("weight", 60, "y", 1, 0), line("weight", 120, "x", -2, 0), line("weight", 120, "z", 0, 0)];
    assert_eq!(sums(&mut b, 1, &lines), [Some(8), Some(3), None]);
    assert_eq!(sums(&mut a, 2, &[line("weight", 120, "x", 0, 0)]), [Some(3)]);
    assert_eq!(sums(&mut a, 3, &[line("weight", 120, "x", -9, 0)]), [Some(0)], "never below zero");
    for window in ["weight:60", "weight:120", "orders:60"] {
        let left: i64 = server.ask(&["PTTL", &format!("{{test:p0}}:limits:{window}")]).unwrap();
        assert!((100_000..=120_000).contains(&left), "{window}: {left}");
    }
    let keys: Vec<String> = server.ask(&["KEYS", "*"]).unwrap();
    for key in keys {
        assert!(server.ask::<i64>(&["PTTL", &key]).unwrap() > 0, "{key}");
    }
}

#[test]
fn a_batch_counts_once_whatever_becomes_of_its_answer() {
    let (_folder, server, _, [mut a]) = gateways(BOUNDS);
    let lines = [line("weight", 60, "x", 5, 0)];
    assert_eq!(sums(&mut a, 1, &lines), [Some(5)]);
    server.ask::<()>(&["SCRIPT", "FLUSH"]).unwrap();
    assert_eq!(sums(&mut a, 2, &lines), [Some(10)]);
    assert_eq!(sums(&mut a, 2, &lines), [Some(10)], "sent again");
    // A server that answers too late has added it all the same.
    server.ask::<()>(&["CLIENT", "PAUSE", "1500", "ALL"]).unwrap();
    let mut failures = 0;
    let counted = super::streams::until("an answer", || match send(&mut a, 3, &lines, &[]) {
        Ok(counted) => Some(counted),
        Err(error) => {
            assert!(matches!(error, Error::Lost { .. } | Error::Unreachable { .. }), "{error}");
            failures += 1;
            None
        }
    });
    assert!(failures > 0);
    assert_eq!(counted.sums, [Some(15)]);
    assert_eq!(sums(&mut a, 4, &[line("weight", 60, "x", 0, 0)]), [Some(15)]);
}

#[test]
fn one_gateway_gives_the_credits() {
    let (_folder, server, _, [mut a, mut b]) = gateways(BOUNDS);
    let orders = |add, credit| [line("orders", 60, "1001", add, credit)];
    let counted = send(&mut a, 1, &orders(10, 3), &[]).unwrap();
    assert_eq!((counted.gives_credits, counted.sums), (true, vec![Some(7)]));
    let counted = send(&mut b, 1, &orders(1, 3), &[]).unwrap();
    assert_eq!((counted.gives_credits, counted.sums), (false, vec![Some(8)]));
    assert_eq!(sums(&mut a, 2, &orders(0, 20)), [Some(0)]);
    assert_eq!(sums(&mut a, 3, &orders(2, 0)), [Some(2)]);
    // It has been silent for too long.
    server.ask::<()>(&["DEL", "{test:p0}:limits:credits"]).unwrap();
    let counted = send(&mut b, 2, &orders(0, 1), &[]).unwrap();
    assert_eq!((counted.gives_credits, counted.sums), (true, vec![Some(1)]));
    assert!(!send(&mut a, 4, &orders(0, 1), &[]).unwrap().gives_credits);
}

#[test]
fn bans_reach_the_others_and_those_who_come_later() {
    let (_folder, server, servers, [mut a, mut b]) = gateways(CountBounds { bans_read_max: 2, ..BOUNDS });
    let ban = |client: &str| StoredBan { client: client.to_owned(), until: 1_700_000_000_000_000, bans: 1 };
    let bans = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(ban);
    assert_eq!(send(&mut a, 1, &[], &bans).unwrap().bans, []);
    assert_eq!(send(&mut a, 1, &[], &bans).unwrap().bans, [], "sent again; its own are not news");
    let mut later = SharedCounts::new(servers, SourceId(99), CountBounds { bans_read_max: 2, ..BOUNDS });
    for gateway in [&mut b, &mut later] {
        let heard = send(gateway, 1, &[], &[]).unwrap();
        assert_eq!((heard.bans.as_slice(), heard.more_bans), (&bans[..2], true));
        let heard = send(gateway, 2, &[], &[]).unwrap();
        assert_eq!((heard.bans.as_slice(), heard.more_bans), (&bans[2..], false));
        assert_eq!(send(gateway, 3, &[], &[]).unwrap().bans, []);
    }
    assert_eq!(server.ask::<u64>(&["XLEN", "{test:p0}:limits:bans"]).unwrap(), 3);
}

/// However many clients there are, the store keeps so many of a window.
#[test]
fn a_window_has_so_many_clients_and_no_more() {
    let (_folder, server, _, [mut a, mut b]) = gateways(CountBounds { clients_max: 3, ..BOUNDS });
    let lines: Vec<_> = ["1", "2", "3", "4", "5"].map(|client| line("weight", 60, client, 1, 0)).into();
    assert_eq!(sums(&mut a, 1, &lines), [Some(1), Some(1), Some(1), None, None]);
    assert_eq!(sums(&mut b, 1, &lines), [Some(2), Some(2), Some(2), None, None]);
    assert_eq!(sums(&mut b, 1, &lines), [Some(2), Some(2), Some(2), None, None], "sent again");
    assert_eq!(server.ask::<u64>(&["HLEN", "{test:p0}:limits:weight:60"]).unwrap(), 3);
}
