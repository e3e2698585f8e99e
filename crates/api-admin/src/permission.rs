//! Whether an operator may do what a request asks for. An operation that has no least role is refused to everybody.

use http::Method;

use crate::error::AdminError;
use crate::openapi;
use crate::roles::{Role, least};

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
        least if role < least => Err(AdminError::forbidden(role, least)),
        _ if *method == Method::GET => Ok(Kind::Reads),
        _ if operation.is_some_and(|id| MOVES_MONEY.contains(&id)) => Ok(Kind::MovesMoney),
        _ => Ok(Kind::Changes),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::roles::LEAST;

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
            // Log lines tell of everybody, and of the machine.
            let least_to_read = if id == "getLog" { Role::Admin } else { Role::Viewer };
            assert_eq!(reads, openapi::reads(id), "{id}");
            assert_eq!(reads && least_to_read == Role::Viewer, least(id) == Some(Role::Viewer), "{id}");
            assert!(!reads || least(id) == Some(least_to_read), "{id}");
        }
    }

    #[test]
    fn an_operation_is_of_one_kind() {
        let kind = |method: Method, path: &str| check(Role::Admin, &method, path);
        assert_eq!(kind(Method::GET, "accounts/1001"), Ok(Kind::Reads));
        assert_eq!(kind(Method::GET, "log"), Ok(Kind::Reads));
        assert!(check(Role::Desk, &Method::GET, "log").is_err());
        assert_eq!(kind(Method::POST, "accounts/1001/cancel-orders"), Ok(Kind::Changes));
        for path in ["accounts/1/deposits", "accounts/1/withdrawals", "accounts/1/adjustments", "venue/withdrawals"] {
            assert_eq!(kind(Method::POST, path), Ok(Kind::MovesMoney), "{path}");
        }
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
