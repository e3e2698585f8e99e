//! How many worlds are needed to find a planted bug. Only in a build with `--cfg crossbook_bugs`.

use crossbook_types::bugs::{Bug, plant};

use crate::runner::{Which, simulate};
use crate::violation::Violation;

/// What is expected of the simulator.
#[derive(Clone, Copy, Debug)]
pub struct Hunt {
    /// The planted bug.
    pub bug: Bug,
    /// Within how many worlds it must be found.
    pub budget: u64,
    /// The kind of world in which it can show; `None`: in any.
    pub which: Option<Which>,
}

/// All hunts. The budgets are many times what it usually takes.
pub const HUNTS: [Hunt; 44] = [
    Hunt { bug: Bug::ToldBeforeSync, budget: 25, which: Some(Which::Embedded) },
    Hunt { bug: Bug::NotDeduplicated, budget: 50, which: Some(Which::Cluster) },
    Hunt { bug: Bug::ReleasedTwice, budget: 10, which: None },
    Hunt { bug: Bug::AppliedBeforeConfirmed, budget: 50, which: Some(Which::Cluster) },
    Hunt { bug: Bug::StopOnTheWrongSide, budget: 10, which: None },
    Hunt { bug: Bug::FeeRoundedDown, budget: 10, which: None },
    Hunt { bug: Bug::BeforeCountsAsAll, budget: 50, which: Some(Which::Cluster) },
    Hunt { bug: Bug::MailboxForgetsOnDisconnect, budget: 150, which: Some(Which::Cluster) },
    Hunt { bug: Bug::DeliveredIsReceived, budget: 150, which: Some(Which::Cluster) },
    Hunt { bug: Bug::NothingIsOverdue, budget: 120, which: Some(Which::Cluster) },
    Hunt { bug: Bug::HeldAfterDisconnect, budget: 100, which: Some(Which::Cluster) },
    Hunt { bug: Bug::AmendedHoldStays, budget: 20, which: Some(Which::Cluster) },
    Hunt { bug: Bug::AmendedGoesLast, budget: 200, which: None },
    Hunt { bug: Bug::RefillShowsAll, budget: 10, which: None },
    Hunt { bug: Bug::ReplacedHoldIsNotUsed, budget: 1_500, which: None },
    Hunt { bug: Bug::RefusedStaysAway, budget: 400, which: Some(Which::Cluster) },
    Hunt { bug: Bug::RefusedForgetsMessages, budget: 400, which: Some(Which::Cluster) },
    Hunt { bug: Bug::PreventedHoldStays, budget: 20, which: None },
    Hunt { bug: Bug::AverageWithoutWeights, budget: 600, which: Some(Which::Embedded) },
    Hunt { bug: Bug::ReceivedStaysIncoming, budget: 6_000, which: Some(Which::Embedded) },
    Hunt { bug: Bug::TaxIsForgotten, budget: 60, which: None },
    Hunt { bug: Bug::TodayCountsForTiers, budget: 200, which: Some(Which::Embedded) },
    Hunt { bug: Bug::PairHoldStays, budget: 200, which: None },
    Hunt { bug: Bug::PendingOutlivesWorking, budget: 20, which: None },
    Hunt { bug: Bug::ExtremeStays, budget: 20, which: None },
    Hunt { bug: Bug::PegOneFurther, budget: 10, which: None },
    Hunt { bug: Bug::BreakerSeesRisesOnly, budget: 40, which: None },
    Hunt { bug: Bug::AuctionAtTheBid, budget: 150, which: None },
    Hunt { bug: Bug::TriggeredLeavesGroup, budget: 30, which: None },
    Hunt { bug: Bug::TransferLost, budget: 400, which: Some(Which::Cluster) },
    Hunt { bug: Bug::BeginningEndsPair, budget: 150, which: None },
    Hunt { bug: Bug::PeggedListHoldStays, budget: 300, which: None },
    Hunt { bug: Bug::CountdownStaysHome, budget: 40, which: Some(Which::Cluster) },
    Hunt { bug: Bug::DiscountReserveStays, budget: 60, which: Some(Which::Cluster) },
    Hunt { bug: Bug::DiscountRoundedByTrade, budget: 200, which: None },
    Hunt { bug: Bug::ListReserveStays, budget: 400, which: None },
    Hunt { bug: Bug::RangeOfBuyersOnly, budget: 200, which: None },
    Hunt { bug: Bug::MeanKeepsOldest, budget: 400, which: None },
    Hunt { bug: Bug::RefusedIsNotNoted, budget: 20, which: None },
    Hunt { bug: Bug::OpenIsNotCounted, budget: 400, which: Some(Which::Embedded) },
    Hunt { bug: Bug::DelistedWaitingStay, budget: 400, which: None },
    Hunt { bug: Bug::PendingSeesBeforeFill, budget: 400, which: None },
    Hunt { bug: Bug::FrozenPaysOut, budget: 400, which: None },
    Hunt { bug: Bug::FrozenTradesElsewhere, budget: 200, which: Some(Which::Cluster) },
];

/// How a bug was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// In the world of this seed.
    pub seed: u64,
    /// It was the so manyth world.
    pub worlds: u64,
    /// By what it did.
    pub violation: Violation,
}

/// Plants the bug and lives through worlds, from that seed on, until one shows it.
#[must_use]
pub fn hunt(hunt: Hunt, from: u64) -> Option<Found> {
    let seeds = (from..).filter(|&seed| hunt.which.is_none_or(|which| which == Which::of(seed)));
    for (worlds, seed) in (1..=hunt.budget).zip(seeds) {
        plant(Some(hunt.bug));
        let outcome = simulate(seed);
        plant(None);
        if let Some(violation) = outcome.violation {
            return Some(Found { seed, worlds, violation });
        }
    }
    None
}
