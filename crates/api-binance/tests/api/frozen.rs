//! An account that an operator has frozen, as its owner sees it.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::rest_venue::{ROLES, Venue};

/// How long the market's partition may take to hear of it.
const SOON: Duration = Duration::from_secs(10);
const ORDER: &str = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.5&price=20000";

/// Freezes alice, or lets her go on.
async fn freeze(venue: &Venue, on: bool) {
    let path = format!("accounts/{}", venue.alice.account);
    let frozen = venue.operator(Method::PUT, &format!("{path}/frozen"), Some(json!({"frozen": on}))).await;
    assert_eq!((frozen.status, &frozen.body["frozen"]), (200, &json!(on)), "{frozen:?}");
    assert_eq!(venue.operator(Method::GET, &path, None).await.body["frozen"], json!(on));
    let listed = venue.operator(Method::GET, "accounts", None).await.body;
    let of_all: Vec<bool> = listed["accounts"].as_array().unwrap().iter().map(|a| a["frozen"] == true).collect();
    assert_eq!(of_all, [on, false]);
    let account = venue.alice.get("/api/v3/account", "").await.body;
    let may: Vec<&Value> = ["canTrade", "canWithdraw", "canDeposit"].iter().map(|key| &account[*key]).collect();
    assert_eq!(may, [&json!(!on), &json!(!on), &json!(true)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_account_cannot_trade_until_it_may_again() {
    for partitions in [1, 3] {
        let venue = crate::instructions::newest(partitions).await;
        let path = format!("accounts/{}", venue.alice.account);
        let order = venue.alice.limit("SELL", "0.5", "20000").await;
        freeze(&venue, true).await;
        let refused = venue.alice.send(Method::POST, "/api/v3/order", ORDER).await;
        assert_eq!((refused.status, &refused.body["code"]), (400, &json!(-2010)), "{refused:?}");
        let text = "This action is disabled on this account. Ask the operator of the venue to unfreeze it.";
        assert_eq!(refused.body["msg"], text);
        // The market may be of a partition that hears of it later.
        let begun = Instant::now();
        while venue.alice.get("/api/v3/openOrders", "").await.body != json!([]) {
            assert!(begun.elapsed() < SOON, "the order is still open");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let query = format!("symbol=BTCUSDT&orderId={}", order["orderId"]);
        assert_eq!(venue.alice.get("/api/v3/order", &query).await.body["status"], "CANCELED");
        assert_eq!(venue.alice.balance("BTC").await, ("10.00000000".to_owned(), "0.00000000".to_owned()));
        // Money goes in, and not out.
        let deposit = json!({"asset": "BTC", "amount": "1", "transferId": "in"});
        venue.operator_does(&format!("{path}/deposits"), deposit).await;
        let withdrawal = json!({"asset": "BTC", "amount": "1", "transferId": "out"});
        let less = json!({"asset": "BTC", "amount": "-1", "transferId": "less", "reason": "counted twice"});
        for (what, body) in [("withdrawals", withdrawal.clone()), ("adjustments", less)] {
            let reply = venue.operator(Method::POST, &format!("{path}/{what}"), Some(body)).await;
            let said = reply.text().contains("the account is frozen; unfreeze it first");
            assert!(reply.status == 400 && said, "{what}: {reply:?}");
        }
        assert_eq!(venue.alice.balance("BTC").await.0, "11.00000000");
        let unknown = venue.operator(Method::PUT, "accounts/99999/frozen", Some(json!({"frozen": true}))).await;
        assert_eq!(unknown.status, 404);
        let unsaid = venue.operator(Method::PUT, &format!("{path}/frozen"), Some(json!({}))).await;
        assert_eq!(unsaid.status, 400, "{unsaid:?}");

        freeze(&venue, false).await;
        assert_eq!(venue.alice.send(Method::POST, "/api/v3/order", ORDER).await.status, 200);
        venue.operator_does(&format!("{path}/withdrawals"), withdrawal).await;
        venue.audit().await;
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_froze_an_account_and_why_is_in_the_operator_log() {
    let venue = crate::instructions::newest(1).await;
    let (_, support) = ROLES[1];
    let path = format!("accounts/{}/frozen", venue.alice.account);
    for on in [true, false] {
        let reason = if on { "reported stolen" } else { "it was them" };
        let url = format!("http://{}/admin/v1/{path}", venue.admin);
        let asked = reqwest::Client::new().put(url).bearer_auth(support).json(&json!({"frozen": on}));
        let reply = asked.header("Crossbook-Reason", reason.replace(' ', "%20")).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 200);
        let log = venue.operator(Method::GET, "operator-log?limit=1", None).await.body;
        let entry = &log["entries"][0];
        assert_eq!(entry["action"], format!("PUT {path} {{\"frozen\":{on}}}"), "{log}");
        let told = (&entry["operator"], &entry["reason"], &entry["refused"]);
        assert_eq!(told, (&json!("support"), &json!(reason), &Value::Null), "{log}");
    }
    venue.stop().await;
}
