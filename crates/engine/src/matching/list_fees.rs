//! Fees of orders of lists that are paid in the asset of the discount.
//!
//! The working order of a list has a reserve of its own, as any order has. Its other orders have one together for as
//! long as funds are held for them together: each has an entry for the same hold. When one of a pair begins to run, the
//! other's entry goes, and what is held beyond what the one can cost is free.

use crossbook_protocol::event::Events;
use crossbook_protocol::order::OrderTerms;
use crossbook_protocol::peer::ListFunding;
use crossbook_types::{AccountId, Amount, OrderId, OrderListId, Price, Quantity};

use super::discount::Reserve;
use super::open::Owner;
use super::order_lists::{ListLeg, OrderList};
use super::{Matcher, base};
use crate::admission::discount::worth_in_list;
use crate::list_admission;
use crate::outbox::Accounts;

impl Matcher {
    /// Takes in what is held for the fees of the orders of a list that was just numbered; of its others, whose trades
    /// are worth so much at most, what is beyond that is free.
    #[cold]
    pub(super) fn take_list_reserves(
        &mut self,
        list: &OrderList,
        funding: &ListFunding,
        worth: Amount,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        let account = list.account;
        if let Some((order, discount)) = list.working.zip(funding.working_discount) {
            self.take_reserve(order, account, discount, events);
        }
        let Some(mut discount) = funding.discount else { return };
        let most = discount.rates.most(worth).unwrap_or(discount.held);
        if discount.held > most {
            accounts.reduce(account, discount.hold, discount.held.minus(most));
            discount.held = most;
        }
        for leg in &list.legs {
            self.take_reserve(leg.order, account, discount, events);
        }
    }

    /// What so much of an order of a list is taken to be worth that is not its working order, as the market is now.
    pub(super) fn worth_in_list(
        &self,
        order: &OrderTerms,
        quantity: Quantity,
        (limit, near): (Option<Price>, Option<Price>),
        need: Amount,
    ) -> Amount {
        worth_in_list(order, quantity, (limit, near.or(self.last_price)), need, &self.market)
    }

    /// The orders of a list need less than before: what is held for their fees beyond what one of them can cost is
    /// free.
    #[cold]
    pub(super) fn fit_list_reserve(&mut self, id: OrderListId, accounts: &mut Accounts<'_>) {
        let Some(list) = self.lists.get(id) else { return };
        let worth = |leg: &ListLeg| {
            let prices = (self.limit_of(leg), list.near);
            self.worth_in_list(&leg.terms, base(leg.terms.size), prices, leg.need)
        };
        let worth = list.legs.iter().map(worth).fold(Amount::ZERO, Amount::max);
        self.lower_list_reserve(id, worth, accounts);
    }

    /// So much is left of an amended working order, which pays for the others: they are at most for what it has bought
    /// and that.
    #[cold]
    pub(super) fn fit_unpaid_reserve(&mut self, working: OrderId, left: Quantity, accounts: &mut Accounts<'_>) {
        let Some((id, list)) = self.lists.of(working) else { return };
        if !list.kind.pays_on() || list.working != Some(working) {
            return;
        }
        let terms: Vec<&OrderTerms> = list.legs.iter().map(|leg| &leg.terms).collect();
        let bought = self.market.lots_in(list.held);
        let quantity = bought.plus(left).min(list_admission::largest(&terms, &self.market));
        let worth = |leg: &ListLeg| self.worth_in_list(&leg.terms, quantity, (leg.terms.limit(), list.near), leg.need);
        let worth = list.legs.iter().map(worth).fold(Amount::ZERO, Amount::max);
        self.lower_list_reserve(id, worth, accounts);
    }

    /// Frees what the orders of a list have together beyond the fees of trades that are worth so much.
    pub(super) fn lower_list_reserve(&mut self, id: OrderListId, worth: Amount, accounts: &mut Accounts<'_>) {
        let Some(list) = self.lists.get(id) else { return };
        let Some(reserve) = list.legs.first().and_then(|leg| self.reserves.get(leg.order)) else { return };
        let most = reserve.rates.most(worth).unwrap_or(reserve.left);
        if reserve.left > most {
            accounts.reduce(list.account, reserve.hold, reserve.left.minus(most));
            list.legs.iter().for_each(|leg| self.reserves.lower(leg.order, most));
        }
    }

    /// An order of a list has ended, of which these are the others but for the working one: what was held for its fees
    /// is free, unless it is there for one of those, too.
    #[cold]
    pub(super) fn end_list_reserve(&mut self, owner: Owner, legs: &[ListLeg], accounts: &mut Accounts<'_>) {
        let Some(reserve) = self.reserves.remove(owner.order) else { return };
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::ListReserveStays)
            && legs.iter().any(|leg| leg.order == owner.order)
        {
            return;
        }
        let shares = |leg: &ListLeg| self.reserves.get(leg.order).is_some_and(|other| other.hold == reserve.hold);
        if !legs.iter().any(shares) {
            accounts.release(owner.account, reserve.hold);
        }
    }

    /// One order of a pair begins to run, and the other has ended: what is held for their fees is what the one can
    /// cost.
    #[cold]
    pub(super) fn part_reserve(
        &mut self,
        leg: &ListLeg,
        (other, near): (OrderId, Option<Price>),
        account: AccountId,
        accounts: &mut Accounts<'_>,
    ) {
        if self.reserves.remove(other).is_none() {
            return;
        }
        match self.open.handle_of(leg.order).map(|handle| self.open.amendable(handle)) {
            Some(order) => self.amend_reserve(&order, order.left, accounts),
            // It is about to work.
            None => {
                let prices = (leg.terms.limit(), near);
                let worth = self.worth_in_list(&leg.terms, base(leg.terms.size), prices, leg.need);
                self.fit_reserve(leg.order, account, worth, accounts);
            }
        }
    }

    /// What is held for the fees of an order and of those that end with it: the order's own, or what its list has for
    /// its working order and for the others.
    pub(super) fn reserves_with(&self, owner: Owner) -> [Option<Reserve>; 2] {
        match owner.listed.then(|| self.lists.of(owner.order)).flatten() {
            None => [self.reserves.get(owner.order), None],
            Some((_, list)) => {
                [list.working, list.legs.first().map(|leg| leg.order)].map(|order| self.reserves.get(order?))
            }
        }
    }

    /// Whether orders of lists that have something together for their fees all say the same of it.
    pub(super) fn are_reserves_of_lists_sound(&self) -> bool {
        let of = |leg: &ListLeg| self.reserves.get(leg.order);
        self.lists.iter().filter(|list| list.legs.iter().all(|leg| list.holds_for(leg.order))).all(|list| {
            let mut all = list.legs.iter().map(of);
            let first = all.next().flatten();
            all.all(|other| other == first)
        })
    }
}
