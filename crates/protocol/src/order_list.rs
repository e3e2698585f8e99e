//! Order lists: orders that are placed together and depend on each other.
//!
//! A list has a *pair* (OCO), of which one order ends when the other runs; or a *working order* and one order or a pair
//! that are *pending* until it is filled (OTO, OTOCO, OPO, OPOCO). All of a list is in one market and of one account.

use crossbook_types::{AccountId, ClientOrderId, ListKind, OrderId, OrderListId, SymbolId, Timestamp, TradeGroupId};

use crate::order::OrderTerms;

/// A new order list. See [`Body::PlaceList`](crate::Body::PlaceList).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewList {
    /// The account that places it.
    pub account: AccountId,
    /// The market, which is that of every order of it.
    pub symbol: SymbolId,
    /// The client's name for the list; unique among the account's open lists in the market.
    pub client_order_id: ClientOrderId,
    /// Its kind.
    pub kind: ListKind,
    /// Its orders, in the order of their numbers: the working order, if it has one; of a pair the stop-loss order
    /// before the other. The orders that are paid from what the working order receives have no quantity: zero stands
    /// for it.
    pub orders: Vec<OrderTerms>,
}

impl NewList {
    /// The working order, if it has one, and the others.
    #[must_use]
    pub fn parts(&self) -> (Option<&OrderTerms>, &[OrderTerms]) {
        match self.orders.split_first() {
            Some((working, others)) if self.kind.has_working_order() => (Some(working), others),
            _ => (None, &self.orders),
        }
    }

    /// The same with orders of that trade group.
    #[must_use]
    #[cold]
    pub fn in_trade_group(&self, trade_group: Option<TradeGroupId>) -> Self {
        let orders = self.orders.iter().map(|order| order.in_trade_group(trade_group)).collect();
        Self { orders, ..self.clone() }
    }
}

/// How a client names one of its lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListTarget {
    /// By its number.
    List(OrderListId),
    /// By its own name for it.
    Client(ClientOrderId),
    /// By both, which must be of the same list.
    Both(OrderListId, ClientOrderId),
}

/// A request to cancel all orders of a list. See [`Body::CancelList`](crate::Body::CancelList).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CancelList {
    /// The account that the list belongs to.
    pub account: AccountId,
    /// The market.
    pub symbol: SymbolId,
    /// Which list.
    pub target: ListTarget,
    /// The client order id of this cancel, shown in the orders' reports.
    pub cancel_id: ClientOrderId,
}

/// An open list as it stood where it comes from. Its open orders come before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListImported {
    /// As it was accepted.
    pub placed: ListPlaced,
    /// The client's names for its orders.
    pub names: Vec<ClientOrderId>,
    /// When it was accepted.
    pub placed_at: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// A list that was accepted. The [`OrderPlaced`](crate::event::OrderPlaced) of its orders come before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListPlaced {
    /// The market.
    pub symbol: SymbolId,
    /// Its number.
    pub list: OrderListId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// Its kind.
    pub kind: ListKind,
    /// The client's name for it.
    pub client_order_id: ClientOrderId,
    /// Its orders.
    pub orders: Vec<OrderId>,
}
