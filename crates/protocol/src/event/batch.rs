//! The events of a batch of commands, in memory that is used again.

use super::{Answer, Cause, Event};
use crate::peer::Origin;
use crate::refusal::Refusal;

/// The events of consecutive commands, in order, in two flat vectors that are filled and emptied again and again.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Events {
    causes: Vec<(Cause, usize)>,
    events: Vec<Event>,
    /// Whether one of them may own memory.
    owns_memory: bool,
}

impl Events {
    /// None yet, with room for a batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all, keeps the room.
    pub fn clear(&mut self) {
        self.causes.clear();
        // To drop the events of a plain order, one by one, took a twentieth of all that the engine does for it.
        if std::mem::take(&mut self.owns_memory) {
            self.events.clear();
        } else {
            self.events.drain(..).for_each(std::mem::forget);
        }
    }

    /// Whether no command has been applied into it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.causes.is_empty()
    }

    /// How many commands have been applied into it.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.causes.len()
    }

    /// The last command that has been applied into it.
    #[must_use]
    pub fn last(&self) -> Option<Cause> {
        self.causes.last().map(|&(cause, _)| cause)
    }

    /// All events, without their causes.
    #[must_use]
    pub fn all(&self) -> &[Event] {
        &self.events
    }

    /// The events of each command, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Cause, &[Event])> {
        let mut start = 0;
        self.causes.iter().map(move |&(cause, end)| {
            let events = &self.events[start..end];
            start = end;
            (cause, events)
        })
    }

    /// Adds a command that another process has applied, with all its events.
    pub fn add_command(&mut self, cause: Cause, events: impl IntoIterator<Item = Event>) {
        let before = self.events.len();
        self.events.extend(events);
        self.owns_memory |= self.events[before..].iter().any(Event::owns_memory);
        self.close(cause);
    }

    /// Adds a fact to the command being applied.
    #[inline]
    pub fn push(&mut self, event: Event) {
        self.owns_memory |= event.owns_memory();
        self.events.push(event);
    }

    /// Adds a fact before the last one.
    ///
    /// # Panics
    /// When there is none.
    pub fn push_before_last(&mut self, event: Event) {
        self.owns_memory |= event.owns_memory();
        let last = self.events.len() - 1;
        self.events.insert(last, event);
    }

    /// The same, with the fact constructed in place once there is room: passing it through the stack would copy all of
    /// it, however little of that is its own.
    #[inline]
    pub fn add(&mut self, make: impl FnOnce() -> Event) {
        self.events.extend(std::iter::once_with(make));
        self.owns_memory |= self.events.last().is_some_and(Event::owns_memory);
    }

    /// Adds the answer to a command.
    #[inline]
    pub fn answer(&mut self, origin: Origin, answer: impl FnOnce() -> Answer) {
        self.add(|| Event::Answered { source: origin.source, number: origin.number, answer: answer() });
    }

    /// Adds that a command was refused.
    #[inline]
    pub fn refuse(&mut self, origin: Origin, refusal: Refusal) {
        self.answer(origin, || Answer::Refused(refusal));
    }

    /// Ends the command being applied.
    #[inline]
    pub fn close(&mut self, cause: Cause) {
        self.causes.push((cause, self.events.len()));
    }
}

#[cfg(test)]
mod tests {
    use crossbook_types::{AccountId, Amount, AssetId, RequestNumber, SourceId};

    use super::*;

    #[test]
    fn events_that_own_memory_are_dropped() {
        let plain = Event::MoneyImported { account: AccountId(1), asset: AssetId(0), amount: Amount(1) };
        let memory = Event::Answered { source: SourceId(1), number: RequestNumber(1), answer: Answer::Imported };
        let cheap =
            Event::BalanceChanged { account: AccountId(1), asset: AssetId(0), free: Amount(1), held: Amount(0) };
        let mut events = Events::new();
        for (event, owns) in [(cheap.clone(), false), (plain, true), (cheap, true), (memory, true)] {
            events.add(|| event);
            assert_eq!(events.owns_memory, owns, "once it may, all are dropped");
        }
        events.clear();
        assert_eq!((events.all().len(), events.owns_memory), (0, false));
    }
}
