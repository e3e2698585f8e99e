//! Work that exceeds one command: it is deferred, and continues, whatever happens in between.

use crossbook_engine::WorkBudget;
use crossbook_protocol::command::Body;
use crossbook_protocol::event::CloseReason::Canceled;
use crossbook_protocol::order::{CancelAll, NewOrder, Target};
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::{Answer, Command, Event, Events, Refusal, Rules};
use crossbook_types::{
    AccountId, MarketStatus, OrderId, OrderType, Price, RequestNumber, Side, SourceId, TimeInForce, Timestamp,
};

use crate::kit::*;

const WORK: WorkBudget =
    WorkBudget { triggers: 3, cancels: 2, continued: 4, levels_checked: 3, looks_per_step: 4, ..WorkBudget::RULES };

fn market_is(venue: &mut Venue, status: MarketStatus) {
    venue.change(None, None, Some(status));
}

/// Ten sell stops at 95, buyers for all of them, and the trade at 95 that reaches them. Who owns the stops, and their
/// numbers in order.
fn ten_stops(venue: &mut Venue) -> (AccountId, Vec<OrderId>) {
    let (owner, maker) = (venue.rich(), venue.rich());
    venue.trade_at(100);
    let stops = (0..10).map(|_| venue.rest(stop(owner, Side::Sell, OrderType::StopLoss, 95, 1))).collect();
    venue.rest(buy(maker, 95, 1));
    venue.rest(buy(maker, 90, 100));
    (owner, stops)
}

fn answers(events: &[Event]) -> Vec<(RequestNumber, Answer)> {
    let answer = |event: &Event| match event {
        Event::Answered { number, answer, .. } => Some((*number, answer.clone())),
        _ => None,
    };
    events.iter().filter_map(answer).collect()
}

#[test]
fn a_stop_that_was_reached_is_triggered_whatever_the_price_does_meanwhile() {
    let mut venue = Venue::new().with_work(WORK);
    let (owner, stops) = ten_stops(&mut venue);
    let (buyer, seller) = (venue.rich(), venue.rich());
    // One trade is one step, and two orders with a trade each are the next four.
    let (_, events) = venue.place(sell(seller, 95, 1));
    assert_eq!(triggered(&events), stops[..1]);
    // The price goes back to where no stop is reached.
    venue.rest(sell(seller, 100, 1));
    let (_, events) = venue.place(buy(buyer, 100, 1));
    assert_eq!((trades(&events), triggered(&events)), (vec![(100, 1)], vec![]), "others come first");
    // Whoever comes now to wait for what was reached would trigger at once, though the last price is 100.
    let late = stop(seller, Side::Sell, OrderType::StopLoss, 95, 1);
    assert_eq!(venue.refused(late.clone()), Refusal::WouldTrigger);
    let elsewhere = venue.rest(stop(seller, Side::Sell, OrderType::StopLoss, 89, 1));
    venue.cancel(owner, Target::Order(stops[4])).unwrap();
    let mut seen = vec![stops[0]];
    while let Some(events) = venue.go_on() {
        assert!(triggered(&events).len() <= 2);
        seen.extend(triggered(&events));
        venue.restart_with(WORK);
    }
    let due: Vec<_> = stops.iter().copied().filter(|&id| id != stops[4]).collect();
    assert_eq!(seen, due);
    assert!(venue.mirror.order(BTCUSDT, elsewhere).unwrap().waits, "nobody traded at 89");
    assert_eq!(venue.partition.unfinished(), None);
    venue.trade_at(100);
    venue.rest(late);
}

/// A message to go on that ends the process is passed over by the operator. The next one would meet the same order, so
/// there is none.
#[test]
fn deferred_work_is_dropped_with_the_skipped_message() {
    let mut venue = Venue::new().with_work(WORK);
    let (owner, stops) = ten_stops(&mut venue);
    let seller = venue.rich();
    venue.place(sell(seller, 95, 1));
    let request = CancelAll { account: owner, symbol: BTCUSDT, cancel_id: name("all") };
    venue.apply_as(GATEWAY, RequestNumber(5_000), Body::CancelAll(request));
    let number = venue.partition.continuation().unwrap();
    let (sequence, time) = (venue.partition.sequence().next(), venue.partition.time());
    let body = Body::Peer(PeerMessage::Continue);
    let source = SourceId::partition(venue.partition.id());
    let command = Command { skipped: true, ..Command::new(sequence, time, source, number, body) };
    let mut events = Events::new();
    venue.partition.apply(&command, &mut events);
    assert_eq!(answers(events.all()), [(RequestNumber(5_000), Answer::Refused(Refusal::Skipped))]);
    assert_eq!((venue.partition.continuation(), venue.partition.unfinished()), (None, None));
    assert_eq!(venue.partition.audit().violations, Vec::<String>::new());
    assert!(venue.partition.ledger().holds() >= stops.len() - 3, "what was not reached in time still waits");
}

#[test]
fn what_was_reached_waits_while_the_market_is_halted() {
    let mut venue = Venue::new().with_work(WORK);
    let (_, stops) = ten_stops(&mut venue);
    let seller = venue.rich();
    venue.place(sell(seller, 95, 1));
    market_is(&mut venue, MarketStatus::Halt);
    let events = venue.go_on().expect("it was due when the market was halted");
    assert_eq!(events, []);
    assert_eq!(venue.go_on(), None, "there is nothing to do before the market opens");
    assert_eq!(venue.partition.unfinished(), Some(BTCUSDT));
    venue.restart_with(WORK);
    market_is(&mut venue, MarketStatus::Trading);
    let mut seen = Vec::new();
    while let Some(events) = venue.go_on() {
        seen.extend(triggered(&events));
    }
    assert_eq!(seen, stops[1..]);
}

#[test]
fn no_work_is_left_when_all_triggered_orders_are_cancelled() {
    let mut venue = Venue::new().with_work(WORK);
    let (owner, stops) = ten_stops(&mut venue);
    let seller = venue.rich();
    venue.place(sell(seller, 95, 1));
    market_is(&mut venue, MarketStatus::Halt);
    for &stop in &stops[1..] {
        venue.cancel(owner, Target::Order(stop)).unwrap();
    }
    assert_eq!(venue.partition.unfinished(), None, "nobody is left who waits for it");
    market_is(&mut venue, MarketStatus::Trading);
    venue.trade_at(100);
    venue.rest(stop(owner, Side::Sell, OrderType::StopLoss, 95, 1));
}

#[test]
fn a_cancel_of_all_is_answered_when_none_of_them_is_left() {
    let mut venue = Venue::new().with_work(WORK);
    let (owner, other, taker) = (venue.rich(), venue.rich(), venue.rich());
    let orders: Vec<_> = (0..9).map(|at| venue.rest(buy(owner, 90 + at, 1))).collect();
    let others: Vec<_> = (0..3).map(|_| venue.rest(buy(other, 50, 1))).collect();
    let all = |account, cancel_id| Body::CancelAll(CancelAll { account, symbol: BTCUSDT, cancel_id: name(cancel_id) });
    let begun = venue.apply_as(GATEWAY, RequestNumber(5_000), all(owner, "all"));
    assert!(
        matches!(begun[0], Event::CancelAllBegun { account, number: RequestNumber(5_000), .. } if account == owner)
    );
    assert_eq!(closed(&begun).iter().map(|(id, _)| *id).collect::<Vec<_>>(), orders[..2]);
    assert_eq!(answers(&begun), []);
    // Sent again, it has no effect; asked once more, it is refused.
    assert_eq!(venue.apply_as(GATEWAY, RequestNumber(5_000), all(owner, "all")), []);
    let again = venue.apply_as(GATEWAY, RequestNumber(5_001), all(owner, "again"));
    assert_eq!(answers(&again), [(RequestNumber(5_001), Answer::Refused(Refusal::CancelingAll))]);
    // What somebody else cancels waits its turn.
    let begun = venue.apply_as(GATEWAY, RequestNumber(5_002), all(other, "theirs"));
    assert_eq!((closed(&begun), answers(&begun)), (vec![], vec![]));
    // Meanwhile one trades, one is cancelled by itself, one is new.
    venue.place(sell(taker, 98, 1));
    venue.cancel(owner, Target::Order(orders[7])).unwrap();
    let new = venue.rest(buy(owner, 99, 1));
    market_is(&mut venue, MarketStatus::Halt);
    venue.restart_with(WORK);
    let events = venue.go_on().unwrap();
    assert_eq!(closed(&events).iter().map(|(id, _)| *id).collect::<Vec<_>>(), orders[2..6]);
    assert_eq!(answers(&events), []);
    let events = venue.go_on().unwrap();
    let ended = closed(&events);
    // They take turns.
    let mine = (orders[6], Canceled { cancel_id: name("all") });
    let theirs = others.iter().map(|&id| (id, Canceled { cancel_id: name("theirs") }));
    assert_eq!(ended, theirs.chain([mine]).collect::<Vec<_>>());
    let done = |count| Answer::CanceledAll { symbol: BTCUSDT, count };
    assert_eq!(answers(&events), [(RequestNumber(5_002), done(3)), (RequestNumber(5_000), done(7))]);
    assert_eq!(venue.go_on(), None);
    assert!(venue.mirror.order(BTCUSDT, new).is_some(), "it came later");
    assert_eq!(venue.mirror.open_orders().len(), 1);
}

#[test]
fn a_cancel_of_all_that_finds_none_left_says_so() {
    let mut venue = Venue::new().with_work(WORK);
    let (owner, other) = (venue.rich(), venue.rich());
    let orders: Vec<_> = (0..3).map(|_| venue.rest(buy(owner, 50, 1))).collect();
    for _ in 0..9 {
        venue.rest(buy(other, 50, 1));
    }
    let all = |account| Body::CancelAll(CancelAll { account, symbol: BTCUSDT, cancel_id: name("all") });
    venue.apply_as(GATEWAY, RequestNumber(5_000), all(other));
    venue.apply_as(GATEWAY, RequestNumber(5_001), all(owner));
    for order in orders {
        venue.cancel(owner, Target::Order(order)).unwrap();
    }
    let mut told = Vec::new();
    while let Some(events) = venue.go_on() {
        told.extend(answers(&events));
    }
    let due = [
        (RequestNumber(5_001), Answer::Refused(Refusal::UnknownOrder)),
        (RequestNumber(5_000), Answer::CanceledAll { symbol: BTCUSDT, count: 9 }),
    ];
    assert_eq!(told, due);
}

/// A small cancel of all orders does not wait until a large one in the same market is at its end.
#[test]
fn cancels_of_all_take_turns() {
    let mut venue = Venue::new().with_work(WORK);
    let (large, small) = (venue.rich(), venue.rich());
    for _ in 0..40 {
        venue.rest(buy(large, 50, 1));
    }
    for _ in 0..6 {
        venue.rest(buy(small, 50, 1));
    }
    let all = |account| Body::CancelAll(CancelAll { account, symbol: BTCUSDT, cancel_id: name("all") });
    venue.apply_as(GATEWAY, RequestNumber(5_000), all(large));
    venue.apply_as(GATEWAY, RequestNumber(5_001), all(small));
    let mut parts = Vec::new();
    while let Some(events) = venue.go_on() {
        parts.push((closed(&events).len(), answers(&events).iter().map(|(number, _)| number.0).collect::<Vec<_>>()));
        venue.restart_with(WORK);
    }
    // Four of the large one, four of the small one, four of the large one, two of the small one and two more of the
    // large one.
    assert_eq!(parts[..4], [(4, vec![]), (4, vec![]), (4, vec![]), (4, vec![5_001])]);
    assert_eq!(*parts.last().unwrap(), (4, vec![5_000]));
    assert_eq!(parts.iter().map(|(count, _)| count).sum::<usize>(), 44);
}

/// Triggered fill-or-kill orders that walk many price levels are spread over more commands.
#[test]
fn what_a_fill_or_kill_check_walks_counts() {
    for (levels, in_a_part) in [(3, 4), (16, 1)] {
        let mut venue = Venue::new().with_work(WORK);
        let (owner, maker, seller) = (venue.rich(), venue.rich(), venue.rich());
        venue.trade_at(100);
        let order =
            stop(owner, Side::Sell, OrderType::StopLossLimit, 95, 50).with(|terms| terms.price = Some(Price(1)));
        let stops: Vec<_> = (0..9).map(|_| venue.rest(order.clone().within(TimeInForce::Fok))).collect();
        venue.rest(buy(maker, 95, 1));
        for level in 0..levels {
            venue.rest(buy(maker, 90 - level, 1));
        }
        let (_, events) = venue.place(sell(seller, 95, 1));
        let mut seen = triggered(&events);
        assert!(seen.len() <= in_a_part);
        while let Some(events) = venue.go_on() {
            let part = triggered(&events);
            assert!(trades(&events).is_empty(), "none is filled");
            assert!(part.len() == in_a_part || seen.len() + part.len() == stops.len(), "{levels}: {part:?}");
            seen.extend(part);
        }
        assert_eq!(seen, stops);
    }
}

#[test]
fn markets_take_turns() {
    let mut venue = Venue::new().with_work(WORK);
    let owner = venue.rich();
    venue.transfer(owner, ETH, 1_000_000_000, "eth").unwrap();
    let elsewhere = |order: NewOrder| order.with(|terms| terms.symbol = ETHBTC);
    for _ in 0..9 {
        venue.rest(buy(owner, 50, 1));
        venue.rest(elsewhere(sell(owner, 50, 1)));
    }
    for (number, symbol) in [(5_000, BTCUSDT), (5_001, ETHBTC)] {
        let all = Body::CancelAll(CancelAll { account: owner, symbol, cancel_id: name("all") });
        venue.apply_as(GATEWAY, RequestNumber(number), all);
    }
    let mut turns = Vec::new();
    while let Some(events) = venue.go_on() {
        let market = |event: &Event| match event {
            Event::OrderClosed(closed) => Some(closed.symbol),
            _ => None,
        };
        turns.extend(events.iter().find_map(market));
    }
    assert_eq!(turns, [BTCUSDT, ETHBTC, BTCUSDT, ETHBTC]);
}

/// The order commands of a log that was written under the first rules do all at once, as they did.
#[test]
fn under_the_first_rules_one_command_does_it_all() {
    let mut venue = Venue::new().with_work(WORK);
    let (owner, stops) = ten_stops(&mut venue);
    let seller = venue.rich();
    let mut apply = |number, body| {
        let sequence = venue.partition.sequence().next();
        let time = Timestamp(venue.partition.time().0 + 1);
        let source = SourceId(GATEWAY.0 + 1);
        let command =
            Command { rules: Some(Rules::V1), ..Command::new(sequence, time, source, RequestNumber(number), body) };
        let mut events = Events::new();
        venue.partition.apply(&command, &mut events);
        assert_eq!(venue.partition.continuation(), None);
        events.all().to_vec()
    };
    let order = sell(seller, 95, 1).named("first");
    assert_eq!(triggered(&apply(1, Body::Place(order))), stops);
    for at in 0..9 {
        apply(10 + at, Body::Place(buy(owner, 50, 1).named(&format!("b{at}"))));
    }
    let events = apply(2, Body::CancelAll(CancelAll { account: owner, symbol: BTCUSDT, cancel_id: name("all") }));
    assert_eq!(*answer(&events), Answer::CanceledAll { symbol: BTCUSDT, count: 9 });
}
