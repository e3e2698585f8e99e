//! The asset in which fees can be paid and are less then, and the accounts that pay in it.

use std::collections::BTreeMap;

use bytes::Bytes;
use crossbook_protocol::Answer;
use crossbook_protocol::command::Body;
use crossbook_types::{AccountId, AssetName, Decimal, FeeDiscount, MarketStatus, SymbolName};
use crossbook_views::Registry;
use serde::Deserialize;
use serde_json::{Value, json};

use super::asked::Asked;
use super::request::{Number, read};
use super::submit;
use crate::error::AdminError;
use crossbook_gateway::Gateway;

/// Digits after the point of what an asset is worth.
const RATE_SCALE: u8 = 8;
/// Digits after the point of a discount.
const DISCOUNT_SCALE: u8 = 4;

/// All of it; without rates there is no discount.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewDiscount {
    asset: Option<AssetName>,
    discount: Option<Number>,
    #[serde(default)]
    rates: BTreeMap<AssetName, Number>,
    #[serde(default)]
    except: Vec<SymbolName>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewUse {
    enabled: bool,
}

pub(super) fn show(gateway: &Gateway) -> Value {
    let registry = gateway.read_model.registry();
    shown(registry.fee_discount(), &registry)
}

pub(super) async fn set(gateway: &Asked<'_>, body: &Bytes) -> Result<Value, AdminError> {
    let asked: NewDiscount = read(body)?;
    let discount = understood(&asked, &gateway.read_model.registry())?;
    match submit(gateway, Body::SetFeeDiscount(Box::new(discount.clone()))).await? {
        Answer::FeesSet => {
            Ok(shown(Some(&discount).filter(|discount| !discount.is_off()), &gateway.read_model.registry()))
        }
        _ => Err(AdminError::internal()),
    }
}

/// What was asked, by the numbers of assets and markets.
fn understood(asked: &NewDiscount, registry: &Registry) -> Result<FeeDiscount, AdminError> {
    let named = |name: &AssetName| {
        let asset = registry.asset_named(name.as_str()).map(|asset| asset.id);
        asset.ok_or_else(|| AdminError::not_found("There is no such asset; list it first."))
    };
    let NewDiscount { asset, discount, rates, except } = asked;
    let asset = match asset {
        Some(name) => named(name)?,
        None if rates.is_empty() => return Ok(FeeDiscount::default()),
        None => return Err(AdminError::invalid("asset must name the asset in which fees are less.".to_owned())),
    };
    let basis_points = match discount {
        Some(given) => given.decimal("discount")?.rescale(DISCOUNT_SCALE).and_then(|units| u32::try_from(units).ok()),
        None => Some(0),
    };
    let basis_points = basis_points.filter(|&units| units < FeeDiscount::WHOLE).ok_or_else(|| {
        AdminError::invalid("discount must be from 0 to below 1, with at most 4 digits after the point.".to_owned())
    })?;
    let mut by_asset = BTreeMap::new();
    for (name, given) in rates {
        let units = given.decimal("rates")?.rescale(RATE_SCALE).and_then(|units| u64::try_from(units).ok());
        let units = units.filter(|&units| units > 0).ok_or_else(|| {
            AdminError::invalid("rates must be above zero, with at most 8 digits after the point.".to_owned())
        })?;
        by_asset.insert(named(name)?, units);
    }
    let mut markets = Vec::new();
    for name in except {
        let market = registry.market_named(name.as_str());
        markets.push(market.ok_or_else(|| AdminError::not_found("There is no such market."))?.id);
    }
    markets.sort_unstable();
    markets.dedup();
    Ok(FeeDiscount { asset, basis_points, rates: by_asset.into_iter().collect(), except: markets })
}

fn shown(discount: Option<&FeeDiscount>, registry: &Registry) -> Value {
    let named = discount.and_then(|discount| Some((discount, registry.asset(discount.asset)?)));
    let Some((discount, asset)) = named else {
        return json!({ "asset": null, "discount": "0", "rates": {}, "except": [] });
    };
    let rates = discount.rates.iter().filter_map(|&(quote, rate)| {
        Some((registry.asset(quote)?.name.as_str().to_owned(), decimal(i128::from(rate), RATE_SCALE)))
    });
    // The name of a delisted market may be another's by now.
    let listed = |symbol| registry.market(symbol).filter(|market| market.status != MarketStatus::Delisted);
    let except = discount.except.iter().filter_map(|&symbol| Some(json!(listed(symbol)?.symbol)));
    json!({
        "asset": asset.name,
        "discount": decimal(i128::from(discount.basis_points), DISCOUNT_SCALE),
        "rates": rates.collect::<serde_json::Map<_, _>>(),
        "except": except.collect::<Vec<_>>(),
    })
}

fn decimal(units: i128, scale: u8) -> Value {
    json!(Decimal::new_checked(units, scale).map(|decimal| decimal.to_string()))
}

pub(super) fn of_account(gateway: &Gateway, account: AccountId) -> Result<Value, AdminError> {
    let registry = gateway.read_model.registry();
    registry.account(account).ok_or_else(|| AdminError::not_found("There is no such account."))?;
    Ok(used(account, registry.uses_discount(account)))
}

pub(super) async fn use_by(gateway: &Asked<'_>, account: AccountId, body: &Bytes) -> Result<Value, AdminError> {
    let NewUse { enabled: on } = read(body)?;
    match submit(gateway, Body::SetDiscountUse { account, on }).await? {
        Answer::FeesSet => Ok(used(account, on)),
        _ => Err(AdminError::internal()),
    }
}

fn used(account: AccountId, on: bool) -> Value {
    json!({ "accountId": account, "enabled": on })
}
