//! Tells the other gateways what clients have used of their limits, and hears it from them; see
//! [`crossbook_gateway::limits::sharing`].

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbook_gateway::clock::now;
use crossbook_gateway::limits::sharing::{
    Answer, Ban, Batch, Counter, Exchanger, Failure, Line, SharedCounts, Subject,
};
use crossbook_gateway::limits::{BAN_MAX, Limits, LimitsConfig};
use crossbook_types::{SourceId, Timestamp};

use super::Error;
use super::provider::{CountBatch, CountBounds, CountLine, Servers, SharedCounts as StoredCounts, StoredBan};

/// The thread, until it is stopped.
#[derive(Debug)]
pub struct LimitExchange {
    /// Dropped to stop it.
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl LimitExchange {
    /// Starts the thread, unless each gateway is to count for itself.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn start(limits: &Arc<Limits>, servers: &Servers, gateway: SourceId) -> std::io::Result<Option<Self>> {
        let interval = Duration::from_millis(limits.config().exchange_interval_ms);
        if interval.is_zero() {
            return Ok(None);
        }
        let counts = Stored::new(servers, gateway, limits.config());
        let exchanger = Exchanger::new(Arc::clone(limits), counts);
        let (stop, stopped) = mpsc::channel();
        let run = move || run(exchanger, interval, &stopped);
        let thread = std::thread::Builder::new().name("limits".to_owned()).spawn(run)?;
        Ok(Some(Self { stop, thread }))
    }

    /// Exchanges a last time, and ends. Waits for it.
    ///
    /// # Errors
    /// [`Error::Disorder`] if the thread ended before.
    pub fn stop(self) -> Result<(), Error> {
        drop(self.stop);
        self.thread.join().map_err(|_| Error::Disorder)
    }
}

fn run(mut exchanger: Exchanger<Stored>, interval: Duration, stopped: &mpsc::Receiver<()>) {
    let exchanges = metrics::counter!("crossbook_limit_exchanges_total");
    let failures = metrics::counter!("crossbook_limit_exchange_failures_total");
    let mut has_failed = false;
    loop {
        let is_last = stopped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout);
        loop {
            match exchanger.exchange(now) {
                Ok(None) => break,
                Ok(Some(more)) => {
                    exchanges.increment(1);
                    if std::mem::take(&mut has_failed) {
                        tracing::info!("what clients use of their limits is exchanged with the other gateways again");
                    }
                    if !more {
                        break;
                    }
                }
                Err(error) => {
                    failures.increment(1);
                    if !std::mem::replace(&mut has_failed, true) {
                        tracing::warn!(error, "limits: this gateway counts for itself until the store answers");
                    }
                    break;
                }
            }
        }
        if is_last {
            return;
        }
    }
}

/// The counts in the store, in the terms of the gateway.
struct Stored(StoredCounts);

impl Stored {
    fn new(servers: &Servers, gateway: SourceId, config: &LimitsConfig) -> Self {
        let bounds = CountBounds {
            clients_max: config.tracked_clients_max,
            bans_read_max: config.exchange_clients_max,
            bans_kept: BAN_MAX,
        };
        Self(StoredCounts::new(servers.clone(), gateway, bounds))
    }
}

impl SharedCounts for Stored {
    fn exchange(&mut self, batch: &Batch) -> Result<Answer, Failure> {
        let lines: Vec<_> = batch.lines.iter().map(line).collect();
        let ban = |ban: &Ban| StoredBan { client: ban.address.to_string(), until: ban.until.0, bans: ban.bans };
        let bans: Vec<_> = batch.bans.iter().map(ban).collect();
        let (number, credit_lease) = (batch.number, batch.credit_lease);
        let counted = self.0.exchange(&CountBatch { number, lines: &lines, bans: &bans, credit_lease })?;
        let ban =
            |ban: StoredBan| Ok(Ban { address: ban.client.parse()?, until: Timestamp(ban.until), bans: ban.bans });
        let bans = counted.bans.into_iter().map(ban).collect::<Result<_, Failure>>()?;
        let (sums, gives_credits, more_bans) = (counted.sums, counted.gives_credits, counted.more_bans);
        Ok(Answer { sums, gives_credits, bans, more_bans })
    }
}

fn line(line: &Line) -> CountLine {
    CountLine {
        counter: match line.counter {
            Counter::Weight => "weight",
            Counter::Requests => "requests",
            Counter::Refusals => "refusals",
            Counter::Orders => "orders",
            Counter::OrdersOfDay => "day-orders",
        },
        length: line.counter.window(),
        begin: Duration::from_micros(line.begin.0).as_secs(),
        client: match line.subject {
            Subject::Address(address) => address.to_string(),
            Subject::Account(account) => account.to_string(),
        },
        add: line.add,
        credit: line.credit,
    }
}
