//! Orders of lists of the naive exchange that are placed once their working order is filled.

use crossbook_protocol::event::{CloseReason, Event};
use crossbook_types::{ListKind, ListStatus, OrderId, Quantity, Side, SymbolId};

use super::lists::stop_of;
use super::{Left, Model, Order};

impl Model {
    /// An order waits, or works.
    pub(super) fn enter(&mut self, symbol: SymbolId, mut order: Order, prices: &mut Vec<u64>) {
        if order.waits {
            let book = &mut self.books[symbol.0 as usize];
            book.clock += 1;
            order.since = book.clock;
            let (id, trails_from) = (order.id, book.last.filter(|_| order.stop == Some(0) && !order.pending));
            book.orders.push(order);
            if let Some(last) = trails_from {
                self.begin_to_trail(symbol, id, last);
            }
        } else {
            assert!(self.peg(symbol, &mut order), "a pegged order that was checked has a price");
            self.work(symbol, order, prices);
        }
    }

    /// Places the orders of the list whose turn it is.
    pub(super) fn place_due(&mut self, symbol: SymbolId, prices: &mut Vec<u64>) {
        let at = symbol.0 as usize;
        let (id, filled_at) = self.books[at].due.remove(0);
        let list = self.list(symbol, id).clone();
        let orders: Vec<Order> = list.others.iter().map(|&order| self.books[at].order(order).clone()).collect();
        let f = self.books[at].market.filters;
        let paid = matches!(list.kind, ListKind::Opo | ListKind::Opoco).then(|| {
            let most = orders.iter().map(|order| match order.kind.has_limit_price() {
                true => f.quantity_max.0,
                false => f.quantity_max.0.min(f.market_quantity_max.0),
            });
            most.min().unwrap().min((list.pot / self.books[at].base(1)) as u64)
        });
        let refused = orders.iter().position(|order| !self.can_place(symbol, order, paid, filled_at));
        if let Some(refused) = refused {
            let reason = |order: &Order| match order.id == orders[refused].id {
                true => CloseReason::Unplaceable,
                false => CloseReason::OcoTrigger,
            };
            let all: Vec<_> = orders.iter().map(|order| (order.id, reason(order))).collect();
            return self.close_list(symbol, id, &all);
        }
        let account = list.account;
        let (mut placed, mut worth) = (Vec::new(), 0);
        for order in &orders {
            let limit = self.limit_now(account, &order.terms, paid.unwrap_or(order.lots()), order.held).unwrap();
            let mut order = self.books[at].take_out(order.id);
            if let Some(lots) = paid {
                (order.size, order.left, order.most) = (Left::Lots(lots), Left::Lots(lots), lots);
                order.held = self.books[at].base(lots);
            } else if let (Side::Buy, Some(_), Some(limit)) = (order.side, order.peg, limit) {
                order.held = self.books[at].quote(limit, order.lots());
            }
            (order.pending, order.waits) = (false, order.stop.is_some());
            worth = worth.max(self.list_worth(&order.terms, order.lots(), (limit, list.near), order.held));
            let quantity = Quantity(order.lots());
            self.events.push(Event::OrderReleased { symbol, order: OrderId(order.id), account, quantity });
            placed.push(order);
        }
        let needed = placed.iter().map(|order| order.held).max().unwrap();
        if list.pot != needed {
            let rest = list.pot - needed;
            self.post(account, list.pays_with, rest, -rest);
            self.list(symbol, id).pot = needed;
        }
        self.fit_reserves_together(&mut placed, worth);
        self.list(symbol, id).placed = true;
        self.events.push(Event::ListChanged { symbol, list: id, account, status: ListStatus::Executing });
        for order in placed {
            self.enter(symbol, order, prices);
        }
    }

    /// Whether a pending order can be placed now, with that quantity if it is paid from what the working order
    /// received; given the price at which that was filled.
    fn can_place(&self, symbol: SymbolId, order: &Order, paid: Option<u64>, filled_at: u64) -> bool {
        let book = &self.books[symbol.0 as usize];
        let f = book.market.filters;
        if let Some(lots) = paid {
            let at_market = !order.kind.has_limit_price();
            if lots < f.quantity_min.0 || lots > f.quantity_max.0 || (at_market && lots > f.market_quantity_max.0) {
                return false;
            }
            if self.check_parts(&order.terms, lots).is_err() {
                return false;
            }
            let price = order.terms.price.map(|price| price.0).or(stop_of(&order.terms));
            let worth = price.map(|price| book.quote(price, lots));
            if worth.is_some_and(|worth| book.check_worth(worth, !at_market).is_err()) {
                return false;
            }
        }
        let lots = paid.unwrap_or(order.lots());
        self.limit_now(order.account, &order.terms, lots, order.held).is_ok()
            && self.check_list_placing(order.account, &order.terms, lots, Some(filled_at)).is_ok()
    }
}
