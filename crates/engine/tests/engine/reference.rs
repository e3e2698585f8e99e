//! Execution rules, and the reference prices that they and the filters look at.

use crossbook_engine::Partition;
use crossbook_engine::import::{self, MarketPast, Past};
use crossbook_protocol::command::Body;
use crossbook_protocol::event::{CloseReason, LastTrade, OrderImported};
use crossbook_protocol::order_list::ListImported;
use crossbook_protocol::session::{ExternalPrice, Phase, Reference, Session, SessionChange, SessionRequest};
use crossbook_protocol::{Answer, Command, Event, Events, Refusal, Routing, Rules};
use crossbook_types::{
    Amount, Breaker, Filter, Filters, Mean, OrderId, OrderListId, OrderType, PartitionId, Price, PriceRange, Quantity,
    ReferenceCalculation, ReferencePrice, RequestNumber, SelfTradePrevention, Side, SymbolId, TimeInForce, Timestamp,
    TradeBucket, TradeId,
};

use crate::kit::*;

const SECOND: u64 = 1_000_000;
/// A tenth to either side, whoever comes.
const TENTH: PriceRange =
    PriceRange { bid_up: Some(11_000), bid_down: Some(9_000), ask_up: Some(11_000), ask_down: Some(9_000) };
/// The mean of two seconds.
const MEAN: ReferenceCalculation = ReferenceCalculation::ArithmeticMean(Mean { buckets: 2, width_ms: 1_000 });
const EXTERNAL: ReferenceCalculation = ReferenceCalculation::External { id: 1 };

fn request(change: SessionChange) -> Body {
    Body::Session(SessionRequest { symbol: BTCUSDT, change })
}

fn change(venue: &mut Venue, change: SessionChange) -> Answer {
    answer(&venue.apply(request(change))).clone()
}

fn ticks(ticks: u64) -> ReferencePrice {
    ReferencePrice(ticks * ReferencePrice::PER_TICK)
}

/// A venue whose market has this rule, and whose reference price is 1,000.
fn venue(rule: PriceRange) -> Venue {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::V4));
    for set in [
        SessionChange::SetPriceRange(Some(rule)),
        SessionChange::SetReference(Some(EXTERNAL)),
        SessionChange::SetReferencePrice(Some(ticks(1_000))),
    ] {
        assert!(matches!(change(&mut venue, set), Answer::SessionChanged(_)), "{set:?}");
    }
    venue
}

#[test]
fn an_order_ends_where_the_rule_lets_it_trade_no_further_and_the_market_goes_on() {
    for (side, inside, outside) in [(Side::Buy, 1_100, 1_101), (Side::Sell, 900, 899)] {
        let mut venue = venue(TENTH);
        let (maker, taker) = (venue.rich(), venue.rich());
        venue.rest(limit(maker, side.opposite(), inside, 2));
        venue.rest(limit(maker, side.opposite(), outside, 2));
        let (order, events) = venue.place(limit(taker, side, outside, 3));
        assert_eq!(trades(&events), [(inside, 2)], "what is within the range trades");
        assert_eq!(closed(&events).last(), Some(&(order, CloseReason::OutOfRange)), "and the rest ends");
        assert!(!events.iter().any(|event| matches!(event, Event::SessionChanged(_))));
        assert_eq!(venue.depth(side.opposite()), [(outside, 2)]);
        // An order that would not trade there comes to rest.
        venue.restart();
        let nearer = if side == Side::Buy { outside - 1 } else { outside + 1 };
        let resting = venue.rest(limit(taker, side, nearer, 1));
        // At market, and by a stop order.
        let (order, events) = venue.place(market(taker, side, lots(1)));
        assert_eq!((trades(&events), closed(&events)), (vec![], vec![(order, CloseReason::OutOfRange)]));
        // The other way the same price is no bound: whoever meets the resting order is within the range.
        let (_, events) = venue.place(limit(maker, side.opposite(), nearer, 1));
        assert_eq!(trades(&events), [(nearer, 1)]);
        assert_eq!(closed(&events)[0], (resting, CloseReason::Filled));
    }
}

#[test]
fn an_order_that_meets_a_price_on_its_near_side_of_the_range_does_not_trade() {
    for (side, better) in [(Side::Buy, 899), (Side::Sell, 1_101)] {
        let mut venue = venue(TENTH);
        let (maker, taker) = (venue.rich(), venue.rich());
        venue.rest(limit(maker, side.opposite(), better, 2));
        let (order, events) = venue.place(limit(taker, side, 1_000, 1));
        assert_eq!((trades(&events), closed(&events)), (vec![], vec![(order, CloseReason::OutOfRange)]));
        // Where that bound is missing, it does.
        let one_sided = match side {
            Side::Buy => PriceRange { bid_down: None, ..TENTH },
            Side::Sell => PriceRange { ask_up: None, ..TENTH },
        };
        change(&mut venue, SessionChange::SetPriceRange(Some(one_sided)));
        let (_, events) = venue.place(limit(taker, side, 1_000, 1));
        assert_eq!(trades(&events), [(better, 1)]);
    }
}

#[test]
fn without_a_rule_or_a_reference_price_nothing_is_bounded() {
    for off in [
        SessionChange::SetPriceRange(None),
        SessionChange::SetReference(None),
        SessionChange::SetReferencePrice(None),
        SessionChange::SetReference(Some(MEAN)),
    ] {
        let mut venue = venue(TENTH);
        change(&mut venue, off);
        let (maker, taker) = (venue.rich(), venue.rich());
        venue.rest(sell(maker, 1_101, 1));
        assert_eq!(trades(&venue.place(buy(taker, 1_101, 1)).1), [(1_101, 1)], "{off:?}");
    }
}

#[test]
fn a_fill_or_kill_order_counts_only_what_the_rule_allows() {
    let mut venue = venue(TENTH);
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 1_100, 2));
    venue.rest(sell(maker, 1_101, 2));
    let (order, events) = venue.place(buy(taker, 1_101, 3).within(TimeInForce::Fok));
    assert_eq!(closed(&events), [(order, CloseReason::Expired)]);
    let (_, events) = venue.place(buy(taker, 1_101, 2).within(TimeInForce::Fok));
    assert_eq!(trades(&events), [(1_100, 2)]);
}

#[test]
fn the_narrower_of_rule_and_breaker_ends_an_order() {
    let breaker = |move_bp| Breaker { move_bp, window_seconds: 10, pause_seconds: 5, auction_seconds: 0 };
    for (move_bp, reason, phase) in [
        (500, CloseReason::ByVenue, Some(Phase::Paused)),
        // Of two that allow as much it is the rule.
        (1_000, CloseReason::OutOfRange, None),
        (2_000, CloseReason::OutOfRange, None),
    ] {
        for (side, outside) in [(Side::Buy, 1_300), (Side::Sell, 700)] {
            let mut venue = venue(TENTH);
            venue.trade_at(1_000);
            change(&mut venue, SessionChange::SetBreaker(Some(breaker(move_bp))));
            let (maker, taker) = (venue.rich(), venue.rich());
            venue.rest(limit(maker, side.opposite(), outside, 2));
            let (order, events) = venue.place(limit(taker, side, outside, 1));
            assert_eq!(closed(&events), [(order, reason)], "{side:?} {move_bp}");
            let changed = events.iter().find_map(|event| match event {
                Event::SessionChanged(session) => Some(session.phase),
                _ => None,
            });
            assert_eq!(changed, phase);
        }
    }
}

#[test]
fn the_limits_stay_as_they_were_when_an_order_began_to_trade() {
    let mut venue = venue(TENTH);
    change(&mut venue, SessionChange::SetReference(Some(MEAN)));
    venue.trade_at(1_000);
    let (maker, taker) = (venue.rich(), venue.rich());
    for price in [1_100, 1_100, 1_101, 1_120] {
        venue.rest(sell(maker, price, 1).preventing(SelfTradePrevention::None));
    }
    // Its own trades at 1,100 raise the mean, for the next order only.
    let (order, events) = venue.place(buy(taker, 1_120, 4));
    assert_eq!(trades(&events), [(1_100, 1), (1_100, 1)]);
    assert_eq!(closed(&events).last(), Some(&(order, CloseReason::OutOfRange)));
    // The mean is 3,200 by 3, whose tenth more is 1,173.
    assert_eq!(trades(&venue.place(buy(taker, 1_120, 4)).1), [(1_101, 1), (1_120, 1)]);
}

#[test]
fn a_mean_follows_the_trades_of_its_window() {
    let mut venue = venue(TENTH);
    change(&mut venue, SessionChange::SetReference(Some(MEAN)));
    venue.start = 100 * SECOND;
    venue.trade_at(1_000);
    venue.start = 101 * SECOND;
    let maker = venue.rich();
    let refused = |venue: &mut Venue, price| {
        let order = buy(maker, price, 1).within(TimeInForce::Ioc).preventing(SelfTradePrevention::None);
        let resting = venue.rest(sell(maker, price, 1));
        let (_, events) = venue.place(order);
        venue.cancel(maker, crossbook_protocol::order::Target::Order(resting)).is_ok()
            && closed(&events).last().is_some_and(|(_, reason)| *reason == CloseReason::OutOfRange)
    };
    assert!(refused(&mut venue, 1_101));
    // Until the last of it has left the window.
    venue.start = 102 * SECOND + 900_000;
    assert!(refused(&mut venue, 1_101));
    venue.restart();
    assert!(refused(&mut venue, 1_101));
    venue.start = 103 * SECOND;
    assert!(!refused(&mut venue, 1_101), "nothing is left of it");
}

#[test]
fn filters_look_at_the_reference_price() {
    let mut venue = venue(TENTH);
    venue.change(Some(Filters { band_up_percent: 110, band_down_percent: 90, ..open_filters() }), None, None);
    let trader = venue.rich();
    assert_eq!(venue.refused(buy(trader, 1_101, 1)), Refusal::Filter(Filter::PercentPrice));
    venue.rest(buy(trader, 1_100, 1));
    // To the nearest tick; and where there is none now, at the last price, of which there is none yet.
    change(&mut venue, SessionChange::SetReferencePrice(Some(ReferencePrice(1_000_500_000))));
    venue.rest(buy(trader, 1_101, 1));
    change(&mut venue, SessionChange::SetReferencePrice(None));
    venue.rest(buy(trader, 1_500, 1));
}

#[test]
fn stop_orders_are_bounded_when_they_trigger() {
    let mut venue = venue(TENTH);
    let (maker, taker) = (venue.rich(), venue.rich());
    let stop = venue.rest(stop(taker, Side::Buy, OrderType::StopLoss, 1_050, 1));
    venue.rest(sell(maker, 1_050, 1));
    venue.rest(sell(maker, 1_101, 1));
    let (_, events) = venue.place(buy(taker, 1_050, 1));
    assert_eq!(trades(&events), [(1_050, 1)]);
    assert_eq!(closed(&events).last(), Some(&(stop, CloseReason::OutOfRange)));
}

#[test]
fn an_auction_trades_at_whatever_its_price_is() {
    let mut venue = venue(TENTH);
    change(&mut venue, SessionChange::OpenAuction { seconds: None });
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 1_500, 1));
    venue.rest(buy(taker, 1_500, 1));
    let events = venue.apply(request(SessionChange::End));
    assert_eq!(trades(&events), [(1_500, 1)]);
}

#[test]
fn what_cannot_be_is_refused_and_what_is_as_it_was_is_not_told() {
    let mut venue = Venue::new();
    let rule = SessionChange::SetPriceRange(Some(TENTH));
    assert_eq!(change(&mut venue, rule), Answer::Refused(Refusal::RulesTooOld));
    venue.apply(Body::ActivateRules(Rules::V4));
    let mean = |buckets, width_ms| ReferenceCalculation::ArithmeticMean(Mean { buckets, width_ms });
    for (set, refusal) in [
        (SessionChange::SetPriceRange(Some(PriceRange::default())), Refusal::PriceRange),
        (SessionChange::SetPriceRange(Some(PriceRange { bid_up: Some(9_999), ..TENTH })), Refusal::PriceRange),
        (SessionChange::SetReference(Some(mean(0, 1))), Refusal::ReferenceCalculation),
        (SessionChange::SetReference(Some(mean(1, 0))), Refusal::ReferenceCalculation),
        (SessionChange::SetReferencePrice(Some(ticks(1))), Refusal::ReferencePrice),
    ] {
        assert_eq!(change(&mut venue, set), Answer::Refused(refusal), "{set:?}");
    }
    change(&mut venue, SessionChange::SetReference(Some(MEAN)));
    let price = |price| SessionChange::SetReferencePrice(Some(price));
    assert_eq!(change(&mut venue, price(ticks(1))), Answer::Refused(Refusal::ReferencePrice), "a mean is not sent");
    change(&mut venue, SessionChange::SetReference(Some(EXTERNAL)));
    let below = ReferencePrice(ReferencePrice::PER_TICK - 1);
    assert_eq!(change(&mut venue, price(below)), Answer::Refused(Refusal::ReferencePrice));
    // What the largest order would cost there need not be an amount.
    let highest = venue.partition.registry().market(BTCUSDT).unwrap().highest_price();
    let above = ReferencePrice((highest.0 + 1) * ReferencePrice::PER_TICK);
    assert_eq!(change(&mut venue, price(above)), Answer::Refused(Refusal::ReferencePrice));
    let set = venue.apply(request(price(ticks(7))));
    let since = venue.partition.time();
    let external = Some(ExternalPrice { price: Some(ticks(7)), since });
    let reference = Some(Reference { calculation: EXTERNAL, external });
    let session = Session { reference, ..Session::plain(BTCUSDT) };
    assert_eq!(set[0], Event::SessionChanged(session));
    let again = venue.apply(request(SessionChange::SetReference(Some(EXTERNAL))));
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(*answer(&again), Answer::SessionChanged(session), "what was sent stays");
    change(&mut venue, rule);
    assert_eq!(venue.apply(request(rule)).len(), 1);
    change(&mut venue, SessionChange::SetPriceRange(None));
    let last = change(&mut venue, SessionChange::SetReference(None));
    assert_eq!(last, Answer::SessionChanged(Session::plain(BTCUSDT)));
    assert_eq!(venue.partition.state(), {
        venue.restart();
        venue.partition.state()
    });
}

/// A market that has traded once.
struct OneTrade(Timestamp);

impl Past for OneTrade {
    fn order(&self, _: SymbolId, _: OrderId) -> Option<OrderImported> {
        None
    }

    fn list(&self, _: SymbolId, _: OrderListId) -> Option<ListImported> {
        None
    }

    fn market(&self, symbol: SymbolId) -> Option<MarketPast> {
        let (trade, price, quantity) = (TradeId(1), Price(1_000), Quantity(1));
        let quote = Amount(1_000 * TICK_LOT);
        let last = LastTrade { trade, price, quantity, quote, taker_side: Side::Buy, time: self.0 };
        Some(if symbol == BTCUSDT {
            MarketPast { last: Some(last), aggregate_trades: 1 }
        } else {
            MarketPast::default()
        })
    }
}

#[test]
fn rule_and_reference_price_move_with_the_venue() {
    let mut venue = venue(TENTH);
    change(&mut venue, SessionChange::SetReference(Some(MEAN)));
    venue.start = 100 * SECOND;
    venue.trade_at(1_000);
    let past = OneTrade(venue.partition.time());
    let inventory = import::gather(&[(&venue.partition, &past as &dyn Past)]).unwrap();
    let bucket = TradeBucket { number: 100, trades: 1, sum: 1_000 };
    let moved = inventory.books[0].session.clone().unwrap();
    assert_eq!((moved.session.price_range, moved.buckets), (Some(TENTH), vec![bucket]));
    let mut imported = Partition::new(PartitionId(0), Routing::single(), 8);
    let mut told = Vec::new();
    for (number, piece) in (1..).zip(import::pieces(&inventory, &Routing::single(), [1; 32]).swap_remove(0)) {
        let (sequence, source, mut events) = (imported.sequence().next(), piece.source(), Events::new());
        let body = Body::Import(Box::new(piece));
        imported.apply(&Command::new(sequence, Timestamp(9), source, RequestNumber(number), body), &mut events);
        assert_eq!(answer(events.all()), &Answer::Imported);
        told.extend(events.all().iter().filter(|event| matches!(event, Event::ReferenceImported { .. })).cloned());
    }
    assert_eq!(told, [Event::ReferenceImported { symbol: BTCUSDT, buckets: vec![bucket] }]);
    let there = import::gather(&[(&imported, &past as &dyn Past)]).unwrap().books;
    assert_eq!(there[0].session, inventory.books[0].session);
}
