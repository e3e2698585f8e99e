//! Commands that carry an operator's note: they are carried out like any other, and an event records who asked, why,
//! and whether it was refused.

use crossbook_protocol::command::{Deadline, Operated};
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
        let answer = self.carry_out(&operated.body, origin, deadline, events);
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
