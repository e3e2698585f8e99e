//! The operator's API, against a whole venue in this process.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rest_venue::Venue;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_happens_without_the_token() {
    let venue = Venue::start().await;
    let client = reqwest::Client::new();
    for token in [None, Some(""), Some("the operator's toke"), Some("the operator's token.")] {
        let mut request = client.get(format!("http://{}/admin/v1/audit", venue.admin));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 401, "{token:?}");
        assert!(response.text().await.unwrap().contains("-1002"));
    }
    for (path, text) in [("healthz", "ok"), ("readyz", "ready"), ("metrics", "crossbook_up 1")] {
        let open = client.get(format!("http://{}/{path}", venue.admin)).send().await.unwrap();
        assert!(open.status().is_success() && open.text().await.unwrap().contains(text), "{path}");
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_moves_once_per_transfer_id() {
    let venue = Venue::start().await;
    let alice = format!("accounts/{}", venue.alice.account);
    let deposit = json!({"asset": "BTC", "amount": "1.5", "transferId": "t-1"});
    let first = venue.operator_does(&format!("{alice}/deposits"), deposit.clone()).await;
    let again = venue.operator_does(&format!("{alice}/deposits"), deposit).await;
    assert_eq!(first, again, "the same answer");
    assert_eq!(venue.alice.balance("BTC").await.0, "11.50000000");
    let withdrawal = json!({"asset": "BTC", "amount": 11.5, "transferId": "t-2"});
    let done = venue.operator_does(&format!("{alice}/withdrawals"), withdrawal).await;
    assert_eq!((&done["amount"], &done["transferId"]), (&json!("11.50000000"), &json!("t-2")));
    assert_eq!(venue.alice.balance("BTC").await.0, "0.00000000");
    for (path, body, status, text) in [
        (
            "withdrawals",
            json!({"asset": "BTC", "amount": "0.1", "transferId": "t-3"}),
            400,
            "insufficient free balance",
        ),
        ("deposits", json!({"asset": "BTC", "amount": "2", "transferId": "t-1"}), 400, "choose another id"),
        ("deposits", json!({"asset": "BTC", "amount": "0", "transferId": "t-4"}), 400, "amount must be above zero"),
        ("deposits", json!({"asset": "BTC", "amount": "-1", "transferId": "t-4"}), 400, "amount must be above zero"),
        ("deposits", json!({"asset": "BTC", "amount": "0.000000001", "transferId": "t-4"}), 400, "at most 8 digits"),
        (
            "deposits",
            json!({"asset": "BTC", "amount": "1e3", "transferId": "t-4"}),
            400,
            "amount is not a plain decimal",
        ),
        ("deposits", json!({"asset": "XYZ", "amount": "1", "transferId": "t-4"}), 404, "list it first"),
        ("deposits", json!({"asset": "BTC", "amount": "1"}), 400, "transferId"),
        ("deposits", json!({"asset": "BTC", "amount": "1", "transferId": "t", "more": 1}), 400, "more"),
    ] {
        let reply = venue.operator(Method::POST, &format!("{alice}/{path}"), Some(body.clone())).await;
        assert_eq!(reply.status, status, "{body} {reply:?}");
        assert!(reply.text().contains(text), "{body} {reply:?}");
    }
    let nobody = json!({"asset": "BTC", "amount": "1", "transferId": "t-5"});
    assert_eq!(venue.operator(Method::POST, "accounts/99999/deposits", Some(nobody)).await.status, 404);
    venue.audit().await;
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markets_are_listed_and_changed() {
    let venue = Venue::start().await;
    venue.operator_does("assets", json!({"asset": "ETH", "decimals": 18})).await;
    let market =
        json!({"symbol": "ETHBTC", "baseAsset": "ETH", "quoteAsset": "BTC", "tickSize": "0.00001", "stepSize": 0.001});
    let listed = venue.operator_does("markets", market.clone()).await;
    assert_eq!((&listed["symbol"], &listed["status"]), (&json!("ETHBTC"), &json!("TRADING")));
    let again = venue.operator(Method::POST, "markets", Some(market)).await;
    assert!(again.status == 400 && again.text().contains("exists"), "{again:?}");
    let change = json!({
        "status": "BREAK", "minNotional": "0.0001", "maxQty": "50", "takerFee": "0.0005", "multiplierUp": "1.5",
    });
    let changed = venue.operator(Method::PATCH, "markets/ETHBTC", Some(change)).await.body;
    assert_eq!((&changed["status"], &changed["takerFee"]), (&json!("BREAK"), &json!("0.00050000")));
    let info = venue.get("/api/v3/exchangeInfo?symbol=ETHBTC").await.body.to_string();
    for text in ["\"BREAK\"", "0.00010000", "50.00000000", "\"1.5\""] {
        assert!(info.contains(text), "{text} in {info}");
    }
    for (body, text) in [
        (json!({"status": "OPEN"}), "CANCEL_ONLY"),
        (json!({"minQty": "0.0005"}), "stepSize"),
        (json!({"maxPrice": "0"}), "minimum must be at least one step"),
        (json!({"makerFee": "1"}), "from 0 to below 1"),
        (json!({"tickSize": "0.1"}), "tickSize"),
        (json!({"multiplierUp": "0.5"}), "multiplierUp"),
        (json!({"maxNumOrders": 0}), "from 1 to 100000"),
        (json!({"maxNumOrders": 100_001}), "from 1 to 100000"),
    ] {
        let reply = venue.operator(Method::PATCH, "markets/ETHBTC", Some(body.clone())).await;
        assert!(reply.status == 400 && reply.text().contains(text), "{body} {reply:?}");
    }
    assert_eq!(venue.operator(Method::PATCH, "markets/NOPE", Some(json!({}))).await.status, 404);
    assert_eq!(venue.operator(Method::GET, "nothing", None).await.status, 404);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_shown_with_all_it_has() {
    let venue = crate::instructions::newest(1).await;
    venue.alice.limit("SELL", "0.5", "20000").await;
    let path = format!("accounts/{}", venue.alice.account);
    let shown = venue.operator(Method::GET, &path, None).await.body;
    assert_eq!((&shown["label"], &shown["accountId"]), (&json!("alice"), &json!(venue.alice.account)));
    assert_eq!(shown["balances"][0], json!({"asset": "BTC", "free": "9.50000000", "locked": "0.50000000"}));
    assert_eq!(shown["openOrders"][0]["origQty"], "0.50000000");
    assert_eq!(shown["apiKeys"][0]["apiKey"], json!(venue.alice.key));
    assert!(!shown.to_string().contains(&venue.alice.secret));
    assert_eq!(venue.operator(Method::GET, "accounts/1", None).await.status, 404);
    assert_eq!(shown["tradeGroupId"], -1);
    for (body, text) in [
        (json!({}), "tradeGroupId"),
        (json!({"tradeGroupId": 0}), "from 1 to 4294967295, or -1"),
        (json!({"tradeGroupId": 4_294_967_296_u64}), "from 1 to"),
        (json!({"tradeGroupId": 1, "label": "x"}), "label"),
    ] {
        let reply = venue.operator(Method::PATCH, &path, Some(body.clone())).await;
        assert!(reply.status == 400 && reply.text().contains(text), "{body} {reply:?}");
    }
    let nobody = venue.operator(Method::PATCH, "accounts/99999", Some(json!({"tradeGroupId": 1}))).await;
    assert_eq!(nobody.status, 404, "{nobody:?}");
    for (body, text) in [
        (json!({"permissions": []}), "READ, TRADE or both"),
        (json!({"permissions": ["WITHDRAW"]}), "WITHDRAW"),
        (json!({"permissions": ["READ"], "allowedIps": ["10.0.0.0/64"]}), "allowedIps"),
        (json!({"permissions": ["READ"], "publicKey": "nonsense"}), "PEM"),
        (json!([["READ"], null, []]), "JSON object"),
    ] {
        let reply = venue.operator(Method::POST, &format!("{path}/api-keys"), Some(body.clone())).await;
        assert!(reply.status == 400 && reply.text().contains(text), "{body} {reply:?}");
    }
    let audit = venue.operator(Method::GET, "audit", None).await.body;
    assert_eq!((&audit["ok"], &audit["assets"]["BTC"]), (&json!(true), &json!({"sum": "0"})));
    assert_eq!(audit["stateHash"].as_str().unwrap().len(), 64);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_come_in_pages() {
    let venue = Venue::start().await;
    let get = async |path: &str| venue.operator(Method::GET, path, None).await;
    let assets = get("assets").await.body;
    assert_eq!(assets["assets"][0], json!({"asset": "BTC", "assetId": 0, "decimals": 8}));
    assert_eq!((assets["assets"].as_array().unwrap().len(), &assets["next"]), (2, &Value::Null));
    let first = get("assets?limit=1").await.body;
    assert_eq!((first["assets"].as_array().unwrap().len(), &first["next"]), (1, &json!(1)));
    assert_eq!(get("assets?limit=1&from=1").await.body["assets"][0]["asset"], "USDT");
    let markets = get("markets").await.body;
    assert_eq!(markets["markets"][0]["symbol"], "BTCUSDT");
    assert!(markets["markets"][0]["takerFee"].is_string());
    let accounts = get("accounts?limit=1").await.body;
    assert_eq!(
        (&accounts["accounts"][0]["accountId"], &accounts["accounts"][0]["label"]),
        (&json!(venue.alice.account), &json!("alice"))
    );
    assert_eq!(accounts["next"], json!(venue.bob.account));
    let rest = get(&format!("accounts?from={}", venue.bob.account)).await.body;
    assert_eq!((rest["accounts"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    assert_eq!(get("assets?limit=1001").await.body, get("assets?limit=1000").await.body);
    for bad in ["assets?limit=0", "markets?from=x", "accounts?page=2"] {
        assert_eq!(get(bad).await.status, 400, "{bad}");
    }
    venue.stop().await;
}

/// An operator compares what the admin API shows with what clients see.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markets_and_orders_look_as_they_do_to_clients() {
    let venue = Venue::start().await;
    venue.alice.limit("SELL", "0.5", "20000").await;
    let mut shown = venue.operator(Method::GET, "markets", None).await.body["markets"].take();
    for market in shown.as_array_mut().unwrap() {
        let market = market.as_object_mut().unwrap();
        assert!(market.remove("makerFee").is_some() && market.remove("takerFee").is_some());
    }
    assert_eq!(shown, venue.get("/api/v3/exchangeInfo").await.body["symbols"]);
    let account = venue.operator(Method::GET, &format!("accounts/{}", venue.alice.account), None).await.body;
    let open = venue.alice.send(Method::GET, "/api/v3/openOrders", "").await.body;
    assert_eq!((&account["openOrders"], open.as_array().unwrap().len()), (&open, 1));
    venue.stop().await;
}
