//! The operator log: who has done what, and why.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rest_venue::{ROLES, Venue};

/// The page of the log that a query asks for: its entries, and what leads to the next one.
async fn page(venue: &Venue, query: &str) -> (Vec<Value>, Value) {
    let mut page = venue.operator(Method::GET, &format!("operator-log{query}"), None).await;
    assert_eq!(page.status, 200, "{page:?}");
    let Value::Array(entries) = page.body["entries"].take() else { panic!("{page:?}") };
    (entries, page.body["next"].take())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_do_is_in_the_log_with_its_reason() {
    for partitions in [1, 3] {
        let venue = crate::instructions::newest(partitions).await;
        let alice = format!("accounts/{}", venue.alice.account);
        let before = page(&venue, "?limit=1000").await.0.len();
        let [_, (_, support), (_, desk), (_, admin)] = ROLES;
        // Reading leaves nothing.
        for path in ["assets", "accounts", "venue/balances", "rules", "audit", "operator-log"] {
            assert_eq!(venue.operator(Method::GET, path, None).await.status, 200);
        }
        let correction = json!({"asset": "BTC", "amount": "-1.5", "transferId": "c-1", "reason": " counted twice "});
        let corrected =
            venue.operator_with(admin, Method::POST, &format!("{alice}/adjustments"), Some(correction)).await;
        assert_eq!((corrected.status, &corrected.body["amount"]), (200, &json!("-1.50000000")), "{corrected:?}");
        assert_eq!(venue.alice.balance("BTC").await.0, "8.50000000");
        let url = format!("http://{}/admin/v1/markets/BTCUSDT", venue.admin);
        let halt = reqwest::Client::new().patch(url).bearer_auth(desk).json(&json!({"status": "HALT"}));
        let halted = halt.header("Crossbook-Reason", "caf%C3%A9%20is%20%22on%20fire%22").send().await.unwrap();
        assert_eq!(halted.status().as_u16(), 200);
        let unknown = format!("{alice}/api-keys/{}", "K".repeat(64));
        let refused = venue.operator_with(support, Method::DELETE, &unknown, None).await;
        assert_eq!(refused.status, 404);
        let forbidden = venue.operator_with(support, Method::DELETE, "markets/BTCUSDT", None).await;
        assert_eq!(forbidden.status, 403);

        let (entries, _) = page(&venue, "").await;
        assert_eq!(entries.len(), (before + 3).min(100), "{entries:?}");
        let told = |entry: &Value| {
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            [text("operator"), text("action"), text("reason"), text("refused")]
        };
        let [operator, action, reason, why] = told(&entries[0]);
        assert_eq!((&*operator, &*reason), ("support", ""));
        assert!(action.starts_with(&format!("DELETE {alice}/api-keys/KKK")), "{action}");
        assert!(why.contains("no such API key"), "{why}");
        let [operator, action, reason, why] = told(&entries[1]);
        assert_eq!([&*operator, &*reason, &*why], ["desk", "café is \"on fire\"", ""]);
        assert_eq!(action, r#"PATCH markets/BTCUSDT {"status":"HALT"}"#);
        let [operator, action, reason, why] = told(&entries[2]);
        assert_eq!([&*operator, &*reason, &*why], ["admin", "counted twice", ""]);
        assert!(action.starts_with(&format!("POST {alice}/adjustments {{")), "{action}");
        assert!(entries[2]["time"].is_u64() && entries[2]["sequence"].is_u64() && entries[2]["partition"].is_u64());
        venue.audit().await;
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_comes_in_pages() {
    let venue = crate::instructions::newest(3).await;
    // Accounts are of several partitions, so their deposits are.
    for label in ["carol", "dan", "eve"] {
        venue.client(label).await;
    }
    let (all, next) = page(&venue, "?limit=1000").await;
    assert!(all.len() == 12 && next.is_null(), "{next}");
    assert!(all.iter().map(|entry| entry["time"].as_u64()).rev().is_sorted(), "the newest first");
    let (mut found, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let (entries, next) = page(&venue, &query).await;
        assert!(entries.len() <= 2);
        found.extend(entries);
        let Value::String(next) = next else { break };
        query = format!("?limit=2&before={next}");
    }
    assert_eq!(found, all);
    for bad in ["?limit=0", "?before=x", "?before=1.2", "?before=1.2.3.4", "?from=1"] {
        assert_eq!(venue.operator(Method::GET, &format!("operator-log{bad}"), None).await.status, 400, "{bad}");
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_orders_of_an_account_are_cancelled() {
    for partitions in [1, 3] {
        let venue = crate::instructions::newest(partitions).await;
        let path = format!("accounts/{}/cancel-orders", venue.alice.account);
        let none = venue.operator(Method::POST, &path, None).await.body;
        assert_eq!(none, json!({"accountId": venue.alice.account, "symbols": [], "refused": []}));
        venue.alice.limit("SELL", "0.5", "20000").await;
        venue.alice.limit("SELL", "0.25", "20001").await;
        venue.bob.limit("SELL", "0.25", "20002").await;
        let done = venue.operator(Method::POST, &path, None).await.body;
        assert_eq!(done, json!({"accountId": venue.alice.account, "symbols": ["BTCUSDT"], "refused": []}));
        assert_eq!(venue.alice.balance("BTC").await, ("10.00000000".to_owned(), "0.00000000".to_owned()));
        assert_eq!(venue.bob.balance("BTC").await.1, "0.25000000");
        assert_eq!(venue.operator(Method::POST, "accounts/99999/cancel-orders", None).await.status, 404);
        venue.audit().await;
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_needs_a_reason_and_an_amount() {
    let venue = crate::instructions::newest(1).await;
    let path = format!("accounts/{}/adjustments", venue.alice.account);
    let (long, zeros) = ("x".repeat(501), "0".repeat(64) + "1");
    for (amount, reason, text) in [
        ("1", "", "reason must say why"),
        ("1", " ", "reason must say why"),
        ("1", &*long, "at most 500 bytes"),
        ("0", "why", "amount must not be zero"),
        ("0.000000001", "why", "at most 8 digits"),
        (&*zeros, "why", "more than 64 characters"),
        ("-11", "why", "insufficient free balance"),
    ] {
        let body = json!({"asset": "BTC", "amount": amount, "transferId": "a-1", "reason": reason});
        let reply = venue.operator(Method::POST, &path, Some(body)).await;
        assert!(reply.status == 400 && reply.text().contains(text), "{amount} {reason}: {reply:?}");
    }
    let body = json!({"asset": "BTC", "amount": "1", "transferId": "a-1", "reason": "why"});
    let first = venue.operator(Method::POST, &path, Some(body.clone())).await;
    assert_eq!(venue.operator(Method::POST, &path, Some(body)).await.body, first.body, "once");
    assert_eq!(venue.alice.balance("BTC").await.0, "11.00000000");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_decides_is_kept_out_of_the_log() {
    let venue = crate::instructions::newest(1).await;
    let account = venue.alice.account;
    let money = json!({"asset": "BTC", "amount": "1", "transferId": "n-1"});
    let padded = venue.operator(Method::POST, &format!("accounts/000{account}/withdrawals"), Some(money)).await;
    assert_eq!(padded.status, 404, "{padded:?}");
    let blanks = r"\u0020".repeat(200);
    let body = format!(r#"{{"reason":"{blanks}why","asset":"BTC","amount":"1","transferId":"n-1"}}"#);
    let url = format!("http://{}/admin/v1/accounts/{account}/adjustments", venue.admin);
    let long = reqwest::Client::new().post(url).bearer_auth(ROLES[3].1).body(body).send().await.unwrap();
    assert_eq!(long.status().as_u16(), 400);
    assert!(long.text().await.unwrap().contains("more than the 1000 bytes"));
    assert_eq!(venue.alice.balance("BTC").await.0, "10.00000000");
    let path = format!("accounts/{account}/api-keys");
    let key = json!({"permissions": ["TRADE", "READ", "READ"], "allowedIps": ["10.0.0.0/8"]});
    assert_eq!(venue.operator(Method::POST, &path, Some(key)).await.status, 200);
    let told = format!(r#"POST {path} {{"permissions":["READ","TRADE"],"allowedIps":["10.0.0.0/8"]}}"#);
    assert_eq!(page(&venue, "?limit=1").await.0[0]["action"], json!(told));
    venue.stop().await;
}
