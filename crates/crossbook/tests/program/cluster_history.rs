//! The history of a cluster of real processes: written by one of two writers while accounts trade; the writers and the
//! database are killed in turn. In the end every order and every trade is there, in SQL and through the API, and the
//! tables agree with the partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::operator::Operator;
use crate::venue::{Trader, binary, eventually};
use crossbook_servers::cluster::{LocalCluster, Plan};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// A memory so short that almost every question about the past goes to SQL.
const SHORT_MEMORY: &str = "\
[gateway]
history_wait_ms = 5000
[views]
closed_orders_per_account = 2
closed_orders_per_market = 3
own_trades_per_account = 2
own_trades_per_market = 3
trades_per_market = 3
aggregate_trades_per_market = 3
candles_per_interval = 1
[cluster.writer]
checkpoint_interval_ms = 50
";
const ASSETS: [&str; 4] = ["BTC", "ETH", "SOL", "USDT"];
const MARKETS: [&str; 3] = ["BTCUSDT", "ETHUSDT", "SOLUSDT"];

/// A database that nobody serves.
const UNREACHABLE: &str = "mysql://nobody@127.0.0.1:1/nothing";

/// Audits beside the first orders.
const AUDITS_BESIDE: usize = 8;

/// A writer that the cluster does not know of; killed when dropped.
struct Writer {
    child: Child,
    admin: SocketAddr,
}

impl Writer {
    fn start(config: &Path) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let admin = free.local_addr().unwrap();
        drop(free);
        let mut command = binary();
        command.arg("writer").arg("--config").arg(config).args(["--admin", &admin.to_string()]);
        Self { child: command.stdin(Stdio::null()).spawn().unwrap(), admin }
    }

    async fn states(&self, client: &Client) -> Option<Vec<String>> {
        let ready = client.get(format!("http://{}/readyz", self.admin)).send().await.ok()?;
        let ready: Value = ready.json().await.ok()?;
        let partitions = ready["detail"]["partitions"].as_array()?;
        Some(partitions.iter().map(|partition| partition["state"].as_str().unwrap().to_owned()).collect())
    }

    async fn wait_until(&self, client: &Client, state: &str) {
        eventually(&format!("the other writer is {state}"), async || {
            self.states(client).await?.iter().all(|is| is == state).then_some(())
        })
        .await;
    }

    /// Asks it to end, and gives its exit status.
    async fn stop(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        eventually("the writer stops", async || self.child.try_wait().unwrap()).await.code()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Gone already where the test ended it itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command says that reads snapshots and logs, beside workers that trim them, and whether it found nothing
/// wrong.
fn say(config: &Path, arguments: &[&str]) -> (Value, bool) {
    let output = binary().args(arguments).arg("--config").arg(config).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {error}"));
    let well = said["ok"] == true;
    assert_eq!(output.status.success(), well, "{arguments:?}: {said} {error}");
    (said, well)
}

/// The same where it must find nothing wrong.
fn agrees(config: &Path, arguments: &[&str]) -> Value {
    let (said, well) = say(config, arguments);
    assert!(well, "{arguments:?}: {said}");
    said
}

/// The cluster, who trades in it, and what they were told.
struct Stage {
    cluster: LocalCluster,
    client: Client,
    traders: Vec<Trader>,
    placed: u64,
    orders: BTreeMap<(usize, &'static str), BTreeSet<u64>>,
    trades: BTreeMap<&'static str, BTreeSet<u64>>,
}

impl Stage {
    async fn set(folder: &Path) -> Self {
        let plan = Plan {
            shards: 1,
            partitions: 3,
            workers: 1,
            gateways: 1,
            settings: [crate::operator::NO_LIMITS, SHORT_MEMORY].concat(),
            snapshot_interval_commands: Some(40),
            ..Plan::default()
        };
        let cluster = crate::operator::cluster(folder, &plan);
        let operator = Operator::of(&cluster);
        operator.list_assets(&ASSETS).await;
        for symbol in MARKETS {
            operator.list_market(symbol, &json!({"stepSize": "0.001", "makerFee": "0.001", "takerFee": "0.002"})).await;
        }
        let mut traders = Vec::new();
        for label in ["a", "b", "c", "d"] {
            traders.push(operator.open_account(label, &ASSETS.map(|asset| (asset, "100000"))).await);
        }
        let client = operator.client;
        Self { cluster, client, traders, placed: 0, orders: BTreeMap::new(), trades: BTreeMap::new() }
    }

    async fn ask(&self, trader: usize, method: Method, path: &str, parameters: &str) -> Value {
        let http = self.cluster.http().to_string();
        let asked = self.traders[trader].attempt(&self.client, &http, method, path, parameters).await;
        let (status, body) = asked.unwrap();
        assert_eq!(status, 200, "{path}?{parameters}: {body}");
        body
    }

    /// Places so many orders; most of them rest for a while, every fourth takes what rests, and a few are cancelled.
    async fn trade(&mut self, orders: u64) {
        for at in self.placed..self.placed + orders {
            let (trader, symbol) = ((at % 4) as usize, MARKETS[(at / 4 % 3) as usize]);
            let order = match at % 4 {
                3 => "side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.9&price=102".to_owned(),
                rest => format!("side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.{}&price=10{rest}", 2 + rest),
            };
            let order = format!("symbol={symbol}&newOrderRespType=FULL&{order}");
            let placed = self.ask(trader, Method::POST, "order", &order).await;
            let id = placed["orderId"].as_u64().unwrap();
            assert!(self.orders.entry((trader, symbol)).or_default().insert(id), "{placed}");
            for fill in placed["fills"].as_array().unwrap() {
                let trade = fill["tradeId"].as_u64().unwrap();
                assert!(self.trades.entry(symbol).or_default().insert(trade), "{placed}");
            }
            if at % 16 == 2 {
                self.ask(trader, Method::DELETE, "order", &format!("symbol={symbol}&orderId={id}")).await;
            }
        }
        self.placed += orders;
    }

    fn audit(&self) -> Value {
        agrees(self.cluster.config(), &["audit", "--cluster", "--json"])
    }

    fn verify(&self) -> Value {
        agrees(self.cluster.config(), &["store", "verify", "--cluster", "--json"])
    }

    /// Waits until the tables have everything.
    async fn wait_until_written(&self) {
        let places = |found: &Value| -> Vec<u64> {
            found["partitions"].as_array().unwrap().iter().map(|part| part["sequence"].as_u64().unwrap()).collect()
        };
        eventually("the tables have everything", async || {
            (places(&self.audit()) == places(&self.verify())).then_some(())
        })
        .await;
    }

    /// Has the history made anew, and waits until it is. Meanwhile the tables say what they like.
    async fn rebuild(&self, options: &[&str]) {
        let mut command = binary();
        command.args(["store", "rebuild", "--cluster", "--config"]).arg(self.cluster.config()).args(options);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        eventually("the history is rebuilt", async || {
            let (found, well) = say(self.cluster.config(), &["store", "verify", "--cluster", "--json"]);
            let begun = |part: &Value| part["sequence"].as_u64().unwrap() > 0;
            (well && found["partitions"].as_array().unwrap().iter().all(begun)).then_some(())
        })
        .await;
    }

    /// The same where the streams are behind the tables.
    async fn rebuild_behind(&mut self) {
        let mut command = binary();
        command
            .args(["store", "rebuild", "--cluster", "--discard", "--discard-newer", "--config"])
            .arg(self.cluster.config());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.cluster.tend().unwrap();
        self.cluster.wait_until_ready("writer-0").unwrap();
        self.wait_until_written().await;
    }

    /// One column of what the database answers.
    fn select(&self, statement: &str) -> Vec<String> {
        let url = self.cluster.mariadb.as_ref().unwrap().url("crossbook");
        let port = url.rsplit_once(':').unwrap().1.split_once('/').unwrap().0.to_owned();
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--port", &port, "--user=root"]);
        let output = client.args(["--batch", "--skip-column-names", "--execute", statement, "crossbook"]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// Every order and trade is in SQL, once, and is what the API tells.
    async fn check(&self) {
        let rows = |statement: &str| {
            let rows = self.select(statement);
            let set: BTreeSet<String> = rows.iter().cloned().collect();
            assert_eq!(rows.len(), set.len(), "{statement}");
            set
        };
        let orders: BTreeSet<String> = self
            .orders
            .iter()
            .flat_map(|((_, symbol), ids)| ids.iter().map(move |id| format!("{symbol} {id}")))
            .collect();
        let found = rows("SELECT CONCAT(symbol, ' ', order_id) FROM orders JOIN markets USING (symbol_id)");
        assert_eq!(found, orders);
        let trades: BTreeSet<String> =
            self.trades.iter().flat_map(|(symbol, ids)| ids.iter().map(move |id| format!("{symbol} {id}"))).collect();
        let found = rows("SELECT CONCAT(symbol, ' ', trade_id) FROM trades JOIN markets USING (symbol_id)");
        assert_eq!(found, trades);

        let mut sides = 0;
        for (&(trader, symbol), expected) in &self.orders {
            let told =
                self.ask(trader, Method::GET, "allOrders", &format!("symbol={symbol}&orderId=1&limit=1000")).await;
            let told: BTreeSet<u64> =
                told.as_array().unwrap().iter().map(|order| order["orderId"].as_u64().unwrap()).collect();
            assert_eq!(told, *expected, "orders of trader {trader} in {symbol}");
            let told = self.ask(trader, Method::GET, "myTrades", &format!("symbol={symbol}&fromId=1&limit=1000")).await;
            let told: BTreeSet<u64> =
                told.as_array().unwrap().iter().map(|trade| trade["id"].as_u64().unwrap()).collect();
            assert!(told.is_subset(&self.trades[symbol]), "trades of trader {trader} in {symbol}");
            sides += told.len();
        }
        let trades: usize = self.trades.values().map(BTreeSet::len).sum();
        assert_eq!(sides, 2 * trades, "each trade has two sides, and nobody trades with himself");
    }
}

/// What a role of the cluster says that must not start.
fn refusal(config: &Path, role: &str) -> String {
    let mut command = binary();
    command
        .args([role, "--admin", "127.0.0.1:0", "--config"])
        .arg(config)
        .env("CROSSBOOK_ADMIN_TOKEN", crate::venue::TOKEN);
    if role == "gateway" {
        command.args(["--http", "127.0.0.1:0"]);
    }
    let output = command.env("CROSSBOOK_SECRET_KEY", "ab".repeat(32)).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{role}");
    [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat()
}

/// An audit whose database does not answer says so, and does not end as one that has proven everything.
fn unasked(stage: &Stage) {
    for json in [false, true] {
        let mut command = binary();
        command.args(["audit", "--cluster", "--config"]).arg(stage.cluster.config());
        command.args(json.then_some("--json")).env("CROSSBOOK_HISTORY__DATABASE", UNREACHABLE);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        if json {
            let told: Value = serde_json::from_str(&said).unwrap();
            assert!(told["ok"] == true && told["historyUnavailable"].is_string(), "{told}");
        } else {
            assert!(said.contains("NOT CHECKED: ") && said.contains("All balances reconcile"), "{said}");
        }
    }
}

/// Streams that end before their snapshots or the history: nobody goes on from there, and all say why.
async fn behind(stage: &mut Stage, folder: &Path) {
    let config = stage.cluster.config().to_owned();
    let told = say(&config, &["audit", "--cluster", "--json"]).0["partitions"][1]["sequence"].as_u64().unwrap();
    let refused = |arguments: &[&str], status: i32| {
        let output = binary().args(arguments).arg("--config").arg(&config).output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        said
    };
    let everybody = |witness: &str| {
        let all = [
            refusal(&config, "worker"),
            refusal(&config, "gateway"),
            refused(&["audit", "--cluster"], 3),
            refused(&["store", "verify", "--cluster"], 1),
            refused(&["store", "rebuild", "--cluster"], 1),
        ];
        for said in all {
            let end = format!("the streams of partition 1 end at command {told}, but its {witness}");
            assert!(said.contains(&end) && said.contains("--discard-newer"), "{said}");
        }
    };
    // A snapshot proves by its name alone, however damaged.
    let own = std::fs::read_dir(folder.join("snapshots")).unwrap().next().unwrap().unwrap().path().join("p1");
    let snapshot = own.join(format!("snapshot-{:020}.bin", told + 1_000));
    std::fs::write(&snapshot, "damaged").unwrap();
    everybody("last snapshot");
    std::fs::remove_file(&snapshot).unwrap();
    // Nobody writes who would put it right.
    stage.cluster.kill("writer-0");
    stage.select("UPDATE projection SET sequence = sequence + 1000 WHERE partition_id = 1");
    everybody("history in SQL");
    stage.rebuild_behind().await;
    std::fs::write(&snapshot, "damaged").unwrap();
    let mut command = binary();
    command.args(["worker", "--discard-newer", "--admin", "127.0.0.1:0", "--config"]).arg(&config);
    let mut worker = command.spawn().unwrap();
    let aside = own.join(format!("snapshot-{:020}.bin.discarded", told + 1_000));
    eventually("the snapshot is set aside", async || aside.is_file().then_some(())).await;
    worker.kill().unwrap();
    worker.wait().unwrap();
    stage.verify();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_a_cluster_is_whole_whoever_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::set(folder.path()).await;
    stage.trade(12).await;
    stage.wait_until_written().await;
    unasked(&stage);
    // Nothing has been trimmed yet, so all of it can be made anew.
    stage.rebuild(&[]).await;
    stage.wait_until_written().await;
    stage.check().await;
    // It adds up at any moment, also while money is on its way and snapshots are taken.
    let config = stage.cluster.config().to_owned();
    let audits = tokio::task::spawn_blocking(move || {
        (0..AUDITS_BESIDE).for_each(|_| drop(agrees(&config, &["audit", "--cluster", "--json"])));
    });
    stage.trade(48).await;
    while !audits.is_finished() {
        stage.trade(12).await;
    }
    audits.await.unwrap();
    stage.wait_until_written().await;
    stage.check().await;
    Operator::of(&stage.cluster).does(Method::GET, "audit", None).await;
    crate::exposition::check_cluster(&stage.cluster, &stage.client).await;

    // A second writer waits until the first is gone, and goes on for it.
    let mut other = Writer::start(stage.cluster.config());
    other.wait_until(&stage.client, "waiting").await;
    stage.cluster.kill("writer-0");
    stage.trade(48).await;
    other.wait_until(&stage.client, "following").await;
    stage.cluster.tend().unwrap();
    stage.trade(24).await;

    // The database goes, and comes back; nobody who trades notices.
    stage.cluster.mariadb.as_mut().unwrap().kill();
    stage.trade(48).await;
    stage.cluster.mariadb.as_mut().unwrap().restart().unwrap();
    stage.trade(24).await;
    stage.wait_until_written().await;

    // Writer and database at once, and this time nobody stands by.
    assert_eq!(other.stop().await, Some(0));
    stage.trade(12).await;
    stage.cluster.kill("writer-0");
    stage.cluster.mariadb.as_mut().unwrap().kill();
    stage.trade(96).await;
    stage.cluster.mariadb.as_mut().unwrap().restart().unwrap();
    stage.cluster.tend().unwrap();
    stage.cluster.wait_until_ready("writer-0").unwrap();
    stage.wait_until_written().await;
    stage.check().await;
    let verified = stage.verify();
    assert_eq!((&verified["entriesCompared"], &verified["messagesInTransit"]), (&json!(true), &json!(0)), "{verified}");
    let audited = stage.audit();
    for asset in ASSETS {
        assert_eq!(audited["assets"][asset]["sum"], "0", "{audited}");
        assert_eq!(audited["assets"][asset]["inTransit"], "0", "{audited}");
    }
    // Made anew from wherever the logs begin by now.
    stage.rebuild(&["--discard"]).await;
    stage.wait_until_written().await;
    stage.verify();
    behind(&mut stage, folder.path()).await;
    eprintln!("{} orders, {} trades", stage.placed, stage.trades.values().map(BTreeSet::len).sum::<usize>());
}
