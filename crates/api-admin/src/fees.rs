//! What accounts pay beside or instead of the markets' fees: those for which the operator has set it, and those that
//! have traded much.

use bytes::Bytes;
use crossbook_protocol::Answer;
use crossbook_protocol::command::{Body, SetAccountFees};
use crossbook_types::{AccountFees, AccountId, Amount, Asset, AssetName, FeeRate, FeeTier, FeeTiers, Fees};
use serde::Deserialize;
use serde_json::{Value, json};

use super::asked::Asked;
use super::request::{Number, read};
use super::{render, submit};
use crate::error::AdminError;
use crossbook_gateway::Gateway;

/// All fees of an account; what is absent is none.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewFees {
    standard: Option<Rates>,
    special: Option<Rates>,
    tax: Option<Rates>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rates {
    maker: Number,
    taker: Number,
}

impl Rates {
    fn read(&self, part: &str) -> Result<Fees, AdminError> {
        let rate = |side: &str, given: &Number| {
            let name = format!("{part}.{side}");
            FeeRate::from_decimal(given.decimal(&name)?).ok_or_else(|| {
                AdminError::invalid(format!("{name} must be from 0 to below 1, with at most 8 digits after the point."))
            })
        };
        Ok(Fees { maker: rate("maker", &self.maker)?, taker: rate("taker", &self.taker)? })
    }
}

pub(super) fn of_account(gateway: &Gateway, account: AccountId) -> Result<Value, AdminError> {
    let registry = gateway.read_model.registry();
    registry.account(account).ok_or_else(|| AdminError::not_found("There is no such account."))?;
    Ok(shown(account, &registry.account_fees(account)))
}

pub(super) async fn set(gateway: &Asked<'_>, account: AccountId, body: &Bytes) -> Result<Value, AdminError> {
    let NewFees { standard, special, tax } = read(body)?;
    let part = |name: &str, given: Option<Rates>| given.map(|rates| rates.read(name)).transpose();
    let fees = AccountFees {
        standard: part("standard", standard)?,
        special: part("special", special)?.unwrap_or_default(),
        tax: part("tax", tax)?.unwrap_or_default(),
    };
    match submit(gateway, Body::SetAccountFees(SetAccountFees { account, fees })).await? {
        Answer::FeesSet => Ok(shown(account, &fees)),
        _ => Err(AdminError::internal()),
    }
}

fn shown(account: AccountId, fees: &AccountFees) -> Value {
    let rates = |fees: Fees| json!({ "maker": render::rate(fees.maker), "taker": render::rate(fees.taker) });
    json!({
        "accountId": account,
        "standard": fees.standard.map(rates),
        "special": rates(fees.special),
        "tax": rates(fees.tax),
    })
}

/// All tiers; none: fees do not depend on volumes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewTiers {
    asset: Option<AssetName>,
    tiers: Vec<NewTier>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewTier {
    volume: Number,
    maker: Number,
    taker: Number,
}

pub(super) fn tiers(gateway: &Gateway) -> Value {
    let registry = gateway.read_model.registry();
    let asset = registry.fee_tiers().and_then(|tiers| registry.asset(tiers.asset));
    shown_tiers(registry.fee_tiers(), asset)
}

pub(super) async fn set_tiers(gateway: &Asked<'_>, body: &Bytes) -> Result<Value, AdminError> {
    let NewTiers { asset, tiers } = read(body)?;
    let asset = match asset {
        Some(name) => gateway.read_model.registry().asset_named(name.as_str()).copied(),
        None if tiers.is_empty() => gateway.read_model.registry().assets().first().copied(),
        None => return Err(AdminError::invalid("asset must name the asset in which volumes are counted.".to_owned())),
    };
    let asset = asset.ok_or_else(|| AdminError::not_found("There is no such asset; list it first."))?;
    let tier = |NewTier { volume, maker, taker }: NewTier| {
        let units = volume.decimal("volume")?.rescale(asset.decimals);
        let units = units.filter(|units| (0..=Amount::MAX.0).contains(units)).ok_or_else(|| {
            AdminError::invalid(format!(
                "volume must not be negative, with at most {} digits after the point.",
                asset.decimals
            ))
        })?;
        Ok(FeeTier { volume_min: Amount(units), fees: Rates { maker, taker }.read("tiers")? })
    };
    let tiers = tiers.into_iter().map(tier).collect::<Result<Vec<_>, AdminError>>()?;
    let tiers = FeeTiers { asset: asset.id, tiers };
    match submit(gateway, Body::SetFeeTiers(Box::new(tiers.clone()))).await? {
        Answer::FeesSet => Ok(shown_tiers(Some(&tiers).filter(|tiers| !tiers.tiers.is_empty()), Some(&asset))),
        _ => Err(AdminError::internal()),
    }
}

fn shown_tiers(tiers: Option<&FeeTiers>, asset: Option<&Asset>) -> Value {
    let (Some(tiers), Some(asset)) = (tiers, asset) else { return json!({ "asset": null, "tiers": [] }) };
    let shown = tiers.tiers.iter().map(|tier| {
        json!({
            "volume": render::amount_text(tier.volume_min, asset.decimals),
            "maker": render::rate(tier.fees.maker),
            "taker": render::rate(tier.fees.taker),
        })
    });
    json!({ "asset": asset.name, "tiers": shown.collect::<Vec<_>>() })
}
