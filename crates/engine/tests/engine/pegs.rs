//! Pegged orders: the book gives them their price once.

use crate::kit::*;
use crossbook_protocol::command::Body;
use crossbook_protocol::event::CloseReason::Unaffordable;
use crossbook_protocol::event::Half;
use crossbook_protocol::order::{AmendOrder, Instructions, NewOrder, ReplaceOrder, Target};
use crossbook_protocol::{Answer, Event, Refusal, Rules};
use crossbook_types::{
    Feature, Filter, Filters, OrderId, OrderType, Peg, PegPrice, Price, Quantity, Side, SpecialFilters, TimeInForce,
};

use PegPrice::{Market, Primary};

fn venue() -> Venue {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::V4));
    venue
}

trait Pegged {
    fn pegged(self, price: PegPrice, level: u8) -> NewOrder;
}

impl Pegged for NewOrder {
    /// It names no price.
    fn pegged(self, price: PegPrice, level: u8) -> NewOrder {
        let instructions = Instructions { peg: Some(Peg { price, level }), ..Instructions::default() };
        self.with(|terms| (terms.instructions, terms.price) = (instructions.boxed(), None))
    }
}

/// The orders that got a price, and which.
fn pegged(events: &[Event]) -> Vec<(OrderId, u64)> {
    let pegged = |event: &Event| match event {
        Event::OrderPegged { order, price, .. } => Some((*order, price.0)),
        _ => None,
    };
    events.iter().filter_map(pegged).collect()
}

#[test]
fn the_price_is_that_of_a_level_of_either_side_and_stays() {
    let mut venue = venue();
    let (maker, a) = (venue.rich(), venue.rich());
    for price in [100, 98, 95] {
        venue.rest(buy(maker, price, 5));
    }
    venue.rest(sell(maker, 103, 5));
    venue.rest(sell(maker, 107, 5));
    let (id, events) = venue.place(buy(a, 1, 4).pegged(Primary, 0));
    assert_eq!(pegged(&events), [(id, 100)]);
    assert_eq!(venue.held(a, USDT), 400 * TICK_LOT, "what it needs, not all that there is");
    let (_, events) = venue.place(buy(a, 1, 4).pegged(Primary, 2).maker_only());
    assert_eq!(pegged(&events)[0].1, 95);
    venue.rest(buy(maker, 101, 5));
    assert_eq!(venue.depth(Side::Buy), [(101, 5), (100, 9), (98, 5), (95, 9)], "it does not float");
    // From the other side it takes.
    let (id, events) = venue.place(buy(a, 1, 7).pegged(Market, 1).within(TimeInForce::Ioc));
    assert_eq!((pegged(&events), trades(&events)), (vec![(id, 107)], vec![(103, 5), (107, 2)]));
    let (_, events) = venue.place(sell(a, 1, 3).pegged(Market, 0));
    assert_eq!((trades(&events), venue.held(a, BTC)), (vec![(101, 3)], 0));
    venue.restart();
    venue.cancel_all(a).unwrap();
    assert_eq!((venue.held(a, USDT), venue.held(a, BTC)), (0, 0));
}

#[test]
fn what_it_may_not_be_is_refused() {
    let mut venue = venue();
    let (maker, a, poor) = (venue.rich(), venue.rich(), venue.trader(0, 300));
    assert_eq!(venue.refused(buy(a, 1, 4).pegged(Primary, 0)), Refusal::ThinForPeg);
    venue.rest(buy(maker, 100, 5));
    assert_eq!(venue.refused(buy(a, 1, 4).pegged(Primary, 1)), Refusal::ThinForPeg);
    assert_eq!(venue.refused(buy(a, 1, 4).pegged(Market, 0)), Refusal::ThinForPeg);
    assert_eq!(venue.refused(buy(a, 1, 4).pegged(Market, 0).maker_only()), Refusal::PegPrice);
    assert_eq!(venue.refused(buy(a, 1, 4).pegged(Primary, 0).within(TimeInForce::Fok)), Refusal::PegPrice);
    assert_eq!(venue.refused(market(a, Side::Sell, lots(4)).pegged(Market, 0)), Refusal::PegType);
    let stop_loss = stop(a, Side::Sell, OrderType::StopLoss, 90, 4).pegged(Market, 0);
    assert_eq!(venue.refused(stop_loss), Refusal::PegType);
    assert_eq!(venue.refused(buy(a, 1, 4).pegged(Primary, 101)), Refusal::MalformedOrder);
    assert_eq!(venue.refused(buy(poor, 1, 4).pegged(Primary, 0)), Refusal::InsufficientBalance);
    venue.rest(buy(poor, 1, 3).pegged(Primary, 0));
    // A price besides counts for nothing but the filters.
    let mut special = SpecialFilters::USUAL;
    venue.change(Some(Filters { price_min: Price(50), ..open_filters() }), None, None);
    assert_eq!(venue.refused(buy(a, 1, 4).pegged(Primary, 0).at_limit(49)), Refusal::Filter(Filter::Price));
    let (_, events) = venue.place(buy(a, 1, 4).pegged(Primary, 0).at_limit(50));
    assert_eq!(pegged(&events)[0].1, 100);
    special.pegged = false;
    venue.change(Some(Filters { special, ..open_filters() }), None, None);
    assert_eq!(venue.refused(buy(a, 1, 4).pegged(Primary, 0)), Refusal::Unsupported(Feature::Pegged));
}

#[test]
fn one_that_waits_gets_its_price_when_it_is_triggered() {
    let mut venue = venue();
    let (maker, a) = (venue.rich(), venue.rich());
    venue.trade_at(100);
    let stop_buy = |lots| stop(a, Side::Buy, OrderType::StopLossLimit, 110, lots).pegged(Primary, 0);
    let works = venue.rest(stop_buy(10));
    assert_eq!(venue.held(a, USDT), 1_210 * TICK_LOT, "as for one that will run at market");
    venue.rest(buy(maker, 105, 1));
    venue.rest(sell(maker, 110, 1));
    let taker = venue.rich();
    let (_, events) = venue.place(buy(taker, 110, 1));
    assert_eq!((triggered(&events), pegged(&events)), (vec![works], vec![(works, 105)]));
    assert_eq!((venue.depth(Side::Buy), venue.held(a, USDT)), (vec![(105, 11)], 1_050 * TICK_LOT));
    venue.cancel(a, Target::Order(works)).unwrap();
    // Where there is no such level it ends.
    let ends = venue.rest(stop(a, Side::Buy, OrderType::StopLossLimit, 120, 10).pegged(Primary, 5));
    venue.rest(sell(maker, 120, 1));
    let (_, events) = venue.place(buy(taker, 120, 1));
    assert_eq!((triggered(&events), pegged(&events)), (vec![ends], vec![]));
    assert!(closed(&events).contains(&(ends, Unaffordable)));
    assert_eq!(venue.held(a, USDT), 0);
}

#[test]
fn one_may_hide_a_part_and_be_amended_and_replaced() {
    let mut venue = venue();
    let (maker, a) = (venue.rich(), venue.trader(0, 900));
    venue.rest(buy(maker, 100, 5));
    let iceberg =
        |order: NewOrder| order.with(|terms| terms.instructions.as_mut().unwrap().iceberg = Some(Quantity(3)));
    let id = venue.rest(iceberg(buy(a, 1, 9).pegged(Primary, 0)));
    assert_eq!((venue.depth(Side::Buy), venue.held(a, USDT)), (vec![(100, 8)], 900 * TICK_LOT));
    let events = venue.apply(Body::Amend(AmendOrder {
        account: a,
        symbol: BTCUSDT,
        target: Target::Order(id),
        quantity: Quantity(5),
        placed: Quantity(9),
        client_order_id: name("amended"),
    }));
    assert_eq!(*answer(&events), Answer::Amended { symbol: BTCUSDT, order: id });
    assert_eq!((venue.depth(Side::Buy), venue.held(a, USDT)), (vec![(100, 8)], 500 * TICK_LOT));
    // Another one gets all that it holds, and gives back what it does not need.
    let (order, target) = (buy(a, 1, 7).pegged(Primary, 0).named("new"), Target::Order(id));
    let request = ReplaceOrder { order, target, cancel_id: name("gone"), restriction: None, allow_failure: false };
    let events = venue.apply(Body::Replace(Box::new(request)));
    assert!(
        matches!(answer(&events), Answer::Replaced { canceled: Half::Done(_), placed: Half::Done(_), .. }),
        "{events:?}"
    );
    assert_eq!((venue.held(a, USDT), venue.free(a, USDT)), (700 * TICK_LOT, 200 * TICK_LOT));
}
