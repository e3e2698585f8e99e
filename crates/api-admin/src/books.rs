//! The books: what has changed the balances of an account, and what was collected on each day.

use std::collections::BTreeMap;

use crossbook_gateway::Gateway;
use crossbook_gateway::clock::now;
use crossbook_gateway::command_port::Subject;
use crossbook_gateway::queries::books::{FromHistory, LedgerEntry, LedgerPlace, Revenue};
use crossbook_protocol::volume::day_of;
use crossbook_types::{AccountId, Amount, Asset, AssetId, Market, PartitionId, Sequence, SymbolId, Timestamp};
use serde_json::{Value, json};

use crate::error::AdminError;
use crate::render;

/// Entries of a page that does not say.
const PAGE_DEFAULT: usize = 100;
/// The most entries of a page.
const PAGE_MAX: usize = 1_000;
/// Days of an answer whose request does not say.
const DAYS_DEFAULT: u32 = 30;
/// The most days of an answer.
const DAYS_MAX: u32 = 366;
/// The most sums of one market, day and asset that an answer is made of.
const SUMS_MAX: usize = 200_000;
const DAY_MILLIS: u64 = 86_400_000;

/// A page of the postings to an account, the newest first.
pub(super) async fn ledger(gateway: &Gateway, account: AccountId, query: Option<&str>) -> Result<Value, AdminError> {
    let (mut before, mut limit) = (None, PAGE_DEFAULT);
    for (name, value) in pairs(query) {
        match name {
            "limit" => limit = whole(name, value, 1)?.min(PAGE_MAX),
            "before" => {
                let read = place(value);
                before = Some(read.ok_or_else(|| AdminError::invalid("before must be the `next` of another page."))?);
            }
            _ => {
                return Err(AdminError::invalid(format!(
                    "There is no parameter {name:?}; there are before and limit."
                )));
            }
        }
    }
    if gateway.read_model.registry().account(account).is_none() {
        return Err(AdminError::not_found("There is no such account."));
    }
    gateway.caught_up(Subject::Account(account)).await?;
    let found = gateway.ledger_entries(account, before, limit).await?;
    let FromHistory { entries, is_current } = found.ok_or_else(no_history)?;
    let next = entries.last().filter(|_| entries.len() == limit).map(|last| {
        let LedgerPlace { time, partition, sequence, ordinal } = last.place;
        format!("{}.{partition}.{}.{ordinal}", time.0, sequence.0)
    });
    let (assets, markets) = known(gateway);
    let shown = entries.iter().map(|entry| entry_shown(entry, &assets, &markets)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "entries": shown, "next": next, "current": is_current }))
}

fn entry_shown(entry: &LedgerEntry, assets: &[Asset], markets: &[Market]) -> Result<Value, AdminError> {
    let LedgerEntry { place, asset, amount, kind, symbol, trade, transfer } = entry;
    let asset = asset_of(assets, *asset)?;
    let symbol = symbol.and_then(|SymbolId(id)| markets.get(id as usize)).map(|market| market.symbol);
    Ok(json!({
        "time": place.time.millis(),
        "asset": asset.name,
        "amount": render::amount_text(*amount, asset.decimals),
        "kind": kind,
        "symbol": symbol,
        "tradeId": trade.map(|trade| trade.0),
        "transferId": transfer,
        "partition": place.partition,
        "sequence": place.sequence,
    }))
}

/// What was collected on each day by UTC, by asset.
pub(super) async fn revenue(gateway: &Gateway, query: Option<&str>) -> Result<Value, AdminError> {
    let (mut start, mut end) = (None, None);
    for (name, value) in pairs(query) {
        let day = |value| {
            let day = u64::try_from(whole(name, value, 0)?).unwrap_or(u64::MAX) / DAY_MILLIS;
            Ok::<_, AdminError>(u32::try_from(day).unwrap_or(u32::MAX))
        };
        match name {
            "startTime" => start = Some(day(value)?),
            "endTime" => end = Some(day(value)?),
            _ => {
                return Err(AdminError::invalid(format!(
                    "There is no parameter {name:?}; there are startTime and endTime."
                )));
            }
        }
    }
    let end = end.unwrap_or_else(|| day_of(now()));
    let start = start.unwrap_or(end.saturating_sub(DAYS_DEFAULT - 1));
    if end < start || end - start >= DAYS_MAX {
        return Err(AdminError::invalid(format!("endTime must be up to {DAYS_MAX} days after startTime.")));
    }
    let found = gateway.revenue((start, end), SUMS_MAX + 1).await?;
    let FromHistory { entries, is_current } = found.ok_or_else(no_history)?;
    if entries.len() > SUMS_MAX {
        return Err(AdminError::invalid("There are too many markets for so many days; ask for fewer days."));
    }
    let mut days = BTreeMap::<u32, BTreeMap<AssetId, Amount>>::new();
    for Revenue { day, asset, fees, .. } in entries {
        let sum = days.entry(day).or_default().entry(asset).or_default();
        *sum = sum.plus(fees);
    }
    let (assets, _) = known(gateway);
    let mut shown = Vec::with_capacity(days.len());
    for (day, sums) in days {
        let mut fees = Vec::with_capacity(sums.len());
        for (asset, sum) in sums {
            let asset = asset_of(&assets, asset)?;
            fees.push(json!({ "asset": asset.name, "collected": render::amount_text(sum, asset.decimals) }));
        }
        shown.push(json!({ "day": u64::from(day) * DAY_MILLIS, "fees": fees }));
    }
    Ok(json!({ "days": shown, "current": is_current }))
}

fn known(gateway: &Gateway) -> (Vec<Asset>, Vec<Market>) {
    let registry = gateway.read_model.registry();
    (registry.assets().to_vec(), registry.markets().to_vec())
}

fn asset_of(assets: &[Asset], AssetId(id): AssetId) -> Result<&Asset, AdminError> {
    assets.get(id as usize).ok_or_else(AdminError::internal)
}

fn no_history() -> AdminError {
    AdminError::not_found("This venue has no history (history.database is none), from which this is answered.")
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn whole(name: &str, value: &str, least: usize) -> Result<usize, AdminError> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|&number| digits && number >= least);
    number.ok_or_else(|| AdminError::invalid(format!("{name} must be a whole number from {least}.")))
}

/// The place that the `next` of a page names.
fn place(text: &str) -> Option<LedgerPlace> {
    let mut parts = text.split('.').map(|part| part.parse::<u64>().ok());
    let place = LedgerPlace {
        time: Timestamp(parts.next()??),
        partition: PartitionId(u16::try_from(parts.next()??).ok()?),
        sequence: Sequence(parts.next()??),
        ordinal: parts.next()??,
    };
    parts.next().is_none().then_some(place)
}
