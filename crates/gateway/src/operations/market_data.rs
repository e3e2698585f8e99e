//! Public data of markets, answered from the views.

use crossbook_types::{Market, MarketStatus, Timestamp, TradeId};
use crossbook_views::{AggregateTradeId, CandleQuery, Interval, MarketData, Offset, Views, Window};

use super::Request;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::render::{self, json};

/// The most price levels of each side in one answer.
const DEPTH_MAX: usize = 5_000;
/// The most trades or candles in one answer.
const ROWS_MAX: usize = 1_000;
const ROWS_DEFAULT: usize = 500;

pub(super) fn depth(request: &Request<'_>) -> Result<String, ApiError> {
    let limit = request.parameters.limit_at_most(100, DEPTH_MAX)?;
    with_market(request, |market| {
        check_status(request.parameters, market.market())?;
        Ok(render::depth(market.market(), market.depth(), limit))
    })
}

pub(super) fn trades(request: &Request<'_>) -> Result<String, ApiError> {
    let limit = request.parameters.limit(ROWS_DEFAULT, ROWS_MAX)?;
    with_market(request, |data| {
        let trades = data.trades().last(limit);
        Ok(json::array(trades, |trade, out| render::trade(data.market(), trade, out)))
    })
}

pub(super) fn aggregate_trades(request: &Request<'_>) -> Result<String, ApiError> {
    let p = request.parameters;
    let limit = p.limit_at_most(ROWS_DEFAULT, ROWS_MAX)?;
    let from = p.integer("fromId")?;
    let window = window(p, limit)?;
    if from.is_some() && (window.start.is_some() || window.end.is_some()) {
        return Err(ApiError::combination());
    }
    with_market(request, |data| {
        let market = data.market();
        Ok(match from {
            Some(from) => json::array(data.aggregate_trades().from(AggregateTradeId(from), limit), |trade, out| {
                render::aggregate_trade(market, trade, out);
            }),
            None => json::array(data.aggregate_trades().within(window), |trade, out| {
                render::aggregate_trade(market, trade, out);
            }),
        })
    })
}

pub(super) fn candles(request: &Request<'_>) -> Result<String, ApiError> {
    let p = request.parameters;
    let interval = Interval::from_name(p.required("interval")?)
        .ok_or_else(|| ApiError::bad_request(-1120, "Invalid interval."))?;
    let offset = match p.text("timeZone")? {
        None => Offset::UTC,
        Some(text) => Offset::parse(text).ok_or_else(|| ApiError::invalid("timeZone"))?,
    };
    let window = window(p, p.limit_at_most(ROWS_DEFAULT, ROWS_MAX)?)?;
    let query = CandleQuery { interval, offset, window, now: request.app.now() };
    with_market(request, |data| {
        let candles = data.candles().query(&query);
        Ok(json::array(candles.iter(), |candle, out| render::candle(data.market(), candle, out)))
    })
}

pub(super) fn average_price(request: &Request<'_>) -> Result<String, ApiError> {
    let now = request.app.now();
    with_market(request, |data| Ok(render::average_price(&data.average_price(now))))
}

pub(super) fn ticker(request: &Request<'_>) -> Result<String, ApiError> {
    let now = request.app.now();
    let mini = request.parameters.get("type") == Some("MINI");
    each(request, |data, out| {
        let ticker = data.ticker(now);
        if mini {
            render::mini_ticker(data.market(), &ticker, out);
        } else {
            render::ticker(data.market(), &ticker, &data.book_ticker(), out);
        }
    })
}

pub(super) fn price(request: &Request<'_>) -> Result<String, ApiError> {
    each(request, |data, out| render::price_ticker(data.market(), data.last_price(), out))
}

pub(super) fn book_ticker(request: &Request<'_>) -> Result<String, ApiError> {
    each(request, |data, out| render::book_ticker(data.market(), &data.book_ticker(), out))
}

/// The rows that `startTime` and `endTime` ask for. There are none where the end is before the start.
pub(super) fn window(parameters: &Parameters<'_>, limit: usize) -> Result<Window, ApiError> {
    let (start, end) = (parameters.start_time("startTime")?, parameters.end_time("endTime")?);
    Ok(Window { start, end, limit })
}

/// As [`window`], and no longer than 24 hours.
///
/// # Errors
/// -1127 if it is longer.
pub(super) fn day_window(parameters: &Parameters<'_>, limit: usize) -> Result<Window, ApiError> {
    const DAY: u64 = 24 * 60 * 60 * 1_000_000;
    let window = window(parameters, limit)?;
    let length = |(start, end): (Timestamp, Timestamp)| end.0.saturating_sub(start.0);
    // The end stands for a whole millisecond.
    if window.start.zip(window.end).map(length).is_some_and(|length| length > DAY + 999) {
        return Err(ApiError::bad_request(-1127, "More than 24 hours between startTime and endTime."));
    }
    Ok(window)
}

/// The first trade that `fromId` asks for.
pub(super) fn from_trade(parameters: &Parameters<'_>) -> Result<Option<TradeId>, ApiError> {
    Ok(parameters.integer("fromId")?.map(TradeId))
}

fn with_market(
    request: &Request<'_>,
    answer: impl FnOnce(&MarketData) -> Result<String, ApiError>,
) -> Result<String, ApiError> {
    let name = request.parameters.required("symbol")?;
    let views = request.app.views.read();
    answer(named(&views, name)?)
}

fn named<'a>(views: &'a Views, name: &str) -> Result<&'a MarketData, ApiError> {
    let market = views.registry().market_named(name).ok_or_else(ApiError::symbol)?;
    views.market(market.id).ok_or_else(ApiError::symbol)
}

/// One object for `symbol`; a list for `symbols`, or of all markets.
fn each(request: &Request<'_>, write: impl Fn(&MarketData, &mut String)) -> Result<String, ApiError> {
    let p = request.parameters;
    let status = p.get("symbolStatus").and_then(MarketStatus::from_name);
    let names = p.names("symbols")?;
    if names.is_some() && p.has("symbol") {
        return Err(ApiError::combination());
    }
    let views = request.app.views.read();
    if let Some(name) = p.get("symbol") {
        let market = named(&views, name)?;
        check_status(p, market.market())?;
        let mut out = String::with_capacity(512);
        write(market, &mut out);
        return Ok(out);
    }
    let wanted = |market: &&MarketData| status.is_none_or(|status| market.market().status == status);
    Ok(match names {
        Some(names) => {
            let markets = names.iter().map(|name| named(&views, name)).collect::<Result<Vec<_>, _>>()?;
            json::array(markets.into_iter().filter(wanted), &write)
        }
        None => json::array(views.markets().filter(wanted), &write),
    })
}

fn check_status(parameters: &Parameters<'_>, market: &Market) -> Result<(), ApiError> {
    match parameters.get("symbolStatus").and_then(MarketStatus::from_name) {
        Some(status) if status != market.status => {
            Err(ApiError::bad_request(-1220, "The symbol's status does not match the requested symbolStatus."))
        }
        _ => Ok(()),
    }
}
