//! Limits that the account's partition knows: the filters of the whole venue, and how much of the base asset an account
//! may come to have.

use crossbook_ledger::Ledger;
use crossbook_protocol::counted::{Counted, Incoming, Second};
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_protocol::order_list::NewList;
use crossbook_protocol::refusal::Refusal;
use crossbook_types::{AccountId, Amount, ExchangeFilters, Filter, Market, Price, Quantity, Side};

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
    Ok((order || incoming.is_some()).then_some(Counted { order, algo, iceberg, incoming, second: None, list: false }))
}

/// Checks an order list against these limits. What is to be counted of what is held for its working order, and for the
/// others.
pub(crate) fn check_list(
    ledger: &Ledger,
    market: &Market,
    exchange: ExchangeFilters,
    list: &NewList,
) -> Result<[Option<Counted>; 2], Refusal> {
    let (working, others) = list.parts();
    let buys = list.orders.iter().any(|order| order.side == Side::Buy);
    let bounded = buys && !market.filters.relative.position_max.is_zero();
    if !bounded && exchange.is_off() {
        return Ok([None; 2]);
    }
    let open = ledger.order_counts(list.account);
    let algo = |order: &OrderTerms| order.order_type.is_conditional();
    let iceberg = |order: &OrderTerms| order.iceberg().is_some();
    let overfills = |open: u32, more: usize, max: u32| max != 0 && more > 0 && open as usize + more > max as usize;
    let of = |counts: &dyn Fn(&OrderTerms) -> bool| list.orders.iter().filter(|order| counts(order)).count();
    if overfills(open.lists, 1, exchange.order_lists_max) {
        return Err(Refusal::Filter(Filter::ExchangeMaxOrderLists));
    }
    if overfills(open.orders, list.orders.len(), exchange.orders_max) {
        return Err(Refusal::Filter(Filter::ExchangeMaxOrders));
    }
    if overfills(open.algo, of(&algo), exchange.algo_orders_max) {
        return Err(Refusal::Filter(Filter::ExchangeMaxAlgoOrders));
    }
    if overfills(open.icebergs, of(&iceberg), exchange.iceberg_orders_max) {
        return Err(Refusal::Filter(Filter::ExchangeMaxIcebergOrders));
    }
    let incoming = if bounded { check_position_of_list(ledger, market, list)? } else { [None; 2] };
    let order = !exchange.is_off();
    let counted = |order_terms: &OrderTerms, incoming: Option<Incoming>| {
        let (algo, iceberg) = (algo(order_terms), iceberg(order_terms));
        (order || incoming.is_some()).then_some(Counted { order, algo, iceberg, incoming, second: None, list: false })
    };
    let [of_working, of_others] = incoming;
    let first = others.first().and_then(|first| counted(first, of_others));
    let second = others.get(1).map(|second| Second { algo: algo(second), iceberg: iceberg(second) });
    let working = working.and_then(|working| counted(working, of_working));
    Ok([working, first.map(|first| Counted { second, list: order, ..first })])
}

/// Whether an account may buy what a list would bring: what its working order does, and of the others one.
fn check_position_of_list(ledger: &Ledger, market: &Market, list: &NewList) -> Result<[Option<Incoming>; 2], Refusal> {
    let mut buys = list.orders.iter().filter(|order| order.side == Side::Buy);
    if buys.any(has_no_price_yet) {
        return Err(Refusal::Filter(Filter::MaxPosition));
    }
    let (working, others) = list.parts();
    // Orders of lists have quantities, or come to have what the working order receives.
    let quantity = |order: &OrderTerms| match order.size {
        Size::Base(quantity) => quantity,
        Size::Quote(_) => Quantity::ZERO,
    };
    let brings = |order: Option<&OrderTerms>| order.filter(|order| order.side == Side::Buy).map(quantity);
    let [of_working, of_others] = [brings(working), brings(others.first())];
    let more = [of_working, of_others].into_iter().flatten();
    let more = more.map(|quantity| market.base_amount(quantity)).fold(Amount::ZERO, Amount::plus);
    if position(ledger, market, list.account).plus(more) > market.filters.relative.position_max {
        return Err(Refusal::Filter(Filter::MaxPosition));
    }
    // What is held for the others is for the dearer of them, so what is left of it does not say what they would bring:
    // an amendment does not lower that.
    let of_others = of_others.map(|quantity| incoming_at(market, quantity, None, None));
    Ok([working.filter(|_| of_working.is_some()).and_then(|working| incoming(market, working)), of_others])
}

/// What an account has of a market's base asset, and what its open buy orders there would bring.
fn position(ledger: &Ledger, market: &Market, account: AccountId) -> Amount {
    let balance = ledger.balance(account, market.base.id);
    balance.free.plus(balance.held).plus(ledger.incoming(account, market.id))
}

/// Whether what a lot of a buy order needs changes with the price that it gets, so that what is left of its hold does
/// not say what it would bring.
fn has_no_price_yet(terms: &OrderTerms) -> bool {
    terms.peg().is_some() || (terms.trailing().is_some() && terms.limit().is_none())
}

/// Whether an account may buy so much more. An order for a quote amount does not say how much it will buy: it is
/// refused once nothing more may be bought.
fn check_position(ledger: &Ledger, market: &Market, order: &NewOrder) -> Result<Option<Incoming>, Refusal> {
    if has_no_price_yet(&order.terms) {
        return Err(Refusal::Filter(Filter::MaxPosition));
    }
    let position = position(ledger, market, order.account);
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
    Some(incoming_at(market, quantity, order.price, order.stop_price.get()))
}

/// What a buy order of that quantity would bring, given the prices that say what is held for it. If there is none, what
/// is left of its hold does not say what it would bring, so an amendment does not lower that.
pub(crate) fn incoming_at(market: &Market, quantity: Quantity, limit: Option<Price>, stop: Option<Price>) -> Incoming {
    let of_lot = |price, percent| Amount(market.quote_amount(price, Quantity(1)).0.saturating_mul(percent));
    let held_per_hundred = match (limit, stop) {
        (Some(limit), _) => of_lot(limit, 100),
        (None, Some(stop)) => of_lot(stop, 100 + TRIGGERED_BUY_MARGIN_PERCENT),
        (None, None) => Amount(1),
    };
    let (amount, lot) = (market.base_amount(quantity), market.base_amount(Quantity(1)));
    Incoming { symbol: market.id, amount, lot, held_per_hundred }
}
