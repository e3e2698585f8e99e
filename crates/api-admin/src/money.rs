//! Money of accounts that comes in, goes out, or is corrected.

use bytes::Bytes;
use crossbook_protocol::Answer;
use crossbook_protocol::command::{Body, TransferRequest};
use crossbook_types::{AccountId, Amount, Asset, AssetName};
use serde_json::{Value, json};

use super::asked::Asked;
use super::request::{NewAdjustment, NewTransfer, Number, read};
use super::{amount_text, submit};
use crate::error::AdminError;

/// Brings money in (`sign` 1) or out (`sign` -1).
pub(super) async fn transfer(
    asked: &Asked<'_>,
    account: AccountId,
    body: &Bytes,
    sign: i128,
) -> Result<Value, AdminError> {
    let NewTransfer { asset, amount, transfer_id } = read(body)?;
    let asset = listed(asked, &asset)?;
    let amount = Amount(sign * above_zero(&amount, &asset)?.0);
    let request = TransferRequest { account, asset: asset.id, amount, transfer: transfer_id };
    carry_out(asked, request, &asset, sign).await
}

/// Corrects a balance, up or down, for a reason.
pub(super) async fn adjust(asked: &Asked<'_>, account: AccountId, body: &Bytes) -> Result<Value, AdminError> {
    let NewAdjustment { asset, amount, transfer_id, reason } = read(body)?;
    let asked = asked.because(&reason)?;
    let asset = listed(&asked, &asset)?;
    let units = amount.decimal("amount")?.rescale(asset.decimals);
    let units = units.filter(|units| *units != 0 && units.unsigned_abs() <= Amount::MAX.0.unsigned_abs());
    let amount = units.map(Amount).ok_or_else(|| {
        AdminError::invalid(format!(
            "amount must not be zero, with at most {} digits after the point; below zero to take money away.",
            asset.decimals
        ))
    })?;
    let request = TransferRequest { account, asset: asset.id, amount, transfer: transfer_id };
    carry_out(&asked, request, &asset, 1).await
}

fn listed(asked: &Asked<'_>, name: &AssetName) -> Result<Asset, AdminError> {
    let listed = asked.read_model.registry().asset_named(name.as_str()).copied();
    listed.ok_or_else(|| AdminError::not_found("There is no such asset; list it first."))
}

async fn carry_out(
    asked: &Asked<'_>,
    request: TransferRequest,
    asset: &Asset,
    sign: i128,
) -> Result<Value, AdminError> {
    let account = request.account;
    match submit(asked, Body::Transfer(request)).await? {
        Answer::Transferred(done) => Ok(json!({
            "accountId": account,
            "asset": asset.name,
            "amount": amount_text(Amount(done.amount.0 * sign), asset.decimals),
            "transferId": done.transfer,
            "time": done.time.millis(),
        })),
        _ => Err(AdminError::internal()),
    }
}

/// An amount of an asset in its smallest unit.
pub(super) fn above_zero(amount: &Number, asset: &Asset) -> Result<Amount, AdminError> {
    let units = amount.decimal("amount")?.rescale(asset.decimals);
    units.filter(|units| (1..=Amount::MAX.0).contains(units)).map(Amount).ok_or_else(|| {
        AdminError::invalid(format!(
            "amount must be above zero, with at most {} digits after the point.",
            asset.decimals
        ))
    })
}
