//! One operation over HTTP and over WebSocket. The first line of the input is its name, each further one a parameter,
//! `name=value`. Both must send the same command and get the same answer.

use std::collections::BTreeMap;

use crossbook_api_binance::operations;
use crossbook_gateway::auth::Security;
use crossbook_protocol::command::Body;
use crossbook_types::ClientOrderId;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::conversation;
use super::rest::completed;
use crate::connection;
use crate::input;
use crate::venue::{HMAC_KEY, Venue};

/// What only WebSocket has, or what is written in another way there; and words that clients there may say twice.
const ONE_SIDED: [&str; 9] = [
    "apiKey",
    "returnRateLimits",
    "signature",
    "clientOrderId",
    "stopLossPrice",
    "takeProfitPrice",
    "triggerPrice",
    "cost",
    "postOnly",
];
/// How many parameters there are is told in these refusals, and over WebSocket the key is one.
const COUNTED: [i64; 2] = [-1101, -1104];
/// Parameters, with room for those of the transport.
const PARAMETERS_MAX: usize = 40;
/// A shorter window sometimes ends before a message over WebSocket has been checked.
const RECV_WINDOW_MIN: f64 = 1_000.0;
/// What depends on the clock is asked again, so that none is between the two.
const ATTEMPTS: usize = 5;

thread_local! {
    static VENUES: [Venue; 2] = [Venue::new(), Venue::new()];
}

pub(super) fn run(bytes: &[u8]) {
    let (name, rest) = input::halves(input::text(bytes), '\n');
    let Some((_, operation)) = operations::by_method(name) else { return };
    let mut parameters: BTreeMap<&str, &str> = rest
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| input::halves(line, '='))
        .take(PARAMETERS_MAX)
        .collect();
    // Nothing but whole values is to be filled in.
    let is_plain = |text: &str| !["NOW", "HMAC"].iter().any(|filled| text.contains(filled));
    let is_over = |value: &str| value.parse().is_ok_and(|window: f64| (0.0..RECV_WINDOW_MIN).contains(&window));
    parameters.retain(|name, value| {
        (*name != "recvWindow" || !is_over(value))
            && !ONE_SIDED.contains(name)
            && !name.is_empty()
            && is_plain(name)
            && (*value == "NOW" || is_plain(value))
    });
    let signed = operation.security != Security::Public;
    if signed {
        parameters.entry("timestamp").or_insert("NOW");
    }
    VENUES.with(|venues| {
        for attempt in 1..=ATTEMPTS {
            let over_http = ask_http(&venues[0], operation, &parameters, signed);
            let over_websocket = ask_websocket(&venues[1], operation, &parameters, signed);
            if over_http == over_websocket || is_switched_off(&over_http.1, &over_websocket.1) {
                break;
            }
            assert!(attempt < ATTEMPTS, "HTTP: {over_http:?}\nWebSocket: {over_websocket:?}");
        }
        venues.iter().for_each(Venue::audit);
    });
}

/// Whether neither knows the operation: one of listen keys, which this venue does not have. Over HTTP there is nothing
/// at its path then, over WebSocket no method of its name, and each says so in its own words.
fn is_switched_off(over_http: &Value, over_websocket: &Value) -> bool {
    let says = |told: &Value, words: &str| {
        told["code"] == -1020 && told["msg"].as_str().is_some_and(|text| text.starts_with(words))
    };
    says(over_http, "There is nothing at this path") && says(over_websocket, "This operation is not supported.")
}

type Told = (u64, Value, Vec<Body>);

fn ask_http(venue: &Venue, operation: &operations::Operation, parameters: &BTreeMap<&str, &str>, signed: bool) -> Told {
    venue.reset();
    let encoded = |text: &str| match text {
        "NOW" => text.to_owned(),
        _ => utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
    };
    let mut query: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    if signed {
        query.push("signature=HMAC".to_owned());
    }
    let query = query.join("&");
    let (query, _) = completed(&query, "");
    let target = format!("{}?{query}", operation.path);
    let request = connection::request(operation.verb.as_str(), &target, &[("X-MBX-APIKEY", HMAC_KEY)], "");
    let answer = connection::ask(venue, venue.rest(), &request).expect("a well-formed request is answered");
    let body = serde_json::from_str(&answer.body).expect("answers are JSON");
    (u64::from(answer.status), plain(body), venue.taken().into_iter().map(unnamed).collect())
}

fn ask_websocket(
    venue: &Venue,
    operation: &operations::Operation,
    parameters: &BTreeMap<&str, &str>,
    signed: bool,
) -> Told {
    venue.reset();
    let mut params = json!(parameters);
    if signed {
        params["signature"] = json!("HMAC");
    }
    let message = json!({ "id": 1, "method": operation.name, "params": params }).to_string();
    let told = conversation::talk(venue, "/ws-api/v3", &[conversation::completed(&message)]);
    let answer: Value = serde_json::from_str(&told[0]).expect("answers are JSON");
    let status = answer["status"].as_u64().expect("an answer has a status");
    let told = answer.get("result").or(answer.get("error")).cloned().unwrap_or_default();
    (status, plain(told), venue.taken().into_iter().map(unnamed).collect())
}

/// An answer without what is drawn by lot, what the clock says, and what only one of the two ways can count.
fn plain(mut answer: Value) -> Value {
    if let Some(code) = answer["code"].as_i64().filter(|code| COUNTED.contains(code)) {
        return json!(code);
    }
    let mut left = vec![&mut answer];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(values) => left.extend(values),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value.as_str()) {
                        // Statistics of a window that rolls begin and close with when they are asked for.
                        ("serverTime" | "openTime" | "closeTime", _) => *value = Value::Null,
                        // Over HTTP requests are counted, over WebSocket connections.
                        ("rateLimits", _) => *value = Value::Null,
                        // Those that are made up are longer than any that the corpus sends.
                        ("clientOrderId" | "origClientOrderId" | "listClientOrderId", Some(text))
                            if text.len() == 22 =>
                        {
                            *value = Value::Null;
                        }
                        _ => left.push(value),
                    }
                }
            }
            _ => {}
        }
    }
    answer
}

/// A command without the name that was made up for it.
fn unnamed(mut body: Body) -> Body {
    let one = ClientOrderId::new_checked("x").expect("a name");
    let made_up = |id: &mut ClientOrderId| {
        if id.as_str().len() == 22 {
            *id = one;
        }
    };
    match &mut body {
        Body::Place(order) => made_up(&mut order.terms.client_order_id),
        Body::Cancel(cancel) => {
            made_up(&mut cancel.cancel_id);
        }
        Body::CancelAll(cancel) => made_up(&mut cancel.cancel_id),
        Body::Amend(amend) => made_up(&mut amend.client_order_id),
        Body::Replace(replace) => {
            made_up(&mut replace.cancel_id);
            made_up(&mut replace.order.terms.client_order_id);
        }
        Body::PlaceList(list) => {
            made_up(&mut list.client_order_id);
            list.orders.iter_mut().for_each(|order| made_up(&mut order.client_order_id));
        }
        Body::CancelList(cancel) => made_up(&mut cancel.cancel_id),
        _ => {}
    }
    body
}
