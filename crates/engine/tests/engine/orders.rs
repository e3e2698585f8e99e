//! What every kind of order does: as seen by clients, through commands and events alone.

use crate::kit::*;
use crossbook_protocol::command::{Body, ChangeMarket};
use crossbook_protocol::event::CloseReason::{Expired, Filled, SelfTradePrevented};
use crossbook_protocol::event::{CloseReason, PreventedMatch};
use crossbook_protocol::order::NewOrder;
use crossbook_protocol::{Answer, Event, Refusal, Rules};
use crossbook_types::{
    Amount, Filter, OrderType, PreventedMatchId, Price, Quantity, SelfTradePrevention, SelfTradeRules, Side,
    TimeInForce,
};

#[test]
fn a_limit_order_rests_and_trades_by_price_then_time() {
    let mut venue = Venue::new();
    let (a, b, c, taker) = (venue.rich(), venue.rich(), venue.rich(), venue.rich());
    let second = venue.rest(sell(a, 101, 5));
    let first = venue.rest(sell(b, 100, 3));
    let third = venue.rest(sell(c, 101, 7));
    assert_eq!(venue.depth(Side::Sell), [(100, 3), (101, 12)]);
    let (id, events) = venue.place(buy(taker, 101, 10));
    assert_eq!(trades(&events), [(100, 3), (101, 5), (101, 2)]);
    assert_eq!(closed(&events), [(first, Filled), (second, Filled), (id, Filled)]);
    assert_eq!(venue.depth(Side::Sell), [(101, 5)]);
    assert_eq!(venue.mirror.order(BTCUSDT, third).unwrap().left.unwrap().0, 5);
}

#[test]
fn what_a_good_till_cancelled_order_does_not_get_rests_at_its_price() {
    let mut venue = Venue::new();
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 100, 3));
    venue.rest(sell(maker, 102, 3));
    let id = venue.rest(buy(taker, 101, 5));
    assert_eq!(venue.mirror.order(BTCUSDT, id).unwrap().left.unwrap().0, 2);
    assert_eq!(venue.depth(Side::Buy), [(101, 2)]);
    assert_eq!(venue.depth(Side::Sell), [(102, 3)]);
}

#[test]
fn immediate_or_cancel_never_rests() {
    let mut venue = Venue::new();
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 100, 3));
    let (id, events) = venue.place(buy(taker, 100, 5).within(TimeInForce::Ioc));
    assert_eq!(trades(&events), [(100, 3)]);
    assert_eq!(closed(&events)[1], (id, Expired));
    let (id, events) = venue.place(sell(taker, 100, 5).within(TimeInForce::Ioc));
    assert_eq!(trades(&events), []);
    assert_eq!(closed(&events), [(id, Expired)]);
    assert!(venue.depth(Side::Buy).is_empty() && venue.depth(Side::Sell).is_empty());
    assert_eq!((venue.held(taker, BTC), venue.held(taker, USDT)), (0, 0));
}

#[test]
fn fill_or_kill_fills_whole_or_touches_nothing() {
    let mut venue = Venue::new();
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(buy(maker, 100, 3));
    venue.rest(buy(maker, 99, 3));
    let (id, events) = venue.place(sell(taker, 99, 7).within(TimeInForce::Fok));
    assert_eq!((trades(&events).len(), closed(&events)), (0, vec![(id, Expired)]));
    let (id, events) = venue.place(sell(taker, 100, 4).within(TimeInForce::Fok));
    assert_eq!((trades(&events).len(), closed(&events)), (0, vec![(id, Expired)]));
    assert_eq!(venue.depth(Side::Buy), [(100, 3), (99, 3)]);
    let (id, events) = venue.place(sell(taker, 99, 6).within(TimeInForce::Fok));
    assert_eq!(trades(&events), [(100, 3), (99, 3)]);
    assert_eq!(*closed(&events).last().unwrap(), (id, Filled));
}

#[test]
fn a_maker_only_order_rests_or_is_refused() {
    let mut venue = Venue::new();
    let (maker, other) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 100, 3).maker_only());
    assert_eq!(venue.refused(buy(other, 100, 1).maker_only()), Refusal::WouldTake);
    assert_eq!(venue.refused(buy(other, 105, 1).maker_only()), Refusal::WouldTake);
    venue.rest(buy(other, 99, 1).maker_only());
    assert_eq!(venue.refused(sell(maker, 99, 1).maker_only()), Refusal::WouldTake);
}

#[test]
fn a_market_order_by_quantity_walks_the_book_and_never_rests() {
    let mut venue = Venue::new();
    let (maker, taker) = (venue.rich(), venue.rich());
    for (price, quantity) in [(100, 2), (103, 2), (110, 2)] {
        venue.rest(sell(maker, price, quantity));
    }
    let (id, events) = venue.place(market(taker, Side::Buy, lots(5)));
    assert_eq!(trades(&events), [(100, 2), (103, 2), (110, 1)]);
    assert_eq!(*closed(&events).last().unwrap(), (id, Filled));
    let (id, events) = venue.place(market(taker, Side::Buy, lots(5)));
    assert_eq!((trades(&events), *closed(&events).last().unwrap()), (vec![(110, 1)], (id, Expired)));
    let (id, events) = venue.place(market(taker, Side::Sell, lots(5)));
    assert_eq!((trades(&events), closed(&events)), (vec![], vec![(id, Expired)]), "no liquidity");
    assert_eq!((venue.held(taker, BTC), venue.held(taker, USDT)), (0, 0));
}

#[test]
fn a_market_buy_by_quantity_needs_only_what_the_book_asks() {
    let mut venue = Venue::new();
    let maker = venue.rich();
    let taker = venue.trader(0, 250);
    venue.rest(sell(maker, 100, 2));
    venue.rest(sell(maker, 150, 2));
    assert_eq!(venue.refused(market(taker, Side::Buy, lots(3))), Refusal::InsufficientBalance);
    let (id, events) = venue.place(market(taker, Side::Buy, lots(2)));
    assert_eq!((trades(&events), *closed(&events).last().unwrap()), (vec![(100, 2)], (id, Filled)));
    assert_eq!(venue.free(taker, USDT), 50 * TICK_LOT);
    assert_eq!(venue.refused(market(taker, Side::Sell, lots(1_000))), Refusal::InsufficientBalance);
}

#[test]
fn a_market_buy_by_quote_amount_spends_at_most_that() {
    let mut venue = Venue::new();
    let (maker, taker) = (venue.rich(), venue.trader(0, 1_000));
    venue.rest(sell(maker, 100, 2));
    venue.rest(sell(maker, 120, 9));
    let (id, events) = venue.place(market(taker, Side::Buy, worth(450)));
    assert_eq!(trades(&events), [(100, 2), (120, 2)]);
    assert_eq!(*closed(&events).last().unwrap(), (id, Filled), "the remaining 10 buy no lot");
    assert_eq!(venue.free(taker, USDT), (1_000 - 440) * TICK_LOT);
    assert_eq!(venue.refused(market(taker, Side::Buy, worth(561))), Refusal::InsufficientBalance);
    assert_eq!(
        venue.refused(market(taker, Side::Buy, worth(119))),
        Refusal::Filter(Filter::LotSize),
        "less than a lot"
    );
}

#[test]
fn a_quote_amount_that_is_used_up_with_the_book_is_filled() {
    let mut venue = Venue::new();
    let (maker, taker) = (venue.rich(), venue.rich());
    for (amount, reason) in [(200, Filled), (299, Filled), (300, Expired)] {
        venue.rest(sell(maker, 100, 2));
        let (id, events) = venue.place(market(taker, Side::Buy, worth(amount)));
        assert_eq!((trades(&events), *closed(&events).last().unwrap()), (vec![(100, 2)], (id, reason)), "{amount}");
        venue.rest(buy(maker, 100, 2));
        let (id, events) = venue.place(market(taker, Side::Sell, worth(amount)));
        assert_eq!((trades(&events), *closed(&events).last().unwrap()), (vec![(100, 2)], (id, reason)), "{amount}");
    }
}

#[test]
fn a_market_sell_by_quote_amount_brings_at_most_that() {
    let mut venue = Venue::new();
    let (maker, taker) = (venue.rich(), venue.trader(4, 0));
    venue.rest(buy(maker, 100, 2));
    venue.rest(buy(maker, 90, 9));
    let (id, events) = venue.place(market(taker, Side::Sell, worth(295)));
    assert_eq!((trades(&events), *closed(&events).last().unwrap()), (vec![(100, 2), (90, 1)], (id, Filled)));
    assert_eq!(venue.free(taker, BTC), LOT);
    assert_eq!(venue.refused(market(taker, Side::Sell, worth(180))), Refusal::InsufficientBalance);
}

#[test]
fn an_amount_of_nothing_is_refused_whatever_the_minimum() {
    let mut venue = Venue::new();
    let trader = venue.rich();
    for side in [Side::Buy, Side::Sell] {
        assert_eq!(venue.refused(market(trader, side, worth(0))), Refusal::Filter(Filter::Notional));
    }
}

#[test]
fn stops_and_take_profits_trigger_on_their_side() {
    use OrderType::{StopLoss, TakeProfit};
    // Kind, side, stop, a price that is not there yet, one that is.
    for (kind, side, stop_price, short, reached) in [
        (StopLoss, Side::Buy, 110, 109, 110),
        (StopLoss, Side::Sell, 90, 91, 90),
        (TakeProfit, Side::Buy, 90, 91, 89),
        (TakeProfit, Side::Sell, 110, 109, 111),
    ] {
        for at_limit in [None, Some(if side == Side::Buy { 120 } else { 80 })] {
            let mut venue = Venue::new();
            let (owner, other) = (venue.rich(), venue.rich());
            venue.trade_at(100);
            let mut order = stop(owner, side, kind, stop_price, 4);
            if let Some(price) = at_limit {
                let kind = if kind == StopLoss { OrderType::StopLossLimit } else { OrderType::TakeProfitLimit };
                order = kind_of(order, kind).at_limit(price);
            }
            let id = venue.rest(order);
            assert!(venue.depth(side).is_empty(), "what waits is not in the book");
            venue.trade_at(short);
            assert!(venue.mirror.order(BTCUSDT, id).unwrap().waits);
            // Something to trade with, then the trade that triggers.
            let away =
                if side == Side::Buy { limit(other, Side::Sell, 115, 3) } else { limit(other, Side::Buy, 85, 3) };
            let price = away.terms.price.unwrap().0;
            venue.rest(away);
            let (maker, taker) = (venue.rich(), venue.rich());
            venue.rest(limit(maker, side.opposite(), reached, 1));
            let (_, events) = venue.place(limit(taker, side, reached, 1));
            assert_eq!(triggered(&events), [id]);
            assert_eq!(trades(&events), [(reached, 1), (price, 3)]);
            if at_limit.is_some() {
                assert_eq!(
                    venue.mirror.order(BTCUSDT, id).unwrap().left.unwrap().0,
                    1,
                    "the rest works as a limit order"
                );
            } else {
                assert_eq!(*closed(&events).last().unwrap(), (id, Expired));
            }
        }
    }
}

fn kind_of(order: NewOrder, order_type: OrderType) -> NewOrder {
    order.with(|terms| terms.order_type = order_type)
}

#[test]
fn an_order_that_would_trigger_at_once_is_refused() {
    use OrderType::{StopLoss, TakeProfit};
    let mut venue = Venue::new();
    let owner = venue.rich();
    // Before the first trade nothing is reached.
    venue.rest(stop(owner, Side::Buy, StopLoss, 1, 1));
    venue.cancel_all(owner).unwrap();
    venue.trade_at(100);
    for (kind, side, refused, waits) in [
        (StopLoss, Side::Buy, 100, 101),
        (StopLoss, Side::Sell, 100, 99),
        (TakeProfit, Side::Buy, 100, 99),
        (TakeProfit, Side::Sell, 100, 101),
    ] {
        assert_eq!(venue.refused(stop(owner, side, kind, refused, 1)), Refusal::WouldTrigger);
        venue.rest(stop(owner, side, kind, waits, 1));
    }
}

#[test]
fn triggered_orders_trigger_others_nearest_first() {
    use OrderType::StopLoss;
    let mut venue = Venue::new();
    let (owner, maker) = (venue.rich(), venue.rich());
    venue.trade_at(100);
    let far = venue.rest(stop(owner, Side::Sell, StopLoss, 80, 1));
    let near = venue.rest(stop(owner, Side::Sell, StopLoss, 95, 1));
    let later = venue.rest(stop(owner, Side::Sell, StopLoss, 95, 1));
    let never = venue.rest(stop(owner, Side::Sell, StopLoss, 50, 1));
    for price in [95, 90, 80, 70] {
        venue.rest(buy(maker, price, 1));
    }
    let (id, events) = venue.place(sell(maker, 95, 1));
    assert_eq!(triggered(&events), [near, later, far]);
    assert_eq!(trades(&events), [(95, 1), (90, 1), (80, 1), (70, 1)]);
    let ended: Vec<_> =
        closed(&events).into_iter().filter(|(order, _)| [id, near, later, far].contains(order)).collect();
    assert_eq!(ended, [(id, Filled), (near, Filled), (later, Filled), (far, Filled)]);
    assert!(venue.mirror.order(BTCUSDT, never).unwrap().waits);
}

#[test]
fn a_triggered_market_buy_spends_no_more_than_its_margin() {
    let mut venue = Venue::new();
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.trade_at(100);
    let owner = venue.trader(0, 1_100);
    let id = venue.rest(stop(owner, Side::Buy, OrderType::StopLoss, 100 + 10, 9));
    assert_eq!(venue.held(owner, USDT), 1_089 * TICK_LOT, "nine lots at the stop price and a tenth more");
    venue.rest(sell(maker, 110, 1));
    venue.rest(sell(maker, 200, 9));
    let (_, events) = venue.place(buy(taker, 110, 1));
    assert_eq!(trades(&events), [(110, 1), (200, 5)]);
    assert_eq!(*closed(&events).last().unwrap(), (id, CloseReason::Unaffordable));
    assert_eq!((venue.free(owner, USDT), venue.held(owner, USDT)), (100 * TICK_LOT, 0));
}

#[test]
fn fields_that_do_not_go_together_are_refused() {
    let mut venue = Venue::new();
    let trader = venue.rich();
    let limit_order = buy(trader, 100, 1);
    for order in [
        limit_order.clone().with(|terms| terms.price = None),
        limit_order.clone().with(|terms| terms.size = worth(100)),
        kind_of(limit_order.clone(), OrderType::Market),
        kind_of(limit_order.clone(), OrderType::StopLoss),
        kind_of(limit_order.clone(), OrderType::StopLossLimit),
        stop(trader, Side::Buy, OrderType::Limit, 100, 1),
        stop(trader, Side::Buy, OrderType::TakeProfitLimit, 100, 1),
        market(trader, Side::Buy, lots(1)).within(TimeInForce::Ioc),
        limit_order.clone().maker_only().within(TimeInForce::Fok),
        stop(trader, Side::Buy, OrderType::StopLoss, 100, 1).within(TimeInForce::Ioc),
    ] {
        assert_eq!(venue.refused(order.clone()), Refusal::MalformedOrder, "{order:?}");
    }
}

fn prevented(events: &[Event]) -> Vec<PreventedMatch> {
    let prevented = |event: &Event| match event {
        Event::MatchPrevented(prevented) => Some(*prevented),
        _ => None,
    };
    events.iter().filter_map(prevented).collect()
}

#[test]
fn a_prevented_match_says_what_would_have_traded_and_what_expires() {
    use SelfTradePrevention::{ExpireBoth, ExpireMaker, ExpireTaker};
    // Mode, what of the taker and of the maker expires, how the taker and the maker stand then.
    for (mode, taker_ends, maker_ends) in [(ExpireTaker, 30, 0), (ExpireMaker, 0, 12), (ExpireBoth, 30, 12)] {
        let mut venue = Venue::new();
        let (own, other) = (venue.rich(), venue.rich());
        venue.rest(sell(other, 1_000, 5));
        let maker = venue.rest(sell(own, 1_001, 12));
        let (taker, events) = venue.place(buy(own, 1_001, 35).preventing(mode));
        assert_eq!(trades(&events), [(1_000, 5)], "{mode:?}: orders of others are met first");
        let expected = PreventedMatch {
            symbol: BTCUSDT,
            id: PreventedMatchId::FIRST,
            account: own,
            taker_side: Side::Buy,
            taker,
            maker,
            mode,
            price: Price(1_001),
            quantity: Quantity(12),
            quote: Amount(12 * 1_001 * TICK_LOT),
            taker_prevented: Quantity(taker_ends),
            maker_prevented: Quantity(maker_ends),
            counterparty: None,
            group: None,
        };
        assert_eq!(prevented(&events), [expected]);
        let ended: Vec<_> = closed(&events).into_iter().filter(|(_, why)| *why == SelfTradePrevented).collect();
        let due = [(maker, maker_ends), (taker, taker_ends)];
        let due: Vec<_> =
            due.into_iter().filter(|&(_, lots)| lots > 0).map(|(id, _)| (id, SelfTradePrevented)).collect();
        assert_eq!(ended, due);
        // The next one has the next number.
        venue.rest(sell(own, 1_002, 1));
        let (_, events) = venue.place(buy(own, 1_002, 1).preventing(ExpireTaker));
        assert_eq!(prevented(&events)[0].id.number(), 2);
    }
}

#[test]
fn a_prevented_order_by_worth_counts_the_lots_that_it_could_still_have_had() {
    let mut venue = Venue::new();
    let own = venue.rich();
    venue.rest(sell(own, 1_000, 12));
    let order = market(own, Side::Buy, worth(7_500)).preventing(SelfTradePrevention::ExpireTaker);
    let (_, events) = venue.place(order);
    let PreventedMatch { quantity, taker_prevented, .. } = prevented(&events)[0];
    assert_eq!((quantity, taker_prevented), (Quantity(7), Quantity(7)));
}

#[test]
fn a_triggered_order_that_cannot_pay_says_so() {
    let mut venue = Venue::new();
    let (own, other) = (venue.trader(0, 1_200), venue.rich());
    let waiting = venue.rest(stop(own, Side::Buy, OrderType::StopLoss, 1_000, 1));
    venue.rest(sell(other, 1_000, 1));
    venue.rest(sell(other, 1_200, 1));
    let taker = venue.rich();
    let (_, events) = venue.place(buy(taker, 1_000, 1));
    assert!(closed(&events).contains(&(waiting, CloseReason::Unaffordable)), "1,100 are held: {events:?}");
}

/// What is in a log from before must give what it gave, to the last event.
#[test]
fn old_rules_publish_nothing_new() {
    let told = |rules| {
        let mut venue = Venue::new();
        venue.rules = rules;
        let (own, other) = (venue.trader(20, 2_000), venue.rich());
        venue.rest(sell(own, 1_000, 5));
        let mut all = venue.place(buy(own, 1_000, 1).preventing(SelfTradePrevention::ExpireBoth)).1;
        for order in [
            // Too dear; would trade at once; would trigger at once.
            buy(own, 1_000, 500),
            sell(own, 1_000, 1).maker_only(),
            stop(own, Side::Sell, OrderType::StopLoss, 1_000, 1),
        ] {
            venue.rest(buy(other, 1_000, 1));
            venue.place(sell(other, 1_000, 1));
            venue.rest(buy(other, 1_000, 1));
            let events = venue.apply(Body::Place(order.named("refused")));
            assert!(matches!(answer(&events), Answer::Refused(_)), "{events:?}");
            all.extend(events);
        }
        all
    };
    let is_new = |event: &Event| matches!(event, Event::MatchPrevented(_) | Event::OrderRefused { .. });
    assert_eq!(told(Some(Rules::V1)).iter().filter(|event| is_new(event)).count(), 0);
    let mut new = told(Some(Rules::V2));
    assert_eq!(new.iter().filter(|event| is_new(event)).count(), 4);
    new.retain(|event| !is_new(event));
    assert_eq!(new, told(Some(Rules::V1)), "nothing else is different");
}

#[test]
fn a_mode_that_the_market_does_not_allow_is_refused() {
    use SelfTradePrevention::{ExpireBoth, ExpireMaker, ExpireTaker, None as Free};
    let mut venue = Venue::new();
    let own = venue.rich();
    let rules = SelfTradeRules::new_checked(ExpireTaker, [ExpireTaker, ExpireMaker]);
    let change = ChangeMarket { symbol: BTCUSDT, filters: None, fees: None, status: None, self_trade: rules };
    venue.apply(Body::ChangeMarket(Box::new(change)));
    for refused in [Free, ExpireBoth] {
        assert_eq!(venue.refused(sell(own, 1_000, 1).preventing(refused)), Refusal::SelfTradeMode, "{refused:?}");
    }
    venue.rest(sell(own, 1_000, 1).preventing(ExpireMaker));
    assert_eq!(SelfTradeRules::new_checked(Free, [ExpireTaker]), None, "the default is one of the allowed modes");
}
