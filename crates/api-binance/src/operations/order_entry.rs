//! Placing, cancelling and replacing orders: parameters and answers.

use crossbook_gateway::orders::{self, CancelRequest, Canceled, OrderRequest, SelfTradeMode};
use crossbook_types::{
    CancelRestriction, Market, OrderType, Peg, PegPrice, SelfTradePrevention, Side, StrategyId, StrategyType,
    TimeInForce, TrailingDelta,
};

use super::account::target;
use super::{Outcome, Request};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::render::{self, Detail, PEG_OFFSET};

pub(super) async fn place(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let (order, market) = new_order(request)?;
    let detail = detail(request, order.order_type)?;
    let placed = request.gateway.place(&request.sender()?, &market, &order).await?;
    let json = render::placed(&market, request.caller.unit, &placed, detail);
    Ok(Outcome { json, orders: Some(placed.counted), free: true })
}

pub(super) fn test(request: &Request<'_>) -> Result<String, ApiError> {
    let (order, market) = new_order(request)?;
    detail(request, order.order_type)?;
    let computes_rates = request.parameters.boolean("computeCommissionRates")?;
    orders::check(&order, request.identity()?, &market)?;
    if computes_rates {
        let (account, gateway) = (request.account()?, request.gateway);
        let (fees, discount) = (gateway.fees(account, &market), gateway.discount(account, &market));
        return Ok(render::commission_rates(&market, fees, discount));
    }
    Ok("{}".to_owned())
}

pub(super) async fn cancel(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let p = request.parameters;
    let restriction = cancel_restriction(p)?;
    let target = target(p)?;
    let cancel = CancelRequest { target, cancel_id: p.client_order_id("newClientOrderId")?, restriction };
    let (sender, market) = (request.sender()?, request.market()?);
    let canceled = request.gateway.cancel(&sender, &market, &cancel).await?;
    let mut json = String::with_capacity(512);
    write_canceled(request, &market, &canceled, &mut json);
    Ok(Outcome { json, orders: None, free: true })
}

pub(super) async fn cancel_all(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let (sender, market) = (request.sender()?, request.market()?);
    let closed = request.gateway.cancel_all(&sender, &market).await?;
    let json = render::json::array(closed.iter(), |ended, out| write_canceled(request, &market, ended, out));
    Ok(Outcome { json, orders: None, free: true })
}

/// An order that was cancelled, or the list that it belonged to.
fn write_canceled(request: &Request<'_>, market: &Market, canceled: &Canceled, out: &mut String) {
    match canceled {
        Canceled::Order(order) => render::cancelled(market, request.caller.unit, order, out),
        Canceled::List(list) => render::list_cancelled(market, request.caller.unit, list, out),
    }
}

/// What `cancelRestrictions` asks of the order to be cancelled.
pub(super) fn cancel_restriction(p: &Parameters<'_>) -> Result<Option<CancelRestriction>, ApiError> {
    let known = |name| CancelRestriction::from_name(name).ok_or_else(cancel_restrictions);
    p.get("cancelRestrictions").map(known).transpose()
}

fn cancel_restrictions() -> ApiError {
    ApiError::bad_request(-1145, "cancelRestrictions has to be either ONLY_NEW or ONLY_PARTIALLY_FILLED.")
}

pub(super) fn self_trade_mode(name: Option<&str>) -> Result<SelfTradeMode, ApiError> {
    let Some(name) = name else { return Ok(SelfTradeMode::Default) };
    let mode = SelfTradePrevention::from_name(name).map(SelfTradeMode::Named);
    mode.ok_or_else(|| ApiError::invalid("selfTradePreventionMode"))
}

pub(super) fn strategy_id(p: &Parameters<'_>, name: &str) -> Result<Option<StrategyId>, ApiError> {
    let id = p.integer(name)?.map(|id| i64::try_from(id).map_err(|_| ApiError::overflow(name)));
    Ok(id.transpose()?.map(StrategyId))
}

/// Lower numbers than [`StrategyType::MIN`] are the venue's own.
pub(super) fn strategy_type(p: &Parameters<'_>, name: &str) -> Result<Option<StrategyType>, ApiError> {
    let Some(kind) = p.integer(name)? else { return Ok(None) };
    let kind = i32::try_from(kind).map_err(|_| ApiError::overflow(name))?;
    let kind = StrategyType(kind.unsigned_abs());
    if kind < StrategyType::MIN { Err(ApiError::strategy_type()) } else { Ok(Some(kind)) }
}

pub(super) fn trailing_delta(p: &Parameters<'_>, name: &str) -> Result<Option<TrailingDelta>, ApiError> {
    let Some(delta) = p.integer(name)? else { return Ok(None) };
    let delta = i32::try_from(delta).map_err(|_| ApiError::overflow(name))?;
    Ok(Some(TrailingDelta(delta.unsigned_abs())))
}

/// The parameters by which an order is pegged, with their names.
pub(super) struct PegNames<'a> {
    pub(super) price_type: &'a str,
    pub(super) offset_type: &'a str,
    pub(super) offset_value: &'a str,
}

/// Those of an order that is in no list.
const PEG: PegNames<'static> =
    PegNames { price_type: "pegPriceType", offset_type: "pegOffsetType", offset_value: "pegOffsetValue" };

/// An offset is so many price levels; there is no other kind.
pub(super) fn peg(p: &Parameters<'_>, names: &PegNames<'_>) -> Result<Option<Peg>, ApiError> {
    let &PegNames { price_type, offset_type, offset_value } = names;
    let price = p.get(price_type).map(|name| PegPrice::from_name(name).ok_or_else(ApiError::peg_price));
    let price = price.transpose()?;
    if p.get(offset_type).is_some_and(|name| name != PEG_OFFSET) {
        return Err(ApiError::peg_offset());
    }
    let offset = (p.get(offset_type), p.integer(offset_value)?);
    let level = match (offset, price) {
        ((None, None), _) => 0,
        ((Some(_), Some(level)), Some(_)) => {
            let level = u8::try_from(level).ok().filter(|level| (1..=Peg::LEVEL_MAX).contains(level));
            level.ok_or_else(|| ApiError::invalid(offset_value))?
        }
        ((Some(_), Some(_)), None) => {
            return Err(ApiError::incomplete(&format!("{price_type}, {offset_type}, {offset_value}")));
        }
        _ => return Err(ApiError::incomplete(&format!("{offset_type}, {offset_value}"))),
    };
    Ok(price.map(|price| Peg { price, level }))
}

/// The level of detail of the answer.
pub(super) fn detail(request: &Request<'_>, order_type: OrderType) -> Result<Detail, ApiError> {
    match request.parameters.get("newOrderRespType") {
        Some("ACK") => Ok(Detail::Ack),
        Some("RESULT") => Ok(Detail::Result),
        Some("FULL") => Ok(Detail::Full),
        Some(_) => Err(ApiError::invalid("newOrderRespType")),
        None if matches!(order_type, OrderType::Market | OrderType::Limit) => Ok(Detail::Full),
        None => Ok(Detail::Ack),
    }
}

/// The order that the parameters describe, and its market.
pub(super) fn new_order(request: &Request<'_>) -> Result<(OrderRequest, Market), ApiError> {
    let p = request.parameters;
    let side = Side::from_name(p.required("side")?).ok_or_else(|| ApiError::bad_request(-1117, "Invalid side."))?;
    let order_type =
        OrderType::from_name(p.required("type")?).ok_or_else(|| ApiError::bad_request(-1116, "Invalid orderType."))?;
    let market = request.market()?;
    let time_in_force = p
        .get("timeInForce")
        .map(|name| TimeInForce::from_name(name).ok_or_else(|| ApiError::bad_request(-1115, "Invalid timeInForce.")));
    let order = OrderRequest {
        side,
        order_type,
        time_in_force: time_in_force.transpose()?,
        quantity: p.decimal("quantity")?,
        quote_amount: p.decimal("quoteOrderQty")?,
        price: p.decimal("price")?,
        stop_price: p.decimal("stopPrice")?,
        client_order_id: p.client_order_id("newClientOrderId")?,
        self_trade_prevention: self_trade_mode(p.get("selfTradePreventionMode"))?,
        peg: peg(p, &PEG)?,
        trailing_delta: trailing_delta(p, "trailingDelta")?,
        iceberg_quantity: p.decimal("icebergQty")?,
        strategy_id: strategy_id(p, "strategyId")?,
        strategy_type: strategy_type(p, "strategyType")?,
    };
    Ok((order, market))
}
