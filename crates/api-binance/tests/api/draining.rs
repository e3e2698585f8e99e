//! A gateway that is replaced while clients connect and leave: it refuses nobody before its drain ends, and answers
//! everything that it accepted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tungstenite::Message;

use crate::rest_venue::{Client, Venue, millis};

/// Time is what this is about, and machines are busy at times.
const DRAIN: Duration = Duration::from_secs(1);

/// What became of a connection of its own.
#[derive(Debug)]
struct Tried {
    at: Instant,
    ended: Instant,
    /// The whole answer, or why there is none.
    answer: Result<String, std::io::Error>,
}

/// Asks on a new connection, which the answer does not end by itself.
async fn ask(http: SocketAddr, path: &str) -> Result<String, std::io::Error> {
    let mut stream = TcpStream::connect(http).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: venue\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.trim_ascii_end().ends_with(b"}") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Opens one connection after the other until told to end.
async fn come_and_go(http: SocketAddr, end: Arc<AtomicBool>) -> Vec<Tried> {
    let mut tried = Vec::new();
    while !end.load(Ordering::Relaxed) {
        let at = Instant::now();
        let answer = ask(http, "/api/v3/ping").await;
        let refused = answer.is_err();
        tried.push(Tried { at, ended: Instant::now(), answer });
        if refused {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    tried
}

/// An order that rests, signed; each has another name.
fn order(client: &Client, name: &str) -> String {
    let payload = format!(
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=9000&newClientOrderId={name}&newOrderRespType=ACK&timestamp={}",
        millis()
    );
    format!("{payload}&signature={}", client.sign(&payload))
}

/// Places orders one after the other on one connection, and on another one when that is closed, until there is none to
/// be had. Gives how many were answered.
async fn place_over_http(client: Client, name: &'static str) -> usize {
    let mut answered = 0;
    while let Ok(mut stream) = TcpStream::connect(client.http).await {
        let mut is_new = true;
        loop {
            let request = format!(
                "POST /api/v3/order?{} HTTP/1.1\r\nHost: venue\r\nX-MBX-APIKEY: {}\r\nContent-Length: 0\r\n\r\n",
                order(&client, &format!("{name}-{answered}")),
                client.key
            );
            let mut answer = Vec::new();
            if stream.write_all(request.as_bytes()).await.is_err() {
                break;
            }
            while !answer.ends_with(b"}") {
                match stream.read_buf(&mut answer).await {
                    Ok(1..) => {}
                    // A connection that came just when no more are accepted.
                    _ if answer.is_empty() && is_new => return answered,
                    ended => panic!("an order without its answer: {ended:?}, {:?}", String::from_utf8_lossy(&answer)),
                }
            }
            is_new = false;
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
            answered += 1;
            if answer.contains("\r\nconnection: close\r\n") {
                break;
            }
        }
    }
    answered
}

/// The same over a WebSocket, many at a time, until it is closed. Gives how many were answered.
async fn place_over_websocket(client: Client, sent: Arc<AtomicUsize>) -> usize {
    let (socket, _) = tokio_tungstenite::connect_async(format!("ws://{}/ws-api/v3", client.http)).await.unwrap();
    let (mut to, mut from) = socket.split();
    let asking = tokio::spawn(async move {
        loop {
            let number = sent.fetch_add(1, Ordering::Relaxed);
            let mut pairs: Vec<(String, String)> = [
                ("symbol", "BTCUSDT"),
                ("side", "BUY"),
                ("type", "LIMIT"),
                ("timeInForce", "GTC"),
                ("quantity", "0.001"),
                ("price", "9001"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
            pairs.push(("newClientOrderId".into(), format!("ws-{number}")));
            pairs.push(("timestamp".into(), millis().to_string()));
            pairs.push(("apiKey".into(), client.key.clone()));
            pairs.sort();
            let payload: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            pairs.push(("signature".into(), client.sign(&payload.join("&"))));
            let params: serde_json::Map<String, Value> =
                pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
            let request = serde_json::json!({"id": number, "method": "order.place", "params": params});
            if to.send(Message::text(request.to_string())).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let (mut answered, mut announced, mut code) = (0, false, None);
    while let Some(message) = from.next().await {
        match message.expect("an end, and no error") {
            Message::Text(text) => {
                let answer: Value = serde_json::from_str(&text).unwrap();
                if answer["event"]["e"] == "serverShutdown" {
                    announced = true;
                } else {
                    assert_eq!(answer["status"], 200, "{answer}");
                    answered += 1;
                }
            }
            Message::Close(frame) => code = frame.map(|frame| u16::from(frame.code)),
            _ => {}
        }
    }
    asking.abort();
    assert_eq!((announced, code), (true, Some(1001)));
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_gateway_that_is_replaced_turns_nobody_away_and_answers_all_that_it_took() {
    let mut config = crossbook_api_binance::Config::default();
    (config.limits.request_weight_1m, config.limits.raw_requests_5m) = (0, 0);
    (config.limits.orders_10s, config.limits.orders_1d) = (0, 0);
    let venue = Venue::start_with(config).await;
    let many = serde_json::json!({ "maxNumOrders": 100_000 });
    assert_eq!(venue.operator(reqwest::Method::PATCH, "markets/BTCUSDT", Some(many)).await.status, 200);
    let (http, admin, app) = (venue.http, venue.admin, Arc::clone(&venue.app));
    let end = Arc::new(AtomicBool::new(false));
    let visitors: Vec<_> = (0..4).map(|_| tokio::spawn(come_and_go(http, Arc::clone(&end)))).collect();
    let placing = ["a", "b"].map(|name| tokio::spawn(place_over_http(venue.alice.clone(), name)));
    let sent = Arc::new(AtomicUsize::new(0));
    let over_websocket = tokio::spawn(place_over_websocket(venue.bob.clone(), Arc::clone(&sent)));
    while sent.load(Ordering::Relaxed) < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for address in [http, admin] {
        assert!(ask(address, "/readyz").await.unwrap().starts_with("HTTP/1.1 200 "));
    }
    let begun = Instant::now();
    let stopping = tokio::spawn(venue.stop_after(DRAIN));
    while !app.gateway.is_draining() {
        tokio::task::yield_now().await;
    }
    for address in [http, admin] {
        let answer = ask(address, "/readyz").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("-1016"), "{answer}");
        assert!(ask(address, "/healthz").await.unwrap().starts_with("HTTP/1.1 200 "));
    }
    assert!(begun.elapsed() < DRAIN, "at once");
    stopping.await.unwrap();
    end.store(true, Ordering::Relaxed);

    let (mut served, mut told, mut turned_away) = (0, 0, 0);
    for visitor in visitors {
        for Tried { at, ended, answer } in visitor.await.unwrap() {
            match answer {
                Ok(answer) => {
                    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
                    served += 1;
                    if answer.contains("\r\nconnection: close\r\n") {
                        assert!(ended > begun + DRAIN, "asked to leave before the drain is over");
                        told += 1;
                    }
                }
                Err(error) => {
                    assert!(at > begun + DRAIN, "turned away {:?} into a drain of {DRAIN:?}: {error}", at - begun);
                    turned_away += 1;
                }
            }
        }
    }
    assert!(served > 50 && told > 0 && turned_away > 0, "{served} served, {told} told, {turned_away} turned away");
    let mut answered = over_websocket.await.unwrap();
    for placing in placing {
        answered += placing.await.unwrap();
    }
    let quantity: u64 = app
        .gateway
        .read_model
        .market("BTCUSDT", |market, _| market.depth().bids().map(|level| level.quantity.0).sum())
        .unwrap();
    // A step is a hundredth of an order.
    assert_eq!(quantity, 100 * answered as u64, "what was answered is what was done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_drain_connections_are_closed_at_once_and_politely() {
    let venue = Venue::start().await;
    // One that has been answered, one that has said nothing yet, and one that says it late.
    let mut idle = TcpStream::connect(venue.http).await.unwrap();
    idle.write_all(b"GET /api/v3/ping HTTP/1.1\r\nHost: venue\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"{}") {
        idle.read_buf(&mut answer).await.unwrap();
    }
    let silent = TcpStream::connect(venue.http).await.unwrap();
    let mut late = TcpStream::connect(venue.http).await.unwrap();
    let app = Arc::clone(&venue.app);
    let stopping = tokio::spawn(venue.stop());
    while !app.gateway.is_leaving() {
        tokio::task::yield_now().await;
    }
    late.write_all(b"GET /api/v3/time HTTP/1.1\r\nHost: venue\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    for mut connection in [idle, silent] {
        let mut rest = Vec::new();
        connection.read_to_end(&mut rest).await.expect("an end, and no reset");
        assert!(rest.is_empty());
    }
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_head_does_not_hold_up_the_end() {
    let mut config = crossbook_api_binance::Config::default();
    (config.server.shutdown_timeout_ms, config.server.header_read_timeout_ms) = (60_000, 60_000);
    let venue = Venue::start_with(config).await;
    let mut halves = Vec::new();
    for before in ["", "GET /api/v3/ping HTTP/1.1\r\nHost: venue\r\n\r\n"] {
        let mut half = TcpStream::connect(venue.http).await.unwrap();
        half.write_all(before.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !before.is_empty() && !answer.ends_with(b"{}") {
            half.read_buf(&mut answer).await.unwrap();
        }
        half.write_all(b"GET /api/v3/time HTTP/1.1\r\nHost: ve").await.unwrap();
        halves.push(half);
    }
    let begun = Instant::now();
    venue.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for mut half in halves {
        let mut rest = Vec::new();
        half.read_to_end(&mut rest).await.expect("an end, and no reset");
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
}
