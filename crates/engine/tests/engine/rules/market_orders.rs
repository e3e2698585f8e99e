//! The bounds of market orders: their quantity, their notional value, and the liquidity that the book must have.

use crossbook_engine::WorkBudget;
use crossbook_protocol::command::Body;
use crossbook_protocol::event::CloseReason::{Expired, Filled};
use crossbook_protocol::{Answer, Refusal, Rules};
use crossbook_types::{Amount, Filter, Filters, OrderType, Price, Quantity, SelfTradePrevention, Side};

use crate::kit::*;

/// From 3 to 20 lots, market orders up to 10.
fn bounded() -> Filters {
    Filters {
        quantity_min: Quantity(3),
        quantity_max: Quantity(20),
        market_quantity_max: Quantity(10),
        ..open_filters()
    }
}

fn venue(filters: Filters) -> Venue {
    Venue::with(filters, fees("0", "0"))
}

const LOT_SIZE: Refusal = Refusal::Filter(Filter::LotSize);
const NOTIONAL: Refusal = Refusal::Filter(Filter::Notional);

#[test]
fn an_order_for_a_quote_amount_trades_no_more_than_a_market_order_may() {
    for (filters, most) in [(bounded(), 10), (Filters { quantity_max: Quantity(7), ..bounded() }, 7)] {
        for side in [Side::Buy, Side::Sell] {
            let mut venue = venue(filters);
            let (maker, taker) = (venue.rich(), venue.rich());
            for _ in 0..4 {
                venue.rest(limit(maker, side.opposite(), 100, 6));
            }
            let (id, events) = venue.place(market(taker, side, worth(100_000)));
            assert_eq!(trades(&events).iter().map(|&(_, lots)| lots).sum::<u64>(), most);
            assert_eq!(*closed(&events).last().unwrap(), (id, Expired), "some of the amount is left");
            let (id, events) = venue.place(market(taker, side, worth(i128::from(most) * 100 + 99)));
            assert_eq!(trades(&events).iter().map(|&(_, lots)| lots).sum::<u64>(), most);
            assert_eq!(*closed(&events).last().unwrap(), (id, Filled), "what is left of the amount is no lot");
            assert_eq!((venue.held(taker, USDT), venue.held(taker, BTC)), (0, 0));
        }
    }
    // Under the first rules it traded all that it could pay for.
    let mut venue = venue(bounded());
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 100, 20));
    venue.rules = Some(Rules::V1);
    let (_, events) = venue.place(market(taker, Side::Buy, worth(100_000)));
    assert_eq!(trades(&events), [(100, 20)]);
}

#[test]
fn an_order_for_a_quote_amount_that_is_less_than_the_smallest_order_is_refused() {
    for side in [Side::Buy, Side::Sell] {
        let mut venue = venue(bounded());
        let (maker, taker) = (venue.rich(), venue.rich());
        venue.rest(limit(maker, side.opposite(), 100, 20));
        assert_eq!(venue.refused(market(taker, side, worth(299))), LOT_SIZE);
        let (id, events) = venue.place(market(taker, side, worth(300)));
        assert_eq!((trades(&events), closed(&events)), (vec![(100, 3)], vec![(id, Filled)]));
        venue.rules = Some(Rules::V1);
        let (_, events) = venue.place(market(taker, side, worth(100)));
        assert_eq!(trades(&events), [(100, 1)]);
    }
}

#[test]
fn an_order_for_a_quote_amount_is_refused_where_the_book_is_empty_or_too_thin() {
    for side in [Side::Buy, Side::Sell] {
        let mut venue = venue(Filters { quantity_min: Quantity(1), ..bounded() });
        let (maker, taker) = (venue.rich(), venue.rich());
        assert_eq!(venue.refused(market(taker, side, worth(100_000))), Refusal::EmptyBook);
        venue.rest(limit(maker, side.opposite(), 100, 1));
        venue.rest(limit(maker, side.opposite(), 100, 1));
        venue.change(Some(bounded()), None, None);
        assert_eq!(venue.refused(market(taker, side, worth(100_000))), Refusal::ThinBook);
        assert_eq!(venue.refused(market(taker, side, worth(100))), LOT_SIZE, "there would be more");
        // Three lots are enough, and it has all that there is.
        venue.rest(limit(maker, side.opposite(), 100, 3));
        let (id, events) = venue.place(market(taker, side, worth(100_000)));
        assert_eq!(trades(&events), [(100, 1), (100, 1), (100, 3)]);
        assert_eq!(*closed(&events).last().unwrap(), (id, Expired));
        // By quantity it expires, and by quote amount it did, too.
        let (id, events) = venue.place(market(taker, side, lots(3)));
        assert_eq!(closed(&events), [(id, Expired)]);
        venue.rules = Some(Rules::V1);
        let (id, events) = venue.place(market(taker, side, worth(1_000)));
        assert_eq!(closed(&events), [(id, Expired)]);
    }
}

#[test]
fn the_largest_worth_is_not_applied_to_orders_that_run_at_market() {
    let mut venue = venue(Filters { notional_max: Amount(500 * TICK_LOT), ..open_filters() });
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.trade_at(100);
    for _ in 0..4 {
        venue.rest(sell(maker, 100, 5));
    }
    assert_eq!(venue.refused(buy(taker, 100, 6)), NOTIONAL);
    let limited = stop(taker, Side::Buy, OrderType::StopLoss, 120, 5).with(|terms| {
        terms.order_type = OrderType::StopLossLimit;
        terms.price = Some(Price(120));
    });
    assert_eq!(venue.refused(limited), NOTIONAL);
    let (_, events) = venue.place(market(taker, Side::Buy, worth(800)));
    assert_eq!(trades(&events), [(100, 5), (100, 3)]);
    let (_, events) = venue.place(market(taker, Side::Buy, lots(6)));
    assert_eq!(trades(&events), [(100, 2), (100, 4)]);
    venue.rest(stop(taker, Side::Buy, OrderType::StopLoss, 120, 10));
    // Under the first rules it was.
    venue.rules = Some(Rules::V1);
    assert_eq!(venue.refused(market(taker, Side::Buy, worth(501))), NOTIONAL);
    assert_eq!(venue.refused(stop(taker, Side::Buy, OrderType::StopLoss, 120, 10)), NOTIONAL);
}

#[test]
fn whoever_can_pay_for_orders_from_before_the_bounds_were_lowered_has_them() {
    for (rules, traded) in [(Some(Rules::V1), false), (Some(Rules::V2), true)] {
        let mut venue = venue(open_filters());
        let (maker, taker) = (venue.rich(), venue.rich());
        venue.rest(sell(maker, 1_000, 5));
        venue.rest(buy(maker, 10, 50));
        venue.change(Some(Filters { price_max: Price(500), ..bounded() }), None, None);
        venue.rules = rules;
        if !traded {
            // Of the base asset twenty lots were held, and fifty would have been sold.
            for order in [market(taker, Side::Buy, lots(5)), market(taker, Side::Sell, worth(500))] {
                let events = venue.apply(Body::Place(order));
                assert_eq!(*answer(&events), Answer::Refused(Refusal::InsufficientBalance));
            }
            continue;
        }
        let (id, events) = venue.place(market(taker, Side::Buy, lots(5)));
        assert_eq!((trades(&events), *closed(&events).last().unwrap()), (vec![(1_000, 5)], (id, Filled)));
        let (id, events) = venue.place(market(taker, Side::Sell, worth(500)));
        assert_eq!((trades(&events), *closed(&events).last().unwrap()), (vec![(10, 10)], (id, Expired)));
        // Who cannot is told so.
        let poor = venue.trader(9, 4_999);
        venue.change(Some(open_filters()), None, None);
        venue.rest(sell(maker, 1_000, 5));
        venue.change(Some(Filters { price_max: Price(500), ..bounded() }), None, None);
        assert_eq!(venue.refused(market(poor, Side::Buy, lots(5))), Refusal::InsufficientBalance);
        assert_eq!(venue.refused(market(poor, Side::Sell, worth(500))), Refusal::InsufficientBalance);
    }
}

#[test]
fn what_has_no_price_to_value_it_is_not_worth_the_smallest_order() {
    let mut venue = venue(Filters { notional_min: Amount(500 * TICK_LOT), ..open_filters() });
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 100, 50));
    assert_eq!(venue.refused(market(taker, Side::Buy, lots(6))), NOTIONAL);
    let (_, events) = venue.place(market(taker, Side::Buy, worth(500)));
    assert_eq!(trades(&events), [(100, 5)], "a quote amount is its own worth");
    assert_eq!(venue.refused(market(taker, Side::Buy, lots(4))), NOTIONAL);
    let (_, events) = venue.place(market(taker, Side::Buy, lots(5)));
    assert_eq!(trades(&events), [(100, 5)]);
    // Without a smallest worth there is nothing to value, and under the first rules it was let through.
    for (filters, rules) in
        [(open_filters(), Rules::V2), (Filters { notional_min: Amount(500 * TICK_LOT), ..open_filters() }, Rules::V1)]
    {
        let mut venue = Venue::with(filters, fees("0", "0"));
        let (maker, taker) = (venue.rich(), venue.rich());
        venue.rest(sell(maker, 100, 50));
        venue.rules = Some(rules);
        let (_, events) = venue.place(market(taker, Side::Buy, lots(1)));
        assert_eq!(trades(&events), [(100, 1)]);
    }
}

/// A refused order costs no walk of a whole book: whoever can pay for the first price levels is let in, and what it
/// cannot pay for expires.
#[test]
fn whether_a_market_order_can_pay_is_checked_at_the_first_price_levels() {
    let looks = WorkBudget { levels_checked: 3, ..WorkBudget::RULES };
    for by_worth in [false, true] {
        // Sells by worth may be short of lots, buys by quantity of the quote asset.
        let side = if by_worth { Side::Sell } else { Side::Buy };
        let mut venue = venue(open_filters()).with_work(looks);
        let maker = venue.rich();
        for level in 0..6 {
            let price = if by_worth { 100 - level } else { 100 + level };
            venue.rest(limit(maker, side.opposite(), price, 1));
        }
        let size = if by_worth { worth(585) } else { lots(6) };
        let poor = if by_worth { venue.trader(2, 0) } else { venue.trader(0, 302) };
        assert_eq!(venue.refused(market(poor, side, size)), Refusal::InsufficientBalance);
        let taker = if by_worth { venue.trader(4, 0) } else { venue.trader(0, 407) };
        venue.rules = Some(Rules::V1);
        let events = venue.apply(Body::Place(market(taker, side, size).named("first-rules")));
        assert_eq!(*answer(&events), Answer::Refused(Refusal::InsufficientBalance));
        venue.rules = Some(Rules::V2);
        let (id, events) = venue.place(market(taker, side, size));
        assert_eq!(trades(&events).len(), 4, "all that it could pay for");
        assert_eq!(*closed(&events).last().unwrap(), (id, Expired));
        assert_eq!((venue.held(taker, USDT), venue.held(taker, BTC)), (0, 0));
    }
    assert_eq!(WorkBudget::RULES.levels_checked, 1_024);
}

/// The smallest order is looked for beyond these levels.
#[test]
fn a_quote_amount_finds_the_smallest_order_at_however_many_prices() {
    let mut venue = venue(Filters { quantity_min: Quantity(1), ..bounded() });
    venue = venue.with_work(WorkBudget { levels_checked: 2, ..WorkBudget::RULES });
    let (maker, taker) = (venue.rich(), venue.rich());
    for level in 0..4 {
        venue.rest(sell(maker, 100 + level, 1));
    }
    venue.change(Some(Filters { quantity_min: Quantity(4), ..bounded() }), None, None);
    assert_eq!(venue.refused(market(taker, Side::Buy, worth(405))), LOT_SIZE);
    let (_, events) = venue.place(market(taker, Side::Buy, worth(406)));
    assert_eq!(trades(&events).len(), 4);
}

/// Orders that would make way for an order are not there for it.
#[test]
fn a_quote_amount_does_not_count_own_orders_that_expire() {
    let mode = SelfTradePrevention::ExpireMaker;
    for side in [Side::Buy, Side::Sell] {
        let mut venue = venue(bounded());
        let (maker, taker) = (venue.rich(), venue.rich());
        let order = |amount| market(taker, side, worth(amount)).preventing(mode);
        venue.rest(limit(taker, side.opposite(), 100, 20));
        assert_eq!(venue.refused(order(1_000)), Refusal::EmptyBook);
        venue.rest(limit(maker, side.opposite(), 100, 4));
        venue.place(limit(maker, side, 100, 3).within(crossbook_types::TimeInForce::Ioc));
        assert_eq!(venue.depth(side.opposite()), [(100, 21)]);
        assert_eq!(venue.refused(order(299)), LOT_SIZE);
        let (id, events) = venue.place(order(300));
        assert_eq!(trades(&events), [(100, 3)]);
        assert_eq!(*closed(&events).last().unwrap(), (id, Filled));
    }
    // What others left there is less than the smallest order.
    let mut venue = venue(Filters { quantity_min: Quantity(1), ..bounded() });
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(taker, 100, 5));
    venue.rest(sell(maker, 100, 2));
    venue.change(Some(bounded()), None, None);
    let order = market(taker, Side::Buy, worth(1_000)).preventing(mode);
    assert_eq!(venue.refused(order), Refusal::ThinBook);
    assert_eq!(venue.depth(Side::Sell), [(100, 7)]);
}
