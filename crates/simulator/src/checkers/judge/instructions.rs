//! Orders with instructions: icebergs, trailing stops, pegged orders.

use crossbook_types::{AccountId, OrderId, PegPrice, Price, Quantity, Side, SymbolId};

use super::{Book, Judge, MARGIN_PERCENT, Open, Running, rises};
use crate::violation::{Violation, ensure};

impl Open {
    /// A price was traded at.
    pub(super) fn see(&mut self, price: Price) {
        let (Some(extreme), Some(delta)) = (self.extreme, self.placed.terms.trailing()) else { return };
        let (price, delta) = (price.0, u64::from(delta.0));
        let (extreme, due) = match self.placed.terms.side {
            Side::Buy => (extreme.min(price), price * 10_000 >= extreme.min(price) * (10_000 + delta)),
            Side::Sell => (extreme.max(price), price * 10_000 <= extreme.max(price) * (10_000 - delta)),
        };
        self.extreme = Some(extreme);
        self.due |= due;
    }

    /// So much of what shows of an iceberg order has traded. The next part goes behind the others.
    pub(super) fn hide(&mut self, quantity: Quantity, clock: &mut u64) -> Result<(), Violation> {
        let Some(shown) = self.shown else { return Ok(()) };
        let order = self.placed.order;
        ensure!(quantity.0 <= shown, Market, "order {order} trades {quantity:?} and shows {shown}");
        self.shown = Some(shown - quantity.0);
        if shown == quantity.0 {
            *clock += 1;
            self.since = Some(*clock);
            self.show();
        }
        Ok(())
    }
}

impl Book {
    /// What is held for a buy that will run at market when it is triggered, at a price, or when it trails from there.
    pub(super) fn triggered_worth(&self, open: &Open, price: Price) -> i128 {
        let delta = open.placed.terms.trailing().map_or(0, |delta| u64::from(delta.0));
        let worth = self.quote(Price((price.0 * (10_000 + delta)).div_ceil(10_000)), open.lots());
        worth + worth * MARGIN_PERCENT / 100
    }
}

impl Judge {
    /// A pegged order that works gets its price from the book.
    pub(super) fn pegged(
        &mut self,
        symbol: SymbolId,
        order: OrderId,
        price: Price,
        running: &mut Running,
    ) -> Result<(), Violation> {
        ensure!(running.worker == Some((symbol, order)), Market, "order {order} is pegged out of turn");
        let book = self.book(symbol)?;
        let peg = book.open.get(&order).and_then(|open| Some((open.placed.terms.peg()?, open.placed.terms.side)));
        let due = peg.and_then(|(peg, side)| {
            let of = if peg.price == PegPrice::Primary { side } else { side.opposite() };
            let levels = book.depth.keys().filter(|(side, _)| *side == of).map(|(_, price)| *price);
            match of {
                Side::Buy => levels.rev().nth(peg.level.into()),
                Side::Sell => levels.collect::<Vec<_>>().into_iter().nth(peg.level.into()),
            }
        });
        ensure!(due == Some(price), Market, "order {order} is pegged at {price:?}, due was {due:?}");
        if let Some(open) = book.open.get_mut(&order) {
            open.placed.terms.price = Some(price);
            let list = open.placed.terms.list();
            list.into_iter().for_each(|membership| self.pegged_in_list(membership.list, order, price));
        }
        Ok(())
    }

    /// An order begins to trail the price: at once, or because its stop price was reached.
    pub(super) fn begun(
        &mut self,
        symbol: SymbolId,
        order: OrderId,
        account: AccountId,
        running: &mut Running,
    ) -> Result<(), Violation> {
        // The orders of a list are placed together, so the other one of its pair may be yet to work.
        let together =
            |worker: &(SymbolId, OrderId)| worker.0 == symbol && self.are_of_one_list(symbol, [order, worker.1]);
        let worker = running.worker.take_if(|worker| !together(worker));
        if let Some((symbol, order)) = worker {
            self.book(symbol)?.settle_down(order)?;
        }
        let book = self.book(symbol)?;
        let (last, reached) = (book.last, book.reached);
        let open = book.open.get_mut(&order).filter(|open| open.waits && open.placed.account == account);
        let Some(open) = open.filter(|open| open.extreme.is_none() && open.placed.terms.trailing().is_some()) else {
            return Err(Violation::new(
                crate::violation::Check::Market,
                format!("order {order} begins to trail, and does not wait to"),
            ));
        };
        if let Some(stop) = open.placed.terms.stop_price.get() {
            let rises = rises(&open.placed);
            let reached = reached.is_some_and(|(low, high)| if rises { high >= stop } else { low <= stop });
            ensure!(reached, Market, "order {order} begins to trail, and {stop:?} was not reached");
        }
        open.extreme = last.map(|last| last.0);
        ensure!(open.extreme.is_some(), Market, "order {order} trails where nothing has traded");
        running.steps += 1;
        Ok(())
    }
}
