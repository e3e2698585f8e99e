//! Sessions of markets: circuit breakers that trip, and how a market comes back.

use crossbook_engine::Partition;
use crossbook_engine::import::{self, Past};
use crossbook_protocol::command::Body;
use crossbook_protocol::event::CloseReason;
use crossbook_protocol::order::Target;
use crossbook_protocol::session::{MovedSession, Phase, Session, SessionChange, SessionRequest};
use crossbook_protocol::{Answer, Command, Event, Events, Refusal, Routing, Rules};
use crossbook_types::{
    Breaker, MarketStatus, OrderType, PartitionId, RequestNumber, SelfTradePrevention, Side, TimeInForce, Timestamp,
};

use crate::kit::*;

const SECOND: u64 = 1_000_000;
/// A tenth within ten seconds; then a pause of five.
const TENTH: Breaker = Breaker { move_bp: 1_000, window_seconds: 10, pause_seconds: 5, auction_seconds: 0 };

fn change(venue: &mut Venue, change: SessionChange) -> Answer {
    let events = venue.apply(Body::Session(SessionRequest { symbol: BTCUSDT, change }));
    answer(&events).clone()
}

/// A venue whose market has this breaker and has traded at 1,000.
fn venue(breaker: Breaker) -> Venue {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::V4));
    venue.trade_at(1_000);
    let set = change(&mut venue, SessionChange::SetBreaker(Some(breaker)));
    let open = Session { breaker: Some(breaker), ..Session::plain(BTCUSDT) };
    assert_eq!(set, Answer::SessionChanged(open));
    venue
}

/// The sessions that events tell of.
fn sessions(events: &[Event]) -> Vec<(Phase, Option<Timestamp>)> {
    let session = |event: &Event| match event {
        Event::SessionChanged(session) => Some((session.phase, session.until)),
        _ => None,
    };
    events.iter().filter_map(session).collect()
}

#[test]
fn a_trade_out_of_the_band_is_not_made_and_the_market_pauses() {
    for (side, inside, outside) in [(Side::Buy, 1_100, 1_101), (Side::Sell, 900, 899)] {
        let mut venue = venue(TENTH);
        let (maker, taker) = (venue.rich(), venue.rich());
        venue.rest(limit(maker, side.opposite(), inside, 2));
        let beyond = venue.rest(limit(maker, side.opposite(), outside, 2));
        let (order, events) = venue.place(limit(taker, side, outside, 3));
        assert_eq!(trades(&events), [(inside, 2)], "what is within the band trades");
        assert_eq!(closed(&events).last(), Some(&(order, CloseReason::ByVenue)), "and the rest ends");
        let until = Timestamp(venue.partition.time().0 + 5 * SECOND);
        assert_eq!(sessions(&events), [(Phase::Paused, Some(until))]);
        assert_eq!(venue.depth(side.opposite()), [(outside, 2)]);
        // Nothing but cancels and amendments.
        assert_eq!(venue.refused(buy(taker, 1_000, 1)), Refusal::MarketClosed(MarketStatus::CancelOnly));
        venue.restart();
        assert_eq!(venue.refused(buy(taker, 1_000, 1)), Refusal::MarketClosed(MarketStatus::CancelOnly));
        assert_eq!(venue.cancel(maker, Target::Order(beyond)).unwrap().0, beyond);
        let early = change(&mut venue, SessionChange::Pass { until });
        assert_eq!(early, Answer::Refused(Refusal::NoSuchPhase));
        venue.start += 5 * SECOND;
        let other = change(&mut venue, SessionChange::Pass { until: Timestamp(until.0 - 1) });
        assert_eq!(other, Answer::Refused(Refusal::NoSuchPhase));
        let open = Session { breaker: Some(TENTH), ..Session::plain(BTCUSDT) };
        assert_eq!(change(&mut venue, SessionChange::Pass { until }), Answer::SessionChanged(open));
        let again = change(&mut venue, SessionChange::Pass { until });
        assert_eq!(again, Answer::Refused(Refusal::NoSuchPhase));
        // The price of before does not count any more: the market may come to trade elsewhere.
        venue.rest(limit(maker, side.opposite(), outside, 2));
        let (_, events) = venue.place(limit(taker, side, outside, 1));
        assert_eq!(trades(&events), [(outside, 1)]);
    }
}

#[test]
fn an_order_that_comes_after_the_pause_finds_the_market_open() {
    let mut venue = venue(TENTH);
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 1_200, 1));
    let (_, events) = venue.place(buy(taker, 1_200, 1));
    assert!(trades(&events).is_empty() && sessions(&events).len() == 1);
    venue.start += 5 * SECOND - 10;
    assert_eq!(venue.refused(buy(taker, 1_000, 1)), Refusal::MarketClosed(MarketStatus::CancelOnly));
    venue.start += 10;
    let (_, events) = venue.place(buy(taker, 1_200, 1));
    assert_eq!((sessions(&events), trades(&events)), (vec![(Phase::Open, None)], vec![(1_200, 1)]));
}

#[test]
fn while_the_operator_keeps_a_market_from_trading_its_pause_does_not_end() {
    let mut venue = venue(TENTH);
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 1_200, 1));
    let (_, events) = venue.place(buy(taker, 1_200, 1));
    let [(Phase::Paused, Some(until))] = sessions(&events)[..] else { panic!("{events:?}") };
    venue.start += 6 * SECOND;
    venue.change(None, None, Some(MarketStatus::Halt));
    assert_eq!(change(&mut venue, SessionChange::Pass { until }), Answer::Refused(Refusal::NoSuchPhase));
    assert_eq!(venue.refused(buy(taker, 1_000, 1)), Refusal::MarketClosed(MarketStatus::Halt));
    venue.change(None, None, Some(MarketStatus::Trading));
    let open = Session { breaker: Some(TENTH), ..Session::plain(BTCUSDT) };
    assert_eq!(change(&mut venue, SessionChange::Pass { until }), Answer::SessionChanged(open));
}

#[test]
fn the_operator_ends_a_pause_and_takes_a_breaker_away() {
    let mut venue = venue(TENTH);
    let (maker, taker) = (venue.rich(), venue.rich());
    assert_eq!(change(&mut venue, SessionChange::End), Answer::Refused(Refusal::NoSuchPhase));
    venue.rest(sell(maker, 1_200, 1));
    venue.place(buy(taker, 1_200, 1));
    let open = |breaker| Session { breaker, ..Session::plain(BTCUSDT) };
    assert_eq!(change(&mut venue, SessionChange::End), Answer::SessionChanged(open(Some(TENTH))));
    assert_eq!(change(&mut venue, SessionChange::SetBreaker(None)), Answer::SessionChanged(open(None)));
    venue.place(buy(taker, 1_200, 1));
    venue.rest(sell(maker, 5_000, 1));
    assert_eq!(trades(&venue.place(buy(taker, 5_000, 1)).1), [(5_000, 1)], "without a breaker any price will do");
    for breaker in [Breaker { move_bp: 0, ..TENTH }, Breaker { window_seconds: 86_401, ..TENTH }] {
        let answer = change(&mut venue, SessionChange::SetBreaker(Some(breaker)));
        assert_eq!(answer, Answer::Refused(Refusal::BreakerRange));
    }
}

#[test]
fn a_price_counts_until_the_window_has_passed() {
    let mut venue = venue(TENTH);
    let trader = venue.rich();
    let trade_at = |venue: &mut Venue, price| {
        let maker = venue.rest(sell(trader, price, 1));
        let (_, events) = venue.place(buy(trader, price, 1).within(TimeInForce::Ioc));
        let has_traded = trades(&events) == [(price, 1)];
        if !has_traded {
            venue.cancel(trader, Target::Order(maker)).unwrap();
        }
        has_traded
    };
    assert!(trade_at(&mut venue, 1_090));
    // Since 1,000 was in force at the beginning of the window, it counts for so long.
    venue.start += 9 * SECOND;
    assert!(trade_at(&mut venue, 1_100) && !trade_at(&mut venue, 1_101));
    change(&mut venue, SessionChange::End);
    assert!(trade_at(&mut venue, 1_101));
    // Later than the window and a tenth of it, its last price is all that is left.
    venue.start += 12 * SECOND;
    assert!(trade_at(&mut venue, 1_211));
    venue.start += 5 * SECOND;
    assert!(!trade_at(&mut venue, 1_212), "1,101 was in force when the window began");
}

#[test]
fn a_fill_or_kill_order_counts_only_what_is_within_the_band() {
    let mut venue = venue(TENTH);
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 1_100, 2));
    venue.rest(sell(maker, 1_101, 2));
    let (order, events) = venue.place(buy(taker, 1_200, 3).within(TimeInForce::Fok));
    assert_eq!((closed(&events), sessions(&events)), (vec![(order, CloseReason::Expired)], vec![]));
    let (_, events) = venue.place(buy(taker, 1_200, 2).within(TimeInForce::Fok));
    assert_eq!((trades(&events), sessions(&events)), (vec![(1_100, 2)], vec![]));
    // What is too cheap is out of the band, too.
    venue.cancel_all(maker).unwrap();
    venue.rest(sell(maker, 800, 2));
    let (order, events) = venue.place(buy(taker, 1_000, 1).within(TimeInForce::Fok));
    assert_eq!((closed(&events), sessions(&events)), (vec![(order, CloseReason::Expired)], vec![]));
    let (order, events) = venue.place(buy(taker, 1_000, 1));
    assert_eq!((closed(&events), sessions(&events).len()), (vec![(order, CloseReason::ByVenue)], 1));
}

#[test]
fn a_market_order_that_wants_no_more_trips_nothing() {
    let mut venue = venue(TENTH);
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 1_100, 2));
    venue.rest(sell(maker, 1_101, 2));
    // The rest of the amount buys no lot at the next price.
    let (order, events) = venue.place(market(taker, Side::Buy, worth(2 * 1_100 + 1_000)));
    assert_eq!((trades(&events), sessions(&events)), (vec![(1_100, 2)], vec![]));
    assert_eq!(closed(&events).last(), Some(&(order, CloseReason::Filled)));
    let (order, events) = venue.place(market(taker, Side::Buy, lots(1)));
    assert_eq!(closed(&events), [(order, CloseReason::ByVenue)]);
    assert_eq!(sessions(&events).len(), 1);
}

#[test]
fn what_is_triggered_stops_with_the_market_and_goes_on_with_it() {
    let mut venue = venue(TENTH);
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 1_050, 1));
    venue.rest(sell(maker, 1_120, 9));
    let first = venue.rest(stop(taker, Side::Buy, OrderType::StopLoss, 1_040, 1));
    let second = venue.rest(stop(taker, Side::Buy, OrderType::StopLoss, 1_041, 1));
    let (_, events) = venue.place(buy(taker, 1_050, 1));
    assert_eq!(triggered(&events), [first], "the first one trips the breaker");
    assert_eq!(closed(&events).last(), Some(&(first, CloseReason::ByVenue)));
    assert!(venue.go_on().is_none(), "what was reached waits with the market");
    change(&mut venue, SessionChange::End);
    let events = venue.go_on().expect("it goes on");
    assert_eq!((triggered(&events), trades(&events)), (vec![second], vec![(1_120, 1)]));
}

#[test]
fn a_breaker_needs_the_rules_that_know_it_and_a_market() {
    let mut venue = Venue::new();
    let set = SessionChange::SetBreaker(Some(TENTH));
    assert_eq!(change(&mut venue, set), Answer::Refused(Refusal::RulesTooOld));
    venue.apply(Body::ActivateRules(Rules::V4));
    let symbol = crossbook_types::SymbolId(9);
    let events = venue.apply(Body::Session(SessionRequest { symbol, change: set }));
    assert_eq!(*answer(&events), Answer::Refused(Refusal::UnknownSymbol));
    // A market whose first trade is still to come has no price to move from.
    let trader = venue.rich();
    change(&mut venue, set);
    venue.rest(sell(trader, 7, 1).preventing(SelfTradePrevention::None));
    assert_eq!(trades(&venue.place(buy(trader, 9, 1)).1), [(7, 1)]);
}

#[test]
fn a_session_moves_with_the_venue() {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::V4));
    change(&mut venue, SessionChange::SetBreaker(Some(TENTH)));
    let inventory = import::gather(&[(&venue.partition, &Nothing as &dyn Past)]).unwrap();
    let session = Session { breaker: Some(TENTH), ..Session::plain(BTCUSDT) };
    let moved = MovedSession { session, before: None, parts: Vec::new(), buckets: Vec::new() };
    assert_eq!(inventory.books.iter().map(|book| book.session.clone()).collect::<Vec<_>>(), [Some(moved), None]);
    let mut imported = Partition::new(PartitionId(0), Routing::single(), 8);
    let mut told = Vec::new();
    for (number, piece) in (1..).zip(import::pieces(&inventory, &Routing::single(), [1; 32]).swap_remove(0)) {
        let (sequence, source, mut events) = (imported.sequence().next(), piece.source(), Events::new());
        let body = Body::Import(Box::new(piece));
        imported.apply(&Command::new(sequence, Timestamp(9), source, RequestNumber(number), body), &mut events);
        assert_eq!(answer(events.all()), &Answer::Imported);
        told.extend(sessions(events.all()));
    }
    assert_eq!(told, [(Phase::Open, None)]);
    assert_eq!(import::gather(&[(&imported, &Nothing as &dyn Past)]).unwrap().books, inventory.books);
}
