//! An order pays its exact fee, rounded up once; and markets in which a fee could be all that is received are not
//! listed.

use crossbook_oracle::sample::{btcusdt, decimal};
use crossbook_protocol::command::{Body, ChangeMarket, ListAsset, ListMarket};
use crossbook_protocol::{Answer, Event, Refusal, Rules};
use crossbook_types::{AccountId, Asset, AssetName, Filters, MarketStatus, OrderId, Price, SymbolName, market};

use crate::kit::*;

/// Smallest units in a lot, and of the quote asset in a lot at one tick: assets without decimals, in steps of two.
const STEP: i128 = 2;

/// A venue whose assets have no decimals; fees of 0.1 % to the maker and 0.2 % to the taker.
fn whole_units(step: &str, rules: Rules) -> (Venue, Answer) {
    let mut venue = Venue::empty();
    venue.rules = Some(rules);
    let mut assets = Vec::new();
    for (id, name) in [(BTC, "COIN"), (USDT, "CASH")] {
        let name = AssetName::new_checked(name).unwrap();
        venue.apply(Body::ListAsset(ListAsset { name, decimals: 0 }));
        assets.push(Asset { id, name, decimals: 0 });
    }
    let description = market::Description {
        symbol: SymbolName::new_checked("COINCASH").unwrap(),
        base: assets[0],
        quote: assets[1],
        tick_size: decimal("1"),
        step_size: decimal(step),
        fees: fees("0.001", "0.002"),
        ..btcusdt()
    };
    let events = venue.apply(Body::ListMarket(Box::new(ListMarket { description })));
    let listed = answer(&events).clone();
    (venue, listed)
}

fn listed(rules: Rules) -> Venue {
    let (venue, listed) = whole_units("2", rules);
    assert_eq!(listed, Answer::MarketListed(BTCUSDT));
    venue
}

fn rich(venue: &mut Venue) -> AccountId {
    let account = venue.account();
    for asset in [BTC, USDT] {
        venue.transfer(account, asset, 1_000_000, &format!("fund-{}", asset.0)).unwrap();
    }
    account
}

/// What an order paid in these events, trade by trade.
fn paid(events: &[Event], order: OrderId) -> Vec<i128> {
    let of = |event: &Event| match event {
        Event::Traded(trade) => {
            [trade.taker, trade.maker].into_iter().find(|party| party.order == order).map(|party| party.fee.0)
        }
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

#[test]
fn a_taker_of_many_trades_pays_its_fee_once() {
    for (rules, fees) in [(Rules::V1, vec![1; 10]), (Rules::V2, [vec![1], vec![0; 9]].concat())] {
        let mut venue = listed(rules);
        let (maker, taker) = (rich(&mut venue), rich(&mut venue));
        for _ in 0..10 {
            venue.rest(sell(maker, 50, 1));
        }
        let (order, events) = venue.place(buy(taker, 50, 10));
        assert_eq!(paid(&events, order), fees, "{rules:?}: 0.2 % of 20 is 0.04");
        let fee: i128 = fees.iter().sum();
        assert_eq!(venue.free(taker, BTC), 1_000_000 + 10 * STEP - fee);
        assert_eq!(venue.fees_of(BTC), fee, "what the trader pays is what the venue gets");
    }
}

#[test]
fn a_maker_of_many_trades_pays_its_fee_once_across_a_restart() {
    for (rules, fees) in [(Rules::V1, [1; 10]), (Rules::V2, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0])] {
        let mut venue = listed(rules);
        let (maker, taker) = (rich(&mut venue), rich(&mut venue));
        let order = venue.rest(buy(maker, 50, 10));
        let mut all = Vec::new();
        for _ in 0..10 {
            let (_, events) = venue.place(sell(taker, 50, 1));
            all.extend(paid(&events, order));
            venue.restart();
        }
        assert_eq!(all, fees, "{rules:?}: 0.1 % of 20 is 0.02");
        assert_eq!(venue.fees_of(BTC), fees.iter().sum::<i128>());
    }
}

/// 0.2 % of what it took and 0.1 % of what it made, and the sum of both is rounded.
#[test]
fn an_order_that_takes_and_then_rests_pays_one_fee_at_two_rates() {
    let mut venue = listed(Rules::V2);
    let (other, trader) = (rich(&mut venue), rich(&mut venue));
    for _ in 0..3 {
        venue.rest(buy(other, 25, 1));
    }
    // As a taker: 0.1 of 50 each, which is 0.3 in all; as a maker: 0.05 each.
    let (order, events) = venue.place(sell(trader, 25, 20));
    assert_eq!(paid(&events, order), [1, 0, 0]);
    let mut fees = Vec::new();
    for _ in 0..17 {
        let (_, events) = venue.place(buy(other, 25, 1));
        fees.extend(paid(&events, order));
    }
    // After 14 more the exact fee is 1.0.
    assert_eq!(fees, [vec![0; 14], vec![1, 0, 0]].concat());
    assert_eq!(venue.fees_of(USDT), 2, "the exact fee is 1.15");
}

/// The place of an order in the book is another's later, who has not inherited anything.
#[test]
fn an_order_does_not_pay_with_what_another_was_charged() {
    let mut venue = listed(Rules::V2);
    let (maker, taker) = (rich(&mut venue), rich(&mut venue));
    for _ in 0..3 {
        let order = venue.rest(buy(maker, 50, 2));
        for fee in [1, 0] {
            let (_, events) = venue.place(sell(taker, 50, 1));
            assert_eq!(paid(&events, order), [fee]);
        }
    }
}

#[test]
fn a_trade_of_the_first_rules_leaves_an_order_s_credit_as_it_was() {
    let mut venue = listed(Rules::V2);
    let (maker, taker) = (rich(&mut venue), rich(&mut venue));
    let order = venue.rest(buy(maker, 50, 5));
    for (rules, fee) in [(Rules::V2, 1), (Rules::V1, 1), (Rules::V2, 0), (Rules::V1, 1), (Rules::V2, 0)] {
        venue.rules = Some(rules);
        let (_, events) = venue.place(sell(taker, 50, 1));
        assert_eq!(paid(&events, order), [fee]);
    }
}

#[test]
fn a_market_whose_smallest_trade_would_be_all_fee_is_neither_listed_nor_made() {
    let refused = Answer::Refused(Refusal::Market(market::Error::FeeTakesAll));
    assert_eq!(whole_units("1", Rules::V2).1, refused);
    // Under the first rules it was listed. It can be closed, and opened again, but not be changed so that it stays as
    // it is.
    let (mut venue, listed) = whole_units("1", Rules::V1);
    assert_eq!(listed, Answer::MarketListed(BTCUSDT));
    venue.rules = Some(Rules::V2);
    let mut change = |filters: Option<Filters>, fees, status| {
        let request = ChangeMarket { symbol: BTCUSDT, filters, fees, status, self_trade: None };
        answer(&venue.apply(Body::ChangeMarket(Box::new(request)))).clone()
    };
    let changed = Answer::MarketChanged(BTCUSDT);
    assert_eq!(change(None, None, Some(MarketStatus::Halt)), changed);
    let higher = Filters { price_min: Price(2), ..open_filters() };
    assert_eq!(change(Some(higher), None, None), refused, "a lot is one unit of the base asset still");
    assert_eq!(change(None, Some(fees("0", "0.00000001")), None), refused);
    assert_eq!(change(None, Some(fees("0", "0")), Some(MarketStatus::Trading)), changed);
    assert_eq!(change(None, Some(fees("0.001", "0")), None), refused);
}
