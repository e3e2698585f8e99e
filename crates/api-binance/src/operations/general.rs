//! Ping, server time, and exchange information.

use crossbook_gateway::clock::now;
use crossbook_types::Market;

use super::market_data::has_status;
use super::{Request, Transport};
use crate::error::{ApiError, RateInterval};
use crate::render::{self, json};

pub(super) fn ping(_: &Request<'_>) -> Result<String, ApiError> {
    Ok("{}".to_owned())
}

pub(super) fn time(request: &Request<'_>) -> Result<String, ApiError> {
    let mut out = String::with_capacity(40);
    json::object(&mut out, |o| {
        o.number("serverTime", request.caller.unit.of(now()));
    });
    Ok(out)
}

pub(super) fn exchange_info(request: &Request<'_>) -> Result<String, ApiError> {
    let p = request.parameters;
    let permissions = p.text("permissions")?.map(permissions).transpose()?;
    let named = p.has("symbol") || p.has("symbols");
    if (p.has("symbol") && p.has("symbols")) || (named && (permissions.is_some() || p.has("symbolStatus"))) {
        return Err(ApiError::combination());
    }
    let with_sets = !p.has("showPermissionSets") || p.boolean("showPermissionSets")?;
    // All markets are spot markets, so the question is only whether spot is asked for.
    let spot = permissions.is_none_or(|names| names.iter().any(|name| name == "SPOT"));
    let gateway = request.gateway;
    let markets: Vec<Market> = match (p.get("symbol"), p.names("symbols")?) {
        (Some(name), _) => vec![gateway.read_model.shown(gateway.market(name)?)],
        (None, Some(names)) => {
            let named = names.iter().map(|name| gateway.market(name).map(|market| gateway.read_model.shown(market)));
            named.collect::<Result<_, _>>()?
        }
        (None, None) => {
            let mut markets = gateway.markets();
            markets.retain(|market| spot && has_status(p, market));
            markets
        }
    };
    let listed = if with_sets {
        request.markets.array(&markets)
    } else {
        json::array(markets.iter(), |market, out| render::market_rules(market, false, out))
    };
    let config = request.streams;
    let limits = render::RateLimits {
        requests: gateway.limits.config(),
        connections: match request.caller.transport {
            Transport::Rest => None,
            Transport::WebSocket => Some((config.attempts_max, RateInterval::of_millis(config.attempts_window_ms))),
        },
    };
    let filters = gateway.read_model.registry().exchange_filters();
    Ok(render::exchange_info(now(), request.caller.unit, &limits, filters, &listed))
}

/// One permission, or a JSON array of some.
fn permissions(text: &str) -> Result<Vec<String>, ApiError> {
    if !text.starts_with('[') {
        return Ok(vec![text.to_owned()]);
    }
    let names: Vec<String> = serde_json::from_str(text).map_err(|_| ApiError::invalid("permissions"))?;
    if names.is_empty() { Err(ApiError::invalid("permissions")) } else { Ok(names) }
}
