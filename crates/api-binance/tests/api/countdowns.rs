//! Countdowns that cancel open orders, over REST and at the end of WebSocket sessions.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tungstenite::Message;

use crate::instructions::newest;
use crate::rest_venue::{Client, Venue, millis};

const PATH: &str = "/api/v3/countdownCancelAll";
/// How long the shortest countdown may take to cancel.
const SOON: Duration = Duration::from_secs(10);

async fn open_orders(client: &Client) -> usize {
    client.get("/api/v3/openOrders", "").await.body.as_array().unwrap().len()
}

async fn until_nothing_is_open(client: &Client) {
    let begun = Instant::now();
    while open_orders(client).await > 0 {
        assert!(begun.elapsed() < SOON, "the orders are still open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_countdown_that_is_not_extended_cancels_the_open_orders() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let order = venue.alice.limit("BUY", "1", "40000").await;
        venue.bob.limit("BUY", "1", "41000").await;
        let before = millis();
        let started = venue.alice.post(PATH, "countdownTime=1000").await.body;
        assert_eq!((&started["countdownTime"], started.get("symbol")), (&json!(1_000), None));
        let expires = started["expireTime"].as_u64().unwrap();
        assert!((before + 900..before + 20_000).contains(&expires), "{started}");
        until_nothing_is_open(&venue.alice).await;
        assert!(millis() + 100 >= expires, "too early");
        assert_eq!(open_orders(&venue.bob).await, 1);
        let order =
            venue.alice.get("/api/v3/order", &format!("symbol=BTCUSDT&orderId={}", order["orderId"])).await.body;
        assert_eq!(order["status"], "CANCELED");
        assert_eq!(venue.alice.get(PATH, "").await.body, json!([]));
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn countdowns_are_of_a_market_or_all_and_are_taken_back_by_zero() {
    let venue = newest(1).await;
    let alice = &venue.alice;
    alice.post(PATH, "countdownTime=60000").await;
    let of_market = alice.post(PATH, "symbol=BTCUSDT&countdownTime=86400000").await.body;
    assert_eq!(of_market["symbol"], "BTCUSDT");
    let shown = alice.get(PATH, "").await.body;
    let scopes: Vec<_> = shown.as_array().unwrap().iter().map(|row| (&row["scope"], row.get("symbol"))).collect();
    assert_eq!(scopes, [(&json!("ACCOUNT"), None), (&json!("SYMBOL"), Some(&json!("BTCUSDT")))]);
    assert_eq!(venue.bob.get(PATH, "").await.body, json!([]));
    for parameters in ["countdownTime=0", "symbol=BTCUSDT&countdownTime=0", "countdownTime=0"] {
        let taken_back = alice.post(PATH, parameters).await.body;
        assert_eq!((&taken_back["countdownTime"], &taken_back["expireTime"]), (&json!(0), &json!(-1)));
    }
    assert_eq!(alice.get(PATH, "").await.body, json!([]));
    for (parameters, code) in [
        ("", -1102),
        ("countdownTime=999", -1130),
        ("countdownTime=86400001", -1130),
        ("countdownTime=99999999999", -1130),
        ("countdownTime=x", -1100),
        ("symbol=NOWHERE&countdownTime=1000", -1121),
    ] {
        assert_eq!(alice.post(PATH, parameters).await.code(), (400, code), "{parameters}");
    }
    assert_eq!(venue.request(Method::POST, &format!("{PATH}?countdownTime=1000")).await.code().1, -2014);
    venue.stop().await;
}

/// Under rules that do not know countdowns a client learns that it has none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_rules_have_no_countdowns() {
    let venue = Venue::start().await;
    assert_eq!(venue.alice.post(PATH, "countdownTime=1000").await.code(), (400, -2010));
    venue.stop().await;
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn ask(socket: &mut Socket, method: &str, params: Value) -> Value {
    let request = json!({"id": 1, "method": method, "params": params});
    socket.send(Message::text(request.to_string())).await.unwrap();
    loop {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

async fn log_on(venue: &Venue, client: &Client, cancels: bool) -> Socket {
    let url = format!("ws://{}/ws-api/v3?returnRateLimits=false", venue.http);
    let mut socket = connect_async(url).await.unwrap().0;
    let now = millis();
    let payload = format!("apiKey={}&cancelOnDisconnect={cancels}&timestamp={now}", client.key);
    let params = json!({"apiKey": client.key, "cancelOnDisconnect": cancels.to_string(), "timestamp": now,
        "signature": client.sign(&payload)});
    let answer = ask(&mut socket, "session.logon", params).await;
    let told = answer["result"]["cancelOnDisconnect"] == true;
    assert_eq!((&answer["status"], told), (&json!(200), cancels), "{answer}");
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_session_cancels_the_open_orders_if_it_was_asked_to() {
    let venue = newest(1).await;
    // Ended by the client, by a connection that breaks, and by a logout.
    for end in 0..3 {
        let mut socket = log_on(&venue, &venue.alice, true).await;
        venue.alice.limit("BUY", "1", "40000").await;
        let shown = venue.alice.get(PATH, "").await.body;
        assert_eq!((shown.as_array().unwrap().len(), &shown[0]["scope"]), (1, &json!("SESSION")));
        match end {
            0 => socket.close(None).await.unwrap(),
            1 => drop(socket),
            _ => {
                assert_eq!(ask(&mut socket, "session.logout", json!({})).await["status"], 200);
            }
        }
        until_nothing_is_open(&venue.alice).await;
        assert_eq!(venue.alice.get(PATH, "").await.body, json!([]));
    }
    // A session that did not ask leaves orders alone, also when another one beside it ends.
    let (mut plain, mut other) = (log_on(&venue, &venue.alice, false).await, log_on(&venue, &venue.bob, true).await);
    venue.alice.limit("BUY", "1", "40000").await;
    venue.bob.limit("BUY", "1", "40000").await;
    plain.close(None).await.unwrap();
    other.close(None).await.unwrap();
    until_nothing_is_open(&venue.bob).await;
    assert_eq!(open_orders(&venue.alice).await, 1);
    venue.stop().await;
}
