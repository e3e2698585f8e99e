//! A cluster of real processes on real Redis servers behind HAProxy, whose parts are killed and paused one after the
//! other while accounts trade through it. After each fault the venue is compared with the acknowledgements that the
//! accounts received, all balances reconcile, and workers that run the same partition have the same state.
//!
//! The short form runs with all tests. The long one (`make chaos`) has more faults, once with one replica of each Redis
//! master and once with two, and prints a table.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::load::{Access, Account, Report, Trading};
use crate::operator::Operator;
use crate::venue::eventually;
use crossbook_redis_store::{self as streams, Link, Servers};
use crossbook_servers::cluster::{LocalCluster, Plan};
use crossbook_types::{Decimal, PartitionId};
use reqwest::Method;
use serde_json::Value;
use sqlx::{AnyConnection, Connection as _};

/// Accounts that trade at once, more than there are partitions.
const ACCOUNTS: usize = 8;
const PARTITIONS: u16 = 6;
/// Within this, orders must be answered again after any single failure.
const FAILOVER_MAX: Duration = Duration::from_secs(30);
/// Within this, a partition must have moved to another shard, and orders be answered meanwhile.
const MOVE_MAX: Duration = Duration::from_secs(3);
/// The row of partitions that move.
const MOVES: &str = "a shard is added, and half of the partitions move onto it";
/// Every order can be asked for.
const VIEWS: &str = "\
[views]
closed_orders_per_account = 100000
";

/// A cluster, the accounts that trade in it, and what came of the faults so far.
struct Stage {
    cluster: LocalCluster,
    access: Access,
    accounts: Vec<Account>,
    rows: Vec<(String, Report, usize)>,
}

/// What a worker says of one of its partitions.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Standing {
    worker: String,
    active: bool,
    told: u64,
    sequence: u64,
    hash: String,
}

impl Stage {
    async fn set(folder: &Path, replicas: usize, history: bool) -> Self {
        let settings = [crate::operator::NO_LIMITS, VIEWS].concat();
        let plan = Plan { replicas, partitions: PARTITIONS, history, settings, ..Plan::default() };
        let cluster = crate::operator::cluster(folder, &plan);
        let access = Access {
            operator: Operator::of(&cluster),
            http: cluster.http().to_string(),
            pace: Some(crate::load::PACE),
        };
        let rules = access.operator.does(Method::GET, "rules", None).await;
        assert_eq!(rules["active"], rules["newest"], "a new cluster activates the newest rules");
        let accounts = access.prepare(ACCOUNTS).await;
        Self { cluster, access, accounts, rows: Vec::new() }
    }

    /// Lets something fail while the accounts trade, and holds the venue to what they were told. `fail` leaves nothing
    /// broken behind.
    async fn fault(&mut self, name: &str, fail: impl AsyncFnOnce(&mut LocalCluster, &Access, &Trading)) {
        self.fault_within(FAILOVER_MAX, name, fail).await;
    }

    /// The same, where orders must be answered again within `most`.
    async fn fault_within(
        &mut self,
        most: Duration,
        name: &str,
        fail: impl AsyncFnOnce(&mut LocalCluster, &Access, &Trading),
    ) {
        let trading = Trading::begin(&self.access, std::mem::take(&mut self.accounts)).await;
        let begun = Instant::now();
        fail(&mut self.cluster, &self.access, &trading).await;
        self.cluster.tend().unwrap();
        trading.answered(Instant::now()).await;
        let (accounts, report) = trading.end(begun).await;
        self.accounts = accounts;
        eprintln!("{name}: {report:?}");
        assert!(report.longest_gap < most, "{name}: no answer for {:?}", report.longest_gap);
        let unknown = self.check().await;
        self.rows.push((name.to_owned(), report, unknown));
    }

    /// Nothing is under way: what was acknowledged is there, and all who know the state agree. How many of the orders
    /// whose fate was unknown were placed after all.
    async fn check(&mut self) -> usize {
        self.cluster.redis.wait_until_whole().unwrap();
        let names: Vec<String> = self.cluster.programs().map(|(name, ..)| name.to_owned()).collect();
        names.iter().for_each(|name| self.cluster.wait_until_ready(name).unwrap());
        let access = &self.access;
        // Whatever an account gave up waiting for has been executed or refused when the logs have come to rest.
        let standing = eventually("the workers agree", async || agreed(&standing(&self.cluster, access).await)).await;
        let checks = self.accounts.iter_mut().map(|account| account.check(access));
        let found: Vec<(usize, usize)> = futures_util::future::join_all(checks).await;
        let audit = access.operator.does(Method::GET, "audit", None).await;
        assert_eq!(audit["ok"], true, "{audit}");
        self.check_kept_depths().await;
        for (partition, hash) in standing {
            assert_eq!(
                audit["partitions"][usize::from(partition)]["stateHash"],
                hash.as_str(),
                "partition {partition}"
            );
        }
        self.answering().await;
        found.into_iter().map(|(_, unknown)| unknown).sum()
    }

    /// The depth of every book that is kept in the store becomes the one that gateways show, and stays it.
    async fn check_kept_depths(&self) {
        let (redis, access) = (&self.cluster.redis, &self.access);
        let servers = Servers::new(streams::Options { servers: redis.urls(), ..streams::Options::default() }).unwrap();
        for (symbol, _) in crate::load::MARKETS {
            let shown =
                access.operator.client.get(format!("http://{}/api/v3/depth?symbol={symbol}&limit=5000", access.http));
            let shown: Value = shown.send().await.unwrap().json().await.unwrap();
            let levels =
                |levels: &Value| -> Vec<(Decimal, Decimal)> { serde_json::from_value(levels.clone()).unwrap() };
            let value =
                |(price, quantity): (Decimal, Decimal)| (price.rescale(8).unwrap(), quantity.rescale(8).unwrap());
            let values = |levels: Vec<(Decimal, Decimal)>| levels.into_iter().map(value).collect::<Vec<_>>();
            let of_book = (
                shown["lastUpdateId"].as_u64().unwrap(),
                values(levels(&shown["bids"])),
                values(levels(&shown["asks"])),
            );
            eventually(&format!("the depth of {symbol} in the store is that of its book"), async || {
                let kept = (0..PARTITIONS).find_map(|partition| {
                    let mut link = Link::connect(&servers, PartitionId(partition)).ok()?;
                    link.read_depth(symbol).ok()?
                })?;
                (of_book == (kept.last, values(kept.bids), values(kept.asks))).then_some(())
            })
            .await;
        }
    }

    /// Each gateway says of every partition that it answers, and that all it has done is known there.
    async fn answering(&self) {
        for (name, admin, _) in self.cluster.programs().filter(|(name, ..)| name.starts_with("gateway")) {
            let url = format!("http://{admin}/readyz");
            eventually(&format!("{name} hears of every partition"), async || {
                let told: Value = self.access.operator.client.get(&url).send().await.ok()?.json().await.ok()?;
                let all = told["partitions"].as_array()?;
                assert_eq!(all.len(), usize::from(PARTITIONS), "{told}");
                let at_rest = |told: &Value| {
                    let nothing_waits =
                        told["queued"] == 0 && told["inFlight"] == 0 && told["applied"] == told["logEnd"];
                    told["state"] == "answering" && nothing_waits
                };
                all.iter().all(at_rest).then_some(())
            })
            .await;
        }
    }

    /// The table of what was shown.
    fn table(&self, title: &str) {
        println!("\n{title}\n");
        println!(
            "| fault | longest time without an answer | orders | errors by code | of unknown fate, placed | verdict |"
        );
        println!("| --- | --- | --- | --- | --- | --- |");
        for (name, Report { longest_gap, errors, orders }, unknown) in &self.rows {
            let errors: Vec<String> = errors.iter().map(|(code, count)| format!("{code}: {count}")).collect();
            let errors = if errors.is_empty() { "none".to_owned() } else { errors.join(", ") };
            let gap = longest_gap.as_secs_f64();
            println!("| {name} | {gap:.2} s | {orders} | {errors} | {unknown} | nothing lost, nothing twice |");
        }
    }
}

/// What all workers say of their partitions; one that does not answer says nothing.
async fn standing(cluster: &LocalCluster, access: &Access) -> BTreeMap<u16, Vec<Standing>> {
    let mut all: BTreeMap<u16, Vec<Standing>> = BTreeMap::new();
    for (worker, probe, _) in cluster.programs().filter(|(name, ..)| name.starts_with("worker")) {
        let request = access.operator.client.get(format!("http://{probe}/partitions")).timeout(Duration::from_secs(10));
        let Ok(answer) = request.send().await else { continue };
        let Ok(told) = answer.json::<Value>().await else { continue };
        for told in told["partitions"].as_array().unwrap() {
            assert!(told["violations"].as_array().is_none_or(Vec::is_empty), "{told}");
            assert!(told["sums"].as_object().is_none_or(|sums| sums.values().all(|sum| sum == "0")), "{told}");
            let partition = u16::try_from(told["partition"].as_u64().unwrap()).unwrap();
            all.entry(partition).or_default().push(Standing {
                worker: worker.to_owned(),
                active: told["active"].as_bool().unwrap(),
                told: told["logEnd"].as_u64().unwrap(),
                sequence: told["sequence"].as_u64().unwrap(),
                hash: told["stateHash"].as_str().unwrap_or_default().to_owned(),
            });
        }
    }
    all
}

/// The hash of each partition, if all who run it have the same one at the same place, and have told all of it.
fn agreed(all: &BTreeMap<u16, Vec<Standing>>) -> Option<BTreeMap<u16, String>> {
    let one = |standings: &Vec<Standing>| {
        let first = standings.first()?;
        let same = |other: &Standing| {
            (other.sequence, other.told, &other.hash) == (first.sequence, first.sequence, &first.hash)
        };
        let good = standings.len() >= 2 && !first.hash.is_empty() && standings.iter().all(same);
        good.then(|| first.hash.clone())
    };
    let hashes: BTreeMap<u16, String> =
        all.iter().filter_map(|(&partition, all)| Some((partition, one(all)?))).collect();
    if hashes.len() < usize::from(PARTITIONS) {
        // Different states at the same place never become equal again.
        for (partition, standings) in all {
            for (a, b) in standings.iter().flat_map(|a| standings.iter().map(move |b| (a, b))) {
                let both = !a.hash.is_empty() && !b.hash.is_empty();
                assert!(!both || a.sequence != b.sequence || a.hash == b.hash, "partition {partition}: {standings:?}");
            }
        }
        return None;
    }
    Some(hashes)
}

/// The worker that publishes for most partitions.
async fn busiest(cluster: &LocalCluster, access: &Access) -> String {
    eventually("a worker is active", async || {
        let mut active: BTreeMap<String, usize> = BTreeMap::new();
        for standing in standing(cluster, access).await.into_values().flatten().filter(|standing| standing.active) {
            *active.entry(standing.worker).or_default() += 1;
        }
        active.into_iter().max_by_key(|(_, partitions)| *partitions).map(|(worker, _)| worker)
    })
    .await
}

/// The Redis master that has the registry's partition.
fn master(cluster: &LocalCluster) -> Option<usize> {
    cluster.redis.master_of("{crossbook:p0}:in")
}

/// Waits until another server has taken the master's place.
async fn promoted(cluster: &LocalCluster, before: usize) {
    eventually("a replica is promoted", async || master(cluster).filter(|now| *now != before)).await;
}

async fn kill_a_worker(cluster: &mut LocalCluster, access: &Access, trading: &Trading) {
    let worker = busiest(cluster, access).await;
    let killed = Instant::now();
    cluster.kill(&worker);
    trading.answered(killed).await;
}

/// With one replica the one that is promoted has none, and waits until the old master is back to follow it.
async fn kill_a_master(cluster: &mut LocalCluster, _: &Access, _: &Trading) {
    let before = master(cluster).unwrap();
    cluster.redis.kill(before);
    promoted(cluster, before).await;
}

/// Without its only replica a master's partitions acknowledge nothing; with another, all goes on.
async fn kill_a_replica(cluster: &mut LocalCluster, _: &Access, _: &Trading) {
    let replica = cluster.redis.replicas_of(master(cluster).unwrap())[0];
    cluster.redis.kill(replica);
    // Not a wait for something, but how long it is away.
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// One gateway after the other, so that requests under way are hit.
async fn kill_gateways(cluster: &mut LocalCluster, _: &Access, trading: &Trading) {
    for name in ["gateway-0", "gateway-1"] {
        let killed = Instant::now();
        cluster.kill(name);
        trading.answered(killed).await;
        cluster.tend().unwrap();
        cluster.wait_until_ready(name).unwrap();
    }
}

/// A shard is added, and every second partition moves onto it, one after the other, while all go on.
async fn add_a_shard(cluster: &mut LocalCluster, _: &Access, trading: &Trading) {
    let replicas = cluster.redis.nodes() / Plan::default().shards - 1;
    let added = tokio::task::block_in_place(|| cluster.redis.add_shard(replicas)).unwrap();
    for partition in (0..PARTITIONS).step_by(2) {
        let key = format!("{{crossbook:p{partition}}}:in");
        let took = tokio::task::block_in_place(|| cluster.redis.move_slot_of(&key, added)).unwrap();
        assert!(took < MOVE_MAX, "partition {partition}: {took:?}");
        trading.answered(Instant::now()).await;
    }
}

/// For as long as `pause` a worker stands still; then it goes on as if nothing had been.
async fn pause_a_worker(cluster: &mut LocalCluster, access: &Access, trading: &Trading, pause: Duration) {
    let worker = busiest(cluster, access).await;
    let paused = Instant::now();
    cluster.pause(&worker, true).unwrap();
    trading.answered(paused).await;
    // Not a wait for something, but the length of the pause.
    tokio::time::sleep(pause.saturating_sub(paused.elapsed())).await;
    cluster.pause(&worker, false).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_outlive_whatever_part_of_a_cluster_fails() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::set(folder.path(), 1, false).await;
    stage.fault_within(MOVE_MAX, MOVES, add_a_shard).await;
    stage.fault("a worker is killed", kill_a_worker).await;
    stage.fault("a Redis master is killed", kill_a_master).await;
    stage.fault("a Redis replica is killed, and started again after a second", kill_a_replica).await;
    stage.fault("each gateway is killed in turn", kill_gateways).await;
    let zombie = async |cluster: &mut LocalCluster, access: &Access, trading: &Trading| {
        pause_a_worker(cluster, access, trading, Duration::from_secs(3)).await;
    };
    stage.fault("a worker is paused", zombie).await;
    stage.table("Redis masters with one replica each");
}

/// A master that stands still is replaced; when it goes on it still takes itself for the master, until it hears of the
/// other.
async fn pause_a_master(cluster: &mut LocalCluster, _: &Access, _: &Trading) {
    let before = master(cluster).unwrap();
    cluster.redis.pause(before).unwrap();
    let port = format!(":{}@", cluster.redis.urls()[before].rsplit(':').next().unwrap());
    // It cannot be asked itself. To the others it has no slots any more once another has them: its line ends before
    // them.
    let replaced =
        |nodes: String| nodes.lines().any(|line| line.contains(&port) && line.split_whitespace().count() == 8);
    let others: Vec<usize> = (0..cluster.redis.nodes()).filter(|node| *node != before).collect();
    eventually("a replica is promoted", async || {
        let seen = |node: &usize| cluster.redis.ask::<String>(*node, &["CLUSTER", "NODES"]).is_ok_and(replaced);
        others.iter().any(seen).then_some(())
    })
    .await;
    cluster.redis.resume(before).unwrap();
}

/// Two more workers on all partitions, so impatient that they publish whatever is not told at once: all are active, all
/// the time.
async fn crowd(cluster: &mut LocalCluster, _: &Access, trading: &Trading) {
    let impatient = || vec![("CROSSBOOK_CLUSTER__WORKER__FAILOVER_MS", "1".to_owned())];
    for name in ["worker-x", "worker-y"] {
        cluster.add_worker(name, impatient()).unwrap();
    }
    for _ in 0..20 {
        trading.answered(Instant::now()).await;
    }
    for name in ["worker-x", "worker-y"] {
        cluster.remove(name);
    }
}

async fn all_faults(replicas: usize, title: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::set(folder.path(), replicas, false).await;
    stage
        .fault("nothing fails", async |_: &mut LocalCluster, _: &Access, trading: &Trading| {
            for _ in 0..20 {
                trading.answered(Instant::now()).await;
            }
        })
        .await;
    stage.fault_within(MOVE_MAX, MOVES, add_a_shard).await;
    stage.fault("a worker is killed", kill_a_worker).await;
    stage.fault("a Redis master is killed", kill_a_master).await;
    stage.fault("a Redis master is paused until another is promoted, and goes on", pause_a_master).await;
    stage.fault("a Redis replica is killed, and started again after a second", kill_a_replica).await;
    stage.fault("each gateway is killed in turn", kill_gateways).await;
    let zombie = async |cluster: &mut LocalCluster, access: &Access, trading: &Trading| {
        pause_a_worker(cluster, access, trading, Duration::from_secs(10)).await;
    };
    stage.fault("a worker is paused for 10 s and goes on", zombie).await;
    stage.fault("two more workers publish for all partitions", crowd).await;
    let restart = async |cluster: &mut LocalCluster, _: &Access, _: &Trading| cluster.restart_everything().unwrap();
    stage.fault("everything is killed and started again", restart).await;
    stage.table(title);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; make chaos runs it"]
async fn every_fault_with_one_replica() {
    all_faults(1, "Redis masters with one replica each").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; make chaos runs it"]
async fn every_fault_with_two_replicas() {
    all_faults(2, "Redis masters with two replicas each").await;
}

/// What a command says of the whole cluster, in JSON.
fn say(cluster: &LocalCluster, arguments: &[&str]) -> Value {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_crossbook"));
    let output =
        command.args(arguments).args(["--cluster", "--json", "--config"]).arg(cluster.config()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {error}"))
}

/// The database of the history is away for a minute while the accounts trade. They notice nothing, and in the end the
/// tables say the same as the partitions, at the same places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; make chaos runs it"]
async fn a_database_that_is_away_for_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::set(folder.path(), 1, true).await;
    let away = async |cluster: &mut LocalCluster, _: &Access, _: &Trading| {
        cluster.mariadb.as_mut().unwrap().kill();
        // Not a wait for something, but how long it is away.
        tokio::time::sleep(Duration::from_mins(1)).await;
        cluster.mariadb.as_mut().unwrap().restart().unwrap();
    };
    stage.fault("the history's database is away for a minute", away).await;
    written(&stage).await;
}

/// Waits until the tables say the same as the partitions, at the same places, and prints how long that has taken.
async fn written(stage: &Stage) {
    let back = Instant::now();
    let places = |said: &Value| -> Vec<u64> {
        said["partitions"].as_array().unwrap().iter().map(|part| part["sequence"].as_u64().unwrap()).collect()
    };
    eventually("the tables have everything", async || {
        let verified = say(&stage.cluster, &["store", "verify"]);
        assert_eq!(verified["ok"], true, "{verified}");
        (places(&verified) == places(&say(&stage.cluster, &["audit"]))).then_some(())
    })
    .await;
    stage.table("The history's database");
    println!("\nThe tables had everything within {:.1} s of the end of trading.", back.elapsed().as_secs_f64());
}

/// Takes all connections that the database of the history gives, away from whoever has them.
async fn take_all_connections(cluster: &LocalCluster) -> Vec<AnyConnection> {
    sqlx::any::install_default_drivers();
    // The fewest that it can have.
    cluster.mariadb.as_ref().unwrap().execute("SET GLOBAL max_connections = 10").unwrap();
    let database = cluster.database().unwrap();
    let (mut taken, mut own) = (Vec::new(), Vec::new());
    eventually("nobody else has a connection", async || {
        while let Ok(mut connection) = AnyConnection::connect(database).await {
            let id = sqlx::query_scalar("SELECT CAST(CONNECTION_ID() AS SIGNED)").fetch_one(&mut connection).await;
            own.push(id.unwrap());
            taken.push(connection);
        }
        let first = taken.first_mut()?;
        let all = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE user = 'root'";
        let all: Vec<i64> = sqlx::query_scalar(all).fetch_all(&mut *first).await.unwrap();
        let others: Vec<i64> = all.into_iter().filter(|id| !own.contains(id)).collect();
        for other in &others {
            // It may have gone by itself.
            let _ = sqlx::query(sqlx::AssertSqlSafe(format!("KILL {other}"))).execute(&mut *first).await;
        }
        others.is_empty().then_some(())
    })
    .await;
    taken
}

/// All connections of the database are taken for 20 seconds while the accounts trade. They notice nothing, and in the
/// end the tables have everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; make chaos runs it"]
async fn a_database_without_a_connection_to_give() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::set(folder.path(), 1, true).await;
    let exhausted = async |cluster: &mut LocalCluster, _: &Access, trading: &Trading| {
        let taken = take_all_connections(cluster).await;
        trading.answered(Instant::now()).await;
        // Not a wait for something, but how long they are taken.
        tokio::time::sleep(Duration::from_secs(20)).await;
        let refused = AnyConnection::connect(cluster.database().unwrap()).await;
        assert!(refused.is_err(), "the database has connections to give");
        drop(taken);
    };
    stage.fault("the history's database has no connection to give", exhausted).await;
    written(&stage).await;
}
