//! A command activates rules, and they apply from the next command on.

use std::collections::BTreeMap;

use crossbook_engine::import::{self, Past};
use crossbook_engine::{Partition, WorkBudget};
use crossbook_protocol::command::{Body, OpenAccount};
use crossbook_protocol::import::Piece;
use crossbook_protocol::order::Instructions;
use crossbook_protocol::{Answer, Command, Event, Events, Refusal, Routing, Rules};
use crossbook_types::{Amount, PartitionId, RequestNumber, SourceId, StrategyId, Timestamp};

use crate::kit::*;

fn activate(venue: &mut Venue, rules: Rules) -> Vec<Event> {
    venue.apply(Body::ActivateRules(rules))
}

#[test]
fn rules_are_activated_once_and_never_taken_back() {
    let mut venue = Venue::new();
    assert_eq!(venue.partition.active_rules(), Rules::V2);
    assert_eq!(answer(&activate(&mut venue, Rules::V1)), &Answer::RulesActive(Rules::V2));
    let events = activate(&mut venue, Rules::V3);
    assert!(events.contains(&Event::RulesActivated(Rules::V3)));
    assert_eq!(answer(&events), &Answer::RulesActive(Rules::V3));
    for rules in [Rules::V2, Rules::V3] {
        let events = activate(&mut venue, rules);
        assert_eq!(events.len(), 1, "nothing changes");
        assert_eq!(answer(&events), &Answer::RulesActive(Rules::V3));
    }
    venue.restart();
    assert_eq!(venue.partition.active_rules(), Rules::V3);
}

#[test]
fn orders_with_instructions_are_refused_until_the_rules_know_them() {
    let mut venue = Venue::new();
    let trader = venue.rich();
    let instructions = Instructions { strategy_id: Some(StrategyId(7)), ..Instructions::default() };
    let order = buy(trader, 100, 1).with(|terms| terms.instructions = instructions.boxed());
    assert_eq!(venue.refused(order.clone()), Refusal::RulesTooOld);
    activate(&mut venue, Rules::V4);
    let (_, events) = venue.place(order);
    let placed = events.iter().find_map(|event| match event {
        Event::OrderPlaced(placed) => placed.terms.instructions.as_deref(),
        _ => None,
    });
    assert_eq!(placed, Some(&instructions));
}

#[test]
fn other_partitions_follow_and_only_partition_0_begins() {
    let routing = Routing::new_checked(2, BTreeMap::new()).unwrap();
    let mut partitions: Vec<_> = routing.all().map(|id| Partition::new(id, routing.clone(), 7)).collect();
    let mut apply = |at: usize, source: SourceId, body: Body| {
        let partition = &mut partitions[at];
        let sequence = partition.sequence().next();
        let mut events = Events::new();
        let command = Command::new(sequence, Timestamp(sequence.0), source, RequestNumber(sequence.0), body);
        partition.apply(&command, &mut events);
        let sent: Vec<_> = partition.drain_outgoing().collect();
        (partition.active_rules(), events.all().to_vec(), sent)
    };
    let (rules, events, _) = apply(1, GATEWAY, Body::ActivateRules(Rules::V3));
    assert_eq!((rules, answer(&events)), (Rules::V2, &Answer::Refused(Refusal::NotTheRegistry)));
    let (rules, _, sent) = apply(0, GATEWAY, Body::ActivateRules(Rules::V3));
    assert_eq!((rules, sent.len(), sent[0].to), (Rules::V3, 1, PartitionId(1)));
    // The first command of partition 1 was refused, so this is the first message that it takes.
    let message = sent[0].message.clone();
    let partition = &mut partitions[1];
    let sequence = partition.sequence().next();
    let source = SourceId::partition(PartitionId(0));
    let mut events = Events::new();
    let command = Command::new(sequence, Timestamp(9), source, sent[0].number, Body::Peer(message));
    partition.apply(&command, &mut events);
    assert_eq!(partition.active_rules(), Rules::V3);
    assert_eq!(events.all(), [Event::RulesActivated(Rules::V3)]);
}

/// A record of an older version implies its rules, whatever is active.
#[test]
fn a_record_of_an_older_version_is_applied_under_its_own_rules() {
    let mut venue = Venue::new().with_work(WorkBudget { transfers: 2, ..WorkBudget::RULES });
    activate(&mut venue, Rules::V3);
    let account = venue.account();
    venue.rules = Some(Rules::V2);
    for at in 0..5 {
        venue.transfer(account, BTC, 1, &format!("t{at}")).unwrap();
    }
    assert_eq!(venue.partition.ledger().transfers().count(), 5);
}

#[test]
fn the_oldest_transfers_are_forgotten_under_the_third_rules() {
    let mut venue = Venue::new().with_work(WorkBudget { transfers: 3, ..WorkBudget::RULES });
    let account = venue.account();
    let deposit = |venue: &mut Venue, at: usize| venue.transfer(account, BTC, 10 + at as i128, &format!("t{at}"));
    for at in 0..6 {
        deposit(&mut venue, at).unwrap();
    }
    assert_eq!(venue.partition.ledger().transfers().count(), 6, "the rules before remember all");
    activate(&mut venue, Rules::V3);
    deposit(&mut venue, 6).unwrap();
    let remembered = |venue: &Venue| {
        let transfers = venue.partition.ledger().transfers();
        transfers.map(|transfer| transfer.transfer.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(remembered(&venue), ["t4", "t5", "t6"]);
    let forgotten = venue.partition.ledger().forgotten_transfers().to_vec();
    assert_eq!(forgotten.iter().map(|sum| sum.0).sum::<i128>(), 10 + 11 + 12 + 13);
    venue.restart_with(WorkBudget { transfers: 3, ..WorkBudget::RULES });
    assert_eq!((remembered(&venue).len(), venue.partition.ledger().forgotten_transfers()), (3, &forgotten[..]));
    // What is remembered is not done again.
    let free = venue.partition.ledger().balance(account, BTC).free;
    deposit(&mut venue, 6).unwrap();
    assert_eq!(venue.partition.ledger().balance(account, BTC).free, free);

    // A venue that forgot transfers can be exported and imported.
    let inventory = import::gather(&[(&venue.partition, &Nothing as &dyn Past)]).unwrap();
    assert_eq!((inventory.transfers.len(), inventory.forgotten[0].amount), (3, Amount(46)));
    let mut imported = Partition::new(PartitionId(0), Routing::single(), 8);
    let pieces = import::pieces(&inventory, &Routing::single(), [1; 32]).swap_remove(0);
    let open = Piece::Open;
    for (number, piece) in (1..).zip(pieces) {
        take(&mut imported, number, piece);
    }
    take(&mut imported, 1, open);
    assert_eq!(imported.audit().violations, Vec::<String>::new());
    let again = import::gather(&[(&imported, &Nothing as &dyn Past)]).unwrap();
    assert_eq!(inventory.differences(&again), Vec::<String>::new());
}

/// A venue that is imported comes in under the newest rules, also where they, or older ones, have been activated
/// before. Where anything else has been done, it is refused.
#[test]
fn an_import_brings_the_newest_rules_and_takes_activated_ones_for_nothing() {
    let begin = || Piece::BeginUnder { export: [1; 32], pieces: 1, rules: Rules::NEWEST };
    let activate = |partition: &mut Partition, rules| command(partition, GATEWAY, 1, Body::ActivateRules(rules));
    for before in [None, Some(Rules::V3), Some(Rules::NEWEST)] {
        let mut partition = Partition::new(PartitionId(0), Routing::single(), 7);
        if let Some(rules) = before {
            activate(&mut partition, rules);
        }
        take(&mut partition, 1, begin());
        assert_eq!((partition.active_rules(), partition.is_importing()), (Rules::NEWEST, true), "{before:?}");
    }
    let mut partition = Partition::new(PartitionId(0), Routing::single(), 7);
    activate(&mut partition, Rules::V3);
    command(&mut partition, GATEWAY, 2, Body::OpenAccount(OpenAccount { label: String::new() }));
    let events = command(&mut partition, SourceId::IMPORT, 1, Body::Import(Box::new(begin())));
    assert_eq!(answer(&events), &Answer::Refused(Refusal::NotEmpty));
    assert_eq!(partition.active_rules(), Rules::V3);
}

fn command(partition: &mut Partition, source: SourceId, number: u64, body: Body) -> Vec<Event> {
    let (sequence, mut events) = (partition.sequence().next(), Events::new());
    partition.apply(&Command::new(sequence, Timestamp(99_000_000), source, RequestNumber(number), body), &mut events);
    events.all().to_vec()
}

fn take(partition: &mut Partition, number: u64, piece: Piece) {
    let events = command(partition, piece.source(), number, Body::Import(Box::new(piece)));
    assert_eq!(answer(&events), &Answer::Imported);
}
