//! A whole partition under a workload.

use crossbook_engine::Partition;
use crossbook_protocol::command::Body;
use crossbook_protocol::{Answer, Command, Event, Events, Routing};
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, Timestamp};

use super::Feed;
use crate::workload::{self, Tally, Workload};

/// A partition that is fed a workload.
#[derive(Debug)]
pub struct FedPartition {
    /// The partition, for whoever applies the commands.
    pub partition: Partition,
    number: u64,
    feed: Feed,
    bodies: Vec<Body>,
}

impl FedPartition {
    /// A venue with funded accounts, fees of 0.1 %, and room for a workload.
    ///
    /// # Panics
    /// Never: nothing of the opening is refused.
    #[must_use]
    pub fn new(workload: &Workload) -> Self {
        let mut partition = Partition::new(PartitionId(0), Routing::single(), 5);
        let mut number = 0;
        let mut events = Events::new();
        for body in Feed::opening() {
            partition.apply(&command(&mut number, body), &mut events);
        }
        let refused = |event: &Event| matches!(event, Event::Answered { answer: Answer::Refused(_), .. });
        assert!(!events.all().iter().any(refused), "the opening is refused");
        Self { partition, number, feed: Feed::new(workload), bodies: Vec::new() }
    }

    /// Adds the commands that a command of the workload means.
    pub fn translate(&mut self, of_workload: &workload::Command, out: &mut Vec<Command>) {
        self.feed.translate(of_workload, &mut self.bodies);
        out.extend(self.bodies.drain(..).map(|body| command(&mut self.number, body)));
    }

    /// Adds the trades to a tally. Every command must have been accepted.
    ///
    /// # Panics
    /// When one was refused.
    pub fn tally(&self, events: &Events, tally: &mut Tally) {
        self.feed.tally(events, tally);
    }
}

fn command(number: &mut u64, body: Body) -> Command {
    *number += 1;
    let (sequence, time) = (Sequence(*number), Timestamp(*number));
    Command::new(sequence, time, SourceId::FIRST_GATEWAY, RequestNumber(*number), body)
}
