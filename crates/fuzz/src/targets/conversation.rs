//! WebSockets. Each line of the input of the message targets is a message, and each gets exactly one answer; in those
//! to the API, a parameter `signature` of `HMAC` is replaced by the right one, and `"NOW"` by the time. For `frames`,
//! whose input is sent as it is, the first byte chooses between the two.

use std::collections::BTreeSet;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::tungstenite::Message;

use crate::connection;
use crate::input;
use crate::venue::{HMAC_KEY, Venue, sign};

const API: &str = "/ws-api/v3";
const STREAMS: &str = "/ws";

thread_local! {
    static VENUE: Venue = Venue::new();
}

pub(super) fn api(bytes: &[u8]) {
    let messages: Vec<String> = input::text(bytes).lines().map(completed).collect();
    VENUE.with(|venue| {
        venue.reset();
        let told = talk(venue, API, &messages);
        assert_eq!(told.len(), messages.len(), "each message has its answer");
        for answer in told {
            let answer: Value = serde_json::from_str(&answer).expect("answers are JSON");
            assert!(matches!(answer["id"], Value::Null | Value::Number(_) | Value::String(_)), "{answer}");
            assert!(answer["status"].as_u64().is_some_and(|status| status < 500), "{answer}");
            assert!(answer.get("result").is_some() != answer["error"]["code"].is_i64(), "{answer}");
        }
        venue.audit();
    });
}

/// Signs a message that asks for it.
pub(super) fn completed(line: &str) -> String {
    let now = crossbook_gateway::clock::now().millis().to_string();
    let line = line.replace("\"NOW\"", &now);
    let Ok(mut message) = serde_json::from_str::<Value>(&line) else { return line };
    let Some(params) = message.get_mut("params").and_then(Value::as_object_mut) else { return line };
    if params.get("signature") != Some(&json!("HMAC")) {
        return line;
    }
    params.remove("signature");
    params.entry("apiKey").or_insert(json!(HMAC_KEY));
    let written = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut pairs: Vec<(&String, &Value)> = params.iter().filter(|(_, value)| !value.is_null()).collect();
    pairs.sort_unstable_by_key(|(name, _)| *name);
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", written(value))).collect();
    params.insert("signature".to_owned(), json!(sign(&pairs.join("&"))));
    message.to_string()
}

/// Sends messages, and gives what comes back until as much has come back.
pub(super) fn talk(venue: &Venue, path: &str, messages: &[String]) -> Vec<String> {
    connection::with(venue, venue.rest(), async |connection| {
        let url = format!("ws://venue{path}");
        let (mut socket, _) = tokio_tungstenite::client_async(url, connection).await.expect("it is a WebSocket");
        for message in messages {
            socket.feed(Message::text(message.as_str())).await.expect("it is open");
        }
        socket.flush().await.expect("it is open");
        let mut told = Vec::new();
        while told.len() < messages.len() {
            match socket.next().await {
                // An event answers nothing.
                Some(Ok(Message::Text(text))) if text.contains("\"eventStreamTerminated\"") => {}
                Some(Ok(Message::Text(text))) => told.push(text.to_string()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            }
        }
        told
    })
}

pub(super) fn streams(bytes: &[u8]) {
    let messages: Vec<String> = input::text(bytes).lines().map(str::to_owned).collect();
    VENUE.with(|venue| {
        let told = talk(venue, STREAMS, &messages);
        assert_eq!(told.len(), messages.len(), "each message has its answer");
        let mut names = BTreeSet::new();
        for (message, answer) in messages.iter().zip(&told) {
            let answer: Value = serde_json::from_str(answer).expect("answers are JSON");
            if answer.get("result").is_none() {
                assert!(answer["code"].is_u64() && answer["msg"].is_string(), "{answer}");
                continue;
            }
            let message: Value = serde_json::from_str(message).expect("what is carried out was understood");
            assert_eq!(answer["id"], message["id"]);
            let listed =
                || message["params"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap_or_default());
            match message["method"].as_str() {
                Some("SUBSCRIBE") => names.extend(listed().map(str::to_owned)),
                Some("UNSUBSCRIBE") => names.retain(|name| !listed().any(|gone| gone == name)),
                Some("LIST_SUBSCRIPTIONS") => assert_eq!(answer["result"], json!(names)),
                _ => {}
            }
        }
    });
}

pub(super) fn frames(bytes: &[u8]) {
    let (choice, bytes) = input::choice(bytes);
    let path = if choice % 2 == 0 { API } else { STREAMS };
    let upgrade = format!(
        "GET {path} HTTP/1.1\r\nHost: venue\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    VENUE.with(|venue| {
        venue.reset();
        connection::with(venue, venue.rest(), async |mut connection: DuplexStream| {
            connection.write_all(upgrade.as_bytes()).await.expect("it is open");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(connection.read_u8().await.expect("an answer has a head"));
            }
            assert!(head.starts_with(b"HTTP/1.1 101 "));
            // A gateway that has received enough closes the connection.
            if connection.write_all(bytes).await.is_ok() {
                let _ = connection.shutdown().await;
            }
            while next_frame(&mut connection).await.is_ok_and(|kind| kind != CLOSE) {}
        });
        venue.audit();
    });
}

/// The kind of a frame that is the last.
const CLOSE: u8 = 8;

/// Passes over a frame of the gateway's, and gives its kind.
async fn next_frame(connection: &mut DuplexStream) -> std::io::Result<u8> {
    let first = connection.read_u8().await?;
    assert!([0x81, 0x80 | CLOSE, 0x89, 0x8a].contains(&first), "a whole text, a goodbye, a ping or a pong: {first:#x}");
    let length = match connection.read_u8().await? {
        length @ 0..126 => u64::from(length),
        126 => u64::from(connection.read_u16().await?),
        127 => connection.read_u64().await?,
        _ => panic!("only clients mask their frames"),
    };
    tokio::io::copy(&mut (&mut *connection).take(length), &mut tokio::io::sink()).await?;
    Ok(first & 0xf)
}
