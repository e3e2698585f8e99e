//! The views of a venue that trades at random, against plain folds over the list of all events.

use std::collections::BTreeMap;

use crate::venue::{ACCOUNTS, Draw, MARKETS, Venue, everything};
use crossbook_protocol::Event;
use crossbook_protocol::event::{DepthChanged, PreventedMatch, Trade};
use crossbook_protocol::order::Size;
use crossbook_protocol::wire;
use crossbook_types::{
    AccountId, Amount, AssetId, ClientOrderId, OrderId, OrderListId, PreventedMatchId, Price, Quantity, Sequence, Side,
    SymbolId, Timestamp, TradeId,
};
use crossbook_views::{
    AggregateTradeId, Candle, CandleQuery, Interval, Limits, MarketData, Offset, Order, OwnTrade, Prevented, Views,
    Window,
};

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;

fn fold(venue: &Venue, limits: Limits) -> Views {
    let mut views = Views::new(limits);
    for (cause, events) in &venue.log {
        views.apply_all(*cause, events);
    }
    views
}

fn tight() -> Limits {
    Limits {
        closed_orders_per_account: 20,
        closed_orders_per_market: 50,
        own_trades_per_account: 15,
        own_trades_per_market: 40,
        prevented_matches_per_market: 10,
        amendments_per_market: 10,
        operator_log: 10,
        trades_per_market: 30,
        aggregate_trades_per_market: 10,
        candles_per_interval: 0,
    }
}

fn trades(venue: &Venue, symbol: u32) -> Vec<(Sequence, Timestamp, Trade)> {
    let all = venue.events().filter_map(|(cause, event)| match event {
        Event::Traded(trade) if trade.symbol == SymbolId(symbol) => Some((cause.sequence, cause.time, *trade)),
        _ => None,
    });
    all.collect()
}

/// What amended orders are called and are for in the end.
fn amended(venue: &Venue, symbol: u32) -> BTreeMap<OrderId, (ClientOrderId, Size)> {
    let (mut all, mut placed) = (BTreeMap::new(), BTreeMap::new());
    for (_, event) in venue.events() {
        match event {
            Event::OrderPlaced(new) if new.terms.symbol.0 == symbol => {
                placed.insert(new.order, new.terms.client_order_id);
            }
            Event::OrderAmended(amended) if amended.symbol.0 == symbol => {
                all.insert(amended.order, (amended.client_order_id, Size::Base(amended.quantity)));
            }
            // One that is paid from what the working order of its list received has no quantity before.
            Event::OrderReleased { symbol: at, order, quantity, .. } if at.0 == symbol => {
                let name = all.get(order).map_or(placed[order], |&(name, _)| name);
                all.insert(*order, (name, Size::Base(*quantity)));
            }
            _ => {}
        }
    }
    all
}

fn market(views: &Views, symbol: u32) -> &MarketData {
    views.market(SymbolId(symbol)).unwrap()
}

fn accounts() -> impl Iterator<Item = AccountId> {
    (0..ACCOUNTS).map(|account| AccountId(AccountId::FIRST_CLIENT.0 + account))
}

#[test]
fn depth_is_what_the_events_add_up_to() {
    let mut venue = Venue::open(11);
    venue.trade(4_000, SECOND);
    let mut views = Views::new(everything());
    let mut naive: BTreeMap<(u32, Side, Price), Quantity> = BTreeMap::new();
    let mut updates = [0; MARKETS as usize];
    for (cause, events) in &venue.log {
        views.apply_all(*cause, events);
        for event in events {
            if let Event::DepthChanged(DepthChanged { symbol, side, price, quantity, update }) = *event {
                updates[symbol.0 as usize] = update;
                naive.insert((symbol.0, side, price), quantity);
                naive.retain(|_, quantity| !quantity.is_zero());
            }
        }
    }
    for symbol in 0..MARKETS {
        let depth = market(&views, symbol).depth();
        let side = |side| naive.iter().filter(move |((s, at, _), _)| (*s, *at) == (symbol, side));
        let asks: Vec<_> = side(Side::Sell).map(|((_, _, price), quantity)| (*price, *quantity)).collect();
        let mut bids: Vec<_> = side(Side::Buy).map(|((_, _, price), quantity)| (*price, *quantity)).collect();
        bids.reverse();
        assert!(asks.len() > 3 && bids.len() > 3, "a book worth comparing");
        assert_eq!(depth.asks().map(|level| (level.price, level.quantity)).collect::<Vec<_>>(), asks);
        assert_eq!(depth.bids().map(|level| (level.price, level.quantity)).collect::<Vec<_>>(), bids);
        assert_eq!(depth.quantity_at(Side::Buy, bids[0].0), bids[0].1);
        assert_eq!(depth.last_update(), updates[symbol as usize]);
        let best = market(&views, symbol).book_ticker();
        assert_eq!(best.bid.map(|level| (level.price, level.quantity)), Some(bids[0]));
        assert_eq!(best.ask.map(|level| (level.price, level.quantity)), Some(asks[0]));
        assert_eq!(best.update, updates[symbol as usize]);
    }
}

#[test]
fn balances_are_those_of_the_ledger() {
    let mut venue = Venue::open(2);
    venue.trade(4_000, SECOND);
    let views = fold(&venue, everything());
    for account in accounts() {
        for asset in (0..=MARKETS).map(AssetId) {
            let (seen, real) =
                (views.holdings(account).unwrap().balance(asset), venue.partition.ledger().balance(account, asset));
            assert_eq!((seen.free, seen.held), (real.free, real.held));
        }
    }
    let last = venue.events().filter(|(_, event)| matches!(event, Event::BalanceChanged { .. })).last().unwrap().0;
    assert_eq!(accounts().map(|account| views.holdings(account).unwrap().updated()).max(), Some(last.time));
    assert!(views.holdings(AccountId(9_999)).is_none());
}

#[test]
fn trades_are_listed_and_aggregated() {
    let mut venue = Venue::open(3);
    venue.trade(4_000, SECOND);
    let views = fold(&venue, everything());
    let trades = trades(&venue, 0);
    let data = market(&views, 0);
    let listed: Vec<_> =
        data.trades().from(TradeId(0), usize::MAX).map(|t| (t.trade, t.price, t.quantity, t.time)).collect();
    assert_eq!(listed, trades.iter().map(|(_, time, t)| (t.trade, t.price, t.quantity, *time)).collect::<Vec<_>>());
    assert!(listed.len() > 500);

    // One for each run of trades of the same command, order and price.
    let same = |a: &(Sequence, Timestamp, Trade), b: &(Sequence, Timestamp, Trade)| {
        (a.0, a.2.taker.order, a.2.price) == (b.0, b.2.taker.order, b.2.price)
    };
    let runs: Vec<_> = trades.chunk_by(same).collect();
    assert!(runs.len() < trades.len(), "some were aggregated");
    let aggregates: Vec<_> = data.aggregate_trades().from(AggregateTradeId(1), usize::MAX).collect();
    assert_eq!(aggregates.len(), runs.len());
    for (at, (aggregate, run)) in aggregates.iter().zip(runs).enumerate() {
        assert_eq!(aggregate.id.0, at as u64 + 1);
        assert_eq!((aggregate.first, aggregate.last), (run[0].2.trade, run[run.len() - 1].2.trade));
        assert_eq!(aggregate.quantity.0, run.iter().map(|(_, _, t)| t.quantity.0).sum::<u64>());
        assert_eq!(aggregate.quote.0, run.iter().map(|(_, _, t)| t.quote.0).sum::<i128>());
        assert_eq!(
            (aggregate.price, aggregate.taker_side, aggregate.time),
            (run[0].2.price, run[0].2.taker_side, run[0].1)
        );
    }

    // Windows, against a filter over the whole list.
    let mut draw = Draw(33);
    let span = venue.now.0 - crate::venue::START.0;
    for _ in 0..300 {
        let mut bound = || (draw.below(3) > 0).then(|| Timestamp(crate::venue::START.0 + draw.below(span)));
        let (start, end) = (bound(), bound());
        let limit = draw.below(40) as usize;
        let all: Vec<_> = (trades.iter().map(|(_, time, t)| (*time, t.trade)))
            .filter(|(time, _)| start.is_none_or(|start| *time >= start) && end.is_none_or(|end| *time <= end))
            .collect();
        let expected =
            if start.is_some() { &all[..limit.min(all.len())] } else { &all[all.len().saturating_sub(limit)..] };
        let found: Vec<_> = data.trades().within(Window { start, end, limit }).map(|t| (t.time, t.trade)).collect();
        assert_eq!(found, expected);
    }
}

/// The candles that a query should give, from the bare list of trades.
fn naive_candles(data: &MarketData, trades: &[(Sequence, Timestamp, Trade)], query: &CandleQuery) -> Vec<Candle> {
    let CandleQuery { interval, offset, window, now } = *query;
    let mut all = Vec::new();
    let mut open = interval.open_time(trades[0].1, offset);
    let mut price = trades[0].2.price;
    while open <= now {
        let next = interval.next_open(open, offset);
        let inside: Vec<_> =
            trades.iter().filter(|(_, time, _)| (open..next).contains(time)).map(|(_, _, t)| t).collect();
        let base = |t: &&&Trade| data.market().base_amount(t.quantity).0;
        let bought = || inside.iter().filter(|t| t.taker_side == Side::Buy);
        let before = price;
        price = inside.last().map_or(before, |t| t.price);
        all.push(Candle {
            open_time: open,
            close_time: Timestamp(next.0 - 1),
            open: inside.first().map_or(before, |t| t.price),
            high: inside.iter().map(|t| t.price).max().unwrap_or(before),
            low: inside.iter().map(|t| t.price).min().unwrap_or(before),
            close: price,
            volume: Amount(inside.iter().map(|t| base(&t)).sum()),
            quote_volume: Amount(inside.iter().map(|t| t.quote.0).sum()),
            taker_buy_volume: Amount(bought().map(|t| base(&t)).sum()),
            taker_buy_quote_volume: Amount(bought().map(|t| t.quote.0).sum()),
            trades: inside.len() as u64,
            first_trade: inside.first().map_or(TradeId(0), |t| t.trade),
            last_trade: inside.last().map_or(TradeId(0), |t| t.trade),
        });
        open = next;
    }
    let end = window.end.unwrap_or(Timestamp(u64::MAX));
    all.retain(|candle| candle.open_time >= window.start.unwrap_or_default() && candle.open_time <= end);
    if window.start.is_none() {
        all.drain(..all.len().saturating_sub(window.limit));
    }
    all.truncate(window.limit);
    all
}

#[test]
fn candles_equal_a_fold_over_the_trades() {
    // At paces from several trades a second to several a week, so that every interval has full, empty and running
    // candles.
    for (seed, pause, span) in [(4, SECOND / 2, 0..5), (5, 5 * MINUTE, 3..12), (6, 8 * 60 * MINUTE, 10..16)] {
        let mut venue = Venue::open(seed);
        venue.trade(800, pause);
        let views = fold(&venue, everything());
        let data = market(&views, 1);
        let trades = trades(&venue, 1);
        let length = venue.now.0 - crate::venue::START.0;
        let mut draw = Draw(seed);
        for &interval in &Interval::ALL[span] {
            for zone in ["0", "8", "-5:30", "5:45"] {
                let offset = Offset::parse(zone).unwrap();
                let now = Timestamp(venue.now.0 + draw.below(length / 20));
                for limit in [1, 7, 100, 100_000] {
                    let mut bound = || {
                        (draw.below(2) > 0)
                            .then(|| Timestamp(crate::venue::START.0 - length / 10 + draw.below(length * 12 / 10)))
                    };
                    let query =
                        CandleQuery { interval, offset, window: Window { start: bound(), end: bound(), limit }, now };
                    assert_eq!(data.candles().query(&query), naive_candles(data, &trades, &query), "{query:?}");
                }
            }
            let whole = CandleQuery { interval, offset: Offset::UTC, window: Window::last(usize::MAX), now: venue.now };
            for candle in naive_candles(data, &trades, &whole) {
                assert_eq!(data.candles().at(interval, candle.open_time), Some(candle));
                assert_eq!(data.candles().at(interval, candle.close_time), Some(candle));
            }
            assert_eq!(data.candles().at(interval, Timestamp(0)), None);
        }
    }
}

#[test]
fn tickers_equal_a_window_over_the_trades() {
    let mut venue = Venue::open(7);
    let mut views = Views::new(tight());
    let mut folded = 0;
    let mut quiet = 0;
    for round in 0..120 {
        venue.trade(20, 6 * MINUTE);
        for (cause, events) in &venue.log[folded..] {
            views.apply_all(*cause, events);
        }
        folded = venue.log.len();
        let trades = trades(&venue, 0);
        let (Some((_, last_time, last)), data) = (trades.last(), market(&views, 0)) else { continue };
        for now in
            [venue.now.0, venue.now.0 + 7 * MINUTE + round, venue.now.0 + 1_439 * MINUTE, venue.now.0 + 3_000 * MINUTE]
        {
            let ticker = data.ticker(Timestamp(now));
            let begin = now - 1_440 * MINUTE;
            let from = begin / MINUTE * MINUTE;
            let inside: Vec<_> = trades.iter().filter(|(_, time, _)| time.0 >= from).map(|(_, _, t)| t).collect();
            let before = trades.iter().rfind(|(_, time, _)| time.0 < from).map_or(Price(0), |(_, _, t)| t.price);
            let rest = inside.last().map_or(before, |t| t.price);
            assert_eq!((ticker.open_time.0, ticker.close_time.0), (begin, now));
            assert_eq!(ticker.previous_close, before);
            assert_eq!(ticker.open, inside.first().map_or(rest, |t| t.price));
            assert_eq!(ticker.high, inside.iter().map(|t| t.price).max().unwrap_or(rest));
            assert_eq!(ticker.low, inside.iter().map(|t| t.price).min().unwrap_or(rest));
            assert_eq!((ticker.last, ticker.last_quantity), (last.price, last.quantity));
            assert_eq!(ticker.trades, inside.len() as u64);
            assert_eq!(ticker.first_trade, inside.first().map_or(TradeId(0), |t| t.trade));
            assert_eq!(ticker.last_trade, inside.last().map_or(TradeId(0), |t| t.trade));
            let lots: u64 = inside.iter().map(|t| t.quantity.0).sum();
            assert_eq!(ticker.volume, data.market().base_amount(Quantity(lots)));
            let quote: i128 = inside.iter().map(|t| t.quote.0).sum();
            assert_eq!(ticker.quote_volume, Amount(quote));
            // Base and quote both have eight decimals.
            let average = (lots > 0).then(|| (quote * 200_000_000 / ticker.volume.0 + 1) / 2);
            assert_eq!(
                ticker.weighted_average.map(|average| (average.units(), average.scale())),
                average.map(|units| (units, 8))
            );
            assert_eq!(ticker.change(), ticker.last.0 as i64 - ticker.open.0 as i64);
            quiet += usize::from(inside.is_empty());

            let average = data.average_price(Timestamp(now));
            let from = (now / SECOND - 299) * SECOND;
            let inside: Vec<_> = trades.iter().filter(|(_, time, _)| time.0 >= from).map(|(_, _, t)| t).collect();
            let quote: i128 = inside.iter().map(|t| t.quote.0).sum();
            let lots: u64 = inside.iter().map(|t| t.quantity.0).sum();
            let price = match lots {
                0 => i128::from(last.price.0) * 1_000_000,
                _ => (quote * 200_000_000 / data.market().base_amount(Quantity(lots)).0 + 1) / 2,
            };
            assert_eq!(average.price.unwrap().rescale(8), Some(price));
            assert_eq!((average.minutes, average.last_trade_time), (5, *last_time));
        }
    }
    assert!(quiet > 10, "some windows had no trades");
    let untouched = Venue::open(8);
    let views = fold(&untouched, tight());
    let ticker = market(&views, 0).ticker(untouched.now);
    assert_eq!(
        (ticker.last, ticker.trades, ticker.weighted_average, ticker.change_percent().units()),
        (Price(0), 0, None, 0)
    );
    assert_eq!(market(&views, 0).average_price(untouched.now).price, None);
}

#[test]
fn orders_and_own_trades_are_found_in_every_way() {
    let mut venue = Venue::open(9);
    venue.trade(4_000, SECOND);
    let views = fold(&venue, everything());
    for symbol in 0..MARKETS {
        let data = market(&views, symbol);
        let amended = amended(&venue, symbol);
        for account in accounts() {
            let placed = venue.events().filter_map(|(cause, event)| match event {
                Event::OrderPlaced(placed) if placed.terms.symbol.0 == symbol && placed.account == account => {
                    Some((cause, placed))
                }
                _ => None,
            });
            let placed: Vec<_> = placed.collect();
            let closed: Vec<OrderId> = venue
                .events()
                .filter_map(|(_, event)| match event {
                    Event::OrderClosed(closed) if closed.symbol.0 == symbol => Some(closed.order),
                    _ => None,
                })
                .collect();
            let own: Vec<(Timestamp, Trade, bool)> = trades(&venue, symbol)
                .iter()
                .flat_map(|(_, time, t)| {
                    let sides = [(t.taker.account, false), (t.maker.account, true)];
                    sides.into_iter().filter(|(who, _)| *who == account).map(move |(_, maker)| (*time, *t, maker))
                })
                .collect();

            let all = data.orders_from(account, OrderId(0), usize::MAX);
            assert_eq!(
                all.iter().map(|order| order.order).collect::<Vec<_>>(),
                placed.iter().map(|(_, p)| p.order).collect::<Vec<_>>()
            );
            let open: Vec<_> = data.open_orders(account).map(|order| order.order).collect();
            let expected: Vec<_> =
                all.iter().map(|order| order.order).filter(|order| !closed.contains(order)).collect();
            assert_eq!(open, expected);
            for (order, (cause, placed)) in all.iter().zip(&placed) {
                assert_eq!(data.order(order.order), Some(*order));
                let (named, size) =
                    amended.get(&order.order).copied().unwrap_or((placed.terms.client_order_id, placed.terms.size));
                assert_eq!((order.terms.client_order_id, order.terms.size, order.placed), (named, size, cause.time));
                let mine = own
                    .iter()
                    .filter(|(_, t, maker)| if *maker { t.maker.order } else { t.taker.order } == order.order);
                assert_eq!(order.executed.0, mine.clone().map(|(_, t, _)| t.quantity.0).sum::<u64>());
                assert_eq!(order.executed_quote.0, mine.clone().map(|(_, t, _)| t.quote.0).sum::<i128>());
                assert_eq!(order.status.is_open(), open.contains(&order.order));
                let of_order = data.own_trades_of_order(account, order.order, None, usize::MAX);
                assert_eq!(of_order.len(), mine.count());
                let newest = all.iter().rev().find(|other| other.terms.client_order_id == order.terms.client_order_id);
                assert_eq!(data.order_named(account, &order.terms.client_order_id), newest.copied());
            }
            own_trades_are_listed(data, account, &own);
            orders_are_listed(data, account, &all);
        }
        prevented_matches_are_found(&venue, data, symbol);
    }
    let everywhere: Vec<_> = accounts().flat_map(|account| views.open_orders(account)).collect();
    let by_market =
        views.markets().flat_map(|data| accounts().map(|account| data.open_orders(account).count())).sum::<usize>();
    assert_eq!(everywhere.len(), by_market);
}

/// The list of an order, if that is known.
fn views_list(data: &MarketData, order: OrderId) -> Option<OrderListId> {
    data.order(order).and_then(|order| order.terms.list()).map(|membership| membership.list)
}

fn own_trades_are_listed(data: &MarketData, account: AccountId, own: &[(Timestamp, Trade, bool)]) {
    let symbol = data.market().id;
    let listed = data.own_trades(account, Window::last(usize::MAX));
    assert!(listed.len() > 100);
    assert_eq!(listed.len(), own.len());
    for (seen, (time, t, maker)) in listed.iter().zip(own) {
        let (party, side) = if *maker { (t.maker, t.taker_side.opposite()) } else { (t.taker, t.taker_side) };
        let expected = OwnTrade {
            symbol,
            trade: t.trade,
            order: party.order,
            list: views_list(data, party.order),
            price: t.price,
            quantity: t.quantity,
            quote: t.quote,
            fee: party.fee,
            fee_asset: if side == Side::Buy { AssetId(symbol.0 + 1) } else { AssetId(0) },
            side,
            maker: *maker,
            time: *time,
        };
        assert_eq!(**seen, expected);
    }
    let half = listed[listed.len() / 2].trade;
    let from = data.own_trades_from(account, half, 10);
    // Both rows of a trade with itself are there, though only one would fit.
    assert!(from.len() == 10 || (from.len() == 11 && from[9].trade == from[10].trade));
    assert!(from.iter().all(|trade| trade.trade >= half));
}

/// `all` are the account's orders by number.
fn orders_are_listed(data: &MarketData, account: AccountId, all: &[&Order]) {
    let from = data.orders_from(account, all[all.len() / 2].order, 10);
    assert_eq!(from, all[all.len() / 2..][..10]);
    let mut by_update = all.to_vec();
    by_update.sort_by_key(|order| (order.updated, order.order));
    assert_eq!(data.orders(account, Window::last(usize::MAX)), by_update);
    let (start, end) = (by_update[5].updated, by_update[30].updated);
    let window = Window { start: Some(start), end: Some(end), limit: 10 };
    let within = by_update.iter().filter(|order| (start..=end).contains(&order.updated));
    assert_eq!(data.orders(account, window), within.take(10).copied().collect::<Vec<_>>());
    let until: Vec<_> = by_update.iter().filter(|order| order.updated <= end).copied().collect();
    assert_eq!(data.orders(account, Window { start: None, ..window }), until[until.len() - 10..]);
}

/// The matches that took something from an order, and how many lots.
fn prevented_of(prevented: &[PreventedMatch], order: OrderId) -> Vec<(PreventedMatchId, u64)> {
    let of = |prevented: &PreventedMatch| match order {
        _ if order == prevented.taker => (prevented.id, prevented.taker_prevented.0),
        _ if order == prevented.maker => (prevented.id, prevented.maker_prevented.0),
        _ => (prevented.id, 0),
    };
    prevented.iter().map(of).filter(|&(_, lots)| lots > 0).collect()
}

fn prevented_matches_are_found(venue: &Venue, data: &MarketData, symbol: u32) {
    let prevented: Vec<_> = venue
        .events()
        .filter_map(|(cause, event)| match event {
            Event::MatchPrevented(prevented) if prevented.symbol.0 == symbol => Some((cause.time, *prevented)),
            _ => None,
        })
        .collect();
    assert!(prevented.len() > 20);
    let prevented_in: Vec<_> = prevented.iter().map(|&(_, prevented)| prevented).collect();
    let matches = data.prevented_matches();
    for (time, prevented) in &prevented {
        let kept = Prevented { prevented: *prevented, time: *time };
        assert_eq!(matches.get(prevented.id), Some(&kept));
        let of_taker = (prevented.taker, prevented.account, prevented.taker_prevented);
        let of_maker = (prevented.maker, prevented.maker_account(), prevented.maker_prevented);
        for (order, account, lots) in [of_taker, of_maker] {
            assert!(matches.of_order(account, order, None, usize::MAX).contains(&kept));
            assert!(matches.of_order(AccountId(1), order, None, usize::MAX).is_empty(), "another's");
            let from = matches.of_order(account, order, Some(prevented.id), 1);
            assert_eq!(from, [kept]);
            // All that its matches have taken from it, and the last of these.
            let taken = prevented_of(&prevented_in, order);
            let due = taken.last().map(|&(id, _)| (id, taken.iter().map(|&(_, lots)| lots).sum::<u64>()));
            let seen = data.order(order).unwrap();
            assert_eq!(seen.prevention.as_deref().map(|told| (told.id, told.quantity.0)), due);
            assert!(lots.is_zero() || taken.contains(&(prevented.id, lots.0)));
            if let Size::Base(quantity) = seen.terms.size
                && seen.prevention.is_some()
            {
                assert_eq!(seen.remaining().0, quantity.0 - seen.executed.0 - seen.prevented().0);
            }
        }
    }
    assert_eq!(matches.forgotten(), None);
}

#[test]
fn memory_is_bounded_and_says_what_it_dropped() {
    let mut venue = Venue::open(10);
    venue.trade(35_000, 20 * MINUTE);
    let limits = tight();
    let (views, whole) = (fold(&venue, limits.clone()), fold(&venue, everything()));
    for symbol in 0..MARKETS {
        let (data, all) = (market(&views, symbol), market(&whole, symbol));
        let kept: Vec<_> = data.trades().last(usize::MAX).collect();
        assert_eq!(kept.len(), limits.trades_per_market);
        assert_eq!(kept, all.trades().last(30).collect::<Vec<_>>());
        assert_eq!(data.trades().forgotten().map(|dropped| dropped.id.next()), Some(kept[0].trade));
        assert_eq!(all.trades().forgotten(), None);
        assert_eq!(data.aggregate_trades().last(usize::MAX).count(), limits.aggregate_trades_per_market);
        assert_eq!(data.aggregate_trades().newest(), all.aggregate_trades().newest());

        let query =
            |interval| CandleQuery { interval, offset: Offset::UTC, window: Window::last(usize::MAX), now: venue.now };
        let (seen, full) =
            (data.candles().query(&query(Interval::Minute1)), all.candles().query(&query(Interval::Minute1)));
        let traded = seen.iter().filter(|candle| candle.trades > 0).count();
        assert_eq!(traded, Limits::CANDLES_MIN);
        assert_eq!(seen[..], full[full.len() - seen.len()..], "what is left is as it was");
        let dropped = data.candles().forgotten(Interval::Minute1).unwrap();
        assert!(dropped < seen[0].open_time);
        let from = |start| CandleQuery {
            window: Window { start: Some(start), end: None, limit: 3 },
            ..query(Interval::Minute1)
        };
        assert!(data.candles().is_complete(&from(seen[0].open_time)) && !data.candles().is_complete(&from(dropped)));
        assert!(all.candles().is_complete(&from(Timestamp(0))), "nothing was dropped there");
        assert_eq!(data.ticker(venue.now), all.ticker(venue.now));
        // Put together from minutes of which the first few are gone: only whole candles.
        let shifted = CandleQuery {
            interval: Interval::Hour1,
            offset: Offset::from_minutes(1).unwrap(),
            ..query(Interval::Hour1)
        };
        let (seen, full) = (data.candles().query(&shifted), all.candles().query(&shifted));
        assert!(seen.len() < full.len() && seen[0].open_time > dropped);
        assert_eq!(seen[..], full[full.len() - seen.len()..]);

        let (some, every) = (data.prevented_matches(), all.prevented_matches());
        let dropped = some.forgotten().unwrap();
        assert_eq!((some.get(dropped.id), some.get(dropped.id.next())), (None, every.get(dropped.id.next())));
        assert_eq!(every.get(dropped.id).unwrap().time, dropped.settled);

        let (mut closed, mut trades) = (0, 0);
        for account in accounts() {
            let (ended, own) = account_memory_is_bounded(data, all, account, &limits);
            (closed, trades) = (closed + ended, trades + own);
        }
        assert_eq!((closed, trades), (limits.closed_orders_per_market, limits.own_trades_per_market));
    }
}

/// What is left of an account's orders and trades in `data`, of all of them in `all`. How many ended orders and trades
/// are left.
fn account_memory_is_bounded(
    data: &MarketData,
    all: &MarketData,
    account: AccountId,
    limits: &Limits,
) -> (usize, usize) {
    let orders = data.orders(account, Window::last(usize::MAX));
    let ended = orders.iter().filter(|order| !order.status.is_open()).count();
    assert!(ended <= limits.closed_orders_per_account);
    assert!(data.open_orders(account).eq(all.open_orders(account)), "open orders are never dropped");
    let shown = all.orders(account, Window::last(usize::MAX)).into_iter();
    let shown: Vec<_> = shown.filter(|order| data.order(order.order).is_some()).collect();
    assert_eq!(orders, shown);
    for limit in [1, 7] {
        let start = shown[shown.len() / 2].updated;
        let window = Window { start: Some(start), end: None, limit };
        let expected: Vec<_> = shown.iter().filter(|order| order.updated >= start).take(limit).copied().collect();
        assert_eq!(data.orders(account, window), expected);
        assert_eq!(data.orders(account, Window::last(limit)), shown[shown.len() - limit..]);
    }
    let dropped = data.forgotten_orders(account).unwrap();
    assert!(orders.iter().all(|order| order.status.is_open() || order.updated >= dropped.settled));
    for order in all.orders_from(account, dropped.id.next(), usize::MAX) {
        assert_eq!(data.order(order.order), Some(order), "newer than what was dropped: still here");
    }
    let gone = all.order(dropped.id).unwrap();
    assert_eq!((data.order(dropped.id), gone.placed <= dropped.time), (None, true));
    let gone = all.orders_from(account, OrderId(0), usize::MAX).into_iter();
    let settled = gone.filter(|order| data.order(order.order).is_none()).map(|order| order.updated).max();
    assert_eq!(settled, Some(dropped.settled), "nothing that was dropped has changed since");
    let own = data.own_trades(account, Window::last(usize::MAX));
    assert!(own.len() <= limits.own_trades_per_account);
    // An account that trades with itself has two of a trade; a window gives both, memory may end between them.
    let expected = all.own_trades(account, Window::last(own.len()));
    let more = expected.len() - own.len();
    assert!(more == 0 || more == 1 && expected[0].trade == own[0].trade);
    assert_eq!(own, expected[more..]);
    let dropped = data.forgotten_own_trades(account).unwrap();
    assert!(own.first().is_none_or(|first| first.trade >= dropped.id));
    assert_eq!(dropped.settled, dropped.time);
    (ended, own.len())
}

#[test]
fn what_was_brought_near_before_is_folded_alike() {
    let mut venue = Venue::open(12);
    venue.trade(2_000, 5 * MINUTE);
    for limits in [everything(), tight()] {
        let whole = fold(&venue, limits.clone()).state();
        for batch in [1, 7, 300] {
            let mut views = Views::new(limits.clone());
            for commands in venue.log.chunks(batch) {
                let coming: Vec<Event> = commands.iter().flat_map(|(_, events)| events.clone()).collect();
                views.warm(&coming);
                for (cause, events) in commands {
                    views.apply_all(*cause, events);
                }
            }
            assert_eq!(views.state(), whole);
        }
    }
}

#[test]
fn a_snapshot_goes_on_as_if_never_interrupted() {
    let mut venue = Venue::open(11);
    venue.trade(3_000, 5 * MINUTE);
    for limits in [everything(), tight()] {
        let straight = fold(&venue, limits.clone());
        let whole = straight.state();
        for cut in [0, 1, 10, venue.log.len() / 2, venue.log.len()] {
            let mut views = Views::new(limits.clone());
            for (cause, events) in &venue.log[..cut] {
                views.apply_all(*cause, events);
            }
            let mut bytes = Vec::new();
            wire::encode(&views.state(), &mut bytes);
            let state = wire::decode(&bytes).unwrap();
            let mut restored = Views::restore(state, limits.clone()).unwrap();
            assert_eq!(restored.state(), views.state());
            for (cause, events) in &venue.log[cut..] {
                restored.apply_all(*cause, events);
            }
            assert_eq!(restored.position(), Some(venue.log.last().unwrap().0));
            assert_eq!(wire::hash(&restored.state()), wire::hash(&whole));
            for (account, name) in accounts().flat_map(|account| (0..40).map(move |n| (account, format!("name-{n}")))) {
                let found = |views| market(views, 0).order_named(account, &crate::venue::name(&name)).cloned();
                assert_eq!(found(&restored), found(&straight));
            }
        }
    }
    // Tighter limits apply to what was kept before.
    let narrowed = Views::restore(fold(&venue, everything()).state(), tight()).unwrap();
    assert_eq!(market(&narrowed, 0).trades().last(usize::MAX).count(), tight().trades_per_market);
    for account in accounts() {
        assert!(
            market(&narrowed, 0).own_trades(account, Window::last(usize::MAX)).len() <= tight().own_trades_per_account
        );
    }
}

#[test]
fn a_broken_snapshot_is_refused() {
    let mut venue = Venue::open(12);
    venue.trade(300, SECOND);
    let mut bytes = Vec::new();
    wire::encode(&fold(&venue, everything()).state(), &mut bytes);
    let mut refused = 0;
    let mut draw = Draw(12);
    for _ in 0..3_000 {
        let mut broken = bytes.clone();
        let at = draw.below(bytes.len() as u64) as usize;
        broken[at] ^= 1 << draw.below(8);
        // Either it is no state at all, or it is refused, or it is one that could have been; never a panic.
        if let Ok(state) = wire::decode(&broken) {
            refused += usize::from(Views::restore(state, tight()).is_err());
        }
    }
    assert!(refused > 100, "{refused} refused");
}
