//! The account's side of an order: checks its form, the market's fixed rules and the funds, and holds the funds before
//! the order goes to its market.
//!
//! The hold is the most that the order can cost:
//!
//! | order | hold | if that is more than is free |
//! | --- | --- | --- |
//! | sell | its quantity of base | refused |
//! | sell at market for a quote amount | all free base, at most the largest market order | fills as far as it can; refused by the market if that is not enough |
//! | buy with a limit price | limit x quantity | refused |
//! | buy at market by quantity | all free quote, at most the highest price that there ever was x quantity | as above |
//! | buy at market for a quote amount | that amount | refused |
//! | buy that becomes a market order at its stop price | stop x quantity and [`TRIGGERED_BUY_MARGIN_PERCENT`] more | refused |
//! | the same that trails the price | the same at the price at which it triggers if its stop price is the lowest | refused |
//! | buy whose price the book gives | the most that it could be, or if it waits as the ones above; from when it has its price, that x quantity | refused by the market |
//! | a buy that trails without a stop price | the same at the last price, which the market knows; until then the most that it could be | refused by the market |

pub(crate) mod discount;
pub(crate) mod instructions;
pub(crate) mod limits;

pub(crate) use instructions::triggered_worth;

use crossbook_ledger::{HoldError, Ledger};
use crossbook_protocol::counted::Counted;
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_protocol::peer::Funding;
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::rules::Rules;
use crossbook_protocol::volume::day_of;
use crossbook_types::{
    AccountId, Amount, Fees, Filter, HoldId, Market, OrderType, Price, Quantity, SelfTradePrevention, Side,
    TimeInForce, Timestamp,
};

use crate::registry::Registry;

/// How much more than stop price x quantity is held for a buy that will run at market. It may pay that much more than
/// its stop price; what then is still unbought expires.
pub const TRIGGERED_BUY_MARGIN_PERCENT: i128 = 10;

/// Checks an order against what needs no book: its form, and the market's fixed filters.
///
/// # Errors
/// The reason.
#[inline]
pub fn check(order: &OrderTerms, market: &Market, rules: Rules) -> Result<(), Refusal> {
    match order.instructions.as_deref() {
        // Where the compiler knows that there are none, it leaves out all that looks at them.
        None => {
            check_form(order, market, rules)?;
            check_size(order, market, rules)
        }
        // Only a market says that an order belongs to a list, and only the account's partition what pays its fees.
        Some(instructions) if instructions.list.is_some() || instructions.discount.is_some() => {
            Err(Refusal::MalformedOrder)
        }
        Some(_) => check_terms(order, market, rules),
    }
}

/// The same of an order that may be part of a list.
#[inline(never)]
pub(crate) fn check_terms(order: &OrderTerms, market: &Market, rules: Rules) -> Result<(), Refusal> {
    check_form(order, market, rules)?;
    check_size(order, market, rules)
}

/// Checks the form of an order, whatever its size.
#[inline(always)]
pub(crate) fn check_form(order: &OrderTerms, market: &Market, rules: Rules) -> Result<(), Refusal> {
    let kind = order.order_type;
    let shape = (order.price.is_some() == kind.has_limit_price() || (order.peg().is_some() && kind.has_limit_price()))
        && (order.stop_price.is_some() == kind.is_conditional()
            || (order.trailing().is_some() && kind.is_conditional()))
        && (matches!(order.size, Size::Base(_)) || kind == OrderType::Market)
        && (order.time_in_force == TimeInForce::Gtc
            || matches!(kind, OrderType::Limit | OrderType::StopLossLimit | OrderType::TakeProfitLimit));
    if !shape {
        return Err(Refusal::MalformedOrder);
    }
    if (order.instructions.is_some() || order.self_trade_prevention.decrements()) && rules < Rules::V4 {
        return Err(Refusal::RulesTooOld);
    }
    if !market.self_trade.allows(order.self_trade_prevention) {
        return Err(Refusal::SelfTradeMode);
    }
    let allowed = |price: Option<Price>| price.is_none_or(|price| market.allows_price(price));
    if allowed(order.price) && allowed(order.stop_price.get()) { Ok(()) } else { Err(Refusal::Filter(Filter::Price)) }
}

/// Checks the size of an order against the market's fixed filters.
#[inline(always)]
fn check_size(order: &OrderTerms, market: &Market, rules: Rules) -> Result<(), Refusal> {
    let kind = order.order_type;
    match order.size {
        Size::Base(quantity) => {
            market.check_quantity(kind, quantity).map_err(Refusal::Filter)?;
            if let Some(price) = order.price.or(order.stop_price.get()) {
                check_notional(kind, market, market.quote_amount(price, quantity), rules)?;
            }
        }
        // Whatever the market's minimum: nothing cannot be bought for.
        Size::Quote(Amount::ZERO) => return Err(Refusal::Filter(Filter::Notional)),
        Size::Quote(amount) => check_notional(kind, market, amount, rules)?,
    }
    order.instructions.as_deref().map_or(Ok(()), |instructions| instructions::check(instructions, order, market))
}

/// For orders that run at market, only the minimum notional value is checked; under the first rules the maximum was,
/// too.
#[inline]
fn check_notional(kind: OrderType, market: &Market, worth: Amount, rules: Rules) -> Result<(), Refusal> {
    let checked = match kind.has_limit_price() || rules < Rules::V2 {
        true => market.check_notional(worth),
        false => market.check_market_notional(worth),
    };
    checked.map_err(Refusal::Filter)
}

/// Admits an order: checks it and holds its funds.
///
/// # Errors
/// Why not; nothing is held then.
#[inline]
pub(crate) fn admit(
    ledger: &mut Ledger,
    registry: &Registry,
    market: &Market,
    order: &NewOrder,
    rules: Rules,
    now: Timestamp,
) -> Result<Funding, Refusal> {
    fund(ledger, registry, market, order, (rules, now), false).map(|funded| funded.funding)
}

/// An order that replaces another: what it needs, and what of that is held because it was free. The rest may come from
/// the order that it replaces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartlyFunded {
    pub(crate) funding: Funding,
    pub(crate) need: Amount,
    /// Whether it needs all of that, or else is refused.
    pub(crate) whole: bool,
}

/// Checks an order that replaces another, and holds what it needs as far as that is free.
///
/// # Errors
/// Why not; nothing is held then.
pub(crate) fn admit_partly(
    ledger: &mut Ledger,
    registry: &Registry,
    market: &Market,
    order: &NewOrder,
    rules: Rules,
    now: Timestamp,
) -> Result<PartlyFunded, Refusal> {
    fund(ledger, registry, market, order, (rules, now), true)
}

/// Checks an order, and holds what it needs; if that may be but a part, then as far as it is free.
#[inline(always)]
fn fund(
    ledger: &mut Ledger,
    registry: &Registry,
    market: &Market,
    order: &NewOrder,
    (rules, now): (Rules, Timestamp),
    partly: bool,
) -> Result<PartlyFunded, Refusal> {
    let &NewOrder { account, terms: ref asked } = order;
    check(asked, market, rules)?;
    let counted = counts_for(ledger, registry, market, order)?;
    let asset = market.pays(asked.side);
    let (need, whole) = match need(asked, market, rules) {
        Need::Exactly(amount) => (amount, true),
        Need::AtMost(amount) => (amount, false),
    };
    let budget = if whole && !partly { need } else { need.min(ledger.balance(account, asset).free) };
    let hold = ledger.hold(account, asset, budget).map_err(not_held)?;
    count(ledger, account, hold, counted);
    let fees = fees(ledger, registry, market, account, now);
    Ok(PartlyFunded { funding: Funding { hold, budget, fees }, need, whole })
}

/// What the hold of an order is to count for.
///
/// # Errors
/// When a limit forbids the order.
#[inline]
fn counts_for(
    ledger: &Ledger,
    registry: &Registry,
    market: &Market,
    order: &NewOrder,
) -> Result<Option<Counted>, Refusal> {
    let exchange = registry.exchange_filters();
    match limits::apply(market, exchange, order.terms.side) {
        false => Ok(None),
        true => limits::check(ledger, market, exchange, order),
    }
}

/// The rates of a new order.
#[inline]
pub(crate) fn fees(
    ledger: &mut Ledger,
    registry: &Registry,
    market: &Market,
    account: AccountId,
    now: Timestamp,
) -> Fees {
    let usual = usual_fees(ledger, registry, market, account, now);
    registry.fees_of(account, usual)
}

/// The standard rates of a new order of an account for which the operator has set none.
#[inline]
fn usual_fees(ledger: &mut Ledger, registry: &Registry, market: &Market, account: AccountId, now: Timestamp) -> Fees {
    match registry.fee_tiers() {
        None => market.fees,
        Some(tiers) => ledger.tier_of(account, tiers, day_of(now)).unwrap_or(market.fees),
    }
}

#[inline]
pub(crate) fn count(ledger: &mut Ledger, account: AccountId, hold: HoldId, counted: Option<Counted>) {
    if let Some(counted) = counted {
        ledger.count(account, hold, counted).expect("a new hold counts for nothing yet");
    }
}

/// Why funds are not held, as the sender of an order is answered.
pub(crate) fn not_held(error: HoldError) -> Refusal {
    match error {
        HoldError::UnknownAccount => Refusal::UnknownAccount,
        HoldError::Insufficient => Refusal::InsufficientBalance,
        HoldError::UsedUp => Refusal::NumbersUsedUp,
    }
}

/// What an order takes of the asset that it pays.
enum Need {
    /// This much, or it is refused.
    Exactly(Amount),
    /// This much, or what there is.
    AtMost(Amount),
}

/// What market orders can meet is bounded by what the filters ever allowed, and what they trade by what they allow now.
/// The first rules looked at the present filters alone, and refused who met an order from before as one who had too
/// little.
fn most_that_can_be_met(market: &Market, rules: Rules) -> (Quantity, Price) {
    match rules {
        Rules::V1 => (market.filters.quantity_max.max(market.filters.market_quantity_max), market.filters.price_max),
        Rules::V2 | Rules::V3 | Rules::V4 => (market.market_lots_max(), market.highest_price()),
    }
}

/// What an order needs of the asset that it pays.
#[inline(always)]
fn need(order: &OrderTerms, market: &Market, rules: Rules) -> Need {
    if let Size::Base(quantity) = order.size {
        let stop = order.stop_price.get();
        if order.trailing().is_some() && order.side == Side::Buy && order.limit().is_none() {
            let highest = || most_that_can_be_met(market, rules).1;
            let worth = triggered_worth(order, market, stop.unwrap_or_else(highest), quantity);
            return if stop.is_some() { Need::Exactly(worth) } else { Need::AtMost(worth) };
        }
        if let Some(amount) = exact_need(market, order.side, order.limit(), stop, quantity) {
            return Need::Exactly(amount);
        }
    }
    let (largest, highest) = most_that_can_be_met(market, rules);
    match (order.side, order.size) {
        (Side::Sell, Size::Quote(_)) => Need::AtMost(market.base_amount(largest)),
        (Side::Buy, Size::Quote(amount)) => Need::Exactly(amount),
        (Side::Sell, Size::Base(quantity)) => Need::Exactly(market.base_amount(quantity)),
        (Side::Buy, Size::Base(quantity)) => Need::AtMost(market.quote_amount(highest, quantity)),
    }
}

/// What is held for so much of an order; `None` for a buy at market, which has no price that would say it.
#[inline]
pub(crate) fn exact_need(
    market: &Market,
    side: Side,
    limit: Option<Price>,
    stop: Option<Price>,
    quantity: Quantity,
) -> Option<Amount> {
    match (side, limit, stop) {
        (Side::Sell, ..) => Some(market.base_amount(quantity)),
        (Side::Buy, Some(limit), _) => Some(market.quote_amount(limit, quantity)),
        (Side::Buy, None, Some(stop)) => Some(with_margin(market.quote_amount(stop, quantity))),
        (Side::Buy, None, None) => None,
    }
}

pub(crate) fn with_margin(amount: Amount) -> Amount {
    let margin = amount.0.checked_mul(TRIGGERED_BUY_MARGIN_PERCENT).expect("amounts are far below 2^127 / 100") / 100;
    amount.plus(Amount(margin))
}

/// Whether `quantity` at market is worth what the market's filters allow, at the reference price. Without a trade there
/// is no price to value it, so it does not reach a minimum; under the first rules it did.
pub(crate) fn check_market_notional(
    market: &Market,
    reference: Option<Price>,
    quantity: Quantity,
    rules: Rules,
) -> Result<(), Refusal> {
    let valued = reference.map(|price| market.check_market_notional(market.quote_amount(price, quantity)));
    let unvalued = || match market.unknown_notional().filter(|_| rules >= Rules::V2) {
        None => Ok(()),
        Some(filter) => Err(filter),
    };
    valued.unwrap_or_else(unvalued).map_err(Refusal::Filter)
}

/// Whether an order of that mode must not trade with another one of the same account or trade group.
#[inline]
pub(crate) fn prevents(mode: SelfTradePrevention, same_owner: bool) -> bool {
    same_owner && mode != SelfTradePrevention::None
}
