//! The standard workload through the whole engine, with accounts, holds and fees: the trades must be those on which
//! independent engines agree.

use crossbook_oracle::feed::FedPartition;
use crossbook_oracle::workload::{GroundTruth, Tally};
use crossbook_protocol::Events;

fn holds(truth: &GroundTruth) {
    let workload = (truth.workload)();
    let mut feed = FedPartition::new(&workload);
    let (mut events, mut commands, mut tally) = (Events::new(), Vec::new(), Tally::default());
    for (at, command) in workload.commands.iter().enumerate() {
        if at == workload.warmup {
            tally = Tally::default();
        }
        events.clear();
        commands.clear();
        feed.translate(command, &mut commands);
        for command in &commands {
            feed.partition.apply(command, &mut events);
        }
        feed.tally(&events, &mut tally);
    }
    assert_eq!(tally, truth.tally, "mix {}", truth.name);
    assert_eq!(feed.partition.audit().violations, Vec::<String>::new());
}

#[test]
fn mix_a_makes_the_trades_of_the_ground_truth() {
    holds(&GroundTruth::MIX_A);
}

#[test]
fn mix_b_with_a_shallow_book_makes_the_trades_of_the_ground_truth() {
    holds(&GroundTruth::MIX_B_1K);
}

#[test]
fn mix_b_with_a_deep_book_makes_the_trades_of_the_ground_truth() {
    holds(&GroundTruth::MIX_B_100K);
}
