//! The rights that `docs/cluster.md` gives a user of the store are enough for all that a cluster asks of it, and for
//! nothing else.

use std::time::Duration;

use crossbook_cluster::client;
use crossbook_cluster::store::conformance::run;
use crossbook_cluster::worker::Worker;
use crossbook_redis_store::{CountBatch, CountBounds, CountLine, Options, Servers, SharedCounts, StoredKeyUses};
use crossbook_servers::redis::RedisCluster;
use crossbook_types::SourceId;

use super::cluster::{Gateway, all, audit, set_up, work};
use super::streams::Fresh;

const DOCUMENT: &str = include_str!("../../../../docs/cluster.md");

/// The document's command, as `["ACL", "SETUSER", ...]`.
fn documented() -> Vec<String> {
    let text = DOCUMENT.split_once("redis-cli ACL").expect("a command in the document").1.replace("\\\n", " ");
    let rights = text.lines().next().unwrap().split_whitespace().map(|word| word.trim_matches('\'').to_owned());
    ["ACL".to_owned()].into_iter().chain(rights).collect()
}

/// Shards whose servers have that user; and their addresses, for it.
fn restricted(rights: &[String], shards: usize) -> (tempfile::TempDir, RedisCluster, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let cluster = RedisCluster::start(folder.path(), shards, 1).unwrap();
    let rights: Vec<&str> = rights.iter().map(String::as_str).collect();
    for node in 0..cluster.nodes() {
        cluster.ask::<()>(node, &rights).unwrap();
    }
    let urls = cluster.urls().into_iter().map(|url| url.replace("://", "://crossbook:PASSWORD@")).collect();
    (folder, cluster, urls)
}

/// All that a store of logs must do, with the same rights on the keys of other venues.
#[test]
fn the_documented_rights_are_enough_for_the_suite() {
    let rights: Vec<String> = documented().into_iter().map(|word| word.replace("{crossbook:", "{acl-")).collect();
    let (_folder, _cluster, urls) = restricted(&rights, 1);
    let mut venues = (0..).map(|number| format!("acl-{number}"));
    run(|| {
        let options = Options { servers: urls.clone(), venue: venues.next().unwrap(), ..Options::default() };
        Fresh { servers: Servers::new(options).unwrap(), cluster: None }
    });
}

#[test]
fn a_cluster_runs_with_the_documented_rights() {
    let (_folder, cluster, urls) = restricted(&documented(), 2);
    let servers = Servers::new(Options { servers: urls, ..Options::default() }).unwrap();
    servers.claim_venue(all().len() as u16, b"").unwrap();
    let workers = [work(&servers, "one"), work(&servers, "two")];
    let mut gateway = Gateway::open_with(&servers, client::Options::default());
    set_up(&mut gateway);
    (0..50).for_each(|number| gateway.ask(crate::venue::traffic(number)));
    audit(&workers);
    let bounds = CountBounds { clients_max: 9, bans_read_max: 9, bans_kept: Duration::from_mins(1) };
    let lines = [CountLine {
        counter: "weight",
        length: Duration::from_mins(1),
        begin: 60,
        client: "x".into(),
        add: 1,
        credit: 0,
    }];
    let batch = CountBatch { number: 1, lines: &lines, bans: &[], credit_lease: Duration::from_mins(1) };
    let counted = SharedCounts::new(servers.clone(), SourceId(7), bounds).exchange(&batch).unwrap();
    assert_eq!(counted.sums, [Some(1)]);
    let uses = StoredKeyUses::new(servers.clone());
    uses.write(&[("KEY", "1 10.0.0.1".to_owned())]).unwrap();
    assert_eq!(uses.read(&["KEY"]).unwrap(), [Some("1 10.0.0.1".to_owned())]);
    gateway.running.stop();
    workers.into_iter().for_each(Worker::stop);
    for node in 0..cluster.nodes() {
        let refused: Vec<Vec<redis::Value>> = cluster.ask(node, &["ACL", "LOG"]).unwrap();
        assert!(refused.is_empty(), "node {node}: {refused:?}");
        for request in [
            &["GET", "{other:p0}:venue"][..],
            &["SPUBLISH", "{other:p0}:notify", "x"],
            &["FLUSHALL"],
            &["KEYS", "*"],
            &["CONFIG", "GET", "*"],
        ] {
            let dry: String = cluster.ask(node, &[&["ACL", "DRYRUN", "crossbook"], request].concat()).unwrap();
            assert!(dry.contains("no permissions"), "{request:?}: {dry}");
        }
    }
}
