//! The thread of a lane that appends: it gathers what is queued, appends it in one round trip, and looks after each
//! request until the partition has taken it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use crossbook_redis_store::{Error as StreamError, Link, Servers};
use crossbook_types::{RequestNumber, Sequence, Timestamp};
use tokio::sync::oneshot;

use super::flights::{Due, Patience};
use super::{Error, Inbound, Lane, Refuse, Shared};
use crossbook_node::embedded::SystemClock;
use crossbook_node::node::Clock as _;
use crossbook_node::request::{NotTaken, Request};

/// How often a lane looks after its requests.
const TICK: Duration = Duration::from_millis(50);

/// How far the log's time may be ahead of this gateway's clock before a request's deadline counts from the log's time:
/// more is no spread of clocks, but a clock of the store that was set ahead.
const AHEAD_MAX_MICROS: u64 = 1_000_000;

/// The deadline by which the partition judges a request: it compares with the log's time, which never goes back. Where
/// a clock of the store was ahead once, every deadline by the gateway's clock would have passed until clocks catch up.
fn by_the_log(deadline: Timestamp, ahead_micros: u64) -> Timestamp {
    if ahead_micros > AHEAD_MAX_MICROS { Timestamp(deadline.0.saturating_add(ahead_micros)) } else { deadline }
}

/// How far the log's time is ahead of `now`, after an answer of the store that bears the time `log`. Where commands
/// were appended, `log` is the store's clock. Otherwise it is the time of the last command, which says the less the
/// older that is, so it only ever adds.
fn ahead_of(now: Timestamp, log: Timestamp, appended: bool, known: u64) -> u64 {
    let ahead = log.0.saturating_sub(now.0);
    if appended { ahead } else { ahead.max(known) }
}

/// The thread that appends.
pub(super) struct Appender<'a> {
    shared: &'a Shared,
    lane: &'a Lane,
    servers: Servers,
    requests: Receiver<Inbound>,
    refuse: Refuse,
    link: Option<Link>,
    ends: Vec<oneshot::Sender<Sequence>>,
    begun: Instant,
    patience: Patience,
    /// How far the log's time is ahead of this gateway's clock, as far as is known.
    ahead_micros: u64,
}

impl<'a> Appender<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        lane: &'a Lane,
        servers: Servers,
        requests: Receiver<Inbound>,
        refuse: Refuse,
    ) -> Self {
        let patience = Patience::new(Sequence(lane.told.load(Ordering::Acquire)));
        let begun = Instant::now();
        Self { shared, lane, servers, requests, refuse, link: None, ends: Vec::new(), begun, patience, ahead_micros: 0 }
    }

    pub(super) fn run(mut self) -> Result<(), Error> {
        let mut tries = 0;
        // The log's time is known before the first request, if the store answers; else the first round fails in its
        // turn.
        let _ = self.round(&[]);
        while !self.shared.is_stopping() {
            let fresh = self.gather();
            match self.round(&fresh) {
                Ok(()) => tries = 0,
                Err(source) if source.is_passing() => {
                    tracing::warn!(partition = self.lane.partition.0, error = %source, "requests wait for the log");
                    metrics::counter!("crossbook_append_failures_total").increment(1);
                    self.link = None;
                    self.lane.flights.lock().disconnected();
                    self.ends.clear();
                    self.watch();
                    self.shared.pause(&mut tries);
                }
                Err(source) => return Err(Error::Stream { partition: self.lane.partition, source }),
            }
            self.watch();
        }
        // What was sent before the gateway began to stop, and never appended.
        for inbound in self.requests.try_iter() {
            if let Inbound::Request(request) = inbound {
                (self.refuse)(request.number, NotTaken::Stopping);
            }
        }
        Ok(())
    }

    /// Takes requests from the queue, and gives the numbers of those that are new.
    fn gather(&mut self) -> Vec<RequestNumber> {
        let mut fresh = Vec::new();
        let first = self.requests.recv_timeout(TICK).ok();
        let now = SystemClock.now();
        let most = self.shared.options.batch_requests_max;
        let mut flights = self.lane.flights.lock();
        for inbound in first.into_iter().chain(self.requests.try_iter()) {
            match inbound {
                Inbound::End(sender) => self.ends.push(sender),
                Inbound::Request(Request { number, body, deadline }) => {
                    if deadline.is_some_and(|deadline| now > deadline) {
                        (self.refuse)(number, NotTaken::Late);
                        continue;
                    }
                    let deadline = deadline.map(|deadline| by_the_log(deadline, self.ahead_micros));
                    let mut bytes = Vec::new();
                    crossbook_protocol::wire::encode_command(self.shared.source, number, deadline, &body, &mut bytes);
                    flights.begin(number, bytes.into(), self.begun.elapsed());
                    fresh.push(number);
                }
            }
            if fresh.len() >= most {
                break;
            }
        }
        fresh
    }

    /// One round trip, if there is a reason for one.
    fn round(&mut self, fresh: &[RequestNumber]) -> Result<(), StreamError> {
        let bounds = self.servers.options();
        let most = self.shared.options.batch_requests_max.min(bounds.batch_records_max);
        let due = self.lane.flights.lock().due(most, bounds.batch_bytes_max);
        let check = self.patience.must_check(self.retry(), self.begun.elapsed());
        if due.is_empty() && self.ends.is_empty() && !check && self.link.is_some() {
            return Ok(());
        }
        let link = match &mut self.link {
            Some(link) => link,
            none => none.insert(Link::connect(&self.servers, self.lane.partition)?),
        };
        let payloads: Vec<&[u8]> = due.iter().map(|Due { bytes, .. }| &**bytes).collect();
        let appended = match link.append(&payloads, self.shared.options.backlog_max) {
            Ok(appended) => appended,
            Err(StreamError::Full { .. }) => {
                metrics::counter!("crossbook_overload_rejections_total", "stage" => "log").increment(1);
                give_back(self.lane, &self.refuse, fresh, NotTaken::Busy);
                link.append(&[], self.shared.options.backlog_max)?
            }
            Err(error) => return Err(error),
        };
        metrics::histogram!("crossbook_append_batch_requests").record(due.len() as f64);
        self.lane.tail.store(appended.last.0, Ordering::Release);
        self.ahead_micros = ahead_of(SystemClock.now(), appended.time, !due.is_empty(), self.ahead_micros);
        let mut flights = self.lane.flights.lock();
        let count = (appended.last.0 + 1).saturating_sub(appended.first.0);
        let placed = usize::try_from(count).unwrap_or(usize::MAX).min(due.len());
        flights.appended(&due[..placed], appended.first);
        if check {
            self.patience.checked(self.begun.elapsed());
            flights.ends_at(appended.last);
        }
        drop(flights);
        for end in self.ends.drain(..) {
            let _ = end.send(appended.last);
        }
        Ok(())
    }

    fn retry(&self) -> Duration {
        Duration::from_millis(self.shared.options.retry_ms)
    }

    /// Looks after the requests under way, and opens or closes the lane.
    fn watch(&mut self) {
        let told = self.lane.told.load(Ordering::Acquire);
        let now = self.begun.elapsed();
        let waiting = {
            let mut flights = self.lane.flights.lock();
            let repeated = flights.told(Sequence(told));
            metrics::counter!("crossbook_append_retries_total").increment(repeated);
            !flights.is_empty() || self.lane.tail.load(Ordering::Acquire) > told || self.link.is_none()
        };
        self.patience.look(Sequence(told), waiting, now);
        let open = self.patience.is_over(Duration::from_millis(self.shared.options.breaker_ms), now);
        if self.lane.open.swap(open, Ordering::Relaxed) != open {
            tracing::warn!(partition = self.lane.partition.0, open, "the partition's lane has changed");
            metrics::gauge!("crossbook_circuit_breaker_open", "partition" => self.lane.partition.0.to_string())
                .set(f64::from(u8::from(open)));
        }
        if open {
            self.lane.flights.lock().give_up_old(Duration::from_millis(self.shared.options.keep_ms), now);
        }
    }
}

/// Tells the senders of requests that were not appended so.
fn give_back(lane: &Lane, refuse: &Refuse, numbers: &[RequestNumber], why: NotTaken) {
    let mut flights = lane.flights.lock();
    for &number in numbers {
        if flights.give_up(number) {
            refuse(number, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000_000;

    #[test]
    fn a_deadline_counts_from_the_time_of_a_log_that_is_far_ahead() {
        let (now, window) = (Timestamp(5 * DAY), 5_000_000);
        let deadline = Timestamp(now.0 + window);
        let judged = |log| by_the_log(deadline, ahead_of(now, Timestamp(log), true, 0));
        assert_eq!(judged(now.0 + DAY), Timestamp(now.0 + DAY + window));
        for log in [0, now.0 - DAY, now.0, now.0 + AHEAD_MAX_MICROS] {
            assert_eq!(judged(log), deadline, "{log}: clocks differ that much");
        }
        assert_eq!(judged(now.0 + AHEAD_MAX_MICROS + 1), Timestamp(deadline.0 + AHEAD_MAX_MICROS + 1));
    }

    #[test]
    fn a_quiet_lane_does_not_forget_that_the_log_is_ahead() {
        let (begun, log) = (5 * DAY, Timestamp(6 * DAY));
        let ahead = ahead_of(Timestamp(begun), log, true, 0);
        assert_eq!(ahead, DAY);
        // An hour without commands: the log's last time is nearer, the store's clock is not.
        assert_eq!(ahead_of(Timestamp(begun + 3_600_000_000), log, false, ahead), DAY);
        // The store's clock was put right.
        assert_eq!(ahead_of(Timestamp(begun + DAY), Timestamp(begun + DAY), true, ahead), 0);
    }
}
