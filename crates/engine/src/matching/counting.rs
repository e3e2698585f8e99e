//! What an account's open orders count for, told after they were placed: a limit that its partition knows was switched
//! on meanwhile. See [`crate::partition::counting`].

use crossbook_protocol::counted::{Counted, Second};
use crossbook_types::{AccountId, HoldId, OrderId, Quantity, Side};

use super::handle::Handle;
use super::order_lists::{ListLeg, OrderList};
use super::{Matcher, base};
use crate::admission::limits;

/// Something open that counts as an order, and for nothing else.
const ORDER: Counted = Counted { order: true, algo: false, iceberg: false, incoming: None, second: None, list: false };
/// A hold that counts for nothing.
const NOTHING: Counted = Counted { order: false, ..ORDER };

impl Matcher {
    /// Adds to `found` what the holds of an account's open orders count for: as orders, or if `position`, for what they
    /// would bring. Looks at `left` orders, from which those are taken, oldest first, from a number on; the number of
    /// the next one, if there are more.
    pub(crate) fn count_orders(
        &self,
        account: AccountId,
        position: bool,
        from: OrderId,
        left: &mut u32,
        found: &mut Vec<(HoldId, Counted)>,
    ) -> Option<OrderId> {
        let most = *left as usize;
        let mut orders = self.open.first_of_account(account, from, most + 1);
        let next = orders.get(most).map(|&(order, _)| order);
        orders.truncate(most);
        for &(order, handle) in &orders {
            *left -= 1;
            found.extend(self.counted(order, handle, position));
        }
        next
    }

    /// What the hold of an order counts for. The orders of a list that share one count with the first of them.
    fn counted(&self, order: OrderId, handle: Handle, position: bool) -> Option<(HoldId, Counted)> {
        match self.lists.of(order).filter(|(_, list)| list.working != Some(order)) {
            None if position => self.incoming_of(handle),
            None => Some(self.counted_alone(handle)),
            Some((_, list)) if list.legs.first().is_none_or(|leg| leg.order != order) => None,
            Some((_, list)) if position => self.incoming_of_list(list),
            Some((_, list)) => counted_of_list(list),
        }
    }

    fn counted_alone(&self, handle: Handle) -> (HoldId, Counted) {
        let (algo, iceberg) = self.open.counts_as(handle);
        (self.open.owner_at(handle).hold, Counted { algo, iceberg, ..ORDER })
    }

    fn incoming_of(&self, handle: Handle) -> Option<(HoldId, Counted)> {
        let order = self.open.amendable(handle);
        if order.side == Side::Sell {
            return None;
        }
        // What is held for one whose price the book or a trail is yet to give changes with that.
        let is_priced = order.limit.is_some() || !(order.trails || order.order_type.has_limit_price());
        let stop = order.stop.filter(|_| is_priced);
        let incoming = limits::incoming_at(&self.market, order.left, order.limit, stop);
        Some((order.owner.hold, Counted { incoming: Some(incoming), ..NOTHING }))
    }

    /// Of a pair one is carried out.
    fn incoming_of_list(&self, list: &OrderList) -> Option<(HoldId, Counted)> {
        let buys = list.legs.iter().filter(|leg| leg.terms.side == Side::Buy);
        let most = buys.map(|leg| self.left_of(leg)).max()?;
        let incoming = limits::incoming_at(&self.market, most, None, None);
        Some((list.hold, Counted { incoming: Some(incoming), ..NOTHING }))
    }

    fn left_of(&self, leg: &ListLeg) -> Quantity {
        let placed = self.open.handle_of(leg.order).filter(|handle| !handle.is_pending());
        placed.map_or(base(leg.terms.size), |handle| self.open.amendable(handle).left)
    }
}

fn counted_of_list(list: &OrderList) -> Option<(HoldId, Counted)> {
    let kinds = |leg: &ListLeg| (leg.terms.order_type.is_conditional(), leg.terms.iceberg().is_some());
    let (algo, iceberg) = kinds(list.legs.first()?);
    let second = list.legs.get(1).map(kinds).map(|(algo, iceberg)| Second { algo, iceberg });
    Some((list.hold, Counted { algo, iceberg, second, list: true, ..ORDER }))
}
