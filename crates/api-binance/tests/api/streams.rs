//! Streams and the WebSocket API over real sockets, against a whole venue in this process.

use std::collections::BTreeMap;
use std::time::Duration;

use crossbook_types::{AccountId, Side};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::ws_venue::{Socket, Venue};

const PATIENCE: Duration = Duration::from_secs(20);

/// The next JSON message; pings are answered by the library.
pub async fn next(socket: &mut Socket) -> Value {
    serde_json::from_str(&next_text(socket).await).unwrap()
}

/// The next message as it came.
pub async fn next_text(socket: &mut Socket) -> String {
    let message = async {
        loop {
            match socket.next().await.unwrap().unwrap() {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected text, got {other:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, message).await.expect("a message in time")
}

pub async fn send(socket: &mut Socket, message: Value) {
    send_text(socket, &message.to_string()).await;
}

/// Sends a message as it is.
pub async fn send_text(socket: &mut Socket, message: &str) {
    socket.send(Message::text(message)).await.unwrap();
}

/// A small source of repeatable disorder.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

type Book = [BTreeMap<String, String>; 2];

fn take_levels(book: &mut BTreeMap<String, String>, levels: &Value) {
    for level in levels.as_array().unwrap() {
        let (price, quantity) = (level[0].as_str().unwrap(), level[1].as_str().unwrap());
        if quantity.bytes().all(|byte| byte == b'0' || byte == b'.') {
            book.remove(price);
        } else {
            book.insert(price.to_owned(), quantity.to_owned());
        }
    }
}

async fn snapshot(venue: &Venue) -> (u64, Book) {
    let url = format!("http://{}/api/v3/depth?symbol=BTCUSDT&limit=5000", venue.address);
    let depth: Value = serde_json::from_str(&reqwest::get(url).await.unwrap().text().await.unwrap()).unwrap();
    let mut book = Book::default();
    take_levels(&mut book[0], &depth["bids"]);
    take_levels(&mut book[1], &depth["asks"]);
    (depth["lastUpdateId"].as_u64().unwrap(), book)
}

async fn trade_at_random(venue: &Venue, draw: &mut Draw, orders: usize) {
    for _ in 0..orders {
        let account = if draw.below(2) == 0 { venue.accounts[0] } else { venue.accounts[1] };
        let side = if draw.below(2) == 0 { Side::Buy } else { Side::Sell };
        // Overlapping ranges, so that some orders trade and some rest.
        let price = if side == Side::Buy { 980 + draw.below(30) } else { 995 + draw.below(30) };
        venue.limit(account, side, price, 1 + draw.below(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_book_built_from_a_snapshot_and_changes_is_the_venues() {
    let venue = Venue::start().await;
    let mut draw = Draw(7);
    trade_at_random(&venue, &mut draw, 100).await;
    let mut socket = venue.connect("/ws/btcusdt@depth@100ms").await;
    trade_at_random(&venue, &mut draw, 50).await;
    let first = next(&mut socket).await;
    let (mut last, mut book) = snapshot(&venue).await;
    assert!(first["u"].as_u64().unwrap() <= last, "REST never lags the stream");
    trade_at_random(&venue, &mut draw, 200).await;
    let (end, expected) = snapshot(&venue).await;
    let mut event = first;
    let mut previous: Option<u64> = None;
    loop {
        let (from, to) = (event["U"].as_u64().unwrap(), event["u"].as_u64().unwrap());
        assert!(from <= to && previous.is_none_or(|previous| from == previous + 1), "no gaps: {event}");
        previous = Some(to);
        if to > last {
            assert!(from <= last + 1, "the first event that counts covers the snapshot");
            take_levels(&mut book[0], &event["b"]);
            take_levels(&mut book[1], &event["a"]);
            last = to;
        }
        if last >= end {
            break;
        }
        event = next(&mut socket).await;
    }
    assert_eq!(last, end);
    assert!(expected.iter().all(|side| !side.is_empty()), "a book worth comparing");
    assert_eq!(book, expected);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_subscribed_to_and_wrapped() {
    let venue = Venue::start().await;
    let mut raw = venue.connect("/ws/0").await;
    let mut combined = venue.connect("/stream?streams=btcusdt@trade/btcusdt@bookTicker").await;
    send(&mut raw, json!({"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade", "btcusdt@depth5@100ms"], "id": "s"}))
        .await;
    assert_eq!(next(&mut raw).await, json!({"result": null, "id": "s"}));
    venue.limit(venue.accounts[0], Side::Sell, 1_000, 5).await;
    // What happens before this one is told may be told together with it, each stream by itself.
    let ticker = next(&mut combined).await;
    assert_eq!(ticker["stream"], "btcusdt@bookTicker");
    assert_eq!((&ticker["data"]["a"], &ticker["data"]["A"]), (&json!("10.00000000"), &json!("0.00500000")));
    venue.limit(venue.accounts[1], Side::Buy, 1_000, 3).await;
    let trade = next(&mut combined).await;
    assert_eq!((&trade["stream"], &trade["data"]["q"]), (&json!("btcusdt@trade"), &json!("0.00300000")));
    let mut seen = Vec::new();
    while !seen.contains(&"aggTrade".to_owned()) || !seen.contains(&"depth".to_owned()) {
        let message = next(&mut raw).await;
        if message["e"] == "aggTrade" {
            assert_eq!((&message["a"], &message["q"], &message["m"]), (&json!(1), &json!("0.00300000"), &json!(false)));
            seen.push("aggTrade".to_owned());
        } else if message["asks"] == json!([["10.00000000", "0.00200000"]]) {
            assert_eq!(message["bids"], json!([]));
            seen.push("depth".to_owned());
        }
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_before_a_close_frame_are_answered() {
    let venue = Venue::start().await;
    for _ in 0..20 {
        let mut socket = venue.connect("/ws-api/v3").await;
        for id in 0..5 {
            let request = json!({"id": id, "method": "session.status"});
            socket.feed(Message::text(request.to_string())).await.unwrap();
        }
        socket.send(Message::Close(None)).await.unwrap();
        let (mut answered, mut closed) = (Vec::new(), false);
        while let Some(message) = socket.next().await {
            match message.expect("an end, and no error") {
                Message::Text(text) => answered.push(serde_json::from_str::<Value>(&text).unwrap()["id"].clone()),
                Message::Close(_) => closed = true,
                _ => {}
            }
        }
        assert!(closed, "with a goodbye of the venue's own");
        assert_eq!(answered, [json!(0), json!(1), json!(2), json!(3), json!(4)]);
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_too_loud_is_disconnected() {
    let venue = Venue::start().await;
    let mut socket = venue.connect("/ws").await;
    for id in 0..6 {
        send(&mut socket, json!({"method": "LIST_SUBSCRIPTIONS", "id": id})).await;
    }
    let end = async {
        let mut answers = 0;
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(_))) => answers += 1,
                Some(Ok(Message::Close(Some(frame)))) => return (answers, Some(u16::from(frame.code))),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return (answers, None),
            }
        }
    };
    let (answers, code) = tokio::time::timeout(PATIENCE, end).await.unwrap();
    assert!(answers <= 5);
    assert_eq!(code, Some(1008));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_placed_over_websocket_and_their_owner_is_told() {
    let venue = Venue::start().await;
    let [seller, buyer] = venue.accounts;
    let mut mine = venue.connect("/ws-api/v3").await;
    let mut other = venue.connect("/ws-api/v3?returnRateLimits=false").await;
    for (socket, account) in [(&mut mine, buyer), (&mut other, seller)] {
        send(socket, json!({"id": 1, "method": "session.logon", "params": venue.signed(account, &[])})).await;
        let answer = next(socket).await;
        assert_eq!(answer["status"], 200, "{answer}");
        assert_eq!(answer["rateLimits"].is_array(), account == buyer);
        send(socket, json!({"id": 2, "method": "userDataStream.subscribe"})).await;
        assert_eq!(next(socket).await["result"], json!({"subscriptionId": 0}));
    }
    venue.limit(seller, Side::Sell, 1_000, 5).await;
    let now = venue.now_millis();
    let order = |id: &str, price: &str| {
        json!({"id": id, "method": "order.place", "params": {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT",
            "timeInForce": "GTC", "quantity": "0.005", "price": price, "newClientOrderId": id, "timestamp": now}})
    };
    // Pipelined: the second is sent before the first is answered.
    send(&mut mine, order("takes", "10.00")).await;
    send(&mut mine, order("rests", "9.00")).await;
    let (mut answers, mut events) = (BTreeMap::new(), Vec::new());
    while answers.len() < 2 || events.len() < 5 {
        let message = next(&mut mine).await;
        match message.get("event") {
            Some(event) => events.push(event.clone()),
            None => {
                answers.insert(message["id"].as_str().unwrap().to_owned(), message);
            }
        }
    }
    assert_eq!(answers["takes"]["result"]["status"], "FILLED", "{answers:?}");
    assert_eq!(answers["rests"]["result"]["status"], "NEW");
    let told: Vec<_> = events
        .iter()
        .map(|event| (event["e"].as_str().unwrap(), event["c"].as_str(), event["x"].as_str(), event["X"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("executionReport", Some("takes"), Some("NEW"), Some("NEW")),
            ("executionReport", Some("takes"), Some("TRADE"), Some("FILLED")),
            ("outboundAccountPosition", None, None, None),
            ("executionReport", Some("rests"), Some("NEW"), Some("NEW")),
            ("outboundAccountPosition", None, None, None),
        ]
    );
    // The seller hears of the seller's own order only.
    for step in ["NEW", "TRADE"] {
        let report = loop {
            let message = next(&mut other).await["event"].take();
            if message["e"] == "executionReport" {
                break message;
            }
        };
        assert_eq!((&report["x"], &report["S"]), (&json!(step), &json!("SELL")));
    }
    send(&mut mine, json!({"id": 9, "method": "userDataStream.unsubscribe"})).await;
    assert_eq!(next(&mut mine).await["event"]["e"], "eventStreamTerminated");
    assert_eq!(next(&mut mine).await["result"], json!({}));
    send(
        &mut mine,
        json!({"id": 10, "method": "order.cancel", "params": venue.signed(buyer,
        &[("symbol", "BTCUSDT"), ("origClientOrderId", "rests"), ("newClientOrderId", "the end")])}),
    )
    .await;
    let refused = next(&mut mine).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(10), &json!(-1100)), "{refused}");
    send(&mut mine, json!({"id": 11, "method": "nothing"})).await;
    assert_eq!(next(&mut mine).await["status"], 400);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_that_is_not_the_keys_is_refused() {
    let venue = Venue::start().await;
    let mut socket = venue.connect("/ws-api/v3").await;
    let mut params = venue.signed(AccountId(1001), &[]);
    params["timestamp"] = json!(venue.now_millis() + 1);
    send(&mut socket, json!({"id": 1, "method": "session.logon", "params": params})).await;
    assert_eq!(next(&mut socket).await["error"]["code"], -1022);
    send(&mut socket, json!({"id": 2, "method": "userDataStream.subscribe"})).await;
    let answer = next(&mut socket).await;
    assert!(answer["error"].is_object(), "{answer}");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logon_signs_for_every_way_to_subscribe() {
    let venue = Venue::start().await;
    let mut socket = venue.connect("/ws-api/v3").await;
    let subscribe =
        |now: u64| json!({"id": 2, "method": "userDataStream.subscribe.signature", "params": {"timestamp": now}});
    send(&mut socket, subscribe(venue.now_millis())).await;
    assert_eq!(next(&mut socket).await["error"]["code"], -1102, "nobody has logged on");
    let logon = venue.signed(venue.accounts[0], &[]);
    send(&mut socket, json!({"id": 1, "method": "session.logon", "params": logon})).await;
    assert_eq!(next(&mut socket).await["status"], 200);
    send(&mut socket, subscribe(venue.now_millis() - 60_000)).await;
    assert_eq!(next(&mut socket).await["error"]["code"], -1021);
    send(&mut socket, subscribe(venue.now_millis())).await;
    assert_eq!(next(&mut socket).await["result"], json!({"subscriptionId": 0}));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_of_other_exchanges_may_stand_beside_this_ones() {
    let venue = Venue::start().await;
    let mut socket = venue.connect("/ws-api/v3").await;
    let order = |extra: &[(&str, &str)]| {
        let order = [
            ("symbol", "BTCUSDT"),
            ("side", "BUY"),
            ("type", "LIMIT_MAKER"),
            ("quantity", "0.005"),
            ("price", "9.00"),
            ("newClientOrderId", "mine"),
        ];
        json!({"id": 1, "method": "order.place", "params": venue.signed(venue.accounts[0], &[&order, extra].concat())})
    };
    for unknown in [("clientOrderId", "another"), ("postOnly", "false"), ("stopLossPrice", "8"), ("reduceOnly", "true")]
    {
        send(&mut socket, order(&[unknown])).await;
        assert_eq!(next(&mut socket).await["error"]["code"], -1104, "{unknown:?}");
    }
    send(&mut socket, order(&[("clientOrderId", "mine"), ("postOnly", "true")])).await;
    let answer = next(&mut socket).await;
    assert_eq!(answer["result"]["clientOrderId"], "mine", "{answer}");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_cannot_be_parsed_have_a_weight() {
    let venue = Venue::start().await;
    let mut socket = venue.connect("/ws-api/v3").await;
    // Weight counts by the minute; begin where it does not end soon.
    while venue.now_millis() % 60_000 > 50_000 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut used = Vec::new();
    for nonsense in [0, 7] {
        for _ in 0..nonsense {
            socket.send(Message::text("{")).await.unwrap();
            assert_eq!(next(&mut socket).await["error"]["code"], -1135);
        }
        send(&mut socket, json!({"id": 1, "method": "ping"})).await;
        used.push(next(&mut socket).await["rateLimits"][0]["count"].as_u64().unwrap());
    }
    assert_eq!(used[1] - used[0], 7 + 1);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_long_is_told_before_the_connection_ends() {
    let venue = Venue::start().await;
    for path in ["/ws", "/ws-api/v3"] {
        let mut socket = venue.connect(path).await;
        let long = format!("{{\"id\":1,\"method\":\"{}\"}}", "x".repeat(200_000));
        socket.send(Message::text(long)).await.unwrap();
        let closed = tokio::time::timeout(PATIENCE, async {
            while let Some(Ok(message)) = socket.next().await {
                if let Message::Close(frame) = message {
                    return frame;
                }
            }
            None
        });
        let frame = closed.await.unwrap().unwrap_or_else(|| panic!("{path}: no close frame"));
        assert_eq!(u16::from(frame.code), 1009, "{path}");
    }
    venue.stop().await;
}
