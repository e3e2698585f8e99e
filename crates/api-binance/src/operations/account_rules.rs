//! What binds an account: its rates, its filters, and how many orders it may place.

use crossbook_gateway::clock::now;

use super::{Outcome, Recalled, Request};
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
    let (account, gateway) = (request.account()?, request.gateway);
    Ok(render::commission(&market, gateway.fees(account, &market), gateway.discount(account, &market)))
}

/// The filters that its orders in a market pass.
pub(super) fn filters(request: &Request<'_>) -> Result<String, ApiError> {
    let exchange = request.gateway.read_model.registry().exchange_filters();
    Ok(render::account_filters(&request.market()?, exchange))
}

/// Sets whether its fees are paid in the asset in which they are less. There is no interest.
pub(super) async fn use_discount(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let on = match request.parameters.has("spotBNBBurn") {
        true => {
            let on = request.parameters.boolean("spotBNBBurn")?;
            request.gateway.use_discount(&request.sender()?, on).await?;
            on
        }
        false => request.gateway.uses_discount(request.account()?).await?,
    };
    Ok(Outcome { json: render::discount_use(on), orders: None, free: false })
}

/// Whether they are.
pub(super) fn discount_use<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move { Ok(render::discount_use(request.gateway.uses_discount(request.account()?).await?)) })
}
