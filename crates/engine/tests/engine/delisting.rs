//! Delisting: a market ends with all its orders, and its symbol is free.

use std::collections::BTreeMap;

use crossbook_engine::WorkBudget;
use crossbook_protocol::command::{Body, ChangeMarket};
use crossbook_protocol::event::CloseReason;
use crossbook_protocol::session::{SessionChange, SessionRequest};
use crossbook_protocol::{Answer, Refusal, Rules};
use crossbook_types::{MarketStatus, OrderId, OrderType, Side, SymbolId};

use crate::kit::*;

fn delist(venue: &mut Venue) -> Answer {
    answer(&venue.apply(Body::DelistMarket { symbol: BTCUSDT })).clone()
}

#[test]
fn the_orders_of_a_delisted_market_end_part_by_part_and_its_symbol_is_free() {
    let mut venue = Venue::new();
    assert_eq!(delist(&mut venue), Answer::Refused(Refusal::RulesTooOld));
    venue.apply(Body::ActivateRules(Rules::V4));
    venue.trade_at(100);
    let work = WorkBudget { continued: 2, ..WorkBudget::RULES };
    venue.restart_with(work);
    let (a, b) = (venue.rich(), venue.rich());
    let before = [BTC, USDT].map(|asset| (venue.free(a, asset), venue.free(b, asset)));
    let mut orders = vec![venue.rest(buy(a, 98, 1)), venue.rest(buy(b, 99, 1)), venue.rest(sell(a, 101, 1))];
    orders.push(venue.rest(stop(b, Side::Buy, OrderType::StopLoss, 110, 1)));
    orders.push(venue.rest(stop(b, Side::Sell, OrderType::StopLoss, 90, 1)));
    let elsewhere = venue.rest(buy(a, 90, 1).with(|terms| terms.symbol = ETHBTC));
    let events = venue.apply(Body::DelistMarket { symbol: BTCUSDT });
    assert_eq!(*answer(&events), Answer::MarketChanged(BTCUSDT));
    // Until they have ended they are there, and nothing new is.
    assert_eq!(venue.refused(buy(a, 100, 1)), Refusal::MarketClosed(MarketStatus::Delisted));
    let mut ended = closed(&events);
    assert_eq!(ended.len(), 2);
    while let Some(events) = venue.go_on() {
        let part = closed(&events);
        assert!(part.len() <= 2);
        ended.extend(part);
        venue.restart_with(work);
    }
    let [low, high, ask, rise, fall] = orders[..] else { panic!("{orders:?}") };
    assert_eq!(ended, [high, low, ask, rise, fall].map(|order| (order, CloseReason::ByVenue)));
    let open: Vec<(SymbolId, OrderId)> = venue.mirror.open_orders().keys().copied().collect();
    assert_eq!(open, [(ETHBTC, elsewhere)]);
    let after = [BTC, USDT].map(|asset| (venue.free(a, asset), venue.free(b, asset)));
    assert_eq!(after[1], before[1]);
    assert_eq!((after[0].1, before[0].0 - after[0].0), (before[0].1, venue.held(a, BTC)));
    // Nothing brings it back, and nothing more ends.
    assert_eq!(delist(&mut venue), Answer::MarketChanged(BTCUSDT));
    assert_eq!(venue.partition.continuation(), None);
    let status = Some(MarketStatus::Trading);
    let change = ChangeMarket { symbol: BTCUSDT, filters: None, fees: None, status, self_trade: None };
    let changed = venue.apply(Body::ChangeMarket(Box::new(change)));
    assert_eq!(*answer(&changed), Answer::Refused(Refusal::UnknownSymbol));
    let request = SessionRequest { symbol: BTCUSDT, change: SessionChange::OpenAuction { seconds: None } };
    assert_eq!(*answer(&venue.apply(Body::Session(request))), Answer::Refused(Refusal::UnknownSymbol));
    // A market of the same symbol has a number of its own, and begins anew.
    let listing = listings(open_filters(), fees("0", "0")).into_iter().find(|body| matches!(body, Body::ListMarket(_)));
    let listed = venue.apply(listing.unwrap());
    assert_eq!(*answer(&listed), Answer::MarketListed(SymbolId(2)));
    let again = buy(a, 7, 1).with(|terms| terms.symbol = SymbolId(2));
    assert_eq!(venue.rest(again), OrderId(1));
    let numbers: BTreeMap<_, _> =
        venue.partition.registry().markets().iter().map(|market| (market.id, market.status)).collect();
    assert_eq!(numbers[&BTCUSDT], MarketStatus::Delisted);
}

/// The first venue whose market has five orders, of which one command ends two.
fn with_orders(work: WorkBudget) -> Venue {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::V4));
    venue.restart_with(work);
    let trader = venue.rich();
    for price in 90..95 {
        venue.rest(buy(trader, price, 1));
    }
    venue
}

#[test]
fn what_a_skipped_command_left_of_a_delisted_market_ends_when_it_is_delisted_again() {
    let work = WorkBudget { continued: 2, ..WorkBudget::RULES };
    let mut venue = with_orders(work);
    assert_eq!(delist(&mut venue), Answer::MarketChanged(BTCUSDT));
    assert_eq!(venue.pass_over(), []);
    venue.restart_with(work);
    assert_eq!((venue.partition.continuation(), venue.mirror.open_orders().len()), (None, 3));
    assert_eq!(delist(&mut venue), Answer::MarketChanged(BTCUSDT));
    assert_eq!(venue.mirror.open_orders().len(), 1);
    venue.go_on().expect("an order is left");
    assert_eq!((venue.partition.continuation(), venue.mirror.open_orders().len()), (None, 0));
}

#[test]
fn a_skipped_auction_does_not_keep_a_delisted_market_from_ending() {
    let work = WorkBudget { continued: 1, ..WorkBudget::RULES };
    let mut venue = with_orders(work);
    let change = SessionChange::OpenAuction { seconds: None };
    venue.apply(Body::Session(SessionRequest { symbol: BTCUSDT, change }));
    let seller = venue.rich();
    venue.rest(sell(seller, 90, 3));
    let change = SessionChange::End;
    venue.apply(Body::Session(SessionRequest { symbol: BTCUSDT, change }));
    assert_eq!(delist(&mut venue), Answer::MarketChanged(BTCUSDT));
    let before = venue.mirror.open_orders().len();
    venue.pass_over();
    assert_eq!(venue.mirror.open_orders().len(), before);
    while venue.go_on().is_some() {
        venue.restart_with(work);
    }
    assert!(venue.mirror.open_orders().is_empty());
}

#[test]
fn a_market_is_given_no_status_that_is_not_its_operators() {
    let mut venue = Venue::new();
    for status in [MarketStatus::AuctionMatch, MarketStatus::Delisted] {
        let request =
            ChangeMarket { symbol: BTCUSDT, filters: None, fees: None, status: Some(status), self_trade: None };
        let events = venue.apply(Body::ChangeMarket(Box::new(request)));
        assert_eq!(*answer(&events), Answer::Refused(Refusal::NotAStatusToSet(status)));
    }
}
