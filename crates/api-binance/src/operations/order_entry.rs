//! Orders in and out. What can be known to be wrong with an order without its book and its balance is found out here,
//! and never reaches the node.

use crossbook_engine::admission;
use crossbook_protocol::command::{Body, CancelAll, CancelOrder, NewOrder, Size, Target};
use crossbook_protocol::{Answer, Rules};
use crossbook_types::{
    Amount, CancelRestriction, ClientOrderId, Decimal, Filter, Market, MarketStatus, OrderId, OrderType, Price,
    Quantity, SelfTradePrevention, Side, TimeInForce,
};

use super::{Outcome, Request};
use crate::app::{ORDERS_BACK_FOR_TAKERS, Reply};
use crate::error::ApiError;
use crate::render::{self, Detail};
use crate::secret::random_name;

/// Characters of the names that are made up for orders and cancels without one.
const MADE_UP_CHARACTERS: usize = 22;

pub(super) async fn place(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let (order, market) = new_order(request)?;
    let detail = detail(request, order.order_type)?;
    let (app, caller) = (request.app, request.caller);
    let mut orders = app.limits.count_order(order.account, caller.now)?;
    let placed = app.submit(Body::Place(order), caller.deadline).await.and_then(accepted);
    let reply = match placed {
        Ok(reply) => reply,
        Err(error) => {
            // An order with an unknown outcome may be in the book, so it stays counted.
            if error.code != ApiError::timeout().code {
                app.limits.order_not_placed(order.account, caller.now, app.now());
            }
            return Err(error);
        }
    };
    if !reply.fills.is_empty() {
        orders = app.limits.order_traded(order.account, ORDERS_BACK_FOR_TAKERS, app.now());
    }
    app.orders_accepted.increment(1);
    let json = render::placed(&market, caller.unit, &reply, detail).ok_or_else(ApiError::internal)?;
    Ok(Outcome { json, orders: Some(orders), free: true })
}

pub(super) fn test(request: &Request<'_>) -> Result<String, ApiError> {
    let (order, market) = new_order(request)?;
    detail(request, order.order_type)?;
    if request.parameters.boolean("computeCommissionRates")? {
        return Ok(render::commission_rates(&market));
    }
    Ok("{}".to_owned())
}

pub(super) async fn cancel(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let p = request.parameters;
    let restriction = match p.get("cancelRestrictions") {
        None => None,
        Some(name) => {
            let known = CancelRestriction::from_name(name);
            Some(known.ok_or_else(cancel_restrictions)?)
        }
    };
    let target = match (p.integer("orderId")?.map(OrderId), p.client_order_id("origClientOrderId")?) {
        (Some(order), Some(name)) => Target::Both(order, name),
        (Some(order), None) => Target::Order(order),
        (None, Some(name)) => Target::Client(name),
        (None, None) => return Err(ApiError::mandatory_either("origClientOrderId", "orderId")),
    };
    let cancel_id = given_or_made_up(p.client_order_id("newClientOrderId")?)?;
    let (account, market) = (request.account()?, request.market()?);
    let body = Body::Cancel(CancelOrder { account, symbol: market.id, target, cancel_id, restriction });
    let reply = request.app.submit(body, request.caller.deadline).await.and_then(accepted)?;
    let order = reply.order.as_ref().ok_or_else(ApiError::internal)?;
    let mut json = String::with_capacity(512);
    render::cancelled(&market, request.caller.unit, order, &mut json);
    Ok(Outcome { json, orders: None, free: true })
}

pub(super) async fn cancel_all(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let (account, market) = (request.account()?, request.market()?);
    let cancel_id = given_or_made_up(None)?;
    let body = Body::CancelAll(CancelAll { account, symbol: market.id, cancel_id });
    let gathering = request.app.pending.gather(cancel_id);
    request.app.submit(body, request.caller.deadline).await.and_then(accepted)?;
    let closed = gathering.take();
    let json =
        render::json::array(closed.iter(), |order, out| render::cancelled(&market, request.caller.unit, order, out));
    Ok(Outcome { json, orders: None, free: true })
}

fn cancel_restrictions() -> ApiError {
    ApiError::bad_request(-1145, "cancelRestrictions has to be either ONLY_NEW or ONLY_PARTIALLY_FILLED.")
}

/// Tells a refusal from any other answer.
fn accepted(reply: Reply) -> Result<Reply, ApiError> {
    match reply.outcome {
        Ok(Answer::Refused(refusal)) => Err(ApiError::from_refusal(refusal)),
        _ => Ok(reply),
    }
}

fn given_or_made_up(given: Option<ClientOrderId>) -> Result<ClientOrderId, ApiError> {
    let made_up = || {
        let text = random_name(MADE_UP_CHARACTERS).map_err(|_| ApiError::internal())?;
        ClientOrderId::new_checked(&text).map_err(|_| ApiError::internal())
    };
    given.map_or_else(made_up, Ok)
}

/// How much the answer is to tell.
fn detail(request: &Request<'_>, order_type: OrderType) -> Result<Detail, ApiError> {
    match request.parameters.get("newOrderRespType") {
        Some("ACK") => Ok(Detail::Ack),
        Some("RESULT") => Ok(Detail::Result),
        Some("FULL") => Ok(Detail::Full),
        Some(_) => Err(ApiError::invalid("newOrderRespType")),
        None if matches!(order_type, OrderType::Market | OrderType::Limit) => Ok(Detail::Full),
        None => Ok(Detail::Ack),
    }
}

/// The order that the parameters describe, checked against all that needs no book.
fn new_order(request: &Request<'_>) -> Result<(NewOrder, Market), ApiError> {
    let p = request.parameters;
    let side = Side::from_name(p.required("side")?).ok_or_else(|| ApiError::bad_request(-1117, "Invalid side."))?;
    let order_type =
        OrderType::from_name(p.required("type")?).ok_or_else(|| ApiError::bad_request(-1116, "Invalid orderType."))?;
    let market = request.market()?;
    let form = Form { market: &market, order_type };
    let rules = Presence::of(order_type);
    for (name, presence) in rules {
        match presence {
            Needed if !p.has(name) => return Err(ApiError::mandatory(name)),
            Refused if p.has(name) => return Err(ApiError::not_required(name)),
            _ => {}
        }
    }
    let quantity = p.decimal("quantity")?.map(|quantity| form.quantity(quantity)).transpose()?;
    let quote = p.decimal("quoteOrderQty")?.map(|amount| form.quote_amount(amount)).transpose()?;
    let size = match (quantity, quote) {
        (Some(quantity), None) => Size::Base(quantity),
        (None, Some(amount)) => Size::Quote(amount),
        (Some(_), Some(_)) => return Err(ApiError::not_required("quoteOrderQty")),
        (None, None) => return Err(ApiError::mandatory_either("quantity", "quoteOrderQty")),
    };
    let time_in_force = match p.get("timeInForce") {
        None => TimeInForce::Gtc,
        Some(name) => {
            TimeInForce::from_name(name).ok_or_else(|| ApiError::bad_request(-1115, "Invalid timeInForce."))?
        }
    };
    let self_trade_prevention = match p.get("selfTradePreventionMode") {
        None => market.self_trade.default_mode(),
        Some(name) => {
            SelfTradePrevention::from_name(name).ok_or_else(|| ApiError::invalid("selfTradePreventionMode"))?
        }
    };
    let order = NewOrder {
        account: request.account()?,
        symbol: market.id,
        client_order_id: given_or_made_up(p.client_order_id("newClientOrderId")?)?,
        side,
        order_type,
        time_in_force,
        price: p.decimal("price")?.map(|price| form.price("price", price)).transpose()?,
        size,
        stop_price: p.decimal("stopPrice")?.map(|price| form.price("stopPrice", price)).transpose()?,
        self_trade_prevention,
    };
    admission::check(&order, &market, Rules::CURRENT).map_err(ApiError::from_refusal)?;
    if market.status != MarketStatus::Trading {
        return Err(ApiError::order_rejected("Market is closed."));
    }
    Ok((order, market))
}

/// Whether an order type has a parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Presence {
    Needed,
    Optional,
    Refused,
}
use Presence::{Needed, Optional, Refused};

impl Presence {
    /// The rules of an order type, in the order in which they are checked.
    fn of(order_type: OrderType) -> [(&'static str, Self); 5] {
        let (time_in_force, quantity, quote, price, stop) = match order_type {
            OrderType::Limit => (Needed, Needed, Refused, Needed, Refused),
            OrderType::Market => (Refused, Optional, Optional, Refused, Refused),
            OrderType::LimitMaker => (Refused, Needed, Refused, Needed, Refused),
            OrderType::StopLoss | OrderType::TakeProfit => (Refused, Needed, Refused, Refused, Needed),
            OrderType::StopLossLimit | OrderType::TakeProfitLimit => (Needed, Needed, Refused, Needed, Needed),
        };
        [
            ("timeInForce", time_in_force),
            ("quantity", quantity),
            ("quoteOrderQty", quote),
            ("price", price),
            ("stopPrice", stop),
        ]
    }
}

/// What decimal numbers become in an order of this market and type.
struct Form<'a> {
    market: &'a Market,
    order_type: OrderType,
}

impl Form<'_> {
    fn quantity(&self, quantity: Decimal) -> Result<Quantity, ApiError> {
        let market = self.market;
        if quantity.precision() > market.base.decimals {
            return Err(ApiError::precision("quantity"));
        }
        market.quantity(quantity).ok_or_else(|| {
            let at_market = !self.order_type.has_limit_price() && quantity.steps_of(market.step_size).is_some();
            ApiError::filter(if at_market { Filter::MarketLotSize } else { Filter::LotSize })
        })
    }

    fn price(&self, name: &'static str, price: Decimal) -> Result<Price, ApiError> {
        let market = self.market;
        if price.precision() > market.quote.decimals.max(market.tick_size.precision()) {
            return Err(ApiError::precision(name));
        }
        market.price(price).ok_or_else(|| ApiError::filter(Filter::Price))
    }

    fn quote_amount(&self, amount: Decimal) -> Result<Amount, ApiError> {
        let decimals = self.market.quote.decimals;
        if amount.precision() > decimals {
            return Err(ApiError::precision("quoteOrderQty"));
        }
        let units = amount.rescale(decimals).filter(|&units| units <= Amount::MAX.0);
        units.map(Amount).ok_or_else(|| ApiError::filter(Filter::Notional))
    }
}
