//! What the funds held for an order count for, besides the funds: limits of how many orders and order lists an account
//! has open in all markets, and of what its open buy orders would bring.

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
    /// Of what is held for a pair of an order list: its other order. The pair counts as two orders until its list ends.
    pub second: Option<Second>,
    /// Whether it counts as an open order list, too.
    pub list: bool,
}

impl Counted {
    /// As how many open orders it counts, as how many stop or take-profit orders, and as how many iceberg orders.
    #[must_use]
    pub fn orders(&self) -> [u32; 3] {
        if !self.order {
            return [0; 3];
        }
        let second = self.second.unwrap_or_default();
        [
            1 + u32::from(self.second.is_some()),
            u32::from(self.algo) + u32::from(second.algo),
            u32::from(self.iceberg) + u32::from(second.iceberg),
        ]
    }
}

/// What the other order of a pair counts for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Second {
    /// Whether it is a stop or take-profit order.
    pub algo: bool,
    /// Whether it is an iceberg order.
    pub iceberg: bool,
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
