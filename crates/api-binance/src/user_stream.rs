//! Events of accounts as the JSON of the user data stream.

use crossbook_gateway::account_events::{AccountEvent, ListReport, Prevention, Report, Step};
use crossbook_protocol::order::Instructions;
use crossbook_types::{Amount, Asset, Market, Peg, Price, Quantity, Side, SymbolId, Timestamp};
use crossbook_views::{Balance, Order};

use crate::json::Object;
use crate::render::{self, PEG_OFFSET, trade_group};
use crate::time_unit::TimeUnit;

/// The execution type of a step.
fn execution_type(step: &Step) -> &'static str {
    match step {
        Step::New => "NEW",
        Step::Amended(_) => "REPLACED",
        Step::Trade(_) => "TRADE",
        Step::Canceled(_) => "CANCELED",
        Step::Expired => "EXPIRED",
        Step::Prevented(_) => "TRADE_PREVENTION",
        Step::Refused(_) => "REJECTED",
    }
}

/// Where names and decimals of assets and markets are found while events are written.
pub trait Names {
    /// A market.
    fn market(&self, symbol: SymbolId) -> Option<&Market>;
    /// The asset of a balance.
    fn asset_of(&self, balance: &Balance) -> Option<&Asset>;
}

/// Writes an event, with times in that unit; `None` if it speaks of a market that was never listed, which cannot be.
#[must_use]
pub fn write(event: &AccountEvent, unit: TimeUnit, names: &impl Names) -> Option<String> {
    match event {
        AccountEvent::Execution(report) => Some(execution(report, unit, names.market(report.order.terms.symbol)?)),
        AccountEvent::List(report) => Some(list_status(report, unit, names.market(report.symbol)?)),
        AccountEvent::Position { time, balances } => Some(position(*time, unit, balances, names)),
        AccountEvent::Transfer { time, asset, amount } => Some(transfer(*time, unit, asset, *amount)),
    }
}

/// Room for an execution report.
const EXECUTION_BYTES: usize = 768;

fn execution(report: &Report, unit: TimeUnit, market: &Market) -> String {
    let Report { order, step, time, execution } = report;
    let mut text = String::with_capacity(EXECUTION_BYTES);
    let mut o = Object::open(&mut text);
    o.name("e", "executionReport").number("E", unit.of(*time)).name("s", market.symbol.as_str());
    // A cancel has a name of its own, which takes the order's place; the order's name moves to the field for originals.
    let (client_order_id, original) = match step {
        Step::Canceled(cancel_id) => (cancel_id.as_str(), order.terms.client_order_id.as_str()),
        Step::Amended(before) => (order.terms.client_order_id.as_str(), before.as_str()),
        _ => (order.terms.client_order_id.as_str(), ""),
    };
    o.name("c", client_order_id).name("S", order.terms.side.as_str()).name("o", order.terms.order_type.as_str());
    o.name("f", order.terms.time_in_force.as_str()).quantity("q", market, order.original_quantity());
    o.price("p", market, order.terms.price.unwrap_or_default()).price(
        "P",
        market,
        order.terms.stop_price.get().unwrap_or_default(),
    );
    o.quantity("F", market, order.terms.iceberg().unwrap_or_default());
    render::order_list_id(&mut o, "g", order);
    o.name("C", original);
    let reason = if let Step::Refused(reason) = step { reason.as_str() } else { "NONE" };
    o.name("x", execution_type(step)).name("X", order.status.as_str()).name("r", reason).number("i", order.order.0);
    match step {
        Step::Trade(fill) => {
            o.quantity("l", market, fill.quantity).quantity("z", market, order.executed);
            o.price("L", market, fill.price);
            let received = if order.terms.side == Side::Buy { &market.base } else { &market.quote };
            let paid = fill.fee_asset.as_ref().unwrap_or(received);
            o.amount("n", paid, fill.fee).name("N", paid.name.as_str());
            o.number("T", unit.of(*time)).number("t", fill.trade.0);
        }
        _ => {
            o.quantity("l", market, Quantity::ZERO).quantity("z", market, order.executed);
            o.price("L", market, Price(0)).name("n", "0").null("N").number("T", unit.of(*time)).minus_one("t");
        }
    }
    let (maker, last_quote, traded) = match step {
        Step::Trade(fill) => (fill.maker, fill.quote, true),
        _ => (false, Amount::ZERO, false),
    };
    o.number("I", *execution).flag("w", order.is_working() && order.may_rest()).flag("m", maker).flag("M", traded);
    o.number("O", unit.of(order.placed)).amount("Z", &market.quote, order.executed_quote);
    o.amount("Y", &market.quote, last_quote).amount("Q", &market.quote, order.original_quote());
    if let Some(since) = order.working_since.get() {
        o.number("W", unit.of(since));
    }
    o.name("V", order.terms.self_trade_prevention.as_str());
    instructions(&mut o, market, unit, order);
    match step {
        Step::Expired => {
            if let Some(reason) = order.expiry {
                o.name("eR", reason.as_str());
            }
        }
        Step::Prevented(Some(prevention)) => write_prevention(&mut o, market, order, prevention),
        _ => {}
    }
    o.close();
    text
}

/// What only few orders ask for; absent where an order does not.
fn instructions(o: &mut Object<'_>, market: &Market, unit: TimeUnit, order: &Order) {
    let Some(Instructions { strategy_id, strategy_type, trailing, peg, .. }) = order.terms.instructions.as_deref()
    else {
        return;
    };
    if let Some(Peg { price, level }) = peg {
        o.name("gP", price.as_str());
        if *level > 0 {
            o.name("gOT", PEG_OFFSET).number("gOV", (*level).into());
        }
        if let Some(price) = order.pegged_price() {
            o.price("gp", market, price);
        }
    }
    if let Some(delta) = trailing {
        o.number("d", delta.0.into());
    }
    if let Some(since) = order.trailing_since() {
        o.number("D", unit.of(since));
    }
    if let Some(id) = strategy_id {
        o.signed("j", id.0);
    }
    if let Some(kind) = strategy_type {
        o.number("J", kind.0.into());
    }
}

/// An order list after a change. The name of a list is no order's, so it has fields of its own.
fn list_status(report: &ListReport, unit: TimeUnit, market: &Market) -> String {
    let ListReport { list, renamed, time, .. } = report;
    let mut text = String::with_capacity(384);
    let mut o = Object::open(&mut text);
    o.name("e", "listStatus").number("E", unit.of(*time)).name("s", market.symbol.as_str());
    o.number("g", list.list.0).name("c", list.kind.contingency());
    o.name("l", if *renamed { "UPDATED" } else { render::list_status_type(list.status) });
    o.name("L", list.status.as_str()).name("r", "NONE");
    o.name("C", list.client_order_id.as_str()).number("T", unit.of(*time));
    let orders = render::json::array(list.orders.iter(), |(order, name), out| {
        render::json::object(out, |o| {
            o.name("s", market.symbol.as_str()).number("i", order.0).name("c", name.as_str());
        });
    });
    o.key("O").push_str(&orders);
    o.close();
    text
}

fn write_prevention(o: &mut Object<'_>, market: &Market, order: &Order, prevention: &Prevention) {
    o.number("v", prevention.id.number());
    o.quantity("A", market, order.prevented()).quantity("B", market, prevention.last);
    trade_group(o, "u", prevention.group);
    // Both orders are in one market.
    o.number("U", prevention.counter_order.0).name("Cs", market.symbol.as_str());
    o.quantity("pl", market, prevention.quantity).price("pL", market, prevention.price);
    o.amount("pY", &market.quote, prevention.quote);
}

fn position(time: Timestamp, unit: TimeUnit, balances: &[Balance], names: &impl Names) -> String {
    let mut text = String::new();
    let mut o = Object::open(&mut text);
    o.name("e", "outboundAccountPosition").number("E", unit.of(time)).number("u", unit.of(time));
    let out = o.key("B");
    out.push('[');
    let known = balances.iter().filter_map(|balance| Some((balance, names.asset_of(balance)?)));
    for (at, (balance, asset)) in known.enumerate() {
        if at > 0 {
            out.push(',');
        }
        let mut b = Object::open(out);
        b.name("a", asset.name.as_str()).amount("f", asset, balance.free).amount("l", asset, balance.held);
        b.close();
    }
    out.push(']');
    o.close();
    text
}

fn transfer(time: Timestamp, unit: TimeUnit, asset: &Asset, amount: Amount) -> String {
    let mut text = String::new();
    let mut o = Object::open(&mut text);
    o.name("e", "balanceUpdate").number("E", unit.of(time)).name("a", asset.name.as_str());
    o.amount("d", asset, amount).number("T", unit.of(time));
    o.close();
    text
}

/// The end of a subscription, as reported to its session.
#[must_use]
pub fn terminated(unit: TimeUnit, now: Timestamp) -> String {
    format!("{{\"e\":\"eventStreamTerminated\",\"E\":{}}}", unit.of(now))
}

/// The end of a listen key, as reported on its stream.
#[must_use]
pub fn listen_key_expired(unit: TimeUnit, now: Timestamp, name: &str) -> String {
    format!("{{\"e\":\"listenKeyExpired\",\"E\":{},\"listenKey\":\"{name}\"}}", unit.of(now))
}

#[cfg(test)]
mod tests;
