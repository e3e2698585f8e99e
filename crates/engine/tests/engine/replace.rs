//! Orders that replace others: whose funds they use, and what becomes of each half.

use crossbook_protocol::command::Body;
use crossbook_protocol::event::Half;
use crossbook_protocol::order::{NewOrder, ReplaceOrder, Target};
use crossbook_protocol::{Answer, Event, Refusal, Rules};
use crossbook_types::{AccountId, CancelRestriction, Filter, Filters, OrderId, RejectReason, Side};

use crate::kit::*;

fn venue_with(filters: Filters) -> Venue {
    let mut venue = Venue::with(filters, fees("0", "0"));
    venue.apply(Body::ActivateRules(Rules::V4));
    venue
}

fn venue() -> Venue {
    venue_with(open_filters())
}

/// Replaces an order by another; if the first cannot be cancelled, only with `allow_failure`.
fn replace(venue: &mut Venue, old: OrderId, order: NewOrder, allow_failure: bool) -> (Half, Half, Vec<Event>) {
    replace_if(venue, old, order, allow_failure, None)
}

fn replace_if(
    venue: &mut Venue,
    old: OrderId,
    order: NewOrder,
    allow_failure: bool,
    restriction: Option<CancelRestriction>,
) -> (Half, Half, Vec<Event>) {
    let (target, cancel_id) = (Target::Order(old), name("gone"));
    let request = ReplaceOrder { order, target, cancel_id, restriction, allow_failure };
    let events = venue.apply(Body::Replace(Box::new(request)));
    match *answer(&events) {
        Answer::Replaced { canceled, placed, .. } => (canceled, placed, events),
        ref other => panic!("{other:?}"),
    }
}

fn held(venue: &Venue, account: AccountId) -> (i128, i128) {
    (venue.free(account, USDT) / TICK_LOT, venue.held(account, USDT) / TICK_LOT)
}

#[test]
fn a_new_order_may_use_the_funds_of_the_one_that_it_replaces() {
    let mut venue = venue();
    let trader = venue.trader(0, 1_000);
    let old = venue.rest(buy(trader, 100, 10).named("first"));
    // As much as before, under the same name: nothing is free in between, and no balance changes.
    let (canceled, placed, events) = replace(&mut venue, old, buy(trader, 200, 5).named("first"), false);
    assert_eq!(canceled, Half::Done(old));
    let Half::Done(new) = placed else { panic!("{placed:?}") };
    assert_eq!(held(&venue, trader), (0, 1_000));
    assert!(!events.iter().any(|event| matches!(event, Event::BalanceChanged { .. })), "{events:?}");
    // Less, and then more than what it has together with what is free.
    let (_, placed, _) = replace(&mut venue, new, buy(trader, 50, 10).named("second"), false);
    let Half::Done(new) = placed else { panic!("{placed:?}") };
    assert_eq!(held(&venue, trader), (500, 500));
    let (_, placed, _) = replace(&mut venue, new, buy(trader, 75, 10).named("third"), false);
    let Half::Done(new) = placed else { panic!("{placed:?}") };
    assert_eq!(held(&venue, trader), (250, 750));
    let (canceled, placed, events) = replace(&mut venue, new, buy(trader, 101, 10).named("fourth"), false);
    assert_eq!((canceled, placed), (Half::Done(new), Half::Refused(Refusal::InsufficientBalance)));
    let told = events.iter().find_map(|event| match event {
        Event::OrderRefused { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(told, Some(RejectReason::InsufficientBalances));
    assert_eq!(held(&venue, trader), (1_000, 0));
}

#[test]
fn a_partly_filled_order_and_one_that_waits_give_what_they_still_hold() {
    let mut venue = venue();
    let (trader, other) = (venue.trader(0, 1_100), venue.rich());
    let old = venue.rest(buy(trader, 100, 10));
    venue.place(sell(other, 100, 4));
    let (_, placed, _) = replace(&mut venue, old, buy(trader, 70, 10).named("new"), false);
    let Half::Done(resting) = placed else { panic!("{placed:?}") };
    assert_eq!(held(&venue, trader), (0, 700));
    venue.restart();
    // A buy that waits to run at market holds a tenth more.
    venue.cancel(trader, Target::Order(resting)).unwrap();
    let waiting = venue.rest(stop(trader, Side::Buy, crossbook_types::OrderType::StopLoss, 120, 5));
    assert_eq!(held(&venue, trader), (40, 660));
    let (_, placed, events) = replace(&mut venue, waiting, market(trader, Side::Buy, worth(700)).named("all"), false);
    assert_eq!(placed, Half::Refused(Refusal::EmptyBook), "{events:?}");
    assert_eq!(held(&venue, trader), (700, 0));
}

#[test]
fn funds_of_the_other_side_do_not_pay() {
    let mut venue = venue();
    let trader = venue.trader(10, 0);
    let old = venue.rest(sell(trader, 100, 10));
    let (canceled, placed, _) = replace(&mut venue, old, buy(trader, 1, 1).named("new"), true);
    assert_eq!((canceled, placed), (Half::Done(old), Half::Refused(Refusal::InsufficientBalance)));
    assert_eq!(venue.held(trader, BTC), 0);
}

#[test]
fn each_half_is_told() {
    let mut venue = venue();
    let (trader, maker) = (venue.rich(), venue.rich());
    let unknown = OrderId(99);
    let order = |name: &str| buy(trader, 100, 1).named(name);
    let (canceled, placed, _) = replace(&mut venue, unknown, order("a"), false);
    assert_eq!((canceled, placed), (Half::Refused(Refusal::UnknownOrder), Half::NotTried));
    assert_eq!(venue.held(trader, USDT), 0);
    let (canceled, placed, _) = replace(&mut venue, unknown, order("a"), true);
    assert_eq!(canceled, Half::Refused(Refusal::UnknownOrder));
    let Half::Done(resting) = placed else { panic!("{placed:?}") };
    let (canceled, placed, _) = replace(&mut venue, unknown, order("a"), true);
    assert_eq!(
        (canceled, placed),
        (Half::Refused(Refusal::UnknownOrder), Half::Refused(Refusal::DuplicateClientOrderId))
    );
    let partly = Some(CancelRestriction::OnlyPartiallyFilled);
    let (canceled, placed, _) = replace_if(&mut venue, resting, order("b"), false, partly);
    assert_eq!((canceled, placed), (Half::Refused(Refusal::CancelRestricted), Half::NotTried));
    // The cancel is done before the new order is looked at.
    venue.rest(sell(maker, 110, 1));
    let (canceled, placed, events) = replace(&mut venue, resting, buy(trader, 110, 1).named("c").maker_only(), false);
    assert_eq!((canceled, placed), (Half::Done(resting), Half::Refused(Refusal::WouldTake)));
    assert!(events.iter().any(|event| matches!(event, Event::OrderRefused { .. })));
    assert_eq!((venue.depth(Side::Buy), venue.held(trader, USDT)), (vec![], 0));
}

#[test]
fn an_order_that_is_to_go_still_counts() {
    let mut venue = venue_with(Filters { orders_max: 1, algo_orders_max: 1, ..open_filters() });
    let trader = venue.rich();
    let old = venue.rest(buy(trader, 100, 1));
    let refused = Half::Refused(Refusal::Filter(Filter::MaxOrders));
    for allow_failure in [false, true] {
        let (canceled, placed, _) = replace(&mut venue, old, buy(trader, 101, 1), allow_failure);
        assert_eq!((canceled, placed), (refused, refused));
    }
    assert_eq!((venue.depth(Side::Buy), held(&venue, trader).1), (vec![(100, 1)], 100));
}

/// The order that goes is not met by the one that comes.
#[test]
fn an_order_replaces_one_on_the_other_side() {
    let mut venue = venue();
    let trader = venue.rich();
    let old = venue.rest(sell(trader, 100, 1));
    let (_, placed, events) = replace(&mut venue, old, buy(trader, 100, 1).named("new"), false);
    assert!(matches!(placed, Half::Done(_)) && trades(&events).is_empty());
    assert_eq!((venue.depth(Side::Buy), venue.depth(Side::Sell)), (vec![(100, 1)], vec![]));
}

#[test]
fn older_rules_know_no_replacements() {
    let mut venue = Venue::new();
    let trader = venue.rich();
    let old = venue.rest(buy(trader, 100, 10));
    for rules in [None, Some(Rules::V1), Some(Rules::V3)] {
        venue.rules = rules;
        let (order, cancel_id) = (buy(trader, 100, 1).named("new"), name("gone"));
        let target = Target::Order(old);
        let request = ReplaceOrder { order, target, cancel_id, restriction: None, allow_failure: true };
        let events = venue.apply(Body::Replace(Box::new(request)));
        assert_eq!(answer(&events), &Answer::Refused(Refusal::RulesTooOld));
    }
}
