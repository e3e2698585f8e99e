//! Frozen accounts of the naive exchange: a set, and a cancel of all that an account has open when it gets into it.

use crossbook_protocol::command::{Body, TransferRequest};
use crossbook_protocol::event::Event;
use crossbook_protocol::registry::FROZEN_CANCEL_NAME;
use crossbook_protocol::{Answer, Refusal};
use crossbook_types::{AccountId, SymbolId};

use super::Model;

impl Model {
    /// Whether a command asks what a frozen account must not do.
    pub(super) fn is_of_frozen(&self, body: &Body) -> bool {
        let account = match body {
            Body::Place(order) => order.account,
            Body::PlaceList(list) => list.account,
            Body::Replace(request) => request.order.account,
            &Body::Transfer(TransferRequest { account, transfer, amount, asset }) => {
                let pays_now = amount.0 < 0 && !self.transfers.contains_key(&(account, transfer));
                if asset.0 > 2 || !pays_now {
                    return false;
                }
                account
            }
            _ => return false,
        };
        self.frozen.contains(&account)
    }

    pub(super) fn set_frozen(&mut self, account: AccountId, on: bool) -> Result<Answer, Refusal> {
        if !self.accounts.contains(&account) {
            return Err(Refusal::UnknownAccount);
        }
        let changed = if on { self.frozen.insert(account) } else { self.frozen.remove(&account) };
        if changed {
            self.events.push(Event::FrozenChanged { account, on });
        }
        if changed && on {
            let markets = (0..self.books.len() as u32).map(SymbolId);
            self.cancel_unasked(account, markets.collect(), FROZEN_CANCEL_NAME);
        }
        Ok(Answer::FrozenSet)
    }
}
