//! What accounts pay beside or instead of the markets' fees.

use crate::kit::*;
use crossbook_protocol::command::{Body, SetAccountFees};
use crossbook_protocol::event::Event;
use crossbook_protocol::order::{ReplaceOrder, Target};
use crossbook_protocol::{Answer, Refusal, Rules};
use crossbook_types::{AccountFees, AccountId, Amount, AssetId, FeeTier, FeeTiers, Fees, Side, market};

/// A venue with the newest rules, whose markets charge 0.1 % to makers and 0.2 % to takers.
fn venue() -> Venue {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::NEWEST));
    venue
}

fn set(venue: &mut Venue, account: AccountId, fees: AccountFees) -> Answer {
    let events = venue.apply(Body::SetAccountFees(SetAccountFees { account, fees }));
    let told = events.contains(&Event::AccountFeesChanged { account, fees });
    assert_eq!(told, *answer(&events) == Answer::FeesSet);
    answer(&events).clone()
}

/// What taker and maker paid in the one trade among the events.
fn paid(events: &[Event]) -> (i128, i128) {
    let mut trades = events.iter().filter_map(|event| match event {
        Event::Traded(trade) => Some((trade.taker.fee.0, trade.maker.fee.0)),
        _ => None,
    });
    let first = trades.next().unwrap();
    assert!(trades.next().is_none());
    first
}

#[test]
fn an_account_pays_its_own_rates() {
    let mut venue = venue();
    let (maker, taker) = (venue.rich(), venue.rich());
    let before = venue.rest(sell(maker, 100, 10));
    let own = AccountFees { standard: Some(fees("0.01", "0.02")), special: fees("0", "0.1"), tax: fees("0.2", "0.3") };
    assert_eq!(set(&mut venue, maker, own), Answer::FeesSet);
    assert_eq!(set(&mut venue, taker, own), Answer::FeesSet);
    // The resting order keeps the rates that it was placed with: 0.1 % of 10,000.
    let (_, events) = venue.place(buy(taker, 100, 10));
    assert_eq!(paid(&events), (10 * LOT * 42 / 100, 1_000 * TICK_LOT / 1_000));
    assert!(venue.mirror.order(BTCUSDT, before).is_none());
    // Now it pays 0.01 + 0.2 as a maker.
    venue.rest(sell(maker, 100, 10));
    venue.restart();
    let (_, events) = venue.place(buy(taker, 100, 10));
    assert_eq!(paid(&events), (10 * LOT * 42 / 100, 1_000 * TICK_LOT * 21 / 100));
    assert_eq!(venue.fees_of(BTC), 2 * 10 * LOT * 42 / 100);
    // Without rates of its own it pays what the market says.
    set(&mut venue, taker, AccountFees { tax: fees("0", "0.1"), ..AccountFees::default() });
    venue.rest(sell(maker, 100, 10));
    let (_, events) = venue.place(buy(taker, 100, 10));
    assert_eq!(paid(&events).0, 10 * LOT * 102 / 1_000);
    set(&mut venue, taker, AccountFees::default());
    venue.rest(sell(maker, 100, 10));
    let (_, events) = venue.place(buy(taker, 100, 10));
    assert_eq!(paid(&events).0, 10 * LOT * 2 / 1_000);
}

#[test]
fn an_order_that_replaces_another_pays_the_account_s_rates() {
    let mut venue = venue();
    let (trader, other) = (venue.rich(), venue.rich());
    let old = venue.rest(buy(trader, 90, 10));
    set(&mut venue, trader, AccountFees { standard: Some(fees("0", "0.5")), ..AccountFees::default() });
    venue.rest(sell(other, 100, 10));
    let request = ReplaceOrder {
        order: buy(trader, 100, 10).named("new"),
        target: Target::Order(old),
        cancel_id: name("gone"),
        restriction: None,
        allow_failure: false,
    };
    let events = venue.apply(Body::Replace(Box::new(request)));
    assert_eq!(paid(&events).0, 5 * LOT);
}

#[test]
fn fees_that_would_be_all_that_is_received_are_refused() {
    let mut venue = venue();
    let trader = venue.rich();
    let all = Answer::Refused(Refusal::Market(market::Error::FeeTakesAll));
    // A lot is a thousand units.
    let most =
        |taker| AccountFees { standard: Some(fees("0", "0.5")), special: fees("0", taker), tax: Fees::default() };
    assert_eq!(set(&mut venue, trader, most("0.49999999")), all);
    assert_eq!(set(&mut venue, trader, most("0.4")), Answer::FeesSet);
    // Nor can a market be changed so that they would be.
    let taxed = AccountFees { tax: fees("0", "0.6"), ..AccountFees::default() };
    assert_eq!(set(&mut venue, trader, taxed), Answer::FeesSet);
    let change = crossbook_protocol::command::ChangeMarket {
        symbol: BTCUSDT,
        filters: None,
        fees: Some(fees("0", "0.39999999")),
        status: None,
        self_trade: None,
    };
    assert_eq!(*answer(&venue.apply(Body::ChangeMarket(Box::new(change)))), all);
    venue.change(None, Some(fees("0", "0.3")), None);
    let other = venue.rich();
    venue.rest(sell(other, 100, 1));
    let (_, events) = venue.place(market(trader, Side::Buy, lots(1)));
    assert_eq!(paid(&events).0, 900);
}

#[test]
fn fees_are_of_accounts_that_are_there_and_of_newer_rules() {
    let mut venue = Venue::new();
    let trader = venue.rich();
    let own = AccountFees { tax: fees("0.1", "0.1"), ..AccountFees::default() };
    assert_eq!(set(&mut venue, trader, own), Answer::Refused(Refusal::RulesTooOld));
    venue.apply(Body::ActivateRules(Rules::NEWEST));
    assert_eq!(set(&mut venue, AccountId(9_999), own), Answer::Refused(Refusal::UnknownAccount));
    assert_eq!(set(&mut venue, trader, own), Answer::FeesSet);
}

const DAY: u64 = 86_400_000_000;

fn tier(lots_at_100: i128, taker: &str) -> FeeTier {
    FeeTier { volume_min: Amount(lots_at_100 * 100 * TICK_LOT), fees: fees("0", taker) }
}

#[test]
fn who_has_traded_much_pays_what_the_tier_says() {
    let mut venue = venue();
    let (maker, taker) = (venue.rich(), venue.rich());
    let trade = |venue: &mut Venue, lots: u64| {
        venue.rest(sell(maker, 100, lots));
        let (_, events) = venue.place(buy(taker, 100, lots));
        (paid(&events).0, events)
    };
    // What was traded before volumes count does not count.
    trade(&mut venue, 1_000);
    let tiers = FeeTiers { asset: USDT, tiers: vec![tier(10, "0.1"), tier(30, "0.05")] };
    let events = venue.apply(Body::SetFeeTiers(Box::new(tiers.clone())));
    assert_eq!((&events[0], answer(&events)), (&Event::FeeTiersChanged(Box::new(tiers)), &Answer::FeesSet));
    assert_eq!(trade(&mut venue, 10).0, 20);
    // The volume of a day counts from the next day on.
    assert_eq!(trade(&mut venue, 10).0, 20);
    venue.start += DAY;
    let (fee, events) = trade(&mut venue, 10);
    assert_eq!(fee, 10 * LOT / 10);
    let reached = |account, fees| Event::FeeTierReached { account, fees };
    assert!(events.contains(&reached(taker, Some(fees("0", "0.1")))));
    let (fee, events) = trade(&mut venue, 10);
    assert!(fee == 10 * LOT / 10 && !events.iter().any(|event| matches!(event, Event::FeeTierReached { .. })));
    venue.restart();
    venue.start += DAY;
    assert_eq!(trade(&mut venue, 10).0, 10 * LOT / 20, "40 lots are in the second tier");
    // The 20 lots of the first day are thirty days old, and then count no more.
    venue.start += 28 * DAY;
    assert_eq!(trade(&mut venue, 1).0, LOT / 20);
    venue.start += DAY;
    assert_eq!(trade(&mut venue, 1).0, LOT / 20, "31 lots");
    venue.start += DAY;
    assert_eq!(trade(&mut venue, 1).0, LOT / 10, "12 lots");
    venue.start += 40 * DAY;
    let (fee, events) = trade(&mut venue, 10);
    assert!(fee == 20 && events.contains(&reached(taker, None)));
    // An account with rates of its own pays these.
    let own = AccountFees { standard: Some(fees("0", "0.3")), ..AccountFees::default() };
    set(&mut venue, taker, own);
    assert_eq!(trade(&mut venue, 1).0, 300);
}

#[test]
fn tiers_that_make_no_sense_are_refused() {
    let mut venue = venue();
    let mut set = |asset, tiers: Vec<FeeTier>| {
        let events = venue.apply(Body::SetFeeTiers(Box::new(FeeTiers { asset, tiers })));
        answer(&events).clone()
    };
    let refused = Answer::Refused;
    assert_eq!(set(USDT, vec![tier(2, "0"), tier(1, "0")]), refused(Refusal::FeeTiers));
    assert_eq!(set(AssetId(9), vec![tier(1, "0")]), refused(Refusal::UnknownAsset));
    let all = refused(Refusal::Market(market::Error::FeeTakesAll));
    assert_eq!(set(USDT, vec![tier(1, "0.99999999")]), all);
    assert_eq!(set(USDT, vec![tier(1, "0.5")]), Answer::FeesSet);
    let mut venue = Venue::new();
    let events = venue.apply(Body::SetFeeTiers(Box::new(FeeTiers { asset: USDT, tiers: vec![tier(1, "0.5")] })));
    assert_eq!(*answer(&events), refused(Refusal::RulesTooOld));
}
