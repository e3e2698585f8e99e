//! Public data of markets.

use crossbook_gateway::clock::now;
use crossbook_gateway::past::Question;
use crossbook_gateway::queries::MarketSelection;
use crossbook_types::{Market, Timestamp, TradeId};
use crossbook_views::{AggregateTradeId, CandleQuery, Interval, Offset, Period, Window};

use super::{Recalled, Request};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::render::{self, json};

/// The most price levels of each side in one answer.
pub(crate) const DEPTH_MAX: usize = 5_000;
/// The most trades or candles in one answer.
pub(crate) const ROWS_MAX: usize = 1_000;
pub(crate) const ROWS_DEFAULT: usize = 500;
/// The most markets in one answer about a period.
const PERIOD_SYMBOLS_MAX: usize = 100;

pub(super) fn depth(request: &Request<'_>) -> Result<String, ApiError> {
    let limit = request.parameters.limit(100, DEPTH_MAX)?;
    let depth = request.gateway.depth(request.symbol()?, limit)?;
    check_status(request.parameters, &depth.market)?;
    Ok(render::depth(&depth))
}

pub(super) fn trades<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let limit = request.parameters.limit(ROWS_DEFAULT, ROWS_MAX)?;
        public_trades(request, Question::Within(Window::last(limit))).await
    })
}

pub(super) fn historical_trades<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let limit = request.parameters.limit(ROWS_DEFAULT, ROWS_MAX)?;
        let question = match from_trade(request.parameters)? {
            Some(from) => Question::From(from, limit),
            None => Question::Within(Window::last(limit)),
        };
        public_trades(request, question).await
    })
}

async fn public_trades(request: &Request<'_>, question: Question<TradeId>) -> Result<String, ApiError> {
    let (market, trades) = request.gateway.trades(request.symbol()?, question).await?;
    Ok(json::array(trades.iter(), |trade, out| render::trade(&market, request.caller.unit, trade, out)))
}

/// Trades that were agreed on elsewhere, of which this venue has none.
pub(super) fn block_trades(request: &Request<'_>) -> Result<String, ApiError> {
    request.parameters.limit(ROWS_DEFAULT, ROWS_MAX)?;
    request.market()?;
    Ok("[]".to_owned())
}

pub(super) fn aggregate_trades<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let p = request.parameters;
        let limit = p.limit(ROWS_DEFAULT, ROWS_MAX)?;
        let from = p.integer("fromId")?;
        let window = window(p, limit)?;
        if from.is_some() && (window.start.is_some() || window.end.is_some()) {
            return Err(ApiError::combination());
        }
        let question = match from {
            Some(from) => Question::From(AggregateTradeId(from), limit),
            None => Question::Within(window),
        };
        let (market, trades) = request.gateway.aggregate_trades(request.symbol()?, question).await?;
        Ok(json::array(trades.iter(), |trade, out| render::aggregate_trade(&market, request.caller.unit, trade, out)))
    })
}

pub(super) fn candles<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let p = request.parameters;
        let interval = Interval::from_name(p.required("interval")?)
            .ok_or_else(|| ApiError::bad_request(-1120, "Invalid interval."))?;
        let offset = time_zone(p)?;
        let window = window(p, p.limit(ROWS_DEFAULT, ROWS_MAX)?)?;
        let query = CandleQuery { interval, offset, window, now: now() };
        let (market, candles) = request.gateway.candles(request.symbol()?, &query).await?;
        Ok(json::array(candles.iter(), |candle, out| render::candle(&market, request.caller.unit, candle, out)))
    })
}

pub(super) fn average_price(request: &Request<'_>) -> Result<String, ApiError> {
    let average = request.gateway.average_price(request.symbol()?, now())?;
    Ok(render::average_price(request.caller.unit, &average))
}

pub(super) fn ticker(request: &Request<'_>) -> Result<String, ApiError> {
    let unit = request.caller.unit;
    let mini = request.parameters.get("type") == Some("MINI");
    let names = names(request)?;
    let found = request.gateway.statistics(selection(request, names.as_deref())?, now())?;
    each(
        request,
        &found,
        |found| &found.market,
        |found, out| {
            if mini {
                render::mini_ticker(&found.market, unit, &found.ticker, out);
            } else {
                render::ticker(&found.market, unit, &found.ticker, &found.best, out);
            }
        },
    )
}

/// The statistics of a window that ends now.
pub(super) fn rolling_ticker<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let period = match request.parameters.text("windowSize")? {
            None => Period::DAY,
            Some(text) => Period::parse(text).ok_or_else(|| ApiError::invalid("windowSize"))?,
        };
        period_tickers(request, period).await
    })
}

/// The statistics of the day in a time zone.
pub(super) fn trading_day<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move { period_tickers(request, Period::Day(time_zone(request.parameters)?)).await })
}

async fn period_tickers(request: &Request<'_>, period: Period) -> Result<String, ApiError> {
    let (p, unit) = (request.parameters, request.caller.unit);
    let names = names(request)?;
    match &names {
        Some(names) if names.len() > PERIOD_SYMBOLS_MAX => {
            return Err(ApiError::too_many_values("symbols", PERIOD_SYMBOLS_MAX));
        }
        None if !p.has("symbol") => return Err(ApiError::mandatory_either("symbol", "symbols")),
        _ => {}
    }
    let write = if p.get("type") == Some("MINI") { render::mini_period_ticker } else { render::period_ticker };
    let found = request.gateway.period_tickers(selection(request, names.as_deref())?, period, now()).await?;
    each(request, &found, |(market, _)| market, |(market, ticker), out| write(market, unit, ticker, out))
}

fn time_zone(parameters: &Parameters<'_>) -> Result<Offset, ApiError> {
    match parameters.text("timeZone")? {
        None => Ok(Offset::UTC),
        Some(text) => Offset::parse(text).ok_or_else(|| ApiError::invalid("timeZone")),
    }
}

pub(super) fn price(request: &Request<'_>) -> Result<String, ApiError> {
    let names = names(request)?;
    let found = request.gateway.last_prices(selection(request, names.as_deref())?)?;
    each(request, &found, |(market, _)| market, |(market, last), out| render::price_ticker(market, *last, out))
}

pub(super) fn book_ticker(request: &Request<'_>) -> Result<String, ApiError> {
    let names = names(request)?;
    let found = request.gateway.book_tickers(selection(request, names.as_deref())?)?;
    each(request, &found, |(market, _)| market, |(market, best), out| render::book_ticker(market, best, out))
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
    // The end may stand for a whole millisecond; what is sent is where that begins.
    let end = parameters.start_time("endTime")?;
    let length = |(start, end): (Timestamp, Timestamp)| end.0.saturating_sub(start.0);
    if window.start.zip(end).map(length).is_some_and(|length| length > DAY) {
        return Err(ApiError::bad_request(-1127, "More than 24 hours between startTime and endTime."));
    }
    Ok(window)
}

/// The first trade that `fromId` asks for.
pub(super) fn from_trade(parameters: &Parameters<'_>) -> Result<Option<TradeId>, ApiError> {
    Ok(parameters.integer("fromId")?.map(TradeId))
}

/// The parameter `symbols`, which does not go with `symbol`.
pub(super) fn names(request: &Request<'_>) -> Result<Option<Vec<String>>, ApiError> {
    let names = request.parameters.names("symbols")?;
    if names.is_some() && request.parameters.has("symbol") { Err(ApiError::combination()) } else { Ok(names) }
}

/// The markets that `symbol` and `symbols` ask for.
fn selection<'a>(request: &'a Request<'_>, names: Option<&'a [String]>) -> Result<MarketSelection<'a>, ApiError> {
    match names {
        Some(names) => Ok(MarketSelection::Named(names)),
        None if request.parameters.has("symbol") => Ok(MarketSelection::One(request.symbol()?)),
        None => Ok(MarketSelection::All),
    }
}

/// One object for `symbol`; a list for `symbols`, or of all markets.
fn each<T>(
    request: &Request<'_>,
    found: &[T],
    market: impl Fn(&T) -> &Market,
    write: impl Fn(&T, &mut String),
) -> Result<String, ApiError> {
    let p = request.parameters;
    if let ([one], true) = (found, p.has("symbol")) {
        check_status(p, market(one))?;
        let mut out = String::with_capacity(512);
        write(one, &mut out);
        return Ok(out);
    }
    Ok(json::array(found.iter().filter(|found| has_status(p, market(found))), write))
}

/// Whether a market has the status that `symbolStatus` asks for.
pub(super) fn has_status(parameters: &Parameters<'_>, market: &Market) -> bool {
    parameters.get("symbolStatus").is_none_or(|status| market.status.as_str() == status)
}

pub(super) fn check_status(parameters: &Parameters<'_>, market: &Market) -> Result<(), ApiError> {
    if has_status(parameters, market) {
        return Ok(());
    }
    Err(ApiError::bad_request(-1220, "The symbol's status does not match the requested symbolStatus."))
}
