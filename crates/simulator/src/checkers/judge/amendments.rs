//! Amended orders: an amendment takes what it says from what is left, and the order keeps its place.

use crossbook_protocol::event::OrderAmended;
use crossbook_types::OrderId;

use super::{Judge, Left};
use crate::violation::{Violation, ensure};

impl Judge {
    pub(super) fn amended(&mut self, amended: &OrderAmended) -> Result<(), Violation> {
        let &OrderAmended { symbol, order, account, count, quantity, quantity_before, .. } = amended;
        let book = self.book(symbol)?;
        let (near, together) = book.open.get(&order).cloned().map_or((None, false), |open| self.held_near(&open));
        let book = self.book(symbol)?;
        let held = book.open.get(&order).map(|open| book.needed(open, near));
        let open = book.open.get_mut(&order).filter(|open| open.placed.account == account);
        ensure!(open.is_some(), Market, "order {order} is amended, and is not open");
        let Some(open) = open else { return Ok(()) };
        open.amended += 1;
        ensure!(
            open.amended == count,
            Market,
            "order {order} is amended for the {}th time, told is {count}",
            open.amended
        );
        let left = open.lots().checked_sub(quantity_before.0.saturating_sub(quantity.0)).filter(|&left| left > 0);
        ensure!(
            quantity < quantity_before && left.is_some(),
            Market,
            "order {order} is amended: {amended:?} of {open:?}"
        );
        if open.placed.terms.trailing().is_some() && open.waits && !together {
            let (lots, left) = (i128::from(open.lots()), i128::from(left.unwrap_or_default()));
            open.share = held.map(|held| held.min(left * (held / lots + i128::from(held % lots != 0))));
        }
        let lots = i128::from(open.lots());
        open.left = Left::Lots(left.unwrap_or_default());
        if open.placed.terms.trailing().is_some() && open.waits {
            open.share_reserve(lots);
        }
        // What is hidden goes first.
        open.shown = open.shown.map(|shown| shown.min(open.lots()));
        open.placed.terms.client_order_id = amended.client_order_id;
        let list = open.placed.terms.list();
        self.fit_reserve(symbol, order)?;
        match list.filter(|membership| self.is_to_pay(membership.list, order)) {
            Some(membership) => self.fit_to_be_paid_for(membership.list),
            None => list.filter(|_| together).into_iter().for_each(|membership| self.fit_list(membership.list)),
        }
        let id: OrderId = order;
        let same = |other: &&super::Open| {
            let (order, account) = (other.placed.order, other.placed.account);
            order != id && account == amended.account && other.placed.terms.client_order_id == amended.client_order_id
        };
        let other = self.book(symbol)?.open.values().find(same);
        ensure!(other.is_none(), Market, "order {order} is amended to have the name of {other:?}");
        Ok(())
    }
}
