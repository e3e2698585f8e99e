//! What orders of lists need that take their price from the market: trailing stops that name none, and pegged orders.

use crossbook_protocol::order::OrderTerms;
use crossbook_protocol::order_list::NewList;
use crossbook_protocol::peer::ListFunding;
use crossbook_protocol::refusal::Refusal;
use crossbook_types::{Amount, Filter, Price, Quantity, Timestamp};

use super::order_lists::ListLeg;
use super::{Matcher, base};
use crate::list_admission::{self, names_no_price};

/// What of a new list follows from the prices of its market.
pub(super) struct PricedList {
    /// See [`OrderList::near`](super::order_lists::OrderList).
    pub(super) near: Option<Price>,
    /// What each of the orders that are not its working order needs.
    pub(super) needs: Vec<Amount>,
    /// What is to be held for these together.
    pub(super) held: Amount,
    /// What the dearest of these is taken to be worth, where their fees are to be paid.
    pub(super) worth: Amount,
    /// The limit price of its last order, if that rests at once.
    maker: Option<Price>,
}

impl PricedList {
    /// The price that the second order of a pair gets, if that rests at once.
    pub(super) fn limit_of_maker(&self, other: &OrderTerms) -> Option<Price> {
        self.maker.filter(|_| !other.waits())
    }
}

impl Matcher {
    /// What the orders of a list need.
    ///
    /// # Errors
    /// When one of them cannot have its price, or pay for it.
    pub(super) fn price_list(
        &self,
        list: &NewList,
        funding: &ListFunding,
        now: Timestamp,
    ) -> Result<PricedList, Refusal> {
        let (working, others) = list.parts();
        let budget = funding.working.map_or(Amount::ZERO, |(_, budget)| budget);
        let near = match working {
            Some(working) => self.limit_now(working, base(working.size), budget, now)?,
            None if others.iter().any(|order| names_no_price(order) && order.waits()) => {
                Some(self.last_price.ok_or(Refusal::Filter(Filter::Notional))?)
            }
            None => None,
        };
        let mut needs = Vec::with_capacity(others.len());
        let (mut maker, mut worth) = (None, Amount::ZERO);
        for order in others {
            maker = match working {
                Some(_) => order.limit(),
                None => self.limit_now(order, base(order.size), funding.held, now)?,
            };
            let need = list_admission::need(order, maker, near, &self.market);
            let quantity = list_admission::quantity_at_most(list, order, &self.market);
            worth = worth.max(self.worth_in_list(order, quantity, (maker, near), need));
            needs.push(need);
        }
        let held = match list.kind.pays_on() {
            true => Amount::ZERO,
            false => needs.iter().copied().fold(Amount::ZERO, Amount::max),
        };
        if held > funding.held {
            return Err(Refusal::InsufficientBalance);
        }
        Ok(PricedList { near, needs, held, worth, maker })
    }

    /// The limit price of an order of a list that is placed now: the one that it names, or that the book gives it.
    ///
    /// # Errors
    /// When it cannot have that price, or pay for it out of `budget`.
    pub(super) fn limit_now(
        &self,
        order: &OrderTerms,
        quantity: Quantity,
        budget: Amount,
        now: Timestamp,
    ) -> Result<Option<Price>, Refusal> {
        match order.peg().filter(|_| !order.waits()) {
            None => Ok(order.limit()),
            Some(peg) => self.checked_peg(order.side, peg, quantity, budget, now).map(Some),
        }
    }

    /// The limit price of an open order of a list: the one that it names, or that the book has given it.
    pub(super) fn limit_of(&self, leg: &ListLeg) -> Option<Price> {
        match leg.terms.peg() {
            None => leg.terms.price,
            Some(_) => {
                let handle = self.open.handle_of(leg.order).filter(|handle| handle.is_working())?;
                self.open.amendable(handle).limit
            }
        }
    }
}
