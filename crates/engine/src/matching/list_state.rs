//! The open order lists of a state or of another venue: takes them in if they can be, and audits them.

use crossbook_protocol::event::OrderPlaced;
use crossbook_protocol::import::{PlacedList, StandingList};
use crossbook_protocol::order::{Instructions, OrderTerms, Size};
use crossbook_types::{AccountId, Amount, HoldId, OrderId, OrderListId, Price, Quantity};

use std::collections::BTreeSet;

use super::order_lists::{ListLeg, OrderList};
use super::{Inconsistent, Matcher, base};
use crate::list_admission;

impl Matcher {
    /// Takes the lists of a state in. The orders that are placed are there already.
    pub(super) fn restore_lists(&mut self, lists: Vec<(OrderListId, OrderList)>) -> Result<(), Inconsistent> {
        for (id, list) in lists {
            if !self.is_sound(&list) {
                return Err(Inconsistent);
            }
            for leg in list.legs.iter().filter(|_| !list.released) {
                let order = list.order(leg);
                let applicant = self.open.applicant(order.account, order.client_order_id);
                if self.open.is_full() || self.is_taken(&order, applicant) {
                    return Err(Inconsistent);
                }
                self.open.hold_back(&order, leg.terms.iceberg().is_some(), applicant);
            }
            for order in list.open_orders() {
                let handle = self.open.handle_of(order).ok_or(Inconsistent)?;
                let owner = self.open.owner_at(handle);
                let shares = list.working == Some(order) || owner.hold == list.hold;
                if owner.account != list.account || owner.listed && list.released || !shares {
                    return Err(Inconsistent);
                }
                self.open.mark_listed(handle);
            }
            if list.is_open_pair() && !self.is_whole(&list) {
                return Err(Inconsistent);
            }
            if !self.lists.insert(id, list) {
                return Err(Inconsistent);
            }
        }
        Ok(())
    }

    /// Whether there can be such a list, whatever its orders in the book.
    fn is_sound(&self, list: &OrderList) -> bool {
        let orders: Vec<OrderId> = list.open_orders().collect();
        let distinct = orders.iter().enumerate().all(|(at, order)| !orders[..at].contains(order));
        let most = if list.kind.has_pair() { 2 } else { 1 };
        let counted = if list.released { (1..=most).contains(&list.legs.len()) } else { list.legs.len() == most };
        let formed = list.kind.has_working_order() || (list.released && list.working.is_none());
        let unpaid = list.kind.pays_on() && !list.released;
        let sized = |leg: &ListLeg| match leg.terms.size {
            Size::Base(quantity) => quantity <= Quantity::MAX && quantity.is_zero() == unpaid,
            Size::Quote(_) => false,
        };
        let prices = |leg: &ListLeg| {
            let mut prices = [leg.terms.price, leg.terms.stop_price.get(), list.near].into_iter().flatten().peekable();
            let told = prices.peek().is_some() || leg.terms.trailing().is_some() || leg.terms.peg().is_some();
            told && prices.all(|price| price <= Price::MAX)
        };
        let needs =
            |leg: &ListLeg| leg.need == list_admission::need(&leg.terms, self.limit_of(leg), list.near, &self.market);
        let together = list.legs.iter().all(|leg| list.holds_for(leg.order));
        let dearest = list.legs.iter().map(|leg| leg.need).fold(Amount::ZERO, Amount::max);
        distinct
            && counted
            && formed
            && list.working.is_none_or(|_| !list.released)
            && orders.iter().all(|&order| order < self.next_order)
            && !list.held.is_negative()
            && list.legs.iter().all(|leg| sized(leg) && prices(leg) && leg.terms.symbol == self.market.id)
            && (!together || (list.legs.iter().all(needs) && (unpaid || list.held == dearest)))
    }

    /// Whether nothing of a pair has traded or was triggered.
    fn is_whole(&self, list: &OrderList) -> bool {
        list.legs.iter().all(|leg| {
            let Some(handle) = self.open.handle_of(leg.order) else { return false };
            !self.open.has_traded(handle) && self.amendable(handle).left == base(leg.terms.size)
        })
    }

    /// Whether the lists whose pending orders are to be placed are such lists, each once.
    pub(super) fn are_releasable(&self, released: &[(OrderListId, Price)]) -> bool {
        let waits = |id| self.lists.get(id).is_some_and(|list| list.working.is_none() && !list.released);
        let each: BTreeSet<OrderListId> = released.iter().map(|&(id, _)| id).collect();
        each.len() == released.len() && released.iter().all(|&(id, price)| waits(id) && price <= Price::MAX)
    }

    /// The holds of what lists hold for several orders.
    pub(super) fn list_holds(&self) -> impl Iterator<Item = (AccountId, HoldId)> {
        self.lists.iter().map(|list| (list.account, list.hold))
    }

    /// What is wrong with what is held for lists; given what each hold of this partition's accounts has left.
    pub(super) fn audit_lists(&self, held: impl Fn(AccountId, HoldId) -> Option<Amount>, violations: &mut Vec<String>) {
        for list in self.lists.iter().filter(|list| list.legs.iter().all(|leg| list.holds_for(leg.order))) {
            let there = held(list.account, list.hold).filter(|&there| there != list.held);
            if let Some(there) = there {
                let (symbol, name) = (self.market.symbol, list.client_order_id.as_str());
                let (account, needed) = (list.account, list.held.0);
                violations
                    .push(format!("{symbol}: list {name} of account {account} needs {needed} held, {} is", there.0));
            }
        }
    }

    /// Takes an open order list in, whose orders are here already, but for those that are pending in it.
    ///
    /// # Errors
    /// When there cannot be such a list; it may be half taken then.
    pub(crate) fn move_list_in(&mut self, moved: &PlacedList) -> Result<(), Inconsistent> {
        let PlacedList { hold, list: standing, reserve_hold } = moved;
        let StandingList { list, working, near, released, others, held, fees, reserve, .. } = standing;
        let placed = &list.placed;
        let mut legs = Vec::with_capacity(others.len());
        for leg in others {
            let OrderPlaced { order, account, ref terms } = leg.order.placed;
            if account != placed.account {
                return Err(Inconsistent);
            }
            legs.push(ListLeg { order, terms: without_membership(terms), need: leg.need });
        }
        let list = OrderList {
            account: placed.account,
            client_order_id: placed.client_order_id,
            kind: placed.kind,
            working: *working,
            legs,
            released: *released,
            hold: *hold,
            held: *held,
            fees: *fees,
            near: *near,
        };
        self.restore_lists(vec![(placed.list, list)])?;
        for leg in others.iter().filter(|_| !released) {
            let order = leg.order.placed.order;
            self.move_amended_in(order, leg.order.amendments, base(leg.order.placed.terms.size));
            if let Some((hold, reserve)) = reserve_hold.zip(*reserve) {
                self.move_reserve_in(order, hold, reserve)?;
                self.open.mark_discounted(order);
            }
        }
        Ok(())
    }
}

/// The terms of an order as its list keeps them.
fn without_membership(terms: &OrderTerms) -> OrderTerms {
    let asked = terms.instructions.as_deref().copied().unwrap_or_default();
    OrderTerms { instructions: Instructions { list: None, ..asked }.boxed(), ..terms.clone() }
}
