//! Where a simulated cluster keeps the snapshots of a partition, in a store that does not fail, and what follows a log
//! into them.

use std::collections::BTreeMap;

use crossbook_node::recovery::Follower;
use crossbook_node::snapshot::{Error, KEPT, Saved, Snapshots};
use crossbook_protocol::{Cause, Event};
use crossbook_types::Sequence;
use crossbook_views::{Limits, State, Views};

/// Snapshots, each whole or not there.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    kept: BTreeMap<Sequence, Vec<u8>>,
}

impl Shelf {
    /// From where a start may have to read the log: what follows the oldest snapshot.
    #[must_use]
    pub fn oldest(&self) -> Option<Sequence> {
        (self.kept.len() >= KEPT).then(|| self.kept.keys().next().copied()).flatten()
    }
}

impl Saved for Shelf {
    fn list(&self) -> Result<Vec<Sequence>, Error> {
        Ok(self.kept.keys().rev().copied().collect())
    }

    fn load(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.kept.get(&sequence).cloned())
    }
}

impl Snapshots for Shelf {
    fn save(&mut self, sequence: Sequence, image: &[u8]) -> Result<(), Error> {
        self.kept.insert(sequence, image.to_vec());
        while self.kept.len() > KEPT {
            self.kept.pop_first();
        }
        Ok(())
    }

    fn keep_for(&mut self, _: Option<Sequence>) {}
}

/// Views that follow a log.
#[derive(Debug)]
pub struct Folded(pub Views);

impl Folded {
    /// Of an empty log.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self(Views::new(limits))
    }
}

impl Follower for Folded {
    type Saved = State;

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
