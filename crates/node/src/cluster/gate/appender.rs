//! The thread of a lane that appends: it gathers what is queued, appends it in one round trip, and looks after each request until the
//! partition has taken it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use crossbook_log::streams::{Error as StreamError, Link, Servers};
use crossbook_types::{RequestNumber, Sequence};
use tokio::sync::oneshot;

use super::{Error, Flight, Inbound, Lane, Refuse, Shared};
use crate::embedded::SystemClock;
use crate::node::Clock as _;
use crate::request::{NotTaken, Request};

/// How often a lane looks after its requests.
const TICK: Duration = Duration::from_millis(50);

/// The thread that appends.
pub(super) struct Appender<'a> {
    shared: &'a Shared,
    lane: &'a Lane,
    servers: Servers,
    requests: Receiver<Inbound>,
    refuse: Refuse,
    link: Option<Link>,
    ends: Vec<oneshot::Sender<Sequence>>,
    /// Since when nothing has moved though something waits.
    stuck_since: Option<Instant>,
    seen: u64,
    checked: Instant,
}

impl<'a> Appender<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        lane: &'a Lane,
        servers: Servers,
        requests: Receiver<Inbound>,
        refuse: Refuse,
    ) -> Self {
        let (seen, checked) = (lane.told.load(Ordering::Acquire), Instant::now());
        Self { shared, lane, servers, requests, refuse, link: None, ends: Vec::new(), stuck_since: None, seen, checked }
    }

    pub(super) fn run(mut self) -> Result<(), Error> {
        let mut tries = 0;
        while !self.shared.is_stopping() {
            let fresh = self.gather();
            match self.round(&fresh) {
                Ok(()) => tries = 0,
                Err(source) if source.is_passing() => {
                    tracing::warn!(partition = self.lane.partition.0, error = %source, "requests wait for the log");
                    metrics::counter!("crossbook_append_failures_total").increment(1);
                    self.link = None;
                    // What was sent may have arrived or not; it is sent again, and taken once.
                    self.lane.flights.lock().values_mut().for_each(|flight| flight.at = None);
                    self.ends.clear();
                    self.watch();
                    self.shared.pause(&mut tries);
                }
                Err(source) => return Err(Error::Stream { partition: self.lane.partition, source }),
            }
            self.watch();
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
                    let mut bytes = Vec::new();
                    crossbook_wire::encode_command(self.shared.source, number, &body, &mut bytes);
                    flights.insert(number, Flight { bytes: bytes.into(), begun: Instant::now(), at: None });
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
        let due: Vec<(RequestNumber, Arc<[u8]>)> = {
            let flights = self.lane.flights.lock();
            let lost = flights.iter().filter(|(_, flight)| flight.at.is_none());
            let bounds = self.servers.options();
            let most = self.shared.options.batch_requests_max.min(bounds.batch_records_max);
            let mut bytes = 0;
            lost.take(most)
                .take_while(|(_, flight)| {
                    bytes += flight.bytes.len();
                    bytes <= bounds.batch_bytes_max
                })
                .map(|(&number, flight)| (number, Arc::clone(&flight.bytes)))
                .collect()
        };
        let stuck = self.stuck_since.is_some_and(|since| since.elapsed() >= self.retry());
        let check = stuck && self.checked.elapsed() >= self.retry();
        if due.is_empty() && self.ends.is_empty() && !check && self.link.is_some() {
            return Ok(());
        }
        let link = match &mut self.link {
            Some(link) => link,
            none => none.insert(Link::connect(&self.servers, self.lane.partition)?),
        };
        let payloads: Vec<&[u8]> = due.iter().map(|(_, bytes)| &**bytes).collect();
        let appended = match link.append(&payloads, self.shared.options.backlog_max) {
            Ok(appended) => appended,
            Err(StreamError::Full { .. }) => {
                metrics::counter!("crossbook_busy_total", "at" => "log").increment(1);
                give_back(self.lane, &self.refuse, fresh, NotTaken::Busy);
                link.append(&[], self.shared.options.backlog_max)?
            }
            Err(error) => return Err(error),
        };
        metrics::histogram!("crossbook_append_batch_requests").record(due.len() as f64);
        self.lane.tail.store(appended.last.0, Ordering::Release);
        let mut flights = self.lane.flights.lock();
        if appended.last.0 >= appended.first.0 {
            for (sequence, (number, _)) in (appended.first.0..=appended.last.0).zip(&due) {
                // The partition may have been quicker than the answer.
                if let Some(flight) = flights.get_mut(number) {
                    flight.at = Some(Sequence(sequence));
                }
            }
        }
        if check {
            self.checked = Instant::now();
            flights.values_mut().filter(|flight| flight.at > Some(appended.last)).for_each(|flight| flight.at = None);
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
        let waiting = {
            let mut flights = self.lane.flights.lock();
            // The partition has come past the place, and it was not this request that it took there.
            for flight in flights.values_mut().filter(|flight| flight.at.is_some_and(|at| at.0 <= told)) {
                metrics::counter!("crossbook_requests_repeated_total").increment(1);
                flight.at = None;
            }
            !flights.is_empty() || self.lane.tail.load(Ordering::Acquire) > told || self.link.is_none()
        };
        if told > self.seen || !waiting {
            (self.seen, self.stuck_since) = (told, None);
        } else if self.stuck_since.is_none() {
            self.stuck_since = Some(Instant::now());
        }
        let patience = Duration::from_millis(self.shared.options.breaker_ms);
        let open = self.stuck_since.is_some_and(|since| since.elapsed() >= patience);
        if self.lane.open.swap(open, Ordering::Relaxed) != open {
            tracing::warn!(partition = self.lane.partition.0, open, "the partition's lane has changed");
            metrics::gauge!("crossbook_lane_open", "partition" => self.lane.partition.0.to_string())
                .set(f64::from(u8::from(open)));
        }
        if open {
            // Whoever waited for the others was told that it is not known what becomes of them.
            let keep = Duration::from_millis(self.shared.options.keep_ms);
            self.lane.flights.lock().retain(|_, flight| flight.begun.elapsed() < keep);
        }
    }
}

/// Tells the senders of requests that were not appended so.
fn give_back(lane: &Lane, refuse: &Refuse, numbers: &[RequestNumber], why: NotTaken) {
    let mut flights = lane.flights.lock();
    for &number in numbers {
        if flights.remove(&number).is_some() {
            refuse(number, why);
        }
    }
}
