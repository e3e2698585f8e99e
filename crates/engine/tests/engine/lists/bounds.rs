//! What bounds the orders and the position of an account in all markets bounds order lists, too.

use crossbook_protocol::order::Instructions;
use crossbook_types::{Amount, ExchangeFilters, Peg, PegPrice, Quantity, RelativeFilters};

use super::*;

fn set(venue: &mut Venue, filters: ExchangeFilters) {
    venue.apply(Body::SetExchangeFilters(filters));
}

/// The same list under other names.
fn other(list: &NewList, number: usize) -> NewList {
    let mut list = NewList { client_order_id: name(&format!("list{number}")), ..list.clone() };
    for (at, order) in list.orders.iter_mut().enumerate() {
        order.client_order_id = name(&format!("n{number}.{at}"));
    }
    list
}

#[test]
fn orders_of_lists_count_for_the_filters_of_the_venue() {
    let (mut venue, owner, somebody) = quiet(false);
    set(&mut venue, ExchangeFilters { orders_max: 5, ..ExchangeFilters::default() });
    place(&mut venue, otoco(owner));
    let full = Refusal::Filter(Filter::ExchangeMaxOrders);
    assert_eq!(refused(&mut venue, other(&otoco(owner), 1)), full, "six");
    let (second, _) = place(&mut venue, other(&oco(owner), 1));
    assert_eq!(venue.refused(buy(owner, 50, 1)), full);
    venue.restart();
    assert_eq!(venue.refused(buy(owner, 50, 1)), full);
    // The working order is filled, and one of a pair runs: the pair counts until it has ended.
    venue.place(sell(somebody, 95, 10));
    let alone = venue.rest(buy(owner, 50, 1));
    venue.place(buy(somebody, 110, 3));
    assert_eq!(venue.refused(buy(owner, 50, 1)), full);
    cancel_list(&mut venue, owner, ListTarget::List(second)).unwrap();
    venue.cancel(owner, Target::Order(alone)).unwrap();
    cancel_list(&mut venue, owner, ListTarget::Client(name("list"))).unwrap();
    venue.trade_at(100);
    // A list that its market refuses does not count.
    let mut wrong = oco(owner);
    wrong.orders[0].stop_price = Price(100).into();
    (0..9).for_each(|_| assert_eq!(refused(&mut venue, wrong.clone()), Refusal::ListPrices));
    // Stop orders and iceberg orders, each by itself.
    set(&mut venue, ExchangeFilters { algo_orders_max: 1, ..ExchangeFilters::default() });
    place(&mut venue, oco(owner));
    let full = Refusal::Filter(Filter::ExchangeMaxAlgoOrders);
    assert_eq!(refused(&mut venue, other(&otoco(owner), 2)), full);
    set(&mut venue, ExchangeFilters { iceberg_orders_max: 1, ..ExchangeFilters::default() });
    let mut hidden = other(&oco(owner), 3);
    hidden.orders[1].instructions = Instructions { iceberg: Some(Quantity(1)), ..Instructions::default() }.boxed();
    place(&mut venue, hidden.clone());
    let full = Refusal::Filter(Filter::ExchangeMaxIcebergOrders);
    assert_eq!(refused(&mut venue, other(&hidden, 4)), full);
    assert_eq!(venue.partition.audit().violations, Vec::<String>::new());
}

#[test]
fn an_account_has_no_more_lists_in_all_markets_than_it_may() {
    let (mut venue, owner, other_owner) = quiet(false);
    set(&mut venue, ExchangeFilters { order_lists_max: 2, ..ExchangeFilters::default() });
    let mut elsewhere = other(&otoco(owner), 1);
    elsewhere.symbol = ETHBTC;
    elsewhere.orders.iter_mut().for_each(|order| order.symbol = ETHBTC);
    let eth = venue.transfer(owner, ETH, 1 << 60, "eth");
    assert!(eth.is_ok());
    let events = venue.apply(Body::PlaceList(Box::new(elsewhere)));
    assert!(matches!(answer(&events), Answer::ListPlaced { symbol: ETHBTC, .. }), "{events:?}");
    let oto = list(ListKind::Oto, vec![buy(owner, 50, 1).named("a"), sell(owner, 150, 1).named("b")]);
    place(&mut venue, other(&oto, 2));
    venue.restart();
    let full = Refusal::Filter(Filter::ExchangeMaxOrderLists);
    assert_eq!(refused(&mut venue, other(&oco(owner), 3)), full);
    venue.rest(buy(owner, 50, 1));
    place(&mut venue, other(&oco(other_owner), 4));
    cancel_list(&mut venue, owner, ListTarget::Client(name("list2"))).unwrap();
    place(&mut venue, other(&oco(owner), 3));
    assert_eq!(refused(&mut venue, other(&oco(owner), 5)), full);
}

#[test]
fn lists_bring_no_more_than_an_account_may_have() {
    let (mut venue, _, somebody) = quiet(false);
    let owner = venue.trader(10, 100_000);
    let relative = RelativeFilters { position_max: Amount(40 * LOT), ..open_filters().relative };
    venue.change(Some(Filters { relative, ..open_filters() }), None, None);
    let full = Refusal::Filter(Filter::MaxPosition);
    // Ten are there, ten would be bought, and what sells them does not count.
    let mut paying = opoco(owner);
    paying.orders[1].stop_price = Price(80).into();
    place(&mut venue, paying);
    // Of a pair one is carried out.
    let stop = stop(owner, Side::Buy, OrderType::StopLoss, 110, 15);
    let pair = list(ListKind::Oco, vec![stop, buy(owner, 90, 15).maker_only()]);
    let (second, _) = place(&mut venue, other(&pair, 1));
    assert_eq!(venue.refused(buy(owner, 50, 6)), full);
    let last = venue.rest(buy(owner, 50, 5));
    venue.restart();
    assert_eq!(refused(&mut venue, other(&pair, 2)), full);
    // What has come in counts as such.
    venue.place(sell(somebody, 90, 17));
    assert_eq!(venue.partition.ledger().incoming(owner, BTCUSDT), Amount((5 + 8) * LOT));
    assert_eq!(venue.refused(buy(owner, 50, 1)), full);
    cancel_list(&mut venue, owner, ListTarget::List(second)).unwrap();
    assert_eq!(venue.partition.ledger().incoming(owner, BTCUSDT), Amount(5 * LOT));
    venue.cancel(owner, Target::Order(last)).unwrap();
    // One that works and one that is pending may both buy.
    let working = buy(owner, 50, 4).named("working");
    let both = list(ListKind::Oto, vec![working, buy(owner, 60, 10)]);
    assert_eq!(refused(&mut venue, other(&both, 5)), full);
    // Which price it gets is not known, so neither is what is left to come.
    let mut follows = other(&both, 6);
    let peg = Instructions { peg: Some(Peg { price: PegPrice::Primary, level: 1 }), ..Instructions::default() };
    (follows.orders[1].instructions, follows.orders[1].price) = (peg.boxed(), None);
    assert_eq!(refused(&mut venue, follows), full);
    assert_eq!(venue.partition.audit().violations, Vec::<String>::new());
}

/// The pair that was open when a filter was switched on counts as what is open of it.
#[test]
fn lists_that_were_open_count() {
    let (mut venue, owner, somebody) = quiet(false);
    place(&mut venue, otoco(owner));
    let buys = stop(owner, Side::Buy, OrderType::StopLoss, 110, 12);
    let pair = list(ListKind::Oco, vec![buys, buy(owner, 93, 12).maker_only()]);
    let (second, _) = place(&mut venue, other(&pair, 1));
    let lists = ExchangeFilters { order_lists_max: 2, algo_orders_max: 3, orders_max: 6, ..ExchangeFilters::default() };
    set(&mut venue, lists);
    venue.restart();
    assert_eq!(refused(&mut venue, other(&oco(owner), 2)), Refusal::Filter(Filter::ExchangeMaxOrderLists));
    venue.rest(buy(owner, 50, 1));
    assert_eq!(venue.refused(buy(owner, 50, 1)), Refusal::Filter(Filter::ExchangeMaxOrders));
    let counts = venue.partition.ledger().order_counts(owner);
    assert_eq!((counts.orders, counts.algo, counts.icebergs, counts.lists), (6, 2, 0, 2));
    // Of a pair one is carried out; what the working order buys counts beside what is sold.
    let relative = RelativeFilters { position_max: Amount(1 << 60), ..open_filters().relative };
    set(&mut venue, ExchangeFilters::default());
    venue.change(Some(Filters { relative, ..open_filters() }), None, None);
    venue.rest(buy(owner, 50, 1));
    let coming = |venue: &Venue| venue.partition.ledger().incoming(owner, BTCUSDT).0 / LOT;
    assert_eq!(coming(&venue), 10 + 12 + 1 + 1);
    venue.place(sell(somebody, 95, 10));
    venue.place(sell(somebody, 93, 2));
    assert_eq!(coming(&venue), 10 + 1 + 1);
    cancel_list(&mut venue, owner, ListTarget::List(second)).unwrap();
    assert_eq!(coming(&venue), 1 + 1);
    cancel_list(&mut venue, owner, ListTarget::Client(name("list"))).unwrap();
    let counts = venue.partition.ledger().order_counts(owner);
    assert_eq!((counts.orders, counts.algo, counts.lists), (1, 0, 0), "one was placed while the filters were off");
}
