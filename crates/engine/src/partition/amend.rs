//! Commands that change an open order: the account's side and the market's.

use crossbook_protocol::command::Deadline;
use crossbook_protocol::event::Events;
use crossbook_protocol::order::AmendOrder;
use crossbook_protocol::peer::{Origin, PeerMessage};
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::rules::Rules;

use super::Partition;
use crate::outbox::Accounts;

impl Partition {
    /// Lowers the quantity of an order, here or in the partition that owns its market.
    pub(super) fn amend(
        &mut self,
        request: &AmendOrder,
        origin: Origin,
        deadline: Option<Deadline>,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        if self.rules < Rules::V4 {
            return Err(Refusal::RulesTooOld);
        }
        self.check_names(request.account, request.symbol)?;
        match self.elsewhere(request.symbol) {
            None => self.market_amend(request, origin, events),
            Some(partition) => {
                self.outbox.post_until(partition, PeerMessage::Amend { request: *request, origin }, deadline);
            }
        }
        Ok(())
    }

    pub(super) fn market_amend(&mut self, request: &AmendOrder, origin: Origin, events: &mut Events) {
        let mut accounts =
            Accounts { ledger: &mut self.ledger, outbox: &mut self.outbox, rules: self.rules, work: self.work };
        match self.matchers.get_mut(request.symbol.0 as usize) {
            Some(Some(matcher)) => matcher.amend(request, origin, &mut accounts, events),
            _ => events.refuse(origin, Refusal::UnknownSymbol),
        }
    }
}
