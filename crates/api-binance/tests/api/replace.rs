//! Orders that replace others, and every answer of which a half fails.

use reqwest::Method;
use serde_json::{Value, json};

use crate::instructions::{Reports, newest};
use crate::rest_venue::{Client, Reply, Venue};

const REPLACE: &str = "/api/v3/order/cancelReplace";
const ORDER: &str = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.5";

async fn replace(client: &Client, parameters: &str) -> Reply {
    client.post(REPLACE, parameters).await
}

/// Status, code, and the results of both halves.
fn results(reply: &Reply) -> (u16, i64, &str, &str) {
    let body = if reply.status == 200 { &reply.body } else { &reply.body["data"] };
    let result = |name: &str| body[name].as_str().unwrap_or_default();
    (reply.status, reply.body["code"].as_i64().unwrap_or_default(), result("cancelResult"), result("newOrderResult"))
}

fn id(order: &Value) -> u64 {
    order["orderId"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_replaces_another_and_uses_its_funds() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let alice = &venue.alice;
        let mut reports = Reports::of(&venue, alice).await;
        // All that she has is in one order.
        let old = alice.limit("SELL", "10", "20000").await;
        let named = "cancelNewClientOrderId=gone&newClientOrderId=new&cancelReplaceMode=STOP_ON_FAILURE";
        let order = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=10&price=20001";
        let reply = replace(alice, &format!("{order}&cancelOrderId={}&{named}", id(&old))).await;
        assert_eq!(results(&reply), (200, 0, "SUCCESS", "SUCCESS"), "{reply:?}");
        let (canceled, placed) = (&reply.body["cancelResponse"], &reply.body["newOrderResponse"]);
        assert_eq!(
            (&canceled["origClientOrderId"], &canceled["clientOrderId"], &canceled["status"]),
            (&old["clientOrderId"], &json!("gone"), &json!("CANCELED"))
        );
        assert_eq!((&placed["clientOrderId"], &placed["status"]), (&json!("new"), &json!("NEW")));
        assert_eq!(placed["fills"], json!([]), "a full answer is the default of limit orders");
        assert_eq!(alice.balance("BTC").await, ("0.00000000".to_owned(), "10.00000000".to_owned()));
        assert_eq!(reply.header("x-mbx-order-count-1d"), 2);
        for kind in ["NEW", "CANCELED", "NEW"] {
            assert_eq!(reports.next().await["x"], kind);
        }
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_half_that_fails_says_why() {
    let venue = newest(1).await;
    let (alice, bob) = (&venue.alice, &venue.bob);
    let stop = "cancelReplaceMode=STOP_ON_FAILURE";
    let allow = "cancelReplaceMode=ALLOW_FAILURE";
    let reply = replace(alice, &format!("{ORDER}&price=20000&cancelOrderId=99&{stop}")).await;
    assert_eq!(results(&reply), (400, -2022, "FAILURE", "NOT_ATTEMPTED"));
    assert_eq!(reply.text(), "Order cancel-replace failed.");
    let data = &reply.body["data"];
    assert_eq!(data["cancelResponse"], json!({"code": -2011, "msg": "Unknown order sent."}));
    assert_eq!(data["newOrderResponse"], Value::Null);
    let reply = replace(alice, &format!("{ORDER}&price=20000&cancelOrderId=99&{allow}&newClientOrderId=a")).await;
    assert_eq!(results(&reply), (409, -2021, "FAILURE", "SUCCESS"));
    assert_eq!(reply.text(), "Order cancel-replace partially failed.");
    let resting = id(&reply.body["data"]["newOrderResponse"]);
    let reply = replace(alice, &format!("{ORDER}&price=20000&cancelOrderId=99&{allow}&newClientOrderId=a")).await;
    assert_eq!(results(&reply), (400, -2022, "FAILURE", "FAILURE"));
    let duplicate = json!({"code": -2010, "msg": "Duplicate order sent."});
    assert_eq!(reply.body["data"]["newOrderResponse"], duplicate);
    let only = "cancelRestrictions=ONLY_PARTIALLY_FILLED";
    let reply = replace(alice, &format!("{ORDER}&price=20001&cancelOrderId={resting}&{stop}&{only}")).await;
    let text = "Order was not canceled due to cancel restrictions.";
    assert_eq!(reply.body["data"]["cancelResponse"], json!({"code": -2011, "msg": text}));
    // The new one is refused by the book, after the old one is cancelled.
    bob.limit("BUY", "0.1", "19000").await;
    let maker = "symbol=BTCUSDT&side=SELL&type=LIMIT_MAKER&quantity=0.5&price=18000";
    let mut reports = Reports::of(&venue, alice).await;
    let reply = replace(alice, &format!("{maker}&cancelOrderId={resting}&{stop}")).await;
    assert_eq!(results(&reply), (409, -2021, "SUCCESS", "FAILURE"));
    let text = "Order would immediately match and take.";
    assert_eq!(reply.body["data"]["newOrderResponse"], json!({"code": -2010, "msg": text}));
    assert_eq!(reply.body["data"]["cancelResponse"]["status"], "CANCELED");
    assert_eq!(reports.next().await["x"], "CANCELED");
    let rejected = reports.next().await;
    assert_eq!((&rejected["x"], &rejected["r"]), (&json!("REJECTED"), &json!("WOULD_MATCH_IMMEDIATELY")));
    // What can be seen without the book refuses the whole.
    let reply = replace(alice, &format!("{ORDER}&price=0.001&cancelOrderId=1&{stop}")).await;
    assert_eq!((reply.code(), reply.body.get("data")), ((400, -1013), None));
    let reply = replace(alice, &format!("{ORDER}&price=20000&{stop}")).await;
    let text = "Param 'cancelOrigClientOrderId' or 'cancelOrderId' must be sent, but both were empty/null!";
    assert_eq!((reply.code(), reply.text()), ((400, -1102), text));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_to_go_still_counts_for_its_filter() {
    let venue = newest(1).await;
    let old = id(&venue.alice.limit("SELL", "0.5", "20000").await);
    venue.operator(Method::PATCH, "markets/BTCUSDT", Some(json!({"maxNumOrders": 1}))).await;
    let mode = "cancelReplaceMode=ALLOW_FAILURE";
    let reply = replace(&venue.alice, &format!("{ORDER}&price=20001&cancelOrderId={old}&{mode}")).await;
    assert_eq!(results(&reply), (400, -2022, "FAILURE", "FAILURE"));
    let filter = json!({"code": -1013, "msg": "Filter failure: MAX_NUM_ORDERS"});
    assert_eq!((&reply.body["data"]["cancelResponse"], &reply.body["data"]["newOrderResponse"]), (&filter, &filter));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_order_limit_an_order_is_only_cancelled_where_that_is_asked_for() {
    let mut config = crossbook_api_binance::Config::default();
    (config.limits.orders_10s, config.limits.orders_1d) = (0, 2);
    let venue = Venue::start_with(config).await;
    let newest = crossbook_protocol::Rules::NEWEST.number();
    venue.operator_does("rules", json!({ "rules": newest })).await;
    let alice = &venue.alice;
    let first = id(&alice.limit("SELL", "0.5", "20000").await);
    let second = id(&alice.limit("SELL", "0.5", "20000").await);
    let text = "Too many new orders; current limit is 2 orders per 1 DAY.";
    let over = json!({"code": -1015, "msg": text});
    let asked = |target: u64, mode: &str, over: &str| {
        format!("{ORDER}&price=20001&cancelOrderId={target}&cancelReplaceMode={mode}{over}")
    };
    for do_nothing in ["", "&orderRateLimitExceededMode=DO_NOTHING"] {
        let reply = replace(alice, &asked(first, "ALLOW_FAILURE", do_nothing)).await;
        assert_eq!((reply.code(), reply.text(), reply.body.get("data")), ((429, -1015), text, None));
    }
    let cancels = "&orderRateLimitExceededMode=CANCEL_ONLY";
    let reply = replace(alice, &asked(first, "STOP_ON_FAILURE", cancels)).await;
    assert_eq!(results(&reply), (429, -2021, "SUCCESS", "FAILURE"));
    assert_eq!(reply.body["data"]["newOrderResponse"], over);
    let reply = replace(alice, &asked(first, "STOP_ON_FAILURE", cancels)).await;
    assert_eq!(results(&reply), (429, -2022, "FAILURE", "NOT_ATTEMPTED"));
    let reply = replace(alice, &asked(second, "ALLOW_FAILURE", cancels)).await;
    assert_eq!(results(&reply), (409, -2021, "SUCCESS", "FAILURE"));
    let reply = replace(alice, &asked(second, "ALLOW_FAILURE", cancels)).await;
    assert_eq!(results(&reply), (400, -2022, "FAILURE", "FAILURE"));
    venue.stop().await;
}
