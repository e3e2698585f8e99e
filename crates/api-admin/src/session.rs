//! Trading sessions of markets: circuit breakers, auctions, and the end of a phase.

use bytes::Bytes;
use crossbook_gateway::Gateway;
use crossbook_protocol::Answer;
use crossbook_protocol::command::Body;
use crossbook_protocol::session::{Phase, Session, SessionChange, SessionRequest};
use crossbook_types::{Breaker, Market};
use serde::Deserialize;
use serde_json::{Value, json};

use super::asked::Asked;
use super::market::named;
use super::reference;
use super::request::read;
use super::submit;
use crate::error::AdminError;

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
        "priceRange": session.price_range.as_ref().map(reference::render_range),
        "reference": session.reference.as_ref().map(|reference| reference::render(market, reference)),
    })
}
