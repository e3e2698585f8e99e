//! Moving house: a venue goes on in another place, cut into other partitions, with everything that it is.
//!
//! What a venue is, apart from where it runs, is an [`Inventory`]: assets, markets, accounts, keys, transfers, what
//! everybody has, and every open order with its place in the queue. It is [gathered](Inventory::gather) from the
//! partitions of a venue, and [cut](Inventory::pieces) into [`Piece`]s for the partitions of another. A piece is a
//! command like any other, so what moved in stands in the logs, survives what they survive, and is told in events that
//! views and tables fold like all others.
//!
//! # In order, each once
//! Pieces come from a source of their own, [`SourceId::MOVING`], numbered like the messages of a partition, so a piece
//! that is sent again has no effect. The first ([`Piece::Begin`]) is taken only by a partition that has nothing. From
//! then on the partition does nothing else, until it is told from [`SourceId::MOVED`] that all pieces are everywhere
//! ([`Piece::Open`]). Whoever moves a venue sends that to nobody before every partition has all of its pieces; so no
//! partition ever hears from another that knows more than it.
//!
//! # Money
//! A transfer belongs to its account, so it goes to the account's partition, against the outside world there:
//! [`Piece::Transfers`] brings what came in to that partition's clearing account, and [`Piece::Money`] hands out of it
//! what everybody has. Since then the accounts have traded with each other, so of one partition something is left
//! there, as it is when they trade across partitions; over all of them it adds up to zero. What the venue earned in
//! fees goes to partition 0. Funds of open orders are held ([`Piece::Holds`]) before their orders ([`Piece::Orders`]),
//! which may be another partition's, rely on them.

mod inventory;
mod pieces;
mod taking;

pub use inventory::{Book, Error, Inventory, MarketPast, Owned, Past, Standing};

use crossbook_types::{AccountId, Amount, Asset, AssetId, FeeCredit, Fees, HoldId, Market, SourceId};
use serde::{Deserialize, Serialize};

use crate::event::{MarketMovedIn, OrderMovedIn};
use crate::ledger::Transfer;
use crate::registry::{Account, ApiKey};

/// Names an inventory, so that pieces of two are not mixed: a hash of all of it.
pub type ExportId = [u8; 32];

/// A part of an inventory, as one partition takes it over. The kinds come in this order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Piece {
    /// The first: a venue moves in, if nothing is here yet.
    Begin {
        /// Which.
        export: ExportId,
        /// How many pieces this partition gets, this one included.
        pieces: u64,
    },
    /// Assets, by number.
    Assets(Vec<Asset>),
    /// Markets, by number.
    Markets(Vec<Market>),
    /// Accounts.
    Accounts(Vec<Account>),
    /// API keys; only partition 0 keeps them.
    ApiKeys(Vec<ApiKey>),
    /// Deposits and withdrawals of this partition's accounts.
    Transfers(Vec<Transfer>),
    /// What this partition's accounts have, free and held together; and, in partition 0, the venue's fees.
    Money(Vec<Owned>),
    /// What of that is held for open orders, in the order in which the holds are numbered.
    Holds(Vec<Held>),
    /// Where a market of this partition stood.
    Market(MarketMovedIn),
    /// Open orders of a market of this partition, in the order in which they trade or trigger.
    Orders(Vec<Placed>),
    /// The last, from [`SourceId::MOVED`]: every partition has all of its pieces.
    Open,
}

/// Funds held for an open order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The number that the hold gets.
    pub hold: HoldId,
    /// Whose funds.
    pub account: AccountId,
    /// Of what.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
}

/// An open order, as its market's partition takes it over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Placed {
    /// The order.
    pub order: OrderMovedIn,
    /// What holds its funds, in its account's partition.
    pub hold: HoldId,
    /// Of an order that waits for its stop price: how much is held for it.
    pub budget: Amount,
    /// The fee rates that it was accepted with.
    pub fees: Fees,
    /// What it was charged beyond its exact fee.
    pub fee_credit: FeeCredit,
}

impl Piece {
    /// The source that sends it.
    #[must_use]
    pub fn source(&self) -> SourceId {
        if matches!(self, Self::Open) { SourceId::MOVED } else { SourceId::MOVING }
    }
}
