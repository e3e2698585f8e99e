//! A venue moves out of a cluster: back into a folder, and into a cluster with more partitions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use crossbook_protocol::command::OpenAccount;
use crossbook_protocol::{Body, Routing};
use crossbook_redis_store::{Link, Servers};
use crossbook_types::RequestNumber;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Stage, everything, import, populate, refusal, run, secret_key, told};
use crate::venue::{Trader, Venue, binary, eventually};

/// Exports a cluster.
fn export_cluster(config: &Path, file: &Path) -> Output {
    let out = file.to_str().unwrap();
    run(&["export", "--cluster", "--json", "--out", out, "--config"], config)
}

/// Does something that blocks, and goes on with everything else meanwhile.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Places an order that rests far from all others; the status and what was answered.
async fn place(trader: &Trader, http: &str, name: &str) -> (u16, Value) {
    let order =
        format!("symbol=ETHUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=2500&newClientOrderId={name}");
    trader.attempt(&reqwest::Client::new(), http, Method::POST, "order", &order).await.unwrap()
}

/// An order of after the move trades with one of before, and its number is new.
async fn trades_on(venue: &Venue, traders: &[(u64, Trader)]) {
    let mut last = 0;
    for (_, trader) in traders {
        let orders = trader.ask(venue, Method::GET, "openOrders", "").await;
        let numbers = orders.as_array().unwrap().iter().filter(|order| order["symbol"] == "ETHUSDT");
        last = numbers.map(|order| order["orderId"].as_u64().unwrap()).fold(last, u64::max);
    }
    let order = "symbol=ETHUSDT&side=SELL&type=MARKET&quantity=0.03";
    let taken = traders[1].1.ask(venue, Method::POST, "order", order).await;
    assert_eq!(taken["status"], "FILLED", "{taken}");
    assert!(taken["orderId"].as_u64().unwrap() > last, "{taken}");
    assert_eq!(venue.operate(Method::GET, "audit", None).await["ok"], true);
}

/// What a process of a closed cluster says when it is to start.
fn refused_start(role: &str, config: &Path, key: &str) -> String {
    let mut command = binary();
    command.args([role, "--admin", "127.0.0.1:0", "--config"]).arg(config).env("CROSSBOOK_SECRET_KEY", key);
    if role == "gateway" {
        command.args(["--http", "127.0.0.1:0"]).env("CROSSBOOK_ADMIN_TOKEN", crate::venue::TOKEN);
    }
    refusal(&command.output().unwrap())
}

/// Appends the opening of an account as a gateway does that dies then.
fn append_alone(servers: &Servers, label: &str) {
    let body = Body::OpenAccount(OpenAccount { label: label.to_owned() });
    let (mut bytes, source) = (Vec::new(), servers.next_gateway().unwrap());
    crossbook_protocol::wire::encode_command(source, RequestNumber(1), None, &body, &mut bytes);
    let mut link = Link::connect(servers, Routing::REGISTRY).unwrap();
    link.append(&[&bytes]).unwrap();
    link.make_durable().unwrap();
}

/// A copy of the secret key beside another data folder.
fn hand_over_key(from: &Path, to: &Path) {
    let [from, to] = [from, to].map(|data| PathBuf::from(format!("{}.secret-key", data.display())));
    std::fs::copy(from, to).unwrap();
}

/// Whether a gateway refuses orders because its venue is closed.
fn is_closed((status, answer): &(u16, Value)) -> bool {
    *status == 503 && answer["code"] == -1008 && answer["msg"].as_str().unwrap().contains("closed")
}

/// What the accounts of a venue are, with their traders.
type Traders = [(u64, Trader)];

/// Orders of one client that were accepted, and the one that was refused because the venue is closed.
type Late = (Vec<String>, String);

/// An export that goes on beside everything else.
async fn export_beside(config: &Path, file: &Path) -> Value {
    let (config, file) = (config.to_owned(), file.to_owned());
    told(&beside(move || export_cluster(&config, &file)).await)
}

/// The operator closes a cluster, and thinks better of it.
async fn closes_and_opens_again(stage: &Stage, config: &Path, gateway: &Venue, traders: &Traders) {
    let first = stage.path("first.export");
    let exported = export_beside(config, &first).await;
    assert_eq!(exported["secretKeyNeeded"], true);
    assert!(is_closed(&place(&traders[0].1, &gateway.http, "closed").await));
    let reopened = told(&run(&["export", "--cluster", "--reopen", "--json", "--config"], config));
    assert_eq!((&reopened["wasClosed"], &reopened["export"]), (&json!(true), &json!(first.to_str().unwrap())));
    eventually("the gateway is open again", async || {
        let answer = place(&traders[0].1, &gateway.http, "open-again").await;
        assert!(answer.0 == 200 || is_closed(&answer), "{}", answer.1);
        (answer.0 == 200).then_some(())
    })
    .await;
}

/// Exports a cluster whose clients go on until they are refused: what the export says, and what each client placed.
async fn export_under_load(config: &Path, file: &Path, gateway: &Venue, traders: &Traders) -> (Value, Vec<Late>) {
    let clients: Vec<_> = traders
        .iter()
        .take(4)
        .cloned()
        .enumerate()
        .map(|(at, (_, trader))| {
            let http = gateway.http.clone();
            tokio::spawn(async move {
                let mut accepted = Vec::new();
                for number in 0.. {
                    let name = format!("late-{at}-{number}");
                    let answer = place(&trader, &http, &name).await;
                    if is_closed(&answer) {
                        return (accepted, name);
                    }
                    assert_eq!(answer.0, 200, "{}", answer.1);
                    accepted.push(name);
                    // An account may place only so many orders within ten seconds.
                    tokio::time::sleep(Duration::from_millis(150)).await;
                }
                unreachable!()
            })
        })
        .collect();
    let exported = export_beside(config, file).await;
    let mut late = Vec::new();
    for client in clients {
        late.push(client.await.unwrap());
    }
    (exported, late)
}

/// A closed cluster says so everywhere, and its export is what it was.
async fn stays_closed(stage: &Stage, config: &Path, (gateway, key): (&Venue, &str), (file, exported): (&Path, &Value)) {
    let ready = gateway.client.get(format!("http://{}/readyz", gateway.admin)).send().await.unwrap();
    let ready: Value = ready.json().await.unwrap();
    assert!(ready["closed"].as_str().unwrap().contains(file.to_str().unwrap()), "{ready}");
    for role in ["gateway", "worker"] {
        assert!(refused_start(role, config, key).contains("was exported to"), "{role}");
    }
    assert!(refusal(&export_cluster(config, file)).contains("is there already"));
    let third = stage.path("third.export");
    assert_eq!(told(&export_cluster(config, &third))["export"], exported["export"], "it is what it was");
}

/// An export is imported into a folder, which then has what clients saw last, and trades on.
async fn moves_into_a_folder(
    stage: &Stage,
    (data, file): (&Path, &Path),
    exported: &Value,
    (traders, late, seen): (&Traders, &[Late], &BTreeMap<String, Value>),
) {
    let back = stage.path("back");
    let into = |data: &Path| run(&["import", "--json", "--data", data.to_str().unwrap()], file);
    assert!(refusal(&into(data)).contains("is not empty"));
    hand_over_key(data, &back);
    // What an import leaves that was cut short.
    std::fs::create_dir_all(back.join("log.restoring")).unwrap();
    std::fs::write(back.join("log.restoring/00000000000000000001.log"), "half").unwrap();
    assert!(crate::venue::refusal(&back).contains("`crossbook import` again"));
    let imported = told(&into(&back));
    assert_eq!((&imported["ok"], &imported["secretKeyAtHand"]), (&json!(true), &json!(true)), "{imported}");
    assert_eq!(imported["counts"], exported["counts"]);
    assert!(refusal(&into(&back)).contains("is not empty"));
    let folder = Venue::serve(&back).await;
    assert_eq!(everything(&folder, traders).await, *seen);
    for ((accepted, refused), (_, trader)) in late.iter().zip(traders) {
        for name in accepted {
            let order = format!("symbol=ETHUSDT&origClientOrderId={name}");
            assert_eq!(trader.ask(&folder, Method::GET, "order", &order).await["status"], "NEW", "{name}");
        }
        let order = format!("symbol=ETHUSDT&origClientOrderId={refused}");
        assert_eq!(trader.send(&folder, Method::GET, "order", &order).await.0, 400, "{refused} had no effect");
    }
    trades_on(&folder, traders).await;
    assert_eq!(folder.stop().await, Some(0));
    assert_eq!(told(&run(&["audit", "--json", "--data"], &back))["ok"], true);
}

/// An export is imported into a larger cluster, all of whose processes are killed while it trades, and which then moves
/// into a folder.
async fn moves_into_a_larger_cluster(
    stage: &Stage,
    (data, file, key): (&Path, &Path, &str),
    exported: &Value,
    (traders, seen): (&Traders, &BTreeMap<String, Value>),
) {
    let larger = stage.cluster_of("larger", 5);
    let imported = told(&import(&larger, file));
    assert_eq!((&imported["ok"], &imported["counts"]), (&json!(true), &exported["counts"]), "{imported}");
    let gateway = Venue::gateway(&larger, key).await;
    eventually("the gateway has taken everything", async || {
        (everything(&gateway, traders).await == *seen).then_some(())
    })
    .await;
    trades_on(&gateway, traders).await;
    let burst = (0..40).map(|number| {
        let (trader, http) = (traders[number % 6].1.clone(), gateway.http.clone());
        tokio::spawn(async move {
            let order = "symbol=ETHUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=3020";
            let _ = trader.attempt(&reqwest::Client::new(), &http, Method::POST, "order", order).await;
        })
    });
    let burst: Vec<_> = burst.collect();
    for client in burst.into_iter().take(5) {
        client.await.unwrap();
    }
    gateway.kill();
    // Nobody runs who could deliver what this makes the registry tell all others.
    append_alone(&stage.servers("larger"), "newcomer");
    let fourth = stage.path("fourth.export");
    let exported = told(&export_cluster(&larger, &fourth));
    let last = stage.path("last");
    hand_over_key(data, &last);
    let imported = told(&run(&["import", "--json", "--data", last.to_str().unwrap()], &fourth));
    assert_eq!((&imported["counts"], &exported["counts"]["accounts"]), (&exported["counts"], &json!(7)));
    let folder = Venue::serve(&last).await;
    trades_on(&folder, traders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_venue_moves_back_into_a_folder_and_into_a_larger_cluster() {
    let stage = Stage::set();
    let (data, file) = (stage.path("venue"), stage.path("venue.export"));
    let old = Venue::serve(&data).await;
    let traders = populate(&old).await;
    assert_eq!(old.stop().await, Some(0));
    told(&run(&["export", "--json", "--out", file.to_str().unwrap(), "--data"], &data));
    let config = stage.cluster("crossbook");
    assert!(refusal(&export_cluster(&config, &stage.path("nothing.export"))).contains("has no commands"));
    told(&import(&config, &file));
    let (worker, key) = (Venue::worker(&config).await, secret_key(&data));
    let gateway = Venue::gateway(&config, &key).await;
    trades_on(&gateway, &traders).await;
    // Gateways and this process deliver what is under way.
    assert_eq!(worker.stop().await, Some(0));

    closes_and_opens_again(&stage, &config, &gateway, &traders).await;
    let second = stage.path("second.export");
    let (exported, late) = export_under_load(&config, &second, &gateway, &traders).await;
    let seen = everything(&gateway, &traders).await;
    stays_closed(&stage, &config, (&gateway, &key), (&second, &exported)).await;
    moves_into_a_folder(&stage, (&data, &second), &exported, (&traders, &late, &seen)).await;
    moves_into_a_larger_cluster(&stage, (&data, &second, &key), &exported, (&traders, &seen)).await;
}
