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
            for (partition, partition_client) in gateway.partition_clients.iter().enumerate() {
                let published = self.shards[partition].published();
                if partition_client.is_silent
                    || !partition_client.queue.is_empty()
                    || !partition_client.appends.is_empty()
                    || partition_client.published < published
                {
                    return Some(format!("the log client from gateway {at} to partition {partition} is not at rest"));
                }
            }
        }
        if self.clients.iter().any(Client::is_in_doubt) {
            return Some("a client is in doubt".to_owned());
        }
        for (partition, shard) in self.shards.iter().enumerate() {
            let (tail, published) = (shard.inbound().len() as u64, shard.published());
            if published.0 < tail {
                return Some(format!("partition {partition} has published {published} of {tail} commands"));
            }
            for (at, worker) in self.workers.iter().enumerate() {
                let applied =
                    worker.seats[partition].replica.as_ref().map_or(0, |replica| replica.partition().sequence().0);
                if applied < tail {
                    return Some(format!(
                        "worker {at} has applied {applied} of {tail} commands of partition {partition}"
                    ));
                }
            }
            if self.observer.reference(id(partition)).continuation().is_some() {
                return Some(format!("partition {partition} has something to go on with"));
            }
            let written = self.observer.recording_mut(id(partition)).0.position();
            if written < published {
                return Some(format!("the tables of partition {partition} stay at {written}"));
            }
        }
        for (at, worker) in self.workers.iter().enumerate() {
            let kept: usize = worker.forwarders.iter().map(|forwarding| forwarding.forwarder.len()).sum();
            if kept > 0 {
                return Some(format!("worker {at} keeps {kept} messages"));
            }
        }
        None
    }

    /// What must be true when all is at rest.
    pub(super) fn check(&mut self) -> Result<(), Violation> {
        for partition in 0..PARTITIONS {
            let reference = self.observer.reference(id(partition));
            let hash = crossbook_engine::state_hash(&reference.state());
            for (at, worker) in self.workers.iter().enumerate() {
                let Some(replica) = &worker.seats[partition].replica else { continue };
                let same = crossbook_engine::state_hash(&replica.partition().state()) == hash;
                ensure!(same, Replicas, "worker {at} ends with another state of partition {partition}");
            }
            let views = self.observer.views(id(partition)).state();
            for (at, gateway) in self.gateways.iter().enumerate() {
                let same = gateway.partition_clients[partition].views.state() == views;
                ensure!(same, Views, "gateway {at} ends with other views of partition {partition}");
            }
            // Everything that was ever published is in the log.
            let log = self.shards[partition].inbound();
            ensure!(
                log.len() == self.observer.published(id(partition)).len(),
                Durable,
                "partition {partition} has lost commands"
            );
        }
        self.observer.check_quiet()
    }
}
