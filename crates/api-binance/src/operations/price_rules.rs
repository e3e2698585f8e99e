//! Rules about the prices at which orders may trade, and the price that they refer to.

use crossbook_gateway::clock::now;
use crossbook_gateway::queries::MarketSelection;
use crossbook_types::PriceRange;

use super::Request;
use super::market_data::{check_status, has_status, names};
use crate::error::ApiError;
use crate::render;

/// The rules of the markets that have some.
pub(super) fn execution_rules(request: &Request<'_>) -> Result<String, ApiError> {
    let p = request.parameters;
    let names = names(request)?;
    if p.has("symbolStatus") && (names.is_some() || p.has("symbol")) {
        return Err(ApiError::combination());
    }
    let selection = match &names {
        Some(names) => MarketSelection::Named(names),
        None if p.has("symbol") => MarketSelection::One(request.symbol()?),
        None => MarketSelection::All,
    };
    let sessions = request.gateway.sessions(selection)?;
    let asked = sessions.iter().filter(|(market, _)| has_status(p, market));
    let rules: Vec<(&str, PriceRange)> =
        asked.filter_map(|(market, session)| Some((market.symbol.as_str(), session.price_range?))).collect();
    Ok(render::execution_rules(&rules))
}

/// The price that rules and filters of a market refer to.
pub(super) fn reference_price(request: &Request<'_>) -> Result<String, ApiError> {
    let (market, price) = request.gateway.reference_price(request.symbol()?, now())?;
    let price = price.ok_or_else(no_reference_price)?;
    Ok(render::reference_price(&market, request.caller.unit, &price))
}

/// How that price is calculated.
pub(super) fn calculation(request: &Request<'_>) -> Result<String, ApiError> {
    let market = request.market()?;
    check_status(request.parameters, &market)?;
    let reference = request.gateway.session(&market).and_then(|session| session.reference);
    let reference = reference.ok_or_else(no_reference_price)?;
    Ok(render::reference_calculation(&market, reference.calculation))
}

fn no_reference_price() -> ApiError {
    ApiError::bad_request(-2043, "This symbol doesn't have a reference price.")
}
