//! What a history is held against, as a follower of the log: the views, and what the events add up to. The same for a
//! venue in a folder and for each partition of a cluster.

use crossbook_node::recovery::Follower;
use crossbook_protocol::{Cause, Event};
use crossbook_store::verify::Witness;
use crossbook_types::Sequence;
use crossbook_views::{Limits, State, Views};

/// Views, and the sums of what happened after a place.
#[derive(Debug)]
pub struct Checking {
    /// The views.
    pub views: Views,
    /// What the events add up to.
    pub witness: Witness,
    /// Of events up to here, nothing is added up.
    pub complete_from: Sequence,
}

impl Checking {
    /// Of an empty log; what happened up to `complete_from` is not added up.
    #[must_use]
    pub fn new(limits: Limits, complete_from: Sequence) -> Self {
        Self { views: Views::new(limits), witness: Witness::default(), complete_from }
    }
}

impl Follower for Checking {
    type Saved = State;

    fn follow(&mut self, cause: Cause, events: &[Event]) {
        self.views.follow(cause, events);
        self.witness.follow(cause, events, self.complete_from);
    }

    fn save(&self) -> State {
        self.views.save()
    }

    fn load(&mut self, saved: State) -> Result<(), String> {
        self.views.load(saved)
    }
}
