//! Order lists of one market, for queries of their owners. Open lists stay; of the others the oldest are evicted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crossbook_protocol::order_list::{ListImported, ListPlaced};
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{AccountId, ClientOrderId, ListKind, ListStatus, OrderId, OrderListId, SymbolId, Timestamp};

use crate::error::Error;
use crate::limits::Forgotten;

/// An order list as its owner sees it, from its acceptance until after its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderList {
    /// Its number.
    pub list: OrderListId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// Its kind.
    pub kind: ListKind,
    /// The client's name for it.
    pub client_order_id: ClientOrderId,
    /// Its orders, and the client's names for them.
    pub orders: Vec<(OrderId, ClientOrderId)>,
    /// What has become of it.
    pub status: ListStatus,
    /// When it was accepted.
    pub placed: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

impl OrderList {
    /// An open list as it stood where it comes from.
    fn moved_in(moved: &ListImported) -> Self {
        let ListImported { placed, names, placed_at, updated } = moved;
        Self {
            list: placed.list,
            account: placed.account,
            kind: placed.kind,
            client_order_id: placed.client_order_id,
            orders: placed.orders.iter().copied().zip(names.iter().copied()).collect(),
            status: ListStatus::Executing,
            placed: *placed_at,
            updated: *updated,
        }
    }

    /// An open list as it goes elsewhere.
    pub(crate) fn to_move(&self, symbol: SymbolId) -> ListImported {
        let &Self { list, account, kind, client_order_id, placed: placed_at, updated, .. } = self;
        let orders = self.orders.iter().map(|&(order, _)| order).collect();
        let names = self.orders.iter().map(|&(_, name)| name).collect();
        let placed = ListPlaced { symbol, list, account, kind, client_order_id, orders };
        ListImported { placed, names, placed_at, updated }
    }
}

/// The lists of a market.
#[derive(Clone, Debug, Default)]
pub(crate) struct OrderLists {
    lists: BTreeMap<OrderListId, OrderList>,
    of_account: BTreeMap<AccountId, BTreeSet<OrderListId>>,
    /// The newest list of each name.
    named: BTreeMap<(AccountId, ClientOrderId), OrderListId>,
    /// In the order in which they ended.
    done: VecDeque<OrderListId>,
    forgotten: Option<Forgotten<OrderListId>>,
}

/// What a snapshot keeps of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct OrderListsState {
    open: Vec<OrderList>,
    /// In the order in which they ended.
    done: Vec<OrderList>,
    forgotten: Option<Forgotten<OrderListId>>,
}

impl OrderLists {
    pub(crate) fn get(&self, list: OrderListId) -> Option<&OrderList> {
        self.lists.get(&list)
    }

    pub(crate) fn named(&self, account: AccountId, name: ClientOrderId) -> Option<&OrderList> {
        self.named.get(&(account, name)).and_then(|&list| self.get(list))
    }

    /// The lists of an account, by number.
    pub(crate) fn of_account(&self, account: AccountId) -> impl DoubleEndedIterator<Item = &OrderList> {
        self.of_account.get(&account).into_iter().flatten().filter_map(|list| self.lists.get(list))
    }

    /// All lists, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &OrderList> {
        self.lists.values()
    }

    /// The newest list that memory no longer holds, if there is one.
    pub(crate) fn forgotten(&self) -> Option<Forgotten<OrderListId>> {
        self.forgotten
    }

    /// Enters a list whose orders, with their names, are these.
    pub(crate) fn place(&mut self, placed: &ListPlaced, orders: Vec<(OrderId, ClientOrderId)>, time: Timestamp) {
        let &ListPlaced { list, account, kind, client_order_id, .. } = placed;
        let status = ListStatus::Executing;
        self.enter(OrderList { list, account, kind, client_order_id, orders, status, placed: time, updated: time });
    }

    /// Enters an open list that was placed elsewhere.
    pub(crate) fn move_in(&mut self, moved: &ListImported) {
        self.enter(OrderList::moved_in(moved));
    }

    fn enter(&mut self, list: OrderList) {
        self.of_account.entry(list.account).or_default().insert(list.list);
        self.named.insert((list.account, list.client_order_id), list.list);
        self.lists.insert(list.list, list);
    }

    /// Folds that one of its orders has another name.
    pub(crate) fn rename(&mut self, list: OrderListId, order: OrderId, name: ClientOrderId, time: Timestamp) {
        let known = self.lists.get_mut(&list).expect("the list of an open order is known");
        let named = known.orders.iter_mut().find(|(id, _)| *id == order).expect("an order of a list is in it");
        (named.1, known.updated) = (name, time);
    }

    /// Folds a change; of those that are done at most `done_max` are kept.
    pub(crate) fn change(&mut self, list: OrderListId, status: ListStatus, time: Timestamp, done_max: usize) {
        let known = self.lists.get_mut(&list).expect("an order list that changes is known");
        (known.status, known.updated) = (status, time);
        if status == ListStatus::AllDone {
            self.done.push_back(list);
            self.shorten(done_max);
        }
    }

    fn shorten(&mut self, done_max: usize) {
        while self.done.len() > done_max
            && let Some(oldest) = self.done.pop_front()
            && let Some(list) = self.lists.remove(&oldest)
        {
            Forgotten::note(&mut self.forgotten, oldest, list.placed, list.updated);
            if let Some(lists) = self.of_account.get_mut(&list.account) {
                lists.remove(&oldest);
                if lists.is_empty() {
                    self.of_account.remove(&list.account);
                }
            }
            // A newer one may have taken the name over.
            let name = (list.account, list.client_order_id);
            if self.named.get(&name) == Some(&oldest) {
                self.named.remove(&name);
            }
        }
    }

    pub(crate) fn state(&self) -> OrderListsState {
        let is_open = |list: &&OrderList| list.status == ListStatus::Executing;
        OrderListsState {
            open: self.lists.values().filter(is_open).cloned().collect(),
            done: self.done.iter().filter_map(|list| self.lists.get(list)).cloned().collect(),
            forgotten: self.forgotten,
        }
    }

    pub(crate) fn restore(state: OrderListsState, done_max: usize) -> Result<Self, Error> {
        let mut lists = Self { forgotten: state.forgotten, ..Self::default() };
        let open = state.open.iter().all(|list| list.status == ListStatus::Executing);
        let done = state.done.iter().all(|list| list.status == ListStatus::AllDone);
        if !open || !done {
            return Err(Error("an order list's status does not go with its place"));
        }
        lists.done = state.done.iter().map(|list| list.list).collect();
        let mut all: Vec<OrderList> = state.open.into_iter().chain(state.done).collect();
        // By number, so that of several lists of one name the newest is found by it.
        all.sort_unstable_by_key(|list| list.list);
        if !all.is_sorted_by(|one, next| one.list < next.list) {
            return Err(Error("an order list twice"));
        }
        all.into_iter().for_each(|list| lists.enter(list));
        lists.shorten(done_max);
        Ok(lists)
    }
}

wire_struct! {
    OrderList {
        0: list, 1: account, 2: kind, 3: client_order_id, 4: orders, 5: status, 6: placed, 7: updated,
    }
    OrderListsState { 0: open, 1: done, 2: forgotten }
}
