//! Trade groups: accounts whose orders prevent each other as if they were of one, and what changes hands between them.

use crate::kit::*;
use crossbook_protocol::command::{Body, SetTradeGroup};
use crossbook_protocol::event::CloseReason::{Expired, Filled, SelfTradePrevented};
use crossbook_protocol::event::PreventedMatch;
use crossbook_protocol::order::{Instructions, NewOrder};
use crossbook_protocol::{Answer, Event, Refusal, Rules};
use crossbook_types::SelfTradePrevention::{Decrement, ExpireBoth, ExpireMaker, ExpireTaker, Transfer};
use crossbook_types::{AccountId, OrderId, OrderType, Quantity, SelfTradePrevention, Side, TimeInForce, TradeGroupId};

fn venue() -> Venue {
    let mut venue = Venue::with(open_filters(), fees("0.001", "0.002"));
    venue.apply(Body::ActivateRules(Rules::V4));
    venue
}

fn set(venue: &mut Venue, account: AccountId, group: u32) -> Vec<Event> {
    let group = TradeGroupId::new_checked(group);
    let events = venue.apply(Body::SetTradeGroup(SetTradeGroup { account, group }));
    assert_eq!(*answer(&events), Answer::TradeGroupSet(account));
    events
}

/// Two accounts of group 7, and one of none, each with 1,000 lots and as much as 1,000,000 ticks.
fn grouped() -> (Venue, [AccountId; 3]) {
    let mut venue = venue();
    let accounts = [(); 3].map(|()| venue.trader(1_000, 1_000_000));
    accounts[..2].iter().for_each(|&account| drop(set(&mut venue, account, 7)));
    (venue, accounts)
}

fn prevented(events: &[Event]) -> Vec<PreventedMatch> {
    let prevented = |event: &Event| match event {
        Event::MatchPrevented(prevented) => Some(*prevented),
        _ => None,
    };
    events.iter().filter_map(prevented).collect()
}

fn left(venue: &Venue, order: OrderId) -> u64 {
    venue.mirror.order(BTCUSDT, order).unwrap().left.unwrap().0
}

/// What an account has, free and held, in lots and in ticks.
fn has(venue: &Venue, account: AccountId) -> (i128, i128) {
    let of = |asset| venue.free(account, asset) + venue.held(account, asset);
    (of(BTC) / LOT, of(USDT) / TICK_LOT)
}

#[test]
fn orders_of_a_group_prevent_each_other_as_those_of_one_account() {
    // Whether the taker and the maker end.
    for (mode, taker_ends, maker_ends) in
        [(ExpireTaker, true, false), (ExpireMaker, false, true), (ExpireBoth, true, true)]
    {
        let (mut venue, [one, two, other]) = grouped();
        let maker = venue.rest(sell(two, 100, 5));
        let foreign = venue.rest(sell(other, 100, 5));
        let (taker, events) = venue.place(buy(one, 100, 3).preventing(mode));
        let [told] = prevented(&events)[..] else { panic!("{events:?}") };
        assert_eq!((told.account, told.counterparty, told.maker), (one, Some(two), maker), "{mode:?}");
        assert_eq!((told.group, told.mode), (TradeGroupId::new_checked(7), mode));
        let mut due = Vec::new();
        due.extend(maker_ends.then_some((maker, SelfTradePrevented)));
        due.push((taker, if taker_ends { SelfTradePrevented } else { Filled }));
        assert_eq!(closed(&events), due);
        assert_eq!(left(&venue, foreign), if taker_ends { 5 } else { 2 });
    }
}

#[test]
fn accounts_of_other_groups_and_of_none_trade() {
    let (mut venue, [one, two, other]) = grouped();
    set(&mut venue, two, 8);
    for (maker, taker) in [(one, two), (one, other), (other, one)] {
        venue.rest(sell(maker, 100, 1));
        let (_, events) = venue.place(buy(taker, 100, 1).preventing(ExpireBoth));
        assert_eq!(trades(&events), [(100, 1)]);
    }
    // The mode of the taker decides; with none they trade within a group.
    set(&mut venue, two, 7);
    venue.rest(sell(two, 100, 1).preventing(ExpireBoth));
    let (_, events) = venue.place(buy(one, 100, 1));
    assert_eq!(trades(&events), [(100, 1)]);
}

/// An order stays in the group in which its account was when it placed it, over restarts, triggers and refills.
#[test]
fn an_order_stays_in_its_group() {
    let (mut venue, [one, two, other]) = grouped();
    venue.trade_at(100);
    let iceberg = Instructions { iceberg: Some(Quantity(1)), ..Instructions::default() };
    let plain = venue.rest(sell(two, 101, 1));
    let iceberg = venue.rest(sell(two, 102, 3).with(|terms| terms.instructions = iceberg.boxed()));
    let waits = stop(two, Side::Sell, OrderType::StopLossLimit, 99, 1).at_limit(103);
    let waits = venue.rest(waits);
    set(&mut venue, two, 0);
    let later = venue.rest(sell(two, 100, 1));
    venue.restart();
    venue.rest(buy(other, 99, 1));
    let seller = venue.rich();
    venue.place(sell(seller, 99, 1));
    venue.restart();
    let (_, events) = venue.place(buy(one, 103, 10).preventing(ExpireMaker));
    assert_eq!(trades(&events), [(100, 1)], "what was placed outside of the group trades");
    let ended: Vec<_> = closed(&events).into_iter().map(|(order, _)| order).collect();
    assert_eq!(ended, [later, plain, iceberg, waits]);
    // The other way round: who comes into a group leaves older orders outside.
    let outside = venue.rest(sell(other, 200, 1));
    set(&mut venue, other, 7);
    let (_, events) = venue.place(buy(one, 200, 1).preventing(ExpireBoth));
    assert_eq!((trades(&events), closed(&events)[0].0), (vec![(200, 1)], outside));
}

#[test]
fn a_group_is_set_once_and_by_newer_rules_only() {
    let (mut venue, [one, ..]) = grouped();
    assert_eq!(set(&mut venue, one, 7).len(), 1, "it is there already");
    let set = |account| Body::SetTradeGroup(SetTradeGroup { account, group: None });
    let events = venue.apply(set(AccountId(9_999)));
    assert_eq!(*answer(&events), Answer::Refused(Refusal::UnknownAccount));
    let events = venue.apply(set(one));
    assert_eq!(events[0], Event::TradeGroupSet { account: one, group: None });
    for rules in [Rules::V1, Rules::V3] {
        venue.rules = Some(rules);
        let events = venue.apply(set(one));
        assert_eq!(*answer(&events), Answer::Refused(Refusal::RulesTooOld));
    }
}

/// What a client says of the group of its order does not count.
#[test]
fn a_client_does_not_choose_its_group() {
    let (mut venue, [one, _, other]) = grouped();
    let claims = |order: NewOrder| {
        let instructions = Instructions { trade_group: TradeGroupId::new_checked(7), ..Instructions::default() };
        order.with(|terms| terms.instructions = instructions.boxed())
    };
    venue.rest(claims(sell(other, 100, 1)));
    let (_, events) = venue.place(buy(one, 100, 1).preventing(ExpireBoth));
    assert_eq!(trades(&events), [(100, 1)]);
}

/// As in the API's own example: the resting order keeps what is left, and what they would have traded changes hands.
#[test]
fn what_two_accounts_would_have_traded_changes_hands() {
    for (taker_lots, taker_left, maker_left) in [(2, 0, 4), (6, 0, 0), (9, 3, 0)] {
        let (mut venue, [one, two, _]) = grouped();
        let maker = venue.rest(buy(two, 200, 6).preventing(Transfer));
        let (taker, events) = venue.place(sell(one, 190, taker_lots).preventing(Transfer));
        let lots = taker_lots.min(6);
        let [told] = prevented(&events)[..] else { panic!("{events:?}") };
        assert_eq!((told.mode, told.taker_prevented.0, told.maker_prevented.0), (Transfer, lots, lots));
        assert!(trades(&events).is_empty() && told.is_transfer());
        let (lots, paid) = (i128::from(lots), i128::from(lots) * 200);
        assert_eq!(has(&venue, one), (1_000 - lots, 1_000_000 + paid), "without a fee");
        assert_eq!(has(&venue, two), (1_000 + lots, 1_000_000 - paid), "without a fee");
        assert_eq!(venue.held(two, USDT), maker_left * 200 * TICK_LOT);
        assert_eq!(venue.held(one, BTC), i128::from(taker_left) * LOT);
        let ended: Vec<_> = closed(&events).into_iter().map(|(order, _)| order).collect();
        let mut due = Vec::new();
        due.extend((maker_left == 0).then_some(maker));
        due.extend((taker_left == 0).then_some(taker));
        assert_eq!(ended, due);
        venue.restart();
    }
}

#[test]
fn a_buy_pays_the_price_of_the_resting_order() {
    let (mut venue, [one, two, _]) = grouped();
    venue.rest(sell(two, 100, 4).preventing(Transfer));
    let rest = venue.rest(buy(one, 120, 10).preventing(Transfer));
    assert_eq!((has(&venue, one), has(&venue, two)), ((1_004, 999_600), (996, 1_000_400)));
    assert_eq!((venue.held(one, USDT), left(&venue, rest)), (6 * 120 * TICK_LOT, 6));
    // At market it takes what it can pay for.
    let poor = venue.trader(0, 250);
    set(&mut venue, poor, 7);
    venue.rest(sell(two, 130, 4).preventing(Transfer));
    venue.trade_at(125);
    let (taker, events) = venue.place(market(poor, Side::Buy, worth(250)).preventing(Transfer));
    assert_eq!(closed(&events), [(taker, SelfTradePrevented)]);
    assert_eq!(has(&venue, poor), (1, 120));
}

/// Only if both orders want it, and are of two accounts.
#[test]
fn otherwise_a_transfer_is_a_decrement() {
    for (mode, same) in [(Decrement, false), (ExpireTaker, false), (SelfTradePrevention::None, false), (Transfer, true)]
    {
        let (mut venue, [one, two, _]) = grouped();
        let owner = if same { one } else { two };
        venue.rest(buy(owner, 200, 6).preventing(mode));
        let (_, events) = venue.place(sell(one, 200, 2).preventing(Transfer));
        let [told] = prevented(&events)[..] else { panic!("{events:?}") };
        assert_eq!(told.mode, if same { Transfer } else { Decrement }, "{mode:?}");
        assert!(!told.is_transfer());
        assert_eq!((has(&venue, one), has(&venue, owner)), ((1_000, 1_000_000), (1_000, 1_000_000)));
        assert_eq!(venue.held(owner, USDT), 4 * 200 * TICK_LOT);
    }
    // Where the taker does not want it, its mode decides as ever.
    let (mut venue, [one, two, _]) = grouped();
    venue.rest(buy(two, 200, 6).preventing(Transfer));
    let (_, events) = venue.place(sell(one, 200, 2).preventing(Decrement));
    assert_eq!(prevented(&events)[0].mode, Decrement);
}

#[test]
fn fill_or_kill_and_market_orders_count_the_group() {
    let (mut venue, [one, two, other]) = grouped();
    venue.rest(sell(other, 100, 3));
    let mine = venue.rest(sell(two, 100, 3));
    venue.rest(sell(other, 101, 3));
    for mode in [ExpireTaker, ExpireBoth, Decrement, Transfer] {
        let (killed, events) = venue.place(buy(one, 101, 4).preventing(mode).within(TimeInForce::Fok));
        assert_eq!(closed(&events), [(killed, Expired)], "{mode:?}");
    }
    // The group's order makes way, and is not there for who asks what there is.
    let kill = |lots| buy(one, 101, lots).preventing(ExpireMaker).within(TimeInForce::Fok);
    let (killed, events) = venue.place(kill(7));
    assert_eq!(closed(&events), [(killed, Expired)]);
    let (filled, events) = venue.place(kill(6));
    assert_eq!(closed(&events)[1..], [(mine, SelfTradePrevented), closed(&events)[2], (filled, Filled)]);
    venue.rest(sell(two, 100, 3));
    let order = market(one, Side::Buy, worth(100)).preventing(ExpireMaker);
    assert_eq!(venue.refused(order), Refusal::EmptyBook);
}
