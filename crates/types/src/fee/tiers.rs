//! Rates that depend on how much an account has traded.

use serde::{Deserialize, Serialize};

use super::Fees;
use crate::{Amount, AssetId};

/// What accounts pay that have traded at least so much.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FeeTier {
    /// The least volume, in the smallest unit of the asset in which it is counted.
    pub volume_min: Amount,
    /// The rates, instead of the markets'.
    pub fees: Fees,
}

/// The tiers of a venue. The volume of an account is what its trades paid and brought of one asset in the thirty days
/// (UTC) before the present one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FeeTiers {
    /// The asset in which volumes are counted.
    pub asset: AssetId,
    /// By rising volume; none: there are no tiers.
    pub tiers: Vec<FeeTier>,
}

impl FeeTiers {
    /// The most tiers.
    pub const TIERS_MAX: usize = 32;

    /// Whether they are few enough and by rising volume.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.tiers.len() <= Self::TIERS_MAX
            && self.tiers.iter().all(|tier| !tier.volume_min.is_negative() && tier.volume_min <= Amount::MAX)
            && self.tiers.is_sorted_by(|one, next| one.volume_min < next.volume_min)
    }

    /// The rates of an account with that volume; `None` if it pays what the markets say.
    #[must_use]
    pub fn fees_at(&self, volume: Amount) -> Option<Fees> {
        self.tiers.iter().rev().find(|tier| tier.volume_min <= volume).map(|tier| tier.fees)
    }

    /// The highest rates of all tiers.
    #[must_use]
    pub fn highest(&self) -> Fees {
        self.tiers.iter().fold(Fees::default(), |highest, tier| highest.max(tier.fees))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FeeRate;

    #[test]
    fn the_highest_tier_that_is_reached_counts() {
        let fees = |units| Fees { maker: FeeRate::default(), taker: FeeRate::from_units(units).unwrap() };
        let tier = |volume, units| FeeTier { volume_min: Amount(volume), fees: fees(units) };
        let tiers = FeeTiers { asset: AssetId(1), tiers: vec![tier(10, 3), tier(20, 2)] };
        assert!(tiers.is_sound());
        let at = |volume| tiers.fees_at(Amount(volume));
        assert_eq!((at(9), at(10), at(19), at(20)), (None, Some(fees(3)), Some(fees(3)), Some(fees(2))));
        assert_eq!(tiers.highest(), fees(3));
        assert!(!FeeTiers { tiers: vec![tier(10, 3), tier(10, 2)], ..tiers.clone() }.is_sound());
        assert!(!FeeTiers { tiers: vec![tier(-1, 3)], ..tiers.clone() }.is_sound());
        let many = (0..33).map(|volume| tier(volume, 1)).collect();
        assert!(!FeeTiers { tiers: many, ..tiers }.is_sound());
    }
}
