//! Codes of errors that no other test here sees.

use crossbook_api_binance::Config;
use reqwest::Method;
use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;

use crate::rest_venue::Venue;
use crate::streams::{next, send};
use crate::ws_venue;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_too_large_or_too_long_have_a_code() {
    let mut config = Config::default();
    (config.server.body_bytes_max, config.server.uri_bytes_max) = (1_000, 2_000);
    let venue = Venue::start_with(config).await;
    let body = Some("x".repeat(1_001));
    assert_eq!(venue.alice.raw(Method::POST, "/api/v3/order", body).await.code(), (413, -1000));
    assert_eq!(venue.get(&format!("/api/v3/ping?{}", "x".repeat(3_000))).await.code(), (414, -1000));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_connects_too_often_is_told_so() {
    let mut config = Config::default();
    config.streams.attempts_max = 1;
    let venue = Venue::start_with(config).await;
    let url = format!("ws://{}/ws", venue.http);
    let (_first, _) = connect_async(&url).await.unwrap();
    let Err(Error::Http(refused)) = connect_async(&url).await else { panic!("a second connection was not refused") };
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    let body = refused.body().as_deref().unwrap_or_default();
    assert!(String::from_utf8_lossy(body).starts_with(r#"{"code":-1034,"#), "{body:?}");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_not_found_under_another_name() {
    let venue = Venue::start().await;
    let order = venue.alice.limit("SELL", "0.1", "20000").await["orderId"].as_u64().unwrap();
    let both = format!("symbol=BTCUSDT&orderId={order}&origClientOrderId=other");
    let reply = venue.alice.get("/api/v3/order", &both).await;
    assert_eq!((reply.code(), reply.text()), ((400, -2039), "Client order ID is not correct for this order ID."));
    let days = "symbol=BTCUSDT&startTime=1700000000000&endTime=1700086400001";
    for path in ["allOrders", "myTrades", "myAllocations"] {
        let reply = venue.alice.get(&format!("/api/v3/{path}"), days).await;
        assert_eq!(
            (reply.code(), reply.text()),
            ((400, -1127), "More than 24 hours between startTime and endTime."),
            "{path}"
        );
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_has_so_many_user_data_streams_and_each_once() {
    let mut config = Config::default();
    config.streams.account_subscriptions_max = 1;
    let venue = ws_venue::Venue::start_with(config).await;
    let mut api = venue.connect("/ws-api/v3").await;
    let [one, other] = venue.accounts;
    for (method, account, code) in [
        ("userDataStream.subscribe.signature", one, None),
        ("userDataStream.subscribe.signature", one, Some((-2035, "User Data Stream subscription already active."))),
        (
            "userDataStream.subscribe.signature",
            other,
            Some((-1191, "Too many subscriptions. Connection may create up to '1' subscriptions at a time.")),
        ),
    ] {
        send(&mut api, json!({"id": 1, "method": method, "params": venue.signed(account, &[])})).await;
        let answer = next(&mut api).await;
        let refused = code.map_or(json!([200, null, null]), |(code, text)| json!([400, code, text]));
        assert_eq!(json!([answer["status"], answer["error"]["code"], answer["error"]["msg"]]), refused, "{answer}");
    }
    let params = json!({"subscriptionId": 7});
    send(&mut api, json!({"id": 1, "method": "userDataStream.unsubscribe", "params": params})).await;
    let answer = next(&mut api).await;
    assert_eq!(json!([answer["status"], answer["error"]["code"]]), json!([400, -2036]), "{answer}");
    venue.stop().await;
}
