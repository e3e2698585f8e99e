//! Each planted bug is found within its budget of worlds. Built only with `--cfg crossbook_bugs`; `make bugs` does
//! that.

#![cfg(crossbook_bugs)]

use crossbook_simulator::bugs::{HUNTS, hunt};
use crossbook_simulator::runner::{fresh_seed, simulate};

#[test]
fn each_bug_is_found_within_its_budget() {
    let from = fresh_seed();
    println!("planted bugs, from seed {from}");
    println!("{:<26} {:>7} {:>7}  found by", "bug", "budget", "worlds");
    let mut missed = Vec::new();
    for planted in HUNTS {
        let name = format!("{:?}", planted.bug);
        match hunt(planted, from) {
            Some(found) => {
                let said: String = found.violation.to_string().chars().take(150).collect();
                println!("{name:<26} {:>7} {:>7}  seed {}: {said}", planted.budget, found.worlds, found.seed);
            }
            None => {
                println!("{name:<26} {:>7} {:>7}", planted.budget, "-");
                missed.push(name);
            }
        }
    }
    assert!(missed.is_empty(), "not found from seed {from} on: {missed:?}");
}

#[test]
fn a_build_with_bugs_that_all_sleep_is_a_good_one() {
    let from = fresh_seed();
    for seed in from..from + 10 {
        let violation = simulate(seed).violation;
        assert_eq!(violation, None, "seed {seed}");
    }
}
