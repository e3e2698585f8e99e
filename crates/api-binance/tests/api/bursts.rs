//! Bursts. A client that reads gets all of it; one that does not is disconnected after a time, or when its send queue
//! exceeds its bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbook_api_binance::Config;
use crossbook_gateway::facts::StreamSubscriber as _;
use crossbook_types::Side;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;
use tungstenite::Message;

use crate::ws_venue::{Socket, Venue};

/// More than any buffer of messages there was, and more than views keep of aggregate trades.
const ORDERS: u64 = 11_000;
const READERS: usize = 12;
const PATIENCE: Duration = Duration::from_secs(60);
/// What a slow reader reads at a time.
const STEP_BYTES: usize = 16 * 1024;

/// Reads until so many messages have come that `wanted` picks; gives the number that `id` finds in each.
async fn read(mut socket: Socket, count: u64, wanted: fn(&Value) -> Option<u64>) -> Vec<u64> {
    let mut seen = Vec::new();
    while (seen.len() as u64) < count {
        let message = timeout(PATIENCE, socket.next()).await.expect("a message in time");
        match message {
            Some(Ok(Message::Text(text))) => seen.extend(wanted(&serde_json::from_str(&text).unwrap())),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("after {} messages: {other:?}", seen.len()),
        }
    }
    seen
}

fn orders() -> u64 {
    std::env::var("CROSSBOOK_BURST_ORDERS").ok().and_then(|text| text.parse().ok()).unwrap_or(ORDERS)
}

fn readers() -> usize {
    std::env::var("CROSSBOOK_BURST_READERS").ok().and_then(|text| text.parse().ok()).unwrap_or(READERS)
}

/// Larger with `CROSSBOOK_BURST_ORDERS` and `CROSSBOOK_BURST_READERS`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_of_the_book_reaches_every_reader_completely() {
    let (orders, readers) = (orders(), readers());
    let venue = Venue::start().await;
    let [seller, buyer] = venue.accounts;
    venue.ladder(seller, 1_000, orders).await;
    let mut reading = Vec::new();
    for at in 0..readers {
        let path = ["/ws/btcusdt@trade", "/stream?streams=btcusdt@trade/btcusdt@depth"][at % 2];
        let socket = venue.connect(path).await;
        reading
            .push(tokio::spawn(read(socket, orders, |message| message.get("data").unwrap_or(message)["t"].as_u64())));
    }
    let aggregates = venue.connect("/ws/btcusdt@aggTrade").await;
    let aggregates = tokio::spawn(read(aggregates, orders, |message| message["a"].as_u64()));
    let mut owners = Vec::new();
    for account in [seller, buyer] {
        let mut socket = venue.connect("/ws-api/v3?returnRateLimits=false").await;
        let params = venue.signed(account, &[]);
        let subscribe = json!({"id": 1, "method": "userDataStream.subscribe.signature", "params": params});
        socket.send(Message::text(subscribe.to_string())).await.unwrap();
        let reports = |message: &Value| message["event"]["t"].as_u64().filter(|_| message["event"]["x"] == "TRADE");
        owners.push(tokio::spawn(read(socket, orders, reports)));
    }
    let connected = 3 + readers;
    while venue.app().hub.connections() < connected {
        tokio::task::yield_now().await;
    }
    while owners.len() < 2 || !venue.app().hub.interest().account(buyer) || !venue.app().hub.interest().account(seller)
    {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    venue.limit(buyer, Side::Buy, 1_000 + orders, orders).await;
    let all: Vec<u64> = (1..=orders).collect();
    for reader in reading.into_iter().chain(owners).chain([aggregates]) {
        assert_eq!(reader.await.unwrap(), all);
    }
    eprintln!("{orders} trades reached {connected} readers whole in {:?}", begun.elapsed());
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_of_many_orders_gets_its_answer_and_all_reports() {
    let orders = ORDERS.min(9_000);
    let venue = Venue::start().await;
    let seller = venue.accounts[0];
    venue.ladder(seller, 1_000, orders).await;
    let mut socket = venue.connect("/ws-api/v3?returnRateLimits=false").await;
    let subscribe =
        json!({"id": 1, "method": "userDataStream.subscribe.signature", "params": venue.signed(seller, &[])});
    let cancel =
        json!({"id": 2, "method": "openOrders.cancelAll", "params": venue.signed(seller, &[("symbol", "BTCUSDT")])});
    for request in [subscribe, cancel] {
        socket.send(Message::text(request.to_string())).await.unwrap();
    }
    let (mut reports, mut answered) = (0, false);
    while reports < orders || !answered {
        match timeout(PATIENCE, socket.next()).await.unwrap() {
            Some(Ok(Message::Text(text))) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                reports += u64::from(message["event"]["x"] == "CANCELED");
                answered |= message["id"] == 2 && message["status"] == 200;
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("after {reports} reports: {other:?}"),
        }
    }
    venue.stop().await;
}

/// What the system holds for a client that does not read, on this machine's own network.
const SYSTEM_BYTES: usize = 16 << 20;

/// Trades, some hundred bytes to each reader for each trade. Returns how many trades there were.
async fn trade(venue: &Venue) -> u64 {
    const TRADES: u64 = 500;
    let [seller, buyer] = venue.accounts;
    venue.ladder(seller, 1_000, TRADES).await;
    venue.limit(buyer, Side::Buy, 2_000, TRADES).await;
    TRADES
}

async fn close_code(mut socket: Socket) -> Option<u16> {
    loop {
        match timeout(PATIENCE, socket.next()).await.unwrap() {
            Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return None,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_nothing_is_disconnected() {
    let mut config = Config::default();
    config.streams.send_timeout_ms = 300;
    (config.limits.request_weight_1m, config.limits.ban_after) = (0, 0);
    let venue = Venue::start_with(config).await;
    let reading = venue.connect("/ws/btcusdt@trade").await;
    let reading = tokio::spawn(read(reading, u64::MAX, |message| message["t"].as_u64()));
    let deaf = venue.connect("/ws-api/v3").await;
    // Its answers fill what the system holds for it, and then wait.
    let (mut asks, hears) = deaf.split();
    let hub = Arc::clone(&venue.app().hub);
    let asked = async {
        let request =
            json!({"id": "x".repeat(60_000), "method": "ping", "params": {"returnRateLimits": false}}).to_string();
        for _ in 0..4 * SYSTEM_BYTES / 60_000 {
            if asks.send(Message::text(request.clone())).await.is_err() {
                break;
            }
        }
    };
    let cut_off = async {
        while hub.connections() > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, async { tokio::join!(asked, cut_off) }).await.expect("cut off in time");
    drop(hears);
    assert_eq!(venue.app().hub.budget.clients_cut_off(), 1);
    assert!(!reading.is_finished(), "and nobody else");
    reading.abort();
    venue.stop().await;
}

/// A steady reader that is slow enough for its pings to wait behind what the system would hold for it, were it let.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_but_steady_reader_is_not_disconnected() {
    const TRADES: u64 = 6_000;
    let mut config = Config::default();
    (config.streams.ping_interval_ms, config.streams.pong_timeout_ms) = (200, 1_000);
    let venue = Venue::start_with(config).await;
    let [seller, buyer] = venue.accounts;
    venue.ladder(seller, 1_000, TRADES).await;
    let mut slow = connect_narrow(&venue, "/stream?streams=btcusdt@trade/btcusdt@aggTrade").await;
    while venue.app().hub.connections() < 1 {
        tokio::task::yield_now().await;
    }
    venue.limit(buyer, Side::Buy, 1_000 + TRADES, TRADES).await;
    let (mut messages, mut bytes) = (0, 0);
    while messages < 2 * TRADES {
        match timeout(PATIENCE, slow.next()).await.expect("a message in time") {
            Some(Ok(Message::Text(text))) => {
                messages += 1;
                bytes += text.len();
            }
            Some(Ok(Message::Ping(_))) => slow.flush().await.unwrap(),
            other => panic!("after {messages} messages: {other:?}"),
        }
        // At most 250 KB a second.
        if bytes >= STEP_BYTES {
            bytes -= STEP_BYTES;
            tokio::time::sleep(Duration::from_millis(64)).await;
        }
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_nothing_is_cut_off_when_its_own_budget_or_that_of_all_is_spent() {
    for all_together in [false, true] {
        let mut config = Config::default();
        let streams = &mut config.streams;
        let budget =
            if all_together { &mut streams.send_queue_bytes_total_max } else { &mut streams.send_queue_bytes_max };
        *budget = 1 << 20;
        let venue = Venue::start_with(config).await;
        let mut reader = venue.connect("/ws/btcusdt@trade").await;
        let seen = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&seen);
        let reading = tokio::spawn(async move {
            while let Some(Ok(message)) = reader.next().await {
                counter.fetch_add(u64::from(message.is_text()), Ordering::Relaxed);
            }
        });
        let deaf = venue.connect("/stream?streams=btcusdt@trade/btcusdt@bookTicker/btcusdt@aggTrade").await;
        while venue.app().hub.connections() < 2 {
            tokio::task::yield_now().await;
        }
        let hub = Arc::clone(&venue.app().hub);
        let mut traded = 0;
        let trading = async {
            while hub.connections() == 2 {
                traded += trade(&venue).await;
                // On a busy machine the one that reads may be slow, too.
                while seen.load(Ordering::Relaxed) < traded && hub.connections() == 2 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        };
        timeout(PATIENCE, trading).await.expect("cut off in time");
        assert!(hub.budget.bytes() <= 1 << 20);
        assert_eq!(hub.budget.clients_cut_off(), 1);
        assert!(!reading.is_finished(), "whoever reads stays");
        // The close frame is behind what the system still holds, if there was room for it.
        let code = close_code(deaf).await;
        assert!(matches!(code, Some(1008) | None), "{code:?}");
        reading.abort();
        venue.stop().await;
    }
}

/// A connection for which the system holds little.
async fn connect_narrow(venue: &Venue, path: &str) -> tokio_tungstenite::WebSocketStream<tokio::net::TcpStream> {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(STEP_BYTES as u32).unwrap();
    let stream = socket.connect(venue.address).await.unwrap();
    let own = tungstenite::protocol::WebSocketConfig::default().read_buffer_size(4 * 1024);
    let url = format!("ws://{}{path}", venue.address);
    tokio_tungstenite::client_async_with_config(url, stream, Some(own)).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_stays_when_the_budget_of_all_is_spent_even_if_its_bytes_have_waited_for_longest() {
    const TRADES: u64 = 6_000;
    let mut config = Config::default();
    // Room for both bursts to the one that reads, and not for the second to the one that does not.
    config.streams.send_queue_bytes_total_max = 5 << 19;
    let venue = Venue::start_with(config).await;
    let [seller, buyer] = venue.accounts;
    let hub = Arc::clone(&venue.app().hub);
    let mut slow = connect_narrow(&venue, "/stream?streams=btcusdt@trade").await;
    venue.ladder(seller, 1_000, 2 * TRADES).await;
    while hub.connections() < 1 {
        tokio::task::yield_now().await;
    }
    venue.limit(buyer, Side::Buy, 1_000 + TRADES, TRADES).await;
    let reads = tokio::sync::Notify::new();
    let reading = async {
        let (mut messages, mut bytes) = (0, 0);
        while messages < 2 * TRADES {
            if messages == TRADES / 2 {
                reads.notify_one();
            }
            match timeout(PATIENCE, slow.next()).await.expect("a message in time") {
                Some(Ok(Message::Text(text))) => (messages, bytes) = (messages + 1, bytes + text.len()),
                Some(Ok(Message::Ping(_))) => slow.flush().await.unwrap(),
                other => panic!("after {messages} messages: {other:?}"),
            }
            // At most a MB a second.
            if bytes >= STEP_BYTES {
                bytes -= STEP_BYTES;
                tokio::time::sleep(Duration::from_millis(16)).await;
            }
        }
    };
    let trading = async {
        let deaf = connect_narrow(&venue, "/ws/btcusdt@trade/btcusdt@aggTrade").await;
        while hub.connections() < 2 {
            tokio::task::yield_now().await;
        }
        reads.notified().await;
        venue.limit(buyer, Side::Buy, 1_000 + 2 * TRADES, TRADES).await;
        deaf
    };
    let ((), deaf) = tokio::join!(reading, trading);
    assert_eq!(hub.budget.clients_cut_off(), 1);
    drop(deaf);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_url_may_name_as_many_streams_as_a_connection_may_have() {
    let venue = Venue::start().await;
    let streams_max = Config::default().streams.streams_max;
    let names = |count: usize| -> String {
        let longest = |at: usize| format!("symbol{at:014}@kline_15m@%2B08%3A00");
        (1..count).map(longest).chain(["btcusdt@trade".to_owned()]).collect::<Vec<_>>().join("/")
    };
    for path in ["/stream?streams=", "/ws/"] {
        let mut socket = venue.connect(&format!("{path}{}", names(streams_max))).await;
        let list = json!({"method": "LIST_SUBSCRIPTIONS", "id": 1}).to_string();
        socket.send(Message::text(list)).await.unwrap();
        let Some(Ok(Message::Text(text))) = socket.next().await else { panic!("{path}: no answer") };
        let answer: Value = serde_json::from_str(&text).unwrap();
        let answer = answer.get("data").unwrap_or(&answer);
        assert_eq!(answer["result"].as_array().unwrap().len(), streams_max, "{path}");
        let url = format!("ws://{}{path}{}", venue.address, names(streams_max + 1));
        let refused = tokio_tungstenite::connect_async(url).await.unwrap_err();
        assert!(matches!(&refused, tungstenite::Error::Http(answer) if answer.status() == 400), "{path}: {refused}");
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_names_of_one_stream_have_its_messages_each() {
    let venue = Venue::start().await;
    let mut combined = venue.connect("/stream?streams=btcusdt@depth/btcusdt@depth@1000ms").await;
    let mut raw = venue.connect("/ws/btcusdt@depth@1000ms").await;
    let subscribe = json!({"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": 1}).to_string();
    raw.send(Message::text(subscribe)).await.unwrap();
    assert!(matches!(raw.next().await, Some(Ok(Message::Text(_)))));
    venue.limit(venue.accounts[0], Side::Sell, 1_000, 5).await;
    let mut texts = Vec::new();
    for socket in [&mut combined, &mut raw] {
        for _ in 0..2 {
            let Ok(Some(Ok(Message::Text(text)))) = timeout(PATIENCE, socket.next()).await else { panic!() };
            texts.push(serde_json::from_str::<Value>(&text).unwrap());
        }
    }
    let mut names = [&texts[0]["stream"], &texts[1]["stream"]].map(|name| name.as_str().unwrap());
    names.sort_unstable();
    assert_eq!(names, ["btcusdt@depth", "btcusdt@depth@1000ms"]);
    assert_eq!(texts[0]["data"], texts[1]["data"]);
    assert!(texts[0]["data"] == texts[2] && texts[2] == texts[3] && texts[2]["e"] == "depthUpdate");
    venue.stop().await;
}
