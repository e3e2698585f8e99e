//! Deposits and withdrawals. They are never forgotten, because a repeated transfer id must have no second effect. They
//! are rare compared with orders; each takes some 150 bytes.

use std::collections::BTreeMap;

use crossbook_protocol::Transfer;
use crossbook_types::{AccountId, TransferId};

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

/// All transfers of a ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transfers {
    records: BTreeMap<(AccountId, TransferId), Transfer>,
}

impl Transfers {
    pub(crate) fn get(&self, account: AccountId, transfer: TransferId) -> Option<&Transfer> {
        self.records.get(&(account, transfer))
    }

    pub(crate) fn record(&mut self, transfer: Transfer) {
        self.records.insert((transfer.account, transfer.transfer), transfer);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Transfer> {
        self.records.values()
    }

    pub(crate) fn canonical(&self) -> Vec<Transfer> {
        self.records.values().cloned().collect()
    }
}
