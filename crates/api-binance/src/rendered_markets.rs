//! Markets as `exchangeInfo` shows them. They change rarely, and every client asks for them when it starts, so the text
//! of a market is kept until the market changes.

use crossbook_types::Market;
use parking_lot::{RwLock, RwLockWriteGuard};

use crate::render::{self, json};

/// The texts, at most one for each market.
#[derive(Debug, Default)]
pub struct RenderedMarkets(RwLock<Vec<Option<Rendered>>>);

#[derive(Debug)]
struct Rendered {
    /// The market that the text shows.
    market: Market,
    json: Box<str>,
}

impl RenderedMarkets {
    /// A JSON array of `markets`, with their permission sets. Renders those that have changed since they were last
    /// asked for.
    pub fn array(&self, markets: &[Market]) -> String {
        let mut kept = self.0.read();
        if markets.iter().any(|market| json_of(&kept, market).is_none()) {
            drop(kept);
            let mut renewed = self.0.write();
            markets.iter().for_each(|market| keep(&mut renewed, market));
            kept = RwLockWriteGuard::downgrade(renewed);
        }
        json::array(markets.iter(), |market, out| match json_of(&kept, market) {
            Some(json) => out.push_str(json),
            // The list has a market twice, before and after a change.
            None => render::market_rules(market, true, out),
        })
    }
}

fn json_of<'a>(kept: &'a [Option<Rendered>], market: &Market) -> Option<&'a str> {
    let rendered = kept.get(market.id.0 as usize)?.as_ref()?;
    (rendered.market == *market).then_some(&*rendered.json)
}

fn keep(kept: &mut Vec<Option<Rendered>>, market: &Market) {
    if json_of(kept, market).is_some() {
        return;
    }
    let at = market.id.0 as usize;
    if kept.len() <= at {
        kept.resize_with(at + 1, || None);
    }
    let mut json = String::new();
    render::market_rules(market, true, &mut json);
    kept[at] = Some(Rendered { market: *market, json: json.into() });
}

#[cfg(test)]
mod tests {
    use crossbook_types::{MarketStatus, SymbolId};

    use super::*;
    use crate::streams::payload::tests::btcusdt;

    fn rendered(markets: &[Market]) -> String {
        json::array(markets.iter(), |market, out| render::market_rules(market, true, out))
    }

    #[test]
    fn a_market_is_rendered_again_when_it_changes() {
        let listed = btcusdt();
        let halted = listed.changed(listed.filters, listed.fees, MarketStatus::Halt).unwrap();
        let markets = RenderedMarkets::default();
        for _ in 0..2 {
            assert_eq!(markets.array(&[listed]), rendered(&[listed]));
        }
        assert_eq!(markets.array(&[halted]), rendered(&[halted]));
        assert!(markets.array(&[halted]).contains(r#""status":"HALT""#));
        assert_eq!(markets.array(&[]), "[]");
    }

    #[test]
    fn each_market_has_one_text_at_the_most() {
        let listed = btcusdt();
        let halted = listed.changed(listed.filters, listed.fees, MarketStatus::Halt).unwrap();
        let mut other = listed;
        other.id = SymbolId(3);
        let markets = RenderedMarkets::default();
        // Both are right, though only one of them can be kept.
        let list = [listed, other, halted];
        for _ in 0..2 {
            assert_eq!(markets.array(&list), rendered(&list));
        }
        assert_eq!(markets.0.read().iter().flatten().count(), 2);
    }
}
