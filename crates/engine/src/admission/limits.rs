//! Limits that the account's partition knows: the filters of the whole venue, and how much of the base asset an account
//! may come to have.

use crossbook_ledger::Ledger;
use crossbook_protocol::counted::{Counted, Incoming};
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_protocol::refusal::Refusal;
use crossbook_types::{Amount, ExchangeFilters, Filter, Market, Quantity, Side};

use super::TRIGGERED_BUY_MARGIN_PERCENT;

/// Whether orders are counted in this market at all. It is asked for every order.
#[inline]
pub(super) fn apply(market: &Market, exchange: ExchangeFilters, side: Side) -> bool {
    !exchange.is_off() || (side == Side::Buy && !market.filters.relative.position_max.is_zero())
}

/// Checks an order against these limits. What its hold is to count for; `None` if for nothing.
#[cold]
pub(super) fn check(
    ledger: &Ledger,
    market: &Market,
    exchange: ExchangeFilters,
    order: &NewOrder,
) -> Result<Option<Counted>, Refusal> {
    let &NewOrder { account, terms: ref asked } = order;
    let (algo, iceberg) = (asked.order_type.is_conditional(), asked.iceberg().is_some());
    let open = ledger.order_counts(account);
    let is_full = |count: u32, max: u32| max != 0 && count >= max;
    if is_full(open.orders, exchange.orders_max) {
        return Err(Refusal::Filter(Filter::ExchangeMaxOrders));
    }
    if algo && is_full(open.algo, exchange.algo_orders_max) {
        return Err(Refusal::Filter(Filter::ExchangeMaxAlgoOrders));
    }
    if iceberg && is_full(open.icebergs, exchange.iceberg_orders_max) {
        return Err(Refusal::Filter(Filter::ExchangeMaxIcebergOrders));
    }
    let incoming = match asked.side {
        Side::Buy if !market.filters.relative.position_max.is_zero() => check_position(ledger, market, order)?,
        _ => None,
    };
    let order = !exchange.is_off();
    Ok((order || incoming.is_some()).then_some(Counted { order, algo, iceberg, incoming }))
}

/// Whether an account may buy so much more. An order for a quote amount does not say how much it will buy: it is
/// refused once nothing more may be bought.
fn check_position(ledger: &Ledger, market: &Market, order: &NewOrder) -> Result<Option<Incoming>, Refusal> {
    // What a lot of it needs changes with the price that it gets, so what is left of its hold does not say what it
    // would bring.
    let terms = &order.terms;
    if terms.peg().is_some() || (terms.trailing().is_some() && terms.limit().is_none()) {
        return Err(Refusal::Filter(Filter::MaxPosition));
    }
    let balance = ledger.balance(order.account, market.base.id);
    let position = balance.free.plus(balance.held).plus(ledger.incoming(order.account, market.id));
    let max = market.filters.relative.position_max;
    let fits = match order.terms.size {
        Size::Base(quantity) => position.plus(market.base_amount(quantity)) <= max,
        Size::Quote(_) => position < max,
    };
    if !fits {
        return Err(Refusal::Filter(Filter::MaxPosition));
    }
    Ok(incoming(market, &order.terms))
}

/// What a buy order would bring; `None` if it does not say. Of an order that runs at market at once the part of its
/// hold that a lot needs is not known; nor is it needed, as such an order is never open.
fn incoming(market: &Market, order: &OrderTerms) -> Option<Incoming> {
    let Size::Base(quantity) = order.size else { return None };
    let of_lot = |price, percent| Amount(market.quote_amount(price, Quantity(1)).0.saturating_mul(percent));
    let held_per_hundred = match (order.price, order.stop_price.get()) {
        (Some(limit), _) => of_lot(limit, 100),
        (None, Some(stop)) => of_lot(stop, 100 + TRIGGERED_BUY_MARGIN_PERCENT),
        (None, None) => Amount(1),
    };
    let (amount, lot) = (market.base_amount(quantity), market.base_amount(Quantity(1)));
    Some(Incoming { symbol: market.id, amount, lot, held_per_hundred })
}
