//! Trading sessions of markets: circuit breakers, auctions, and the end of a phase.

use bytes::Bytes;
use crossbook_gateway::Gateway;
use crossbook_protocol::Answer;
use crossbook_protocol::command::Body;
use crossbook_protocol::session::{Phase, Reference, Session, SessionChange, SessionRequest};
use crossbook_types::{Breaker, Decimal, Market, Mean, PriceRange, ReferenceCalculation, ReferencePrice};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::market::named;
use super::request::read;
use super::submit;
use crate::error::AdminError;

/// Digits after the point of a multiplier of an execution rule.
pub(super) const MULTIPLIER_DIGITS: u8 = 4;

/// What a circuit breaker is to be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewBreaker {
    move_bp: u32,
    window_seconds: u32,
    pause_seconds: u32,
    #[serde(default)]
    auction_seconds: u32,
}

/// An auction that is to be held.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewAuction {
    seconds: Option<u32>,
}

pub(super) fn show(gateway: &Gateway, symbol: &str) -> Result<Value, AdminError> {
    let market = named(gateway, symbol)?;
    let session = gateway.session(&market).ok_or_else(AdminError::internal)?;
    Ok(render(&market, &session))
}

pub(super) async fn set_breaker(gateway: &Asked<'_>, symbol: &str, body: &Bytes) -> Result<Value, AdminError> {
    let NewBreaker { move_bp, window_seconds, pause_seconds, auction_seconds } = read(body)?;
    let breaker = Breaker { move_bp, window_seconds, pause_seconds, auction_seconds };
    change(gateway, symbol, SessionChange::SetBreaker(Some(breaker))).await
}

pub(super) async fn remove_breaker(gateway: &Asked<'_>, symbol: &str) -> Result<Value, AdminError> {
    change(gateway, symbol, SessionChange::SetBreaker(None)).await
}

pub(super) async fn open_auction(gateway: &Asked<'_>, symbol: &str, body: &Bytes) -> Result<Value, AdminError> {
    let NewAuction { seconds } = read(body)?;
    change(gateway, symbol, SessionChange::OpenAuction { seconds }).await
}

pub(super) async fn end(gateway: &Asked<'_>, symbol: &str) -> Result<Value, AdminError> {
    change(gateway, symbol, SessionChange::End).await
}

pub(super) async fn change(gateway: &Asked<'_>, symbol: &str, change: SessionChange) -> Result<Value, AdminError> {
    let market = named(gateway, symbol)?;
    let request = SessionRequest { symbol: market.id, change };
    match submit(gateway, Body::Session(request)).await? {
        Answer::SessionChanged(session) => Ok(render(&market, &session)),
        _ => Err(AdminError::internal()),
    }
}

fn render(market: &Market, session: &Session) -> Value {
    let phase = match session.phase {
        Phase::Open => "OPEN",
        Phase::Paused => "PAUSED",
        Phase::Collecting => "COLLECTING",
        Phase::Matching => "MATCHING",
    };
    let breaker = session.breaker.map(|breaker| {
        let Breaker { move_bp, window_seconds, pause_seconds, auction_seconds } = breaker;
        json!({
            "moveBp": move_bp,
            "windowSeconds": window_seconds,
            "pauseSeconds": pause_seconds,
            "auctionSeconds": auction_seconds,
        })
    });
    json!({
        "symbol": market.symbol,
        "status": session.phase.status(market.status).as_str(),
        "phase": phase,
        "until": session.until.map(|until| until.millis()),
        "breaker": breaker,
        "priceRange": session.price_range.as_ref().map(render_range),
        "reference": session.reference.as_ref().map(|reference| render_reference(market, reference)),
    })
}

/// An execution rule, as it is set.
fn render_range(range: &PriceRange) -> Value {
    let multipliers = [
        ("bidLimitMultUp", range.bid_up),
        ("bidLimitMultDown", range.bid_down),
        ("askLimitMultUp", range.ask_up),
        ("askLimitMultDown", range.ask_down),
    ];
    let set = multipliers.into_iter().filter_map(|(name, units)| {
        let multiplier = Decimal::new_checked(units?.into(), MULTIPLIER_DIGITS)?;
        Some((name.to_owned(), json!(multiplier.to_string())))
    });
    Value::Object(set.collect::<Map<_, _>>())
}

/// Where a reference price comes from, as it is set; and of one that is sent, what was sent last.
fn render_reference(market: &Market, reference: &Reference) -> Value {
    match reference.calculation {
        ReferenceCalculation::ArithmeticMean(Mean { buckets, width_ms }) => {
            json!({ "calculationType": "ARITHMETIC_MEAN", "bucketCount": buckets, "bucketWidthMs": width_ms })
        }
        ReferenceCalculation::External { id } => json!({
            "calculationType": "EXTERNAL",
            "externalCalculationId": id,
            "price": reference.external.and_then(|external| external.price).map(|price| decimal(market, price)),
            "since": reference.external.map(|external| external.since.millis()),
        }),
    }
}

fn decimal(market: &Market, price: ReferencePrice) -> Option<String> {
    let (units, scale) = market.reference_decimal(price);
    Decimal::new_checked(units, scale).map(|price| price.to_string())
}
