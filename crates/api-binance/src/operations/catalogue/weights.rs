//! Weights that depend on the parameters.

use super::Weight::{self, Varies};
use crate::parameters::Parameters;

pub(super) const DEPTH_WEIGHT: Weight =
    Varies(depth_weight, "5, 25, 50 or 250 for a limit up to 100, 500, 1000 or 5000");
pub(super) const TICKER_WEIGHT: Weight =
    Varies(ticker_weight, "2 for up to 20 symbols, 40 for up to 100, 80 for more or all");
pub(super) const PERIOD_WEIGHT: Weight = Varies(period_weight, "4 for each symbol, at most 200");
pub(super) const PRICE_WEIGHT: Weight = Varies(price_weight, "2 with symbol, else 4");
pub(super) const EXECUTION_RULES_WEIGHT: Weight =
    Varies(execution_rules_weight, "2 for each symbol, at most 40; else 40");
pub(super) const OPEN_ORDERS_WEIGHT: Weight = Varies(open_orders_weight, "6 with symbol, else 80");
pub(super) const MY_TRADES_WEIGHT: Weight = Varies(my_trades_weight, "5 with orderId, else 20");
pub(super) const PREVENTED_WEIGHT: Weight = Varies(prevented_weight, "2 with preventedMatchId, 20 with orderId");
pub(super) const TEST_WEIGHT: Weight = Varies(test_weight, "20 with computeCommissionRates, else 1");

fn depth_weight(parameters: &Parameters<'_>) -> u64 {
    match parameters.integer("limit") {
        Ok(Some(101..=500)) => 25,
        Ok(Some(501..=1000)) => 50,
        Ok(Some(1001..)) => 250,
        _ => 5,
    }
}

fn ticker_weight(parameters: &Parameters<'_>) -> u64 {
    let symbols = parameters.names("symbols").ok().flatten().map(|names| names.len());
    match symbols {
        _ if parameters.has("symbol") => 2,
        Some(0..=20) => 2,
        Some(21..=100) => 40,
        _ => 80,
    }
}

fn period_weight(parameters: &Parameters<'_>) -> u64 {
    let symbols = parameters.names("symbols").ok().flatten().map_or(1, |names| names.len());
    (4 * symbols as u64).min(200)
}

fn price_weight(parameters: &Parameters<'_>) -> u64 {
    if parameters.has("symbol") { 2 } else { 4 }
}

fn execution_rules_weight(parameters: &Parameters<'_>) -> u64 {
    let symbols = parameters.names("symbols").ok().flatten().map(|names| names.len() as u64);
    match symbols {
        Some(symbols) => (2 * symbols).min(40),
        None if parameters.has("symbol") => 2,
        None => 40,
    }
}

fn open_orders_weight(parameters: &Parameters<'_>) -> u64 {
    if parameters.has("symbol") { 6 } else { 80 }
}

fn my_trades_weight(parameters: &Parameters<'_>) -> u64 {
    if parameters.has("orderId") { 5 } else { 20 }
}

fn prevented_weight(parameters: &Parameters<'_>) -> u64 {
    if parameters.has("orderId") { 20 } else { 2 }
}

fn test_weight(parameters: &Parameters<'_>) -> u64 {
    if parameters.boolean("computeCommissionRates").unwrap_or(false) { 20 } else { 1 }
}
