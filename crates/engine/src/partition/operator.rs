//! Commands that carry an operator's note: they are carried out like any other, and an event records who asked, why,
//! and whether it was refused.

use crossbook_protocol::command::{Body, Deadline, Operated};
use crossbook_protocol::event::{Answer, Event, Events};
use crossbook_protocol::operator::Acted;
use crossbook_protocol::peer::Origin;
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::rules::Rules;

use super::Partition;

impl Partition {
    /// Does what an operator asks, and tells it.
    #[cold]
    pub(super) fn operated(
        &mut self,
        operated: &Operated,
        origin: Origin,
        deadline: Option<Deadline>,
        events: &mut Events,
    ) -> Result<Option<Answer>, Refusal> {
        if self.rules < Rules::V4 {
            return Err(Refusal::RulesTooOld);
        }
        let before = events.all().len();
        let answer = self.as_asked(&operated.body, origin, deadline, events);
        let answered = answer_of(&events.all()[before..], origin);
        let refused = match (&answer, answered) {
            (Err(refusal), _) | (_, Some(Answer::Refused(refusal))) => Some(*refusal),
            _ => None,
        };
        #[cfg(crossbook_bugs)]
        if refused.is_some() && crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::RefusedIsNotNoted) {
            return answer;
        }
        let acted = Event::OperatorActed(Box::new(Acted { note: operated.note.clone(), refused }));
        // The answer is the last that is told of a command.
        match answered {
            Some(_) => events.push_before_last(acted),
            None => events.push(acted),
        }
        answer
    }

    /// The answer to a command that carries a note; `None` if it is among the events, or comes later.
    fn as_asked(
        &mut self,
        body: &Body,
        origin: Origin,
        deadline: Option<Deadline>,
        events: &mut Events,
    ) -> Result<Option<Answer>, Refusal> {
        match body {
            Body::Place(order) => self.place(order, origin, deadline, events).map(|()| None),
            Body::Cancel(request) => self.cancel(request, origin, deadline, events).map(|()| None),
            Body::CancelAll(request) => self.cancel_all(request, origin, deadline, events).map(|()| None),
            Body::Amend(request) => self.amend(request, origin, deadline, events).map(|()| None),
            Body::Replace(request) => self.replace(request, origin, deadline, events).map(|()| None),
            Body::PlaceList(list) => self.place_list(list, origin, deadline, events).map(|()| None),
            Body::CancelList(request) => self.cancel_list(request, origin, deadline, events).map(|()| None),
            Body::Session(request) => self.session(request, origin, deadline, events).map(|()| None),
            Body::Transfer(request) => self.transfer(request, events).map(Some),
            Body::ReportVenue { partition } => self.report_venue(*partition).map(Some),
            Body::PayOutFees(request) => self.pay_out_fees(request, events).map(Some),
            Body::SetCountdown(request) => self.set_countdown(request, events).map(Some),
            Body::EndCountdown(countdown) => self.end_countdown(countdown, events).map(Some),
            // No record has these; see `Operated::may_hold`.
            Body::Operated(_) | Body::Peer(_) | Body::Import(_) => Err(Refusal::MalformedOrder),
            registry => self.change_registry(registry, events).map(Some),
        }
    }
}

/// The answer to a command, if it is among its events: the last of them.
fn answer_of(events: &[Event], origin: Origin) -> Option<&Answer> {
    match events.last() {
        Some(Event::Answered { source, number, answer }) if (*source, *number) == (origin.source, origin.number) => {
            Some(answer)
        }
        _ => None,
    }
}
