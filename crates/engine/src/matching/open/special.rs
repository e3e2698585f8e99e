//! What a market goes by of the instructions of an order.

use crossbook_book::Slot;
use crossbook_protocol::order::Instructions;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{Peg, Quantity, TradeGroupId, TrailingDelta};

use super::marks::Marks;
use super::{Known, OpenOrders};

/// See the module. A plain order has none of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Special {
    /// How much of it shows in the book at a time.
    pub(crate) iceberg: Option<Quantity>,
    /// How far the price has to come back to trigger it.
    pub(crate) trailing: Option<TrailingDelta>,
    /// Where its price comes from.
    pub(crate) peg: Option<Peg>,
    /// Its trade group.
    pub(crate) group: Option<TradeGroupId>,
    /// Whether something is held for its fees.
    pub(crate) discounted: bool,
}

impl Special {
    /// What of an order's instructions concerns its market.
    #[inline]
    pub(crate) fn of(instructions: Option<&Instructions>) -> Self {
        match instructions {
            None => Self::default(),
            Some(&Instructions { iceberg, trailing, peg, trade_group, discount, .. }) => {
                Self { iceberg, trailing, peg, group: trade_group, discounted: discount.is_some() }
            }
        }
    }
}

impl OpenOrders {
    /// What is special about a waiting order.
    #[inline]
    pub(super) fn special(&self, slot: Slot) -> Special {
        match self.waiting.data(slot).marks.has(Marks::SPECIAL) {
            true => *self.waiting_specials.get(slot),
            false => Special::default(),
        }
    }

    /// Marks an order that is about to wait as one that is special, if it is.
    pub(super) fn mark_special(&mut self, known: &mut Known, special: Special) {
        if special == Special::default() {
            return;
        }
        known.marks.set(Marks::SPECIAL);
        if special.discounted {
            known.marks.set(Marks::DISCOUNTED);
        }
        if special.iceberg.is_some() {
            known.marks.set(Marks::ICEBERG);
            self.icebergs.count(known.trader);
        }
    }
}

wire_struct! {
    Special as { iceberg, trailing, peg, group, discounted } {
        ; optional 0: iceberg, 10: trailing, 11: peg, 21: group, 60: discounted,
    }
}
