//! A short run of the real soak test: it passes a correct venue, and detects one that breaks its acknowledgements.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::venue::{TOKEN, Venue, binary, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Executor as _};

/// Settings under which no limit of rate is in the way.
const NO_LIMITS: [(&str, &str); 4] = [
    ("CROSSBOOK_GATEWAY__LIMITS__REQUEST_WEIGHT_1M", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__RAW_REQUESTS_5M", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__ORDERS_10S", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__ORDERS_1D", "0"),
];

/// Soaks a running venue.
fn soak(venue: &Venue, options: &[&str]) -> Command {
    let mut command = binary();
    command.env("CROSSBOOK_ADMIN_TOKEN", TOKEN);
    command.args(["soak", "--url", &format!("http://{}", venue.http), "--admin", &format!("http://{}", venue.admin)]);
    command.args(["--rate", "200", "--accounts", "8"]).args(options).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it wrote, and what it ended with.
fn told(output: &Output, json: &Path) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(json.exists(), "{:?}: {said}", output.status);
    let told: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let code = if told["pass"] == true { 0 } else { 3 };
    assert_eq!(output.status.code(), Some(code), "{told:#} {said}");
    told
}

#[tokio::test]
async fn a_venue_that_keeps_its_word_is_found_to_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    // Memory forgets nearly everything, so that old orders come from the history over the API too.
    let mut settings = NO_LIMITS.to_vec();
    settings.push(("CROSSBOOK_VIEWS__CLOSED_ORDERS_PER_ACCOUNT", "5"));
    let venue = Venue::serve_with(&data, &settings).await;
    let (json, html) = (folder.path().join("soak.json"), folder.path().join("soak.html"));
    let database = format!("sqlite://{}", data.join("history.sqlite").display());
    let files = ["--json", json.to_str().unwrap(), "--html", html.to_str().unwrap()];
    let mut command = soak(&venue, &["--duration", "4s", "--database", &database]);
    let output = command.args(files).output().unwrap();

    let told = told(&output, &json);
    // One falls due at the very end.
    let sent = told["sent"].as_u64().unwrap();
    assert_eq!((sent, told["acknowledged"].as_u64()), (801, Some(sent)), "{told:#}");
    assert_eq!((told["lost"].as_u64(), told["inconsistencies"].as_u64()), (Some(0), Some(0)), "{told:#}");
    assert_eq!((&told["errorPercent"], &told["audit"]["ok"]), (&json!(0.0), &json!(true)), "{told:#}");
    for place in ["api", "sql"] {
        assert_eq!(told[place], json!({"orders": sent, "lost": 0, "inconsistencies": 0}), "{told:#}");
    }
    assert!(told["trades"].as_u64().unwrap() > 50 && told["latencyMs"]["max"].as_f64().unwrap() > 0.0, "{told:#}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("sustained TPS") && table.contains("0 over the API, 0 in SQL"), "{table}");
    assert!(std::fs::read_to_string(html).unwrap().contains("Latency by percentile"));
    assert_eq!(venue.stop().await, Some(0));
}

/// Somebody gives an account money behind its back: what the fills come to is not what it has.
#[tokio::test]
async fn a_balance_that_no_fill_explains_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let venue = Venue::serve_with(&folder.path().join("venue"), &NO_LIMITS).await;
    let json = folder.path().join("soak.json");
    let soaking = soak(&venue, &["--duration", "4s", "--json", json.to_str().unwrap()]).spawn().unwrap();
    // All accounts have been made when the first orders are there.
    eventually("orders are placed", async || {
        let metrics =
            venue.client.get(format!("http://{}/metrics", venue.admin)).send().await.ok()?.text().await.ok()?;
        let placed = metrics.lines().find_map(|line| line.strip_prefix("crossbook_orders_accepted_total "))?;
        (placed != "0").then_some(())
    })
    .await;
    let accounts = venue.operate(Method::GET, "accounts", None).await;
    let account = accounts["accounts"][3]["accountId"].as_u64().unwrap();
    let assets = venue.operate(Method::GET, "assets", None).await;
    let deposit =
        json!({"asset": assets["assets"][0]["asset"], "amount": "0.00000001", "transferId": "behind-its-back"});
    venue.operate(Method::POST, &format!("accounts/{account}/deposits"), Some(deposit)).await;

    let output = soaking.wait_with_output().unwrap();
    let told = told(&output, &json);
    assert_eq!((told["lost"].as_u64(), told["inconsistencies"].as_u64()), (Some(0), Some(1)), "{told:#}");
    let finding = told["findings"][0].as_str().unwrap();
    assert!(finding.starts_with("API: account 3 has "), "{finding}");
    assert_eq!((&told["pass"], &told["sql"]), (&json!(false), &Value::Null), "{told:#}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("SQL not checked"));
}

/// Rows vanish from the history: the orders in it are lost, over the API too as soon as memory has dropped them.
#[tokio::test]
async fn orders_that_vanish_from_the_history_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let mut settings = NO_LIMITS.to_vec();
    settings.push(("CROSSBOOK_VIEWS__CLOSED_ORDERS_PER_ACCOUNT", "1"));
    let venue = Venue::serve_with(&data, &settings).await;
    let file = data.join("history.sqlite");
    let json = folder.path().join("soak.json");
    let database = format!("sqlite://{}", file.display());
    let options = ["--duration", "6s", "--database", &database, "--json", json.to_str().unwrap()];
    let soaking = soak(&venue, &options).spawn().unwrap();
    let stolen = eventually("the history has ended orders", async || steal(&file).await).await;
    let output = soaking.wait_with_output().unwrap();
    let told = told(&output, &json);
    assert_eq!(told["sql"]["lost"].as_u64(), Some(stolen), "{told:#}");
    assert!(told["lost"].as_u64().unwrap() >= stolen && told["pass"] == false, "{told:#}");
}

/// Removes three orders that have ended, once there are some; how many it has removed.
async fn steal(file: &Path) -> Option<u64> {
    const ENDED: &str = "SELECT symbol_id, order_id FROM orders WHERE status IN ('FILLED', 'EXPIRED') LIMIT 3";
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(crate::venue::DEADLINE);
    let mut connection: SqliteConnection = options.connect().await.ok()?;
    let statement = format!("DELETE FROM orders WHERE (symbol_id, order_id) IN ({ENDED})");
    let done = connection.execute(sqlx::AssertSqlSafe(statement)).await.ok()?;
    (done.rows_affected() > 0).then(|| done.rows_affected())
}

/// What is waited for is said at once, not when it is given up.
#[test]
fn a_soak_says_what_it_waits_for() {
    use std::io::{BufRead as _, BufReader};
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = crate::venue::binary();
    command.args(["soak", "--url", &nobody, "--admin", &nobody]).env("CROSSBOOK_ADMIN_TOKEN", crate::venue::TOKEN);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let asking = said.next().unwrap();
    assert!(asking.contains(&format!("asking the venue at {nobody}")), "{asking}");
    let waiting = said.next().unwrap();
    assert!(waiting.starts_with("waiting for /api/v3/exchangeInfo, for 30 s at most: "), "{waiting}");
    child.kill().unwrap();
    child.wait().unwrap();
}
