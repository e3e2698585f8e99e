//! Fees of orders of lists in the asset of the discount: what is held for them, and that nothing of it is left over,
//! however a list ends.

use super::*;
use crossbook_protocol::order::{AmendOrder, Instructions, ReplaceOrder};
use crossbook_protocol::session::{SessionChange, SessionRequest};
use crossbook_types::{FeeDiscount, OptionalPrice, Quantity, TrailingDelta};

const ALL: i128 = 1_000;

/// A quiet venue in which the owner of the lists pays fees in ETH, a quarter less, and has so much of it. A unit of it
/// is worth a unit of USDT: 0.15 % is the fee of an order that comes in, and 0.075 % of one that rests.
fn paying(eth: i128) -> (Venue, AccountId, AccountId) {
    let (mut venue, owner, other) = quiet(true);
    let rates = vec![(USDT, 100_000_000)];
    let discount = FeeDiscount { asset: ETH, basis_points: 2_500, rates, except: Vec::new() };
    venue.apply(Body::SetFeeDiscount(Box::new(discount)));
    venue.apply(Body::SetDiscountUse { account: owner, on: true });
    if eth > 0 {
        venue.transfer(owner, ETH, eth, "eth").unwrap();
    }
    venue.change(Some(Filters { amends_max: 5, ..open_filters() }), None, None);
    (venue, owner, other)
}

/// What an account has of ETH, free and held.
fn eth(venue: &Venue, account: AccountId) -> (i128, i128) {
    (venue.free(account, ETH), venue.held(account, ETH))
}

/// What is told to be held for the fees of orders, by number.
fn reserved(events: &[Event]) -> Vec<(u64, i128)> {
    let told = events.iter().filter_map(|event| match event {
        Event::OrderDiscounted { order, held, .. } => Some((order.0, held.0)),
        _ => None,
    });
    told.collect()
}

fn amend(venue: &mut Venue, account: AccountId, target: Target, (placed, quantity): (u64, u64)) -> Vec<Event> {
    let (quantity, placed) = (Quantity(quantity), Quantity(placed));
    let client_order_id = name(&format!("amended{}", quantity.0));
    let events =
        venue.apply(Body::Amend(AmendOrder { account, symbol: BTCUSDT, target, quantity, placed, client_order_id }));
    assert!(matches!(answer(&events), Answer::Amended { .. }), "{events:?}");
    events
}

fn replace(venue: &mut Venue, target: Target, order: NewOrder) -> Vec<Event> {
    let request = ReplaceOrder { order, target, cancel_id: name("gone"), restriction: None, allow_failure: false };
    venue.apply(Body::Replace(Box::new(request)))
}

fn leg(text: &str) -> Target {
    Target::Client(name(text))
}

#[test]
fn a_pair_has_one_hold_for_the_fees_of_both() {
    let (mut venue, owner, _) = paying(ALL);
    // The stop order is worth 9,000 and a tenth more, the other one 11,000.
    let (_, events) = place(&mut venue, oco(owner));
    assert_eq!((reserved(&events), eth(&venue, owner)), (vec![(3, 17), (4, 17)], (983, 17)));
    venue.restart();
    venue.cancel(owner, leg("leg0")).unwrap();
    assert_eq!(eth(&venue, owner), (ALL, 0));
    // One that buys is worth what it may pay.
    let stop = stop(owner, Side::Buy, OrderType::StopLoss, 110, 10);
    place(&mut venue, list(ListKind::Oco, vec![stop, buy(owner, 90, 10).maker_only()]));
    assert_eq!(eth(&venue, owner), (981, 19));
    venue.restart();
    let other = venue.rich();
    venue.place(sell(other, 90, 4));
    // 3,600 of USDT at 0.075 %, rounded up; the other 5,400 may cost twice the rate.
    assert_eq!(eth(&venue, owner), (ALL - 3 - 9, 9));
    venue.cancel_all(owner).unwrap();
    assert_eq!(eth(&venue, owner), (ALL - 3, 0));
}

#[test]
fn orders_of_a_list_pay_in_the_other_asset_from_the_first_fill_to_the_last() {
    for kind in [ListKind::Otoco, ListKind::Opoco] {
        let (mut venue, owner, other) = paying(ALL);
        let before = venue.free(owner, BTC);
        let (_, events) = place(&mut venue, if kind == ListKind::Otoco { otoco(owner) } else { opoco(owner) });
        // The working order is worth 9,500. What it buys for the others is at most what it is for.
        assert_eq!(reserved(&events), [(3, 15), (4, 17), (5, 17)]);
        assert_eq!(eth(&venue, owner), (ALL - 32, 32));
        venue.restart();
        venue.place(sell(other, 95, 4));
        assert_eq!(eth(&venue, owner), (ALL - 32, 29), "3 of 3,800");
        let (_, events) = venue.place(sell(other, 95, 6));
        // No fee is taken of what it has bought, so all of that is sold.
        assert_eq!(released(&events), [(4, 10), (5, 10)]);
        assert_eq!(eth(&venue, owner), (ALL - 8 - 17, 17));
        venue.restart();
        let (_, events) = venue.place(buy(other, 110, 4));
        assert_eq!(ended(&events)[0], (4, OcoTrigger));
        assert_eq!(eth(&venue, owner), (ALL - 8 - 4 - 10, 10));
        venue.restart();
        let (_, events) = venue.place(buy(other, 110, 6));
        assert_eq!((ended(&events)[0], statuses(&events)), ((5, Filled), vec![AllDone]));
        assert_eq!((eth(&venue, owner), venue.fees_of(ETH)), ((ALL - 8 - 9, 0), 17));
        assert_eq!((venue.free(owner, BTC), held(&venue, owner)), (before, (0, 0)), "{kind:?}");
    }
}

#[test]
fn what_is_not_free_is_not_held_and_pays_the_ordinary_fee() {
    let (mut venue, owner, other) = paying(20);
    let (_, events) = place(&mut venue, otoco(owner));
    assert_eq!((reserved(&events), eth(&venue, owner)), (vec![(3, 15), (4, 5), (5, 5)], (0, 20)));
    venue.place(sell(other, 95, 10));
    assert_eq!(eth(&venue, owner), (7, 5));
    let before = venue.free(owner, USDT);
    venue.place(buy(other, 110, 10));
    // The fee would be nine: of 11,000 a thousandth is paid instead.
    assert_eq!((eth(&venue, owner), venue.free(owner, USDT) - before), ((12, 0), 11_000 - 11));
    // With nothing at all, nothing is told.
    let (mut venue, owner, _) = paying(0);
    let (_, events) = place(&mut venue, otoco(owner));
    assert_eq!((reserved(&events), eth(&venue, owner)), (vec![], (0, 0)));
}

#[test]
fn what_is_held_for_fees_follows_an_amendment() {
    let (mut venue, owner, other) = paying(ALL);
    place(&mut venue, oco(owner));
    amend(&mut venue, owner, leg("leg0"), (10, 5));
    // 5,500 of USDT.
    assert_eq!(eth(&venue, owner), (ALL - 9, 9));
    venue.restart();
    venue.cancel_all(owner).unwrap();
    place(&mut venue, otoco(owner));
    amend(&mut venue, owner, leg("leg1"), (10, 5));
    assert_eq!(eth(&venue, owner), (ALL - 15 - 9, 15 + 9), "the working order is as it was");
    amend(&mut venue, owner, leg("working"), (10, 2));
    assert_eq!(eth(&venue, owner), (ALL - 3 - 9, 3 + 9));
    venue.restart();
    cancel_list(&mut venue, owner, ListTarget::Client(name("list"))).unwrap();
    assert_eq!(eth(&venue, owner), (ALL, 0));
    // What is to be sold of what is bought is no more than that.
    place(&mut venue, opoco(owner));
    venue.place(sell(other, 95, 4));
    amend(&mut venue, owner, leg("working"), (10, 6));
    // 3 are paid of 3,800 of USDT, for 1,900 more is still to be bought, and for 6,600 may be sold.
    assert_eq!(eth(&venue, owner), (ALL - 3 - 3 - 10, 3 + 10));
    venue.restart();
    cancel_list(&mut venue, owner, ListTarget::Client(name("list"))).unwrap();
    assert_eq!(eth(&venue, owner), (ALL - 3, 0));
}

#[test]
fn an_order_without_a_price_is_worth_what_it_is_at_the_market() {
    let trailing = |order: NewOrder| {
        let instructions = Instructions { trailing: Some(TrailingDelta(100)), ..Instructions::default() };
        order.with(|terms| (terms.instructions, terms.stop_price) = (instructions.boxed(), OptionalPrice::NONE))
    };
    let (mut venue, owner, _) = paying(ALL);
    let stop = || trailing(stop(owner, Side::Sell, OrderType::StopLoss, 1, 10));
    place(&mut venue, list(ListKind::Oco, vec![stop(), sell(owner, 105, 10).maker_only()]));
    assert_eq!(eth(&venue, owner), (ALL - 17, 17), "the last price and 10 % is more than 105");
    venue.restart();
    venue.cancel_all(owner).unwrap();
    // One that is pending is worth what it is at the working order's price.
    place(&mut venue, list(ListKind::Oto, vec![buy(owner, 95, 10), stop()]));
    assert_eq!(eth(&venue, owner), (ALL - 15 - 16, 15 + 16));
    venue.cancel_all(owner).unwrap();
    let exit = market(owner, Side::Sell, lots(10));
    place(&mut venue, list(ListKind::Oto, vec![buy(owner, 95, 10), exit]));
    assert_eq!(eth(&venue, owner), (ALL - 15 - 16, 15 + 16));
    venue.cancel_all(owner).unwrap();
    assert_eq!(eth(&venue, owner), (ALL, 0));
}

#[test]
fn a_replacement_uses_what_is_held_for_the_fees_of_the_list_that_it_ends() {
    let (mut venue, owner, _) = paying(17);
    place(&mut venue, oco(owner));
    assert_eq!(eth(&venue, owner), (0, 17));
    let events = replace(&mut venue, leg("leg1"), sell(owner, 110, 10).named("new"));
    assert_eq!((reserved(&events), eth(&venue, owner)), (vec![(5, 17)], (0, 17)));
    venue.restart();
    venue.cancel_all(owner).unwrap();
    // Both holds of a list with a working order are there for it.
    venue.transfer(owner, ETH, 15, "more").unwrap();
    place(&mut venue, otoco(owner));
    assert_eq!(eth(&venue, owner), (0, 32));
    let events = replace(&mut venue, leg("working"), sell(owner, 110, 10).named("new"));
    assert_eq!((reserved(&events), eth(&venue, owner)), (vec![(9, 32)], (15, 17)));
    venue.cancel_all(owner).unwrap();
    assert_eq!(eth(&venue, owner), (32, 0));
}

/// Ends a list of the first account, given somebody else.
type End = fn(&mut Venue, AccountId, AccountId);

fn to_the_end(venue: &mut Venue) {
    while venue.go_on().is_some() {}
}

fn working_with(owner: AccountId, change: impl Fn(&mut crossbook_protocol::order::OrderTerms)) -> NewList {
    let mut list = otoco(owner);
    list.orders.iter_mut().for_each(change);
    list
}

/// The ways in which a list ends.
const ENDS: &[(&str, End)] = &[
    ("it is cancelled", |venue, owner, _| {
        place(venue, otoco(owner));
        cancel_list(venue, owner, ListTarget::Client(name("list"))).unwrap();
    }),
    ("its working order is cancelled", |venue, owner, other| {
        place(venue, opoco(owner));
        venue.place(sell(other, 95, 4));
        venue.cancel(owner, leg("working")).unwrap();
    }),
    ("a pending order is cancelled", |venue, owner, _| {
        place(venue, otoco(owner));
        venue.cancel(owner, leg("leg1")).unwrap();
    }),
    ("one of the pair is cancelled", |venue, owner, _| {
        place(venue, oco(owner));
        venue.cancel(owner, leg("leg1")).unwrap();
    }),
    ("all orders are cancelled", |venue, owner, _| {
        place(venue, opoco(owner));
        venue.cancel_all(owner).unwrap();
    }),
    ("the working order expires", |venue, owner, other| {
        venue.rest(sell(other, 95, 4));
        let mut short = otoco(owner);
        short.orders[0].time_in_force = TimeInForce::Ioc;
        place(venue, short);
    }),
    ("the working order meets one of its account", |venue, owner, _| {
        place(venue, working_with(owner, |terms| terms.self_trade_prevention = SelfTradePrevention::ExpireTaker));
        venue.place(sell(owner, 95, 1).preventing(SelfTradePrevention::ExpireMaker));
        venue.cancel_all(owner).unwrap();
    }),
    ("one of the pair meets one of its account", |venue, owner, _| {
        place(venue, oco(owner));
        venue.place(buy(owner, 110, 3).preventing(SelfTradePrevention::ExpireBoth));
    }),
    ("one of the pair is decremented, and then cancelled", |venue, owner, _| {
        place(venue, oco(owner));
        venue.place(buy(owner, 110, 3).preventing(SelfTradePrevention::Decrement));
        assert_eq!(venue.held(owner, ETH), 12, "7,700 of USDT are left");
        venue.cancel(owner, leg("leg1")).unwrap();
    }),
    ("the working order is filled, and the limit order after it", |venue, owner, other| {
        place(venue, otoco(owner));
        venue.place(sell(other, 95, 10));
        venue.place(buy(other, 110, 10));
    }),
    ("the limit order is filled in part, and then cancelled", |venue, owner, other| {
        place(venue, oco(owner));
        venue.place(buy(other, 110, 4));
        venue.cancel(owner, leg("leg1")).unwrap();
    }),
    ("the stop order is triggered, and finds less than it wants", |venue, owner, other| {
        place(venue, oco(owner));
        venue.rest(buy(other, 90, 1));
        venue.rest(buy(other, 89, 4));
        venue.place(sell(other, 90, 1));
    }),
    ("the stop order is triggered, rests, and is filled", |venue, owner, other| {
        let stop = stop_limit(owner, Side::Sell, 90, 88, 10);
        place(venue, list(ListKind::Oco, vec![stop, sell(owner, 110, 10).maker_only()]));
        venue.rest(buy(other, 90, 1));
        venue.place(sell(other, 90, 1));
        assert_eq!(venue.held(owner, ETH), 14, "8,800 of USDT rest");
        venue.restart();
        venue.place(buy(other, 88, 10));
    }),
    ("a pending order cannot be placed", |venue, owner, other| {
        let mut near = otoco(owner);
        near.orders[1].stop_price = Price(95).into();
        place(venue, near);
        venue.place(sell(other, 95, 10));
    }),
    ("its market is delisted", |venue, owner, _| {
        place(venue, otoco(owner));
        venue.apply(Body::DelistMarket { symbol: BTCUSDT });
        to_the_end(venue);
    }),
    ("an auction fills the working order, and the next one of the pair", |venue, owner, other| {
        place(venue, otoco(owner));
        for order in [sell(other, 95, 10), buy(other, 110, 10)] {
            let session = |change| Body::Session(SessionRequest { symbol: BTCUSDT, change });
            venue.apply(session(SessionChange::OpenAuction { seconds: None }));
            venue.rest(order);
            venue.apply(session(SessionChange::End));
            to_the_end(venue);
        }
    }),
    ("the working order is amended to what has traded of it", |venue, owner, other| {
        place(venue, otoco(owner));
        venue.place(sell(other, 95, 4));
        amend(venue, owner, leg("working"), (10, 4));
    }),
    ("one of its orders is replaced", |venue, owner, _| {
        place(venue, otoco(owner));
        replace(venue, leg("leg1"), sell(owner, 120, 3).named("new"));
        venue.cancel_all(owner).unwrap();
    }),
    ("what was bought is sold at market", |venue, owner, other| {
        venue.rest(sell(other, 100, 3));
        venue.rest(buy(other, 93, 10));
        let exit = market(owner, Side::Sell, lots(0));
        place(venue, list(ListKind::Opo, vec![buy(owner, 100, 3), exit]));
    }),
];

#[test]
fn nothing_of_what_was_held_for_fees_is_left_over_however_a_list_ends() {
    for (what, end) in ENDS {
        let (mut venue, owner, other) = paying(ALL);
        let known = venue.partition.ledger().holds();
        end(&mut venue, owner, other);
        assert!(venue.mirror.open_orders().values().all(|open| open.account != owner), "{what}");
        assert_eq!((eth(&venue, owner), held(&venue, owner)), ((ALL - venue.fees_of(ETH), 0), (0, 0)), "{what}");
        assert_eq!(venue.partition.audit().violations, Vec::<String>::new(), "{what}");
        venue.cancel_all(other).ok();
        assert_eq!(venue.partition.ledger().holds(), known, "{what}");
    }
}
