//! Rules about the prices at which orders may trade, and the price that they refer to. No market has either: the prices
//! of orders are bounded by the filter PERCENT_PRICE_BY_SIDE, and what an order may trade at by its own limit.

use super::Request;
use super::market_data::{check_status, names};
use crate::error::ApiError;

/// The rules of the markets that have some, which are none.
pub(super) fn execution_rules(request: &Request<'_>) -> Result<String, ApiError> {
    let p = request.parameters;
    let names = names(request)?;
    if p.has("symbolStatus") && (names.is_some() || p.has("symbol")) {
        return Err(ApiError::combination());
    }
    match names {
        Some(names) => names.iter().try_for_each(|name| request.gateway.market(name).map(drop))?,
        None if p.has("symbol") => drop(request.market()?),
        None => {}
    }
    Ok(r#"{"symbolRules":[]}"#.to_owned())
}

/// The price that rules and filters of a market refer to.
pub(super) fn reference_price(request: &Request<'_>) -> Result<String, ApiError> {
    request.market()?;
    Err(no_reference_price())
}

/// How that price is calculated.
pub(super) fn calculation(request: &Request<'_>) -> Result<String, ApiError> {
    check_status(request.parameters, &request.market()?)?;
    Err(no_reference_price())
}

fn no_reference_price() -> ApiError {
    ApiError::bad_request(-2043, "This symbol doesn't have a reference price.")
}
