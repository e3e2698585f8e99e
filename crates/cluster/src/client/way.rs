//! The way of a gateway's traced requests through one partition, as its host sees it.
//!
//! A gateway needs nothing from others for that, and no command carries anything: it appends its requests itself, and
//! applies the commands of all partitions, so it also sees what a request causes in the partition of its market, whose
//! answer names the request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbook_node::hops::{Hop, Hops, Stage};
use crossbook_protocol::Event;
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId};

use crate::replica::Applied;
use crate::requests::appends::Appends;

/// A traced request that the partition has not taken yet.
#[derive(Debug)]
struct Sent {
    number: RequestNumber,
    /// The turn that has appended it, from its beginning to its answer, once there is one.
    appended: Option<(Instant, Instant)>,
}

/// A traced request of which the partition has applied a command in the present turn.
#[derive(Debug)]
struct Done {
    number: RequestNumber,
    sequence: Sequence,
    at: Instant,
    /// Whether the command is the request itself, and not what that has caused.
    is_request: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct TurnWay {
    hops: Arc<Hops>,
    source: SourceId,
    partition: PartitionId,
    /// When the times of turns count from.
    begun: Instant,
    sent: Vec<Sent>,
    done: Vec<Done>,
}

impl TurnWay {
    pub(super) fn new(hops: &Arc<Hops>, source: SourceId, partition: PartitionId) -> Self {
        let (hops, begun) = (Arc::clone(hops), Instant::now());
        Self { hops, source, partition, begun, sent: Vec::new(), done: Vec::new() }
    }

    /// The times of turns count from there.
    pub(super) fn count_from(&mut self, begun: Instant) {
        self.begun = begun;
    }

    /// A request is part of the next turn.
    pub(super) fn sends(&mut self, number: RequestNumber) {
        if self.hops.want(number) {
            self.sent.push(Sent { number, appended: None });
        }
    }

    /// The partition has applied a command.
    pub(super) fn applied(&mut self, effects: &Applied<'_>) {
        if !self.hops.are_wanted() {
            return;
        }
        let command = effects.command;
        let is_request = command.source == self.source;
        let number = if is_request { Some(command.number) } else { answered(effects.events, self.source) };
        if let Some(number) = number.filter(|&number| self.hops.want(number)) {
            self.done.push(Done { number, sequence: command.sequence, at: Instant::now(), is_request });
        }
    }

    /// A turn has ended, and what it has confirmed is applied.
    pub(super) fn turned(&mut self, appends: Option<&Appends>, began: Duration, now: Duration) {
        if self.sent.is_empty() && self.done.is_empty() {
            return;
        }
        let turn = (self.begun + began, self.begun + now);
        for done in std::mem::take(&mut self.done) {
            self.note(&done, turn);
        }
        let hops = &self.hops;
        self.sent.retain(|sent| hops.want(sent.number));
        let is_appended = |number| appends.is_some_and(|appends| appends.is_appended(number));
        for sent in self.sent.iter_mut().filter(|sent| sent.appended.is_none() && is_appended(sent.number)) {
            sent.appended = Some(turn);
        }
    }

    fn note(&mut self, done: &Done, turn: (Instant, Instant)) {
        let &Done { number, sequence, at, is_request } = done;
        let (_, ended) = turn;
        let partition = self.partition;
        let hop = |stage, began, ended| Some(Hop { stage, partition, sequence, began, ended });
        let apply = hop(Stage::Apply, ended, at.max(ended));
        if !is_request {
            // Where another process was faster with the message, what it has caused may be known here before itself.
            self.hops.note(number, |known| [hop(Stage::Deliver, known.min(ended), ended), apply]);
            return;
        }
        let found = self.sent.iter().position(|sent| sent.number == number);
        let appended = found.and_then(|found| self.sent.swap_remove(found).appended);
        let (append_began, append_ended) = appended.unwrap_or(turn);
        let confirm = appended.and_then(|_| hop(Stage::Confirm, append_ended, ended));
        self.hops.note(number, |sent| {
            let began = append_began.max(sent);
            [hop(Stage::Queue, sent, began), hop(Stage::Append, began, append_ended), confirm, apply]
        });
    }
}

/// The request of this source that one of a command's events answers.
fn answered(events: &[Event], by: SourceId) -> Option<RequestNumber> {
    events.iter().rev().find_map(|event| match event {
        Event::Answered { source, number, .. } if *source == by => Some(*number),
        _ => None,
    })
}
