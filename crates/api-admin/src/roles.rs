//! Who may do what: operators have roles, and each operation has the least role that may ask for it. An operation that
//! is not in the table is refused to everybody.

use std::fmt;
use std::str::FromStr;

use http::Method;

use crate::error::AdminError;
use crate::openapi;

/// What an operator may do. Each role may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Serve clients: open accounts, revoke keys, cancel orders, say who pays fees in the discount asset.
    Support,
    /// Run the markets: status, sessions, breakers, filters, fees, trade groups.
    Desk,
    /// Everything: list and delist, issue keys, move money, activate rules.
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
const LEAST: &[(&str, Role)] = &[
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
    ("cancelOrders", Role::Support),
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

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// It changes nothing.
    Reads,
    /// It changes something, so it is in the operator log.
    Changes,
    /// It moves money, so the operator log has every word of it.
    MovesMoney,
}

/// Those that move money, by their ids in the OpenAPI document.
const MOVES_MONEY: [&str; 4] = ["createDeposit", "createWithdrawal", "createAdjustment", "createVenueWithdrawal"];

/// Checks that an operator of this role may ask for what is at that path, which is relative to `/admin/v1/`.
///
/// # Errors
/// 404 if there is no such operation, 403 if it takes another role.
pub(crate) fn check(role: Role, method: &Method, path: &str) -> Result<Kind, AdminError> {
    let operation = openapi::operation_at(method, path);
    let least = operation.and_then(least);
    match least.ok_or_else(|| AdminError::not_found("There is no such operation; docs/admin-api.md has them all."))? {
        Role::Viewer => Ok(Kind::Reads),
        least if role < least => Err(AdminError::forbidden(role, least)),
        _ if operation.is_some_and(|id| MOVES_MONEY.contains(&id)) => Ok(Kind::MovesMoney),
        _ => Ok(Kind::Changes),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_has_one_least_role() {
        let operations: BTreeSet<&str> = openapi::operation_ids().collect();
        let listed: BTreeSet<&str> = LEAST.iter().map(|&(id, _)| id).collect();
        assert_eq!(listed.len(), LEAST.len(), "an operation is listed twice");
        assert_eq!(operations, listed);
    }

    #[test]
    fn reading_takes_no_more_than_a_viewer_and_changing_more() {
        for id in openapi::operation_ids() {
            let reads = id.starts_with("get") || id.starts_with("list") || id == "audit";
            assert_eq!(reads, least(id) == Some(Role::Viewer), "{id}");
        }
    }

    #[test]
    fn an_operation_is_of_one_kind() {
        let kind = |method: Method, path: &str| check(Role::Admin, &method, path);
        assert_eq!(kind(Method::GET, "accounts/1001"), Ok(Kind::Reads));
        assert_eq!(kind(Method::POST, "accounts/1001/cancel-orders"), Ok(Kind::Changes));
        for path in ["accounts/1/deposits", "accounts/1/withdrawals", "accounts/1/adjustments", "venue/withdrawals"] {
            assert_eq!(kind(Method::POST, path), Ok(Kind::MovesMoney), "{path}");
        }
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert!("Admin".parse::<Role>().is_err() && "".parse::<Role>().is_err());
        assert!(Role::ALL.is_sorted());
    }

    #[test]
    fn an_operation_is_found_by_its_path() {
        let at = |method: Method, path: &str| openapi::operation_at(&method, path);
        assert_eq!(at(Method::GET, "accounts"), Some("listAccounts"));
        assert_eq!(at(Method::PATCH, "accounts/1001"), Some("changeAccount"));
        assert_eq!(at(Method::DELETE, "accounts/1001/api-keys/K"), Some("deleteApiKey"));
        for nothing in ["", "account", "accounts/1/api-keys/K/more", "markets/A/B", "%61ccounts"] {
            assert_eq!(at(Method::GET, nothing), None, "{nothing}");
        }
        assert_eq!(at(Method::DELETE, "accounts"), None);
    }
}
