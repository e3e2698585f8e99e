//! Orders of lists that change while funds are held for them together: pending orders, and pairs of which
//! none has begun to run. Amending one of a pair amends both, so that what is held for both is what either needs.

use crossbook_protocol::event::{Event, Events, OrderAmended};
use crossbook_protocol::order::{AmendOrder, Size};
use crossbook_types::{Amount, ClientOrderId, HoldId, OrderId, OrderListId, Quantity, Side};

use super::amend::{Amended, Amendment};
use super::discount::Reserve;
use super::handle::Handle;
use super::open::{Amendable, Level};
use super::order_lists::OrderList;
use super::{Matcher, base};
use crate::list_admission;
use crate::outbox::Accounts;

/// What an amendment does to an order of a list.
struct LegChange {
    order: OrderId,
    /// What it needs less than before.
    freed: Amount,
    name: ClientOrderId,
    name_before: ClientOrderId,
}

impl Matcher {
    /// The order at a handle, as an amendment sees it.
    pub(super) fn amendable(&self, handle: Handle) -> Amendable {
        if !handle.is_pending() {
            return self.open.amendable(handle);
        }
        let owner = self.open.owner_at(handle);
        let list = self.lists.of(owner.order).map(|(_, list)| list);
        let leg = list.and_then(|list| list.legs.iter().find(|leg| leg.order == owner.order));
        let terms = &leg.expect("a pending order is in its list").terms;
        Amendable {
            owner,
            side: terms.side,
            order_type: terms.order_type,
            limit: terms.limit(),
            stop: terms.stop_price.get(),
            held: None,
            trails: terms.trailing().is_some(),
            left: base(terms.size),
            client_order_id: terms.client_order_id,
        }
    }

    /// Whether an order is one of a pair of which none has begun to run.
    pub(crate) fn shares_its_hold(&self, order: OrderId) -> bool {
        self.lists.of(order).is_some_and(|(_, list)| list.holds_for(order))
    }

    /// The list of an order, if it holds funds for that and others together.
    pub(super) fn list_that_holds_for(&self, order: OrderId) -> Option<OrderListId> {
        self.lists.of(order).filter(|(_, list)| list.holds_for(order)).map(|(id, _)| id)
    }

    /// Whether an order is pending, and has no quantity before the working order of its list is filled.
    pub(super) fn is_unpaid(&self, order: OrderId) -> bool {
        self.lists.of(order).is_some_and(|(_, list)| list.is_unpaid(order))
    }

    /// Amends an order and the other one of its pair, if it has one. Something is left of them.
    pub(super) fn amend_together(
        &mut self,
        id: OrderListId,
        request: &AmendOrder,
        amendment: &Amendment,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        let less = amendment.order.left.minus(amendment.left);
        for change in self.lower_legs(id, request, amendment, less, accounts) {
            let LegChange { order, freed, name, name_before } = change;
            let handle = self.open.handle_of(order).expect("the orders of a list are open");
            let level = if handle.is_pending() { None } else { self.open.reduce(handle, less, freed) };
            self.open.rename(handle, name);
            let known = self.amendments.of(order);
            let count = known.map_or(0, |amended| amended.count) + 1;
            self.amendments.note(order, Amended { count, quantity: request.quantity });
            events.add(|| {
                Event::OrderAmended(OrderAmended {
                    symbol: self.market.id,
                    order,
                    account: request.account,
                    count,
                    quantity: request.quantity,
                    quantity_before: known.map_or(amendment.before, |amended| amended.quantity),
                    client_order_id: name,
                    client_order_id_before: name_before,
                })
            });
            if let Some(Level { side, price, left }) = level {
                self.depth_changed(side, price, left, events);
            }
        }
    }

    /// Lowers the orders in their list, and frees what they need less.
    fn lower_legs(
        &mut self,
        id: OrderListId,
        request: &AmendOrder,
        amendment: &Amendment,
        less: Quantity,
        accounts: &mut Accounts<'_>,
    ) -> Vec<LegChange> {
        let amended = amendment.order.owner.order;
        let Some(list) = self.lists.get(id) else { return Vec::new() };
        let limits: Vec<_> = list.legs.iter().map(|leg| self.limit_of(leg)).collect();
        let Some(list) = self.lists.get_mut(id) else { return Vec::new() };
        let (account, hold, near) = (list.account, list.hold, list.near);
        let mut changes = Vec::with_capacity(list.legs.len());
        for (leg, limit) in list.legs.iter_mut().zip(limits) {
            leg.terms.size = Size::Base(base(leg.terms.size).minus(less));
            let need = list_admission::need(&leg.terms, limit, near, &self.market);
            let freed = leg.need.minus(need);
            leg.need = need;
            let name_before = leg.terms.client_order_id;
            if leg.order == amended {
                leg.terms.client_order_id = request.client_order_id;
            }
            changes.push(LegChange { order: leg.order, freed, name: leg.terms.client_order_id, name_before });
        }
        let needed = list.legs.iter().map(|leg| leg.need).fold(Amount::ZERO, Amount::max);
        let freed = list.held.minus(needed);
        list.held = needed;
        if !freed.is_zero() {
            accounts.reduce(account, hold, freed);
        }
        self.fit_list_reserve(id, accounts);
        // What was asked for comes first.
        changes.sort_by_key(|change| change.order != amended);
        changes
    }

    /// What is held of the asset that orders of that side pay, for the order at a handle and those that end with it;
    /// `for_fees` is what is held for their fees.
    pub(super) fn funds(&self, handle: Handle, side: Side, for_fees: &[Option<Reserve>; 2]) -> [(HoldId, Amount); 4] {
        let order = self.amendable(handle);
        let list = order.owner.listed.then(|| self.lists.of(order.owner.order)).flatten();
        let none = (order.owner.hold, Amount::ZERO);
        let [one, other] = match list {
            Some((_, list)) => self.funds_of_list(list, side),
            None if order.side == side => [(order.owner.hold, self.held_for(&order)), none],
            None => [none; 2],
        };
        let paid = |reserve: &Reserve| reserve.asset == self.market.pays(side);
        let of = |reserve: Option<Reserve>| reserve.filter(paid).map_or(none, |reserve| (reserve.hold, reserve.left));
        let [of_one, of_other] = for_fees.map(of);
        [one, other, of_one, of_other]
    }

    fn funds_of_list(&self, list: &OrderList, side: Side) -> [(HoldId, Amount); 2] {
        let of = |id: OrderId| {
            let order = self.amendable(self.open.handle_of(id)?);
            let there = if list.holds_for(id) { list.held } else { self.held_for(&order) };
            (order.side == side).then_some((order.owner.hold, there))
        };
        let others = list.legs.first().map(|leg| leg.order);
        [list.working, others].map(|order| order.and_then(&of).unwrap_or((list.hold, Amount::ZERO)))
    }
}
