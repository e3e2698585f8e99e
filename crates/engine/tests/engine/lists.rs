//! Order lists: every way in which one can end, with its events, what is held, and what has become of the list.

use crossbook_engine::WorkBudget;
use crossbook_protocol::command::Body;
use crossbook_protocol::event::CloseReason::{
    self, Canceled, Expired, Filled, OcoTrigger, SelfTradePrevented, Unplaceable, WorkingEnded,
};
use crossbook_protocol::order::{CancelAll, NewOrder, Target};
use crossbook_protocol::order_list::{CancelList, ListTarget, NewList};
use crossbook_protocol::{Answer, Event, Refusal, Rules};
use crossbook_types::ListStatus::{AllDone, Executing};
use crossbook_types::{
    AccountId, Filter, Filters, ListKind, ListStatus, MarketStatus, OrderId, OrderListId, OrderType, Price,
    SelfTradePrevention, Side, TimeInForce,
};

use crate::kit::*;

mod bounds;
mod changes;
mod events;
mod fees;
mod prices;

/// A venue under the rules that know lists, with fees of 0.1 % and 0.2 %, or none.
fn venue(fee: bool) -> Venue {
    let rates = if fee { fees("0.001", "0.002") } else { fees("0", "0") };
    let mut venue = Venue::with(open_filters(), rates);
    venue.apply(Body::ActivateRules(Rules::V4));
    venue
}

fn list(kind: ListKind, orders: Vec<NewOrder>) -> NewList {
    let account = orders[0].account;
    let mut orders: Vec<_> = orders.into_iter().map(|order| order.terms).collect();
    for (at, order) in orders.iter_mut().enumerate() {
        if order.client_order_id == name("unnamed") {
            order.client_order_id = name(&format!("leg{at}"));
        }
    }
    NewList { account, symbol: BTCUSDT, client_order_id: name("list"), kind, orders }
}

fn stop_limit(account: AccountId, side: Side, stop_price: u64, price: u64, quantity: u64) -> NewOrder {
    let order = stop(account, side, OrderType::StopLossLimit, stop_price, quantity);
    order.with(|terms| terms.price = Some(Price(price)))
}

/// Sells at 110, or when the price has fallen to 90.
fn oco(account: AccountId) -> NewList {
    let stop = stop(account, Side::Sell, OrderType::StopLoss, 90, 10);
    list(ListKind::Oco, vec![stop, sell(account, 110, 10).maker_only()])
}

/// Buys at 95, then sells at 110 or when the price has fallen to 90.
fn otoco(account: AccountId) -> NewList {
    let pair = oco(account).orders.into_iter().map(|terms| NewOrder { account, terms });
    list(ListKind::Otoco, [buy(account, 95, 10).named("working")].into_iter().chain(pair).collect())
}

/// The same, where what was bought is sold.
fn opoco(account: AccountId) -> NewList {
    let mut list = otoco(account);
    list.kind = ListKind::Opoco;
    list.orders[1..].iter_mut().for_each(|order| order.size = lots(0));
    list
}

fn place(venue: &mut Venue, list: NewList) -> (OrderListId, Vec<Event>) {
    let events = venue.apply(Body::PlaceList(Box::new(list)));
    match answer(&events) {
        Answer::ListPlaced { symbol: BTCUSDT, list } => (*list, events),
        other => panic!("{other:?}"),
    }
}

fn refused(venue: &mut Venue, list: NewList) -> Refusal {
    let before = venue.mirror.clone();
    let events = venue.apply(Body::PlaceList(Box::new(list)));
    assert_eq!(venue.mirror, before, "a refusal changes nothing");
    match answer(&events) {
        Answer::Refused(refusal) => *refusal,
        other => panic!("{other:?}"),
    }
}

fn cancel_list(venue: &mut Venue, account: AccountId, target: ListTarget) -> Result<Vec<Event>, Refusal> {
    let request = CancelList { account, symbol: BTCUSDT, target, cancel_id: name("cancel") };
    let events = venue.apply(Body::CancelList(request));
    match answer(&events) {
        Answer::ListCanceled { .. } => Ok(events),
        Answer::Refused(refusal) => Err(*refusal),
        other => panic!("{other:?}"),
    }
}

/// What became of lists in these events.
fn statuses(events: &[Event]) -> Vec<ListStatus> {
    let status = |event: &Event| match event {
        Event::ListPlaced(_) => Some(Executing),
        Event::ListChanged { status, .. } => Some(*status),
        _ => None,
    };
    events.iter().filter_map(status).collect()
}

/// Why each order ended, by its number.
fn ended(events: &[Event]) -> Vec<(u64, CloseReason)> {
    closed(events).into_iter().map(|(id, reason)| (id.0, reason)).collect()
}

fn released(events: &[Event]) -> Vec<(u64, u64)> {
    let released = |event: &Event| match event {
        Event::OrderReleased { order, quantity, .. } => Some((order.0, quantity.0)),
        _ => None,
    };
    events.iter().filter_map(released).collect()
}

/// What is held for an account, in lots of the base and in ticks x lots of the quote.
fn held(venue: &Venue, account: AccountId) -> (i128, i128) {
    (venue.held(account, BTC) / LOT, venue.held(account, USDT) / TICK_LOT)
}

/// A venue whose last price is 100 (orders 1 and 2), the owner of the list, and somebody else.
fn quiet(fee: bool) -> (Venue, AccountId, AccountId) {
    let mut venue = venue(fee);
    let (owner, other) = (venue.rich(), venue.rich());
    venue.trade_at(100);
    (venue, owner, other)
}

fn by_owner() -> CloseReason {
    Canceled { cancel_id: name("cancel") }
}

#[test]
fn a_pair_holds_what_one_of_it_needs() {
    let (mut venue, owner, _) = quiet(true);
    let (id, events) = place(&mut venue, oco(owner));
    assert_eq!((id.symbol(), id.first()), (BTCUSDT, OrderId(3)));
    assert_eq!((held(&venue, owner), statuses(&events)), ((10, 0), vec![Executing]));
    assert_eq!(venue.depth(Side::Sell), [(110, 10)]);
    // A buy holds for the dearer one: the stop at 110 with its margin of a tenth.
    let stop = stop(owner, Side::Buy, OrderType::StopLoss, 110, 10).named("a");
    let pair = list(ListKind::Oco, vec![stop, buy(owner, 90, 10).maker_only().named("b")]);
    place(&mut venue, NewList { client_order_id: name("other"), ..pair });
    assert_eq!(held(&venue, owner), (10, 110 * 10 * 11 / 10));
}

#[test]
fn the_first_fill_of_the_limit_order_ends_the_stop_order() {
    let (mut venue, owner, other) = quiet(false);
    let stop = stop(owner, Side::Buy, OrderType::StopLoss, 110, 10);
    place(&mut venue, list(ListKind::Oco, vec![stop, buy(owner, 90, 10).maker_only()]));
    assert_eq!(held(&venue, owner), (0, 1_210));
    let (_, events) = venue.place(sell(other, 90, 4));
    assert_eq!(ended(&events), [(3, OcoTrigger), (5, Filled)]);
    assert_eq!(statuses(&events), [Executing]);
    assert_eq!(held(&venue, owner), (0, 90 * 6), "what the stop order needed beyond that is free");
    let (_, events) = venue.place(sell(other, 90, 6));
    assert_eq!((ended(&events)[0], statuses(&events)), ((4, Filled), vec![AllDone]));
    assert_eq!(held(&venue, owner), (0, 0));
}

#[test]
fn a_fill_of_all_of_the_limit_order_ends_the_list() {
    let (mut venue, owner, other) = quiet(true);
    place(&mut venue, oco(owner));
    let (_, events) = venue.place(buy(other, 110, 10));
    assert_eq!(ended(&events), [(4, Filled), (3, OcoTrigger), (5, Filled)]);
    assert_eq!((statuses(&events), held(&venue, owner)), (vec![AllDone], (0, 0)));
}

#[test]
fn a_trigger_ends_the_limit_order_before_the_stop_order_runs() {
    let (mut venue, owner, other) = quiet(true);
    place(&mut venue, oco(owner));
    venue.rest(buy(other, 90, 1));
    venue.rest(buy(other, 89, 4));
    let (_, events) = venue.place(sell(other, 90, 1));
    let at = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(wanted).unwrap();
    let triggered = at(&|event| matches!(event, Event::OrderTriggered { .. }));
    let gone = at(&|event| matches!(event, Event::OrderClosed(closed) if closed.reason == OcoTrigger));
    assert!(gone < triggered);
    // It runs at market: what the book does not take expires.
    assert_eq!(ended(&events)[2..], [(4, OcoTrigger), (6, Filled), (3, Expired)]);
    assert_eq!((statuses(&events), held(&venue, owner)), (vec![Executing, AllDone], (0, 0)));
    assert_eq!((venue.depth(Side::Sell), venue.depth(Side::Buy)), (vec![], vec![]));
}

#[test]
fn a_triggered_limit_order_goes_on_alone() {
    let (mut venue, owner, other) = quiet(true);
    let stop = stop_limit(owner, Side::Sell, 90, 88, 10);
    let take = stop_limit(owner, Side::Sell, 110, 108, 10).with(|terms| terms.order_type = OrderType::TakeProfitLimit);
    place(&mut venue, list(ListKind::Oco, vec![stop, take]));
    assert_eq!(held(&venue, owner), (10, 0));
    venue.trade_at(112);
    assert_eq!(venue.depth(Side::Sell), [(108, 10)]);
    assert_eq!(held(&venue, owner), (10, 0));
    let (_, events) = venue.cancel(owner, Target::Client(name("leg1"))).unwrap();
    assert_eq!((ended(&events), statuses(&events)), (vec![(4, by_owner())], vec![AllDone]));
    assert_eq!(held(&venue, owner), (0, 0));
    let _ = other;
}

#[test]
fn who_cancels_one_order_cancels_the_list() {
    for target in [Target::Order(OrderId(3)), Target::Client(name("leg1")), Target::Both(OrderId(4), name("leg1"))] {
        let (mut venue, owner, _) = quiet(true);
        place(&mut venue, oco(owner));
        let (first, events) = venue.cancel(owner, target).unwrap();
        let other = OrderId(7 - first.0);
        assert_eq!(closed(&events), [(first, by_owner()), (other, by_owner())]);
        assert_eq!((statuses(&events), held(&venue, owner)), (vec![AllDone], (0, 0)));
        // Name and numbers are free again.
        place(&mut venue, oco(owner));
    }
}

#[test]
fn a_list_is_cancelled_by_number_and_by_name_by_its_owner_alone() {
    let (mut venue, owner, other) = quiet(true);
    let (id, _) = place(&mut venue, otoco(owner));
    assert_eq!(held(&venue, owner), (10, 950));
    assert_eq!(cancel_list(&mut venue, other, ListTarget::List(id)), Err(Refusal::UnknownOrder));
    assert_eq!(cancel_list(&mut venue, owner, ListTarget::Client(name("no"))), Err(Refusal::UnknownOrder));
    assert_eq!(cancel_list(&mut venue, owner, ListTarget::Both(id, name("no"))), Err(Refusal::UnknownOrder));
    let events = cancel_list(&mut venue, owner, ListTarget::Both(id, name("list"))).unwrap();
    assert_eq!(ended(&events), [(3, by_owner()), (4, by_owner()), (5, by_owner())]);
    assert_eq!((statuses(&events), held(&venue, owner)), (vec![AllDone], (0, 0)));
    assert_eq!(cancel_list(&mut venue, owner, ListTarget::List(id)), Err(Refusal::UnknownOrder));
}

#[test]
fn a_cancel_of_all_orders_takes_lists_along() {
    let (mut venue, owner, _) = quiet(true);
    place(&mut venue, otoco(owner));
    let pair =
        list(ListKind::Oco, oco(owner).orders.into_iter().map(|terms| NewOrder { account: owner, terms }).collect());
    let mut pair = NewList { client_order_id: name("pair"), ..pair };
    pair.orders[0].client_order_id = name("x");
    pair.orders[1].client_order_id = name("y");
    place(&mut venue, pair);
    let alone = venue.rest(buy(owner, 80, 1));
    assert_eq!(
        venue.cancel_all(owner).unwrap(),
        [3, 4, 5, 6, 7].map(OrderId).into_iter().chain([alone]).collect::<Vec<_>>()
    );
    assert_eq!(held(&venue, owner), (0, 0));
    // In parts, the orders of a list are not parted.
    let work = WorkBudget { cancels: 2, continued: 1, ..WorkBudget::RULES };
    let mut venue = venue.with_work(work);
    place(&mut venue, otoco(owner));
    let request = CancelAll { account: owner, symbol: BTCUSDT, cancel_id: name("all") };
    let events = venue.apply(Body::CancelAll(request));
    assert_eq!(closed(&events).len(), 3);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Answered { answer: Answer::CanceledAll { count: 3, .. }, .. }))
    );
}

#[test]
fn a_filled_working_order_places_the_pair() {
    let (mut venue, owner, other) = quiet(true);
    place(&mut venue, otoco(owner));
    assert!(venue.mirror.order(BTCUSDT, OrderId(4)).unwrap().waits);
    let (_, events) = venue.place(sell(other, 95, 4));
    assert_eq!((released(&events), statuses(&events)), (vec![], vec![]), "a part is not enough");
    let (_, events) = venue.place(sell(other, 95, 6));
    assert_eq!(released(&events), [(4, 10), (5, 10)]);
    assert_eq!(statuses(&events), [Executing]);
    assert_eq!((held(&venue, owner), venue.depth(Side::Sell)), ((10, 0), vec![(110, 10)]));
    venue.restart();
    let (_, events) = venue.place(buy(other, 110, 10));
    assert_eq!(ended(&events)[..2], [(5, Filled), (4, OcoTrigger)]);
    assert_eq!(statuses(&events), [AllDone]);
    assert_eq!(held(&venue, owner), (0, 0));
}

#[test]
fn a_working_order_that_ends_ends_the_pending_ones() {
    // By its time in force, within its placing.
    let (mut venue, owner, other) = quiet(true);
    venue.rest(sell(other, 95, 4));
    let mut short = otoco(owner);
    short.orders[0].time_in_force = TimeInForce::Ioc;
    let (_, events) = place(&mut venue, short);
    assert_eq!(ended(&events), [(3, Filled), (4, Expired), (5, WorkingEnded), (6, WorkingEnded)]);
    assert_eq!((statuses(&events), held(&venue, owner)), (vec![Executing, AllDone], (0, 0)));
    // By self-trade prevention, as the resting order and as the incoming one.
    for mode in [SelfTradePrevention::ExpireMaker, SelfTradePrevention::ExpireTaker] {
        let (mut venue, owner, _) = quiet(true);
        let mut working = otoco(owner);
        working.orders.iter_mut().for_each(|order| order.self_trade_prevention = SelfTradePrevention::ExpireTaker);
        let events = if mode == SelfTradePrevention::ExpireMaker {
            place(&mut venue, working);
            venue.place(sell(owner, 95, 1).preventing(mode)).1
        } else {
            venue.rest(sell(owner, 95, 1));
            place(&mut venue, working).1
        };
        let reasons: Vec<_> = ended(&events).into_iter().map(|(_, reason)| reason).collect();
        assert_eq!(reasons, [SelfTradePrevented, WorkingEnded, WorkingEnded]);
        assert_eq!(statuses(&events).last(), Some(&AllDone));
        assert_eq!(held(&venue, owner), (1, 0));
    }
}

#[test]
fn self_trade_prevention_of_one_of_a_pair_ends_the_other() {
    let (mut venue, owner, _) = quiet(true);
    place(&mut venue, oco(owner));
    let (_, events) = venue.place(buy(owner, 110, 3).preventing(SelfTradePrevention::ExpireBoth));
    assert_eq!(ended(&events), [(4, SelfTradePrevented), (3, OcoTrigger), (5, SelfTradePrevented)]);
    assert_eq!((statuses(&events), held(&venue, owner)), (vec![AllDone], (0, 0)));
}

#[test]
fn a_pending_order_that_cannot_be_placed_ends_the_list() {
    let (mut venue, owner, other) = quiet(true);
    place(&mut venue, otoco(owner));
    // Somebody would buy at 110 what is to be sold there as a maker only.
    let (_, events) = {
        venue.rest(sell(other, 95, 1).maker_only().at_limit(120));
        venue.rest(buy(other, 94, 5));
        venue.trade_at(100);
        venue.place(sell(other, 95, 10))
    };
    assert_eq!(released(&events).len(), 2);
    // The stop price is reached by the fall that fills the working order.
    let (mut venue, owner, other) = quiet(true);
    let mut near = otoco(owner);
    near.orders[1].stop_price = Price(95).into();
    place(&mut venue, near);
    let (_, events) = venue.place(sell(other, 95, 10));
    assert_eq!(ended(&events), [(3, Filled), (6, Filled), (4, Unplaceable), (5, OcoTrigger)]);
    assert_eq!((statuses(&events), held(&venue, owner)), (vec![AllDone], (0, 0)));
}

#[test]
fn what_was_traded_at_before_the_fill_does_not_count_for_pending_orders() {
    let (mut venue, owner, other) = quiet(false);
    for (price, quantity) in [(95, 3), (98, 3), (101, 4)] {
        venue.rest(sell(other, price, quantity));
    }
    venue.rest(buy(other, 94, 20));
    // Somebody else's stop order is reached, and comes first.
    venue.place(stop(other, Side::Sell, OrderType::StopLoss, 96, 1).named("reached"));
    let mut sweeping = otoco(owner);
    sweeping.orders[0].price = Some(Price(101));
    sweeping.orders[1].stop_price = Price(93).into();
    let (_, events) = place(&mut venue, sweeping.clone());
    assert_eq!(trades(&events), [(95, 3), (98, 3), (101, 4), (94, 1)]);
    assert_eq!((released(&events), statuses(&events)), (vec![(9, 10), (10, 10)], vec![Executing, Executing]));
    let at = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(wanted).unwrap();
    let triggered = at(&|event| matches!(event, Event::OrderTriggered { .. }));
    assert!(triggered < at(&|event| matches!(event, Event::OrderReleased { .. })));
    venue.cancel(owner, Target::Order(OrderId(9))).unwrap();
    // A stop price between the first price of the sweep and the last one is not reached.
    for (price, quantity) in [(95, 3), (98, 3), (101, 4)] {
        venue.rest(sell(other, price, quantity));
    }
    sweeping.orders[1].stop_price = Price(97).into();
    let (_, events) = place(&mut venue, sweeping);
    assert_eq!((trades(&events).len(), released(&events).len(), held(&venue, owner)), (3, 2, (10, 0)));
    assert_eq!(ended(&events).iter().filter(|&&(_, reason)| reason != Filled).count(), 0);
    venue.restart();
    let (_, events) = venue.place(sell(other, 94, 1));
    assert!(events.iter().any(|event| matches!(event, Event::OrderTriggered { .. })), "it protects");
    assert_eq!((trades(&events), held(&venue, owner)), (vec![(94, 1), (94, 10)], (0, 0)));
}

#[test]
fn a_stop_price_that_was_passed_after_the_fill_triggers_at_once() {
    let (mut venue, owner, other) = quiet(false);
    place(&mut venue, otoco(owner));
    for (price, quantity) in [(93, 1), (89, 1), (88, 20)] {
        venue.rest(buy(other, price, quantity));
    }
    let (_, events) = venue.place(sell(other, 89, 12));
    assert_eq!(trades(&events), [(95, 10), (93, 1), (89, 1), (88, 10)]);
    assert_eq!(released(&events), [(4, 10), (5, 10)]);
    assert_eq!(ended(&events)[4..], [(5, OcoTrigger), (4, Filled)]);
    assert_eq!((statuses(&events), held(&venue, owner)), (vec![Executing, Executing, AllDone], (0, 0)));
}

#[test]
fn a_pending_order_at_market_runs_at_once() {
    let (mut venue, owner, other) = quiet(false);
    venue.rest(sell(other, 100, 3));
    venue.rest(buy(other, 93, 10));
    let exit = market(owner, Side::Sell, lots(10));
    let (_, events) = place(&mut venue, list(ListKind::Oto, vec![buy(owner, 100, 3), exit]));
    assert_eq!(released(&events), [(6, 10)]);
    assert_eq!(trades(&events), [(100, 3), (93, 10)]);
    assert_eq!((statuses(&events), held(&venue, owner)), (vec![Executing, Executing, AllDone], (0, 0)));
    // A buy at market is held for near the working order's price.
    let entry = sell(owner, 120, 2).named("a");
    place(&mut venue, list(ListKind::Oto, vec![entry, market(owner, Side::Buy, lots(5)).named("b")]));
    assert_eq!(held(&venue, owner), (2, 120 * 5 * 11 / 10));
}

#[test]
fn what_the_working_order_receives_is_held_for_the_others() {
    let (mut venue, owner, other) = quiet(true);
    place(&mut venue, opoco(owner));
    assert_eq!(held(&venue, owner), (0, 950), "only the working order is paid");
    let free = venue.free(owner, BTC);
    venue.place(sell(other, 95, 4));
    // A maker's fee of a thousandth is less than a lot.
    assert_eq!((venue.held(owner, BTC), venue.free(owner, BTC)), (4 * LOT - 4, free));
    let (_, events) = venue.place(sell(other, 95, 6));
    assert_eq!(released(&events), [(4, 9), (5, 9)]);
    assert_eq!((held(&venue, owner), venue.free(owner, BTC)), ((9, 0), free + LOT - 10), "less than a lot is free");
    let (_, events) = venue.place(buy(other, 110, 9));
    assert_eq!((ended(&events)[0], statuses(&events)), ((5, Filled), vec![AllDone]));
    // What is received is free again when the list ends before.
    place(&mut venue, opoco(owner));
    venue.place(sell(other, 95, 4));
    venue.restart();
    cancel_list(&mut venue, owner, ListTarget::Client(name("list"))).unwrap();
    assert_eq!(held(&venue, owner), (0, 0));
}

#[test]
fn a_halt_lets_lists_be_cancelled_and_nothing_else() {
    let (mut venue, owner, other) = quiet(true);
    let (id, _) = place(&mut venue, oco(owner));
    venue.change(None, None, Some(MarketStatus::Halt));
    let mut more = otoco(other);
    assert_eq!(refused(&mut venue, more.clone()), Refusal::MarketClosed(MarketStatus::Halt));
    assert_eq!(held(&venue, owner), (10, 0));
    cancel_list(&mut venue, owner, ListTarget::List(id)).unwrap();
    assert_eq!(held(&venue, owner), (0, 0));
    venue.change(None, None, Some(MarketStatus::Trading));
    more.orders[0].price = Some(Price(94));
    place(&mut venue, more);
}

#[test]
fn pending_orders_wait_for_their_turn_and_for_an_open_market() {
    let (venue, owner, other) = quiet(true);
    let work = WorkBudget { triggers: 1, continued: 1, ..WorkBudget::RULES };
    let mut venue = venue.with_work(work);
    place(&mut venue, otoco(owner));
    let (_, events) = venue.place(sell(other, 95, 10));
    assert_eq!(released(&events), [], "the trade is a step already");
    venue.restart_with(work);
    venue.change(None, None, Some(MarketStatus::Halt));
    while venue.go_on().is_some() {}
    assert_eq!(venue.partition.unfinished(), Some(BTCUSDT));
    venue.change(None, None, Some(MarketStatus::Trading));
    let events = venue.go_on().expect("the market is open");
    assert_eq!((released(&events).len(), statuses(&events)), (2, vec![Executing]));
    while venue.go_on().is_some() {}
    assert_eq!(venue.partition.unfinished(), None);
    // Cancelled before its turn.
    cancel_list(&mut venue, owner, ListTarget::Client(name("list"))).unwrap();
    place(&mut venue, otoco(owner));
    venue.place(sell(other, 95, 10));
    cancel_list(&mut venue, owner, ListTarget::Client(name("list"))).unwrap();
    assert_eq!((venue.partition.unfinished(), held(&venue, owner)), (None, (0, 0)));
}

#[test]
fn a_list_is_refused_as_a_whole() {
    let strict = Filters { orders_max: 4, algo_orders_max: 2, order_lists_max: 1, ..open_filters() };
    let (mut venue, owner, other) = quiet(true);
    let poor = venue.trader(3, 3);
    let with = |change: &dyn Fn(&mut NewList)| {
        let mut list = oco(owner);
        change(&mut list);
        list
    };
    for (list, refusal) in [
        (with(&|list| list.orders[0].stop_price = Price(100).into()), Refusal::ListPrices),
        (with(&|list| list.orders[1].price = Some(Price(100))), Refusal::ListPrices),
        (with(&|list| list.orders[1].price = Some(Price(80))), Refusal::ListPrices),
        (with(&|list| list.orders[1].size = lots(9)), Refusal::MalformedOrder),
        (with(&|list| list.orders[1].side = Side::Buy), Refusal::MalformedOrder),
        (with(&|list| list.orders.swap(0, 1)), Refusal::MalformedOrder),
        (with(&|list| list.orders.truncate(1)), Refusal::MalformedOrder),
        (with(&|list| list.orders[1].client_order_id = name("leg0")), Refusal::DuplicateClientOrderId),
        (with(&|list| list.account = poor), Refusal::InsufficientBalance),
        (with(&|list| list.account = AccountId(9_999)), Refusal::UnknownAccount),
    ] {
        assert_eq!(refused(&mut venue, list.clone()), refusal, "{list:#?}");
    }
    venue.rest(buy(other, 105, 1));
    let mut taking = oco(owner);
    taking.orders[1].price = Some(Price(104));
    assert_eq!(refused(&mut venue, taking), Refusal::WouldTake);
    venue.change(Some(strict), None, None);
    place(&mut venue, oco(owner));
    let mut second = otoco(owner);
    assert_eq!(refused(&mut venue, second.clone()), Refusal::DuplicateClientOrderId);
    for (at, order) in second.orders.iter_mut().enumerate() {
        order.client_order_id = name(&format!("second{at}"));
    }
    assert_eq!(refused(&mut venue, second.clone()), Refusal::DuplicateClientOrderId);
    second.client_order_id = name("second");
    assert_eq!(refused(&mut venue, second.clone()), Refusal::Filter(Filter::MaxOrderLists));
    venue.change(Some(Filters { order_lists_max: 2, ..strict }), None, None);
    assert_eq!(refused(&mut venue, second.clone()), Refusal::Filter(Filter::MaxOrders));
    venue.change(Some(Filters { order_lists_max: 2, orders_max: 5, ..strict }), None, None);
    place(&mut venue, second);
    venue.change(Some(Filters { order_lists_max: 0, ..strict }), None, None);
    assert_eq!(refused(&mut venue, oco(other)), Refusal::NoOrderLists);
}

#[test]
fn older_rules_know_no_lists() {
    let mut venue = Venue::new();
    let owner = venue.rich();
    assert_eq!(refused(&mut venue, oco(owner)), Refusal::RulesTooOld);
}
