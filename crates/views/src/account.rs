//! Balances: for each account and asset, what is free and what open orders hold.

use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{AccountId, Amount, AssetId, Timestamp};
use hashbrown::HashMap;

use crate::error::Error;
use crate::hash::CountingHash;

/// What an account has of an asset, in its smallest unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Balance {
    /// Of what.
    pub asset: AssetId,
    /// What it can use.
    pub free: Amount,
    /// What its open orders hold.
    pub held: Amount,
}

/// All that an account has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holdings {
    balances: Vec<Balance>,
    updated: Timestamp,
}

impl Holdings {
    /// Every asset that the account ever had, by number.
    #[must_use]
    pub fn balances(&self) -> &[Balance] {
        &self.balances
    }

    /// What the account has of `asset`.
    #[must_use]
    pub fn balance(&self, asset: AssetId) -> Balance {
        match self.balances.binary_search_by_key(&asset, |balance| balance.asset) {
            Ok(at) => self.balances[at],
            Err(_) => Balance { asset, free: Amount::ZERO, held: Amount::ZERO },
        }
    }

    /// When a balance last changed; at first, when the account was opened.
    #[must_use]
    pub fn updated(&self) -> Timestamp {
        self.updated
    }
}

/// The holdings of all accounts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    accounts: HashMap<AccountId, Holdings, CountingHash>,
}

impl Accounts {
    pub(crate) fn open(&mut self, account: AccountId, time: Timestamp) {
        self.accounts.entry(account).or_default().updated = time;
    }

    pub(crate) fn get(&self, account: AccountId) -> Option<&Holdings> {
        self.accounts.get(&account)
    }

    pub(crate) fn change(&mut self, account: AccountId, balance: Balance, time: Timestamp) {
        assert!(!balance.held.is_negative(), "less than nothing is held");
        let holdings = self.accounts.entry(account).or_default();
        holdings.updated = time;
        match holdings.balances.binary_search_by_key(&balance.asset, |known| known.asset) {
            Ok(at) => holdings.balances[at] = balance,
            Err(at) => holdings.balances.insert(at, balance),
        }
    }

    /// Accounts by number.
    pub(crate) fn state(&self) -> Vec<(AccountId, Holdings)> {
        let mut accounts: Vec<_> = self.accounts.iter().map(|(&id, holdings)| (id, holdings.clone())).collect();
        accounts.sort_unstable_by_key(|&(id, _)| id);
        accounts
    }

    pub(crate) fn restore(state: Vec<(AccountId, Holdings)>) -> Result<Self, Error> {
        let mut accounts = HashMap::default();
        for (id, holdings) in state {
            if !holdings.balances.is_sorted_by(|a, b| a.asset < b.asset) {
                return Err(Error("balances out of order"));
            }
            if accounts.insert(id, holdings).is_some() {
                return Err(Error("an account's balances twice"));
            }
        }
        Ok(Self { accounts })
    }
}

wire_struct! {
    plain Balance { 0: asset, 1: free, 2: held }
    Holdings { 0: balances, 1: updated }
}
