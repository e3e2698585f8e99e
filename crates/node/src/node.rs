//! One partition on its log: accepts requests, assigns sequence numbers, makes commands durable, and only then
//! publishes their events.
//!
//! A [`Node`] has no threads, clock or disk of its own; it gets a [`Log`], a [`Clock`] and an [`EventSink`], and a
//! caller that calls [`Node::run_batch`] again and again. The embedded venue calls it on a thread with the real ones; a
//! simulation may run many nodes on one thread in simulated time. Each call runs one batch:
//!
//! ```text
//!   offered requests --> drop the late --> sequence, time --> append to log --> apply --> sync --> publish
//!                                                                 (nothing leaves before this is done) ^
//! ```
//!
//! Work that commands have left ([`crossbook_engine::work_budget`]) continues at the beginning of each batch, by a
//! command of the partition's own.
//!
//! Group commit needs no timer: while one batch waits for the disk, requests queue up, and the next batch takes all of
//! them.

use std::collections::VecDeque;

use crossbook_engine::Partition;
use crossbook_log::{Log, Record};
use crossbook_protocol::peer::{Outgoing, PeerMessage};
use crossbook_protocol::{Body, Command, Events};
use crossbook_types::{RequestNumber, Sequence, SourceId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::event_sink::EventSink;
use crate::panic::naming;
use crate::request::{NotAccepted, Request};

/// Tells the time.
pub trait Clock {
    /// Now. May stand still or jump; the node never lets a command's time go back.
    fn now(&self) -> Timestamp;
}

/// How much a node takes at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests that may wait to be accepted; more are refused as overload.
    pub queue_requests_max: usize,
    /// Requests in one batch, which share one sync of the disk.
    pub batch_requests_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queue_requests_max: 8_192, batch_requests_max: 1_024 }
    }
}

/// Why a node cannot continue. Its process must end: its memory may differ from the disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log failed.
    #[error("the log failed: {0}")]
    Log(#[from] crossbook_log::Error),
    /// The log holds something else than this node appended.
    #[error("the log reports {durable} as durable, expected {expected}")]
    Diverged {
        /// The log's error.
        durable: Sequence,
        /// What was appended.
        expected: Sequence,
    },
}

/// The result of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BatchResult {
    /// Commands that are now durable and published.
    pub commands: usize,
    /// Requests that arrived too late.
    pub late: usize,
}

/// One partition on its log.
pub struct Node<L, C, O> {
    partition: Partition,
    log: L,
    clock: C,
    sink: O,
    source: SourceId,
    limits: Limits,
    queue: VecDeque<Request>,
    events: Events,
    /// Messages to other partitions, not yet known to be durable there.
    outstanding: VecDeque<Outgoing>,
    /// The batch being taken through the stages.
    batch: Vec<Command>,
    bytes: Vec<u8>,
    stages: Stages,
}

/// Lets the caller of a node measure a batch between its stages. The node itself reads no time.
pub type Stages = Option<Box<dyn FnMut(Stage) + Send>>;

/// A stage of a batch that has just ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The batch was taken: this many requests.
    Taken(usize),
    /// Encoded and appended.
    Appended,
    /// The batch has been applied to the partition.
    Applied,
    /// The batch is durable.
    Synced,
    /// The events of the batch have been published.
    Published,
}

impl<L: Log, C: Clock, O: EventSink> Node<L, C, O> {
    /// A node that starts at the position of `partition`, which must be the end of `log`. Requests come from `source`.
    ///
    /// # Panics
    /// When the partition is not at the end of the log.
    pub fn new(partition: Partition, log: L, clock: C, sink: O, source: SourceId, limits: Limits) -> Self {
        assert_eq!(partition.sequence(), log.durable(), "a node starts at the end of its log");
        assert_eq!(log.tail(), log.durable(), "a node starts with nothing half written");
        Self {
            partition,
            log,
            clock,
            sink,
            source,
            limits,
            queue: VecDeque::new(),
            events: Events::new(),
            outstanding: VecDeque::new(),
            batch: Vec::new(),
            bytes: Vec::new(),
            stages: None,
        }
    }

    /// Calls `stages` at the end of each stage of a batch.
    pub fn observe(&mut self, stages: impl FnMut(Stage) + Send + 'static) {
        self.stages = Some(Box::new(stages));
    }

    /// The partition as it is after the last batch.
    #[must_use]
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The log of the partition.
    #[must_use]
    pub fn log(&self) -> &L {
        &self.log
    }

    /// The log, to trim it.
    pub fn log_mut(&mut self) -> &mut L {
        &mut self.log
    }

    /// The receiver of events.
    pub fn outlet_mut(&mut self) -> &mut O {
        &mut self.sink
    }

    /// Requests that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Messages to other partitions, durable here and not yet [`Node::delivered`] there, in order. The transport sends
    /// them, and sends them again from the first after a failure.
    pub fn outstanding(&self) -> impl Iterator<Item = &Outgoing> {
        self.outstanding.iter()
    }

    /// Takes note that `to` has made durable every message up to `number`.
    pub fn delivered(&mut self, to: crossbook_types::PartitionId, number: RequestNumber) {
        self.outstanding.retain(|message| message.to != to || message.number > number);
    }

    /// Queues a request for the next batch.
    ///
    /// # Errors
    /// [`NotAccepted::Busy`] when too many are queued.
    pub fn offer(&mut self, request: Request) -> Result<(), NotAccepted> {
        if self.queue.len() >= self.limits.queue_requests_max {
            return Err(NotAccepted::Busy);
        }
        self.queue.push_back(request);
        Ok(())
    }

    /// Takes one batch from the queue through all stages.
    ///
    /// # Errors
    /// When the log fails. Nothing of the batch is published then, and the node must not be used again.
    ///
    /// # Panics
    /// When an invariant of the partition does not hold.
    pub fn run_batch(&mut self) -> Result<BatchResult, Error> {
        // Deadlines are read off the same clock, which may have been set back; only the time of commands never goes
        // back.
        let clock = self.clock.now();
        let now = clock.max(self.partition.time());
        let mut result = BatchResult::default();
        self.stage(Stage::Taken(self.queue.len().min(self.limits.batch_requests_max)));
        self.go_on(now)?;
        let most = self.limits.batch_requests_max + self.batch.len();
        while self.batch.len() < most
            && let Some(request) = self.queue.pop_front()
        {
            if request.deadline.is_some_and(|deadline| clock > deadline) {
                result.late += 1;
                self.sink.not_accepted(request.number, NotAccepted::Late);
                continue;
            }
            if self.append(self.source, request.number, &request.body, now)? {
                let sequence = self.log.tail();
                let Request { number, body, .. } = request;
                self.batch.push(Command::new(sequence, now, self.source, number, body));
            } else {
                // The log needs a sync first; the request is the first of the next batch.
                self.queue.push_front(request);
                break;
            }
        }
        self.stage(Stage::Appended);
        result.commands = self.batch.len();
        naming(&mut self.partition, |partition| partition.apply_all(&self.batch, &mut self.events));
        self.batch.clear();
        self.stage(Stage::Applied);
        let expected = self.partition.sequence();
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::ToldBeforeSync) {
            self.sink.publish(&mut self.events);
            self.events.clear();
        }
        let durable = self.log.sync()?;
        if durable != expected {
            return Err(Error::Diverged { durable, expected });
        }
        self.stage(Stage::Synced);
        self.outstanding.extend(self.partition.drain_outgoing());
        if result.commands > 0 {
            self.sink.publish(&mut self.events);
            self.events.clear();
        }
        self.stage(Stage::Published);
        Ok(result)
    }

    /// Begins a batch with the next part of what earlier commands have left, if they have: one part in each batch, so
    /// that others are served in between.
    fn go_on(&mut self, now: Timestamp) -> Result<(), Error> {
        let Some(number) = self.partition.continuation() else { return Ok(()) };
        let (source, body) = (SourceId::partition(self.partition.id()), Body::Peer(PeerMessage::Continue));
        if self.append(source, number, &body, now)? {
            self.batch.push(Command::new(self.log.tail(), now, source, number, body));
        }
        Ok(())
    }

    /// Whether the next batch has something to do though no request waits, because there is deferred work.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.partition.continuation().is_some()
    }

    /// Appends a command's bytes; `false` if the log must be synced first.
    fn append(&mut self, source: SourceId, number: RequestNumber, body: &Body, time: Timestamp) -> Result<bool, Error> {
        self.bytes.clear();
        crossbook_protocol::wire::encode_command(source, number, None, body, &mut self.bytes);
        let record = Record { sequence: self.log.tail().next(), time, payload: &self.bytes };
        match self.log.append(record) {
            Ok(()) => Ok(true),
            Err(crossbook_log::Error::BatchFull { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn stage(&mut self, stage: Stage) {
        if let Some(stages) = &mut self.stages {
            stages(stage);
        }
    }

    /// Returns the node's parts. Requests that are still queued are answered that the venue is stopping.
    pub fn finish(mut self) -> (Partition, L, O) {
        for request in std::mem::take(&mut self.queue) {
            self.sink.not_accepted(request.number, NotAccepted::Stopping);
        }
        (self.partition, self.log, self.sink)
    }
}
