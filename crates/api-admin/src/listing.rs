//! Paged lists of assets, markets, accounts and keys.
//!
//! Every list is sorted by id. A page holds at most `limit` entries, from id `from` on; its field `next` is the first
//! id of the next page, or `null` at the end.

use crossbook_protocol::registry::Account;
use crossbook_types::{AccountId, MarketStatus};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::render;
use crate::error::AdminError;
use crossbook_gateway::Gateway;

/// Entries of a page that does not say.
const PAGE_DEFAULT: usize = 100;
/// The most entries of a page.
const PAGE_MAX: usize = 1_000;
/// How many accounts a search looks at before it answers.
const SEARCHED_MAX: usize = 10_000;

/// Which page is asked for.
struct Page {
    from: u64,
    limit: usize,
    /// In small letters.
    search: Option<String>,
}

impl Page {
    fn read(query: Option<&str>, searchable: bool) -> Result<Self, AdminError> {
        let mut page = Self { from: 0, limit: PAGE_DEFAULT, search: None };
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = || value.parse::<u64>().ok().filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()));
            let whole = || number().ok_or_else(|| AdminError::invalid(format!("{name} must be a whole number.")));
            match name {
                "from" => page.from = whole()?,
                "search" if searchable => page.search = Some(text_of(value).to_lowercase()),
                "limit" => page.limit = usize::try_from(whole()?).map_or(PAGE_MAX, |limit| limit.min(PAGE_MAX)),
                _ => {
                    let known = if searchable { "from, limit and search" } else { "from and limit" };
                    return Err(AdminError::invalid(format!("There is no parameter {name:?}; there are {known}.")));
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
    let page = Page::read(query, false)?;
    let (assets, next) = {
        let registry = gateway.read_model.registry();
        page.cut(registry.assets().iter().copied(), |asset| u64::from(asset.id.0))
    };
    let shown = assets.iter().map(|a| json!({ "asset": a.name, "assetId": a.id, "decimals": a.decimals }));
    Ok(json!({ "assets": shown.collect::<Vec<_>>(), "next": next }))
}

pub(super) fn markets(gateway: &Gateway, query: Option<&str>) -> Result<Value, AdminError> {
    let page = Page::read(query, false)?;
    let (markets, next) = {
        let registry = gateway.read_model.registry();
        let listed = registry.markets().iter().filter(|market| market.status != MarketStatus::Delisted);
        page.cut(listed.copied(), |market| u64::from(market.id.0))
    };
    let shown = markets.iter().map(render::market).collect::<Vec<_>>();
    Ok(json!({ "markets": shown, "next": next }))
}

pub(super) fn accounts(gateway: &Gateway, query: Option<&str>) -> Result<Value, AdminError> {
    let page = Page::read(query, true)?;
    let (accounts, next) = {
        let registry = gateway.read_model.registry();
        let from = registry.accounts_from(AccountId(page.from));
        let (accounts, next) = match &page.search {
            None => {
                let (accounts, next) = page.cut(from, |account| account.id.0);
                (accounts.into_iter().cloned().collect::<Vec<_>>(), next)
            }
            Some(search) => find(search, page.limit, from),
        };
        let frozen: Vec<bool> = accounts.iter().map(|account| registry.is_frozen(account.id)).collect();
        (accounts.into_iter().zip(frozen).collect::<Vec<_>>(), next)
    };
    let shown = accounts.iter().map(|(account, is_frozen)| render::account(account, *is_frozen));
    Ok(json!({ "accounts": shown.collect::<Vec<_>>(), "next": next }))
}

/// The first accounts that a search finds: by a part of the label, or by the number. As nothing is folded into the
/// registry meanwhile, it ends after a while, and gives the number to go on from.
fn find<'a>(search: &str, limit: usize, accounts: impl Iterator<Item = &'a Account>) -> (Vec<Account>, Option<u64>) {
    let mut found = Vec::new();
    for (seen, account) in accounts.enumerate() {
        if seen == SEARCHED_MAX || found.len() == limit {
            return (found, Some(account.id.0));
        }
        if account.id.0.to_string() == search || account.label.to_lowercase().contains(search) {
            found.push(account.clone());
        }
    }
    (found, None)
}

/// The text that a value of a query is.
pub(super) fn text_of(value: &str) -> String {
    percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned()
}
