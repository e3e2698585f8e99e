//! A venue of three partitions answers its clients as one of a single partition does: the tests of the API once more, and one long
//! random day at both venues, answer by answer.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(dead_code, reason = "the venue is shared with other tests")]

#[path = "rest.rs"]
mod rest;

use crossbook_gateway::Config;
use reqwest::Method;
use rest::rest_venue::{Client, Reply, Venue};
use serde_json::{Value, json};

const PARTITIONS: u16 = 3;
const STEPS: usize = 400;
/// Steps between two looks at everything.
const LOOK_EVERY: usize = 40;
const MARKETS: [(&str, &str, &str, f64); 3] =
    [("BTCUSDT", "BTC", "USDT", 20_000.0), ("ETHBTC", "ETH", "BTC", 0.05), ("ETHUSDT", "ETH", "USDT", 1_000.0)];

/// What differs from one run to the next: the times, and the keys.
const OF_THE_RUN: [&str; 11] = [
    "time",
    "updateTime",
    "transactTime",
    "workingTime",
    "serverTime",
    "openTime",
    "closeTime",
    "opened",
    "issued",
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
                "makerFee": "0.001", "takerFee": "0.002",
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
        accounts.iter().map(|&account| three.venue.app.board.routing().of_account(crossbook_types::AccountId(account)));
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

/// A change of the rules holds for every order that is sent after it was answered, wherever the account and the market are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_changes_holds_everywhere_at_once() {
    let venue = Venue::start().await;
    for round in 0..20 {
        let client = venue.client(&format!("client {round}")).await;
        let status = if round % 2 == 0 { "HALT" } else { "TRADING" };
        let changed = venue.operator(Method::PATCH, "markets/BTCUSDT", Some(json!({ "status": status }))).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=10000";
        let placed = client.order(order).await;
        assert_eq!(placed.status, if round % 2 == 0 { 400 } else { 200 }, "{placed:?}");
        let held = client.balance("USDT").await.1;
        assert_eq!(held, if round % 2 == 0 { "0.00000000" } else { "100.00000000" });
    }
    venue.audit().await;
    venue.stop().await;
}
