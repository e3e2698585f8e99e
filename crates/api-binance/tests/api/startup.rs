//! The client address of a gateway that is starting, over real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crossbook_api_binance::startup::Startup;
use crossbook_gateway::book_snapshots::{BookSnapshot, BookSnapshots};
use crossbook_gateway::command_port::Soon;
use crossbook_http::ServerConfig;
use crossbook_http::server;
use crossbook_node::NotAccepted;
use crossbook_types::Decimal;
use serde_json::{Value, json};
use tokio::sync::watch;

/// One market, one that is out of reach, and no other.
struct Books;

impl BookSnapshots for Books {
    fn book(&self, symbol: &str) -> Soon<'_, Option<BookSnapshot>> {
        let level = |price, quantity| (Decimal::parse(price).unwrap(), Decimal::parse(quantity).unwrap());
        let found = match symbol {
            "BTCUSDT" => Ok(Some(BookSnapshot {
                last_update: 12,
                bids: vec![level("99.5", "1"), level("99", "2")],
                asks: vec![level("100", "0.5")],
            })),
            "AWAYUSDT" => Err(NotAccepted::Silent),
            _ => Ok(None),
        };
        Box::pin(async move { found })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_starting_gateway_shows_the_books_and_refuses_everything_else() {
    let listener = server::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let opening = Arc::new(Startup::new(Box::new(Books)));
    let served = tokio::spawn(server::serve(listener, ServerConfig::default(), opening, stopped));
    let client = reqwest::Client::new();
    let ask = async |path: &str| -> (u16, Value) {
        let response = client.get(format!("http://{address}{path}")).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    };
    assert_eq!(ask("/api/v3/ping").await, (200, json!({})));
    assert!(ask("/api/v3/time").await.1["serverTime"].as_u64().unwrap() > 1_600_000_000_000);
    let (status, depth) = ask("/api/v3/depth?symbol=BTCUSDT&limit=1").await;
    let expected =
        json!({"lastUpdateId": 12, "bids": [["99.50000000", "1.00000000"]], "asks": [["100.00000000", "0.50000000"]]});
    assert_eq!((status, depth), (200, expected));
    let (status, best) = ask("/api/v3/ticker/bookTicker?symbol=BTCUSDT").await;
    assert_eq!((status, &best["bidPrice"], &best["askQty"]), (200, &json!("99.50000000"), &json!("0.50000000")));
    for (path, status, code) in [
        ("/api/v3/depth", 400, -1102),
        ("/api/v3/depth?symbol=BTCUSDT&limit=x", 400, -1100),
        ("/api/v3/depth?symbol=no%20name", 400, -1100),
        ("/api/v3/depth?symbol=NONEUSDT", 400, -1121),
        ("/api/v3/depth?symbol=AWAYUSDT", 503, -1008),
        ("/api/v3/ticker/bookTicker", 503, -1008),
        ("/api/v3/account", 503, -1008),
        ("/ws/btcusdt@trade", 503, -1008),
        ("/openapi.json", 503, -1008),
    ] {
        let (got, body) = ask(path).await;
        assert_eq!((got, body["code"].as_i64().unwrap()), (status, code), "{path}: {body}");
    }
    assert_eq!(ask("/readyz").await.0, 503);
    assert_eq!(ask("/healthz").await.0, 200);
    stop.send(true).unwrap();
    served.await.unwrap();
}
