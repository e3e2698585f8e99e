//! The few operations of the wallet API that clients call before they trade. Crossbook has no others of that API.

use super::Request;
use crate::error::ApiError;
use crate::render::json;

pub(super) fn system_status(_: &Request<'_>) -> Result<String, ApiError> {
    Ok(r#"{"status":0,"msg":"normal"}"#.to_owned())
}

pub(super) fn nothing(_: &Request<'_>) -> Result<String, ApiError> {
    Ok("[]".to_owned())
}

/// The rates as they are charged. Always a list, also for one market.
pub(super) fn trade_fee(request: &Request<'_>) -> Result<String, ApiError> {
    let one = request.parameters.has("symbol").then(|| request.market()).transpose()?;
    let markets = request.gateway.markets();
    let account = request.account()?;
    Ok(json::array(markets.iter().filter(|market| one.is_none_or(|one| one.id == market.id)), |market, out| {
        json::object(out, |o| {
            o.name("symbol", market.symbol.as_str());
            let paid = request.gateway.fees(account, market).total();
            json::rate(o.key("makerCommission"), paid.maker);
            json::rate(o.key("takerCommission"), paid.taker);
        });
    }))
}
