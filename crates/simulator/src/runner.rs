//! Lives through worlds: one, and as many as wanted.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

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

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Cluster => "cluster",
        })
    }
}

/// What came of a world.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Its kind.
    pub which: Which,
    /// A number in which everything that happened shows.
    pub digest: u64,
    /// How many commands were told.
    pub commands: u64,
    /// What it has been through.
    pub coverage: Coverage,
    /// What went wrong, if anything did.
    pub violation: Option<Violation>,
}

thread_local! {
    /// What the last panic of this thread said, and where.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Whether this thread lives through a world, whose panics are findings.
    static LIVING: RefCell<bool> = const { RefCell::new(false) };
}

/// Keeps what a panic inside a world says, instead of printing it.
fn keep_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if LIVING.with_borrow(|living| *living) {
                PANIC.with_borrow_mut(|panic| *panic = Some(info.to_string()));
            } else {
                before(info);
            }
        }));
    });
}

/// Lives through the world of a seed.
#[must_use]
pub fn simulate(seed: u64) -> Outcome {
    keep_panics();
    LIVING.set(true);
    let mut dice = Dice::new(seed);
    let which = if dice.one_in(2) { Which::Embedded } else { Which::Cluster };
    let chance = Dice::new(dice.any());
    let outcome = match which {
        Which::Embedded => {
            let mut world = embedded::World::new(chance);
            let violation = verdict(catch_unwind(AssertUnwindSafe(|| world.live())));
            let (digest, commands, coverage) = (world.digest(), world.commands(), world.coverage().clone());
            Outcome { seed, which, digest, commands, coverage, violation }
        }
        Which::Cluster => {
            let mut world = cluster::World::new(chance);
            let violation = verdict(catch_unwind(AssertUnwindSafe(|| world.live())));
            let (digest, commands, coverage) = (world.digest(), world.commands(), world.coverage().clone());
            Outcome { seed, which, digest, commands, coverage, violation }
        }
    };
    LIVING.set(false);
    outcome
}

fn verdict(lived: std::thread::Result<Result<(), Violation>>) -> Option<Violation> {
    match lived {
        Ok(lived) => lived.err(),
        Err(_) => {
            let said = PANIC.take().unwrap_or_else(|| "a panic that said nothing".to_owned());
            Some(Violation::new(Check::Assertion, said))
        }
    }
}
