//! Runs against small servers on real sockets, whose answers each test defines.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::accept_async;

use super::*;
use crate::http::{ErrorCount, Pace};

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(20);

fn trader() -> Trader {
    Trader { symbol: "BTCUSDT".to_owned(), key: "key".to_owned(), secret: "secret".to_owned() }
}

fn plan(address: SocketAddr, requests: u64) -> Plan {
    Plan { address, pace: Pace::Closed, requests, duration: DEADLINE, timeout: DEADLINE }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The next `count` requests of a connection.
async fn requests(socket: &mut WebSocketStream<TcpStream>, count: usize) -> Vec<Value> {
    let mut read = Vec::new();
    while read.len() < count {
        let Some(Ok(Message::Text(text))) = socket.next().await else { break };
        read.push(serde_json::from_str(&text).unwrap());
    }
    read
}

#[tokio::test]
async fn answers_may_come_in_any_order_and_refusals_are_counted() {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        let mut socket = accept_async(listener.accept().await.unwrap().0).await.unwrap();
        loop {
            let mut pair = requests(&mut socket, 2).await;
            pair.reverse();
            for request in pair {
                let answer = match request["params"]["side"].as_str() {
                    Some("BUY") => json!({"id": request["id"], "status": 200, "result": {}}),
                    _ => json!({"id": request["id"], "status": 400, "error": {"code": -2010, "msg": "no"}}),
                };
                socket.send(Message::text(answer.to_string())).await.unwrap();
            }
        }
    });
    let report = run(plan(address, 6), 2, &[trader()]).await.unwrap();
    assert_eq!((report.sent, report.succeeded, report.unsent), (6, 3, 0));
    let refused = ErrorKind::Refused { status: 400, code: Some(-2010) };
    assert_eq!(report.errors, [ErrorCount { kind: refused, count: 3 }]);
    assert_eq!(report.timeline.iter().sum::<u64>(), 3);
}

#[tokio::test]
async fn what_was_under_way_when_the_venue_hung_up_is_counted_as_lost() {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        let mut socket = accept_async(listener.accept().await.unwrap().0).await.unwrap();
        assert_eq!(requests(&mut socket, 3).await.len(), 3);
    });
    let report = run(plan(address, 100), 3, &[trader()]).await.unwrap();
    assert_eq!(report.succeeded, 0);
    assert_eq!(report.errors_of(ErrorKind::Disconnected), 3);
}

#[tokio::test]
async fn requests_are_signed_over_their_parameters_by_name() {
    let (listener, address) = listener().await;
    let read = tokio::spawn(async move {
        let mut socket = accept_async(listener.accept().await.unwrap().0).await.unwrap();
        requests(&mut socket, 1).await.remove(0)
    });
    let _ = run(plan(address, 1), 1, &[trader()]).await.unwrap();
    let request = read.await.unwrap();
    let parameters = request["params"].as_object().unwrap();
    let mut names: Vec<_> = parameters.keys().filter(|name| *name != "signature").collect();
    names.sort_unstable();
    let text = |name: &str| parameters[name].as_str().map_or_else(|| parameters[name].to_string(), str::to_owned);
    let payload: Vec<_> = names.iter().map(|name| format!("{name}={}", text(name))).collect();
    let expected = Credentials::new("key", "secret").sign(payload.join("&").as_bytes());
    assert_eq!(text("signature").as_bytes(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_tells_who_heard_what_and_who_was_cut_off() {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        let mut kept = Vec::new();
        for at in 0..2 {
            let mut socket = accept_async(listener.accept().await.unwrap().0).await.unwrap();
            for _ in 0..=at {
                socket.send(Message::text("{}")).await.unwrap();
            }
            // The first is cut off: its socket is dropped.
            if at == 1 {
                kept.push(socket);
            }
        }
        std::future::pending::<()>().await;
        drop(kept);
    });
    let streams = ["btcusdt@trade".to_owned()];
    let heard = tokio::task::spawn_blocking(move || {
        let audience = Audience::gather(address, &streams, 2).unwrap();
        let deadline = Instant::now() + DEADLINE;
        let everything = Received { messages: 3, bytes: 6, least: 2, most: 2, lost: 1 };
        while audience.received() != everything && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(audience.received(), everything);
    });
    heard.await.unwrap();
}
