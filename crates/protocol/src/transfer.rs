//! A deposit or withdrawal as it is recorded.

use crossbook_types::{AccountId, Amount, AssetId, Timestamp, TransferId};

/// A deposit or withdrawal that took place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Whose money.
    pub account: AccountId,
    /// Which asset.
    pub asset: AssetId,
    /// How much, in the asset's smallest unit; a withdrawal is below zero.
    pub amount: Amount,
    /// The operator's name for it.
    pub transfer: TransferId,
    /// When it took place.
    pub time: Timestamp,
}
