//! The first command of a new venue.
//!
//! A partition with an empty log begins under the rules that old logs began under, because those must replay to the
//! same states. A new venue has no such log, so before any other command it activates the newest rules, as an operator
//! does after an upgrade. If the process ends before that command is durable, the log is still empty, and the next
//! start does it again.

use crossbook_engine::Partition;
use crossbook_log::Log;
use crossbook_protocol::command::Body;
use crossbook_protocol::{Events, Rules};
use crossbook_types::{RequestNumber, Sequence};

use crate::embedded::source_of_run;
use crate::event_sink::EventSink;
use crate::follower::Follower;
use crate::node::{self, Clock, Limits, Node};
use crate::request::{NotAccepted, Request};

/// The command that the partition of the registry gets before any other, in a cluster from a gateway. It changes
/// nothing where rules as new are active already, so more than one process may send it.
#[must_use]
pub fn first_command() -> Body {
    Body::ActivateRules(Rules::NEWEST)
}

/// Logs and applies the first command, if the log is empty. Returns the three at the end of the log.
///
/// # Errors
/// When the log fails. It must not be used again then.
///
/// # Panics
/// When the partition is not at the end of the log.
pub fn begin<L: Log, F: Follower + 'static>(
    partition: Partition,
    log: L,
    follower: F,
    clock: impl Clock,
) -> Result<(Partition, L, F), node::Error> {
    if log.durable() > Sequence(0) {
        return Ok((partition, log, follower));
    }
    let source = source_of_run(partition.sequence());
    let mut node = Node::new(partition, log, clock, Followed(follower), source, Limits::default());
    let first = Request { number: RequestNumber(1), body: first_command(), deadline: None };
    // An empty queue accepts one request.
    let _ = node.offer(first);
    node.run_batch()?;
    let (partition, log, Followed(follower)) = node.finish();
    Ok((partition, log, follower))
}

/// Hands the events to a follower.
struct Followed<F>(F);

impl<F: Follower + 'static> EventSink for Followed<F> {
    fn publish(&mut self, events: &mut Events) {
        for (cause, events) in events.iter() {
            self.0.follow(cause, events);
        }
    }

    fn not_accepted(&mut self, _: RequestNumber, _: NotAccepted) {}
}
