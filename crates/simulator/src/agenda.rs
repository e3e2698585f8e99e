//! The events of a simulated world, by time. Events at the same time happen in the order in which they were scheduled.

use std::collections::BTreeMap;

use crate::clock::Time;

/// Events to come.
#[derive(Debug)]
pub struct Agenda<E> {
    time: Time,
    planned: u64,
    events: BTreeMap<(u64, u64), E>,
}

impl<E> Agenda<E> {
    /// An empty one. It moves that time on.
    #[must_use]
    pub fn new(time: &Time) -> Self {
        Self { time: time.clone(), planned: 0, events: BTreeMap::new() }
    }

    /// Plans something for so many microseconds from now.
    pub fn after(&mut self, micros: u64, event: E) {
        self.planned += 1;
        self.events.insert((self.time.now() + micros, self.planned), event);
    }

    /// The next event. It is its time now.
    pub fn next(&mut self) -> Option<E> {
        let ((at, _), event) = self.events.pop_first()?;
        self.time.reach(at);
        Some(event)
    }
}
