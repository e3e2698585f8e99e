//! Hostile clients: too many requests, too slow, ill framed, or for what is not theirs.

use std::time::Duration;

use crossbook_api_binance::Config;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rest_venue::{Client, Venue};

async fn talk(venue: &Venue, text: &str) -> String {
    let mut stream = TcpStream::connect(venue.http).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
    read.await.expect("the connection is cut off in time").unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_and_slow_requests_are_cut_off() {
    let mut config = Config::default();
    config.server.body_bytes_max = 1_000;
    config.server.uri_bytes_max = 2_000;
    config.server.body_read_timeout_ms = 200;
    config.server.header_read_timeout_ms = 300;
    config.server.connections_per_ip_max = 60;
    let venue = Venue::start_with(config).await;
    let head = "POST /api/v3/order HTTP/1.1\r\nhost: x\r\n";
    let large = talk(&venue, &format!("{head}content-length: 1001\r\n\r\n{}", "x".repeat(1001))).await;
    assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
    let chunked =
        format!("{head}transfer-encoding: chunked\r\n\r\n{}", format!("1f4\r\n{}\r\n", "x".repeat(500)).repeat(3));
    assert!(talk(&venue, &chunked).await.starts_with("HTTP/1.1 413 "));
    let slow = talk(&venue, &format!("{head}content-length: 10\r\n\r\nabc")).await;
    assert!(slow.starts_with("HTTP/1.1 408 "), "{slow}");
    let long = talk(
        &venue,
        &format!("GET /api/v3/ping?{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "x".repeat(3_000)),
    )
    .await;
    assert!(long.starts_with("HTTP/1.1 414 "), "{long}");
    // Neither a head that does not end nor an idle connection stays.
    assert!(!talk(&venue, "GET /api/v3/ping HTTP/1.1\r\nhost: x\r\n").await.contains("200 OK"));
    assert!(talk(&venue, "GET /api/v3/ping HTTP/1.1\r\nhost: x\r\n\r\n").await.starts_with("HTTP/1.1 200 OK"));
    let mut open = Vec::new();
    for _ in 0..80 {
        open.push(TcpStream::connect(venue.http).await.unwrap());
    }
    let mut cut = 0;
    for stream in &mut open {
        let mut byte = [0];
        if let Ok(Ok(0) | Err(_)) = tokio::time::timeout(Duration::from_millis(10), stream.read(&mut byte)).await {
            cut += 1;
        }
    }
    assert!(cut >= 20, "{cut} of 80 connections were closed at once");
    drop(open);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_hides_in_another() {
    let mut config = Config::default();
    config.server.header_read_timeout_ms = 300;
    let venue = Venue::start_with(config).await;
    let hidden = "GET /api/v3/ping HTTP/1.1\r\nhost: x\r\n\r\n";
    let framings = [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        "content-length: 4\r\ncontent-length: 5\r\n\r\nabcd",
        "content-length: +4\r\n\r\nabcd",
        "content-length: -1\r\n\r\n",
        "content-length: 99999999999999999999\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    ];
    for framing in framings {
        let answers = talk(&venue, &format!("POST /api/v3/order HTTP/1.1\r\nhost: x\r\n{framing}{hidden}")).await;
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{framing:?}: {answers}");
        assert!(answers.starts_with("HTTP/1.1 4"), "{framing:?}: {answers}");
    }
    let both = talk(&venue, &hidden.repeat(2)).await;
    assert_eq!(both.matches("HTTP/1.1 200 OK").count(), 2, "honest pipelining works");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reaches_anothers_orders() {
    let venue = Venue::start().await;
    let order = venue.alice.limit("BUY", "0.1", "10000").await;
    let number = format!("symbol=BTCUSDT&orderId={}", order["orderId"]);
    let name = format!("symbol=BTCUSDT&origClientOrderId={}", order["clientOrderId"].as_str().unwrap());
    for order in [&number, &name] {
        assert_eq!(venue.bob.get("/api/v3/order", order).await.code(), (400, -2013));
        assert_eq!(venue.bob.delete("/api/v3/order", order).await.code(), (400, -2011));
    }
    assert_eq!(venue.bob.get("/api/v3/allOrders", &number).await.body, json!([]));
    assert_eq!(venue.bob.get("/api/v3/openOrders", "symbol=BTCUSDT").await.body, json!([]));
    assert_eq!(venue.bob.delete("/api/v3/openOrders", "symbol=BTCUSDT").await.code(), (400, -2011));
    let stolen = Client { key: venue.alice.key.clone(), ..venue.bob.clone() };
    assert_eq!(stolen.get("/api/v3/account", "").await.code(), (400, -1022), "a key is nothing without its secret");
    assert_eq!(venue.alice.get("/api/v3/openOrders", "").await.body.as_array().unwrap().len(), 1);
    venue.stop().await;
}
