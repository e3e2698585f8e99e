//! Paged lists of assets, markets, accounts and keys.
//!
//! Every list is sorted by id. A page holds at most `limit` entries, from id `from` on; its field `next` is the first
//! id of the next page, or `null` at the end.

use crossbook_types::{AccountId, MarketStatus};
use serde_json::{Value, json};

use super::render;
use crate::error::AdminError;
use crossbook_gateway::Gateway;

/// Entries of a page that does not say.
const PAGE_DEFAULT: usize = 100;
/// The most entries of a page.
const PAGE_MAX: usize = 1_000;

/// Which page is asked for.
struct Page {
    from: u64,
    limit: usize,
}

impl Page {
    fn read(query: Option<&str>) -> Result<Self, AdminError> {
        let mut page = Self { from: 0, limit: PAGE_DEFAULT };
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = || value.parse::<u64>().ok().filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()));
            let whole = || number().ok_or_else(|| AdminError::invalid(format!("{name} must be a whole number.")));
            match name {
                "from" => page.from = whole()?,
                "limit" => page.limit = usize::try_from(whole()?).map_or(PAGE_MAX, |limit| limit.min(PAGE_MAX)),
                _ => {
                    return Err(AdminError::invalid(format!(
                        "There is no parameter {name:?}; there are from and limit."
                    )));
                }
            }
        }
        if page.limit == 0 { Err(AdminError::invalid("limit must be at least 1.")) } else { Ok(page) }
    }

    /// The entries of this page among all, and the number of the first that is no longer on it.
    fn cut<T>(&self, all: impl Iterator<Item = T>, number: impl Fn(&T) -> u64) -> (Vec<T>, Option<u64>) {
        let mut rest = all.skip_while(|entry| number(entry) < self.from);
        let page: Vec<T> = rest.by_ref().take(self.limit).collect();
        (page, rest.next().map(|entry| number(&entry)))
    }
}

pub(super) fn assets(gateway: &Gateway, query: Option<&str>) -> Result<Value, AdminError> {
    let page = Page::read(query)?;
    let (assets, next) = {
        let registry = gateway.read_model.registry();
        page.cut(registry.assets().iter().copied(), |asset| u64::from(asset.id.0))
    };
    let shown = assets.iter().map(|a| json!({ "asset": a.name, "assetId": a.id, "decimals": a.decimals }));
    Ok(json!({ "assets": shown.collect::<Vec<_>>(), "next": next }))
}

pub(super) fn markets(gateway: &Gateway, query: Option<&str>) -> Result<Value, AdminError> {
    let page = Page::read(query)?;
    let (markets, next) = {
        let registry = gateway.read_model.registry();
        let listed = registry.markets().iter().filter(|market| market.status != MarketStatus::Delisted);
        page.cut(listed.copied(), |market| u64::from(market.id.0))
    };
    let shown = markets.iter().map(render::market).collect::<Vec<_>>();
    Ok(json!({ "markets": shown, "next": next }))
}

pub(super) fn accounts(gateway: &Gateway, query: Option<&str>) -> Result<Value, AdminError> {
    let page = Page::read(query)?;
    let (accounts, next) = {
        let registry = gateway.read_model.registry();
        let from = registry.accounts_from(AccountId(page.from));
        let (accounts, next) = page.cut(from, |account| account.id.0);
        (accounts.into_iter().cloned().collect::<Vec<_>>(), next)
    };
    let shown = accounts.iter().map(render::account);
    Ok(json!({ "accounts": shown.collect::<Vec<_>>(), "next": next }))
}
