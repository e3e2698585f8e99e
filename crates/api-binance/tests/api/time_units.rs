//! Times in microseconds for clients that ask for them, in every answer and on every stream, and for no other client.

use futures_util::SinkExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::rest_venue::{Client, Venue, millis};
use crate::streams::next;

/// All times in an answer: no other number is nearly as large.
fn times(value: &Value, found: &mut Vec<u64>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| times(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| times(value, found)),
        value => found.extend(value.as_u64().filter(|number| *number > 100_000_000_000)),
    }
}

/// Checks that there are times, all in the one unit.
fn check(value: &Value, micros: bool, what: &str) {
    let mut found = Vec::new();
    times(value, &mut found);
    assert!(!found.is_empty(), "no times in {what}: {value}");
    let is_micros = |time: &u64| *time > 1_000_000_000_000_000;
    assert!(found.iter().all(|time| is_micros(time) == micros), "{what}: {found:?} in {value}");
}

async fn ask(
    venue: &Venue,
    client: &Client,
    method: Method,
    path: &str,
    parameters: &str,
    unit: Option<&str>,
) -> (u16, Value) {
    let payload = if path.contains("v3/order") || !parameters.contains("public") {
        format!("{parameters}&timestamp={}", millis())
    } else {
        String::new()
    };
    let url = if payload.is_empty() {
        format!("http://{}{path}?{}", venue.http, parameters.trim_end_matches("&public"))
    } else {
        format!("http://{}{path}?{payload}&signature={}", venue.http, client.sign(&payload))
    };
    let mut request = reqwest::Client::new().request(method, url).header("x-mbx-apikey", &client.key);
    if let Some(unit) = unit {
        request = request.header("X-MBX-TIME-UNIT", unit);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn order(side: &str, quantity: &str) -> String {
    format!("symbol=BTCUSDT&side={side}&type=LIMIT&timeInForce=GTC&quantity={quantity}&price=10000")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_over_http_has_times_in_the_unit_of_its_header() {
    let venue = Venue::start().await;
    let (alice, bob) = (&venue.alice, &venue.bob);
    for (unit, micros) in
        [(None, false), (Some("MILLISECOND"), false), (Some("MICROSECOND"), true), (Some("microsecond"), true)]
    {
        let placed = ask(&venue, alice, Method::POST, "/api/v3/order", &order("BUY", "0.02"), unit).await;
        check(&placed.1, micros, "POST order");
        bob.limit("SELL", "0.01", "10000").await;
        let number = &placed.1["orderId"];
        for path in ["order", "openOrders", "allOrders", "myTrades", "account"] {
            let parameters = match path {
                "account" => String::new(),
                "order" => format!("symbol=BTCUSDT&orderId={number}"),
                _ => "symbol=BTCUSDT".to_owned(),
            };
            let answer = ask(&venue, alice, Method::GET, &format!("/api/v3/{path}"), &parameters, unit).await;
            check(&answer.1, micros, path);
        }
        for (path, parameters) in [
            ("time", ""),
            ("exchangeInfo", ""),
            ("trades", "symbol=BTCUSDT"),
            ("historicalTrades", "symbol=BTCUSDT"),
            ("aggTrades", "symbol=BTCUSDT"),
            ("klines", "symbol=BTCUSDT&interval=1m"),
            ("uiKlines", "symbol=BTCUSDT&interval=1m"),
            ("avgPrice", "symbol=BTCUSDT"),
            ("ticker/24hr", "symbol=BTCUSDT"),
            ("ticker/24hr", "type=MINI"),
            ("ticker", "symbol=BTCUSDT"),
            ("ticker/tradingDay", "symbol=BTCUSDT&type=MINI"),
        ] {
            let parameters = format!("{parameters}&public");
            let answer = ask(&venue, alice, Method::GET, &format!("/api/v3/{path}"), &parameters, unit).await;
            check(&answer.1, micros, path);
        }
        let cancelled =
            ask(&venue, alice, Method::DELETE, "/api/v3/order", &format!("symbol=BTCUSDT&orderId={number}"), unit)
                .await;
        check(&cancelled.1, micros, "DELETE order");
        alice.limit("BUY", "0.01", "10000").await;
        let all = ask(&venue, alice, Method::DELETE, "/api/v3/openOrders", "symbol=BTCUSDT", unit).await;
        check(&all.1, micros, "DELETE openOrders");
    }
    for unit in ["", "SECOND", "Microsecond"] {
        let refused = ask(&venue, alice, Method::GET, "/api/v3/time", "&public", Some(unit)).await;
        let text = "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.";
        assert_eq!(refused, (400, json!({"code": -1194, "msg": text})), "{unit:?}");
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_connection_is_told_times_in_its_own_unit() {
    let venue = Venue::start().await;
    let (alice, bob) = (&venue.alice, &venue.bob);
    let open = async |path: &str| connect_async(format!("ws://{}{path}", venue.http)).await.unwrap().0;
    let kinds = ["trade", "aggTrade", "depth@100ms", "kline_1m", "miniTicker", "ticker", "ticker_1h", "avgPrice"];
    let names: Vec<String> = kinds.iter().map(|kind| format!("btcusdt@{kind}")).chain(["!ticker@arr".into()]).collect();
    let mut connections = Vec::new();
    for (unit, micros) in [("", false), ("timeUnit=MICROSECOND", true), ("timeUnit=millisecond", false)] {
        let public = open(&format!("/stream?streams={}&{unit}", names.join("/"))).await;
        let mut api = open(&format!("/ws-api/v3?{unit}")).await;
        let payload = format!("apiKey={}&timestamp={}", alice.key, millis());
        let timestamp = payload.rsplit('=').next().unwrap();
        let params = json!({"apiKey": alice.key, "timestamp": timestamp, "signature": alice.sign(&payload)});
        for method in ["session.logon", "userDataStream.subscribe.signature", "time", "exchangeInfo"] {
            let params = if method.contains('.') { params.clone() } else { json!({}) };
            let request = json!({"id": 1, "method": method, "params": params});
            api.send(Message::text(request.to_string())).await.unwrap();
            let answer = next(&mut api).await;
            assert_eq!(answer["status"], 200, "{answer}");
            if !method.starts_with("user") {
                check(&answer["result"], micros, method);
            }
        }
        connections.push((public, api, micros));
    }
    alice.limit("BUY", "0.02", "10000").await;
    bob.limit("SELL", "0.01", "10000").await;
    for (mut public, mut api, micros) in connections {
        let mut waited: Vec<&str> = names.iter().map(String::as_str).collect();
        while !waited.is_empty() {
            let message = next(&mut public).await;
            check(&message, micros, "a stream");
            waited.retain(|name| message["stream"] != *name);
        }
        let mut trades = 0;
        while trades == 0 {
            let event = next(&mut api).await;
            check(&event, micros, "the user data stream");
            trades += usize::from(event["event"]["x"] == "TRADE");
        }
        let request = json!({"id": 2, "method": "userDataStream.unsubscribe", "params": {"returnRateLimits": false}});
        api.send(Message::text(request.to_string())).await.unwrap();
        loop {
            let event = next(&mut api).await;
            check(&event, micros, "the end of the user data stream");
            if event["event"]["e"] == "eventStreamTerminated" {
                break;
            }
        }
    }
    for path in ["/ws/btcusdt@trade?timeUnit=x", "/stream?timeUnit=", "/ws-api/v3?timeUnit=SECOND"] {
        let refused = connect_async(format!("ws://{}{path}", venue.http)).await;
        let Err(Error::Http(response)) = refused else { panic!("{path}: {refused:?}") };
        let body: Value = serde_json::from_slice(response.body().as_deref().unwrap_or_default()).unwrap();
        assert_eq!((response.status().as_u16(), &body["code"]), (400, &json!(-1194)), "{path}");
    }
    venue.stop().await;
}
