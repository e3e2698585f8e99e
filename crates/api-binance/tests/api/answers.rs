//! Answers and reports contain the outcome of a command, whatever memory still has of it; and the effects of refusals
//! and ends of orders.

use std::time::Duration;

use crossbook_protocol::command::Body;
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_types::{
    AccountId, ClientOrderId, OptionalPrice, OrderType, Price, Quantity, SelfTradePrevention, Side, SymbolId,
    TimeInForce,
};
use crossbook_views::Limits;
use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tungstenite::Message;

use crossbook_api_binance::Config;

use crate::rest_venue::{Client, Venue, millis};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// No ended orders and no trades.
fn nothing() -> Limits {
    Limits {
        closed_orders_per_account: 0,
        closed_orders_per_market: 0,
        own_trades_per_account: 0,
        own_trades_per_market: 0,
        ..Limits::default()
    }
}

async fn message(socket: &mut Socket) -> Value {
    let message = async {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), message).await.expect("a message in time")
}

/// A session of the WebSocket API that is logged on and hears of the account.
pub async fn session(venue: &Venue, client: &Client) -> Socket {
    let (mut socket, _) = connect_async(format!("ws://{}/ws-api/v3?returnRateLimits=false", venue.http)).await.unwrap();
    let now = millis();
    let signature = client.sign(&format!("apiKey={}&timestamp={now}", client.key));
    let params = json!({"apiKey": client.key, "timestamp": now, "signature": signature});
    let subscribe = json!({"id": 1, "method": "userDataStream.subscribe.signature", "params": params});
    socket.send(Message::text(subscribe.to_string())).await.unwrap();
    assert_eq!(message(&mut socket).await["status"], 200);
    socket
}

/// The next reports of orders.
pub async fn reports(socket: &mut Socket, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    while found.len() < count {
        let event = message(socket).await["event"].take();
        if event["e"] == "executionReport" {
            found.push(event);
        }
    }
    found
}

pub fn steps(reports: &[Value]) -> Vec<(&str, &str)> {
    reports.iter().map(|report| (report["x"].as_str().unwrap(), report["X"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_and_reports_need_no_memory_of_ended_orders() {
    for partitions in [1, 3] {
        let venue = Venue::start_keeping(partitions, nothing(), Config::default()).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        let mut stream = session(&venue, bob).await;
        venue.values_nothing().await;
        alice.limit("SELL", "0.5", "20000").await;
        let taken = bob.order("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.2").await;
        assert_eq!((taken.status, &taken.body["status"]), (200, &json!("FILLED")), "{taken:?}");
        assert_eq!(taken.body["fills"].as_array().unwrap().len(), 1);
        let ioc = bob.order("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.1&price=19000").await;
        assert_eq!(
            (&ioc.body["status"], &ioc.body["expiryReason"]),
            (&json!("EXPIRED"), &json!("UNFILLED_IOC_QUANTITY_EXPIRED")),
            "{ioc:?}"
        );
        let resting = bob.limit("BUY", "0.1", "19000").await;
        let cancel = format!("symbol=BTCUSDT&orderId={}&newClientOrderId=gone", resting["orderId"]);
        let canceled = bob.delete("/api/v3/order", &cancel).await;
        assert_eq!(
            json!([canceled.status, canceled.body["status"], canceled.body["origQty"], canceled.body["clientOrderId"]]),
            json!([200, "CANCELED", "0.10000000", "gone"])
        );
        let told = reports(&mut stream, 6).await;
        assert_eq!(
            steps(&told),
            [
                ("NEW", "NEW"),
                ("TRADE", "FILLED"),
                ("NEW", "NEW"),
                ("EXPIRED", "EXPIRED"),
                ("NEW", "NEW"),
                ("CANCELED", "CANCELED")
            ]
        );
        assert_eq!(told[3]["eR"], "UNFILLED_IOC_QUANTITY_EXPIRED");
        let on_the_book: Vec<_> = told.iter().map(|report| report["w"].as_bool().unwrap()).collect();
        assert_eq!(on_the_book, [false, false, false, false, true, false], "only the last order ever rests");
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_of_all_orders_lists_all_of_them() {
    const ORDERS: u32 = 1_500;
    let venue = Venue::start_keeping(1, nothing(), Config::default()).await;
    let rules = json!({ "maxNumOrders": ORDERS });
    assert_eq!(venue.operator(Method::PATCH, "markets/BTCUSDT", Some(rules)).await.status, 200);
    let order = |n: u32| NewOrder {
        account: AccountId(venue.alice.account),
        terms: OrderTerms {
            symbol: SymbolId(0),
            client_order_id: ClientOrderId::new_checked(&format!("n{n}")).unwrap(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Some(Price(1_000_000)),
            size: Size::Base(Quantity(100)),
            stop_price: OptionalPrice::NONE,
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        },
    };
    let placed = join_all((0..ORDERS).map(|n| venue.app.gateway.submit(Body::Place(order(n)), None))).await;
    assert!(placed.iter().all(Result::is_ok));
    let canceled = venue.alice.delete("/api/v3/openOrders", "symbol=BTCUSDT").await;
    let listed = canceled.body.as_array().unwrap();
    assert_eq!((canceled.status, listed.len()), (200, ORDERS as usize));
    let ids: std::collections::BTreeSet<_> = listed.iter().map(|order| order["orderId"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), ORDERS as usize);
    assert!(listed.iter().all(|order| order["status"] == "CANCELED"));
    venue.stop().await;
}

/// The markets are rendered once and kept, until one is listed or changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchange_info_shows_a_change_at_once_and_the_same_otherwise() {
    let venue = Venue::start().await;
    let symbols = async |query: &str| venue.get(&format!("/api/v3/exchangeInfo{query}")).await.body["symbols"].take();
    let before = symbols("").await;
    assert_eq!(symbols("").await, before);
    venue.operator_does("assets", json!({"asset": "ETH", "decimals": 18})).await;
    let listed = json!({
        "symbol": "ETHBTC", "baseAsset": "ETH", "quoteAsset": "BTC", "tickSize": "0.00001", "stepSize": "0.001",
    });
    venue.operator_does("markets", listed).await;
    let after = symbols("").await;
    assert_eq!((&after[0], &after[1]["symbol"], after.as_array().unwrap().len()), (&before[0], &json!("ETHBTC"), 2));
    let halted = venue.operator(Method::PATCH, "markets/ETHBTC", Some(json!({"status": "HALT"}))).await;
    assert_eq!(halted.status, 200, "{halted:?}");
    for query in ["", "?symbol=ETHBTC", "?symbols=[\"ETHBTC\",\"BTCUSDT\"]", "?symbolStatus=HALT"] {
        let shown = symbols(query).await;
        let mut market = shown.as_array().unwrap().iter().find(|market| market["symbol"] == "ETHBTC").unwrap().clone();
        assert_eq!(market["status"], "HALT", "{query}");
        market["status"] = json!("TRADING");
        assert_eq!(market, after[1], "{query}");
    }
    assert_eq!(symbols("?symbolStatus=TRADING").await, before);
    let bare = symbols("?showPermissionSets=false").await;
    assert_eq!((&bare[0]["permissionSets"], &bare[0]["filters"]), (&json!([]), &before[0]["filters"]));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_the_matching_engine_refuses_is_reported() {
    for partitions in [1, 3] {
        let venue = Venue::start_in(partitions, Config::default()).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        let mut stream = session(&venue, bob).await;
        alice.limit("SELL", "0.1", "20000").await;
        alice.limit("SELL", "0.1", "20000").await;
        bob.limit("BUY", "0.1", "20000").await;
        reports(&mut stream, 2).await;
        let kept = bob
            .order("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=15000&newClientOrderId=kept")
            .await;
        assert_eq!(kept.status, 200);
        reports(&mut stream, 1).await;
        let refused = [
            ("poor", "side=BUY&type=LIMIT&timeInForce=GTC&quantity=90&price=20000", "INSUFFICIENT_BALANCES"),
            ("takes", "side=BUY&type=LIMIT_MAKER&quantity=0.1&price=20000", "WOULD_MATCH_IMMEDIATELY"),
            ("stops", "side=SELL&type=STOP_LOSS&quantity=0.1&stopPrice=20000", "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY"),
        ];
        for (name, order, _) in refused {
            let reply = bob.order(&format!("symbol=BTCUSDT&newClientOrderId={name}&{order}")).await;
            assert_eq!(reply.code(), (400, -2010), "{reply:?}");
        }
        // What the API refuses by itself, and refusals without a documented reason, are the sender's alone.
        assert_eq!(
            bob.order("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=0").await.status,
            400
        );
        let again = bob
            .order("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=15000&newClientOrderId=kept")
            .await;
        assert_eq!(again.text(), "Duplicate order sent.");
        bob.limit("BUY", "0.1", "15000").await;
        let mut told = reports(&mut stream, 4).await;
        assert_eq!((&told[3]["x"], &told[3]["X"]), (&json!("NEW"), &json!("NEW")), "the others are not reported");
        told.truncate(3);
        // In a cluster, funds are refused by one partition and the rest by another.
        told.sort_by_key(|report| refused.iter().position(|(name, ..)| report["c"] == *name));
        for (report, (name, _, reason)) in told.iter().zip(refused) {
            assert_eq!(
                json!([report["c"], report["x"], report["X"], report["r"], report["i"], report["w"], report["z"]]),
                json!([name, "REJECTED", "REJECTED", reason, 0, false, "0.00000000"])
            );
        }
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_orders_are_those_that_were_last_updated_in_a_stretch_of_time() {
    let venue = Venue::start().await;
    let alice = &venue.alice;
    let mut ids = Vec::new();
    for price in ["10000", "10001", "10002"] {
        ids.push(alice.limit("BUY", "0.1", price).await["orderId"].as_u64().unwrap());
        next_millisecond().await;
    }
    let between = millis();
    next_millisecond().await;
    let canceled = alice.delete("/api/v3/order", &format!("symbol=BTCUSDT&orderId={}", ids[0])).await;
    assert_eq!(canceled.status, 200);
    let listed = async |parameters: String| -> Vec<u64> {
        let body = alice.get("/api/v3/allOrders", &format!("symbol=BTCUSDT{parameters}")).await.body;
        body.as_array().unwrap().iter().map(|order| order["orderId"].as_u64().unwrap()).collect()
    };
    assert_eq!(listed(String::new()).await, [ids[1], ids[2], ids[0]], "by the time of their last update");
    assert_eq!(listed(format!("&startTime={between}")).await, [ids[0]]);
    assert_eq!(listed(format!("&endTime={between}")).await, [ids[1], ids[2]]);
    assert_eq!(listed(format!("&orderId={}", ids[1])).await, [ids[1], ids[2]]);
    assert_eq!(listed(format!("&orderId={}&startTime={between}", ids[1])).await, [ids[0]], "times win over a number");
    venue.stop().await;
}

/// Waits until the clock shows another millisecond.
async fn next_millisecond() {
    let now = millis();
    while millis() <= now + 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collected_fees_can_be_seen_and_paid_out() {
    for partitions in [1, 3] {
        let venue = Venue::start_in(partitions, Config::default()).await;
        venue.alice.limit("SELL", "1", "20000").await;
        venue.bob.limit("BUY", "1", "20000").await;
        venue.audit().await;
        let balances = async || venue.operator(Method::GET, "venue/balances", None).await.body;
        let of = |told: &Value, asset: &str| {
            told["balances"].as_array().unwrap().iter().find(|shown| shown["asset"] == asset).unwrap().clone()
        };
        let told = balances().await;
        assert_eq!(
            of(&told, "BTC"),
            json!({"asset": "BTC", "fees": "0.00200000", "external": "-20.00000000", "clearing": "0.00000000"})
        );
        assert_eq!(of(&told, "USDT")["fees"], "20.00000000");
        assert_eq!(told["partitions"].is_array(), partitions > 1);

        let pay = async |body: Value| venue.operator(Method::POST, "venue/withdrawals", Some(body)).await;
        // Each partition has what its own accounts have paid.
        let shares: Vec<(Value, String)> = match told["partitions"].as_array() {
            None => vec![(json!(0), "0.00200000".to_owned())],
            Some(each) => each
                .iter()
                .map(|each| (each["partition"].clone(), of(each, "BTC")["fees"].as_str().unwrap().to_owned()))
                .filter(|(_, fees)| fees != "0.00000000")
                .collect(),
        };
        assert!(!shares.is_empty());
        for (partition, fees) in &shares {
            let request = json!({"asset": "BTC", "amount": fees, "transferId": "earned", "partition": partition});
            let paid = pay(request.clone()).await;
            assert_eq!(
                json!([paid.status, paid.body["amount"], paid.body["transferId"], paid.body["partition"]]),
                json!([200, fees, "earned", partition])
            );
            assert_eq!(pay(request).await.body, paid.body, "a repetition has no second effect");
            let more = json!({"asset": "BTC", "amount": "0.00000001", "transferId": "more", "partition": partition});
            assert_eq!(pay(more).await.code(), (400, -1130));
            let other = json!({"asset": "BTC", "amount": "0.00000001", "transferId": "earned", "partition": partition});
            assert!(pay(other).await.text().contains("choose another id"));
        }
        let after = balances().await;
        assert_eq!(
            of(&after, "BTC"),
            json!({"asset": "BTC", "fees": "0.00000000", "external": "-19.99800000", "clearing": "0.00000000"})
        );
        venue.audit().await;
        let unnamed = pay(json!({"asset": "USDT", "amount": "1", "transferId": "unnamed"})).await;
        match partitions {
            1 => assert_eq!(unnamed.status, 200, "{unnamed:?}"),
            _ => assert!(unnamed.text().contains("partition must say which of the 3 partitions"), "{unnamed:?}"),
        }
        let nowhere = json!({"asset": "USDT", "amount": "1", "transferId": "nowhere", "partition": 7});
        assert_eq!(pay(nowhere).await.status, 404);
        venue.stop().await;
    }
}
