//! The history of the real binary: killed together with its database, cut off from it, emptied, trimmed. In the end the tables are
//! what a rebuild from the log gives, row for row, and what the engine says.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod venue;

use std::path::Path;

use crossbook_loadtest::mariadb::MariaDb;
use reqwest::Method;
use serde_json::Value;
use venue::{Trader, Venue, binary, eventually};

/// Small batches, small transactions, snapshots often, no limits of rate.
const SETTINGS: &[(&str, &str)] = &[
    ("CROSSBOOK_SNAPSHOTS__EVERY_COMMANDS", "150"),
    ("CROSSBOOK_HISTORY__BATCH_ROWS_MAX", "16"),
    ("CROSSBOOK_HISTORY__BATCH_DELAY_MS", "2"),
    ("CROSSBOOK_HISTORY__TRANSACTION_ROWS_MAX", "64"),
    ("CROSSBOOK_HISTORY__RETRY_DELAY_MAX_MS", "100"),
    ("CROSSBOOK_GATEWAY__LIMITS__ORDERS_10S", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__ORDERS_1D", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__REQUEST_WEIGHT_1M", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__RAW_REQUESTS_5M", "0"),
];

fn settings<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [SETTINGS, more].concat()
}

/// Two traders who trade with each other; ends when the venue is gone, or after so many orders. How many were acknowledged.
async fn trade(client: reqwest::Client, http: String, traders: [Trader; 2], orders: u64) -> u64 {
    let mut acknowledged = 0;
    for at in 0..orders {
        let side = if at % 2 == 0 { "SELL" } else { "BUY" };
        // They change places now and then, so that neither runs out of what it sells.
        let trader = &traders[((at + at / 24) % 2) as usize];
        // Some orders rest; the last two of each dozen take all that does.
        let order = match at % 12 {
            10 => "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=IOC&quantity=0.05&price=50000".to_owned(),
            11 => "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.05&price=60000".to_owned(),
            rest => {
                let price = if rest % 6 == 0 { 60_000 } else { 50_000 };
                let quantity = 1 + at % 7;
                format!("symbol=BTCUSDT&side={side}&type=LIMIT&timeInForce=GTC&quantity=0.00{quantity}&price={price}")
            }
        };
        match trader.attempt(&client, &http, Method::POST, "order", &order).await {
            Ok((200, _)) => acknowledged += 1,
            ended => {
                eprintln!("trading ends after {acknowledged} orders: {ended:?}");
                break;
            }
        }
    }
    acknowledged
}

/// What `crossbook store verify` says.
fn verify(data: &Path, database: &str) -> Value {
    verify_with(data, database, &["--contents"])
}

fn verify_with(data: &Path, database: &str, options: &[&str]) -> Value {
    let mut command = binary();
    command.args(["store", "verify", "--json"]).args(options).arg("--data").arg(data);
    let output = command.env("CROSSBOOK_HISTORY__DATABASE", database).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no verdict: {error}"));
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said} {error}");
    said
}

fn rebuild(data: &Path, database: &str, options: &[&str]) -> Result<String, String> {
    let mut command = binary();
    command.args(["store", "rebuild"]).args(options).arg("--data").arg(data);
    let output = command.env("CROSSBOOK_HISTORY__DATABASE", database).output().unwrap();
    let [said, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    if output.status.success() { Ok(said) } else { Err(error) }
}

/// What the admin address says of the history.
async fn told(venue: &Venue) -> Value {
    let url = format!("http://{}/readyz", venue.admin);
    let ready: Value = venue.client.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(ready["status"], "ready", "a venue is open with its history or without");
    ready["history"].clone()
}

/// The command up to which the venue's log goes, and its tables.
async fn positions(venue: &Venue) -> (u64, u64) {
    let ready: Value =
        venue.client.get(format!("http://{}/readyz", venue.admin)).send().await.unwrap().json().await.unwrap();
    let audit = venue.operate(Method::GET, "audit", None).await;
    (audit["sequence"].as_u64().unwrap(), ready["history"]["sequence"].as_u64().unwrap_or(0))
}

async fn wait_until_written(venue: &Venue) {
    eventually("the history catches up", async || {
        let (log, tables) = positions(venue).await;
        (log == tables).then_some(())
    })
    .await;
}

/// A venue with a market and two traders.
async fn opened(venue: &Venue) -> [Trader; 2] {
    venue.list_market().await;
    [venue.open_account("seller").await, venue.open_account("buyer").await]
}

/// Holds the tables to a rebuild from the log, in a database of another kind than theirs.
fn assert_equal_to_a_rebuild(data: &Path, database: &str) {
    let found = verify_with(data, database, &["--contents", "--rows"]);
    assert_eq!(found["ok"], true, "{found}");
    let fresh = tempfile::tempdir().unwrap();
    let other = format!("sqlite://{}", fresh.path().join("rebuilt.sqlite").display());
    rebuild(data, &other, &[]).unwrap();
    let rebuilt = verify(data, &other);
    assert_eq!(rebuilt["ok"], true, "{rebuilt}");
    for (table, contents) in found["tables"].as_object().unwrap() {
        assert_eq!(*contents, rebuilt["tables"][table], "{table}: left as it was written, right as it is rebuilt");
    }
    assert_eq!(found["sequence"], rebuilt["sequence"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_its_database_again_and_again_the_history_is_what_a_rebuild_gives() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let mut server = MariaDb::start(&folder.path().join("mariadb")).expect("the suite runs on MariaDB");
    let database = server.create("history").unwrap();
    let settings = settings(&[("CROSSBOOK_HISTORY__DATABASE", &database)]);
    let mut venue = Venue::serve_with(&data, &settings).await;
    let traders = opened(&venue).await;
    let mut acknowledged = 0;
    for round in 0..8 {
        let trading = tokio::spawn(trade(venue.client.clone(), venue.http.clone(), traders.clone(), 100_000));
        let begun = positions(&venue).await.1;
        // The database goes first in odd rounds, so that the venue meets its end while it is without.
        eventually("rows are written", async || (positions(&venue).await.1 > begun + 40).then_some(())).await;
        if round % 2 == 1 {
            server.kill();
            let begun = positions(&venue).await.0;
            eventually("trading goes on", async || (positions(&venue).await.0 > begun + 60).then_some(())).await;
        }
        venue.kill();
        acknowledged += trading.await.unwrap();
        if round % 2 == 1 {
            server.restart().unwrap();
        }
        venue = Venue::serve_with(&data, &settings).await;
    }
    assert!(acknowledged > 400, "the rounds were too short to show anything: {acknowledged}");
    wait_until_written(&venue).await;
    assert_eq!(verify(&data, &database)["ok"], true, "while it runs");
    assert_eq!(venue.stop().await, Some(0));
    assert_equal_to_a_rebuild(&data, &database);
}

/// How often the history could not be written since the venue's start.
async fn failures(venue: &Venue) -> u64 {
    let url = format!("http://{}/metrics", venue.admin);
    let metrics = venue.client.get(url).send().await.unwrap().text().await.unwrap();
    let count = metrics.lines().find_map(|line| line.strip_prefix("crossbook_history_failures_total "));
    count.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_what_a_rebuild_gives_after_kills_too_and_fills_again_when_it_is_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let settings = settings(&[]);
    let mut venue = Venue::serve_with(&data, &settings).await;
    let traders = opened(&venue).await;
    for _ in 0..4 {
        let begun = positions(&venue).await.1;
        let trading = tokio::spawn(trade(venue.client.clone(), venue.http.clone(), traders.clone(), 100_000));
        eventually("rows are written", async || (positions(&venue).await.1 > begun + 200).then_some(())).await;
        venue.kill();
        trading.await.unwrap();
        venue = Venue::serve_with(&data, &settings).await;
    }
    wait_until_written(&venue).await;
    let before = failures(&venue).await;
    let said = rebuild(&data, "sqlite", &[]).unwrap();
    assert!(said.contains("fills the tables again"), "{said}");
    // Nobody trades; the venue notices all the same. It may be at work again before anybody has seen it at anything else.
    eventually("it notices", async || (failures(&venue).await > before).then_some(())).await;
    wait_until_written(&venue).await;
    assert_eq!(verify(&data, "sqlite")["ok"], true);
    trade(venue.client.clone(), venue.http.clone(), traders, 50).await;
    wait_until_written(&venue).await;
    assert_eq!(venue.stop().await, Some(0));
    assert_equal_to_a_rebuild(&data, "sqlite");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_the_venue_trades_tells_of_the_lag_and_stops_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let mut server = MariaDb::start(&folder.path().join("mariadb")).expect("the suite runs on MariaDB");
    let database = server.create("history").unwrap();
    server.stop();
    let settings =
        settings(&[("CROSSBOOK_HISTORY__DATABASE", &database), ("CROSSBOOK_HISTORY__STOP_TIMEOUT_MS", "500")]);
    let venue = Venue::serve_with(&data, &settings).await;
    let traders = opened(&venue).await;
    assert_eq!(trade(venue.client.clone(), venue.http.clone(), traders.clone(), 200).await, 200);
    let url = format!("http://{}", venue.admin);
    let ready = eventually("the lag is told", async || {
        let ready: Value = venue.client.get(format!("{url}/readyz")).send().await.unwrap().json().await.unwrap();
        (ready["history"]["state"] == "failing").then_some(ready)
    })
    .await;
    assert_eq!(ready["status"], "ready", "a venue without its history is open");
    assert!(ready["history"]["lagCommands"].as_u64().unwrap() >= 200, "{ready}");
    assert!(ready["history"]["error"].as_str().unwrap().len() > 10, "{ready}");
    let metrics = venue.client.get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap();
    let lag = metrics.lines().find_map(|line| line.strip_prefix("crossbook_history_lag_commands "));
    assert!(lag.unwrap().parse::<f64>().unwrap() >= 200.0, "{lag:?}");
    assert_eq!(venue.stop().await, Some(0), "a stop does not wait for a database that is not there");

    server.restart().unwrap();
    let venue = Venue::serve_with(&data, &settings).await;
    wait_until_written(&venue).await;
    assert_eq!(venue.stop().await, Some(0));
    assert_equal_to_a_rebuild(&data, &database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_trimmed_only_up_to_what_the_history_has() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let mut server = MariaDb::start(&folder.path().join("mariadb")).expect("the suite runs on MariaDB");
    let database = server.create("history").unwrap();
    let settings = settings(&[
        ("CROSSBOOK_HISTORY__DATABASE", &database),
        ("CROSSBOOK_HISTORY__STOP_TIMEOUT_MS", "500"),
        ("CROSSBOOK_SNAPSHOTS__TRIM_LOG", "true"),
        // The history has to come up with a venue that trades on.
        ("CROSSBOOK_HISTORY__BATCH_ROWS_MAX", "500"),
        ("CROSSBOOK_HISTORY__TRANSACTION_ROWS_MAX", "10000"),
        ("CROSSBOOK_LOG__SEGMENT_BYTES_MAX", "65536"),
        ("CROSSBOOK_LOG__BATCH_BYTES_MAX", "32768"),
        ("CROSSBOOK_LOG__RECORD_BYTES_MAX", "16384"),
        ("CROSSBOOK_GATEWAY__SERVER__BODY_BYTES_MAX", "4096"),
    ]);
    let first_segment = || {
        let names = std::fs::read_dir(data.join("log")).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> =
            names.map(|name| name.into_string().unwrap()).filter(|name| name.contains('0')).collect();
        names.sort();
        names[0].clone()
    };
    let venue = Venue::serve_with(&data, &settings).await;
    let traders = opened(&venue).await;
    let beginning = first_segment();
    server.stop();
    let trading = tokio::spawn(trade(venue.client.clone(), venue.http.clone(), traders.clone(), 100_000));
    eventually("snapshots are taken", async || {
        let snapshots = std::fs::read_dir(data.join("snapshots")).unwrap().count();
        (snapshots >= 2 && positions(&venue).await.0 > 2_000).then_some(())
    })
    .await;
    assert_eq!(first_segment(), beginning, "the history still needs the log from its beginning");
    server.restart().unwrap();
    eventually("the log is trimmed", async || (first_segment() != beginning).then_some(())).await;
    venue.kill();
    trading.await.unwrap();

    // A start without the database does not know where the history stands, and must not lose the way there.
    server.stop();
    let venue = Venue::serve_with(&data, &settings).await;
    let snapshots = || std::fs::read_dir(data.join("snapshots")).unwrap().count();
    let before = snapshots();
    let trading = tokio::spawn(trade(venue.client.clone(), venue.http.clone(), traders, 100_000));
    eventually("snapshots are taken", async || (snapshots() >= before + 2).then_some(())).await;
    assert_eq!(told(&venue).await["sequence"], Value::Null);
    assert_eq!(venue.stop().await, Some(0));
    trading.await.unwrap();
    server.restart().unwrap();

    let venue = Venue::serve_with(&data, &settings).await;
    wait_until_written(&venue).await;
    assert_eq!(venue.stop().await, Some(0));
    let found = verify(&data, &database);
    assert_eq!(found["ok"], true, "{found}");
    // What is left of the log is not enough for all of it, but for a true one.
    let other = format!("sqlite://{}", folder.path().join("rebuilt.sqlite").display());
    let refused = rebuild(&data, &other, &[]).unwrap_err();
    assert!(refused.contains("--discard"), "{refused}");
    rebuild(&data, &other, &["--discard"]).unwrap();
    let rebuilt = verify(&data, &other);
    assert_eq!(rebuilt["ok"], true, "{rebuilt}");
    assert!(rebuilt["since"].as_u64().unwrap() > 0);
    for table in ["balances", "accounts", "assets", "markets"] {
        assert_eq!(found["tables"][table], rebuilt["tables"][table], "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_another_venue_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("shared.sqlite").display());
    let settings = settings(&[("CROSSBOOK_HISTORY__DATABASE", &database)]);
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let venue = Venue::serve_with(&one, &settings).await;
    opened(&venue).await;
    wait_until_written(&venue).await;
    assert_eq!(venue.stop().await, Some(0));
    let before = verify(&one, &database)["tables"].clone();

    let venue = Venue::serve_with(&other, &settings).await;
    venue.list_market().await;
    let error = eventually("it says so", async || {
        let url = format!("http://{}/readyz", venue.admin);
        let ready: Value = venue.client.get(url).send().await.unwrap().json().await.unwrap();
        ready["history"]["error"].as_str().map(str::to_owned)
    })
    .await;
    assert!(error.contains("another venue"), "{error}");
    assert_eq!(venue.stop().await, Some(0));
    assert_eq!(verify(&one, &database)["tables"], before);
    let refused = rebuild(&other, &database, &[]).unwrap_err();
    assert!(refused.contains("another venue"), "{refused}");
    assert_eq!(verify(&one, &database)["tables"], before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_that_was_restored_and_has_gone_another_way_does_not_go_on_in_the_old_history() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("venue"), folder.path().join("backup"));
    let database = format!("sqlite://{}", folder.path().join("history.sqlite").display());
    let settings = settings(&[("CROSSBOOK_HISTORY__DATABASE", &database)]);
    let venue = Venue::serve_with(&data, &settings).await;
    let traders = opened(&venue).await;
    assert_eq!(venue.stop().await, Some(0));
    let copied = std::process::Command::new("cp").arg("-r").args([&data, &copy]).status().unwrap();
    assert!(copied.success());

    let venue = Venue::serve_with(&data, &settings).await;
    trade(venue.client.clone(), venue.http.clone(), traders.clone(), 20).await;
    wait_until_written(&venue).await;
    assert_eq!(venue.stop().await, Some(0));
    let before = verify(&data, &database);
    assert_eq!(before["ok"], true, "{before}");

    // The backup knows nothing of these twenty, goes on by itself, and soon has as many commands.
    std::fs::rename(&data, folder.path().join("lost")).unwrap();
    std::fs::rename(&copy, &data).unwrap();
    let venue = Venue::serve_with(&data, &settings).await;
    let error = eventually("it says so", async || told(&venue).await["error"].as_str().map(str::to_owned)).await;
    assert!(error.contains("restored"), "{error}");
    trade(venue.client.clone(), venue.http.clone(), traders.clone(), 40).await;
    venue.kill();
    let venue = Venue::serve_with(&data, &settings).await;
    let error = eventually("it says so", async || told(&venue).await["error"].as_str().map(str::to_owned)).await;
    assert!(error.contains("restored"), "{error}");
    let found = verify(&data, &database);
    assert_eq!((&found["ok"], &found["tables"]), (&Value::Bool(false), &before["tables"]), "{found}");
    // Given up, it is written anew while the venue trades on.
    rebuild(&data, &database, &[]).unwrap();
    wait_until_written(&venue).await;
    assert_eq!(venue.stop().await, Some(0));
    assert_equal_to_a_rebuild(&data, &database);
}
