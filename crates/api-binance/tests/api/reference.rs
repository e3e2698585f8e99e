//! Execution rules and reference prices, as operator and clients see them.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tungstenite::Message;

use crate::instructions::newest;
use crate::rest_venue::{Venue, millis};

/// How long a message may take.
const SOON: Duration = Duration::from_secs(20);

async fn operator(venue: &Venue, method: Method, path: &str, body: Option<Value>) -> Value {
    let answer = venue.operator(method, &format!("markets/BTCUSDT/{path}"), body).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body
}

/// A tenth upwards for bids, a tenth downwards for asks.
fn tenth() -> Value {
    json!({"bidLimitMultUp": "1.1", "askLimitMultDown": "0.9"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_expires_where_the_rule_lets_it_trade_no_further() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let set = operator(&venue, Method::PUT, "price-range", Some(tenth())).await;
        assert_eq!(set["priceRange"], json!({"bidLimitMultUp": "1.1000", "askLimitMultDown": "0.9000"}));
        let external = json!({"calculationType": "EXTERNAL", "externalCalculationId": 2});
        operator(&venue, Method::PUT, "reference", Some(external)).await;
        let set = operator(&venue, Method::PUT, "reference/price", Some(json!({"price": "40000"}))).await;
        assert_eq!(set["reference"]["price"], "40000.00000000", "{set}");
        for price in ["44000", "44001"] {
            venue.bob.limit("SELL", "0.1", price).await;
        }
        let order = venue.alice.limit("BUY", "0.2", "44001").await;
        assert_eq!(json!([order["status"], order["executedQty"]]), json!(["EXPIRED", "0.10000000"]), "{order}");
        assert_eq!(order["expiryReason"], "EXECUTION_RULE_PRICE_RANGE_EXCEEDED");
        let which = format!("symbol=BTCUSDT&orderId={}", order["orderId"]);
        let shown = venue.alice.get("/api/v3/order", &which).await.body;
        assert_eq!(shown["expiryReason"], "EXECUTION_RULE_PRICE_RANGE_EXCEEDED", "{shown}");
        // The market trades on, and filters look at the reference price.
        assert_eq!(operator(&venue, Method::GET, "session", None).await["phase"], "OPEN");
        operator(&venue, Method::DELETE, "price-range", None).await;
        assert_eq!(venue.alice.limit("BUY", "0.1", "44001").await["status"], "FILLED");
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_and_reference_prices_are_answered() {
    let venue = newest(1).await;
    let price = "/api/v3/referencePrice?symbol=BTCUSDT";
    let calculation = "/api/v3/referencePrice/calculation?symbol=BTCUSDT";
    operator(&venue, Method::PUT, "price-range", Some(tenth())).await;
    let rules = json!({"symbolRules": [{
        "symbol": "BTCUSDT",
        "rules": [{"ruleType": "PRICE_RANGE", "bidLimitMultUp": "1.1000", "askLimitMultDown": "0.9000"}],
    }]});
    for parameters in ["", "?symbol=BTCUSDT", "?symbols=%5B%22BTCUSDT%22%5D", "?symbolStatus=TRADING"] {
        assert_eq!(venue.get(&format!("/api/v3/executionRules{parameters}")).await.body, rules, "{parameters}");
    }
    let none = venue.get("/api/v3/executionRules?symbolStatus=HALT").await;
    assert_eq!(none.body, json!({"symbolRules": []}));
    // Elsewhere: there never was a price, there is one, there is none now.
    let external = json!({"calculationType": "EXTERNAL", "externalCalculationId": 42});
    operator(&venue, Method::PUT, "reference", Some(external.clone())).await;
    let mut told = json!({"symbol": "BTCUSDT", "calculationType": "EXTERNAL", "externalCalculationId": 42});
    assert_eq!(venue.get(calculation).await.body, told);
    assert_eq!(venue.get(price).await.code(), (400, -2043));
    let before = millis();
    operator(&venue, Method::PUT, "reference/price", Some(json!({"price": "40000.123456789"}))).await;
    let shown = venue.get(price).await.body;
    assert_eq!(json!([shown["symbol"], shown["referencePrice"]]), json!(["BTCUSDT", "40000.12345678"]));
    assert!(shown["timestamp"].as_u64().unwrap() + 1_000 >= before, "{shown}");
    operator(&venue, Method::DELETE, "reference/price", None).await;
    assert_eq!(venue.get(price).await.body["referencePrice"], Value::Null);
    // As the mean of trades: none yet, then one.
    let mean = json!({"calculationType": "ARITHMETIC_MEAN", "bucketCount": 60, "bucketWidthMs": 60_000});
    assert_eq!(operator(&venue, Method::PUT, "reference", Some(mean.clone())).await["reference"], mean);
    told = mean;
    told["symbol"] = json!("BTCUSDT");
    assert_eq!(venue.get(calculation).await.body, told);
    assert_eq!(venue.get(price).await.body["referencePrice"], Value::Null);
    for at in ["40000", "40001"] {
        venue.bob.limit("SELL", "0.1", at).await;
        assert_eq!(venue.alice.limit("BUY", "0.1", at).await["status"], "FILLED");
    }
    let shown = venue.get(price).await.body;
    assert_eq!(shown["referencePrice"], "40000.50000000", "{shown}");
    operator(&venue, Method::DELETE, "reference", None).await;
    for path in [price, calculation] {
        assert_eq!(venue.get(path).await.code(), (400, -2043));
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_tells_the_reference_price_when_it_changes() {
    let venue = newest(1).await;
    let url = format!("ws://{}/ws/btcusdt@referencePrice", venue.http);
    let (mut stream, _) = connect_async(url).await.unwrap();
    let mut next = async || {
        let message = async {
            loop {
                if let Message::Text(text) = stream.next().await.unwrap().unwrap() {
                    return serde_json::from_str::<Value>(&text).unwrap();
                }
            }
        };
        tokio::time::timeout(SOON, message).await.expect("a message in time")
    };
    let external = json!({"calculationType": "EXTERNAL", "externalCalculationId": 0});
    operator(&venue, Method::PUT, "reference", Some(external)).await;
    for price in [Some("40000"), Some("40001"), None] {
        let set = match price {
            Some(price) => operator(&venue, Method::PUT, "reference/price", Some(json!({"price": price}))).await,
            None => operator(&venue, Method::DELETE, "reference/price", None).await,
        };
        let told = next().await;
        let expected = price.map(|price| format!("{price}.00000000"));
        let since = &set["reference"]["since"];
        assert_eq!(told, json!({"e": "referencePrice", "s": "BTCUSDT", "r": expected, "t": since}));
    }
    // It is gone with its calculation, and back when it is set again.
    operator(&venue, Method::PUT, "reference/price", Some(json!({"price": "40002"}))).await;
    assert_eq!(next().await["r"], json!("40002.00000000"));
    operator(&venue, Method::DELETE, "reference", None).await;
    assert_eq!(next().await["r"], Value::Null);
    let external = json!({"calculationType": "EXTERNAL", "externalCalculationId": 1});
    operator(&venue, Method::PUT, "reference", Some(external)).await;
    operator(&venue, Method::PUT, "reference/price", Some(json!({"price": "40002"}))).await;
    assert_eq!(next().await["r"], json!("40002.00000000"));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_is_told_what_is_wrong() {
    let venue = newest(1).await;
    for (path, body, said) in [
        ("price-range", json!({}), "needs a multiplier"),
        ("price-range", json!({"bidLimitMultUp": "0.9"}), "upwards from 1 to 1000"),
        ("price-range", json!({"bidLimitMultUp": "1.00001"}), "at most 4 digits"),
        ("reference", json!({"calculationType": "ARITHMETIC_MEAN"}), "bucketCount"),
        ("reference", json!({"calculationType": "EXTERNAL", "bucketCount": 1}), "externalCalculationId"),
        (
            "reference",
            json!({"calculationType": "ARITHMETIC_MEAN", "bucketCount": 0, "bucketWidthMs": 1}),
            "from 1 to 1000 buckets",
        ),
        ("reference/price", json!({"price": "0"}), "tickSize"),
        ("reference/price", json!({"price": "999999999"}), "maxPrice"),
        ("reference/price", json!({"price": "40000"}), "EXTERNAL"),
    ] {
        let refused = venue.operator(Method::PUT, &format!("markets/BTCUSDT/{path}"), Some(body)).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        let message = refused.body["msg"].as_str().unwrap();
        assert!(message.contains(said), "{message}");
    }
    venue.stop().await;
}
