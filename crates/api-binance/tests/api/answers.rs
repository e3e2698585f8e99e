//! Answers and reports contain the outcome of a command, whatever memory still has of it; and the effects of prevented
//! matches, refusals and ends of orders.

use std::time::Duration;

use crossbook_protocol::command::Body;
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_types::{
    AccountId, ClientOrderId, OptionalPrice, OrderType, Price, Quantity, SelfTradePrevention, Side, SymbolId,
    TimeInForce,
};
use crossbook_views::Limits;
use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tungstenite::Message;

use crossbook_api_binance::Config;

use crate::instructions::newest;
use crate::rest_venue::{Client, Venue, millis};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// No ended orders and no trades.
fn nothing() -> Limits {
    Limits {
        closed_orders_per_account: 0,
        closed_orders_per_market: 0,
        own_trades_per_account: 0,
        own_trades_per_market: 0,
        ..Limits::default()
    }
}

async fn message(socket: &mut Socket) -> Value {
    let message = async {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), message).await.expect("a message in time")
}

/// A session of the WebSocket API that is logged on and hears of the account.
async fn session(venue: &Venue, client: &Client) -> Socket {
    let (mut socket, _) = connect_async(format!("ws://{}/ws-api/v3?returnRateLimits=false", venue.http)).await.unwrap();
    let now = millis();
    let signature = client.sign(&format!("apiKey={}&timestamp={now}", client.key));
    let params = json!({"apiKey": client.key, "timestamp": now, "signature": signature});
    let subscribe = json!({"id": 1, "method": "userDataStream.subscribe.signature", "params": params});
    socket.send(Message::text(subscribe.to_string())).await.unwrap();
    assert_eq!(message(&mut socket).await["status"], 200);
    socket
}

/// The next reports of orders.
async fn reports(socket: &mut Socket, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    while found.len() < count {
        let event = message(socket).await["event"].take();
        if event["e"] == "executionReport" {
            found.push(event);
        }
    }
    found
}

fn steps(reports: &[Value]) -> Vec<(&str, &str)> {
    reports.iter().map(|report| (report["x"].as_str().unwrap(), report["X"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_and_reports_need_no_memory_of_ended_orders() {
    for partitions in [1, 3] {
        let venue = Venue::start_keeping(partitions, nothing(), Config::default()).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        let mut stream = session(&venue, bob).await;
        venue.values_nothing().await;
        alice.limit("SELL", "0.5", "20000").await;
        let taken = bob.order("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.2").await;
        assert_eq!((taken.status, &taken.body["status"]), (200, &json!("FILLED")), "{taken:?}");
        assert_eq!(taken.body["fills"].as_array().unwrap().len(), 1);
        let ioc = bob.order("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.1&price=19000").await;
        assert_eq!(
            (&ioc.body["status"], &ioc.body["expiryReason"]),
            (&json!("EXPIRED"), &json!("UNFILLED_IOC_QUANTITY_EXPIRED")),
            "{ioc:?}"
        );
        let resting = bob.limit("BUY", "0.1", "19000").await;
        let cancel = format!("symbol=BTCUSDT&orderId={}&newClientOrderId=gone", resting["orderId"]);
        let canceled = bob.delete("/api/v3/order", &cancel).await;
        assert_eq!(
            json!([canceled.status, canceled.body["status"], canceled.body["origQty"], canceled.body["clientOrderId"]]),
            json!([200, "CANCELED", "0.10000000", "gone"])
        );
        let told = reports(&mut stream, 6).await;
        assert_eq!(
            steps(&told),
            [
                ("NEW", "NEW"),
                ("TRADE", "FILLED"),
                ("NEW", "NEW"),
                ("EXPIRED", "EXPIRED"),
                ("NEW", "NEW"),
                ("CANCELED", "CANCELED")
            ]
        );
        assert_eq!(told[3]["eR"], "UNFILLED_IOC_QUANTITY_EXPIRED");
        let on_the_book: Vec<_> = told.iter().map(|report| report["w"].as_bool().unwrap()).collect();
        assert_eq!(on_the_book, [false, false, false, false, true, false], "only the last order ever rests");
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_of_all_orders_lists_all_of_them() {
    const ORDERS: u32 = 1_500;
    let venue = Venue::start_keeping(1, nothing(), Config::default()).await;
    let rules = json!({ "maxNumOrders": ORDERS });
    assert_eq!(venue.operator(Method::PATCH, "markets/BTCUSDT", Some(rules)).await.status, 200);
    let order = |n: u32| NewOrder {
        account: AccountId(venue.alice.account),
        terms: OrderTerms {
            symbol: SymbolId(0),
            client_order_id: ClientOrderId::new_checked(&format!("n{n}")).unwrap(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Some(Price(1_000_000)),
            size: Size::Base(Quantity(100)),
            stop_price: OptionalPrice::NONE,
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        },
    };
    let placed = join_all((0..ORDERS).map(|n| venue.app.gateway.submit(Body::Place(order(n)), None))).await;
    assert!(placed.iter().all(Result::is_ok));
    let canceled = venue.alice.delete("/api/v3/openOrders", "symbol=BTCUSDT").await;
    let listed = canceled.body.as_array().unwrap();
    assert_eq!((canceled.status, listed.len()), (200, ORDERS as usize));
    let ids: std::collections::BTreeSet<_> = listed.iter().map(|order| order["orderId"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), ORDERS as usize);
    assert!(listed.iter().all(|order| order["status"] == "CANCELED"));
    venue.stop().await;
}

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

/// The markets are rendered once and kept, until one is listed or changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchange_info_shows_a_change_at_once_and_the_same_otherwise() {
    let venue = Venue::start().await;
    let symbols = async |query: &str| venue.get(&format!("/api/v3/exchangeInfo{query}")).await.body["symbols"].take();
    let before = symbols("").await;
    assert_eq!(symbols("").await, before);
    venue.operator_does("assets", json!({"asset": "ETH", "decimals": 18})).await;
    let listed = json!({
        "symbol": "ETHBTC", "baseAsset": "ETH", "quoteAsset": "BTC", "tickSize": "0.00001", "stepSize": "0.001",
    });
    venue.operator_does("markets", listed).await;
    let after = symbols("").await;
    assert_eq!((&after[0], &after[1]["symbol"], after.as_array().unwrap().len()), (&before[0], &json!("ETHBTC"), 2));
    let halted = venue.operator(Method::PATCH, "markets/ETHBTC", Some(json!({"status": "HALT"}))).await;
    assert_eq!(halted.status, 200, "{halted:?}");
    for query in ["", "?symbol=ETHBTC", "?symbols=[\"ETHBTC\",\"BTCUSDT\"]", "?symbolStatus=HALT"] {
        let shown = symbols(query).await;
        let mut market = shown.as_array().unwrap().iter().find(|market| market["symbol"] == "ETHBTC").unwrap().clone();
        assert_eq!(market["status"], "HALT", "{query}");
        market["status"] = json!("TRADING");
        assert_eq!(market, after[1], "{query}");
    }
    assert_eq!(symbols("?symbolStatus=TRADING").await, before);
    let bare = symbols("?showPermissionSets=false").await;
    assert_eq!((&bare[0]["permissionSets"], &bare[0]["filters"]), (&json!([]), &before[0]["filters"]));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_the_matching_engine_refuses_is_reported() {
    for partitions in [1, 3] {
        let venue = Venue::start_in(partitions, Config::default()).await;
        let (alice, bob) = (&venue.alice, &venue.bob);
        let mut stream = session(&venue, bob).await;
        alice.limit("SELL", "0.1", "20000").await;
        alice.limit("SELL", "0.1", "20000").await;
        bob.limit("BUY", "0.1", "20000").await;
        reports(&mut stream, 2).await;
        let kept = bob
            .order("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=15000&newClientOrderId=kept")
            .await;
        assert_eq!(kept.status, 200);
        reports(&mut stream, 1).await;
        let refused = [
            ("poor", "side=BUY&type=LIMIT&timeInForce=GTC&quantity=90&price=20000", "INSUFFICIENT_BALANCES"),
            ("takes", "side=BUY&type=LIMIT_MAKER&quantity=0.1&price=20000", "WOULD_MATCH_IMMEDIATELY"),
            ("stops", "side=SELL&type=STOP_LOSS&quantity=0.1&stopPrice=20000", "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY"),
        ];
        for (name, order, _) in refused {
            let reply = bob.order(&format!("symbol=BTCUSDT&newClientOrderId={name}&{order}")).await;
            assert_eq!(reply.code(), (400, -2010), "{reply:?}");
        }
        // What the API refuses by itself, and refusals without a documented reason, are the sender's alone.
        assert_eq!(
            bob.order("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=0").await.status,
            400
        );
        let again = bob
            .order("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=15000&newClientOrderId=kept")
            .await;
        assert_eq!(again.text(), "Duplicate order sent.");
        bob.limit("BUY", "0.1", "15000").await;
        let mut told = reports(&mut stream, 4).await;
        assert_eq!((&told[3]["x"], &told[3]["X"]), (&json!("NEW"), &json!("NEW")), "the others are not reported");
        told.truncate(3);
        // In a cluster, funds are refused by one partition and the rest by another.
        told.sort_by_key(|report| refused.iter().position(|(name, ..)| report["c"] == *name));
        for (report, (name, _, reason)) in told.iter().zip(refused) {
            assert_eq!(
                json!([report["c"], report["x"], report["X"], report["r"], report["i"], report["w"], report["z"]]),
                json!([name, "REJECTED", "REJECTED", reason, 0, false, "0.00000000"])
            );
        }
        venue.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_orders_are_those_that_were_last_updated_in_a_stretch_of_time() {
    let venue = Venue::start().await;
    let alice = &venue.alice;
    let mut ids = Vec::new();
    for price in ["10000", "10001", "10002"] {
        ids.push(alice.limit("BUY", "0.1", price).await["orderId"].as_u64().unwrap());
        next_millisecond().await;
    }
    let between = millis();
    next_millisecond().await;
    let canceled = alice.delete("/api/v3/order", &format!("symbol=BTCUSDT&orderId={}", ids[0])).await;
    assert_eq!(canceled.status, 200);
    let listed = async |parameters: String| -> Vec<u64> {
        let body = alice.get("/api/v3/allOrders", &format!("symbol=BTCUSDT{parameters}")).await.body;
        body.as_array().unwrap().iter().map(|order| order["orderId"].as_u64().unwrap()).collect()
    };
    assert_eq!(listed(String::new()).await, [ids[1], ids[2], ids[0]], "by the time of their last update");
    assert_eq!(listed(format!("&startTime={between}")).await, [ids[0]]);
    assert_eq!(listed(format!("&endTime={between}")).await, [ids[1], ids[2]]);
    assert_eq!(listed(format!("&orderId={}", ids[1])).await, [ids[1], ids[2]]);
    assert_eq!(listed(format!("&orderId={}&startTime={between}", ids[1])).await, [ids[0]], "times win over a number");
    venue.stop().await;
}

/// Waits until the clock shows another millisecond.
async fn next_millisecond() {
    let now = millis();
    while millis() <= now + 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collected_fees_can_be_seen_and_paid_out() {
    for partitions in [1, 3] {
        let venue = Venue::start_in(partitions, Config::default()).await;
        venue.alice.limit("SELL", "1", "20000").await;
        venue.bob.limit("BUY", "1", "20000").await;
        venue.audit().await;
        let balances = async || venue.operator(Method::GET, "venue/balances", None).await.body;
        let of = |told: &Value, asset: &str| {
            told["balances"].as_array().unwrap().iter().find(|shown| shown["asset"] == asset).unwrap().clone()
        };
        let told = balances().await;
        assert_eq!(
            of(&told, "BTC"),
            json!({"asset": "BTC", "fees": "0.00200000", "external": "-20.00000000", "clearing": "0.00000000"})
        );
        assert_eq!(of(&told, "USDT")["fees"], "20.00000000");
        assert_eq!(told["partitions"].is_array(), partitions > 1);

        let pay = async |body: Value| venue.operator(Method::POST, "venue/withdrawals", Some(body)).await;
        // Each partition has what its own accounts have paid.
        let shares: Vec<(Value, String)> = match told["partitions"].as_array() {
            None => vec![(json!(0), "0.00200000".to_owned())],
            Some(each) => each
                .iter()
                .map(|each| (each["partition"].clone(), of(each, "BTC")["fees"].as_str().unwrap().to_owned()))
                .filter(|(_, fees)| fees != "0.00000000")
                .collect(),
        };
        assert!(!shares.is_empty());
        for (partition, fees) in &shares {
            let request = json!({"asset": "BTC", "amount": fees, "transferId": "earned", "partition": partition});
            let paid = pay(request.clone()).await;
            assert_eq!(
                json!([paid.status, paid.body["amount"], paid.body["transferId"], paid.body["partition"]]),
                json!([200, fees, "earned", partition])
            );
            assert_eq!(pay(request).await.body, paid.body, "a repetition has no second effect");
            let more = json!({"asset": "BTC", "amount": "0.00000001", "transferId": "more", "partition": partition});
            assert_eq!(pay(more).await.code(), (400, -1130));
            let other = json!({"asset": "BTC", "amount": "0.00000001", "transferId": "earned", "partition": partition});
            assert!(pay(other).await.text().contains("choose another id"));
        }
        let after = balances().await;
        assert_eq!(
            of(&after, "BTC"),
            json!({"asset": "BTC", "fees": "0.00000000", "external": "-19.99800000", "clearing": "0.00000000"})
        );
        venue.audit().await;
        let unnamed = pay(json!({"asset": "USDT", "amount": "1", "transferId": "unnamed"})).await;
        match partitions {
            1 => assert_eq!(unnamed.status, 200, "{unnamed:?}"),
            _ => assert!(unnamed.text().contains("partition must say which of the 3 partitions"), "{unnamed:?}"),
        }
        let nowhere = json!({"asset": "USDT", "amount": "1", "transferId": "nowhere", "partition": 7});
        assert_eq!(pay(nowhere).await.status, 404);
        venue.stop().await;
    }
}
