//! The thread that follows one partition's outputs: passes the events to the event sink, and records how far this
//! partition and the others have received each other's messages.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbook_node::event_sink::EventSink;
use crossbook_protocol::Routing;
use crossbook_types::{PartitionId, Sequence};

use super::outputs::Outputs;
use super::throughput::Readings;
use super::{Error, PartitionClient, Shared};
use crate::store::{Connect, ErrorOf, Link, StoredOutput};

/// How long a reading waits for an output.
const FOLLOW_WAIT: Duration = Duration::from_secs(1);

/// The thread that follows a partition's outputs.
pub(super) struct Follower<'a, O> {
    pub(super) shared: &'a Shared,
    pub(super) client: &'a PartitionClient,
    pub(super) sink: O,
    /// The last command whose events are handed on.
    pub(super) after: Sequence,
    pub(super) outputs: Outputs,
    pub(super) readings: Readings,
}

impl<O: EventSink> Follower<'_, O> {
    pub(super) fn run<C: Connect>(mut self, stores: &C) -> Result<(), Error> {
        let mut tries = 0;
        while !self.shared.is_stopping() {
            match self.session(stores, &mut tries) {
                Err(Error::Store { partition, source }) if source.is_transient() => {
                    tracing::warn!(partition = partition.0, error = %source, "the partition's outputs cannot be read now");
                    self.shared.pause(&mut tries);
                }
                ended => ended?,
            }
        }
        Ok(())
    }

    /// Reads in one conversation for as long as it lasts.
    fn session<C: Connect>(&mut self, stores: &C, tries: &mut u32) -> Result<(), Error> {
        let partition = self.client.partition;
        let failed = |source: ErrorOf<C>| Error::Store { partition, source: source.into() };
        let mut link = Link::connect(stores, partition).map_err(failed)?;
        // When the last outputs arrived, if there was more to do for the partition.
        let mut busy_since: Option<Instant> = None;
        while !self.shared.is_stopping() {
            let most = self.shared.options.read_batch_commands_max;
            let outputs = link.follow(self.after, most, FOLLOW_WAIT).map_err(failed)?;
            *tries = 0;
            if outputs.is_empty() {
                continue;
            }
            let now = Instant::now();
            if let Some(since) = busy_since {
                self.readings.busy(outputs.len() as u64, now.duration_since(since), &self.client.throughput);
            }
            self.fold(&outputs)?;
            busy_since = self.client.is_busy_behind(self.after).then_some(now);
            if busy_since.is_none() {
                self.readings.idle(&self.client.throughput);
            }
        }
        Ok(())
    }

    fn fold(&mut self, read: &[StoredOutput]) -> Result<(), Error> {
        let partition = self.client.partition;
        let outputs = &mut self.outputs;
        outputs.read(read, self.shared.source).map_err(|source| Error::Output { partition, source })?;
        if partition == Routing::REGISTRY {
            outputs.listed.iter().for_each(|market| self.shared.learn(market));
        }
        {
            let mut appends = self.client.appends.lock();
            outputs.taken.iter().for_each(|&number| appends.taken(number));
        }
        self.sink.publish(&mut outputs.events);
        for &(PartitionId(from), number) in &outputs.received {
            if let Some(received) = self.client.received_from.get(usize::from(from)) {
                received.fetch_max(number.0, Ordering::AcqRel);
            }
        }
        for &(PartitionId(to), number) in &outputs.sent {
            if let Some(client) = self.shared.clients.get(usize::from(to)) {
                client.sent_by[usize::from(partition.0)].fetch_max(number.0, Ordering::AcqRel);
            }
        }
        self.after = outputs.last;
        // Last: a reader that sees the position sees everything else.
        self.client.folded.store(self.after.0, Ordering::Release);
        self.shared.folded.notify_waiters();
        Ok(())
    }
}
