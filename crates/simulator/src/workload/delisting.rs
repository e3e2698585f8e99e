//! Markets that the operator delists and lists again, under numbers of their own, and clients that follow them there.

use std::collections::BTreeSet;

use crossbook_protocol::command::ListMarket;
use crossbook_protocol::{Answer, Body, Refusal};
use crossbook_types::{MarketStatus, SymbolId};

use super::{MARKETS, description};
use crate::dice::Dice;

/// So many markets are ever listed: once there are, nobody delists any.
const EVER_MAX: u32 = MARKETS + 3;

/// What the operator does to markets, or a client knows of it.
#[derive(Clone, Debug)]
pub struct Delisting {
    /// Of a thousand requests of the operator, so many delist a market.
    per_mille: u64,
    /// The markets that are gone.
    gone: BTreeSet<SymbolId>,
    /// One more than the highest number of a market that it knows of.
    ever: u32,
}

impl Delisting {
    /// In most worlds, nobody delists anything.
    pub fn new(dice: &mut Dice) -> Self {
        let per_mille = if dice.one_in(5) { dice.between(5, 40) } else { 0 };
        Self { per_mille, gone: BTreeSet::new(), ever: MARKETS }
    }

    /// What the operator asks next, if it is about that.
    pub fn next(&self, dice: &mut Dice) -> Option<Body> {
        if self.per_mille == 0 || !dice.per_mille(self.per_mille) {
            return None;
        }
        if self.ever < EVER_MAX && dice.one_in(2) {
            return Some(Body::DelistMarket { symbol: SymbolId(dice.below(u64::from(self.ever)) as u32) });
        }
        let description = description(dice.index(MARKETS as usize));
        Some(Body::ListMarket(Box::new(ListMarket { description })))
    }

    /// A request may be about a market that is gone: mostly it is made where that may have been listed again.
    pub fn follow(&self, body: Body, dice: &mut Dice) -> Body {
        if self.gone.is_empty() {
            return body;
        }
        let listed_since = SymbolId(MARKETS + dice.below(self.gone.len() as u64) as u32);
        let stays = dice.one_in(4);
        let redirect = |symbol: &mut SymbolId| {
            if self.gone.contains(symbol) && !stays {
                *symbol = listed_since;
            }
        };
        let mut body = body;
        match &mut body {
            Body::Place(order) => redirect(&mut order.terms.symbol),
            Body::CancelAll(request) => redirect(&mut request.symbol),
            Body::ChangeMarket(request) => redirect(&mut request.symbol),
            Body::Session(request) => redirect(&mut request.symbol),
            Body::PlaceList(list) => {
                redirect(&mut list.symbol);
                let symbol = list.symbol;
                list.orders.iter_mut().for_each(|terms| terms.symbol = symbol);
            }
            _ => {}
        }
        body
    }

    /// It got an answer.
    pub fn published(&mut self, body: &Body, answer: &Answer) {
        let closed = *answer == Answer::Refused(Refusal::MarketClosed(MarketStatus::Delisted));
        let gone = match (body, answer) {
            (&Body::DelistMarket { symbol }, Answer::MarketChanged(_)) => Some(symbol),
            (Body::Place(order), _) if closed => Some(order.terms.symbol),
            (Body::PlaceList(list), _) if closed => Some(list.symbol),
            (_, Answer::MarketListed(symbol)) => {
                self.ever = self.ever.max(symbol.0 + 1);
                None
            }
            _ => None,
        };
        self.gone.extend(gone);
    }
}
