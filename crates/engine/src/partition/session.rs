//! Changes of a market's session. They come to the registry's partition, which knows every market, and go on to the
//! market's.

use crossbook_protocol::command::Deadline;
use crossbook_protocol::event::Events;
use crossbook_protocol::peer::{Origin, PeerMessage};
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::routing::Routing;
use crossbook_protocol::rules::Rules;
use crossbook_protocol::session::SessionRequest;

use super::Partition;

impl Partition {
    /// Changes the session of a market, here or in the partition that owns it.
    pub(super) fn session(
        &mut self,
        request: &SessionRequest,
        origin: Origin,
        deadline: Option<Deadline>,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        if self.id != Routing::REGISTRY {
            return Err(Refusal::NotTheRegistry);
        }
        if self.rules < Rules::V4 {
            return Err(Refusal::RulesTooOld);
        }
        self.registry.listed(request.symbol)?;
        match self.elsewhere(request.symbol) {
            None => self.market_session(request, origin, events),
            Some(partition) => {
                self.outbox.post_until(partition, PeerMessage::Session { request: *request, origin }, deadline);
            }
        }
        Ok(())
    }

    pub(super) fn market_session(&mut self, request: &SessionRequest, origin: Origin, events: &mut Events) {
        let (matcher, mut accounts) = self.market(request.symbol);
        match matcher {
            Some(matcher) => {
                matcher.change_session(request, origin, &mut accounts, events);
                self.note_work(request.symbol);
            }
            _ => events.refuse(origin, Refusal::UnknownSymbol),
        }
    }
}
