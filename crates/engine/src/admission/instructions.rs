//! Checks the instructions of an order against its other terms and the market's fixed filters.

use crossbook_protocol::order::{Instructions, OrderTerms, Size};
use crossbook_protocol::refusal::Refusal;
use crossbook_types::{Feature, Filter, Market, Quantity, TimeInForce};

pub(super) fn check(instructions: &Instructions, order: &OrderTerms, market: &Market) -> Result<(), Refusal> {
    let &Instructions { strategy_id: _, strategy_type: _, iceberg } = instructions;
    match iceberg {
        None => Ok(()),
        Some(part) => check_iceberg(part, order, market),
    }
}

/// An order may show a part of its quantity only if it can rest.
fn check_iceberg(part: Quantity, order: &OrderTerms, market: &Market) -> Result<(), Refusal> {
    let Size::Base(quantity) = order.size else { return Err(Refusal::MalformedOrder) };
    if part.is_zero() || !order.order_type.has_limit_price() || order.time_in_force != TimeInForce::Gtc {
        return Err(Refusal::MalformedOrder);
    }
    let filters = &market.filters;
    if !filters.special.allows(Feature::Iceberg) {
        return Err(Refusal::Unsupported(Feature::Iceberg));
    }
    if part > quantity {
        return Err(Refusal::IcebergTooLarge);
    }
    if part < filters.quantity_min {
        return Err(Refusal::Filter(Filter::LotSize));
    }
    filters.special.check_iceberg(quantity, part).map_err(Refusal::Filter)
}
