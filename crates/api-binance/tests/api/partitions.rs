//! A venue of three partitions answers its clients as a venue of one does: the tests of the API once more, and a long
//! random workload at both venues, compared answer by answer.

#[path = "rest.rs"]
#[allow(clippy::duplicate_mod, reason = "the same tests, in a venue of several partitions")]
mod rest;

use std::collections::BTreeMap;
use std::time::Duration;

use crossbook_api_binance::Config;
use crossbook_types::AccountId;
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::rest_venue::{Client, Reply, Venue, millis};

const PARTITIONS: u16 = 3;
const STEPS: usize = 400;
/// Steps between two looks at everything.
const LOOK_EVERY: usize = 40;
const MARKETS: [(&str, &str, &str, f64); 3] =
    [("BTCUSDT", "BTC", "USDT", 20_000.0), ("ETHBTC", "ETH", "BTC", 0.05), ("ETHUSDT", "ETH", "USDT", 1_000.0)];

/// What differs from one run to the next: the times, and the keys.
const OF_THE_RUN: [&str; 12] = [
    "time",
    "updateTime",
    "transactTime",
    "workingTime",
    "serverTime",
    "openTime",
    "closeTime",
    "opened",
    "issued",
    "lastUsed",
    "apiKey",
    "T",
];

fn without_times(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                *field = if OF_THE_RUN.contains(&name.as_str()) { Value::Null } else { without_times(field.take()) };
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(|entry| *entry = without_times(entry.take())),
        _ => {}
    }
    value
}

fn told(reply: Reply) -> (u16, Value) {
    (reply.status, without_times(reply.body))
}

/// Numbers that look random (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// A venue and its clients.
struct Side {
    venue: Venue,
    clients: Vec<Client>,
}

impl Side {
    async fn open(partitions: u16) -> Self {
        let mut config = Config::default();
        config.limits.request_weight_1m = 0;
        config.limits.raw_requests_5m = 0;
        config.limits.orders_10s = 0;
        let venue = Venue::start_in(partitions, config).await;
        venue.operator_does("assets", json!({ "asset": "ETH", "decimals": 8 })).await;
        for (symbol, base, quote, _) in &MARKETS[1..] {
            let market = json!({
                "symbol": symbol, "baseAsset": base, "quoteAsset": quote, "tickSize": "0.00001", "stepSize": "0.001",
                "makerFee": "0.001", "takerFee": "0.002", "minNotional": "0.00000002",
            });
            venue.operator_does("markets", market).await;
        }
        let mut clients = vec![venue.alice.clone(), venue.bob.clone()];
        for name in ["carol", "dave"] {
            clients.push(venue.client(name).await);
        }
        for client in &clients {
            let deposit = json!({ "asset": "ETH", "amount": "100", "transferId": "first-ETH" });
            venue.operator_does(&format!("accounts/{}/deposits", client.account), deposit).await;
        }
        Self { venue, clients }
    }

    async fn ask(&self, client: usize, method: Method, path: &str, parameters: &str) -> (u16, Value) {
        told(self.clients[client].send(method, path, parameters).await)
    }

    /// Everything that anybody can see.
    async fn look(&self) -> Vec<(String, (u16, Value))> {
        let mut seen = Vec::new();
        for (number, client) in self.clients.iter().enumerate() {
            let mut paths = vec!["account?".to_owned(), "openOrders?".to_owned()];
            for (symbol, ..) in MARKETS {
                paths.extend(["openOrders", "allOrders", "myTrades"].map(|path| format!("{path}?symbol={symbol}")));
            }
            for path in paths {
                let (operation, parameters) = path.split_once('?').unwrap();
                let answer = self.ask(number, Method::GET, &format!("/api/v3/{operation}"), parameters).await;
                seen.push((format!("{number} {path}"), answer));
            }
            let account = self.venue.operator(Method::GET, &format!("accounts/{}", client.account), None).await;
            seen.push((format!("account {number}"), told(account)));
        }
        let mut paths: Vec<String> =
            ["ticker/24hr", "ticker/24hr?type=MINI", "ticker/price", "ticker/bookTicker", "exchangeInfo"]
                .map(str::to_owned)
                .into();
        paths.push("ticker/bookTicker?symbols=%5B%22ETHUSDT%22,%22BTCUSDT%22%5D".to_owned());
        for (symbol, ..) in MARKETS {
            let of_market = ["depth", "trades", "historicalTrades", "aggTrades", "ticker/24hr", "avgPrice"];
            paths.extend(of_market.map(|path| format!("{path}?symbol={symbol}")));
        }
        for path in paths {
            seen.push((path.clone(), told(self.venue.get(&format!("/api/v3/{path}")).await)));
        }
        for path in ["assets", "markets", "accounts"] {
            seen.push((path.to_owned(), told(self.venue.operator(Method::GET, path, None).await)));
        }
        let audit = self.venue.operator(Method::GET, "audit", None).await.body;
        seen.push(("audit".to_owned(), (200, json!([audit["assets"], audit["ok"]]))));
        seen
    }
}

/// The next thing that a client does.
fn step(random: &mut Random, at: usize) -> (usize, Method, &'static str, String) {
    let mut draw = |below| random.below(below);
    let client = draw(4) as usize;
    let (symbol, _, _, price) = MARKETS[draw(3) as usize];
    let side = if draw(2) == 0 { "BUY" } else { "SELL" };
    let quantity = (1 + draw(200)) as f64 / if symbol == "BTCUSDT" { 1_000.0 } else { 10.0 };
    let near = price * (980 + draw(41)) as f64 / 1_000.0;
    let order = format!("symbol={symbol}&side={side}&newClientOrderId=step-{at}&newOrderRespType=FULL");
    let digits = if symbol == "BTCUSDT" { 2 } else { 5 };
    let limited = format!("quantity={quantity}&price={near:.digits$}");
    let place = |rest: String| (client, Method::POST, "/api/v3/order", format!("{order}&{rest}"));
    match draw(20) {
        0..=9 => place(format!("type=LIMIT&timeInForce=GTC&{limited}")),
        10 => place(format!("type=LIMIT&timeInForce=IOC&{limited}")),
        11 => place(format!("type=LIMIT&timeInForce=FOK&{limited}&selfTradePreventionMode=EXPIRE_BOTH")),
        12 => place(format!("type=LIMIT_MAKER&{limited}")),
        13 | 14 => place(format!("type=MARKET&quantity={quantity}")),
        15 => place(format!("type=MARKET&quoteOrderQty={:.digits$}", near * quantity)),
        16 => place(format!("type=STOP_LOSS_LIMIT&timeInForce=GTC&{limited}&stopPrice={near:.digits$}")),
        17 | 18 => {
            let earlier = draw(1 + at as u64);
            let cancel = format!("symbol={symbol}&origClientOrderId=step-{earlier}&newClientOrderId=cancel-{at}");
            (client, Method::DELETE, "/api/v3/order", cancel)
        }
        _ => (client, Method::GET, "/api/v3/account", String::new()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_partitions_answer_as_one() {
    let (one, three) = (Side::open(1).await, Side::open(PARTITIONS).await);
    let accounts: Vec<u64> = three.clients.iter().map(|client| client.account).collect();
    let homes =
        accounts.iter().map(|&account| three.venue.app.gateway.read_model.routing().of_account(AccountId(account)));
    let homes: std::collections::BTreeSet<_> = homes.collect();
    assert!(homes.len() > 1, "accounts in more than one partition");
    let mut random = Random(4);
    let mut taken = 0;
    for at in 0..STEPS {
        let (client, method, path, parameters) = step(&mut random, at);
        let expected = one.ask(client, method.clone(), path, &parameters).await;
        let answer = three.ask(client, method.clone(), path, &parameters).await;
        assert_eq!(answer, expected, "step {at}: {client} {method} {path} {parameters}");
        taken += usize::from(answer.0 == 200);
        // What another client sees in the same moment of what that has brought it.
        let other = (client + 1) % 4;
        let expected = one.ask(other, Method::GET, "/api/v3/account", "").await;
        assert_eq!(three.ask(other, Method::GET, "/api/v3/account", "").await, expected, "after step {at}");
        if (at + 1) % LOOK_EVERY == 0 {
            for (seen, expected) in three.look().await.into_iter().zip(one.look().await) {
                assert_eq!(seen, expected, "after step {at}");
            }
        }
    }
    let trades = one.venue.get("/api/v3/trades?symbol=ETHBTC").await.body.as_array().unwrap().len();
    assert!(taken > STEPS / 2 && trades > 10, "{taken} taken, {trades} trades");
    one.venue.stop().await;
    three.venue.stop().await;
}

/// A change of the rules holds for every order that is sent after it was answered, wherever the account and the market
/// are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_changes_holds_everywhere_at_once() {
    let venue = Venue::start_in(PARTITIONS, Config::default()).await;
    for round in 0..20 {
        let client = venue.client(&format!("client {round}")).await;
        let status = if round % 2 == 0 { "HALT" } else { "TRADING" };
        let changed = venue.operator(Method::PATCH, "markets/BTCUSDT", Some(json!({ "status": status }))).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        // This looks at what the market's own partition knows.
        let price = format!("/api/v3/ticker/price?symbol=BTCUSDT&symbolStatus={status}");
        assert_eq!(venue.get(&price).await.status, 200, "{status}");
        let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=10000";
        let placed = client.order(order).await;
        assert_eq!(placed.status, if round % 2 == 0 { 400 } else { 200 }, "{placed:?}");
        let held = client.balance("USDT").await.1;
        assert_eq!(held, if round % 2 == 0 { "0.00000000" } else { "100.00000000" });
    }
    venue.audit().await;
    venue.stop().await;
}

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn open(venue: &Venue, path: &str) -> Socket {
    connect_async(format!("ws://{}{path}", venue.http)).await.unwrap().0
}

async fn next(socket: &mut Socket) -> Value {
    let message = async {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), message).await.expect("a message in time")
}

/// A connection that receives what happens to a client's account.
async fn user_stream(venue: &Venue, client: &Client) -> Socket {
    let mut user = open(venue, "/ws-api/v3").await;
    let payload = format!("apiKey={}&timestamp={}", client.key, millis());
    let timestamp = payload.rsplit('=').next().unwrap();
    let params = json!({"apiKey": client.key, "timestamp": timestamp, "signature": client.sign(&payload)});
    let subscribe = json!({"id": 1, "method": "userDataStream.subscribe.signature", "params": params});
    user.send(Message::text(subscribe.to_string())).await.unwrap();
    assert_eq!(next(&mut user).await["status"], 200);
    user
}

/// Everything that a client and the public are told of a few orders: the steps of the client's orders in order, its
/// last balances, the trades, and the book as its changes make it.
async fn told_over_sockets(side: &Side) -> Value {
    let (mine, other) = (&side.clients[1], &side.clients[2]);
    let mut user = user_stream(&side.venue, mine).await;
    let streams = "btcusdt@trade/ethbtc@trade/ethbtc@depth@100ms/ethbtc@bookTicker";
    let mut public = open(&side.venue, &format!("/stream?streams={streams}")).await;

    let order = |symbol: &str, side: &str, quantity: &str, price: &str, name: &str| {
        format!(
            "symbol={symbol}&side={side}&type=LIMIT&timeInForce=GTC&quantity={quantity}&price={price}&newClientOrderId={name}"
        )
    };
    for (client, order) in [
        (other, order("ETHBTC", "SELL", "3", "0.05", "a")),
        (mine, order("ETHBTC", "BUY", "5", "0.05", "b")),
        (mine, order("BTCUSDT", "SELL", "0.01", "20000", "c")),
        (other, order("BTCUSDT", "BUY", "0.004", "20000", "d")),
    ] {
        let placed = client.order(&order).await;
        assert_eq!(placed.status, 200, "{placed:?}");
    }
    let deposit = json!({ "asset": "ETH", "amount": "7", "transferId": "second-ETH" });
    side.venue.operator_does(&format!("accounts/{}/deposits", mine.account), deposit).await;
    let cancelled = mine.delete("/api/v3/order", "symbol=ETHBTC&origClientOrderId=b&newClientOrderId=e").await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");

    // The last balances are those that the account shows.
    let mut expected = BTreeMap::new();
    for asset in ["BTC", "USDT", "ETH"] {
        expected.insert(asset.to_owned(), mine.balance(asset).await);
    }
    let (mut reports, mut balances, mut moved) = (Vec::new(), BTreeMap::new(), Vec::new());
    let mut executions = std::collections::BTreeSet::new();
    while reports.len() < 5 || balances != expected || moved.is_empty() {
        let mut event = next(&mut user).await["event"].take();
        match event["e"].as_str().unwrap() {
            "executionReport" => {
                assert!(executions.insert(event["I"].as_u64().unwrap()), "each report has a number of its own");
                for of_the_run in ["E", "T", "I", "O", "W"] {
                    event.as_object_mut().unwrap().remove(of_the_run);
                }
                reports.push(event);
            }
            "outboundAccountPosition" => {
                for balance in event["B"].as_array().unwrap() {
                    let text = |field: &str| balance[field].as_str().unwrap().to_owned();
                    balances.insert(text("a"), (text("f"), text("l")));
                }
            }
            _ => moved.push(json!([event["e"], event["a"], event["d"]])),
        }
    }
    // Of one market the reports are in order.
    reports.sort_by_key(|report| report["s"].to_string());

    let (mut trades, mut book, mut best) = (Vec::new(), BTreeMap::new(), Value::Null);
    let mut update = 0;
    while trades.len() < 2 || update < 4 || best["u"] != update {
        let message = next(&mut public).await;
        let data = &message["data"];
        match message["stream"].as_str().unwrap() {
            "ethbtc@depth@100ms" => {
                assert_eq!(data["U"], update + 1, "no change is missing");
                update = data["u"].as_u64().unwrap();
                for level in ["b", "a"].iter().flat_map(|side| data[side].as_array().unwrap()) {
                    book.insert(level[0].to_string(), level[1].to_string());
                }
            }
            "ethbtc@bookTicker" => best = data.clone(),
            _ => trades.push(json!([data["s"], data["t"], data["p"], data["q"], data["m"]])),
        }
    }
    json!([reports, expected, moved, trades, book, best])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_have_the_events_of_every_partition() {
    let (one, three) = (Side::open(1).await, Side::open(PARTITIONS).await);
    let (expected, told) = (told_over_sockets(&one).await, told_over_sockets(&three).await);
    assert_eq!(told, expected);
    one.venue.stop().await;
    three.venue.stop().await;
}
