//! Trading sessions of markets: circuit breakers, as operator and clients see them.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tungstenite::Message;

use crate::instructions::newest;
use crate::rest_venue::{Venue, millis};

/// How long a market may take to reopen.
const SOON: Duration = Duration::from_secs(20);

/// The statuses of BTCUSDT as they change.
struct Statuses(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Statuses {
    async fn of(venue: &Venue) -> Self {
        let url = format!("ws://{}/ws/btcusdt@symbolStatus", venue.http);
        Self(connect_async(url).await.unwrap().0)
    }

    async fn next(&mut self) -> Value {
        let message = async {
            loop {
                if let Message::Text(text) = self.0.next().await.unwrap().unwrap() {
                    return serde_json::from_str(&text).unwrap();
                }
            }
        };
        tokio::time::timeout(SOON, message).await.expect("a message in time")
    }
}

async fn status(venue: &Venue) -> Value {
    let info = venue.get("/api/v3/exchangeInfo?symbol=BTCUSDT").await;
    assert_eq!(info.status, 200, "{info:?}");
    info.body["symbols"][0]["status"].clone()
}

/// The status of BTCUSDT in the list of all.
async fn listed(venue: &Venue) -> Value {
    let all = venue.get("/api/v3/exchangeInfo").await.body;
    let market = all["symbols"].as_array().unwrap().iter().find(|market| market["symbol"] == "BTCUSDT");
    market.map_or(Value::Null, |market| market["status"].clone())
}

/// Waits until BTCUSDT trades.
async fn until_it_trades(venue: &Venue) {
    let begun = Instant::now();
    while status(venue).await != "TRADING" {
        assert!(begun.elapsed() < SOON, "the market is still closed");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn session(venue: &Venue, method: Method, path: &str, body: Option<Value>) -> Value {
    let answer = venue.operator(method, &format!("markets/BTCUSDT/{path}"), body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_that_trips_is_shown_everywhere_until_the_market_reopens() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let mut statuses = Statuses::of(&venue).await;
        let breaker = json!({"moveBp": 1_000, "windowSeconds": 60, "pauseSeconds": 2, "auctionSeconds": 0});
        let set = session(&venue, Method::PUT, "breaker", Some(breaker.clone())).await;
        let open = json!({
            "symbol": "BTCUSDT", "status": "TRADING", "phase": "OPEN", "until": null, "breaker": breaker,
            "priceRange": null, "reference": null,
        });
        assert_eq!(set, open);
        assert_eq!(session(&venue, Method::GET, "session", None).await, open);
        // The first trade is at any price; the second would be too far from it.
        for price in ["40000", "45000"] {
            venue.bob.limit("SELL", "0.1", price).await;
        }
        let first = venue.alice.limit("BUY", "0.1", "40000").await;
        assert_eq!(first["status"], "FILLED");
        let before = millis();
        let tripping = venue.alice.limit("BUY", "0.1", "45000").await;
        assert_eq!((&tripping["status"], &tripping["expiryReason"]), (&json!("EXPIRED"), &json!("EXCHANGE_CANCELED")));
        let told = statuses.next().await;
        assert_eq!(
            (&told["e"], &told["s"], &told["S"]),
            (&json!("symbolStatus"), &json!("BTCUSDT"), &json!("CANCEL_ONLY"))
        );
        let until = told["u"].as_u64().unwrap();
        assert!((before + 1_900..before + 20_000).contains(&until), "{told}");
        assert_eq!(listed(&venue).await, "CANCEL_ONLY");
        let paused = session(&venue, Method::GET, "session", None).await;
        assert_eq!((&paused["phase"], &paused["until"]), (&json!("PAUSED"), &json!(until)));
        let none = venue.get("/api/v3/ticker/price?symbols=%5B%22BTCUSDT%22%5D&symbolStatus=TRADING").await;
        assert_eq!(none.body, json!([]));
        // Nobody sends an order, and it reopens all the same.
        until_it_trades(&venue).await;
        assert!(millis() + 100 >= until, "too early");
        let told = statuses.next().await;
        assert_eq!((&told["S"], &told["u"]), (&json!("TRADING"), &json!(0)));
        assert_eq!(venue.alice.limit("BUY", "0.1", "45000").await["status"], "FILLED");
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_sets_ends_and_removes_what_there_is() {
    let venue = newest(1).await;
    let none = venue.operator(Method::POST, "markets/BTCUSDT/session/end", None).await;
    assert_eq!((none.status, &none.body["code"]), (400, &json!(-1130)), "{none:?}");
    for (body, said) in [
        (json!({"moveBp": 0, "windowSeconds": 60, "pauseSeconds": 2}), "from 1 to 90000 basis points"),
        (json!({"moveBp": 100, "windowSeconds": 60}), "pauseSeconds"),
    ] {
        let refused = venue.operator(Method::PUT, "markets/BTCUSDT/breaker", Some(body)).await;
        assert_eq!(refused.status, 400);
        assert!(refused.body["msg"].as_str().unwrap().contains(said), "{refused:?}");
    }
    let nowhere = venue.operator(Method::GET, "markets/NOSUCH/session", None).await;
    assert_eq!((nowhere.status, &nowhere.body["code"]), (404, &json!(-1020)));
    let breaker = json!({"moveBp": 1, "windowSeconds": 60, "pauseSeconds": 86_400});
    session(&venue, Method::PUT, "breaker", Some(breaker)).await;
    for price in ["40000", "45000"] {
        venue.bob.limit("SELL", "0.1", price).await;
    }
    venue.alice.limit("BUY", "0.2", "45000").await;
    // One order trades at prices that are too far from each other for the next ones, not for itself.
    assert_eq!(status(&venue).await, "TRADING");
    venue.bob.limit("SELL", "0.1", "40000").await;
    venue.alice.limit("BUY", "0.1", "40000").await;
    assert_eq!(status(&venue).await, "CANCEL_ONLY");
    let mut statuses = Statuses::of(&venue).await;
    venue.operator(Method::PATCH, "markets/BTCUSDT", Some(json!({"status": "HALT"}))).await;
    assert_eq!(statuses.next().await["S"], "HALT");
    venue.operator(Method::PATCH, "markets/BTCUSDT", Some(json!({"status": "TRADING"}))).await;
    assert_eq!(statuses.next().await["S"], "CANCEL_ONLY");
    assert_eq!(session(&venue, Method::DELETE, "breaker", None).await["breaker"], Value::Null);
    assert_eq!(session(&venue, Method::POST, "session/end", None).await["status"], "TRADING");
    assert_eq!(statuses.next().await["S"], "TRADING");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auction_collects_orders_and_trades_them_at_one_price() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let mut statuses = Statuses::of(&venue).await;
        let collecting = session(&venue, Method::POST, "session/auction", Some(json!({"seconds": 2}))).await;
        assert_eq!((&collecting["status"], &collecting["phase"]), (&json!("AUCTION_MATCH"), &json!("COLLECTING")));
        assert_eq!(statuses.next().await["S"], "AUCTION_MATCH");
        assert_eq!(status(&venue).await, "AUCTION_MATCH");
        let named = venue.get("/api/v3/ticker/bookTicker?symbols=%5B%22BTCUSDT%22%5D&symbolStatus=AUCTION_MATCH").await;
        assert_eq!(named.body.as_array().unwrap().len(), 1);
        // None of them trades, though they would.
        let buys = [("0.3", "41000"), ("0.2", "40500")];
        let sells = [("0.1", "40000"), ("0.2", "40600")];
        let mut bids = Vec::new();
        for (quantity, price) in buys {
            bids.push(venue.alice.limit("BUY", quantity, price).await);
        }
        for (quantity, price) in sells {
            venue.bob.limit("SELL", quantity, price).await;
        }
        assert!(bids.iter().all(|order| order["status"] == "NEW"));
        let market = venue.alice.order("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1").await;
        let ioc = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.1&price=40000";
        let ioc = venue.alice.order(ioc).await;
        assert_eq!((market.code().1, ioc.code()), (-2010, (400, -2010)), "{market:?}");
        let depth = venue.get("/api/v3/depth?symbol=BTCUSDT").await.body;
        assert_eq!((depth["bids"].as_array().unwrap().len(), depth["asks"].as_array().unwrap().len()), (2, 2));
        // At 40600 and above three tenths are bid and offered; without a last trade it is the middle.
        until_it_trades(&venue).await;
        // That it matches has no end that is known.
        let matching = statuses.next().await;
        assert_eq!((&matching["S"], &matching["u"]), (&json!("AUCTION_MATCH"), &json!(0)));
        assert_eq!(statuses.next().await["S"], "TRADING");
        let trades = venue.get("/api/v3/trades?symbol=BTCUSDT").await.body;
        let trades: Vec<_> = trades.as_array().unwrap().iter().map(|t| (&t["price"], &t["qty"])).collect();
        let price = json!("40800.00000000");
        assert_eq!(trades, [(&price, &json!("0.10000000")), (&price, &json!("0.20000000"))]);
        let first = venue.alice.get("/api/v3/order", &format!("symbol=BTCUSDT&orderId={}", bids[0]["orderId"])).await;
        assert_eq!(first.body["status"], "FILLED");
        // What was held beyond the price is free again: 0.2 at 40500 is what is still held.
        assert_eq!(venue.alice.balance("USDT").await.1, "8100.00000000");
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auction_takes_no_new_lists_and_fills_those_that_are_there() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        let pair = "symbol=BTCUSDT&side=SELL&quantity=0.1&aboveType=LIMIT_MAKER&abovePrice=40000&belowType=STOP_LOSS\
                    &belowStopPrice=30000";
        let placed = alice.post("/api/v3/orderList/oco", pair).await.body;
        session(&venue, Method::POST, "session/auction", Some(json!({"seconds": 2}))).await;
        let refused = alice.post("/api/v3/orderList/oco", pair).await;
        assert_eq!(refused.code(), (400, -2010), "{refused:?}");
        bob.limit("BUY", "0.1", "40000").await;
        until_it_trades(&venue).await;
        let list = alice.get("/api/v3/orderList", &format!("orderListId={}", placed["orderListId"])).await.body;
        assert_eq!(list["listOrderStatus"], "ALL_DONE", "{list}");
        let mut ended = Vec::new();
        for order in placed["orders"].as_array().unwrap() {
            let query = format!("symbol=BTCUSDT&orderId={}", order["orderId"]);
            ended.push(alice.get("/api/v3/order", &query).await.body["status"].clone());
        }
        assert_eq!(ended, ["EXPIRED", "FILLED"]);
        assert_eq!(alice.balance("BTC").await.1, "0.00000000");
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delisted_market_is_gone_with_its_orders_and_another_takes_its_name() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let mut statuses = Statuses::of(&venue).await;
        let order = venue.alice.limit("BUY", "0.1", "40000").await;
        let gone = venue.operator(Method::DELETE, "markets/BTCUSDT", None).await;
        assert_eq!((gone.status, &gone.body["status"]), (200, &json!("DELISTED")), "{gone:?}");
        assert_eq!(statuses.next().await["S"], "DELISTED");
        let begun = Instant::now();
        while venue.alice.balance("USDT").await.1 != "0.00000000" {
            assert!(begun.elapsed() < SOON, "the order is still open");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(venue.get("/api/v3/exchangeInfo?symbol=BTCUSDT").await.code(), (400, -1121));
        assert_eq!(listed(&venue).await, Value::Null);
        let again = venue.operator(Method::DELETE, "markets/BTCUSDT", None).await;
        assert_eq!((again.status, &again.body["status"]), (200, &json!("DELISTED")));
        let never = venue.operator(Method::DELETE, "markets/NEVER", None).await;
        assert_eq!((never.status, &never.body["code"]), (404, &json!(-1020)));
        let market = json!({
            "symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "tickSize": "0.01", "stepSize": "0.00001",
        });
        assert_eq!(venue.operator(Method::POST, "markets", Some(market)).await.status, 200);
        let new = venue.alice.limit("BUY", "0.1", "40000").await;
        assert_eq!((&new["status"], &new["orderId"]), (&json!("NEW"), &json!(1)));
        assert_eq!(order["orderId"], json!(1));
        let open = venue.alice.get("/api/v3/openOrders", "symbol=BTCUSDT").await.body;
        assert_eq!(open.as_array().unwrap().len(), 1);
        venue.stop().await;
    }
}
