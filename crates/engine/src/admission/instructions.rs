//! Checks the instructions of an order against its other terms and the market's fixed filters.

use crossbook_protocol::order::{Instructions, OrderTerms, Size};
use crossbook_protocol::refusal::Refusal;
use crossbook_types::{Feature, Filter, Market, Quantity, TimeInForce};

pub(super) fn check(instructions: &Instructions, order: &OrderTerms, market: &Market) -> Result<(), Refusal> {
    let &Instructions { strategy_id: _, strategy_type: _, iceberg, list: _ } = instructions;
    match iceberg {
        None => Ok(()),
        Some(part) => check_iceberg(part, order, market),
    }
}

/// Checks the instructions of an order that has no quantity yet.
pub(crate) fn check_unsized(order: &OrderTerms, market: &Market) -> Result<(), Refusal> {
    order.iceberg().map_or(Ok(()), |part| check_part(part, order, market))
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
