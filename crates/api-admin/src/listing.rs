//! What there is, a page at a time.
//!
//! Every list is in the order of its entries' numbers. A page holds at most `limit` of them, from number `from` on, and
//! says in `next` where the next page begins, or `null` at the end.

use crossbook_types::AccountId;
use serde_json::{Value, json};

use super::{invalid, market};
use crossbook_api_binance::error::ApiError;
use crossbook_api_binance::parameters::Parameters;
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
    fn read(query: Option<&str>) -> Result<Self, ApiError> {
        let parameters = Parameters::parse(query.unwrap_or_default(), "")?;
        if let Some((name, _)) = parameters.iter().find(|(name, _)| !["from", "limit"].contains(name)) {
            return Err(invalid(format!("There is no parameter {name:?}; there are from and limit.")));
        }
        Ok(Self { from: parameters.integer("from")?.unwrap_or(0), limit: parameters.limit(PAGE_DEFAULT, PAGE_MAX)? })
    }

    /// The entries of this page among all, and the number of the first that is no longer on it.
    fn cut<T>(&self, all: impl Iterator<Item = T>, number: impl Fn(&T) -> u64) -> (Vec<T>, Option<u64>) {
        let mut rest = all.skip_while(|entry| number(entry) < self.from);
        let page: Vec<T> = rest.by_ref().take(self.limit).collect();
        (page, rest.next().map(|entry| number(&entry)))
    }
}

pub(super) fn assets(gateway: &Gateway, query: Option<&str>) -> Result<Value, ApiError> {
    let page = Page::read(query)?;
    let registry = gateway.read_model.registry();
    let (assets, next) = page.cut(registry.assets().iter(), |asset| u64::from(asset.id.0));
    let shown = assets.iter().map(|a| json!({ "asset": a.name, "assetId": a.id, "decimals": a.decimals }));
    Ok(json!({ "assets": shown.collect::<Vec<_>>(), "next": next }))
}

pub(super) fn markets(gateway: &Gateway, query: Option<&str>) -> Result<Value, ApiError> {
    let page = Page::read(query)?;
    let (markets, next) = {
        let registry = gateway.read_model.registry();
        page.cut(registry.markets().iter().copied(), |market| u64::from(market.id.0))
    };
    let shown = markets.iter().map(|market| market::described(gateway, market)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "markets": shown, "next": next }))
}

pub(super) fn accounts(gateway: &Gateway, query: Option<&str>) -> Result<Value, ApiError> {
    let page = Page::read(query)?;
    let registry = gateway.read_model.registry();
    let (accounts, next) = page.cut(registry.accounts_from(AccountId(page.from)), |account| account.id.0);
    let shown = accounts.iter().map(|a| json!({ "accountId": a.id, "label": a.label, "opened": a.opened.millis() }));
    Ok(json!({ "accounts": shown.collect::<Vec<_>>(), "next": next }))
}
