//! Countdowns that cancel what an account has open: when they pass, what they cancel, and that nothing is left out.

use std::collections::BTreeMap;

use crossbook_engine::import::{self, Past};
use crossbook_engine::{COUNTDOWNS_PER_ACCOUNT, Partition, WorkBudget};
use crossbook_protocol::command::{Body, OpenAccount};
use crossbook_protocol::countdown::{CANCEL_NAME, Countdown, CountdownScope, SetCountdown};
use crossbook_protocol::event::CloseReason;
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::{Answer, Command, Event, Events, Refusal, Routing, Rules};
use crossbook_types::{AccountId, OrderId, PartitionId, RequestNumber, Side, SourceId, SymbolId, Timestamp};

use CountdownScope::{Account, Session, Symbol};

use crate::kit::*;

const SECOND: u64 = 1_000_000;

fn venue() -> Venue {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::V4));
    venue
}

fn set(venue: &mut Venue, account: AccountId, scope: CountdownScope, after_millis: Option<u32>) -> Answer {
    let events = venue.apply(Body::SetCountdown(SetCountdown { account, scope, after_millis }));
    answer(&events).clone()
}

/// The countdown of a second, from now.
fn start(venue: &mut Venue, account: AccountId, scope: CountdownScope) -> Countdown {
    let Answer::CountdownSet { until: Some(until) } = set(venue, account, scope, Some(1_000)) else {
        panic!("not set")
    };
    assert_eq!(until, Timestamp(venue.partition.time().0 + SECOND));
    Countdown { account, scope, until }
}

fn end(venue: &mut Venue, countdown: Countdown) -> Vec<Event> {
    venue.apply(Body::EndCountdown(countdown))
}

fn canceled(events: &[Event]) -> Vec<OrderId> {
    let each = closed(events).into_iter();
    each.inspect(|(_, reason)| assert_eq!(*reason, CloseReason::Canceled { cancel_id: name(CANCEL_NAME) }))
        .map(|(order, _)| order)
        .collect()
}

#[test]
fn a_countdown_that_passes_cancels_what_it_covers_and_nothing_else() {
    for (scope, both_markets) in [(Account, true), (Symbol(BTCUSDT), false), (Session(7), true)] {
        let mut venue = venue();
        let (owner, other) = (venue.rich(), venue.rich());
        let here = venue.rest(buy(owner, 90, 1));
        let there = venue.rest(buy(owner, 90, 1).with(|terms| terms.symbol = ETHBTC));
        let others = venue.rest(buy(other, 90, 1));
        let countdown = start(&mut venue, owner, scope);
        assert_eq!(*answer(&end(&mut venue, countdown)), Answer::Refused(Refusal::NoCountdown), "too early");
        venue.start += SECOND;
        venue.restart();
        let events = end(&mut venue, countdown);
        assert!(events.contains(&Event::CountdownEnded { account: owner, scope, passed: true }));
        assert_eq!(*answer(&events), Answer::CountdownSet { until: None });
        assert_eq!(canceled(&events).len(), if both_markets { 2 } else { 1 }, "{scope:?}");
        assert!(venue.mirror.order(BTCUSDT, here).is_none());
        assert_eq!(venue.mirror.order(ETHBTC, there).is_none(), both_markets);
        assert!(venue.mirror.order(BTCUSDT, others).is_some());
        assert_eq!(*answer(&end(&mut venue, countdown)), Answer::Refused(Refusal::NoCountdown), "it has ended");
    }
}

#[test]
fn one_that_is_extended_or_taken_back_does_not_pass() {
    let mut venue = venue();
    let owner = venue.rich();
    let order = venue.rest(buy(owner, 90, 1));
    let first = start(&mut venue, owner, Account);
    venue.start += SECOND / 2;
    let second = start(&mut venue, owner, Account);
    venue.start += SECOND / 2;
    assert_eq!(*answer(&end(&mut venue, first)), Answer::Refused(Refusal::NoCountdown));
    assert_eq!(*answer(&end(&mut venue, second)), Answer::Refused(Refusal::NoCountdown));
    assert_eq!(venue.partition.countdowns(), [second]);
    assert_eq!(set(&mut venue, owner, Account, None), Answer::CountdownSet { until: None });
    venue.start += SECOND;
    assert_eq!(*answer(&end(&mut venue, second)), Answer::Refused(Refusal::NoCountdown));
    assert!(venue.partition.countdowns().is_empty() && venue.mirror.order(BTCUSDT, order).is_some());
    // One of zero passes at once.
    let events =
        venue.apply(Body::SetCountdown(SetCountdown { account: owner, scope: Session(1), after_millis: Some(0) }));
    assert_eq!(canceled(&events), [order]);
}

#[test]
fn what_cannot_be_is_refused() {
    let mut venue = Venue::new();
    let owner = venue.rich();
    assert_eq!(set(&mut venue, owner, Account, Some(1)), Answer::Refused(Refusal::RulesTooOld));
    venue.apply(Body::ActivateRules(Rules::V4));
    assert_eq!(set(&mut venue, AccountId(9_999), Account, Some(1)), Answer::Refused(Refusal::UnknownAccount));
    assert_eq!(set(&mut venue, owner, Symbol(SymbolId(9)), Some(1)), Answer::Refused(Refusal::UnknownSymbol));
    for session in 0..COUNTDOWNS_PER_ACCOUNT as u64 {
        start(&mut venue, owner, Session(session));
    }
    assert_eq!(set(&mut venue, owner, Account, Some(1)), Answer::Refused(Refusal::TooManyCountdowns));
    start(&mut venue, owner, Session(0));
    let another = venue.rich();
    start(&mut venue, another, Account);
}

/// More orders than one command cancels, in two markets, while a cancel of all of one market is under way.
#[test]
fn what_one_command_does_not_cancel_is_cancelled_by_the_next_ones() {
    let work = WorkBudget { cancels: 2, continued: 3, ..WorkBudget::RULES };
    let mut venue = venue().with_work(work);
    let owner = venue.rich();
    let mut orders: Vec<OrderId> = (0..5).map(|_| venue.rest(buy(owner, 90, 1))).collect();
    venue.apply(Body::CancelAll(crossbook_protocol::order::CancelAll {
        account: owner,
        symbol: BTCUSDT,
        cancel_id: name(CANCEL_NAME),
    }));
    // It came after the cancel of all, which would leave it.
    orders.push(venue.rest(buy(owner, 91, 1)));
    for _ in 0..5 {
        venue.rest(buy(owner, 90, 1).with(|terms| terms.symbol = ETHBTC));
    }
    let countdown = start(&mut venue, owner, Account);
    venue.start += SECOND;
    end(&mut venue, countdown);
    venue.restart_with(work);
    let mut steps = 0;
    while let Some(events) = venue.go_on() {
        assert!(canceled(&events).len() <= 3);
        steps += 1;
    }
    assert!(steps >= 3 && venue.mirror.open_orders().is_empty());
}

/// The account's partition tells those of the markets, which may be others.
#[test]
fn other_partitions_cancel_what_the_account_has_there() {
    let routing = Routing::new_checked(2, BTreeMap::new()).unwrap();
    let mut partitions: Vec<_> = routing.all().map(|id| Partition::new(id, routing.clone(), 7)).collect();
    let mut setup = vec![Body::ActivateRules(Rules::V4)];
    setup.extend(listings(open_filters(), fees("0", "0")));
    setup.extend((0..8).map(|_| Body::OpenAccount(OpenAccount { label: String::new() })));
    let mut apply = |at: usize, source: SourceId, number: u64, body: Body| {
        let (sequence, mut events) = (partitions[at].sequence().next(), Events::new());
        let command = Command::new(sequence, Timestamp(sequence.0), source, RequestNumber(number), body);
        partitions[at].apply(&command, &mut events);
        let sent: Vec<_> = partitions[at].drain_outgoing().collect();
        (events.all().to_vec(), sent)
    };
    let mut received = 0;
    for (number, body) in (1..).zip(setup) {
        for message in apply(0, GATEWAY, number, body).1 {
            received = message.number.0;
            apply(1, SourceId::partition(PartitionId(0)), received, Body::Peer(message.message));
        }
    }
    let account = (0..8).map(|at| AccountId(AccountId::FIRST_CLIENT.0 + at));
    let account = account.into_iter().find(|&account| routing.of_account(account) == PartitionId(0)).unwrap();
    let elsewhere = [BTCUSDT, ETHBTC].into_iter().find(|&symbol| routing.of_symbol(symbol) == PartitionId(1)).unwrap();
    for (at, (scope, symbol)) in (1..).zip([(Account, None), (Symbol(elsewhere), Some(elsewhere))]) {
        let body = Body::SetCountdown(SetCountdown { account, scope, after_millis: Some(0) });
        let (_, sent) = apply(0, GATEWAY, 100 + at, body);
        let [message] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(message.message, PeerMessage::CancelOrders { account, symbol });
        assert_eq!((message.to, message.number.0), (PartitionId(1), received + at));
        // It has nothing open there, and nobody is answered.
        let (events, _) =
            apply(1, SourceId::partition(PartitionId(0)), message.number.0, Body::Peer(sent[0].message.clone()));
        assert_eq!(events, []);
    }
}

#[test]
fn countdowns_move_with_the_venue() {
    let mut venue = venue();
    let owner = venue.rich();
    let countdown = start(&mut venue, owner, Session(7));
    let inventory = import::gather(&[(&venue.partition, &Nothing as &dyn Past)]).unwrap();
    assert_eq!(inventory.countdowns, [countdown]);
    let mut imported = Partition::new(PartitionId(0), Routing::single(), 8);
    for (number, piece) in (1..).zip(import::pieces(&inventory, &Routing::single(), [1; 32]).swap_remove(0)) {
        let (sequence, source, mut events) = (imported.sequence().next(), piece.source(), Events::new());
        let body = Body::Import(Box::new(piece));
        imported.apply(&Command::new(sequence, Timestamp(9), source, RequestNumber(number), body), &mut events);
        assert_eq!(answer(events.all()), &Answer::Imported);
    }
    assert_eq!(imported.countdowns(), [countdown]);
}

#[test]
fn the_depth_is_published_as_it_is_after_the_cancels() {
    let mut venue = venue();
    let (owner, other) = (venue.rich(), venue.rich());
    venue.rest(buy(owner, 90, 1));
    venue.rest(buy(other, 90, 2));
    let countdown = start(&mut venue, owner, Account);
    venue.start += SECOND;
    end(&mut venue, countdown);
    assert_eq!(venue.depth(Side::Buy), [(90, 2)]);
    assert_eq!(venue.held(owner, USDT), 0);
}
