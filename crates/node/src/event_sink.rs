//! The receiver of a partition's durable events.

use crossbook_protocol::Events;
use crossbook_types::RequestNumber;

use crate::request::NotAccepted;

/// Receives what a partition publishes: durable, in order, each event once. Called on one thread.
pub trait EventSink: Send + 'static {
    /// The events of the next commands. When this returns, whatever readers see must include them, or will before they
    /// are answered. The sink may keep the events by putting an empty [`Events`] in their place.
    fn publish(&mut self, events: &mut Events);

    /// A submitted request was dropped before it got a place in the log.
    fn not_accepted(&mut self, number: RequestNumber, why: NotAccepted);
}
