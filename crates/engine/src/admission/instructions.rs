//! Checks the instructions of an order against its other terms and the market's fixed filters.

use crossbook_protocol::order::{Instructions, OrderTerms, Size};
use crossbook_protocol::refusal::Refusal;
use crossbook_types::{
    Amount, Feature, Filter, Market, OrderType, Peg, PegPrice, Price, Quantity, Side, TimeInForce, TrailingDelta,
};

pub(super) fn check(instructions: &Instructions, order: &OrderTerms, market: &Market) -> Result<(), Refusal> {
    let &Instructions {
        strategy_id: _,
        strategy_type: _,
        iceberg,
        trailing,
        peg,
        trade_group: _,
        list: _,
        discount: _,
    } = instructions;
    if let Some(part) = iceberg {
        check_iceberg(part, order, market)?;
    }
    if let Some(delta) = trailing {
        check_trailing(delta, order, market)?;
    }
    if let Some(peg) = peg {
        check_peg(peg, order, market)?;
    }
    Ok(())
}

fn check_peg(peg: Peg, order: &OrderTerms, market: &Market) -> Result<(), Refusal> {
    let kind = order.order_type;
    if !kind.has_limit_price() {
        return Err(Refusal::PegType);
    }
    let suits = match (kind, peg.price) {
        (OrderType::LimitMaker, side) => side == PegPrice::Primary,
        (OrderType::Limit, PegPrice::Primary) => order.time_in_force == TimeInForce::Gtc,
        _ => true,
    };
    if !suits {
        return Err(Refusal::PegPrice);
    }
    if peg.level > Peg::LEVEL_MAX {
        return Err(Refusal::MalformedOrder);
    }
    if market.filters.special.allows(Feature::Pegged) { Ok(()) } else { Err(Refusal::Unsupported(Feature::Pegged)) }
}

fn check_trailing(delta: TrailingDelta, order: &OrderTerms, market: &Market) -> Result<(), Refusal> {
    if !order.order_type.is_conditional() {
        return Err(Refusal::MalformedOrder);
    }
    let filters = &market.filters.special;
    if !filters.allows(Feature::TrailingStop) {
        return Err(Refusal::Unsupported(Feature::TrailingStop));
    }
    filters.check_trailing(order.order_type, order.side, delta).map_err(Refusal::Filter)
}

/// What is held for a buy that will run at market when it is triggered, if it is at `price`, or trails from there.
pub(crate) fn triggered_worth(order: &OrderTerms, market: &Market, price: Price, quantity: Quantity) -> Amount {
    let price = order.trailing().map_or(price, |delta| delta.trigger(Side::Buy, price));
    super::with_margin(market.quote_amount(price, quantity))
}

/// Checks the instructions of an order that has no quantity yet.
pub(crate) fn check_unsized(order: &OrderTerms, market: &Market) -> Result<(), Refusal> {
    order.iceberg().map_or(Ok(()), |part| check_part(part, order, market))?;
    order.trailing().map_or(Ok(()), |delta| check_trailing(delta, order, market))?;
    order.peg().map_or(Ok(()), |peg| check_peg(peg, order, market))
}

/// Checks the instructions of such an order when it gets its quantity.
pub(crate) fn check_sized(order: &OrderTerms, quantity: Quantity, market: &Market) -> Result<(), Refusal> {
    order.iceberg().map_or(Ok(()), |part| check_parts(part, quantity, market))
}

fn check_iceberg(part: Quantity, order: &OrderTerms, market: &Market) -> Result<(), Refusal> {
    let Size::Base(quantity) = order.size else { return Err(Refusal::MalformedOrder) };
    check_part(part, order, market)?;
    check_parts(part, quantity, market)
}

/// An order may show a part of its quantity only if it can rest.
fn check_part(part: Quantity, order: &OrderTerms, market: &Market) -> Result<(), Refusal> {
    if part.is_zero() || !order.order_type.has_limit_price() || order.time_in_force != TimeInForce::Gtc {
        return Err(Refusal::MalformedOrder);
    }
    match market.filters.special.allows(Feature::Iceberg) {
        true => Ok(()),
        false => Err(Refusal::Unsupported(Feature::Iceberg)),
    }
}

fn check_parts(part: Quantity, quantity: Quantity, market: &Market) -> Result<(), Refusal> {
    let filters = &market.filters;
    if part > quantity {
        return Err(Refusal::IcebergTooLarge);
    }
    if part < filters.quantity_min {
        return Err(Refusal::Filter(Filter::LotSize));
    }
    filters.special.check_iceberg(quantity, part).map_err(Refusal::Filter)
}
