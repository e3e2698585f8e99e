//! Holds that count against limits of their account: how many orders it has open in all markets, and what its open buy
//! orders would bring.
//!
//! The account's partition knows no orders, but it has a hold for each, from its admission until it ends. So the holds
//! of orders that are to be counted are counted here. Venues without such limits have no entries, and their orders do
//! not come here.

use std::collections::BTreeMap;

use crossbook_protocol::counted::{Counted, Incoming};
use crossbook_types::{AccountId, Amount, HoldId, SymbolId};

use crate::{Inconsistent, Ledger};

/// How many open orders of an account are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OrderCounts {
    /// All of them.
    pub orders: u32,
    /// Stop and take-profit orders.
    pub algo: u32,
    /// Iceberg orders.
    pub icebergs: u32,
    /// Order lists.
    pub lists: u32,
}

impl OrderCounts {
    fn add(&mut self, counted: &Counted) {
        let [orders, algo, icebergs] = counted.orders();
        self.orders += orders;
        self.algo += algo;
        self.icebergs += icebergs;
        self.lists += u32::from(counted.list);
    }

    fn subtract(&mut self, counted: &Counted) {
        let [orders, algo, icebergs] = counted.orders();
        self.orders -= orders;
        self.algo -= algo;
        self.icebergs -= icebergs;
        self.lists -= u32::from(counted.list);
    }
}

/// All holds that count, and their sums.
#[derive(Clone, Debug, Default)]
pub(crate) struct CountedHolds {
    holds: BTreeMap<HoldId, (AccountId, Counted)>,
    orders: BTreeMap<AccountId, OrderCounts>,
    incoming: BTreeMap<(AccountId, SymbolId), Amount>,
}

impl CountedHolds {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    fn insert(&mut self, account: AccountId, hold: HoldId, counted: Counted) {
        self.orders.entry(account).or_default().add(&counted);
        if let Some(Incoming { symbol, amount, .. }) = counted.incoming {
            let sum = self.incoming.entry((account, symbol)).or_default();
            *sum = sum.plus(amount);
        }
        self.holds.insert(hold, (account, counted));
    }

    #[cold]
    pub(crate) fn remove(&mut self, hold: HoldId) {
        let Some((account, counted)) = self.holds.remove(&hold) else { return };
        if let Some(counts) = self.orders.get_mut(&account) {
            counts.subtract(&counted);
            if *counts == OrderCounts::default() {
                self.orders.remove(&account);
            }
        }
        if let Some(Incoming { symbol, amount, .. }) = counted.incoming {
            self.lower(account, symbol, amount);
        }
    }

    fn lower(&mut self, account: AccountId, symbol: SymbolId, by: Amount) {
        if let Some(sum) = self.incoming.get_mut(&(account, symbol)) {
            *sum = sum.minus(by);
            if sum.is_zero() {
                self.incoming.remove(&(account, symbol));
            }
        }
    }

    /// So much has come in for the order of a hold.
    #[cold]
    pub(crate) fn receive(&mut self, hold: HoldId, amount: Amount) {
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::ReceivedStaysIncoming) {
            return;
        }
        let Some((account, Counted { incoming: Some(incoming), .. })) = self.holds.get_mut(&hold) else { return };
        let (account, symbol) = (*account, incoming.symbol);
        let amount = amount.min(incoming.amount);
        incoming.amount = incoming.amount.minus(amount);
        self.lower(account, symbol, amount);
    }

    /// No more than so much is left in a hold, because its order is for less.
    #[cold]
    pub(crate) fn resize(&mut self, hold: HoldId, remaining: Amount) {
        let Some((account, Counted { incoming: Some(incoming), .. })) = self.holds.get_mut(&hold) else { return };
        let (account, symbol) = (*account, incoming.symbol);
        // What is held for an order is rounded down, so its lots are rounded up.
        let (held, each) = (remaining.0.saturating_mul(100), incoming.held_per_hundred.0.max(1));
        let lots = held / each + i128::from(held % each != 0);
        let less = incoming.amount.minus(Amount(lots.saturating_mul(incoming.lot.0)).min(incoming.amount));
        incoming.amount = incoming.amount.minus(less);
        self.lower(account, symbol, less);
    }

    /// The holds that count, and whose they are.
    pub(crate) fn owners(&self) -> impl Iterator<Item = (HoldId, AccountId)> {
        self.holds.iter().map(|(&hold, &(account, _))| (hold, account))
    }

    /// By hold.
    pub(crate) fn state(&self) -> Vec<(HoldId, AccountId, Counted)> {
        self.holds.iter().map(|(&hold, &(account, counted))| (hold, account, counted)).collect()
    }
}

impl Ledger {
    /// Counts a hold of an account from now on until it ends.
    ///
    /// # Errors
    /// When there is no such hold of that account, or it counts already.
    pub fn count(&mut self, account: AccountId, hold: HoldId, counted: Counted) -> Result<(), Inconsistent> {
        let entry = self.holds.get(hold).ok_or(Inconsistent)?;
        let negative = counted.incoming.is_some_and(|incoming| incoming.amount.is_negative());
        if self.accounts.id(entry.position.slot) != account || negative || self.counted.holds.contains_key(&hold) {
            return Err(Inconsistent);
        }
        self.counted.insert(account, hold, counted);
        Ok(())
    }

    /// Counts a hold for what it does not count for yet; nothing if it has ended meanwhile, or is another account's.
    pub fn count_more(&mut self, account: AccountId, hold: HoldId, counted: Counted) {
        let owner = self.holds.get(hold).map(|entry| self.accounts.id(entry.position.slot));
        if owner != Some(account) || counted.incoming.is_some_and(|incoming| incoming.amount.is_negative()) {
            return;
        }
        let known = self.counted(hold);
        let incoming = known.and_then(|known| known.incoming).or(counted.incoming);
        let as_order = known.filter(|known| known.order || !counted.order).unwrap_or(counted);
        self.counted.remove(hold);
        self.counted.insert(account, hold, Counted { incoming, ..as_order });
    }

    /// How many open orders of an account are counted.
    #[must_use]
    pub fn order_counts(&self, account: AccountId) -> OrderCounts {
        self.counted.orders.get(&account).copied().unwrap_or_default()
    }

    /// What the open buy orders of an account in a market would bring, as far as they are counted.
    #[must_use]
    pub fn incoming(&self, account: AccountId, symbol: SymbolId) -> Amount {
        self.counted.incoming.get(&(account, symbol)).copied().unwrap_or_default()
    }

    /// What a hold counts for, if it does.
    #[must_use]
    pub fn counted(&self, hold: HoldId) -> Option<Counted> {
        self.counted.holds.get(&hold).map(|&(_, counted)| counted)
    }
}
