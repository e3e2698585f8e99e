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
        loop {
            let event = self.message().await["event"].take();
            if event["e"] == "executionReport" {
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
