//! What only few orders ask for: accepted, kept and shown wherever an order is.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tungstenite::Message;

use crate::rest_venue::{Client, Venue, millis};

/// A venue under the newest rules.
pub async fn newest(partitions: u16) -> Venue {
    let venue = Venue::start_in(partitions, crossbook_api_binance::Config::default()).await;
    let newest = crossbook_protocol::Rules::NEWEST.number();
    let rules = venue.operator_does("rules", json!({ "rules": newest })).await;
    assert_eq!(rules["active"], newest, "{rules}");
    venue
}

/// Hears of an account's orders over the WebSocket API.
pub struct Reports(tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>);

impl Reports {
    pub async fn of(venue: &Venue, client: &Client) -> Self {
        let url = format!("ws://{}/ws-api/v3?returnRateLimits=false", venue.http);
        let mut reports = Self(connect_async(url).await.unwrap().0);
        let now = millis();
        let signature = client.sign(&format!("apiKey={}&timestamp={now}", client.key));
        let params = json!({"apiKey": client.key, "timestamp": now, "signature": signature});
        let subscribe = json!({"id": 1, "method": "userDataStream.subscribe.signature", "params": params});
        reports.0.send(Message::text(subscribe.to_string())).await.unwrap();
        assert_eq!(reports.message().await["status"], 200);
        reports
    }

    async fn message(&mut self) -> Value {
        let message = async {
            loop {
                if let Message::Text(text) = self.0.next().await.unwrap().unwrap() {
                    return serde_json::from_str(&text).unwrap();
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), message).await.expect("a message in time")
    }

    /// The next report of an order.
    pub async fn next(&mut self) -> Value {
        self.next_of("executionReport").await
    }

    /// The next event of that kind.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let event = self.message().await["event"].take();
            if event["e"] == kind {
                return event;
            }
        }
    }
}

const LIMIT: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=20000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strategy_is_shown_wherever_an_order_is() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let bob = &venue.bob;
        let mut reports = Reports::of(&venue, bob).await;
        let shown = |order: &Value| json!([order["strategyId"], order["strategyType"]]);
        let (both, neither) = (json!([9_007_199_254_740_993_i64, 1_000_000]), json!([null, null]));

        let placed = bob.order(&format!("{LIMIT}&strategyId=9007199254740993&strategyType=1000000")).await;
        assert_eq!((placed.status, shown(&placed.body)), (200, both.clone()), "{placed:?}");
        let told = reports.next().await;
        assert_eq!(json!([told["j"], told["J"]]), both);
        let id = format!("symbol=BTCUSDT&orderId={}", placed.body["orderId"]);
        assert_eq!(shown(&bob.get("/api/v3/order", &id).await.body), both);
        assert_eq!(shown(&bob.get("/api/v3/openOrders", "symbol=BTCUSDT").await.body[0]), both);
        assert_eq!(shown(&bob.get("/api/v3/allOrders", "symbol=BTCUSDT").await.body[0]), both);
        let cancelled = bob.delete("/api/v3/order", &id).await.body;
        assert_eq!((&cancelled["status"], shown(&cancelled)), (&json!("CANCELED"), both.clone()));
        assert_eq!(reports.next().await["j"], both[0]);
        assert_eq!(shown(&bob.get("/api/v3/order", &id).await.body), both, "an ended order keeps it");

        let plain = bob.order(LIMIT).await.body;
        assert_eq!(shown(&plain), neither);
        let told = reports.next().await;
        assert_eq!((told.get("j"), told.get("J")), (None, None));
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strategy_that_is_none_is_refused() {
    let venue = newest(1).await;
    let bob = &venue.bob;
    for (parameters, code) in [
        ("strategyType=999999", -1134),
        ("strategyType=0", -1134),
        ("strategyType=9999999999", -1108),
        ("strategyId=99999999999999999999", -1108),
        ("strategyId=x", -1100),
        ("strategyId=", -1105),
    ] {
        for path in ["/api/v3/order", "/api/v3/order/test"] {
            let refused = bob.post(path, &format!("{LIMIT}&{parameters}")).await;
            assert_eq!(refused.code(), (400, code), "{path} {parameters}: {refused:?}");
        }
    }
    venue.stop().await;

    let older = Venue::start().await;
    let refused = older.bob.order(&format!("{LIMIT}&strategyId=1")).await;
    assert_eq!(refused.code(), (400, -2010), "{refused:?}");
    older.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_part_of_an_iceberg_order_shows() {
    let venue = newest(3).await;
    let (alice, bob) = (&venue.alice, &venue.bob);
    let mut reports = Reports::of(&venue, bob).await;
    let placed = bob.order(&format!("{LIMIT}&icebergQty=0.03&newOrderRespType=RESULT")).await;
    assert_eq!((placed.status, &placed.body["icebergQty"]), (200, &json!("0.03000000")), "{placed:?}");
    assert_eq!(reports.next().await["F"], "0.03000000");
    let id = format!("symbol=BTCUSDT&orderId={}", placed.body["orderId"]);
    assert_eq!(bob.get("/api/v3/order", &id).await.body["icebergQty"], "0.03000000");
    assert_eq!(bob.balance("USDT").await.1, "2000.00000000", "all of it is locked");
    let bid = |depth: Value| depth["bids"][0].clone();
    assert_eq!(bid(venue.get("/api/v3/depth?symbol=BTCUSDT").await.body), json!(["20000.00000000", "0.03000000"]));
    let taken = alice.limit("SELL", "0.04", "20000").await;
    assert_eq!(taken["fills"].as_array().unwrap().len(), 2, "two parts: {taken}");
    assert_eq!(bid(venue.get("/api/v3/depth?symbol=BTCUSDT").await.body), json!(["20000.00000000", "0.02000000"]));
    let cancelled = bob.delete("/api/v3/order", &id).await.body;
    assert_eq!(
        json!([cancelled["executedQty"], cancelled["icebergQty"], cancelled["status"]]),
        json!(["0.04000000", "0.03000000", "CANCELED"])
    );
    assert_eq!(venue.get("/api/v3/depth?symbol=BTCUSDT").await.body["bids"], json!([]));
    assert_eq!(bob.balance("USDT").await.1, "0.00000000");

    let plain = bob.order(&format!("{LIMIT}&icebergQty=0&newOrderRespType=RESULT")).await.body;
    assert_eq!(plain.get("icebergQty"), None, "{plain}");
    let plain = bob.get("/api/v3/order", &format!("symbol=BTCUSDT&orderId={}", plain["orderId"])).await.body;
    assert_eq!(plain["icebergQty"], "0.00000000");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_says_which_icebergs_it_takes() {
    let venue = newest(1).await;
    let bob = &venue.bob;
    let rules = json!({"icebergParts": 4, "maxNumIcebergOrders": 1});
    let market = venue.operator(reqwest::Method::PATCH, "markets/BTCUSDT", Some(rules)).await.body;
    assert_eq!(market["icebergAllowed"], true, "{market}");
    let info = venue.get("/api/v3/exchangeInfo?symbol=BTCUSDT").await.body["symbols"][0].take();
    assert_eq!(info["icebergAllowed"], true);
    for filter in [
        json!({"filterType": "ICEBERG_PARTS", "limit": 4}),
        json!({"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 1}),
    ] {
        assert!(info["filters"].as_array().unwrap().contains(&filter), "{filter} in {info}");
    }
    assert_eq!(bob.order(&format!("{LIMIT}&icebergQty=0.025")).await.status, 200);
    let market_order = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1&icebergQty=0.05";
    for (order, code, text) in [
        (format!("{LIMIT}&icebergQty=0.05"), -1013, "Filter failure: MAX_NUM_ICEBERG_ORDERS"),
        (format!("{LIMIT}&icebergQty=0.02"), -1013, "Filter failure: ICEBERG_PARTS"),
        (format!("{LIMIT}&icebergQty=0.2"), -2010, "IcebergQty exceeds QTY."),
        (format!("{LIMIT}&icebergQty=0.050001"), -1013, "Filter failure: LOT_SIZE"),
        (LIMIT.replace("GTC", "IOC") + "&icebergQty=0.05", -1106, "Parameter 'icebergQty' sent when not required."),
        (market_order.to_owned(), -1106, "Parameter 'icebergQty' sent when not required."),
    ] {
        let refused = bob.order(&order).await;
        assert_eq!((refused.code(), refused.text()), ((400, code), text), "{order}");
    }
    let none = json!({"icebergParts": 0});
    venue.operator(reqwest::Method::PATCH, "markets/BTCUSDT", Some(none)).await;
    let refused = bob.order(&format!("{LIMIT}&icebergQty=0.05")).await;
    assert_eq!(refused.text(), "Iceberg orders are not supported for this symbol.");
    let info = venue.get("/api/v3/exchangeInfo?symbol=BTCUSDT").await.body["symbols"][0].take();
    assert_eq!((&info["icebergAllowed"], info.to_string().contains("ICEBERG")), (&json!(false), false));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trailing_stop_shows_when_it_began() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        let trade_at = async |price: &str| {
            alice.limit("SELL", "0.01", price).await;
            alice.limit("BUY", "0.01", price).await;
        };
        trade_at("20000").await;
        let mut reports = Reports::of(&venue, bob).await;
        let order = "symbol=BTCUSDT&side=SELL&type=STOP_LOSS_LIMIT&timeInForce=GTC&quantity=0.1&price=15000";
        let at_once = bob.order(&format!("{order}&trailingDelta=1000&newOrderRespType=RESULT")).await;
        assert_eq!((at_once.status, &at_once.body["trailingDelta"]), (200, &json!(1000)), "{at_once:?}");
        assert!(at_once.body["trailingTime"].as_i64() > Some(0) && at_once.body.get("stopPrice").is_none());
        let told = reports.next().await;
        assert_eq!((&told["d"], told["D"].is_u64()), (&json!(1000), true));
        let later = bob.order(&format!("{order}&trailingDelta=500&stopPrice=19500&newOrderRespType=RESULT")).await.body;
        assert_eq!(json!([later["trailingTime"], later["stopPrice"]]), json!([-1, "19500.00000000"]));
        let told = reports.next().await;
        assert_eq!((&told["d"], told.get("D")), (&json!(500), None));
        let get = async |order: &Value| {
            bob.get("/api/v3/order", &format!("symbol=BTCUSDT&orderId={}", order["orderId"])).await.body
        };
        trade_at("19000").await;
        let later = get(&later).await;
        assert!(later["trailingTime"].as_i64() > Some(0), "{later}");
        assert_eq!((&later["isWorking"], &later["status"]), (&json!(false), &json!("NEW")));
        trade_at("18000").await;
        for order in [&at_once.body, &later] {
            let triggered = get(order).await;
            assert_eq!((&triggered["isWorking"], &triggered["status"]), (&json!(true), &json!("NEW")), "{triggered}");
        }
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_says_which_trailing_stops_it_takes() {
    let venue = newest(1).await;
    let bob = &venue.bob;
    let info = venue.get("/api/v3/exchangeInfo?symbol=BTCUSDT").await.body["symbols"][0].take();
    assert_eq!(info["allowTrailingStop"], true);
    let filter = json!({
        "filterType": "TRAILING_DELTA", "minTrailingAboveDelta": 10, "maxTrailingAboveDelta": 2000,
        "minTrailingBelowDelta": 10, "maxTrailingBelowDelta": 2000,
    });
    assert!(info["filters"].as_array().unwrap().contains(&filter), "{info}");
    let order = "symbol=BTCUSDT&side=SELL&type=STOP_LOSS&quantity=0.1";
    let neither = "Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!";
    for (order, code, text) in [
        (order.to_owned(), -1102, neither),
        (format!("{order}&trailingDelta=9&stopPrice=9000"), -1013, "Filter failure: TRAILING_DELTA"),
        (format!("{order}&trailingDelta=2001&stopPrice=9000"), -1013, "Filter failure: TRAILING_DELTA"),
        (format!("{LIMIT}&trailingDelta=100"), -1106, "Parameter 'trailingDelta' sent when not required."),
    ] {
        let refused = bob.order(&order).await;
        assert_eq!((refused.code(), refused.text()), ((400, code), text), "{order}");
    }
    let none = json!({"maxTrailingAboveDelta": 0, "minTrailingAboveDelta": 0});
    venue.operator(reqwest::Method::PATCH, "markets/BTCUSDT", Some(none)).await;
    let none = json!({"maxTrailingBelowDelta": 0, "minTrailingBelowDelta": 0});
    venue.operator(reqwest::Method::PATCH, "markets/BTCUSDT", Some(none)).await;
    let refused = bob.order(&format!("{order}&trailingDelta=100&stopPrice=9000")).await;
    assert_eq!(refused.text(), "Trailing stop orders are not supported for this symbol.");
    let refused = venue.operator(reqwest::Method::PATCH, "markets/BTCUSDT", Some(json!({"minTrailingBelowDelta": 5})));
    assert_eq!(refused.await.status, 400);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_book_gives_a_pegged_order_its_price() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        alice.limit("BUY", "0.1", "20000").await;
        alice.limit("BUY", "0.1", "19000").await;
        let mut reports = Reports::of(&venue, bob).await;
        let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&newOrderRespType=RESULT";
        let peg = "pegPriceType=PRIMARY_PEG&pegOffsetType=PRICE_LEVEL&pegOffsetValue=1";
        let placed = bob.order(&format!("{order}&{peg}")).await;
        let shown = |order: &Value| {
            json!([
                order["price"],
                order["pegPriceType"],
                order["pegOffsetType"],
                order["pegOffsetValue"],
                order["peggedPrice"]
            ])
        };
        let expected = json!(["0.00000000", "PRIMARY_PEG", "PRICE_LEVEL", 1, "19000.00000000"]);
        assert_eq!((placed.status, shown(&placed.body)), (200, expected.clone()), "{placed:?}");
        let told = reports.next().await;
        assert_eq!(
            json!([told["p"], told["gP"], told["gOT"], told["gOV"], told["gp"]]),
            json!(["0.00000000", "PRIMARY_PEG", "PRICE_LEVEL", 1, "19000.00000000"])
        );
        let id = format!("symbol=BTCUSDT&orderId={}", placed.body["orderId"]);
        assert_eq!(shown(&bob.get("/api/v3/order", &id).await.body), expected);
        assert_eq!(bob.balance("USDT").await.1, "1900.00000000");
        let depth = venue.get("/api/v3/depth?symbol=BTCUSDT").await.body;
        assert_eq!(depth["bids"][1], json!(["19000.00000000", "0.20000000"]));
        assert_eq!(shown(&bob.delete("/api/v3/order", &id).await.body), expected);
        for (parameters, code, text) in [
            ("pegPriceType=PRIMARY", -1210, "Invalid pegPriceType."),
            ("pegPriceType=PRIMARY_PEG&pegOffsetType=TICK&pegOffsetValue=1", -1211, "Invalid pegOffsetType."),
            (
                "pegPriceType=PRIMARY_PEG&pegOffsetType=PRICE_LEVEL",
                -1128,
                "Fields [pegOffsetType, pegOffsetValue] must be sent together or omitted entirely.",
            ),
            ("pegPriceType=MARKET_PEG", -2010, "Order book liquidity is too low for this pegged order."),
        ] {
            let refused = bob.order(&format!("{order}&{parameters}")).await;
            assert_eq!((refused.code(), refused.text()), ((400, code), text), "{parameters}");
        }
        let market = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1&pegPriceType=MARKET_PEG";
        assert_eq!(bob.order(market).await.text(), "This order type may not use pegged price.");
        venue.stop().await;
    }
}
