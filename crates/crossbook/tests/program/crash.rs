//! The real binary, killed, stopped and damaged while it works. A client records what was acknowledged, and the venue
//! is compared with that record after every restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::venue::{Trader, Venue, binary, refusal};
use reqwest::Method;
use serde_json::{Value, json};

/// Small snapshots often, and no limits of rate in the way of the load.
const SETTINGS: &[(&str, &str)] = &[
    ("CROSSBOOK_SNAPSHOTS__INTERVAL_COMMANDS", "20"),
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
    let answer = client.post(url).bearer_auth(crate::venue::TOKEN).json(&body).send().await?;
    let status = answer.status();
    answer.bytes().await?;
    Ok(status)
}

/// Makes API keys until the venue is gone: those that were handed out.
async fn make_keys(client: reqwest::Client, admin: String, account: u64) -> Vec<Trader> {
    let mut made = Vec::new();
    for _ in 0..4 {
        let url = format!("http://{admin}/admin/v1/accounts/{account}/api-keys");
        let request = client.post(url).bearer_auth(crate::venue::TOKEN).json(&json!({"permissions": ["READ"]}));
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
    assert!(
        text.contains("WRONG: the log in ") && text.contains("the snapshot") && !text.contains("torn tail"),
        "{text}"
    );
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
async fn a_damaged_snapshot_is_skipped_and_a_log_that_lost_commands_is_refused() {
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
    let missing = format!("command {} is missing", truth["sequence"]);
    assert!(said.contains(&missing) && said.contains("the snapshot"), "{said}");
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
    // A database that nobody serves proves nothing, and the audit does not end as one that has proven everything.
    let mut command = binary();
    command.args(["audit", "--json", "--data"]).arg(&data);
    let output = command.env("CROSSBOOK_HISTORY__DATABASE", "mysql://nobody@127.0.0.1:1/nothing").output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["ok"] == true && told["historyUnavailable"].is_string(), "{told}");
    assert_eq!(output.status.code(), Some(1));
    let venue = Venue::serve(&data).await;
    assert_same(&truth, &venue.operate(Method::GET, "audit", None).await);
}

/// Runs the program and gives what it says in JSON.
async fn told(arguments: Vec<String>) -> Value {
    let output = tokio::task::spawn_blocking(move || binary().args(arguments).output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn line(words: &[&str], paths: &[(&str, &Path)]) -> Vec<String> {
    let options = paths.iter().flat_map(|(option, path)| [(*option).to_owned(), path.display().to_string()]);
    words.iter().map(|word| (*word).to_owned()).chain(options).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_venue_under_load_has_everything_that_was_acknowledged_before() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup) = (folder.path().join("venue"), folder.path().join("backup"));
    let venue = Venue::serve_with(&data, SETTINGS).await;
    venue.list_market().await;
    let mut traders = Vec::new();
    for at in 0..TRADERS {
        traders.push(venue.open_account(&format!("trader {at}")).await);
    }
    let trading: Vec<_> = traders
        .iter()
        .map(|trader| tokio::spawn(trade(venue.client.clone(), venue.http.clone(), trader.clone(), 1)))
        .collect();
    for round in 0..10 {
        let known = venue.operate(Method::GET, "audit", None).await["sequence"].as_u64().unwrap();
        let taken = told(line(&["backup", "--json"], &[("--data", &data), ("--out", &backup)])).await;
        assert!(taken["lastCommand"].as_u64().unwrap() >= known, "round {round}: {known} of {taken}");
        let restored = folder.path().join(format!("restored-{round}"));
        let done = told(line(&["restore", "--json"], &[("--from", &backup), ("--data", &restored)])).await;
        assert_eq!((&done["lastCommand"], &done["snapshot"]), (&taken["lastCommand"], &taken["snapshot"]));
        let audited = told(line(&["audit", "--json"], &[("--data", &restored)])).await;
        assert_eq!((&audited["ok"], &audited["sequence"]), (&json!(true), &taken["lastCommand"]));
        std::fs::remove_dir_all(restored).unwrap();
    }
    let mut acknowledged = Vec::new();
    for trading in trading {
        acknowledged.push(trading.await.unwrap());
    }
    let text = binary().args(line(&["backup"], &[("--data", &data), ("--out", &backup)])).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("and read back") && text.contains("venue.secret-key"), "{text}");
    venue.kill();

    // The machine is lost. What is left is the backup, and the key, which was kept apart.
    let restored = folder.path().join("restored");
    let output = binary().args(line(&["restore"], &[("--from", &backup), ("--data", &restored)])).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("put the venue's secret key back as") && text.contains("restored.secret-key"), "{text}");
    let refused = binary().args(line(&["restore"], &[("--from", &backup), ("--data", &restored)])).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("is not empty"));
    std::fs::rename(folder.path().join("venue.secret-key"), folder.path().join("restored.secret-key")).unwrap();
    assert!(refusal(&backup).contains("is a backup, not a data folder"));
    let venue = Venue::serve_with(&restored, SETTINGS).await;
    for (trader, acknowledged) in traders.iter().zip(&acknowledged) {
        assert_eq!(acknowledged.len() as u64, ORDERS_MAX);
        check(&venue, trader, acknowledged).await;
    }
    assert_eq!(venue.operate(Method::GET, "audit", None).await["ok"], true);
    assert_eq!(venue.stop().await, Some(0));

    // A restoration that was cut short is no venue.
    let half = folder.path().join("half");
    std::fs::create_dir_all(half.join("log.restoring")).unwrap();
    assert!(refusal(&half).contains("was not restored to its end"));
    let inside = format!("file://{}", restored.join("backup").display());
    let output = binary().args(["backup", "--out", &inside, "--data"]).arg(&restored).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("name a path outside of it"));
    for place in ["s3://", "http://somewhere/else"] {
        let output = binary().args(["backup", "--out", place, "--data"]).arg(&restored).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("not an object-store URL: use file:///PATH or s3://BUCKET/PREFIX"), "{said}");
    }
}

#[tokio::test]
async fn damage_before_the_snapshot_is_told_while_trading_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let settings = [
        ("CROSSBOOK_LOG__SEGMENT_BYTES_MAX", "150000"),
        ("CROSSBOOK_LOG__BATCH_BYTES_MAX", "100000"),
        ("CROSSBOOK_LOG__RECORD_BYTES_MAX", "70000"),
    ];
    let venue = Venue::serve_with(&data, &settings).await;
    venue.list_market().await;
    let (account, alice) = venue.open_numbered_account("alice").await;
    // Large commands, so that the log has several segments.
    let networks = vec!["1111:1111:1111:1111:1111:1111:1111:1111/128"; 1_200];
    while files(&data.join("log")).len() < 5 {
        let key = json!({"permissions": ["READ"], "allowedIps": networks});
        venue.operate(Method::POST, &format!("accounts/{account}/api-keys"), Some(key)).await;
    }
    assert_eq!(venue.stop().await, Some(0));
    let segment = data.join("log/00000000000000000001.log");
    let good = std::fs::read(&segment).unwrap();
    let mut bad = good.clone();
    bad[1_000] ^= 1;

    for (bytes, state, damaged) in [(&good, "verified", 0), (&bad, "damaged", 1)] {
        std::fs::write(&segment, bytes).unwrap();
        let venue = Venue::serve_with(&data, &settings).await;
        let log = crate::venue::eventually("the log is verified", async || {
            let url = format!("http://{}/readyz", venue.admin);
            let response = venue.client.get(url).send().await.unwrap();
            assert_eq!(response.status(), 200, "trading goes on");
            let log = response.json::<Value>().await.unwrap()["log"].take();
            (log["state"] != "verifying").then_some(log)
        })
        .await;
        assert_eq!(log["state"], state, "{log}");
        let metrics = venue.client.get(format!("http://{}/metrics", venue.admin)).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        assert!(metrics.contains(&format!("crossbook_log_damaged {damaged}")), "{metrics}");
        alice.ask(&venue, Method::GET, "account", "").await;
        assert_eq!(venue.operate(Method::GET, "audit", None).await["ok"], true);
        if damaged == 1 {
            assert!(log["error"].as_str().unwrap().contains("00000000000000000001.log is damaged at byte"), "{log}");
            assert!(venue.says()("the log is damaged before the snapshot").is_some());
            let backup = folder.path().join("backup");
            let output = binary().args(line(&["backup"], &[("--data", &data), ("--out", &backup)])).output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            assert!(String::from_utf8(output.stderr).unwrap().contains("is damaged at byte"));
        }
        assert_eq!(venue.stop().await, Some(0));
    }
}

/// A backup restores a log that has its first command. What is restored is removed again.
fn restores_whole(from: &Path, restored: &Path) {
    let output = binary().args(line(&["restore"], &[("--data", restored), ("--from", from)])).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let first = crossbook_log::files::segments(&restored.join("log")).unwrap()[0];
    assert_eq!(first.0, 1, "{}", from.display());
    std::fs::remove_dir_all(restored).unwrap();
}

/// What is restored from a backup without the first `missing` commands is reported like the log that it was taken of.
/// It is removed again.
fn restores_lost(from: &Path, restored: &Path, missing: u64) {
    let output =
        binary().args(line(&["restore", "--json"], &[("--data", restored), ("--from", from)])).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["missing"], json!({"first": 1, "last": missing}), "{told}");
    let output = binary().args(["audit", "--data"]).arg(restored).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.code() == Some(3) && said.contains(&format!("commands 1 to {missing} are missing")),
        "{said}"
    );
    std::fs::remove_dir_all(restored).unwrap();
}

/// A log whose first segments are gone, though nothing has trimmed it.
#[tokio::test]
async fn a_log_that_lost_its_beginning_is_reported_wherever_somebody_looks() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let settings = [
        ("CROSSBOOK_LOG__SEGMENT_BYTES_MAX", "150000"),
        ("CROSSBOOK_LOG__BATCH_BYTES_MAX", "100000"),
        ("CROSSBOOK_LOG__RECORD_BYTES_MAX", "70000"),
    ];
    let run = |arguments: &[&str], backup: &str| {
        let mut command = binary();
        command.args(arguments).arg("--data").arg(&data);
        if arguments[0] == "backup" {
            command.arg("--out").arg(folder.path().join(backup));
        }
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (output.status.code(), said)
    };
    let log = async |venue: &Venue| {
        let ready = venue.client.get(format!("http://{}/readyz", venue.admin)).send().await.unwrap();
        assert_eq!(ready.status(), 200, "trading goes on");
        ready.json::<Value>().await.unwrap()["log"].take()
    };
    let venue = Venue::serve_with(&data, &settings).await;
    venue.list_market().await;
    let (account, alice) = venue.open_numbered_account("alice").await;
    let networks = vec!["1111:1111:1111:1111:1111:1111:1111:1111/128"; 1_200];
    while files(&data.join("log")).len() < 5 {
        let key = json!({"permissions": ["READ"], "allowedIps": networks});
        venue.operate(Method::POST, &format!("accounts/{account}/api-keys"), Some(key)).await;
        if files(&data.join("log")).len() == 4 {
            assert_eq!(run(&["backup"], "early").0, Some(0));
        }
    }
    assert_eq!(venue.stop().await, Some(0));
    assert_eq!(run(&["backup"], "late").0, Some(0));
    let _ = std::fs::remove_file(data.join("history.sqlite"));
    let mut segments = crossbook_log::files::segments(&data.join("log")).unwrap();
    let last = segments.pop().unwrap();
    for segment in segments {
        std::fs::remove_file(data.join("log").join(crossbook_log::files::segment_name(segment))).unwrap();
    }

    let missing = format!("commands 1 to {} are missing", last.0 - 1);
    for _ in 0..2 {
        let venue = Venue::serve_with(&data, &settings).await;
        let found = log(&venue).await;
        assert_eq!(found["state"], "incomplete", "{found}");
        assert_eq!(found["missing"], json!({"first": 1, "last": last.0 - 1}));
        assert!(venue.says()(&missing).is_some());
        let metrics = venue.client.get(format!("http://{}/metrics", venue.admin)).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        assert!(metrics.contains(&format!("crossbook_log_missing_commands {}", last.0 - 1)), "{metrics}");
        alice.ask(&venue, Method::GET, "account", "").await;
        for form in [&["audit"][..], &["audit", "--json"]] {
            let (status, said) = run(form, "");
            assert!(status == Some(3) && said.contains(&missing), "{said}");
        }
        // What the backup has stays in it, or it is not touched.
        for (place, expected) in [("fresh", Some(0)), ("late", Some(0)), ("early", Some(1))] {
            let (status, said) = run(&["backup"], place);
            assert!(status == expected && said.contains(&missing), "{place}: {said}");
        }
        for place in ["late", "early"] {
            restores_whole(&folder.path().join(place), &folder.path().join("restored"));
        }
        restores_lost(&folder.path().join("fresh"), &folder.path().join("restored"), last.0 - 1);
        assert_eq!(venue.stop().await, Some(0));
    }
    let venue = Venue::serve_as(&data, &settings, &["--discard-newer"]).await;
    assert_ne!(log(&venue).await["state"], "incomplete");
    assert_eq!(venue.stop().await, Some(0));
    assert!(!run(&["audit"], "").1.contains("nothing has trimmed it"));
}
