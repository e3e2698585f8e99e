//! Orders of the naive exchange that are amended.

use crossbook_protocol::event::{CloseReason, Event, OrderAmended};
use crossbook_protocol::order::AmendOrder;
use crossbook_protocol::{Answer, Refusal};
use crossbook_types::{Filter, MarketStatus, OrderId, OrderType, Quantity, Side, SymbolId};

use super::{Left, Model, Order};

impl Order {
    /// What it is for, and what is left of it, in lots; `None` of an order by worth.
    #[must_use]
    pub fn lots_of(&self) -> Option<(u64, u64)> {
        match (self.size, self.left) {
            (Left::Lots(size), Left::Lots(left)) => Some((size, left)),
            _ => None,
        }
    }
}

impl Model {
    pub(super) fn amend(&mut self, request: &AmendOrder) -> Result<Answer, Refusal> {
        let &AmendOrder { account, symbol, target, quantity, placed, client_order_id } = request;
        self.known(account, symbol)?;
        let book = &self.books[symbol.0 as usize];
        let f = book.market.filters;
        if book.is_matching() {
            return Err(Refusal::AuctionMatching);
        }
        if ![MarketStatus::Trading, MarketStatus::CancelOnly, MarketStatus::AuctionMatch].contains(&book.status()) {
            return Err(Refusal::MarketClosed(book.status()));
        }
        if f.amends_max == 0 {
            return Err(Refusal::AmendNotAllowed);
        }
        let order = self.meant(account, symbol, target).ok_or(Refusal::UnknownOrder)?.clone();
        if self.is_unpaid(symbol, &order) {
            return Err(Refusal::AmendUnpaid);
        }
        let left = order.lots();
        let size = if order.amends == 0 { placed.0 } else { order.told };
        if size < left || order.pending && size > left {
            return Err(Refusal::MalformedOrder);
        }
        if quantity.0 > size {
            return Err(Refusal::AmendIncrease);
        }
        if quantity.0 == size {
            return Err(Refusal::AmendNothing);
        }
        self.check_lowering(symbol, &order, quantity)?;
        for id in self.held_with(symbol, &order).0.into_iter().filter(|&id| id != order.id) {
            let other = book.orders.iter().find(|open| open.id == id).unwrap();
            self.check_lowering(symbol, other, quantity)?;
        }
        let same_name = |open: &Order| open.account == account && open.client == client_order_id;
        if order.client != client_order_id && book.orders.iter().any(same_name) {
            return Err(Refusal::DuplicateClientOrderId);
        }
        if quantity.0 <= size - left {
            let order = self.books[symbol.0 as usize].take_out(order.id);
            self.end(symbol, &order, CloseReason::Amended);
            if !order.waits {
                self.publish_depth(symbol, order.side, order.limit.unwrap());
            }
            self.forget_reached(symbol);
        } else {
            self.lower(request, &order, size);
        }
        Ok(Answer::Amended { symbol, order: OrderId(order.id) })
    }

    /// Whether the filters let an order be amended to so much.
    fn check_lowering(&self, symbol: SymbolId, order: &Order, quantity: Quantity) -> Result<(), Refusal> {
        let book = &self.books[symbol.0 as usize];
        let f = book.market.filters;
        if order.amends >= f.amends_max {
            return Err(Refusal::Filter(Filter::MaxAmends));
        }
        if quantity < f.quantity_min || quantity > f.quantity_max {
            return Err(Refusal::Filter(Filter::LotSize));
        }
        let at_market = matches!(order.kind, OrderType::Market | OrderType::StopLoss | OrderType::TakeProfit);
        if at_market && quantity > f.market_quantity_max {
            return Err(Refusal::Filter(Filter::MarketLotSize));
        }
        let stop = order.stop.filter(|&stop| !order.trails && stop > 0);
        // Its largest worth was looked at when it was placed for more.
        match order.limit.or(stop) {
            Some(price) => book.check_worth(book.quote(price, quantity.0).min(f.notional_max.0), order.limit.is_some()),
            None => book.check_market_worth(self.now, quantity.0),
        }
    }

    /// Lowers an order of that size, of which something is left, and the other one of its pair.
    fn lower(&mut self, request: &AmendOrder, order: &Order, size: u64) {
        let (symbol, less) = (request.symbol, size - request.quantity.0);
        let (mut together, near) = self.held_with(symbol, order);
        // What was asked for comes first.
        together.sort_by_key(|&id| id != order.id);
        if together.is_empty() {
            let freed = self.lower_one(request, order.id, (less, size), order.id, None);
            let asset = self.books[symbol.0 as usize].pays(order.side);
            self.freed_in_list(symbol, order, freed);
            self.post(request.account, asset, freed, -freed);
            let mut fitted = self.books[symbol.0 as usize].order(order.id).clone();
            if order.waits && order.delta.is_some() && (order.trails || order.stop == Some(0)) {
                self.share_reserve(&mut fitted, order.lots());
            } else {
                self.fit_reserve(symbol, &mut fitted);
            }
            self.books[symbol.0 as usize].order(order.id).reserve = fitted.reserve;
            self.fit_reserves_to_be_paid_for(symbol, order.id);
            return;
        }
        for id in together {
            self.lower_one(request, id, (less, size), order.id, Some(near));
        }
        self.hold_for_list(symbol, order.list.unwrap());
        self.fit_reserves_of_list(symbol, order.list.unwrap());
    }

    /// Lowers one order by so much, which was for `size` if it was never amended before. What it needs less.
    /// `together`, if something is held for it and others: the price near which one runs that names none.
    fn lower_one(
        &mut self,
        request: &AmendOrder,
        id: u64,
        (less, size): (u64, u64),
        named: u64,
        together: Option<Option<u64>>,
    ) -> i128 {
        let &AmendOrder { account, symbol, quantity, client_order_id, .. } = request;
        let book = &mut self.books[symbol.0 as usize];
        let order = book.order(id).clone();
        let left = order.lots() - less;
        let stop = order.stop.filter(|&stop| stop > 0).or(together.flatten());
        let held = match (order.side, order.limit, stop) {
            (Side::Sell, ..) => book.base(left),
            (Side::Buy, Some(limit), _) => book.quote(limit, left),
            (Side::Buy, None, _) if order.delta.is_some() && together.is_none() => {
                let (held, lots) = (order.held, i128::from(order.lots()));
                let each = held / lots + i128::from(held % lots != 0);
                held.min(each * i128::from(left))
            }
            (Side::Buy, None, stop) => book.quote(Self::farthest(&order.terms, stop.unwrap()), left) * 110 / 100,
        };
        let shown = order.limit.map(|limit| book.resting(order.side, limit));
        let amended = book.order(id);
        let (before, _) = order.lots_of().unwrap();
        amended.size = Left::Lots(before - less);
        amended.kept = amended.kept.map(|kept| kept + less);
        (amended.left, amended.most, amended.told) = (Left::Lots(left), left, quantity.0);
        // What is hidden goes first.
        amended.visible = amended.visible.min(left);
        amended.held = held;
        amended.client = if id == named { client_order_id } else { order.client };
        amended.amends += 1;
        let (count, name) = (amended.amends, amended.client);
        self.events.push(Event::OrderAmended(OrderAmended {
            symbol,
            order: OrderId(id),
            account,
            count,
            quantity,
            quantity_before: Quantity(if order.amends == 0 { size } else { order.told }),
            client_order_id: name,
            client_order_id_before: order.client,
        }));
        let book = &self.books[symbol.0 as usize];
        if !order.waits && shown != order.limit.map(|limit| book.resting(order.side, limit)) {
            self.publish_depth(symbol, order.side, order.limit.unwrap());
        }
        order.held - held
    }
}
