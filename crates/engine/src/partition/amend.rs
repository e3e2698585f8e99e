//! Commands that change an open order: the account's side and the market's.

use crossbook_protocol::command::Deadline;
use crossbook_protocol::event::Events;
use crossbook_protocol::order::{AmendOrder, ReplaceOrder};
use crossbook_protocol::peer::{Funding, Origin, PeerMessage, Replacing};
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::rules::Rules;
use crossbook_types::Side;

use super::Partition;
use crate::admission::{self, PartlyFunded};

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

    /// Cancels an order and places another, here or in the partition that owns their market. What the new one needs of
    /// free funds is held.
    pub(super) fn replace(
        &mut self,
        request: &ReplaceOrder,
        origin: Origin,
        deadline: Option<Deadline>,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        if self.rules < Rules::V4 {
            return Err(Refusal::RulesTooOld);
        }
        self.registry.check_frozen(request.order.account)?;
        let symbol = request.order.terms.symbol;
        let mut request = request.clone();
        if let Some(grouped) = self.grouped(&request.order) {
            request.order = *grouped;
        }
        if self.limits.are_on() {
            self.count_open(request.order.account, symbol, request.order.terms.side == Side::Buy);
        }
        let market = self.registry.market(symbol).ok_or(Refusal::UnknownSymbol)?;
        let funded =
            admission::admit_partly(&mut self.ledger, &self.registry, market, &request.order, self.rules, self.time)?;
        if let Some(discounted) = self.discounted(&request.order, funded.need, true) {
            request.order = *discounted;
        }
        let PartlyFunded { funding: Funding { hold, budget, fees }, need, whole } = funded;
        let replacing = Replacing { request, hold, budget, need, whole, fees, origin };
        match self.elsewhere(symbol) {
            None => self.market_replace(&replacing, events),
            Some(partition) => {
                self.outbox.post_until(partition, PeerMessage::Replace(Box::new(replacing)), deadline);
            }
        }
        Ok(())
    }

    pub(super) fn market_replace(&mut self, replacing: &Replacing, events: &mut Events) {
        let &Replacing { ref request, hold, budget, need, whole, fees, origin } = replacing;
        let (matcher, mut accounts) = self.market(request.order.terms.symbol);
        let refusal = match matcher {
            Some(_) if accounts.outbox.is_used_up() => Refusal::NumbersUsedUp,
            Some(matcher) => {
                let funded = PartlyFunded { funding: Funding { hold, budget, fees }, need, whole };
                matcher.replace(request, funded, origin, &mut accounts, events);
                return self.note_work(request.order.terms.symbol);
            }
            _ => Refusal::UnknownSymbol,
        };
        accounts.release_order(&request.order, hold);
        events.refuse(origin, refusal);
    }

    pub(super) fn market_amend(&mut self, request: &AmendOrder, origin: Origin, events: &mut Events) {
        let (matcher, mut accounts) = self.market(request.symbol);
        match matcher {
            Some(matcher) => matcher.amend(request, origin, &mut accounts, events),
            _ => events.refuse(origin, Refusal::UnknownSymbol),
        }
    }
}
