//! Execution rules of markets, and where their reference prices come from.

use bytes::Bytes;
use crossbook_protocol::session::SessionChange;
use crossbook_types::{Mean, PriceRange, ReferenceCalculation};
use serde::Deserialize;
use serde_json::Value;

use super::asked::Asked;
use super::market::named;
use super::request::{Number, read};
use super::session::{MULTIPLIER_DIGITS, change};
use crate::error::AdminError;

/// What an execution rule is to be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewPriceRange {
    bid_limit_mult_up: Option<Number>,
    bid_limit_mult_down: Option<Number>,
    ask_limit_mult_up: Option<Number>,
    ask_limit_mult_down: Option<Number>,
}

/// How a reference price is to be calculated.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewReference {
    calculation_type: CalculationType,
    bucket_count: Option<u32>,
    bucket_width_ms: Option<u32>,
    external_calculation_id: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum CalculationType {
    ArithmeticMean,
    External,
}

/// What a reference price is to be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewPrice {
    price: Number,
}

pub(super) async fn set_price_range(gateway: &Asked<'_>, symbol: &str, body: &Bytes) -> Result<Value, AdminError> {
    let given: NewPriceRange = read(body)?;
    let range = PriceRange {
        bid_up: multiplier("bidLimitMultUp", given.bid_limit_mult_up)?,
        bid_down: multiplier("bidLimitMultDown", given.bid_limit_mult_down)?,
        ask_up: multiplier("askLimitMultUp", given.ask_limit_mult_up)?,
        ask_down: multiplier("askLimitMultDown", given.ask_limit_mult_down)?,
    };
    change(gateway, symbol, SessionChange::SetPriceRange(Some(range))).await
}

fn multiplier(name: &str, given: Option<Number>) -> Result<Option<u32>, AdminError> {
    let Some(given) = given else { return Ok(None) };
    let units = given.decimal(name)?.rescale(MULTIPLIER_DIGITS).and_then(|units| u32::try_from(units).ok());
    let invalid = || {
        AdminError::invalid(format!("{name} must be above 0, with at most 4 digits after the point, such as \"1.05\"."))
    };
    units.map(Some).ok_or_else(invalid)
}

pub(super) async fn remove_price_range(gateway: &Asked<'_>, symbol: &str) -> Result<Value, AdminError> {
    change(gateway, symbol, SessionChange::SetPriceRange(None)).await
}

pub(super) async fn set(gateway: &Asked<'_>, symbol: &str, body: &Bytes) -> Result<Value, AdminError> {
    let given: NewReference = read(body)?;
    let calculation = match (given.calculation_type, given.bucket_count, given.bucket_width_ms) {
        (CalculationType::ArithmeticMean, Some(buckets), Some(width_ms)) if given.external_calculation_id.is_none() => {
            ReferenceCalculation::ArithmeticMean(Mean { buckets, width_ms })
        }
        (CalculationType::External, None, None) => {
            let id = given.external_calculation_id.ok_or_else(mixed)?;
            ReferenceCalculation::External { id }
        }
        _ => return Err(mixed()),
    };
    change(gateway, symbol, SessionChange::SetReference(Some(calculation))).await
}

fn mixed() -> AdminError {
    AdminError::invalid(
        "ARITHMETIC_MEAN needs bucketCount and bucketWidthMs, EXTERNAL needs externalCalculationId, and neither has \
         what the other needs."
            .to_owned(),
    )
}

pub(super) async fn remove(gateway: &Asked<'_>, symbol: &str) -> Result<Value, AdminError> {
    change(gateway, symbol, SessionChange::SetReference(None)).await
}

pub(super) async fn set_price(gateway: &Asked<'_>, symbol: &str, body: &Bytes) -> Result<Value, AdminError> {
    let NewPrice { price } = read(body)?;
    let market = named(gateway, symbol)?;
    let price = market.reference_price(price.decimal("price")?);
    let price = price.filter(|price| price.is_possible(market.highest_price())).ok_or_else(|| {
        AdminError::invalid(format!(
            "price must be at least tickSize, {}, and at most the highest maxPrice that the market has had.",
            market.tick_size
        ))
    })?;
    change(gateway, symbol, SessionChange::SetReferencePrice(Some(price))).await
}

pub(super) async fn remove_price(gateway: &Asked<'_>, symbol: &str) -> Result<Value, AdminError> {
    change(gateway, symbol, SessionChange::SetReferencePrice(None)).await
}
