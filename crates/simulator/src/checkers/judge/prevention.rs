//! Self-trade prevention: which orders must not trade with each other, and what it takes from them.

use crossbook_protocol::event::PreventedMatch;
use crossbook_protocol::order::Size;
use crossbook_types::{OrderId, Quantity, SelfTradePrevention, Side};

use super::{Judge, Left, Running};
use crate::violation::{Violation, ensure};

impl Judge {
    pub(super) fn prevented(&mut self, prevented: &PreventedMatch, running: &mut Running) -> Result<(), Violation> {
        let &PreventedMatch { symbol, id, taker_side, taker, maker, mode, price, .. } = prevented;
        let book = self.book(symbol)?;
        book.prevented += 1;
        ensure!(id.number() == book.prevented, Market, "prevented match {id} is numbered, {} was due", book.prevented);
        ensure!(running.worker == Some((symbol, taker)), Market, "order {taker} is kept from trading out of turn");
        let best = book.best(taker_side.opposite());
        ensure!(best == Some((maker, price)), Market, "order {maker} is not the next to trade at {price:?}");
        for (order, account) in [(taker, prevented.account), (maker, prevented.maker_account())] {
            let owner = book.open.get(&order).map(|open| open.placed.account);
            ensure!(owner == Some(account), Market, "order {order} is another's in prevented match {id}");
        }
        ensure!(book.have_one_owner(taker, maker), Market, "match {id} is prevented, of accounts that have no group");
        let group = book.open.get(&taker).and_then(|open| open.placed.terms.trade_group());
        ensure!(prevented.group == group, Market, "match {id} is of group {:?}, due was {group:?}", prevented.group);
        let mode_of = |order| book.open.get(order).map(|open| open.placed.terms.self_trade_prevention);
        let due = match (mode_of(&taker), mode_of(&maker)) {
            (Some(SelfTradePrevention::Transfer), Some(SelfTradePrevention::Transfer)) => {
                Some(SelfTradePrevention::Transfer)
            }
            (Some(SelfTradePrevention::Transfer), _) => Some(SelfTradePrevention::Decrement),
            (mode, _) => mode,
        };
        ensure!(
            due == Some(mode) && mode != SelfTradePrevention::None,
            Market,
            "match {id} is prevented by {mode:?}, the order has {due:?}"
        );
        running.prevented = Some(*prevented);
        if mode.decrements() { self.decremented(prevented, running) } else { Ok(()) }
    }

    /// Both orders lose what they would have traded: all that shows of the one, or all that the other still wants.
    fn decremented(&mut self, prevented: &PreventedMatch, running: &mut Running) -> Result<(), Violation> {
        let &PreventedMatch { symbol, id, taker, maker, price, quantity, quote, .. } = prevented;
        let book = self.book(symbol)?;
        let lost = (prevented.taker_prevented, prevented.maker_prevented);
        ensure!(lost == (quantity, quantity), Market, "match {id} takes {lost:?} for {quantity:?}");
        let worth = book.quote(price, quantity.0);
        ensure!(quote.0 == worth && quantity > Quantity::ZERO, Market, "match {id} is worth {quote:?}, due is {worth}");
        let (lots, shown) = (book.wanted(taker, price), book.open.get(&maker).map_or(0, super::Open::visible));
        // An order by worth may also have reached the most that it may trade, and one at market what it can pay for.
        let terms = book.open.get(&taker).map(|open| &open.placed.terms);
        let at_market = terms.is_some_and(|terms| terms.price.is_none());
        let by_worth = terms.is_some_and(|terms| matches!(terms.size, Size::Quote(_)));
        let due = lots.min(shown);
        ensure!(
            quantity.0 == due || ((by_worth || (at_market && prevented.is_transfer())) && quantity.0 < due),
            Market,
            "match {id} takes {quantity:?}, of {lots} wanted and {shown} shown"
        );
        let base = i128::from(quantity.0) * book.units.0;
        let mut changed = Vec::new();
        for order in [taker, maker] {
            let Some(open) = book.open.get_mut(&order) else { continue };
            open.left = match open.left {
                Left::Lots(lots) => Left::Lots(lots.saturating_sub(quantity.0)),
                Left::Worth(worth) => Left::Worth(worth - quote.0),
            };
            open.decremented = true;
            open.hide(quantity, &mut book.clock)?;
            if order == maker {
                let unit = book.units.1;
                open.fit_reserve(|price| i128::from(price.0) * unit);
            }
            changed.push(open.clone());
        }
        running.steps += 1;
        for open in changed.iter().filter(|_| prevented.is_transfer()) {
            let received = if open.placed.terms.side == Side::Buy { base } else { quote.0 };
            self.received_in_list(open, received);
        }
        Ok(())
    }
}

impl super::Book {
    /// Whether two open orders are of one account, or of one trade group.
    pub(super) fn have_one_owner(&self, one: OrderId, other: OrderId) -> bool {
        let (Some(one), Some(other)) = (self.open.get(&one), self.open.get(&other)) else { return false };
        let group = one.placed.terms.trade_group();
        one.placed.account == other.placed.account || (group.is_some() && group == other.placed.terms.trade_group())
    }

    /// How many lots an order still wants at a price.
    fn wanted(&self, order: OrderId, price: crossbook_types::Price) -> u64 {
        match self.open.get(&order).map(|open| open.left) {
            Some(Left::Lots(lots)) => lots,
            Some(Left::Worth(worth)) => u64::try_from(worth / self.quote(price, 1).max(1)).unwrap_or(u64::MAX),
            None => 0,
        }
    }
}
