//! A venue moves between data folders and clusters: the real binary, a real Redis server, and clients for whom only the
//! address changes.

mod back;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::venue::{Trader, Venue, binary, eventually};
use crossbook_node::export;
use crossbook_protocol::command::OpenAccount;
use crossbook_protocol::import::Piece;
use crossbook_protocol::{Body, Routing};
use crossbook_redis_store::{Link, Options, Servers};
use crossbook_servers::cluster::{LocalCluster, Plan};
use crossbook_servers::redis::RedisServer;
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId};
use reqwest::Method;
use serde_json::{Value, json};

const PARTITIONS: u16 = 3;
const MARKETS: [&str; 3] = ["BTCUSDT", "ETHUSDT", "ETHBTC"];

/// The stage: a folder for everything, and a Redis server of one's own.
struct Stage {
    folder: tempfile::TempDir,
    redis: RedisServer,
}

impl Stage {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let redis = RedisServer::start(&folder.path().join("redis")).unwrap();
        Self { folder, redis }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The settings of a cluster on that server, by name.
    fn cluster(&self, venue: &str) -> PathBuf {
        self.cluster_of(venue, PARTITIONS)
    }

    /// The same with so many partitions.
    fn cluster_of(&self, venue: &str, partitions: u16) -> PathBuf {
        let snapshots = self.path(&format!("snapshots-{venue}"));
        std::fs::create_dir_all(&snapshots).unwrap();
        let path = self.path(&format!("{venue}.toml"));
        let settings = format!(
            "[history]\ndatabase = \"none\"\n[cluster]\npartitions = {partitions}\nmarkets = \
             [\"ETHUSDT=2\"]\n[cluster.redis]\nservers = [\"{}\"]\nreplicas_min = 0\nvenue = \
             \"{venue}\"\n[cluster.snapshots]\naddress = \"file://{}\"\n",
            self.redis.url(),
            snapshots.canonicalize().unwrap().display()
        );
        std::fs::write(&path, settings).unwrap();
        path
    }

    /// The store of such a cluster.
    fn servers(&self, venue: &str) -> Servers {
        let options =
            Options { servers: vec![self.redis.url()], replicas_min: 0, venue: venue.to_owned(), ..Options::default() };
        Servers::new(options).unwrap()
    }
}

fn run(arguments: &[&str], path: &Path) -> Output {
    binary().args(arguments).arg(path).output().unwrap()
}

/// What the program says as JSON, when it succeeds.
fn told(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Why it does not.
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn import(config: &Path, export: &Path) -> Output {
    let config = config.to_str().unwrap();
    run(&["import", "--json", "--config", config], export)
}

/// Three markets and six accounts that have traded, with orders of all kinds open.
async fn populate(venue: &Venue) -> Vec<(u64, Trader)> {
    venue.list_market().await;
    venue.operate(Method::POST, "assets", Some(json!({"asset": "ETH", "decimals": 8}))).await;
    for (symbol, quote) in [("ETHUSDT", "USDT"), ("ETHBTC", "BTC")] {
        let market = json!({"symbol": symbol, "baseAsset": "ETH", "quoteAsset": quote, "tickSize": "0.01",
            "stepSize": "0.0001", "makerFee": "0.001", "takerFee": "0.002"});
        venue.operate(Method::POST, "markets", Some(market)).await;
    }
    let mut traders = Vec::new();
    for number in 0..6 {
        let (account, trader) = venue.open_numbered_account(&format!("account {number}")).await;
        let deposit = json!({"asset": "ETH", "amount": "100", "transferId": "eth"});
        venue.operate(Method::POST, &format!("accounts/{account}/deposits"), Some(deposit)).await;
        traders.push((account, trader));
    }
    // At every price several orders, of several accounts, one after the other; some of them traded in part.
    for round in 0..4 {
        for (at, (_, trader)) in traders.iter().enumerate() {
            for (symbol, bid, ask) in
                [("BTCUSDT", 50_000 - at % 3, 50_100 + at % 3), ("ETHUSDT", 3_000 - at % 2, 3_010 + at % 2)]
            {
                let (buy, sell) = (format!("b{round}-{at}"), format!("s{round}-{at}"));
                for (side, price, name) in [("BUY", bid, buy), ("SELL", ask, sell)] {
                    let order = format!(
                        "symbol={symbol}&side={side}&type=LIMIT&timeInForce=GTC&quantity=0.0{}&price={price}&newClientOrderId={name}",
                        at + 1
                    );
                    trader.ask(venue, Method::POST, "order", &order).await;
                }
            }
        }
        let taker = &traders[round % traders.len()].1;
        for (side, quantity) in [("BUY", "0.035"), ("SELL", "0.025")] {
            for symbol in ["BTCUSDT", "ETHUSDT"] {
                let order = format!("symbol={symbol}&side={side}&type=MARKET&quantity={quantity}");
                taker.ask(venue, Method::POST, "order", &order).await;
            }
        }
    }
    for (at, (_, trader)) in traders.iter().enumerate() {
        for (side, stop) in [("BUY", 51_000 + at), ("SELL", 49_000 - at)] {
            let order = format!(
                "symbol=BTCUSDT&side={side}&type=STOP_LOSS&quantity=0.01&stopPrice={stop}&newClientOrderId=stop-{side}"
            );
            trader.ask(venue, Method::POST, "order", &order).await;
        }
    }
    venue.operate(Method::PATCH, "markets/ETHBTC", Some(json!({"status": "HALT"}))).await;
    traders
}

/// All that clients see of the present.
async fn everything(venue: &Venue, traders: &[(u64, Trader)]) -> BTreeMap<String, Value> {
    let mut seen = BTreeMap::new();
    seen.insert("price".to_owned(), venue.get("/api/v3/ticker/price").await);
    seen.insert("markets".to_owned(), venue.get("/api/v3/exchangeInfo").await["symbols"].take());
    for symbol in MARKETS {
        let mut depth = venue.get(&format!("/api/v3/depth?symbol={symbol}")).await;
        seen.insert(format!("depth {symbol}"), json!([depth["bids"].take(), depth["asks"].take()]));
    }
    for (account, trader) in traders {
        let balances = trader.ask(venue, Method::GET, "account", "").await["balances"].take();
        seen.insert(format!("balances {account}"), balances);
        seen.insert(format!("open orders {account}"), trader.ask(venue, Method::GET, "openOrders", "").await);
    }
    seen
}

fn secret_key(data: &Path) -> String {
    let mut path = data.as_os_str().to_owned();
    path.push(".secret-key");
    std::fs::read_to_string(PathBuf::from(path)).unwrap()
}

/// Has a partition take the first pieces of an export, as an import does that is then cut short.
fn cut_short(stage: &Stage, venue: &str, file: &Path, partition: PartitionId, pieces: usize) {
    let servers = stage.servers(venue);
    servers.claim_venue(PARTITIONS, b"ETHUSDT=2").unwrap();
    let (export, name) = export::decode(&std::fs::read(file).unwrap()).unwrap();
    let names = [("ETHUSDT", PartitionId(2))]
        .map(|(name, partition)| (crossbook_types::SymbolName::new_checked(name).unwrap(), partition));
    let routing = Routing::new_checked(PARTITIONS, BTreeMap::new()).unwrap().with_names(names.into()).unwrap();
    let all = crossbook_engine::import::pieces(&export.inventory, &routing, name).swap_remove(usize::from(partition.0));
    assert!(all.len() > pieces);
    let encoded = (1..).zip(&all).map(|(number, piece): (u64, &Piece)| {
        let (mut bytes, body) = (Vec::new(), Body::Import(Box::new(piece.clone())));
        crossbook_protocol::wire::encode_command(SourceId::IMPORT, RequestNumber(number), None, &body, &mut bytes);
        bytes
    });
    let encoded: Vec<Vec<u8>> = encoded.take(pieces).collect();
    let payloads: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
    let sender = PartitionId(u16::try_from(SourceId::IMPORT.0).unwrap());
    let mut link = Link::connect(&servers, partition).unwrap();
    link.note_import(&hex::encode(name)).unwrap();
    assert_eq!(link.deliver(sender, RequestNumber(1), &payloads).unwrap(), RequestNumber(pieces as u64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_venue_moves_from_a_folder_into_a_cluster() {
    let stage = Stage::set();
    let (data, file) = (stage.path("venue"), stage.path("venue.export"));
    let old = Venue::serve(&data).await;
    let traders = populate(&old).await;
    let (mut before, trades) = (everything(&old, &traders).await, old.get("/api/v3/trades?symbol=BTCUSDT").await);
    let audit = old.operate(Method::GET, "audit", None).await;

    let out = file.to_str().unwrap();
    let arguments = ["export", "--json", "--out", out, "--data"];
    assert!(refusal(&run(&arguments, &data)).contains("is running"), "a running venue is not exported");
    assert_eq!(old.stop().await, Some(0));
    let exported = told(&run(&arguments, &data));
    assert_eq!((&exported["sequence"], &exported["stateHash"]), (&audit["sequence"], &audit["stateHash"]));
    assert_eq!((&exported["counts"]["accounts"], &exported["counts"]["apiKeys"]), (&json!(6), &json!(6)));
    assert_eq!(exported["secretKeyAtHand"], true);
    assert!(refusal(&run(&arguments, &data)).contains("is there already"));
    assert!(refusal(&run(&["export", "--data"], &stage.path("nothing"))).contains("no log"));

    // Only into what is new, and only one at a time.
    let config = stage.cluster("other");
    let servers = stage.servers("other");
    let (mut opened, body) = (Vec::new(), Body::OpenAccount(OpenAccount { label: String::new() }));
    crossbook_protocol::wire::encode_command(SourceId(7), RequestNumber(1), None, &body, &mut opened);
    Link::connect(&servers, PartitionId(0)).unwrap().append(&[&opened]).unwrap();
    assert!(refusal(&import(&config, &file)).contains("partition 0 already has commands"));
    let config = stage.cluster("crossbook");
    cut_short(&stage, "crossbook", &file, PartitionId(1), 3);
    let (mut another, _) = export::decode(&std::fs::read(&file).unwrap()).unwrap();
    another.sequence = Sequence(1);
    let other_file = stage.path("another.export");
    std::fs::write(&other_file, export::encode(&another).0).unwrap();
    assert!(refusal(&import(&config, &other_file)).contains("another export"));
    std::fs::write(&other_file, &std::fs::read(&file).unwrap()[..100]).unwrap();
    assert!(refusal(&import(&config, &other_file)).contains("damaged"));

    // What was begun is finished, before anybody runs the partitions.
    let imported = told(&import(&config, &file));
    assert_eq!((&imported["ok"], &imported["compared"]), (&json!(true), &json!(true)), "{imported}");
    assert_eq!(imported["counts"], exported["counts"]);
    for asset in ["BTC", "USDT", "ETH"] {
        let (here, there) = (&exported["assets"][asset], &imported["audit"]["assets"][asset]);
        assert_eq!((&here["clients"], &here["fees"]), (&there["clients"], &there["fees"]), "{asset}");
        assert_eq!((&there["sum"], &there["inTransit"]), (&json!("0"), &json!("0")));
    }
    let again = told(&import(&config, &file));
    assert_eq!((&again["ok"], &again["compared"], &again["delivered"]), (&json!(true), &json!(false), &json!(0)));

    let _worker = Venue::worker(&config).await;
    let new = Venue::gateway(&config, &secret_key(&data)).await;
    // A gateway reads what has been told, and goes on reading while the worker catches up.
    let last = traders.last().unwrap().1.clone();
    eventually("the partitions have taken everything", async || {
        let (status, _) = last.send(&new, Method::GET, "openOrders", "").await;
        (status == 200 && everything(&new, &traders).await == before).then_some(())
    })
    .await;

    goes_on(&new, &traders, &trades, &mut before).await;
    let audit = told(&run(&["audit", "--cluster", "--json", "--config"], &config));
    assert_eq!(audit["ok"], true, "{audit}");
    assert_eq!(new.operate(Method::GET, "audit", None).await["ok"], true);
}

/// Into a cluster that runs already, whose Redis loses a master just then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_venue_moves_into_a_running_cluster_that_loses_a_master_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("venue"), folder.path().join("venue.export"));
    let old = Venue::serve(&data).await;
    let traders = populate(&old).await;
    let (mut before, trades) = (everything(&old, &traders).await, old.get("/api/v3/trades?symbol=BTCUSDT").await);
    let orders = traders[0].1.ask(&old, Method::GET, "allOrders", "symbol=BTCUSDT").await;
    let ended = orders.as_array().unwrap().iter().find(|order| order["status"] == "FILLED").unwrap()["orderId"].clone();
    assert_eq!(old.stop().await, Some(0));
    let exported = told(&run(&["export", "--json", "--out", file.to_str().unwrap(), "--data"], &data));

    let plan = Plan {
        partitions: 5,
        workers: 2,
        gateways: 1,
        settings: "[gateway]\nhistory_wait_ms = 5000\n".to_owned(),
        snapshot_interval_commands: Some(10),
        secret_key: Some(secret_key(&data).trim().to_owned()),
        ..Plan::default()
    };
    let program = Path::new(env!("CARGO_BIN_EXE_crossbook"));
    let mut cluster = LocalCluster::start(&folder.path().join("cluster"), program, &plan, |_| ()).unwrap();
    let config = cluster.config().to_owned();
    let lost = cluster.redis.master_of("{crossbook:p0}:in").unwrap();
    cluster.redis.kill(lost);
    let arguments = ["import", "--json", "--config", config.to_str().unwrap()];
    let importing = binary().args(arguments).arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("a replica is promoted", async || {
        cluster.redis.master_of("{crossbook:p0}:in").filter(|now| *now != lost)
    })
    .await;
    // The new master has no replica, so nothing is acknowledged before the old one is back.
    cluster.tend().unwrap();
    cluster.redis.wait_until_whole().unwrap();
    let output = importing.wait_with_output().unwrap();
    let imported = told(&output);
    assert_eq!((&imported["ok"], &imported["compared"]), (&json!(true), &json!(true)), "{imported}");
    assert_eq!(imported["counts"], exported["counts"]);

    let (http, admin) = (cluster.http().to_string(), cluster.admin().to_string());
    let new = Venue::elsewhere(http, admin, cluster.token());
    let last = traders.last().unwrap().1.clone();
    eventually("the partitions have taken everything", async || {
        let (status, _) = last.send(&new, Method::GET, "openOrders", "").await;
        (status == 200 && everything(&new, &traders).await == before).then_some(())
    })
    .await;
    goes_on(&new, &traders, &trades, &mut before).await;
    let config = config.to_str().unwrap();
    let audit = told(&run(&["audit", "--cluster", "--json", "--config"], Path::new(config)));
    assert_eq!(audit["ok"], true, "{audit}");
    // The history has what has happened since, and what was there when it began.
    eventually("the history agrees with the engine", async || {
        let verify = run(&["store", "verify", "--cluster", "--json", "--config"], Path::new(config));
        let verdict: Value = serde_json::from_slice(&verify.stdout).ok()?;
        (verdict["ok"] == true && verdict["entriesCompared"] == true).then_some(())
    })
    .await;
    let asked = format!("symbol=BTCUSDT&orderId={ended}");
    let (status, answer) = traders[0].1.send(&new, Method::GET, "order", &asked).await;
    assert_eq!((status, &answer["code"]), (400, &json!(-2013)), "what had ended did not move: {answer}");

    // A gateway that begins anew, maybe from snapshots, reads the same.
    let seen = everything(&new, &traders).await;
    cluster.kill("gateway-0");
    cluster.tend().unwrap();
    cluster.wait_until_ready("gateway-0").unwrap();
    eventually("the gateway is back", async || {
        // The connections to the one before are broken.
        let (status, _) = last.attempt(&new.client, &new.http, Method::GET, "openOrders", "").await.ok()?;
        (status == 200).then_some(())
    })
    .await;
    assert_eq!(everything(&new, &traders).await, seen);
    // An import of the same file finds that all is there, though the logs may have been trimmed since.
    let again = told(&import(Path::new(config), &file));
    assert_eq!((&again["compared"], &again["delivered"]), (&json!(false), &json!(0)), "{again}");
    assert_eq!(everything(&new, &traders).await, seen);
}

/// The numbers go on, orders of before are traded with in their order, can be found and cancelled, and a transfer is
/// not made twice.
async fn goes_on(new: &Venue, traders: &[(u64, Trader)], trades: &Value, before: &mut BTreeMap<String, Value>) {
    let newest = trades.as_array().unwrap().iter().map(|trade| trade["id"].as_u64().unwrap()).max().unwrap();
    let taker = &traders[5].1;
    let taken = taker.ask(new, Method::POST, "order", "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.03").await;
    assert_eq!(taken["status"], "FILLED");
    let next = new.get("/api/v3/trades?symbol=BTCUSDT").await;
    assert_eq!(next[0]["id"].as_u64().unwrap(), newest + 1);
    // The first at the best price was the account's whose order came first.
    let key = |number: usize| format!("open orders {}", traders[number].0);
    let first_bid = before.iter().filter(|(name, _)| name.starts_with("open orders")).flat_map(|(_, orders)| {
        orders
            .as_array()
            .unwrap()
            .iter()
            .filter(|order| order["symbol"] == "BTCUSDT" && order["side"] == "BUY" && order["type"] == "LIMIT")
    });
    let best = first_bid
        .max_by(|a, b| {
            let price = |order: &Value| order["price"].as_str().unwrap().parse::<f64>().unwrap();
            let number = |order: &Value| order["orderId"].as_u64().unwrap();
            price(a).total_cmp(&price(b)).then(number(b).cmp(&number(a)))
        })
        .unwrap()
        .clone();
    let mut hit = Vec::new();
    for (at, (_, trader)) in traders.iter().enumerate() {
        let orders = trader.ask(new, Method::GET, "openOrders", "").await;
        if before[&key(at)] != orders {
            hit.push((at, orders));
        }
    }
    assert!(!hit.is_empty(), "somebody's bid was hit");
    let owner = hit.iter().any(|(at, _)| before[&key(*at)].as_array().unwrap().contains(&best));
    assert!(owner, "the bid that was first in the queue was hit first");

    let name = "symbol=BTCUSDT&origClientOrderId=stop-SELL";
    assert_eq!(traders[2].1.ask(new, Method::GET, "order", name).await["status"], "NEW");
    assert_eq!(traders[2].1.ask(new, Method::DELETE, "order", name).await["status"], "CANCELED");

    let balances = traders[3].1.ask(new, Method::GET, "account", "").await["balances"].take();
    let deposit = json!({"asset": "BTC", "amount": "10", "transferId": "first-BTC"});
    let path = format!("accounts/{}/deposits", traders[3].0);
    new.operate(Method::POST, &path, Some(deposit)).await;
    assert_eq!(traders[3].1.ask(new, Method::GET, "account", "").await["balances"], balances, "once is once");
    let (status, refused) = taker
        .send(new, Method::POST, "order", "symbol=ETHBTC&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=1")
        .await;
    assert_eq!((status, &refused["code"]), (400, &json!(-2010)), "a halted market stays halted: {refused}");

    // A stop order that was armed before the move goes off when its price is reached.
    let stop = "symbol=BTCUSDT&origClientOrderId=stop-BUY";
    assert_eq!(traders[0].1.ask(new, Method::GET, "order", stop).await["isWorking"], false);
    let sweep = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=3&price=51000";
    taker.ask(new, Method::POST, "order", sweep).await;
    let sell = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.5&price=51000";
    traders[4].1.ask(new, Method::POST, "order", sell).await;
    let gone_off = traders[0].1.ask(new, Method::GET, "order", stop).await;
    assert_ne!(gone_off["status"], "NEW", "{gone_off}");

    // And somebody new can come.
    let (account, newcomer) = new.open_numbered_account("newcomer").await;
    assert_eq!(account, traders[5].0 + 1);
    newcomer.ask(new, Method::GET, "account", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exported_venue_starts_again_only_if_the_operator_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("venue"), folder.path().join("venue.export"));
    let venue = Venue::serve(&data).await;
    venue.list_market().await;
    assert_eq!(venue.stop().await, Some(0));
    let arguments = ["export", "--json", "--out", file.to_str().unwrap(), "--data"];
    told(&run(&arguments, &data));
    let stays = || {
        let said = crate::venue::refusal(&data);
        assert!(said.contains("was exported to") && said.contains(file.to_str().unwrap()), "{said}");
        assert!(said.contains("--reopen"), "{said}");
    };
    stays();
    assert!(refusal(&run(&arguments, &data)).contains("is there already"));
    stays();
    let venue = Venue::serve_as(&data, &[], &["--reopen"]).await;
    assert_eq!(venue.stop().await, Some(0));
    let venue = Venue::serve(&data).await;
    assert_eq!(venue.stop().await, Some(0));
}
