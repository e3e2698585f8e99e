//! A partition that applies the workload.

use crossbook_engine::Partition;
use crossbook_oracle::feed::Feed;
use crossbook_oracle::workload::{self, Workload};
use crossbook_protocol::command::Body;
use crossbook_protocol::{Command, Events, Routing};
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, Timestamp};

/// Commands in one batch; about what a busy node takes at once.
const BATCH: usize = 128;
const SOURCE: SourceId = SourceId(1 << 20);

/// A partition that is fed the workload.
pub struct Venue {
    /// The partition under test.
    pub partition: Partition,
    feed: Feed,
    number: u64,
}

impl Venue {
    /// With funded accounts and a market; nothing is told of how they came about.
    pub fn new(mix: &Workload) -> Self {
        let mut events = Events::new();
        Self::opened(mix, Vec::new(), &mut events)
    }

    /// The same, with all that is told, and with commands after the usual ones.
    pub fn opened(mix: &Workload, further: Vec<Body>, events: &mut Events) -> Self {
        let partition = Partition::new(PartitionId(0), Routing::single(), 5);
        let mut venue = Self { partition, feed: Feed::new(mix), number: 0 };
        let mut bodies = Feed::opening();
        bodies.extend(further);
        let opening = venue.numbered(bodies);
        venue.partition.apply_all(&opening, events);
        venue
    }

    /// The commands that carry these bodies.
    pub fn numbered(&mut self, bodies: Vec<Body>) -> Vec<Command> {
        let number = |body| {
            self.number += 1;
            let (sequence, time) = (Sequence(self.number), Timestamp(self.number));
            Command::new(sequence, time, SOURCE, RequestNumber(self.number), body)
        };
        bodies.into_iter().map(number).collect()
    }

    /// The commands of a part of the workload.
    pub fn translated(&mut self, part: &[workload::Command]) -> Vec<Command> {
        let mut bodies = Vec::new();
        part.iter().for_each(|command| self.feed.translate(command, &mut bodies));
        self.numbered(bodies)
    }

    /// Applies commands in batches.
    pub fn apply(&mut self, commands: &[Command], events: &mut Events) {
        for batch in commands.chunks(BATCH) {
            events.clear();
            self.partition.apply_all(batch, events);
        }
    }

    /// Applies a part of the workload in batches.
    pub fn run(&mut self, part: &[workload::Command], events: &mut Events) {
        let commands = self.translated(part);
        self.apply(&commands, events);
    }
}
