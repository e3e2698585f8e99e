//! A venue that is upgraded while it runs: programs of two versions side by side, and the activation of new rules.

use crossbook_protocol::Rules;
use crossbook_simulator::cluster::World;
use crossbook_simulator::dice::Dice;
use crossbook_simulator::runner::verdict;
use crossbook_simulator::violation::Check;

const SEEDS: u64 = 4;

#[test]
fn processes_are_upgraded_one_by_one_and_then_the_rules_are() {
    for seed in 1..=SEEDS {
        let mut world = World::new(Dice::new(seed)).upgrading(false);
        world.live().unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        assert!(world.rules().all(|rules| rules == Rules::NEWEST), "seed {seed}: not active everywhere");
        assert_eq!(world.coverage().of("process stopped for rules that it does not know"), 0, "seed {seed}");
    }
}

/// A process that does not know the rules stops before it applies anything under them, and goes on once it is upgraded.
#[test]
fn a_process_that_does_not_know_the_rules_stops() {
    let mut stopped = 0;
    for seed in 1..=SEEDS {
        let mut world = World::new(Dice::new(seed)).upgrading(true);
        world.live().unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        assert!(world.rules().all(|rules| rules == Rules::NEWEST), "seed {seed}: not active everywhere");
        stopped += world.coverage().of("process stopped for rules that it does not know");
    }
    assert!(stopped > 0, "no process has met rules that it does not know");
}

/// A worker that computes otherwise is found by the checkpoints, which all processes compare: whoever comes second
/// stops.
#[test]
fn a_worker_that_computes_otherwise_is_caught() {
    let mut caught = 0;
    for seed in 1..=2 * SEEDS {
        let mut world = World::new(Dice::new(seed)).diverging();
        let Some(violation) = verdict(|| world.live()) else { continue };
        let found = violation.to_string();
        // After the last checkpoint there is only the end that shows it.
        if found.contains("ends with another state") {
            continue;
        }
        assert!(violation.check == Check::Replicas && found.contains("has computed other effects"), "{seed}: {found}");
        caught += 1;
    }
    assert!(caught >= SEEDS, "only {caught} worlds have found it by a checkpoint");
}
