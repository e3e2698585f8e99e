//! The views as a follower of the log, so that snapshots carry them and a start needs no old commands.

use crossbook_node::recovery::Follower;
use crossbook_protocol::{Cause, Event};
use crossbook_views::{Limits, State, Views};

/// [`Views`] that follow a log.
#[derive(Debug)]
pub struct Folded(pub Views);

impl Folded {
    /// Views of an empty log.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self(Views::new(limits))
    }
}

impl Follower for Folded {
    type Saved = State;

    fn ahead(&mut self, events: &[Event]) {
        self.0.warm(events);
    }

    fn follow(&mut self, cause: Cause, events: &[Event]) {
        self.0.apply_all(cause, events);
    }

    fn save(&self) -> State {
        self.0.state()
    }

    fn load(&mut self, saved: State) -> Result<(), String> {
        let limits = self.0.limits().clone();
        self.0 = Views::restore(saved, limits).map_err(|error| error.to_string())?;
        Ok(())
    }
}
