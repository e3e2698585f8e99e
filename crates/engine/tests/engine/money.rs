//! Money to the last unit: holds, fees, price improvement, transfers.

mod account_fees;
mod discount;
mod order_fees;

use crate::kit::*;
use crossbook_engine::Partition;
use crossbook_protocol::command::{Body, FeePayout};
use crossbook_protocol::event::{Event, Trade, VenueAccount};
use crossbook_protocol::order::Target;
use crossbook_protocol::{Answer, Refusal, Routing};
use crossbook_types::{AccountId, Amount, AssetId, MarketStatus, OrderType, PartitionId, Side, TimeInForce};

fn only_trade(events: &[Event]) -> Trade {
    let mut all = events.iter().filter_map(|event| match event {
        Event::Traded(trade) => Some(*trade),
        _ => None,
    });
    let trade = all.next().unwrap();
    assert!(all.next().is_none());
    trade
}

#[test]
fn each_side_pays_its_rate_of_what_it_receives_rounded_up() {
    let mut venue = Venue::with(open_filters(), fees("0.00012345", "0.00100001"));
    let (maker, taker) = (venue.trader(10, 0), venue.trader(0, 10_000));
    venue.rest(sell(maker, 777, 7));
    let (_, events) = venue.place(buy(taker, 777, 7));
    let trade = only_trade(&events);
    let quote = 777 * 7 * TICK_LOT; // 54,390
    assert_eq!(trade.quote.0, quote);
    assert_eq!(trade.taker.fee.0, 8, "7,000 x 0.00100001 = 7.00007");
    assert_eq!(trade.maker.fee.0, 7, "54,390 x 0.00012345 = 6.71...");
    assert_eq!((venue.free(taker, BTC), venue.free(maker, USDT)), (7 * LOT - 8, quote - 7));
    assert_eq!((venue.free(maker, BTC), venue.free(taker, USDT)), (3 * LOT, 10_000 * TICK_LOT - quote));
    assert_eq!((venue.fees_of(BTC), venue.fees_of(USDT)), (8, 7));
}

#[test]
fn a_selling_taker_pays_in_quote_and_its_buying_maker_in_base() {
    let mut venue = Venue::with(open_filters(), fees("0.001", "0.002"));
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(buy(maker, 1_000, 3));
    let (_, events) = venue.place(sell(taker, 900, 3));
    let trade = only_trade(&events);
    assert_eq!((trade.price.0, trade.taker_side), (1_000, Side::Sell));
    assert_eq!((trade.taker.fee, trade.maker.fee), (Amount(60), Amount(3)));
    assert_eq!((venue.fees_of(USDT), venue.fees_of(BTC)), (60, 3));
}

#[test]
fn an_order_keeps_the_rates_that_it_was_accepted_with() {
    let mut venue = Venue::with(open_filters(), fees("0.001", "0.001"));
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 1_000, 1));
    let waiting = stop(taker, Side::Buy, OrderType::StopLoss, 1_000, 1);
    venue.rest(waiting);
    venue.rest(sell(maker, 1_000, 1));
    venue.change(None, Some(fees("0.5", "0.25")), None);
    let (_, events) = venue.place(buy(taker, 1_000, 1));
    let paid: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Traded(trade) => Some((trade.taker.fee.0, trade.maker.fee.0)),
            _ => None,
        })
        .collect();
    assert_eq!(paid, [(250, 10), (1, 10)], "a new taker and an old one, both with old makers");
}

#[test]
fn a_better_price_frees_the_difference_at_once() {
    let mut venue = Venue::with(open_filters(), fees("0", "0"));
    let (maker, taker) = (venue.rich(), venue.trader(0, 1_100));
    venue.rest(sell(maker, 80, 4));
    venue.rest(buy(taker, 110, 10));
    // Four lots at 80; six still wait at 110.
    assert_eq!(venue.held(taker, USDT), 6 * 110 * TICK_LOT);
    assert_eq!(venue.free(taker, USDT), (1_100 - 4 * 80 - 6 * 110) * TICK_LOT);
    assert_eq!(venue.free(taker, BTC), 4 * LOT);
}

#[test]
fn what_an_order_may_cost_is_held_and_no_more_can_be_promised() {
    let mut venue = Venue::new();
    let trader = venue.trader(10, 1_000);
    venue.rest(buy(trader, 100, 6));
    assert_eq!(venue.held(trader, USDT), 600 * TICK_LOT);
    assert_eq!(venue.refused(buy(trader, 100, 5)), Refusal::InsufficientBalance);
    assert_eq!(venue.refused(market(trader, Side::Buy, worth(401))), Refusal::InsufficientBalance);
    let last = venue.rest(buy(trader, 100, 4));
    assert_eq!(venue.free(trader, USDT), 0);
    venue.rest(sell(trader, 200, 10));
    assert_eq!(venue.refused(sell(trader, 300, 1)), Refusal::InsufficientBalance);
    assert_eq!(venue.transfer(trader, USDT, -1, "out"), Err(Refusal::InsufficientBalance));
    venue.cancel(trader, Target::Order(last)).unwrap();
    assert_eq!((venue.free(trader, USDT), venue.held(trader, USDT)), (400 * TICK_LOT, 600 * TICK_LOT));
    venue.cancel_all(trader).unwrap();
    assert_eq!((venue.held(trader, USDT), venue.held(trader, BTC)), (0, 0));
}

#[test]
fn an_order_that_does_not_trade_leaves_no_trace_in_the_balances() {
    let mut venue = Venue::new();
    let trader = venue.rich();
    let (_, events) = venue.place(buy(trader, 100, 1).within(TimeInForce::Ioc));
    assert!(!events.iter().any(|event| matches!(event, Event::BalanceChanged { .. })), "{events:?}");
    venue.change(None, None, Some(MarketStatus::Halt));
    venue.refused(buy(trader, 100, 1));
}

#[test]
fn a_transfer_takes_effect_once() {
    let mut venue = Venue::new();
    let (a, b) = (venue.account(), venue.account());
    assert_eq!(venue.transfer(a, USDT, 500, "t1"), Ok(3), "what moved, the answer, the balance");
    assert_eq!(venue.transfer(a, USDT, 500, "t1"), Ok(1), "the answer again");
    assert_eq!(venue.transfer(a, USDT, 501, "t1"), Err(Refusal::TransferConflict));
    assert_eq!(venue.transfer(a, BTC, 500, "t1"), Err(Refusal::TransferConflict));
    assert_eq!(venue.transfer(a, USDT, -500, "t1"), Err(Refusal::TransferConflict));
    assert_eq!(venue.transfer(b, USDT, 500, "t1"), Ok(3), "ids are each account's own");
    assert_eq!(venue.transfer(a, USDT, -501, "t2"), Err(Refusal::InsufficientBalance));
    assert_eq!(venue.transfer(a, USDT, -500, "t2"), Ok(3), "a refused id is free");
    assert_eq!(venue.transfer(a, USDT, -500, "t2"), Ok(1));
    assert_eq!(venue.free(a, USDT), 0);
    assert_eq!(venue.transfer(a, USDT, 0, "t3"), Err(Refusal::TransferAmount));
    assert_eq!(venue.transfer(a, USDT, Amount::MAX.0 + 1, "t3"), Err(Refusal::TransferAmount));
    assert_eq!(venue.transfer(a, USDT, i128::MIN, "t3"), Err(Refusal::TransferAmount));
    assert_eq!(venue.transfer(AccountId::FEES, USDT, 1, "t3"), Err(Refusal::UnknownAccount));
    assert_eq!(venue.transfer(a, crossbook_types::AssetId(9), 1, "t3"), Err(Refusal::UnknownAsset));
    let external = venue.partition.ledger().venue_balance(AccountId::EXTERNAL, USDT);
    assert_eq!(external, Amount(-500), "what came in and is still here");
}

#[test]
fn amounts_at_the_edge_of_what_fits_stop_nothing() {
    let mut venue = Venue::new();
    let (a, b) = (venue.account(), venue.account());
    let mut taken = 0;
    for at in 0..300 {
        match venue.transfer(a, USDT, Amount::MAX.0, &format!("t{at}")) {
            Ok(_) => taken += 1,
            Err(refusal) => assert_eq!(refusal, Refusal::TransferAmount),
        }
    }
    assert_eq!(taken, 256, "2^120 in all");
    venue.transfer(b, BTC, Amount::MAX.0, "t").unwrap();
    venue.rest(sell(b, 1_000_000, 1_000_000_000));
    let (_, events) = venue.place(market(a, Side::Buy, worth(1 << 100)));
    assert_eq!(trades(&events), [(1_000_000, 1_000_000_000)]);
    let (_, events) = venue.place(market(a, Side::Buy, lots(1_000_000_000)));
    assert_eq!(trades(&events), []);
}

#[test]
fn the_registry_is_kept_by_partition_0_alone() {
    let routing = Routing::new_checked(2, std::collections::BTreeMap::new()).unwrap();
    let mut partition = Partition::new(PartitionId(1), routing, 0);
    let mut events = crossbook_protocol::Events::new();
    let body = Body::OpenAccount(crossbook_protocol::command::OpenAccount { label: String::new() });
    let (sequence, number) = (partition.sequence().next(), crossbook_types::RequestNumber(1));
    let time = crossbook_types::Timestamp(1);
    partition.apply(&crossbook_protocol::Command::new(sequence, time, GATEWAY, number, body), &mut events);
    assert_eq!(*answer(events.all()), Answer::Refused(Refusal::NotTheRegistry));
}

#[test]
fn two_markets_share_an_account_s_funds() {
    let mut venue = Venue::with(open_filters(), fees("0", "0"));
    let trader = venue.trader(1_000, 0);
    // ETHBTC: a tick of 0.001 and a lot of 0.001 make 100 units of BTC.
    let eth = limit(trader, Side::Buy, 10, 600).with(|terms| terms.symbol = ETHBTC);
    venue.rest(eth);
    assert_eq!(venue.held(trader, BTC), 600_000);
    assert_eq!(venue.refused(sell(trader, 100, 401)), Refusal::InsufficientBalance);
    venue.rest(sell(trader, 100, 400));
    assert_eq!(venue.free(trader, BTC), 0);
}

fn pay_out(venue: &mut Venue, asset: AssetId, amount: i128, id: &str) -> (Answer, usize) {
    let transfer = crossbook_types::TransferId::new_checked(id).unwrap();
    let request = FeePayout { partition: PartitionId(0), asset, amount: Amount(amount), transfer };
    let events = venue.apply(Body::PayOutFees(request));
    (answer(&events).clone(), events.len())
}

fn reported(venue: &mut Venue, asset: AssetId) -> VenueAccount {
    let events = venue.apply(Body::ReportVenue { partition: PartitionId(0) });
    match answer(&events) {
        Answer::VenueAccounts(accounts) => *accounts.iter().find(|account| account.asset == asset).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn collected_fees_are_reported_and_paid_out_once() {
    let mut venue = Venue::with(open_filters(), fees("0.001", "0.002"));
    let (maker, taker) = (venue.trader(10, 0), venue.trader(0, 100_000));
    venue.rest(sell(maker, 1_000, 10));
    venue.place(buy(taker, 1_000, 10));
    let collected = venue.fees_of(BTC);
    assert_eq!(collected, 10 * LOT * 2 / 1_000);
    let before = reported(&mut venue, BTC);
    assert_eq!((before.fees, before.external, before.clearing), (Amount(collected), Amount(-10 * LOT), Amount(0)));

    let refused = |refusal| (Answer::Refused(refusal), 1);
    assert_eq!(pay_out(&mut venue, BTC, collected + 1, "all"), refused(Refusal::InsufficientBalance));
    assert_eq!(pay_out(&mut venue, BTC, 0, "all"), refused(Refusal::TransferAmount));
    assert_eq!(pay_out(&mut venue, BTC, -5, "all"), refused(Refusal::TransferAmount));
    assert_eq!(pay_out(&mut venue, AssetId(99), 5, "all"), refused(Refusal::UnknownAsset));
    let (first, events) = pay_out(&mut venue, BTC, 5, "all");
    let Answer::Transferred(record) = &first else { panic!("{first:?}") };
    assert_eq!((record.account, record.amount, events), (AccountId::FEES, Amount(-5), 2));
    assert_eq!(pay_out(&mut venue, BTC, 5, "all"), (first, 1), "a repetition moves nothing");
    assert_eq!(pay_out(&mut venue, BTC, 6, "all"), refused(Refusal::TransferConflict));
    let after = reported(&mut venue, BTC);
    assert_eq!((after.fees, after.external), (Amount(collected - 5), Amount(-10 * LOT + 5)));
    // The audit of the venue, which sums to zero, is taken after every command.

    let elsewhere = Body::ReportVenue { partition: PartitionId(1) };
    assert_eq!(*answer(&venue.apply(elsewhere)), Answer::Refused(Refusal::OtherPartition));
}
