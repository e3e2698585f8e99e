//! The account's side of an order: is it well formed, does it keep the market's fixed rules, and are there funds? They are
//! held before the order goes to its market.
//!
//! What is held is the most that the order can cost:
//!
//! | order | held | if that is more than is free |
//! | --- | --- | --- |
//! | sell | its quantity of base | refused |
//! | sell at market for a quote amount | all free base, at most the largest order | goes as far as it can; refused by the market if that is not enough |
//! | buy with a limit price | limit x quantity | refused |
//! | buy at market by quantity | all free quote, at most the highest price x quantity | as above |
//! | buy at market for a quote amount | that amount | refused |
//! | buy that becomes a market order at its stop price | stop x quantity and [`TRIGGERED_BUY_MARGIN_PERCENT`] more | refused |

use crossbook_ledger::{HoldError, Ledger};
use crossbook_types::{Amount, Filter, Market, OrderType, Quantity, SelfTradePrevention, Side, TimeInForce};

use crate::command::{NewOrder, Size};
use crate::peer::Terms;
use crate::refusal::Refusal;

/// How much more than stop price x quantity is held for a buy that will run at market. It may pay that much more than its
/// stop price; what then is still unbought expires.
pub const TRIGGERED_BUY_MARGIN_PERCENT: i128 = 10;

/// Checks an order against what needs no book: its form, and the market's fixed filters.
///
/// # Errors
/// What is wrong with it.
pub fn check(order: &NewOrder, market: &Market) -> Result<(), Refusal> {
    let kind = order.order_type;
    let shape = order.price.is_some() == kind.has_limit_price()
        && order.stop_price.is_some() == kind.is_conditional()
        && (matches!(order.size, Size::Base(_)) || kind == OrderType::Market)
        && (order.time_in_force == TimeInForce::Gtc
            || matches!(kind, OrderType::Limit | OrderType::StopLossLimit | OrderType::TakeProfitLimit));
    if !shape {
        return Err(Refusal::MalformedOrder);
    }
    if !market.self_trade.allows(order.self_trade_prevention) {
        return Err(Refusal::SelfTradeMode);
    }
    for price in [order.price, order.stop_price].into_iter().flatten() {
        if !market.allows_price(price) {
            return Err(Refusal::Filter(Filter::Price));
        }
    }
    match order.size {
        Size::Base(quantity) => {
            market.check_quantity(kind, quantity).map_err(Refusal::Filter)?;
            if let Some(price) = order.price.or(order.stop_price) {
                market.check_notional(market.quote_amount(price, quantity)).map_err(Refusal::Filter)?;
            }
        }
        // Whatever the market's minimum: nothing cannot be bought for.
        Size::Quote(Amount::ZERO) => return Err(Refusal::Filter(Filter::Notional)),
        Size::Quote(amount) => market.check_notional(amount).map_err(Refusal::Filter)?,
    }
    Ok(())
}

/// Admits an order: checks it and holds its funds.
///
/// # Errors
/// Why not; nothing is held then.
#[inline]
pub(crate) fn admit(ledger: &mut Ledger, market: &Market, order: &NewOrder) -> Result<Terms, Refusal> {
    check(order, market)?;
    let asset = market.pays(order.side);
    let budget = match need(order, market) {
        Need::Exactly(amount) => amount,
        Need::AtMost(amount) => amount.min(ledger.balance(order.account, asset).free),
    };
    let hold = ledger.hold(order.account, asset, budget).map_err(|error| match error {
        HoldError::UnknownAccount => Refusal::UnknownAccount,
        HoldError::Insufficient => Refusal::InsufficientBalance,
    })?;
    Ok(Terms { hold, budget, fees: market.fees })
}

/// What an order takes of the asset that it pays.
enum Need {
    /// This much, or it is refused.
    Exactly(Amount),
    /// This much, or what there is.
    AtMost(Amount),
}

fn need(order: &NewOrder, market: &Market) -> Need {
    let largest = market.filters.quantity_max.max(market.filters.market_quantity_max);
    match (order.side, order.size) {
        (Side::Sell, Size::Base(quantity)) => Need::Exactly(market.base_amount(quantity)),
        (Side::Sell, Size::Quote(_)) => Need::AtMost(market.base_amount(largest)),
        (Side::Buy, Size::Quote(amount)) => Need::Exactly(amount),
        (Side::Buy, Size::Base(quantity)) => match (order.price, order.stop_price) {
            (Some(limit), _) => Need::Exactly(market.quote_amount(limit, quantity)),
            (None, Some(stop)) => Need::Exactly(with_margin(market.quote_amount(stop, quantity))),
            (None, None) => Need::AtMost(market.quote_amount(market.filters.price_max, quantity)),
        },
    }
}

fn with_margin(amount: Amount) -> Amount {
    let margin = amount.0.checked_mul(TRIGGERED_BUY_MARGIN_PERCENT).expect("amounts are far below 2^127 / 100") / 100;
    amount.plus(Amount(margin))
}

/// Whether `quantity` at market, as far as the last price tells its worth, is above the market's minimum.
pub(crate) fn check_market_notional(
    market: &Market,
    reference: crossbook_types::Price,
    quantity: Quantity,
) -> Result<(), Refusal> {
    if market.quote_amount(reference, quantity) < market.filters.notional_min {
        return Err(Refusal::Filter(Filter::Notional));
    }
    Ok(())
}

/// Whether two orders of these accounts must not trade with each other.
#[inline]
pub(crate) fn prevents(mode: SelfTradePrevention, same_account: bool) -> bool {
    same_account && mode != SelfTradePrevention::None
}
