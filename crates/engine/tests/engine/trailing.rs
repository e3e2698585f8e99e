//! Trailing stops: when they begin, what they see, and when they trigger.

use crate::kit::*;
use crossbook_engine::{Partition, WorkBudget};
use crossbook_protocol::command::Body;
use crossbook_protocol::event::Half;
use crossbook_protocol::order::{AmendOrder, Instructions, NewOrder, ReplaceOrder, Target};
use crossbook_protocol::{Answer, Command, Event, Events, Refusal, Rules};
use crossbook_types::{
    AccountId, Feature, Filter, Filters, OptionalPrice, OrderId, OrderType, Quantity, RequestNumber, Side,
    SpecialFilters, Timestamp, TrailingBounds, TrailingDelta,
};

use OrderType::{StopLoss, StopLossLimit, TakeProfit, TakeProfitLimit};

fn venue() -> Venue {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::V4));
    venue
}

trait Trailing {
    fn trailing(self, delta: u32) -> NewOrder;
    fn at_once(self) -> NewOrder;
}

impl Trailing for NewOrder {
    fn trailing(self, delta: u32) -> NewOrder {
        let instructions = Instructions { trailing: Some(TrailingDelta(delta)), ..Instructions::default() };
        self.with(|terms| terms.instructions = instructions.boxed())
    }
    fn at_once(self) -> NewOrder {
        self.with(|terms| terms.stop_price = OptionalPrice::NONE)
    }
}

/// Lets a trade happen at each price; what triggered at which.
fn trade_at(venue: &mut Venue, prices: &[u64]) -> Vec<(u64, Vec<OrderId>)> {
    let (maker, taker) = (venue.rich(), venue.rich());
    let mut found = Vec::new();
    for &price in prices {
        venue.place(sell(maker, price, 1));
        let (_, events) = venue.place(buy(taker, price, 1));
        if !triggered(&events).is_empty() {
            found.push((price, triggered(&events)));
        }
    }
    found
}

/// Orders that began to trail.
fn begun(events: &[Event]) -> Vec<OrderId> {
    let begun = |event: &Event| match event {
        Event::TrailingBegun { order, .. } => Some(*order),
        _ => None,
    };
    events.iter().filter_map(begun).collect()
}

/// The cases that the documentation of the standard works out.
#[test]
fn each_kind_begins_at_its_stop_price_and_triggers_when_the_price_comes_back() {
    for (side, kind, stop_price, delta, begin, prices, at) in [
        (Side::Buy, StopLossLimit, 44_000, 500, 43_000, &[37_000, 44_000, 46_000, 42_000, 44_099, 44_100][..], 44_100),
        (Side::Sell, StopLossLimit, 39_000, 1_000, 40_000, &[39_000, 37_000, 41_000, 36_901, 36_900], 36_900),
        (Side::Buy, TakeProfitLimit, 38_000, 850, 40_000, &[38_000, 37_000, 40_144, 40_145], 40_145),
        (Side::Sell, TakeProfitLimit, 42_000, 750, 40_000, &[42_000, 46_500, 43_013, 43_012], 43_012),
    ] {
        let mut venue = venue();
        let owner = venue.rich();
        venue.trade_at(begin);
        let limit = if side == Side::Buy { 45_000 } else { 30_000 };
        let id = venue.rest(stop(owner, side, kind, stop_price, 10).at_limit(limit).trailing(delta));
        assert_eq!(trade_at(&mut venue, prices), [(at, vec![id])], "{side:?} {kind:?}");
    }
}

#[test]
fn without_a_stop_price_it_trails_from_the_last_price_on() {
    let mut venue = venue();
    let owner = venue.rich();
    venue.trade_at(40_000);
    let (id, events) = venue.place(stop(owner, Side::Sell, StopLoss, 1, 5).at_once().trailing(700));
    assert_eq!(begun(&events), [id]);
    let buyer = venue.rich();
    venue.rest(buy(buyer, 30_000, 9));
    assert_eq!(trade_at(&mut venue, &[37_201, 45_500, 42_316]), []);
    venue.restart();
    assert_eq!(trade_at(&mut venue, &[42_315]), [(42_315, vec![id])]);
    assert_eq!(venue.held(owner, BTC), 0);
}

#[test]
fn where_nothing_has_traded_it_begins_with_the_first_trade() {
    let mut venue = venue();
    let owner = venue.rich();
    let id = venue.rest(stop(owner, Side::Sell, StopLossLimit, 1, 5).at_limit(90).at_once().trailing(1_000));
    venue.restart();
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 100, 1));
    let (_, events) = venue.place(buy(taker, 100, 1));
    assert_eq!(begun(&events), [id]);
    assert_eq!(trade_at(&mut venue, &[110, 100, 99]), [(99, vec![id])]);
}

#[test]
fn a_buy_that_will_run_at_market_holds_what_it_may_cost() {
    let mut venue = venue();
    let (owner, poor) = (venue.rich(), venue.trader(0, 1_230));
    // Without a price nobody knows.
    assert_eq!(
        venue.refused(stop(owner, Side::Buy, StopLoss, 1, 1).at_once().trailing(1_000)),
        Refusal::Filter(Filter::Notional)
    );
    venue.trade_at(100);
    let buy_10 = |account| stop(account, Side::Buy, StopLoss, 1, 10).at_once().trailing(1_000);
    let id = venue.rest(buy_10(owner));
    assert_eq!(venue.held(owner, USDT), 10 * 121 * TICK_LOT, "10 lots at 110, and 10 % more");
    venue.cancel(owner, Target::Order(id)).unwrap();
    assert_eq!(venue.held(owner, USDT), 0);
    assert_eq!(
        venue.refused(stop(poor, Side::Buy, StopLoss, 1, 11).at_once().trailing(1_000)),
        Refusal::InsufficientBalance
    );
    venue.rest(buy_10(poor));
    assert_eq!((venue.held(poor, USDT), venue.free(poor, USDT)), (1_210 * TICK_LOT, 20 * TICK_LOT));
    let seller = venue.rich();
    venue.rest(sell(seller, 115, 20));
    assert_eq!(trade_at(&mut venue, &[110]).len(), 1);
    assert_eq!((venue.held(poor, USDT), venue.free(poor, USDT)), (0, 80 * TICK_LOT));
    // With a stop price, that decides.
    let id = venue.rest(stop(owner, Side::Buy, TakeProfit, 100, 10).trailing(1_000));
    assert_eq!((venue.held(owner, USDT), id.0 > 0), (10 * 121 * TICK_LOT, true));
}

#[test]
fn more_than_one_command_triggers_go_on_and_see_no_other_prices() {
    let work = WorkBudget { triggers: 2, continued: 3, ..WorkBudget::RULES };
    let mut venue = venue().with_work(work);
    let owner = venue.rich();
    venue.trade_at(1_000);
    let sell_1 = |delta| stop(owner, Side::Sell, StopLossLimit, 1, 1).at_limit(2_000).at_once().trailing(delta);
    let first: Vec<_> = (0..8).map(|at| venue.rest(sell_1(1_000 - at))).collect();
    // The price falls, and is back before all have had their turn.
    let mut order: Vec<OrderId> = trade_at(&mut venue, &[900]).into_iter().flat_map(|(_, ids)| ids).collect();
    let late = venue.rest(sell_1(1_000));
    order.extend(trade_at(&mut venue, &[1_100]).into_iter().flat_map(|(_, ids)| ids));
    assert!(order.len() < 8, "{order:?}");
    venue.restart_with(work);
    while let Some(events) = venue.go_on() {
        assert!(triggered(&events).len() <= 3);
        order.extend(triggered(&events));
    }
    let expected: Vec<_> = first.iter().rev().copied().collect();
    assert_eq!(order, expected, "the smallest delta first, and none that began later");
    assert_eq!(trade_at(&mut venue, &[991, 990]), [(990, vec![late])], "it has seen 1,100");
}

/// Lowers an order that was placed for `placed` lots.
fn amend(venue: &mut Venue, account: AccountId, order: OrderId, [placed, lots]: [u64; 2]) -> Answer {
    let events = venue.apply(Body::Amend(AmendOrder {
        account,
        symbol: BTCUSDT,
        target: Target::Order(order),
        quantity: Quantity(lots),
        placed: Quantity(placed),
        client_order_id: name("amended"),
    }));
    answer(&events).clone()
}

#[test]
fn one_that_trails_can_be_amended_and_replaced() {
    let mut venue = venue();
    let owner = venue.trader(0, 2_000);
    venue.trade_at(100);
    let id = venue.rest(stop(owner, Side::Buy, StopLoss, 1, 10).at_once().trailing(1_000));
    assert_eq!(venue.held(owner, USDT), 1_210 * TICK_LOT);
    assert_eq!(amend(&mut venue, owner, id, [10, 4]), Answer::Amended { symbol: BTCUSDT, order: id });
    assert_eq!(venue.held(owner, USDT), 4 * 121 * TICK_LOT, "its share of what was held before");
    venue.restart();
    // What it holds pays for the order that replaces it, which needs all that there is.
    let order = buy(owner, 200, 10).named("new");
    let (target, cancel_id) = (Target::Order(id), name("gone"));
    let request = ReplaceOrder { order, target, cancel_id, restriction: None, allow_failure: false };
    let events = venue.apply(Body::Replace(Box::new(request)));
    assert!(
        matches!(answer(&events), Answer::Replaced { canceled: Half::Done(_), placed: Half::Done(_), .. }),
        "{events:?}"
    );
    assert_eq!((venue.held(owner, USDT), venue.free(owner, USDT)), (2_000 * TICK_LOT, 0));
    venue.cancel_all(owner).unwrap();
    // One that is amended still sees what it saw, and trades what is left of it.
    let id = venue.rest(stop(owner, Side::Buy, StopLoss, 1, 10).at_once().trailing(1_000));
    assert_eq!(trade_at(&mut venue, &[90]), []);
    amend(&mut venue, owner, id, [10, 3]);
    assert_eq!(trade_at(&mut venue, &[98, 99]), [(99, vec![id])]);
    assert_eq!(venue.held(owner, USDT), 0);
}

#[test]
fn a_market_bounds_trailing_stops() {
    let bounds = |min, max| TrailingBounds { min: TrailingDelta(min), max: TrailingDelta(max) };
    let mut special = SpecialFilters::USUAL;
    (special.trailing_above, special.trailing_below) = (bounds(50, 100), bounds(200, 300));
    let mut venue = venue();
    venue.change(Some(Filters { special, ..open_filters() }), None, None);
    venue.trade_at(100);
    let a = venue.rich();
    let delta = Refusal::Filter(Filter::TrailingDelta);
    let sell_1 = |kind, delta| stop(a, Side::Sell, kind, 1, 1).at_once().trailing(delta);
    assert_eq!((venue.refused(sell_1(StopLoss, 199)), venue.refused(sell_1(StopLoss, 301))), (delta, delta));
    assert_eq!((venue.refused(sell_1(TakeProfit, 49)), venue.refused(sell_1(TakeProfit, 101))), (delta, delta));
    venue.rest(sell_1(StopLoss, 200));
    venue.rest(sell_1(TakeProfit, 100));
    assert_eq!(venue.refused(sell(a, 100, 1).trailing(200)), Refusal::MalformedOrder);
    assert_eq!(venue.refused(stop(a, Side::Sell, StopLoss, 101, 1).trailing(200)), Refusal::WouldTrigger);
    (special.trailing_above, special.trailing_below) = (bounds(0, 0), bounds(0, 0));
    venue.change(Some(Filters { special, ..open_filters() }), None, None);
    assert_eq!(venue.refused(sell_1(StopLoss, 200)), Refusal::Unsupported(Feature::TrailingStop));
}

/// A hundred thousand of them wait, and each trade is as cheap as with none: this takes seconds, not hours.
#[test]
fn a_hundred_thousand_may_wait() {
    let mut venue = venue();
    let (owner, maker, taker) = (venue.rich(), venue.rich(), venue.trader(0, 100_000_000_000));
    venue.trade_at(100_000);
    let mut partition: Partition = venue.partition.clone();
    let mut events = Events::new();
    let mut number = 1_000;
    let mut apply = |order: NewOrder| {
        number += 1;
        let (sequence, source) = (partition.sequence().next(), GATEWAY);
        let order = order.named(&format!("n{number}"));
        events.clear();
        partition.apply(
            &Command::new(sequence, Timestamp(2_000_000 + number), source, RequestNumber(number), Body::Place(order)),
            &mut events,
        );
        assert!(matches!(answer(events.all()), Answer::Placed { .. }), "{:?}", events.all());
        triggered(events.all()).len()
    };
    for at in 0..100_000u32 {
        let side = if at % 2 == 0 { Side::Sell } else { Side::Buy };
        let order = stop(owner, side, StopLossLimit, 1, 1).at_limit(if side == Side::Buy { 10 } else { 900_000 });
        apply(order.at_once().trailing(1_000 + at % 1_000));
        // Prices that make many extremes.
        if at % 20 == 0 {
            let price = 100_000 + u64::from(at % 400) - u64::from(at / 500);
            apply(sell(maker, price, 1));
            assert_eq!(apply(buy(taker, price, 1)), 0);
        }
    }
    for at in 0..20_000u64 {
        let price = 99_500 + at * 7_919 % 1_000;
        apply(sell(maker, price, 1));
        assert_eq!(apply(buy(taker, price, 1)), 0);
    }
    apply(sell(maker, 90_000, 1));
    let done = apply(buy(taker, 90_000, 1));
    assert!((1..=64).contains(&done), "{done} trigger in one command, and others are left");
    assert_eq!(partition.unfinished(), Some(BTCUSDT));
    let state = partition.state();
    assert_eq!(Partition::restore(state.clone(), 3).unwrap().state(), state);
}
