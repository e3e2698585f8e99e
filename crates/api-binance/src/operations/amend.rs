//! Amending orders: parameters, answers and errors.

use crossbook_gateway::Error;
use crossbook_gateway::orders::amend::AmendRequest;
use crossbook_protocol::Refusal;
use crossbook_types::OrderId;

use super::account::target;
use super::market_data::{ROWS_DEFAULT, ROWS_MAX};
use super::{Outcome, Recalled, Request};
use crate::error::ApiError;
use crate::render::{self, json};

pub(super) async fn amend(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let p = request.parameters;
    let target = target(p)?;
    let quantity = p.decimal("newQty")?.ok_or_else(|| ApiError::mandatory("newQty"))?;
    let amend = AmendRequest { target, quantity, client_order_id: p.client_order_id("newClientOrderId")? };
    let (sender, market) = (request.sender()?, request.market()?);
    let amended = request.gateway.amend(&sender, &market, &amend).await.map_err(rejected)?;
    let json = render::amended(&market, request.caller.unit, &amended);
    Ok(Outcome { json, orders: None, free: !amended.order.status.is_open() })
}

/// The amendments of an order.
pub(super) fn amendments<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let account = request.account()?;
        let p = request.parameters;
        let order = p.integer("orderId")?.map(OrderId).ok_or_else(|| ApiError::mandatory("orderId"))?;
        let (from, limit) = (p.integer("fromExecutionId")?, p.limit(ROWS_DEFAULT, ROWS_MAX)?);
        let (market, found) = request.gateway.amendments(account, request.symbol()?, order, from, limit).await?;
        let unit = request.caller.unit;
        Ok(json::array(found.iter(), |(execution, kept), out| render::amendment(&market, unit, *execution, kept, out)))
    })
}

/// What the venue's rules refuse of an amendment has a code of its own.
fn rejected(error: Error) -> ApiError {
    let because = |message: &'static str| ApiError::bad_request(-2038, message);
    match error {
        Error::Refused(Refusal::UnknownOrder) => because("Unknown order sent."),
        Error::Refused(Refusal::DuplicateClientOrderId) => because("Duplicate order sent."),
        Error::Refused(Refusal::AmendIncrease) => because("Order amend (quantity increase) is not supported."),
        Error::Refused(Refusal::AmendNothing) => because("The requested action would change no state; rejecting."),
        Error::Refused(Refusal::AmendUnpaid) => because("Order amend (pending OPO order) is not supported."),
        Error::Refused(Refusal::AmendNotAllowed | Refusal::RulesTooOld) => {
            because("Order amend is not supported for this symbol.")
        }
        Error::Refused(Refusal::Filter(filter)) => {
            ApiError::bad_request(-2038, format!("Filter failure: {}", filter.as_str()))
        }
        Error::Refused(Refusal::MarketClosed(_)) => because("Market is closed."),
        Error::Refused(Refusal::AuctionMatching) => because("An auction is being matched; try again."),
        other => other.into(),
    }
}
