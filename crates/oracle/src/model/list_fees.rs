//! What is held for the fees of orders of lists, in the naive exchange: for the working order by itself, and for the
//! others together, of which each says all of it.

use crossbook_protocol::order::{NewOrder, OrderTerms};
use crossbook_protocol::order_list::NewList;
use crossbook_types::{AssetId, ListKind, OrderListId, OrderType, Side, SymbolId};

use super::discount::Reserve;
use super::lists::{List, lots, named, stop_of};
use super::{Model, Order};

impl Model {
    /// The most lots that an order of a new list is for that is not its working order.
    pub(super) fn most_lots(&self, new: &NewList, terms: &OrderTerms) -> u64 {
        if !matches!(new.kind, ListKind::Opo | ListKind::Opoco) {
            return lots(terms);
        }
        let f = self.books[new.symbol.0 as usize].market.filters;
        let at_market = new.orders[1..].iter().any(|terms| !terms.order_type.has_limit_price());
        let most = if at_market { f.quantity_max.0.min(f.market_quantity_max.0) } else { f.quantity_max.0 };
        lots(&new.orders[0]).min(most)
    }

    /// What so many lots of such an order are taken to be worth, which needs so much.
    pub(super) fn list_worth(
        &self,
        terms: &OrderTerms,
        lots: u64,
        (limit, near): (Option<u64>, Option<u64>),
        need: i128,
    ) -> i128 {
        let near = near.or(self.books[terms.symbol.0 as usize].last);
        self.list_worth_near(terms, lots, (limit, near), need)
    }

    /// The same where the last price is not known.
    fn list_worth_near(
        &self,
        terms: &OrderTerms,
        lots: u64,
        (limit, near): (Option<u64>, Option<u64>),
        need: i128,
    ) -> i128 {
        let book = &self.books[terms.symbol.0 as usize];
        if terms.side == Side::Buy {
            return need;
        }
        let triggered = |from: u64| book.quote(limit.unwrap_or(from).max(from), lots) * 110 / 100;
        match (stop_of(terms), limit, near) {
            (Some(stop), ..) => triggered(stop),
            (None, Some(limit), _) if terms.order_type == OrderType::LimitMaker => book.quote(limit, lots),
            (None, _, Some(near)) => triggered(near),
            (None, limit, None) => book.quote(limit.map_or(book.highest, |limit| (limit * 2).min(book.highest)), lots),
        }
    }

    /// What is to be held for the fees of the working order of a list, and of the others; `costs` is what they take
    /// otherwise.
    pub(super) fn reserves_for_list(&mut self, new: &NewList, costs: &[(AssetId, i128)]) -> [Option<Reserve>; 2] {
        let Some((asset, rates)) = self.discounted_rates(new.account, new.symbol) else { return [None, None] };
        let works = new.kind != ListKind::Oco;
        let (working, others) = new.orders.split_at(usize::from(works));
        let order = |terms: &OrderTerms| NewOrder { account: new.account, terms: terms.clone() };
        let of_working = working.first().map(|terms| self.most_in_fees(&order(terms), costs[0].1, rates));
        let near = working.first().and_then(named);
        let (_, pot) = *costs.last().unwrap();
        let worth =
            |terms: &OrderTerms| self.list_worth_near(terms, self.most_lots(new, terms), (named(terms), near), pot);
        let worth = others.iter().map(worth).max().unwrap();
        let of_others = Reserve::most(rates, worth).unwrap_or(i128::MAX);
        let spent: i128 = costs.iter().filter(|(of, _)| *of == asset).map(|(_, cost)| cost).sum();
        let mut free = self.free(new.account, asset) - spent;
        let mut held = |wanted: i128| {
            let left = wanted.min(free);
            free -= left;
            (left > 0).then(|| Reserve::new((asset, rates), left))
        };
        let reserves = [of_working.and_then(&mut held), held(of_others)];
        if reserves.iter().any(Option::is_some) {
            self.post(new.account, asset, 0, 0);
        }
        reserves
    }

    /// The orders of a list that was just numbered get what is held for their fees.
    pub(super) fn hold_reserves_of_list(
        &mut self,
        orders: &mut [Order],
        works: bool,
        [of_working, of_others]: [Option<Reserve>; 2],
        worth: i128,
    ) {
        let (working, others) = orders.split_at_mut(usize::from(works));
        if let Some(order) = working.first_mut() {
            order.reserve = of_working;
            self.hold_reserve(order);
            self.tell_reserve(order);
        }
        let Some(mut reserve) = of_others else { return };
        reserve.left = reserve.left.min(Reserve::most(reserve.rates, worth).unwrap_or(i128::MAX));
        others.iter_mut().for_each(|order| order.reserve = Some(reserve.clone()));
        self.hold_reserve(&others[0]);
        others.iter().for_each(|order| self.tell_reserve(order));
    }

    fn tell_reserve(&mut self, order: &Order) {
        let told = order
            .reserve
            .as_ref()
            .map(|reserve| reserve.told(order.terms.symbol, crossbook_types::OrderId(order.id), order.account));
        self.events.extend(told);
    }

    /// So much is held for the fees of all of these together; no more is to be.
    pub(super) fn fit_reserves_together(&mut self, orders: &mut [Order], worth: i128) {
        let (first, others) = orders.split_first_mut().unwrap();
        self.fit_reserve_to(first, worth);
        others.iter_mut().for_each(|order| order.reserve = first.reserve.clone());
    }

    /// The same of those of a list which were lowered.
    pub(super) fn fit_reserves_of_list(&mut self, symbol: SymbolId, id: OrderListId) {
        let list = self.list(symbol, id).clone();
        let book = &mut self.books[symbol.0 as usize];
        let mut orders: Vec<Order> = list.others.iter().map(|&order| book.order(order).clone()).collect();
        let worth = |order: &Order| self.list_worth(&order.terms, order.lots(), (order.limit, list.near), order.held);
        let worth = orders.iter().map(worth).max().unwrap();
        self.fit_reserves_together(&mut orders, worth);
        for order in orders {
            self.books[symbol.0 as usize].order(order.id).reserve = order.reserve;
        }
    }

    /// An order was lowered: where it pays for others, these are for no more than it has bought and still buys.
    pub(super) fn fit_reserves_to_be_paid_for(&mut self, symbol: SymbolId, working: u64) {
        let book = &self.books[symbol.0 as usize];
        let paying =
            |list: &&List| list.working == Some(working) && matches!(list.kind, ListKind::Opo | ListKind::Opoco);
        let Some(list) = book.lists.iter().find(paying).cloned() else { return };
        let of = |id: u64| book.orders.iter().find(|order| order.id == id).unwrap();
        let mut orders: Vec<Order> = list.others.iter().map(|&order| of(order).clone()).collect();
        let at_market = orders.iter().any(|order| !order.kind.has_limit_price());
        let f = book.market.filters;
        let most = if at_market { f.quantity_max.0.min(f.market_quantity_max.0) } else { f.quantity_max.0 };
        let lots = ((list.pot / book.base(1)) as u64 + of(working).lots()).min(most);
        let worth = |order: &Order| self.list_worth(&order.terms, lots, (order.limit, list.near), order.held);
        let worth = orders.iter().map(worth).max().unwrap();
        self.fit_reserves_together(&mut orders, worth);
        for order in orders {
            self.books[symbol.0 as usize].order(order.id).reserve = order.reserve;
        }
    }

    /// Of a pair an order runs, and the other has ended: what is held for the fees of both is for it alone.
    pub(super) fn fit_reserve_of_running(&mut self, symbol: SymbolId, order: &mut Order) {
        let near = self.list(symbol, order.list.unwrap()).near;
        let worth = match (order.stop, order.limit) {
            // It rests.
            (None, Some(limit)) => self.books[symbol.0 as usize].quote(limit, order.lots()),
            _ => self.list_worth(&order.terms, order.lots(), (order.limit, near), order.held),
        };
        self.fit_reserve_to(order, worth);
    }

    /// A resting order has traded for the first time.
    pub(super) fn run_resting(&mut self, symbol: SymbolId, mut order: Order) {
        self.runs_in_list(symbol, &mut order);
        self.books[symbol.0 as usize].order(order.id).reserve = order.reserve;
    }

    /// An order that is out of the book has ended. Whether what is left for its fees is the other's of its pair, which
    /// ends next.
    pub(super) fn leave_to_pair(&mut self, symbol: SymbolId, order: &Order) -> bool {
        let others = self.held_with(symbol, order).0;
        let Some(&other) = others.iter().find(|&&other| other != order.id) else { return false };
        self.books[symbol.0 as usize].order(other).reserve = order.reserve.clone();
        true
    }

    /// What is held of the asset that orders of a side pay for an order and those that end with it, and what for the
    /// fees of these.
    pub(super) fn ending_with_order(&self, symbol: SymbolId, order: &Order, side: Side) -> (i128, Vec<Reserve>) {
        let book = &self.books[symbol.0 as usize];
        let Some(list) = book.lists.iter().find(|list| Some(list.id) == order.list) else {
            return (if order.side == side { order.held } else { 0 }, order.reserve.iter().cloned().collect());
        };
        let of = |id: u64| book.orders.iter().find(|order| order.id == id).unwrap();
        let working = list.working.map(of);
        let of_working = working.filter(|order| order.side == side).map_or(0, |order| order.held);
        let of_others = if list.pays_with == book.pays(side) { list.pot } else { 0 };
        let reserves = working.into_iter().chain(list.others.first().map(|&id| of(id)));
        (of_working + of_others, reserves.filter_map(|order| order.reserve.clone()).collect())
    }
}
