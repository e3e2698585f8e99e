//! What operators can look at: ledger entries, revenue, the last uses of keys, log lines.

use std::collections::BTreeMap;
use std::path::Path;

use crossbook_servers::redis::RedisServer;
use reqwest::Method;
use serde_json::{Value, json};

use crate::venue::{TOKEN, Venue, binary, eventually};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Keys are stored so often that a test need not wait.
const OFTEN: &[(&str, &str)] = &[("CROSSBOOK_GATEWAY__KEY_USES_INTERVAL_MS", "20")];

/// Smallest units of an amount with 8 decimals.
fn units(amount: &Value) -> i64 {
    let text = amount.as_str().unwrap_or_else(|| panic!("{amount} is no amount"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{}{fraction:0<8}", whole.trim_start_matches('-'));
    let size: i64 = digits.parse().unwrap();
    if text.starts_with('-') { -size } else { size }
}

/// All postings to an account, page by page, once the history has all of them.
async fn postings(venue: &Venue, account: u64) -> Vec<Value> {
    eventually("the history has everything", async || {
        let (mut found, mut query) = (Vec::new(), "limit=3".to_owned());
        loop {
            let page = venue.operate(Method::GET, &format!("accounts/{account}/ledger?{query}"), None).await;
            if page["current"] != true {
                return None;
            }
            found.extend(page["entries"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { return Some(found) };
            query = format!("limit=3&before={next}");
        }
    })
    .await
}

#[tokio::test]
async fn the_postings_of_an_account_sum_to_its_balances_and_fees_to_the_revenue() {
    let folder = tempfile::tempdir().unwrap();
    let venue = Venue::serve(&folder.path().join("venue")).await;
    venue.list_market().await;
    let (seller, alice) = venue.open_numbered_account("alice").await;
    let (_, bob) = venue.open_numbered_account("bob").await;
    for price in ["20000", "20001"] {
        let order =
            |side: &str| format!("symbol=BTCUSDT&side={side}&type=LIMIT&timeInForce=GTC&quantity=0.5&price={price}");
        alice.ask(&venue, Method::POST, "order", &order("SELL")).await;
        bob.ask(&venue, Method::POST, "order", &order("BUY")).await;
    }
    let withdrawal = json!({"asset": "BTC", "amount": "1.5", "transferId": "out"});
    venue.operate(Method::POST, &format!("accounts/{seller}/withdrawals"), Some(withdrawal)).await;

    let entries = postings(&venue, seller).await;
    let kinds: Vec<&str> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|&&kind| kind == "TRADE").count(), 4, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|&&kind| kind == "FEE").count(), 2, "{kinds:?}");
    assert_eq!(
        (kinds[0], &entries[0]["transferId"], &entries[0]["amount"]),
        ("TRANSFER", &json!("out"), &json!("-1.50000000"))
    );
    let mut sums = BTreeMap::new();
    for entry in &entries {
        *sums.entry(entry["asset"].as_str().unwrap().to_owned()).or_insert(0) += units(&entry["amount"]);
    }
    let shown = venue.operate(Method::GET, &format!("accounts/{seller}"), None).await;
    for balance in shown["balances"].as_array().unwrap() {
        let total = units(&balance["free"]) + units(&balance["locked"]);
        assert_eq!(sums[balance["asset"].as_str().unwrap()], total, "{balance}");
    }

    let revenue = venue.operate(Method::GET, "revenue", None).await;
    let [day] = revenue["days"].as_array().unwrap().as_slice() else { panic!("{revenue}") };
    assert_eq!(day["day"].as_u64().unwrap() % 86_400_000, 0);
    let books = venue.operate(Method::GET, "venue/balances", None).await;
    let collected = |list: &Value, name: &str| -> BTreeMap<String, i64> {
        let sums = list.as_array().unwrap().iter();
        sums.map(|sum| (sum["asset"].as_str().unwrap().to_owned(), units(&sum[name]))).collect()
    };
    assert_eq!(collected(&day["fees"], "collected"), collected(&books["balances"], "fees"));
    let before = venue.operate(Method::GET, "revenue?startTime=0&endTime=86400000", None).await;
    assert_eq!(before["days"], json!([]));

    let mut command = binary();
    command.args(["admin", "--url", &format!("http://{}", venue.admin), "revenue"]).env("CROSSBOOK_ADMIN_TOKEN", TOKEN);
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(said.contains("BTC") && said.contains("USDT") && said.lines().count() == 3, "{said}");
    assert_eq!(refused(&venue, &format!("accounts/{seller}/ledger?before=1")).await, 400);
    assert_eq!(refused(&venue, "accounts/77/ledger").await, 404);
    assert_eq!(refused(&venue, "revenue?startTime=0&endTime=99999999999").await, 400, "too long a time");
}

/// The status of a request that is refused.
async fn refused(venue: &Venue, path: &str) -> u16 {
    let url = format!("http://{}/admin/v1/{path}", venue.admin);
    venue.client.get(url).bearer_auth(TOKEN).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_venue_without_a_history_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let venue = Venue::serve_with(&folder.path().join("venue"), &[("CROSSBOOK_HISTORY__DATABASE", "none")]).await;
    venue.list_market().await;
    let (account, _) = venue.open_numbered_account("alice").await;
    assert_eq!(refused(&venue, &format!("accounts/{account}/ledger")).await, 404);
    assert_eq!(refused(&venue, "revenue").await, 404);
}

/// The time and the address of the last use of an account's key.
async fn last_use(venue: &Venue, account: u64) -> (Option<u64>, Value) {
    let shown = venue.operate(Method::GET, &format!("accounts/{account}"), None).await;
    let key = &shown["apiKeys"][0];
    (key["lastUsed"].as_u64(), key["lastAddress"].clone())
}

#[tokio::test]
async fn the_last_use_of_a_key_is_known_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let venue = Venue::serve_with(&data, OFTEN).await;
    venue.list_market().await;
    let (account, alice) = venue.open_numbered_account("alice").await;
    assert_eq!(last_use(&venue, account).await, (None, Value::Null), "it was never used");
    // What is not proven is no use.
    let other = crate::venue::Trader { secret: "x".repeat(64), ..alice.clone() };
    assert_eq!(other.send(&venue, Method::GET, "account", "").await.0, 400);
    assert_eq!(last_use(&venue, account).await, (None, Value::Null));
    alice.ask(&venue, Method::GET, "account", "").await;
    let (used, address) = last_use(&venue, account).await;
    assert!(used.is_some() && address == "127.0.0.1", "{used:?} {address}");
    assert_eq!(venue.stop().await, Some(0));

    let venue = Venue::serve_with(&data, OFTEN).await;
    assert_eq!(last_use(&venue, account).await, (used, address), "it was stored");
    // And a kill loses no more than what was seen since it was last stored.
    let used = eventually("a later use", async || {
        alice.ask(&venue, Method::GET, "account", "").await;
        last_use(&venue, account).await.0.filter(|&later| Some(later) > used)
    })
    .await;
    eventually("it is stored", async || {
        std::fs::read_to_string(data.join("key-uses")).ok()?.contains(&used.to_string()).then_some(())
    })
    .await;
    venue.kill();
    let venue = Venue::serve_with(&data, OFTEN).await;
    assert!(last_use(&venue, account).await.0 >= Some(used));
    let shown = venue.operate(Method::DELETE, &format!("accounts/{account}/api-keys/{}", alice.key), None).await;
    assert_eq!(shown["revoked"], true);
    let next = venue.issue_key(account).await;
    next.ask(&venue, Method::GET, "account", "").await;
    eventually("a key that is no more leaves nothing behind", async || {
        let text = std::fs::read_to_string(data.join("key-uses")).ok()?;
        (text.contains(&next.key) && !text.contains(&alice.key)).then_some(())
    })
    .await;
}

fn cluster(folder: &Path, redis: &RedisServer) -> std::path::PathBuf {
    let snapshots = folder.join("snapshots");
    std::fs::create_dir(&snapshots).unwrap();
    let config = folder.join("cluster.toml");
    let settings = format!(
        "[gateway]\nkey_uses_interval_ms = 20\n[history]\ndatabase = \"none\"\n[cluster]\npartitions = 2\n\
         [cluster.redis]\nservers = [\"{}\"]\nreplicas_min = 0\n[cluster.snapshots]\naddress = \"file://{}\"\n",
        redis.url(),
        snapshots.canonicalize().unwrap().display()
    );
    std::fs::write(&config, settings).unwrap();
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_use_at_one_gateway_is_known_at_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(&folder.path().join("redis")).unwrap();
    let config = cluster(folder.path(), &redis);
    let _worker = Venue::worker(&config).await;
    let [one, two] = [Venue::gateway(&config, KEY).await, Venue::gateway(&config, KEY).await];
    one.list_market().await;
    let (account, alice) = one.open_numbered_account("alice").await;
    assert_eq!(last_use(&two, account).await, (None, Value::Null));
    alice.ask(&one, Method::GET, "account", "").await;
    let (used, _) = last_use(&one, account).await;
    let seen = eventually("the other gateway knows", async || last_use(&two, account).await.0).await;
    assert_eq!(Some(seen), used);
    // The later use counts, wherever it was.
    let later = eventually("a later use", async || {
        alice.ask(&two, Method::GET, "account", "").await;
        last_use(&two, account).await.0.filter(|&later| later > seen)
    })
    .await;
    eventually("the first gateway knows", async || last_use(&one, account).await.0.filter(|&known| known >= later))
        .await;
}

#[tokio::test]
async fn log_lines_are_followed_and_hold_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("CROSSBOOK_LOGGING__FILTER", "debug")];
    let venue = Venue::serve_with(&folder.path().join("venue"), &settings).await;
    venue.list_market().await;
    let (_, alice) = venue.open_numbered_account("alice").await;
    alice.ask(&venue, Method::GET, "account", "").await;
    let page = venue.operate(Method::GET, "log?limit=1000", None).await;
    let text = page.to_string();
    assert!(text.contains("the venue is open"), "{text}");
    for secret in [TOKEN, &alice.secret, &alice.key] {
        assert!(!text.contains(secret), "a secret is among the lines");
    }
    let warnings = venue.operate(Method::GET, "log?level=error", None).await;
    assert_eq!(warnings["lines"], json!([]));
    let next = page["next"].as_u64().unwrap();
    let later = venue.operate(Method::GET, &format!("log?after={next}"), None).await;
    let numbers: Vec<u64> =
        later["lines"].as_array().unwrap().iter().map(|line| line["number"].as_u64().unwrap()).collect();
    assert!(numbers.iter().all(|&number| number > next), "{numbers:?}");
    assert_eq!(refused(&venue, "log?level=loud").await, 400);

    let none = [("CROSSBOOK_LOGGING__TAIL_LINES", "0")];
    let venue = Venue::serve_with(&folder.path().join("other"), &none).await;
    assert_eq!(refused(&venue, "log").await, 404);
}
