//! Self-trade prevention as clients see it: what becomes of the orders, and where prevented matches are told.

use crossbook_api_binance::Config;
use reqwest::Method;
use serde_json::{Value, json};

use crate::answers::{reports, session, steps};
use crate::instructions::newest;
use crate::rest_venue::{Client, Venue};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prevented_match_is_told_everywhere() {
    for partitions in [1, 3] {
        let venue = Venue::start_in(partitions, Config::default()).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        venue.values_nothing().await;
        let mut stream = session(&venue, alice).await;
        let maker = alice.limit("BUY", "0.1", "20000").await;
        let sell = |mode: &str, kind: &str| {
            format!("symbol=BTCUSDT&side=SELL&quantity=0.3&selfTradePreventionMode={mode}&{kind}")
        };
        let taker = alice.order(&sell("EXPIRE_BOTH", "type=LIMIT&timeInForce=GTC&price=20000")).await.body;
        assert_eq!(
            json!([taker["status"], taker["preventedQuantity"], taker["preventedMatches"], taker["expiryReason"]]),
            json!([
                "EXPIRED_IN_MATCH",
                "0.30000000",
                [{"preventedMatchId": 1, "makerSymbol": "BTCUSDT", "makerOrderId": maker["orderId"],
                  "price": "20000.00000000", "takerPreventedQuantity": "0.30000000",
                  "makerPreventedQuantity": "0.10000000"}],
                null
            ])
        );
        // A market order that meets nothing but its own account's order goes on, and finds no more.
        alice.limit("BUY", "0.1", "20000").await;
        let at_market = alice.order(&sell("EXPIRE_MAKER", "type=MARKET")).await.body;
        assert_eq!(
            json!([at_market["status"], at_market["preventedQuantity"], at_market["expiryReason"]]),
            json!(["EXPIRED", null, "INSUFFICIENT_LIQUIDITY"])
        );
        assert_eq!(at_market["preventedMatches"][0].get("takerPreventedQuantity"), None);
        let query = format!("symbol=BTCUSDT&orderId={}", maker["orderId"]);
        let shown = alice.get("/api/v3/order", &query).await.body;
        assert_eq!(
            json!([shown["status"], shown["preventedMatchId"], shown["preventedQuantity"], shown["expiryReason"]]),
            json!(["EXPIRED_IN_MATCH", 1, "0.10000000", null])
        );
        let told = reports(&mut stream, 8).await;
        let expected = [
            ("NEW", "NEW"),
            ("NEW", "NEW"),
            ("TRADE_PREVENTION", "EXPIRED_IN_MATCH"),
            ("TRADE_PREVENTION", "EXPIRED_IN_MATCH"),
            ("NEW", "NEW"),
            ("NEW", "NEW"),
            ("TRADE_PREVENTION", "EXPIRED_IN_MATCH"),
            ("EXPIRED", "EXPIRED"),
        ];
        assert_eq!(steps(&told), expected);
        assert_eq!(
            json!([told[2]["i"], told[2]["v"], told[2]["A"], told[2]["B"], told[2]["U"], told[2]["pl"], told[2]["pL"]]),
            json!([maker["orderId"], 1, "0.10000000", "0.10000000", taker["orderId"], "0.10000000", "20000.00000000"])
        );
        prevented_matches_are_listed(alice, bob, &maker, &taker).await;
        venue.stop().await;
    }
}

/// A resting order that is decremented stays open, and so does what is left of the other one.
#[tokio::test(flavor = "multi_thread")]
async fn a_decremented_order_goes_on() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        let mut stream = session(&venue, alice).await;
        let maker = alice.limit("BUY", "0.6", "20000").await;
        let sell = |quantity: &str| {
            format!(
                "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&price=20000&quantity={quantity}\
                 &selfTradePreventionMode=DECREMENT&newOrderRespType=RESULT"
            )
        };
        let taker = alice.order(&sell("0.2")).await.body;
        assert_eq!(
            json!([taker["status"], taker["executedQty"], taker["preventedQuantity"], taker["preventedMatches"]]),
            json!([
                "EXPIRED_IN_MATCH",
                "0.00000000",
                "0.20000000",
                [{"preventedMatchId": 1, "makerSymbol": "BTCUSDT", "makerOrderId": maker["orderId"],
                  "price": "20000.00000000", "takerPreventedQuantity": "0.20000000",
                  "makerPreventedQuantity": "0.20000000"}]
            ])
        );
        let query = format!("symbol=BTCUSDT&orderId={}", maker["orderId"]);
        let shown = alice.get("/api/v3/order", &query).await.body;
        assert_eq!(
            json!([shown["status"], shown["origQty"], shown["preventedMatchId"], shown["preventedQuantity"]]),
            json!(["NEW", "0.60000000", 1, "0.20000000"])
        );
        let depth = venue.get("/api/v3/depth?symbol=BTCUSDT").await.body;
        assert_eq!(depth["bids"], json!([["20000.00000000", "0.40000000"]]));
        let found = alice.get("/api/v3/myPreventedMatches", &query).await.body;
        assert_eq!(
            json!([found[0]["selfTradePreventionMode"], found[0]["makerPreventedQuantity"]]),
            json!(["DECREMENT", "0.20000000"])
        );
        // It is filled by what is left of it.
        bob.limit("SELL", "0.4", "20000").await;
        let shown = alice.get("/api/v3/order", &query).await.body;
        assert_eq!(json!([shown["status"], shown["executedQty"]]), json!(["FILLED", "0.40000000"]));
        let told = reports(&mut stream, 5).await;
        let expected = [
            ("NEW", "NEW"),
            ("NEW", "NEW"),
            ("TRADE_PREVENTION", "NEW"),
            ("TRADE_PREVENTION", "EXPIRED_IN_MATCH"),
            ("TRADE", "FILLED"),
        ];
        assert_eq!(steps(&told), expected);
        assert_eq!(
            json!([told[2]["i"], told[2]["v"], told[2]["A"], told[2]["B"], told[2]["U"], told[2]["pl"], told[2]["l"]]),
            json!([maker["orderId"], 1, "0.20000000", "0.20000000", taker["orderId"], "0.20000000", "0.00000000"])
        );
        venue.stop().await;
    }
}

/// Accounts that the operator puts into one trade group do not trade with each other, and transfer if both want it.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_a_trade_group_do_not_trade_with_each_other() {
    for partitions in [1, 3] {
        let venue = newest(partitions).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        for client in [alice, bob] {
            let path = format!("accounts/{}", client.account);
            let set = venue.operator(Method::PATCH, &path, Some(json!({ "tradeGroupId": 7 }))).await;
            assert_eq!((set.status, &set.body["tradeGroupId"]), (200, &json!(7)), "{set:?}");
            let account = client.get("/api/v3/account", "").await.body;
            assert_eq!(account["tradeGroupId"], 7);
        }
        let mut stream = session(&venue, bob).await;
        let order = |side: &str, quantity: &str, mode: &str| {
            format!(
                "symbol=BTCUSDT&side={side}&type=LIMIT&timeInForce=GTC&price=20000&quantity={quantity}\
                 &selfTradePreventionMode={mode}&newOrderRespType=RESULT"
            )
        };
        let maker = bob.order(&order("BUY", "0.6", "TRANSFER")).await.body;
        assert_eq!((&maker["tradeGroupId"], maker.get("preventedMatches")), (&json!(7), None));
        let taker = alice.order(&order("SELL", "0.2", "TRANSFER")).await.body;
        assert_eq!(
            json!([taker["status"], taker["tradeGroupId"], taker["preventedMatches"][0]["makerPreventedQuantity"]]),
            json!(["EXPIRED_IN_MATCH", 7, "0.20000000"])
        );
        // It has changed hands, without a fee and without a trade.
        let balances = async |client: &Client| {
            [client.balance("BTC").await, client.balance("USDT").await].map(|(free, locked)| json!([free, locked]))
        };
        assert_eq!(
            balances(alice).await,
            [json!(["9.80000000", "0.00000000"]), json!(["1004000.00000000", "0.00000000"])]
        );
        assert_eq!(
            balances(bob).await,
            [json!(["10.20000000", "0.00000000"]), json!(["988000.00000000", "8000.00000000"])]
        );
        assert_eq!(venue.get("/api/v3/trades?symbol=BTCUSDT").await.body, json!([]));
        // Both find the match, by their own order.
        for (client, id) in [(alice, &taker["orderId"]), (bob, &maker["orderId"])] {
            let query = format!("symbol=BTCUSDT&orderId={id}");
            let found = client.get("/api/v3/myPreventedMatches", &query).await.body;
            assert_eq!(
                json!([found[0]["tradeGroupId"], found[0]["selfTradePreventionMode"], found[0]["makerOrderId"]]),
                json!([7, "TRANSFER", maker["orderId"]])
            );
        }
        let told = reports(&mut stream, 2).await;
        assert_eq!(steps(&told), [("NEW", "NEW"), ("TRADE_PREVENTION", "NEW")]);
        assert_eq!(
            json!([told[1]["u"], told[1]["U"], told[1]["A"], told[1]["pL"], told[1]["pY"], told[1]["n"]]),
            json!([7, taker["orderId"], "0.20000000", "20000.00000000", "4000.00000000", "0"])
        );
        // Out of the group, the account's new orders trade; the one that it placed there stays in it.
        let out = venue
            .operator(Method::PATCH, &format!("accounts/{}", alice.account), Some(json!({ "tradeGroupId": -1 })))
            .await;
        assert_eq!(out.body["tradeGroupId"], -1);
        let traded = alice.order(&order("SELL", "0.4", "EXPIRE_TAKER")).await.body;
        assert_eq!((&traded["status"], traded.get("tradeGroupId")), (&json!("FILLED"), None));
        venue.stop().await;
    }
}

/// The match that was prevented between these orders of alice is found by its number and by either order, by her alone.
async fn prevented_matches_are_listed(alice: &Client, bob: &Client, maker: &Value, taker: &Value) {
    let matches = async |client: &Client, parameters: String| {
        client.get("/api/v3/myPreventedMatches", &format!("symbol=BTCUSDT{parameters}")).await
    };
    let first = matches(alice, "&preventedMatchId=1".to_owned()).await;
    let listed = &first.body[0];
    assert_eq!(
        json!([
            listed["symbol"],
            listed["takerOrderId"],
            listed["makerSymbol"],
            listed["makerOrderId"],
            listed["tradeGroupId"],
            listed["selfTradePreventionMode"],
            listed["price"],
            listed["takerPreventedQuantity"],
            listed["makerPreventedQuantity"],
            listed["transactTime"]
        ]),
        json!([
            "BTCUSDT",
            taker["orderId"],
            "BTCUSDT",
            maker["orderId"],
            -1,
            "EXPIRE_BOTH",
            "20000.00000000",
            "0.30000000",
            "0.10000000",
            taker["transactTime"]
        ])
    );
    assert_eq!(first.header("x-mbx-used-weight-1m") + 20, {
        let by_order = matches(alice, format!("&orderId={}", taker["orderId"])).await;
        assert_eq!(by_order.body, first.body);
        by_order.header("x-mbx-used-weight-1m")
    });
    let of_maker = matches(alice, format!("&orderId={}&fromPreventedMatchId=1&limit=5", maker["orderId"])).await;
    assert_eq!(of_maker.body, first.body);
    let later = matches(alice, format!("&orderId={}&fromPreventedMatchId=2", maker["orderId"])).await;
    assert_eq!((later.status, later.body), (200, json!([])));
    assert_eq!(matches(bob, "&preventedMatchId=1".to_owned()).await.body, json!([]), "another's");
    for wrong in ["", "&limit=5", "&preventedMatchId=1&orderId=1", "&orderId=1&limit=5", "&preventedMatchId=1&limit=5"]
    {
        let refused = matches(alice, wrong.to_owned()).await;
        assert_eq!(refused.code(), (400, -1128), "{wrong}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_says_which_modes_of_self_trade_prevention_it_allows() {
    let venue = Venue::start().await;
    let rules = json!({
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER", "EXPIRE_TAKER"],
    });
    let changed = venue.operator(Method::PATCH, "markets/BTCUSDT", Some(rules)).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let info = venue.get("/api/v3/exchangeInfo").await.body;
    for shown in [&changed.body, &info["symbols"][0]] {
        assert_eq!(shown["defaultSelfTradePreventionMode"], "EXPIRE_MAKER");
        assert_eq!(shown["allowedSelfTradePreventionModes"], json!(["EXPIRE_TAKER", "EXPIRE_MAKER"]));
    }
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=20000";
    let refused = "This symbol does not allow the specified self-trade prevention mode.";
    for path in ["/api/v3/order", "/api/v3/order/test"] {
        for mode in ["NONE", "DECREMENT", "TRANSFER"] {
            let reply = venue.alice.post(path, &format!("{order}&selfTradePreventionMode={mode}")).await;
            assert_eq!((reply.code(), reply.text()), ((400, -1013), refused), "{mode}");
        }
        // Whatever the mode, parameters are checked before it, and filters after it.
        for mode in ["NONE", "DECREMENT"] {
            for (change, code) in [
                (("price=20000", "price=20000.000000000000000001"), -1111),
                (("&price=20000", ""), -1102),
                (("price=20000", "price=20000&stopPrice=1"), -1106),
                (("price=20000", "price=20000&newOrderRespType=ALL"), -1130),
                (("price=20000", "price=20000&newClientOrderId=!"), -1100),
                (("BTCUSDT", "NOSUCH"), -1121),
            ] {
                let wrong = format!("{}&selfTradePreventionMode={mode}", order.replace(change.0, change.1));
                let reply = venue.alice.post(path, &wrong).await;
                assert_eq!(reply.code(), (400, code), "{wrong}: {reply:?}");
            }
            for change in [("price=20000", "price=20000.001"), ("quantity=0.1", "quantity=0.00000001")] {
                let filtered = order.replace(change.0, change.1);
                let reply = venue.alice.post(path, &filtered).await;
                assert!(reply.code() == (400, -1013) && reply.text().contains("Filter failure"), "{reply:?}");
                let reply = venue.alice.post(path, &format!("{filtered}&selfTradePreventionMode={mode}")).await;
                assert_eq!((reply.code(), reply.text()), ((400, -1013), refused), "{filtered} {mode}");
            }
        }
        let unknown = venue.alice.post(path, &format!("{order}&selfTradePreventionMode=NOTHING")).await;
        assert_eq!(unknown.code(), (400, -1130), "{unknown:?}");
    }
    assert_eq!(venue.alice.order(order).await.body["selfTradePreventionMode"], "EXPIRE_MAKER");
    for (wrong, why) in [
        (json!({ "defaultSelfTradePreventionMode": "NONE" }), "must have the default mode"),
        (json!({ "allowedSelfTradePreventionModes": ["EXPIRE_TAKER"] }), "must have the default mode"),
        (json!({ "allowedSelfTradePreventionModes": ["EXPIRE_ALL"] }), "there are NONE, EXPIRE_TAKER"),
    ] {
        let reply = venue.operator(Method::PATCH, "markets/BTCUSDT", Some(wrong)).await;
        assert!(reply.status == 400 && reply.text().contains(why), "{reply:?}");
    }
    venue.stop().await;
}
