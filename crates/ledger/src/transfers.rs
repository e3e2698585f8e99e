//! Deposits and withdrawals, remembered so that a transfer id means the same when it is repeated. They are rare beside
//! orders; each costs some 250 bytes. Under the third rules only the newest are remembered (`WorkBudget::transfers` of
//! the engine), and of the others the sum.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_protocol::Transfer;
use crossbook_types::{AccountId, Amount, AssetId, Timestamp, TransferId};

/// Why a transfer did not take place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TransferError {
    /// The account is not of this ledger.
    #[error("no such account")]
    UnknownAccount,
    /// The amount is zero, or beyond what fits.
    #[error("the amount is zero or too large")]
    Amount,
    /// Less is free than is to be withdrawn.
    #[error("insufficient free balance")]
    Insufficient,
    /// The id was used for another asset or amount.
    #[error("the transfer id was used for another transfer")]
    Conflict,
}

/// The transfers of a ledger that are remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transfers {
    records: BTreeMap<(AccountId, TransferId), Transfer>,
    by_time: BTreeSet<(Timestamp, AccountId, TransferId)>,
    /// What the forgotten ones have brought in, by asset.
    forgotten: Vec<Amount>,
}

impl Transfers {
    pub(crate) fn restore(transfers: Vec<Transfer>, forgotten: Vec<Amount>) -> Self {
        let mut restored = Self { forgotten, ..Self::default() };
        transfers.into_iter().for_each(|transfer| restored.record(transfer));
        restored
    }

    pub(crate) fn get(&self, account: AccountId, transfer: TransferId) -> Option<&Transfer> {
        self.records.get(&(account, transfer))
    }

    pub(crate) fn record(&mut self, transfer: Transfer) {
        self.by_time.insert((transfer.time, transfer.account, transfer.transfer));
        self.records.insert((transfer.account, transfer.transfer), transfer);
    }

    /// Forgets the oldest, as long as there are more than `max`, but no more than `at_most` of them.
    pub(crate) fn forget_oldest(&mut self, max: usize, at_most: usize) {
        for _ in 0..at_most.min(self.records.len().saturating_sub(max)) {
            let Some((_, account, transfer)) = self.by_time.pop_first() else { return };
            if let Some(Transfer { asset, amount, .. }) = self.records.remove(&(account, transfer)) {
                self.add_forgotten(asset, amount);
            }
        }
    }

    /// Counts what transfers have brought in that are not among the records.
    pub(crate) fn add_forgotten(&mut self, asset: AssetId, amount: Amount) {
        let at = asset.0 as usize;
        if self.forgotten.len() <= at {
            self.forgotten.resize(at + 1, Amount::ZERO);
        }
        self.forgotten[at] = self.forgotten[at].plus(amount);
    }

    pub(crate) fn forgotten(&self) -> &[Amount] {
        &self.forgotten
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Transfer> {
        self.records.values()
    }

    pub(crate) fn canonical(&self) -> Vec<Transfer> {
        self.records.values().cloned().collect()
    }
}
