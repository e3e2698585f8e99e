//! Operators have roles, and each operation has the least role that may ask for it.

use std::fmt;
use std::str::FromStr;

/// What an operator may do. Each role may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Serve clients: open accounts, revoke keys, cancel orders, say who pays fees in the discount asset.
    Support,
    /// Run the markets: status, sessions, breakers, filters, fees, trade groups.
    Desk,
    /// Everything: list and delist, issue keys, move money, activate rules, read the log lines of the process.
    Admin,
}

impl Role {
    /// All of them, from the least on.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Support, Self::Desk, Self::Admin];

    /// Its name, in files and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Support => "support",
            Self::Desk => "desk",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no such role.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("roles are viewer, support, desk and admin")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or(UnknownRole)
    }
}

/// The least role of each operation, by its id in the OpenAPI document.
pub(crate) const LEAST: &[(&str, Role)] = &[
    ("getOperator", Role::Viewer),
    ("listAssets", Role::Viewer),
    ("listMarkets", Role::Viewer),
    ("getSession", Role::Viewer),
    ("listAccounts", Role::Viewer),
    ("getAccount", Role::Viewer),
    ("getAccountFees", Role::Viewer),
    ("getDiscountUse", Role::Viewer),
    ("getVenueBalances", Role::Viewer),
    ("getFeeTiers", Role::Viewer),
    ("getFeeDiscount", Role::Viewer),
    ("getExchangeFilters", Role::Viewer),
    ("getRules", Role::Viewer),
    ("audit", Role::Viewer),
    ("getOperatorLog", Role::Viewer),
    ("getAccountOrders", Role::Viewer),
    ("getAccountTrades", Role::Viewer),
    ("getLedger", Role::Viewer),
    ("getRevenue", Role::Viewer),
    ("cancelOrders", Role::Support),
    ("setFrozen", Role::Support),
    ("createAccount", Role::Support),
    ("deleteApiKey", Role::Support),
    ("setDiscountUse", Role::Support),
    ("changeMarket", Role::Desk),
    ("endPhase", Role::Desk),
    ("openAuction", Role::Desk),
    ("setBreaker", Role::Desk),
    ("removeBreaker", Role::Desk),
    ("setPriceRange", Role::Desk),
    ("removePriceRange", Role::Desk),
    ("setReference", Role::Desk),
    ("removeReference", Role::Desk),
    ("setReferencePrice", Role::Desk),
    ("removeReferencePrice", Role::Desk),
    ("setAccountFees", Role::Desk),
    ("changeAccount", Role::Desk),
    ("setFeeTiers", Role::Desk),
    ("setFeeDiscount", Role::Desk),
    ("changeExchangeFilters", Role::Desk),
    ("getLog", Role::Admin),
    ("createAsset", Role::Admin),
    ("createMarket", Role::Admin),
    ("delistMarket", Role::Admin),
    ("createApiKey", Role::Admin),
    ("createDeposit", Role::Admin),
    ("createWithdrawal", Role::Admin),
    ("createAdjustment", Role::Admin),
    ("createVenueWithdrawal", Role::Admin),
    ("activateRules", Role::Admin),
];

/// The least role that may ask for an operation; `None` for one that nobody may ask for, because it is in no table.
pub(crate) fn least(operation: &str) -> Option<Role> {
    LEAST.iter().find(|(id, _)| *id == operation).map(|&(_, role)| role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert!("Admin".parse::<Role>().is_err() && "".parse::<Role>().is_err());
        assert!(Role::ALL.is_sorted());
    }
}
