//! Smart order routing (SOR), which would let an order trade in several markets. No market is part of any.

use super::Request;
use super::market_data::{ROWS_DEFAULT, ROWS_MAX, day_window};
use crate::error::ApiError;

/// Refuses an order that is to be routed.
pub(super) fn place(request: &Request<'_>) -> Result<String, ApiError> {
    request.market()?;
    Err(ApiError::bad_request(-1013, "This symbol has no SOR."))
}

/// The trades that the account's orders had in other markets than their own, which are none.
pub(super) fn allocations(request: &Request<'_>) -> Result<String, ApiError> {
    let p = request.parameters;
    let window = day_window(p, p.limit(ROWS_DEFAULT, ROWS_MAX)?)?;
    let is_timed = window.start.is_some() || window.end.is_some();
    if is_timed && (p.has("fromAllocationId") || p.has("orderId")) {
        return Err(ApiError::combination());
    }
    request.market()?;
    Ok("[]".to_owned())
}
