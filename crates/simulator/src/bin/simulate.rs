//! Runs simulated worlds, and prints the violations of each, so that they can be reproduced.

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use crossbook_simulator::coverage::Coverage;
use crossbook_simulator::runner::{Which, fresh_seed, simulate_all};
use indicatif::{ProgressBar, ProgressStyle};

/// Simulated worlds in which everything fails.
#[derive(Debug, Parser)]
struct Arguments {
    /// Lives through the world of this seed alone.
    #[arg(long, conflicts_with_all = ["seeds", "start", "world"])]
    seed: Option<u64>,
    /// How many worlds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed; a fresh one if none is given.
    #[arg(long)]
    start: Option<u64>,
    /// Only worlds of one kind.
    #[arg(long)]
    world: Option<World>,
    /// Prints what the worlds have been through.
    #[arg(long)]
    coverage: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum World {
    Embedded,
    Cluster,
}

impl World {
    fn is_of(self, seed: u64) -> bool {
        let which = match self {
            Self::Embedded => Which::Embedded,
            Self::Cluster => Which::Cluster,
        };
        which == Which::of(seed)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds: Vec<u64> = match arguments.seed {
        Some(seed) => vec![seed],
        None => {
            let from = arguments.start.unwrap_or_else(fresh_seed)..;
            let wanted = |seed: &u64| arguments.world.is_none_or(|world| world.is_of(*seed));
            let count = usize::try_from(arguments.seeds).unwrap_or(usize::MAX);
            from.filter(wanted).take(count).collect()
        }
    };
    if let (Some(first), Some(last)) = (seeds.first(), seeds.last()) {
        println!("{} worlds, seeds {first} to {last}", seeds.len());
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} worlds, {msg}, {eta} to go");
    let bar = ProgressBar::new(seeds.len() as u64);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let begun = Instant::now();
    let (mut coverage, mut commands, mut broken) = (Coverage::default(), 0, 0);
    simulate_all(&seeds, |outcome| {
        commands += outcome.commands;
        coverage.merge(&outcome.coverage);
        if let Some(violation) = &outcome.violation {
            broken += 1;
            let seed = outcome.seed;
            bar.suspend(|| {
                println!("seed {seed} ({}): {violation}", Which::of(seed));
                println!("  again: cargo run -p crossbook-simulator --bin simulate -- --seed {seed}");
            });
        }
        bar.set_message(format!("{commands} commands"));
        bar.inc(1);
        true
    });
    bar.finish_and_clear();
    if arguments.coverage {
        coverage.iter().for_each(|(what, count)| println!("{count:10} {what}"));
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{} worlds, {commands} commands, {broken} broken, {seconds:.1} s", seeds.len());
    // A few worlds, or those of one kind, need not have been everywhere.
    let all = seeds.len() >= 400 && arguments.world.is_none();
    let missing = if all { coverage.missing(seeds.len() as u64) } else { Vec::new() };
    missing.iter().for_each(|missing| println!("hardly ever reached: {missing}"));
    if broken == 0 && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
