//! The client API over HTTP, against a whole venue in this process.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbook_api_binance::Config;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tungstenite::Message;

use super::PARTITIONS;
use crate::rest_venue::{Client, Venue, millis};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The names of a JSON object's fields as they stand in the text.
fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

/// The fields of the full answer to a limit order.
const PLACED: &[&str] = &[
    "symbol",
    "orderId",
    "orderListId",
    "clientOrderId",
    "transactTime",
    "price",
    "origQty",
    "executedQty",
    "origQuoteOrderQty",
    "cummulativeQuoteQty",
    "status",
    "timeInForce",
    "type",
    "side",
    "workingTime",
    "selfTradePreventionMode",
    "fills",
];

/// The fields of an order that is queried.
const SHOWN: &[&str] = &[
    "symbol",
    "orderId",
    "orderListId",
    "clientOrderId",
    "price",
    "origQty",
    "executedQty",
    "cummulativeQuoteQty",
    "status",
    "timeInForce",
    "type",
    "side",
    "stopPrice",
    "icebergQty",
    "time",
    "updateTime",
    "isWorking",
    "workingTime",
    "origQuoteOrderQty",
    "selfTradePreventionMode",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trade_is_told_alike_everywhere() {
    let venue = Venue::start_in(PARTITIONS, Config::default()).await;
    let (alice, bob) = (&venue.alice, &venue.bob);
    venue.values_nothing().await;
    let resting = alice.limit("SELL", "0.5", "20000").await;
    assert_eq!(keys(&resting), sorted(PLACED.to_vec()));
    assert_eq!(
        (&resting["status"], &resting["fills"], &resting["orderListId"]),
        (&json!("NEW"), &json!([]), &json!(-1))
    );
    assert!(resting["clientOrderId"].as_str().unwrap().len() >= 22);
    assert_eq!(alice.balance("BTC").await, ("9.50000000".to_owned(), "0.50000000".to_owned()));

    let order = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.2&newClientOrderId=mine";
    let taken = bob.order(order).await;
    assert_eq!(taken.status, 200);
    let body = &taken.body;
    assert_eq!(
        json!([body["status"], body["price"], body["origQty"], body["executedQty"], body["cummulativeQuoteQty"]]),
        json!(["FILLED", "0.00000000", "0.20000000", "0.20000000", "4000.00000000"])
    );
    assert_eq!(body["clientOrderId"], "mine");
    assert_eq!(
        body["fills"],
        json!([{"price": "20000.00000000", "qty": "0.20000000", "commission": "0.00040000",
            "commissionAsset": "BTC", "tradeId": 1}])
    );
    assert_eq!(bob.balance("BTC").await.0, "10.19960000");
    assert_eq!(bob.balance("USDT").await.0, "996000.00000000");
    assert_eq!(alice.balance("USDT").await.0, "1003996.00000000");

    let shown = alice.get("/api/v3/order", &format!("symbol=BTCUSDT&orderId={}", resting["orderId"])).await.body;
    assert_eq!(
        json!([shown["status"], shown["executedQty"], shown["isWorking"], shown["stopPrice"]]),
        json!(["PARTIALLY_FILLED", "0.20000000", true, "0.00000000"])
    );
    assert_eq!(keys(&shown), sorted(SHOWN.to_vec()));
    assert_eq!(alice.get("/api/v3/openOrders", "symbol=BTCUSDT").await.body, json!([shown]));
    assert_eq!(alice.get("/api/v3/openOrders", "").await.body, json!([shown]));
    assert_eq!(alice.get("/api/v3/allOrders", "symbol=BTCUSDT").await.body, json!([shown]));
    let own = bob.get("/api/v3/myTrades", "symbol=BTCUSDT").await.body;
    assert_eq!(
        json!([own[0]["id"], own[0]["isBuyer"], own[0]["isMaker"], own[0]["commission"], own[0]["commissionAsset"]]),
        json!([1, true, false, "0.00040000", "BTC"])
    );
    let own = alice.get("/api/v3/myTrades", &format!("symbol=BTCUSDT&orderId={}", resting["orderId"])).await.body;
    assert_eq!(
        json!([own[0]["isBuyer"], own[0]["isMaker"], own[0]["commission"], own[0]["commissionAsset"]]),
        json!([false, true, "4.00000000", "USDT"])
    );
    the_trade_is_public(&venue).await;

    let cancelled = alice
        .delete("/api/v3/order", &format!("symbol=BTCUSDT&orderId={}&newClientOrderId=bye", resting["orderId"]))
        .await;
    assert_eq!(cancelled.status, 200);
    assert_eq!(
        json!([cancelled.body["status"], cancelled.body["origClientOrderId"], cancelled.body["clientOrderId"]]),
        json!(["CANCELED", resting["clientOrderId"], "bye"])
    );
    assert_eq!(alice.balance("BTC").await, ("9.80000000".to_owned(), "0.00000000".to_owned()));
    assert_eq!(alice.get("/api/v3/openOrders", "").await.body, json!([]));
    venue.audit().await;
    venue.stop().await;
}

async fn the_trade_is_public(venue: &Venue) {
    let trades = venue.get("/api/v3/trades?symbol=BTCUSDT").await.body;
    assert_eq!(
        json!([trades[0]["id"], trades[0]["quoteQty"], trades[0]["isBuyerMaker"], trades.as_array().unwrap().len()]),
        json!([1, "4000.00000000", false, 1])
    );
    let depth = venue.get("/api/v3/depth?symbol=BTCUSDT&limit=5").await.body;
    assert_eq!(depth["asks"], json!([["20000.00000000", "0.30000000"]]));
    assert_eq!(depth["bids"], json!([]));
    let price = venue.get("/api/v3/ticker/price?symbol=BTCUSDT").await.body;
    assert_eq!(price, json!({"symbol": "BTCUSDT", "price": "20000.00000000"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_type_is_answered_as_asked() {
    let venue = Venue::start_in(PARTITIONS, Config::default()).await;
    let (alice, bob) = (&venue.alice, &venue.bob);
    alice.limit("SELL", "1", "20000").await;
    alice.limit("BUY", "1", "19000").await;
    bob.limit("BUY", "0.01", "20000").await;
    let ack = ["clientOrderId", "orderId", "orderListId", "symbol", "transactTime"];
    for order in [
        "side=SELL&type=LIMIT_MAKER&quantity=0.01&price=21000",
        "side=SELL&type=STOP_LOSS&quantity=0.01&stopPrice=18000",
        "side=SELL&type=STOP_LOSS_LIMIT&timeInForce=GTC&quantity=0.01&price=17000&stopPrice=18000",
        "side=SELL&type=TAKE_PROFIT&quantity=0.01&stopPrice=22000",
        "side=SELL&type=TAKE_PROFIT_LIMIT&timeInForce=IOC&quantity=0.01&price=21000&stopPrice=22000",
    ] {
        let reply = bob.order(&format!("symbol=BTCUSDT&{order}")).await;
        assert_eq!((reply.status, keys(&reply.body)), (200, ack.to_vec()), "{order}");
        let waits = order.contains("stopPrice");
        let full = bob.order(&format!("symbol=BTCUSDT&{order}&newOrderRespType=FULL")).await.body;
        assert_eq!((&full["status"], &full["fills"]), (&json!("NEW"), &json!([])), "{order}");
        assert_eq!(full["workingTime"] == -1, waits, "{order}");
        assert_eq!(full.get("stopPrice").is_some(), waits, "{order}");
        let both = bob.delete("/api/v3/openOrders", "symbol=BTCUSDT").await.body;
        assert_eq!(both.as_array().unwrap().len(), 2, "{order}");
    }
    let result = bob.order("symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=100&newOrderRespType=RESULT").await.body;
    assert_eq!(
        json!([result["status"], result["executedQty"], result["origQuoteOrderQty"], result["cummulativeQuoteQty"]]),
        json!(["FILLED", "0.00500000", "100.00000000", "100.00000000"])
    );
    assert!(result.get("fills").is_none());
    let expired = bob.order("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=FOK&quantity=5&price=20000").await.body;
    assert_eq!(expired["status"], "EXPIRED");
    let own = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=20000";
    let own = alice.order(&format!("{own}&selfTradePreventionMode=EXPIRE_TAKER")).await.body;
    assert_eq!((&own["status"], &own["selfTradePreventionMode"]), (&json!("EXPIRED_IN_MATCH"), &json!("EXPIRE_TAKER")));
    let all = alice.delete("/api/v3/openOrders", "symbol=BTCUSDT").await.body;
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(all[0]["status"], "CANCELED");
    let none = alice.delete("/api/v3/openOrders", "symbol=BTCUSDT").await;
    assert_eq!((none.code(), none.text()), ((400, -2011), "Unknown order sent."));
    let nobody = bob.order("symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=100").await;
    let text = "Order book liquidity is less than symbol minimum quantity.";
    assert_eq!((nobody.code(), nobody.text()), ((400, -2010), text));
    venue.audit().await;
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_of_the_engine_have_their_documented_texts() {
    let venue = Venue::start_in(PARTITIONS, Config::default()).await;
    let (alice, bob) = (&venue.alice, &venue.bob);
    alice.limit("SELL", "0.1", "20000").await;
    bob.limit("BUY", "0.05", "20000").await;
    let limit = "symbol=BTCUSDT&type=LIMIT&timeInForce=GTC";
    for (order, code, text) in [
        (
            format!("{limit}&side=SELL&quantity=11&price=20000"),
            -2010,
            "Account has insufficient balance for requested action.",
        ),
        (
            "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.01&price=20000".into(),
            -2010,
            "Order would immediately match and take.",
        ),
        (
            "symbol=BTCUSDT&side=SELL&type=STOP_LOSS&quantity=0.01&stopPrice=20000".into(),
            -2010,
            "Order would trigger immediately.",
        ),
        (format!("{limit}&side=SELL&quantity=0.01&price=100001"), -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (format!("{limit}&side=BUY&quantity=0.01&price=3999"), -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ("symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.0001".into(), -1013, "Filter failure: NOTIONAL"),
    ] {
        let reply = bob.order(&order).await;
        assert_eq!((reply.code(), reply.text()), ((400, code), text), "{order}");
    }
    bob.order(&format!("{limit}&side=BUY&quantity=0.01&price=10000&newClientOrderId=twice")).await;
    let twice = bob.order(&format!("{limit}&side=BUY&quantity=0.01&price=10000&newClientOrderId=twice")).await;
    assert_eq!((twice.code(), twice.text()), ((400, -2010), "Duplicate order sent."));
    for (path, code, text) in [
        ("symbol=BTCUSDT&orderId=999", -2011, "Unknown order sent."),
        ("symbol=BTCUSDT&origClientOrderId=unknown", -2011, "Unknown order sent."),
    ] {
        let reply = bob.delete("/api/v3/order", path).await;
        assert_eq!((reply.code(), reply.text()), ((400, code), text));
        let reply = bob.get("/api/v3/order", path).await;
        assert_eq!((reply.code(), reply.text()), ((400, -2013), "Order does not exist."));
    }
    restricted_cancels_are_refused(alice, bob).await;
    let stranger = bob.get("/api/v3/order", "symbol=BTCUSDT&orderId=1").await;
    assert_eq!(stranger.code(), (400, -2013), "orders of others do not exist");
    venue.operator(Method::PATCH, "markets/BTCUSDT", Some(json!({"status": "HALT"}))).await;
    let halted = bob.order(&format!("{limit}&side=BUY&quantity=0.01&price=10000")).await;
    assert_eq!((halted.code(), halted.text()), ((400, -2010), "Market is closed."));
    let cancelled =
        bob.delete("/api/v3/order", "symbol=BTCUSDT&origClientOrderId=twice&cancelRestrictions=ONLY_NEW").await;
    assert_eq!(cancelled.status, 200, "cancelling is still allowed");
    venue.stop().await;
}

/// Half of alice's order 1 has traded, nothing of bob's order "twice".
async fn restricted_cancels_are_refused(alice: &Client, bob: &Client) {
    for (client, order, restriction, code, text) in [
        (alice, "orderId=1", "ONLY_NEW", -2011, "Order was not canceled due to cancel restrictions."),
        (
            bob,
            "origClientOrderId=twice",
            "ONLY_PARTIALLY_FILLED",
            -2011,
            "Order was not canceled due to cancel restrictions.",
        ),
        (bob, "orderId=999", "ONLY_NEW", -2011, "Unknown order sent."),
        (
            bob,
            "origClientOrderId=twice",
            "only_new",
            -1145,
            "cancelRestrictions has to be either ONLY_NEW or ONLY_PARTIALLY_FILLED.",
        ),
    ] {
        let cancel = format!("symbol=BTCUSDT&{order}&cancelRestrictions={restriction}");
        let reply = client.delete("/api/v3/order", &cancel).await;
        assert_eq!((reply.code(), reply.text()), ((400, code), text), "{cancel}");
    }
    let partial = "symbol=BTCUSDT&orderId=1&cancelRestrictions=ONLY_PARTIALLY_FILLED";
    assert_eq!(alice.delete("/api/v3/order", partial).await.body["executedQty"], "0.05000000");
}

/// A valid order, with some parameters replaced, added or left out (`None`).
fn changed(changes: &[Change]) -> String {
    let mut order = vec![
        ("symbol", "BTCUSDT"),
        ("side", "BUY"),
        ("type", "LIMIT"),
        ("timeInForce", "GTC"),
        ("quantity", "0.01"),
        ("price", "10000"),
    ];
    for &(name, value) in changes {
        let at = order.iter().position(|&(known, _)| known == name);
        match (at, value) {
            (Some(at), Some(value)) => order[at].1 = value,
            (Some(at), None) => drop(order.remove(at)),
            (None, Some(value)) => order.push((name, value)),
            (None, None) => {}
        }
    }
    order.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

const DECIMAL: &str = "legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'.";

/// A parameter, and its new value; `None`: it is left out.
type Change<'a> = (&'a str, Option<&'a str>);

/// An order, and the code and text that it is refused with.
type Refused = (String, i64, String);

/// What makes a market order of the valid order.
const MARKET: &[Change<'static>] = &[("type", Some("MARKET")), ("timeInForce", None), ("price", None)];

fn market_with(changes: &[Change<'static>]) -> Vec<Change<'static>> {
    [MARKET, changes].concat()
}

fn mandatory(name: &str) -> String {
    format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
}

/// Orders with a parameter that is missing, empty, or not a value of its kind.
fn malformed_orders() -> Vec<Refused> {
    let empty = |name: &str| format!("Parameter '{name}' was empty.");
    let decimal = |name: &str| format!("Illegal characters found in parameter '{name}'; {DECIMAL}");
    let long = "9".repeat(400);
    let long_name = "x".repeat(37);
    let mut cases = Vec::new();
    let mut case = |changes: &[Change], code: i64, text: String| cases.push((changed(changes), code, text));
    for name in ["symbol", "side", "type", "timeInForce", "quantity", "price"] {
        case(&[(name, None)], -1102, mandatory(name));
        case(&[(name, Some(""))], -1105, empty(name));
    }
    for name in ["quantity", "price"] {
        for bad in ["abc", "-1", "1e-05", "1.", ".5", "+1", "1,5", "NaN", "0x10", &long, "1%002", "%C2%B2"] {
            case(&[(name, Some(bad))], -1100, decimal(name));
        }
        case(&[(name, Some("0.000000001"))], -1111, format!("Parameter '{name}' has too much precision."));
        case(&[(name, Some("0.00000000000000000001"))], -1111, format!("Parameter '{name}' has too much precision."));
    }
    case(&[("symbol", Some("NOPE"))], -1121, "Invalid symbol.".into());
    for bad in ["btcusdt", "BTC/USDT", "BTC%20USDT", &"A".repeat(51)] {
        case(
            &[("symbol", Some(bad))],
            -1100,
            r"Illegal characters found in parameter 'symbol'; legal range is '^[\w\-._&&[^a-z]]{1,50}$'.".into(),
        );
    }
    case(&[("side", Some("buy"))], -1117, "Invalid side.".into());
    case(&[("type", Some("ICEBERG"))], -1116, "Invalid orderType.".into());
    case(&[("timeInForce", Some("GTX"))], -1115, "Invalid timeInForce.".into());
    case(
        &[("newOrderRespType", Some("SHORT"))],
        -1130,
        "Data sent for parameter 'newOrderRespType' is not valid.".into(),
    );
    case(
        &[("selfTradePreventionMode", Some("EXPIRE_NONE"))],
        -1130,
        "Data sent for parameter 'selfTradePreventionMode' is not valid.".into(),
    );
    for bad in ["white%20space", "%C3%BCmlaut", "a%22b", &long_name] {
        case(
            &[("newClientOrderId", Some(bad))],
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.".into(),
        );
    }
    cases
}

/// Orders with a parameter that their type does not have, with one that is unknown, or with one twice.
fn misplaced_parameters() -> Vec<Refused> {
    let not_required = |name: &str| format!("Parameter '{name}' sent when not required.");
    let mut cases = Vec::new();
    let mut case = |changes: &[Change], code: i64, text: String| cases.push((changed(changes), code, text));
    case(&[("stopPrice", Some("1"))], -1106, not_required("stopPrice"));
    case(&[("quoteOrderQty", Some("10"))], -1106, not_required("quoteOrderQty"));
    case(&market_with(&[("price", Some("1"))]), -1106, not_required("price"));
    case(&market_with(&[("timeInForce", Some("GTC"))]), -1106, not_required("timeInForce"));
    case(&market_with(&[("quoteOrderQty", Some("10"))]), -1106, not_required("quoteOrderQty"));
    case(
        &market_with(&[("quantity", None)]),
        -1102,
        "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!".into(),
    );
    case(&[("type", Some("LIMIT_MAKER"))], -1106, not_required("timeInForce"));
    case(
        &[("type", Some("STOP_LOSS_LIMIT"))],
        -1102,
        "Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!".into(),
    );
    case(
        &[("workingFloor", Some("SOR"))],
        -1104,
        "Not all sent parameters were read; read '8' parameter(s) but was sent '9'.".into(),
    );
    case(
        &[("quantity", Some("0.01&quantity=0.02"))],
        -1101,
        "Duplicate values for parameter 'quantity' detected.".into(),
    );
    cases
}

fn orders_that_fail_filters() -> Vec<Refused> {
    let mut cases = Vec::new();
    let mut case = |changes: &[Change], code: i64, text: String| cases.push((changed(changes), code, text));
    case(&[("price", Some("0"))], -1013, "Filter failure: PRICE_FILTER".into());
    case(&[("price", Some("10000.001"))], -1013, "Filter failure: PRICE_FILTER".into());
    case(&[("price", Some("1000000.01"))], -1013, "Filter failure: PRICE_FILTER".into());
    case(&[("price", Some("99999999999999999999"))], -1013, "Filter failure: PRICE_FILTER".into());
    case(&[("quantity", Some("0"))], -1013, "Filter failure: LOT_SIZE".into());
    case(&[("quantity", Some("0.000001"))], -1013, "Filter failure: LOT_SIZE".into());
    case(&[("quantity", Some("900.00001"))], -1013, "Filter failure: LOT_SIZE".into());
    case(&[("quantity", Some("99999999999999999999"))], -1013, "Filter failure: LOT_SIZE".into());
    case(&market_with(&[("quantity", Some("100.00001"))]), -1013, "Filter failure: MARKET_LOT_SIZE".into());
    case(&[("quantity", Some("0.00001"))], -1013, "Filter failure: NOTIONAL".into());
    case(
        &market_with(&[("quantity", None), ("quoteOrderQty", Some("4.99"))]),
        -1013,
        "Filter failure: NOTIONAL".into(),
    );
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_orders_get_their_code_and_change_nothing() {
    let venue = Venue::start_in(PARTITIONS, Config::default()).await;
    let before = venue.audit().await;
    let mut cases = malformed_orders();
    cases.extend(misplaced_parameters());
    cases.extend(orders_that_fail_filters());
    for (order, code, text) in &cases {
        for path in ["/api/v3/order", "/api/v3/order/test"] {
            let reply = venue.alice.post(path, order).await;
            assert_eq!((reply.code(), reply.text()), ((400, *code), text.as_str()), "{path} {order}");
        }
    }
    assert_eq!(venue.alice.post("/api/v3/order/test", &changed(&[])).await.body, json!({}));
    assert_eq!(venue.audit().await, before, "nothing was logged");
    assert_eq!(venue.alice.get("/api/v3/openOrders", "").await.body, json!([]));
    assert!(cases.len() > 60);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_senders_are_refused_and_change_nothing() {
    let venue = Venue::start_in(PARTITIONS, Config::default()).await;
    let reader = venue.key(venue.alice.account, json!({"permissions": ["READ"]})).await;
    let trader = venue.key(venue.alice.account, json!({"permissions": ["TRADE"]})).await;
    let elsewhere =
        venue.key(venue.alice.account, json!({"permissions": ["READ", "TRADE"], "allowedIps": ["10.0.0.0/8"]})).await;
    let revoked = venue.key(venue.alice.account, json!({"permissions": ["READ", "TRADE"]})).await;
    let path = format!("accounts/{}/api-keys/{}", venue.alice.account, revoked.key);
    assert_eq!(venue.operator(Method::DELETE, &path, None).await.status, 200);
    let before = venue.audit().await;
    let order = changed(&[]);
    let rejected = ((401, -2015), "Invalid API-key, IP, or permissions for action.");
    let expect = |reply: crate::rest_venue::Reply, expected: ((u16, i64), &str)| {
        assert_eq!((reply.code(), reply.text()), expected, "{reply:?}");
    };
    for client in [&reader, &elsewhere, &revoked, &Client { key: "u".repeat(64), ..venue.alice.clone() }] {
        expect(client.order(&order).await, rejected);
    }
    expect(trader.get("/api/v3/account", "").await, rejected);
    assert_eq!(reader.get("/api/v3/account", "").await.status, 200);
    for key in ["", "short", &"-".repeat(64), &"x".repeat(65)] {
        let client = Client { key: key.into(), ..venue.alice.clone() };
        expect(client.order(&order).await, ((401, -2014), "API-key format invalid."));
    }
    expect(
        venue.request(Method::POST, &format!("/api/v3/order?{order}")).await,
        ((401, -2014), "API-key format invalid."),
    );
    let invalid = ((400, -1022), "Signature for this request is not valid.");
    let other = Client { secret: "other".into(), ..venue.alice.clone() };
    expect(other.order(&order).await, invalid);
    for signature in ["", "0", "zz", &"0".repeat(64), &"0".repeat(10_000)] {
        let query = format!("/api/v3/order?{order}&timestamp={}&signature={signature}", millis());
        let reply = venue.alice.raw(Method::POST, &query, None).await;
        let expected = if signature.is_empty() { ((400, -1105), "Parameter 'signature' was empty.") } else { invalid };
        expect(reply, expected);
    }
    let unsigned = format!("/api/v3/order?{order}&timestamp={}", millis());
    expect(venue.alice.raw(Method::POST, &unsigned, None).await, ((400, -1102), &mandatory("signature")));
    let signed = |payload: &str| format!("/api/v3/order?{payload}&signature={}", venue.alice.sign(payload));
    expect(venue.alice.raw(Method::POST, &signed(&order), None).await, ((400, -1102), &mandatory("timestamp")));
    let late = ((400, -1021), "Timestamp for this request is outside of the recvWindow.");
    let early = ((400, -1021), "Timestamp for this request was 1000ms ahead of the server's time.");
    for (stamp, expected) in [
        (format!("timestamp={}", millis() - 6_000), late),
        (format!("timestamp={}000", millis() - 6_000), late),
        (format!("timestamp={}&recvWindow=100", millis() - 2_000), late),
        (format!("timestamp={}", millis() + 60_000), early),
        (
            format!("timestamp={}&recvWindow=60001", millis()),
            ((400, -1102), "'recvWindow' contains unexpected value. Cannot be greater than 60000."),
        ),
        (
            "timestamp=now".into(),
            ((400, -1100), "Illegal characters found in parameter 'timestamp'; legal range is '^[0-9]{1,20}$'."),
        ),
    ] {
        expect(venue.alice.raw(Method::POST, &signed(&format!("{order}&{stamp}")), None).await, expected);
    }
    assert_eq!(venue.audit().await, before, "nothing was logged");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_travel_in_query_and_body_on_any_verb() {
    let venue = Venue::start_in(PARTITIONS, Config::default()).await;
    let alice = &venue.alice;
    let order = |id: &str| format!("{}&newClientOrderId={id}&timestamp={}", changed(&[]), millis());
    // All in the body; split; the signature in the other part; overridden by the query.
    let form = order("form");
    let reply = alice.raw(Method::POST, "/api/v3/order", Some(format!("{form}&signature={}", alice.sign(&form)))).await;
    assert_eq!(reply.body["clientOrderId"], "form", "{reply:?}");
    let (query, body) = ("symbol=BTCUSDT&side=BUY&type=LIMIT&price=10000", "timeInForce=GTC&quantity=0.01");
    let body = format!("{body}&timestamp={}", millis());
    let signature = alice.sign(&format!("{query}{body}"));
    let path = format!("/api/v3/order?{query}&signature={signature}");
    assert_eq!(alice.raw(Method::POST, &path, Some(body)).await.status, 200);
    let (query, body) = ("newClientOrderId=query", order("body"));
    let signature = alice.sign(&format!("{query}{body}"));
    let reply =
        alice.raw(Method::POST, &format!("/api/v3/order?{query}"), Some(format!("{body}&signature={signature}"))).await;
    assert_eq!(reply.body["clientOrderId"], "query", "{reply:?}");
    // DELETE and GET with a form.
    for method in [Method::GET, Method::DELETE] {
        let form = format!("symbol=BTCUSDT&origClientOrderId=form&timestamp={}", millis());
        let form = format!("{form}&signature={}", alice.sign(&form));
        let reply = alice.raw(method.clone(), "/api/v3/order", Some(form)).await;
        assert_eq!(reply.status, 200, "{method} {reply:?}");
    }
    // A name that needs encoding, and a time in microseconds.
    let payload = format!("{}&newClientOrderId=a%2Db%5Fc&timestamp={}000&recvWindow=5000.5", changed(&[]), millis());
    let reply =
        alice.raw(Method::POST, &format!("/api/v3/order?{payload}&signature={}", alice.sign(&payload)), None).await;
    assert_eq!(reply.body["clientOrderId"], "a-b_c", "{reply:?}");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn public_queries_answer() {
    let venue = Venue::start_in(PARTITIONS, Config::default()).await;
    assert_eq!(venue.get("/api/v3/ping").await.body, json!({}));
    assert!(venue.get("/api/v3/time").await.body["serverTime"].as_u64().unwrap().abs_diff(millis()) < 60_000);
    let info = venue.get("/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%5D").await.body;
    let symbol = &info["symbols"][0];
    let filter = |kind: &str| {
        let of = |filter: &&Value| filter["filterType"] == kind;
        symbol["filters"].as_array().unwrap().iter().find(of).unwrap_or_else(|| panic!("no {kind}")).clone()
    };
    assert_eq!(
        filter("PRICE_FILTER"),
        json!({
            "filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000",
            "tickSize": "0.01000000",
        })
    );
    assert_eq!(filter("LOT_SIZE")["maxQty"], "900.00000000");
    assert_eq!(filter("MARKET_LOT_SIZE")["maxQty"], "100.00000000");
    assert_eq!(filter("NOTIONAL")["minNotional"], "5.00000000");
    let band = filter("PERCENT_PRICE_BY_SIDE");
    assert_eq!(
        json!([band["bidMultiplierUp"], band["askMultiplierDown"], band["avgPriceMins"]]),
        json!(["5", "0.2", 0])
    );
    assert_eq!(symbol["permissionSets"], json!([["SPOT"]]));
    assert_eq!(info["rateLimits"].as_array().unwrap().len(), 4);
    for (query, list) in [("", true), ("?symbol=BTCUSDT", false), ("?symbols=[\"BTCUSDT\"]", true)] {
        for path in ["ticker/24hr", "ticker/price", "ticker/bookTicker"] {
            let body = venue.get(&format!("/api/v3/{path}{query}")).await.body;
            let first = if list { &body[0] } else { &body };
            assert_eq!(first["symbol"], "BTCUSDT", "{path}{query} {body}");
        }
    }
    let ticker = venue.get("/api/v3/ticker/24hr?symbol=BTCUSDT").await.body;
    assert_eq!(ticker["closeTime"].as_u64().unwrap() - ticker["openTime"].as_u64().unwrap(), 86_400_000);
    let unknown_key = Client { key: "whatever".into(), ..venue.alice.clone() };
    assert_eq!(unknown_key.raw(Method::GET, "/api/v3/ping", None).await.status, 200, "public is public");
    for path in ["capital/config/getall", "margin/allPairs", "margin/isolated/allPairs", "spot/delist-schedule"] {
        assert_eq!(venue.alice.get(&format!("/sapi/v1/{path}"), "").await.body, json!([]));
    }
    assert_eq!(venue.get("/sapi/v1/system/status").await.body, json!({"status": 0, "msg": "normal"}));
    assert_eq!(
        venue.alice.get("/sapi/v1/asset/tradeFee", "symbol=BTCUSDT").await.body,
        json!([{"symbol": "BTCUSDT", "makerCommission": "0.00100000", "takerCommission": "0.00200000"}])
    );
    assert_eq!(venue.get("/nothing").await.code(), (404, -1020));
    let wrong = venue.request(Method::PUT, "/api/v3/order").await;
    assert_eq!(
        (wrong.code(), wrong.headers["allow"].to_str().unwrap()),
        ((405, -1020), "POST, DELETE, GET, HEAD, OPTIONS")
    );
    assert_eq!(venue.get("/healthz").await.status, 200);
    assert_eq!(venue.get("/openapi.json").await.body["openapi"], "3.1.0");
    assert!(venue.get("/docs").await.body.as_str().unwrap().contains("<title>"));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_public_queries_get_their_code() {
    let venue = Venue::start_in(PARTITIONS, Config::default()).await;
    for (path, code, text) in [
        ("depth", -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        ("depth?symbol=NOPE", -1121, "Invalid symbol."),
        ("depth?symbol=BTCUSDT&limit=0", -1130, "Data sent for parameter 'limit' is not valid."),
        (
            "depth?symbol=BTCUSDT&symbolStatus=HALT",
            -1220,
            "The symbol's status does not match the requested symbolStatus.",
        ),
        (
            "trades?symbol=BTCUSDT&limit=x",
            -1100,
            "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.",
        ),
        ("klines?symbol=BTCUSDT", -1102, "Mandatory parameter 'interval' was not sent, was empty/null, or malformed."),
        ("klines?symbol=BTCUSDT&interval=2m", -1120, "Invalid interval."),
        ("klines?symbol=BTCUSDT&interval=1m&timeZone=15", -1130, "Data sent for parameter 'timeZone' is not valid."),
        ("aggTrades?symbol=BTCUSDT&fromId=1&startTime=1", -1128, "Combination of optional parameters invalid."),
        ("ticker/24hr?symbol=BTCUSDT&symbols=[\"BTCUSDT\"]", -1128, "Combination of optional parameters invalid."),
        ("ticker/24hr?type=SHORT", -1139, "Invalid ticker type."),
        ("ticker/price?symbols=[\"BTCUSDT\",\"BTCUSDT\"]", -1151, "Symbol is present multiple times in the list."),
        ("ticker/price?symbolStatus=OPEN", -1122, "Invalid symbolStatus."),
        ("ping?x=1", -1101, "Too many parameters; expected '0' and received '1'."),
        ("trades?symbol=BTCUSDT&limit=1&x=1", -1101, "Too many parameters; expected '2' and received '3'."),
        (
            "depth?symbol=BTCUSDT&x=1",
            -1104,
            "Not all sent parameters were read; read '1' parameter(s) but was sent '2'.",
        ),
        ("time?a=1&a=2", -1101, "Duplicate values for parameter 'a' detected."),
        ("avgPrice?symbol=", -1105, "Parameter 'symbol' was empty."),
    ] {
        let reply = venue.get(&format!("/api/v3/{path}")).await;
        assert_eq!((reply.code(), reply.text()), ((400, code), text), "{path}");
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_times_of_queries_are_bounded() {
    let venue = Venue::start_in(PARTITIONS, Config::default()).await;
    for path in ["depth", "trades", "historicalTrades", "aggTrades", "klines", "uiKlines"] {
        let parameters = if path.ends_with("lines") { "&interval=1m" } else { "" };
        let most = venue.get(&format!("/api/v3/{path}?symbol=BTCUSDT{parameters}&limit=1000000")).await;
        assert_eq!(most.status, 200, "a limit above the most is the most: {path} {most:?}");
    }
    for path in ["allOrders", "myTrades"] {
        let most = venue.alice.get(&format!("/api/v3/{path}"), "symbol=BTCUSDT&limit=1000000").await;
        assert_eq!(most.status, 200, "{path} {most:?}");
    }
    for path in ["klines?symbol=BTCUSDT&interval=1m", "aggTrades?symbol=BTCUSDT"] {
        let backwards = venue.get(&format!("/api/v3/{path}&startTime=5&endTime=1")).await;
        assert_eq!((backwards.status, backwards.body), (200, json!([])), "{path}");
    }
    let backwards = venue.alice.get("/api/v3/allOrders", "symbol=BTCUSDT&startTime=5&endTime=1").await;
    assert_eq!((backwards.status, backwards.body), (200, json!([])));
    // A day is 86,400,000 milliseconds, and not one microsecond more.
    for (end, status) in [("1700086400000", 200), ("1700086400001", 400), ("1700086400000001", 400)] {
        for path in ["allOrders", "myTrades"] {
            let parameters = format!("symbol=BTCUSDT&startTime=1700000000000&endTime={end}");
            assert_eq!(venue.alice.get(&format!("/api/v3/{path}"), &parameters).await.status, status, "{path} {end}");
        }
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_and_orders_are_counted_and_limited() {
    let mut config = Config::default();
    (config.limits.request_weight_1m, config.limits.orders_10s, config.limits.ban_after) = (400, 3, 2);
    let venue = Venue::start_in(PARTITIONS, config).await;
    // The window ends with the minute (of ten seconds, for orders); begin where neither ends soon.
    while millis() % 60_000 > 45_000 || millis() % 10_000 > 7_000 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let used = venue.get("/api/v3/exchangeInfo").await.header("x-mbx-used-weight-1m");
    assert_eq!(venue.get("/api/v3/depth?symbol=BTCUSDT&limit=500").await.header("x-mbx-used-weight-1m"), used + 25);
    let placed = venue.bob.order(&changed(&[])).await;
    assert_eq!(placed.header("x-mbx-used-weight-1m"), used + 25, "an order that succeeds costs nothing");
    assert_eq!(placed.header("x-mbx-used-weight"), used + 25, "the same under the older name");
    assert_eq!((placed.header("x-mbx-order-count-10s"), placed.header("x-mbx-order-count-1d")), (1, 1));
    let refused = venue.bob.order(&changed(&[("quantity", Some("11")), ("side", Some("SELL"))])).await;
    assert_eq!(refused.code(), (400, -2010));
    assert_eq!(refused.header("x-mbx-used-weight-1m"), used + 26);
    for _ in 0..2 {
        assert_eq!(venue.bob.order(&changed(&[])).await.status, 200);
    }
    let over = venue.bob.order(&changed(&[])).await;
    assert_eq!(
        (over.code(), over.text()),
        ((429, -1015), "Too many new orders; current limit is 3 orders per 10 SECOND.")
    );
    assert!((1..=10).contains(&over.header("retry-after")));
    assert_eq!((over.header("x-mbx-order-count-10s"), over.header("x-mbx-order-count-1d")), (3, 3));
    assert_eq!(venue.alice.order(&changed(&[])).await.status, 200, "others are not concerned");
    let mut statuses = Vec::new();
    for _ in 0..9 {
        let reply = venue.get("/api/v3/ticker/24hr").await;
        if reply.status != 200 {
            assert_eq!(reply.body["code"], -1003);
            assert!(reply.header("retry-after") >= 1);
            assert!(reply.header("x-mbx-used-weight-1m") > 100);
        }
        statuses.push(reply.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429, 418, 418, 418]);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn makers_may_place_more_orders() {
    let venue = Venue::start_in(PARTITIONS, Config::default()).await;
    venue.values_nothing().await;
    let sell = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=20000";
    for count in 1..=7 {
        assert_eq!(venue.alice.order(sell).await.header("x-mbx-order-count-1d"), count);
    }
    let buy = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.5";
    assert_eq!(venue.bob.order(buy).await.header("x-mbx-order-count-1d"), 0, "an order that traded does not count");
    assert_eq!(venue.alice.order(sell).await.header("x-mbx-order-count-1d"), 3, "7 - 5 + 1");
    assert_eq!(venue.bob.order(buy).await.status, 200);
    assert_eq!(venue.alice.order(sell).await.header("x-mbx-order-count-1d"), 4, "only the first trade of an order");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_venue_refuses_commands_and_lets_requests_end() {
    let venue = Venue::start_in(PARTITIONS, Config::default()).await;
    assert_eq!(venue.get("/readyz").await.status, 200);
    venue.app.gateway.stop();
    let refused = venue.alice.order(&changed(&[])).await;
    assert_eq!((refused.code(), refused.text()), ((503, -1016), "This service is no longer available."));
    venue.shut.store(true, Ordering::Relaxed);
    assert_eq!(venue.alice.order(&changed(&[])).await.code(), (503, -1016), "with too many orders before it, too");
    assert_eq!(venue.get("/readyz").await.status, 503);
    assert_eq!(venue.alice.get("/api/v3/account", "").await.status, 200, "questions are still answered");
    let address = venue.http;
    venue.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_over_a_senders_own_limit_do_not_count_as_overload() {
    let mut config = Config::default();
    config.limits.request_weight_1m = 5;
    let venue = Venue::start_in(PARTITIONS, config).await;
    venue.shut.store(true, Ordering::Relaxed);
    let mut turned_away = 0;
    let refused = loop {
        match venue.bob.order(&changed(&[])).await.code() {
            (503, -1008) => turned_away += 1,
            other => break other,
        }
        assert!(turned_away <= 5);
    };
    assert_eq!(refused.1, -1003);
    assert_eq!(venue.turned_away.load(Ordering::Relaxed), turned_away);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_there_are_too_many_orders_new_ones_are_not_even_read() {
    let venue = Venue::start_in(PARTITIONS, Config::default()).await;
    let resting = venue.bob.limit("BUY", "1", "10000").await;
    venue.shut.store(true, Ordering::Relaxed);
    let refused = venue.bob.order(&changed(&[])).await;
    assert_eq!(refused.code(), (503, -1008));
    let used = refused.header("x-mbx-used-weight-1m");
    let unread = venue.bob.order("symbol=NOTHING").await;
    assert_eq!(unread.code(), (503, -1008), "what it says does not matter");
    assert_eq!(unread.header("x-mbx-used-weight-1m"), used + 1, "whoever goes on is limited");
    let address = format!("ws://{}/ws-api/v3", venue.http);
    let (mut socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
    let order = json!({"id": "mine", "method": "order.place", "params": {"symbol": "BTCUSDT"}});
    socket.send(Message::text(order.to_string())).await.unwrap();
    let Message::Text(text) = socket.next().await.unwrap().unwrap() else { panic!("not an answer") };
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&answer["id"], &answer["status"], &answer["error"]["code"]),
        (&json!("mine"), &json!(503), &json!(-1008))
    );
    assert_eq!(venue.turned_away.load(Ordering::Relaxed), 3);
    let cancel = format!("symbol=BTCUSDT&orderId={}", resting["orderId"]);
    assert_eq!(venue.bob.delete("/api/v3/order", &cancel).await.status, 200, "cancels go on");
    assert_eq!(venue.bob.get("/api/v3/openOrders", "symbol=BTCUSDT").await.body, json!([]));
    venue.shut.store(false, Ordering::Relaxed);
    assert_eq!(venue.bob.order(&changed(&[])).await.status, 200);
    venue.stop().await;
}
