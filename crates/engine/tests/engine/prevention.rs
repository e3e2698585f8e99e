//! Self-trade prevention that decrements: what both orders lose, how they stand then, and what is held for them.

use crate::kit::*;
use crossbook_protocol::command::Body;
use crossbook_protocol::event::CloseReason::{Expired, Filled, SelfTradePrevented};
use crossbook_protocol::event::PreventedMatch;
use crossbook_protocol::order::{AmendOrder, Instructions, NewOrder, Target};
use crossbook_protocol::{Answer, Event, Refusal, Rules};
use crossbook_types::SelfTradePrevention::{Decrement, ExpireMaker};
use crossbook_types::{
    AccountId, CancelRestriction, OrderId, OrderType, Quantity, SelfTradePrevention, Side, TimeInForce,
};

fn venue() -> Venue {
    let mut venue = Venue::with(open_filters(), fees("0.001", "0.002"));
    venue.apply(Body::ActivateRules(Rules::V4));
    venue
}

fn decrementing(order: NewOrder) -> NewOrder {
    order.preventing(Decrement)
}

/// The orders of each prevented match, the taker first, and what each lost.
fn prevented(events: &[Event]) -> Vec<(OrderId, u64, OrderId, u64)> {
    let prevented = |event: &Event| match event {
        Event::MatchPrevented(PreventedMatch { taker, maker, taker_prevented, maker_prevented, .. }) => {
            Some((*taker, taker_prevented.0, *maker, maker_prevented.0))
        }
        _ => None,
    };
    events.iter().filter_map(prevented).collect()
}

fn left(venue: &Venue, order: OrderId) -> u64 {
    venue.mirror.order(BTCUSDT, order).unwrap().left.unwrap().0
}

#[test]
fn both_orders_lose_the_smaller_quantity() {
    // What the taker is for, how many lots of the taker and of the maker, which is for 6, are left.
    for (lots, of_taker, of_maker) in [(2, 0, 4), (6, 0, 0), (9, 3, 0)] {
        let mut venue = venue();
        let own = venue.trader(100, 10_000);
        // The maker's mode does not matter.
        let maker = venue.rest(buy(own, 200, 6));
        let (taker, events) = venue.place(decrementing(sell(own, 200, lots)));
        let lost = lots.min(6);
        assert_eq!(prevented(&events), [(taker, lost, maker, lost)]);
        assert!(trades(&events).is_empty());
        let due = [(maker, of_maker), (taker, of_taker)].into_iter().filter(|&(_, left)| left == 0);
        assert_eq!(closed(&events), due.map(|(order, _)| (order, SelfTradePrevented)).collect::<Vec<_>>());
        // What is held is what is left.
        assert_eq!(venue.held(own, USDT), i128::from(of_maker) * 200 * TICK_LOT);
        assert_eq!(venue.held(own, BTC), i128::from(of_taker) * LOT);
        assert_eq!(venue.depth(Side::Buy), if of_maker > 0 { vec![(200, of_maker)] } else { vec![] });
        assert_eq!(venue.depth(Side::Sell), if of_taker > 0 { vec![(200, of_taker)] } else { vec![] });
        venue.restart();
        venue.cancel_all(own).ok();
        assert_eq!((venue.free(own, USDT), venue.free(own, BTC)), (10_000 * TICK_LOT, 100 * LOT), "nothing is paid");
        assert_eq!((venue.fees_of(USDT), venue.fees_of(BTC)), (0, 0));
    }
}

/// Own orders and those of others are met in the order in which they would trade.
#[test]
fn the_taker_goes_on_with_what_is_left() {
    let mut venue = venue();
    let (own, other) = (venue.rich(), venue.rich());
    let mine = venue.rest(sell(own, 100, 3));
    let theirs = venue.rest(sell(other, 100, 5));
    let (taker, events) = venue.place(decrementing(buy(own, 101, 6)));
    assert_eq!(prevented(&events), [(taker, 3, mine, 3)]);
    assert_eq!(trades(&events), [(100, 3)]);
    // Its last part has traded, so it is filled, with less than it was for.
    assert_eq!(closed(&events), [(mine, SelfTradePrevented), (taker, Filled)]);
    assert_eq!(left(&venue, theirs), 2);
    assert_eq!(venue.held(own, USDT), 0);
    // The other way round its last part was prevented.
    let mine = venue.rest(sell(own, 100, 3));
    let (taker, events) = venue.place(decrementing(buy(own, 100, 4)));
    assert_eq!((trades(&events), prevented(&events)), (vec![(100, 2)], vec![(taker, 2, mine, 2)]));
    assert_eq!(closed(&events)[1..], [(taker, SelfTradePrevented)]);
    assert_eq!(left(&venue, mine), 1);
}

/// The taker's limit is better than the price, so more was held for it than it would have paid.
#[test]
fn a_taker_that_rests_holds_what_its_rest_needs() {
    let mut venue = venue();
    let own = venue.trader(10, 10_000);
    venue.rest(sell(own, 100, 4));
    let taker = venue.rest(decrementing(buy(own, 120, 10)));
    assert_eq!(venue.held(own, USDT), 6 * 120 * TICK_LOT);
    assert_eq!((left(&venue, taker), venue.depth(Side::Buy)), (6, vec![(120, 6)]));
    let seller = venue.rich();
    let (_, events) = venue.place(sell(seller, 120, 6));
    assert_eq!(closed(&events)[0], (taker, Filled));
    assert_eq!((venue.held(own, USDT), venue.free(own, USDT)), (0, (10_000 - 720) * TICK_LOT));
}

#[test]
fn a_decremented_order_has_not_traded_and_keeps_its_place() {
    let mut venue = venue();
    let (own, other, taker) = (venue.rich(), venue.rich(), venue.rich());
    let first = venue.rest(sell(own, 100, 5));
    let second = venue.rest(sell(other, 100, 5));
    venue.place(decrementing(buy(own, 100, 2)));
    let only = |restriction| Some(restriction);
    let refused = venue.cancel_only(own, Target::Order(first), only(CancelRestriction::OnlyPartiallyFilled));
    assert_eq!(refused.unwrap_err(), Refusal::CancelRestricted);
    venue.restart();
    let (_, events) = venue.place(buy(taker, 100, 4));
    assert_eq!(closed(&events)[0], (first, Filled));
    assert_eq!(left(&venue, second), 4);
}

#[test]
fn an_iceberg_order_loses_what_shows_and_goes_behind_the_others() {
    let mut venue = venue();
    let (own, other) = (venue.rich(), venue.rich());
    let instructions = Instructions { iceberg: Some(Quantity(3)), ..Instructions::default() };
    let iceberg = venue.rest(sell(own, 100, 8).with(|terms| terms.instructions = instructions.boxed()));
    let plain = venue.rest(sell(other, 100, 2));
    let (taker, events) = venue.place(decrementing(buy(own, 100, 6)));
    assert_eq!(prevented(&events), [(taker, 3, iceberg, 3), (taker, 1, iceberg, 1)]);
    assert_eq!(trades(&events), [(100, 2)]);
    assert_eq!(closed(&events), [(plain, Filled), (taker, SelfTradePrevented)]);
    assert_eq!((left(&venue, iceberg), venue.depth(Side::Sell)), (4, vec![(100, 2)]));
    assert_eq!(venue.held(own, BTC), 4 * LOT);
    venue.restart();
    // All that is left of it, in two parts.
    let (_, events) = venue.place(decrementing(buy(own, 100, 4)));
    assert_eq!(prevented(&events).iter().map(|&(_, lots, ..)| lots).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(closed(&events)[0], (iceberg, SelfTradePrevented));
    assert_eq!(venue.held(own, BTC), 0);
}

#[test]
fn an_order_without_a_limit_is_decremented_too() {
    let mut venue = venue();
    let (own, other) = (venue.trader(20, 2_000), venue.rich());
    venue.trade_at(100);
    let mine = venue.rest(sell(own, 100, 4));
    let theirs = venue.rest(sell(other, 101, 10));
    let (taker, events) = venue.place(decrementing(market(own, Side::Buy, lots(6))));
    assert_eq!((prevented(&events), trades(&events)), (vec![(taker, 4, mine, 4)], vec![(101, 2)]));
    assert_eq!(closed(&events)[1], (taker, Filled));
    // By worth: of 1,000 the first 400 are prevented, and 5 lots at 101 are bought for the rest.
    let mine = venue.rest(sell(own, 100, 4));
    let (taker, events) = venue.place(decrementing(market(own, Side::Buy, worth(1_000))));
    assert_eq!((prevented(&events), trades(&events)), (vec![(taker, 4, mine, 4)], vec![(101, 5)]));
    assert_eq!((left(&venue, theirs), venue.held(own, USDT)), (3, 0));
    // One that is worth no more than what it meets of its own ends by that.
    let mine = venue.rest(sell(own, 100, 4));
    let (taker, events) = venue.place(decrementing(market(own, Side::Buy, worth(250))));
    assert_eq!((prevented(&events), closed(&events)), (vec![(taker, 2, mine, 2)], vec![(taker, SelfTradePrevented)]));
    // And one that finds nothing else than its own expires.
    venue.cancel_all(other).unwrap();
    let (taker, events) = venue.place(decrementing(market(own, Side::Buy, lots(9))));
    assert_eq!(closed(&events), [(mine, SelfTradePrevented), (taker, Expired)]);
    assert_eq!((venue.held(own, USDT), venue.held(own, BTC)), (0, 0));
}

/// A stop order that is triggered holds a margin, which is free when it has ended.
#[test]
fn a_triggered_order_is_decremented() {
    let mut venue = venue();
    let own = venue.trader(20, 2_000);
    let waiting = venue.rest(decrementing(stop(own, Side::Buy, OrderType::StopLoss, 100, 3)));
    let mine = venue.rest(sell(own, 102, 2));
    let seller = venue.rich();
    venue.rest(sell(seller, 102, 5));
    // The trade that triggers it is at 100.
    venue.rest(sell(seller, 100, 1));
    let buyer = venue.rich();
    let (_, events) = venue.place(buy(buyer, 100, 1));
    assert_eq!(triggered(&events), [waiting]);
    assert_eq!((prevented(&events), trades(&events)), (vec![(waiting, 2, mine, 2)], vec![(100, 1), (102, 1)]));
    assert_eq!((venue.held(own, USDT), venue.held(own, BTC)), (0, 0));
}

#[test]
fn fill_or_kill_counts_no_order_of_its_own() {
    let mut venue = venue();
    let (own, other) = (venue.rich(), venue.rich());
    venue.rest(sell(other, 100, 5));
    let mine = venue.rest(sell(own, 100, 5));
    venue.rest(sell(other, 101, 5));
    let kill = |lots| decrementing(buy(own, 101, lots)).within(TimeInForce::Fok);
    let (killed, events) = venue.place(kill(6));
    assert_eq!((closed(&events), prevented(&events)), (vec![(killed, Expired)], vec![]));
    let (filled, events) = venue.place(kill(5));
    assert_eq!(closed(&events)[1], (filled, Filled));
    assert_eq!(left(&venue, mine), 5);
}

/// What was prevented is part of an order's quantity, as what has traded is.
#[test]
fn an_amendment_counts_what_was_prevented() {
    let mut venue = venue();
    let own = venue.rich();
    let maker = venue.rest(sell(own, 100, 10));
    venue.place(decrementing(buy(own, 100, 4)));
    let amend = |venue: &mut Venue, account: AccountId, lots| {
        let request = AmendOrder {
            account,
            symbol: BTCUSDT,
            target: Target::Order(maker),
            quantity: Quantity(lots),
            placed: Quantity(10),
            client_order_id: name("amended"),
        };
        let events = venue.apply(Body::Amend(request));
        assert!(matches!(answer(&events), Answer::Amended { .. }), "{events:?}");
        events
    };
    amend(&mut venue, own, 7);
    assert_eq!((left(&venue, maker), venue.held(own, BTC)), (3, 3 * LOT));
    let events = amend(&mut venue, own, 4);
    assert_eq!(closed(&events)[0].0, maker, "nothing is left");
}

#[test]
fn older_rules_know_no_decrement() {
    let mut venue = Venue::new();
    let own = venue.rich();
    for rules in [None, Some(Rules::V1), Some(Rules::V3)] {
        venue.rules = rules;
        assert_eq!(venue.refused(decrementing(sell(own, 1_000, 1))), Refusal::RulesTooOld);
    }
    // The others are what they were.
    venue.rest(sell(own, 1_000, 1).preventing(ExpireMaker));
    assert_eq!(SelfTradePrevention::ALL[..4].iter().filter(|mode| mode.decrements()).count(), 0);
}
