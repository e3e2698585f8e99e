//! Orders whose quantity is lowered.

use reqwest::Method;
use serde_json::{Value, json};

use crate::instructions::{Reports, newest};
use crate::rest_venue::{Client, Reply};

const AMEND: &str = "/api/v3/order/amend/keepPriority";

async fn amend(client: &Client, parameters: &str) -> Reply {
    client.send(Method::PUT, AMEND, &format!("symbol=BTCUSDT&{parameters}")).await
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amended_order_keeps_its_place_and_is_told_everywhere() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        let mut reports = Reports::of(&venue, alice).await;
        let order = alice.limit("SELL", "0.5", "20000").await;
        bob.limit("SELL", "0.5", "20000").await;
        let id = number(&order["orderId"]);
        let named = format!("orderId={id}&newQty=0.3&newClientOrderId=second");
        let reply = amend(alice, &named).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let amended = &reply.body["amendedOrder"];
        assert_eq!(
            (&amended["origClientOrderId"], &amended["clientOrderId"], &amended["qty"], &amended["status"]),
            (&order["clientOrderId"], &json!("second"), &json!("0.30000000"), &json!("NEW"))
        );
        assert_eq!(alice.balance("BTC").await, ("9.70000000".to_owned(), "0.30000000".to_owned()));
        // The report, the query of the order and the list of its amendments tell the same.
        assert_eq!(reports.next().await["x"], "NEW");
        let report = reports.next().await;
        assert_eq!(
            (&report["x"], &report["X"], &report["q"]),
            (&json!("REPLACED"), &json!("NEW"), &json!("0.30000000"))
        );
        assert_eq!((&report["c"], &report["C"]), (&json!("second"), &order["clientOrderId"]));
        assert_eq!(report["I"], reply.body["executionId"]);
        let shown = alice.get("/api/v3/order", "symbol=BTCUSDT&origClientOrderId=second").await.body;
        assert_eq!((&shown["orderId"], &shown["origQty"]), (&order["orderId"], &json!("0.30000000")));
        let again = amend(alice, "origClientOrderId=second&newQty=0.2&newClientOrderId=second").await;
        assert_eq!(again.status, 200, "{again:?}");
        let all = alice.get("/api/v3/order/amendments", &format!("symbol=BTCUSDT&orderId={id}")).await.body;
        let all = all.as_array().unwrap().clone();
        assert_eq!(all.len(), 2);
        let first = &all[0];
        assert_eq!(
            (&first["executionId"], &first["origQty"], &first["newQty"], &first["newClientOrderId"]),
            (&reply.body["executionId"], &json!("0.50000000"), &json!("0.30000000"), &json!("second"))
        );
        let from = format!("symbol=BTCUSDT&orderId={id}&fromExecutionId={}", number(&first["executionId"]) + 1);
        let rest = alice.get("/api/v3/order/amendments", &from).await.body;
        assert_eq!(rest, json!([all[1]]));
        // Of what is bought, the amended order gives first.
        let bought =
            bob.order("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.3&price=20000").await.body;
        let fills: Vec<&Value> = bought["fills"].as_array().unwrap().iter().map(|fill| &fill["qty"]).collect();
        assert_eq!(fills, ["0.20000000", "0.10000000"]);
        let filled = alice.get("/api/v3/order", &format!("symbol=BTCUSDT&orderId={id}")).await.body;
        assert_eq!(filled["status"], "FILLED");
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_amended_to_what_has_traded_expires_and_weighs_nothing() {
    let venue = newest(1).await;
    let (alice, bob) = (&venue.alice, &venue.bob);
    let mut reports = Reports::of(&venue, alice).await;
    let id = number(&alice.limit("SELL", "0.5", "20000").await["orderId"]);
    bob.limit("BUY", "0.2", "20000").await;
    let before = alice.get("/api/v3/order", &format!("symbol=BTCUSDT&orderId={id}")).await;
    let reply = amend(alice, &format!("orderId={id}&newQty=0.2")).await;
    let amended = &reply.body["amendedOrder"];
    assert_eq!((&amended["status"], &amended["executedQty"]), (&json!("EXPIRED"), &json!("0.20000000")));
    let (before, after) = (before.header("x-mbx-used-weight-1m"), reply.header("x-mbx-used-weight-1m"));
    // The minute may have ended in between.
    assert!(after <= before, "{before} {after}");
    for kind in ["NEW", "TRADE", "EXPIRED"] {
        assert_eq!(reports.next().await["x"], kind);
    }
    assert_eq!(alice.balance("BTC").await.1, "0.00000000");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_amendments_have_their_documented_texts() {
    let venue = newest(1).await;
    let (alice, bob) = (&venue.alice, &venue.bob);
    let id = number(&alice.limit("SELL", "0.5", "20000").await["orderId"]);
    let other = number(&bob.limit("SELL", "0.5", "20001").await["orderId"]);
    let taken = alice.limit("SELL", "0.5", "20002").await["clientOrderId"].as_str().unwrap().to_owned();
    let refused = async |parameters: String, code: (u16, i64), text: &str| {
        let reply = amend(alice, &parameters).await;
        assert_eq!((reply.code(), reply.text()), (code, text), "{parameters}");
    };
    let increase = "Order amend (quantity increase) is not supported.";
    refused(format!("orderId={id}&newQty=0.6"), (400, -2038), increase).await;
    let nothing = "The requested action would change no state; rejecting.";
    refused(format!("orderId={id}&newQty=0.5"), (400, -2038), nothing).await;
    refused(format!("orderId={other}&newQty=0.1"), (400, -2038), "Unknown order sent.").await;
    let unknown = format!("orderId={id}&origClientOrderId=other&newQty=0.1");
    refused(unknown, (400, -2038), "Unknown order sent.").await;
    refused(format!("orderId={id}&newQty=0.0001"), (400, -2038), "Filter failure: NOTIONAL").await;
    refused(format!("orderId={id}&newQty=0.0000001"), (400, -1013), "Filter failure: LOT_SIZE").await;
    let duplicate = format!("orderId={id}&newQty=0.4&newClientOrderId={taken}");
    refused(duplicate, (400, -2038), "Duplicate order sent.").await;
    let missing = "Mandatory parameter 'newQty' was not sent, was empty/null, or malformed.";
    refused(format!("orderId={id}"), (400, -1102), missing).await;
    for quantity in ["0.4", "0.3"] {
        assert_eq!(amend(alice, &format!("orderId={id}&newQty={quantity}")).await.status, 200);
    }
    let filters = venue.get("/api/v3/exchangeInfo").await.body["symbols"][0].take();
    assert_eq!(filters["amendAllowed"], true);
    let most = json!({"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10});
    assert!(filters["filters"].as_array().unwrap().contains(&most));
    venue.operator(Method::PATCH, "markets/BTCUSDT", Some(json!({"maxNumOrderAmends": 2}))).await;
    refused(format!("orderId={id}&newQty=0.2"), (400, -2038), "Filter failure: MAX_NUM_ORDER_AMENDS").await;
    venue.operator(Method::PATCH, "markets/BTCUSDT", Some(json!({"maxNumOrderAmends": 0}))).await;
    let never = "Order amend is not supported for this symbol.";
    refused(format!("orderId={id}&newQty=0.2"), (400, -2038), never).await;
    assert_eq!(venue.get("/api/v3/exchangeInfo").await.body["symbols"][0]["amendAllowed"], false);
    venue.stop().await;
}
