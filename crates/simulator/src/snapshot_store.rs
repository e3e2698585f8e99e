//! The snapshot store of a simulated cluster: a store that does not fail.

use std::collections::BTreeMap;

use crossbook_node::snapshot::{Error, Retention, Saved, Snapshots, Verified};
use crossbook_types::Sequence;

/// Snapshots, each whole or not there.
#[derive(Clone, Debug)]
pub struct SnapshotStore {
    kept: BTreeMap<Sequence, Vec<u8>>,
    retention: Retention,
}

impl Default for SnapshotStore {
    fn default() -> Self {
        Self { kept: BTreeMap::new(), retention: Retention::Nothing }
    }
}

impl Saved for SnapshotStore {
    fn list(&self) -> Result<Vec<Sequence>, Error> {
        Ok(self.kept.keys().rev().copied().collect())
    }

    fn load(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.kept.get(&sequence).cloned())
    }
}

impl Snapshots for SnapshotStore {
    fn save(&mut self, sequence: Sequence, image: &[u8]) -> Result<(), Error> {
        self.kept.insert(sequence, image.to_vec());
        for removed in self.retention.removable(self, sequence, &mut Verified::default())? {
            self.kept.remove(&removed);
        }
        Ok(())
    }

    fn keep_for(&mut self, position: Option<Sequence>) {
        self.retention = Retention::by(position);
    }
}
