//! Numbers in JSON are what was sent, to the last digit: of orders over the WebSocket API, and of the operator's
//! requests.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rest_venue;
use crate::streams::{next, send_text};
use crate::ws_venue::{Socket, Venue};

/// Asks with the parameters as JSON text, and gives the answer.
async fn ask(socket: &mut Socket, method: &str, parameters: &str) -> Value {
    send_text(socket, &format!(r#"{{"id":1,"method":"{method}","params":{{{parameters}}}}}"#)).await;
    next(socket).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_over_websocket_is_the_literal_that_was_sent() {
    let venue = Venue::start().await;
    let mut socket = venue.connect("/ws-api/v3").await;
    let [account, _] = venue.accounts;
    send_text(
        &mut socket,
        &json!({"id": 1, "method": "session.logon", "params": venue.signed(account, &[])}).to_string(),
    )
    .await;
    assert_eq!(next(&mut socket).await["status"], 200);

    // As a number and as a text, an order is the same order or the same refusal.
    let now = venue.now_millis();
    let order = |quantity: &str, price: &str| {
        format!(
            r#""symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC","timestamp":{now},"quantity":{quantity},"price":{price}"#
        )
    };
    for (quantity, price, code) in [
        ("1.000000000000000001", "9", Some(-1111)),
        ("1.0000", "9.000000000000000001", Some(-1111)),
        ("0.005", "9007199254740993", Some(-1013)),
        ("0.005", "9.10", None),
        ("0.005", "1e1", Some(-1100)),
    ] {
        let number = ask(&mut socket, "order.place", &order(quantity, price)).await;
        let text = ask(&mut socket, "order.place", &order(&format!("\"{quantity}\""), &format!("\"{price}\""))).await;
        assert_eq!(number["error"], text["error"], "{quantity} at {price}");
        assert_eq!(number["error"]["code"].as_i64(), code, "{quantity} at {price}: {number}");
        for name in ["price", "origQty", "status"] {
            assert_eq!(number["result"][name], text["result"][name]);
        }
    }
    // A small number has no exponent that it was not sent with.
    let small = ask(&mut socket, "order.test", &order("0.00000812", "9")).await;
    assert_eq!(small["error"]["msg"], "Filter failure: LOT_SIZE", "{small}");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_is_over_the_literals_that_were_sent() {
    let venue = Venue::start().await;
    let mut socket = venue.connect("/ws-api/v3").await;
    let parameters =
        [("price", "9.10"), ("quantity", "0.0050"), ("side", "BUY"), ("symbol", "BTCUSDT"), ("timeInForce", "GTC")];
    let signed = venue.signed(venue.accounts[0], &[&parameters[..], &[("type", "LIMIT")]].concat());
    let text = json!({"id": 1, "method": "order.place", "params": signed}).to_string();
    let text = text.replace(r#""9.10""#, "9.10").replace(r#""0.0050""#, "0.0050");
    send_text(&mut socket, &text).await;
    let placed = next(&mut socket).await;
    assert_eq!(
        (&placed["result"]["price"], &placed["result"]["origQty"]),
        (&json!("9.10000000"), &json!("0.00500000")),
        "{placed}"
    );
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_comes_back_as_it_was_sent() {
    let venue = Venue::start().await;
    let mut socket = venue.connect("/ws-api/v3?returnRateLimits=false").await;
    for id in ["123456789012345678901", "-9223372036854775809", "1.50", r#""a\u00e9""#, "null"] {
        send_text(&mut socket, &format!(r#"{{"id":{id},"method":"ping"}}"#)).await;
        let answer = crate::streams::next_text(&mut socket).await;
        assert_eq!(answer, format!(r#"{{"id":{id},"status":200,"result":{{}}}}"#));
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_numbers_are_read_digit_by_digit() {
    let venue = rest_venue::Venue::start().await;
    venue.operator_does("assets", json!({"asset": "WEI", "decimals": 18})).await;
    let deposit = async |amount: &str, transfer: &str| {
        let url = format!("http://{}/admin/v1/accounts/{}/deposits", venue.admin, venue.alice.account);
        let body = format!(r#"{{"asset":"WEI","amount":{amount},"transferId":"{transfer}"}}"#);
        let request = reqwest::Client::new().request(Method::POST, url).bearer_auth(rest_venue::TOKEN).body(body);
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    for (at, amount) in ["1.000000000000000001", "0.000000000000000812", "1007199254740993.1"].into_iter().enumerate() {
        let answer = deposit(amount, &format!("t{at}")).await;
        assert_eq!(answer["amount"].as_str().map(|text| text.trim_end_matches('0')), Some(amount), "{answer}");
    }
    for amount in ["1e3", "1.0000000000000000001", "true", "null", "[1]"] {
        assert_eq!(deposit(amount, "bad").await["code"], -1130, "{amount}");
    }
    venue.stop().await;
}
