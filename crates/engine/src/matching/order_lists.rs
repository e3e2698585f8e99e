//! The open order lists of a market, beside its open orders.
//!
//! A list is here for as long as one of its orders is open. The orders themselves say only that they belong to one
//! ([`Owner::listed`](super::open::Owner)), so that other orders never touch this table.

use std::collections::BTreeMap;

use crossbook_protocol::order::OrderTerms;
use crossbook_protocol::order_list::ListTarget;
use crossbook_protocol::peer::Settlement;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{AccountId, Amount, ClientOrderId, Fees, HoldId, ListKind, OrderId, OrderListId, Price};

use super::open::Order;
use crate::outbox::Accounts;

/// An open list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OrderList {
    pub(crate) account: AccountId,
    pub(crate) client_order_id: ClientOrderId,
    pub(crate) kind: ListKind,
    /// The working order, while it is open.
    pub(crate) working: Option<OrderId>,
    /// The other orders that have not ended.
    pub(crate) legs: Vec<ListLeg>,
    /// Whether these are placed; otherwise they are pending.
    pub(crate) released: bool,
    /// What holds the funds of the other orders.
    pub(crate) hold: HoldId,
    /// How much it holds, while none of them has begun to run.
    pub(crate) held: Amount,
    pub(crate) fees: Fees,
    /// The price of the working order; without one, the last price, if one of the others trails it from the beginning.
    /// What is held for an order that names no price follows from it.
    pub(crate) near: Option<Price>,
}

/// An order of a list that is not its working order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ListLeg {
    pub(crate) order: OrderId,
    /// What it asks for. An order that is paid from what the working order receives gets its quantity when it is
    /// placed.
    pub(crate) terms: OrderTerms,
    /// What it needs of what the list holds.
    pub(crate) need: Amount,
}

impl OrderList {
    /// An order of the list as it is in a book.
    pub(crate) fn order(&self, leg: &ListLeg) -> Order {
        let OrderTerms { client_order_id, side, order_type, time_in_force, self_trade_prevention, .. } = leg.terms;
        Order {
            id: leg.order,
            account: self.account,
            hold: self.hold,
            client_order_id,
            fees: self.fees,
            side,
            order_type,
            time_in_force,
            self_trade_prevention,
        }
    }

    /// The orders that have not ended.
    pub(crate) fn open_orders(&self) -> impl Iterator<Item = OrderId> {
        self.working.into_iter().chain(self.legs.iter().map(|leg| leg.order))
    }

    /// Whether an order is one of those for which the list holds funds together: it is pending, or one of a pair of
    /// which none has begun to run.
    pub(crate) fn holds_for(&self, order: OrderId) -> bool {
        self.working != Some(order) && (!self.released || self.legs.len() > 1)
    }

    /// Whether an order is pending, and has no quantity yet.
    pub(crate) fn is_unpaid(&self, order: OrderId) -> bool {
        self.kind.pays_on() && !self.released && self.working != Some(order)
    }

    /// Whether both orders of its pair are placed, so that one hold is for both.
    pub(crate) fn is_open_pair(&self) -> bool {
        self.released && self.legs.len() > 1
    }
}

/// All open lists of a market.
#[derive(Clone, Debug, Default)]
pub(super) struct OrderLists {
    lists: BTreeMap<OrderListId, OrderList>,
    of_order: BTreeMap<OrderId, OrderListId>,
    named: BTreeMap<(AccountId, ClientOrderId), OrderListId>,
}

impl OrderLists {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Adds a list; false if one of its numbers or its name is taken.
    pub(super) fn insert(&mut self, id: OrderListId, list: OrderList) -> bool {
        let taken = self.lists.contains_key(&id)
            || self.named.contains_key(&(list.account, list.client_order_id))
            || list.open_orders().any(|order| self.of_order.contains_key(&order));
        if taken {
            return false;
        }
        self.named.insert((list.account, list.client_order_id), id);
        self.of_order.extend(list.open_orders().map(|order| (order, id)));
        self.lists.insert(id, list);
        true
    }

    /// Takes a list out, with all orders of it that are open.
    pub(super) fn remove(&mut self, id: OrderListId) -> Option<OrderList> {
        let list = self.lists.remove(&id)?;
        self.named.remove(&(list.account, list.client_order_id));
        for order in list.open_orders() {
            self.of_order.remove(&order);
        }
        Some(list)
    }

    pub(super) fn get(&self, id: OrderListId) -> Option<&OrderList> {
        self.lists.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: OrderListId) -> Option<&mut OrderList> {
        self.lists.get_mut(&id)
    }

    /// The list of an open order.
    pub(super) fn of(&self, order: OrderId) -> Option<(OrderListId, &OrderList)> {
        let id = *self.of_order.get(&order)?;
        Some((id, self.lists.get(&id)?))
    }

    /// Takes an order that has ended out of its list, and says which list that is and whether the order was its working
    /// order.
    pub(super) fn end_order(&mut self, order: OrderId) -> Option<(OrderListId, bool)> {
        let id = self.of_order.remove(&order)?;
        let list = self.lists.get_mut(&id)?;
        let was_working = list.working == Some(order);
        if was_working {
            list.working = None;
        } else {
            list.legs.retain(|leg| leg.order != order);
        }
        Some((id, was_working))
    }

    /// How many lists an account has.
    pub(super) fn count_of(&self, account: AccountId) -> usize {
        let from = (account, ClientOrderId::default());
        self.named.range(from..).take_while(|((owner, _), _)| *owner == account).count()
    }

    /// Whether an account has a list of that name.
    pub(super) fn has_named(&self, account: AccountId, name: ClientOrderId) -> bool {
        self.named.contains_key(&(account, name))
    }

    /// The account's list of that name or number.
    pub(super) fn find(&self, account: AccountId, target: ListTarget) -> Option<OrderListId> {
        let owned = |id: OrderListId| self.get(id).filter(|list| list.account == account);
        match target {
            ListTarget::List(id) => owned(id).map(|_| id),
            ListTarget::Client(name) => self.named.get(&(account, name)).copied(),
            ListTarget::Both(id, name) => owned(id).filter(|list| list.client_order_id == name).map(|_| id),
        }
    }

    /// Settles a side of a trade, of that order if it belongs to a list.
    #[inline]
    pub(super) fn settle(&mut self, listed: Option<OrderId>, settlement: &Settlement, accounts: &mut Accounts<'_>) {
        match listed {
            None => accounts.settle(settlement),
            Some(order) => self.settle_listed(order, settlement, accounts),
        }
    }

    /// What a working order receives that pays for others is held for them.
    #[cold]
    fn settle_listed(&mut self, order: OrderId, settlement: &Settlement, accounts: &mut Accounts<'_>) {
        let id = self.of_order.get(&order).copied();
        let list = id.and_then(|id| self.lists.get_mut(&id));
        match list.filter(|list| list.kind.pays_on() && list.working == Some(order)) {
            Some(list) => {
                list.held = list.held.plus(settlement.receive.minus(settlement.fee));
                accounts.settle_into(settlement, list.hold);
            }
            None => accounts.settle(settlement),
        }
    }

    /// The lists, by number.
    pub(super) fn state(&self) -> Vec<(OrderListId, OrderList)> {
        self.lists.iter().map(|(&id, list)| (id, list.clone())).collect()
    }

    /// The lists, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &OrderList> {
        self.lists.values()
    }
}

wire_struct! {
    OrderList {
        0: account, 1: client_order_id, 2: kind, 3: working, 4: legs, 5: released, 6: hold, 7: held, 8: fees, 9: near,
    }
    ListLeg { 0: order, 1: terms, 2: need }
}
