//! What the funds held for an order count for, besides the funds: limits of how many orders an account has open in all
//! markets, and of what its open buy orders would bring.

use crossbook_types::{Amount, SymbolId};

/// What a hold counts for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Whether it counts as an open order; not if it counts only for what it would bring.
    pub order: bool,
    /// Whether the order is a stop or take-profit order.
    pub algo: bool,
    /// Whether the order is an iceberg order.
    pub iceberg: bool,
    /// Of a buy order in a market that bounds positions.
    pub incoming: Option<Incoming>,
}

/// What an open buy order would still bring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Incoming {
    /// The market.
    pub symbol: SymbolId,
    /// How much of the base asset.
    pub amount: Amount,
    /// How much of the base asset a lot is.
    pub lot: Amount,
    /// A hundred times what is held for a lot.
    pub held_per_hundred: Amount,
}
