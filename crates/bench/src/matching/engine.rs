//! The whole partition: 400 accounts, holds, fees, events, and a final audit. It has no move, so a move is a cancel and
//! a new order, as for clients: two commands, timed as one.

use crossbook_oracle::feed::FedPartition;
use crossbook_oracle::workload::{Command, Tally, Workload};
use crossbook_protocol::Events;

use super::Subject;

/// A partition that is fed.
pub(super) struct WholeEngine {
    fed: FedPartition,
    commands: Vec<crossbook_protocol::Command>,
    events: Events,
    tally: Tally,
}

impl Subject for WholeEngine {
    // About what a busy node takes from its queue at once.
    const BATCH: usize = 128;

    fn begin(workload: &Workload) -> Self {
        let fed = FedPartition::new(workload);
        Self { fed, commands: Vec::new(), events: Events::new(), tally: Tally::default() }
    }

    fn prepare(&mut self, commands: &[Command]) {
        self.events.clear();
        self.commands.clear();
        for command in commands {
            self.fed.translate(command, &mut self.commands);
        }
    }

    fn run(&mut self) {
        self.fed.partition.apply_all(&self.commands, &mut self.events);
    }

    fn settle(&mut self) {
        self.fed.tally(&self.events, &mut self.tally);
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn forget(&mut self) {
        self.tally = Tally::default();
    }

    fn faults(&self) -> Vec<String> {
        self.fed.partition.audit().violations
    }
}
