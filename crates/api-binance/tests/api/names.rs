//! Assets and markets whose names are not ASCII: listed, traded, signed for in every way in which clients sign, and
//! streamed.

use futures_util::SinkExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::rest_venue::{Client, Venue, millis};
use crate::streams::next;

const ASSET: &str = "币安人生";
const SYMBOL: &str = "币安人生USDT";

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

async fn list(venue: &Venue) {
    venue.operator_does("assets", json!({"asset": ASSET, "decimals": 8})).await;
    let market =
        json!({"symbol": SYMBOL, "baseAsset": ASSET, "quoteAsset": "USDT", "tickSize": "0.01", "stepSize": "0.01"});
    assert_eq!(venue.operator_does("markets", market).await["symbol"], SYMBOL);
    for client in [&venue.alice, &venue.bob] {
        let deposit = json!({"asset": ASSET, "amount": "100", "transferId": "names"});
        venue.operator_does(&format!("accounts/{}/deposits", client.account), deposit).await;
    }
}

fn order(symbol: &str, side: &str, name: &str) -> String {
    format!(
        "symbol={symbol}&side={side}&type=LIMIT&timeInForce=GTC&quantity=1&price=5&newClientOrderId={name}&timestamp={}",
        millis()
    )
}

/// Sends a request whose query is not ASCII as it is: clients made for browsers would encode it.
async fn post_raw(client: &Client, query: &str) -> String {
    let mut stream = TcpStream::connect(client.http).await.unwrap();
    let head = format!(
        "POST /api/v3/order?{query} HTTP/1.1\r\nhost: venue\r\nx-mbx-apikey: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        client.key
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_signed_raw_or_percent_encoded_and_sent_either_way() {
    let venue = Venue::start().await;
    list(&venue).await;
    let alice = &venue.alice;
    let escaped = encoded(SYMBOL);
    // Sent encoded: signed as it is sent, and as it was before.
    for (name, signed) in [("encoded", order(&escaped, "BUY", "encoded")), ("raw", order(SYMBOL, "BUY", "raw"))] {
        let query = signed.replace(SYMBOL, &escaped);
        let path = format!("/api/v3/order?{query}&signature={}", alice.sign(&signed));
        let reply = alice.raw(Method::POST, &path, None).await;
        assert_eq!((&reply.body["symbol"], &reply.body["clientOrderId"]), (&json!(SYMBOL), &json!(name)), "{reply:?}");
        // And in a form.
        let form = format!(
            "{}&signature={}",
            query.replace("Id=", "Id=form-"),
            alice.sign(&signed.replace("Id=", "Id=form-"))
        );
        let reply = alice.raw(Method::POST, "/api/v3/order", Some(form)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    // Sent raw, likewise.
    for (name, signed) in [("a", order(SYMBOL, "BUY", "a")), ("b", order(&escaped, "BUY", "b"))] {
        let query = signed.replace(&escaped, SYMBOL);
        let answer = post_raw(alice, &format!("{query}&signature={}", alice.sign(&signed))).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains(&format!(r#""clientOrderId":"{name}""#)),
            "{answer}"
        );
    }
    // Nothing but what is no ASCII may be written in another way than it was signed.
    let signed = order(&escaped, "BUY", "c").replace("BUY", "%42UY");
    let path = format!("/api/v3/order?{}&signature={}", signed.replace("%42", "B"), alice.sign(&signed));
    assert_eq!(alice.raw(Method::POST, &path, None).await.code(), (400, -1022));

    let open = alice.get("/api/v3/openOrders", &format!("symbol={escaped}")).await.body;
    assert_eq!(open.as_array().unwrap().len(), 6);
    let names = encoded(&json!([SYMBOL, "BTCUSDT"]).to_string());
    let info = venue.get(&format!("/api/v3/exchangeInfo?symbols={names}")).await.body;
    assert_eq!((&info["symbols"][0]["symbol"], &info["symbols"][0]["baseAsset"]), (&json!(SYMBOL), &json!(ASSET)));
    assert_eq!(alice.balance(ASSET).await.0, "100.00000000");
    // The operator changes it under its encoded name.
    let path = format!("markets/{escaped}");
    let changed = venue.operator(Method::PATCH, &path, Some(json!({"status": "HALT"}))).await;
    assert_eq!(changed.body["status"], "HALT", "{changed:?}");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_and_the_websocket_api_take_the_name() {
    let venue = Venue::start().await;
    list(&venue).await;
    let (alice, bob) = (&venue.alice, &venue.bob);
    let lower = SYMBOL.to_lowercase();
    let url = |path: &str| format!("ws://{}{path}", venue.http);
    let combined = format!("/stream?streams={}@trade", encoded(&lower));
    let mut combined = connect_async(url(&combined)).await.unwrap().0;
    let mut bare = connect_async(url("/ws")).await.unwrap().0;
    let subscribe = json!({"method": "SUBSCRIBE", "params": [format!("{lower}@trade")], "id": 1});
    bare.send(Message::text(subscribe.to_string())).await.unwrap();
    assert_eq!(next(&mut bare).await, json!({"result": null, "id": 1}));

    let mut api = connect_async(url("/ws-api/v3?returnRateLimits=false")).await.unwrap().0;
    for (client, side, escape) in [(alice, "BUY", false), (bob, "SELL", true)] {
        let mut pairs = vec![
            ("apiKey", client.key.clone()),
            ("price", "5".into()),
            ("quantity", "1".into()),
            ("side", side.into()),
            ("symbol", SYMBOL.into()),
            ("timeInForce", "GTC".into()),
            ("timestamp", millis().to_string()),
            ("type", "LIMIT".into()),
        ];
        let text =
            |(name, value): &(&str, String)| format!("{name}={}", if escape { encoded(value) } else { value.clone() });
        let payload = pairs.iter().map(text).collect::<Vec<_>>().join("&");
        pairs.push(("signature", client.sign(&payload)));
        let params: Value = pairs.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let request = json!({"id": side, "method": "order.place", "params": params});
        api.send(Message::text(request.to_string())).await.unwrap();
        let answer = next(&mut api).await;
        assert_eq!((&answer["status"], &answer["result"]["symbol"]), (&json!(200), &json!(SYMBOL)), "{answer}");
    }
    let told = next(&mut bare).await;
    assert_eq!((&told["e"], &told["s"]), (&json!("trade"), &json!(SYMBOL)));
    let told = next(&mut combined).await;
    assert_eq!((&told["stream"], &told["data"]["s"]), (&json!(format!("{lower}@trade")), &json!(SYMBOL)));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_name_has_one_spelling_in_each_case_and_nothing_that_cannot_be_seen() {
    let venue = Venue::start().await;
    for name in ["ÅLAND", "１２３", "ИКС", "Σ"] {
        venue.operator_does("assets", json!({"asset": name, "decimals": 8})).await;
    }
    for (name, text) in [
        ("straße", "not allowed"),
        ("STRAßE", "beyond ASCII"),
        ("ålAND", "not allowed"),
        ("икс", "beyond ASCII"),
        ("\u{212a}", "beyond ASCII"),
        ("A\u{202e}B", "beyond ASCII"),
        ("A\u{200b}", "beyond ASCII"),
        ("AB\u{3164}", "beyond ASCII"),
        ("\u{115f}", "beyond ASCII"),
        ("币 安", "not allowed"),
        ("币币币币币币币币币", "24 bytes"),
        // Canonically equivalent to "가" and "豈", and shown alike.
        ("\u{1100}\u{1161}", "it is \"가\""),
        ("\u{f900}", "(NFC)"),
    ] {
        let reply = venue.operator(Method::POST, "assets", Some(json!({"asset": name, "decimals": 8}))).await;
        assert!(reply.code() == (400, -1130) && reply.text().contains(text), "{name}: {reply:?}");
    }
    venue.stop().await;
}
