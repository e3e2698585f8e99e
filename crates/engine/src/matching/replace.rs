//! Replaces orders: cancels one and places another, in one command.
//!
//! The account's partition has held what of the new order's funds was free; it does not know what the old order holds.
//! Here that is known, so the new hold takes from the old one what it lacks, and the rest of the old one is released.
//! At no time are the funds free, and no other command can take them in between.

use crossbook_protocol::event::{Answer, CloseReason, Events, Half};
use crossbook_protocol::order::{OrderDiscount, ReplaceOrder};
use crossbook_protocol::peer::{Funding, Origin, PeerMessage};
use crossbook_protocol::refusal::Refusal;
use crossbook_types::{AccountId, Amount, HoldId, MarketStatus, OrderId};

use super::Matcher;
use super::handle::Handle;
use crate::admission::PartlyFunded;
use crate::outbox::Accounts;
use crate::refusal::publish_refused;

impl Matcher {
    /// Cancels an order, places another, and answers.
    pub(crate) fn replace(
        &mut self,
        request: &ReplaceOrder,
        funded: PartlyFunded,
        origin: Origin,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        let (canceled, placed) = self.halves(request, funded, accounts, events);
        events.answer(origin, || Answer::Replaced { symbol: self.market.id, canceled, placed });
    }

    fn halves(
        &mut self,
        request: &ReplaceOrder,
        mut funded: PartlyFunded,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> (Half, Half) {
        let (order, hold) = (&request.order, funded.funding.hold);
        if self.status != MarketStatus::Trading {
            self.pass_time(accounts, events);
        }
        let applicant = self.open.applicant(order.account, order.terms.client_order_id);
        // The order that is to be cancelled still counts.
        if let Err(refusal) = self.check_open(order).and_then(|()| self.check_limits(order, applicant, accounts.now)) {
            accounts.release_order(order, hold);
            return (Half::Refused(refusal), Half::Refused(refusal));
        }
        let mut discount = order.terms.discount();
        let canceled = match self.find_to_cancel(request) {
            Ok(handle) => Half::Done(self.make_way(request, handle, (&mut funded, &mut discount), accounts, events)),
            Err(refusal) => Half::Refused(refusal),
        };
        if matches!(canceled, Half::Refused(_)) && !request.allow_failure {
            accounts.release_order(order, hold);
            return (canceled, Half::NotTried);
        }
        let Funding { budget, .. } = funded.funding;
        let checked = match funded.whole && budget < funded.need {
            true => Err(Refusal::InsufficientBalance),
            false => self.check_name(order, applicant).and_then(|()| self.check_book(order, budget, accounts)),
        };
        let placed = match checked {
            Ok(()) => {
                let discounted = discount.map(|discount| self.fit_discount(order, discount, budget, accounts));
                let order = discounted.as_deref().unwrap_or(order);
                Half::Done(self.place_replacing(order, funded.funding, applicant, accounts, events))
            }
            Err(refusal) => {
                publish_refused(events, order, refusal, accounts.rules);
                accounts.release_order(order, hold);
                Half::Refused(refusal)
            }
        };
        (canceled, placed)
    }

    fn find_to_cancel(&self, request: &ReplaceOrder) -> Result<Handle, Refusal> {
        let handle = self.open.find(request.order.account, request.target).ok_or(Refusal::UnknownOrder)?;
        match request.restriction {
            Some(only) if !only.allows(self.open.has_traded(handle)) => Err(Refusal::CancelRestricted),
            _ => Ok(handle),
        }
    }

    /// Cancels the order at a handle, and with it its list. What the new one lacks is moved to its hold, if that makes
    /// it whole; then what it lacks for its fees, to what is held for these.
    fn make_way(
        &mut self,
        request: &ReplaceOrder,
        handle: Handle,
        (funded, discount): (&mut PartlyFunded, &mut Option<OrderDiscount>),
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> OrderId {
        let PartlyFunded { funding, need, whole } = funded;
        let mut reserves = self.reserves_with(self.open.owner_at(handle));
        let mut missing = need.minus(funding.budget);
        let funds = self.funds(handle, request.order.terms.side, &reserves);
        let there = funds.iter().fold(Amount::ZERO, |sum, &(_, amount)| sum.plus(amount));
        if there >= missing || !*whole {
            for (hold, amount) in funds {
                let moved = missing.min(amount);
                if !moved.is_zero() {
                    accounts.shift(request.order.account, hold, funding.hold, moved);
                    (funding.budget, missing) = (funding.budget.plus(moved), missing.minus(moved));
                    for reserve in reserves.iter_mut().flatten().filter(|reserve| reserve.hold == hold) {
                        reserve.left = reserve.left.minus(moved);
                    }
                }
            }
        }
        for reserve in reserves.into_iter().flatten() {
            if let Some(discount) = discount {
                self.move_reserve(&request.order, discount, reserve, funding.budget, accounts);
            }
        }
        let reason = CloseReason::Canceled { cancel_id: request.cancel_id };
        let order = self.close_open(handle, reason, accounts, events);
        self.canceled();
        order
    }
}

impl Accounts<'_> {
    /// Lets an order take over a part of the funds of another one of its account.
    pub(super) fn shift(&mut self, account: AccountId, from: HoldId, to: HoldId, amount: Amount) {
        match self.elsewhere(account) {
            None => self.ledger.shift(account, from, to, amount),
            Some(partition) => self.outbox.post(partition, PeerMessage::Shift { account, from, to, amount }),
        }
    }
}
