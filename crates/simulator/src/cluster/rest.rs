//! The phase after the faults of a cluster: completes what is unfinished, and checks the final state.

use super::{PARTITIONS, World, id};
use crate::client::Client;
use crate::violation::{Violation, ensure};

impl World {
    /// What is not yet done, if anything is not.
    pub(super) fn unrest(&mut self) -> Option<String> {
        if !self.setup.is_empty() {
            return Some(format!(
                "{} commands are still to make the venue, first {:?}",
                self.setup.len(),
                self.setup.front()
            ));
        }
        for (at, gateway) in self.gateways.iter().enumerate() {
            if !gateway.waiting.is_empty() {
                return Some(format!("{} requests wait at gateway {at}", gateway.waiting.len()));
            }
            let silent = gateway.clients.iter().position(|client| client.is_silent || client.has_requests());
            if let Some(partition) = silent {
                return Some(format!("partition {partition} is silent at gateway {at}, or requests wait for it"));
            }
        }
        if self.clients.iter().any(Client::is_in_doubt) {
            return Some("a client is in doubt".to_owned());
        }
        for process in Self::processes() {
            let unit = self.unit(process);
            for (partition, member) in unit.members() {
                let (applied, tail) =
                    (member.replica.partition().sequence(), self.shard(partition).stream(partition).tail());
                if applied < tail {
                    return Some(format!(
                        "{process:?} has applied {applied} of {tail} commands of partition {partition}"
                    ));
                }
                if member.appends.as_ref().is_some_and(|appends| !appends.is_empty()) {
                    return Some(format!("{process:?} has requests in flight to partition {partition}"));
                }
            }
            if !unit.alive || unit.retained() > 0 {
                return Some(format!("{process:?} is not there, or keeps {} messages", unit.retained()));
            }
        }
        for partition in (0..PARTITIONS).map(id) {
            if self.observer.reference(partition).continuation().is_some() {
                return Some(format!("partition {partition} has something to go on with"));
            }
            let position = self.observer.position(partition);
            let written = self.observer.recording_mut(partition).0.position();
            if written < position {
                return Some(format!("the tables of partition {partition} stay at {written}"));
            }
        }
        None
    }

    /// What must be true when all is at rest.
    pub(super) fn check(&mut self) -> Result<(), Violation> {
        for partition in (0..PARTITIONS).map(id) {
            let due = crossbook_engine::state_hash(&self.observer.reference(partition).state());
            for process in Self::processes() {
                let members = self.unit(process).members();
                let hashes = members
                    .filter(|(of, _)| *of == partition)
                    .map(|(_, member)| crossbook_engine::state_hash(&member.replica.partition().state()));
                let same = hashes.filter(|hash| *hash == due).count() == 1;
                ensure!(same, Replicas, "{process:?} ends with another state of partition {partition}");
            }
            let views = self.observer.views(partition).state();
            for (at, gateway) in self.gateways.iter().enumerate() {
                let same = gateway.clients[usize::from(partition.0)].views.state() == views;
                ensure!(same, Views, "gateway {at} ends with other views of partition {partition}");
            }
            // Everything that was ever applied is in the log.
            let log = self.shard(partition).stream(partition).commands();
            let applied = self.observer.published(partition).len();
            ensure!(log.len() == applied, Durable, "partition {partition} has lost commands");
        }
        self.observer.check_quiet()
    }
}
