//! Machine-readable descriptions of the API: the REST API as an OpenAPI document, generated from the table of
//! operations; the streams and the WebSocket API as an AsyncAPI document; and a page that shows the first in a browser.
//!
//! `openapi/schemas.json` defines the answers. The client suite validates every answer against these schemas.

mod asyncapi;
mod parameters;

use serde_json::{Map, Value, json};

use crate::operations::{OPERATIONS, Operation, Weight};
use crossbook_gateway::auth::Security;

pub use asyncapi::document as stream_document;

/// A page that shows `/openapi.json`; it needs nothing else.
pub const BROWSER: &str = include_str!("openapi/browser.html");

/// What answers are made of, as the components of a document have it.
const SCHEMAS: &str = include_str!("openapi/schemas.json");

/// The licence of the program, and so of its descriptions.
fn licence() -> Value {
    json!({ "name": "Apache-2.0", "identifier": "Apache-2.0" })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn list(schema: &str) -> Value {
    json!({ "type": "array", "items": reference(schema) })
}

/// Schemas from one of the files beside this module.
///
/// # Panics
/// When the file is not JSON, which a test would have seen.
fn schemas(file: &str) -> Value {
    serde_json::from_str(file).expect("a schema file of the program is JSON")
}

/// The operations, with those about listen keys or without.
fn operations(listen_keys: bool) -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().filter(move |operation| listen_keys || !operation.by_key_alone)
}

/// The REST API as an OpenAPI 3.1 document, with listen keys or without.
#[must_use]
pub fn document(listen_keys: bool) -> Value {
    let mut paths = Map::new();
    for operation in operations(listen_keys) {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.verb.as_str().to_ascii_lowercase()] = describe(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Crossbook",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "An API compatible with the Binance Spot API; not affiliated with or endorsed by Binance. \
                Parameters go in the query or in a form body. Signed operations carry the header X-MBX-APIKEY and \
                a signature over query and body as sent. Times are in milliseconds, or in microseconds with the header \
                X-MBX-TIME-UNIT: MICROSECOND.",
            "license": licence(),
        },
        "servers": [{ "url": "/", "description": "The address that the document came from." }],
        "tags": [
            { "name": "General", "description": "The venue, its clock and its rules." },
            { "name": "Market data", "description": "Books, trades, candles and statistics." },
            { "name": "Trading", "description": "Orders." },
            { "name": "Account", "description": "What an account has and did." },
            { "name": "Wallet", "description": "What clients ask before they trade." },
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": {
                    "type": "apiKey", "in": "header", "name": "X-MBX-APIKEY",
                    "description": "The key that the operator issued.",
                },
                "signature": {
                    "type": "apiKey", "in": "query", "name": "signature",
                    "description": "Over the query and the body as sent, joined with nothing between, without this \
                        parameter: HMAC-SHA256 in hexadecimal digits, or Ed25519 or RSA (PKCS #1 v1.5, SHA-256) in \
                        Base64.",
                },
            },
            "schemas": schemas(SCHEMAS),
        },
    })
}

fn describe(operation: &Operation) -> Value {
    let parameters = operation.parameters.iter().chain(operation.signed_by());
    // The signature belongs to the security scheme, because a person who fills in the parameters cannot know it.
    let parameters = parameters.filter(|parameter| parameter.name != "signature");
    let weight = match operation.weight {
        Weight::Fixed(weight) => json!(weight),
        Weight::Varies(_, words) => json!(words),
    };
    let permission = match operation.security {
        Security::Public => "none",
        Security::Read => "READ",
        Security::Trade => "TRADE",
    };
    let content = json!({ "application/json": { "schema": reference("Error") } });
    let error = |description: &str| json!({ "description": description, "content": content });
    let parameters = parameters.map(|parameter| parameters::describe(operation, parameter));
    let mut described = json!({
        "operationId": operation_id(operation.name),
        "summary": operation.summary,
        "tags": [tag(operation)],
        "x-weight": weight,
        "x-permission": permission,
        "parameters": parameters.chain([parameters::time_unit()]).collect::<Vec<_>>(),
        "responses": {
            "200": {
                "description": "Done.",
                "headers": headers(operation),
                "content": { "application/json": { "schema": answer(operation.name) } },
            },
            "400": error("The request is malformed or refused."),
            "401": error("The key or the signature is not valid."),
            "406": error("The client takes nothing but SBE."),
            "408": error("The body did not arrive in time."),
            "413": error("The body is too large."),
            "414": error("The path and query are too long."),
            "418": error("The address is banned."),
            "429": error("A limit is exceeded; Retry-After says for how long."),
            "500": error("Something is broken at the venue."),
            "503": error("The venue is busy or stopping; nothing was done."),
            "504": error("No outcome in time; the request may still take effect."),
        },
    });
    if operation.name == "order.cancelReplace" {
        described["responses"]["409"] = error("One of the two was done, and the other was not; data says which.");
    }
    if operation.over_websocket {
        described["x-websocket-method"] = json!(operation.name);
    }
    match operation.security {
        Security::Public => {}
        _ if operation.by_key_alone => described["security"] = json!([{ "apiKey": [] }]),
        _ => described["security"] = json!([{ "apiKey": [], "signature": [] }]),
    }
    described
}

/// The headers of an answer with the used share of the limits.
fn headers(operation: &Operation) -> Value {
    let header = |description: &str| json!({ "description": description, "schema": { "type": "integer" } });
    let mut headers = json!({
        "X-MBX-USED-WEIGHT": header("The same as X-MBX-USED-WEIGHT-1M."),
        "X-MBX-USED-WEIGHT-1M": header("Request weight that the address has used in this minute."),
    });
    if operation.is_order() {
        headers["X-MBX-ORDER-COUNT-10S"] = header("Orders that the account has placed in these ten seconds.");
        headers["X-MBX-ORDER-COUNT-1D"] = header("Orders that the account has placed on this day.");
    }
    headers
}

/// An operation's name as an identifier: `order.place` is `orderPlace`.
fn operation_id(name: &str) -> String {
    let mut words = name.split('.');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |id, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        id + &head.to_ascii_uppercase() + tail
    })
}

fn tag(operation: &Operation) -> &'static str {
    match (operation.path, operation.security) {
        (path, _) if path.starts_with("/sapi/") => "Wallet",
        (_, Security::Trade) => "Trading",
        (_, Security::Read) => "Account",
        ("/api/v3/ping" | "/api/v3/time" | "/api/v3/exchangeInfo", _) => "General",
        _ => "Market data",
    }
}

/// What an operation answers.
fn answer(name: &str) -> Value {
    let one_or_all = |schemas: &[&str]| {
        let each = schemas.iter().flat_map(|schema| [reference(schema), list(schema)]);
        json!({ "anyOf": each.collect::<Vec<_>>() })
    };
    let either =
        |schemas: &[&str]| json!({ "anyOf": schemas.iter().map(|schema| reference(schema)).collect::<Vec<_>>() });
    match name {
        "order.place" => reference("PlacedOrder"),
        "orderList.place"
        | "orderList.place.oco"
        | "orderList.place.oto"
        | "orderList.place.otoco"
        | "orderList.place.opo"
        | "orderList.place.opoco" => reference("PlacedOrderList"),
        "orderList.cancel" => reference("CanceledOrderList"),
        "orderList.status" => reference("OrderList"),
        "openOrderLists.status" | "allOrderLists" => list("OrderList"),
        "order.cancel" => either(&["CanceledOrder", "CanceledOrderList"]),
        "order.cancelReplace" => reference("ReplacedOrder"),
        "order.amend.keepPriority" => reference("AmendedOrder"),
        "order.amendments" => list("OrderAmendment"),
        "order.status" => reference("Order"),
        "order.test" => reference("OrderTest"),
        "userDataStream.start" => reference("ListenKey"),
        "userDataStream.ping" | "userDataStream.stop" => reference("Empty"),
        "openOrders.status" | "allOrders" => list("Order"),
        "openOrders.cancelAll" => {
            json!({ "type": "array", "items": either(&["CanceledOrder", "CanceledOrderList"]) })
        }
        "ping" => reference("Empty"),
        "time" => reference("Time"),
        "depth" => reference("Depth"),
        "exchangeInfo" => reference("ExchangeInfo"),
        "trades.recent" | "trades.historical" => list("Trade"),
        "blockTrades.historical" => list("BlockTrade"),
        "trades.aggregate" => list("AggregateTrade"),
        "klines" | "uiKlines" => list("Candle"),
        "avgPrice" => reference("AveragePrice"),
        "ticker.24hr" => one_or_all(&["Ticker", "MiniTicker"]),
        "ticker" | "ticker.tradingDay" => one_or_all(&["PeriodTicker", "MiniTicker"]),
        "ticker.price" => one_or_all(&["PriceTicker"]),
        "ticker.book" => one_or_all(&["BookTicker"]),
        "myTrades" => list("OwnTrade"),
        "myPreventedMatches" => list("PreventedMatch"),
        "account.status" => reference("Account"),
        "countdownCancelAll" => reference("Countdown"),
        "countdownCancelAll.status" => list("RunningCountdown"),
        "account.rateLimits.orders" => list("OrderCount"),
        "account.commission" => reference("Commission"),
        "myFilters" => reference("AccountFilters"),
        "myAllocations" => list("Allocation"),
        "sor.order.place" => reference("PlacedOrder"),
        "sor.order.test" => reference("OrderTest"),
        "executionRules" => reference("ExecutionRules"),
        "referencePrice" => reference("ReferencePrice"),
        "referencePrice.calculation" => reference("ReferencePriceCalculation"),
        "system.status" => reference("SystemStatus"),
        "asset.tradeFee" => list("TradeFee"),
        "bnbBurn" | "bnbBurn.status" => reference("DiscountUse"),
        "capital.config" | "margin.pairs" | "margin.isolatedPairs" | "spot.delistSchedule" => {
            json!({ "type": "array", "items": reference("Empty"), "maxItems": 0 })
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every name that a `$ref` of the document leads to.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get("$ref") {
                    found.insert(target.clone());
                }
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_operation_is_described_with_its_parameters() {
        let document = document(true);
        for operation in &OPERATIONS {
            let described = &document["paths"][operation.path][operation.verb.as_str().to_ascii_lowercase()];
            let signed = operation.signed_by().len().saturating_sub(1);
            let parameters = described["parameters"].as_array().unwrap();
            // One more is the header for the unit of times.
            assert_eq!(parameters.len(), operation.parameters.len() + signed + 1, "{}", operation.path);
            let unit = parameters.last().unwrap();
            assert_eq!((&unit["name"], &unit["in"]), (&json!("X-MBX-TIME-UNIT"), &json!("header")));
            let window = parameters.iter().find(|parameter| parameter["name"] == "recvWindow");
            assert!(window.is_none_or(|window| window["schema"]["examples"] == json!(["5000"])));
            for status in ["406", "408", "413", "414"] {
                assert!(described["responses"][status]["content"].is_object(), "{} {status}", operation.path);
            }
            let headers = described["responses"]["200"]["headers"].as_object().unwrap();
            assert!(headers.contains_key("X-MBX-USED-WEIGHT") && headers.contains_key("X-MBX-USED-WEIGHT-1M"));
            for name in ["X-MBX-ORDER-COUNT-10S", "X-MBX-ORDER-COUNT-1D"] {
                assert_eq!(headers.contains_key(name), operation.is_order(), "{}", operation.name);
            }
            for parameter in parameters {
                let words = parameter["description"].as_str().unwrap_or_default();
                assert!(words.ends_with('.'), "{} has no words for {}", operation.name, parameter["name"]);
            }
            let answer = &described["responses"]["200"]["content"]["application/json"]["schema"];
            assert!(!answer.is_null(), "what does {} answer?", operation.name);
        }
        assert_eq!(document["paths"]["/api/v3/order"].as_object().unwrap().len(), 3);
    }

    #[test]
    fn what_is_referred_to_is_there_and_nothing_else() {
        for document in [document(true), stream_document(true)] {
            let mut found = BTreeSet::new();
            references(&document, &mut found);
            for target in &found {
                let place = target.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
                assert!(place.is_some(), "{target} is not in {}", document["info"]["title"]);
            }
            for name in document["components"]["schemas"].as_object().unwrap().keys() {
                assert!(found.contains(&format!("#/components/schemas/{name}")), "{name} is of no use");
            }
        }
    }

    #[test]
    fn what_a_venue_does_not_have_is_not_described() {
        let (with, without) = (document(true), document(false));
        let started = &with["paths"]["/api/v3/userDataStream"]["post"];
        assert_eq!(started["security"], json!([{ "apiKey": [] }]));
        assert!(without["paths"]["/api/v3/userDataStream"].is_null());
        let methods = |listen_keys| stream_document(listen_keys)["x-methods"].as_array().unwrap().len();
        assert_eq!(methods(true) - methods(false), 3);
    }

    #[test]
    fn operation_ids_are_identifiers_and_no_two_operations_share_one() {
        let mut seen = BTreeSet::new();
        for id in OPERATIONS.iter().map(|operation| operation_id(operation.name)) {
            assert!(id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(|c| c.is_ascii_alphanumeric()));
            assert!(seen.insert(id.clone()), "{id} twice");
        }
    }

    #[test]
    fn no_two_operations_share_a_place_or_a_name() {
        for (at, one) in OPERATIONS.iter().enumerate() {
            for other in &OPERATIONS[at + 1..] {
                assert!((one.verb, one.path) != (other.verb, other.path) && one.name != other.name);
            }
        }
    }

    #[test]
    fn the_browser_page_needs_nothing_from_elsewhere() {
        assert!(!BROWSER.contains("http://") && !BROWSER.contains("https://") && BROWSER.contains("openapi.json"));
    }
}
