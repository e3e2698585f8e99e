//! Order lists: parameters and answers.

use crossbook_gateway::order_lists::{ListRequest, takes_lists};
use crossbook_gateway::orders::OrderRequest;
use crossbook_gateway::past::Question;
use crossbook_protocol::order_list::ListTarget;
use crossbook_types::{Decimal, ListKind, Market, OrderListId, OrderType, Side, TimeInForce};
use crossbook_views::OrderList;

use super::market_data::{ROWS_DEFAULT, ROWS_MAX, day_window};
use super::order_entry::{PegNames, peg, self_trade_mode, strategy_id, strategy_type, trailing_delta};
use super::{Outcome, Recalled, Request};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::render::{self, Detail, json};

/// Places a list of that kind.
pub(super) async fn place(request: &Request<'_>, kind: ListKind) -> Result<Outcome, ApiError> {
    let p = request.parameters;
    let orders = if kind == ListKind::Oco {
        pair(p, side(p, "side")?, ["above", "below"], p.decimal("quantity")?)?
    } else {
        with_working_order(p, kind)?
    };
    submit(request, kind, orders).await
}

/// Places a pair as clients did before there were other lists.
pub(super) async fn place_old(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let p = request.parameters;
    let (side, quantity) = (side(p, "side")?, p.decimal("quantity")?);
    let limit_price = p.decimal("stopLimitPrice")?;
    let time_in_force = time_in_force(p, "stopLimitTimeInForce")?;
    if limit_price.is_some() && time_in_force.is_none() {
        let text = "Combination of optional parameters invalid. Recommendation: 'stopLimitTimeInForce' should also be \
                    sent.";
        return Err(ApiError::bad_request(-1128, text));
    }
    let order_type = if limit_price.is_some() { OrderType::StopLossLimit } else { OrderType::StopLoss };
    let mode = self_trade_mode(p.get("selfTradePreventionMode"))?;
    let order = |prefix: &str, order_type| {
        Ok::<_, ApiError>(OrderRequest {
            side,
            order_type,
            time_in_force: None,
            quantity,
            quote_amount: None,
            price: None,
            stop_price: None,
            client_order_id: p.client_order_id(&format!("{prefix}ClientOrderId"))?,
            self_trade_prevention: mode,
            peg: None,
            trailing_delta: None,
            iceberg_quantity: p.decimal(&format!("{prefix}IcebergQty"))?,
            strategy_id: strategy_id(p, &format!("{prefix}StrategyId"))?,
            strategy_type: strategy_type(p, &format!("{prefix}StrategyType"))?,
        })
    };
    let (stop_price, trailing) = (p.decimal("stopPrice")?, trailing_delta(p, "trailingDelta")?);
    if trailing.is_none() {
        p.required("stopPrice")?;
    }
    let stop = order("stop", order_type)?;
    let stop = OrderRequest { price: limit_price, stop_price, time_in_force, trailing_delta: trailing, ..stop };
    let limit = OrderRequest { price: p.decimal("price")?, ..order("limit", OrderType::LimitMaker)? };
    submit(request, ListKind::Oco, vec![stop, limit]).await
}

async fn submit(request: &Request<'_>, kind: ListKind, orders: Vec<OrderRequest>) -> Result<Outcome, ApiError> {
    let market = request.market()?;
    let detail = match request.parameters.get("newOrderRespType") {
        Some("ACK") => Detail::Ack,
        Some("FULL") => Detail::Full,
        _ => Detail::Result,
    };
    let client_order_id = request.parameters.client_order_id("listClientOrderId")?;
    let list = ListRequest { kind, client_order_id, orders };
    if !takes_lists(&market) {
        return Err(unsupported(kind));
    }
    let placed = request.gateway.place_list(&request.sender()?, &market, &list).await?;
    let json = render::list_placed(&market, request.caller.unit, &placed, detail);
    Ok(Outcome { json, orders: Some(placed.counted), free: true })
}

fn unsupported(kind: ListKind) -> ApiError {
    let text = match kind {
        ListKind::Oco => "OCO orders are not supported for this symbol",
        ListKind::Oto | ListKind::Otoco => "OTO orders are not supported for this symbol.",
        ListKind::Opo | ListKind::Opoco => "OPO orders are not supported for this symbol.",
    };
    ApiError::bad_request(-2010, text)
}

/// The orders of a list that begins with a working order.
fn with_working_order(p: &Parameters<'_>, kind: ListKind) -> Result<Vec<OrderRequest>, ApiError> {
    let working_type = order_type(p, "workingType")?;
    if !matches!(working_type, OrderType::Limit | OrderType::LimitMaker) {
        return Err(ApiError::bad_request(-1116, "Invalid orderType."));
    }
    let working_side = side(p, "workingSide")?;
    let working = leg(p, "working", working_side, working_type, p.decimal("workingQuantity")?)?;
    if working.peg.is_none() {
        p.required("workingPrice")?;
    }
    let mut orders = vec![working];
    let pending_side = side(p, "pendingSide")?;
    if kind.pays_on() && working_side != Side::Buy {
        return Err(ApiError::bad_request(-1222, "Working order in an OPO list must be a bid."));
    }
    if kind.pays_on() && pending_side != Side::Sell {
        return Err(ApiError::bad_request(-1223, "Pending orders in an OPO list must be asks."));
    }
    let quantity = p.decimal("pendingQuantity")?;
    if kind.has_pair() {
        orders.extend(pair(p, pending_side, ["pendingAbove", "pendingBelow"], quantity)?);
    } else {
        orders.push(leg(p, "pending", pending_side, order_type(p, "pendingType")?, quantity)?);
    }
    Ok(orders)
}

/// A pair: the stop-loss order before the other.
fn pair(
    p: &Parameters<'_>,
    side: Side,
    [above, below]: [&str; 2],
    quantity: Option<Decimal>,
) -> Result<Vec<OrderRequest>, ApiError> {
    let types = [order_type(p, &format!("{above}Type"))?, order_type(p, &format!("{below}Type"))?];
    check_types(side, types)?;
    let mut orders = vec![leg(p, above, side, types[0], quantity)?, leg(p, below, side, types[1], quantity)?];
    for (order, prefix) in orders.iter().zip([above, below]) {
        let rests = order.time_in_force.is_none_or(|time| time == TimeInForce::Gtc);
        if order.iceberg_quantity.is_some() && !rests {
            let parameter = format!("{prefix}IcebergQty");
            let text = "is not supported if `aboveTimeInForce`/`belowTimeInForce` is not GTC.";
            return Err(ApiError::bad_request(-1160, format!("Parameter '{parameter}' {text}")));
        }
    }
    if side == Side::Sell {
        orders.swap(0, 1);
    }
    Ok(orders)
}

/// Which types a pair may have above and below the market.
fn check_types(side: Side, [above, below]: [OrderType; 2]) -> Result<(), ApiError> {
    use OrderType::{LimitMaker, StopLoss, StopLossLimit, TakeProfit, TakeProfitLimit};
    let refused = |code, text| Err(ApiError::bad_request(code, text));
    let supported = |kind| matches!(kind, LimitMaker | StopLoss | StopLossLimit | TakeProfit | TakeProfitLimit);
    if !supported(above) || !supported(below) {
        return refused(-1158, "Order type not supported in OCO.");
    }
    if above == LimitMaker && below == LimitMaker {
        return refused(-1168, "At least one OCO order must be contingent.");
    }
    // What must be below in a buy must be above in a sell, and the other way round.
    let (misplaced_limit, misplaced_stop) = match side {
        Side::Buy => (above, below),
        Side::Sell => (below, above),
    };
    match (side, misplaced_limit, misplaced_stop) {
        (Side::Buy, LimitMaker, _) => refused(-1165, "A limit order in a buy OCO must be below."),
        (Side::Sell, LimitMaker, _) => refused(-1166, "A limit order in a sell OCO must be above."),
        (Side::Buy, _, StopLoss | StopLossLimit) => refused(-1196, "A stop loss order in a buy OCO must be above."),
        (Side::Sell, _, StopLoss | StopLossLimit) => refused(-1197, "A stop loss order in a sell OCO must be below."),
        (Side::Buy, TakeProfit | TakeProfitLimit, _) => {
            refused(-1198, "A take profit order in a buy OCO must be below.")
        }
        (Side::Sell, TakeProfit | TakeProfitLimit, _) => {
            refused(-1199, "A take profit order in a sell OCO must be above.")
        }
        _ => Ok(()),
    }
}

/// An order of a list, whose parameters begin with `prefix`.
fn leg(
    p: &Parameters<'_>,
    prefix: &str,
    side: Side,
    order_type: OrderType,
    quantity: Option<Decimal>,
) -> Result<OrderRequest, ApiError> {
    let name = |field: &str| format!("{prefix}{field}");
    Ok(OrderRequest {
        side,
        order_type,
        time_in_force: time_in_force(p, &name("TimeInForce"))?,
        quantity,
        quote_amount: None,
        price: p.decimal(&name("Price"))?,
        stop_price: p.decimal(&name("StopPrice"))?,
        client_order_id: p.client_order_id(&name("ClientOrderId"))?,
        self_trade_prevention: self_trade_mode(p.get("selfTradePreventionMode"))?,
        peg: peg(
            p,
            &PegNames {
                price_type: &name("PegPriceType"),
                offset_type: &name("PegOffsetType"),
                offset_value: &name("PegOffsetValue"),
            },
        )?,
        trailing_delta: trailing_delta(p, &name("TrailingDelta"))?,
        iceberg_quantity: p.decimal(&name("IcebergQty"))?,
        strategy_id: strategy_id(p, &name("StrategyId"))?,
        strategy_type: strategy_type(p, &name("StrategyType"))?,
    })
}

fn side(p: &Parameters<'_>, name: &str) -> Result<Side, ApiError> {
    Side::from_name(p.required(name)?).ok_or_else(|| ApiError::bad_request(-1117, "Invalid side."))
}

fn order_type(p: &Parameters<'_>, name: &str) -> Result<OrderType, ApiError> {
    OrderType::from_name(p.required(name)?).ok_or_else(|| ApiError::bad_request(-1116, "Invalid orderType."))
}

fn time_in_force(p: &Parameters<'_>, name: &str) -> Result<Option<TimeInForce>, ApiError> {
    let invalid = || ApiError::bad_request(-1115, "Invalid timeInForce.");
    p.text(name)?.map(|text| TimeInForce::from_name(text).ok_or_else(invalid)).transpose()
}

/// Cancels a list.
pub(super) async fn cancel(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let p = request.parameters;
    let (id, name) = (p.integer("orderListId")?.map(OrderListId), p.client_order_id("listClientOrderId")?);
    let target = match (id, name) {
        (Some(id), Some(name)) => ListTarget::Both(id, name),
        (Some(id), None) => ListTarget::List(id),
        (None, Some(name)) => ListTarget::Client(name),
        (None, None) => return Err(ApiError::mandatory_either("orderListId", "listClientOrderId")),
    };
    let (sender, market) = (request.sender()?, request.market()?);
    let cancel_id = p.client_order_id("newClientOrderId")?;
    let list = request.gateway.cancel_list(&sender, &market, target, cancel_id).await?;
    let mut json = String::with_capacity(2_048);
    render::list_cancelled(&market, request.caller.unit, &list, &mut json);
    Ok(Outcome { json, orders: None, free: true })
}

/// A list of the account.
pub(super) fn status<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let (account, p) = (request.account()?, request.parameters);
        let list = match (p.client_order_id("origClientOrderId")?, p.integer("orderListId")?) {
            (Some(name), _) => Err(name),
            (None, Some(id)) => Ok(OrderListId(id)),
            (None, None) => return Err(ApiError::mandatory_either("orderListId", "origClientOrderId")),
        };
        let (market, list) = request.gateway.order_list(account, list).await?;
        let mut out = String::with_capacity(512);
        render::order_list(&market, request.caller.unit, &list, &mut out);
        Ok(out)
    })
}

/// The open lists of the account.
pub(super) fn open<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let lists = request.gateway.open_order_lists(request.account()?).await?;
        Ok(written(request, &lists))
    })
}

/// The lists of the account, open and done.
pub(super) fn all<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let (account, p) = (request.account()?, request.parameters);
        let limit = p.limit(ROWS_DEFAULT, ROWS_MAX)?;
        let window = day_window(p, limit)?;
        let from = p.integer("fromId")?.map(OrderListId);
        if from.is_some() && (window.start.is_some() || window.end.is_some()) {
            return Err(ApiError::combination());
        }
        let question = from.map_or(Question::Within(window), |from| Question::From(from, limit));
        let lists = request.gateway.order_lists(account, question).await?;
        Ok(written(request, &lists))
    })
}

fn written(request: &Request<'_>, lists: &[(Market, OrderList)]) -> String {
    json::array(lists.iter(), |(market, list), out| render::order_list(market, request.caller.unit, list, out))
}
