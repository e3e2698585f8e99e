//! Orders and trades as their owner sees them.

use crossbook_gateway::Reply;
use crossbook_gateway::orders::Placed;
use crossbook_gateway::orders::amend::Amended;
use crossbook_protocol::event::PreventedMatch;
use crossbook_protocol::order::Instructions;
use crossbook_types::{Asset, Market, OrderStatus, Peg, Side, TradeGroupId};
use crossbook_views::{Amendment, Order, OrderList, OwnTrade, Prevented};

use super::json::{self, Object};
use crate::time_unit::TimeUnit;

/// The level of detail of the answer to a new order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// That it was accepted.
    Ack,
    /// Also its state.
    Result,
    /// Also its trades.
    Full,
}

/// The answer to a new order.
#[must_use]
pub fn placed(market: &Market, unit: TimeUnit, placed: &Placed, detail: Detail) -> String {
    let Placed { order, reply, .. } = placed;
    let mut out = String::with_capacity(640 + reply.fills.len() * 160);
    json::object(&mut out, |o| report(o, market, unit, order, reply, detail));
    out
}

/// What the answer to a new order, or to a new list for each of its orders, says of the order.
pub(super) fn report(
    o: &mut Object<'_>,
    market: &Market,
    unit: TimeUnit,
    order: &Order,
    reply: &Reply,
    detail: Detail,
) {
    o.name("symbol", market.symbol.as_str()).number("orderId", order.order.0);
    order_list_id(o, "orderListId", order);
    o.name("clientOrderId", order.terms.client_order_id.as_str()).number("transactTime", unit.of(reply.time));
    if detail == Detail::Ack {
        return;
    }
    terms_and_totals(o, market, order);
    json::time(o, unit, "workingTime", order.working_since.get());
    o.name("selfTradePreventionMode", order.terms.self_trade_prevention.as_str());
    instructions(o, market, unit, order);
    if detail == Detail::Full {
        fills(o, market, order, reply);
    }
    prevented_matches(o, market, order, reply);
    if let Some(group) = order.terms.trade_group() {
        o.number("tradeGroupId", group.number().into());
    }
    if let Some(prevention) = &order.prevention {
        o.quantity("preventedQuantity", market, prevention.quantity);
    }
    expiry_reason(o, order);
}

fn fills(o: &mut Object<'_>, market: &Market, order: &Order, reply: &Reply) {
    let out = o.key("fills");
    out.push('[');
    let own = reply.fills.iter().filter(|fill| fill.taker.order == order.order);
    for (at, fill) in own.enumerate() {
        if at > 0 {
            out.push(',');
        }
        let received = if fill.taker_side == Side::Buy { &market.base } else { &market.quote };
        json::object(out, |o| {
            o.price("price", market, fill.price).quantity("qty", market, fill.quantity);
            let paid =
                reply.discount_asset.as_ref().filter(|_| fill.other_fee_asset(true).is_some()).unwrap_or(received);
            o.amount("commission", paid, fill.taker.fee).name("commissionAsset", paid.name.as_str());
            o.number("tradeId", fill.trade.0);
        });
    }
    out.push(']');
}

/// The matches in which the order did not trade; absent if there are none.
fn prevented_matches(o: &mut Object<'_>, market: &Market, order: &Order, reply: &Reply) {
    let own = || reply.prevented.iter().filter(|prevented| prevented.taker == order.order);
    if own().next().is_none() {
        return;
    }
    let matches = json::array(own(), |prevented, out| {
        json::object(out, |o| {
            o.number("preventedMatchId", prevented.id.number()).name("makerSymbol", market.symbol.as_str());
            o.number("makerOrderId", prevented.maker.0).price("price", market, prevented.price);
            prevented_quantities(o, market, prevented);
        });
    });
    o.key("preventedMatches").push_str(&matches);
}

/// A trade group; -1 for none.
pub fn trade_group(o: &mut Object<'_>, name: &'static str, group: Option<TradeGroupId>) {
    match group {
        Some(group) => o.number(name, group.number().into()),
        None => o.minus_one(name),
    };
}

/// How much was taken from each order; absent where its mode takes nothing from it.
fn prevented_quantities(o: &mut Object<'_>, market: &Market, prevented: &PreventedMatch) {
    if prevented.mode.takes_from_taker() {
        o.quantity("takerPreventedQuantity", market, prevented.taker_prevented);
    }
    if prevented.mode.takes_from_maker() {
        o.quantity("makerPreventedQuantity", market, prevented.maker_prevented);
    }
}

/// A prevented match as the owner of its orders sees it.
pub fn prevented_match(market: &Market, unit: TimeUnit, kept: &Prevented, out: &mut String) {
    let Prevented { prevented, time } = kept;
    json::object(out, |o| {
        o.name("symbol", market.symbol.as_str()).number("preventedMatchId", prevented.id.number());
        o.number("takerOrderId", prevented.taker.0).name("makerSymbol", market.symbol.as_str());
        o.number("makerOrderId", prevented.maker.0);
        trade_group(o, "tradeGroupId", prevented.group);
        o.name("selfTradePreventionMode", prevented.mode.as_str()).price("price", market, prevented.price);
        prevented_quantities(o, market, prevented);
        o.number("transactTime", unit.of(*time));
    });
}

/// Why an order expired; absent if it did not.
fn expiry_reason(o: &mut Object<'_>, order: &Order) {
    if let Some(reason) = order.expiry {
        o.name("expiryReason", reason.as_str());
    }
}

/// What answers about a single command have in common.
fn terms_and_totals(o: &mut Object<'_>, market: &Market, order: &Order) {
    o.price("price", market, order.terms.price.unwrap_or_default());
    // An order that what the working order of its list receives is to pay for has no quantity before.
    if order.status != OrderStatus::PendingNew || !order.original_quantity().is_zero() {
        o.quantity("origQty", market, order.original_quantity());
    }
    o.quantity("executedQty", market, order.executed);
    o.amount("origQuoteOrderQty", &market.quote, order.original_quote());
    o.amount("cummulativeQuoteQty", &market.quote, order.executed_quote);
    o.name("status", order.status.as_str()).name("timeInForce", order.terms.time_in_force.as_str());
    o.name("type", order.terms.order_type.as_str()).name("side", order.terms.side.as_str());
    if let Some(stop) = order.terms.stop_price.get() {
        o.price("stopPrice", market, stop);
    }
    if let Some(part) = order.terms.iceberg() {
        o.quantity("icebergQty", market, part);
    }
}

/// The number of the list that an order belongs to; -1 if it belongs to none.
pub fn order_list_id(o: &mut Object<'_>, key: &'static str, order: &Order) {
    match order.list() {
        Some(list) => o.number(key, list.0),
        None => o.minus_one(key),
    };
}

/// The only type of offset of pegged orders: existing price levels.
pub const PEG_OFFSET: &str = "PRICE_LEVEL";

/// What only few orders ask for; absent where an order does not.
fn instructions(o: &mut Object<'_>, market: &Market, unit: TimeUnit, order: &Order) {
    let Some(Instructions { strategy_id, strategy_type, trailing, peg, .. }) = order.terms.instructions.as_deref()
    else {
        return;
    };
    if let Some(Peg { price, level }) = peg {
        o.name("pegPriceType", price.as_str());
        if *level > 0 {
            o.name("pegOffsetType", PEG_OFFSET).number("pegOffsetValue", (*level).into());
        }
        if let Some(price) = order.pegged_price() {
            o.price("peggedPrice", market, price);
        }
    }
    if let Some(delta) = trailing {
        o.number("trailingDelta", delta.0.into());
        json::time(o, unit, "trailingTime", order.trailing_since());
    }
    if let Some(id) = strategy_id {
        o.signed("strategyId", id.0);
    }
    if let Some(kind) = strategy_type {
        o.number("strategyType", kind.0.into());
    }
}

/// An order that was cancelled.
pub fn cancelled(market: &Market, unit: TimeUnit, order: &Order, out: &mut String) {
    json::object(out, |o| {
        o.name("symbol", market.symbol.as_str()).name("origClientOrderId", order.terms.client_order_id.as_str());
        o.number("orderId", order.order.0);
        order_list_id(o, "orderListId", order);
        o.name("clientOrderId", order.cancel_id.unwrap_or(order.terms.client_order_id).as_str());
        o.number("transactTime", unit.of(order.updated));
        terms_and_totals(o, market, order);
        o.name("selfTradePreventionMode", order.terms.self_trade_prevention.as_str());
        instructions(o, market, unit, order);
        prevention(o, market, order);
    });
}

/// What self-trade prevention has taken from an order, and in which match the last of that; absent if it has not.
fn prevention(o: &mut Object<'_>, market: &Market, order: &Order) {
    if let Some(prevention) = &order.prevention {
        o.number("preventedMatchId", prevention.id.number());
        o.quantity("preventedQuantity", market, prevention.quantity);
    }
}

/// The answer to an amendment.
#[must_use]
pub fn amended(market: &Market, unit: TimeUnit, amended: &Amended) -> String {
    let Amended { order, list, client_order_id_before, time, execution } = amended;
    let mut out = String::with_capacity(640);
    json::object(&mut out, |o| {
        o.number("transactTime", unit.of(*time)).number("executionId", *execution);
        json::object(o.key("amendedOrder"), |o| {
            o.name("symbol", market.symbol.as_str()).number("orderId", order.order.0);
            order_list_id(o, "orderListId", order);
            o.name("origClientOrderId", client_order_id_before.as_str());
            o.name("clientOrderId", order.terms.client_order_id.as_str());
            o.price("price", market, order.terms.price.unwrap_or_default());
            o.quantity("qty", market, order.original_quantity()).quantity("executedQty", market, order.executed);
            o.quantity("preventedQty", market, order.prevented());
            o.amount("quoteOrderQty", &market.quote, order.original_quote());
            o.amount("cumulativeQuoteQty", &market.quote, order.executed_quote);
            o.name("status", order.status.as_str()).name("timeInForce", order.terms.time_in_force.as_str());
            o.name("type", order.terms.order_type.as_str()).name("side", order.terms.side.as_str());
            if let Some(stop) = order.terms.stop_price.get() {
                o.price("stopPrice", market, stop);
            }
            if order.working_since.is_some() {
                json::time(o, unit, "workingTime", order.working_since.get());
            }
            o.name("selfTradePreventionMode", order.terms.self_trade_prevention.as_str());
            instructions(o, market, unit, order);
        });
        if let Some(list) = list {
            json::object(o.key("listStatus"), |o| list_state(o, market, list));
        }
    });
    out
}

/// What the answer to an amendment says of the list.
fn list_state(o: &mut Object<'_>, market: &Market, list: &OrderList) {
    o.number("orderListId", list.list.0).name("contingencyType", list.kind.contingency());
    o.name("listOrderStatus", list.status.as_str()).name("listClientOrderId", list.client_order_id.as_str());
    o.name("symbol", market.symbol.as_str());
    list_members(o, market, list);
}

/// The orders of a list, and the client's names for them.
pub(super) fn list_members(o: &mut Object<'_>, market: &Market, list: &OrderList) {
    let orders = json::array(list.orders.iter(), |(order, name), out| {
        json::object(out, |o| {
            o.name("symbol", market.symbol.as_str()).number("orderId", order.0).name("clientOrderId", name.as_str());
        });
    });
    o.key("orders").push_str(&orders);
}

/// An amendment as a query shows it.
pub fn amendment(market: &Market, unit: TimeUnit, execution: u64, kept: &Amendment, out: &mut String) {
    let Amendment { amended, time, .. } = kept;
    json::object(out, |o| {
        o.name("symbol", market.symbol.as_str()).number("orderId", amended.order.0).number("executionId", execution);
        o.name("origClientOrderId", amended.client_order_id_before.as_str());
        o.name("newClientOrderId", amended.client_order_id.as_str());
        o.quantity("origQty", market, amended.quantity_before).quantity("newQty", market, amended.quantity);
        o.number("time", unit.of(*time));
    });
}

/// An order as a query shows it.
pub fn order(market: &Market, unit: TimeUnit, order: &Order, out: &mut String) {
    json::object(out, |o| {
        o.name("symbol", market.symbol.as_str()).number("orderId", order.order.0);
        order_list_id(o, "orderListId", order);
        o.name("clientOrderId", order.terms.client_order_id.as_str());
        o.price("price", market, order.terms.price.unwrap_or_default());
        o.quantity("origQty", market, order.original_quantity()).quantity("executedQty", market, order.executed);
        o.amount("cummulativeQuoteQty", &market.quote, order.executed_quote);
        o.name("status", order.status.as_str()).name("timeInForce", order.terms.time_in_force.as_str());
        o.name("type", order.terms.order_type.as_str()).name("side", order.terms.side.as_str());
        o.price("stopPrice", market, order.terms.stop_price.get().unwrap_or_default());
        o.quantity("icebergQty", market, order.terms.iceberg().unwrap_or_default());
        o.number("time", unit.of(order.placed)).number("updateTime", unit.of(order.updated));
        o.flag("isWorking", order.working_since.is_some());
        json::time(o, unit, "workingTime", order.working_since.get());
        o.amount("origQuoteOrderQty", &market.quote, order.original_quote());
        o.name("selfTradePreventionMode", order.terms.self_trade_prevention.as_str());
        instructions(o, market, unit, order);
        prevention(o, market, order);
        expiry_reason(o, order);
    });
}

/// A trade as its owner sees it.
pub fn own_trade(market: &Market, unit: TimeUnit, (trade, fee_asset): (&OwnTrade, &Asset), out: &mut String) {
    json::object(out, |o| {
        o.name("symbol", market.symbol.as_str()).number("id", trade.trade.0).number("orderId", trade.order.0);
        match trade.list {
            Some(list) => o.number("orderListId", list.0),
            None => o.minus_one("orderListId"),
        };
        o.price("price", market, trade.price).quantity("qty", market, trade.quantity);
        o.amount("quoteQty", &market.quote, trade.quote).amount("commission", fee_asset, trade.fee);
        o.name("commissionAsset", fee_asset.name.as_str()).number("time", unit.of(trade.time));
        o.flag("isBuyer", trade.side == Side::Buy).flag("isMaker", trade.maker);
        o.flag("isBestMatch", true);
    });
}
