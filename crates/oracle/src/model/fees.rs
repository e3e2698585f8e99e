//! What accounts pay in the naive exchange.

use std::collections::BTreeMap;

use crossbook_protocol::command::SetAccountFees;
use crossbook_protocol::{Answer, Event, Refusal};
use crossbook_types::{AccountFees, AccountId, AssetId, FeeRate, FeeTiers, Fees, Market, market};

use super::Model;

/// Tiers of fees, and what follows from them.
#[derive(Clone, Debug, Default)]
pub(super) struct Tiers {
    tiers: Option<FeeTiers>,
    /// Of each side of each trade since volumes are counted: account, day, how much.
    traded: Vec<(AccountId, u64, i128)>,
    /// For which day each account was rated, and as what.
    rated: BTreeMap<AccountId, (u64, Option<Fees>)>,
    /// Accounts in another tier than before, in the present command.
    told: Vec<(AccountId, Option<Fees>)>,
}

/// All that an account with fees of its own pays where others pay `usual`.
fn sum(own: &AccountFees, usual: Fees) -> Fees {
    let standard = own.standard.unwrap_or(usual);
    let add = |rates: [FeeRate; 3]| {
        let sum: u64 = rates.iter().map(|rate| u64::from(rate.units())).sum();
        FeeRate::from_units(sum.min(99_999_999) as u32).unwrap()
    };
    Fees {
        maker: add([standard.maker, own.special.maker, own.tax.maker]),
        taker: add([standard.taker, own.special.taker, own.tax.taker]),
    }
}

fn higher(one: Fees, other: Fees) -> Fees {
    Fees { maker: one.maker.max(other.maker), taker: one.taker.max(other.taker) }
}

fn day(time: u64) -> u64 {
    time / 1_000_000 / 60 / 60 / 24
}

impl Model {
    /// Whether everybody receives something in a market, whatever they pay, if there are these tiers.
    pub(super) fn check_fees(&self, market: &Market, tiers: Option<&FeeTiers>) -> Result<(), market::Error> {
        let all = tiers.iter().flat_map(|tiers| &tiers.tiers);
        let usual = all.fold(market.fees, |highest, tier| higher(highest, tier.fees));
        let nothing = AccountFees::default();
        let mut owns = std::iter::once(&nothing).chain(self.account_fees.values());
        owns.try_for_each(|own| market.check_other_fees(sum(own, usual)))
    }

    pub(super) fn tiers(&self) -> Option<&FeeTiers> {
        self.tiers.tiers.as_ref()
    }

    pub(super) fn set_fees(&mut self, request: &SetAccountFees) -> Result<Answer, Refusal> {
        let &SetAccountFees { account, fees } = request;
        if !self.accounts.contains(&account) {
            return Err(Refusal::UnknownAccount);
        }
        let before = self.account_fees.insert(account, fees);
        let checked = self.books.iter().try_for_each(|book| self.check_fees(&book.market, self.tiers()));
        if let Err(error) = checked {
            self.account_fees.insert(account, before.unwrap_or_default());
            return Err(Refusal::Market(error));
        }
        self.events.push(Event::AccountFeesChanged { account, fees });
        Ok(Answer::FeesSet)
    }

    pub(super) fn set_tiers(&mut self, tiers: &FeeTiers) -> Result<Answer, Refusal> {
        if tiers.tiers.len() > 32 || tiers.tiers.windows(2).any(|pair| pair[0].volume_min >= pair[1].volume_min) {
            return Err(Refusal::FeeTiers);
        }
        if tiers.asset.0 > 2 {
            return Err(Refusal::UnknownAsset);
        }
        let checked = self.books.iter().try_for_each(|book| self.check_fees(&book.market, Some(tiers)));
        checked.map_err(Refusal::Market)?;
        let new = Some(tiers.clone()).filter(|tiers| !tiers.tiers.is_empty());
        let asset = |tiers: &Option<FeeTiers>| tiers.as_ref().map(|tiers| tiers.asset);
        if asset(&new) != asset(&self.tiers.tiers) {
            self.tiers.traded.clear();
        }
        self.tiers.rated.clear();
        self.tiers.tiers = new;
        self.events.push(Event::FeeTiersChanged(Box::new(tiers.clone())));
        Ok(Answer::FeesSet)
    }

    /// Finds out for an account that places an order what its volume makes it pay, once a day.
    pub(super) fn rate(&mut self, account: AccountId) {
        let Some(tiers) = self.tiers.tiers.clone() else { return };
        let today = day(self.now);
        if !self.tiers.traded.iter().any(|&(of, ..)| of == account) {
            return;
        }
        let (rated, before) = self.tiers.rated.get(&account).copied().unwrap_or((u64::MAX, None));
        if rated == today {
            return;
        }
        let counts = |&&(of, day, _): &&(AccountId, u64, i128)| of == account && day < today && day + 30 >= today;
        let volume: i128 = self.tiers.traded.iter().filter(counts).map(|&(.., amount)| amount).sum();
        let reached = tiers.tiers.iter().rfind(|tier| tier.volume_min.0 <= volume);
        let fees = reached.map(|tier| tier.fees);
        if fees != before {
            self.tiers.told.push((account, fees));
        }
        self.tiers.rated.insert(account, (today, fees));
    }

    /// Counts one side of a trade: what of each asset was paid and brought.
    pub(super) fn count_volume(&mut self, account: AccountId, sides: [(AssetId, i128); 2]) {
        let Some(asset) = self.tiers().map(|tiers| tiers.asset) else { return };
        let counted = sides.iter().filter(|side| side.0 == asset);
        self.tiers.traded.extend(counted.map(|&(_, amount)| (account, day(self.now), amount)));
    }

    /// Publishes who has come into another tier.
    pub(super) fn tell_tiers(&mut self) {
        let told = self.tiers.told.drain(..);
        self.events.extend(told.map(|(account, fees)| Event::FeeTierReached { account, fees }));
    }

    /// What an account pays that the operator has set nothing for.
    pub(super) fn usual(&self, account: AccountId, market: &Market) -> Fees {
        let tier = self.tiers.rated.get(&account).and_then(|(_, fees)| *fees);
        tier.unwrap_or(market.fees)
    }

    /// The rates of a new order.
    pub(super) fn rates(&self, account: AccountId, market: &Market) -> Fees {
        let usual = self.usual(account, market);
        self.account_fees.get(&account).map_or(usual, |own| sum(own, usual))
    }
}
