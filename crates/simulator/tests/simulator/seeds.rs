//! Some hundreds of worlds that nobody has lived through before, and those in which something was once found.

use std::io::Write as _;

use crossbook_simulator::coverage::Coverage;
use crossbook_simulator::runner::{Which, fresh_seed, simulate, simulate_all};

/// How many worlds.
const SEEDS: u64 = 400;

/// Worlds that have found a bug, each with what it was. They go on being lived through; what they find is another
/// matter once the worlds change, so each bug has a test of its own besides.
const FOUND: &[(u64, &str)] = &[(739, "a standby whose clock was set back waited for as long as it had been set back")];

#[test]
fn nothing_goes_wrong_in_worlds_that_nobody_has_seen() {
    let from = fresh_seed();
    // Not by `println`, which only a test that fails prints.
    writeln!(std::io::stderr(), "simulator: {SEEDS} worlds that nobody has seen, from seed {from}")
        .expect("a stream for errors");
    let seeds: Vec<u64> = (from..from + SEEDS).collect();
    let (mut coverage, mut broken) = (Coverage::default(), Vec::new());
    simulate_all(&seeds, |outcome| {
        coverage.merge(&outcome.coverage);
        if let Some(violation) = outcome.violation {
            let seed = outcome.seed;
            broken.push(format!("seed {seed} ({}): {violation}", Which::of(seed)));
        }
        true
    });
    let again = "again: cargo run -p crossbook-simulator --bin simulate -- --seed";
    assert!(broken.is_empty(), "{again} SEED\n{}", broken.join("\n"));
    let missing = coverage.missing(SEEDS);
    assert!(missing.is_empty(), "{SEEDS} worlds from seed {from} have hardly ever reached this: {missing:#?}");
}

#[test]
fn a_seed_is_all_it_takes_to_live_through_a_world_again() {
    for seed in 0..8 {
        let (one, two) = (simulate(seed), simulate(seed));
        assert_eq!((one.digest, one.commands, one.violation), (two.digest, two.commands, two.violation), "seed {seed}");
        assert_eq!(one.coverage, two.coverage, "seed {seed}");
        assert_ne!(one.digest, simulate(seed + 8).digest, "another seed is another world");
    }
}

#[test]
fn what_was_found_once_is_not_found_again() {
    for &(seed, what) in FOUND {
        let violation = simulate(seed).violation;
        assert_eq!(violation, None, "seed {seed}: {what}");
    }
}
