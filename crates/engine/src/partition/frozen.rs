//! Frozen accounts: they place no orders, nothing is paid out of them, and what they have open ends.
//!
//! Partition 0 is asked, and tells the others, of which each refuses what it is asked for such an account from then on.
//! The account's own partition has its orders cancelled, here and elsewhere. It is the one that admits them, so none
//! that it has admitted comes to a market after its message: all end.

use crossbook_protocol::command::TransferRequest;
use crossbook_protocol::event::{Answer, Event, Events};
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::registry::{Change, FROZEN_CANCEL_NAME};
use crossbook_types::{AccountId, Amount};

use super::Partition;

impl Partition {
    /// Freezes an account, or lets it go on.
    pub(super) fn set_frozen(&mut self, account: AccountId, on: bool, events: &mut Events) -> Result<Answer, Refusal> {
        if self.registry.set_frozen(account, on)? {
            self.spread(Change::Frozen { account, on });
            self.adopt_frozen(account, on, events);
        }
        Ok(Answer::FrozenSet)
    }

    /// The registry has an account frozen, or lets it go on, which it did not before.
    pub(super) fn adopt_frozen(&mut self, account: AccountId, on: bool, events: &mut Events) {
        events.push(Event::FrozenChanged { account, on });
        if on && self.outbox.routing().of_account(account) == self.id {
            self.tell_of_freezing(account);
            self.cancel_all_orders(account, FROZEN_CANCEL_NAME, events);
        }
    }

    /// Has all other partitions cancel what a frozen account has open in their markets.
    fn tell_of_freezing(&mut self, account: AccountId) {
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::FrozenTradesElsewhere) {
            return;
        }
        self.outbox.post_to_others(&PeerMessage::CancelFrozen { account });
    }

    /// Refuses to pay out of a frozen account. What was paid before is answered as it was.
    pub(super) fn check_payment(&self, request: &TransferRequest) -> Result<(), Refusal> {
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::FrozenPaysOut) {
            return Ok(());
        }
        let &TransferRequest { account, amount, transfer, .. } = request;
        match self.registry.check_frozen(account) {
            Err(refusal) if amount < Amount::ZERO && !self.ledger.knows_transfer(account, transfer) => Err(refusal),
            _ => Ok(()),
        }
    }
}
