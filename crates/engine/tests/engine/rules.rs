//! The rules around orders: self-trade prevention, filters, market status, client order ids, cancelling, and repeated
//! commands.

mod activation;
mod countdowns;
mod deadlines;
mod deferred;
mod limits;
mod market_orders;

use crate::kit::*;
use crossbook_protocol::command::{Body, ChangeMarket};
use crossbook_protocol::event::CloseReason::{Canceled, Expired, Filled, SelfTradePrevented};
use crossbook_protocol::order::{CancelAll, CancelOrder, Target};
use crossbook_protocol::peer::{Admitted, Origin, PeerMessage};
use crossbook_protocol::{Answer, Command, Event, Events, Refusal};
use crossbook_types::{
    AccountId, Amount, CancelRestriction, Filter, Filters, HoldId, MarketStatus, OrderId, OrderType, Price, Quantity,
    RequestNumber, SelfTradePrevention, Side, SourceId, SpecialFilters, SymbolId, TimeInForce, Timestamp,
};

use SelfTradePrevention::{ExpireBoth, ExpireMaker, ExpireTaker};

#[test]
fn what_comes_into_the_log_after_its_deadline_is_refused() {
    let mut venue = Venue::new();
    let trader = venue.rich();
    let mut place = |name: &str, late: u64| {
        let (sequence, time) = (venue.partition.sequence().next(), Timestamp(venue.partition.time().0 + 10));
        let body = Body::Place(buy(trader, 100, 1).named(name));
        let command = Command::new(sequence, time, SourceId(GATEWAY.0 + 1), RequestNumber(sequence.0), body);
        let mut events = Events::new();
        venue.partition.apply(&command.until(Some(Timestamp(time.0 - late).into())), &mut events);
        answer(events.all()).clone()
    };
    assert!(matches!(place("in-time", 0), Answer::Placed { .. }), "its last microsecond");
    assert_eq!(place("late", 1), Answer::Refused(Refusal::Late));
    assert_eq!(venue.partition.ledger().holds(), 1, "nothing is held for what is refused");
}

/// A command that the operator has passed over has no effect but an answer, be it of a client or one that another
/// partition sent on.
#[test]
fn what_is_passed_over_is_answered_and_changes_nothing() {
    let mut venue = Venue::new();
    let trader = venue.rich();
    let order = buy(trader, 100, 1).named("o");
    let mut apply = |source, number, body, skipped| {
        let (sequence, time) = (venue.partition.sequence().next(), venue.partition.time());
        let number = RequestNumber(number);
        let command = Command { skipped, ..Command::new(sequence, time, source, number, body) };
        let mut events = Events::new();
        venue.partition.apply(&command, &mut events);
        (events.all().to_vec(), venue.partition.ledger().holds())
    };
    let gateway = SourceId(GATEWAY.0 + 1);
    let refused = |number| {
        let number = RequestNumber(number);
        vec![Event::Answered { source: gateway, number, answer: Answer::Refused(Refusal::Skipped) }]
    };
    assert_eq!(apply(gateway, 1, Body::Place(order.clone()), true), (refused(1), 0));
    assert_eq!(apply(gateway, 1, Body::Place(order.clone()), false), (vec![], 0), "its number was used");
    let origin = Origin { source: gateway, number: RequestNumber(2) };
    let request = CancelAll { account: trader, symbol: BTCUSDT, cancel_id: name("all") };
    assert_eq!(apply(SourceId(1), 1, Body::Peer(PeerMessage::CancelAll { request, origin }), true), (refused(2), 0));
    let settled = Body::Peer(PeerMessage::Release { account: trader, hold: HoldId(77) });
    assert_eq!(apply(SourceId(1), 2, settled, true), (vec![], 0));
    // The funds of an order that another partition has admitted are free again, if they are held here.
    let (events, holds) = apply(gateway, 3, Body::Place(order.clone()), false);
    assert_eq!((events.len(), holds), (4, 1), "{events:?}");
    let hold = crossbook_ledger::hold_of_empty(0);
    let admitted = Admitted { order, hold, budget: Amount(0), fees: fees("0", "0"), origin };
    let (events, holds) = apply(SourceId(1), 3, Body::Peer(PeerMessage::Admit(admitted)), true);
    assert_eq!((&events[..1], holds), (&refused(2)[..], 0), "{events:?}");
}

#[test]
fn without_prevention_an_account_trades_with_itself() {
    let mut venue = Venue::with(open_filters(), fees("0", "0"));
    let trader = venue.rich();
    let before = (venue.free(trader, BTC), venue.free(trader, USDT));
    venue.rest(sell(trader, 100, 3));
    let (_, events) = venue.place(buy(trader, 100, 3));
    assert_eq!(trades(&events), [(100, 3)]);
    assert_eq!((venue.free(trader, BTC), venue.free(trader, USDT)), before);
}

#[test]
fn self_trade_prevention_at_the_top_of_the_book() {
    for (mode, own_ends, taker_trades) in [(ExpireTaker, false, 0), (ExpireMaker, true, 2), (ExpireBoth, true, 0)] {
        let mut venue = Venue::new();
        let (own, other) = (venue.rich(), venue.rich());
        let resting = venue.rest(sell(own, 100, 3));
        venue.rest(sell(other, 101, 2));
        let (id, events) = venue.place(buy(own, 101, 2).preventing(mode));
        assert_eq!(trades(&events).len(), usize::from(taker_trades > 0), "{mode:?}");
        let ended = closed(&events);
        assert_eq!(ended.contains(&(resting, SelfTradePrevented)), own_ends, "{mode:?}");
        let reason = if mode == ExpireMaker { Filled } else { SelfTradePrevented };
        assert_eq!(*ended.last().unwrap(), (id, reason), "{mode:?}");
        let left = if own_ends { vec![] } else { vec![(100, 3)] };
        let rest = if taker_trades > 0 { vec![] } else { vec![(101, 2)] };
        assert_eq!(venue.depth(Side::Sell), [left, rest].concat(), "{mode:?}");
        assert_eq!(venue.held(own, USDT), 0);
    }
}

#[test]
fn self_trade_prevention_in_the_middle_of_a_level() {
    for (mode, expected) in
        [(ExpireTaker, vec![(100, 2)]), (ExpireMaker, vec![(100, 2), (100, 4)]), (ExpireBoth, vec![(100, 2)])]
    {
        let mut venue = Venue::new();
        let (own, other) = (venue.rich(), venue.rich());
        venue.rest(buy(other, 100, 2));
        let resting = venue.rest(buy(own, 100, 3));
        venue.rest(buy(other, 100, 5));
        let (id, events) = venue.place(sell(own, 100, 6).preventing(mode));
        assert_eq!(trades(&events), expected, "{mode:?}");
        let ended = closed(&events);
        assert_eq!(ended.iter().any(|&(order, _)| order == resting), mode != ExpireTaker);
        assert_eq!(ended.last().unwrap().0, id);
        let left = match mode {
            ExpireTaker => 8,
            ExpireMaker => 1,
            _ => 5,
        };
        assert_eq!(venue.depth(Side::Buy), [(100, left)], "{mode:?}");
        assert!(venue.depth(Side::Sell).is_empty());
    }
}

#[test]
fn the_resting_order_s_mode_does_not_matter() {
    let mut venue = Venue::new();
    let own = venue.rich();
    venue.rest(sell(own, 100, 1).preventing(ExpireBoth));
    let (_, events) = venue.place(buy(own, 100, 1));
    assert_eq!(trades(&events), [(100, 1)]);
}

#[test]
fn fill_or_kill_does_not_count_own_orders() {
    for (mode, lots, fills) in [
        (SelfTradePrevention::None, 9, true),
        (ExpireMaker, 6, true),
        (ExpireMaker, 7, false),
        (ExpireTaker, 2, true),
        (ExpireTaker, 3, false),
        (ExpireBoth, 2, true),
        (ExpireBoth, 3, false),
    ] {
        let mut venue = Venue::new();
        let (own, other) = (venue.rich(), venue.rich());
        venue.rest(sell(other, 100, 2));
        let resting = venue.rest(sell(own, 101, 3));
        venue.rest(sell(other, 102, 4));
        let (id, events) = venue.place(buy(own, 102, lots).within(TimeInForce::Fok).preventing(mode));
        let traded: u64 = trades(&events).iter().map(|&(_, quantity)| quantity).sum();
        assert_eq!(traded, if fills { lots } else { 0 }, "{mode:?} {lots}");
        assert_eq!(*closed(&events).last().unwrap(), (id, if fills { Filled } else { Expired }));
        let touched = fills && matches!(mode, ExpireMaker | SelfTradePrevention::None);
        assert_eq!(venue.mirror.order(BTCUSDT, resting).is_none(), touched, "what is killed touches nothing");
    }
}

fn strict() -> Filters {
    Filters {
        price_min: Price(50),
        price_max: Price(1_000),
        quantity_min: Quantity(2),
        quantity_max: Quantity(100),
        market_quantity_max: Quantity(10),
        notional_min: Amount(500 * TICK_LOT),
        notional_max: Amount(20_000 * TICK_LOT),
        band_up_percent: 200,
        band_down_percent: 60,
        orders_max: 3,
        algo_orders_max: 1,
        amends_max: 10,
        special: SpecialFilters::USUAL,
        relative: crossbook_types::RelativeFilters::default(),
        order_lists_max: 10,
    }
}

#[test]
fn filters_hold_at_their_edges() {
    let mut venue = Venue::with(strict(), fees("0", "0"));
    let (a, b) = (venue.rich(), venue.rich());
    let refusal = |filter| Refusal::Filter(filter);
    assert_eq!(venue.refused(buy(a, 49, 50)), refusal(Filter::Price));
    assert_eq!(venue.refused(buy(a, 1_001, 5)), refusal(Filter::Price));
    assert_eq!(venue.refused(stop(a, Side::Buy, OrderType::StopLoss, 49, 5)), refusal(Filter::Price));
    assert_eq!(venue.refused(buy(a, 500, 1)), refusal(Filter::LotSize));
    assert_eq!(venue.refused(buy(a, 60, 101)), refusal(Filter::LotSize));
    assert_eq!(venue.refused(market(a, Side::Buy, lots(11))), refusal(Filter::MarketLotSize));
    assert_eq!(venue.refused(stop(a, Side::Buy, OrderType::StopLoss, 100, 11)), refusal(Filter::MarketLotSize));
    assert_eq!(venue.refused(buy(a, 99, 5)), refusal(Filter::Notional));
    assert_eq!(venue.refused(buy(a, 201, 100)), refusal(Filter::Notional));
    assert_eq!(venue.refused(market(a, Side::Buy, worth(499))), refusal(Filter::Notional));
    // The edges themselves are allowed; the last price is then 100.
    venue.rest(sell(a, 100, 5));
    let (_, events) = venue.place(buy(b, 200, 100).within(TimeInForce::Ioc));
    assert_eq!(trades(&events), [(100, 5)]);
    assert_eq!(venue.refused(buy(a, 201, 5)), refusal(Filter::PercentPrice));
    assert_eq!(venue.refused(buy(a, 59, 10)), refusal(Filter::PercentPrice));
    assert_eq!(venue.refused(market(a, Side::Sell, lots(4))), refusal(Filter::Notional));
    venue.rest(buy(a, 60, 10));
    venue.rest(sell(a, 200, 5));
    venue.rest(stop(a, Side::Sell, OrderType::StopLoss, 90, 6));
    assert_eq!(venue.refused(buy(a, 60, 10)), refusal(Filter::MaxOrders));
    venue.rest(stop(b, Side::Sell, OrderType::StopLoss, 90, 6));
    assert_eq!(venue.refused(stop(b, Side::Sell, OrderType::StopLoss, 91, 6)), refusal(Filter::MaxAlgoOrders));
    venue.rest(buy(b, 60, 10));
}

#[test]
fn a_market_that_is_not_trading_takes_no_orders_and_lets_all_go() {
    for status in [MarketStatus::Halt, MarketStatus::Break, MarketStatus::CancelOnly] {
        let mut venue = Venue::new();
        let trader = venue.rich();
        let id = venue.rest(buy(trader, 100, 1));
        venue.rest(buy(trader, 101, 1));
        venue.rest(stop(trader, Side::Buy, OrderType::StopLoss, 200, 1));
        venue.change(None, None, Some(status));
        assert_eq!(venue.refused(sell(trader, 100, 1)), Refusal::MarketClosed(status));
        assert_eq!(venue.refused(stop(trader, Side::Buy, OrderType::StopLoss, 200, 1)), Refusal::MarketClosed(status));
        venue.cancel(trader, Target::Order(id)).unwrap();
        assert_eq!(venue.cancel_all(trader).unwrap().len(), 2);
        assert_eq!(venue.held(trader, USDT), 0);
        venue.change(None, None, Some(MarketStatus::Trading));
        venue.rest(sell(trader, 100, 1));
    }
}

#[test]
fn a_client_order_id_is_taken_while_its_order_is_open() {
    let mut venue = Venue::new();
    let (a, b) = (venue.rich(), venue.rich());
    let id = venue.rest(sell(a, 100, 2).named("mine"));
    assert_eq!(venue.refused(buy(a, 50, 1).named("mine")), Refusal::DuplicateClientOrderId);
    venue.rest(buy(b, 50, 1).named("mine"));
    venue.rest(limit(a, Side::Buy, 1, 1).named("mine").with(|terms| terms.symbol = ETHBTC));
    venue.place(buy(b, 100, 1));
    assert_eq!(venue.refused(buy(a, 50, 1).named("mine")), Refusal::DuplicateClientOrderId, "partly filled is open");
    venue.place(buy(b, 100, 1));
    assert!(venue.mirror.order(BTCUSDT, id).is_none());
    let id = venue.rest(stop(a, Side::Buy, OrderType::StopLoss, 500, 1).named("mine"));
    assert_eq!(venue.refused(buy(a, 50, 1).named("mine")), Refusal::DuplicateClientOrderId, "waiting is open");
    venue.cancel(a, Target::Order(id)).unwrap();
    venue.rest(buy(a, 50, 1).named("mine"));
}

#[test]
fn an_order_is_cancelled_by_either_name_or_both_and_only_by_its_owner() {
    let mut venue = Venue::new();
    let (a, b) = (venue.rich(), venue.rich());
    for waiting in [false, true] {
        let order = |text: &str| {
            if waiting { stop(a, Side::Sell, OrderType::StopLoss, 10, 4) } else { sell(a, 100, 4) }.named(text)
        };
        let (x, y, z) = (venue.rest(order("x")), venue.rest(order("y")), venue.rest(order("z")));
        for target in [Target::Both(x, name("y")), Target::Order(OrderId(99_999)), Target::Client(name("w"))] {
            assert_eq!(venue.cancel(a, target).unwrap_err(), Refusal::UnknownOrder);
        }
        for target in [Target::Order(x), Target::Client(name("x")), Target::Both(x, name("x"))] {
            assert_eq!(venue.cancel(b, target).unwrap_err(), Refusal::UnknownOrder, "another's order");
        }
        assert_eq!(venue.held(a, BTC), 12 * LOT);
        for (target, id) in [(Target::Order(x), x), (Target::Client(name("y")), y), (Target::Both(z, name("z")), z)] {
            let (order, events) = venue.cancel(a, target).unwrap();
            assert_eq!((order, closed(&events)), (id, vec![(id, Canceled { cancel_id: name("cancel") })]));
            assert_eq!(venue.cancel(a, target).unwrap_err(), Refusal::UnknownOrder, "twice");
        }
        assert_eq!(venue.held(a, BTC), 0);
    }
}

#[test]
fn a_restricted_cancel_looks_at_the_order_as_it_is_when_it_arrives() {
    use CancelRestriction::{OnlyNew, OnlyPartiallyFilled};
    for only in [OnlyNew, OnlyPartiallyFilled] {
        let mut venue = Venue::new();
        let (a, b) = (venue.rich(), venue.rich());
        // One order that traded while it rested, one that traded before it rested, one that waits, one that rests.
        let maker = venue.rest(sell(a, 100, 5));
        venue.place(buy(b, 100, 2));
        venue.rest(buy(a, 90, 5));
        let taker = venue.rest(sell(b, 90, 7));
        let waiting = venue.rest(stop(a, Side::Buy, OrderType::StopLoss, 150, 1));
        let new = venue.rest(buy(a, 79, 5));
        for (owner, order, traded) in [(a, maker, true), (b, taker, true), (a, waiting, false), (a, new, false)] {
            let before = venue.mirror.clone();
            let answer = venue.cancel_only(owner, Target::Order(order), Some(only));
            if traded == (only == OnlyPartiallyFilled) {
                let (id, events) = answer.unwrap();
                assert_eq!((id, closed(&events)), (order, vec![(order, Canceled { cancel_id: name("cancel") })]));
            } else {
                assert_eq!(answer.unwrap_err(), Refusal::CancelRestricted, "{only:?}");
                assert_eq!(venue.mirror, before, "a refusal changes nothing");
                venue.cancel(owner, Target::Order(order)).unwrap();
            }
            assert_eq!(
                venue.cancel_only(owner, Target::Order(order), Some(only)).unwrap_err(),
                Refusal::UnknownOrder,
                "what is not open is unknown, whatever the restriction"
            );
        }
    }
}

#[test]
fn cancel_all_takes_the_account_s_orders_of_that_market_oldest_first() {
    let mut venue = Venue::new();
    let (a, b) = (venue.rich(), venue.rich());
    assert_eq!(venue.cancel_all(a).unwrap_err(), Refusal::UnknownOrder);
    let first = venue.rest(sell(a, 105, 1));
    let others = venue.rest(sell(b, 104, 1));
    let second = venue.rest(stop(a, Side::Buy, OrderType::StopLoss, 500, 1));
    let third = venue.rest(buy(a, 90, 1));
    let elsewhere = limit(a, Side::Buy, 1, 1).with(|terms| terms.symbol = ETHBTC);
    venue.rest(elsewhere);
    assert_eq!(venue.cancel_all(a).unwrap(), [first, second, third]);
    assert!(venue.mirror.order(BTCUSDT, others).is_some());
    assert_eq!(venue.mirror.open_orders().len(), 2);
}

#[test]
fn what_does_not_exist_is_named() {
    let mut venue = Venue::new();
    let trader = venue.rich();
    let nobody = AccountId(9_999);
    assert_eq!(venue.refused(buy(nobody, 100, 1)), Refusal::UnknownAccount);
    assert_eq!(venue.refused(buy(AccountId::FEES, 100, 1)), Refusal::UnknownAccount);
    let nowhere = SymbolId(7);
    let order = buy(trader, 100, 1).with(|terms| terms.symbol = nowhere);
    assert_eq!(venue.refused(order), Refusal::UnknownSymbol);
    let (target, cancel_id) = (Target::Order(OrderId(1)), name("c"));
    for (account, symbol, refusal) in
        [(nobody, BTCUSDT, Refusal::UnknownAccount), (trader, nowhere, Refusal::UnknownSymbol)]
    {
        let one = Body::Cancel(CancelOrder { account, symbol, target, cancel_id, restriction: None });
        let all = Body::CancelAll(CancelAll { account, symbol, cancel_id });
        for body in [one, all] {
            assert_eq!(*answer(&venue.apply(body)), Answer::Refused(refusal));
        }
    }
    let change = ChangeMarket { symbol: nowhere, filters: None, fees: None, status: None, self_trade: None };
    let events = venue.apply(Body::ChangeMarket(Box::new(change)));
    assert_eq!(*answer(&events), Answer::Refused(Refusal::UnknownSymbol));
}

#[test]
fn a_repeated_command_has_no_effect_and_no_events() {
    let mut venue = Venue::new();
    let trader = venue.rich();
    let gateway = SourceId(GATEWAY.0 + 1);
    let order = |text: &str| Body::Place(buy(trader, 100, 1).named(text));
    let place = |venue: &mut Venue, number, text| venue.apply_as(gateway, RequestNumber(number), order(text)).len();
    assert!(place(&mut venue, 7, "a") > 0);
    let before = venue.mirror.clone();
    assert_eq!(place(&mut venue, 7, "a"), 0);
    assert_eq!(place(&mut venue, 7, "b"), 0, "the number counts, whatever it comes with");
    assert_eq!(venue.mirror, before);
    assert!(place(&mut venue, 5, "c") > 0, "late is not repeated");
    assert_eq!(place(&mut venue, 5, "c"), 0);
    // Another source counts for itself, and a refusal is an effect: asked again, it is not asked anew.
    let other = SourceId(GATEWAY.0 + 2);
    let events = venue.apply_as(other, RequestNumber(7), order("a"));
    assert_eq!(*answer(&events), Answer::Refused(Refusal::DuplicateClientOrderId));
    venue.cancel(trader, Target::Client(name("a"))).unwrap();
    assert!(venue.apply_as(other, RequestNumber(7), order("a")).is_empty());
}
