//! The real binary, killed, stopped and damaged while it works. A client keeps its own list of what was acknowledged, and the
//! venue is held to that list after every restart.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod venue;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use venue::{Trader, Venue, binary, refusal};

/// Small snapshots often, and no limits of rate in the way of the load.
const SETTINGS: &[(&str, &str)] = &[
    ("CROSSBOOK_SNAPSHOTS__EVERY_COMMANDS", "20"),
    ("CROSSBOOK_GATEWAY__LIMITS__ORDERS_10S", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__ORDERS_1D", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__REQUEST_WEIGHT_1M", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__RAW_REQUESTS_5M", "0"),
];
/// Accounts that trade at once.
const TRADERS: usize = 3;
/// Orders of one trader in one round, so that checking them takes bounded time.
const ORDERS_MAX: u64 = 250;
/// What every account starts with; see [`Venue::open_account`].
const FIRST_DEPOSIT: u64 = 1_000_000;

/// What one trader was told in one round: by name of the order, its number and its last acknowledged status.
type Acknowledged = BTreeMap<String, (u64, String)>;

/// Sends orders, and cancels most of them again, until the venue is gone. No order can trade.
async fn trade(client: reqwest::Client, http: String, trader: Trader, round: u64) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    for at in 0..ORDERS_MAX {
        let name = format!("round-{round}-{at}");
        let order = format!(
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=10000&newClientOrderId={name}"
        );
        // A refusal is a promise too: a venue that is stopping must not keep what it refused.
        let Ok((status, body)) = trader.attempt(&client, &http, Method::POST, "order", &order).await else { break };
        if status != 200 {
            acknowledged.insert(name, (0, format!("refused {}", body["code"])));
            break;
        }
        let number = body["orderId"].as_u64().unwrap();
        acknowledged.insert(name.clone(), (number, "NEW".into()));
        if at % 25 == 0 {
            continue;
        }
        let cancel = format!("symbol=BTCUSDT&origClientOrderId={name}&newClientOrderId=c-{name}");
        // Until its cancel is answered, either may be found.
        acknowledged.insert(name.clone(), (number, "NEW or CANCELED".into()));
        match trader.attempt(&client, &http, Method::DELETE, "order", &cancel).await {
            Ok((200, body)) => {
                // A cancel is reported under the name of the cancel; the order keeps its number.
                assert_eq!(body["orderId"].as_u64(), Some(number));
                acknowledged.insert(name, (number, "CANCELED".into()));
            }
            _ => break,
        }
    }
    acknowledged
}

/// Holds the venue to what a trader was told.
async fn check(venue: &Venue, trader: &Trader, acknowledged: &Acknowledged) {
    for (name, (number, status)) in acknowledged {
        // A canceled order bears the name of its cancel, so it is asked for by number.
        let query = match number {
            0 => format!("symbol=BTCUSDT&origClientOrderId={name}"),
            _ => format!("symbol=BTCUSDT&orderId={number}"),
        };
        let (code, order) = trader.send(venue, Method::GET, "order", &query).await;
        match status.as_str() {
            // -1007 says that the outcome is unknown: either is right.
            "refused -1007" => {}
            refused if refused.starts_with("refused") => assert_ne!(code, 200, "{name} was {refused}, yet: {order}"),
            either => {
                assert_eq!(code, 200, "{name} was acknowledged as {either}: {order}");
                assert!(either.contains(order["status"].as_str().unwrap()), "{name} was {either}: {order}");
            }
        }
    }
}

/// Deposits 1 USDT after 1 USDT until the venue is gone: how many were acknowledged, how many were tried.
async fn deposit(client: reqwest::Client, admin: String, account: u64, round: u64) -> (u64, u64) {
    let (mut acknowledged, mut tried) = (0, 0);
    while tried < ORDERS_MAX {
        tried += 1;
        match transfer(&client, &admin, account, round, tried).await {
            Ok(status) if status.is_success() => acknowledged += 1,
            _ => break,
        }
    }
    (acknowledged, tried)
}

async fn transfer(
    client: &reqwest::Client,
    admin: &str,
    account: u64,
    round: u64,
    at: u64,
) -> reqwest::Result<reqwest::StatusCode> {
    let body = json!({"asset": "USDT", "amount": "1", "transferId": format!("round-{round}-{at}")});
    let url = format!("http://{admin}/admin/v1/accounts/{account}/deposits");
    let answer = client.post(url).bearer_auth(venue::TOKEN).json(&body).send().await?;
    let status = answer.status();
    answer.bytes().await?;
    Ok(status)
}

/// Makes API keys until the venue is gone: those that were handed out.
async fn make_keys(client: reqwest::Client, admin: String, account: u64) -> Vec<Trader> {
    let mut made = Vec::new();
    for _ in 0..4 {
        let url = format!("http://{admin}/admin/v1/accounts/{account}/api-keys");
        let request = client.post(url).bearer_auth(venue::TOKEN).json(&json!({"permissions": ["READ"]}));
        let Ok(answer) = request.send().await else { break };
        let Ok(key) = answer.json::<Value>().await else { break };
        let (Some(name), Some(secret)) = (key["apiKey"].as_str(), key["secretKey"].as_str()) else { break };
        made.push(Trader { key: name.to_owned(), secret: secret.to_owned() });
    }
    made
}

/// All the USDT of a trader, in whole units.
async fn owns(venue: &Venue, trader: &Trader) -> u64 {
    let account = trader.ask(venue, Method::GET, "account", "").await;
    let balances = account["balances"].as_array().unwrap().clone();
    let usdt = balances.iter().find(|balance| balance["asset"] == "USDT").unwrap();
    let amount = |name: &str| usdt[name].as_str().unwrap().parse::<f64>().unwrap();
    (amount("free") + amount("locked")) as u64
}

fn audited(data: &Path) -> Value {
    let output = binary().args(["audit", "--json", "--data"]).arg(data).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What an audit says that must find something.
fn found_wrong(data: &Path) -> Value {
    let text = binary().args(["audit", "--data"]).arg(data).output().unwrap();
    assert_eq!(text.status.code(), Some(3));
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("WRONG: the log ends at command") && !text.contains("torn tail"), "{text}");
    let output = binary().args(["audit", "--json", "--data"]).arg(data).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The same point of the same history.
fn assert_same(one: &Value, other: &Value) {
    assert_eq!((&one["ok"], &other["ok"]), (&json!(true), &json!(true)), "{one} {other}");
    assert_eq!((&one["sequence"], &one["stateHash"]), (&other["sequence"], &other["stateHash"]));
}

/// Files of a folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// How a round ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    Stop,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledgement_outlives_kills_and_stops_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let mut venue = Venue::serve_with(&data, SETTINGS).await;
    venue.list_market().await;
    let mut traders = Vec::new();
    for at in 0..TRADERS {
        traders.push(venue.open_numbered_account(&format!("trader {at}")).await);
    }
    let mut deposited = 0;
    // The snapshot thread looks every two seconds: the longer rounds are killed when it is at work, or just after.
    let rounds =
        [(30, End::Kill), (250, End::Kill), (2_005, End::Kill), (300, End::Stop), (2_030, End::Kill), (90, End::Kill)];
    for (round, (milliseconds, end)) in (1..).zip(rounds) {
        let begun = Instant::now();
        let trading: Vec<_> = traders
            .iter()
            .map(|(_, trader)| tokio::spawn(trade(venue.client.clone(), venue.http.clone(), trader.clone(), round)))
            .collect();
        let account = traders[0].0;
        let depositing = tokio::spawn(deposit(venue.client.clone(), venue.admin.clone(), account, round));
        let keys = tokio::spawn(make_keys(venue.client.clone(), venue.admin.clone(), account));
        // Not a wait for something, but the length of the load.
        tokio::time::sleep(Duration::from_millis(milliseconds).saturating_sub(begun.elapsed())).await;
        match end {
            End::Kill => venue.kill(),
            End::Stop => assert_eq!(venue.stop().await, Some(0)),
        }
        let offline = audited(&data);
        if end == End::Stop {
            let newest = format!("snapshot-{:020}.bin", offline["sequence"].as_u64().unwrap());
            assert!(data.join("snapshots").join(&newest).exists(), "no {newest} after a clean stop");
        }

        venue = Venue::serve_with(&data, SETTINGS).await;
        assert_same(&offline, &venue.operate(Method::GET, "audit", None).await);
        for ((_, trader), trading) in traders.iter().zip(trading) {
            check(&venue, trader, &trading.await.unwrap()).await;
        }
        for key in keys.await.unwrap() {
            key.ask(&venue, Method::GET, "account", "").await;
        }
        let (acknowledged, tried) = depositing.await.unwrap();
        let found = owns(&venue, &traders[0].1).await - FIRST_DEPOSIT - deposited;
        assert!((acknowledged..=tried).contains(&found), "{acknowledged} to {tried} deposits, found {found}");
        // Whoever does not know asks again: each transfer counts once all the same.
        for at in 1..=tried {
            assert!(transfer(&venue.client, &venue.admin, account, round, at).await.unwrap().is_success());
        }
        deposited += tried;
        assert_eq!(owns(&venue, &traders[0].1).await, FIRST_DEPOSIT + deposited);
    }
}

#[tokio::test]
async fn a_damaged_snapshot_is_passed_over_and_a_log_that_lost_something_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    for _ in 0..2 {
        let venue = Venue::serve(&data).await;
        if files(&data.join("snapshots")).is_empty() {
            venue.list_market().await;
        }
        venue.open_account("someone").await;
        assert_eq!(venue.stop().await, Some(0));
    }
    let truth = audited(&data);

    let snapshots = files(&data.join("snapshots"));
    assert_eq!(snapshots.len(), 2);
    let whole = std::fs::read(&snapshots[1]).unwrap();
    std::fs::write(&snapshots[1], &whole[..whole.len() / 2]).unwrap();
    let venue = Venue::serve(&data).await;
    assert_same(&truth, &venue.operate(Method::GET, "audit", None).await);
    assert_eq!(venue.stop().await, Some(0));
    assert_eq!(std::fs::read(&snapshots[1]).unwrap().len(), whole.len(), "a clean stop makes it anew");

    // The last record's bytes are gone, as if it had been torn. The snapshot proves that it was durable.
    let [log] = &files(&data.join("log"))
        .into_iter()
        .filter(|path| path.ends_with("00000000000000000001.log"))
        .collect::<Vec<_>>()[..]
    else {
        panic!("one segment")
    };
    let good = std::fs::read(log).unwrap();
    let end = good.iter().rposition(|byte| *byte != 0).unwrap();
    let mut torn = good.clone();
    torn[end - 4..=end].fill(0);
    std::fs::write(log, &torn).unwrap();
    let said = refusal(&data);
    assert!(said.contains("00000000000000000001.log"), "{said}");
    assert!(std::fs::read(log).unwrap() == torn, "what is left of the log is not touched");

    let lost = found_wrong(&data);
    assert_eq!((&lost["ok"], &lost["missingCommands"]), (&json!(false), &json!(1)));
    let half = good[..end].iter().rposition(|byte| *byte != 0).unwrap() / 2;
    std::fs::write(log, &good[..half]).unwrap();
    assert!(found_wrong(&data)["missingCommands"].as_u64().unwrap() > 1);

    std::fs::remove_file(log).unwrap();
    refusal(&data);
    assert!(!log.exists(), "no empty log is begun where there was one");
    let lost = found_wrong(&data);
    assert_eq!(lost["missingCommands"], truth["sequence"]);
    std::fs::rename(data.join("log"), data.join("elsewhere")).unwrap();
    let output = binary().args(["audit", "--data"]).arg(&data).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("the log is lost"));
    std::fs::rename(data.join("elsewhere"), data.join("log")).unwrap();

    std::fs::write(log, &good).unwrap();
    let venue = Venue::serve(&data).await;
    assert_same(&truth, &venue.operate(Method::GET, "audit", None).await);
}
