//! Statistics over periods, against plain sums over all trades: also where memory has dropped the minutes with which a
//! period begins.

use crossbook_protocol::Event;
use crossbook_protocol::event::Trade;
use crossbook_types::{Amount, Price, Quantity, SymbolId, Timestamp, TradeId};
use crossbook_views::{Candle, Interval, Limits, Offset, Period, Views};

use crate::venue::{Draw, Venue, everything};

const MINUTE: u64 = 60_000_000;
const SYMBOL: SymbolId = SymbolId(0);

/// As few candles as views can keep.
fn few_candles() -> Limits {
    Limits { candles_per_interval: 0, ..everything() }
}

/// Days of trades in most of their minutes.
fn busy_days() -> Venue {
    let mut venue = Venue::open(11);
    venue.trade(160_000, MINUTE / 12);
    venue
}

fn views(venue: &Venue, limits: Limits) -> Views {
    let mut views = Views::new(limits);
    for (cause, events) in &venue.log {
        views.apply_all(*cause, events);
    }
    views
}

fn periods(draw: &mut Draw) -> Vec<Period> {
    let zone = |text| Period::Day(Offset::parse(text).unwrap());
    let mut periods = vec![Period::HOUR, Period::FOUR_HOURS, Period::DAY, zone("0"), zone("05:45"), zone("-12")];
    for text in ["1m", "59m", "23h", "2d", "3d", "7d"] {
        periods.push(Period::parse(text).unwrap());
    }
    periods.push(Period::Minutes(1 + draw.below(7 * 1_440)));
    periods
}

#[test]
fn statistics_of_a_period_equal_those_of_its_trades() {
    let venue = busy_days();
    let (kept, all) = (views(&venue, few_candles()), views(&venue, everything()));
    let (kept, all) = (kept.market(SYMBOL).unwrap(), all.market(SYMBOL).unwrap());
    let trades: Vec<(Timestamp, &Trade)> = venue
        .events()
        .filter_map(|(cause, event)| match event {
            Event::Traded(trade) if trade.symbol == SYMBOL => Some((cause.time, trade)),
            _ => None,
        })
        .collect();
    let end = trades.last().unwrap().0.0;
    assert!(end - trades[0].0.0 > 8 * 1_440 * MINUTE, "longer than any period");
    let (mut reached_back, mut quiet) = (0, 0);
    let mut draw = Draw(3);
    for _ in 0..60 {
        // Most of the time right behind the last trade, sometimes so late that nothing is left of it.
        let now = Timestamp(end + [0, draw.below(MINUTE), draw.below(9 * 1_440 * MINUTE)][draw.below(3) as usize]);
        for period in periods(&mut draw) {
            let counted = kept.count(period, now);
            let missing: Vec<Candle> = match counted.missing() {
                Some((from, to)) => all.candles().stored(Interval::Minute1, from, to).copied().collect(),
                None => Vec::new(),
            };
            reached_back += usize::from(!missing.is_empty());
            assert!(missing.len() < 60, "only the minutes before the first whole hour can be missing");
            let ticker = counted.ticker(kept.market(), &missing);
            assert_eq!(ticker, all.count(period, now).ticker(all.market(), &[]), "{period:?}");

            assert_eq!((ticker.open_time, ticker.close_time), period.bounds(now));
            let inside: Vec<_> = trades.iter().filter(|(time, _)| *time >= ticker.open_time).map(|(_, t)| t).collect();
            let prices = || inside.iter().map(|trade| trade.price);
            assert_eq!(ticker.open, prices().next().unwrap_or(Price(0)), "{period:?} at {now}");
            assert_eq!(ticker.high, prices().max().unwrap_or(Price(0)));
            assert_eq!(ticker.low, prices().min().unwrap_or(Price(0)));
            assert_eq!(ticker.last, prices().next_back().unwrap_or(Price(0)));
            assert_eq!(ticker.trades, inside.len() as u64);
            assert_eq!(ticker.first_trade, inside.first().map_or(TradeId(0), |trade| trade.trade));
            assert_eq!(ticker.last_trade, inside.last().map_or(TradeId(0), |trade| trade.trade));
            let lots: u64 = inside.iter().map(|trade| trade.quantity.0).sum();
            assert_eq!(ticker.volume, kept.market().base_amount(Quantity(lots)));
            assert_eq!(ticker.quote_volume, Amount(inside.iter().map(|trade| trade.quote.0).sum()));
            assert_eq!(ticker.weighted_average.is_none(), inside.is_empty());
            assert_eq!(ticker.change(), ticker.last.0 as i64 - ticker.open.0 as i64);
            quiet += usize::from(inside.is_empty());
        }
    }
    assert!(reached_back > 20 && quiet > 20, "{reached_back} reached further back than memory, {quiet} had no trades");
}

#[test]
fn periods_up_to_a_day_need_no_more_than_memory() {
    let venue = busy_days();
    let kept = views(&venue, few_candles());
    let data = kept.market(SYMBOL).unwrap();
    assert!(data.candles().forgotten(Interval::Minute1).is_some(), "minutes were dropped");
    let zones = ["-12", "-9:30", "0", "05:45", "14"].map(|text| Period::Day(Offset::parse(text).unwrap()));
    for period in [Period::HOUR, Period::FOUR_HOURS, Period::DAY].into_iter().chain(zones) {
        for later in 0..120 {
            let counted = data.count(period, Timestamp(venue.now.0 + later * 30_000_000));
            assert_eq!(counted.missing(), None, "{period:?}");
        }
    }
}
