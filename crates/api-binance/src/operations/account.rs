//! Queries of an account about itself.

use crossbook_gateway::past::Question;
use crossbook_gateway::queries::{OwnTradesQuery, PreventedQuery};
use crossbook_protocol::order::Target;
use crossbook_types::{ClientOrderId, OrderId, PreventedMatchId};

use super::market_data::{ROWS_DEFAULT, ROWS_MAX, day_window, from_trade};
use super::{Recalled, Request};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::render::{self, json};

pub(super) fn account<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let identity = request.identity()?;
        let omit_zero = request.parameters.boolean("omitZeroBalances")?;
        let balances = request.gateway.balances(identity.account).await?;
        Ok(render::account(&balances, request.caller.unit, identity.permissions.trade, omit_zero))
    })
}

/// The order that `orderId` and `origClientOrderId` name.
pub(super) fn target(parameters: &Parameters<'_>) -> Result<Target, ApiError> {
    let name: Option<ClientOrderId> = parameters.client_order_id("origClientOrderId")?;
    match (parameters.integer("orderId")?.map(OrderId), name) {
        (Some(order), Some(name)) => Ok(Target::Both(order, name)),
        (Some(order), None) => Ok(Target::Order(order)),
        (None, Some(name)) => Ok(Target::Client(name)),
        (None, None) => Err(ApiError::mandatory_either("origClientOrderId", "orderId")),
    }
}

pub(super) fn order<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let (account, target) = (request.account()?, target(request.parameters)?);
        let (market, order) = request.gateway.order(account, request.symbol()?, target).await?;
        let mut out = String::with_capacity(640);
        render::order(&market, request.caller.unit, &order, &mut out);
        Ok(out)
    })
}

pub(super) fn open_orders<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let (account, unit) = (request.account()?, request.caller.unit);
        if request.parameters.has("symbol") {
            let (market, orders) = request.gateway.open_orders_in(account, request.symbol()?).await?;
            return Ok(json::array(orders.iter(), |order, out| render::order(&market, unit, order, out)));
        }
        let (markets, orders) = request.gateway.open_orders(account).await?;
        let known = orders.iter().filter_map(|order| Some((markets.get(&order.terms.symbol)?, order)));
        Ok(json::array(known, |(market, order), out| render::order(market, unit, order, out)))
    })
}

pub(super) fn all_orders<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let account = request.account()?;
        let p = request.parameters;
        let limit = p.limit(ROWS_DEFAULT, ROWS_MAX)?;
        let window = day_window(p, limit)?;
        // Times win over a number.
        let from = p.integer("orderId")?.map(OrderId).filter(|_| window.start.is_none() && window.end.is_none());
        let question = from.map_or(Question::Within(window), |from| Question::From(from, limit));
        let (market, orders) = request.gateway.orders(account, request.symbol()?, question).await?;
        Ok(json::array(orders.iter(), |order, out| render::order(&market, request.caller.unit, order, out)))
    })
}

/// The matches of the account's orders that self-trade prevention prevented.
pub(super) fn prevented_matches<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let account = request.account()?;
        let p = request.parameters;
        let number = |name| p.integer(name).map(|number| number.map(PreventedMatchId::new_checked));
        let (id, from) = (number("preventedMatchId")?, number("fromPreventedMatchId")?);
        let order = p.integer("orderId")?.map(OrderId);
        let limit = p.limit(ROWS_DEFAULT, ROWS_MAX)?;
        let query = match (id, order) {
            (Some(id), None) if from.is_none() && !p.has("limit") => PreventedQuery::Match(id),
            (None, Some(order)) if from.is_some() || !p.has("limit") => {
                PreventedQuery::Order { order, from: from.flatten(), limit }
            }
            _ => return Err(ApiError::combination()),
        };
        let (market, found) = request.gateway.prevented_matches(account, request.symbol()?, query).await?;
        Ok(json::array(found.iter(), |kept, out| render::prevented_match(&market, request.caller.unit, kept, out)))
    })
}

pub(super) fn my_trades<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let account = request.account()?;
        let p = request.parameters;
        let limit = p.limit(ROWS_DEFAULT, ROWS_MAX)?;
        let window = day_window(p, limit)?;
        let from = from_trade(p)?;
        let order = p.integer("orderId")?.map(OrderId);
        if (window.start.is_some() || window.end.is_some()) && (from.is_some() || order.is_some()) {
            return Err(ApiError::combination());
        }
        let query = match (order, from) {
            (Some(order), from) => OwnTradesQuery::Order { order, from, limit },
            (None, Some(from)) => OwnTradesQuery::Market(Question::From(from, limit)),
            (None, None) => OwnTradesQuery::Market(Question::Within(window)),
        };
        let (market, trades) = request.gateway.own_trades(account, request.symbol()?, query).await?;
        let assets = request.gateway.assets();
        Ok(json::array(trades.iter(), |trade, out| {
            let received = if trade.fee_asset == market.base.id { &market.base } else { &market.quote };
            let paid = assets.get(trade.fee_asset.0 as usize).unwrap_or(received);
            render::own_trade(&market, request.caller.unit, (trade, paid), out);
        }))
    })
}
