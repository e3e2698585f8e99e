//! Orders of lists that are amended, replaced, hide a part of themselves, or end with a countdown.

use crossbook_protocol::countdown::{CANCEL_NAME, CountdownScope, SetCountdown};
use crossbook_protocol::event::{Half, OrderAmended};
use crossbook_protocol::order::{AmendOrder, Instructions, ReplaceOrder};
use crossbook_types::{Amount, Quantity, SpecialFilters};

use super::*;

/// Asks for `lots` of an order that was placed for `placed`.
fn amend(venue: &mut Venue, account: AccountId, order: u64, [placed, lots]: [u64; 2]) -> Result<Vec<Event>, Refusal> {
    let request = AmendOrder {
        account,
        symbol: BTCUSDT,
        target: Target::Order(OrderId(order)),
        quantity: Quantity(lots),
        placed: Quantity(placed),
        client_order_id: name("amended"),
    };
    let events = venue.apply(Body::Amend(request));
    match answer(&events) {
        Answer::Amended { .. } => Ok(events),
        Answer::Refused(refusal) => Err(*refusal),
        other => panic!("{other:?}"),
    }
}

/// What was amended: the order, the quantities before and after, the names before and after.
fn amended(events: &[Event]) -> Vec<(u64, [u64; 2], [String; 2])> {
    let told = |event: &Event| match event {
        Event::OrderAmended(OrderAmended {
            order,
            quantity_before,
            quantity,
            client_order_id_before,
            client_order_id,
            ..
        }) => Some((
            order.0,
            [quantity_before.0, quantity.0],
            [client_order_id_before, client_order_id].map(|name| name.as_str().to_owned()),
        )),
        _ => None,
    };
    events.iter().filter_map(told).collect()
}

fn replace(venue: &mut Venue, old: u64, order: NewOrder) -> (Half, Half, Vec<Event>) {
    let (target, cancel_id) = (Target::Order(OrderId(old)), name("cancel"));
    let request = ReplaceOrder { order, target, cancel_id, restriction: None, allow_failure: false };
    let events = venue.apply(Body::Replace(Box::new(request)));
    match *answer(&events) {
        Answer::Replaced { canceled, placed, .. } => (canceled, placed, events),
        ref other => panic!("{other:?}"),
    }
}

fn showing(order: &mut crossbook_protocol::order::OrderTerms, part: u64) {
    order.instructions = Instructions { iceberg: Some(Quantity(part)), ..Instructions::default() }.boxed();
}

#[test]
fn amending_one_of_a_pair_amends_both() {
    let (mut venue, owner, other) = quiet(false);
    place(&mut venue, oco(owner));
    let events = amend(&mut venue, owner, 3, [10, 8]).unwrap();
    let names = |before: &str, after: &str| [before.to_owned(), after.to_owned()];
    assert_eq!(
        amended(&events),
        [(3, [10, 8], names("leg0", "amended")), (4, [10, 8], names("leg1", "leg1"))],
        "the other keeps its name"
    );
    assert_eq!((held(&venue, owner), venue.depth(Side::Sell)), ((8, 0), vec![(110, 8)]));
    venue.restart();
    // The other one, which has been amended with it.
    let events = amend(&mut venue, owner, 4, [10, 6]);
    assert_eq!(events, Err(Refusal::DuplicateClientOrderId), "the name is that of the first");
    venue.cancel(owner, Target::Order(OrderId(4))).unwrap();
    assert_eq!(held(&venue, owner), (0, 0));
    // What is held for a buy is what the dearer one needs of what is left.
    let stop = stop(owner, Side::Buy, OrderType::StopLoss, 110, 10);
    place(&mut venue, list(ListKind::Oco, vec![stop, buy(owner, 90, 10).maker_only()]));
    amend(&mut venue, owner, 6, [10, 5]).unwrap();
    assert_eq!(held(&venue, owner), (0, 110 * 5 * 11 / 10));
    let (_, events) = venue.place(sell(other, 90, 2));
    assert_eq!(ended(&events), [(5, OcoTrigger), (7, Filled)]);
    assert_eq!(held(&venue, owner), (0, 90 * 3));
    // One that goes on alone is amended alone, to what has traded at last.
    amend(&mut venue, owner, 6, [10, 4]).unwrap();
    assert_eq!(held(&venue, owner), (0, 90 * 2));
    let events = amend(&mut venue, owner, 6, [10, 2]).unwrap();
    assert_eq!((ended(&events), statuses(&events)), (vec![(6, CloseReason::Amended)], vec![AllDone]));
    assert_eq!(held(&venue, owner), (0, 0));
}

#[test]
fn an_amendment_is_what_the_filters_allow_of_both_of_a_pair() {
    let (mut venue, owner, other) = quiet(false);
    let least = Filters { notional_min: Amount(700 * TICK_LOT), ..open_filters() };
    venue.change(Some(least), None, None);
    for pending in [false, true] {
        let (_, events) = place(&mut venue, if pending { otoco(owner) } else { oco(owner) });
        let first = events.iter().find_map(|event| match event {
            Event::ListPlaced(placed) => Some(placed.orders[usize::from(pending)].0),
            _ => None,
        });
        let [stop, limit] = first.map(|first| [first, first + 1]).unwrap();
        // Seven are worth 770 at the limit of 110, and 630 at the stop price of 90.
        for order in [limit, stop] {
            assert_eq!(amend(&mut venue, owner, order, [10, 7]), Err(Refusal::Filter(Filter::Notional)));
        }
        let events = amend(&mut venue, owner, limit, [10, 8]).unwrap();
        assert_eq!(amended(&events).iter().map(|&(order, ..)| order).collect::<Vec<_>>(), [limit, stop]);
        venue.cancel(owner, Target::Order(OrderId(limit))).unwrap();
    }
    // One that goes on alone is its own.
    place(&mut venue, oco(owner));
    venue.change(Some(open_filters()), None, None);
    venue.place(buy(other, 110, 1));
    venue.change(Some(least), None, None);
    amend(&mut venue, owner, 9, [10, 7]).unwrap();
}

#[test]
fn working_and_pending_orders_are_amended_for_themselves() {
    let (mut venue, owner, other) = quiet(false);
    place(&mut venue, otoco(owner));
    assert_eq!(held(&venue, owner), (10, 950));
    amend(&mut venue, owner, 5, [10, 7]).unwrap();
    assert_eq!(held(&venue, owner), (7, 950));
    venue.restart();
    let (_, events) = venue.place(sell(other, 95, 10));
    assert_eq!((released(&events), held(&venue, owner)), (vec![(4, 7), (5, 7)], (7, 0)));
    let count = Filters { amends_max: 1, ..open_filters() };
    venue.change(Some(count), None, None);
    assert_eq!(amend(&mut venue, owner, 4, [10, 6]), Err(Refusal::Filter(Filter::MaxAmends)), "it was, with the other");
    venue.cancel(owner, Target::Order(OrderId(4))).unwrap();
    // The working order alone.
    let (_, events) = {
        venue.change(Some(open_filters()), None, None);
        place(&mut venue, otoco(owner))
    };
    assert_eq!(statuses(&events), [Executing]);
    amend(&mut venue, owner, 7, [10, 4]).unwrap();
    assert_eq!(held(&venue, owner), (10, 380));
    // A pending buy at market keeps to the price of the working order.
    let exit = market(owner, Side::Buy, lots(10)).named("exit");
    let entry = sell(owner, 120, 2).named("entry");
    place(&mut venue, NewList { client_order_id: name("x"), ..list(ListKind::Oto, vec![entry, exit]) });
    assert_eq!(held(&venue, owner), (12, 380 + 120 * 11));
    assert_eq!(amend(&mut venue, owner, 11, [10, 5]), Err(Refusal::DuplicateClientOrderId));
    cancel_list(&mut venue, owner, ListTarget::Client(name("list"))).unwrap();
    amend(&mut venue, owner, 11, [10, 5]).unwrap();
    assert_eq!(held(&venue, owner), (2, 120 * 11 / 2));
}

#[test]
fn what_has_no_quantity_yet_is_not_amended() {
    let (mut venue, owner, other) = quiet(false);
    place(&mut venue, opoco(owner));
    assert_eq!(amend(&mut venue, owner, 4, [0, 5]), Err(Refusal::AmendUnpaid));
    amend(&mut venue, owner, 3, [10, 8]).unwrap();
    let (_, events) = venue.place(sell(other, 95, 8));
    assert_eq!(released(&events), [(4, 8), (5, 8)]);
    let events = amend(&mut venue, owner, 5, [8, 6]).unwrap();
    assert_eq!(amended(&events).len(), 2);
    assert_eq!((held(&venue, owner), venue.depth(Side::Sell)), ((6, 0), vec![(110, 6)]));
}

#[test]
fn replacing_one_order_cancels_its_list_and_uses_its_funds() {
    let (mut venue, _, _) = quiet(false);
    let owner = venue.trader(10, 1_000);
    place(&mut venue, oco(owner));
    let (canceled, placed, events) = replace(&mut venue, 3, sell(owner, 120, 10).named("leg1"));
    assert_eq!((canceled, placed), (Half::Done(OrderId(3)), Half::Done(OrderId(5))));
    assert_eq!((ended(&events), statuses(&events)), (vec![(3, by_owner()), (4, by_owner())], vec![AllDone]));
    assert_eq!((held(&venue, owner), venue.free(owner, BTC)), ((10, 0), 0));
    venue.cancel(owner, Target::Order(OrderId(5))).unwrap();
    // Of a list that pays twice with the same asset, both holds.
    let pending = buy(owner, 50, 10).named("pending");
    place(&mut venue, list(ListKind::Oto, vec![buy(owner, 50, 10).named("working"), pending]));
    assert_eq!(held(&venue, owner), (0, 1_000));
    let (_, placed, _) = replace(&mut venue, 7, buy(owner, 90, 11).named("all"));
    assert_eq!((placed, held(&venue, owner)), (Half::Done(OrderId(8)), (0, 990)));
    // What is not enough is released with the list.
    venue.cancel(owner, Target::Order(OrderId(8))).unwrap();
    place(&mut venue, otoco(owner));
    let (canceled, placed, _) = replace(&mut venue, 10, buy(owner, 90, 12).named("more"));
    assert_eq!((canceled, placed), (Half::Done(OrderId(10)), Half::Refused(Refusal::InsufficientBalance)));
    assert_eq!(held(&venue, owner), (0, 0));
}

#[test]
fn orders_of_lists_hide_a_part_of_themselves() {
    let (mut venue, owner, other) = quiet(false);
    let mut new = otoco(owner);
    showing(&mut new.orders[0], 4);
    showing(&mut new.orders[2], 3);
    place(&mut venue, new);
    assert_eq!(venue.depth(Side::Buy), [(95, 4)]);
    venue.restart();
    let (_, events) = venue.place(sell(other, 95, 10));
    assert_eq!((released(&events), venue.depth(Side::Sell)), (vec![(4, 10), (5, 10)], vec![(110, 3)]));
    venue.restart();
    let (_, events) = venue.place(buy(other, 110, 5));
    assert_eq!((ended(&events)[0], trades(&events)), ((4, OcoTrigger), vec![(110, 3), (110, 2)]));
    assert_eq!((held(&venue, owner), venue.depth(Side::Sell)), ((5, 0), vec![(110, 1)]));
    venue.cancel(owner, Target::Order(OrderId(5))).unwrap();
    // What is pending counts, and a part that is more than what was bought cannot be placed.
    let mut bounds = SpecialFilters::USUAL;
    bounds.iceberg_orders_max = 1;
    venue.change(Some(Filters { special: bounds, ..open_filters() }), None, None);
    let mut paid = opoco(owner);
    showing(&mut paid.orders[2], 12);
    let (_, events) = place(&mut venue, paid.clone());
    assert_eq!(statuses(&events), [Executing]);
    paid.client_order_id = name("second");
    for (at, order) in paid.orders.iter_mut().enumerate() {
        order.client_order_id = name(&format!("second{at}"));
    }
    assert_eq!(refused(&mut venue, paid), Refusal::Filter(Filter::MaxIcebergOrders));
    let (_, events) = venue.place(sell(other, 95, 10));
    assert!(ended(&events).iter().any(|&(_, reason)| reason == Unplaceable), "{events:?}");
    assert_eq!(held(&venue, owner), (0, 0));
}

#[test]
fn a_countdown_that_passes_ends_lists() {
    let (mut venue, owner, _) = quiet(false);
    place(&mut venue, otoco(owner));
    let scope = CountdownScope::Account;
    let events = venue.apply(Body::SetCountdown(SetCountdown { account: owner, scope, after_millis: Some(0) }));
    let reason = Canceled { cancel_id: name(CANCEL_NAME) };
    assert_eq!(ended(&events), [(3, reason), (4, reason), (5, reason)]);
    assert_eq!((statuses(&events), held(&venue, owner)), (vec![AllDone], (0, 0)));
}
