//! The history of the real binary: killed together with its database, cut off from it, emptied, trimmed. In the end the
//! tables equal a rebuild from the log, row for row, and the engine's state.

use std::path::Path;

use crate::venue::{Trader, Venue, binary, eventually, refusal_with, refused};
use crossbook_servers::mysql::MySql;
use reqwest::Method;
use serde_json::Value;

/// Small batches, small transactions, snapshots often, no limits of rate.
const SETTINGS: &[(&str, &str)] = &[
    ("CROSSBOOK_SNAPSHOTS__INTERVAL_COMMANDS", "150"),
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

/// Two traders who trade with each other; ends when the venue is gone, or after so many orders. How many were
/// acknowledged.
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
    let mut server = MySql::start(&folder.path().join("mariadb")).expect("the suite runs on MariaDB");
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
    // Nobody trades; the venue notices all the same. It may be at work again before anybody has seen it at anything
    // else.
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
    let mut server = MySql::start(&folder.path().join("mariadb")).expect("the suite runs on MariaDB");
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
    let mut server = MySql::start(&folder.path().join("mariadb")).expect("the suite runs on MariaDB");
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
    let ready = venue.client.get(format!("http://{}/readyz", venue.admin)).send().await.unwrap();
    let log = ready.json::<Value>().await.unwrap()["log"].take();
    assert_eq!(log["missing"], Value::Null, "what was trimmed is not missing: {log}");
    let snapshots = || std::fs::read_dir(data.join("snapshots")).unwrap().count();
    let before = snapshots();
    let trading = tokio::spawn(trade(venue.client.clone(), venue.http.clone(), traders, 100_000));
    eventually("snapshots are taken", async || (snapshots() >= before + 2).then_some(())).await;
    assert_eq!(told(&venue).await["sequence"], Value::Null);
    // For how long that is not known, the admin address and the metrics say alike.
    let lag = async || told(&venue).await["lagSeconds"].as_u64().filter(|lag| *lag > 0);
    let lag = eventually("the lag shows", lag).await as f64;
    let measured = metric(&venue, "crossbook_history_lag_seconds").await;
    assert!(measured >= lag && measured < lag + 30.0, "{measured} against {lag}");
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

    let venue = Venue::serve_with(&other, &[("CROSSBOOK_HISTORY__DATABASE", "none")]).await;
    venue.list_market().await;
    assert_eq!(venue.stop().await, Some(0));
    let said = refusal_with(&other, &settings);
    assert!(said.contains("another log") && said.contains("shared.sqlite"), "{said}");
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

    // The backup knows nothing of these twenty.
    std::fs::rename(&data, folder.path().join("lost")).unwrap();
    std::fs::rename(&copy, &data).unwrap();
    let behind = refusal_with(&data, &settings);
    let end = before["sequence"].as_u64().unwrap();
    assert!(behind.contains(&format!("to {end} are missing")) && behind.contains("history.sqlite"), "{behind}");
    // Without the history it goes on by itself, and soon has as many commands.
    let venue = Venue::serve_with(&data, &[("CROSSBOOK_HISTORY__DATABASE", "none")]).await;
    trade(venue.client.clone(), venue.http.clone(), traders.clone(), 40).await;
    venue.kill();
    let other = refusal_with(&data, &settings);
    assert!(other.contains(&format!("another command {end} than the log has")), "{other}");
    let found = verify(&data, &database);
    assert_eq!(found["ok"], false);
    assert!(found["findings"][0].as_str().unwrap().contains("another command"), "{found}");
    assert!(rebuild(&data, &database, &["--discard"]).unwrap_err().contains("--discard-newer"));
    rebuild(&data, &database, &["--discard-newer"]).unwrap();
    let venue = Venue::serve_with(&data, &settings).await;
    trade(venue.client.clone(), venue.http.clone(), traders, 10).await;
    wait_until_written(&venue).await;
    assert_eq!(venue.stop().await, Some(0));
    assert_equal_to_a_rebuild(&data, &database);
}

/// All that looks at the folder says that the log is behind, in the same words; nothing is changed by it.
fn assert_behind(data: &Path, settings: &[(&str, &str)], what: &str) {
    let serve = refusal_with(data, settings);
    let lines: Vec<&str> = serve.lines().filter(|line| line.starts_with("  - ")).collect();
    assert!(serve.contains(what) && serve.contains("--discard-newer") && !lines.is_empty(), "{serve}");
    let others: [(&[&str], &[i32]); 4] = [
        (&["audit"], &[1, 3]),
        (&["store", "verify"], &[3]),
        (&["store", "rebuild"], &[1]),
        (&["export", "--out", "venue.export"], &[1]),
    ];
    for (command, statuses) in others {
        let (status, said) = refused(command, data, settings);
        assert!(statuses.contains(&status.unwrap()), "{command:?}: {status:?} {said}");
        assert!(said.contains(what) && lines.iter().all(|line| said.contains(line)), "{command:?}: {said}");
    }
}

/// Takes the last record away from a log, as if it had never been written whole.
fn lose_the_last_record(data: &Path) {
    let mut segments: Vec<_> = std::fs::read_dir(data.join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    segments.sort();
    let segment = segments.last().unwrap();
    let mut bytes = std::fs::read(segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 4..=end].fill(0);
    std::fs::write(segment, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lost_what_its_history_has_opens_only_when_that_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let settings = settings(&[("CROSSBOOK_SNAPSHOTS__INTERVAL_COMMANDS", "0")]);
    let venue = Venue::serve_with(&data, &settings).await;
    let traders = opened(&venue).await;
    trade(venue.client.clone(), venue.http.clone(), traders.clone(), 30).await;
    wait_until_written(&venue).await;
    let end = positions(&venue).await.0;
    venue.kill();
    assert!(std::fs::read_dir(data.join("snapshots")).unwrap().next().is_none(), "the history alone knows");
    let (log, whole) = (data.join("log"), folder.path().join("whole"));
    assert!(std::process::Command::new("cp").arg("-r").args([&log, &whole]).status().unwrap().success());

    lose_the_last_record(&data);
    assert_behind(&data, &settings, &format!("command {end} is missing"));
    std::fs::remove_dir_all(&log).unwrap();
    assert_behind(&data, &settings, &format!("has no command, but had {end}"));
    assert!(!log.exists(), "no empty log is begun where there was one");
    std::fs::create_dir(&log).unwrap();
    assert_behind(&data, &settings, &format!("has no command, but had {end}"));
    // The log of another venue, whole and longer.
    let other = Venue::serve_with(&folder.path().join("other"), &settings).await;
    let others = opened(&other).await;
    trade(other.client.clone(), other.http.clone(), others, 60).await;
    other.kill();
    std::fs::remove_dir(&log).unwrap();
    std::fs::rename(folder.path().join("other/log"), &log).unwrap();
    let said = refusal_with(&data, &settings);
    assert!(said.contains("is not the one that was here before") && said.contains("another log"), "{said}");

    std::fs::remove_dir_all(&log).unwrap();
    std::fs::rename(&whole, &log).unwrap();
    let venue = Venue::serve_with(&data, &settings).await;
    assert_eq!(positions(&venue).await.0, end, "put back, it opens");
    wait_until_written(&venue).await;
    venue.kill();

    lose_the_last_record(&data);
    // Now the mark knows, too.
    assert_behind(&data, &settings, "log-mark.json is from command");
    let venue = Venue::serve_as(&data, &settings, &["--discard-newer"]).await;
    assert_eq!(positions(&venue).await.0, end - 1);
    trade(venue.client.clone(), venue.http.clone(), traders, 10).await;
    wait_until_written(&venue).await;
    assert_eq!(venue.stop().await, Some(0));
    assert_equal_to_a_rebuild(&data, "sqlite");
    // Given up once, it is no matter any more; the snapshot of the stop is.
    std::fs::remove_file(data.join("history.sqlite")).unwrap();
    std::fs::remove_file(data.join("log-mark.json")).unwrap();
    lose_the_last_record(&data);
    assert_behind(&data, &settings, "the snapshot");
    let venue = Venue::serve_as(&data, &settings, &["--discard-newer"]).await;
    wait_until_written(&venue).await;
    assert_eq!(venue.stop().await, Some(0));
    assert_equal_to_a_rebuild(&data, "sqlite");
    let aside = std::fs::read_dir(data.join("snapshots")).unwrap();
    assert_eq!(aside.filter(|entry| entry.as_ref().unwrap().path().extension().unwrap() == "discarded").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_answers_only_later_ends_a_venue_whose_log_it_contradicts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let mut server = MySql::start(&folder.path().join("mariadb")).expect("the suite runs on MariaDB");
    let database = server.create("history").unwrap();
    let settings =
        settings(&[("CROSSBOOK_HISTORY__DATABASE", &database), ("CROSSBOOK_SNAPSHOTS__INTERVAL_COMMANDS", "0")]);
    let venue = Venue::serve_with(&data, &settings).await;
    let traders = opened(&venue).await;
    trade(venue.client.clone(), venue.http.clone(), traders.clone(), 30).await;
    wait_until_written(&venue).await;
    venue.kill();
    lose_the_last_record(&data);
    assert_behind(&data, &settings, "is missing");

    // Nobody can be asked: that alone keeps no venue from trading.
    server.stop();
    let venue = Venue::serve_with(&data, &settings).await;
    let says = venue.says();
    assert!(says("it is asked when it answers").is_some());
    assert_eq!(trade(venue.client.clone(), venue.http.clone(), traders, 5).await, 5);
    server.restart().unwrap();
    assert_eq!(venue.ended().await, Some(1), "going on would only make it worse");
    assert!(says("--discard-newer").is_some());
    assert_behind(&data, &settings, "another command");
    let venue = Venue::serve_as(&data, &settings, &["--discard-newer"]).await;
    wait_until_written(&venue).await;
    assert_eq!(venue.stop().await, Some(0));
    assert_equal_to_a_rebuild(&data, &database);
}

/// A number of the metrics.
async fn metric(venue: &Venue, name: &str) -> f64 {
    let url = format!("http://{}/metrics", venue.admin);
    let metrics = venue.client.get(url).send().await.unwrap().text().await.unwrap();
    let found = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.map_or(0.0, |number| number.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_file_that_vanishes_or_is_exchanged_is_noticed_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    // Memory forgets at once, so that answers come from the tables.
    let settings =
        settings(&[("CROSSBOOK_VIEWS__OWN_TRADES_PER_ACCOUNT", "1"), ("CROSSBOOK_VIEWS__OWN_TRADES_PER_MARKET", "1")]);
    let venue = Venue::serve_with(&data, &settings).await;
    let traders = opened(&venue).await;
    trade(venue.client.clone(), venue.http.clone(), traders.clone(), 60).await;
    wait_until_written(&venue).await;
    let trades = traders[0].ask(&venue, Method::GET, "myTrades", "symbol=BTCUSDT").await;
    assert!(trades.as_array().unwrap().len() > 5);
    let file = data.join("history.sqlite");
    let copy = folder.path().join("copy.sqlite");
    for round in 0..3_u8 {
        match round {
            // Its companions stay, and belong to nothing.
            0 => std::fs::remove_file(&file).unwrap(),
            1 => {
                std::fs::write(&copy, "").unwrap();
                std::fs::rename(&copy, &file).unwrap();
            }
            _ => {
                for name in std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()) {
                    if name.file_name().unwrap().to_str().unwrap().starts_with("history.sqlite") {
                        std::fs::remove_file(name).unwrap();
                    }
                }
            }
        }
        eventually("it notices", async || {
            (metric(&venue, "crossbook_history_files_lost_total").await > f64::from(round)).then_some(())
        })
        .await;
        wait_until_written(&venue).await;
        let lost = told(&venue).await["filesLost"].as_u64();
        assert_eq!(lost, Some(u64::from(round) + 1), "the operator sees it as long as the venue runs");
        assert!(venue.says()("while the history was written to it").is_some());
        assert_eq!(verify(&data, "sqlite")["ok"], true, "what has the name has the rows");
        let again = traders[0].ask(&venue, Method::GET, "myTrades", "symbol=BTCUSDT").await;
        assert_eq!(again, trades, "and answers come from there");
    }
    let lag = metric(&venue, "crossbook_history_lag_seconds").await;
    assert!(lag < 3_600.0, "counted from 1970: {lag}");
    trade(venue.client.clone(), venue.http.clone(), traders, 10).await;
    wait_until_written(&venue).await;
    assert_eq!(venue.stop().await, Some(0));
    assert_equal_to_a_rebuild(&data, "sqlite");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_newer_program_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let mut server = MySql::start(&folder.path().join("mariadb")).expect("the suite runs on MariaDB");
    let database = server.create("history").unwrap();
    let settings = settings(&[("CROSSBOOK_HISTORY__DATABASE", &database)]);
    let venue = Venue::serve_with(&data, &settings).await;
    venue.list_market().await;
    wait_until_written(&venue).await;
    venue.kill();
    sqlx::any::install_default_drivers();
    let mut connection = <sqlx::AnyConnection as sqlx::Connection>::connect(&database).await.unwrap();
    let insert = "INSERT INTO crossbook_migrations (version, description, success, checksum, execution_time) VALUES (99, 'newer', 1, 'x', 1)";
    sqlx::query(insert).execute(&mut connection).await.unwrap();
    drop(connection);
    let said = refusal_with(&data, &settings);
    assert!(said.contains("version 99") && said.contains("newer Crossbook"), "{said}");
    assert!(rebuild(&data, &database, &["--discard"]).unwrap_err().contains("version 99"), "nothing is dropped");
    // Found only later, it is given up for as long as the venue runs.
    server.stop();
    let venue = Venue::serve_with(&data, &settings).await;
    venue.open_account("someone").await;
    server.restart().unwrap();
    eventually("it says so", async || {
        let history = told(&venue).await;
        history["error"].as_str().is_some_and(|error| error.contains("version 99")).then_some(())
    })
    .await;
    let before = failures(&venue).await;
    venue.open_account("another").await;
    assert_eq!((failures(&venue).await, venue.stop().await), (before, Some(0)), "it is not tried again");
}
