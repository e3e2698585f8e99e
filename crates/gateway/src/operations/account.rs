//! What an account sees of itself, answered from the views. A client that has got an answer to a command finds its effect here.

use crossbook_types::OrderId;
use crossbook_views::{MarketData, Views};

use super::Request;
use super::market_data::{day_window, from_trade};
use crate::error::ApiError;
use crate::render::{self, json};

const ROWS_MAX: usize = 1_000;
const ROWS_DEFAULT: usize = 500;

pub(super) fn account(request: &Request<'_>) -> Result<String, ApiError> {
    let identity = request.caller.identity.ok_or_else(ApiError::key_format)?;
    let omit_zero = request.parameters.boolean("omitZeroBalances")?;
    let views = request.app.views.read();
    let holdings = views.holdings(identity.account).ok_or_else(ApiError::key_rejected)?;
    Ok(render::account(views.registry(), identity.account, holdings, identity.permissions.trade, omit_zero))
}

pub(super) fn order(request: &Request<'_>) -> Result<String, ApiError> {
    let account = request.account()?;
    let p = request.parameters;
    let name = p.client_order_id("origClientOrderId")?;
    let number = p.integer("orderId")?.map(OrderId);
    if name.is_none() && number.is_none() {
        return Err(ApiError::mandatory_either("origClientOrderId", "orderId"));
    }
    let views = request.app.views.read();
    let data = market_data(&views, request)?;
    let found = match (number, &name) {
        (Some(number), _) => data.order(number),
        (None, Some(name)) => data.order_named(account, name),
        (None, None) => None,
    };
    let order = found.filter(|order| order.account == account).ok_or_else(ApiError::no_such_order)?;
    if name.is_some_and(|name| order.client_order_id != name) {
        return Err(ApiError::bad_request(-2039, "Client order ID is not correct for this order ID."));
    }
    let mut out = String::with_capacity(640);
    render::order(data.market(), order, &mut out);
    Ok(out)
}

pub(super) fn open_orders(request: &Request<'_>) -> Result<String, ApiError> {
    let account = request.account()?;
    let views = request.app.views.read();
    if request.parameters.has("symbol") {
        let data = market_data(&views, request)?;
        return Ok(json::array(data.open_orders(account), |order, out| render::order(data.market(), order, out)));
    }
    let registry = views.registry();
    Ok(json::array(views.open_orders(account), |order, out| {
        if let Some(market) = registry.market(order.symbol) {
            render::order(market, order, out);
        }
    }))
}

pub(super) fn all_orders(request: &Request<'_>) -> Result<String, ApiError> {
    let account = request.account()?;
    let p = request.parameters;
    let limit = p.limit(ROWS_DEFAULT, ROWS_MAX)?;
    let window = day_window(p, limit)?;
    let from = p.integer("orderId")?.map(OrderId);
    let views = request.app.views.read();
    let data = market_data(&views, request)?;
    let orders = match from {
        Some(from) => data.orders_from(account, from, limit),
        None => data.orders(account, window),
    };
    Ok(json::array(orders.into_iter(), |order, out| render::order(data.market(), order, out)))
}

pub(super) fn my_trades(request: &Request<'_>) -> Result<String, ApiError> {
    let account = request.account()?;
    let p = request.parameters;
    let limit = p.limit(ROWS_DEFAULT, ROWS_MAX)?;
    let window = day_window(p, limit)?;
    let from = from_trade(p)?;
    let order = p.integer("orderId")?.map(OrderId);
    if (window.start.is_some() || window.end.is_some()) && (from.is_some() || order.is_some()) {
        return Err(ApiError::combination());
    }
    let views = request.app.views.read();
    let data = market_data(&views, request)?;
    let trades = match (order, from) {
        (Some(order), from) => data.own_trades_of_order(account, order, from, limit),
        (None, Some(from)) => data.own_trades_from(account, from, limit),
        (None, None) => data.own_trades(account, window),
    };
    let registry = views.registry();
    Ok(json::array(trades.into_iter(), |trade, out| render::own_trade(registry, data.market(), trade, out)))
}

fn market_data<'a>(views: &'a Views, request: &Request<'_>) -> Result<&'a MarketData, ApiError> {
    let name = request.parameters.required("symbol")?;
    let market = views.registry().market_named(name).ok_or_else(ApiError::symbol)?;
    views.market(market.id).ok_or_else(ApiError::symbol)
}
