//! The expected state of a history: the views and the sums of the events, folded from the log. Used for a venue in a
//! data folder and for each partition of a cluster.

use crossbook_node::follower::Follower;
use crossbook_protocol::{Cause, Event};
use crossbook_store::verify::ExpectedState;
use crossbook_types::Sequence;
use crossbook_views::{Limits, State, Views};

/// The views, and the sums of the events after a command.
#[derive(Debug)]
pub struct ExpectedHistory {
    /// The views.
    pub views: Views,
    /// The sums of the events.
    pub expected_state: ExpectedState,
    /// The events up to this command are not part of the sums.
    pub complete_from: Sequence,
}

impl ExpectedHistory {
    /// For an empty log; events up to `complete_from` are not part of the sums.
    #[must_use]
    pub fn new(limits: Limits, complete_from: Sequence) -> Self {
        Self { views: Views::new(limits), expected_state: ExpectedState::default(), complete_from }
    }
}

impl Follower for ExpectedHistory {
    type Saved = State;

    fn follow(&mut self, cause: Cause, events: &[Event]) {
        self.views.follow(cause, events);
        self.expected_state.follow(cause, events, self.complete_from);
    }

    fn save(&self) -> State {
        self.views.save()
    }

    fn load(&mut self, saved: State) -> Result<(), String> {
        self.views.load(saved)
    }
}
