//! Which facts are subscribed to, in a few bits each. The publisher reads this once per lock of the views and collects
//! nothing that nobody wants.

use std::collections::BTreeMap;

use crossbook_types::{AccountId, SymbolId};

/// Kinds of facts about a market that have subscribers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted(u8);

impl Wanted {
    /// No subscription at all.
    pub const NOTHING: Self = Self(0);
    /// Each trade.
    pub const TRADES: Self = Self(1);
    /// Each aggregate trade.
    pub const AGGREGATES: Self = Self(1 << 1);
    /// Each change of the best bid and ask.
    pub const BOOK_TICKER: Self = Self(1 << 2);
    /// Each change of a price level, gathered for 100 milliseconds.
    pub const DEPTH_FAST: Self = Self(1 << 3);
    /// Each change of a price level, gathered for a second.
    pub const DEPTH_SLOW: Self = Self(1 << 4);
    /// Each change of the status.
    pub const STATUS: Self = Self(1 << 7);
    /// Each change of a price level.
    pub const DEPTH: Self = Self(Self::DEPTH_FAST.0 | Self::DEPTH_SLOW.0);

    /// Whether any of `kinds` is wanted.
    #[must_use]
    #[inline]
    pub fn any(self, kinds: Self) -> bool {
        self.0 & kinds.0 != 0
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What is listened for, by market and by account.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SubscriptionFilter {
    markets: Vec<Wanted>,
    accounts: BTreeMap<AccountId, usize>,
}

impl SubscriptionFilter {
    /// What is wanted of a market.
    #[must_use]
    #[inline]
    pub fn market(&self, symbol: SymbolId) -> Wanted {
        self.markets.get(symbol.0 as usize).copied().unwrap_or(Wanted::NOTHING)
    }

    /// Whether the account has subscribers.
    #[must_use]
    #[inline]
    pub fn account(&self, account: AccountId) -> bool {
        !self.accounts.is_empty() && self.accounts.contains_key(&account)
    }

    /// Sets what is wanted of a market.
    pub fn set_market(&mut self, symbol: SymbolId, wanted: Wanted) {
        let at = symbol.0 as usize;
        if at >= self.markets.len() {
            self.markets.resize(at + 1, Wanted::NOTHING);
        }
        self.markets[at] = wanted;
    }

    /// One more listens for the account.
    pub fn add_account(&mut self, account: AccountId) {
        *self.accounts.entry(account).or_default() += 1;
    }

    /// One fewer listens for the account.
    pub fn remove_account(&mut self, account: AccountId) {
        if let Some(count) = self.accounts.get_mut(&account) {
            *count -= 1;
            if *count == 0 {
                self.accounts.remove(&account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_counted() {
        let mut interest = SubscriptionFilter::default();
        interest.add_account(AccountId(1001));
        interest.add_account(AccountId(1001));
        interest.remove_account(AccountId(1001));
        assert!(interest.account(AccountId(1001)));
        interest.remove_account(AccountId(1001));
        assert!(!interest.account(AccountId(1001)));
    }

    #[test]
    fn markets_are_wanted_apart() {
        let mut interest = SubscriptionFilter::default();
        interest.set_market(SymbolId(2), Wanted::TRADES.and(Wanted::DEPTH_SLOW));
        assert!(interest.market(SymbolId(2)).any(Wanted::DEPTH));
        assert!(!interest.market(SymbolId(2)).any(Wanted::DEPTH_FAST));
        for symbol in [0, 1, 3] {
            assert_eq!(interest.market(SymbolId(symbol)), Wanted::NOTHING);
        }
    }
}
