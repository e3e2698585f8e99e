//! Crossbook: its book alone, with an index of ids, and the whole engine, with accounts, holds, fees, double entry and
//! events.

use crossbook_engine::command::Body;
use crossbook_engine::{self as venue, Events, Partition, Routing};
use crossbook_oracle::feed::Feed;
use crossbook_oracle::indexed::IndexedBook;
use crossbook_oracle::workload::{Command, Tally, Workload};
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, Timestamp};

use crate::engine::Engine;

impl Engine for IndexedBook {
    #[inline]
    fn apply(&mut self, _: usize, command: &Command, tally: &mut Tally) {
        Self::apply(self, command, tally);
    }
}

/// The partition of a venue with 400 funded accounts and fees on both sides.
pub struct Venue {
    partition: Partition,
    feed: Feed,
    number: u64,
    bodies: Vec<Body>,
    commands: Vec<venue::Command>,
    events: Events,
}

impl Venue {
    /// A venue that is about to be given that workload.
    pub fn new(workload: &Workload) -> Self {
        let partition = Partition::new(PartitionId(0), Routing::single(), 5);
        let (bodies, commands, events) = (Feed::opening(), Vec::new(), Events::new());
        let mut venue = Self { partition, feed: Feed::new(workload), number: 0, bodies, commands, events };
        venue.number_bodies();
        venue.partition.apply_all(&venue.commands, &mut venue.events);
        venue.events.clear();
        venue
    }

    fn number_bodies(&mut self) {
        self.commands.clear();
        for body in self.bodies.drain(..) {
            self.number += 1;
            let (sequence, time) = (Sequence(self.number), Timestamp(self.number));
            let (source, number) = (SourceId(1 << 20), RequestNumber(self.number));
            self.commands.push(venue::Command { sequence, time, source, number, body });
        }
    }
}

impl Engine for Venue {
    /// About what a busy node takes from its queue at once.
    const BATCH: usize = 128;

    fn prepare(&mut self, batch: &[Command]) {
        self.events.clear();
        for command in batch {
            self.feed.translate(command, &mut self.bodies);
        }
        self.number_bodies();
    }

    fn apply(&mut self, at: usize, _: &Command, _: &mut Tally) {
        self.partition.apply(&self.commands[at], &mut self.events);
    }

    fn apply_all(&mut self, _: &[Command], _: &mut Tally) {
        self.partition.apply_all(&self.commands, &mut self.events);
    }

    fn finish(&mut self, tally: &mut Tally) {
        self.feed.tally(&self.events, tally);
    }
}
