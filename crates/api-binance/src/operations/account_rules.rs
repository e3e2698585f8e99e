//! What binds an account: its rates, its filters, and how many orders it may place.

use crossbook_gateway::clock::now;

use super::Request;
use crate::error::ApiError;
use crate::render;

/// The orders that the account has placed in each window.
pub(super) fn order_counts(request: &Request<'_>) -> Result<String, ApiError> {
    let limits = &request.gateway.limits;
    Ok(render::order_counts(limits.config(), limits.order_count(request.account()?, now())))
}

/// The rates that the account pays in a market.
pub(super) fn commission(request: &Request<'_>) -> Result<String, ApiError> {
    let market = request.market()?;
    Ok(render::commission(&market, request.gateway.fees(request.account()?, &market)))
}

/// The filters that its orders in a market pass.
pub(super) fn filters(request: &Request<'_>) -> Result<String, ApiError> {
    let exchange = request.gateway.read_model.registry().exchange_filters();
    Ok(render::account_filters(&request.market()?, exchange))
}
