//! The audit of a ledger, computed from the balances alone and from no running totals.

use std::collections::BTreeMap;

use crossbook_types::{AccountId, Amount, AssetId};

use crate::Ledger;

/// What an audit found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    /// Per asset, the sum over all accounts, the venue's own included. Zero, or something is wrong. A partition of
    /// several sums to zero too: what is in transit stands in its clearing account.
    pub sums: BTreeMap<AssetId, Amount>,
    /// Per asset, what clients have, free and held together.
    pub clients: BTreeMap<AssetId, Amount>,
    /// What is wrong; empty if nothing is.
    pub violations: Vec<Violation>,
}

/// Something that must never be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Violation {
    /// Money appeared or vanished.
    #[error("the sum over all accounts of asset {asset} is {} instead of 0", sum.0)]
    NotConserved {
        /// Of which asset.
        asset: AssetId,
        /// How much.
        sum: Amount,
    },
    /// A client's balance is below zero.
    #[error("account {account} has a negative balance of asset {asset}")]
    Negative {
        /// The account that it belongs to.
        account: AccountId,
        /// Of what.
        asset: AssetId,
    },
    /// A client's held balance is not the sum of its holds.
    #[error("account {account} holds {} of asset {asset}, its orders need {}", held.0, needed.0)]
    HeldMismatch {
        /// The account that it belongs to.
        account: AccountId,
        /// Of what.
        asset: AssetId,
        /// The balance's own amount.
        held: Amount,
        /// What the holds add up to.
        needed: Amount,
    },
    /// An order counts against limits, and nothing is held for it.
    #[error("an order of account {account} is counted that has ended")]
    Counted {
        /// The account that it belongs to.
        account: AccountId,
    },
}

impl Ledger {
    /// Adds everything up. The cost is in proportion to all balances and holds.
    #[must_use]
    pub fn audit(&self) -> Audit {
        let mut audit = Audit::default();
        let mut needed: BTreeMap<(AccountId, AssetId), Amount> = BTreeMap::new();
        for (_, account, asset, remaining) in self.holds.canonical(|position| self.accounts.describe(position)) {
            let sum = needed.entry((account, asset)).or_default();
            *sum = sum.plus(remaining);
            if remaining.is_negative() {
                audit.violations.push(Violation::Negative { account, asset });
            }
        }
        for (hold, account) in self.counted.owners() {
            let is_there = self.holds.get(hold).is_some_and(|held| self.accounts.id(held.position.slot) == account);
            if !is_there {
                audit.violations.push(Violation::Counted { account });
            }
        }
        for (account, asset, balance) in self.balances() {
            if balance.free.is_negative() || balance.held.is_negative() {
                audit.violations.push(Violation::Negative { account, asset });
            }
            let needed = needed.remove(&(account, asset)).unwrap_or_default();
            if needed != balance.held {
                audit.violations.push(Violation::HeldMismatch { account, asset, held: balance.held, needed });
            }
            let clients = audit.clients.entry(asset).or_default();
            *clients = clients.plus(balance.free).plus(balance.held);
        }
        for ((account, asset), needed) in needed {
            if !needed.is_zero() {
                audit.violations.push(Violation::HeldMismatch { account, asset, held: Amount::ZERO, needed });
            }
        }
        let venue = &self.venue;
        for at in 0..venue.external.len() {
            let asset = AssetId(u32::try_from(at).expect("fewer than 2^32 assets"));
            let clients = audit.clients.get(&asset).copied().unwrap_or_default();
            let sum = clients.plus(venue.external[at]).plus(venue.fees[at]).plus(venue.clearing[at]);
            audit.sums.insert(asset, sum);
            if !sum.is_zero() {
                audit.violations.push(Violation::NotConserved { asset, sum });
            }
        }
        for (&asset, &sum) in &audit.clients {
            if !audit.sums.contains_key(&asset) && !sum.is_zero() {
                audit.violations.push(Violation::NotConserved { asset, sum });
            }
        }
        audit
    }
}
