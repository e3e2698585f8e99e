use super::*;
use crossbook_oracle::sample;
use crossbook_types::{Amount, TradeId};
use crossbook_views::AggregateTradeId;

pub(crate) fn btcusdt() -> Market {
    Market::new_checked(sample::btcusdt()).unwrap()
}

fn level(price: u64, quantity: u64) -> Level {
    Level { price: Price(price), quantity: Quantity(quantity) }
}

#[test]
fn trades() {
    let one = PublicTrade {
        trade: TradeId(7),
        price: Price(5_000_001),
        quantity: Quantity(2),
        quote: Amount(100_000_020),
        taker_side: Side::Sell,
        time: Timestamp(1_500_999),
    };
    assert_eq!(
        trade(&btcusdt(), TimeUnit::Milliseconds, &one),
        r#"{"e":"trade","E":1500,"s":"BTCUSDT","t":7,"p":"50000.01000000","q":"0.00002000","T":1500,"m":true,"M":true}"#
    );
    let many = AggregateTrade {
        id: AggregateTradeId(3),
        price: Price(1),
        quantity: Quantity(5),
        quote: Amount(5),
        first: TradeId(7),
        last: TradeId(9),
        taker_side: Side::Buy,
        time: Timestamp(2_000),
    };
    assert_eq!(
        aggregate_trade(&btcusdt(), TimeUnit::Milliseconds, &many),
        r#"{"e":"aggTrade","E":2,"s":"BTCUSDT","a":3,"p":"0.01000000","q":"0.00005000","f":7,"l":9,"T":2,"m":false,"M":true}"#
    );
}

#[test]
fn books() {
    let best = BookTicker { bid: Some(level(100, 3)), ask: None, update: 11 };
    assert_eq!(
        book_ticker(&btcusdt(), &best),
        r#"{"u":11,"s":"BTCUSDT","b":"1.00000000","B":"0.00003000","a":"0.00000000","A":"0.00000000"}"#
    );
    let bids = [(Price(100), Quantity(0)), (Price(99), Quantity(1))];
    assert_eq!(
        depth_changes(
            &btcusdt(),
            TimeUnit::Milliseconds,
            Timestamp(9_000),
            (5, 8),
            bids.into_iter(),
            std::iter::empty()
        ),
        r#"{"e":"depthUpdate","E":9,"s":"BTCUSDT","U":5,"u":8,"b":[["1.00000000","0.00000000"],["0.99000000","0.00001000"]],"a":[]}"#
    );
    assert_eq!(
        depth_top(&btcusdt(), 8, &[level(99, 1)], &[level(101, 2), level(102, 1)]),
        r#"{"lastUpdateId":8,"bids":[["0.99000000","0.00001000"]],"asks":[["1.01000000","0.00002000"],["1.02000000","0.00001000"]]}"#
    );
}

#[test]
fn a_candle_without_trades_names_none() {
    let quiet = Candle {
        open_time: Timestamp::from_millis(60_000),
        close_time: Timestamp(119_999_999),
        open: Price(100),
        high: Price(100),
        low: Price(100),
        close: Price(100),
        volume: Amount::ZERO,
        quote_volume: Amount::ZERO,
        taker_buy_volume: Amount::ZERO,
        taker_buy_quote_volume: Amount::ZERO,
        trades: 0,
        first_trade: TradeId(0),
        last_trade: TradeId(0),
    };
    assert_eq!(
        candle(&btcusdt(), TimeUnit::Milliseconds, Timestamp::from_millis(61_000), Interval::Minute1, &quiet, true),
        concat!(
            r#"{"e":"kline","E":61000,"s":"BTCUSDT","k":{"t":60000,"T":119999,"s":"BTCUSDT","i":"1m","f":-1,"L":-1,"#,
            r#""o":"1.00000000","c":"1.00000000","h":"1.00000000","l":"1.00000000","v":"0.00000000","n":0,"x":true,"#,
            r#""q":"0.00000000","V":"0.00000000","Q":"0.00000000","B":"0"}}"#
        )
    );
}

#[test]
fn wrapped_under_the_stream_name() {
    assert_eq!(combined("btcusdt@trade", "{}"), r#"{"stream":"btcusdt@trade","data":{}}"#);
}
