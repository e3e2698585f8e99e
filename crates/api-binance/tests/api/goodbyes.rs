//! How WebSocket connections end: each side has the other's close frame, with the code that says why.

use std::time::Duration;

use crossbook_types::AccountId;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ws_venue::Venue;

const PATIENCE: Duration = Duration::from_secs(20);
const PATHS: [&str; 4] = ["/ws", "/ws/btcusdt@trade", "/stream?streams=btcusdt@trade", "/ws-api/v3"];

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// A client that says exactly what it is told to, and takes nothing for granted.
struct Raw(TcpStream);

/// A frame from the venue.
#[derive(Debug)]
struct Frame {
    opcode: u8,
    payload: Vec<u8>,
}

impl Frame {
    /// The code of a close frame; 1005 if there is none, as clients say.
    fn code(&self) -> u16 {
        assert_eq!(self.opcode, CLOSE, "{self:?}");
        self.payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]))
    }
}

impl Raw {
    async fn connect(venue: &Venue, path: &str) -> Self {
        let mut stream = TcpStream::connect(venue.address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: venue\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{path}: {}", String::from_utf8_lossy(&head));
        Self(stream)
    }

    async fn send(&mut self, first: u8, masked: bool, payload: &[u8]) {
        let mut bytes = vec![first];
        let mask = if masked { 0x80 } else { 0 };
        match payload.len() {
            short @ ..126 => bytes.push(mask | u8::try_from(short).unwrap()),
            long => {
                bytes.push(mask | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        if masked {
            // A mask of zeros changes nothing.
            bytes.extend([0; 4]);
        }
        bytes.extend(payload);
        self.0.write_all(&bytes).await.unwrap();
    }

    /// A whole frame, as clients have to send them.
    async fn say(&mut self, opcode: u8, payload: &[u8]) {
        self.send(0x80 | opcode, true, payload).await;
    }

    async fn close(&mut self, code: u16) {
        self.say(CLOSE, &code.to_be_bytes()).await;
    }

    async fn frame(&mut self) -> std::io::Result<Frame> {
        let head = [self.0.read_u8().await?, self.0.read_u8().await?];
        assert_eq!((head[0] & 0xf0, head[1] & 0x80), (0x80, 0), "whole, and without a mask");
        let length = match head[1] {
            126 => u64::from(self.0.read_u16().await?),
            127 => self.0.read_u64().await?,
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await?;
        Ok(Frame { opcode: head[0] & 0xf, payload })
    }

    /// Texts up to the close frame, and that frame's code. Behind it the connection ends, and not with an error.
    async fn end(&mut self) -> (Vec<Value>, u16) {
        let (texts, code) = self.until_close().await;
        let mut rest = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.unwrap().expect("an end, and no reset");
        assert!(rest.is_empty(), "nothing comes after the close frame: {rest:?}");
        (texts, code)
    }

    async fn until_close(&mut self) -> (Vec<Value>, u16) {
        let mut texts = Vec::new();
        loop {
            let frame = timeout(PATIENCE, self.frame()).await.unwrap().expect("a close frame before the end");
            match frame.opcode {
                TEXT => texts.push(serde_json::from_slice(&frame.payload).unwrap()),
                CLOSE => return (texts, frame.code()),
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_close_frame_is_answered_with_its_code() {
    let venue = Venue::start().await;
    for path in PATHS {
        for code in [1000, 1001, 4000] {
            let mut client = Raw::connect(&venue, path).await;
            client.close(code).await;
            assert_eq!(client.end().await, (vec![], code), "{path}");
        }
        let mut without_code = Raw::connect(&venue, path).await;
        without_code.say(CLOSE, &[]).await;
        assert_eq!(without_code.end().await.1, 1005, "{path}");
        let mut forbidden = Raw::connect(&venue, path).await;
        forbidden.close(1005).await;
        assert_eq!(forbidden.end().await.1, 1002, "{path}");
    }
    let mut owner = Raw::connect(&venue, "/ws-api/v3").await;
    let subscribe = venue.signed(venue.accounts[0], &[]);
    let request = json!({"id": 1, "method": "userDataStream.subscribe.signature", "params": subscribe});
    owner.say(TEXT, request.to_string().as_bytes()).await;
    owner.close(1000).await;
    let (texts, code) = owner.end().await;
    assert_eq!((texts[0]["status"].as_u64(), code), (Some(200), 1000), "user streams too: {texts:?}");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_violation_of_the_protocol_is_answered_with_its_code() {
    let venue = Venue::start().await;
    type Frames = &'static [(u8, bool, &'static [u8])];
    let cases: &[(&str, Frames, u16)] = &[
        ("text that is no UTF-8", &[(0x80 | TEXT, true, b"\xc3\x28")], 1007),
        ("text that ends within a character", &[(0x80 | TEXT, true, b"{\"\xe2\x82")], 1007),
        ("bytes that are no text", &[(0x80 | BINARY, true, b"\xff")], 1007),
        ("parts that are no text together", &[(TEXT, true, b"\xe2"), (0x80, true, b"\x28")], 1007),
        ("an unmasked frame", &[(0x80 | TEXT, false, b"{}")], 1002),
        ("a reserved bit", &[(0xc0 | TEXT, true, b"{}")], 1002),
        ("another reserved bit", &[(0x90 | TEXT, true, b"{}")], 1002),
        ("a reserved kind of frame", &[(0x83, true, b"{}")], 1002),
        ("a reserved kind of control frame", &[(0x8b, true, b"")], 1002),
        ("the rest of nothing", &[(0x80, true, b"{}")], 1002),
        ("a message within another", &[(TEXT, true, b"{"), (0x80 | TEXT, true, b"{}")], 1002),
        ("a ping in parts", &[(PING, true, b"")], 1002),
        ("a ping that is too long", &[(0x80 | PING, true, &[b'x'; 126])], 1002),
        ("a close frame of one byte", &[(0x80 | CLOSE, true, b"x")], 1002),
        ("a message that is too long", &[(0x80 | TEXT, true, &[b'x'; 200_000])], 1009),
    ];
    for path in ["/ws", "/ws-api/v3"] {
        for (what, frames, code) in cases {
            let mut client = Raw::connect(&venue, path).await;
            for (first, masked, payload) in *frames {
                client.send(*first, *masked, payload).await;
            }
            let (texts, told) = client.end().await;
            assert_eq!((texts.len(), told), (0, *code), "{path}: {what}");
        }
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_under_way_are_answered_before_the_goodbye() {
    let venue = Venue::start().await;
    let order = |id: u64| {
        let [id_text, price] = [id.to_string(), format!("{}.00", 5 + id % 3)];
        let order = [("symbol", "BTCUSDT"), ("side", "BUY"), ("type", "LIMIT"), ("timeInForce", "GTC")];
        let more = [("quantity", "0.001"), ("price", &*price), ("newClientOrderId", &*id_text)];
        json!({"id": id, "method": "order.place",
            "params": venue.signed(venue.accounts[0], &[&order[..], &more[..]].concat())})
    };
    for round in 0..5 {
        let mut client = Raw::connect(&venue, "/ws-api/v3").await;
        let mine = round * 10..(round + 1) * 10;
        for id in mine.clone() {
            client.say(TEXT, order(id).to_string().as_bytes()).await;
        }
        // A frame that breaks the protocol is an end like any other.
        let expected = if round % 2 == 0 {
            client.close(1000).await;
            1000
        } else {
            client.send(0x80 | TEXT, false, b"{}").await;
            1002
        };
        let (texts, code) = client.end().await;
        assert_eq!(code, expected);
        let mut answered: Vec<u64> = texts.iter().map(|text| text["id"].as_u64().unwrap()).collect();
        answered.sort_unstable();
        assert_eq!(answered, mine.collect::<Vec<_>>());
        assert!(texts.iter().all(|text| text["status"] == 200), "{texts:?}");
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_venue_that_stops_says_so_and_closes_with_1001() {
    let venue = Venue::start().await;
    let mut clients = Vec::new();
    for path in PATHS {
        clients.push((path, Raw::connect(&venue, path).await));
    }
    // Whoever asked before that is answered.
    let now = venue.now_millis();
    let (path, api) = clients.last_mut().unwrap();
    assert_eq!(*path, "/ws-api/v3");
    for id in 0..50 {
        let request = json!({"id": id, "method": "time"});
        api.say(TEXT, request.to_string().as_bytes()).await;
    }
    let stopping = tokio::spawn(venue.stop());
    for (path, mut client) in clients {
        let (mut texts, code) = client.until_close().await;
        client.close(1001).await;
        assert_eq!(code, 1001, "{path}");
        if path == "/ws-api/v3" {
            let answers = texts.iter().filter(|text| text["status"] == 200).count();
            assert_eq!(answers, 50, "{texts:?}");
            texts.retain(|text| text.get("event").is_some());
        }
        let [event] = &texts[..] else { panic!("{path}: {texts:?}") };
        let event = match path {
            "/ws-api/v3" => &event["event"],
            "/stream?streams=btcusdt@trade" => {
                assert_eq!(event["stream"], "!serverShutdown");
                &event["data"]
            }
            _ => event,
        };
        assert_eq!(event["e"], "serverShutdown");
        assert!(event["E"].as_u64().unwrap() >= now);
    }
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_banned_address_is_answered_once_more_and_disconnected() {
    let mut config = crossbook_api_binance::Config::default();
    (config.limits.request_weight_1m, config.limits.ban_after) = (20, 3);
    let venue = Venue::start_with(config).await;
    let mut watching = Raw::connect(&venue, "/ws/btcusdt@trade").await;
    let mut loud = Raw::connect(&venue, "/ws-api/v3").await;
    for id in 0..30 {
        let request = json!({"id": id, "method": "ping"});
        loud.say(TEXT, request.to_string().as_bytes()).await;
    }
    let (texts, code) = loud.until_close().await;
    assert_eq!(code, 1008);
    let statuses: Vec<u64> = texts.iter().map(|text| text["status"].as_u64().unwrap()).collect();
    assert!(statuses.contains(&429) && statuses.contains(&418), "{statuses:?}");
    assert_eq!(watching.until_close().await.1, 1008, "all connections of the address");
    // Nor is it let in again.
    for path in PATHS {
        let error = tokio_tungstenite::connect_async(format!("ws://{}{path}", venue.address)).await.unwrap_err();
        let tungstenite::Error::Http(response) = error else { panic!("{path}: {error}") };
        assert_eq!(response.status(), 418, "{path}");
        assert_eq!(response.headers()["connection"], "close");
    }
    let response = reqwest::get(format!("http://{}/api/v3/ping", venue.address)).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["connection"]), (418, &"close".parse().unwrap()));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_learns_of_the_revocation_of_its_key_by_an_answer_without_id() {
    let venue = Venue::start().await;
    let mut socket = Raw::connect(&venue, "/ws-api/v3").await;
    let account: AccountId = venue.accounts[0];
    let logon = json!({"id": 1, "method": "session.logon", "params": venue.signed(account, &[])});
    socket.say(TEXT, logon.to_string().as_bytes()).await;
    assert_eq!(serde_json::from_slice::<Value>(&socket.frame().await.unwrap().payload).unwrap()["status"], 200);
    venue.revoke_key(account).await;
    let ask = json!({"id": 2, "method": "account.status", "params": {"timestamp": venue.now_millis()}});
    for expected in [json!([null, 401, -2015]), json!([2, 400, -1102])] {
        socket.say(TEXT, ask.to_string().as_bytes()).await;
        let answer: Value = serde_json::from_slice(&socket.frame().await.unwrap().payload).unwrap();
        let told = json!([answer["id"], answer["status"], answer["error"]["code"]]);
        assert_eq!(told, expected, "first that the session is revoked, then that nobody is logged on: {answer}");
    }
    venue.stop().await;
}
