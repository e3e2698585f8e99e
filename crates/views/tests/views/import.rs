//! What clients read of a venue that moved in: the present as it was, and a past that begins with the last price.

use crate::venue::{ACCOUNTS, MARKETS, Venue};
use crossbook_engine::Partition;
use crossbook_engine::import::Past;
use crossbook_protocol::import::Piece;
use crossbook_protocol::{Body, Command, Events, Routing};
use crossbook_types::{AccountId, PartitionId, Price, RequestNumber, SymbolId, Timestamp};
use crossbook_views::{AggregateTradeId, CandleQuery, Interval, Limits, Offset, Views, Window};

const DAY: u64 = 24 * 60 * 60 * 1_000_000;

fn fold(venue: &Venue) -> Views {
    let mut views = Views::new(Limits::default());
    for (cause, events) in &venue.log {
        views.apply_all(*cause, events);
    }
    views
}

/// The same venue, moved at that time.
fn moved(venue: &Venue, views: &Views, now: Timestamp) -> (Venue, Views) {
    let inventory = crossbook_engine::import::gather(&[(&venue.partition, views as &dyn Past)]).unwrap();
    let mut new = Venue::open(1);
    new.partition = Partition::new(PartitionId(0), Routing::single(), 5);
    new.log.clear();
    let mut pieces = crossbook_engine::import::pieces(&inventory, &Routing::single(), [1; 32]).swap_remove(0);
    pieces.push(Piece::Open);
    for (number, piece) in (1..).zip(pieces) {
        let number = if matches!(piece, Piece::Open) { 1 } else { number };
        let command = Command::new(
            new.partition.sequence().next(),
            now,
            piece.source(),
            RequestNumber(number),
            Body::Import(Box::new(piece)),
        );
        let mut events = Events::new();
        new.partition.apply(&command, &mut events);
        new.log.extend(events.iter().map(|(cause, events)| (cause, events.to_vec())));
    }
    let there = fold(&new);
    assert_eq!(Views::restore(there.state(), Limits::default()).unwrap().state(), there.state());
    (new, there)
}

#[test]
fn the_present_is_as_it_was() {
    let mut old = Venue::open(31);
    old.trade(2_000, 400_000);
    old.finish();
    let here = fold(&old);
    let (mut new, there) = moved(&old, &here, Timestamp(old.now.0 + 60_000_000));
    assert_eq!(here.registry().accounts().collect::<Vec<_>>(), there.registry().accounts().collect::<Vec<_>>());
    let mut open = 0;
    for account in (0..ACCOUNTS).map(|account| AccountId(AccountId::FIRST_CLIENT.0 + account)) {
        assert_eq!(here.open_orders(account).collect::<Vec<_>>(), there.open_orders(account).collect::<Vec<_>>());
        assert_eq!(here.holdings(account).unwrap().balances(), there.holdings(account).unwrap().balances());
        for order in here.open_orders(account) {
            let market = there.market(order.terms.symbol).unwrap();
            assert_eq!(market.order_named(account, &order.terms.client_order_id), Some(order));
            open += 1;
        }
    }
    assert!(open > 20, "{open}");
    let mut last_aggregates = Vec::new();
    for (here, there) in here.markets().zip(there.markets()) {
        assert!(here.depth().bids().eq(there.depth().bids()) && here.depth().asks().eq(there.depth().asks()));
        assert!(here.last_price().is_some());
        assert_eq!(here.last_price(), there.last_price());
        assert!(there.depth().last_update() > here.depth().last_update(), "depth is counted on");
        assert_eq!(there.trades().newest(), None, "trades of before did not move");
        last_aggregates.push(here.aggregate_trades().newest().unwrap().id);
    }
    // Numbers go on.
    new.now = Timestamp(old.now.0 + 61_000_000);
    new.trade(500, 100_000);
    let there = fold(&new);
    for (market, last) in there.markets().zip(last_aggregates) {
        let first = market.aggregate_trades().from(AggregateTradeId(0), 1).next().unwrap();
        assert_eq!(first.id, last.next());
    }
}

#[test]
fn statistics_begin_with_the_last_price() {
    let mut old = Venue::open(32);
    old.trade(1_000, 400_000);
    old.finish();
    let here = fold(&old);
    for later in [60_000_000, DAY, 9 * DAY] {
        let now = Timestamp(old.now.0 + later);
        let (_, there) = moved(&old, &here, now);
        for symbol in (0..MARKETS).map(SymbolId) {
            let (before, market) = (here.market(symbol).unwrap(), there.market(symbol).unwrap());
            let price = before.last_price().unwrap();
            let ticker = market.ticker(now);
            let prices = [ticker.open, ticker.high, ticker.low, ticker.last, ticker.previous_close];
            assert_eq!(prices, [price; 5], "{later} later");
            assert_eq!((ticker.trades, ticker.volume.0), (0, 0));
            assert_eq!(market.average_price(now).price, before.average_price(Timestamp(now.0 + DAY)).price);
            let (interval, offset) = (Interval::Hour1, Offset::UTC);
            let candles = market.candles().query(&CandleQuery { interval, offset, window: Window::last(5), now });
            assert!(!candles.is_empty());
            assert!(candles.iter().all(|candle| candle.close == price && candle.trades == 0));
        }
    }
    // Where nothing ever traded, it is as in any new market.
    let old = Venue::open(33);
    let (_, there) = moved(&old, &fold(&old), old.now);
    let market = there.market(SymbolId(0)).unwrap();
    assert_eq!((market.last_price(), market.ticker(old.now).last), (None, Price(0)));
}
