//! Statistics of windows and of days: over HTTP, over WebSocket, as streams, and where memory does not reach.

use crossbook_api_binance::Config;
use crossbook_views::{Interval, Limits};
use serde_json::{Value, json};

use crate::past_venue::{Desk, Published, Tables};
use crate::rest_venue::Venue;
use crate::streams::{next, send};
use crate::venue::everything;
use crate::ws_venue;

const MINUTE: u64 = 60_000;
const DAY: u64 = 1_440 * MINUTE;
/// The fields of the long form, in their order.
const FULL: [&str; 15] = [
    "symbol",
    "priceChange",
    "priceChangePercent",
    "weightedAvgPrice",
    "openPrice",
    "highPrice",
    "lowPrice",
    "lastPrice",
    "volume",
    "quoteVolume",
    "openTime",
    "closeTime",
    "firstId",
    "lastId",
    "count",
];

fn names(body: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn without(names: &[&'static str], left_out: &[&str]) -> Vec<&'static str> {
    let mut names: Vec<&str> = names.iter().copied().filter(|name| !left_out.contains(name)).collect();
    names.sort_unstable();
    names
}

/// A venue whose market has traded twice: 0.2 at 20,000 and 0.1 at 20,100.
async fn traded() -> Venue {
    let venue = Venue::start_with(Config::default()).await;
    for (quantity, price) in [("0.2", "20000"), ("0.1", "20100")] {
        venue.alice.limit("SELL", quantity, price).await;
        venue.bob.limit("BUY", quantity, price).await;
    }
    venue
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_of_any_size_is_summed_up() {
    let venue = traded().await;
    for (size, minutes) in [("", 1_440), ("&windowSize=1m", 1), ("&windowSize=23h", 1_380), ("&windowSize=7d", 10_080)]
    {
        let ticker = venue.get(&format!("/api/v3/ticker?symbol=BTCUSDT{size}")).await.body;
        assert_eq!(names(&ticker), without(&FULL, &[]), "{size}");
        let (open, close) = (ticker["openTime"].as_u64().unwrap(), ticker["closeTime"].as_u64().unwrap());
        assert_eq!(open, (close - minutes * MINUTE) / MINUTE * MINUTE, "{size}");
        assert_eq!(
            json!([ticker["openPrice"], ticker["highPrice"], ticker["lowPrice"], ticker["lastPrice"]]),
            json!(["20000.00000000", "20100.00000000", "20000.00000000", "20100.00000000"])
        );
        assert_eq!(
            json!([ticker["priceChange"], ticker["priceChangePercent"], ticker["weightedAvgPrice"]]),
            json!(["100.00000000", "0.500", "20033.33333333"])
        );
        assert_eq!(
            json!([ticker["volume"], ticker["quoteVolume"], ticker["firstId"], ticker["lastId"], ticker["count"]]),
            json!(["0.30000000", "6010.00000000", 1, 2, 2])
        );
    }
    let mini = venue.get("/api/v3/ticker?symbol=BTCUSDT&type=MINI").await.body;
    assert_eq!(names(&mini), without(&FULL, &["priceChange", "priceChangePercent", "weightedAvgPrice"]));
    let listed = venue.get("/api/v3/ticker?symbols=%5B%22BTCUSDT%22%5D&type=FULL").await.body;
    assert_eq!(listed[0]["count"], 2);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_without_trades_has_zeros_in_its_window() {
    let venue = Venue::start().await;
    let ticker = venue.get("/api/v3/ticker?symbol=BTCUSDT").await.body;
    for name in without(&FULL, &["symbol", "openTime", "closeTime", "firstId", "lastId", "count"]) {
        assert_eq!(ticker[name].as_str().unwrap().trim_matches(['0', '.']), "", "{name}");
    }
    assert_eq!(json!([ticker["firstId"], ticker["lastId"], ticker["count"]]), json!([-1, -1, 0]));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trading_day_begins_in_its_time_zone() {
    let venue = traded().await;
    for (zone, minutes) in [("", 0), ("&timeZone=8", 480), ("&timeZone=-1:00", -60), ("&timeZone=05:45", 345)] {
        let ticker = venue.get(&format!("/api/v3/ticker/tradingDay?symbol=BTCUSDT{zone}")).await.body;
        assert_eq!(names(&ticker), without(&FULL, &[]), "{zone}");
        let (open, close) = (ticker["openTime"].as_i64().unwrap(), ticker["closeTime"].as_i64().unwrap());
        let day = DAY.cast_signed();
        assert_eq!(((open + minutes * 60_000) % day, close - open), (0, day - 1), "{zone}");
        let now = venue.get("/api/v3/time").await.body["serverTime"].as_i64().unwrap();
        assert!((open..=close + 60_000).contains(&now), "{zone}");
    }
    let mini = venue.get("/api/v3/ticker/tradingDay?symbols=%5B%22BTCUSDT%22%5D&type=MINI").await.body;
    assert_eq!(names(&mini[0]), without(&FULL, &["priceChange", "priceChangePercent", "weightedAvgPrice"]));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_that_cannot_be_answered_are_refused() {
    let venue = Venue::start().await;
    let many: Vec<String> = (0..101).map(|n| format!("%22A{n}%22")).collect();
    let many = format!("ticker?symbols=%5B{}%5D", many.join(","));
    let both = "ticker?symbol=BTCUSDT&symbols=%5B%22BTCUSDT%22%5D";
    for (path, code, text) in [
        ("ticker", -1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!"),
        ("ticker/tradingDay?type=FULL", -1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!"),
        (both, -1128, "Combination of optional parameters invalid."),
        (&many, -1101, "Too many values sent for parameter 'symbols', maximum allowed up to 100."),
        ("ticker?symbol=NOPE", -1121, "Invalid symbol."),
        ("ticker?symbols=%5B%22BTCUSDT%22,%22BTCUSDT%22%5D", -1151, "Symbol is present multiple times in the list."),
        ("ticker?symbol=BTCUSDT&windowSize=24h", -1130, "Data sent for parameter 'windowSize' is not valid."),
        ("ticker?symbol=BTCUSDT&windowSize=1h30m", -1130, "Data sent for parameter 'windowSize' is not valid."),
        ("ticker?symbol=BTCUSDT&windowSize=", -1105, "Parameter 'windowSize' was empty."),
        ("ticker?symbol=BTCUSDT&type=SHORT", -1139, "Invalid ticker type."),
        ("ticker/tradingDay?symbol=BTCUSDT&timeZone=15", -1130, "Data sent for parameter 'timeZone' is not valid."),
        (
            "ticker?symbol=BTCUSDT&symbolStatus=CANCEL_ONLY",
            -1220,
            "The symbol's status does not match the requested symbolStatus.",
        ),
    ] {
        let reply = venue.get(&format!("/api/v3/{path}")).await;
        assert_eq!((reply.code(), reply.text()), ((400, code), text), "{path}");
    }
    let none = venue.get("/api/v3/ticker?symbols=%5B%22BTCUSDT%22%5D&symbolStatus=HALT").await;
    assert_eq!((none.status, none.body), (200, json!([])));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_weighs_four_for_each_symbol() {
    let venue = Venue::start().await;
    let before = venue.get("/api/v3/ping").await.header("x-mbx-used-weight-1m");
    let one = venue.get("/api/v3/ticker?symbol=BTCUSDT").await.header("x-mbx-used-weight-1m");
    let day = venue.get("/api/v3/ticker/tradingDay?symbols=%5B%22BTCUSDT%22,%22X%22%5D").await;
    let many: Vec<String> = (0..60).map(|n| format!("%22A{n}%22")).collect();
    let most = venue.get(&format!("/api/v3/ticker?symbols=%5B{}%5D", many.join(","))).await;
    let used = [one, day.header("x-mbx-used-weight-1m"), most.header("x-mbx-used-weight-1m")];
    // The minute may have ended in between.
    if used.is_sorted() && before < one {
        assert_eq!([one - before, used[1] - used[0], used[2] - used[1]], [4, 8, 200]);
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_are_asked_for_and_streamed_over_websocket() {
    let venue = ws_venue::Venue::start().await;
    let mut streams = venue.connect("/stream?streams=btcusdt@ticker_1h/btcusdt@ticker_4h/!ticker_1d@arr").await;
    let mut api = venue.connect("/ws-api/v3?timeUnit=MICROSECOND").await;
    for (account, side) in [(0, crossbook_types::Side::Sell), (1, crossbook_types::Side::Buy)] {
        venue.limit(venue.accounts[account], side, 1_000, 5).await;
    }
    let mut waited = vec!["btcusdt@ticker_1h", "btcusdt@ticker_4h", "!ticker_1d@arr"];
    while !waited.is_empty() {
        let message = next(&mut streams).await;
        let name = message["stream"].as_str().unwrap();
        let (ticker, kind, minutes) = match name {
            "btcusdt@ticker_1h" => (&message["data"], "1hTicker", 60),
            "btcusdt@ticker_4h" => (&message["data"], "4hTicker", 240),
            _ => (&message["data"][0], "1dTicker", 1_440),
        };
        assert_eq!(json!([ticker["e"], ticker["s"]]), json!([kind, "BTCUSDT"]));
        let (open, close) = (ticker["O"].as_u64().unwrap(), ticker["C"].as_u64().unwrap());
        assert_eq!(open, (close - minutes * MINUTE) / MINUTE * MINUTE, "{name}");
        if ticker["n"] == 1 {
            assert_eq!(
                json!([ticker["o"], ticker["c"], ticker["w"], ticker["v"], ticker["q"], ticker["F"], ticker["L"]]),
                json!(["10.00000000", "10.00000000", "10.00000000", "0.00500000", "0.05000000", 1, 1])
            );
            waited.retain(|other| *other != name);
        } else {
            assert_eq!(json!([ticker["n"], ticker["F"], ticker["c"]]), json!([0, -1, "0.00000000"]), "{message}");
        }
    }
    for (method, params) in [
        ("ticker", json!({"symbols": ["BTCUSDT"], "windowSize": "4h"})),
        ("ticker.tradingDay", json!({"symbol": "BTCUSDT", "timeZone": "-1:00", "type": "MINI"})),
    ] {
        send(&mut api, json!({"id": method, "method": method, "params": params})).await;
        let answer = next(&mut api).await;
        assert_eq!(answer["status"], 200, "{answer}");
        let ticker = if method == "ticker" { &answer["result"][0] } else { &answer["result"] };
        assert_eq!(json!([ticker["lastId"], ticker["lastPrice"]]), json!([1, "10.00000000"]));
        assert_eq!(ticker["openTime"].as_u64().unwrap() % 60_000_000, 0, "microseconds: {ticker}");
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_chooses_whether_its_messages_are_wrapped() {
    let venue = ws_venue::Venue::start().await;
    let mut raw = venue.connect("/ws/btcusdt@bookTicker").await;
    let mut wrapped = venue.connect("/stream?streams=btcusdt@bookTicker").await;
    for (socket, combined) in [(&mut raw, false), (&mut wrapped, true)] {
        send(socket, json!({"method": "GET_PROPERTY", "params": ["combined"], "id": 1})).await;
        assert_eq!(next(socket).await, json!({"result": combined, "id": 1}));
        send(socket, json!({"method": "SET_PROPERTY", "params": ["combined", !combined], "id": 2})).await;
        assert_eq!(next(socket).await, json!({"result": null, "id": 2}));
    }
    venue.limit(venue.accounts[0], crossbook_types::Side::Sell, 1_000, 5).await;
    assert_eq!(next(&mut raw).await["data"]["a"], "10.00000000");
    assert_eq!(next(&mut wrapped).await["a"], "10.00000000");
    for (params, code, text) in [
        (json!(["combined", "true"]), 1, "Invalid value type: expected Boolean"),
        (json!(["other", true]), 0, "Unknown property"),
    ] {
        send(&mut raw, json!({"method": "SET_PROPERTY", "params": params, "id": 3})).await;
        let refused = next(&mut raw).await;
        assert_eq!((&refused["code"], &refused["msg"]), (&json!(code), &json!(text)), "{refused}");
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_memory_has_not_all_of_is_completed_from_the_history() {
    // Eight days of a trade in every third minute: memory has the minutes of three of them.
    let published = Published::steady(8 * 1_440 / 3, 3 * MINUTE * 1_000);
    let few = || Limits { candles_per_interval: 0, ..everything() };
    let views = published.views(few());
    let forgotten = views.markets().next().unwrap().candles().forgotten(Interval::Minute1).unwrap();
    assert!(published.last().time.0 - forgotten.0 < 4 * DAY * 1_000, "there is a seam");
    let tables = Tables::new(&published);
    tables.reach(published.last()).await;
    let oracle = Desk::open(published.views(everything()), None);
    let desk = Desk::open(published.views(few()), Some(tables.history()));
    let alone = Desk::open(published.views(few()), None);
    let broken = Desk::open(published.views(few()), Some(tables.broken()));
    let mut reached_back = 0;
    for size in ["1m", "59m", "1h", "23h", "1d", "2d", "3d", "4d", "5d", "6d", "7d"] {
        let asked = format!("symbol=BTCUSDT&windowSize={size}");
        let expected = oracle.ask(None, "ticker", &asked).await;
        assert_eq!(expected.0, 200, "{size}: {expected:?}");
        assert_eq!(desk.ask(None, "ticker", &asked).await, expected, "{size}");
        let (alone, broken) = (alone.ask(None, "ticker", &asked).await, broken.ask(None, "ticker", &asked).await);
        if alone != expected {
            let text =
                r#"{"code":-2016,"msg":"No trading window could be found for the symbol. Try ticker/24hrs instead."}"#;
            assert_eq!(alone, (400, text.to_owned()), "{size}");
            assert_eq!(broken.0, 500, "{size}: {broken:?}");
            reached_back += 1;
        } else {
            assert_eq!(broken, expected, "{size}");
        }
    }
    assert_eq!(reached_back, 4, "4 to 7 days");
    for desk in [oracle, desk, alone, broken] {
        desk.close().await;
    }
}
