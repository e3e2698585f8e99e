//! What an account has done in a market: its orders and its trades, the newest last.

use crossbook_gateway::Gateway;
use crossbook_gateway::past::Question;
use crossbook_gateway::queries::OwnTradesQuery;
use crossbook_types::AccountId;
use crossbook_views::Window;
use serde_json::{Value, json};

use super::market::named;
use super::render;
use crate::error::AdminError;

/// Entries of an answer whose request does not say.
const ENTRIES_DEFAULT: usize = 100;
/// The most entries of an answer.
const ENTRIES_MAX: usize = 1_000;

/// Which market is asked about, and for how many entries.
struct Asking {
    symbol: String,
    limit: usize,
}

impl Asking {
    fn read(gateway: &Gateway, account: AccountId, query: Option<&str>) -> Result<Self, AdminError> {
        let (mut symbol, mut limit) = (None, ENTRIES_DEFAULT);
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "symbol" => symbol = Some(super::listing::text_of(value)),
                "limit" => {
                    let given = value.parse::<usize>().ok().filter(|&limit| limit > 0);
                    let given = given.ok_or_else(|| AdminError::invalid("limit must be a whole number from 1."))?;
                    limit = given.min(ENTRIES_MAX);
                }
                _ => {
                    return Err(AdminError::invalid(format!(
                        "There is no parameter {name:?}; there are symbol and limit."
                    )));
                }
            }
        }
        let symbol = symbol.ok_or_else(|| AdminError::invalid("symbol must name a market."))?;
        named(gateway, &symbol)?;
        let known = gateway.read_model.registry().account(account).is_some();
        if known { Ok(Self { symbol, limit }) } else { Err(AdminError::not_found("There is no such account.")) }
    }
}

/// The last orders of an account in a market, ended ones too, by their last change.
pub(super) async fn orders(gateway: &Gateway, account: AccountId, query: Option<&str>) -> Result<Value, AdminError> {
    let Asking { symbol, limit } = Asking::read(gateway, account, query)?;
    let (market, orders) = gateway.orders(account, &symbol, Question::Within(Window::last(limit))).await?;
    let shown = orders.iter().map(|order| render::order(&market, order));
    Ok(json!({ "orders": shown.collect::<Vec<_>>() }))
}

/// The last trades of an account in a market.
pub(super) async fn trades(gateway: &Gateway, account: AccountId, query: Option<&str>) -> Result<Value, AdminError> {
    let Asking { symbol, limit } = Asking::read(gateway, account, query)?;
    let newest = OwnTradesQuery::Market(Question::Within(Window::last(limit)));
    let (market, trades) = gateway.own_trades(account, &symbol, newest).await?;
    let assets = gateway.read_model.registry().assets().to_vec();
    let shown = trades
        .iter()
        .filter_map(|trade| Some(render::own_trade(&market, trade, assets.get(trade.fee_asset.0 as usize)?)));
    Ok(json!({ "trades": shown.collect::<Vec<_>>() }))
}
