//! Amends orders: lowers the quantity of an open order, which keeps its place in the queue.
//!
//! A market keeps what is left of an order, and not what it was placed for, because nothing else needs that. So the
//! first amendment of an order says it, and the quantity that an amendment gives is remembered here, beside the book.

use std::collections::BTreeMap;

use crossbook_protocol::event::{Answer, CloseReason, Event, Events, OrderAmended};
use crossbook_protocol::order::AmendOrder;
use crossbook_protocol::peer::{Origin, PeerMessage};
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{AccountId, Amount, Filter, HoldId, MarketStatus, OrderId, Quantity, Side};

use super::Matcher;
use super::handle::Handle;
use super::inconsistent::Inconsistent;
use super::open::{Amendable, Level};
use crate::admission;
use crate::outbox::Accounts;

/// An open order that was amended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Amended {
    /// How often.
    pub(crate) count: u32,
    /// What it is for since then, with what of it has traded.
    pub(crate) quantity: Quantity,
}

/// The open orders of a market that were amended.
#[derive(Clone, Debug, Default)]
pub(super) struct Amendments(BTreeMap<OrderId, Amended>);

impl Amendments {
    /// Forgets an order that has ended.
    #[inline]
    pub(super) fn forget(&mut self, order: OrderId) {
        if !self.0.is_empty() {
            self.0.remove(&order);
        }
    }

    /// An order's, if it was amended.
    pub(super) fn of(&self, order: OrderId) -> Option<Amended> {
        self.0.get(&order).copied()
    }

    /// An order was amended once more.
    pub(super) fn note(&mut self, order: OrderId, amended: Amended) {
        self.0.insert(order, amended);
    }

    /// All of them, by order.
    pub(super) fn state(&self) -> Vec<(OrderId, Amended)> {
        self.0.iter().map(|(&order, &amended)| (order, amended)).collect()
    }
}

/// What an amendment does.
pub(super) struct Amendment {
    handle: Handle,
    pub(super) order: Amendable,
    pub(super) before: Quantity,
    count: u32,
    /// What is left of the order then.
    pub(super) left: Quantity,
}

impl Matcher {
    /// Amends an order and answers.
    pub(crate) fn amend(
        &mut self,
        request: &AmendOrder,
        origin: Origin,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        let amendment = match self.check_amendment(request, accounts) {
            Ok(amendment) => amendment,
            Err(refusal) => return events.refuse(origin, refusal),
        };
        let order = amendment.order.owner.order;
        let listed = amendment.order.owner.listed;
        if amendment.left.is_zero() {
            self.close_open(amendment.handle, CloseReason::Amended, accounts, events);
            self.canceled();
        } else if listed && let Some(list) = self.list_that_holds_for(order) {
            self.amend_together(list, request, &amendment, accounts, events);
        } else {
            self.carry_out(request, &amendment, accounts, events);
        }
        events.answer(origin, || Answer::Amended { symbol: self.market.id, order });
    }

    fn check_amendment(&self, request: &AmendOrder, accounts: &Accounts<'_>) -> Result<Amendment, Refusal> {
        let &AmendOrder { account, target, quantity, placed, client_order_id, .. } = request;
        match self.status {
            _ if self.is_matching() => return Err(Refusal::AuctionMatching),
            MarketStatus::Trading | MarketStatus::CancelOnly | MarketStatus::AuctionMatch => {}
            status => return Err(Refusal::MarketClosed(status)),
        }
        let most = self.market.filters.amends_max;
        if most == 0 {
            return Err(Refusal::AmendNotAllowed);
        }
        let handle = self.open.find(account, target).ok_or(Refusal::UnknownOrder)?;
        let order = self.amendable(handle);
        if order.owner.listed && self.is_unpaid(order.owner.order) {
            return Err(Refusal::AmendUnpaid);
        }
        let known = self.amendments.of(order.owner.order);
        let before = known.map_or(placed, |amended| amended.quantity);
        let count = known.map_or(0, |amended| amended.count);
        // Nothing of a pending order can have traded.
        let claims_more = handle.is_pending() && before > order.left;
        if before < order.left || before > Quantity::MAX || claims_more {
            return Err(Refusal::MalformedOrder);
        }
        if quantity >= before {
            return Err(if quantity > before { Refusal::AmendIncrease } else { Refusal::AmendNothing });
        }
        self.check_amended(&order, quantity, accounts)?;
        if order.owner.listed {
            self.check_others(order.owner.order, quantity, accounts)?;
        }
        if client_order_id != order.client_order_id
            && self.open.has_named(self.open.applicant(account, client_order_id), client_order_id)
        {
            return Err(Refusal::DuplicateClientOrderId);
        }
        // What has traded, or was kept from it, is part of the quantity.
        let done = before.minus(order.left);
        let left = if quantity > done { quantity.minus(done) } else { Quantity::ZERO };
        Ok(Amendment { handle, order, before, count: count + 1, left })
    }

    /// Whether the filters allow another amendment of an order, to so much.
    fn check_amended(&self, order: &Amendable, quantity: Quantity, accounts: &Accounts<'_>) -> Result<(), Refusal> {
        if self.amended(order.owner.order) >= self.market.filters.amends_max {
            return Err(Refusal::Filter(Filter::MaxAmends));
        }
        self.market.check_quantity(order.order_type, quantity).map_err(Refusal::Filter)?;
        match order.limit.or(order.stop) {
            Some(price) => {
                let worth = self.market.quote_amount(price, quantity);
                self.market.check_notional_min(worth, order.limit.is_none()).map_err(Refusal::Filter)
            }
            // It trails the price, or is pending in a list and will run at market.
            None => {
                let reference = self.reference_price(accounts.now);
                admission::check_market_notional(&self.market, reference, quantity, accounts.rules)
            }
        }
    }

    /// The same of those that are amended with an order of a list.
    #[cold]
    fn check_others(&self, order: OrderId, quantity: Quantity, accounts: &Accounts<'_>) -> Result<(), Refusal> {
        let Some((_, list)) = self.lists.of(order).filter(|(_, list)| list.holds_for(order)) else { return Ok(()) };
        for leg in list.legs.iter().filter(|leg| leg.order != order) {
            let handle = self.open.handle_of(leg.order).ok_or(Refusal::UnknownOrder)?;
            self.check_amended(&self.amendable(handle), quantity, accounts)?;
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        request: &AmendOrder,
        amendment: &Amendment,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        let &Amendment { handle, ref order, before, count, left } = amendment;
        let freed = self.freed(order, left);
        let level = self.open.reduce(handle, order.left.minus(left), freed);
        self.open.rename(handle, request.client_order_id);
        let id = order.owner.order;
        self.amendments.note(id, Amended { count, quantity: request.quantity });
        accounts.reduce(order.owner.account, order.owner.hold, freed);
        if order.owner.discounted {
            self.amend_reserve(order, left, accounts);
        }
        if order.owner.listed {
            self.fit_unpaid_reserve(id, left, accounts);
        }
        events.add(|| {
            Event::OrderAmended(OrderAmended {
                symbol: self.market.id,
                order: id,
                account: order.owner.account,
                count,
                quantity: request.quantity,
                quantity_before: before,
                client_order_id: request.client_order_id,
                client_order_id_before: order.client_order_id,
            })
        });
        if let Some(Level { side, price, left }) = level {
            self.depth_changed(side, price, left, events);
        }
    }

    /// What of what is held for an order it needs no more when so much of it is left.
    fn freed(&self, order: &Amendable, left: Quantity) -> Amount {
        let needed = |quantity| admission::exact_need(&self.market, order.side, order.limit, order.stop, quantity);
        match (order.held, needed(order.left), needed(left)) {
            // The price that says what it needs is not kept.
            (Some(held), ..) if order.trails && order.side == Side::Buy && order.limit.is_none() => {
                held.minus(share(held, order.left, left))
            }
            (_, Some(before), Some(after)) => before.minus(after),
            // It has a price, or it would not be open.
            _ => Amount::ZERO,
        }
    }

    /// What is held for an open order for which alone something is.
    pub(super) fn held_for(&self, order: &Amendable) -> Amount {
        let needed = || admission::exact_need(&self.market, order.side, order.limit, order.stop, order.left);
        // An order that works has a price.
        order.held.or_else(needed).unwrap_or_default()
    }

    /// Takes the amended orders of a state in. The orders are there already.
    pub(super) fn restore_amendments(&mut self, state: Vec<(OrderId, Amended)>) -> Result<(), Inconsistent> {
        for (id, amended) in state {
            let handle = self.open.handle_of(id).ok_or(Inconsistent)?;
            let sound = amended.count > 0 && amended.quantity >= self.amendable(handle).left;
            if !sound || amended.quantity > Quantity::MAX || self.amendments.0.insert(id, amended).is_some() {
                return Err(Inconsistent);
            }
        }
        Ok(())
    }

    /// Takes an open order in that was amended so often where it comes from.
    pub(super) fn move_amended_in(&mut self, id: OrderId, count: u32, quantity: Quantity) {
        if count > 0 {
            self.amendments.note(id, Amended { count, quantity });
        }
    }

    /// How often an open order was amended.
    pub(crate) fn amended(&self, order: OrderId) -> u32 {
        self.amendments.of(order).map_or(0, |amended| amended.count)
    }
}

/// What of `amount`, which is for `all` lots, is for `some` of them; the part of each is rounded up.
pub(super) fn share(amount: Amount, all: Quantity, some: Quantity) -> Amount {
    let (all, some) = (i128::from(all.0), i128::from(some.0));
    let each = amount.0 / all + i128::from(amount.0 % all != 0);
    Amount(each * some).min(amount)
}

impl Accounts<'_> {
    /// Frees a part of the funds of an order that needs less than before.
    pub(crate) fn reduce(&mut self, account: AccountId, hold: HoldId, amount: Amount) {
        match self.elsewhere(account) {
            None => self.ledger.reduce(account, hold, amount),
            #[cfg(crossbook_bugs)]
            Some(_) if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::AmendedHoldStays) => {}
            Some(partition) => self.outbox.post(partition, PeerMessage::Reduce { account, hold, amount }),
        }
    }

    /// Frees what a resting order needs no more because self-trade prevention has taken it.
    pub(crate) fn reduce_prevented(&mut self, account: AccountId, hold: HoldId, amount: Amount) {
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::PreventedHoldStays) {
            return;
        }
        self.reduce(account, hold, amount);
    }
}

wire_struct! {
    plain Amended { 0: count, 1: quantity }
}
