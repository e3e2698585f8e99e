//! Runs simulated worlds: one, or many.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Once, mpsc};

use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::violation::{Check, Violation};
use crate::{cluster, embedded};

/// The kinds of world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// One process, one disk.
    Embedded,
    /// Several partitions, in several processes, over a store that they share.
    Cluster,
}

impl Which {
    /// The kind of world that a seed has.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        if seed.is_multiple_of(2) { Self::Embedded } else { Self::Cluster }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Cluster => "cluster",
        })
    }
}

/// The outcome of a world.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Seed of the world.
    pub seed: u64,
    /// A number in which everything that happened shows.
    pub digest: u64,
    /// How many commands were published.
    pub commands: u64,
    /// What it has been through.
    pub coverage: Coverage,
    /// What went wrong, if anything did.
    pub violation: Option<Violation>,
}

thread_local! {
    /// The message of the last panic of this thread, and its place.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Whether this thread lives through a world, whose panics are findings.
    static LIVING: Cell<bool> = const { Cell::new(false) };
}

/// Stores the message of a panic inside a world, instead of printing it.
fn keep_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if LIVING.get() {
                PANIC.set(Some(info.to_string()));
            } else {
                before(info);
            }
        }));
    });
}

/// Lives through the world of a seed.
#[must_use]
pub fn simulate(seed: u64) -> Outcome {
    let chance = Dice::new(seed);
    match Which::of(seed) {
        Which::Embedded => {
            let mut world = embedded::World::new(chance);
            let violation = verdict(|| world.live());
            let (digest, commands, coverage) = (world.digest(), world.commands(), world.coverage().clone());
            Outcome { seed, digest, commands, coverage, violation }
        }
        Which::Cluster => {
            let mut world = cluster::World::new(chance);
            let violation = verdict(|| world.live());
            let (digest, commands, coverage) = (world.digest(), world.commands(), world.coverage().clone());
            Outcome { seed, digest, commands, coverage, violation }
        }
    }
}

/// Lives through a world. What went wrong, be it that something in it panicked.
pub fn verdict(live: impl FnOnce() -> Result<(), Violation>) -> Option<Violation> {
    keep_panics();
    LIVING.set(true);
    let lived = catch_unwind(AssertUnwindSafe(live));
    LIVING.set(false);
    match lived {
        Ok(lived) => lived.err(),
        Err(_) => {
            let said = PANIC.take().unwrap_or_else(|| "a panic that said nothing".to_owned());
            Some(Violation::new(Check::Assertion, said))
        }
    }
}

/// Runs the worlds of many seeds, each on one of as many threads as the machine runs at once. `each` gets every
/// outcome, in the order in which the worlds end; once it returns false, no new ones begin.
pub fn simulate_all(seeds: &[u64], mut each: impl FnMut(Outcome) -> bool) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(seeds.len().max(1));
    std::thread::scope(|scope| {
        let (sender, outcomes) = mpsc::sync_channel(threads);
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if sender.send(simulate(seed)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for outcome in outcomes {
            if !each(outcome) {
                break;
            }
        }
    });
}

/// The first of a range of fresh seeds.
#[must_use]
pub fn fresh_seed() -> u64 {
    RandomState::new().hash_one(0) >> 20
}
