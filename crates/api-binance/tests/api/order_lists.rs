//! Order lists: placed, followed on the user data stream, found and cancelled.

use reqwest::Method;
use serde_json::{Value, json};

use crate::instructions::{Reports, newest};
use crate::rest_venue::Client;

/// Around the price of 20,000, at which two accounts trade first.
const PAIR: &str = "aboveType=LIMIT_MAKER&abovePrice=22000&belowType=STOP_LOSS&belowStopPrice=18000";

async fn list(client: &Client, kind: &str, parameters: &str) -> Value {
    let answer = client.post(&format!("/api/v3/orderList/{kind}"), &format!("symbol=BTCUSDT&{parameters}")).await;
    assert_eq!(answer.status, 200, "{kind} {parameters}: {answer:?}");
    answer.body
}

fn statuses(list: &Value) -> Vec<&str> {
    list["orderReports"].as_array().unwrap().iter().map(|order| order["status"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_list_is_placed_and_followed() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        let mut reports = Reports::of(&venue, alice).await;
        let working = "workingType=LIMIT&workingSide=BUY&workingPrice=19000&workingQuantity=0.1&workingTimeInForce=GTC";
        let pending = PAIR.replace("above", "pendingAbove").replace("below", "pendingBelow");
        for (kind, parameters, contingency, expected) in [
            ("oco", format!("side=SELL&quantity=0.1&{PAIR}"), "OCO", vec!["NEW", "NEW"]),
            (
                "oto",
                format!("{working}&pendingType=MARKET&pendingSide=SELL&pendingQuantity=0.1"),
                "OTO",
                vec!["NEW", "PENDING_NEW"],
            ),
            (
                "otoco",
                format!("{working}&pendingSide=SELL&pendingQuantity=0.1&{pending}"),
                "OTO",
                vec!["NEW", "PENDING_NEW", "PENDING_NEW"],
            ),
            ("opo", format!("{working}&pendingType=MARKET&pendingSide=SELL"), "OTO", vec!["NEW", "PENDING_NEW"]),
            (
                "opoco",
                format!("{working}&pendingSide=SELL&{pending}"),
                "OTO",
                vec!["NEW", "PENDING_NEW", "PENDING_NEW"],
            ),
        ] {
            let placed = list(alice, kind, &format!("{parameters}&listClientOrderId={kind}")).await;
            assert_eq!(statuses(&placed), expected, "{kind}");
            let state = json!([placed["contingencyType"], placed["listStatusType"], placed["listOrderStatus"]]);
            assert_eq!(state, json!([contingency, "EXEC_STARTED", "EXECUTING"]));
            let has_quantity = placed["orderReports"][1].get("origQty").is_some();
            assert_eq!(has_quantity, !kind.starts_with("opo"), "{kind}");
            for order in placed["orderReports"].as_array().unwrap() {
                let told = reports.next().await;
                assert_eq!((&told["X"], &told["g"]), (&order["status"], &placed["orderListId"]));
            }
            let told = reports.next_of("listStatus").await;
            assert_eq!(
                json!([told["g"], told["c"], told["l"], told["L"], told["C"]]),
                json!([placed["orderListId"], contingency, "EXEC_STARTED", "EXECUTING", kind])
            );
            // Who cancels one order cancels the list.
            let leg = format!("symbol=BTCUSDT&orderId={}", placed["orders"][1]["orderId"]);
            let cancelled = alice.delete("/api/v3/order", &leg).await.body;
            assert_eq!(statuses(&cancelled), vec!["CANCELED"; expected.len()], "{cancelled}");
            assert_eq!(cancelled["listOrderStatus"], "ALL_DONE");
            assert_eq!(reports.next_of("listStatus").await["L"], "ALL_DONE");
        }
        let old = "symbol=BTCUSDT&side=SELL&quantity=0.1&price=22000&stopPrice=18000";
        let missing = alice.post("/api/v3/order/oco", &format!("{old}&stopLimitPrice=17900")).await;
        assert_eq!(missing.code(), (400, -1128), "{missing:?}");
        let placed = alice.post("/api/v3/order/oco", old).await.body;
        assert_eq!((statuses(&placed), &placed["contingencyType"]), (vec!["NEW", "NEW"], &json!("OCO")));
        let id = format!("symbol=BTCUSDT&orderListId={}", placed["orderListId"]);
        let cancelled = alice.delete("/api/v3/orderList", &id).await.body;
        assert_eq!((statuses(&cancelled), &cancelled["listStatusType"]), (vec!["CANCELED"; 2], &json!("ALL_DONE")));
        assert_eq!(alice.delete("/api/v3/orderList", &id).await.code(), (400, -2011));
        let _ = bob;
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_found_by_number_and_name() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let alice = &venue.alice;
        let first = list(alice, "oco", &format!("side=SELL&quantity=0.1&{PAIR}&listClientOrderId=first")).await;
        let second = list(alice, "oco", &format!("side=SELL&quantity=0.1&{PAIR}&listClientOrderId=second")).await;
        let id = |list: &Value| format!("orderListId={}", list["orderListId"]);
        let found = alice.get("/api/v3/orderList", &id(&first)).await.body;
        assert_eq!((&found["listClientOrderId"], &found["orders"]), (&json!("first"), &first["orders"]));
        let named = alice.get("/api/v3/orderList", "origClientOrderId=second").await.body;
        assert_eq!(named["orderListId"], second["orderListId"]);
        let unknown = alice.get("/api/v3/orderList", "orderListId=1").await;
        assert_eq!(unknown.code(), (400, -2013), "{unknown:?}");
        let stranger = venue.bob.get("/api/v3/orderList", &id(&first)).await;
        assert_eq!(stranger.code(), (400, -2013), "{stranger:?}");
        alice.delete("/api/v3/orderList", &format!("symbol=BTCUSDT&{}", id(&first))).await;
        let names = |lists: &Value| -> Vec<Value> {
            lists.as_array().unwrap().iter().map(|list| list["listClientOrderId"].clone()).collect()
        };
        assert_eq!(names(&alice.get("/api/v3/openOrderList", "").await.body), ["second"]);
        assert_eq!(names(&alice.get("/api/v3/allOrderList", "").await.body), ["first", "second"]);
        let from = format!("fromId={}", second["orderListId"]);
        assert_eq!(names(&alice.get("/api/v3/allOrderList", &from).await.body), ["second"]);
        let both = alice.get("/api/v3/allOrderList", &format!("{from}&startTime=1")).await;
        assert_eq!(both.code(), (400, -1128), "{both:?}");
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_the_wrong_shape_has_its_documented_code() {
    let venue = newest(1).await;
    let alice = &venue.alice;
    for (parameters, code) in [
        ("side=SELL&aboveType=MARKET&belowType=STOP_LOSS&belowStopPrice=1", -1158),
        ("side=BUY&aboveType=LIMIT_MAKER&abovePrice=2&belowType=STOP_LOSS&belowStopPrice=1", -1165),
        ("side=SELL&aboveType=STOP_LOSS&aboveStopPrice=2&belowType=LIMIT_MAKER&belowPrice=1", -1166),
        ("side=SELL&aboveType=LIMIT_MAKER&abovePrice=2&belowType=LIMIT_MAKER&belowPrice=1", -1168),
        ("side=BUY&aboveType=TAKE_PROFIT&aboveStopPrice=2&belowType=STOP_LOSS&belowStopPrice=1", -1196),
        ("side=SELL&aboveType=STOP_LOSS&aboveStopPrice=2&belowType=TAKE_PROFIT&belowStopPrice=1", -1197),
        ("side=BUY&aboveType=TAKE_PROFIT&aboveStopPrice=2&belowType=TAKE_PROFIT&belowStopPrice=1", -1198),
        ("side=SELL&aboveType=TAKE_PROFIT&aboveStopPrice=2&belowType=TAKE_PROFIT&belowStopPrice=1", -1199),
        ("side=SELL&aboveType=LIMIT_MAKER&abovePrice=18000&belowType=STOP_LOSS&belowStopPrice=22000", -2010),
        (
            "side=SELL&aboveType=LIMIT_MAKER&abovePrice=22000&belowType=STOP_LOSS_LIMIT&belowStopPrice=18000\
             &belowPrice=17900&belowTimeInForce=IOC&belowIcebergQty=0.01",
            -1160,
        ),
    ] {
        let refused = alice.post("/api/v3/orderList/oco", &format!("symbol=BTCUSDT&quantity=0.1&{parameters}")).await;
        assert_eq!(refused.code(), (400, code), "{parameters}: {refused:?}");
    }
    let working = "workingType=LIMIT&workingPrice=19000&workingQuantity=0.1&workingTimeInForce=GTC&pendingType=MARKET";
    for (sides, code) in [("workingSide=SELL&pendingSide=SELL", -1222), ("workingSide=BUY&pendingSide=BUY", -1223)] {
        let refused = alice.post("/api/v3/orderList/opo", &format!("symbol=BTCUSDT&{working}&{sides}")).await;
        assert_eq!(refused.code(), (400, code), "{refused:?}");
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amended_order_of_a_list_is_told_with_its_list() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let alice = &venue.alice;
        let mut reports = Reports::of(&venue, alice).await;
        let placed = list(alice, "oco", &format!("side=SELL&quantity=0.1&{PAIR}&listClientOrderId=pair")).await;
        assert_eq!(reports.next_of("listStatus").await["l"], "EXEC_STARTED");
        let second = &placed["orders"][1]["orderId"];
        let amend = format!("symbol=BTCUSDT&orderId={second}&newQty=0.04&newClientOrderId=less");
        let amended = alice.send(Method::PUT, "/api/v3/order/amend/keepPriority", &amend).await;
        assert_eq!(amended.status, 200, "{amended:?}");
        let (order, told) = (&amended.body["amendedOrder"], &amended.body["listStatus"]);
        assert_eq!(
            json!([order["orderListId"], order["qty"], order["clientOrderId"]]),
            json!([placed["orderListId"], "0.04000000", "less"])
        );
        assert_eq!(
            json!([told["orderListId"], told["contingencyType"], told["listOrderStatus"], told["listClientOrderId"]]),
            json!([placed["orderListId"], "OCO", "EXECUTING", "pair"])
        );
        assert_eq!(told["orders"][1]["clientOrderId"], "less");
        // Both of the pair are for less; only the name of one has changed.
        let updated = reports.next_of("listStatus").await;
        assert_eq!(json!([updated["l"], updated["L"]]), json!(["UPDATED", "EXECUTING"]));
        assert_eq!(updated["O"][1]["c"], "less");
        for order in placed["orders"].as_array().unwrap() {
            let query = format!("symbol=BTCUSDT&orderId={}", order["orderId"]);
            assert_eq!(alice.get("/api/v3/order", &query).await.body["origQty"], "0.04000000");
        }
        let none = "workingType=LIMIT&workingSide=BUY&workingPrice=19000&workingQuantity=0.1&workingTimeInForce=GTC\
                    &pendingType=MARKET&pendingSide=SELL";
        let unpaid = list(alice, "opo", none).await;
        let amend = format!("symbol=BTCUSDT&orderId={}&newQty=0.04", unpaid["orders"][1]["orderId"]);
        let refused = alice.send(Method::PUT, "/api/v3/order/amend/keepPriority", &amend).await;
        assert_eq!(refused.code(), (400, -2038), "{refused:?}");
        assert_eq!(refused.body["msg"], "Order amend (pending OPO order) is not supported.");
        // A replacement of one order ends its list.
        let replace = format!(
            "symbol=BTCUSDT&cancelReplaceMode=STOP_ON_FAILURE&cancelOrderId={}&side=SELL&type=LIMIT&price=23000\
             &quantity=0.04&timeInForce=GTC",
            placed["orders"][0]["orderId"]
        );
        let replaced = alice.post("/api/v3/order/cancelReplace", &replace).await;
        assert_eq!(replaced.status, 200, "{replaced:?}");
        let id = format!("orderListId={}", placed["orderListId"]);
        assert_eq!(alice.get("/api/v3/orderList", &id).await.body["listOrderStatus"], "ALL_DONE");
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_says_how_many_lists_it_takes() {
    let venue = newest(1).await;
    let alice = &venue.alice;
    let market = || async { venue.get("/api/v3/exchangeInfo").await.body["symbols"][0].clone() };
    let flags = |market: &Value| json!([market["ocoAllowed"], market["otoAllowed"], market["opoAllowed"]]);
    venue.operator(Method::PATCH, "markets/BTCUSDT", Some(json!({"maxNumOrderLists": 1}))).await;
    let rules = market().await;
    assert_eq!(flags(&rules), json!([true, true, true]));
    let filter = json!({"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 1});
    assert!(rules["filters"].as_array().unwrap().contains(&filter), "{rules}");
    list(alice, "oco", &format!("side=SELL&quantity=0.1&{PAIR}")).await;
    let oco = format!("symbol=BTCUSDT&side=SELL&quantity=0.1&{PAIR}");
    let full = alice.post("/api/v3/orderList/oco", &oco).await;
    assert_eq!((full.code(), &full.body["msg"]), ((400, -1013), &json!("Filter failure: MAX_NUM_ORDER_LISTS")));
    venue.operator(Method::PATCH, "markets/BTCUSDT", Some(json!({"maxNumOrderLists": 0}))).await;
    assert_eq!(flags(&market().await), json!([false, false, false]));
    let none = alice.post("/api/v3/orderList/oco", &oco).await;
    let text = "OCO orders are not supported for this symbol";
    assert_eq!((none.code(), &none.body["msg"]), ((400, -2010), &json!(text)));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_of_all_orders_answers_with_orders_and_lists() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let alice = &venue.alice;
        let limit = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=15000";
        let first = alice.post("/api/v3/order", limit).await.body;
        let pair = list(alice, "oco", &format!("side=SELL&quantity=0.1&{PAIR}&listClientOrderId=pair")).await;
        let last = alice.post("/api/v3/order", limit).await.body;
        let ended = alice.delete("/api/v3/openOrders", "symbol=BTCUSDT").await.body;
        let [one, two, three] = &ended.as_array().unwrap()[..] else { panic!("{ended}") };
        assert_eq!((&one["orderId"], &three["orderId"]), (&first["orderId"], &last["orderId"]));
        assert_eq!(
            json!([two["orderListId"], two["listOrderStatus"], two["orders"]]),
            json!([pair["orderListId"], "ALL_DONE", pair["orders"]])
        );
        assert_eq!(statuses(two), ["CANCELED", "CANCELED"]);
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_of_lists_trail_the_price() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        let trade_at = async |price: &str| {
            bob.limit("SELL", "0.01", price).await;
            bob.limit("BUY", "0.01", price).await;
        };
        trade_at("20000").await;
        let get = async |order: &Value| {
            alice.get("/api/v3/order", &format!("symbol=BTCUSDT&orderId={}", order["orderId"])).await.body
        };
        let trails = |order: &Value| order["trailingTime"].as_i64() > Some(0);
        // At once: the other order of the pair stays until the price has come back.
        let stop = "belowType=STOP_LOSS_LIMIT&belowPrice=15000&belowTimeInForce=GTC&belowTrailingDelta=1000";
        let pair = format!("side=SELL&quantity=0.1&aboveType=LIMIT_MAKER&abovePrice=22000&{stop}");
        let placed = list(alice, "oco", &pair).await;
        let [stop, limit] = &placed["orderReports"].as_array().unwrap()[..] else { panic!("{placed}") };
        assert_eq!((&stop["trailingDelta"], stop.get("stopPrice"), trails(stop)), (&json!(1000), None, true), "{stop}");
        assert_eq!(limit.get("trailingDelta"), None);
        trade_at("19000").await;
        assert_eq!(json!([get(stop).await["isWorking"], get(limit).await["status"]]), json!([false, "NEW"]));
        trade_at("18000").await;
        let (stop, limit) = (get(stop).await, get(limit).await);
        assert_eq!(json!([stop["isWorking"], stop["status"], limit["status"]]), json!([true, "NEW", "EXPIRED"]));
        let id = format!("symbol=BTCUSDT&orderListId={}", placed["orderListId"]);
        assert_eq!(alice.delete("/api/v3/orderList", &id).await.status, 200);

        // As clients did before there were other lists.
        let old = "symbol=BTCUSDT&side=SELL&quantity=0.1&price=22000";
        let missing = alice.post("/api/v3/order/oco", old).await;
        assert_eq!(missing.code(), (400, -1102), "{missing:?}");
        let placed = alice.post("/api/v3/order/oco", &format!("{old}&trailingDelta=500")).await.body;
        assert_eq!(placed["orderReports"][0]["trailingDelta"], 500, "{placed}");
        let id = format!("symbol=BTCUSDT&orderListId={}", placed["orderListId"]);
        assert_eq!(alice.delete("/api/v3/orderList", &id).await.status, 200);

        // One that is pending begins when it is placed.
        let working = "workingType=LIMIT&workingSide=BUY&workingPrice=17000&workingQuantity=0.1&workingTimeInForce=GTC";
        for (kind, pending) in [
            ("oto", "pendingType=TAKE_PROFIT&pendingSide=SELL&pendingQuantity=0.1&pendingTrailingDelta=500".to_owned()),
            ("opo", "pendingType=STOP_LOSS&pendingSide=SELL&pendingTrailingDelta=500".to_owned()),
            ("otoco", format!("pendingQuantity=0.1&{PENDING_PAIR}")),
            ("opoco", PENDING_PAIR.to_owned()),
        ] {
            let placed = list(alice, kind, &format!("{working}&{pending}")).await;
            let pending = &placed["orderReports"][1];
            assert_eq!(json!([pending["trailingDelta"], pending["trailingTime"]]), json!([500, -1]), "{kind}");
            bob.limit("SELL", "0.1", "17000").await;
            let begun = get(pending).await;
            assert_eq!((&begun["status"], trails(&begun)), (&json!("NEW"), true), "{kind}: {begun}");
            let id = format!("symbol=BTCUSDT&orderListId={}", placed["orderListId"]);
            assert_eq!(alice.delete("/api/v3/orderList", &id).await.status, 200);
        }
        for (delta, code, text) in [
            ("2001", -1013, "Filter failure: TRAILING_DELTA"),
            ("99999999999", -1108, "Parameter 'belowTrailingDelta' overflowed."),
        ] {
            let refused = pair.replace("Delta=1000", &format!("Delta={delta}"));
            let refused = alice.post("/api/v3/orderList/oco", &format!("symbol=BTCUSDT&{refused}")).await;
            assert_eq!((refused.code(), refused.text()), ((400, code), text));
        }
        venue.stop().await;
    }
}

/// A pair of which one trails the price from when it is placed.
const PENDING_PAIR: &str = "pendingSide=SELL&pendingAboveType=LIMIT_MAKER&pendingAbovePrice=22000\
                            &pendingBelowType=STOP_LOSS&pendingBelowTrailingDelta=500";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_book_gives_orders_of_lists_their_price() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        for (quantity, price) in [("0.2", "21000"), ("0.2", "21500")] {
            bob.limit("SELL", quantity, price).await;
        }
        let bid = bob.limit("BUY", "0.2", "19000").await;
        let shown = |order: &Value| json!([order["price"], order["pegPriceType"], order["peggedPrice"]]);
        let stop = "belowType=STOP_LOSS&belowStopPrice=18000";
        let pair = format!("side=SELL&quantity=0.1&aboveType=LIMIT_MAKER&abovePegPriceType=PRIMARY_PEG&{stop}");
        let placed = list(alice, "oco", &pair).await;
        let given = json!(["0.00000000", "PRIMARY_PEG", "21000.00000000"]);
        assert_eq!(shown(&placed["orderReports"][1]), given, "{placed}");
        let id = format!("symbol=BTCUSDT&orderListId={}", placed["orderListId"]);
        let cancelled = alice.delete("/api/v3/orderList", &id).await.body;
        assert_eq!(shown(&cancelled["orderReports"][1]), given, "{cancelled}");

        // The working order gets it at once, the pending one when it is placed.
        let working = "workingType=LIMIT&workingSide=BUY&workingQuantity=0.1&workingTimeInForce=GTC";
        let pending = "pendingType=LIMIT_MAKER&pendingSide=SELL&pendingQuantity=0.1&pendingPegPriceType=PRIMARY_PEG\
                       &pendingPegOffsetType=PRICE_LEVEL&pendingPegOffsetValue=1";
        let placed = list(alice, "oto", &format!("{working}&workingPegPriceType=PRIMARY_PEG&{pending}")).await;
        let [first, second] = &placed["orderReports"].as_array().unwrap()[..] else { panic!("{placed}") };
        assert_eq!(shown(first), json!(["0.00000000", "PRIMARY_PEG", "19000.00000000"]));
        assert_eq!((second["pegOffsetValue"].as_u64(), second.get("peggedPrice")), (Some(1), None));
        assert_eq!(alice.balance("USDT").await.1, "1900.00000000", "what it needs at that price");
        bob.delete("/api/v3/order", &format!("symbol=BTCUSDT&orderId={}", bid["orderId"])).await;
        bob.limit("SELL", "0.1", "19000").await;
        let second = alice.get("/api/v3/order", &format!("symbol=BTCUSDT&orderId={}", second["orderId"])).await.body;
        assert_eq!((&second["peggedPrice"], &second["status"]), (&json!("21500.00000000"), &json!("NEW")));

        let pending = "pendingType=MARKET&pendingQuantity=0.1";
        let oto = format!("{working}&{pending}");
        for (kind, list, code, text) in [
            ("oco", pair.replace("PRIMARY", "NO"), -1210, "Invalid pegPriceType."),
            (
                "oco",
                format!("{pair}&abovePegOffsetType=PRICE_LEVEL"),
                -1128,
                "Fields [abovePegOffsetType, abovePegOffsetValue] must be sent together or omitted entirely.",
            ),
            ("oco", pair.replace("PRIMARY", "MARKET"), -2010, "This price peg cannot be used with this order type."),
            (
                "oco",
                format!("{pair}&belowPegPriceType=PRIMARY_PEG"),
                -2010,
                "This order type may not use pegged price.",
            ),
            (
                "oto",
                format!("{oto}&pendingSide=SELL"),
                -1102,
                "Mandatory parameter 'workingPrice' was not sent, was empty/null, or malformed.",
            ),
            (
                "oto",
                format!("{oto}&pendingSide=BUY&workingPegPriceType=MARKET_PEG"),
                -2010,
                "Unsupported order combination",
            ),
        ] {
            let refused = alice.post(&format!("/api/v3/orderList/{kind}"), &format!("symbol=BTCUSDT&{list}")).await;
            assert_eq!((refused.code(), refused.text()), ((400, code), text), "{list}");
        }
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trade_shows_the_list_of_its_order() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        let placed = list(alice, "oco", &format!("side=SELL&quantity=0.1&{PAIR}")).await;
        bob.limit("BUY", "0.1", "22000").await;
        for (client, list) in [(alice, &placed["orderListId"]), (bob, &json!(-1))] {
            let trades = client.get("/api/v3/myTrades", "symbol=BTCUSDT").await.body;
            assert_eq!(&trades[0]["orderListId"], list, "{trades}");
        }
        venue.stop().await;
    }
}
