//! Counts what is published, on its way to the publisher.

use crossbook_engine::{Event, Events};
use crossbook_node::{NotTaken, Outlet};
use crossbook_types::RequestNumber;
use metrics::{Counter, counter};

/// An outlet that counts trades.
#[derive(Debug)]
pub struct Tally<O> {
    inner: O,
    trades: Counter,
}

impl<O> Tally<O> {
    /// Counts what goes to `inner`.
    #[must_use]
    pub fn new(inner: O) -> Self {
        Self { inner, trades: counter!("crossbook_trades_total") }
    }
}

impl<O: Outlet> Outlet for Tally<O> {
    fn publish(&mut self, events: &mut Events) {
        let trades = events.all().iter().filter(|event| matches!(event, Event::Traded(_))).count();
        self.trades.increment(trades as u64);
        self.inner.publish(events);
    }

    fn not_taken(&mut self, number: RequestNumber, why: NotTaken) {
        self.inner.not_taken(number, why);
    }
}
