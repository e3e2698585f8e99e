//! What operators ask is told with their note, and an account that is frozen does no more.

use crate::kit::*;
use crossbook_engine::import::{self, Past};
use crossbook_engine::{Partition, WorkBudget};
use crossbook_protocol::command::{Body, OpenAccount, Operated};
use crossbook_protocol::event::{CloseReason, Event};
use crossbook_protocol::operator::{Acted, Note};
use crossbook_protocol::order::CancelAll;
use crossbook_protocol::registry::FROZEN_CANCEL_NAME;
use crossbook_protocol::{Answer, Command, Events, Refusal, Routing, Rules};
use crossbook_types::{AccountId, OrderType, PartitionId, RequestNumber, Side, Timestamp};

fn noted(body: Body) -> Body {
    Body::Operated(Box::new(Operated { note: Note::new("ann", "what", "why"), body }))
}

fn newest() -> Venue {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::NEWEST));
    venue
}

/// The note that is among the events of a command, right before its answer.
fn acted(events: &[Event]) -> &Acted {
    let at = events.iter().position(|event| matches!(event, Event::Answered { .. })).unwrap();
    let Event::OperatorActed(acted) = &events[at - 1] else { panic!("{events:?}") };
    acted
}

#[test]
fn what_an_operator_asks_is_done_and_told() {
    let mut venue = newest();
    let events = venue.apply(noted(Body::OpenAccount(OpenAccount { label: "new".to_owned() })));
    assert!(matches!(answer(&events), Answer::AccountOpened(_)));
    assert_eq!(*acted(&events), Acted { note: Note::new("ann", "what", "why"), refused: None });
    let events = venue.apply(noted(Body::SetFrozen { account: AccountId(9_999), on: true }));
    assert_eq!(*answer(&events), Answer::Refused(Refusal::UnknownAccount));
    assert_eq!(acted(&events).refused, Some(Refusal::UnknownAccount));
    // A refusal of the market is told, too.
    let account = venue.rich();
    let all = || Body::CancelAll(CancelAll { account, symbol: BTCUSDT, cancel_id: name("all") });
    assert_eq!(acted(&venue.apply(noted(all()))).refused, Some(Refusal::UnknownOrder));
    venue.rest(sell(account, 100, 10));
    assert_eq!(acted(&venue.apply(noted(all()))).refused, None);
}

#[test]
fn older_rules_know_no_notes() {
    let mut venue = Venue::new();
    let events = venue.apply(noted(Body::OpenAccount(OpenAccount { label: String::new() })));
    assert_eq!(events.len(), 1);
    assert_eq!(*answer(&events), Answer::Refused(Refusal::RulesTooOld));
}

#[test]
fn a_frozen_account_places_nothing_and_pays_nothing_out() {
    let mut venue = newest();
    let (frozen, other) = (venue.rich(), venue.rich());
    let resting = venue.rest(sell(frozen, 100, 10));
    let freeze = |on| Body::SetFrozen { account: frozen, on };
    venue.transfer(frozen, BTC, -5, "before").unwrap();
    let waiting = venue.rest(stop(frozen, Side::Sell, OrderType::StopLoss, 90, 1));
    let events = venue.apply(freeze(true));
    assert_eq!(events[0], Event::FrozenChanged { account: frozen, on: true });
    // All that it had open ends, what waits for its price too.
    let reason = CloseReason::Canceled { cancel_id: name(FROZEN_CANCEL_NAME) };
    assert_eq!(closed(&events), [(resting, reason), (waiting, reason)]);
    assert_eq!(venue.held(frozen, BTC), 0);
    assert_eq!(venue.apply(freeze(true)).len(), 1, "nothing is new");
    venue.restart();
    let refused = Answer::Refused(Refusal::AccountFrozen);
    assert_eq!(*answer(&venue.apply(Body::Place(buy(frozen, 90, 1)))), refused);
    assert_eq!(venue.transfer(frozen, BTC, -1, "out"), Err(Refusal::AccountFrozen));
    // What was paid before is answered as it was, and what is paid in is credited.
    assert_eq!(venue.transfer(frozen, BTC, -5, "before"), Ok(1));
    venue.transfer(frozen, BTC, 1, "in").unwrap();
    venue.apply(freeze(false));
    venue.transfer(frozen, BTC, -1, "out").unwrap();
    venue.rest(buy(frozen, 90, 1));
    venue.rest(buy(other, 90, 1));
}

/// More than one command cancels, in two markets: the next ones cancel the rest.
#[test]
fn what_one_command_does_not_cancel_of_a_frozen_account_ends_later() {
    let work = WorkBudget { cancels: 2, continued: 3, ..WorkBudget::RULES };
    let mut venue = newest().with_work(work);
    let frozen = venue.rich();
    for symbol in [BTCUSDT, ETHBTC] {
        for _ in 0..5 {
            venue.rest(buy(frozen, 90, 1).with(|terms| terms.symbol = symbol));
        }
    }
    venue.apply(Body::SetFrozen { account: frozen, on: true });
    venue.restart_with(work);
    while venue.go_on().is_some() {}
    assert!(venue.mirror.open_orders().is_empty());
}

#[test]
fn older_rules_freeze_nothing() {
    let mut venue = Venue::new();
    let account = venue.rich();
    let events = venue.apply(Body::SetFrozen { account, on: true });
    assert_eq!(*answer(&events), Answer::Refused(Refusal::RulesTooOld));
    venue.rest(buy(account, 90, 1));
}

#[test]
fn frozen_accounts_move_with_the_venue() {
    let mut venue = newest();
    let (frozen, _) = (venue.rich(), venue.rich());
    venue.apply(Body::SetFrozen { account: frozen, on: true });
    let inventory = import::gather(&[(&venue.partition, &Nothing as &dyn Past)]).unwrap();
    let mut imported = Partition::new(PartitionId(0), Routing::single(), 8);
    for (number, piece) in (1..).zip(import::pieces(&inventory, &Routing::single(), [1; 32]).swap_remove(0)) {
        let (sequence, source, mut events) = (imported.sequence().next(), piece.source(), Events::new());
        let body = Body::Import(Box::new(piece));
        imported.apply(&Command::new(sequence, Timestamp(9), source, RequestNumber(number), body), &mut events);
        assert_eq!(answer(events.all()), &Answer::Imported);
    }
    assert_eq!(imported.registry().frozen().collect::<Vec<_>>(), [frozen]);
}
