//! Countdowns that cancel an account's open orders, an extension of this venue: dead man's switches for clients that
//! must not leave orders behind when they fail.

use crossbook_protocol::countdown::{Countdown, CountdownScope};

use super::{Outcome, Recalled, Request};
use crate::error::ApiError;
use crate::render::json;
use crossbook_gateway::Subject;

/// The shortest and the longest countdown, in milliseconds: a second, because gateways look for those that have passed
/// ten times in it, and a day.
const MILLIS: std::ops::RangeInclusive<u32> = 1_000..=86_400_000;

pub(super) async fn set(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let market = request.parameters.has("symbol").then(|| request.market()).transpose()?;
    let millis = request.parameters.integer("countdownTime")?.ok_or_else(|| ApiError::mandatory("countdownTime"))?;
    let after = match u32::try_from(millis) {
        Ok(0) => None,
        Ok(millis) if MILLIS.contains(&millis) => Some(millis),
        _ => return Err(ApiError::invalid("countdownTime")),
    };
    let scope = market.map_or(CountdownScope::Account, |market| CountdownScope::Symbol(market.id));
    let until = request.gateway.set_countdown(&request.sender()?, scope, after).await?;
    let mut json = String::new();
    json::object(&mut json, |o| {
        if let Some(market) = market {
            o.name("symbol", market.symbol.as_str());
        }
        o.number("countdownTime", millis);
        json::time(o, request.caller.unit, "expireTime", until);
    });
    Ok(Outcome { json, orders: None, free: true })
}

pub(super) fn list<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let account = request.identity()?.account;
        request.gateway.caught_up(Subject::Account(account)).await?;
        let (countdowns, markets) = (request.gateway.countdowns(account), request.gateway.markets());
        Ok(json::array(countdowns.iter(), |&Countdown { scope, until, .. }, out| {
            json::object(out, |o| {
                match scope {
                    CountdownScope::Account => o.name("scope", "ACCOUNT"),
                    CountdownScope::Session(_) => o.name("scope", "SESSION"),
                    CountdownScope::Symbol(symbol) => {
                        if let Some(market) = markets.iter().find(|market| market.id == symbol) {
                            o.name("symbol", market.symbol.as_str());
                        }
                        o.name("scope", "SYMBOL")
                    }
                };
                json::time(o, request.caller.unit, "expireTime", Some(until));
            });
        }))
    })
}
