//! Trailing stops of the naive exchange: each looks at every trade price, one after the other, in its own time.

use crossbook_protocol::Event;
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_types::{MarketStatus, OrderId, Side, SymbolId};

use super::{Model, Order};

/// What those that trail the price are yet to see.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A price that was traded at.
    Price(u64),
    /// An order begins to trail here.
    Begin(u64, u64),
}

impl Order {
    /// Where it triggers, of an order that trails.
    fn trigger(&self) -> Option<u64> {
        let (delta, extreme) = (u128::from(self.delta?), u128::from(self.extreme?));
        let far = match self.side {
            Side::Buy => (extreme * (10_000 + delta)).div_ceil(10_000),
            Side::Sell => extreme * (10_000 - delta) / 10_000,
        };
        Some(far as u64)
    }

    fn is_due(&self, price: u64) -> bool {
        self.trigger().is_some_and(|trigger| match self.side {
            Side::Buy => price >= trigger,
            Side::Sell => price <= trigger,
        })
    }
}

impl Model {
    /// An order begins to trail the price, once what happened before was seen.
    pub(super) fn begin_to_trail(&mut self, symbol: SymbolId, id: u64, price: u64) {
        let book = &mut self.books[symbol.0 as usize];
        book.clock += 1;
        let clock = book.clock;
        let idle = book.unseen.is_empty();
        let order = book.order(id);
        (order.trails, order.since) = (true, clock);
        if idle {
            order.extreme = Some(price);
        }
        let account = order.account;
        if !idle {
            book.unseen.push_back(Step::Begin(id, price));
        }
        self.events.push(Event::TrailingBegun { symbol, order: OrderId(id), account });
    }

    /// An order has traded from the first to the last of these prices.
    pub(super) fn note_prices(&mut self, symbol: SymbolId, prices: &[u64]) {
        let book = &mut self.books[symbol.0 as usize];
        if !book.orders.iter().any(|order| order.trails) {
            return;
        }
        for price in prices.first().into_iter().chain(prices.last()) {
            match book.unseen.make_contiguous() {
                [.., Step::Price(last)] if last == price => {}
                // A price on the way to the next one changes nothing.
                [.., Step::Price(before), Step::Price(last)]
                    if (*before..=*price).contains(last) || (*price..=*before).contains(last) =>
                {
                    *last = *price;
                }
                _ => book.unseen.push_back(Step::Price(*price)),
            }
        }
    }

    /// Shows what was not seen yet to those that trail, until one triggers, which works then, or the command has done
    /// enough. Whether one did.
    pub(super) fn trail(&mut self, symbol: SymbolId, most: u32) -> bool {
        let at = symbol.0 as usize;
        while let Some(step) = self.books[at].unseen.front().cloned() {
            if self.steps >= most || self.books[at].status() != MarketStatus::Trading {
                return false;
            }
            self.steps += 1;
            match step {
                Step::Begin(id, price) => {
                    if let Some(order) = self.books[at].orders.iter_mut().find(|order| order.id == id) {
                        order.extreme = Some(price);
                    }
                }
                Step::Price(price) => {
                    for order in &mut self.books[at].orders {
                        order.extreme = order.extreme.map(|extreme| match order.side {
                            Side::Buy => extreme.min(price),
                            Side::Sell => extreme.max(price),
                        });
                    }
                    if let Some(id) = self.next_to_come_back(symbol, price) {
                        self.set_off(symbol, id);
                        self.forget_unseen(symbol);
                        return true;
                    }
                }
            }
            self.books[at].unseen.pop_front();
        }
        false
    }

    /// Nobody trails any more.
    pub(super) fn forget_unseen(&mut self, symbol: SymbolId) {
        let book = &mut self.books[symbol.0 as usize];
        if !book.orders.iter().any(|order| order.trails) {
            book.unseen.clear();
        }
    }

    /// Of those from whose extreme the price has come back: buys first, the nearest trigger price first, of these who
    /// has seen the farthest extreme, then the smallest delta, then who began first.
    fn next_to_come_back(&self, symbol: SymbolId, price: u64) -> Option<u64> {
        let orders = &self.books[symbol.0 as usize].orders;
        let rank = |order: &&Order| {
            let (trigger, extreme) = (order.trigger().unwrap(), order.extreme.unwrap());
            let turned = |value: u64| if order.side == Side::Buy { value } else { u64::MAX - value };
            (order.side != Side::Buy, turned(trigger), turned(extreme), order.delta, order.since)
        };
        orders.iter().filter(|order| order.is_due(price)).min_by_key(rank).map(|order| order.id)
    }

    /// The highest price that a buy order may trigger at when it begins at this one.
    pub(super) fn farthest(terms: &OrderTerms, price: u64) -> u64 {
        let delta = terms.trailing().map_or(0, |delta| delta.0);
        (u128::from(price) * u128::from(10_000 + delta)).div_ceil(10_000) as u64
    }

    /// What is to be held for a buy that trails from the last price on and will run at market.
    pub(super) fn trailing_worth(&self, order: &NewOrder) -> Option<i128> {
        let terms = &order.terms;
        let book = &self.books[terms.symbol.0 as usize];
        match (terms.side, terms.size, terms.limit(), terms.stop_price.get()) {
            (Side::Buy, Size::Base(lots), None, None) if terms.waits() => {
                Some(book.quote(Self::farthest(terms, book.last?), lots.0) * 110 / 100)
            }
            _ => None,
        }
    }
}
