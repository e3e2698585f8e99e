//! Replacing orders: parameters and answers. Each half may be done or refused, and the answer says so of both.

use std::fmt::Write as _;

use crossbook_gateway::orders::CancelRequest;
use crossbook_gateway::orders::replace::{HalfDone, ReplaceRequest, Replaced};
use crossbook_protocol::order::Target;
use crossbook_types::OrderId;
use http::StatusCode;

use super::order_entry::{cancel_restriction, detail, new_order};
use super::{Outcome, Request};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::render;

pub(super) async fn replace(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let p = request.parameters;
    let (order, market) = new_order(request)?;
    let detail = detail(request, order.order_type)?;
    let allow_failure = p.required("cancelReplaceMode")? == "ALLOW_FAILURE";
    let cancel = CancelRequest {
        target: target(p)?,
        cancel_id: p.client_order_id("cancelNewClientOrderId")?,
        restriction: cancel_restriction(p)?,
    };
    let cancels_over_limit = p.get("orderRateLimitExceededMode") == Some("CANCEL_ONLY");
    let replace = ReplaceRequest { cancel, order, allow_failure, cancels_over_limit };
    let replaced = request.gateway.replace(&request.sender()?, &market, &replace).await?;
    let unit = request.caller.unit;
    let canceled = half(&replaced.canceled, |order| {
        let mut out = String::with_capacity(512);
        render::cancelled(&market, unit, order, &mut out);
        out
    });
    let placed = half(&replaced.placed, |placed| render::placed(&market, unit, placed, detail));
    let mut json = String::with_capacity(canceled.json.len() + placed.json.len() + 128);
    // Writing to a string cannot fail.
    let _ = write!(
        json,
        r#"{{"cancelResult":"{}","newOrderResult":"{}","cancelResponse":{},"newOrderResponse":{}}}"#,
        canceled.result, placed.result, canceled.json, placed.json
    );
    match failure(&replaced, allow_failure) {
        None => Ok(Outcome { json, orders: replaced.counted, free: true }),
        Some(error) => Err(ApiError { orders: replaced.counted, data: Some(json), ..error }),
    }
}

/// The order that `cancelOrderId` and `cancelOrigClientOrderId` name.
fn target(p: &Parameters<'_>) -> Result<Target, ApiError> {
    let name = p.client_order_id("cancelOrigClientOrderId")?;
    match (p.integer("cancelOrderId")?.map(OrderId), name) {
        (Some(order), Some(name)) => Ok(Target::Both(order, name)),
        (Some(order), None) => Ok(Target::Order(order)),
        (None, Some(name)) => Ok(Target::Client(name)),
        (None, None) => Err(ApiError::mandatory_either("cancelOrigClientOrderId", "cancelOrderId")),
    }
}

/// A half as the answer has it.
struct Half {
    result: &'static str,
    json: String,
}

fn half<T>(half: &HalfDone<T>, render: impl Fn(&T) -> String) -> Half {
    match half {
        HalfDone::Done(done) => Half { result: "SUCCESS", json: render(done) },
        HalfDone::Failed(error) => Half { result: "FAILURE", json: ApiError::from(*error).to_json() },
        HalfDone::NotTried => Half { result: "NOT_ATTEMPTED", json: "null".to_owned() },
    }
}

/// The error of an answer in which not both halves are done.
fn failure(replaced: &Replaced, allow_failure: bool) -> Option<ApiError> {
    let canceled = matches!(replaced.canceled, HalfDone::Done(_));
    let placed = matches!(replaced.placed, HalfDone::Done(_));
    if canceled && placed {
        return None;
    }
    let over_limit = replaced.counted.is_none() && !allow_failure;
    let (status, code, message) = match canceled || placed {
        true => (StatusCode::CONFLICT, -2021, "Order cancel-replace partially failed."),
        false => (StatusCode::BAD_REQUEST, -2022, "Order cancel-replace failed."),
    };
    let status = if over_limit { StatusCode::TOO_MANY_REQUESTS } else { status };
    Some(ApiError::with_status(status, code, message))
}
