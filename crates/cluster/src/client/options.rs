//! The settings of a gateway's log client.

use std::time::Duration;

use crossbook_types::SourceId;
use serde::{Deserialize, Serialize};

use crate::replica::Limits;
use crate::requests::appends::Timeouts;
use crate::runtime;
use crate::session::{Pace, Settings};
use crate::store::Bounds;

/// Others are notified once in so many turns: they have turns of their own, or nobody waits for them.
const NOTIFY_INTERVALS: u32 = 3;

/// How a gateway speaks with the partitions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Requests that may wait to be appended to one partition's log; more are refused as overload.
    pub queue_requests_max: usize,
    /// Milliseconds that a request may have to wait for its partition, as estimated from the partition's throughput;
    /// one that would wait longer is refused as overload. 0: no bound.
    pub queue_wait_max_ms: u64,
    /// Milliseconds that a new order may take until its partition has accepted it, while more arrive than it can accept
    /// for a while; others are refused as overload. Never less than twice what a request takes if nothing waits. 0: no
    /// bound.
    pub queue_wait_sustained_max_ms: u64,
    /// Requests appended to one partition in one turn.
    pub batch_requests_max: usize,
    /// Commands in one partition's log that this gateway has not applied; with more, requests for it are refused as
    /// overload.
    pub backlog_max: u64,
    /// The least time from the beginning of one turn with a shard to that of the next, in microseconds. What arrives
    /// meanwhile shares the next turn: with more, an order costs less and takes longer.
    pub turn_interval_us: u64,
    /// How often a shard is read when no notification comes, in case one was lost, in milliseconds.
    pub poll_interval_ms: u64,
    /// How long without progress before the gateway checks whether its requests are still where it appended them, in
    /// milliseconds.
    pub retry_ms: u64,
    /// How long without an answer before the circuit breaker opens, and requests for the partition are refused at once,
    /// in milliseconds.
    pub circuit_breaker_ms: u64,
    /// How long a request is retained for a partition that does not answer, to be appended again when it does; nobody
    /// waits for it any longer than that. In milliseconds.
    pub retention_ms: u64,
    /// How long a question about an account waits for what other gateways have answered, in milliseconds.
    pub read_barrier_timeout_ms: u64,
    /// Commands of one partition read in one turn.
    pub read_batch_commands_max: usize,
    /// Commands of one partition that may be read and not yet confirmed.
    pub read_ahead_commands_max: usize,
    /// Messages of one partition delivered to another in one turn.
    pub deliver_batch_max: usize,
    /// How long a message between partitions may wait for the process that is responsible for it before this gateway
    /// delivers it, in milliseconds. Workers should be less patient.
    pub deliver_patience_ms: u64,
    /// Messages between partitions that may wait to be received; with more, no commands are read.
    pub messages_retained_max: usize,
    /// The longest pause between two tries to connect, in milliseconds.
    pub retry_delay_max_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue_requests_max: 8_192,
            queue_wait_max_ms: 500,
            queue_wait_sustained_max_ms: 25,
            batch_requests_max: 1_024,
            backlog_max: 20_000,
            turn_interval_us: 4_000,
            poll_interval_ms: 100,
            retry_ms: 500,
            circuit_breaker_ms: 2_000,
            retention_ms: 10_000,
            read_barrier_timeout_ms: 1_000,
            read_batch_commands_max: 1_024,
            read_ahead_commands_max: 8_192,
            deliver_batch_max: 1_024,
            deliver_patience_ms: 500,
            messages_retained_max: 1_000_000,
            retry_delay_max_ms: 250,
        }
    }
}

impl Options {
    /// When requests are appended again or given up.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        Timeouts {
            retry: Duration::from_millis(self.retry_ms),
            breaker: Duration::from_millis(self.circuit_breaker_ms),
            keep: Duration::from_millis(self.retention_ms),
        }
    }

    /// How much a replica reads at a time.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            records_max: self.read_batch_commands_max.max(1),
            held_max: self.read_ahead_commands_max.max(self.read_batch_commands_max).max(1),
        }
    }

    /// The settings of the sessions of the gateway with this source.
    #[must_use]
    pub fn session(&self, source: SourceId, bounds: Bounds) -> Settings {
        let interval = Duration::from_micros(self.turn_interval_us);
        let pace = Pace {
            write: interval,
            read: interval,
            poll: Duration::from_millis(self.poll_interval_ms).max(interval),
            confirm: Duration::ZERO,
            notify: interval * NOTIFY_INTERVALS,
            phase: Duration::ZERO,
        };
        let records_max = bounds.records_max;
        Settings {
            source: Some(source),
            bounds: Bounds { records_max: records_max.min(self.batch_requests_max.max(1)), ..bounds },
            deliver_max: self.deliver_batch_max.clamp(1, records_max.max(1)),
            patience: Duration::from_millis(self.deliver_patience_ms),
            pace,
            timeouts: self.timeouts(),
        }
    }

    pub(super) fn runtime(&self, source: SourceId, bounds: Bounds) -> runtime::Options {
        runtime::Options {
            settings: self.session(source, bounds),
            retained_max: self.messages_retained_max,
            retry_delay_max: Duration::from_millis(self.retry_delay_max_ms.max(1)),
            // Clients would miss what happened between, and not know it.
            reload: None,
        }
    }
}
