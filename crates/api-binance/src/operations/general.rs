//! Is the venue there, what time is it, and what trades under which rules.

use crossbook_types::{Market, MarketStatus};

use super::{Request, Transport};
use crate::error::{ApiError, RateInterval};
use crate::render::{self, json};

pub(super) fn ping(_: &Request<'_>) -> Result<String, ApiError> {
    Ok("{}".to_owned())
}

pub(super) fn time(request: &Request<'_>) -> Result<String, ApiError> {
    let mut out = String::with_capacity(40);
    json::object(&mut out, |o| {
        o.number("serverTime", request.caller.unit.of(request.app.now()));
    });
    Ok(out)
}

pub(super) fn exchange_info(request: &Request<'_>) -> Result<String, ApiError> {
    let p = request.parameters;
    let permissions = p.text("permissions")?;
    let status = p.get("symbolStatus").and_then(MarketStatus::from_name);
    let named = p.has("symbol") || p.has("symbols");
    if (p.has("symbol") && p.has("symbols")) || (named && (permissions.is_some() || status.is_some())) {
        return Err(ApiError::combination());
    }
    let with_sets = !p.has("showPermissionSets") || p.boolean("showPermissionSets")?;
    // All markets are spot markets, so the question is only whether spot is asked for.
    let spot = permissions.is_none_or(|text| text == "SPOT" || text.contains("\"SPOT\""));
    let registry = request.app.board.registry();
    let markets: Vec<&Market> = match (p.get("symbol"), p.names("symbols")?) {
        (Some(name), _) => vec![registry.market_named(name).ok_or_else(ApiError::symbol)?],
        (None, Some(names)) => {
            let named = names.iter().map(|name| registry.market_named(name).ok_or_else(ApiError::symbol));
            named.collect::<Result<_, _>>()?
        }
        (None, None) => {
            let wanted = |market: &&Market| spot && status.is_none_or(|status| market.status == status);
            registry.markets().iter().filter(wanted).collect()
        }
    };
    let config = &request.app.config.streams;
    let limits = render::RateLimits {
        requests: request.app.limits.config(),
        connections: match request.caller.transport {
            Transport::Rest => None,
            Transport::WebSocket => Some((config.attempts_max, RateInterval::of_millis(config.attempts_window_ms))),
        },
    };
    Ok(render::exchange_info(request.app.now(), request.caller.unit, &limits, markets.into_iter(), with_sets))
}
