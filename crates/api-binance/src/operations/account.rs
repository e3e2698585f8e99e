//! What an account sees of itself. A client that has got an answer to a command finds its effect here.

use std::collections::BTreeSet;

use crossbook_types::{AccountId, OrderId, PreventedMatchId, Timestamp};
use crossbook_views::{Forgotten, MarketData, Order, OwnTrade};

use super::Request;
use super::market_data::{ROWS_DEFAULT, ROWS_MAX, day_window, from_trade};
use super::recall::{self, End, Question, Recalled};
use crate::error::ApiError;
use crate::render::{self, json};

pub(super) fn account(request: &Request<'_>) -> Result<String, ApiError> {
    let identity = request.caller.identity.ok_or_else(ApiError::key_format)?;
    let omit_zero = request.parameters.boolean("omitZeroBalances")?;
    let views = request.app.board.of_account(identity.account).read();
    let holdings = views.holdings(identity.account).ok_or_else(ApiError::key_rejected)?;
    let (unit, may_trade) = (request.caller.unit, identity.permissions.trade);
    Ok(render::account(views.registry(), identity.account, holdings, unit, may_trade, omit_zero))
}

pub(super) fn order<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let account = request.account()?;
        let p = request.parameters;
        let name = p.client_order_id("origClientOrderId")?;
        let number = p.integer("orderId")?.map(OrderId);
        if name.is_none() && number.is_none() {
            return Err(ApiError::mandatory_either("origClientOrderId", "orderId"));
        }
        let (market, mut found, forgotten, live) = request.read_market(|data, live| {
            let found = match (number, &name) {
                (Some(number), _) => data.order(number),
                (None, Some(name)) => data.order_named(account, name),
                (None, None) => None,
            };
            // What the account has forgotten is no newer than this.
            let forgotten = data.forgotten_orders(account);
            let forgotten = forgotten.filter(|forgotten| number.is_none_or(|number| number <= forgotten.id));
            (*data.market(), found.cloned(), forgotten, live)
        })?;
        if let (None, Some(forgotten)) = (&found, forgotten)
            && let Some(past) = recall::open(request.app, forgotten.settled, live).await?
        {
            found = match (number, &name) {
                (Some(number), _) => past.ask(past.history.order(market.id, number)).await?,
                (None, Some(name)) => past.ask(past.history.order_named(account, market.id, name)).await?,
                (None, None) => None,
            };
        }
        let order = found.filter(|order| order.account == account).ok_or_else(ApiError::no_such_order)?;
        if name.is_some_and(|name| order.client_order_id != name) {
            return Err(ApiError::bad_request(-2039, "Client order ID is not correct for this order ID."));
        }
        let mut out = String::with_capacity(640);
        render::order(&market, request.caller.unit, &order, &mut out);
        Ok(out)
    })
}

pub(super) fn open_orders(request: &Request<'_>) -> Result<String, ApiError> {
    let account = request.account()?;
    if request.parameters.has("symbol") {
        // There may be very many: they are copied while nobody else can read, and written afterwards.
        let (market, orders) = request
            .read_market(|data, _| (*data.market(), data.open_orders(account).cloned().collect::<Vec<Order>>()))?;
        return Ok(json::array(orders.iter(), |order, out| render::order(&market, request.caller.unit, order, out)));
    }
    let orders = request.app.board.open_orders(account);
    let registry = request.app.board.registry();
    let known = orders.iter().filter_map(|order| Some((registry.market(order.symbol)?, order)));
    Ok(json::array(known, |(market, order), out| render::order(market, request.caller.unit, order, out)))
}

pub(super) fn all_orders<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let account = request.account()?;
        let p = request.parameters;
        let limit = p.limit(ROWS_DEFAULT, ROWS_MAX)?;
        let window = day_window(p, limit)?;
        // Times win over a number.
        let from = p.integer("orderId")?.map(OrderId).filter(|_| window.start.is_none() && window.end.is_none());
        let question = from.map_or(Question::Within(window), |from| Question::From(from, limit));
        let (market, recent, gap) = request.read_market(|data, live| {
            let forgotten = data.forgotten_orders(account);
            let (recent, gap) = match question {
                Question::From(from, limit) => {
                    let recent = data.orders_from(account, from, limit);
                    let oldest = recent.first().map(|order| order.order);
                    let gap = question.gap(oldest, recent.len(), forgotten, live);
                    (recent, gap)
                }
                Question::Within(window) => {
                    let recent = data.orders(account, window);
                    let oldest = recent.first().map(|order| order.updated);
                    let gap = Question::gap_by_update(window, oldest, recent.len(), forgotten, live);
                    (recent, gap)
                }
            };
            (*data.market(), recent.into_iter().cloned().collect::<Vec<Order>>(), gap)
        })?;
        let mut orders = recent;
        if let Some(gap) = gap
            && let Some(past) = gap.open(request.app).await?
        {
            orders = match gap.question {
                Question::From(from, limit) => {
                    let older = past.ask(past.history.orders_from(account, market.id, from, limit)).await?;
                    gap.fill(orders, older, |order| order.order, recall::apart)
                }
                Question::Within(window) => {
                    let mut older = past.ask(past.history.ended_orders(account, market.id, window)).await?;
                    let known: BTreeSet<OrderId> = orders.iter().map(|order| order.order).collect();
                    older.retain(|order| !known.contains(&order.order));
                    gap.fill(orders, older, |order| (order.updated, order.order), recall::apart)
                }
            };
        }
        Ok(json::array(orders.iter(), |order, out| render::order(&market, request.caller.unit, order, out)))
    })
}

/// Which prevented matches are asked for.
#[derive(Clone, Copy)]
enum Asked {
    /// The one of that number; none has the number 0.
    Match(Option<PreventedMatchId>),
    /// Those of an order, from a number on.
    Order(OrderId, Option<PreventedMatchId>),
}

/// The matches of the account's orders that self-trade prevention prevented.
pub(super) fn prevented_matches<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let account = request.account()?;
        let p = request.parameters;
        let number = |name| p.integer(name).map(|number| number.map(PreventedMatchId::new_checked));
        let (id, from) = (number("preventedMatchId")?, number("fromPreventedMatchId")?);
        let order = p.integer("orderId")?.map(OrderId);
        let limit = p.limit(ROWS_DEFAULT, ROWS_MAX)?;
        let asked = match (id, order) {
            (Some(id), None) if from.is_none() && !p.has("limit") => Asked::Match(id),
            (None, Some(order)) if from.is_some() || !p.has("limit") => Asked::Order(order, from.flatten()),
            _ => return Err(ApiError::combination()),
        };
        let (market, mut found, gap) = request.read_market(|data, live| {
            let matches = data.prevented_matches();
            let forgotten = matches.forgotten();
            let (found, gap) = match asked {
                Asked::Match(id) => {
                    let found = id.and_then(|id| matches.get(id)).copied();
                    let gap = forgotten.filter(|forgotten| id.is_some_and(|id| id <= forgotten.id));
                    (found.into_iter().collect(), gap)
                }
                Asked::Order(order, from) => {
                    let found = matches.of_order(account, order, from, limit);
                    let placed = data.order(order).map(|order| order.placed);
                    let may_be = |forgotten: &Forgotten<PreventedMatchId>| {
                        from.is_none_or(|from| from <= forgotten.id)
                            && placed.is_none_or(|placed| placed <= forgotten.time)
                    };
                    (found, forgotten.filter(may_be))
                }
            };
            (*data.market(), found, gap.map(|forgotten| (forgotten.settled, live)))
        })?;
        if let Some((settled, live)) = gap
            && let Some(past) = recall::open(request.app, settled, live).await?
        {
            let older = match asked {
                Asked::Match(Some(id)) => {
                    past.ask(past.history.prevented_match(market.id, id)).await?.into_iter().collect()
                }
                Asked::Match(None) => Vec::new(),
                Asked::Order(order, from) => {
                    past.ask(past.history.prevented_matches(account, market.id, order, from, limit)).await?
                }
            };
            found = recall::merge(found, older, |kept| kept.prevented.id, recall::apart, End::First, limit);
        }
        found.retain(|kept| kept.prevented.account == account);
        Ok(json::array(found.iter(), |kept, out| render::prevented_match(&market, request.caller.unit, kept, out)))
    })
}

pub(super) fn my_trades<'a>(request: &'a Request<'a>) -> Recalled<'a> {
    Box::pin(async move {
        let account = request.account()?;
        let p = request.parameters;
        let limit = p.limit(ROWS_DEFAULT, ROWS_MAX)?;
        let window = day_window(p, limit)?;
        let from = from_trade(p)?;
        let order = p.integer("orderId")?.map(OrderId);
        if (window.start.is_some() || window.end.is_some()) && (from.is_some() || order.is_some()) {
            return Err(ApiError::combination());
        }
        let question = match (order, from) {
            (None, None) => Question::Within(window),
            (_, from) => Question::From(from.unwrap_or_default(), limit),
        };
        let (market, recent, gap) = request.read_market(|data, live| {
            let recent = match (order, question) {
                (Some(order), _) => data.own_trades_of_order(account, order, from, limit),
                (None, Question::From(from, limit)) => data.own_trades_from(account, from, limit),
                (None, Question::Within(window)) => data.own_trades(account, window),
            };
            let oldest = recent.first().map(|trade| trade.trade);
            let forgotten = data.forgotten_own_trades(account);
            let forgotten = forgotten.filter(|forgotten| {
                order.is_none_or(|order| may_have_traded_before(data, account, order, forgotten.time))
            });
            let gap = question.gap(oldest, recent.len(), forgotten, live);
            (*data.market(), recent.into_iter().copied().collect::<Vec<OwnTrade>>(), gap)
        })?;
        let mut trades = recent;
        if let Some(gap) = gap
            && let Some(past) = gap.open(request.app).await?
        {
            let history = past.history;
            let older = match (order, gap.question) {
                (Some(order), _) => {
                    let from = from.unwrap_or_default();
                    past.ask(history.own_trades_of_order(account, &market, order, from, limit)).await?
                }
                (None, Question::From(from, limit)) => {
                    past.ask(history.own_trades_from(account, &market, from, limit)).await?
                }
                (None, Question::Within(window)) => past.ask(history.own_trades(account, &market, window)).await?,
            };
            // Of a trade of the account with itself there are two sides, and no page parts them: the next one begins
            // behind its number.
            trades = gap.fill(trades, older, |trade| (trade.trade, trade.maker), |one, other| one.trade == other.trade);
        }
        Ok(json::array(trades.iter(), |trade, out| render::own_trade(&market, request.caller.unit, trade, out)))
    })
}

/// Whether an order can be one of the account's that has traded up to `time`.
fn may_have_traded_before(data: &MarketData, account: AccountId, order: OrderId, time: Timestamp) -> bool {
    match data.order(order) {
        Some(known) => known.account == account && known.placed <= time,
        None => data.forgotten_orders(account).is_some_and(|forgotten| order <= forgotten.id),
    }
}
