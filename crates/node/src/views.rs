//! The read model as a follower of the log, so that snapshots contain it and a start needs no old commands.

use crossbook_protocol::{Cause, Event};
use crossbook_views::{State, Views};

use crate::follower::Follower;

impl Follower for Views {
    type Saved = State;

    fn ahead(&mut self, events: &[Event]) {
        self.warm(events);
    }

    fn follow(&mut self, cause: Cause, events: &[Event]) {
        self.apply_all(cause, events);
    }

    fn save(&self) -> State {
        self.state()
    }

    fn load(&mut self, saved: State) -> Result<(), String> {
        let limits = self.limits().clone();
        *self = Self::restore(saved, limits).map_err(|error| error.to_string())?;
        Ok(())
    }
}
