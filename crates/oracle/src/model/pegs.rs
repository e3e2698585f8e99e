//! Pegged orders of the naive exchange.

use crossbook_protocol::{Event, Refusal};
use crossbook_types::{Filter, OrderId, Peg, PegPrice, Price, Side, SymbolId};

use super::{Model, Order, other};

impl Model {
    /// The price that the book gives an order, if the order may have it.
    pub(super) fn peg_price(&self, symbol: SymbolId, order: &Order, peg: Peg, held: i128) -> Result<u64, Refusal> {
        let book = &self.books[symbol.0 as usize];
        let f = book.market.filters;
        let side = if peg.price == PegPrice::Primary { order.side } else { other(order.side) };
        let &price = book.prices(side).get(usize::from(peg.level)).ok_or(Refusal::ThinForPeg)?;
        if price < f.price_min.0 || price > f.price_max.0 {
            return Err(Refusal::Filter(Filter::Price));
        }
        self.check_band(symbol, order.side, price)?;
        let worth = book.quote(price, order.lots());
        book.check_worth(worth, true)?;
        if order.side == Side::Buy && worth > held { Err(Refusal::InsufficientBalance) } else { Ok(price) }
    }

    /// A pegged order that enters the book gets its price. Whether it could.
    pub(super) fn peg(&mut self, symbol: SymbolId, order: &mut Order) -> bool {
        let Some(peg) = order.peg else { return true };
        let Ok(price) = self.peg_price(symbol, order, peg, order.held) else { return false };
        order.limit = Some(price);
        self.events.push(Event::OrderPegged {
            symbol,
            order: OrderId(order.id),
            account: order.account,
            price: Price(price),
        });
        if order.side == Side::Buy {
            let book = &self.books[symbol.0 as usize];
            let (asset, excess) = (book.pays(order.side), order.held - book.quote(price, order.lots()));
            order.held -= excess;
            self.post(order.account, asset, excess, -excess);
            self.freed_in_list(symbol, order, excess);
        }
        true
    }
}
