//! What binds an account: rates, filters, counts of orders; and what is refused or empty because no market has it.

use crossbook_api_binance::Config;
use reqwest::Method;
use serde_json::{Value, json};

use crate::rest_venue::Venue;
use crate::streams::{next, send};
use crate::ws_venue;

fn names(body: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_learns_how_many_orders_it_has_placed() {
    let mut config = Config::default();
    (config.limits.orders_10s, config.limits.orders_1d) = (0, 7);
    let venue = Venue::start_with(config).await;
    let counted = async |count: u64| {
        let reply = venue.alice.get("/api/v3/rateLimit/order", "").await;
        // A limit that is switched off is not shown.
        let day = json!({"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 7, "count": count});
        assert_eq!((reply.status, &reply.body), (200, &json!([day])));
        reply.header("x-mbx-used-weight-1m")
    };
    let before = counted(0).await;
    venue.alice.limit("SELL", "0.2", "20000").await;
    let after = counted(1).await;
    // The minute may have ended in between.
    assert!(after == before + 40 || after < before, "{before} {after}");
    venue.bob.limit("BUY", "0.1", "20000").await;
    counted(0).await;
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_and_filters_are_those_of_the_market() {
    let venue = Venue::start().await;
    let info = venue.get("/api/v3/exchangeInfo?symbol=BTCUSDT").await.body;
    let filters = venue.alice.get("/api/v3/myFilters", "symbol=BTCUSDT").await.body;
    assert_eq!(
        filters,
        json!({"exchangeFilters": [], "symbolFilters": info["symbols"][0]["filters"], "assetFilters": []})
    );
    let commission = venue.alice.get("/api/v3/account/commission", "symbol=BTCUSDT").await.body;
    assert_eq!(names(&commission), ["discount", "specialCommission", "standardCommission", "symbol", "taxCommission"]);
    let fee = venue.alice.get("/sapi/v1/asset/tradeFee", "symbol=BTCUSDT").await.body[0].clone();
    let none = "0.00000000";
    let standard =
        json!({"maker": fee["makerCommission"], "taker": fee["takerCommission"], "buyer": none, "seller": none});
    assert_eq!(commission["standardCommission"], standard);
    for part in ["specialCommission", "taxCommission"] {
        assert_eq!(commission[part], json!({"maker": none, "taker": none, "buyer": none, "seller": none}));
    }
    assert_eq!(commission["discount"]["enabledForAccount"], false);
    // What a test order tells is the same.
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=9000";
    let asked = format!("{order}&computeCommissionRates=true");
    let test = venue.alice.send(Method::POST, "/api/v3/order/test", &asked).await.body;
    assert_eq!(
        test["standardCommissionForOrder"],
        json!({"maker": fee["makerCommission"], "taker": fee["takerCommission"]})
    );
    assert_eq!(test["discount"], commission["discount"]);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_of_the_venue_are_shown_and_hold() {
    let venue = Venue::start().await;
    venue.operator_does("rules", json!({"rules": 4})).await;
    let change = async |path: &str, body: Value| {
        let reply = venue.operator(Method::PATCH, path, Some(body)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    };
    change("markets/BTCUSDT", json!({"maxPosition": "50", "avgPriceMins": 5})).await;
    let two = json!({"maxNumOrders": 2, "maxNumAlgoOrders": 0, "maxNumIcebergOrders": 0, "maxNumOrderLists": 1});
    assert_eq!(change("exchange-filters", json!({"maxNumOrders": 2, "maxNumOrderLists": 1})).await, two);
    assert_eq!(change("exchange-filters", json!({})).await, two);
    assert_eq!(venue.operator(Method::GET, "exchange-filters", None).await.body, two);
    let info = venue.get("/api/v3/exchangeInfo?symbol=BTCUSDT").await.body;
    let exchange = json!([
        {"filterType": "EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders": 2},
        {"filterType": "EXCHANGE_MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 1},
    ]);
    assert_eq!(info["exchangeFilters"], exchange);
    let filters = venue.alice.get("/api/v3/myFilters", "symbol=BTCUSDT").await.body;
    assert_eq!(filters["exchangeFilters"], exchange);
    let of_market = info["symbols"][0]["filters"].as_array().unwrap();
    let position = json!({"filterType": "MAX_POSITION", "maxPosition": "50.00000000"});
    assert!(of_market.contains(&position), "{of_market:?}");
    let band = of_market.iter().find(|filter| filter["filterType"] == "PERCENT_PRICE_BY_SIDE").unwrap();
    assert_eq!(band["avgPriceMins"], 5);
    venue.alice.limit("SELL", "0.1", "20000").await;
    venue.alice.limit("SELL", "0.1", "20001").await;
    let order = |side: &str, quantity: &str| {
        format!("symbol=BTCUSDT&side={side}&type=LIMIT&timeInForce=GTC&quantity={quantity}&price=19000")
    };
    let refused = venue.alice.send(Method::POST, "/api/v3/order", &order("BUY", "0.1")).await;
    let text = |name: &str| json!({"code": -1013, "msg": format!("Filter failure: {name}")});
    assert_eq!(refused.body, text("EXCHANGE_MAX_NUM_ORDERS"));
    let refused = venue.bob.send(Method::POST, "/api/v3/order", &order("BUY", "51")).await;
    assert_eq!(refused.body, text("MAX_POSITION"));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_with_fees_of_its_own_sees_and_pays_them() {
    let venue = Venue::start().await;
    venue.operator_does("rules", json!({"rules": 4})).await;
    let path = format!("accounts/{}/fees", venue.alice.account);
    let rates = |maker: &str, taker: &str| json!({"maker": maker, "taker": taker});
    let body = json!({"standard": rates("0.01", "0.02"), "tax": rates("0", "0.1")});
    let set = venue.operator(Method::PUT, &path, Some(body)).await;
    let none = rates("0.00000000", "0.00000000");
    let shown = json!({
        "accountId": venue.alice.account,
        "standard": rates("0.01000000", "0.02000000"),
        "special": none,
        "tax": rates("0.00000000", "0.10000000"),
    });
    assert_eq!((set.status, &set.body), (200, &shown));
    assert_eq!(venue.operator(Method::GET, &path, None).await.body, shown);
    let commission = venue.alice.get("/api/v3/account/commission", "symbol=BTCUSDT").await.body;
    assert_eq!(commission["standardCommission"]["taker"], "0.02000000");
    assert_eq!(commission["taxCommission"]["taker"], "0.10000000");
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=9000";
    let asked = format!("{order}&computeCommissionRates=true");
    let test = venue.alice.send(Method::POST, "/api/v3/order/test", &asked).await.body;
    assert_eq!(test["standardCommissionForOrder"], rates("0.01000000", "0.02000000"));
    assert_eq!(test["taxCommissionForOrder"], rates("0.00000000", "0.10000000"));
    let account = venue.alice.get("/api/v3/account", "").await.body;
    assert_eq!(account["commissionRates"]["taker"], "0.12000000");
    assert_eq!(venue.alice.get("/sapi/v1/asset/tradeFee", "").await.body[0]["takerCommission"], "0.12000000");
    // Others pay what the market says.
    let others = venue.bob.get("/api/v3/account/commission", "symbol=BTCUSDT").await.body;
    assert_eq!(others["taxCommission"]["taker"], "0.00000000");
    venue.alice.limit("SELL", "0.1", "20000").await;
    venue.bob.limit("BUY", "0.1", "20000").await;
    let trades = venue.alice.get("/api/v3/myTrades", "symbol=BTCUSDT").await.body;
    assert_eq!(trades[0]["commission"], "20.00000000", "0.01 of 2,000 USDT");
    for (body, status, text) in [
        (json!({"standard": {"maker": "1", "taker": "0"}}), 400, "standard.maker"),
        (json!({"standard": {"maker": "0"}}), 400, "taker"),
        (json!({"tax": rates("0.99999999", "0")}), 400, "would be all"),
        (json!({"more": 1}), 400, "more"),
    ] {
        let reply = venue.operator(Method::PUT, &path, Some(body.clone())).await;
        assert!(reply.status == status && reply.text().contains(text), "{body} {reply:?}");
    }
    for method in [Method::GET, Method::PUT] {
        let body = (method == Method::PUT).then(|| json!({}));
        assert_eq!(venue.operator(method, "accounts/99999/fees", body).await.status, 404);
    }
    venue.audit().await;
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_market_has_smart_order_routing() {
    let venue = Venue::start().await;
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=9000";
    for (path, parameters, code, text) in [
        ("sor/order", order.to_owned(), -1013, "This symbol has no SOR."),
        ("sor/order/test", format!("{order}&computeCommissionRates=true"), -1013, "This symbol has no SOR."),
        ("sor/order", order.replace("LIMIT", "STOP_LOSS"), -1116, "Invalid orderType."),
        ("sor/order", order.replace("BTCUSDT", "NOPE"), -1121, "Invalid symbol."),
        (
            "sor/order",
            order.replace("&quantity=0.1", ""),
            -1102,
            "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.",
        ),
        (
            "sor/order",
            format!("{order}&computeCommissionRates=true"),
            -1104,
            "Not all sent parameters were read; read '8' parameter(s) but was sent '9'.",
        ),
    ] {
        let reply = venue.alice.send(Method::POST, &format!("/api/v3/{path}"), &parameters).await;
        assert_eq!((reply.code(), reply.text()), ((400, code), text), "{path} {parameters}");
    }
    for (parameters, status) in [
        ("symbol=BTCUSDT", 200),
        ("symbol=BTCUSDT&startTime=1700000000000", 200),
        ("symbol=BTCUSDT&startTime=1700000000000&endTime=1700086400000&limit=1000", 200),
        ("symbol=BTCUSDT&startTime=1700000000000&endTime=1700086400001", 400),
        ("symbol=BTCUSDT&fromAllocationId=1&orderId=2", 200),
        ("symbol=BTCUSDT&fromAllocationId=1&endTime=1700086400001", 400),
        ("symbol=BTCUSDT&orderId=1&startTime=1700086400001", 400),
        ("symbol=NOPE", 400),
    ] {
        let reply = venue.alice.get("/api/v3/myAllocations", parameters).await;
        assert_eq!(reply.status, status, "{parameters}: {reply:?}");
        assert!(status == 400 || reply.body == json!([]), "{parameters}: {reply:?}");
    }
    assert_eq!(venue.alice.get("/api/v3/openOrders", "").await.body, json!([]));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_market_has_block_trades() {
    let venue = Venue::start().await;
    for (parameters, code) in [
        ("symbol=BTCUSDT&fromId=1", 0),
        ("symbol=BTCUSDT&fromId=1&limit=1000", 0),
        ("symbol=BTCUSDT", -1102),
        ("symbol=NOPE&fromId=1", -1121),
        ("symbol=BTCUSDT&fromId=1&limit=0", -1130),
    ] {
        let reply = venue.get(&format!("/api/v3/historicalBlockTrades?{parameters}")).await;
        assert_eq!(reply.body["code"].as_i64().unwrap_or(0), code, "{parameters}: {reply:?}");
        assert!(code != 0 || reply.body == json!([]), "{parameters}: {reply:?}");
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_without_rule_and_reference_price_says_so() {
    let venue = Venue::start().await;
    for parameters in ["", "?symbol=BTCUSDT", "?symbols=%5B%22BTCUSDT%22%5D", "?symbolStatus=HALT"] {
        let reply = venue.get(&format!("/api/v3/executionRules{parameters}")).await;
        assert_eq!((reply.status, &reply.body), (200, &json!({"symbolRules": []})), "{parameters}");
    }
    let many: Vec<String> = (0..21).map(|n| format!("%22A{n}%22")).collect();
    let many = format!("executionRules?symbols=%5B{}%5D", many.join(","));
    for (path, code, weight) in [
        ("executionRules?symbol=NOPE", -1121, 2),
        ("executionRules?symbols=%5B%22BTCUSDT%22,%22NOPE%22%5D", -1121, 4),
        (&many, -1121, 40),
        ("executionRules?symbol=BTCUSDT&symbolStatus=TRADING", -1128, 2),
        ("executionRules?symbol=BTCUSDT&symbols=%5B%22BTCUSDT%22%5D", -1128, 2),
        ("executionRules?symbolStatus=OPEN", -1122, 40),
        ("referencePrice?symbol=BTCUSDT", -2043, 2),
        ("referencePrice?symbol=NOPE", -1121, 2),
        ("referencePrice", -1102, 2),
        ("referencePrice/calculation?symbol=BTCUSDT", -2043, 2),
        ("referencePrice/calculation?symbol=BTCUSDT&symbolStatus=HALT", -1220, 2),
    ] {
        let before = venue.get("/api/v3/ping").await.header("x-mbx-used-weight-1m");
        let reply = venue.get(&format!("/api/v3/{path}")).await;
        assert_eq!(reply.code(), (400, code), "{path}");
        let after = reply.header("x-mbx-used-weight-1m");
        // The minute may have ended in between.
        assert!(after < before || path.contains("symbols=") || after - before == weight, "{path}: {before} {after}");
        if code == -2043 {
            assert_eq!(reply.text(), "This symbol doesn't have a reference price.");
        }
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_is_answered_over_websocket() {
    let venue = ws_venue::Venue::start().await;
    let mut api = venue.connect("/ws-api/v3").await;
    let mut ask = async |method: &str, params: Value| {
        send(&mut api, json!({"id": method, "method": method, "params": params})).await;
        next(&mut api).await
    };
    let account = venue.accounts[0];
    for (method, parameters) in [
        ("account.rateLimits.orders", &[][..]),
        ("account.commission", &[("symbol", "BTCUSDT")]),
        ("myFilters", &[("symbol", "BTCUSDT")]),
        ("myAllocations", &[("symbol", "BTCUSDT")]),
    ] {
        let answer = ask(method, venue.signed(account, parameters)).await;
        assert_eq!(answer["status"], 200, "{answer}");
        match method {
            "account.rateLimits.orders" => assert_eq!(answer["result"][0]["count"], 0),
            "account.commission" => assert_eq!(answer["result"]["symbol"], "BTCUSDT"),
            "myFilters" => assert_eq!(answer["result"]["symbolFilters"][0]["filterType"], "PRICE_FILTER"),
            _ => assert_eq!(answer["result"], json!([])),
        }
    }
    let order =
        [("symbol", "BTCUSDT"), ("side", "BUY"), ("type", "MARKET"), ("quantity", "1"), ("newClientOrderId", "routed")];
    for (method, params, code) in [
        ("sor.order.place", venue.signed(account, &order), -1013),
        ("sor.order.test", venue.signed(account, &order), -1013),
        ("referencePrice", json!({"symbol": "BTCUSDT"}), -2043),
        ("referencePrice.calculation", json!({"symbol": "BTCUSDT"}), -2043),
    ] {
        let answer = ask(method, params).await;
        assert_eq!(json!([answer["status"], answer["error"]["code"]]), json!([400, code]), "{answer}");
    }
    let answer = ask("executionRules", json!({"symbols": ["BTCUSDT"]})).await;
    assert_eq!(answer["result"], json!({"symbolRules": []}));
    venue.stop().await;
}
