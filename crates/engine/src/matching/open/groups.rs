//! The trade groups of working orders.

use std::collections::BTreeMap;

use crossbook_book::Slot;
use crossbook_types::{AccountId, OrderId, SelfTradePrevention, Side, TradeGroupId};

use super::marks::Marks;
use super::{BySlot, OpenOrders};

/// See the module. Orders of no group are not in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    of: BySlot<Option<TradeGroupId>>,
    /// Where the orders of each group are.
    members: BTreeMap<(TradeGroupId, OrderId), Slot>,
}

impl Groups {
    /// The orders of a group; none of none.
    pub(super) fn members(&self, group: Option<TradeGroupId>) -> impl Iterator<Item = Slot> {
        let members = group.map(|group| self.members.range((group, OrderId(0))..=(group, OrderId(u64::MAX))));
        members.into_iter().flatten().map(|(_, &slot)| slot)
    }

    /// Forgets an order that is marked to be of a group.
    #[cold]
    pub(super) fn leave(&mut self, slot: Slot, order: OrderId) {
        let group = self.of.get(slot).expect("an order that is marked is of a group");
        let member = self.members.remove(&(group, order));
        assert_eq!(member, Some(slot), "an order is found in its group");
    }
}

impl OpenOrders {
    /// Puts a working order that was in no group into one.
    pub(crate) fn put_in_group(&mut self, order: OrderId, group: TradeGroupId) {
        let handle = self.find_id(order).expect("an order that works is open");
        let slot = handle.slot();
        self.working.data_mut(slot).marks.set(Marks::GROUPED);
        self.groups.of.put_anywhere(slot, Some(group));
        self.groups.members.insert((group, order), slot);
    }

    /// The trade group of a working order.
    pub(crate) fn group_at(&self, slot: Slot) -> Option<TradeGroupId> {
        if self.working.data(slot).marks.has(Marks::GROUPED) { *self.groups.of.get(slot) } else { None }
    }

    /// Whether a working order is of that account, or of that trade group.
    pub(crate) fn is_own(&self, slot: Slot, account: AccountId, group: Option<TradeGroupId>) -> bool {
        self.owner(self.working.data(slot)).account == account || (group.is_some() && self.group_at(slot) == group)
    }

    /// The mode of self-trade prevention of a working order.
    pub(crate) fn mode_at(&self, slot: Slot) -> SelfTradePrevention {
        self.working.data(slot).self_trade_prevention
    }

    /// The working orders of a side that are of trade groups, in the order in which they trade.
    pub(crate) fn grouped(&self, side: Side) -> impl Iterator<Item = (OrderId, TradeGroupId)> {
        let orders = self.working.orders(side);
        orders.filter_map(|entry| Some((entry.data.id, self.group_at(entry.slot)?)))
    }
}
