//! The venue's own accounts: fees earned, and their payout.
//!
//! Each partition has a ledger, and fees are collected in the ledger of the account that pays them. So in a cluster
//! every partition is asked by a command in its log: the answer is exact, as of one position of that partition's log.

use std::collections::BTreeMap;

use bytes::Bytes;
use crossbook_protocol::command::{Body, FeePayout};
use crossbook_protocol::event::VenueAccount;
use crossbook_protocol::{Answer, Routing};
use crossbook_types::{Amount, AssetId, PartitionId};
use serde_json::{Value, json};

use super::asked::Asked;
use super::money::above_zero;
use super::render::amount_text;
use super::request::{NewPayout, read};
use super::submit;
use crate::error::AdminError;
use crossbook_gateway::Gateway;

/// Collected fees, the external account and money in flight, by asset; of all partitions together, and of each where
/// there are several.
pub(super) async fn balances(gateway: &Asked<'_>) -> Result<Value, AdminError> {
    let mut partitions = Vec::new();
    for partition in gateway.read_model.routing().all() {
        match submit(gateway, Body::ReportVenue { partition }).await? {
            Answer::VenueAccounts(accounts) => partitions.push((partition, accounts)),
            _ => return Err(AdminError::internal()),
        }
    }
    let mut sums = BTreeMap::<AssetId, VenueAccount>::new();
    for &account in partitions.iter().flat_map(|(_, accounts)| accounts) {
        let VenueAccount { asset, external, fees, clearing } = account;
        let nothing = VenueAccount { asset, external: Amount::ZERO, fees: Amount::ZERO, clearing: Amount::ZERO };
        let sum = sums.entry(asset).or_insert(nothing);
        sum.external = sum.external.plus(external);
        sum.fees = sum.fees.plus(fees);
        sum.clearing = sum.clearing.plus(clearing);
    }
    let mut told = json!({ "balances": shown(gateway, sums.values()) });
    if partitions.len() > 1 {
        let each = partitions.iter().map(
            |(partition, accounts)| json!({ "partition": partition, "balances": shown(gateway, accounts.iter()) }),
        );
        told["partitions"] = each.collect();
    }
    Ok(told)
}

fn shown<'a>(gateway: &Gateway, accounts: impl Iterator<Item = &'a VenueAccount>) -> Value {
    let assets = gateway.read_model.registry().assets().to_vec();
    let shown = accounts.filter_map(|account| {
        let asset = assets.get(account.asset.0 as usize)?;
        let text = |amount| amount_text(amount, asset.decimals);
        Some(json!({
            "asset": asset.name,
            "fees": text(account.fees),
            "external": text(account.external),
            "clearing": text(account.clearing),
        }))
    });
    shown.collect()
}

/// Pays collected fees out.
pub(super) async fn withdraw(gateway: &Asked<'_>, body: &Bytes) -> Result<Value, AdminError> {
    let NewPayout { asset, amount, transfer_id, partition } = read(body)?;
    let listed = gateway.read_model.registry().asset_named(asset.as_str()).copied();
    let asset = listed.ok_or_else(|| AdminError::not_found("There is no such asset; list it first."))?;
    let partition = match (partition, gateway.read_model.routing().partitions()) {
        (None, 1) => Routing::REGISTRY,
        (None, count) => {
            return Err(AdminError::invalid(format!(
                "partition must say which of the {count} partitions pays; GET /admin/v1/venue/balances has what each \
                 has collected."
            )));
        }
        (Some(PartitionId(number)), count) if number >= count => {
            return Err(AdminError::not_found(format!(
                "There is no partition {number}; they are numbered from 0 to {}.",
                count - 1
            )));
        }
        (Some(partition), _) => partition,
    };
    let amount = above_zero(&amount, &asset)?;
    let request = FeePayout { partition, asset: asset.id, amount, transfer: transfer_id };
    match submit(gateway, Body::PayOutFees(request)).await? {
        Answer::Transferred(done) => Ok(json!({
            "partition": partition,
            "asset": asset.name,
            "amount": amount_text(done.amount.negated(), asset.decimals),
            "transferId": done.transfer,
            "time": done.time.millis(),
        })),
        _ => Err(AdminError::internal()),
    }
}
