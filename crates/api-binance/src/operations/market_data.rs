//! Public data of markets.

use crossbook_types::{Market, MarketStatus, Timestamp, TradeId};
use crossbook_views::{AggregateTrade, AggregateTradeId, MarketData, PublicTrade, Window};

use super::Request;
use super::recall::{Question, Recalled, apart};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::render::{self, json};

/// The most price levels of each side in one answer.
pub(crate) const DEPTH_MAX: usize = 5_000;
/// The most trades or candles in one answer.
pub(crate) const ROWS_MAX: usize = 1_000;
pub(crate) const ROWS_DEFAULT: usize = 500;

pub(super) fn depth(request: &Request<'_>) -> Result<String, ApiError> {
    let limit = request.parameters.limit(100, DEPTH_MAX)?;
    with_market(request, |market| {
        check_status(request.parameters, market.market())?;
        Ok(render::depth(market.market(), market.depth(), limit))
    })
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
    let (market, recent, gap) = request.read_market(|data, live| {
        let recent: Vec<PublicTrade> = match question {
            Question::From(from, limit) => data.trades().from(from, limit).copied().collect(),
            Question::Within(window) => data.trades().within(window).copied().collect(),
        };
        let oldest = recent.first().map(|trade| trade.trade);
        let gap = question.gap(oldest, recent.len(), data.trades().forgotten(), live);
        (*data.market(), recent, gap)
    })?;
    let mut trades = recent;
    if let Some(gap) = gap
        && let Some(past) = gap.open(request.app).await?
    {
        let older = match gap.question {
            Question::From(from, limit) => past.ask(past.history.trades_from(market.id, from, limit)).await?,
            // No other stretch of time is asked for than the last trades.
            Question::Within(window) => {
                past.ask(past.history.trades_until(market.id, gap.forgotten.id, window.limit)).await?
            }
        };
        trades = gap.fill(trades, older, |trade| trade.trade, apart);
    }
    Ok(json::array(trades.iter(), |trade, out| render::trade(&market, request.caller.unit, trade, out)))
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
        let (market, recent, gap) = request.read_market(|data, live| {
            let known = data.aggregate_trades();
            let recent: Vec<AggregateTrade> = match question {
                Question::From(from, limit) => known.from(from, limit).copied().collect(),
                Question::Within(window) => known.within(window).copied().collect(),
            };
            let oldest = recent.first().map(|trade| trade.id);
            let gap = question.gap(oldest, recent.len(), known.forgotten(), live);
            (*data.market(), recent, gap)
        })?;
        let mut trades = recent;
        if let Some(gap) = gap
            && let Some(past) = gap.open(request.app).await?
        {
            let older = match gap.question {
                Question::From(from, limit) => {
                    past.ask(past.history.aggregate_trades_from(market.id, from, limit)).await?
                }
                Question::Within(window) => past.ask(past.history.aggregate_trades(market.id, window)).await?,
            };
            trades = gap.fill(trades, older, |trade| trade.id, apart);
        }
        Ok(json::array(trades.iter(), |trade, out| render::aggregate_trade(&market, request.caller.unit, trade, out)))
    })
}

pub(super) fn average_price(request: &Request<'_>) -> Result<String, ApiError> {
    let now = request.app.now();
    with_market(request, |data| Ok(render::average_price(request.caller.unit, &data.average_price(now))))
}

pub(super) fn ticker(request: &Request<'_>) -> Result<String, ApiError> {
    let now = request.app.now();
    let mini = request.parameters.get("type") == Some("MINI");
    each(request, |data, out| {
        let ticker = data.ticker(now);
        if mini {
            render::mini_ticker(data.market(), request.caller.unit, &ticker, out);
        } else {
            render::ticker(data.market(), request.caller.unit, &ticker, &data.book_ticker(), out);
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

fn with_market(
    request: &Request<'_>,
    answer: impl FnOnce(&MarketData) -> Result<String, ApiError>,
) -> Result<String, ApiError> {
    request.read_market(|data, _| answer(data))?
}

/// One object for `symbol`; a list for `symbols`, or of all markets.
fn each(request: &Request<'_>, write: impl Fn(&MarketData, &mut String)) -> Result<String, ApiError> {
    let p = request.parameters;
    let status = p.get("symbolStatus").and_then(MarketStatus::from_name);
    let names = p.names("symbols")?;
    if names.is_some() && p.has("symbol") {
        return Err(ApiError::combination());
    }
    let board = &request.app.board;
    if p.has("symbol") {
        return with_market(request, |data| {
            check_status(p, data.market())?;
            let mut out = String::with_capacity(512);
            write(data, &mut out);
            Ok(out)
        });
    }
    let mut text = String::new();
    let mut read = |data: &MarketData| {
        let start = text.len();
        if status.is_none_or(|status| data.market().status == status) {
            write(data, &mut text);
        }
        start..text.len()
    };
    let written = match names {
        Some(names) => {
            let read = names.iter().map(|name| board.market(name, |data, _| read(data)).ok_or_else(ApiError::symbol));
            read.collect::<Result<Vec<_>, _>>()?
        }
        None => board.markets(read),
    };
    let wanted = written.into_iter().filter(|place| !place.is_empty());
    Ok(json::array(wanted, |place, out| out.push_str(&text[place])))
}

fn check_status(parameters: &Parameters<'_>, market: &Market) -> Result<(), ApiError> {
    match parameters.get("symbolStatus").and_then(MarketStatus::from_name) {
        Some(status) if status != market.status => {
            Err(ApiError::bad_request(-1220, "The symbol's status does not match the requested symbolStatus."))
        }
        _ => Ok(()),
    }
}
