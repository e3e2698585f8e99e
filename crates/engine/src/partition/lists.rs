//! Order lists: the account's side passes them on to the market's.

use crossbook_protocol::command::Deadline;
use crossbook_protocol::event::Events;
use crossbook_protocol::order_list::{CancelList, NewList};
use crossbook_protocol::peer::{AdmittedList, ListFunding, Origin, PeerMessage};
use crossbook_protocol::refusal::Refusal;

use super::Partition;
use crate::list_admission;

impl Partition {
    pub(super) fn place_list(
        &mut self,
        list: &NewList,
        origin: Origin,
        deadline: Option<Deadline>,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        self.registry.check_frozen(list.account)?;
        let grouped = self.grouped_list(list);
        let list = grouped.as_ref().unwrap_or(list);
        if self.limits.are_on() {
            self.count_open_for_list(list);
        }
        let market = self.registry.market(list.symbol).ok_or(Refusal::UnknownSymbol)?;
        let (ledger, registry, now) = (&mut self.ledger, &self.registry, self.time);
        let mut funding = list_admission::admit(ledger, registry, market, list, self.rules, now)?;
        if registry.pays_discounted(list.account) {
            list_admission::hold_fees(ledger, registry, market, list, &mut funding, now);
        }
        match self.elsewhere(list.symbol) {
            None => self.market_admit_list(list, &funding, origin, events),
            Some(partition) => {
                let admitted = AdmittedList { list: list.clone(), funding, origin };
                self.outbox.post_until(partition, PeerMessage::AdmitList(Box::new(admitted)), deadline);
            }
        }
        Ok(())
    }

    /// The list with orders of its account's trade group; `None` if they are as they should be.
    fn grouped_list(&self, list: &NewList) -> Option<NewList> {
        let group = self.registry.trade_group(list.account);
        let are_right = list.orders.iter().all(|order| order.trade_group() == group);
        if are_right { None } else { Some(list.in_trade_group(group)) }
    }

    pub(super) fn cancel_list(
        &mut self,
        request: &CancelList,
        origin: Origin,
        deadline: Option<Deadline>,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        self.check_names(request.account, request.symbol)?;
        match self.elsewhere(request.symbol) {
            None => self.market_cancel_list(request, origin, events),
            Some(partition) => {
                self.outbox.post_until(partition, PeerMessage::CancelList { request: *request, origin }, deadline);
            }
        }
        Ok(())
    }

    pub(super) fn market_admit_list(
        &mut self,
        list: &NewList,
        funding: &ListFunding,
        origin: Origin,
        events: &mut Events,
    ) {
        let (matcher, mut accounts) = self.market(list.symbol);
        let refusal = match matcher {
            Some(_) if accounts.outbox.is_used_up() => Refusal::NumbersUsedUp,
            Some(matcher) => {
                matcher.admit_list(list, funding, origin, &mut accounts, events);
                return self.note_work(list.symbol);
            }
            // Another partition may learn of a market before this one does.
            _ => Refusal::UnknownSymbol,
        };
        accounts.release_list(list.account, funding);
        events.refuse(origin, refusal);
    }

    pub(super) fn market_cancel_list(&mut self, request: &CancelList, origin: Origin, events: &mut Events) {
        let (matcher, mut accounts) = self.market(request.symbol);
        match matcher {
            Some(matcher) => matcher.cancel_list(request, origin, &mut accounts, events),
            _ => events.refuse(origin, Refusal::UnknownSymbol),
        }
    }

    /// Releases the funds of a list that is skipped. For the answer: who has sent it.
    pub(super) fn skip_list(&mut self, admitted: &AdmittedList) -> Origin {
        let (account, funding) = (admitted.list.account, &admitted.funding);
        let elsewhere = self.outbox.routing().of_account(account) != self.id;
        for hold in funding.holds() {
            // As for a single order.
            if elsewhere || self.ledger.held_under(hold).is_some() {
                self.accounts().release(account, hold);
            }
        }
        admitted.origin
    }
}
