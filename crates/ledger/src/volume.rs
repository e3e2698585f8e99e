//! How much accounts trade, for venues whose fees depend on it. Without such fees nothing is counted.

use std::collections::BTreeMap;

use crossbook_protocol::volume::AccountVolume;
use crossbook_types::{AccountId, AssetId, FeeTiers, Fees};

use crate::{Inconsistent, Ledger, Leg};

/// The volumes of a ledger's accounts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Volumes {
    /// What is counted; `None`: nothing.
    pub(crate) asset: Option<AssetId>,
    /// Of accounts that have traded.
    pub(crate) accounts: BTreeMap<AccountId, AccountVolume>,
    /// Accounts whose tier has changed since [`Ledger::drain_tiers`].
    changed: Vec<(AccountId, Option<Fees>)>,
}

impl Ledger {
    /// Counts volumes of this asset from now on, or none. Volumes of another asset are forgotten, and so are tiers.
    pub fn count_volumes_in(&mut self, asset: Option<AssetId>) {
        if self.volumes.asset != asset {
            self.volumes.asset = asset;
            self.volumes.accounts.clear();
        }
        for volume in self.volumes.accounts.values_mut() {
            (volume.rated, volume.fees) = (None, None);
        }
    }

    /// Whether volumes are counted.
    #[must_use]
    #[inline]
    pub fn counts_volume(&self) -> bool {
        self.volumes.asset.is_some()
    }

    /// Counts one side of a trade on a day.
    #[cold]
    pub fn count_volume(&mut self, account: AccountId, leg: &Leg, today: u32) {
        let Some(asset) = self.volumes.asset else { return };
        let amount = match () {
            () if leg.pay_asset == asset => leg.pay,
            () if leg.receive_asset == asset => leg.receive,
            () => return,
        };
        self.volumes.accounts.entry(account).or_default().add(today, amount);
    }

    /// The rates of an account's tier on a day; `None` if it pays what the markets say. They are the same all day.
    #[cold]
    pub fn tier_of(&mut self, account: AccountId, tiers: &FeeTiers, today: u32) -> Option<Fees> {
        let volume = self.volumes.accounts.get_mut(&account)?;
        if volume.rated != Some(today) {
            volume.rated = Some(today);
            #[cfg(crossbook_bugs)]
            let today = match crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::TodayCountsForTiers) {
                true => today.saturating_add(1),
                false => today,
            };
            let fees = tiers.fees_at(volume.before(today));
            if fees != volume.fees {
                volume.fees = fees;
                self.volumes.changed.push((account, fees));
            }
        }
        volume.fees
    }

    /// Whether the tier of an account has changed since the last call of [`Ledger::drain_tiers`].
    #[must_use]
    #[inline]
    pub fn has_changed_tiers(&self) -> bool {
        !self.volumes.changed.is_empty()
    }

    /// The accounts whose tier has changed since the last call, and their rates.
    pub fn drain_tiers(&mut self) -> impl Iterator<Item = (AccountId, Option<Fees>)> {
        self.volumes.changed.drain(..)
    }

    /// What accounts have traded, by account.
    pub fn volumes(&self) -> impl Iterator<Item = (AccountId, &AccountVolume)> {
        self.volumes.accounts.iter().map(|(&account, volume)| (account, volume))
    }

    /// Gives an account the volume that it had elsewhere.
    ///
    /// # Errors
    /// When the account is not of this ledger, has a volume already, or cannot have had that.
    pub fn move_volume_in(&mut self, account: AccountId, volume: AccountVolume) -> Result<(), Inconsistent> {
        let fits = self.has(account) && self.counts_volume() && volume.is_sound();
        if !fits || self.volumes.accounts.contains_key(&account) {
            return Err(Inconsistent);
        }
        self.volumes.accounts.insert(account, volume);
        Ok(())
    }

    pub(crate) fn volume_asset(&self) -> Option<AssetId> {
        self.volumes.asset
    }

    /// Whether nothing is left to be told of tiers.
    pub(crate) fn tiers_are_told(&self) -> bool {
        self.volumes.changed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbook_types::{Amount, FeeRate, FeeTier};

    #[test]
    fn volume_counts_in_one_asset_and_is_rated_once_a_day() {
        let (account, asset) = (AccountId(1_001), AssetId(1));
        let mut ledger = Ledger::new();
        ledger.open(account);
        let leg = |pay_asset, receive_asset| Leg {
            pay_asset,
            pay: Amount(30),
            improvement: Amount::ZERO,
            receive_asset,
            receive: Amount(5),
            fee: Amount::ZERO,
        };
        ledger.count_volumes_in(Some(asset));
        ledger.count_volume(account, &leg(asset, AssetId(0)), 10);
        ledger.count_volume(account, &leg(AssetId(0), asset), 10);
        ledger.count_volume(account, &leg(AssetId(0), AssetId(2)), 10);
        let fees = Fees { maker: FeeRate::default(), taker: FeeRate::from_units(7).unwrap() };
        let tiers = FeeTiers { asset, tiers: vec![FeeTier { volume_min: Amount(35), fees }] };
        assert_eq!((ledger.tier_of(account, &tiers, 10), ledger.drain_tiers().count()), (None, 0));
        assert_eq!(ledger.tier_of(account, &tiers, 11), Some(fees));
        assert_eq!(ledger.drain_tiers().collect::<Vec<_>>(), [(account, Some(fees))]);
        assert_eq!((ledger.tier_of(account, &tiers, 11), ledger.drain_tiers().count()), (Some(fees), 0));
        assert_eq!(ledger.tier_of(account, &tiers, 41), None);
        assert_eq!(ledger.drain_tiers().collect::<Vec<_>>(), [(account, None)]);
        let restored = Ledger::restore(ledger.state()).unwrap();
        assert_eq!(restored.state(), ledger.state());
        ledger.count_volumes_in(Some(AssetId(2)));
        assert_eq!(ledger.volumes().count(), 0);
    }
}
