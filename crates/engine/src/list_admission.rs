//! The account's side of an order list: checks its form and its orders, and holds the funds before the list goes to its
//! market.
//!
//! | orders | hold |
//! | --- | --- |
//! | a pair | one hold for both, of the larger need: only one of them is ever carried out |
//! | a working order | what it needs; if it is a buy whose price the book gives, what is free, at most what it could be |
//! | an order that is pending until then | what it needs, from the beginning; a buy that names no price as much as at the working order's, and the margin of a triggered buy |
//! | a buy that names no price in a list without a working order that does | what is free, at most what it could be |
//! | orders that the working order pays for | nothing; what the working order receives, less its fee, is held as it arrives |
//!
//! Where fees are paid in the asset of the discount, they are held in the same way: those of the working order, and
//! beside them those of one of the others. What can be paid for is at most what the working order buys.
//!
//! So nothing has to be asked of the account's partition when the working order is filled, and a pending order cannot
//! fail for lack of funds. Where the market has to say what an order costs, it frees what is too much, or refuses the
//! list.

use crossbook_ledger::{HoldError, Ledger};
use crossbook_protocol::order::{OrderTerms, Size};
use crossbook_protocol::order_list::NewList;
use crossbook_protocol::peer::ListFunding;
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::rules::Rules;
use crossbook_types::{Amount, Market, OrderType, Price, Quantity, Side, Timestamp};

use crate::admission::{self, discount, instructions, limits, triggered_worth};
use crate::registry::Registry;

/// The price that decides on which side of the market an order of a pair is: its stop price, or its limit if it is of
/// a kind that has none. One that trails the price from the beginning names none, nor does one whose price the book
/// gives it.
pub(crate) fn deciding_price(order: &OrderTerms) -> Option<Price> {
    if order.order_type.is_conditional() { order.stop_price.get() } else { order.limit() }
}

/// Whether an order needs as much as at a price that it does not name.
pub(crate) fn names_no_price(order: &OrderTerms) -> bool {
    order.side == Side::Buy && order.limit().is_none() && order.stop_price.get().is_none()
}

/// Checks a list against what needs no book: its form, and the market's fixed filters for each order.
///
/// # Errors
/// The reason.
pub fn check(list: &NewList, market: &Market, rules: Rules) -> Result<(), Refusal> {
    if rules < Rules::V4 {
        return Err(Refusal::RulesTooOld);
    }
    if market.filters.order_lists_max == 0 {
        return Err(Refusal::NoOrderLists);
    }
    let of_list = |order: &OrderTerms| {
        let is_sized = matches!(order.size, Size::Base(_));
        // Only the market says of an order that it is in a list.
        order.symbol == list.symbol && is_sized && order.list().is_none() && order.discount().is_none()
    };
    if list.orders.len() != list.kind.orders() || !list.orders.iter().all(of_list) {
        return Err(Refusal::MalformedOrder);
    }
    let (working, others) = list.parts();
    if let Some(working) = working {
        let may_work = matches!(working.order_type, OrderType::Limit | OrderType::LimitMaker);
        if !may_work || (list.kind.pays_on() && working.side != Side::Buy) {
            return Err(Refusal::MalformedOrder);
        }
        admission::check_terms(working, market, rules)?;
        // Both would need as much as there is of the same asset.
        if working.side == Side::Buy && working.limit().is_none() && others.iter().any(names_no_price) {
            return Err(Refusal::ListWithoutPrice);
        }
    }
    for order in others {
        if !list.kind.pays_on() {
            admission::check_terms(order, market, rules)?;
        } else if order.side != Side::Sell || order.size != Size::Base(Quantity::ZERO) {
            return Err(Refusal::MalformedOrder);
        } else {
            admission::check_form(order, market, rules)?;
            instructions::check_unsized(order, market)?;
        }
    }
    match others {
        [stop, other] => check_pair(stop, other),
        _ => Ok(()),
    }
}

/// Whether two orders can be a pair, and their prices are in their order.
fn check_pair(stop: &OrderTerms, other: &OrderTerms) -> Result<(), Refusal> {
    let stops = matches!(stop.order_type, OrderType::StopLoss | OrderType::StopLossLimit);
    let takes = matches!(other.order_type, OrderType::LimitMaker | OrderType::TakeProfit | OrderType::TakeProfitLimit);
    if !stops || !takes || stop.side != other.side || stop.size != other.size {
        return Err(Refusal::MalformedOrder);
    }
    in_their_order(stop.side, deciding_price(stop), deciding_price(other), None)
        .then_some(())
        .ok_or(Refusal::ListPrices)
}

/// Whether the prices that decide of a pair of that side are on opposite sides of the last price, each on its own;
/// without a last price, of each other. A price that is not known is where it must be.
pub(crate) fn in_their_order(side: Side, stopped: Option<Price>, taken: Option<Price>, last: Option<Price>) -> bool {
    let (low, high) = match side {
        Side::Sell => (stopped, taken),
        Side::Buy => (taken, stopped),
    };
    let rises = |low: Option<Price>, high: Option<Price>| low.zip(high).is_none_or(|(low, high)| low < high);
    rises(low, high) && rises(low, last) && rises(last, high)
}

/// What an order of a list needs of what it pays. `limit` is its limit price, if it names one or the book has given it
/// one; `near`, the price that it will run near to if it names none.
pub(crate) fn need(order: &OrderTerms, limit: Option<Price>, near: Option<Price>, market: &Market) -> Amount {
    let quantity = quantity(order);
    match (order.side, limit, order.stop_price.get().or(near)) {
        (Side::Sell, ..) => market.base_amount(quantity),
        (Side::Buy, Some(limit), _) => market.quote_amount(limit, quantity),
        (Side::Buy, None, Some(near)) => triggered_worth(order, market, near, quantity),
        (Side::Buy, None, None) => Amount::ZERO,
    }
}

/// The most of the needs of some orders.
fn most(orders: &[OrderTerms], near: Option<Price>, market: &Market) -> Amount {
    orders.iter().map(|order| need(order, order.limit(), near, market)).fold(Amount::ZERO, Amount::max)
}

/// Admits a list: checks it and holds its funds.
///
/// # Errors
/// Why not; nothing is held then.
pub(crate) fn admit(
    ledger: &mut Ledger,
    registry: &Registry,
    market: &Market,
    list: &NewList,
    rules: Rules,
    now: Timestamp,
) -> Result<ListFunding, Refusal> {
    check(list, market, rules)?;
    let [working_counted, others_counted] = limits::check_list(ledger, market, registry.exchange_filters(), list)?;
    let (working, others) = list.parts();
    let price = working.and_then(OrderTerms::limit);
    let highest = Some(market.highest_price());
    let first = others.first().ok_or(Refusal::MalformedOrder)?;
    let mut held = if list.kind.pays_on() { Amount::ZERO } else { most(others, price, market) };
    let account = list.account;
    let mut held_for_working = None;
    if let Some(working) = working {
        let asset = market.pays(working.side);
        let amount = match working.side == Side::Buy && price.is_none() {
            false => need(working, price, None, market),
            true => {
                let others = if first.side == Side::Buy { held } else { Amount::ZERO };
                let free = ledger.balance(account, asset).free.minus(others).max(Amount::ZERO);
                need(working, highest, None, market).min(free)
            }
        };
        let hold = ledger.hold(account, asset, amount).map_err(admission::not_held)?;
        held_for_working = Some((hold, amount));
    }
    if price.is_none() && others.iter().any(names_no_price) {
        let free = ledger.balance(account, market.pays(first.side)).free;
        held = held.max(most(others, highest, market).min(free));
    }
    let hold = ledger.hold(account, market.pays(first.side), held).map_err(|error: HoldError| {
        if let Some((hold, _)) = held_for_working {
            ledger.release(account, hold);
        }
        admission::not_held(error)
    });
    let hold = hold?;
    if let Some((working, _)) = held_for_working {
        admission::count(ledger, account, working, working_counted);
    }
    admission::count(ledger, account, hold, others_counted);
    let fees = admission::fees(ledger, registry, market, account, now);
    Ok(ListFunding { working: held_for_working, hold, held, fees, working_discount: None, discount: None })
}

/// Holds what the fees of the orders of an admitted list can come to in the asset of the discount, as far as that is
/// free: first those of its working order, then the most of those of the others.
#[cold]
pub(crate) fn hold_fees(
    ledger: &mut Ledger,
    registry: &Registry,
    market: &Market,
    list: &NewList,
    funding: &mut ListFunding,
    now: Timestamp,
) {
    let Some((asset, rates)) = discount::rates(ledger, registry, market, list.account, now) else { return };
    let mut hold = |most| discount::hold(ledger, list.account, (asset, rates), most, false);
    let (working, others) = list.parts();
    if let Some((working, (_, budget))) = working.zip(funding.working) {
        funding.working_discount = hold(discount::most(working, market, budget, rates));
    }
    let near = working.and_then(OrderTerms::limit);
    let worth = |order: &OrderTerms| {
        let quantity = quantity_at_most(list, order, market);
        discount::worth_in_list(order, quantity, (order.limit(), near), funding.held, market)
    };
    let worth = others.iter().map(worth).fold(Amount::ZERO, Amount::max);
    funding.discount = hold(rates.most(worth).unwrap_or(Amount::MAX));
}

/// The most that an order of a list is for which is not its working order.
pub(crate) fn quantity_at_most(list: &NewList, order: &OrderTerms, market: &Market) -> Quantity {
    let (working, others) = list.parts();
    match working.filter(|_| list.kind.pays_on()) {
        Some(working) => quantity(working).min(largest(&others.iter().collect::<Vec<_>>(), market)),
        None => quantity(order),
    }
}

fn quantity(order: &OrderTerms) -> Quantity {
    match order.size {
        Size::Base(quantity) => quantity,
        Size::Quote(_) => Quantity::ZERO,
    }
}

/// Whether an order that is paid from what the working order received may be of that quantity.
pub(crate) fn check_paid(order: &OrderTerms, quantity: Quantity, market: &Market) -> Result<(), Refusal> {
    let kind = order.order_type;
    market.check_quantity(kind, quantity).map_err(Refusal::Filter)?;
    instructions::check_sized(order, quantity, market)?;
    let Some(price) = order.price.or(order.stop_price.get()) else { return Ok(()) };
    let worth = market.quote_amount(price, quantity);
    let checked = match kind.has_limit_price() {
        true => market.check_notional(worth),
        false => market.check_market_notional(worth),
    };
    checked.map_err(Refusal::Filter)
}

/// The most that an order which is paid from what the working order received may be for.
pub(crate) fn largest(orders: &[&OrderTerms], market: &Market) -> Quantity {
    let at_market = orders.iter().any(|order| !order.order_type.has_limit_price());
    let most = market.filters.quantity_max;
    if at_market { most.min(market.filters.market_quantity_max) } else { most }
}
