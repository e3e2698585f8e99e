//! Order lists: when one of their orders must end or is placed, and what is held for several of them together.

use std::collections::BTreeSet;

use crossbook_protocol::event::CloseReason;
use crossbook_protocol::order_list::ListPlaced;
use crossbook_protocol::session::Phase;
use crossbook_types::{
    AccountId, AssetId, ListKind, ListStatus, OrderId, OrderListId, Price, Quantity, Side, SymbolId,
};

use super::{Judge, Left, Open, Running};
use crate::violation::{Check, Violation, ensure};

/// A list of which an order is open.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub(super) symbol: SymbolId,
    pub(super) account: AccountId,
    pub(super) kind: ListKind,
    /// The working order, while it is open.
    pub(super) working: Option<OrderId>,
    /// The other orders that are open.
    pub(super) others: Vec<OrderId>,
    /// Whether these are placed.
    pub(super) placed: bool,
    /// The price of the working order.
    pub(super) near: Option<Price>,
    /// What the working order has received for the others.
    pub(super) received: i128,
    /// Why an order has ended, so that all others must end, too.
    ends: Option<CloseReason>,
    /// Whether one of its pair has ended because of the other, which goes on.
    is_parted: bool,
}

fn wrong(detail: String) -> Violation {
    Violation::new(Check::Market, detail)
}

impl List {
    /// Whether its working order was filled, and the others are yet to be placed.
    fn is_due(&self) -> bool {
        self.working.is_none() && !self.placed && self.ends.is_none()
    }
}

impl Judge {
    pub(super) fn list_placed(&mut self, placed: &ListPlaced) -> Result<(), Violation> {
        let &ListPlaced { symbol, list: id, account, kind, ref orders, .. } = placed;
        let book = self.book(symbol)?;
        let belongs = |order: &OrderId| {
            let open = book.open.get(order);
            open.is_some_and(|open| {
                let membership = open.placed.terms.list();
                open.placed.account == account && membership.is_some_and(|membership| membership.list == id)
            })
        };
        ensure!(orders.len() == kind.orders() && orders.iter().all(belongs), Market, "list {id} has other orders");
        ensure!(Some(&id.first()) == orders.first() && id.symbol() == symbol, Market, "list {id} has another number");
        let (working, others) = match orders.split_first() {
            Some((working, others)) if kind.has_working_order() => (Some(*working), others),
            _ => (None, &orders[..]),
        };
        let near = working.and_then(|working| book.open.get(&working)).and_then(|open| open.placed.terms.limit());
        let list = List {
            symbol,
            account,
            kind,
            working,
            others: others.to_vec(),
            placed: working.is_none(),
            near,
            received: 0,
            ends: None,
            is_parted: false,
        };
        ensure!(self.lists.insert(id, list).is_none(), Market, "list {id} is placed twice");
        Ok(())
    }

    /// A pending order is placed.
    pub(super) fn released(
        &mut self,
        (symbol, order): (SymbolId, OrderId),
        account: AccountId,
        quantity: Quantity,
        running: &mut Running,
    ) -> Result<(), Violation> {
        if let Some((symbol, order)) = running.worker.take() {
            self.book(symbol)?.settle_down(order)?;
        }
        self.is_their_turn(symbol, order)?;
        let book = self.book(symbol)?;
        let unit = book.units.0;
        let pending = |open: &&mut Open| open.pending && open.placed.account == account;
        let open = book.open.get_mut(&order).filter(pending);
        let list = open.as_ref().and_then(|open| open.placed.terms.list());
        let (Some(open), Some(membership)) = (open, list) else {
            return Err(wrong(format!("order {order} is placed, and is not pending")));
        };
        let asked = open.lots();
        (open.pending, open.left) = (false, Left::Lots(quantity.0));
        open.waits = open.placed.terms.waits();
        ensure!(book.sitting.phase == Phase::Open, Market, "order {order} is placed while its market is not open");
        if !open.waits {
            running.works(symbol, order, book);
        }
        let list = self.lists.get_mut(&membership.list);
        let Some(list) = list.filter(|list| list.working.is_none() && list.others.contains(&order)) else {
            return Err(wrong(format!("order {order} is placed before its working order was filled")));
        };
        running.steps += u32::from(!list.placed);
        list.placed = true;
        let worth = i128::from(quantity.0) * unit;
        let due = if list.kind.pays_on() { worth <= list.received } else { asked == quantity.0 };
        ensure!(due && !quantity.is_zero(), Market, "order {order} is placed for {quantity:?} of {list:?}");
        Ok(())
    }

    /// The first pending order of a list is placed. Those that wait for a price that was reached come before.
    fn is_their_turn(&mut self, symbol: SymbolId, order: OrderId) -> Result<(), Violation> {
        let membership = self.book(symbol)?.open.get(&order).and_then(|open| open.placed.terms.list());
        if membership.and_then(|membership| self.lists.get(&membership.list)).is_some_and(List::is_due) {
            let book = self.book(symbol)?;
            let first = book.reached_orders().next();
            ensure!(first.is_none(), Market, "order {order} is placed before {first:?} is triggered");
            book.forget_reached(true);
        }
        Ok(())
    }

    pub(super) fn list_changed(
        &mut self,
        id: OrderListId,
        account: AccountId,
        status: ListStatus,
    ) -> Result<(), Violation> {
        let known = self.lists.get(&id).filter(|list| list.account == account);
        ensure!(known.is_some(), Market, "list {id} changes, and is not open");
        let is_open = known.is_some_and(|list| list.working.is_some() || !list.others.is_empty());
        ensure!(is_open == (status == ListStatus::Executing), Market, "list {id} is {status:?}: {known:?}");
        if status == ListStatus::AllDone {
            self.lists.remove(&id);
        } else if !self.waits_for_price(id) {
            self.fit_list(id);
        }
        Ok(())
    }

    /// An order of a list has ended.
    pub(super) fn ended_in_list(&mut self, id: OrderListId, open: &Open, reason: CloseReason) -> Result<(), Violation> {
        let order = open.placed.order;
        let Some(list) = self.lists.get_mut(&id) else {
            return Err(wrong(format!("order {order} ends, and its list {id} has ended before")));
        };
        if list.working == Some(order) {
            list.working = None;
            let allowed =
                !matches!(reason, CloseReason::OcoTrigger | CloseReason::WorkingEnded | CloseReason::Unplaceable);
            ensure!(allowed, Market, "working order {order} ends by {reason:?}: {list:?}");
            list.ends = (reason != CloseReason::Filled).then_some(reason);
            return Ok(());
        }
        list.others.retain(|&other| other != order);
        match reason {
            CloseReason::WorkingEnded => {
                let ended = !list.placed && list.working.is_none() && list.ends.is_some();
                ensure!(ended, Market, "order {order} ends by {reason:?}: {list:?}");
            }
            CloseReason::Unplaceable => {
                ensure!(list.is_due() || list.is_parted, Market, "order {order} could be placed: {list:?}");
                list.ends = Some(reason);
            }
            CloseReason::OcoTrigger => {
                ensure!(list.kind.has_pair() && !list.is_parted, Market, "order {order} is of no pair: {list:?}");
                list.is_parted = true;
            }
            _ => list.ends = Some(reason),
        }
        if reason == CloseReason::OcoTrigger {
            self.part_reserve(id);
        }
        Ok(())
    }

    /// An order has received so much, less the fee.
    pub(super) fn received_in_list(&mut self, open: &Open, amount: i128) {
        let membership = open.placed.terms.list();
        let list = membership.and_then(|membership| self.lists.get_mut(&membership.list));
        if let Some(list) = list.filter(|list| list.working == Some(open.placed.order)) {
            list.received += amount;
        }
    }

    /// The markets in which orders of lists are to be placed.
    pub(super) fn due_lists(&self) -> BTreeSet<SymbolId> {
        self.lists.values().filter(|list| list.is_due()).map(|list| list.symbol).collect()
    }

    /// What must be true of every list after a command.
    pub(super) fn check_lists(&self) -> Result<(), Violation> {
        for (id, list) in &self.lists {
            ensure!(list.ends.is_none(), Market, "an order of list {id} has ended, and others have not: {list:?}");
            ensure!(list.working.is_some() || !list.others.is_empty(), Market, "list {id} is done, and open");
            let runs = |order: &OrderId| {
                let open = self.books.get(&list.symbol).and_then(|book| book.open.get(order));
                open.is_some_and(|open| {
                    let triggered = open.placed.terms.waits() && !open.waits;
                    triggered || open.decremented || open.traded
                })
            };
            let running = list.others.iter().filter(|order| runs(order)).count();
            ensure!(
                list.others.len() < 2 || running == 0,
                Market,
                "one order of list {id} runs, and the other has not ended: {list:?}"
            );
            ensure!(!list.is_parted || running == 1, Market, "an order of list {id} has ended without need: {list:?}");
        }
        Ok(())
    }

    /// An order of a list has got its price from the book.
    pub(super) fn pegged_in_list(&mut self, id: OrderListId, order: OrderId, price: Price) {
        match self.lists.get_mut(&id) {
            Some(list) if list.working == Some(order) => list.near = Some(price),
            Some(_) => self.fit_list(id),
            None => {}
        }
    }

    /// Whether an order of a list that was just placed is about to get its price from the book.
    fn waits_for_price(&self, id: OrderListId) -> bool {
        let Some(list) = self.lists.get(&id) else { return false };
        let open = |order: &OrderId| self.books.get(&list.symbol).and_then(|book| book.open.get(order));
        let pegged =
            |open: &Open| !open.waits && open.placed.terms.peg().is_some() && open.placed.terms.price.is_none();
        list.others.iter().filter_map(open).any(pegged)
    }

    /// Whether an order is a working order that pays for the others.
    pub(super) fn is_to_pay(&self, id: OrderListId, order: OrderId) -> bool {
        self.lists.get(&id).is_some_and(|list| list.working == Some(order) && list.kind.pays_on())
    }

    /// The list of an open order.
    pub(super) fn list_with(&self, symbol: SymbolId, order: OrderId) -> Option<&List> {
        let open = self.books.get(&symbol)?.open.get(&order)?;
        self.lists.get(&open.placed.terms.list()?.list)
    }

    /// Whether an order is the first of those of its list that are not its working order.
    pub(super) fn is_first_of_others(&self, open: &Open) -> bool {
        let list = open.placed.terms.list().and_then(|membership| self.lists.get(&membership.list));
        list.is_some_and(|list| list.others.first() == Some(&open.placed.order))
    }

    /// Whether two orders belong to one list.
    pub(super) fn are_of_one_list(&self, symbol: SymbolId, orders: [OrderId; 2]) -> bool {
        let book = self.books.get(&symbol);
        let lists = orders.map(|order| book.and_then(|book| book.open.get(&order)?.placed.terms.list()));
        lists[0].is_some_and(|list| lists[1].is_some_and(|other| list.list == other.list))
    }

    /// Of an order of a list: the price near which it runs if it names none, and whether funds are held for it and
    /// others together.
    pub(super) fn held_near(&self, open: &Open) -> (Option<Price>, bool) {
        let list = open.placed.terms.list().and_then(|membership| self.lists.get(&membership.list));
        list.filter(|list| list.working != Some(open.placed.order))
            .map_or((None, false), |list| (list.near.filter(|_| open.waits), !list.placed || list.others.len() > 1))
    }

    /// Whether an order shares what is held for it with others of its list.
    pub(super) fn is_dependent(&self, open: &Open) -> bool {
        let list = open.placed.terms.list().and_then(|membership| self.lists.get(&membership.list));
        list.is_some_and(|list| list.working != Some(open.placed.order))
    }

    /// What must be held for the orders of a list that depend on each other or on the working order.
    pub(super) fn needed_for(&self, list: &List) -> Option<(AssetId, i128)> {
        let book = self.books.get(&list.symbol)?;
        let others: Vec<&Open> = list.others.iter().filter_map(|order| book.open.get(order)).collect();
        if list.kind.pays_on() && !list.placed {
            return Some((book.pays(Side::Sell), list.received));
        }
        let near = |open: &Open| list.near.filter(|_| open.waits);
        let amount = others.iter().map(|open| book.needed(open, near(open))).max()?;
        Some((book.pays(others.first()?.placed.terms.side), amount))
    }
}
