//! The account's side of fees that are paid in the asset of the discount: holds what they can come to.
//!
//! The fee of a trade is a part of what it is worth in the quote asset, at a rate that the operator has set. An order
//! that buys is worth no more than what is held for it. If it sells, nobody knows how much better its price will be:
//! until it rests or ends, as much is held as it comes to at twice its limit, or without one at the highest price, as
//! far as that is free. From when it rests, its market frees what is beyond the worth of its rest; from when it trails
//! the price without a stop price, what is beyond its worth at the last price and a margin. So more than what is free
//! is never held, and a trade whose fee is not covered pays the ordinary fee.

use crossbook_ledger::Ledger;
use crossbook_protocol::order::{NewOrder, OrderDiscount, OrderTerms, Size};
use crossbook_types::{AccountId, Amount, AssetId, DiscountRates, Market, OrderType, Price, Quantity, Side, Timestamp};

use super::{usual_fees, with_margin};
use crate::registry::Registry;

/// A sell that may trade at once is held to be worth so many times what it is at its limit. While it is on its way to a
/// market of another partition, others of its account are to have something for their fees, too.
const BETTER_THAN_LIMIT: u64 = 2;

/// Holds what the fees of an admitted order can come to, as far as that is free; `None` if it pays the ordinary fee.
/// `budget`: what it can pay at most. For an order that `replaces` another, nothing may be held: its market adds what
/// is left of what was held for the fees of that one.
pub(crate) fn reserve(
    ledger: &mut Ledger,
    registry: &Registry,
    market: &Market,
    order: &NewOrder,
    budget: Amount,
    now: Timestamp,
    replaces: bool,
) -> Option<OrderDiscount> {
    let (asset, rates) = rates(ledger, registry, market, order.account, now)?;
    let most = most(&order.terms, market, budget, rates);
    hold(ledger, order.account, (asset, rates), most, replaces)
}

/// In which asset an account pays its fees at a discount in a market, and at which rates; `None` if it does not.
pub(crate) fn rates(
    ledger: &mut Ledger,
    registry: &Registry,
    market: &Market,
    account: AccountId,
    now: Timestamp,
) -> Option<(AssetId, DiscountRates)> {
    let discount = registry.fee_discount()?;
    let rate = discount.rate_in(market.id, market.quote.id)?;
    let asset = registry.asset(discount.asset)?;
    let usual = usual_fees(ledger, registry, market, account, now);
    let fees = discount.lowered(registry.fee_parts_of(account, usual));
    let rates = DiscountRates::new(fees, rate, market.quote.decimals, asset.decimals)?;
    Some((asset.id, rates))
}

/// Holds so much at most for fees, as far as that is free; `None` if that is nothing, unless that may be.
pub(crate) fn hold(
    ledger: &mut Ledger,
    account: AccountId,
    (asset, rates): (AssetId, DiscountRates),
    most: Amount,
    may_be_nothing: bool,
) -> Option<OrderDiscount> {
    let held = most.min(ledger.balance(account, asset).free);
    if held.is_zero() && !may_be_nothing {
        return None;
    }
    let hold = ledger.hold(account, asset, held).ok()?;
    Some(OrderDiscount { asset, hold, held, rates })
}

/// The most that the fees of an order can come to which can pay so much at most.
pub(crate) fn most(order: &OrderTerms, market: &Market, budget: Amount, rates: DiscountRates) -> Amount {
    // What is more than can be counted is more than anybody has.
    rates.most(worth(order, market, budget)).unwrap_or(Amount::MAX)
}

/// What a sell is taken to be worth that will be triggered at such a stop price, or from such a price on.
pub(crate) fn worth_from(market: &Market, stop: Price, limit: Option<Price>, quantity: Quantity) -> Amount {
    with_margin(market.quote_amount(limit.map_or(stop, |limit| limit.max(stop)), quantity))
}

/// The most that an order can be worth, or all that its account cares to hold for.
fn worth(order: &OrderTerms, market: &Market, budget: Amount) -> Amount {
    let quantity = match (order.side, order.size) {
        (Side::Buy, _) => return budget,
        (Side::Sell, Size::Quote(amount)) => return amount,
        (Side::Sell, Size::Base(quantity)) => quantity,
    };
    match (order.stop_price.get(), order.limit()) {
        (Some(stop), limit) => worth_from(market, stop, limit, quantity),
        (None, Some(limit)) if order.order_type == OrderType::LimitMaker => market.quote_amount(limit, quantity),
        (None, limit) => worth_at_best(market, limit, quantity),
    }
}

/// What a sell is taken to be worth that trades at once.
fn worth_at_best(market: &Market, limit: Option<Price>, quantity: Quantity) -> Amount {
    let better = limit.map_or(Price::MAX, |limit| Price(limit.0.saturating_mul(BETTER_THAN_LIMIT)));
    market.quote_amount(better.min(market.highest_price()), quantity)
}

/// What so much of an order of a list is taken to be worth that is not its working order. `limit` is its limit price,
/// if it is known; `near` the price near which it runs otherwise; `need` what is held for it. While it is pending, its
/// fees are held for a long time, so it is not taken to sell at more than that price and a margin.
pub(crate) fn worth_in_list(
    order: &OrderTerms,
    quantity: Quantity,
    (limit, near): (Option<Price>, Option<Price>),
    need: Amount,
    market: &Market,
) -> Amount {
    match (order.side, order.stop_price.get(), limit, near) {
        (Side::Buy, ..) => need,
        (Side::Sell, Some(stop), ..) => worth_from(market, stop, limit, quantity),
        (Side::Sell, None, Some(limit), _) if order.order_type == OrderType::LimitMaker => {
            market.quote_amount(limit, quantity)
        }
        (Side::Sell, None, _, Some(near)) => worth_from(market, near, limit, quantity),
        (Side::Sell, None, _, None) => worth_at_best(market, limit, quantity),
    }
}
