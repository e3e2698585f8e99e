//! Fees that are paid in an asset in which they are less.

use crate::kit::*;
use crossbook_oracle::sample::{btcusdt, decimal};
use crossbook_protocol::command::{Body, ListAsset, ListMarket, SetTradeGroup};
use crossbook_protocol::event::{Discounted, Event, Half, Trade};
use crossbook_protocol::order::{AmendOrder, Instructions, NewOrder, OrderDiscount, ReplaceOrder, Target};
use crossbook_protocol::{Answer, Refusal, Rules};
use crossbook_types::{
    AccountId, Amount, Asset, AssetId, AssetName, DiscountRates, FeeDiscount, Filters, HoldId, OptionalPrice,
    OrderType, Price, Quantity, SelfTradePrevention, Side, SymbolId, TradeGroupId, TrailingDelta, market::Description,
};

/// A quarter off, paid in ETH, of which a unit is worth a unit of USDT.
fn discount() -> FeeDiscount {
    FeeDiscount { asset: ETH, basis_points: 2_500, rates: vec![(USDT, 100_000_000)], except: Vec::new() }
}

/// A venue with that discount, whose market charges 0.1 % to makers and 0.2 % to takers.
fn venue() -> Venue {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::NEWEST));
    assert_eq!(set(&mut venue, &discount()), Answer::FeesSet);
    venue
}

fn set(venue: &mut Venue, discount: &FeeDiscount) -> Answer {
    answer(&venue.apply(Body::SetFeeDiscount(Box::new(discount.clone())))).clone()
}

/// An account that has so much ETH, and pays its fees in it.
fn user(venue: &mut Venue, eth: i128) -> AccountId {
    let account = venue.rich();
    venue.transfer(account, ETH, eth, "eth").unwrap();
    let events = venue.apply(Body::SetDiscountUse { account, on: true });
    assert_eq!(events[0], Event::DiscountUseChanged { account, on: true });
    account
}

fn traded(events: &[Event]) -> Vec<Trade> {
    let trades = events.iter().filter_map(|event| match event {
        Event::Traded(trade) => Some(*trade),
        _ => None,
    });
    trades.collect()
}

#[test]
fn a_fee_is_paid_in_the_other_asset_and_is_less() {
    let mut venue = venue();
    let (maker, taker) = (user(&mut venue, 100), user(&mut venue, 1_000));
    let before = venue.free(taker, BTC);
    venue.rest(sell(maker, 100, 10));
    assert_eq!((venue.held(maker, ETH), venue.free(maker, ETH)), (15, 85), "what the fees can come to is held");
    venue.restart();
    // 10,000 of USDT: 0.15 % and 0.075 %, rounded up.
    let (_, events) = venue.place(buy(taker, 100, 10));
    let [trade] = traded(&events)[..] else { panic!("one trade") };
    assert_eq!((trade.taker.fee, trade.maker.fee), (Amount(15), Amount(8)));
    assert_eq!(trade.discount, Some(Discounted { asset: ETH, taker: true, maker: true }));
    assert_eq!(venue.free(taker, BTC) - before, 10 * LOT, "nothing is taken of what is received");
    assert_eq!((venue.free(taker, ETH), venue.held(taker, ETH)), (985, 0));
    assert_eq!((venue.free(maker, ETH), venue.held(maker, ETH)), (92, 0));
    assert_eq!((venue.fees_of(ETH), venue.fees_of(BTC), venue.fees_of(USDT)), (23, 0, 0));
    // Who switches it off pays the ordinary fee.
    venue.apply(Body::SetDiscountUse { account: taker, on: false });
    let other = venue.rich();
    venue.rest(sell(other, 100, 10));
    let (_, events) = venue.place(buy(taker, 100, 10));
    let [trade] = traded(&events)[..] else { panic!("one trade") };
    assert_eq!((trade.taker.fee, trade.discount), (Amount(10 * LOT * 2 / 1_000), None));
}

#[test]
fn fees_of_many_trades_are_rounded_up_once() {
    let mut venue = venue();
    let (maker, taker) = (venue.rich(), user(&mut venue, 1_000));
    for _ in 0..10 {
        venue.rest(sell(maker, 100, 1));
    }
    // Each trade is worth 1,000, its fee 1.5.
    let (_, events) = venue.place(buy(taker, 100, 10));
    let fees: Vec<i128> = traded(&events).iter().map(|trade| trade.taker.fee.0).collect();
    assert_eq!(fees, [2, 1, 2, 1, 2, 1, 2, 1, 2, 1]);
}

#[test]
fn what_is_not_covered_pays_the_ordinary_fee() {
    let mut venue = venue();
    let (maker, taker) = (venue.rich(), user(&mut venue, 5));
    venue.rest(sell(maker, 100, 3));
    venue.rest(sell(maker, 100, 7));
    let (_, events) = venue.place(buy(taker, 100, 10));
    let [first, second] = traded(&events)[..] else { panic!("two trades") };
    assert_eq!((first.taker.fee, first.other_fee_asset(true)), (Amount(5), Some(ETH)));
    assert_eq!((second.taker.fee, second.other_fee_asset(true)), (Amount(7 * LOT * 2 / 1_000), None));
    assert_eq!((venue.free(taker, ETH), venue.held(taker, ETH)), (0, 0));
    // With nothing at all nothing is held.
    venue.rest(buy(taker, 90, 1));
    assert_eq!(venue.held(taker, ETH), 0);
}

#[test]
fn what_is_held_for_fees_follows_the_order() {
    let mut venue = venue();
    let (trader, other) = (user(&mut venue, 1_000), venue.rich());
    // A sell that could trade at once is taken to be worth twice its limit; at rest, its limit.
    let (order, events) = venue.place(sell(trader, 200, 10));
    assert_eq!((reserved(&events), venue.held(trader, ETH)), (Some(Amount(60)), 30));
    venue.change(Some(Filters { amends_max: 5, ..open_filters() }), None, None);
    let amend = AmendOrder {
        account: trader,
        symbol: BTCUSDT,
        target: Target::Order(order),
        quantity: Quantity(4),
        placed: Quantity(10),
        client_order_id: name("less"),
    };
    assert!(matches!(answer(&venue.apply(Body::Amend(amend))), Answer::Amended { .. }));
    assert_eq!(venue.held(trader, ETH), 12);
    venue.place(buy(other, 200, 2));
    assert_eq!(venue.held(trader, ETH), 12 - 3);
    venue.restart();
    venue.cancel_all(trader).unwrap();
    assert_eq!((venue.held(trader, ETH), venue.fees_of(ETH)), (0, 3));
    // One that waits for its stop price holds for it and a tenth more.
    venue.trade_at(100);
    let waits = venue.rest(stop(trader, Side::Sell, OrderType::StopLoss, 90, 10));
    assert_eq!(venue.held(trader, ETH), 15);
    venue.cancel(trader, Target::Order(waits)).unwrap();
    // What the market refuses holds nothing.
    venue.rest(buy(trader, 50, 1).named("taken"));
    let held = venue.held(trader, ETH);
    assert_eq!(venue.refused(buy(trader, 50, 1).named("taken")), Refusal::DuplicateClientOrderId);
    assert_eq!(venue.held(trader, ETH), held);
}

/// What is told to be held for the fees of the first order that was placed.
fn reserved(events: &[Event]) -> Option<Amount> {
    events.iter().find_map(|event| match event {
        Event::OrderDiscounted { held, .. } => Some(*held),
        _ => None,
    })
}

#[test]
fn what_a_sell_gets_beyond_twice_its_limit_pays_the_ordinary_fee() {
    let mut venue = venue();
    let (maker, taker) = (venue.rich(), user(&mut venue, 1_000));
    for price in [250, 100] {
        venue.rest(buy(maker, price, 10));
    }
    let (_, events) = venue.place(sell(taker, 100, 20));
    let [first, second] = traded(&events)[..] else { panic!("two trades") };
    // 40,000 of USDT at twice its limit: 60 are held. The first trade takes 37.5 of them, the second 15.
    assert_eq!(reserved(&events), Some(Amount(60)));
    assert_eq!((first.taker.fee, second.taker.fee), (Amount(38), Amount(15)));
    let (other, taker) = (venue.rich(), user(&mut venue, 1_000));
    venue.rest(buy(other, 250, 10));
    let (_, events) = venue.place(sell(taker, 100, 10));
    let [trade] = traded(&events)[..] else { panic!("one trade") };
    assert_eq!((reserved(&events), trade.discount), (Some(Amount(30)), None));
}

#[test]
fn a_buy_at_market_holds_the_fee_on_what_it_can_pay() {
    let mut venue = venue();
    let maker = venue.rich();
    let taker = venue.trader(0, 10_000);
    venue.transfer(taker, ETH, 1_000_000, "eth").unwrap();
    venue.apply(Body::SetDiscountUse { account: taker, on: true });
    venue.rest(sell(maker, 100, 10));
    // It has 100,000 of USDT; at the highest price that there can be, ten lots would cost a thousand times that.
    let (_, events) = venue.place(market(taker, Side::Buy, lots(10)));
    assert_eq!(reserved(&events), Some(Amount(150)));
    assert_eq!((venue.free(taker, ETH), venue.held(taker, ETH)), (1_000_000 - 15, 0));
}

#[test]
fn what_is_decremented_holds_no_more_than_the_fee_of_its_rest() {
    for mode in [SelfTradePrevention::Decrement, SelfTradePrevention::Transfer] {
        let mut venue = venue();
        let trader = user(&mut venue, 1_000);
        let other = if mode == SelfTradePrevention::Transfer { venue.rich() } else { trader };
        for account in [trader, other] {
            let group = TradeGroupId::new_checked(7);
            venue.apply(Body::SetTradeGroup(SetTradeGroup { account, group }));
        }
        venue.rest(sell(trader, 200, 10).preventing(mode));
        assert_eq!(venue.held(trader, ETH), 30);
        let (_, events) = venue.place(buy(other, 200, 4).preventing(mode));
        assert_eq!((traded(&events).len(), venue.held(trader, ETH)), (0, 18), "{mode:?}");
        venue.cancel_all(trader).unwrap();
        assert_eq!((venue.held(trader, ETH), venue.free(trader, ETH)), (0, 1_000));
    }
}

#[test]
fn a_replacement_uses_what_is_held_for_the_fees_of_the_order_that_it_replaces() {
    let mut venue = venue();
    let (trader, other) = (user(&mut venue, 15), venue.rich());
    let replace = |venue: &mut Venue, old, order: NewOrder| {
        let (target, cancel_id) = (Target::Order(old), name("gone"));
        let request = ReplaceOrder { order, target, cancel_id, restriction: None, allow_failure: false };
        let events = venue.apply(Body::Replace(Box::new(request)));
        match *answer(&events) {
            Answer::Replaced { placed: Half::Done(new), .. } => (new, reserved(&events)),
            ref other => panic!("{other:?}"),
        }
    };
    // All of it is held for the first order, so nothing is free for those that replace it.
    let first = venue.rest(sell(trader, 100, 10));
    assert_eq!((venue.held(trader, ETH), venue.free(trader, ETH)), (15, 0));
    let (second, held) = replace(&mut venue, first, sell(trader, 110, 10).named("second"));
    assert_eq!((held, venue.held(trader, ETH), venue.free(trader, ETH)), (Some(Amount(15)), 15, 0));
    let (third, held) = replace(&mut venue, second, sell(trader, 110, 4).named("third").maker_only());
    // 4,400 of USDT, at 0.15 %.
    assert_eq!((held, venue.held(trader, ETH), venue.free(trader, ETH)), (Some(Amount(7)), 7, 8));
    venue.restart();
    let (_, events) = venue.place(buy(other, 110, 4));
    let [trade] = traded(&events)[..] else { panic!("one trade") };
    assert_eq!((trade.maker.order, trade.other_fee_asset(false)), (third, Some(ETH)));
    assert_eq!((venue.held(trader, ETH), venue.free(trader, ETH)), (0, 15 - 4));
    // The one that it replaces pays ordinary fees, and nothing is free: so does the new one.
    venue.transfer(trader, ETH, -11, "all").unwrap();
    let old = venue.rest(sell(trader, 100, 10).named("old"));
    let (_, held) = replace(&mut venue, old, sell(trader, 110, 10).named("new"));
    assert_eq!((held, venue.held(trader, ETH)), (None, 0));
}

#[test]
fn an_order_keeps_the_conversion_that_it_was_placed_with() {
    let mut venue = venue();
    let (maker, taker) = (user(&mut venue, 1_000), venue.rich());
    venue.rest(sell(maker, 100, 20));
    for rates in [vec![(USDT, 500_000_000)], Vec::new()] {
        assert_eq!(set(&mut venue, &FeeDiscount { rates, basis_points: 0, ..discount() }), Answer::FeesSet);
        let (_, events) = venue.place(buy(taker, 100, 8));
        let [trade] = traded(&events)[..] else { panic!("one trade") };
        // 8,000 of USDT, at 0.075 %.
        assert_eq!((trade.maker.fee, trade.other_fee_asset(false)), (Amount(6), Some(ETH)));
    }
}

#[test]
fn a_fee_that_is_not_less_than_the_trade_is_the_ordinary_one() {
    let mut venue = venue();
    // A unit of ETH is worth 10,000 of USDT: ten lots at a hundred.
    let rates = vec![(USDT, 10_000)];
    assert_eq!(set(&mut venue, &FeeDiscount { rates, ..discount() }), Answer::FeesSet);
    let (maker, taker) = (venue.rich(), user(&mut venue, 1_000));
    venue.rest(sell(maker, 100, 10));
    venue.rest(sell(maker, 100, 11));
    let (_, events) = venue.place(buy(taker, 100, 10));
    let [trade] = traded(&events)[..] else { panic!("one trade") };
    assert_eq!((trade.taker.fee, trade.discount), (Amount(10 * LOT * 2 / 1_000), None));
    let (_, events) = venue.place(buy(taker, 100, 11));
    let [trade] = traded(&events)[..] else { panic!("one trade") };
    assert_eq!((trade.taker.fee, trade.other_fee_asset(true)), (Amount(1), Some(ETH)));
    assert_eq!((venue.free(taker, ETH), venue.held(taker, ETH)), (999, 0));
}

#[test]
fn what_cannot_be_counted_is_held_as_far_as_it_is_there() {
    let mut venue = Venue::empty();
    let filters = Filters {
        price_max: Price(1_000_000_000),
        quantity_max: Quantity(1_000_000),
        market_quantity_max: Quantity(1_000_000),
        ..open_filters()
    };
    let assets = [("BTC", 3), ("USDT", 18), ("ETH", 8)]
        .map(|(name, decimals)| ListAsset { name: AssetName::new_checked(name).unwrap(), decimals });
    venue.apply(Body::ActivateRules(Rules::NEWEST));
    for asset in assets.clone() {
        venue.apply(Body::ListAsset(asset));
    }
    let asset = |id: AssetId| Asset { id, name: assets[id.0 as usize].name, decimals: assets[id.0 as usize].decimals };
    let description = Description {
        base: asset(BTC),
        quote: asset(USDT),
        tick_size: decimal("1"),
        step_size: decimal("1"),
        filters,
        fees: fees("0.001", "0.002"),
        ..btcusdt()
    };
    venue.apply(Body::ListMarket(Box::new(ListMarket { description })));
    assert_eq!(set(&mut venue, &discount()), Answer::FeesSet);
    let [maker, taker] = [(); 2].map(|()| venue.account());
    let one = 1_000_000_000_000_000_000;
    venue.transfer(maker, USDT, 1_000 * one, "usdt").unwrap();
    venue.transfer(taker, BTC, 1_000_000_000, "btc").unwrap();
    venue.transfer(taker, ETH, 1_000_000_000, "eth").unwrap();
    venue.apply(Body::SetDiscountUse { account: taker, on: true });
    venue.rest(buy(maker, 100, 10));
    // At the highest price it is worth so much that its fee has no number.
    let (_, events) = venue.place(market(taker, Side::Sell, lots(1_000_000)));
    let [trade] = traded(&events)[..] else { panic!("one trade") };
    // 0.15 % of a thousand, of which each is worth one.
    assert_eq!((trade.taker.fee, trade.other_fee_asset(true)), (Amount(150_000_000), Some(ETH)));
}

/// Trails the price by 1 % from the last price on.
fn trailing(order: NewOrder) -> NewOrder {
    let instructions = Instructions { trailing: Some(TrailingDelta(100)), ..Instructions::default() };
    order.with(|terms| (terms.instructions, terms.stop_price) = (instructions.boxed(), OptionalPrice::NONE))
}

#[test]
fn a_trailing_stop_without_a_stop_price_pays_so_too() {
    let mut venue = venue();
    venue.change(Some(Filters { amends_max: 5, ..open_filters() }), None, None);
    let (trader, other) = (user(&mut venue, 10_000), venue.rich());
    // Before the first price nobody knows what it will be worth.
    let first = trailing(stop(trader, Side::Sell, OrderType::StopLossLimit, 1, 10)).at_limit(500);
    let (first, _) = venue.place(first);
    assert_eq!(venue.held(trader, ETH), 150, "twice its limit");
    venue.cancel(trader, Target::Order(first)).unwrap();
    venue.trade_at(1_000);
    let (order, events) = venue.place(trailing(stop(trader, Side::Sell, OrderType::StopLoss, 1, 10)));
    assert_eq!(reserved(&events), Some(Amount(10_000)), "all that is free, until its market says the price");
    assert_eq!((venue.held(trader, ETH), venue.free(trader, ETH)), (165, 9_835), "the last price and 10 %");
    venue.restart();
    let amend = AmendOrder {
        account: trader,
        symbol: BTCUSDT,
        target: Target::Order(order),
        quantity: Quantity(5),
        placed: Quantity(10),
        client_order_id: name("less"),
    };
    assert!(matches!(answer(&venue.apply(Body::Amend(amend))), Answer::Amended { .. }));
    assert_eq!(venue.held(trader, ETH), 5 * 17, "each lot has its part, rounded up");
    venue.restart();
    venue.rest(buy(other, 985, 5));
    venue.rest(sell(other, 990, 1));
    let (_, events) = venue.place(buy(other, 990, 1));
    let [_, trade] = traded(&events)[..] else { panic!("{events:?}") };
    assert_eq!((trade.price, trade.taker.fee, trade.other_fee_asset(true)), (Price(985), Amount(74), Some(ETH)));
    assert_eq!((venue.free(trader, ETH), venue.held(trader, ETH)), (10_000 - 74, 0));
    // One that buys spends no more than is held for it.
    let (order, events) = venue.place(trailing(stop(trader, Side::Buy, OrderType::StopLoss, 1, 10)));
    assert_eq!(reserved(&events), Some(Amount(9_926)));
    let held = (venue.held(trader, USDT) * 15 + 9_999) / 10_000;
    assert_eq!(venue.held(trader, ETH), held);
    venue.restart();
    venue.cancel(trader, Target::Order(order)).unwrap();
    assert_eq!((venue.free(trader, ETH), venue.held(trader, USDT)), (9_926, 0));
}

#[test]
fn a_discount_that_cannot_be_is_refused() {
    let mut venue = Venue::new();
    let trader = venue.rich();
    let old = Answer::Refused(Refusal::RulesTooOld);
    assert_eq!(set(&mut venue, &discount()), old);
    assert_eq!(*answer(&venue.apply(Body::SetDiscountUse { account: trader, on: true })), old);
    venue.apply(Body::ActivateRules(Rules::NEWEST));
    let [fine, coarse] = [("FINE", 18), ("COARSE", 0)].map(|(name, decimals)| {
        let name = AssetName::new_checked(name).unwrap();
        match *answer(&venue.apply(Body::ListAsset(ListAsset { name, decimals }))) {
            Answer::AssetListed(asset) => asset,
            ref other => panic!("{other:?}"),
        }
    });
    for (refused, why) in [
        (FeeDiscount { basis_points: 10_000, ..discount() }, Refusal::FeeDiscount),
        (FeeDiscount { rates: vec![(USDT, 0)], ..discount() }, Refusal::FeeDiscount),
        (FeeDiscount { asset: fine, rates: vec![(coarse, u64::MAX)], ..discount() }, Refusal::FeeDiscount),
        (FeeDiscount { asset: AssetId(9), ..discount() }, Refusal::UnknownAsset),
        (FeeDiscount { rates: vec![(AssetId(9), 1)], ..discount() }, Refusal::UnknownAsset),
        (FeeDiscount { except: vec![SymbolId(9)], ..discount() }, Refusal::UnknownSymbol),
    ] {
        assert_eq!(set(&mut venue, &refused), Answer::Refused(why));
    }
    let nobody = Body::SetDiscountUse { account: AccountId(9_999), on: true };
    assert_eq!(*answer(&venue.apply(nobody)), Answer::Refused(Refusal::UnknownAccount));
    // Who switches it on twice has it on.
    venue.apply(Body::SetDiscountUse { account: trader, on: true });
    assert_eq!(venue.apply(Body::SetDiscountUse { account: trader, on: true }).len(), 1);
    // Nobody else says what pays an order's fees.
    let mut order = buy(trader, 100, 1);
    let rates = DiscountRates { maker: 0, taker: 0, worth: 0, scale: 0 };
    let own = OrderDiscount { asset: ETH, hold: HoldId(1), held: Amount(1), rates };
    order.terms.instructions = Instructions { discount: Some(own), ..Instructions::default() }.boxed();
    assert_eq!(*answer(&venue.apply(Body::Place(order))), Answer::Refused(Refusal::MalformedOrder));
}
