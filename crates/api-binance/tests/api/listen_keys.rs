//! Listen keys, by which older clients read the events of their account as a stream: only where the operator has
//! switched them on.

use crossbook_api_binance::Config;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;

use crate::rest_venue::{Client, Venue};
use crate::streams::{next, send};
use crate::ws_venue::Socket;

const PATH: &str = "/api/v3/userDataStream";

async fn venue(lifetime_ms: u64, keys_max: usize) -> Venue {
    let mut config = Config::default();
    config.listen_keys.enabled = true;
    (config.listen_keys.lifetime_ms, config.listen_keys.keys_max) = (lifetime_ms, keys_max);
    Venue::start_with(config).await
}

async fn connect(venue: &Venue, path: &str) -> Socket {
    connect_async(format!("ws://{}{path}", venue.http)).await.unwrap().0
}

async fn listen_key(client: &Client) -> String {
    let reply = client.raw(Method::POST, PATH, None).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let name = reply.body["listenKey"].as_str().unwrap().to_owned();
    assert!(name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}");
    name
}

/// The next event of that kind.
async fn event_of(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let event = next(socket).await;
        if event["e"] == kind {
            return event;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_a_stream_under_its_listen_key() {
    let venue = venue(3_600_000, 9).await;
    let (alice, bob) = (&venue.alice, &venue.bob);
    let name = listen_key(alice).await;
    assert_eq!(listen_key(alice).await, name, "each API key has one");
    assert_ne!(listen_key(bob).await, name);
    let mut raw = connect(&venue, &format!("/ws/{name}")).await;
    let mut combined = connect(&venue, &format!("/stream?streams={name}/btcusdt@trade&timeUnit=MICROSECOND")).await;
    let mut later = connect(&venue, "/ws").await;
    send(&mut later, json!({"method": "SUBSCRIBE", "params": [name], "id": 1})).await;
    assert_eq!(next(&mut later).await, json!({"result": null, "id": 1}));
    alice.limit("SELL", "0.1", "20000").await;
    let report = event_of(&mut raw, "executionReport").await;
    assert_eq!(json!([report["x"], report["S"], report["q"]]), json!(["NEW", "SELL", "0.10000000"]));
    assert_eq!(event_of(&mut later, "executionReport").await, report);
    let wrapped = next(&mut combined).await;
    assert_eq!(json!([wrapped["stream"], wrapped["data"]["e"]]), json!([name, "executionReport"]));
    assert_eq!(wrapped["data"]["T"].as_u64().unwrap() / 1_000, report["T"].as_u64().unwrap());
    event_of(&mut raw, "outboundAccountPosition").await;
    // What a stranger asks for with the name of another's listen key has no effect.
    for (client, method, query, code) in [
        (bob, Method::PUT, format!("?listenKey={name}"), (400, -1125)),
        (bob, Method::DELETE, format!("?listenKey={name}"), (400, -1125)),
        (alice, Method::PUT, "?listenKey=nothing".to_owned(), (400, -1125)),
        (alice, Method::PUT, String::new(), (400, -1102)),
        (alice, Method::PUT, format!("?listenKey={name}"), (200, 0)),
        (alice, Method::DELETE, format!("?listenKey={name}"), (200, 0)),
        (alice, Method::DELETE, format!("?listenKey={name}"), (400, -1125)),
    ] {
        let reply = client.raw(method.clone(), &format!("{PATH}{query}"), None).await;
        assert_eq!(reply.code(), code, "{method} {query}: {reply:?}");
        if code.1 == -1125 {
            assert_eq!(reply.text(), "This listenKey does not exist.");
        }
    }
    assert_eq!(event_of(&mut raw, "listenKeyExpired").await["listenKey"], json!(name));
    assert_eq!(venue.request(Method::POST, PATH).await.code(), (401, -2014), "an API key is needed");
    let trader = venue.key(alice.account, json!({"permissions": ["TRADE"]})).await;
    assert_eq!(trader.raw(Method::POST, PATH, None).await.code(), (401, -2015), "one that may read");
    let elsewhere = venue.key(alice.account, json!({"permissions": ["READ"], "allowedIps": ["10.0.0.1"]})).await;
    assert_eq!(elsewhere.raw(Method::POST, PATH, None).await.code(), (401, -2015), "from this address");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listen_key_ends_when_nobody_keeps_it_alive_and_there_are_only_so_many() {
    let venue = venue(1_500, 1).await;
    let name = listen_key(&venue.alice).await;
    assert_eq!(venue.bob.raw(Method::POST, PATH, None).await.code(), (503, -1008), "there is one already");
    let mut socket = connect(&venue, &format!("/ws/{name}")).await;
    let ended = event_of(&mut socket, "listenKeyExpired").await;
    assert_eq!(ended["listenKey"], json!(name));
    venue.alice.limit("SELL", "0.1", "20000").await;
    let other = listen_key(&venue.bob).await;
    send(&mut socket, json!({"method": "SUBSCRIBE", "params": [other], "id": 1})).await;
    assert_eq!(next(&mut socket).await, json!({"result": null, "id": 1}), "nothing of alice came in between");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listen_keys_are_asked_for_over_websocket_too() {
    let venue = venue(3_600_000, 9).await;
    let mut api = connect(&venue, "/ws-api/v3").await;
    let key = venue.alice.key.clone();
    let mut ask = async |method: &str, params: Value| {
        send(&mut api, json!({"id": 1, "method": method, "params": params})).await;
        next(&mut api).await
    };
    let started = ask("userDataStream.start", json!({"apiKey": key})).await;
    let name = started["result"]["listenKey"].as_str().unwrap().to_owned();
    assert_eq!(name, listen_key(&venue.alice).await);
    for (method, params, status, code) in [
        ("userDataStream.ping", json!({"apiKey": key, "listenKey": name}), 200, Value::Null),
        ("userDataStream.ping", json!({"apiKey": venue.bob.key, "listenKey": name}), 400, json!(-1125)),
        ("userDataStream.start", json!({}), 400, json!(-1102)),
        ("userDataStream.start", json!({"apiKey": "short"}), 401, json!(-2014)),
        ("userDataStream.stop", json!({"apiKey": key, "listenKey": name}), 200, Value::Null),
        ("userDataStream.stop", json!({"apiKey": key, "listenKey": name}), 400, json!(-1125)),
    ] {
        let answer = ask(method, params).await;
        assert_eq!(json!([answer["status"], answer["error"]["code"]]), json!([status, code]), "{method}: {answer}");
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_they_are_not_switched_on_there_are_none() {
    let venue = Venue::start().await;
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        assert_eq!(venue.alice.raw(method, PATH, None).await.code(), (404, -1020));
    }
    let mut api = connect(&venue, "/ws-api/v3").await;
    send(&mut api, json!({"id": 1, "method": "userDataStream.start", "params": {"apiKey": venue.alice.key}})).await;
    let answer = next(&mut api).await;
    assert_eq!(json!([answer["status"], answer["error"]["code"]]), json!([400, -1020]), "{answer}");
    assert!(venue.get("/openapi.json").await.body["paths"][PATH].is_null());
    venue.stop().await;
}
