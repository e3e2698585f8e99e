//! Lives through simulated worlds and says what it found.

use crossbook_simulator::simulate;

fn main() {
    let mut coverage = crossbook_simulator::coverage::Coverage::default();
    let begun = std::time::Instant::now();
    let (mut commands, mut bad) = (0, 0);
    let count: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(20);
    let start: u64 = std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(0);
    for seed in start..start + count {
        let outcome = simulate(seed);
        commands += outcome.commands;
        coverage.merge(&outcome.coverage);
        if let Some(violation) = outcome.violation {
            bad += 1;
            println!("seed {seed} {}: {violation}", outcome.which);
        }
    }
    for (what, n) in coverage.iter() {
        println!("{n:8} {what}");
    }
    println!("{commands} commands, {bad} bad, {:?}", begun.elapsed());
}
