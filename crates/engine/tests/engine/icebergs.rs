//! Iceberg orders: what shows of them and what does not.

use crate::kit::*;
use crossbook_protocol::command::Body;
use crossbook_protocol::event::CloseReason::{Canceled, Expired, Filled, SelfTradePrevented};
use crossbook_protocol::order::{AmendOrder, Instructions, NewOrder, Target};
use crossbook_protocol::{Answer, Event, Refusal, Rules};
use crossbook_types::{
    Feature, Filter, Filters, OrderType, Quantity, SelfTradePrevention, Side, SpecialFilters, TimeInForce,
};

fn venue() -> Venue {
    with(SpecialFilters::USUAL)
}

fn with(special: SpecialFilters) -> Venue {
    let mut venue = Venue::with(Filters { special, ..open_filters() }, fees("0.001", "0.002"));
    venue.apply(Body::ActivateRules(Rules::V4));
    venue
}

fn bounds(iceberg_parts_max: u32, iceberg_orders_max: u32) -> SpecialFilters {
    let mut filters = SpecialFilters::USUAL;
    (filters.iceberg_parts_max, filters.iceberg_orders_max) = (iceberg_parts_max, iceberg_orders_max);
    filters
}

trait Hiding {
    fn showing(self, part: u64) -> NewOrder;
}

impl Hiding for NewOrder {
    fn showing(self, part: u64) -> NewOrder {
        let instructions = Instructions { iceberg: Some(Quantity(part)), ..Instructions::default() };
        self.with(|terms| terms.instructions = instructions.boxed())
    }
}

fn depth_changes(events: &[Event]) -> Vec<(u64, u64)> {
    let change = |event: &Event| match event {
        Event::DepthChanged(change) => Some((change.price.0, change.quantity.0)),
        _ => None,
    };
    events.iter().filter_map(change).collect()
}

#[test]
fn only_a_part_shows_and_the_next_one_queues_behind_the_others() {
    let mut venue = venue();
    let (a, b, taker) = (venue.rich(), venue.rich(), venue.rich());
    let iceberg = venue.rest(sell(a, 100, 10).showing(3));
    let plain = venue.rest(sell(b, 100, 2));
    assert_eq!(venue.depth(Side::Sell), [(100, 5)]);
    assert_eq!(venue.held(a, BTC), 10 * LOT, "all of it is held");
    // The visible part, the plain order, and again the iceberg order.
    let (_, events) = venue.place(buy(taker, 100, 6));
    assert_eq!(trades(&events), [(100, 3), (100, 2), (100, 1)]);
    assert_eq!(closed(&events)[0], (plain, Filled));
    assert_eq!(venue.depth(Side::Sell), [(100, 2)], "2 of 3 lots of the second part");
    assert_eq!(venue.mirror.order(BTCUSDT, iceberg).unwrap().left, Some(Quantity(6)));
    // A later order stands behind what shows, and before what does not.
    let later = venue.rest(sell(b, 100, 1));
    let (_, events) = venue.place(buy(taker, 100, 7));
    assert_eq!(trades(&events), [(100, 2), (100, 1), (100, 3), (100, 1)]);
    assert_eq!(closed(&events)[..2], [(later, Filled), (iceberg, Filled)]);
    assert!(venue.depth(Side::Sell).is_empty());
    assert_eq!((venue.held(a, BTC), venue.free(a, BTC)), (0, (1_000_000 - 10) * LOT));
}

#[test]
fn what_shows_again_as_before_is_no_change_of_the_depth() {
    let mut venue = venue();
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 100, 10).showing(2));
    let (_, events) = venue.place(buy(taker, 100, 4));
    assert_eq!((trades(&events), depth_changes(&events)), (vec![(100, 2), (100, 2)], vec![]));
    let (_, events) = venue.place(buy(taker, 100, 5));
    assert_eq!((trades(&events), depth_changes(&events)), (vec![(100, 2), (100, 2), (100, 1)], vec![(100, 1)]));
}

#[test]
fn it_takes_with_all_of_it_and_hides_what_rests() {
    let mut venue = venue();
    let (maker, a) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 100, 5));
    let (_, events) = venue.place(buy(a, 100, 12).showing(2));
    assert_eq!(trades(&events), [(100, 5)]);
    assert_eq!((venue.depth(Side::Buy), venue.held(a, USDT)), (vec![(100, 2)], 7 * 100 * TICK_LOT));
}

#[test]
fn whoever_asks_whether_there_is_enough_counts_what_is_hidden() {
    let mut venue = venue();
    let (maker, poor) = (venue.rich(), venue.trader(0, 150));
    let taker = venue.rich();
    venue.rest(sell(maker, 10, 40).showing(5));
    venue.rest(sell(maker, 11, 10));
    let (_, events) = venue.place(buy(taker, 10, 41).within(TimeInForce::Fok));
    assert_eq!((trades(&events).len(), closed(&events)[0].1), (0, Expired));
    let (id, events) = venue.place(buy(taker, 10, 30).within(TimeInForce::Fok));
    assert_eq!((trades(&events).len(), closed(&events)), (6, vec![(id, Filled)]));
    // 10 are left at 10, of which 5 show: 15 of them at these prices cost 155.
    assert_eq!(venue.refused(market(poor, Side::Buy, lots(15))), Refusal::InsufficientBalance);
    let (_, events) = venue.place(market(poor, Side::Buy, lots(14)));
    assert_eq!(trades(&events), [(10, 5), (10, 5), (11, 4)]);
}

#[test]
fn what_hides_behind_an_own_order_is_out_of_reach() {
    let mut venue = venue();
    let (maker, own) = (venue.rich(), venue.rich());
    let iceberg = venue.rest(sell(maker, 100, 9).showing(3));
    let mine = venue.rest(sell(own, 100, 4).showing(1));
    let taker = |lots| buy(own, 100, lots).preventing(SelfTradePrevention::ExpireTaker);
    let (_, events) = venue.place(taker(4).within(TimeInForce::Fok));
    assert_eq!((trades(&events).len(), closed(&events)[0].1), (0, Expired));
    let (id, events) = venue.place(taker(4));
    assert_eq!((trades(&events), closed(&events)), (vec![(100, 3)], vec![(id, SelfTradePrevented)]));
    // Expiring the maker ends all of it, with what is hidden.
    let (_, events) = venue.place(buy(own, 100, 2).preventing(SelfTradePrevention::ExpireMaker));
    let prevented = events.iter().find_map(|event| match event {
        Event::MatchPrevented(prevented) => Some((prevented.quantity.0, prevented.maker_prevented.0)),
        _ => None,
    });
    assert_eq!((prevented, trades(&events)), (Some((1, 4)), vec![(100, 2)]));
    assert_eq!(closed(&events)[0], (mine, SelfTradePrevented));
    assert_eq!((venue.held(own, BTC), venue.depth(Side::Sell)), (0, vec![(100, 1)]));
    assert_eq!(venue.mirror.order(BTCUSDT, iceberg).unwrap().left, Some(Quantity(4)));
}

#[test]
fn cancels_restarts_and_moves_keep_what_is_hidden() {
    let mut venue = venue();
    let (maker, taker) = (venue.rich(), venue.rich());
    let id = venue.rest(buy(maker, 100, 10).showing(4));
    let waits = stop(maker, Side::Sell, OrderType::StopLossLimit, 90, 9).at_limit(95).showing(2);
    let waits = venue.rest(waits);
    venue.place(sell(taker, 100, 5));
    assert_eq!(venue.depth(Side::Buy), [(100, 3)]);
    venue.restart();
    assert_eq!(venue.partition.depth(BTCUSDT).unwrap().levels(Side::Buy).next().unwrap().1, Quantity(3));
    venue.place(sell(taker, 100, 3));
    assert_eq!(venue.depth(Side::Buy), [(100, 2)], "the last part is smaller");
    let (_, events) = venue.cancel(maker, Target::Order(id)).unwrap();
    assert!(matches!(closed(&events)[0], (ended, Canceled { .. }) if ended == id));
    assert_eq!((venue.held(maker, USDT), venue.depth(Side::Buy)), (0, vec![]));
    // The stop order hides its rest once it works.
    venue.trade_at(90);
    assert_eq!(venue.depth(Side::Sell), [(95, 2)]);
    assert!(venue.mirror.order(BTCUSDT, waits).is_some());
    assert_eq!(venue.held(maker, BTC), 9 * LOT);
}

#[test]
fn a_market_bounds_icebergs() {
    let mut venue = with(bounds(4, 2));
    let a = venue.rich();
    let refusal = |filter| Refusal::Filter(filter);
    assert_eq!(venue.refused(sell(a, 100, 9).showing(2)), refusal(Filter::IcebergParts));
    assert_eq!(venue.refused(sell(a, 100, 9).showing(10)), Refusal::IcebergTooLarge);
    assert_eq!(venue.refused(sell(a, 100, 9).showing(0)), Refusal::MalformedOrder);
    assert_eq!(venue.refused(sell(a, 100, 9).showing(5).within(TimeInForce::Ioc)), Refusal::MalformedOrder);
    assert_eq!(venue.refused(market(a, Side::Sell, lots(9)).showing(5)), Refusal::MalformedOrder);
    let first = venue.rest(sell(a, 100, 8).showing(2));
    let waits = venue.rest(stop(a, Side::Sell, OrderType::TakeProfitLimit, 110, 9).at_limit(105).showing(9));
    assert_eq!(venue.refused(sell(a, 100, 9).showing(5)), refusal(Filter::MaxIcebergOrders));
    venue.cancel(a, Target::Order(waits)).unwrap();
    let second = venue.rest(sell(a, 101, 9).showing(5).maker_only());
    assert_eq!(venue.refused(sell(a, 100, 9).showing(5)), refusal(Filter::MaxIcebergOrders));
    // One that is filled counts no more.
    let taker = venue.rich();
    let (_, events) = venue.place(buy(taker, 100, 10));
    assert_eq!(closed(&events)[0], (first, Filled));
    venue.rest(sell(a, 101, 9).showing(5));
    venue.cancel(a, Target::Order(second)).unwrap();
    venue.change(Some(Filters { special: bounds(0, 2), ..open_filters() }), None, None);
    assert_eq!(venue.refused(sell(a, 100, 9).showing(5)), Refusal::Unsupported(Feature::Iceberg));
}

#[test]
fn an_amendment_takes_what_is_hidden_first() {
    let mut venue = venue();
    let (a, taker) = (venue.rich(), venue.rich());
    let id = venue.rest(sell(a, 100, 10).showing(4));
    let amend = |venue: &mut Venue, quantity| {
        let (placed, client_order_id) = (Quantity(10), name("amended"));
        let target = Target::Order(id);
        let quantity = Quantity(quantity);
        let request = AmendOrder { account: a, symbol: BTCUSDT, target, quantity, placed, client_order_id };
        let events = venue.apply(Body::Amend(request));
        assert!(matches!(answer(&events), Answer::Amended { .. }), "{events:?}");
        depth_changes(&events)
    };
    assert_eq!(amend(&mut venue, 6), []);
    assert_eq!(venue.held(a, BTC), 6 * LOT);
    venue.place(buy(taker, 100, 3));
    assert_eq!(amend(&mut venue, 4), [], "3 are left, 2 of them hidden");
    assert_eq!((venue.depth(Side::Sell), venue.held(a, BTC)), (vec![(100, 1)], LOT));
    venue.restart();
    let later = venue.rest(sell(a, 100, 6).showing(5).named("later"));
    let (_, events) = venue.place(buy(taker, 100, 2));
    assert_eq!(trades(&events), [(100, 1), (100, 1)], "it has kept its place");
    assert_eq!(closed(&events)[0], (id, Filled));
    assert!(venue.mirror.order(BTCUSDT, later).is_some());
}
